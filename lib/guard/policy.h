/* policy: every number the guard decides by. Filled by the daemon from the configuration, never changed in place. */
#ifndef POLICY_H
#define POLICY_H
#include "base/bucket.h"
#include "guard/linksched.h"

#define POLICY_SERVERS LINKSCHED_DEVICES /* places; a server keeps its place over reloads (same name, same place) */
#define POLICY_LINKS   16
#define POLICY_PEERS   64 /* holders of OSCORE contexts with the guard itself */
#define POLICY_WINDOW  64 /* Partial IVs below the highest that are remembered, at most */

/* FULL: only what one of our own OSCORE contexts authenticates */
enum policy_mode { MODE_OPEN, MODE_THROTTLE, MODE_EXEMPTIONS, MODE_FULL };
enum policy_plain { PLAIN_THROTTLE, PLAIN_DENY, PLAIN_ALLOW };

/* How deep the bucket of one client is: two seconds of its rate. */
static inline uint64_t policy_burst(struct rate r)
{
	uint64_t per_s = r.period ? r.count * TSTAMP_S / r.period : 0;

	return per_s ? 2 * per_s : 2;
}

struct policy_server {
	bool present;
	uint8_t link;
	enum policy_mode mode;
	enum policy_plain plain;
	struct rate unknown_rate; /* cost units */
	uint32_t unknown_budget;  /* cost units per day */
	uint32_t handshake_cost;  /* cost units, at least */
	struct rate trusted_rate; /* requests of one relation */
};

struct policy {
	struct policy_server servers[POLICY_SERVERS];

	/* [throttle] */
	struct rate throttle_rate; /* requests of one unproven address */
	uint32_t table_size;       /* cells of each sketch */
	struct rate reply_rate;    /* refusals, challenges and pings to one /64 (IPv4: /24) */
	uint32_t reply_slip;       /* 1 in so many replies over the rate is still sent; 0: none */
	bool dry_run;

	/* [allow-list] */
	uint32_t relations, trusted_after, min_success; /* min_success in percent */
	uint64_t lifetime, roam_grace;

	/* [echo] */
	uint64_t echo_validity, echo_key_lifetime;

	/* [sequence] */
	uint32_t contexts, window;
	uint64_t plausible_jump, sequence_idle;
};
#endif

/*
 * budget: what strangers may cost one server. Counted in cost units, per rate and per day. Half of the rate belongs to
 * handshakes, half to all other requests; what one kind leaves over when its half is full, the other may take. What costs more than a half
 * holds passes when it is full.
 */
#ifndef BUDGET_H
#define BUDGET_H
#include "base/bucket.h"

enum budget_kind { BUDGET_REQUEST, BUDGET_HANDSHAKE, BUDGET_KINDS };

struct budget_config {
	struct rate rate;        /* units, both kinds together */
	uint32_t per_day;        /* units */
	uint32_t handshake_cost; /* units, at least */
};

struct budget {
	struct bucket half[BUDGET_KINDS];
	tstamp day; /* start of the current one */
	uint32_t used;
};

/* Of a request that is `units` to the device: a handshake costs handshake_cost at least, any other 1. */
uint32_t budget_cost(const struct budget_config *c, enum budget_kind k, uint32_t units);
bool budget_take(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now);
/* Nanoseconds until budget_take would succeed; 0: now. */
uint64_t budget_wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost,
		     tstamp now);
/* Takes it when the least that the kind costs is there. Nobody passes before the rest is paid. */
bool budget_borrow(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now);
/* Nanoseconds until budget_borrow would succeed, whatever the cost; 0: now. */
uint64_t budget_borrow_wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now);
/* Takes it in any case: it is spent already. */
void budget_owe(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now);
/* Gives back what was taken. */
void budget_refund(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost);
/* What is owed stays so many units, and flows at the new rate; while that is 0, at the old one. */
void budget_retune(struct budget *b, const struct budget_config *old, const struct budget_config *new, tstamp now);
/* Units left of the day. */
uint32_t budget_left(const struct budget *b, const struct budget_config *c, tstamp now);
#endif

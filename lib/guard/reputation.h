/*
 * reputation: the standing of relations, (server, kid, kid context) at the endpoint where the device last accepted
 * it. A record comes into being when the device accepts, and only then (I1, I2). 80 bytes, index included: buckets
 * of 8, the stalest of a bucket makes room.
 */
#ifndef REPUTATION_H
#define REPUTATION_H
#include "base/addr.h"
#include "base/bucket.h"
#include "base/bytes.h"

/* unknown and reachable are standings of an endpoint (reach.h); tentative and trusted are a relation's. */
enum standing { STANDING_UNKNOWN, STANDING_REACHABLE, STANDING_TENTATIVE, STANDING_TRUSTED, STANDINGS };

enum standing_event {
	EVENT_PROOF,
	EVENT_ACCEPTED,
	EVENT_REFUSED_PROVEN,
	EVENT_REFUSED_UNPROVEN,
	EVENT_SILENT,
	STANDING_EVENTS
};

struct standing_step {
	uint8_t to;     /* enum standing */
	bool doubted;   /* from now on each request needs a fresh proof, for a while */
	bool after_run; /* only when enough of its requests were accepted */
};

/* The one table of the standings graph. */
struct standing_step standing_step(enum standing from, enum standing_event e);
const char *standing_word(enum standing s);
const char *standing_event_word(enum standing_event e);

#define RELATION_KID 6

struct relation {
	uint64_t key; /* keyed hash of (server, kid, kid context); 0: free */
	uint64_t endpoint, old_endpoint; /* keyed hashes */
	uint64_t history; /* one bit per settled request, 1: accepted; youngest lowest */
	struct bucket bucket;
	uint8_t ip[16];
	uint32_t seen_s, doubted_until_s, roam_until_s; /* seconds of the guard's clock */
	uint16_t port;
	uint8_t server, standing;
	uint8_t history_len;
	uint8_t kid_len; /* true length; kid holds at most the first RELATION_KID bytes */
	uint8_t kid[RELATION_KID];
};

struct reputation;

struct reputation *reputation_create(uint32_t relations); /* rounded up to a power of two; NULL: no memory */
void reputation_free(struct reputation *r);
size_t reputation_memory(uint32_t relations);
uint32_t reputation_count(const struct reputation *r);
uint32_t reputation_capacity(const struct reputation *r);

/* NULL: unknown, or not seen for `lifetime`. */
struct relation *reputation_find(struct reputation *r, uint64_t key, uint64_t lifetime, tstamp now);
void reputation_prefetch(const struct reputation *r, uint64_t key);
/* A new, empty, tentative record for key; evicts the stalest of its bucket. */
struct relation *reputation_admit(struct reputation *r, uint64_t key, tstamp now);
void reputation_remove(struct reputation *r, struct relation *rel);
/* The i-th place: NULL when free. i below reputation_capacity. */
struct relation *reputation_at(struct reputation *r, uint32_t i);

void relation_seen(struct relation *rel, tstamp now);
void relation_book(struct relation *rel, bool accepted); /* one settled request */
unsigned relation_accepted(const struct relation *rel);  /* of the last 64 settled ones */
unsigned relation_success(const struct relation *rel);   /* percent; 100 while nothing was settled */
bool relation_doubted(const struct relation *rel, tstamp now);
void relation_doubt(struct relation *rel, uint64_t period, tstamp now);
#endif

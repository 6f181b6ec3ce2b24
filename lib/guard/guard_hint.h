/*
 * guard_hint: what the guard knows of clients, in a form that outlives it, and back. What comes back is a hint: a relation is tentative,
 * its endpoint proven to be nobody's, and its Partial IVs only make some numbers plausible. Whom a hint does not fit is judged as if
 * it were not there, and the first request that the device accepts makes it an ordinary, young relation. So a hint that is
 * stale, or wrong, harms nobody.
 */
#ifndef GUARD_HINT_H
#define GUARD_HINT_H
#include "base/addr.h"
#include "base/siphash.h"
#include "guard/policy.h"
#include "guard/relation.h"

struct guard;

/* By which clients are known: the hashes of a hint mean something only together with it. */
struct guard_hint_root {
	struct siphash_key key;
	uint8_t numbers[POLICY_SERVERS]; /* of the servers, by place: a permutation */
};

struct guard_hint {
	uint64_t relation, endpoint; /* keyed hashes, never 0 */
	uint64_t highest, seen;      /* accepted Partial IV, and those below it: seqtrack.h */
	uint64_t idle;               /* ns since it was heard of */
	struct addr address;         /* where; without its scope */
	uint8_t server;              /* its place */
	uint8_t kid_len, kid[RELATION_KID];
	bool trusted; /* when it was written */
};

void guard_hint_root(const struct guard *g, struct guard_hint_root *out);
/* Before anything was received, and before the first guard_hint_take. False: its numbers are no permutation; nothing happened. */
bool guard_hint_adopt(struct guard *g, const struct guard_hint_root *root);
/* Iterates: start with *place = 0; false at the end. What is older than the lifetime is left out. */
bool guard_hint_next(const struct guard *g, uint32_t *place, struct guard_hint *out, tstamp now);
/* False: too old, of no server, or impossible. */
bool guard_hint_take(struct guard *g, const struct guard_hint *h, tstamp now);
/* Another number than before: guard_hint_next would tell something else. */
uint64_t guard_hint_changes(const struct guard *g);
#endif

/*
 * reputation: the table of relations. A record comes into being when the device accepts a request, and only then (I1,
 * I2). Index included: buckets of 8, the stalest of a bucket makes room.
 */
#ifndef REPUTATION_H
#define REPUTATION_H
#include "guard/relation.h"
#include "guard/standing.h"
#include <stddef.h>

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
uint64_t reputation_key(struct reputation *r, const struct relation *rel); /* of a record in r */
void reputation_remove(struct reputation *r, struct relation *rel);
/* The i-th place: NULL when free. i below reputation_capacity. */
struct relation *reputation_at(struct reputation *r, uint32_t i);
#endif

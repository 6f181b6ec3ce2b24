/*
 * relation: one (server, kid, kid context) at the endpoint where the device last accepted it. 80 bytes; the table of
 * them is reputation.h.
 */
#ifndef RELATION_H
#define RELATION_H
#include "base/bucket.h"
#include <stdbool.h>
#include <stdint.h>

#define RELATION_KID 6

struct relation {
	uint64_t endpoint, old_endpoint; /* keyed hashes */
	uint64_t history;                /* one bit per settled request, 1: accepted; youngest lowest */
	struct bucket bucket;
	uint8_t ip[16];
	uint32_t seen_s, doubted_until_s, roam_until_s; /* seconds of the guard's clock */
	uint16_t port;
	uint8_t server, standing;
	uint8_t history_len;
	uint8_t kid_len; /* true length; kid holds at most the first RELATION_KID bytes */
	uint8_t kid[RELATION_KID];
};

void relation_seen(struct relation *rel, tstamp now);
void relation_book(struct relation *rel, bool accepted); /* one settled request */
/* Read from disk, and the device has accepted nothing of it since: a hint, which may help and never harm. */
static inline bool relation_is_hint(const struct relation *rel)
{
	return rel->history_len == 0;
}
unsigned relation_accepted(const struct relation *rel); /* of the last 64 settled ones */
unsigned relation_success(const struct relation *rel);  /* percent; 100 while nothing was settled */
bool relation_doubted(const struct relation *rel, tstamp now);
void relation_doubt(struct relation *rel, uint64_t period, tstamp now);
#endif

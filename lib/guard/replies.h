/*
 * replies: how many refusals, challenges and pings a /64 (IPv4: /24) may be sent. Over its rate one in `slip` still goes
 * out, half as many again at most over all prefixes: a spoofer can't silence a prefix for sure.
 */
#ifndef REPLIES_H
#define REPLIES_H
#include "guard/ratelimit.h"

struct replies {
	struct ratelimit *sketch;
	struct rate rate;
	uint32_t slip; /* 0: none slips through */
	struct bucket slipped;
	uint64_t turn, suppressed;
};

bool replies_init(struct replies *r, uint32_t cells, struct rate rate, uint32_t slip, const struct siphash_key *key);
void replies_free(struct replies *r);
size_t replies_memory(uint32_t cells);
void replies_retune(struct replies *r, struct rate rate, uint32_t slip);
bool replies_allow(struct replies *r, const struct addr *client, tstamp now); /* charged when true */
#endif

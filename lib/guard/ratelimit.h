/*
 * ratelimit: how much came from, or went to, each prefix, in a sketch of fixed size. Two rows of leaky buckets,
 * the smaller one counts (count-min), so a flood from many sources costs no memory and can at worst make strangers
 * share a bucket. Prefix levels: IPv6 /128 /64 /48 /32, IPv4 /32 /24 /16; a wider prefix may use a multiple.
 */
#ifndef RATELIMIT_H
#define RATELIMIT_H
#include "base/addr.h"
#include "base/bucket.h"
#include "base/siphash.h"

struct ratelimit;

struct ratelimit_level {
	uint8_t bits_v6, bits_v4; /* prefix length in the address's own family; bits_v4 0xff: level not used for IPv4 */
	uint32_t multiplier;      /* of the rate and the burst */
};

#define RATELIMIT_LEVELS 4

struct ratelimit_config {
	uint32_t cells; /* rounded up to a power of two, both rows together */
	struct rate rate;
	uint32_t burst;
	uint32_t n_levels;
	struct ratelimit_level levels[RATELIMIT_LEVELS];
};

struct ratelimit *ratelimit_create(const struct ratelimit_config *cfg,
				   const struct siphash_key *key); /* NULL: no memory */
void ratelimit_free(struct ratelimit *r);
void ratelimit_retune(struct ratelimit *r, struct rate rate, uint32_t burst); /* on reload; counts are kept */

/*
 * Charges `price` to every level when all of them can bear it. Returns 0, or the 1-based level that refused (then
 * nothing was charged).
 */
unsigned ratelimit_charge(struct ratelimit *r, const struct addr *src, uint32_t price, tstamp now);
/* Looks without charging: permille of the burst used up at the fullest level, 1000: refused. */
unsigned ratelimit_load(const struct ratelimit *r, const struct addr *src, tstamp now);
/* Nanoseconds until one unit would pass. */
uint64_t ratelimit_wait(const struct ratelimit *r, const struct addr *src, tstamp now);
size_t ratelimit_memory(const struct ratelimit_config *cfg); /* bytes */
#endif

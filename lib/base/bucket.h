/*
 * bucket: a token bucket in eight bytes (the generic cell rate algorithm): `tat` is the time at which the
 * bucket will be full again. Exact, no carry, no timer.
 */
#ifndef BUCKET_H
#define BUCKET_H
#include "base/tstamp.h"

struct rate {
	uint64_t count;  /* units */
	uint64_t period; /* per so many nanoseconds; count 0: nothing ever passes */
};

struct bucket {
	tstamp tat;
};

/*
 * Nanoseconds in which `units` flow at rate r; saturates. A unit is rounded up to a whole nanosecond and everything is
 * a multiple of it: so durations add up exactly, a full bucket holds exactly its burst however it is taken, and no
 * window ever passes more than the rate says.
 */
static inline uint64_t rate_duration(struct rate r, uint64_t units)
{
	uint64_t ns;

	if (r.count == 0)
		return units ? UINT64_MAX : 0;
	if (__builtin_mul_overflow(units, r.period / r.count + (r.period % r.count != 0), &ns))
		return UINT64_MAX;
	return ns;
}

/* Takes `cost` units when the bucket of depth `burst` holds them; false: nothing was taken. */
bool bucket_take(struct bucket *b, struct rate r, uint64_t burst, uint64_t cost, tstamp now);
/* Nanoseconds until bucket_take would succeed; 0: now; TSTAMP_NEVER: cost exceeds burst or rate is 0. */
uint64_t bucket_wait(const struct bucket *b, struct rate r, uint64_t burst, uint64_t cost, tstamp now);
/* Gives back what was taken. */
void bucket_refund(struct bucket *b, struct rate r, uint64_t cost);
/* How much of the burst is there, in permille. */
unsigned bucket_fill(const struct bucket *b, struct rate r, uint64_t burst, tstamp now);
#endif

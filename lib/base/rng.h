/* rng: a source of randomness. The daemon's is the operating system's, a test's is a seed. */
#ifndef RNG_H
#define RNG_H
#include <stddef.h>
#include <stdint.h>

struct rng {
	void (*fill)(struct rng *rng, void *out, size_t len); /* cannot fail: who can't draw, aborts */
};

static inline uint64_t rng_u64(struct rng *rng)
{
	uint64_t value;

	rng->fill(rng, &value, sizeof value);
	return value;
}
#endif

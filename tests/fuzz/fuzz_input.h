/*
 * fuzz_input: what a fuzz target decides by: the bytes of its input, and when they end, so many more of a seeded
 * generator. So a short file is a long story, and each byte of it can be mutated.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H
#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
	const uint8_t *at, *end;
	uint64_t seed;
	uint32_t more; /* bytes that may still come from the seed */
};

/* SplitMix64. */
static inline uint64_t fuzz_random(uint64_t *seed)
{
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline int fuzz_ended(const struct fuzz_input *in)
{
	return in->at == in->end && in->more == 0;
}

/* 0 at the end. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (in->at < in->end)
		return *in->at++;
	if (in->more == 0)
		return 0;
	in->more--;
	return (uint8_t)(fuzz_random(&in->seed) >> 24);
}

static inline unsigned fuzz_below(struct fuzz_input *in, unsigned n)
{
	return fuzz_byte(in) % n;
}

/* One in `n`. */
static inline int fuzz_chance(struct fuzz_input *in, unsigned n)
{
	return fuzz_below(in, n) == n - 1; /* not 0: an input that has ended decides for what is usual */
}
#endif

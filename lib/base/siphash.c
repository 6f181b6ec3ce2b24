/* Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012: two rounds a word, four at the end.
 */
#include "base/siphash.h"

static inline uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

/* Little-endian whatever the machine; compilers make one load of it. */
static inline uint64_t load(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

struct siphash_key siphash_key_from(const uint8_t bytes[16])
{
	return (struct siphash_key){ load(bytes), load(bytes + 8) };
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	struct state s = { key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
			   key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573 };
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;
	size_t whole = len & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		absorb(&s, load(p + i));
	for (size_t i = whole; i < len; i++)
		last |= (uint64_t)p[i] << 8 * (i - whole);
	absorb(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

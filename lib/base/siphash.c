/* Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012: two rounds a word, four at the end.
 */
#include "base/siphash.h"
#include <endian.h>
#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline uint64_t load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return le64toh(word);
}

/* The n < 8 bytes that fill no word. Where callers pack 4 and 2 bytes they are read as 4 and 2: what
 * was written just now is forwarded. */
static inline uint64_t load_rest(const uint8_t *p, size_t n)
{
	uint64_t word = n & 1 ? p[n - 1] : 0;
	uint32_t four;
	uint16_t two;

	if (n & 2) {
		memcpy(&two, p + (n & 4), sizeof two);
		word = word << 16 | le16toh(two);
	}
	if (n & 4) {
		memcpy(&four, p, sizeof four);
		word = word << 32 | le32toh(four);
	}
	return word;
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

static inline void absorb(struct state *s, uint64_t word, unsigned rounds)
{
	s->v3 ^= word;
	for (unsigned i = 0; i < rounds; i++)
		sip_round(s);
	s->v0 ^= word;
}

static inline struct state begin(const struct siphash_key *key)
{
	return (struct state){ key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d, key->k0 ^ 0x6c7967656e657261,
			       key->k1 ^ 0x7465646279746573 };
}

static inline uint64_t end(struct state *s, unsigned rounds)
{
	s->v2 ^= 0xff;
	for (unsigned i = 0; i < rounds; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct siphash_key siphash_key_from(const uint8_t bytes[16])
{
	return (struct siphash_key){ load(bytes), load(bytes + 8) };
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	struct state s = begin(key);
	const uint8_t *p = data;
	size_t whole = len & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		absorb(&s, load(p + i), 2);
	absorb(&s, (uint64_t)len << 56 | load_rest(p + whole, len & 7), 2);
	return end(&s, 4);
}

uint64_t siphash_brief(const struct siphash_key *key, uint64_t a, uint64_t b, uint64_t c)
{
	struct state s = begin(key);

	absorb(&s, a, 1);
	absorb(&s, b, 1);
	absorb(&s, c, 1);
	return end(&s, 3);
}

/* siphash: SipHash-2-4, the keyed 64-bit hash of every stateless proof and, in a brief form, of every table. */
#ifndef SIPHASH_H
#define SIPHASH_H
#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

struct siphash_key siphash_key_from(const uint8_t bytes[16]); /* little-endian, as in the paper */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);
/*
 * SipHash-1-3 of three words, at half the price: for tables and sketches, where nobody sees a hash and
 * all a key has to prevent is that somebody aims. No block with the length: it never differs.
 */
uint64_t siphash_brief(const struct siphash_key *key, uint64_t a, uint64_t b, uint64_t c);
#endif

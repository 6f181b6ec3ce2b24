#include "base/siphash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

/*
 * The 64 values of the authors' reference code: key 00 01 .. 0f, message 00 01 .. of length 0
 * to 63. The sixteenth is the one printed in the paper (appendix A).
 */
static const uint64_t vectors[64] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7,
	0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
	0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7, 0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
	0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8, 0xb8ad50c6f649af94,
	0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
	0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238,
	0x15e034d40fa197ae, 0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
	0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb, 0xe612a3cb9ecba951, 0xc766e62cfcadaf96,
	0xee64435a9752fe72, 0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea,
	0x245731c13ca42499, 0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

static void matches_the_vectors(void **state)
{
	uint8_t bytes[64];
	struct siphash_key key;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	key = siphash_key_from(bytes);
	assert_true(key.k0 == 0x0706050403020100 && key.k1 == 0x0f0e0d0c0b0a0908);
	assert_true(siphash(&key, bytes, 15) == 0xa129ca6149be45e5);
	for (unsigned len = 0; len < 64; len++)
		assert_true(siphash(&key, bytes, len) == vectors[len]);
}

static void reads_from_any_place(void **state)
{
	const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

	(void)state;
	for (unsigned shift = 0; shift < 8; shift++)
		for (unsigned len = 0; len < 64; len++) {
			uint8_t room[72];

			memset(room, 0xee, sizeof room);
			for (unsigned i = 0; i < len; i++)
				room[shift + i] = (uint8_t)i;
			assert_true(siphash(&key, room + shift, len) == vectors[len]);
		}
}

/* SipHash-1-3 of 00 01 .. with 16 to 23 bytes, of which the last word bears the length. */
static const uint64_t brief_vectors[8] = {
	0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
	0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123,
};

static void brief_matches_siphash_1_3(void **state)
{
	const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

	(void)state;
	for (unsigned len = 16; len < 24; len++) {
		uint64_t last = (uint64_t)len << 56;

		for (unsigned i = 16; i < len; i++)
			last |= (uint64_t)i << 8 * (i - 16);
		assert_true(siphash_brief(&key, 0x0706050403020100, 0x0f0e0d0c0b0a0908, last) ==
			    brief_vectors[len - 16]);
	}
}

/* Every bit of the key counts, and so does the length of an all-zero message. */
static void depends_on_key_and_length(void **state)
{
	static const uint8_t zero[64];
	uint64_t seen[128 + 64];
	unsigned n = 0;

	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		uint8_t bytes[16] = { 0 };
		struct siphash_key key;

		bytes[bit / 8] = (uint8_t)(1u << bit % 8);
		key = siphash_key_from(bytes);
		seen[n++] = siphash(&key, zero, 8);
	}
	for (unsigned len = 0; len < 64; len++) {
		const struct siphash_key key = { 0, 0 };

		seen[n++] = siphash(&key, zero, len);
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_the_vectors),
		cmocka_unit_test(reads_from_any_place),
		cmocka_unit_test(brief_matches_siphash_1_3),
		cmocka_unit_test(depends_on_key_and_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "entropy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void fill(struct entropy *e, void *out, size_t len)
{
	e->rng.fill(&e->rng, out, len);
}

static void test_every_byte_is_drawn(void **state)
{
	struct entropy e;
	uint8_t seen[3 * ENTROPY_BLOCK], any[64] = { 0 };
	static const size_t sizes[] = {
		1, 7, 64, 0, ENTROPY_BLOCK - 1, ENTROPY_BLOCK, ENTROPY_BLOCK + 1, 2 * ENTROPY_BLOCK
	};

	(void)state;
	entropy_init(&e);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t zeros = 0;

		memset(seen, 0, sizeof seen);
		fill(&e, seen, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			zeros += seen[k] == 0;
		/* 1 in 256 is expected; what was not written would be all of it. */
		if (sizes[i] >= 64)
			assert_true(zeros < sizes[i] / 8);
		for (size_t k = sizes[i]; k < sizeof seen; k++)
			assert_int_equal(seen[k], 0);
	}
	for (unsigned i = 0; i < 64; i++) {
		uint8_t draw[64];

		fill(&e, draw, sizeof draw);
		for (size_t k = 0; k < sizeof draw; k++)
			any[k] |= draw[k];
	}
	for (size_t k = 0; k < sizeof any; k++)
		assert_int_not_equal(any[k], 0);
}

static void test_nothing_comes_twice(void **state)
{
	struct entropy e;
	uint64_t drawn[2048];

	(void)state;
	entropy_init(&e);
	for (unsigned i = 0; i < 2048; i++) {
		drawn[i] = rng_u64(&e.rng);
		for (unsigned k = 0; k < i; k++)
			assert_true(drawn[k] != drawn[i]);
	}
}

static void test_what_was_given_is_wiped(void **state)
{
	static const uint8_t zeros[ENTROPY_BLOCK];
	struct entropy e;
	uint8_t out[100];

	(void)state;
	entropy_init(&e);
	fill(&e, out, sizeof out);
	assert_int_equal(e.left, ENTROPY_BLOCK - sizeof out);
	assert_memory_equal(e.block, zeros, sizeof out);
	assert_memory_not_equal(e.block + sizeof out, zeros, e.left);
	entropy_wipe(&e);
	assert_int_equal(e.left, 0);
	assert_memory_equal(e.block, zeros, sizeof zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_is_drawn),
		cmocka_unit_test(test_nothing_comes_twice),
		cmocka_unit_test(test_what_was_given_is_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

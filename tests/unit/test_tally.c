#include "guard/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Few cells and keys that mostly collide: runs, wraps and holes all come up. */
static void test_against_model(void **state)
{
	struct tally t;
	uint32_t model[16] = { 0 }, keys = 0;
	uint64_t seed = 3;

	(void)state;
	assert_int_equal(tally_init(&t, 8), 0);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t k = next_random(&seed) % 16, probe = next_random(&seed) % 16;

		if (next_random(&seed) % 2 && (model[k] || keys < 8)) {
			keys += model[k]++ == 0;
			tally_add(&t, k % 4 * 5 + (k << 32));
		} else if (model[k]) {
			keys -= --model[k] == 0;
			tally_sub(&t, k % 4 * 5 + (k << 32));
		}
		assert_int_equal(tally_count(&t, probe % 4 * 5 + (probe << 32)), model[probe]);
	}
	tally_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

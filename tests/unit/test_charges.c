#include "guard/charges.h"

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

/* The charge of an accepted client goes; what others were charged before and after stays. */
static void test_refund(void **state)
{
	static const struct {
		const char *charges, *refunds;
		unsigned last; /* which charge is remembered, counted from 1; 0: none */
	} rows[] = {
		{ "a", "a", 0 },   { "a", "b", 1 },   { "ab", "b", 1 },  { "ab", "a", 2 },
		{ "ab", "ab", 0 }, { "ab", "ba", 0 }, { "aa", "a", 1 },  { "aa", "aa", 0 },
		{ "abc", "c", 2 }, { "abc", "b", 3 }, { "abc", "a", 3 }, { "aab", "ab", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct charges c;
		tstamp now = TSTAMP_HOUR;
		uint64_t expected;

		assert_int_equal(charges_init(&c, 64, TSTAMP_DAY), 0);
		for (const char *p = rows[i].charges; *p; p++)
			charges_add(&c, 77, (uint16_t)*p, now += TSTAMP_S);
		for (const char *p = rows[i].refunds; *p; p++)
			charges_refund(&c, 77, (uint16_t)*p);
		/* Compare with another prefix that was charged just then. */
		charges_add(&c, 78, 1, TSTAMP_HOUR + rows[i].last * TSTAMP_S);
		expected = rows[i].last ? charges_at(&c, 78, now) : 0;
		if (charges_at(&c, 77, now) != expected)
			fail_msg("%s - %s", rows[i].charges, rows[i].refunds);
		charges_free(&c);
	}
}

/* One shelf of eight: always the eight charged last are known. */
static void test_stalest_makes_room(void **state)
{
	struct charges c;
	tstamp charged[20] = { 0 }, now = TSTAMP_HOUR;
	uint64_t seed = 4;

	(void)state;
	assert_int_equal(charges_init(&c, 8, TSTAMP_HOUR), 0);
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t p = next_random(&seed) % 20;

		now += CHARGES_UNIT * (1 + next_random(&seed) % (i % 100 ? 100 : 1000000));
		charges_add(&c, (p + 1) << 32, 1, now);
		charged[p] = now;
		for (unsigned k = 0; k < 20; k++) {
			unsigned younger = 0;
			bool known;

			for (unsigned j = 0; j < 20; j++)
				younger += charged[j] > charged[k];
			known = charged[k] && younger < 8 && now - charged[k] <= TSTAMP_HOUR;
			assert_int_equal(charges_at(&c, (k + UINT64_C(1)) << 32, now) > 0, known);
		}
	}
	charges_free(&c);
}

/* The clock of the table turns over: order and ages hold across. */
static void test_clock_turns_over(void **state)
{
	tstamp turn = (UINT64_C(1) << 32) * CHARGES_UNIT;
	struct charges c;

	(void)state;
	assert_int_equal(charges_init(&c, 8, TSTAMP_DAY), 0);
	charges_add(&c, 1, 1, turn - TSTAMP_HOUR);
	charges_add(&c, UINT64_C(2) << 32, 1, turn);
	charges_add(&c, UINT64_C(3) << 32, 1, turn + TSTAMP_HOUR);
	assert_true(charges_at(&c, 1, turn + TSTAMP_HOUR) > 0);
	assert_true(charges_at(&c, 1, turn + TSTAMP_HOUR) < charges_at(&c, UINT64_C(2) << 32, turn + TSTAMP_HOUR));
	assert_true(charges_at(&c, UINT64_C(2) << 32, turn + TSTAMP_HOUR) <
		    charges_at(&c, UINT64_C(3) << 32, turn + TSTAMP_HOUR));
	assert_int_equal(charges_at(&c, 1, turn + TSTAMP_DAY), 0);
	assert_true(charges_at(&c, UINT64_C(3) << 32, turn + TSTAMP_DAY) > 0);
	turn += TSTAMP_HOUR + TSTAMP_DAY; /* the last moment of the third's memory */
	assert_true(charges_at(&c, UINT64_C(3) << 32, turn) > 0);
	assert_int_equal(charges_at(&c, UINT64_C(3) << 32, turn + CHARGES_UNIT), 0);
	charges_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refund),
		cmocka_unit_test(test_stalest_makes_room),
		cmocka_unit_test(test_clock_turns_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

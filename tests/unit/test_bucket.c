#include "base/bucket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MS TSTAMP_MS
#define S  TSTAMP_S

static uint64_t seed = 4;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static const struct {
	struct rate rate;
	uint64_t units, ns;
} durations[] = {
	{ { 1250, S }, 1152, 921600000 }, /* 10 kbit/s */
	{ { 6, TSTAMP_MIN }, 1, 10 * S },
	{ { 600, TSTAMP_DAY }, 36, 5184 * S },
	{ { 3, S }, 1, 333333334 }, /* rounded up, so that never too much passes */
	{ { 3, S }, 3, 1000000002 },
	{ { 1, S }, 0, 0 },
	{ { 5000000000, S }, 7, 7 }, /* no faster than a unit per nanosecond */
	{ { 1, 0 }, 7, 0 },
	{ { 0, S }, 1, UINT64_MAX },
	{ { 0, S }, 0, 0 },
	{ { 1, S }, UINT64_MAX, UINT64_MAX },
	{ { 1, UINT64_MAX }, 1, UINT64_MAX },
	{ { 1, UINT64_MAX }, UINT64_MAX, UINT64_MAX },
	{ { 1, 2 }, UINT64_MAX / 2, UINT64_MAX - 1 },
};

static void units_take_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		assert_true(rate_duration(durations[i].rate, durations[i].units) == durations[i].ns);
}

/* One bucket of 10 units a second and depth 5, row after row. */
static const struct {
	tstamp now;
	uint64_t cost, wait;
	unsigned fill; /* before */
} rows[] = {
	{ 0, 1, 0, 1000 },
	{ 0, 4, 0, 800 },
	{ 0, 1, 100 * MS, 0 },
	{ 0, 5, 500 * MS, 0 },
	{ 0, 6, TSTAMP_NEVER, 0 },
	{ 0, 0, 0, 0 },
	{ 100 * MS - 1, 1, 1, 199 },
	{ 100 * MS, 1, 0, 200 },
	{ 100 * MS, 1, 100 * MS, 0 },
	{ 350 * MS, 3, 50 * MS, 500 },
	{ 350 * MS, 2, 0, 500 },
	{ 10 * S, 5, 0, 1000 }, /* never fuller than full */
	{ 10 * S, 1, 100 * MS, 0 },
	{ 9 * S, 1, 1100 * MS, 0 }, /* a clock that steps back gives nothing away */
};

static void takes_waits_and_fills(void **state)
{
	const struct rate r = { 10, S };
	struct bucket b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bucket before = b;

		assert_int_equal(bucket_fill(&b, r, 5, rows[i].now), rows[i].fill);
		assert_true(bucket_wait(&b, r, 5, rows[i].cost, rows[i].now) == rows[i].wait);
		assert_true(bucket_take(&b, r, 5, rows[i].cost, rows[i].now) == (rows[i].wait == 0));
		if (rows[i].wait)
			assert_true(b.tat == before.tat);
	}
}

static void gives_back(void **state)
{
	const struct rate r = { 10, S };
	struct bucket b = { 0 };

	(void)state;
	assert_true(bucket_take(&b, r, 5, 5, S));
	bucket_refund(&b, r, 2);
	assert_int_equal(bucket_fill(&b, r, 5, S), 400);
	assert_false(bucket_take(&b, r, 5, 3, S));
	assert_true(bucket_take(&b, r, 5, 2, S));
	bucket_refund(&b, r, UINT64_MAX);
	assert_int_equal(bucket_fill(&b, r, 5, S), 1000);
	assert_true(bucket_take(&b, r, 5, 5, S));
	assert_false(bucket_take(&b, r, 5, 1, S));
}

static void bears_the_extremes(void **state)
{
	const struct rate none = { 0, S }, slow = { 1, UINT64_MAX }, free_of_charge = { 1, 0 };
	struct bucket b = { 0 };

	(void)state;
	assert_false(bucket_take(&b, none, 5, 0, S));
	assert_false(bucket_take(&b, none, 5, 1, S));
	assert_true(bucket_wait(&b, none, 5, 1, S) == TSTAMP_NEVER);
	assert_int_equal(bucket_fill(&b, none, 5, S), 0);
	assert_int_equal(bucket_fill(&b, slow, 0, S), 0);
	for (int i = 0; i < 1000; i++)
		assert_true(bucket_take(&b, free_of_charge, 5, 5, S));
	assert_int_equal(bucket_fill(&b, free_of_charge, 5, S), 1000);
	assert_true(bucket_take(&b, slow, 3, 3, S));
	assert_true(b.tat == TSTAMP_NEVER);
	assert_false(bucket_take(&b, slow, 3, 1, TSTAMP_DAY));
	b.tat = 0;
	assert_true(bucket_take(&b, (struct rate){ 1, S }, UINT64_MAX, UINT64_MAX, TSTAMP_NEVER - 1));
	assert_true(b.tat == TSTAMP_NEVER);
	b.tat = UINT64_MAX / 4;
	assert_int_equal(bucket_fill(&b, slow, 1, 0), 749);
	assert_int_equal(bucket_fill(&b, slow, 1, UINT64_MAX / 4), 999);
}

/* A bucket seen the other way round: nanoseconds of credit that grow by themselves and are spent.
 */
static void agrees_with_a_naive_bucket(void **state)
{
	(void)state;
	for (int run = 0; run < 200; run++) {
		const uint64_t unit = 1 + draw(1000), burst = 1 + draw(40);
		const struct rate r = { S, unit * S };
		uint64_t credit = burst * unit;
		struct bucket b = { 0 };
		tstamp now = draw(1000000);

		for (int step = 0; step < 500; step++) {
			uint64_t cost = draw((uint32_t)burst + 2), dt = draw(3) ? draw(3000) : 0;
			bool fits;

			now += dt;
			credit = credit + dt < burst * unit ? credit + dt : burst * unit;
			fits = cost <= burst && cost * unit <= credit;
			assert_int_equal(bucket_fill(&b, r, burst, now), credit * 1000 / (burst * unit));
			assert_true(bucket_take(&b, r, burst, cost, now) == fits);
			credit -= fits ? cost * unit : 0;
			if (fits && draw(8) == 0) {
				bucket_refund(&b, r, cost);
				credit += cost * unit;
			}
		}
	}
}

/* Policy's I4: in every window, what passed is at most the burst and what flowed in meanwhile, to
 * the unit. */
static void no_window_passes_more(void **state)
{
	enum { TAKES = 120 };

	(void)state;
	for (int run = 0; run < 100; run++) {
		const struct rate r = { 1 + draw(5000), 1 + draw(1000000) };
		const uint64_t burst = 1 + draw(2000);
		tstamp when[TAKES], now = draw(1000);
		uint64_t cost[TAKES];
		struct bucket b = { 0 };

		for (int i = 0; i < TAKES; i++) {
			uint64_t wait;

			cost[i] = 1 + draw((uint32_t)burst);
			wait = bucket_wait(&b, r, burst, cost[i], now);
			if (wait > 0)
				assert_false(bucket_take(&b, r, burst, cost[i], now + wait - 1));
			now += wait + (draw(4) ? 0 : draw(5000));
			when[i] = now;
			assert_true(bucket_take(&b, r, burst, cost[i], now));
		}
		for (int i = 0; i < TAKES; i++) {
			uint64_t sum = 0;

			for (int j = i; j < TAKES; j++) {
				sum += cost[j];
				assert_true(sum * r.period <= burst * r.period + (when[j] - when[i]) * r.count);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_take_time),
		cmocka_unit_test(takes_waits_and_fills),
		cmocka_unit_test(gives_back),
		cmocka_unit_test(bears_the_extremes),
		cmocka_unit_test(agrees_with_a_naive_bucket),
		cmocka_unit_test(no_window_passes_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* peers: where the holders of contexts live, and their buckets. */
#include "guard/peers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 7;

/* SplitMix64. */
static uint64_t draw(void)
{
	uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct history {
	uint64_t seen[20000];
	unsigned n;
};

/* The last one, or the last one that was another. */
static bool lives_there(const struct history *h, uint64_t endpoint)
{
	unsigned n = h->n;

	while (n > 0 && h->seen[n - 1] == h->seen[h->n - 1])
		n--;
	return h->n > 0 && (endpoint == h->seen[h->n - 1] || (n > 0 && endpoint == h->seen[n - 1]));
}

static void test_homes(void **state)
{
	static struct peers p;
	static struct history naive[POLICY_PEERS];
	unsigned homes = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t place = (uint32_t)(draw() % 3 * 31); /* the first, one in between, and one near the end */
		uint64_t endpoint = 1 + draw() % 5, asked = 1 + draw() % 6;

		if (draw() % 200 == 0) {
			peers_forget(&p, place);
			naive[place].n = 0;
		}
		assert_int_equal(peers_is_home(&p, place, asked), lives_there(&naive[place], asked));
		peers_seen(&p, place, endpoint);
		naive[place].seen[naive[place].n++] = endpoint;
		homes += lives_there(&naive[place], asked);
		assert_int_equal(peers_is_home(&p, place, asked), lives_there(&naive[place], asked));
		assert_false(peers_is_home(&p, place + 1, asked));
	}
	assert_true(homes > 5000);
}

/* A thousand at once, then one a millisecond; each place by itself. */
static void test_tries(void **state)
{
	static struct peers p;
	tstamp now = TSTAMP_HOUR;

	(void)state;
	for (unsigned i = 0; i < PEERS_TRIES_MAX; i++) {
		assert_true(peers_may_try(&p, 3, now));
		assert_true(peers_may_try(&p, 3, now)); /* asking takes nothing */
		peers_failed(&p, 3, now);
	}
	assert_false(peers_may_try(&p, 3, now));
	assert_true(peers_may_try(&p, 2, now));
	peers_failed(&p, 3, now); /* no debt */
	assert_false(peers_may_try(&p, 3, now + TSTAMP_MS - 1));
	for (unsigned i = 1; i <= 100; i++) {
		now += TSTAMP_MS;
		assert_true(peers_may_try(&p, 3, now));
		peers_failed(&p, 3, now);
		assert_false(peers_may_try(&p, 3, now));
	}
	peers_forget(&p, 3);
	assert_true(peers_may_try(&p, 3, now));
}

static void test_echoes(void **state)
{
	static struct peers p;
	tstamp now = TSTAMP_HOUR;
	unsigned n = 0;

	(void)state;
	while (peers_may_echo(&p, 0, now))
		n++;
	assert_int_equal(n, PEERS_ECHOES_MAX);
	assert_true(peers_may_echo(&p, 1, now));
	for (unsigned i = 0; i < 10000; i++, now += TSTAMP_MS)
		n += peers_may_echo(&p, 0, now);
	assert_in_range(n, PEERS_ECHOES_MAX + 98, PEERS_ECHOES_MAX + 100);
}

/* Two seconds deep; whoever asks steadily gets what the rate says; each server by itself. */
static void test_spend(void **state)
{
	static const struct {
		struct rate rate;
		uint64_t cost;
		unsigned at_once;
		uint64_t wait; /* then */
	} rows[] = {
		{ { 10, TSTAMP_S }, 1, 20, TSTAMP_S / 10 },
		{ { 1, TSTAMP_S }, 1, 2, TSTAMP_S },
		{ { 1, TSTAMP_MIN }, 1, 2, TSTAMP_MIN },
		{ { 10, TSTAMP_S }, 4, 5, 4 * TSTAMP_S / 10 },
		{ { 10, TSTAMP_S }, 20, 1, 2 * TSTAMP_S },
		{ { 10, TSTAMP_S }, 36, 1, 2 * TSTAMP_S }, /* dearer than the bucket: all of it */
		{ { 1, TSTAMP_MIN }, 36, 1, 2 * TSTAMP_MIN },
		{ { 0, TSTAMP_S }, 1, 0, TSTAMP_NEVER },
	};
	static struct peers p;

	(void)state;
	for (uint8_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		tstamp now = TSTAMP_DAY;

		for (unsigned n = 0; n < rows[i].at_once; n++)
			assert_int_equal(peers_spend(&p, 63, i, rows[i].rate, rows[i].cost, now), 0);
		assert_int_equal(peers_spend(&p, 63, i, rows[i].rate, rows[i].cost, now), rows[i].wait);
		assert_int_equal(peers_spend(&p, 63, i, rows[i].rate, rows[i].cost, now), rows[i].wait);
		if (rows[i].wait != TSTAMP_NEVER)
			assert_int_equal(peers_spend(&p, 63, i, rows[i].rate, rows[i].cost, now + rows[i].wait), 0);
		if (rows[i].rate.count) { /* another server, and another peer */
			assert_int_equal(peers_spend(&p, 63, 60, rows[i].rate, 1, now + i * TSTAMP_DAY), 0);
			assert_int_equal(peers_spend(&p, 62, i, rows[i].rate, 1, now), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_homes),
		cmocka_unit_test(test_tries),
		cmocka_unit_test(test_echoes),
		cmocka_unit_test(test_spend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

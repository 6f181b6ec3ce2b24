/* replies: a prefix's share, and what slips through above it. */
#include "guard/replies.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

static const struct rate rate = { 20, TSTAMP_S };
static const struct siphash_key key = { 1, 2 };

static unsigned allowed(struct replies *r, const struct addr *a, unsigned tries, tstamp now)
{
	unsigned n = 0;

	while (tries--)
		n += replies_allow(r, a, now);
	return n;
}

static void test_share(void **state)
{
	struct addr a, b, neighbour;
	struct replies r;

	(void)state;
	assert_true(replies_init(&r, 4096, rate, 0, &key));
	addr_parse(&a, "[2001:db8:1::1]:5683", 0);
	addr_parse(&neighbour, "[2001:db8:1:0:ffff::1]:1", 0);
	addr_parse(&b, "[2001:db8:1:1::1]:5683", 0);
	assert_int_equal(allowed(&r, &a, 100, START), 20);
	assert_int_equal(allowed(&r, &neighbour, 100, START), 0); /* the same /64 */
	assert_int_equal(allowed(&r, &b, 100, START), 20);
	assert_in_range(r.suppressed, 260, 260);
	assert_in_range(allowed(&r, &a, 100, START + TSTAMP_S / 2), 9, 10);
	addr_parse(&a, "192.0.2.1:5683", 0);
	addr_parse(&b, "192.0.2.200:5683", 0);
	assert_int_equal(allowed(&r, &a, 100, START) + allowed(&r, &b, 100, START), 20); /* the same /24 */
	replies_free(&r);
}

/* One in two above the rate, but over all prefixes never more than half as many again: I3 bounds
 * the rest. */
static void test_slip(void **state)
{
	struct addr a;
	struct replies r;
	unsigned n = 0;

	(void)state;
	assert_true(replies_init(&r, 4096, rate, 2, &key));
	addr_parse(&a, "[2001:db8:1::1]:5683", 0);
	n = allowed(&r, &a, 30, START);
	assert_in_range(n, 24, 26);
	assert_in_range(allowed(&r, &a, 10000, START), 5, 20);
	n = 0;
	for (tstamp t = START + TSTAMP_MIN; t < START + 2 * TSTAMP_MIN; t += 10 * TSTAMP_MS)
		n += replies_allow(&r, &a, t);
	assert_in_range(n, 20 * 60, 2 * 20 * 60 + 40); /* 100/s ask, 20/s get, and no more than that again slips */
	replies_free(&r);
}

static void test_retune(void **state)
{
	struct addr a;
	struct replies r;

	(void)state;
	assert_true(replies_init(&r, 4096, rate, 0, &key));
	addr_parse(&a, "[2001:db8:1::1]:5683", 0);
	allowed(&r, &a, 100, START);
	replies_retune(&r, (struct rate){ 200, TSTAMP_S }, 0);
	assert_in_range(allowed(&r, &a, 1000, START + TSTAMP_MIN), 200, 200);
	assert_true(replies_memory(4096) >= 4096);
	replies_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_slip),
		cmocka_unit_test(test_retune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* budget: units for strangers: halves, lending, the day, refunds. */
#include "guard/budget.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START (10 * TSTAMP_DAY)

static const struct budget_config usual = { { 6, TSTAMP_MIN }, 600, 36 };

/* Of a small one. */
static bool take(struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now)
{
	return budget_take(b, c, k, budget_cost(c, k, 1), now);
}

static uint64_t wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now)
{
	return budget_wait(b, c, k, budget_cost(c, k, 1), now);
}

static unsigned take_all(struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now)
{
	unsigned n = 0;

	while (take(b, c, k, now)) {
		assert_true(++n < 100000);
	}
	assert_true(wait(b, c, k, now) > 0);
	return n;
}

static void test_cost(void **state)
{
	(void)state;
	assert_int_equal(budget_cost(&usual, BUDGET_REQUEST, 1), 1);
	assert_int_equal(budget_cost(&usual, BUDGET_HANDSHAKE, 1), 36);
	assert_int_equal(budget_cost(&usual, BUDGET_REQUEST, 20), 20);
	assert_int_equal(budget_cost(&usual, BUDGET_HANDSHAKE, 20), 36);
	assert_int_equal(budget_cost(&usual, BUDGET_HANDSHAKE, 80), 80);
}

/* A lone newcomer is never kept waiting; then requests flow at half of the rate while handshakes
 * use theirs. */
static void test_rate(void **state)
{
	struct budget b = { .used = 0 };
	unsigned first, later = 0;

	(void)state;
	assert_int_equal(wait(&b, &usual, BUDGET_REQUEST, START), 0);
	assert_int_equal(wait(&b, &usual, BUDGET_HANDSHAKE, START), 0);
	first = take_all(&b, &usual, BUDGET_REQUEST, START);
	assert_in_range(first, 6, 12); /* a minute's worth of one half; at most the other's, too */
	for (tstamp t = START; t < START + TSTAMP_HOUR; t += TSTAMP_S)
		later += take(&b, &usual, BUDGET_REQUEST, t);
	assert_in_range(later, 175, 361); /* between 3 and 6 a minute */
}

/* A flood of one kind leaves the other its half. */
static void test_halves(void **state)
{
	struct budget b = { .used = 0 };
	unsigned handshakes = 0, requests = 0;
	struct budget_config c = usual;

	(void)state;
	c.per_day = 1000000;
	for (tstamp t = START; t < START + 6 * TSTAMP_HOUR; t += TSTAMP_S) {
		while (take(&b, &c, BUDGET_HANDSHAKE, t))
			handshakes++;
		if ((t - START) % (20 * TSTAMP_S) == 0) /* 3 a minute */
			requests += take(&b, &c, BUDGET_REQUEST, t);
	}
	assert_int_equal(requests, 6 * 180);
	assert_in_range(handshakes, 25, 33); /* 3 units a minute are 30 in six hours */
}

static void test_day(void **state)
{
	struct budget_config c = { { 1000, TSTAMP_S }, 50, 36 };
	struct budget b = { .used = 0 };

	(void)state;
	assert_int_equal(budget_left(&b, &c, START), 50);
	assert_int_equal(take_all(&b, &c, BUDGET_REQUEST, START), 50);
	assert_int_equal(budget_left(&b, &c, START), 0);
	assert_true(wait(&b, &c, BUDGET_REQUEST, START + TSTAMP_HOUR) == TSTAMP_DAY - TSTAMP_HOUR);
	assert_false(take(&b, &c, BUDGET_REQUEST, START + TSTAMP_DAY - 1));
	assert_true(take(&b, &c, BUDGET_REQUEST, START + TSTAMP_DAY));
	assert_int_equal(budget_left(&b, &c, START + TSTAMP_DAY), 49);
}

static void test_refund(void **state)
{
	struct budget_config c = { { 1, TSTAMP_HOUR }, 50, 5 };
	struct budget b = { .used = 0 };
	unsigned n = take_all(&b, &c, BUDGET_REQUEST, START);

	(void)state;
	assert_true(n >= 1);
	budget_refund(&b, &c, BUDGET_REQUEST, 1);
	assert_int_equal(budget_left(&b, &c, START), 50 - n + 1);
	assert_true(take(&b, &c, BUDGET_REQUEST, START));
	assert_false(take(&b, &c, BUDGET_REQUEST, START));
	for (unsigned i = 0; i < 10; i++) /* never more than was there */
		budget_refund(&b, &c, BUDGET_REQUEST, 1);
	assert_int_equal(budget_left(&b, &c, START), 50);
}

/* While nothing may pass nothing is paid, and what is given back is what was: others' debts are there when the rate is back. */
static void test_refund_while_none_passes(void **state)
{
	struct budget_config c = usual;
	struct budget b = { .used = 0 };
	uint64_t due;

	(void)state;
	take_all(&b, &c, BUDGET_REQUEST, START);
	budget_owe(&b, &c, BUDGET_REQUEST, 20, START);
	due = wait(&b, &c, BUDGET_REQUEST, START);
	c.rate.count = 0;
	budget_refund(&b, &c, BUDGET_REQUEST, 1);
	c = usual;
	assert_true(wait(&b, &c, BUDGET_REQUEST, START) == due);
}

/* Another rate: what was owed before is as many units as it was, neither more nor less time than they take now. */
static void test_other_rate(void **state)
{
	static const struct {
		struct rate rate;
		uint64_t wait; /* for the next one, of 20 that are owed, and 6 or a minute's worth are in store */
	} rows[] = { { { 6, TSTAMP_MIN }, 21 * 20 * TSTAMP_S },
		     { { 60, TSTAMP_MIN }, 0 },
		     { { 12, TSTAMP_MIN }, 15 * 10 * TSTAMP_S },
		     { { 1, TSTAMP_MIN }, 26 * 120 * TSTAMP_S },
		     { { 0, TSTAMP_MIN }, TSTAMP_NEVER } };

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct budget_config c = usual;
		struct budget b = { .used = 0 };

		while (budget_borrow(&b, &c, BUDGET_REQUEST, 1, START))
			;
		budget_owe(&b, &c, BUDGET_REQUEST, 20, START);
		b.half[BUDGET_HANDSHAKE].tat = TSTAMP_NEVER; /* lends nothing */
		c.rate = rows[i].rate;
		budget_retune(&b, &usual, &c, START);
		assert_int_equal(wait(&b, &c, BUDGET_REQUEST, START), rows[i].wait);
		budget_retune(&b, &c, &usual, START);
		assert_int_equal(wait(&b, &usual, BUDGET_REQUEST, START), rows[0].wait);
	}
}

/* rate 0 or budget 0: nothing ever passes; a handshake that costs more than a day never does. */
static void test_none(void **state)
{
	static const struct budget_config none[] = { { { 0, TSTAMP_S }, 50, 36 }, { { 6, TSTAMP_S }, 0, 36 } };
	struct budget_config dear = { { 6, TSTAMP_S }, 30, 36 };
	struct budget b = { .used = 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_false(take(&b, &none[i], BUDGET_REQUEST, START));
		assert_true(wait(&b, &none[i], BUDGET_REQUEST, START) > 0);
	}
	assert_false(take(&b, &dear, BUDGET_HANDSHAKE, START));
	assert_true(wait(&b, &dear, BUDGET_HANDSHAKE, START) == TSTAMP_NEVER);
}

/* wait and take never disagree, and no window of an hour passes more than rate, depth and day
 * allow. */
static void test_wait_is_true(void **state)
{
	static const struct budget_config c = { { 60, TSTAMP_MIN }, 2000, 20 };
	struct budget b = { .used = 0 };
	uint64_t x = 1, units = 0;
	tstamp now = START;

	(void)state;
	while (now < START + TSTAMP_HOUR) {
		enum budget_kind k = (x = x * 6364136223846793005u + 1) >> 62 ? BUDGET_REQUEST : BUDGET_HANDSHAKE;
		uint64_t due = wait(&b, &c, k, now);
		bool took = take(&b, &c, k, now);

		assert_int_equal(took, due == 0);
		units += took ? budget_cost(&c, k, 1) : 0;
		if (due && due < TSTAMP_HOUR && (x >> 40 & 3) == 0) {
			now += due;
			assert_int_equal(wait(&b, &c, k, now), 0);
		} else {
			now += (x >> 33) % TSTAMP_S;
		}
		assert_true(units <= 2000);
		assert_true(units <= 120 + (now - START) / TSTAMP_S + 20);
	}
	assert_int_equal(budget_left(&b, &c, now), 2000 - units);
}

/*
 * Each takes what it costs. What costs more than a minute's worth passes when its half is full, is paid in time, and never waits for
 * ever; what costs more than a day never passes.
 */
static void test_dear(void **state)
{
	static const struct {
		uint32_t cost;
		bool passes;
	} rows[] = {
		{ 1, true },  { 5, true },  { 6, true },   { 20, true },
		{ 36, true }, { 80, true }, { 600, true }, { 601, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct budget b = { .half[BUDGET_HANDSHAKE].tat = START + TSTAMP_DAY }; /* lends nothing */
		uint32_t cost = rows[i].cost;

		assert_int_equal(budget_wait(&b, &usual, BUDGET_REQUEST, cost, START) == 0, rows[i].passes);
		assert_int_equal(budget_take(&b, &usual, BUDGET_REQUEST, cost, START), rows[i].passes);
		assert_int_equal(budget_left(&b, &usual, START), 600 - (rows[i].passes ? cost : 0));
		if (!rows[i].passes) {
			assert_true(budget_wait(&b, &usual, BUDGET_REQUEST, cost, START) == TSTAMP_NEVER);
			continue;
		}
		if (cost < 600)
			assert_true(wait(&b, &usual, BUDGET_REQUEST, START) ==
				    (cost < 6 ? 0 : (cost - 5) * 20 * TSTAMP_S));
		budget_refund(&b, &usual, BUDGET_REQUEST, cost);
		assert_true(budget_take(&b, &usual, BUDGET_REQUEST, cost, START));
	}
}

/* A full half may be lent from for more than one unit, but for no more than it holds. */
static void test_dear_lent(void **state)
{
	static const struct {
		uint32_t cost;
		bool lent;
	} rows[] = { { 1, true }, { 20, true }, { 36, true }, { 37, false } };

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct budget b = { .half[BUDGET_REQUEST].tat = START + TSTAMP_DAY };

		assert_int_equal(budget_take(&b, &usual, BUDGET_REQUEST, rows[i].cost, START), rows[i].lent);
	}
}

/* What is borrowed, or owed, is waited for by who comes next; the whole is no more than rate, depth and the last loan. */
static void test_debt(void **state)
{
	struct budget b = { .half[BUDGET_HANDSHAKE].tat = START + TSTAMP_DAY };
	unsigned units = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(take(&b, &usual, BUDGET_REQUEST, START));
	assert_true(budget_borrow(&b, &usual, BUDGET_REQUEST, 20, START));
	assert_int_equal(budget_left(&b, &usual, START), 575);
	assert_false(budget_borrow(&b, &usual, BUDGET_REQUEST, 1, START));
	assert_true(wait(&b, &usual, BUDGET_REQUEST, START) == 20 * 20 * TSTAMP_S);
	budget_owe(&b, &usual, BUDGET_REQUEST, 3, START);
	assert_int_equal(budget_left(&b, &usual, START), 572);
	assert_true(wait(&b, &usual, BUDGET_REQUEST, START) == 23 * 20 * TSTAMP_S);
	budget_refund(&b, &usual, BUDGET_REQUEST, 23);
	assert_true(wait(&b, &usual, BUDGET_REQUEST, START) == 0);
	b = (struct budget){ .half[BUDGET_HANDSHAKE].tat = START + TSTAMP_DAY };
	for (tstamp t = START; t < START + 2 * TSTAMP_HOUR; t += TSTAMP_S) {
		while (budget_borrow(&b, &usual, BUDGET_REQUEST, 20, t))
			units += 20;
		assert_true(units <= 6 + 19 + (t - START) / (20 * TSTAMP_S));
	}
	assert_int_equal(units, 360 + 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost),         cmocka_unit_test(test_rate),
		cmocka_unit_test(test_halves),       cmocka_unit_test(test_day),
		cmocka_unit_test(test_refund),       cmocka_unit_test(test_refund_while_none_passes),
		cmocka_unit_test(test_other_rate),   cmocka_unit_test(test_none),
		cmocka_unit_test(test_wait_is_true), cmocka_unit_test(test_dear),
		cmocka_unit_test(test_dear_lent),    cmocka_unit_test(test_debt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* reach: proofs of return-routability against a naive copy, and when they end. */
#include "guard/reach.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VALID (60 * TSTAMP_S)
#define START TSTAMP_HOUR

static const struct addr somebody = { .port = 40000 };

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static enum reach_state state_of(const struct reach *r, uint64_t key, tstamp now)
{
	return reach_find(r, key, VALID, now).state;
}

static void test_echo(void **state)
{
	struct reach *r = reach_create(64);

	(void)state;
	assert_int_equal(state_of(r, 1, START), REACH_NONE);
	reach_echo(r, 1, &somebody, START);
	assert_int_equal(state_of(r, 1, START), REACH_PROVEN);
	assert_true(reach_find(r, 1, VALID, START).echo);
	assert_int_equal(state_of(r, 1, START + VALID), REACH_PROVEN);
	assert_int_equal(state_of(r, 1, START + VALID + 1), REACH_NONE);
	assert_true(reach_find(r, 1, VALID, START + VALID + 1).echo); /* how it can prove itself is not forgotten */
	reach_spend(r, 1);
	assert_int_equal(state_of(r, 1, START), REACH_NONE);
	reach_free(r);
}

/* 16 bits can be guessed: two slots are needed, within the validity. */
static void test_pongs(void **state)
{
	struct reach *r = reach_create(64);

	(void)state;
	assert_int_equal(reach_pong(r, 1, &somebody, 100, VALID, START), REACH_ONCE);
	assert_int_equal(reach_pong(r, 1, &somebody, 100, VALID, START), REACH_ONCE); /* the same again */
	assert_int_equal(reach_pong(r, 1, &somebody, 99, VALID, START), REACH_ONCE);  /* an older one */
	assert_int_equal(reach_pong(r, 1, &somebody, 101, VALID, START + TSTAMP_S), REACH_PROVEN);
	assert_int_equal(state_of(r, 1, START + VALID + TSTAMP_S), REACH_PROVEN);
	assert_int_equal(state_of(r, 1, START + VALID + 2 * TSTAMP_S), REACH_NONE);
	assert_int_equal(reach_pong(r, 1, &somebody, 300, VALID, START + 3 * VALID), REACH_ONCE); /* anew */
	assert_false(reach_find(r, 1, VALID, START + 3 * VALID).echo);
	reach_free(r);
}

static void test_marks(void **state)
{
	struct reach *r = reach_create(64);
	struct reach_view v;

	(void)state;
	reach_wary(r, 1, START + VALID); /* unknown: costs no record */
	assert_false(reach_find(r, 1, VALID, START).wary);
	reach_home(r, 1, &somebody, START);
	reach_wary(r, 1, START + VALID);
	v = reach_find(r, 1, VALID, START);
	assert_true(v.home && v.wary && v.state == REACH_NONE);
	assert_false(reach_find(r, 1, VALID, START + VALID).wary);
	reach_wary(r, 1, 0);
	assert_false(reach_find(r, 1, VALID, START).wary);
	reach_forget(r, 1);
	assert_false(reach_find(r, 1, VALID, START).home);
	reach_free(r);
}

static void count(void *arg, const struct reach_view *v)
{
	assert_true(v->echo);
	++*(unsigned *)arg;
}

static void test_hosts(void **state)
{
	struct reach *r = reach_create(64);
	struct addr a = { .ip = { [15] = 7 } }, b = { .ip = { [15] = 8 } };
	unsigned n = 0;

	(void)state;
	for (uint16_t i = 1; i <= 5; i++) {
		a.port = i;
		reach_echo(r, i, &a, START);
		reach_echo(r, 100 + i, &b, START);
	}
	reach_each(r, &a, VALID, START, count, &n);
	assert_int_equal(n, 5);
	assert_int_equal(reach_forget_host(r, &a), 5);
	assert_int_equal(reach_forget_host(r, &a), 0);
	assert_int_equal(state_of(r, 3, START), REACH_NONE);
	assert_int_equal(state_of(r, 103, START), REACH_PROVEN);
	reach_free(r);
}

/* What the table says of a key is what happened to it, or nothing because it made room. The
 * youngest eight stay. */
static void test_against_copy(void **state)
{
	struct reach *r = reach_create(32);
	struct {
		tstamp proven;
		bool home, echo;
	} copy[100];
	uint64_t seed = 5, recent[8];
	unsigned touches = 0;
	tstamp now = START;

	(void)state;
	memset(copy, 0, sizeof copy);
	for (unsigned round = 0; round < 30000; round++) {
		uint64_t n = next_random(&seed), k = 1 + n % 99;
		struct reach_view v = reach_find(r, k, VALID, now);

		if (v.state != REACH_NONE)
			assert_true(copy[k].proven && now - copy[k].proven <= VALID);
		assert_true(!v.home || copy[k].home);
		assert_true(!v.echo || copy[k].echo);
		now += (1 + (n >> 32 & 255)) * TSTAMP_MS;
		switch (n >> 16 & 3) {
		case 0:
			reach_echo(r, k, &somebody, now);
			copy[k].proven = now;
			copy[k].echo = true;
			break;
		case 1:
			reach_home(r, k, &somebody, now);
			copy[k].home = true;
			break;
		default: reach_spend(r, k); continue;
		}
		recent[touches++ % 8] = k;
		assert_true(reach_find(r, k, VALID, now).home || state_of(r, k, now) == REACH_PROVEN);
	}
	for (unsigned i = 0; i < 8; i++) { /* of each bucket of eight only the stalest ever went */
		struct reach_view v = reach_find(r, recent[i], VALID, now);

		assert_true(v.echo || v.home);
	}
	reach_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),  cmocka_unit_test(test_pongs),        cmocka_unit_test(test_marks),
		cmocka_unit_test(test_hosts), cmocka_unit_test(test_against_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

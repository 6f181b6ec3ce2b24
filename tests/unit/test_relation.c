/* relation: its history, and how long it is doubted. */
#include "guard/relation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_history(void **state)
{
	struct relation rel = { .endpoint = 1 };

	(void)state;
	assert_int_equal(relation_success(&rel), 100);
	for (unsigned i = 0; i < 3; i++)
		relation_book(&rel, true);
	relation_book(&rel, false);
	assert_int_equal(relation_success(&rel), 75);
	assert_int_equal(relation_accepted(&rel), 3);
	for (unsigned i = 0; i < 64; i++)
		relation_book(&rel, false);
	assert_int_equal(rel.history_len, 64);
	assert_int_equal(relation_success(&rel), 0);
	for (unsigned i = 0; i < 32; i++)
		relation_book(&rel, true);
	assert_int_equal(relation_success(&rel), 50);
	assert_int_equal(relation_accepted(&rel), 32);
}

static void test_doubt(void **state)
{
	struct relation rel = { .endpoint = 1 };
	tstamp now = 1000 * TSTAMP_S;

	(void)state;
	assert_false(relation_doubted(&rel, now));
	relation_doubt(&rel, TSTAMP_MIN, now);
	assert_true(relation_doubted(&rel, now));
	assert_true(relation_doubted(&rel, now + 59 * TSTAMP_S));
	assert_false(relation_doubted(&rel, now + 61 * TSTAMP_S));
}

/* 80 bytes, index included, is what the memory of a client may cost. */
static void test_size(void **state)
{
	(void)state;
	assert_true(sizeof(struct relation) <= 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

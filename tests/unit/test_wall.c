#include "wall.h"
#include "base/tstamp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

static void test_sanity(void **state)
{
	static const struct {
		uint64_t s;
		bool sane;
	} rows[] = {
		{ 0, false },           { 1704067199, false }, /* the last second of 2023 */
		{ 1704067200, true },   { 1763781000, true },  { 7258118399, true }, { 7258118400, false }, /* 2200 */
		{ 18446744073, false }, /* as far as 64 bits of ns go */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(wall_is_sane(rows[i].s * TSTAMP_S), rows[i].sane);
}

static void test_clock(void **state)
{
	uint64_t before = (uint64_t)time(NULL), now = wall_now(&wall_clock) / TSTAMP_S;

	(void)state;
	assert_in_range(now, before - 1, before + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sanity), cmocka_unit_test(test_clock) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

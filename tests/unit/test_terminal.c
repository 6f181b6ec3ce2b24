/* terminal: lines are cut to what a screen has room for. */
#include "terminal.h"
#include "paint.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_clip(void **state)
{
	static const struct {
		const char *line;
		size_t columns, len;
	} rows[] = {
		{ "abc", 0, 0 },
		{ "abc", 2, 2 },
		{ "abc", 3, 3 },
		{ "abc\ndef", 9, 3 },
		{ "", 5, 0 },
		{ "\033[31mab\033[0mc", 2, 5 + 2 + 4 },
		{ "\033[31mab\033[0mc", 3, 5 + 2 + 4 + 1 },
		{ "\033[31", 5, 4 }, /* cut in the middle of a sequence */
		{ "\xc3\xa4\xc3\xb6x", 2, 4 },
		{ "\xc3\xa4\xc3\xb6x", 1, 2 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(terminal_clip(rows[i].line, rows[i].columns), rows[i].len);
}

static void test_paint(void **state)
{
	static const struct {
		const char *column, *cell;
		enum paint paint;
	} rows[] = {
		{ "state", "ready", PAINT_GOOD },    { "state", "off", PAINT_BAD },
		{ "state", "new word", PAINT_NONE }, { "note", "ready", PAINT_NONE },
		{ "fill", "0.010", PAINT_BAD },      { "fill", "0.200", PAINT_WATCH },
		{ "fill", "1.000", PAINT_NONE },     { "waiting", "0", PAINT_NONE },
		{ "waiting", "3", PAINT_WATCH },     { "overflowed", "", PAINT_NONE },
		{ "reload", "failed", PAINT_BAD },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(paint_of(rows[i].column, rows[i].cell), rows[i].paint);
	assert_string_equal(paint_on(PAINT_BAD, false), "");
	assert_string_equal(paint_off(PAINT_BAD, true), "\033[0m");
	assert_string_equal(paint_off(PAINT_NONE, true), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_clip), cmocka_unit_test(test_paint) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

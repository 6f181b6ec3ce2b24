#include "table.h"
#include "json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void expect_table(const char *text, bool json, const char *expected)
{
	char *copy = strdup(text), *printed = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len);
	struct table t;

	assert_true(table_parse(&t, copy));
	if (json)
		table_print_json(&t, out);
	else
		table_print(&t, out, "  ", false);
	fclose(out);
	assert_string_equal(printed, expected);
	table_free(&t);
	free(printed);
	free(copy);
}

#define EXAMPLE                                                                                                        \
	"name:text\tfill:ratio\tage:seconds\tcount:count\n"                                                            \
	"lamp\t0.425\t3723.000\t7\n"                                                                                   \
	"\t1.000\t0.250\t18446744073709551615\n"

static void test_print(void **state)
{
	(void)state;
	expect_table(EXAMPLE, false,
		     "  name   fill        age                 count\n"
		     "  lamp   42 %  1 h 2 min                     7\n"
		     "        100 %      0.2 s  18446744073709551615\n");
	expect_table("name:text\n", false, "  name\n");
	expect_table("name:text\na\n# cut here\n", false, "  name\n  a\n  # cut here\n");
}

static void test_json(void **state)
{
	(void)state;
	expect_table(EXAMPLE, true,
		     "[{\"name\": \"lamp\", \"fill\": 0.425, \"age\": 3723.000, \"count\": 7},\n"
		     " {\"name\": \"\", \"fill\": 1.000, \"age\": 0.250, "
		     "\"count\": 18446744073709551615}]");
	expect_table("name:text\n", true, "[]");
	expect_table("n:count\nmany\n", true, "[{\"n\": null}]");
}

static void test_what_is_no_table(void **state)
{
	static const char *const rows[] = {
		"",
		"name:text",           /* no line end */
		"name\nx\n",           /* no kind */
		"name:colour\nx\n",    /* no such kind */
		"a:text\tb:text\nx\n", /* a cell is missing */
		"a:text\nx\ty\n",      /* a cell too many */
		"a:text\t\nx\t\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *copy = strdup(rows[i]);
		struct table t;

		assert_false(table_parse(&t, copy));
		free(copy);
	}
}

static void test_find(void **state)
{
	char text[] = EXAMPLE;
	struct table t;

	(void)state;
	assert_true(table_parse(&t, text));
	assert_int_equal(t.rows, 2);
	assert_string_equal(table_find(&t, 0, "age"), "3723.000");
	assert_string_equal(table_find(&t, 1, "count"), "18446744073709551615");
	assert_string_equal(table_find(&t, 2, "count"), "");
	assert_string_equal(table_find(&t, 0, "colour"), "");
	table_free(&t);
}

static void test_human(void **state)
{
	static const struct {
		enum table_kind kind;
		const char *cell, *human;
	} rows[] = {
		{ TABLE_SECONDS, "0.000", "0.0 s" },
		{ TABLE_SECONDS, "9.949", "9.9 s" },
		{ TABLE_SECONDS, "10.000", "10 s" },
		{ TABLE_SECONDS, "59.999", "59 s" },
		{ TABLE_SECONDS, "60.000", "1 min 0 s" },
		{ TABLE_SECONDS, "3599.000", "59 min 59 s" },
		{ TABLE_SECONDS, "86399.000", "23 h 59 min" },
		{ TABLE_SECONDS, "90000.000", "1 d 1 h" },
		{ TABLE_SECONDS, "-", "-" },
		{ TABLE_SECONDS, "", "" },
		{ TABLE_RATIO, "0.000", "0 %" },
		{ TABLE_RATIO, "1.000", "100 %" },
		{ TABLE_COUNT, "12", "12" },
		{ TABLE_TEXT, "3.5", "3.5" },
	};
	char human[TABLE_HUMAN];

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(table_human(rows[i].kind, rows[i].cell, human), rows[i].human);
}

static void expect_json(void (*write)(FILE *, const char *), const char *text, const char *json)
{
	char *printed = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&printed, &len);

	write(out, text);
	fclose(out);
	assert_string_equal(printed, json);
	free(printed);
}

static void test_json_strings(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "", "\"\"" },
		{ "a/b", "\"a/b\"" },
		{ "\"\\", "\"\\\"\\\\\"" },
		{ "\t\n\x01\x7f", "\"\\u0009\\u000a\\u0001\\u007f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa1", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa1\"" },
		{ "\xc3", "\"\\ufffd\"" }, /* cut off */
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
		{ "\xc0\xaf", "\"\\ufffd\\ufffd\"" },                       /* overlong */
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },            /* a surrogate */
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" }, /* above U+10FFFF */
		{ "\xffz", "\"\\ufffdz\"" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_json(json_string, rows[i].text, rows[i].json);
}

static void test_json_numbers(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "0", "0" },      { "10.250", "10.250" }, { "0.5", "0.5" }, { "", "null" },
		{ "01", "null" },  { "1.", "null" },       { ".5", "null" }, { "1e5", "null" },
		{ "0x1", "null" }, { "nan", "null" },      { "1 ", "null" }, { "1.5.5", "null" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_json(json_number, rows[i].text, rows[i].json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_what_is_no_table),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_human),
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_json_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

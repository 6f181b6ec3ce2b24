#include "answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char *const names[] = { "name", "count", "age", "fill" };

static void put_row(struct snapshot_sink *sink, const char *text)
{
	const struct snapshot_cell cells[] = {
		{ .kind = CELL_TEXT, .text = text },
		{ .kind = CELL_COUNT, .count = UINT64_MAX },
		{ .kind = CELL_SECONDS, .count = 1500 * TSTAMP_MS },
		{ .kind = CELL_RATIO, .count = 42 },
	};

	sink->row(sink->arg, cells, 4);
}

static void test_table(void **state)
{
	struct answer a;
	struct snapshot_sink sink;

	(void)state;
	answer_init(&a);
	sink = answer_table(&a);
	sink.header(sink.arg, names, 4);
	put_row(&sink, "lamp");
	put_row(&sink, "a\tb\nc\x7f");
	answer_table_end(&a);
	assert_string_equal(a.text, "name:text\tcount:count\tage:seconds\tfill:ratio\n"
				    "lamp\t18446744073709551615\t1.500\t0.042\n"
				    "a b c \t18446744073709551615\t1.500\t0.042\n");
	assert_int_equal(a.len, strlen(a.text));
	answer_free(&a);
}

static void test_empty_table(void **state)
{
	struct answer a;
	struct snapshot_sink sink;

	(void)state;
	answer_init(&a);
	sink = answer_table(&a);
	sink.header(sink.arg, names, 2);
	answer_table_end(&a);
	assert_string_equal(a.text, "name:text\tcount:text\n");
	answer_free(&a);
}

/* Whatever the lengths of the lines: bounded, cut at the end of a line, and said. */
static void test_cut(void **state)
{
	static const char note[] = "# cut here: the reply is too long\n";

	(void)state;
	for (int width = 1; width < 40000; width = 3 * width + 1) {
		struct answer a;
		size_t before;

		answer_init(&a);
		while (!a.cut) {
			answer_print(&a, "%*d", width, 1);
			answer_print(&a, "\n");
			assert_true(a.len < ANSWER_MAX);
			assert_true(a.capacity <= ANSWER_MAX);
		}
		before = a.len;
		answer_print(&a, "more");
		assert_int_equal(a.len, before);
		assert_int_equal(strlen(a.text), a.len);
		assert_string_equal(a.text + a.len - strlen(note), note);
		assert_int_equal((a.len - strlen(note)) % ((size_t)width + 1), 0);
		assert_true(a.len > ANSWER_MAX - (size_t)width - 100);
		answer_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_empty_table),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "coap/edits.h"
#include "coap/option.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

/* The edited copy of one line is the other. */
static void check(const struct edits *e, const char *before, const char *after)
{
	uint8_t in[256], out[256];
	char seen[MSGTEXT_MAX];
	struct msgbuf b;
	struct msg m;

	assert_int_equal(msg_parse(&m, msgtext_write(before, in, sizeof in)), MSG_OK);
	msgbuf_begin(&b, out, sizeof out, m.type, m.code, m.mid, m.token);
	edits_write(e, &m, &b);
	msgbuf_payload(&b, m.payload);
	assert_string_equal(msgtext_format(msgbuf_end(&b), seen), after);
}

static void test_nothing_to_do(void **state)
{
	struct edits e = { .n = 0 };

	(void)state;
	check(&e, "CON 0.01 7d34 #20 Uri-Path:a Uri-Path:b !x", "CON 0.01 7d34 #20 Uri-Path:a Uri-Path:b !x");
	check(&e, "CON 0.01 7d34 #20", "CON 0.01 7d34 #20");
}

static void test_in_order(void **state)
{
	struct edits e = { .n = 0 };

	(void)state;
	edits_set_uint(&e, OPTION_BLOCK1, 0x0a);
	edits_drop(&e, OPTION_ETAG);
	edits_set_uint(&e, OPTION_OBSERVE, 0);
	edits_add(&e, OPTION_REQUEST_TAG, text("zz"));
	edits_set_uint(&e, OPTION_MAX_AGE, 300);
	check(&e, "CON 0.03 0001 #20 ETag=01 ETag=02 Uri-Path:a Max-Age=05 Request-Tag:y Request-Tag:z !p",
	      "CON 0.03 0001 #20 Observe= Uri-Path:a Max-Age=012c Block1=0a Request-Tag=79 Request-Tag=7a "
	      "Request-Tag=7a7a "
	      "!p");
	check(&e, "CON 0.03 0001 #20", "CON 0.03 0001 #20 Observe= Max-Age=012c Block1=0a Request-Tag=7a7a");
	check(&e, "CON 0.03 0001 #20 Echo=07",
	      "CON 0.03 0001 #20 Observe= Max-Age=012c Block1=0a Echo=07 Request-Tag=7a7a");
}

static void test_all_of_a_number(void **state)
{
	struct edits e = { .n = 0 };

	(void)state;
	edits_set(&e, OPTION_ETAG, text("n"));
	check(&e, "CON 0.01 0001 # ETag=01 ETag=02 ETag=03", "CON 0.01 0001 # ETag=6e");
}

static void test_added_to_what_is_set(void **state)
{
	struct edits e = { .n = 0 };

	(void)state;
	edits_set(&e, OPTION_ETAG, text("a"));
	edits_add(&e, OPTION_ETAG, text("b"));
	check(&e, "CON 0.01 0001 # ETag=01", "CON 0.01 0001 # ETag=61 ETag=62");
}

/* Before the first of them, once, and only if there is one. */
static void test_lead(void **state)
{
	struct edits e = { .n = 0 };

	(void)state;
	edits_lead(&e, OPTION_LOCATION_PATH, "a/bc");
	check(&e, "CON 2.01 0001 # ETag=01 Location-Path:x Location-Path:y Location-Query:q !p",
	      "CON 2.01 0001 # ETag=01 Location-Path:a Location-Path:bc Location-Path:x Location-Path:y "
	      "Location-Query:q !p");
	check(&e, "CON 2.01 0001 # ETag=01 Location-Query:q", "CON 2.01 0001 # ETag=01 Location-Query:q");
	edits_lead(&e, OPTION_LOCATION_PATH, "a");
	edits_drop(&e, OPTION_ETAG);
	edits_set_uint(&e, OPTION_MAX_AGE, 5);
	check(&e,
	      "CON 2.01 0001 # ETag=01 Location-Path:", "CON 2.01 0001 # Location-Path:a Location-Path: Max-Age=05");
}

static void test_merge(void **state)
{
	static const struct {
		const char *old, *new, *merged;
	} rows[] = {
		{ "", "", "" },
		{ "ETag=01", "", "ETag=01" },
		{ "", "ETag=01", "ETag=01" },
		{ "ETag=01", "ETag=", "ETag=" },
		{ "ETag=01 ETag=02 Max-Age=05", "ETag=03", "ETag=03 Max-Age=05" },
		{ "ETag=01 Max-Age=05", "ETag=03 ETag=04", "ETag=03 ETag=04 Max-Age=05" },
		{ "ETag=01 Max-Age=05", "If-Match= Uri-Path:a Max-Age=06", "If-Match= ETag=01 Uri-Path:a Max-Age=06" },
		{ "Max-Age=05 65535=01", "ETag=01 65535=02", "ETag=01 Max-Age=05 65535=02" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t old[256], new[256], merged[256], out[256];
		struct msg m[3];
		struct msgbuf b;
		char line[300];

		snprintf(line, sizeof line, "CON 2.05 0001 # %s", rows[i].old);
		assert_int_equal(msg_parse(&m[0], msgtext_write(line, old, sizeof old)), MSG_OK);
		snprintf(line, sizeof line, "CON 2.03 0001 # %s", rows[i].new);
		assert_int_equal(msg_parse(&m[1], msgtext_write(line, new, sizeof new)), MSG_OK);
		snprintf(line, sizeof line, "CON 2.05 0001 # %s", rows[i].merged);
		assert_int_equal(msg_parse(&m[2], msgtext_write(line, merged, sizeof merged)), MSG_OK);
		msgbuf_bare(&b, out, sizeof out);
		edits_merge(&m[0], &m[1], &b);
		assert_true(bytes_equal(msgbuf_end(&b), m[2].options));
		msgbuf_bare(&b, out, m[2].options.len - (m[2].options.len > 0));
		edits_merge(&m[0], &m[1], &b);
		assert_int_equal(b.failed, m[2].options.len > 0);
	}
}

/* Against a naive way: all options in one list, sorted. */
static void test_random_edits(void **state)
{
	static const uint16_t numbers[] = { 1, 3, 4, 6, 11, 14, 23, 27, 60, 292 };

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t in[512], out[512], want[512];
		struct edits e = { .n = 0 };
		struct msgbuf b, w;
		struct msg m;
		int kind[10];

		msgbuf_begin(&b, in, sizeof in, MSG_CON, MSG_GET, 1, bytes_of("t", 1));
		msgbuf_begin(&w, want, sizeof want, MSG_CON, MSG_GET, 1, bytes_of("t", 1));
		for (unsigned i = 0; i < 10; i++) {
			unsigned count = (unsigned)rand() % 3;

			kind[i] = rand() % 4;
			for (unsigned k = 0; k < count; k++) {
				msgbuf_option(&b, numbers[i], bytes_of("old", k));
				if (kind[i] == EDIT_ADD || kind[i] == 3)
					msgbuf_option(&w, numbers[i], bytes_of("old", k));
			}
			if (kind[i] == EDIT_SET || kind[i] == EDIT_ADD)
				msgbuf_option(&w, numbers[i], text("new"));
		}
		for (unsigned i = 10; i-- > 0;) {
			if (kind[i] == EDIT_DROP)
				edits_drop(&e, numbers[i]);
			else if (kind[i] == EDIT_SET)
				edits_set(&e, numbers[i], text("new"));
			else if (kind[i] == EDIT_ADD)
				edits_add(&e, numbers[i], text("new"));
		}
		assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
		msgbuf_begin(&b, out, sizeof out, MSG_CON, MSG_GET, 1, bytes_of("t", 1));
		edits_write(&e, &m, &b);
		assert_true(bytes_equal(msgbuf_end(&b), msgbuf_end(&w)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_all_of_a_number),
		cmocka_unit_test(test_added_to_what_is_set),
		cmocka_unit_test(test_lead),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_random_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

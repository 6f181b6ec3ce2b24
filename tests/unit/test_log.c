#include "log.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define T0 (1000 * TSTAMP_S)

struct fixture {
	struct log log;
	int out;
	char text[65536];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	int ends[2];

	if (!f || pipe2(ends, O_NONBLOCK) != 0)
		return -1;
	f->out = ends[0];
	log_init(&f->log, ends[1], LEVEL_INFO);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->out);
	close(f->log.fd);
	free(f);
	return 0;
}

/* All that was written since the last call. */
static const char *written(struct fixture *f)
{
	ssize_t n = read(f->out, f->text, sizeof f->text - 1);

	f->text[n > 0 ? n : 0] = '\0';
	return f->text;
}

static void test_priorities(void **state)
{
	struct fixture *f = *state;

	log_set_level(&f->log, LEVEL_DEBUG);
	log_fatal(&f->log, "a %d", 1);
	log_error(&f->log, "b");
	log_warn(&f->log, "c");
	log_info(&f->log, "d");
	log_debug(&f->log, "e");
	assert_string_equal(written(f), "<2>a 1\n<3>b\n<4>c\n<6>d\n<7>e\n");
}

static void test_level(void **state)
{
	struct fixture *f = *state;

	log_debug(&f->log, "no");
	log_info(&f->log, "yes");
	assert_string_equal(written(f), "<6>yes\n");
	log_set_level(&f->log, LEVEL_FATAL);
	log_error(&f->log, "no");
	log_folded(&f->log, LEVEL_ERROR, "key", T0, "no");
	assert_string_equal(written(f), "");
	assert_true(log_next_expiry(&f->log) == TSTAMP_NEVER);
}

static void test_level_words(void **state)
{
	static const char *const words[] = { "fatal", "error", "warn", "info", "debug" };
	enum log_level level;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_true(log_level_parse(words[i], &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse("inf", &level));
	assert_false(log_level_parse("info|debug", &level));
	assert_false(log_level_parse("INFO", &level));
}

/* A stranger's bytes in a message neither begin a line nor reach a terminal. */
static void test_control_characters(void **state)
{
	struct fixture *f = *state;

	log_info(&f->log, "a\n<0>b\x1b[2J\x7f\xc3\xa4");
	assert_string_equal(written(f), "<6>a?<0>b?[2J?\xc3\xa4\n");
}

static void test_long_line(void **state)
{
	struct fixture *f = *state;
	char text[2 * LOG_LINE];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	log_info(&f->log, "%s", text);
	assert_int_equal(strlen(written(f)), 3 + LOG_LINE - 1 + 1);
	assert_int_equal(f->text[strlen(f->text) - 1], '\n');
	/* Folded, there is still room for the count. */
	log_folded(&f->log, LEVEL_INFO, "key", T0, "%s", text);
	log_folded(&f->log, LEVEL_INFO, "key", T0, "%s", text);
	written(f);
	log_expire(&f->log, T0 + LOG_WINDOW);
	assert_non_null(strstr(written(f), "x (1 more in 30 s)\n"));
}

static void test_folding(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 100; i++)
		log_folded(&f->log, LEVEL_WARN, "full", T0 + i, "table %u is full", i);
	log_folded(&f->log, LEVEL_ERROR, "send", T0, "cannot send");
	assert_string_equal(written(f), "<4>table 0 is full\n<3>cannot send\n");
	assert_true(log_next_expiry(&f->log) == T0 + LOG_WINDOW);

	log_expire(&f->log, T0 + LOG_WINDOW - 1);
	assert_string_equal(written(f), "");
	log_expire(&f->log, T0 + LOG_WINDOW);
	assert_string_equal(written(f), "<4>table 99 is full (99 more in 30 s)\n");

	/* It goes on: the count is the only line per window. "send" was over and begins anew. */
	log_folded(&f->log, LEVEL_WARN, "full", T0 + LOG_WINDOW + 1, "table is full");
	log_folded(&f->log, LEVEL_ERROR, "send", T0 + LOG_WINDOW + 1, "cannot send");
	assert_string_equal(written(f), "<3>cannot send\n");
	log_expire(&f->log, T0 + 2 * LOG_WINDOW);
	assert_string_equal(written(f), "<4>table is full (1 more in 30 s)\n");

	/* Quiet for a window: nothing is held back, and the next time is a first time. */
	log_expire(&f->log, T0 + 4 * LOG_WINDOW);
	assert_string_equal(written(f), "");
	assert_true(log_next_expiry(&f->log) == TSTAMP_NEVER);
	log_folded(&f->log, LEVEL_WARN, "full", T0 + 4 * LOG_WINDOW, "full again");
	assert_string_equal(written(f), "<4>full again\n");
}

/* Nobody has to call log_expire for the next line to come in time. */
static void test_folding_without_expire(void **state)
{
	struct fixture *f = *state;

	log_folded(&f->log, LEVEL_WARN, "key", T0, "first");
	log_folded(&f->log, LEVEL_WARN, "key", T0 + 1, "second");
	written(f);
	log_folded(&f->log, LEVEL_WARN, "key", T0 + 3 * LOG_WINDOW, "third");
	assert_string_equal(written(f), "<4>second (1 more in 30 s)\n");
}

static void test_more_keys_than_places(void **state)
{
	struct fixture *f = *state;
	unsigned lines = 0;
	char key[16];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "key %u", i);
		log_folded(&f->log, LEVEL_WARN, key, T0, "%s", key);
	}
	for (const char *p = written(f); (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, LOG_FOLDS);
	assert_true(log_next_expiry(&f->log) == T0 + LOG_WINDOW);
	log_expire(&f->log, T0 + LOG_WINDOW);
	assert_string_equal(written(f), "<4>968 other messages in 30 s were not written\n");
	assert_true(log_next_expiry(&f->log) == TSTAMP_NEVER);
}

/* Keys are compared as far as they are kept. */
static void test_long_keys(void **state)
{
	struct fixture *f = *state;

	log_folded(&f->log, LEVEL_WARN, "a key of thirty-two characters...", T0, "one");
	log_folded(&f->log, LEVEL_WARN, "a key of thirty-two characters...", T0, "two");
	log_folded(&f->log, LEVEL_WARN, "a key", T0, "three");
	assert_string_equal(written(f), "<4>one\n<4>three\n");
}

/* The last lines stay to be asked for; debug, of which there may be one for each datagram, does not push them out. */
static void test_kept(void **state)
{
	struct fixture *f = *state;

	log_set_level(&f->log, LEVEL_DEBUG);
	assert_null(log_kept(&f->log, 0));
	log_event(&f->log, LEVEL_WARN, &(struct event){ .kind = EVENT_RELOAD_FAILED }, "one\n");
	for (unsigned i = 0; i < 100; i++)
		log_debug(&f->log, "debug");
	log_info(&f->log, "two");
	assert_string_equal(log_kept(&f->log, 0)->text, "one?");
	assert_int_equal(log_kept(&f->log, 0)->event, EVENT_RELOAD_FAILED);
	assert_int_equal(log_kept(&f->log, 0)->level, LEVEL_WARN);
	assert_string_equal(log_kept(&f->log, 1)->text, "two");
	assert_null(log_kept(&f->log, 2));
	for (unsigned i = 0; i < LOG_KEPT; i++)
		log_info(&f->log, "line %u", i);
	assert_string_equal(log_kept(&f->log, 0)->text, "line 0");
	assert_string_equal(log_kept(&f->log, LOG_KEPT - 1)->text, "line 63");
	assert_null(log_kept(&f->log, LOG_KEPT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test(test_level_words),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folding_without_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_keys_than_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_keys, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

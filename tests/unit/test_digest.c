/* digest: a flood is a line, a quiet day is silence. */
#include "digest.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char said[4096];

static const char *digest_says(struct digest *d, const struct proxy *p, tstamp now)
{
	int ends[2];
	struct log l;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	log_init(&l, ends[1], LEVEL_INFO);
	digest_write(d, p, &l, now);
	close(ends[1]);
	n = read(ends[0], said, sizeof said - 1);
	close(ends[0]);
	said[n > 0 ? n : 0] = '\0';
	return said;
}

static void test_flood_is_a_line(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);
	struct digest d = { .due = 0 };

	(void)state;
	assert_string_equal(digest_says(&d, e->proxy, e->now), "");
	assert_true(digest_next(&d) == TSTAMP_NEVER);
	for (unsigned i = 0; i < 500; i++)
		engine_line(e, "%c> NON 0.01 %04x #%02x Uri-Path:lamp", 'a' + i % 8, i, i & 255);
	digest_stir(&d);
	assert_non_null(strstr(digest_says(&d, e->proxy, e->now), "lamp: 4"));
	assert_non_null(strstr(said, "the server's unknown budget is spent\n"));
	assert_null(strstr(strchr(said, '\n') + 1, "\n"));
	/* not again before its time, and then only what is new */
	engine_line(e, "a> NON 0.01 9999 #99 Uri-Path:lamp");
	digest_stir(&d);
	assert_string_equal(digest_says(&d, e->proxy, e->now), "");
	assert_true(digest_next(&d) == e->now + DIGEST_PERIOD);
	assert_non_null(strstr(digest_says(&d, e->proxy, e->now + DIGEST_PERIOD), "lamp: 1 "));
	/* and when nothing was refused, nothing is said */
	digest_stir(&d);
	assert_string_equal(digest_says(&d, e->proxy, e->now + 2 * DIGEST_PERIOD), "");
	engine_stop(e);
}

/* A hundred a minute may be a device that is late. */
static void test_guesses(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);
	struct digest d = { .due = 0 };

	(void)state;
	for (unsigned period = 0; period < 4; period++) {
		for (unsigned i = 0; i < DIGEST_GUESSES + period % 2; i++) {
			engine_line(e, "lamp> ACK 2.05 %04x #%016x !bad", i, i);
			engine_line(e, "a> ACK 2.05 %04x #%016x !bad", i, i); /* clients have nothing to guess */
		}
		digest_stir(&d);
		digest_says(&d, e->proxy, e->now);
		if (period % 2 == 0)
			assert_string_equal(said, "");
		else
			assert_non_null(strstr(said, "<4>51 responses that nobody asked for"));
		digest_stir(&d);
		assert_string_equal(digest_says(&d, e->proxy, e->now), ""); /* nor more often */
		e->now += DIGEST_PERIOD;
	}
	assert_int_equal(e->proxy->faults[FAULT_UNASKED], 4 * DIGEST_GUESSES + 2);
	assert_int_equal(e->proxy->faults[FAULT_STRAY], 4 * DIGEST_GUESSES + 2);
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_flood_is_a_line), cmocka_unit_test(test_guesses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

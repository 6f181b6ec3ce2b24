/* holds: who finds a place, who does not, and for how long. */
#include "proxy/holds.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void keep(struct engine *e, uint64_t flow, const char *text, bool stranger)
{
	struct path from = engine_path("[2001:db8:1::a]:40001");

	from.remote.port = (uint16_t)flow;
	holds_keep(e->proxy, flow, &from, bytes_of(text, strlen(text)), stranger, e->now);
}

/* What was kept for it, or NULL. */
static const char *taken(struct engine *e, uint64_t flow)
{
	static char text[64];
	struct path from;
	struct dgram *d = holds_take(e->proxy, flow, &from, e->now);

	if (!d)
		return NULL;
	assert_int_equal(from.remote.port, flow);
	assert_true(d->len < sizeof text);
	memcpy(text, d->buf, d->len);
	text[d->len] = '\0';
	dgram_give(&e->proxy->pool, d);
	return text;
}

static void test_places(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	unsigned strangers = 0, others = 0;

	(void)state;
	assert_null(taken(e, 1));
	keep(e, 1, "first", false);
	keep(e, 1, "second", false); /* the youngest is the one to serve */
	assert_string_equal(taken(e, 1), "second");
	assert_null(taken(e, 1));
	for (unsigned i = 0; i < 2 * PROXY_HOLDS; i++)
		keep(e, 100 + i, "stranger", true);
	for (unsigned i = 0; i < 2 * PROXY_HOLDS; i++)
		keep(e, 1000 + i, "known", false);
	assert_int_equal(e->proxy->pool.used, PROXY_HOLDS);
	for (unsigned i = 0; i < 2 * PROXY_HOLDS; i++) {
		strangers += taken(e, 100 + i) != NULL;
		others += taken(e, 1000 + i) != NULL;
	}
	assert_int_equal(strangers, PROXY_HOLDS / 2);
	assert_int_equal(others, PROXY_HOLDS / 2);
	assert_int_equal(e->proxy->pool.used, 0);
	engine_stop(e);
}

/* The pool is dry, or it is longer than a packet: nothing is kept, and nothing lost. */
static void test_no_room(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	static const char longest[DGRAM_MAX + 1] = { 0 };
	struct path from = engine_path("[2001:db8:1::a]:40001");
	struct dgram **all = calloc(e->proxy->pool.capacity + 1, sizeof *all);
	unsigned n = 0;

	(void)state;
	while ((all[n] = dgram_take(&e->proxy->pool)))
		n++;
	keep(e, 1, "nowhere to put it", false);
	assert_null(taken(e, 1));
	while (n)
		dgram_give(&e->proxy->pool, all[--n]);
	free(all);
	keep(e, 1, "kept", false);
	holds_keep(e->proxy, 1, &from, bytes_of(longest, sizeof longest), false, e->now);
	assert_string_equal(taken(e, 1), "kept");
	holds_keep(e->proxy, 1, &from, bytes_of(longest, sizeof longest), false, e->now);
	assert_null(taken(e, 1));
	assert_int_equal(e->proxy->pool.used, 0);
	engine_stop(e);
}

/* Three seconds after it came; then there is nothing to wait for. */
static void test_time(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	keep(e, 1, "old", false);
	engine_wait(e, TSTAMP_S);
	keep(e, 2, "young", false);
	assert_int_equal(proxy_next_expiry(e->proxy, e->now), e->now + 2 * TSTAMP_S);
	engine_wait(e, 2 * TSTAMP_S - 1);
	assert_int_equal(e->proxy->pool.used, 2);
	engine_wait(e, 1);
	assert_int_equal(e->proxy->pool.used, 1);
	assert_null(taken(e, 1));
	assert_int_equal(proxy_next_expiry(e->proxy, e->now), e->now + TSTAMP_S);
	keep(e, 2, "younger", false);
	engine_wait(e, 2 * TSTAMP_S);
	assert_string_equal(taken(e, 2), "younger");
	assert_int_equal(e->proxy->pool.used, 0);
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

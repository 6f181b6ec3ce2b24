/* snapshot: every table is rectangular under its header, and says what the engine did. */
#include "proxy/snapshot.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET "Uri-Path:lamp Uri-Path:t"

struct table {
	char names[16][24];
	unsigned columns, rows, headers;
	char text[64][16][256];
};

static void take_header(void *arg, const char *const *names, unsigned n)
{
	struct table *t = arg;

	assert_true(n <= 16);
	t->columns = n;
	t->headers++;
	for (unsigned i = 0; i < n; i++)
		snprintf(t->names[i], sizeof t->names[i], "%s", names[i]);
}

static void take_row(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	struct table *t = arg;

	assert_int_equal(n, t->columns);
	assert_true(t->rows < 64);
	for (unsigned i = 0; i < n; i++)
		if (cells[i].kind == CELL_TEXT)
			snprintf(t->text[t->rows][i], sizeof t->text[0][0], "%s", cells[i].text);
		else
			snprintf(t->text[t->rows][i], sizeof t->text[0][0], "%llu", (unsigned long long)cells[i].count);
	t->rows++;
}

static struct table *fresh(struct snapshot_sink *sink)
{
	struct table *t = calloc(1, sizeof *t);

	assert_non_null(t);
	*sink = (struct snapshot_sink){ take_header, take_row, t };
	return t;
}

/* The cell of the row whose first cell is `key`, in column `name`. */
static const char *cell(const struct table *t, const char *key, const char *name)
{
	for (unsigned r = 0; r < t->rows; r++)
		for (unsigned c = 0; c < t->columns; c++)
			if (strcmp(t->text[r][0], key) == 0 && strcmp(t->names[c], name) == 0)
				return t->text[r][c];
	fail_msg("no %s of %s", name, key);
	return NULL;
}

/* An accepted request, a refused one, an observation. */
static struct engine *busy(void)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	ENGINE_PLAY(e, "a> CON 0.02 0001 #01 OSCORE=090525 Uri-Path:lamp !=00",
		    "lamp< CON 0.02 * #* OSCORE=090525 !=00", "lamp> ACK 2.04 $ #$ OSCORE= !=00", "wait 1s",
		    "b> CON 0.01 0001 #01 Uri-Path:nowhere", "d> CON 0.01 0001 #01 Observe= " GET,
		    "lamp< CON 0.01 * #* Observe= Uri-Path:t", "lamp> ACK 2.05 $ #$ Observe=01 !x",
		    "a> CON 0.02 0002 #02 OSCORE=090525 Uri-Path:lamp !=00");
	return e;
}

static void test_tables(void **state)
{
	struct engine *e = busy();
	struct snapshot_sink sink;
	struct table *t = fresh(&sink);

	(void)state;
	snapshot_links(e->proxy, &sink, e->now);
	assert_int_equal(t->rows, 1);
	assert_string_equal(cell(t, "air", "sent-datagrams"), "2");
	assert_string_equal(cell(t, "air", "rate-bytes-per-s"), "10000000");
	free(t);
	t = fresh(&sink);
	snapshot_servers(e->proxy, &sink, e->now);
	assert_int_equal(t->rows, 3);
	assert_string_equal(cell(t, "lamp", "mode"), "exemptions");
	assert_string_equal(cell(t, "lamp", "address"), "[fd00:db8::17]:5683");
	assert_string_equal(cell(t, "lamp", "relations"), "1");
	assert_string_equal(cell(t, "lamp", "observing"), "1");
	assert_string_equal(cell(t, "lamp", "forwarded"), "2");
	assert_string_equal(cell(t, "lamp", "refused"), "1");
	assert_string_equal(cell(t, "lamp", "accepted"), "1");
	assert_string_equal(cell(t, "door", "forwarded"), "0");
	free(t);
	t = fresh(&sink);
	snapshot_clients(e->proxy, &sink, e->now);
	assert_int_equal(t->rows, 1);
	assert_string_equal(cell(t, "lamp", "endpoint"), "[2001:db8:1::a]:40001");
	assert_string_equal(cell(t, "lamp", "kid"), "25");
	assert_string_equal(cell(t, "lamp", "standing"), "tentative");
	assert_string_equal(cell(t, "lamp", "sequence"), "5");
	free(t);
	e->n_out = 0;
	engine_stop(e);
}

static void test_counters(void **state)
{
	struct engine *e = busy();
	struct snapshot_sink sink;
	struct table *t = fresh(&sink);
	unsigned forwards = 0, reused = 0, target = 0;

	(void)state;
	snapshot_counters(e->proxy, &sink, e->now);
	assert_int_equal(t->headers, 1);
	for (unsigned r = 0; r < t->rows; r++) {
		const char *count = t->text[r][3];

		forwards += strcmp(t->text[r][1], "forward") == 0 ? (unsigned)atoi(count) : 0;
		reused += strcmp(t->text[r][2], "seq-reused") == 0 ? (unsigned)atoi(count) : 0;
		target += strcmp(t->text[r][2], "no-target") == 0 ? (unsigned)atoi(count) : 0;
		assert_true(t->text[r][4][0] != '\0'); /* what it means */
	}
	assert_true(forwards == 2 && reused == 1 && target == 1);
	free(t);
	e->n_out = 0;
	engine_stop(e);
}

/* Sentences for whom we know, whom we refused, and whom we never saw. */
static void test_why(void **state)
{
	static const struct {
		const char *who, *topic, *says;
	} rows[] = {
		{ "[2001:db8:1::a]:0", "standing", "is tentative towards lamp" },
		{ "[2001:db8:1::a]:0", "refused", "seq-reused" },
		{ "[2001:db8:99::1]:0", "standing", "No relation" },
		{ "[2001:db8:99::1]:0", "proof", "has not proved" },
		{ "[2001:db8:99::1]:0", "wait", "at once" },
		{ "[2001:db8:99::1]:0", "refused", "None" },
	};
	struct engine *e = busy();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct snapshot_sink sink;
		struct table *t = fresh(&sink);
		bool said = false;
		struct addr who;

		assert_true(addr_parse(&who, rows[i].who, 0));
		snapshot_why(e->proxy, &who, &sink, e->now);
		for (unsigned r = 0; r < t->rows; r++)
			said |= strcmp(t->text[r][0], rows[i].topic) == 0 && strstr(t->text[r][1], rows[i].says);
		if (!said)
			fail_msg("%s: nothing about %s with \"%s\"", rows[i].who, rows[i].topic, rows[i].says);
		free(t);
	}
	e->n_out = 0;
	engine_stop(e);
}

static unsigned count_said(const struct table *t, const char *topic, const char *says)
{
	unsigned n = 0;

	for (unsigned r = 0; r < t->rows; r++)
		n += strcmp(t->text[r][0], topic) == 0 && strstr(t->text[r][1], says);
	return n;
}

/* One who was refused for what his message is, or told that the device failed, hears of it, and of nothing against it. */
static void test_why_without_verdict(void **state)
{
	static const struct {
		const char *script, *who, *says;
	} rows[] = {
		{ "b> CON 0.01 0001 #01 Uri-Path:nowhere", "[2001:db8:2::b]:0", "no-target" },
		{ "b> CON 0.01 0001 #01 " GET, "[2001:db8:2::b]:0",
		  "at lamp: device-silent: the device did not answer" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxy_config c = engine_roomy();
		struct engine *e = engine_start(&c);
		struct snapshot_sink sink;
		struct table *t = fresh(&sink);
		struct addr who;

		ENGINE_PLAY(e, "wait 1s");
		engine_line(e, "%s", rows[i].script);
		ENGINE_PLAY(e, "wait 300s");
		e->n_out = 0;
		assert_true(addr_parse(&who, rows[i].who, 0));
		snapshot_why(e->proxy, &who, &sink, e->now);
		assert_int_equal(count_said(t, "refused", rows[i].says) + count_said(t, "failed", rows[i].says), 1);
		assert_int_equal(count_said(t, "refused", "None"), 0);
		free(t);
		engine_stop(e);
	}
}

struct families {
	char last[64], seen[64][64];
	unsigned n, samples;
	double relations, forwarded;
	char texts[512][160]; /* of all samples: name{labels} value */
};

/* Prometheus: a family's samples follow each other, and none comes twice. */
static void take_sample(void *arg, const char *name, const char *type, const char *help, const char *labels,
			double value)
{
	struct families *f = arg;

	assert_true(strncmp(name, "coapguard_", 10) == 0 && help[0] && labels);
	assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0);
	assert_true((strcmp(type, "counter") == 0) ==
		    (strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0));
	assert_true(f->samples < 512);
	snprintf(f->texts[f->samples++], sizeof f->texts[0], "%s{%s} %.0f", name, labels, value);
	if (strcmp(name, f->last) != 0) {
		for (unsigned i = 0; i < f->n; i++)
			assert_string_not_equal(f->seen[i], name);
		assert_true(f->n < 64);
		snprintf(f->seen[f->n++], sizeof f->seen[0], "%s", name);
		snprintf(f->last, sizeof f->last, "%s", name);
	}
	if (strcmp(name, "coapguard_table_entries") == 0 && strcmp(labels, "table=\"relations\"") == 0)
		f->relations = value;
	if (strcmp(name, "coapguard_requests_total") == 0 && strstr(labels, "action=\"forward\""))
		f->forwarded += value;
	assert_null(strstr(labels, "2001")); /* never a client's address */
}

static void test_metrics(void **state)
{
	struct engine *e = busy();
	struct families f = { .n = 0 };
	struct snapshot_metrics sink = { take_sample, &f };

	(void)state;
	snapshot_metrics(e->proxy, &sink, e->now);
	assert_true(f.samples > 40 && f.n > 12);
	assert_true(f.relations > 0.5 && f.relations < 1.5);
	assert_true(f.forwarded > 1.5 && f.forwarded < 2.5);
	e->n_out = 0;
	engine_stop(e);
}

static void expect_sample(const struct families *f, const char *text)
{
	for (unsigned i = 0; i < f->samples; i++)
		if (strcmp(f->texts[i], text) == 0)
			return;
	fail_msg("no sample %s", text);
}

/* a asks, b joins it, c is answered from what was kept; d and e observe, over one relation; later what is kept is validated for d. */
static struct engine *sharing(void)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	c.cache_size = 16384;
	c.stale_if_silent = TSTAMP_HOUR;
	c.policy.servers[0].plain = PLAIN_ALLOW;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "prove b", "prove c", "prove d", "prove e", "flush", "a> CON 0.01 0011 #11 " GET,
		    "lamp< CON 0.01 * #* Uri-Path:t", "b> CON 0.01 0011 #12 " GET,
		    "lamp> ACK 2.05 $ #$ ETag=aa Max-Age=0a !21", "a< ACK 2.05 0011 #11 ETag=aa Max-Age=0a !21",
		    "b< ACK 2.05 0011 #12 ETag=aa Max-Age=0a !21", "c> CON 0.01 0011 #13 " GET,
		    "c< ACK 2.05 0011 #13 ETag=aa Max-Age=0a !21", "d> CON 0.01 0011 #14 Observe= " GET "o",
		    "lamp< CON 0.01 * #* Observe= Uri-Path:to", "lamp> ACK 2.05 $ #$ Observe=01 !on",
		    "d< ACK 2.05 0011 #14 Observe=* !on", "e> CON 0.01 0011 #15 Observe= " GET "o",
		    "e< ACK 2.05 0011 #15 Observe=* !on", "wait 11s", "d> CON 0.01 0012 #16 " GET,
		    "lamp< CON 0.01 * #* ETag=aa Uri-Path:t", "lamp> ACK 2.03 $ #$ ETag=aa Max-Age=05",
		    "d< ACK 2.05 0012 #16 ETag=aa Max-Age=05 !21");
	return e;
}

static void test_sharing(void **state)
{
	static const char *const samples[] = {
		"coapguard_shared_requests_total{result=\"hit\"} 1",
		"coapguard_shared_requests_total{result=\"validated\"} 1",
		"coapguard_shared_requests_total{result=\"stale\"} 0",
		"coapguard_shared_requests_total{result=\"joined\"} 2",
		"coapguard_cache_size_bytes{} 16384",
		"coapguard_cache_entries{} 2",
		"coapguard_server_observations{server=\"lamp\"} 1",
		"coapguard_server_observers{server=\"lamp\"} 2",
		"coapguard_server_observers{server=\"door\"} 0",
		"coapguard_server_silent{server=\"lamp\"} 0",
		"coapguard_server_whole_messages{server=\"lamp\"} 0",
	};
	struct engine *e = sharing();
	struct families f = { .n = 0 };
	struct snapshot_metrics metrics = { take_sample, &f };
	struct snapshot_sink sink;
	struct table *t = fresh(&sink);

	(void)state;
	snapshot_sharing(e->proxy, &sink, e->now);
	assert_int_equal(t->rows, 1);
	for (unsigned i = 0; i < 10; i++) {
		static const char *const row[][2] = { { "cache-bytes", "256" }, { "cache-size", "16384" },
						      { "responses", "2" },     { "evicted", "0" },
						      { "hit", "1" },           { "validated", "1" },
						      { "stale", "0" },         { "joined", "2" },
						      { "relations", "1" },     { "observers", "2" } };

		assert_string_equal(cell(t, "256", row[i][0]), row[i][1]);
	}
	free(t);
	snapshot_metrics(e->proxy, &metrics, e->now);
	for (unsigned i = 0; i < sizeof samples / sizeof *samples; i++)
		expect_sample(&f, samples[i]);
	e->n_out = 0;
	engine_stop(e);
}

/* What people are told of the lamp, and of the door that nobody asked for anything. */
static void expect_device(struct engine *e, const char *lamp, const char *sample)
{
	struct families f = { .n = 0 };
	struct snapshot_metrics metrics = { take_sample, &f };
	struct snapshot_sink sink;
	struct table *t = fresh(&sink);

	snapshot_servers(e->proxy, &sink, e->now);
	assert_string_equal(cell(t, "lamp", "device"), lamp);
	assert_string_equal(cell(t, "door", "device"), "unheard");
	free(t);
	snapshot_metrics(e->proxy, &metrics, e->now);
	expect_sample(&f, sample);
}

/* It sleeps, its last word is told for it, and it wakes. */
static void test_silent_device(void **state)
{
	struct engine *e = sharing();

	(void)state;
	expect_device(e, "answers", "coapguard_server_silent{server=\"lamp\"} 0");
	ENGINE_PLAY(e, "wait 20s", "prove a", "flush", "a> CON 0.01 0021 #21 " GET, "wait 110s", "a< ACK 0.00 0021 #",
		    "a< CON 2.05 * #21 ETag=aa Max-Age= !21", "a> ACK 0.00 $ #", "flush");
	expect_device(e, "silent", "coapguard_server_silent{server=\"lamp\"} 1");
	expect_device(e, "silent", "coapguard_shared_requests_total{result=\"stale\"} 1");
	ENGINE_PLAY(e, "lamp> CON 0.00 1234 #", "flush");
	expect_device(e, "answers", "coapguard_server_silent{server=\"lamp\"} 0");
	e->n_out = 0;
	engine_stop(e);
}

/* It knows no blocks. */
static void test_whole_messages(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.links[0].block_size = 64;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0021 #21 " GET, "lamp< CON 0.01 * #* Uri-Path:t Block2=02 Request-Tag=*",
		    "lamp> ACK 4.02 $ #$", "flush");
	expect_device(e, "answers", "coapguard_server_whole_messages{server=\"lamp\"} 1");
	ENGINE_PLAY(e, "wait 61min", "flush");
	expect_device(e, "silent", "coapguard_server_whole_messages{server=\"lamp\"} 0");
	e->n_out = 0;
	engine_stop(e);
}

static void test_forget(void **state)
{
	struct engine *e = busy();
	struct snapshot_sink sink;
	struct table *t = fresh(&sink);
	struct addr who;

	(void)state;
	assert_true(addr_parse(&who, "[2001:db8:1::a]:0", 0));
	assert_true(proxy_forget(e->proxy, &who, e->now) >= 1);
	assert_int_equal(proxy_forget(e->proxy, &who, e->now), 0);
	snapshot_clients(e->proxy, &sink, e->now);
	assert_int_equal(t->rows, 0);
	free(t);
	e->n_out = 0;
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_why_without_verdict),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_silent_device),
		cmocka_unit_test(test_whole_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

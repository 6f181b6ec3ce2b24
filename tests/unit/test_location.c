/* location: a device's own paths as its clients must ask for them: by how they found it, and never so that the response is lost. */
#include "proxy/location.h"
#include "bottle.h"
#include "coap/option.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A255 A50 A50 A50 A50 A50 "aaaaa"

/* --- what may be moved -------------------------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
	static const struct {
		const char *said, *prefix, *moved; /* NULL: it is not told; "": it is dropped */
	} rows[] = {
		{ "2.01 0001 # Location-Path:new", "lamp", "Location-Path:lamp Location-Path:new" },
		{ "2.01 0001 # Location-Path:a Location-Path:b", "house/door",
		  "Location-Path:house Location-Path:door Location-Path:a Location-Path:b" },
		{ "2.01 0001 # ETag=aa Location-Path: Location-Query:x=1 Location-Query:y", "lamp",
		  "ETag=aa Location-Path:lamp Location-Path: Location-Query:x=1 Location-Query:y" },
		{ "2.02 0001 # Location-Path:old", "lamp", "Location-Path:lamp Location-Path:old" },
		{ "2.04 0001 # Location-Path:new", "lamp", "Location-Path:lamp Location-Path:new" },
		{ "2.01 0001 # Location-Path:" A255, "lamp", "Location-Path:lamp Location-Path:" A255 },
		{ "2.01 0001 # Location-Path:...", "lamp", "Location-Path:lamp Location-Path:..." },
		/* what is percent-encoded is so by itself: an option holds no encoding */
		{ "2.01 0001 # Location-Path:%2e%2e", "lamp", "Location-Path:lamp Location-Path:%2e%2e" },
		/* nobody can ask for it */
		{ "2.01 0001 # Location-Path:.. Location-Path:door", "lamp", "" },
		{ "2.01 0001 # Location-Path:a Location-Path:.", "lamp", "" },
		{ "2.01 0001 # Location-Path:a Location-Path:..", "lamp", "" },
		{ "2.01 0001 # Location-Path:a" A255, "lamp", "" },
		{ "2.01 0001 # Location-Path:a Location-Query:a" A255, "lamp", "" },
		{ "2.01 0001 # Location-Path:a", "", "" },
		/* a query is of the path that was asked for; others are no answers to what makes something */
		{ "2.01 0001 # Location-Query:x", "lamp", NULL },
		{ "2.01 0001 #", "lamp", NULL },
		{ "2.05 0001 # Location-Path:a", "lamp", NULL },
		{ "2.03 0001 # Location-Path:a", "lamp", NULL },
		{ "4.04 0001 # Location-Path:a", "lamp", NULL },
		{ "2.04 0001 # Location-Path:a OSCORE= !=00", "lamp", NULL },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		uint8_t in[1024], out[1024], want[1024];
		struct edits e = { .n = 0 };
		struct msg m, w;
		struct msgbuf b;
		char line[1200];

		snprintf(line, sizeof line, "ACK %s", rows[i].said);
		assert_int_equal(msg_parse(&m, msgtext_write(line, in, sizeof in)), MSG_OK);
		assert_int_equal(location_is_told(&m), rows[i].moved != NULL);
		if (!rows[i].moved)
			continue;
		assert_int_equal(location_move(&e, &m, rows[i].prefix), *rows[i].moved != '\0');
		if (!*rows[i].moved) {
			assert_true(e.n == 0 && !e.lead);
			location_drop(&e);
		}
		snprintf(line, sizeof line, "ACK 2.01 0001 # %s", rows[i].moved);
		assert_int_equal(msg_parse(&w, msgtext_write(line, want, sizeof want)), MSG_OK);
		msgbuf_bare(&b, out, sizeof out);
		edits_write(&e, &m, &b);
		assert_true(bytes_equal(msgbuf_end(&b), w.options));
	}
}

/* --- for whom ----------------------------------------------------------------------------------------------------------- */

/* What is asked, whom it reaches and how, and what becomes of a Location-Path:new. */
static void test_ways(void **state)
{
	static const struct {
		const char *asked, *device, *up, *location;
	} rows[] = {
		{ "Uri-Path:lamp", "lamp", "", "Location-Path:lamp Location-Path:new" },
		{ "Uri-Path:lamp Uri-Path:t", "lamp", "Uri-Path:t", "Location-Path:lamp Location-Path:new" },
		{ "Uri-Path:house Uri-Path:door Uri-Path:t", "door", "Uri-Path:t",
		  "Location-Path:house Location-Path:door Location-Path:new" },
		/* by its name, or by its own address: what it says is what they ask for */
		{ "Uri-Host:hall.example Uri-Path:t", "hall", "Uri-Path:t", "Location-Path:new" },
		{ "Proxy-Uri:coap://[fd00:db8::18]/t", "door", "Uri-Path:t Hop-Limit=10", "Location-Path:new" },
		{ "Uri-Host:fd00:db8::18 Uri-Path:t Proxy-Scheme:coap", "door", "Uri-Path:t Hop-Limit=10",
		  "Location-Path:new" },
		/* a URI of the guard's own has the path */
		{ "Proxy-Uri:coap://[2001:db8::53]/lamp/t", "lamp", "Uri-Path:t Hop-Limit=10",
		  "Location-Path:lamp Location-Path:new" },
		{ "Uri-Path:lamp Uri-Path:t Proxy-Scheme:coap", "lamp", "Uri-Path:t",
		  "Location-Path:lamp Location-Path:new" },
		/* OSCORE is the client's: what is outside of it says nothing */
		{ "OSCORE=090105 Uri-Path:lamp", "lamp", "OSCORE=090105", "Location-Path:new" },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	engine_prove(e, "a");
	for (unsigned i = 0; i < ROWS(rows); i++) {
		print_message("%s\n", rows[i].asked);
		engine_line(e, "a> CON 0.02 %04x #%02x %s !=00", i, i, rows[i].asked);
		engine_line(e, "%s< CON 0.02 * #* %s !=00", rows[i].device, rows[i].up);
		engine_line(e, "%s> ACK 2.01 $ #$ ETag=aa Location-Path:new Location-Query:q !p", rows[i].device);
		engine_line(e, "a< ACK 2.01 %04x #%02x ETag=aa %s Location-Query:q !p", i, i, rows[i].location);
		engine_line(e, "quiet");
		engine_wait(e, TSTAMP_S);
	}
	engine_stop(e);
}

/* A listener's own server is not seen under a path, though it has one. */
static void test_by_default(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.listens[0].server = 0;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> CON 0.02 0001 #01 Uri-Path:t !x", "lamp< CON 0.02 * #* Uri-Path:t !x",
		    "lamp> ACK 2.01 $ #$ Location-Path:new", "a< ACK 2.01 0001 #01 Location-Path:new",
		    "a> CON 0.02 0002 #02 Uri-Path:lamp Uri-Path:t !x", "lamp< CON 0.02 * #* Uri-Path:t !x",
		    "lamp> ACK 2.01 $ #$ Location-Path:new",
		    "a< ACK 2.01 0002 #02 Location-Path:lamp Location-Path:new", "quiet");
	engine_stop(e);
}

/* Where the client goes with it, and what the cache had of it. */
static void test_there_and_back(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.cache_size = 65536;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Uri-Path:lamp Uri-Path:t Uri-Path:new",
		    "lamp< CON 0.01 * #* Uri-Path:t Uri-Path:new", "lamp> ACK 4.04 $ #$", "a< ACK 4.04 0001 #01",
		    "a> CON 0.02 0002 #02 Uri-Path:lamp Uri-Path:t !x", "lamp< CON 0.02 * #* Uri-Path:t !x",
		    "lamp> ACK 2.01 $ #$ Location-Path:t Location-Path:new",
		    "a< ACK 2.01 0002 #02 Location-Path:lamp Location-Path:t Location-Path:new",
		    /* a second copy of the request is told the same */
		    "a> CON 0.02 0002 #02 Uri-Path:lamp Uri-Path:t !x",
		    "a< ACK 2.01 0002 #02 Location-Path:lamp Location-Path:t Location-Path:new",
		    "a> CON 0.01 0003 #03 Uri-Path:lamp Uri-Path:t Uri-Path:new",
		    "lamp< CON 0.01 * #* Uri-Path:t Uri-Path:new", "lamp> ACK 2.05 $ #$ !here",
		    "a< ACK 2.05 0003 #03 !here", "quiet");
	engine_stop(e);
}

/* Inside our own layers as in plain. */
static void test_layers(void **state)
{
	static const char *const layers[] = { "0", "01", "10" };

	(void)state;
	for (unsigned i = 0; i < ROWS(layers); i++) {
		struct bottle b = bottle_of(engine_roomy());
		struct bottle_talk t = { .piv = 0 };

		bottle_context(&b, "first", 7, PROXY_NO_SERVER);
		bottle_context(&b, "second", 7, PROXY_NO_SERVER);
		bottle_start(&b);
		bottle_ask(&b, &t, "a", layers[i], "CON 0.02 0001 #20 Uri-Path:lamp Uri-Path:t !x");
		ENGINE_PLAY(b.e, "lamp< CON 0.02 * #* Uri-Path:t !x", "lamp> ACK 2.01 $ #$ Location-Path:new !y");
		bottle_hear(&b, &t, "a", (unsigned)strlen(layers[i]),
			    "ACK 2.01 0001 #20 Location-Path:lamp Location-Path:new !y");
		bottle_stop(&b);
	}
}

/* --- what does not fit ----------------------------------------------------------------------------------------------------- */

/* A 2.01 with so many segments, so long, and so much payload. */
static struct bytes made(uint8_t *buf, size_t cap, const struct engine_sent *rq, unsigned n, size_t len, size_t payload)
{
	static const uint8_t zeros[DGRAM_MAX];
	struct msgbuf b;
	struct msg m;

	assert_non_null(rq);
	assert_int_equal(msg_parse(&m, bytes_of(rq->buf, rq->len)), MSG_OK);
	msgbuf_begin(&b, buf, cap, MSG_ACK, MSG_CREATED, m.mid, m.token);
	while (n-- > 0)
		msgbuf_option(&b, OPTION_LOCATION_PATH, bytes_of(zeros, len));
	msgbuf_option(&b, OPTION_LOCATION_QUERY, bytes_of(zeros, 1));
	msgbuf_payload(&b, bytes_of(zeros, payload));
	return msgbuf_end(&b);
}

static unsigned count(const struct msg *m, uint16_t number)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	unsigned n = 0;

	while (msg_next(&it, &opt))
		n += opt.number == number;
	return n;
}

/* Every length up to the largest datagram: the client hears of its 2.01, with a location that is whole, or with none. */
static void hear_all(const char *layers, size_t token, unsigned segments, size_t len, unsigned seen[2])
{
	uint8_t answer[1400];
	char line[3000], hex[2600];

	for (size_t payload = 900; payload <= 1280; payload++) {
		struct bottle b = bottle_of(engine_roomy());
		struct bottle_talk t = { .piv = 0 };
		const struct engine_sent *s;
		struct bytes d;
		struct msg m;

		bottle_context(&b, "first", 7, PROXY_NO_SERVER);
		bottle_context(&b, "second", 7, PROXY_NO_SERVER);
		bottle_start(&b);
		engine_prove(b.e, "a");
		memset(hex, '7', 2 * token);
		hex[2 * token] = '\0';
		snprintf(line, sizeof line, "CON 0.02 0001 #%s Uri-Path:house Uri-Path:door !x", hex);
		bottle_ask(&b, &t, "a", layers, line);
		d = made(answer, 1280, s = engine_take(b.e, "door"), segments, len, payload);
		if (d.len) {
			engine_receive(b.e, &engine_peer(b.e, "door")->path, d);
			s = engine_take(b.e, "a");
			assert_non_null(s);
			assert_true(s->len <= DGRAM_MAX);
			assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
			if (!*layers) {
				assert_int_equal(m.code, MSG_CREATED);
				assert_int_equal(m.payload.len, payload);
				assert_int_equal(count(&m, OPTION_LOCATION_PATH),
						 count(&m, OPTION_LOCATION_QUERY) ? segments + 2 : 0);
				seen[count(&m, OPTION_LOCATION_QUERY)]++;
			}
		}
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

static void test_every_length(void **state)
{
	unsigned seen[2] = { 0 };

	(void)state;
	hear_all("", 0, 3, 5, seen);
	assert_true(seen[1] > 300);
	hear_all("", 150, 3, 5, seen);
	assert_true(seen[0] > 0);
	hear_all("01", 0, 3, 5, seen);
	hear_all("01", 60, 3, 5, seen);
}

/* Hundreds of options, or a segment that is none: what the client must hear is that it was made. */
static void test_hostile(void **state)
{
	static const struct {
		unsigned n;
		size_t len, token;
		bool told;
	} rows[] = {
		{ 250, 0, 8, true },    { 250, 4, 8, true }, { 250, 4, 140, true }, { 250, 4, 141, false },
		{ 250, 4, 145, false }, { 4, 255, 8, true }, { 1, 256, 8, false },  { 1, 1200, 8, false },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.max_options = 255; /* as many as can be configured */
	e = engine_start(&c);
	engine_prove(e, "a");
	for (unsigned i = 0; i < ROWS(rows); i++) {
		char hex[512];
		uint8_t answer[1280];
		const struct engine_sent *s;
		struct msg m;

		print_message("%u options of %zu bytes\n", rows[i].n, rows[i].len);
		memset(hex, '7', 2 * rows[i].token);
		hex[2 * rows[i].token] = '\0';
		engine_line(e, "a> CON 0.02 %04x #%s Uri-Path:house Uri-Path:door !x", i, hex);
		engine_receive(e, &engine_peer(e, "door")->path,
			       made(answer, sizeof answer, engine_take(e, "door"), rows[i].n, rows[i].len, 0));
		s = engine_take(e, "a");
		assert_non_null(s);
		assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
		assert_int_equal(m.code, MSG_CREATED);
		assert_int_equal(count(&m, OPTION_LOCATION_PATH), rows[i].told ? rows[i].n + 2 : 0);
		assert_int_equal(count(&m, OPTION_LOCATION_QUERY), rows[i].told);
		engine_wait(e, TSTAMP_S);
	}
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),       cmocka_unit_test(test_ways),
		cmocka_unit_test(test_by_default), cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_layers),     cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * share: what the device is asked once, and many are told (RFC 7252 §5.6, RFC 7641 §5): the cache as clients see it, followers of one
 * request, observers of one relation; and what is never shared.
 */
#include "proxy/share.h"
#include "bottle.h"
#include "msgtext.h"
#include "coap/option.h"
#include "guard/state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])
#define T       "Uri-Path:lamp Uri-Path:t"
#define LONG    "01234567890123456789012345678901234567890123456789012345678901234567890123456789"

static struct proxy_config keeping(struct proxy_config c)
{
	c.cache_size = 65536;
	return c;
}

static struct engine *start(void)
{
	struct proxy_config c = keeping(engine_roomy());

	return engine_start(&c);
}

static uint64_t shared(const struct engine *e, enum shared what)
{
	return e->proxy->shared[what];
}

/* --- the cache -------------------------------------------------------------------------------------------------------- */

static void test_fresh(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= !on",
		    "a< ACK 2.05 0001 #01 ETag=aa Content-Format= !on", "b> CON 0.01 0001 #02 " T,
		    "b< ACK 2.05 0001 #02 ETag=aa Content-Format= !on", "wait 20500ms", "b> NON 0.01 0002 #03 " T,
		    "b< NON 2.05 * #03 ETag=aa Content-Format= Max-Age=27 !on",
		    /* who has it is told so */
		    "a> CON 0.01 0002 #04 ETag=bb ETag=aa " T, "a< ACK 2.03 0002 #04 ETag=aa Max-Age=27",
		    "a> CON 0.01 0003 #04 ETag=bb " T, "a< ACK 2.05 0003 #04 ETag=aa Content-Format= Max-Age=27 !on",
		    "wait 38s", "b> CON 0.01 0004 #05 " T,
		    "b< ACK 2.05 0004 #05 ETag=aa Content-Format= Max-Age=01 !on", "quiet");
	assert_int_equal(shared(e, SHARED_HIT), 5);
	engine_stop(e);
}

/* Who asked together each hears that nobody is there, and is counted once. */
static void test_unreachable(void **state)
{
	struct engine *e = start();
	struct path to;

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> NON 0.01 0001 #01 " T, "lamp< NON 0.01 * #* Uri-Path:t",
		    "b> NON 0.01 0001 #02 " T, "quiet");
	to = engine_peer(e, "lamp")->path;
	proxy_unreachable(e->proxy, &to, e->now);
	engine_wait(e, TSTAMP_MS);
	ENGINE_PLAY(e, "a< NON 5.02 * #01", "b< NON 5.02 * #02");
	assert_int_equal(e->proxy->faults[FAULT_UNREACHABLE], 2);
	engine_stop(e);
}

/* What is old is asked for with its ETag, and confirmed for everybody; or it is something new. */
static void test_validated(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= Max-Age=0a !on",
		    "a< ACK 2.05 0001 #01 ETag=aa Content-Format= Max-Age=0a !on", "wait 10s",
		    /* the client's own ETags are his: the device hears of ours */
		    "a> CON 0.01 0002 #02 ETag=bb " T, "b> CON 0.01 0002 #02 " T,
		    "lamp< CON 0.01 * #* ETag=aa Uri-Path:t", "quiet", "lamp> ACK 2.03 $ #$ ETag=aa Max-Age=05",
		    "b< ACK 2.05 0002 #02 ETag=aa Content-Format= Max-Age=05 !on",
		    "a< ACK 2.05 0002 #02 ETag=aa Content-Format= Max-Age=05 !on", "wait 1s", "b> CON 0.01 0003 #03 " T,
		    "b< ACK 2.05 0003 #03 ETag=aa Content-Format= Max-Age=04 !on", "wait 4s", "b> CON 0.01 0004 #04 " T,
		    "lamp< CON 0.01 * #* ETag=aa Uri-Path:t", "lamp> ACK 2.05 $ #$ ETag=bb !off",
		    "b< ACK 2.05 0004 #04 ETag=bb !off", "a> CON 0.01 0005 #05 ETag=aa " T,
		    "a< ACK 2.05 0005 #05 ETag=bb !off", "a> CON 0.01 0006 #06 ETag=bb " T,
		    "a< ACK 2.03 0006 #06 ETag=bb", "quiet");
	assert_int_equal(shared(e, SHARED_VALIDATED), 1);
	assert_int_equal(shared(e, SHARED_JOINED), 1);
	engine_stop(e);
}

/* The same of a relation: what is confirmed is told with the options that were said last, to who joins later, too. */
static void test_validated_relation(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= Max-Age=05 65004=7a !on",
		    "a< ACK 2.05 0001 #01 ETag=aa Content-Format= Max-Age=05 65004=7a !on", "wait 5s",
		    "a> CON 0.01 0002 #02 Observe= " T, "lamp< CON 0.01 *z #*z ETag=aa Observe= Uri-Path:t",
		    "lamp> ACK 2.03 $z #$z ETag=aa Observe=01 65004=7b",
		    "a< ACK 2.05 0002 #02 ETag=aa Observe=* Content-Format= 65004=7b !on",
		    "lamp> NON 2.03 7001 #$z ETag=aa Observe=02 65004=7b 65004=7c",
		    "a< NON 2.05 * #02 ETag=aa Observe=* Content-Format= 65004=7b 65004=7c !on",
		    "b> CON 0.01 0001 #03 Observe= " T,
		    "b< ACK 2.05 0001 #03 ETag=aa Observe=* Content-Format= 65004=7b 65004=7c !on", "quiet");
	engine_stop(e);
}

/* A client that knows an ETag of which the guard knows nothing asks for itself. */
static void test_client_validates(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 ETag=aa " T,
		    "lamp< CON 0.01 * #*a ETag=aa Uri-Path:t",
		    /* another one's answer is no answer to him, nor his to another */
		    "b> CON 0.01 0001 #02 " T, "lamp< CON 0.01 *b #*b Uri-Path:t", "lamp> NON 2.03 7001 #$a ETag=aa",
		    "a< ACK 2.03 0001 #01 ETag=aa", "quiet", "lamp> ACK 2.05 $b #$b ETag=aa !on",
		    "b< ACK 2.05 0001 #02 ETag=aa !on", "quiet");
	engine_stop(e);
}

/* Max-Age as shown never grows while one answer is shown, and never exceeds what the device said minus its age. */
static void test_max_age(void **state)
{
	static const char *const ages[] = { "", "Max-Age= ", "Max-Age=01 ", "Max-Age=07 ", "Max-Age=012c " };
	static const uint32_t said[] = { 60, 0, 1, 7, 300 };
	struct proxy_config c = keeping(engine_open());
	struct engine *e = engine_start(&c);
	tstamp answered_at = 0;
	uint32_t last = 0, at = 0;
	unsigned hits = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		const struct engine_sent *s;
		struct msg_option opt;
		uint32_t shown = 60;
		struct msg m;

		engine_prove(e, "a");
		engine_line(e, "a> CON 0.01 %04x #01 " T, i);
		if ((s = engine_take(e, "lamp"))) {
			at = (uint32_t)(engine_random(e) % ROWS(ages));
			engine_line(e, "lamp> ACK 2.05 %02x%02x #%02x%02x%02x%02x%02x%02x%02x%02x %s!%u", s->buf[2],
				    s->buf[3], s->buf[4], s->buf[5], s->buf[6], s->buf[7], s->buf[8], s->buf[9],
				    s->buf[10], s->buf[11], ages[at], i);
			answered_at = e->now;
			last = UINT32_MAX;
		} else {
			hits++;
		}
		s = engine_take(e, "a");
		assert_non_null(s);
		assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
		assert_int_equal(m.code, MSG_CONTENT);
		if (msg_find(&m, OPTION_MAX_AGE, &opt))
			assert_true(option_uint(opt.value, &shown));
		assert_true(shown <= last);
		assert_true(shown * TSTAMP_S + (e->now - answered_at) <= said[at] * TSTAMP_S);
		last = shown;
		engine_wait(e, engine_random(e) % (4 * TSTAMP_S));
	}
	assert_in_range(hits, 2000, 4900);
	engine_stop(e);
}

/* Which two requests are one for the cache; the device answers the first. */
static void test_keys(void **state)
{
	static const struct {
		const char *first, *answer, *second;
		bool same;
	} rows[] = {
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T, true },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 Uri-Path:lamp Uri-Path:u", false },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " Uri-Query:q", false },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " Hop-Limit=07", true },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " Size1=10 Echo=aabb", true },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " Request-Tag=aa", true },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 If-Match=aa " T, false },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " 65001=aa", false },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " No-Response=", false },
		{ "0.01 0001 #01 " T, "!x", "0.05 0002 #02 " T " !x", false },
		{ "0.01 0001 #01 " T, "!x", "0.02 0002 #02 " T, false },
		/* Accept: exactly that one, or what turned out to be that (PR2.5) */
		{ "0.01 0001 #01 " T " Accept=3c", "Content-Format=3c !x", "0.01 0002 #02 " T " Accept=3c", true },
		{ "0.01 0001 #01 " T, "Content-Format=3c !x", "0.01 0002 #02 " T " Accept=3c", true },
		{ "0.01 0001 #01 " T, "Content-Format=3c !x", "0.01 0002 #02 " T " Accept=32", false },
		{ "0.01 0001 #01 " T " Accept=3c", "Content-Format=3c !x", "0.01 0002 #02 " T, false },
		{ "0.01 0001 #01 " T, "!x", "0.01 0002 #02 " T " Accept=", false },
		/* FETCH: what is asked for is in the payload, too; and a payload is never taken for options */
		{ "0.05 0001 #01 " T " !q", "!x", "0.05 0002 #02 " T " !q", true },
		{ "0.05 0001 #01 " T " !q", "!x", "0.05 0002 #02 " T " !r", false },
		{ "0.05 0001 #01 " T " Content-Format=3c !q", "!x", "0.05 0002 #02 " T " !q", false },
		{ "0.05 0001 #01 " T " Content-Format=3c !q", "!x", "0.05 0002 #02 " T " !=0c0001003c71", false },
		{ "0.05 0001 #01 " T " !=0c0001003c71", "!x", "0.05 0002 #02 " T " Content-Format=3c !q", false },
		/* the last block of a larger one is not what was asked for */
		{ "0.05 0001 #01 " T " Block1=10 !q", "Block1=10 !x", "0.05 0002 #02 " T " !q", false },
		{ "0.05 0001 #01 " T " !q", "!x", "0.05 0002 #02 " T " Block1=10 !q", false },
		/* one resource by any name */
		{ "0.01 0001 #01 Uri-Path:house Uri-Path:door Uri-Path:t Uri-Query:q", "!x",
		  "0.01 0002 #02 Proxy-Uri:coap://[fd00:db8::18]/t?q", true },
		{ "0.01 0001 #01 Uri-Path:house Uri-Path:door Uri-Path:t", "!x",
		  "0.01 0002 #02 Proxy-Uri:coap://[fd00:db8::18]/t?q", false },
		{ "0.01 0001 #01 Uri-Path:house Uri-Path:door Uri-Path:t", "!x",
		  "0.01 0002 #02 Uri-Host:hall.example Uri-Path:t", false },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct engine *e = start();
		uint64_t asked;

		ENGINE_PLAY(e, "prove a", "prove b");
		engine_line(e, "a> CON %s", rows[i].first);
		for (unsigned k = 0; k < 3; k++) {
			const char *name = (const char *[]){ "lamp", "door", "hall" }[k];
			const struct engine_sent *s = engine_take(e, name);

			if (s)
				engine_line(e, "%s> ACK 2.05 %02x%02x #%02x%02x%02x%02x%02x%02x%02x%02x %s", name,
					    s->buf[2], s->buf[3], s->buf[4], s->buf[5], s->buf[6], s->buf[7], s->buf[8],
					    s->buf[9], s->buf[10], s->buf[11], rows[i].answer);
		}
		if (!engine_take(e, "a"))
			fail_msg("no answer to %s", rows[i].first);
		asked = e->to_device;
		engine_line(e, "b> CON %s", rows[i].second);
		if ((e->to_device == asked) != rows[i].same)
			fail_msg("%s\n and %s", rows[i].first, rows[i].second);
		assert_true((engine_take(e, "b") != NULL) == rows[i].same);
		e->n_out = 0;
		engine_stop(e);
	}
}

/* Which answers are kept. */
static void test_answers(void **state)
{
	static const struct {
		const char *answer;
		bool kept;
	} rows[] = {
		{ "2.05 $ #$ !x", true },
		{ "2.05 $ #$ Max-Age= !x", false },
		{ "4.04 $ #$", true },
		{ "4.05 $ #$ Max-Age=05", true },
		{ "4.03 $ #$", true },
		{ "5.00 $ #$ !oh", true },
		{ "5.03 $ #$ Max-Age=0a", true },
		{ "2.04 $ #$ !x", false },
		{ "2.01 $ #$", false },
		{ "4.29 $ #$", false },
		{ "4.01 $ #$", false },
		{ "4.01 $ #$ Echo=aa", false },
		{ "2.05 $ #$ Echo=aa !x", false },
		{ "4.02 $ #$", false },
		{ "4.08 $ #$", false },
		{ "4.13 $ #$", false },
		{ "2.05 $ #$ ETag=010203040506070809 !x", false },
		{ "2.05 $ #$ 65002=aa !x", false },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t");
		engine_line(e, "lamp> ACK %s", rows[i].answer);
		e->n_out = 0;
		engine_line(e, "b> CON 0.01 0002 #02 " T);
		if ((engine_take(e, "lamp") == NULL) != rows[i].kept)
			fail_msg("%s", rows[i].answer);
		e->n_out = 0;
		engine_stop(e);
	}
	/* what the guard says itself is none of the device's words */
	for (unsigned i = 0; i < 2; i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t");
		engine_line(e, i ? "wait 94s" : "lamp> RST 0.00 $ #");
		ENGINE_PLAY(e, "flush", "b> CON 0.01 0002 #02 " T, "lamp< CON 0.01 * #* Uri-Path:t", "flush");
		engine_stop(e);
	}
}

/* OSCORE passes, however alike two messages are, and what comes back does, too (RFC 8613 §10). */
static void test_opaque(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.05 0001 #01 OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #* OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$ OSCORE= Max-Age=3c !=01",
		    "a< ACK 2.05 0001 #01 OSCORE= Max-Age=3c !=01", "flush",
		    "a> CON 0.05 0002 #02 OSCORE=090205 Uri-Path:lamp !=00", "lamp< CON 0.05 * #* OSCORE=090205 !=00",
		    "flush");
	assert_int_equal(shared(e, SHARED_HIT) + shared(e, SHARED_JOINED), 0);
	engine_stop(e);
}

/* What succeeded in changing it makes it old, by any name and in any form. */
static void test_invalidated(void **state)
{
	static const struct {
		const char *request, *answer;
		bool old;
	} rows[] = {
		{ "0.03 0002 #02 " T " !y", "2.04", true },
		{ "0.02 0002 #02 " T " !y", "2.01", true },
		{ "0.04 0002 #02 " T, "2.02", true },
		{ "0.06 0002 #02 " T " !y", "2.04", true },
		{ "0.07 0002 #02 " T " Content-Format=3c !y", "2.04", true },
		{ "0.03 0002 #02 " T " !y", "4.04", false },
		{ "0.03 0002 #02 " T " !y", "5.00", false },
		{ "0.02 0002 #02 " T " !y", "2.05", false },
		{ "0.03 0002 #02 Uri-Path:lamp Uri-Path:u !y", "2.04", false },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
			    "lamp> ACK 2.05 $ #$ ETag=aa !x", "a< ACK 2.05 0001 #01 ETag=aa !x");
		engine_line(e, "a> CON %s", rows[i].request);
		engine_line(e, "lamp< CON %.4s * #* %s", rows[i].request,
			    strstr(rows[i].request, "Uri-Path:lamp") + 14);
		engine_line(e, "lamp> ACK %s $ #$", rows[i].answer);
		engine_line(e, "a< ACK %s 0002 #02", rows[i].answer);
		engine_line(e, "b> CON 0.01 0003 #03 " T);
		engine_line(e,
			    rows[i].old ? "lamp< CON 0.01 * #* ETag=aa Uri-Path:t" : "b< ACK 2.05 0003 #03 ETag=aa !x");
		engine_line(e, "quiet");
		engine_stop(e);
	}
}

/* What a response names is not what it was, either (RFC 7252 §5.9.1.1). */
static void test_location(void **state)
{
	static const struct {
		const char *answer;
		bool old;
	} rows[] = {
		{ "2.01 $ #$ Location-Path:t Location-Path:new", true },
		{ "2.04 $ #$ Location-Path:t Location-Path:new", true },
		{ "2.01 $ #$ Location-Path:t", false },
		{ "2.01 $ #$ Location-Query:q", false },
		{ "2.01 $ #$ Location-Path:t Location-Path:new Location-Query:q", false },
		{ "4.04 $ #$ Location-Path:t Location-Path:new", false },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 Uri-Path:lamp Uri-Path:t Uri-Path:new",
			    "lamp< CON 0.01 * #* Uri-Path:t Uri-Path:new", "lamp> ACK 4.04 $ #$",
			    "a< ACK 4.04 0001 #01", "a> CON 0.02 0002 #02 Uri-Path:lamp Uri-Path:make !y",
			    "lamp< CON 0.02 * #* Uri-Path:make !y");
		engine_line(e, "lamp> ACK %s", rows[i].answer);
		engine_line(e, "flush");
		engine_line(e, "b> CON 0.01 0003 #03 Uri-Path:lamp Uri-Path:t Uri-Path:new");
		engine_line(e, rows[i].old ? "lamp< CON 0.01 * #* Uri-Path:t Uri-Path:new" : "b< ACK 4.04 0003 #03");
		engine_line(e, "quiet");
		engine_stop(e);
	}
	{ /* a query alone is a location, too */
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Uri-Path:lamp Uri-Query:q",
			    "lamp< CON 0.01 * #* Uri-Query:q", "lamp> ACK 4.04 $ #$", "a< ACK 4.04 0001 #01",
			    "a> CON 0.02 0002 #02 Uri-Path:lamp !y", "lamp< CON 0.02 * #* !y",
			    "lamp> ACK 2.01 $ #$ Location-Query:q", "flush",
			    "a> CON 0.01 0003 #03 Uri-Path:lamp Uri-Query:q", "lamp< CON 0.01 * #* Uri-Query:q");
		e->n_out = 0;
		engine_stop(e);
	}
}

/* Blocks of what is known whole come from here; what is known in part goes on being asked for. */
static void test_blocks(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ ETag=aa !0123456789abcdefghijklmnopqrstuvwxyz",
		    "a< ACK 2.05 0001 #01 ETag=aa !0123456789abcdefghijklmnopqrstuvwxyz",
		    "b> CON 0.01 0001 #01 " T " Block2=", "b< ACK 2.05 0001 #01 ETag=aa Block2=08 !0123456789abcdef",
		    "b> CON 0.01 0002 #01 " T " Block2=10", "b< ACK 2.05 0002 #01 ETag=aa Block2=18 !ghijklmnopqrstuv",
		    "b> CON 0.01 0003 #01 " T " Block2=20", "b< ACK 2.05 0003 #01 ETag=aa Block2=20 !wxyz",
		    "b> CON 0.01 0004 #01 " T " Block2=06",
		    "b< ACK 2.05 0004 #01 ETag=aa !0123456789abcdefghijklmnopqrstuvwxyz", "quiet",
		    /* behind its end: the device may say what it thinks of that */
		    "b> CON 0.01 0005 #01 " T " Block2=30", "lamp< CON 0.01 * #* Uri-Path:t Block2=30",
		    "lamp> ACK 4.00 $ #$", "b< ACK 4.00 0005 #01", "a> CON 0.01 0008 #01 Uri-Path:lamp Uri-Path:two",
		    "lamp< CON 0.01 * #* Uri-Path:two", "lamp> ACK 2.05 $ #$ ETag=cc !0123456789abcdefghijklmnopqrstuv",
		    "a< ACK 2.05 0008 #01 ETag=cc !0123456789abcdefghijklmnopqrstuv",
		    "b> CON 0.01 0008 #01 Uri-Path:lamp Uri-Path:two Block2=20",
		    "lamp< CON 0.01 * #* Uri-Path:two Block2=20", "lamp> ACK 4.00 $ #$", "b< ACK 4.00 0008 #01",
		    /* the device cuts it: put together, for who wants blocks, too */
		    "a> CON 0.01 0006 #01 Uri-Path:lamp Block2=", "lamp< CON 0.01 * #*",
		    "lamp> ACK 2.05 $ #$ ETag=bb Block2=08 !0123456789abcdef", "quiet a",
		    "lamp< CON 0.01 * #* Block2=10", "lamp> ACK 2.05 $ #$ ETag=bb Block2=10 !ghij",
		    "a< ACK 2.05 0006 #01 ETag=bb Block2=08 !0123456789abcdef",
		    "a> CON 0.01 0007 #01 Uri-Path:lamp Block2=10", "a< ACK 2.05 0007 #01 ETag=bb Block2=10 !ghij",
		    "b> CON 0.01 0006 #01 Uri-Path:lamp", "b< ACK 2.05 0006 #01 ETag=bb !0123456789abcdefghij",
		    "b> CON 0.01 0007 #01 Uri-Path:lamp Block2=10", "b< ACK 2.05 0007 #01 ETag=bb Block2=10 !ghij",
		    "quiet");
	e->n_out = 0;
	engine_stop(e);
}

/* It changes in the middle: nobody is told the beginning of one and the end of another. */
static void test_blocks_change(void **state)
{
	struct engine *e = start();

	(void)state;
	/* a stranger's is not put together */
	ENGINE_PLAY(e, "c> CON 0.01 0006 #01 Uri-Path:lamp Block2=", "lamp< CON 0.01 * #*",
		    "lamp> ACK 2.05 $ #$ ETag=bb Block2=08 !0123456789abcdef",
		    "c< ACK 2.05 0006 #01 ETag=bb Block2=08 !0123456789abcdef", "prove b",
		    "b> CON 0.01 0001 #01 Uri-Path:lamp",
		    "b< ACK 2.05 0001 #01 ETag=bb Max-Age=3a Block2=08 !0123456789abcdef",
		    "b> CON 0.01 0007 #01 Uri-Path:lamp Block2=10", "lamp< CON 0.01 * #* Block2=10",
		    "lamp> ACK 2.05 $ #$ ETag=cc Block2=10 !GHIJ", "b< ACK 2.05 0007 #01 ETag=cc Block2=10 !GHIJ",
		    "b> CON 0.01 0008 #01 Uri-Path:lamp", "lamp< CON 0.01 * #*",
		    "lamp> ACK 2.05 $ #$ ETag=cc !0123456789ABCDEFGHIJ",
		    "b< ACK 2.05 0008 #01 ETag=cc !0123456789ABCDEFGHIJ", "quiet");
	engine_stop(e);
}

/* An address that proved nothing is told what is small, and else asked who it is. The engine watches I3. */
static void test_strangers(void **state)
{
	struct engine *e = start();

	(void)state;
	engine_client(e, "ntp", "[2001:db8:2::1]:123");
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ !on", "a< ACK 2.05 0001 #01 !on", "a> CON 0.01 0002 #02 Uri-Path:lamp",
		    "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !" LONG LONG LONG,
		    "a< ACK 2.05 0002 #02 !" LONG LONG LONG, "a> CON 0.01 0003 #03 Uri-Path:lamp Uri-Path:m",
		    "lamp< CON 0.01 * #* Uri-Path:m",
		    "lamp> ACK 2.05 $ #$ !" LONG "0123456789012345678901234567890123456789012345", "flush",
		    "x> CON 0.01 0001 #01 " T, "x< ACK 2.05 0001 #01 !on", "x> NON 0.01 0002 #02 " T,
		    "x< NON 2.05 * #02 !on", "x> CON 0.01 0003 #03 Uri-Path:lamp", "x< CON 0.00 * #", "quiet",
		    "x> NON 0.01 0004 #04 Uri-Path:lamp", "x< NON 4.01 * #04 Echo=*", "quiet",
		    /* three times what it sent, and never more than 136 bytes */
		    "x> CON 0.01 0005 # Uri-Path:lamp Uri-Path:m", "x< CON 0.00 * #", "quiet",
		    "x> CON 0.01 0006 #06 Uri-Path:lamp "
		    "Echo=00000000000000000000000000000000000000000000000000000000000000000000000000000000",
		    "x< CON 0.00 * #", "quiet",
		    /* and nothing at a well-known port */
		    "ntp> CON 0.01 0001 #01 " T, "ntp> NON 0.01 0002 #01 Uri-Path:lamp", "quiet",
		    /* one who is there answers the ping, and has it */
		    "c> CON 0.01 0001 #01 Uri-Path:lamp", "c< CON 0.00 * #", "quiet", "c> RST 0.00 $ #",
		    "c< ACK 2.05 0001 #01 !" LONG LONG LONG, "wait 1s", "flush", "d> NON 0.01 0001 #01 Uri-Path:lamp",
		    "d< NON 4.01 * #01 Echo=*", "d> NON 0.01 0002 #02 Uri-Path:lamp Echo=$",
		    "d< NON 2.05 * #02 Max-Age=* !" LONG LONG LONG, "quiet");
	/* where resets were guessed, no right one counts: an Echo does */
	for (unsigned i = 0; i < GUARD_GUESSES; i++)
		engine_line(e, "b> RST 0.00 %04x #", i);
	ENGINE_PLAY(e, "b> CON 0.01 0001 #01 Uri-Path:lamp", "b< ACK 4.01 0001 #01 Echo=*", "quiet");
	for (unsigned i = 0; i < 2000; i++)
		engine_line(e, "y> %s 0.01 %04x #%04x %s", i & 1 ? "CON" : "NON", i, i, i % 3 ? T : "Uri-Path:lamp");
	assert_int_equal(e->to_device, 3);
	e->n_out = 0;
	engine_stop(e);
}

/* For an hour what is old may be told where the device is silent. */
static struct engine *start_forgiving(void)
{
	struct proxy_config c = keeping(engine_open());

	c.stale_if_silent = TSTAMP_HOUR;
	return engine_start(&c);
}

/* A sleepy device: what is old is better than nothing, for so long as the operator says, and says so. */
static void test_stale(void **state)
{
	struct engine *e = start_forgiving();

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ ETag=aa !x",
		    "a< ACK 2.05 0001 #01 ETag=aa !x", "wait 30min", "a> CON 0.01 0002 #02 " T,
		    "lamp< CON 0.01 * #* ETag=aa Uri-Path:t", "wait 94s", "a< ACK 0.00 0002 #",
		    "a< CON 2.05 * #02 ETag=aa Max-Age= !x", "a> ACK 0.00 $ #", "flush",
		    /* not what a PUT made old, nor after the hour, nor for who observes */
		    "wait 30min", "a> CON 0.01 0003 #03 " T, "wait 94s", "a< ACK 0.00 0003 #", "a< CON 5.04 * #03",
		    "a> ACK 0.00 $ #", "flush", "a> CON 0.01 0004 #04 " T, "lamp< CON 0.01 * #* ETag=aa Uri-Path:t",
		    "lamp> ACK 2.03 $ #$ ETag=aa", "a< ACK 2.05 0004 #04 ETag=aa !x", "a> CON 0.03 0005 #05 " T,
		    "lamp< CON 0.03 * #* Uri-Path:t", "lamp> ACK 2.04 $ #$", "a< ACK 2.04 0005 #05",
		    "a> CON 0.01 0006 #06 " T, "wait 94s", "a< ACK 0.00 0006 #", "a< CON 5.04 * #06", "a> ACK 0.00 $ #",
		    "flush");
	assert_int_equal(shared(e, SHARED_STALE), 1);
	engine_stop(e);
}

/* An observer is not put off with something old: it hears that its device is silent. Its numbers have 24 bits. */
static void test_stale_observer(void **state)
{
	struct engine *e = start_forgiving();

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ ETag=aa !x",
		    "a< ACK 2.05 0001 #01 ETag=aa !x", "wait 2min", "a> CON 0.01 0002 #02 Observe= " T, "wait 94s",
		    "a< ACK 0.00 0002 #", "a< CON 5.04 * #02", "a> ACK 0.00 $ #", "flush");
	assert_int_equal(shared(e, SHARED_STALE), 0);
	e->proxy->observe_number = 0xfffffe;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0003 #03 Observe= " T,
		    "lamp< CON 0.01 * #*t ETag=aa Observe= Uri-Path:t", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0003 #03 Observe=ffffff !1", "lamp> NON 2.05 7001 #$t Observe=02 !2",
		    "a< NON 2.05 * #03 Observe= !2", "a> RST 0.00 $ #", "flush");
	engine_stop(e);
}

/* Behind one of our layers is another circle: what it is told strangers are not, nor the other way round. */
static void test_circles(void **state)
{
	struct bottle b = bottle_of(keeping(engine_roomy()));
	struct bottle_talk t = { .piv = 0 }, u = { .piv = 0 };

	(void)state;
	bottle_context(&b, "one", 7, PROXY_NO_SERVER);
	bottle_context(&b, "two", 7, PROXY_NO_SERVER);
	bottle_start(&b);
	engine_prove(b.e, "c");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 " T);
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !for one");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !for one");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0002 #20 " T);
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 !for one");
	bottle_ask(&b, &u, "b", "1", "CON 0.01 0001 #20 " T);
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !for two");
	bottle_hear(&b, &u, "b", 1, "ACK 2.05 0001 #20 !for two");
	ENGINE_PLAY(b.e, "c> CON 0.01 0001 #20 " T, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !for all",
		    "c< ACK 2.05 0001 #20 !for all");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0003 #20 " T);
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0003 #20 !for one");
	/* nor do they follow each other */
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0004 #20 Observe= " T);
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #* Observe= Uri-Path:t", "lamp> ACK 2.05 $ #$ Observe=01 !1");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0004 #20 Observe=* !1");
	ENGINE_PLAY(b.e, "c> CON 0.01 0002 #20 Observe= " T, "lamp< CON 0.01 * #* Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ Observe=01 !2", "c< ACK 2.05 0002 #20 Observe=* !2", "quiet");
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* A server that strangers may not ask tells them nothing by way of others either. */
static void test_not_admitted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bottle b = bottle_of(keeping(engine_roomy()));
		struct bottle_talk t = { .piv = 0 };

		b.cfg.policy.servers[0].plain = i == 0 ? PLAIN_DENY : PLAIN_THROTTLE;
		b.cfg.policy.servers[0].mode = i == 1 ? MODE_FULL : MODE_EXEMPTIONS;
		b.cfg.servers[0].require_layer = i == 2;
		bottle_context(&b, "one", 7, PROXY_NO_SERVER);
		bottle_start(&b);
		engine_prove(b.e, "c");
		bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 " T);
		ENGINE_PLAY(b.e, "lamp< CON 0.01 * #* Uri-Path:t", "c> CON 0.01 0001 #20 " T,
			    "c> CON 0.01 0002 #20 Observe= " T, "lamp> ACK 2.05 $ #$ !on");
		bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !on");
		engine_line(b.e, "c> CON 0.01 0003 #20 " T);
		for (const struct engine_sent *s; (s = engine_take(b.e, "c"));)
			assert_true(s->buf[1] != MSG_CONTENT);
		engine_line(b.e, "quiet lamp");
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* --- followers of one request ------------------------------------------------------------------------------------------ */

/* Who asks while the answer is waited for gets it, too; the device is asked once, however many ask. */
static void test_joined(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "b> NON 0.01 0001 #02 " T, "c> CON 0.01 0001 #03 " T, "a> CON 0.01 0002 #04 " T,
		    "lamp> ACK 0.00 $ #", "wait 2s", "a< ACK 0.00 0001 #", "a< ACK 0.00 0002 #", "quiet",
		    "lamp> CON 2.05 7001 #$ !on", "lamp< ACK 0.00 7001 #", "a< CON 2.05 * #04 !on", "a> ACK 0.00 $ #",
		    "a< CON 2.05 * #01 !on", "a> ACK 0.00 $ #", "b< NON 2.05 * #02 !on", "c< ACK 2.05 0001 #03 !on",
		    "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	/* and all hear of a failure */
	ENGINE_PLAY(e, "prove a", "prove b", "a> NON 0.01 0003 #01 Uri-Path:lamp", "lamp< NON 0.01 * #*",
		    "b> NON 0.01 0003 #02 Uri-Path:lamp", "lamp> RST 0.00 $ #", "b< NON 5.02 * #02",
		    "a< NON 5.02 * #01", "quiet");
	engine_stop(e);
}

/* Newcomers wait in a queue: who wants the same waits in the same place, and the device is asked once. */
static void test_waiting(void **state)
{
	struct proxy_config c = keeping(engine_careful());
	struct engine *e;
	uint64_t asked;
	uint32_t followers;

	(void)state;
	c.policy.servers[0].unknown_rate = (struct rate){ 6, TSTAMP_MIN };
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "prove b", "prove c", "prove d");
	for (unsigned i = 0; i < 64 && strcmp(e->action, "queue") != 0; i++)
		engine_line(e, "c> NON 0.01 %04x #%02x Uri-Path:lamp Uri-Path:%u", i, i, i);
	assert_string_equal(e->action, "queue");
	e->n_out = 0;
	asked = e->to_device;
	followers = e->proxy->exchanges.followers;
	ENGINE_PLAY(e, "d> NON 0.01 0001 #d1 " T, "a> NON 0.01 0001 #a1 " T, "b> NON 0.01 0001 #b1 " T,
		    /* one who proves nothing waits with them */
		    "x> NON 0.01 0001 #e1 " T, "quiet");
	assert_int_equal(e->proxy->exchanges.followers, followers + 4);
	for (unsigned i = 0; i < 10 && e->to_device < asked + 2; i++)
		engine_wait(e, 5 * TSTAMP_S);
	ENGINE_PLAY(e, "lamp< NON 0.01 * #* *p", "lamp< NON 0.01 * #* Uri-Path:t", "lamp> NON 2.05 7001 #$ !on",
		    "b< NON 2.05 * #b1 !on", "a< NON 2.05 * #a1 !on", "d< NON 2.05 * #d1 !on", "x< NON 2.05 * #e1 !on");
	e->n_out = 0;
	engine_stop(e);
}

/* Forged requests for what is on its way fill a part of the places: others are asked who they are, and then are told. */
static void test_forged_followers(void **state)
{
	struct proxy_config c = keeping(engine_careful());
	struct engine *e = engine_start(&c);
	unsigned joined;

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 *m #*t Uri-Path:t");
	for (unsigned i = 0; i < 300; i++) {
		struct path who = engine_path("[2001:db8:bad::1]:40000");
		uint8_t buf[64];
		char line[80];

		who.remote.ip[7] = (uint8_t)i;
		who.remote.ip[6] = (uint8_t)(i >> 8);
		snprintf(line, sizeof line, "CON 0.01 %04x #01 " T, i);
		engine_receive(e, &who, msgtext_write(line, buf, sizeof buf));
	}
	joined = e->proxy->exchanges.followers;
	assert_in_range(joined, 2, e->cfg.exchanges / 8 + 1);
	e->n_out = 0;
	assert_int_equal(e->to_device, 1);
	/* who proved himself is not shut out by them, nor who can */
	ENGINE_PLAY(e, "b> CON 0.01 0001 #02 " T, "quiet", "wait 10s", "c> CON 0.01 0001 #03 " T, "c< CON 0.00 * #",
		    "c> RST 0.00 $ #", "b< ACK 0.00 0001 #", "flush");
	assert_int_equal(e->proxy->exchanges.followers, joined + 2);
	ENGINE_PLAY(e, "lamp> ACK 2.05 $m #$t !on", "c< ACK 2.05 0001 #03 !on");
	assert_int_equal(e->to_device, 1);
	e->n_out = 0;
	engine_stop(e);
}

/* Half of the places are followers' at most: who comes then is judged as if nobody had asked, and asks for himself. */
static void test_places(void **state)
{
	struct proxy_config c = keeping(engine_roomy());
	struct engine *e;

	(void)state;
	c.exchanges = 16;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "prove b", "prove c", "prove d", "prove e", "prove f", "prove g", "prove h",
		    "a> CON 0.01 0001 #01 Observe= " T, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "a> CON 0.01 0002 #02 Observe= " T, "a> CON 0.01 0003 #03 Observe= " T,
		    "b> CON 0.01 0001 #01 Observe= " T, "c> CON 0.01 0001 #01 Observe= " T,
		    "d> CON 0.01 0001 #01 Observe= " T, "e> CON 0.01 0001 #01 Observe= " T,
		    "f> CON 0.01 0001 #01 Observe= " T, "quiet");
	assert_int_equal(e->proxy->exchanges.followers, 8);
	ENGINE_PLAY(e, "g> CON 0.01 0001 #01 Observe= " T, "lamp< CON 0.01 * #*g Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ Observe=01 !g", "g< ACK 2.05 0001 #01 Observe=* !g",
		    "lamp> NON 2.05 7001 #$t Observe=01 !t", "a< ACK 2.05 0003 #03 Observe=* !t", "flush",
		    "lamp> NON 2.05 7002 #$g Observe=02 !g2", "g< * 2.05 * #01 Observe=* !g2", "quiet");
	e->n_out = 0;
	engine_stop(e);
}

/* --- observers of one relation ------------------------------------------------------------------------------------------ */

struct crowd {
	unsigned n, told[200], last[200];
	uint32_t observe[200];
};

/* All of them answer two pings, as engine_prove does. */
static void prove(struct engine *e, const struct path *who, unsigned n)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < n; i++) {
			uint16_t mid = guard_ping(e->proxy->guard, &who[i].remote, &who[i].local, e->now);

			engine_receive(e, &who[i],
				       bytes_of((uint8_t[]){ 0x70, 0, (uint8_t)(mid >> 8), (uint8_t)mid }, 4));
		}
		engine_wait(e, 800 * TSTAMP_MS);
	}
	e->n_out = 0;
	e->to_client = e->to_device = 0;
}

static void count_told(struct engine *e, const struct engine_sent *s)
{
	struct crowd *c = e->sink_arg;
	struct msg_option opt;
	uint32_t observe;
	unsigned i = s->to.remote.ip[15];
	uint8_t ack[4] = { 0x60, 0, s->buf[2], s->buf[3] };
	struct msg m;

	assert_int_equal(s->to.leg, LEG_CLIENT);
	assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
	assert_true(i < c->n && m.code == MSG_CONTENT && m.payload.len == 2);
	assert_true(msg_find(&m, OPTION_OBSERVE, &opt) && option_uint(opt.value, &observe));
	if (c->told[i]++) /* RFC 7641 §3.4 */
		assert_true(((observe - c->observe[i]) & 0xffffff) - 1 < 0x7fffff);
	c->observe[i] = observe;
	c->last[i] = (unsigned)(m.payload.ptr[0] << 8 | m.payload.ptr[1]);
	if (m.type == MSG_CON)
		proxy_receive(e->proxy, &s->to, bytes_of(ack, sizeof ack), e->now);
}

/* 200 of them: the device has one relation and tells each change once; each of them is told each change, in its order. */
static void test_crowd(void **state)
{
	struct proxy_config cfg = keeping(engine_open());
	struct engine *e;
	struct crowd c = { .n = 200 };
	struct path who[200];
	char line[160];

	(void)state;
	cfg.exchanges = 1024;
	cfg.policy.relations = 1024;
	cfg.servers[0].observe_max = 1;
	e = engine_start(&cfg);
	for (unsigned i = 0; i < c.n; i++) {
		who[i] = engine_path("[2001:db8:aaaa::]:40000");
		who[i].remote.ip[7] = who[i].remote.ip[15] = (uint8_t)i;
	}
	prove(e, who, c.n);
	for (unsigned i = 0; i < c.n; i++) {
		uint8_t buf[64];

		snprintf(line, sizeof line, "CON 0.01 %04x #%02x Observe= " T, i, i);
		engine_receive(e, &who[i], msgtext_write(line, buf, sizeof buf));
		if (i == 100) {
			ENGINE_PLAY(e, "lamp< CON 0.01 * #*o Observe= Uri-Path:t", "quiet",
				    "lamp> ACK 2.05 $ #$ Observe=01 Max-Age=ffff !=0001");
			assert_int_equal(e->to_client, 101);
		}
	}
	assert_int_equal(e->to_device, 1);
	assert_int_equal(e->to_client, c.n);
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	assert_int_equal(e->proxy->exchanges.following, c.n);
	e->n_out = 0;
	e->sink = count_told;
	e->sink_arg = &c;
	for (unsigned i = 2; i < 40; i++) {
		engine_line(e, "lamp> NON 2.05 %04x #$o Observe=%02x Max-Age=ffff !=%04x", 0x7000 + i, i, i);
		engine_wait(e, 100 * TSTAMP_MS);
		for (unsigned k = 0; k < c.n; k++) {
			assert_int_equal(c.told[k], i - 1);
			assert_int_equal(c.last[k], i);
		}
	}
	assert_int_equal(e->to_device, 1);
	e->sink = NULL;
	engine_stop(e);
}

/* 20 opaque ones are 20 relations, and none hears another's. */
static void test_opaque_observers(void **state)
{
	struct proxy_config cfg = keeping(engine_open());
	struct engine *e;
	char tokens[20][20];

	(void)state;
	cfg.servers[0].observe_max = 20;
	e = engine_start(&cfg);
	for (unsigned i = 0; i < 20; i++) {
		engine_line(e, "%c> CON 0.05 %04x #%02x Observe= OSCORE=0901%02x Uri-Path:lamp !=00", 'a' + i % 8, i, i,
			    i);
		engine_line(e, "lamp< CON 0.05 * #* Observe= OSCORE=0901%02x !=00", i);
		strcpy(tokens[i], engine_peer(e, "lamp")->token);
		engine_line(e, "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= !=%02x", i);
		engine_line(e, "%c< ACK 2.05 %04x #%02x Observe=01 OSCORE= !=%02x", 'a' + i % 8, i, i, i);
	}
	assert_int_equal(e->proxy->exchanges.observing[0], 20);
	e->n_out = 0;
	for (unsigned n = 0; n < 200; n++) {
		unsigned i = (unsigned)(engine_random(e) % 20);

		engine_line(e, "lamp> NON 2.05 %04x #%s Observe=02 OSCORE=02%04x !=%02x", 0x7000 + n, tokens[i], n, i);
		engine_line(e, "%c< *z 2.05 * #%02x Observe=02 OSCORE=02%04x !=%02x", 'a' + i % 8, i, n, i);
		if (strcmp(e->saved_mid['z' - 'a'], "CON") == 0)
			engine_line(e, "%c> ACK 0.00 $ #", 'a' + i % 8);
		engine_line(e, "quiet lamp");
		engine_prove(e, (char[]){ (char)('a' + i % 8), '\0' });
	}
	e->n_out = 0;
	engine_stop(e);
}

/* Who observes does not follow one who only asks; who leaves the newcomers' queue leaves no place taken in it. */
static void test_observer_asks(void **state)
{
	struct engine *e = start();
	struct proxy_config c = engine_careful();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 *m #*t Uri-Path:t",
		    "b> CON 0.01 0001 #02 Observe= " T, "lamp< CON 0.01 *n #*u Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $m #$t !1", "a< ACK 2.05 0001 #01 !1", "lamp> ACK 2.05 $n #$u Observe=01 !2",
		    "b< ACK 2.05 0001 #02 Observe=* !2", "quiet");
	engine_stop(e);
	c.policy.servers[0].unknown_budget = 0;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> NON 0.01 0001 #01 Observe= " T, "quiet");
	assert_int_equal(newcomers_waiting(e->proxy->guard->newcomers, 0), 1);
	ENGINE_PLAY(e, "a> NON 0.01 0002 #01 Observe=01 " T, "quiet"); /* of a /64 only one waits: now it is this one */
	assert_int_equal(newcomers_waiting(e->proxy->guard->newcomers, 0), 1);
	assert_int_equal(e->proxy->exchanges.count, 1);
	e->n_out = 0;
	engine_stop(e);
}

/* Renewing what newcomers observe costs what their asking would: half of a day's budget, and no more. */
static void test_renewals_cost(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;
	unsigned asked = 0;

	(void)state;
	c.policy.servers[0].unknown_budget = 20;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> NON 0.01 0001 #01 Observe= " T, "lamp< NON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> NON 2.05 7000 #$t Observe=01 Max-Age=05 !1", "flush");
	for (unsigned i = 0; i < 200; i++) {
		const struct engine_sent *s;

		engine_wait(e, TSTAMP_S);
		if (!engine_take(e, "lamp"))
			continue;
		asked++;
		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x Max-Age=05 !1", 0x7000 + asked, asked + 1);
		while ((s = engine_take(e, "a")))
			if ((s->buf[0] >> 4 & 3) == MSG_CON) /* it is there */
				engine_line(e, "a> ACK 0.00 %02x%02x #", s->buf[2], s->buf[3]);
	}
	assert_in_range(asked, 9, 10);
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	e->n_out = 0;
	engine_stop(e);
}

/* So many of one client; the seventeenth is answered, but not observed. */
static void test_each(void **state)
{
	struct proxy_config cfg = keeping(engine_open());
	struct engine *e = engine_start(&cfg);

	(void)state;
	ENGINE_PLAY(e, "prove b", "b> CON 0.01 0001 #01 Observe= " T, "lamp< CON 0.01 * #* Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ Observe=01 !1", "b< ACK 2.05 0001 #01 Observe=* !1", "prove a");
	for (unsigned i = 1; i <= 20; i++) {
		engine_line(e, "a> CON 0.01 %04x #%02x Observe= " T, i, i);
		engine_line(e, "a< ACK 2.05 %04x #%02x %s!1", i, i,
			    i <= SHARE_OBSERVERS_EACH ? "Observe=* Max-Age=* " : "Max-Age=* ");
	}
	ENGINE_PLAY(e, "quiet", "d> CON 0.01 0001 #01 Observe= " T, "d< ACK 2.05 0001 #01 Observe=* Max-Age=* !1");
	e->n_out = 0;
	engine_stop(e);
}

/* It registers again under its token before it was answered: one observation. It leaves before that: none, here or there. */
static void test_early(void **state)
{
	struct proxy_config without = engine_roomy();
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> NON 0.01 0001 #01 Observe= " T, "lamp< NON 0.01 * #*t Observe= Uri-Path:t",
		    "a> NON 0.01 0002 #01 Observe= " T, "quiet", "lamp> NON 2.05 7001 #$t Observe=01 !1",
		    "a< NON 2.05 * #01 Observe=* !1", "quiet", "lamp> NON 2.05 7002 #$t Observe=02 !2",
		    "a< NON 2.05 * #01 Observe=* !2", "quiet", "a> RST 0.00 $ #",
		    "lamp> NON 2.05 7003 #$t Observe=03 !3", "lamp< RST 0.00 7003 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
	e = engine_start(&without); /* else the one that leaves would be told the same as the other */
	ENGINE_PLAY(e, "prove a", "a> NON 0.01 0003 #01 Observe= Uri-Path:lamp",
		    "lamp< NON 0.01 * #*t Observe=", "a> NON 0.01 0004 #01 Observe=01 Uri-Path:lamp",
		    "lamp< NON 0.01 * #*d Observe=01", "lamp> NON 2.05 7004 #$d !0", "a< NON 2.05 * #01 !0",
		    "lamp> NON 2.05 7005 #$t Observe=01 Max-Age=ffffffff !1", "quiet",
		    "lamp> NON 2.05 7006 #$t Observe=02 Max-Age=ffffffff !2", "lamp< RST 0.00 7006 #", "quiet");
	assert_int_equal(e->proxy->exchanges.observing[0], 0);
	e->n_out = 0;
	engine_stop(e);
}

/* Of two only the last one's leaving is the device's business. */
static void test_leaving(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(
		e, "prove a", "prove b", "a> CON 0.01 0001 #0a Observe= " T, "lamp< CON 0.01 * #*o Observe= Uri-Path:t",
		"lamp> ACK 2.05 $ #$ Observe=01 Max-Age=05 !1", "a< ACK 2.05 0001 #0a Observe=* Max-Age=05 !1",
		"b> CON 0.01 0001 #0b Observe= " T, "b< ACK 2.05 0001 #0b Observe=* Max-Age=05 !1",
		/* what is told is kept, too, and serves who only asks */
		"b> CON 0.01 0002 #bb " T, "b< ACK 2.05 0002 #bb Max-Age=05 !1", "a> CON 0.01 0002 #0a Observe=01 " T,
		"a< ACK 2.05 0002 #0a Max-Age=05 !1", "quiet", "lamp> NON 2.05 7001 #$o Observe=02 Max-Age=05 !2",
		"b< NON 2.05 * #0b Observe=* Max-Age=05 !2", "quiet", "b> RST 0.00 $ #", "quiet",
		"lamp> NON 2.05 7002 #$o Observe=03 !3", "lamp< RST 0.00 7002 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* What it observed is known to be old: that it leaves goes up, under the token of the relation. */
static void test_leaving_old(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #0a Observe= " T, "lamp< CON 0.01 * #*o Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ Observe=01 !1", "a< ACK 2.05 0001 #0a Observe=* !1", "a> CON 0.03 0002 #02 " T,
		    "lamp< CON 0.03 * #* Uri-Path:t", "lamp> ACK 2.04 $ #$", "a< ACK 2.04 0002 #02",
		    "a> CON 0.01 0003 #0a Observe=01 " T, "lamp< CON 0.01 * #$o Observe=01 Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ !2", "a< ACK 2.05 0003 #0a !2", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* A relation that is being renewed has its place among the server's all the time. */
static void test_renewed_places(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e;

	(void)state;
	c.servers[0].observe_max = 1;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #0a Observe= " T, "lamp< CON 0.01 * #*o Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ Observe=01 Max-Age=0a !1", "a< ACK 2.05 0001 #0a Observe=* Max-Age=0a !1",
		    "wait 10s", "lamp< CON 0.01 *m #$o Observe= Uri-Path:t", "prove b",
		    "b> CON 0.01 0001 #0b Observe= Uri-Path:lamp", "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !b",
		    "b< ACK 2.05 0001 #0b !b");
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	ENGINE_PLAY(e, "lamp> ACK 2.05 $m #$o Observe=02 Max-Age=0a !2", "a< * 2.05 * #0a Observe=* Max-Age=0a !2");
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	ENGINE_PLAY(e, "wait 10s", "lamp< CON 0.01 *m #$o Observe= Uri-Path:t", "lamp> RST 0.00 $m #", "flush");
	assert_int_equal(e->proxy->exchanges.observing[0], 0);
	engine_stop(e);
}

/* The device says that what was kept is still good, to a registration and to its renewal: who comes later hears what that is. */
static void test_confirmed(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ ETag=aa Max-Age=05 !on", "a< ACK 2.05 0001 #01 ETag=aa Max-Age=05 !on",
		    "wait 6s", "a> CON 0.01 0002 #0a Observe= " T, "lamp< CON 0.01 * #*o ETag=aa Observe= Uri-Path:t",
		    "lamp> ACK 2.03 $ #$ ETag=aa Observe=01 Max-Age=14",
		    "a< ACK 2.05 0002 #0a ETag=aa Observe=* Max-Age=14 !on", "wait 1s",
		    "b> CON 0.01 0002 #0b Observe= " T, "b< ACK 2.05 0002 #0b ETag=aa Observe=* Max-Age=13 !on",
		    "wait 19s", "lamp< CON 0.01 * #$o ETag=aa Observe= Uri-Path:t",
		    "lamp> ACK 2.03 $ #$ ETag=aa Observe=01 Max-Age=14",
		    "b< * 2.05 * #0b ETag=aa Observe=* Max-Age=14 !on",
		    "a< * 2.05 * #0a ETag=aa Observe=* Max-Age=14 !on", "quiet");
	e->n_out = 0;
	engine_stop(e);
}

/* It gives up, or is gone: all of them hear of it, and nobody is left behind. */
static void test_lost(void **state)
{
	static const char *const words[][3] = {
		{ "lamp> NON 4.04 7001 #$o", "NON 4.04 * #0a", "NON 4.04 * #0b" },
		{ "lamp> NON 2.05 7001 #$o !last", "NON 2.05 * #0a !last", "NON 2.05 * #0b !last" },
		{ "lamp> NON 2.05 7001 #$o Observe=02 65002=aa !x", "NON 5.02 * #0a", "NON 5.02 * #0b" },
		{ "lamp> NON 2.05 7001 #$o Observe=02 Block2=50 !x", "NON 5.02 * #0a", "NON 5.02 * #0b" },
		{ "lamp> NON 2.03 7001 #$o Observe=02 ETag=aa", "NON 5.02 * #0a", "NON 5.02 * #0b" },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(words); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #0a Observe= " T,
			    "lamp< CON 0.01 * #*o Observe= Uri-Path:t", "lamp> ACK 2.05 $ #$ Observe=01 !1",
			    "a< ACK 2.05 0001 #0a Observe=* !1", "b> CON 0.01 0001 #0b Observe= " T,
			    "b< ACK 2.05 0001 #0b Observe=* !1");
		if (i == 4)
			engine_line(e, "lamp> NON 2.03 7001 #$o ETag=aa Observe=02");
		else
			engine_line(e, "%s", words[i][0]);
		engine_line(e, "b< %s", words[i][2]);
		engine_line(e, "a< %s", words[i][1]);
		engine_line(e, "quiet");
		assert_int_equal(e->proxy->exchanges.count, 0);
		engine_stop(e);
	}
}

/* A device that answers another block than the one it was asked for poisons neither clients nor the cache. */
static void test_wrong_block(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 " T " Block2=", "b> CON 0.01 0001 #02 " T,
		    "lamp< CON 0.01 * #* Uri-Path:t", "quiet", "lamp> ACK 2.05 $ #$ Block2=58 !0123456789abcdef",
		    "b< ACK 5.02 0001 #02", "a< ACK 5.02 0001 #01", "b> CON 0.01 0002 #02 " T,
		    "lamp< CON 0.01 * #* Uri-Path:t", "flush");
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_validated),
		cmocka_unit_test(test_validated_relation),
		cmocka_unit_test(test_client_validates),
		cmocka_unit_test(test_max_age),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_invalidated),
		cmocka_unit_test(test_location),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_blocks_change),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_stale_observer),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_not_admitted),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_forged_followers),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_opaque_observers),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_renewals_cost),
		cmocka_unit_test(test_observer_asks),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_renewed_places),
		cmocka_unit_test(test_leaving_old),
		cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_wrong_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

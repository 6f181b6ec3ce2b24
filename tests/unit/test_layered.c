/*
 * layered: what lasts longer than one answer: observations, buckets, lanes and reloads of requests whose layers came
 * off; and wires that somebody damaged.
 */
#include "bottle.h"
#include "coap/option.h"
#include "guard/state.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LAMP, DOOR, HALL };

static struct bottle two(struct proxy_config cfg)
{
	struct bottle b = bottle_of(cfg);

	bottle_context(&b, "first", 7, PROXY_NO_SERVER);
	bottle_context(&b, "second", 7, PROXY_NO_SERVER);
	return b;
}

/* --- observations ------------------------------------------------------------------------------------------------- */

/* a observes the lamp; the engine's token is kept as #$o. */
static void observe(struct bottle *b, struct bottle_talk *t, const char *layers)
{
	bottle_ask(b, t, "a", layers, "CON 0.01 0001 #20 Observe= Uri-Path:lamp");
	ENGINE_PLAY(b->e, "lamp< CON 0.01 * #*o Observe=", "lamp> ACK 2.05 $ #$ Observe=01 !0");
	bottle_hear(b, t, "a", (unsigned)strlen(layers), "ACK 2.05 0001 #20 Observe=* !0");
	assert_true(t->piv == BOTTLE_NO_PIV);
}

static void test_notifications(void **state)
{
	static const char *const layers[] = { "0", "01", "10" };
	char line[64];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bottle b = two(engine_roomy());
		struct bottle_talk t = { .piv = 0 };
		unsigned depth = (unsigned)strlen(layers[i]), cons = 0;

		bottle_start(&b);
		engine_prove(b.e, "a");
		observe(&b, &t, layers[i]);
		for (unsigned n = 1; n <= 20; n++) {
			engine_line(b.e, "lamp> NON 2.05 %04x #$o Observe=%02x !%u", n, n + 1, n);
			snprintf(line, sizeof line, "* 2.05 * #20 Observe=* !%u", n);
			bottle_hear(&b, &t, "a", depth, line);
			assert_int_equal(t.piv, n - 1); /* fresh, and one after the other */
			if (t.wire[0] >> 4 == 4) {      /* a CON now and then */
				engine_line(b.e, "a> ACK 0.00 %s #", t.mid);
				cons++;
			}
			engine_wait(b.e, 5 * TSTAMP_S);
			engine_line(b.e, "quiet");
		}
		assert_true(cons > 0 && cons < 5);
		/* the end, under the same token up there; the device's next word is not wanted */
		bottle_ask(&b, &t, "a", layers[i], "CON 0.01 0002 #20 Observe=01 Uri-Path:lamp");
		ENGINE_PLAY(b.e, "lamp< CON 0.01 * #$o Observe=01", "lamp> ACK 2.05 $ #$ !last");
		bottle_hear(&b, &t, "a", depth, "ACK 2.05 0002 #20 !last");
		ENGINE_PLAY(b.e, "lamp> NON 2.05 7777 #$o Observe=30 !x", "lamp< RST 0.00 7777 #", "quiet");
		assert_int_equal(b.e->proxy->exchanges.count, 0);
		bottle_stop(&b);
	}
}

/* A client nobody heard of before gets one answer, and a CON whose acknowledgement says that it wants more. */
static void test_unproven_observer(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start(&b);
	observe(&b, &t, "0");
	engine_line(b.e, "lamp> NON 2.05 0001 #$o Observe=02 !1");
	bottle_hear(&b, &t, "a", 1, "CON 2.05 * #20 Observe=* !1");
	ENGINE_PLAY(b.e, "quiet", "lamp> NON 2.05 0002 #$o Observe=03 !2", "lamp> NON 2.05 0003 #$o Observe=04 !3");
	engine_line(b.e, "a> ACK 0.00 %s #", t.mid);
	b.e->n_out = 0;
	engine_line(b.e, "lamp> NON 2.05 0004 #$o Observe=05 !4");
	bottle_hear(&b, &t, "a", 1, "* 2.05 * #20 Observe=* !4");
	bottle_stop(&b);
}

/* Renewed under the same token: the device sees one observation, and is not asked for what the client could be told. */
static void test_renewed(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start(&b);
	engine_prove(b.e, "a");
	observe(&b, &t, "0");
	engine_line(b.e, "lamp> NON 2.05 0001 #$o Observe=02 !1");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !1");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0002 #20 Observe= Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 Observe=* !1");
	assert_true(t.piv == BOTTLE_NO_PIV);
	ENGINE_PLAY(b.e, "wait 59s", "quiet", "wait 2s",
		    "lamp< CON 0.01 * #$o Observe=", "lamp> ACK 2.05 $ #$ Observe=03 !2");
	bottle_hear(&b, &t, "a", 1, "CON 2.05 * #20 Observe=* !2");
	engine_line(b.e, "a> ACK 0.00 %s #", t.mid);
	engine_line(b.e, "lamp> NON 2.05 0002 #$o Observe=04 !3");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !3");
	assert_int_equal(t.piv, 2);
	assert_int_equal(b.e->proxy->exchanges.count, 2); /* the client's, and the one it follows */
	assert_int_equal(b.e->proxy->exchanges.observing[0], 1);
	/* a RST says that nobody listens any more */
	engine_line(b.e, "a> RST 0.00 %s #", t.mid);
	ENGINE_PLAY(b.e, "lamp> NON 2.05 0003 #$o Observe=05 !4", "lamp< RST 0.00 0003 #", "quiet");
	assert_int_equal(b.e->proxy->exchanges.count, 0);
	bottle_stop(&b);
}

/* Who only knows address and token, or holds another key, neither ends it nor takes it over. */
static void test_not_his(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 }, other = { .piv = 0 };

	(void)state;
	bottle_start(&b);
	engine_prove(b.e, "a");
	observe(&b, &t, "0");
	ENGINE_PLAY(b.e, "a> CON 0.05 0e01 #20 Observe=01 OSCORE=090120 Uri-Path:lamp !=001122334455667788",
		    "lamp< CON 0.05 * #* Observe=01 OSCORE=090120 !=001122334455667788", "lamp> ACK 4.00 $ #$",
		    "a< ACK 4.00 0e01 #20", "prove a", "a> CON 0.01 0e02 #20 Observe=01 Uri-Path:lamp",
		    "lamp< CON 0.01 * #* Observe=01", "lamp> ACK 2.05 $ #$ !plain", "a< ACK 2.05 0e02 #20 !plain",
		    "a> CON 0.01 0e03 #20 Observe= Uri-Path:lamp",
		    "lamp< CON 0.01 * #*x Observe=", "lamp> ACK 2.05 $ #$ Observe=01 !plain",
		    "a< ACK 2.05 0e03 #20 Observe=* !plain");
	bottle_ask(&b, &other, "a", "1", "CON 0.01 0e04 #20 Observe=01 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*y Observe=01", "lamp> ACK 2.05 $ #$ !other");
	bottle_hear(&b, &other, "a", 1, "ACK 2.05 0e04 #20 !other");
	bottle_ask(&b, &other, "a", "01", "CON 0.01 0e05 #20 Observe=01 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*y Observe=01", "lamp> ACK 2.05 $ #$ !other");
	bottle_hear(&b, &other, "a", 2, "ACK 2.05 0e05 #20 !other");
	engine_line(b.e, "lamp> NON 2.05 0001 #$o Observe=02 !1");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !1");
	engine_line(b.e, "lamp> NON 2.05 0002 #$x Observe=02 !plain");
	engine_line(b.e, "a< NON 2.05 * #20 Observe=* !plain");
	bottle_stop(&b);
}

/* No number left: the first answer needs none; later ones are not sent, and counted. */
static void test_exhausted(void **state)
{
	struct oscore_state whole = bottle_fresh(5, true);
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start_off(&b);
	bottle_install(&b, 0, &whole, 6);
	engine_prove(b.e, "a");
	observe(&b, &t, "0");
	engine_line(b.e, "lamp> NON 2.05 0001 #$o Observe=02 !1");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !1");
	assert_int_equal(t.piv, 5);
	ENGINE_PLAY(b.e, "lamp> NON 2.05 0002 #$o Observe=03 !2", "lamp> CON 2.05 0003 #$o Observe=04 !3",
		    "lamp< ACK 0.00 0003 #", "quiet");
	assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTABLE], 2);
	assert_int_equal(oscore_store_at(b.e->proxy->contexts, 0)->counters.exhausted, 2);
	proxy_context_allow(b.e->proxy, 0, 10);
	engine_line(b.e, "lamp> NON 2.05 0004 #$o Observe=05 !4");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !4");
	assert_int_equal(t.piv, 6);
	/* what it may not put a layer on, it answers inside */
	engine_line(b.e, "lamp> NON 2.05 0005 #$o Observe=06 65004=7a !5");
	bottle_hear(&b, &t, "a", 1, "NON 5.02 * #20");
	bottle_stop(&b);
}

/* What fails on the way to the device or back is told inside, too. */
static void test_failures(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start(&b);
	bottle_ask(&b, &t, "a", "01", "CON 0.01 0001 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> RST 0.00 $ #");
	bottle_hear(&b, &t, "a", 2, "ACK 5.02 0001 #20");
	bottle_ask(&b, &t, "a", "01", "CON 0.01 0002 #21 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ 18=01 !unsafe");
	bottle_hear(&b, &t, "a", 2, "ACK 5.02 0002 #21");
	bottle_ask(&b, &t, "a", "01", "CON 0.01 0003 #22 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ 65004=01 !unknown");
	bottle_hear(&b, &t, "a", 2, "ACK 5.02 0003 #22");
	bottle_ask(&b, &t, "a", "01", "CON 0.01 0004 #23 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "wait 2s", "a< ACK 0.00 0004 #", "wait 5min");
	for (unsigned n = 0; n < 4; n++) /* the last retransmissions */
		engine_take(b.e, "lamp");
	bottle_hear(&b, &t, "a", 2, "CON 5.04 * #23");
	engine_wait(b.e, TSTAMP_MIN);
	b.e->n_out = 0;
	/* a separate response is a CON that is sent again as it was */
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0005 #24 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 0.00 $ #", "wait 3s", "a< ACK 0.00 0005 #",
		    "lamp> CON 2.05 0005 #$ !late", "lamp< ACK 0.00 0005 #");
	bottle_hear(&b, &t, "a", 1, "CON 2.05 * #24 !late");
	engine_wait(b.e, 10 * TSTAMP_S);
	for (unsigned n = 0; n < 2; n++) {
		const struct engine_sent *s = engine_take(b.e, "a");

		assert_non_null(s);
		assert_int_equal(s->len, t.len);
		assert_memory_equal(s->buf, t.wire, t.len);
	}
	engine_line(b.e, "a> ACK 0.00 %s #", t.mid);
	engine_line(b.e, "quiet");
	bottle_stop(&b);
}

/* --- what binds him ----------------------------------------------------------------------------------------------- */

/* Each context has a bucket for each server, two seconds deep. */
static void test_own_rate(void **state)
{
	static const struct {
		const char *layers, *path;
		unsigned burst;
	} rows[] = {
		{ "0", "lamp", 10 },
		{ "0", "lamp", 0 },                             /* spent */
		{ "1", "lamp", 10 },                            /* somebody else's */
		{ "10", "lamp", 0 },                            /* the last that came off pays */
		{ "0", "house Uri-Path:door", 2 },              /* a slower server */
		{ "0", "house Uri-Path:door", 0 },              /* spent */
		{ "0", "lamp Uri-Path:after Uri-Path:2s", 10 }, /* which binds him there only */
	};
	struct proxy_config c = engine_roomy();
	struct bottle b;
	unsigned mid = 1;

	(void)state;
	c.policy.servers[LAMP].trusted_rate = (struct rate){ 5, TSTAMP_S };
	c.policy.servers[DOOR].trusted_rate = (struct rate){ 1, TSTAMP_MIN };
	b = two(c);
	bottle_start(&b);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *server = strncmp(rows[i].path, "lamp", 4) == 0 ? "lamp" : "door";
		unsigned depth = (unsigned)strlen(rows[i].layers);
		struct bottle_talk t = { .piv = 0 };
		char line[96];

		if (i == 6)
			engine_wait(b.e, 2 * TSTAMP_S);
		for (unsigned n = 0; n <= rows[i].burst; n++, mid++) {
			snprintf(line, sizeof line, "NON 0.01 %04x #20 Uri-Path:%s", mid, rows[i].path);
			bottle_ask(&b, &t, "a", rows[i].layers, line);
			if (n < rows[i].burst) {
				assert_non_null(engine_take(b.e, server));
				continue;
			}
			bottle_hear(&b, &t, "a", depth,
				    *server == 'l' ? "NON 4.29 * #20 Max-Age=01" : "NON 4.29 * #20 Max-Age=3d");
		}
		assert_string_equal(b.e->reason, "relation-rate");
		engine_line(b.e, "quiet");
	}
	bottle_stop(&b);
}

/* a is authenticated, b trusted; the link is full when both ask. */
static void test_lanes(void **state)
{
	struct proxy_config c = engine_roomy();
	struct bottle b;
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	b = two(c);
	bottle_start(&b);
	for (unsigned n = 1; n <= 10; n++) {
		engine_line(b.e, "b> CON 0.02 %04x #%02x OSCORE=09%02x01 Uri-Path:lamp !=00112233", n, n, n);
		engine_line(b.e, "lamp< CON 0.02 * #* OSCORE=09%02x01 !=00112233", n);
		engine_line(b.e, "lamp> ACK 2.04 $ #$ OSCORE= !=0033");
		engine_line(b.e, "b< ACK 2.04 %04x #%02x OSCORE= !=0033", n, n);
		b.e->n_out = 0; /* pings */
	}
	assert_string_equal(b.e->lane, "trusted");
	c = b.cfg;
	c.links[0].sched.rate = (struct rate){ 100, TSTAMP_S };
	c.links[0].sched.burst = 300;
	c.links[0].queue_wait = 300 * TSTAMP_S;
	proxy_reconfigure(b.e->proxy, &c, b.e->now);
	for (unsigned n = 0; n < 6; n++) /* the first ones fill the link */
		engine_line(b.e, "b> NON 0.02 1%03x #1%x OSCORE=09%02x01 Uri-Path:lamp !=00112233445566778899", n, n,
			    20 + n);
	assert_string_equal(b.e->lane, "trusted");
	bottle_ask(&b, &t, "a", "0", "NON 0.02 0001 #20 Uri-Path:lamp !and a few bytes more");
	bottle_ask(&b, &t, "c", "1", "NON 0.02 0002 #21 Uri-Path:lamp !and a few bytes more");
	while (engine_take(b.e, "lamp"))
		;
	engine_wait(b.e, 3 * TSTAMP_S);
	ENGINE_PLAY(b.e, "lamp< NON 0.02 * #* !and a few bytes more", "lamp< NON 0.02 * #* !and a few bytes more",
		    "lamp< NON 0.02 * #* OSCORE=091701 *");
	engine_wait(b.e, TSTAMP_MIN);
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* --- reloads ------------------------------------------------------------------------------------------------------ */

static void test_reload(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 }, seen = { .piv = 0 };
	const struct oscore_context *c;
	struct proxy_config other;

	(void)state;
	bottle_start(&b);
	c = oscore_store_at(b.e->proxy->contexts, 0);
	engine_prove(b.e, "a");
	observe(&b, &t, "0");
	engine_line(b.e, "lamp> NON 2.05 0001 #$o Observe=02 !1");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !1");
	bottle_ask(&b, &seen, "a", "0", "CON 0.01 0002 #21 Uri-Path:nowhere");
	bottle_hear(&b, &seen, "a", 1, "ACK 4.04 0002 #21");
	/* the same setup: numbers, window and observation go on */
	other = b.cfg;
	other.contexts[0].servers = 1U << LAMP;
	other.precise_errors = true;
	proxy_reconfigure(b.e->proxy, &other, b.e->now);
	assert_true(oscore_context_works(c) && c->synced && c->next == 1 && c->window.next == 2);
	engine_line(b.e, "lamp> NON 2.05 0002 #$o Observe=03 !2");
	bottle_hear(&b, &t, "a", 1, "NON 2.05 * #20 Observe=* !2");
	assert_int_equal(t.piv, 1);
	bottle_ask(&b, &seen, "a", "0", "CON 0.01 0003 #21 Uri-Path:house Uri-Path:door");
	bottle_hear(&b, &seen, "a", 1, "ACK 4.01 0003 #21");
	/* a window of another size is another setup, and so is another name: it waits to be set up */
	other.contexts[0].setup.window = 64;
	proxy_reconfigure(b.e->proxy, &other, b.e->now);
	assert_false(oscore_context_works(c));
	assert_true(oscore_context_works(c + 1));
	ENGINE_PLAY(b.e, "lamp> NON 2.05 0003 #$o Observe=04 !3", "quiet a");
	assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTABLE], 1);
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0004 #22 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "a< ACK 4.01 0004 #22 Max-Age= !Security context not found");
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* A request whose context vanished is never answered: not in the clear, not under a new key, not when repeated. */
static void test_vanished(void **state)
{
	static const char *const ends[] = {
		"lamp> ACK 2.05 $ #$ !on",
		"lamp> RST 0.00 $ #",
		"lamp> ACK 2.05 $ #$ 18=01 !x",
		"wait 2min",
	};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct oscore_state fresh = bottle_fresh(0, true);
		struct bottle b = two(engine_roomy());
		struct bottle_talk t = { .piv = 0 };

		bottle_start(&b);
		bottle_ask(&b, &t, "a", "01", "CON 0.01 0001 #20 Uri-Path:lamp");
		ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "wait 2s", "a< ACK 0.00 0001 #", "quiet");
		if (i % 2)
			bottle_install(&b, 1, &fresh, 100); /* the same key, even: numbers were lost */
		else
			proxy_context_withdraw(b.e->proxy, 0);
		engine_line(b.e, "%s", ends[i / 2]);
		engine_wait(b.e, 2 * TSTAMP_MIN);
		engine_line(b.e, "quiet a");
		assert_int_equal(b.e->proxy->exchanges.count, 0);
		bottle_send(&b, &t, "a");
		engine_line(b.e, "quiet a");
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* A server that goes: who waits for it hears so inside his layers, which are there to the end. */
static void test_server_goes(void **state)
{
	struct bottle b = two(engine_roomy());
	struct bottle_talk t = { .piv = 0 };
	struct proxy_config other;

	(void)state;
	bottle_start(&b);
	other = b.cfg;
	bottle_ask(&b, &t, "a", "01", "CON 0.01 0001 #20 Uri-Path:lamp");
	engine_line(b.e, "lamp< CON 0.01 * #*");
	other.policy.servers[LAMP].present = false;
	memset(&other.contexts[0], 0, sizeof other.contexts[0]);
	proxy_reconfigure(b.e->proxy, &other, b.e->now);
	engine_wait(b.e, TSTAMP_MS);
	bottle_hear(&b, &t, "a", 2, "ACK 5.03 0001 #20");
	bottle_stop(&b);
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

/* Header, code, Message ID and token are not protected, and by design change nothing. */
static bool is_the_same(struct bytes wire, struct bytes bad)
{
	struct msg_option x, y;
	struct msg a, b;

	return msg_parse(&a, wire) == MSG_OK && msg_parse(&b, bad) == MSG_OK && msg_is_request(&b) &&
	       bytes_equal(a.payload, b.payload) && msg_find(&a, OPTION_OSCORE, &x) &&
	       msg_find(&b, OPTION_OSCORE, &y) && bytes_equal(x.value, y.value);
}

static void damage(struct bottle *b, const char *layers, const char *line, unsigned step)
{
	struct bottle_talk t = { .piv = 0 }, bad;
	const struct path *from = &engine_peer(b->e, "a")->path;

	bottle_wrap(b, &t, layers, NULL, line);
	for (size_t len = 0; len < t.len; len++)
		engine_receive(b->e, from, bytes_of(t.wire, len));
	for (size_t at = 0; at < t.len; at++)
		for (unsigned x = 1; x < 256; x += step) {
			bad = t;
			bad.wire[at] ^= (uint8_t)x;
			if (is_the_same(bytes_of(t.wire, t.len), bytes_of(bad.wire, bad.len)))
				continue;
			bottle_send(b, &bad, "a");
			if (b->e->to_device)
				fail_msg("byte %zu ^ %02x of a request under %s was forwarded", at, x, layers);
			b->e->n_out = 0;
		}
	b->e->n_out = 0;
	bottle_send(b, &t, "a");
	ENGINE_PLAY(b->e, "lamp< CON 0.01 * #* Uri-Path:on", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(b, &t, "a", (unsigned)strlen(layers), "ACK 2.05 0001 #20 !on");
	b->e->to_device = 0;
}

static void test_damage(void **state)
{
	static const struct {
		const char *layers;
		uint8_t id_context;
		unsigned step;
	} rows[] = { { "0", 0, 1 }, { "0", 3, 1 }, { "01", 0, 1 }, { "10", 3, 5 }, { "0101", 0, 7 } };

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bottle b = two(engine_roomy());
		struct bottle_talk t = { .piv = 0 };

		b.cfg.max_layers = 4;
		b.cfg.contexts[0].setup.id_context.len = rows[i].id_context;
		b.cfg.precise_errors = i & 1;
		bottle_start(&b);
		/* from where its holder was heard of, so that nothing is refused unread */
		bottle_ask(&b, &t, "a", rows[i].layers, "CON 0.01 0000 #20 Uri-Path:nowhere");
		bottle_hear(&b, &t, "a", (unsigned)strlen(rows[i].layers), "ACK 4.04 0000 #20");
		damage(&b, rows[i].layers, "CON 0.01 0001 #20 Uri-Path:lamp Uri-Path:on", rows[i].step);
		assert_true(b.e->failed_opens > t.len);
		assert_int_equal(oscore_store_at(b.e->proxy->contexts, 0)->counters.proven_failed, 0);
		bottle_stop(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notifications), cmocka_unit_test(test_unproven_observer),
		cmocka_unit_test(test_renewed),       cmocka_unit_test(test_not_his),
		cmocka_unit_test(test_exhausted),     cmocka_unit_test(test_failures),
		cmocka_unit_test(test_own_rate),      cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_reload),        cmocka_unit_test(test_vanished),
		cmocka_unit_test(test_server_goes),   cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

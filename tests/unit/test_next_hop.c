/* next_hop: the layer put on towards the next hop: when it goes on, what must bear it, and what if it cannot. */
#include "bottle.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LAMP, DOOR, HALL };
enum { CLIENT, NEXT }; /* contexts: with whoever asks us; with the lamp */

static struct bottle chain(struct proxy_config cfg)
{
	struct bottle b = bottle_of(cfg);

	assert_int_equal(bottle_context(&b, "client", 7, PROXY_NO_SERVER), CLIENT);
	assert_int_equal(bottle_context(&b, "next", 0, LAMP), NEXT);
	return b;
}

/* a's layers, and the options and payload it sends; what the lamp finds inside our layer. */
static void test_added(void **state)
{
	static const struct {
		const char *layers, *sent, *seen;
	} rows[] = {
		{ "", "CON 0.01 0001 #20 Uri-Path:lamp Uri-Path:t", "CON 0.01 * #* Uri-Path:t" },
		{ "0", "CON 0.01 0001 #20 Uri-Path:lamp Uri-Path:t", "CON 0.01 * #* Uri-Path:t" },
		{ "00", "NON 0.03 0001 #20 Uri-Path:lamp Content-Format=3c !x", "NON 0.03 * #* Content-Format=3c !x" },
		{ "0", "CON 0.02 0001 #20 OSCORE=0901ab Uri-Path:lamp !=0011", "CON 0.02 * #* OSCORE=0901ab !=0011" },
		{ "", "CON 0.02 0001 #20 OSCORE=0901ab Uri-Path:lamp !=0011", "CON 0.02 * #* OSCORE=0901ab !=0011" },
		{ "0", "CON 0.01 0001 #20 Uri-Path:lamp Hop-Limit=05", "CON 0.01 * #* Hop-Limit=04" },
		{ "0", "CON 0.01 0001 #20 Uri-Path:lamp Echo=aabb", "CON 0.01 * #* Echo=aabb" },
		{ "0", "CON 0.05 0001 #20 Observe=01 Uri-Path:lamp", "CON 0.05 * #* Observe=01" },
		{ "0", "CON 0.01 0001 #20 Uri-Host:lamp.example Uri-Path:t Proxy-Scheme:coap",
		  "CON 0.01 * #* Uri-Host:lamp.example Uri-Path:t Hop-Limit=10" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bottle b = chain(engine_roomy());
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };

		strcpy(b.cfg.servers[LAMP].uri_host, "lamp.example");
		bottle_start(&b);
		for (unsigned n = 0; n < 3; n++) {
			bottle_wrap(&b, &t, rows[i].layers, NULL, rows[i].sent);
			t.wire[3] = (uint8_t)n; /* Message ID */
			bottle_send(&b, &t, "a");
			bottle_get(&b, &up, "lamp", NEXT, rows[i].seen);
			assert_int_equal(up.piv, n);
			bottle_answer(&b, &up, "lamp", "NON 2.05 7777 #$ !on");
			bottle_hear(&b, &t, "a", (unsigned)strlen(rows[i].layers), "* 2.05 * #20 !on");
			b.e->n_out = 0; /* pings of a stranger's OSCORE */
			engine_wait(b.e, TSTAMP_S);
		}
		/* another server gets none */
		engine_line(b.e, "a> CON 0.01 0e00 #20 Uri-Path:house Uri-Path:door");
		engine_line(b.e, "door< CON 0.01 * #*");
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* Where it lost its window it asks for an Echo: our affair, and not the client's. */
static void test_echo(void **state)
{
	static const char *const layers[] = { "", "0", "00" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bottle b = chain(engine_roomy());
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 }, old;

		bottle_start(&b);
		bottle_ask(&b, &t, "a", layers[i], "CON 0.03 0001 #20 Uri-Path:lamp Echo=11 !x");
		bottle_get(&b, &up, "lamp", NEXT, "CON 0.03 * #* Echo=11 !x");
		old = up;
		up.asked[0].nonce_free = false; /* a number of its own (RFC 8613 B.1.2) */
		bottle_answer(&b, &up, "lamp",
			      i ? "ACK 4.01 $ #$ Echo=0011223344" : "CON 4.01 7777 #$ Echo=0011223344");
		if (i == 0)
			engine_line(b.e, "lamp< ACK 0.00 7777 #");
		engine_line(b.e, "quiet a");
		bottle_get(&b, &up, "lamp", NEXT, "CON 0.03 * #* Echo=0011223344 !x");
		assert_int_equal(up.piv, 1);
		/* what still comes to the first one says nothing */
		old.asked[0].nonce_free = true;
		bottle_answer(&b, &old, "lamp", "NON 2.05 7778 #$ !late");
		engine_line(b.e, "quiet a");
		bottle_answer(&b, &up, "lamp", "ACK 2.04 $ #$ !done");
		bottle_hear(&b, &t, "a", i, "ACK 2.04 0001 #20 !done");
		ENGINE_PLAY(b.e, "wait 1min", "quiet");
		/* once: who asks again and again is an answer */
		bottle_ask(&b, &t, "a", layers[i], "CON 0.03 0002 #21 Uri-Path:lamp !x");
		for (unsigned n = 0; n < 2; n++) {
			bottle_get(&b, &up, "lamp", NEXT, n ? "CON 0.03 * #* Echo=00 !x" : "CON 0.03 * #* !x");
			up.asked[0].nonce_free = false;
			bottle_answer(&b, &up, "lamp", "ACK 4.01 $ #$ Echo=00");
		}
		bottle_hear(&b, &t, "a", i, "ACK 4.01 0002 #21 Echo=00");
		engine_line(b.e, "quiet");
		bottle_stop(&b);
	}
}

/* The last datagram to this peer; what came before is dropped. */
static struct engine_sent last_to(struct engine *e, const char *peer)
{
	struct engine_sent last = { .len = 0 };
	const struct engine_sent *s;

	while ((s = engine_take(e, peer)))
		last = *s;
	return last;
}

/*
 * What does not bear the layer is no answer of the server's, and does not keep the true one from being taken. If none comes, that is the
 * trouble.
 */
static void test_plain(void **state)
{
	/* type, code, Message ID unless it is that of the request, options and payload */
	static const struct {
		const char *type, *mid, *rest;
	} answers[] = {
		{ "ACK 4.01", NULL, "" },
		{ "ACK 2.05", NULL, "!on" },
		{ "CON 2.05", "7777", "!on" },
		{ "ACK 4.01", NULL, "Echo=0011" },
		{ "NON 5.00", "7777", "" },
		{ "ACK 2.05", NULL, "Observe=01 !on" },
		{ "ACK 4.01", NULL, "Max-Age= !Security context not found" },
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof answers / sizeof *answers; i++) {
		struct bottle b = chain(engine_roomy());
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };
		bool answers_truly = i & 1;

		bottle_start(&b);
		bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
		bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #*");
		engine_line(b.e, "lamp> %s %s #%s %s", answers[i / 2].type,
			    answers[i / 2].mid ? answers[i / 2].mid : up.mid, up.token, answers[i / 2].rest);
		engine_line(b.e, "quiet a");
		assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTED], 1);
		if (answers_truly) {
			bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ !truly");
			bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !truly");
		} else {
			struct engine_sent last;

			engine_wait(b.e, 11 * TSTAMP_S);
			last = last_to(b.e, "a");
			assert_true(last.len > 4); /* inside the layer */
			assert_int_equal(b.e->proxy->answered[0][2], 1);
			assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTED], 2);
		}
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* How long the true answer is waited for does not depend on how many false ones come. */
static void test_plain_again(void **state)
{
	(void)state;
	for (unsigned con = 0; con < 2; con++) {
		struct bottle b = chain(engine_roomy());
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };

		bottle_start(&b);
		bottle_ask(&b, &t, "a", "0",
			   con ? "CON 0.01 0001 #20 Uri-Path:lamp" : "NON 0.01 0001 #20 Uri-Path:lamp");
		bottle_get(&b, &up, "lamp", NEXT, con ? "CON 0.01 * #*" : "NON 0.01 * #*");
		for (unsigned i = 0; i < 5; i++) {
			engine_line(b.e, "lamp> NON 2.05 70%02x #%s !on", i, up.token);
			engine_wait(b.e, i < 4 ? 2 * TSTAMP_S : 2 * TSTAMP_S - 1);
		}
		assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTED], 5);
		assert_int_equal(b.e->proxy->answered[0][2], 0);
		engine_wait(b.e, 1);
		assert_int_equal(b.e->proxy->answered[0][2], 1);
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* Forged, damaged, cut short: as if they had never come. The true one is still taken. */
static void test_forged(void **state)
{
	struct bottle b = chain(engine_roomy());
	struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 }, bad;

	(void)state;
	bottle_start(&b);
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #*");
	bottle_seal(&b, &up, "ACK 2.05 $ #$ !the true answer");
	/* behind header and token, and the option's number: without it there is no layer, see test_plain */
	for (unsigned bit = 0; bit < 8; bit++)
		for (size_t at = 13; at < up.len; at++) {
			bad = up;
			bad.wire[at] ^= (uint8_t)(1 << bit);
			bottle_send(&b, &bad, "lamp");
			engine_line(b.e, "quiet");
		}
	for (size_t len = 0; len < up.len; len++)
		if (len != 12)
			engine_receive(b.e, &engine_peer(b.e, "lamp")->path, bytes_of(up.wire, len));
	engine_line(b.e, "quiet");
	assert_true(b.e->proxy->faults[FAULT_NOT_AUTHENTIC] > 8 * (up.len - 14));
	bottle_send(&b, &up, "lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !the true answer");
	engine_line(b.e, "quiet");
	/* as CONs: the true one is no duplicate of the forged one, whose Message ID it has */
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0002 #20 Uri-Path:lamp");
	bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #*");
	bottle_seal(&b, &up, "CON 2.05 7777 #$ !the true answer");
	bad = up;
	bad.wire[bad.len - 1] ^= 1;
	bottle_send(&b, &bad, "lamp");
	ENGINE_PLAY(b.e, "lamp< ACK 0.00 7777 #", "quiet");
	bottle_send(&b, &up, "lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 !the true answer");
	ENGINE_PLAY(b.e, "lamp< ACK 0.00 7777 #", "quiet");
	bottle_stop(&b);
}

/* By Partial IV, whatever the outer Observe says; and none twice. */
static void test_notifications(void **state)
{
	struct bottle b = chain(engine_roomy());
	struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 }, kept[4];
	static const unsigned order[] = { 1, 0, 1, 3, 2, 3 };
	static const bool taken[] = { true, false, false, true, false, false };
	char last[sizeof up.token];

	(void)state;
	bottle_start(&b);
	engine_prove(b.e, "a");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Observe= Uri-Path:lamp");
	bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #* Observe=");
	bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ Observe=01 !first");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 Observe=* !first");
	up.wire[0] = (uint8_t)((up.wire[0] & 0xcf) | MSG_NON << 4);
	bottle_send(&b, &up, "lamp"); /* the first again, as if it were a notification */
	for (unsigned n = 0; n < 4; n++) {
		char line[64];

		snprintf(line, sizeof line, "NON 2.05 %04x #$ Observe=05 !number %u", 0x100 + n, n);
		bottle_seal(&b, &up, line);
		kept[n] = up;
	}
	engine_line(b.e, "quiet a");
	for (unsigned i = 0; i < 6; i++) {
		char line[64];

		bottle_send(&b, &kept[order[i]], "lamp");
		snprintf(line, sizeof line, "NON 2.05 * #20 Observe=* !number %u", order[i]);
		if (taken[i])
			bottle_hear(&b, &t, "a", 1, line);
		engine_line(b.e, "quiet a");
	}
	/* what the client asks for anew is known; when it is old it is asked for under a new number, and what belongs to the old one is old */
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0002 #20 Observe= Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 Observe=* !number 3");
	ENGINE_PLAY(b.e, "wait 59s", "quiet lamp", "wait 2s");
	snprintf(last, sizeof last, "%s", up.token);
	bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #* Observe=");
	assert_int_equal(up.piv, 1);
	assert_string_equal(up.token, last);
	bottle_seal(&b, &kept[3], "NON 2.05 0200 #$ Observe=09 !of the old one");
	bottle_send(&b, &kept[3], "lamp");
	engine_line(b.e, "quiet a");
	bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ Observe=01 !renewed");
	bottle_hear(&b, &t, "a", 1, "CON 2.05 * #20 Observe=* !renewed"); /* is it still there? */
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* The same bytes each time: a new number would be a new request. */
static void test_retransmitted(void **state)
{
	struct bottle b = chain(engine_roomy());
	struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };
	unsigned n = 0;

	(void)state;
	bottle_start(&b);
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #*");
	for (const struct engine_sent *s; engine_wait(b.e, 80 * TSTAMP_S), (s = engine_take(b.e, "lamp")); n++) {
		assert_int_equal(s->len, up.len);
		assert_memory_equal(s->buf, up.wire, up.len);
	}
	assert_int_equal(n, 4);
	assert_int_equal(b.e->seals, 2); /* one upwards, and the 5.04 */
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* Numbers are given out when a request leaves, so lanes that overtake each other do no harm. */
static void test_order(void **state)
{
	struct proxy_config c = engine_roomy();
	struct bottle b;
	struct bottle_talk t = { .piv = 0 };
	uint64_t last = BOTTLE_NO_PIV;
	unsigned n = 0, authenticated = 0;

	(void)state;
	c.links[0].sched = (struct linksched_config){
		.rate = { 200, TSTAMP_S }, .burst = 400, .overhead = 48, .queue_length = 32, .share = { 80, 15, 5 }
	};
	c.links[0].queue_wait = 60 * TSTAMP_S;
	b = chain(c);
	bottle_start(&b);
	for (unsigned i = 0; i < 12; i++) {
		engine_line(b.e, "%c> NON 0.02 1%03x #1%x Uri-Path:lamp !stranger", "bcd"[i % 3], i, i);
		engine_wait(b.e, 100 * TSTAMP_MS);
		char line[64];

		snprintf(line, sizeof line, "NON 0.02 2%03x #2%x Uri-Path:lamp !known", i, i);
		bottle_ask(&b, &t, "a", "0", line);
	}
	engine_wait(b.e, 50 * TSTAMP_S);
	for (const struct engine_sent *s; (s = engine_take(b.e, "lamp")); n++) {
		struct oscore_option o;
		struct oscore_room room;
		struct msg_option value;
		struct msg in, out;
		struct oscore_request rq;

		assert_int_equal(msg_parse(&in, bytes_of(s->buf, s->len)), MSG_OK);
		assert_true(msg_find(&in, 9, &value));
		oscore_option_parse(&o, value.value);
		assert_int_equal(oscore_option_number(o.piv), last + 1);
		last = oscore_option_number(o.piv);
		assert_int_equal(oscore_unprotect_request(&b.ends[NEXT], &in, &o, &room, &out, &rq), OSCORE_OK);
		authenticated += bytes_are(out.payload, "known");
	}
	assert_true(n >= 12 && authenticated == 12);
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* Off: no key. Mute: no number that is safe. Others go on. */
static void test_cannot(void **state)
{
	struct oscore_state whole = bottle_fresh(7, true);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bottle b = chain(engine_roomy());
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };

		bottle_start(&b);
		if (i & 1)
			proxy_context_withdraw(b.e->proxy, NEXT);
		else
			bottle_install(&b, NEXT, &whole, i ? 7 : 0);
		bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
		bottle_hear(&b, &t, "a", 1, "ACK 5.03 0001 #20");
		ENGINE_PLAY(b.e, "b> CON 0.01 0002 #20 Uri-Path:lamp", "b< ACK 5.03 0002 #20",
			    "b> CON 0.01 0003 #20 Uri-Path:house Uri-Path:door", "door< CON 0.01 * #*",
			    "door> ACK 2.05 $ #$ !shut", "b< ACK 2.05 0003 #20 !shut", "quiet");
		bottle_install(&b, NEXT, &whole, 70);
		bottle_ask(&b, &t, "a", "0", "CON 0.01 0004 #20 Uri-Path:lamp");
		bottle_get(&b, &up, "lamp", NEXT, "CON 0.01 * #*");
		assert_int_equal(up.piv, 7);
		bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ !on");
		bottle_hear(&b, &t, "a", 1, "ACK 2.05 0004 #20 !on");
		bottle_stop(&b);
	}
}

/* It stops while requests wait for the link: none of them ever goes out in the clear. */
static void test_stops(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct proxy_config c = engine_roomy(), other;
		struct bottle b;
		struct bottle_talk t[4];

		c.links[0].sched.rate = (struct rate){ 40, TSTAMP_S };
		c.links[0].sched.burst = 100;
		c.links[0].queue_wait = 60 * TSTAMP_S;
		b = chain(c);
		bottle_start(&b);
		for (unsigned n = 0; n < 4; n++) {
			char line[64];

			snprintf(line, sizeof line, "CON 0.01 000%u #2%u Uri-Path:lamp", n, n);
			bottle_ask(&b, &t[n], (const char *[]){ "a", "b", "c", "d" }[n], "0", line);
		}
		engine_line(b.e, "lamp< CON 0.02 * #* OSCORE=090051 *");
		engine_line(b.e, "quiet lamp");
		other = b.cfg;
		if (i == 0)
			proxy_context_withdraw(b.e->proxy, NEXT);
		if (i == 1)
			other.contexts[NEXT].next_hop = PROXY_NO_SERVER;
		if (i == 2)
			other.contexts[NEXT].setup.window = 64;
		proxy_reconfigure(b.e->proxy, &other, b.e->now);
		engine_wait(b.e, 30 * TSTAMP_S);
		for (const struct engine_sent *s; (s = engine_take(b.e, "lamp"));)
			assert_memory_equal(s->buf + 12, "\x93\x09\x00\x51", 4); /* the first one again */
		for (unsigned n = 1; n < 4; n++) {
			char line[64];
			const char *who = (const char *[]){ "a", "b", "c", "d" }[n];

			snprintf(line, sizeof line, "* 5.03 * #2%u", n);
			if (bottle_keep(&b, &t[n], who) && t[n].wire[1] == 0) /* an empty ACK before */
				bottle_hear(&b, &t[n], who, 1, line);
		}
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* Who puts a layer on must know every option. */
static void test_unknown_options(void **state)
{
	struct bottle b = chain(engine_roomy());

	(void)state;
	bottle_start(&b);
	engine_prove(b.e, "b");
	ENGINE_PLAY(b.e, "b> CON 0.01 0001 #20 Uri-Path:lamp 65001=7a", "b< ACK 4.02 0001 #20",
		    "b> CON 0.01 0002 #20 Uri-Path:lamp 65004=7a", "b< ACK 4.02 0002 #20",
		    "b> CON 0.01 0003 #20 Uri-Path:house Uri-Path:door 65004=7a", "door< CON 0.01 * #* 65004=7a",
		    "door> ACK 2.05 $ #$ 65004=7b !on", "b< ACK 2.05 0003 #20 65004=7b !on",
		    /* an observation is not lost by that */
		    "b> CON 0.01 0004 #21 Observe= Uri-Path:lamp", "lamp< CON 0.05 *m #*o Observe= OSCORE=090051 *");
	struct bottle_talk up = { .layers = "1" };

	up.asked[0] = (struct oscore_request){ .piv_len = 1, .piv = { 0 }, .fetch = true, .nonce_free = true };
	snprintf(up.mid, sizeof up.mid, "%s", b.e->saved_mid['m' - 'a']);
	snprintf(up.token, sizeof up.token, "%s", b.e->saved_token['o' - 'a']);
	bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ Observe=01 !on");
	engine_line(b.e, "b< ACK 2.05 0004 #21 Observe=* !on");
	ENGINE_PLAY(b.e, "b> CON 0.01 0005 #21 Observe= Uri-Path:lamp 65004=7a", "b< ACK 4.02 0005 #21");
	bottle_answer(&b, &up, "lamp", "NON 2.05 7777 #$ Observe=02 !on");
	engine_line(b.e, "b< NON 2.05 * #21 Observe=* !on");
	bottle_stop(&b);
}

/* I4 is watched by the engine: a small link, many requests, layers that make them longer after they were queued. */
static void test_link(void **state)
{
	struct proxy_config c = engine_careful();
	struct bottle b;
	struct bottle_talk t = { .piv = 0 };
	char line[128];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c.policy.servers[i].trusted_rate = (struct rate){ 1000, TSTAMP_S };
	c.links[0].sched.rate = (struct rate){ 300, TSTAMP_S };
	c.links[0].sched.burst = 256;
	c.links[0].nstart = 100;
	c.links[0].probing = c.links[0].sched.rate; /* nobody answers, and only the link is to be the limit */
	b = chain(c);
	b.cfg.contexts[NEXT].setup.id_context.len = 32;
	bottle_start(&b);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(line, sizeof line, "%s 0.02 %04x #20 Uri-Path:lamp Accept=32 !%.*s", i % 3 ? "CON" : "NON", i,
			 1 + (int)(i % 60), "a payload as long as it takes, and then some more of it, and more");
		bottle_ask(&b, &t, (const char *[]){ "a", "b", "c" }[i % 3], "0", line);
		engine_wait(b.e, engine_random(b.e) % TSTAMP_S);
	}
	assert_true(b.e->to_device > 50);
	b.e->n_out = 0;
	bottle_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added),           cmocka_unit_test(test_echo),
		cmocka_unit_test(test_plain),           cmocka_unit_test(test_plain_again),
		cmocka_unit_test(test_forged),          cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_retransmitted),   cmocka_unit_test(test_order),
		cmocka_unit_test(test_cannot),          cmocka_unit_test(test_stops),
		cmocka_unit_test(test_unknown_options), cmocka_unit_test(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* forgeries: who knows a kid of ours, and no key: what he costs us, and what he costs its holder (I1 to I3, I5). */
#include "bottle.h"
#include "guard/state.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LAMP, DOOR, HALL };

static struct bottle one(struct proxy_config cfg)
{
	struct bottle b = bottle_of(cfg);

	bottle_context(&b, "client", 7, PROXY_NO_SERVER);
	return b;
}

/* Only what a and c get, and the devices, is looked at. */
static void keep_ours(struct engine *e, const struct engine_sent *s)
{
	const struct path *a = &engine_peer(e, "a")->path, *c = &engine_peer(e, "c")->path;

	if (s->to.leg == LEG_CLIENT && !addr_equal(&s->to.remote, &a->remote) && !addr_equal(&s->to.remote, &c->remote))
		return;
	assert_true(e->n_out < ENGINE_OUT);
	e->out[e->n_out++] = *s;
}

/* A message under the kid that is as good as it looks; it names no server. */
static void forge(struct engine *e, const struct path *from)
{
	uint64_t x = engine_random(e), y = engine_random(e);
	uint8_t wire[] = { 0x44, 0x02, 0, 0, 0, 0, 0, 0, 0x94, 0x0a, 0, 0, 0x20, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

	memcpy(wire + 2, &x, 6);
	memcpy(wire + 10, (uint8_t *)&x + 6, 2);
	memcpy(wire + 14, &y, 8);
	engine_receive(e, from, bytes_of(wire, sizeof wire));
}

/* Anywhere in these; x and y, where I3 is watched, are among them now and then. */
static struct path anywhere(struct engine *e, const char *prefix)
{
	struct path p = engine_path(prefix);
	uint64_t x = engine_random(e);

	if (x % 100 == 0)
		return engine_peer(e, x % 200 ? "x" : "y")->path;
	memcpy(p.remote.ip + 3, &x, 4);
	memcpy(p.remote.ip + 12, (uint8_t *)&x + 4, 4);
	p.remote.port = (uint16_t)(x >> 40 | 1024);
	return p;
}

static void served(struct bottle *b, const char *who, unsigned n)
{
	struct bottle_talk t = { .piv = 0 };
	char line[64];

	snprintf(line, sizeof line, "CON 0.01 %04x #20 Uri-Path:lamp", n);
	bottle_ask(b, &t, who, "0", line);
	ENGINE_PLAY(b->e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	snprintf(line, sizeof line, "ACK 2.05 %04x #20 !on", n);
	bottle_hear(b, &t, who, 1, line);
}

/* So many, ten thousand a second, from everywhere or from the client's own address: each of its requests is answered. */
static void flood(unsigned n, uint8_t by_default, enum policy_mode mode, bool spoof_home)
{
	struct proxy_config c = engine_careful();
	struct bottle b;
	const struct oscore_context *ours;
	struct guard_totals before, after;
	unsigned asked = 0;

	c.listens[0].server = by_default;
	c.policy.servers[LAMP].mode = mode;
	c.links[0].sched.rate = (struct rate){ 10000, TSTAMP_S };
	b = one(c);
	bottle_start(&b);
	b.e->sink = keep_ours;
	ours = oscore_store_at(b.e->proxy->contexts, 0);
	served(&b, "a", asked++);
	guard_view_totals(b.e->proxy->guard, &before);
	for (unsigned i = 1; i <= n; i++) {
		if (i % 10 == 0) /* and one more try, which the next forgery takes */
			engine_wait(b.e, TSTAMP_MS);
		struct path from = spoof_home ? engine_peer(b.e, "a")->path : anywhere(b.e, "[2001:db9:0:1::1]:1024");

		if (spoof_home && i % 2)
			from = anywhere(b.e, "[2001:db9:0:1::1]:1024");
		forge(b.e, &from);
		if (i % 1000 == 0) {
			while (engine_take(b.e, "a"))
				; /* refusals of what was forged in its name */
			while (by_default != PROXY_NO_SERVER && engine_take(b.e, "lamp"))
				;
			served(&b, "a", asked++);
		}
	}
	guard_view_totals(b.e->proxy->guard, &after);
	assert_int_equal(asked, n / 1000 + 1);
	assert_int_equal(ours->counters.opened, asked);
	assert_int_equal(ours->counters.proven_failed, 0);
	/* from elsewhere no more than a thousand at once, and a thousand a second */
	assert_true(ours->counters.failed >= 1000);
	assert_true(ours->counters.failed <= 1000 + n / 10 + 1 + (spoof_home ? n / 2 : 0));
	if (by_default == PROXY_NO_SERVER || mode == MODE_FULL)
		assert_int_equal(b.e->to_device, asked);
	/* nothing is kept of any of them */
	assert_true(peers_is_home(&b.e->proxy->guard->peers, 0,
				  guard_flow(b.e->proxy->guard, &engine_peer(b.e, "a")->path.remote)));
	assert_int_equal(after.relations, before.relations);
	assert_int_equal(after.contexts, before.contexts);
	b.e->n_out = 0;
	bottle_stop(&b);
}

static void test_flood(void **state)
{
	(void)state;
	flood(1000000, PROXY_NO_SERVER, MODE_EXEMPTIONS, false);
	flood(1000000, PROXY_NO_SERVER, MODE_EXEMPTIONS, true);
	flood(100000, LAMP, MODE_FULL, true);
	flood(100000, LAMP, MODE_EXEMPTIONS, false);
}

/* The next empty CON to c is answered. */
static void answer_ping(struct bottle *b, const char *who)
{
	const struct engine_sent *s = engine_take(b->e, who);

	assert_non_null(s);
	assert_int_equal(s->len, 4);
	assert_int_equal(s->buf[0], 0x40);
	engine_receive(b->e, &engine_peer(b->e, who)->path, bytes_of((uint8_t[]){ 0x70, 0, s->buf[2], s->buf[3] }, 4));
}

/* All tries are spent, by strangers or by somebody who spoofs its prefix: at a new address the client proves itself. */
static void test_moves_under_attack(void **state)
{
	static const char *const prefixes[] = { "[2001:db9:0:1::1]:1024", "[2001:db8:3::bad]:1024" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bottle b = one(engine_roomy());
		struct bottle_talk t = { .piv = 0 };
		const struct path *from;
		struct path spoofed = engine_path(prefixes[i / 2]);

		bottle_start(&b);
		b.e->sink = keep_ours;
		from = &engine_peer(b.e, "c")->path;
		served(&b, "a", 0);
		for (unsigned j = 0; j < 3000; j++) {
			if (i / 2 == 0)
				spoofed = anywhere(b.e, prefixes[0]);
			else
				spoofed.remote.port = (uint16_t)(1024 + j);
			forge(b.e, &spoofed);
			if (i & 1) /* later, other prefixes use up what is left */
				forge(b.e, &(struct path[]){ anywhere(b.e, prefixes[0]) }[0]);
			if (i / 2 && j % 2) /* within what may be replied to a prefix */
				engine_wait(b.e, 2 * TSTAMP_MS);
		}
		b.e->n_out = 0;
		bottle_ask(&b, &t, "c", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
		assert_string_equal(b.e->reason, "key-rate");
		for (unsigned n = 0; n < 2; n++) { /* two answers make a proof; the attack goes on meanwhile */
			answer_ping(&b, "c");
			for (unsigned j = 0; j < 200; j++)
				forge(b.e, &spoofed);
			engine_wait(b.e, 700 * TSTAMP_MS);
			while (b.e->n_out > 1)
				engine_take(b.e, "c");
		}
		for (unsigned j = 0; j < 200; j++)
			forge(b.e, &spoofed);
		if (b.e->to_device == 1) /* nobody kept its request: it asks again, as it would anyway */
			bottle_send(&b, &t, "c");
		ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
		while (bottle_keep(&b, &t, "c") && t.wire[1] == 0)
			;
		assert_int_equal(t.wire[1], MSG_CHANGED);
		assert_true(peers_is_home(&b.e->proxy->guard->peers, 0, guard_flow(b.e->proxy->guard, &from->remote)));
		for (unsigned j = 0; j < 200; j++)
			forge(b.e, &spoofed);
		b.e->n_out = 0;
		served(&b, "c", 2);
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* Who proved his address and forges is counted, for the key and for his prefix. */
static void test_proven_forger(void **state)
{
	struct bottle b = one(engine_roomy());
	const struct oscore_context *ours;
	const struct path *from;
	uint8_t echo[ECHO_LEN], wire[64];
	uint64_t told;
	size_t len = 0;

	(void)state;
	bottle_start(&b);
	ours = oscore_store_at(b.e->proxy->contexts, 0);
	from = &engine_peer(b.e, "d")->path;
	for (unsigned i = 0; i < 200; i++) {
		struct proxy *p = b.e->proxy;
		char text[MSGTEXT_MAX], hex[2 * ECHO_LEN + 1];

		guard_echo(p->guard, &from->remote, &from->local, b.e->now, echo);
		msgtext_hex(bytes_of(echo, sizeof echo), hex);
		snprintf(text, sizeof text, "CON 0.02 %04x #20 OSCORE=09%02x20 Echo=%s !=00112233445566778899", i, i,
			 hex);
		len = msgtext_write(text, wire, sizeof wire).len;
		engine_receive(b.e, from, bytes_of(wire, len));
	}
	told = ours->counters.proven_failed;
	assert_true(told >= GUARD_FORGERIES && told <= GUARD_FORGERIES + 2);
	assert_int_equal(ours->counters.failed, told);
	b.e->n_out = 0;
	served(&b, "a", 0); /* nobody else's business */
	engine_wait(b.e, 2 * TSTAMP_MIN);
	engine_receive(b.e, from, bytes_of(wire, len)); /* its Echo is stale */
	assert_int_equal(ours->counters.proven_failed, told);
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* The window is lost, so old messages are authentic: who repeats them is not the peer, and draws only a few Echoes. */
static void test_old_ones(void **state)
{
	struct oscore_state lost = bottle_fresh(0, false);
	struct bottle b = one(engine_roomy());
	struct bottle_talk old = { .piv = 0 }, t = { .piv = 0 };
	const struct oscore_context *ours;

	(void)state;
	bottle_start_off(&b);
	bottle_install(&b, 0, &lost, 1 << 20);
	b.e->sink = keep_ours;
	ours = oscore_store_at(b.e->proxy->contexts, 0);
	bottle_wrap(&b, &old, "0", NULL, "CON 0.01 0000 #20 Uri-Path:lamp");
	for (unsigned i = 0; i < 20000; i++) {
		struct path from = anywhere(b.e, "[2001:db9:0:1::1]:1024");

		old.wire[2] = (uint8_t)(i >> 8);
		old.wire[3] = (uint8_t)i;
		engine_receive(b.e, &from, bytes_of(old.wire, old.len));
		if (i % 10 == 0)
			engine_wait(b.e, TSTAMP_MS);
		assert_false(peers_is_home(&b.e->proxy->guard->peers, 0, guard_flow(b.e->proxy->guard, &from.remote)));
	}
	assert_int_equal(b.e->to_device, 0);
	assert_true(ours->next >= PEERS_ECHOES_MAX && ours->next <= PEERS_ECHOES_MAX + 2 * 10 + 1);
	assert_true(ours->counters.opened <= 1000 + 2 * 1000 + 1);
	assert_int_equal(ours->counters.proven_failed, 0);
	/* the true one proves its address, and learns what to send */
	engine_prove(b.e, "a");
	for (unsigned i = 0; i < 200; i++) {
		struct path from = anywhere(b.e, "[2001:db9:0:1::1]:1024");

		old.wire[2] ^= 0x80;
		old.wire[3] = (uint8_t)i;
		engine_receive(b.e, &from, bytes_of(old.wire, old.len));
	}
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 4.01 0001 #20 Echo=*");
	bottle_ask(&b, &t, "a", "0", "CON 0.01 0002 #20 Uri-Path:lamp Echo=$");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 !on");
	bottle_stop(&b);
}

/* --- mode full, and servers behind a layer ------------------------------------------------------------------------ */

static void test_full(void **state)
{
	static const char *const refused[] = {
		"CON 0.01 %04x #20 Uri-Path:lamp",
		"CON 0.03 %04x #20 Uri-Path:lamp !on",
		"CON 0.01 %04x #20 Observe= Uri-Path:lamp",
		"CON 0.02 %04x #20 OSCORE=0900ab Uri-Path:lamp !=001122334455667788", /* somebody else's */
		"CON 0.02 %04x #20 OSCORE=091920 Uri-Path:lamp !=001122334455667788", /* forged */
		"CON 0.02 %04x #20 OSCORE=090020 Uri-Path:lamp !=001122334455667788", /* old */
		"CON 0.02 %04x #20 Uri-Path:lamp Uri-Path:.well-known Uri-Path:edhoc !=00",
		"CON 0.01 %04x #20 Uri-Host:fd00:db8::17 Proxy-Scheme:coap",
		"CON 0.01 %04x #20 Proxy-Uri:coap://[fd00:db8::17]/",
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct proxy_config c = engine_roomy();
		struct bottle b;
		char line[128];

		c.servers[LAMP].forward = true;
		c.policy.servers[LAMP].mode = i & 1 ? MODE_FULL : MODE_EXEMPTIONS;
		c.policy.servers[LAMP].plain = PLAIN_ALLOW;
		c.servers[LAMP].require_layer = !(i & 1);
		b = one(c);
		bottle_start(&b);
		served(&b, "a", 0);
		if (i & 2)
			engine_prove(b.e, "b");
		for (unsigned n = 0; n < sizeof refused / sizeof *refused; n++) {
			snprintf(line, sizeof line, refused[n], n);
			engine_line(b.e, "b> %s", line);
			engine_line(b.e, "b< ACK 4.01 %04x #20", n);
			assert_string_equal(b.e->reason, "not-authenticated");
			engine_line(b.e, "quiet");
		}
		served(&b, "a", 1);
		served(&b, "b", 0x100); /* from wherever */
		/* the others are as they were */
		ENGINE_PLAY(b.e, "b> CON 0.01 0e00 #20 Uri-Path:house Uri-Path:door", "door< CON 0.01 * #*");
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* Refusals are rationed like any other; who is authenticated is not. */
static void test_full_flood(void **state)
{
	struct proxy_config c = engine_careful();
	struct bottle b;
	uint64_t told;

	(void)state;
	c.policy.servers[LAMP].mode = MODE_FULL;
	c.links[0].sched.rate = (struct rate){ 10000, TSTAMP_S };
	b = one(c);
	bottle_start(&b);
	served(&b, "a", 0);
	b.e->sink = keep_ours;
	for (unsigned i = 0; i < 5000; i++) {
		engine_line(b.e, "%c> CON 0.01 %04x #20 Uri-Path:lamp", i % 50 ? 'b' : 'x', i);
		if (i % 500 == 0)
			served(&b, "a", 1 + i);
		engine_wait(b.e, TSTAMP_MS);
	}
	told = b.e->to_client - 11;
	assert_true(told >= 20 && told < 300); /* 20 a second to each prefix, for 5 s; and a slip */
	assert_int_equal(b.e->to_device, 11);
	bottle_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),         cmocka_unit_test(test_moves_under_attack),
		cmocka_unit_test(test_proven_forger), cmocka_unit_test(test_old_ones),
		cmocka_unit_test(test_full),          cmocka_unit_test(test_full_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

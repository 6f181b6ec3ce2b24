/* upstream: the device leg: Message IDs, tokens, the link's lanes, NSTART, what is given up while
 * it waits. */
#include "proxy/upstream.h"
#include "engine.h"
#include "guard/state.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET "Uri-Path:lamp Uri-Path:t"

struct tally {
	uint8_t seen[65536];
	unsigned requests, unavailable, answered;
};

/* A device that answers at once; every Message ID must be a new one. */
static void answer(struct engine *e, const struct engine_sent *s)
{
	struct tally *t = e->sink_arg;
	uint8_t reply[12];

	if (s->to.leg == LEG_CLIENT) {
		t->unavailable += s->buf[1] == MSG_UNAVAILABLE;
		t->answered += s->buf[1] == MSG_CONTENT;
		return;
	}
	t->requests++;
	assert_int_equal(t->seen[s->buf[2] << 8 | s->buf[3]]++, 0);
	memcpy(reply, s->buf, 12);
	reply[0] = 0x68;
	reply[1] = MSG_CONTENT;
	proxy_receive(e->proxy, &s->to, bytes_of(reply, sizeof reply), e->now);
}

/* 70 000 requests within EXCHANGE_LIFETIME: the numbers run out, none is used twice, and later it
 * goes on. */
static void test_message_ids(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);
	struct tally *t = calloc(1, sizeof *t);
	uint8_t request[] = { 0x40, 0x01, 0, 0, 0xb4, 'l', 'a', 'm', 'p' };

	(void)state;
	assert_non_null(t);
	e->sink = answer;
	e->sink_arg = t;
	for (unsigned i = 0; i < 70000; i++) {
		struct path from = e->peers[3].path; /* a, from a new port after each 50 000 */

		from.remote.port = (uint16_t)(30000 + i / 50000);
		request[2] = (uint8_t)(i % 50000 >> 8);
		request[3] = (uint8_t)(i % 50000);
		engine_receive(e, &from, bytes_of(request, sizeof request));
		engine_wait(e, TSTAMP_MS);
	}
	assert_in_range(t->requests, 64000, 65536);
	assert_int_equal(t->answered, t->requests);
	assert_int_equal(t->unavailable + t->requests, 70000);
	assert_int_equal(e->proxy->faults[FAULT_MID_SPENT], t->unavailable);
	engine_wait(e, 600 * TSTAMP_S);
	memset(t, 0, sizeof *t);
	for (unsigned i = 0; i < 100; i++) {
		request[2] = 0xf0;
		request[3] = (uint8_t)i;
		engine_receive(e, &e->peers[4].path, bytes_of(request, sizeof request));
	}
	assert_int_equal(t->answered, 100);
	e->sink = NULL;
	engine_stop(e);
	free(t);
}

/* Requests without and with OSCORE leave from two endpoints; control messages from the one they
 * belong to. */
static void test_channels(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	const struct engine_sent *s;

	(void)state;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "b> NON 0.02 0001 #01 OSCORE=0901 Uri-Path:lamp !=00");
	s = engine_take(e, "lamp");
	assert_true(s && s->to.local.port == CHANNEL_PLAIN);
	s = engine_take(e, "lamp");
	assert_true(s && s->to.local.port == CHANNEL_OSCORE);
	for (uint16_t channel = 0; channel < CHANNELS; channel++) {
		engine_peer(e, "lamp")->path.local.port = channel;
		ENGINE_PLAY(e, "lamp> CON 0.00 7001 #");
		s = engine_take(e, "lamp");
		assert_true(s && s->to.local.port == channel);
	}
	engine_stop(e);
}

/* nstart requests of one client at one device, in the order they came; NONs and other devices are
 * not concerned. */
static void test_nstart(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.links[0].nstart = 2;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 *a #* Uri-Path:t", "a> CON 0.01 0002 #02 " GET,
		    "lamp< CON 0.01 *b #*b Uri-Path:t", "a> CON 0.01 0003 #03 " GET, "a> CON 0.01 0004 #04 " GET,
		    "quiet", "a> NON 0.01 0005 #05 " GET, "lamp< NON 0.01 * #* Uri-Path:t",
		    "a> CON 0.01 0006 #06 Uri-Host:hall.example", "hall< CON 0.01 * #*",
		    /* an empty ACK is enough to make room */
		    "lamp> ACK 0.00 $a #", "lamp< CON 0.01 * #*c Uri-Path:t", "quiet", "lamp> ACK 2.05 $b #$b !b",
		    "a< ACK 2.05 0002 #02 !b", "lamp< CON 0.01 * #*d Uri-Path:t", "lamp> NON 2.05 7001 #$c !c",
		    "a< ACK 2.05 0003 #03 !c", "lamp> NON 2.05 7002 #$d !d", "a< ACK 2.05 0004 #04 !d", "quiet");
	engine_stop(e);
}

/* All that is parked is given up when its own time is over, each with its own 5.03, and nothing
 * goes up late. */
static void test_parked_given_up(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 *m #* Uri-Path:t", "wait 10s",
		    "a> CON 0.01 0002 #02 " GET, "a> CON 0.01 0003 #03 " GET, "wait 1s", "a> CON 0.01 0004 #04 " GET,
		    "wait 18s", "quiet", "wait 1500ms");
	for (unsigned i = 0; i < 2; i++)
		ENGINE_PLAY(e, "a< ACK 5.03 * #*");
	ENGINE_PLAY(e, "quiet", "wait 1s", "a< ACK 5.03 0004 #04", "quiet", "lamp> RST 0.00 $m #",
		    "a< ACK 5.02 0001 #01", "wait 100s", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* The greedy one loses its last when a lane is full, and hears of it. */
static void test_displaced(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;
	unsigned refused = 0;

	(void)state;
	c.links[0].sched.rate = (struct rate){ 10, TSTAMP_S };
	c.links[0].sched.burst = 64;
	c.links[0].sched.queue_length = 4;
	c.links[0].queue_wait = 60 * TSTAMP_S;
	c.links[0].nstart = 16;
	e = engine_start(&c);
	for (unsigned i = 0; i < 8; i++)
		engine_line(e, "a> CON 0.01 %04x #%02x " GET, i, i);
	engine_wait(e, TSTAMP_MS);
	while (engine_take(e, "a"))
		refused++;
	assert_true(refused >= 2);
	ENGINE_PLAY(e, "b> CON 0.01 0001 #01 " GET, "wait 1ms", "quiet b", "a< ACK 5.03 * #*");
	engine_stop(e);
}

/* --- a device that does not answer ------------------------------------------------------------------------------ */

/* These are in good standing at lamp, each under its kid, Partial IVs 1 to 9. */
static void befriend(struct engine *e, const char *names)
{
	for (unsigned kid = 5; *names; names++, kid++)
		for (unsigned i = 1; i <= 9; i++) {
			engine_line(e, "%c> NON 0.02 %04x #%02x OSCORE=09%02x%02x Uri-Path:lamp !=00", *names,
				    0x100 + i, i, i, kid);
			engine_line(e, "lamp< NON 0.02 * #* OSCORE=09%02x%02x !=00", i, kid);
			engine_line(e, "lamp> NON 2.04 %04x #$ OSCORE= !=00", kid << 8 | i);
			engine_line(e, "%c< NON 2.04 * #%02x OSCORE= !=00", *names, i);
		}
	assert_string_equal(e->lane, "trusted");
}

#define PAYLOAD "!what it takes to be paid for over 40 s"
#define A       "a> CON 0.02 0200 #a0 OSCORE=090a05 Uri-Path:lamp " PAYLOAD
#define B       "b> CON 0.02 0200 #b0 OSCORE=090a06 Uri-Path:lamp " PAYLOAD
#define C       "c> CON 0.02 0200 #c0 OSCORE=090a07 Uri-Path:lamp " PAYLOAD
#define D       "d> CON 0.02 0200 #d0 OSCORE=090a08 Uri-Path:lamp " PAYLOAD
#define AT(kid) "OSCORE=090a" kid " " PAYLOAD

/* It is slow, or just starts again: one other client asks it, too, and who comes then waits for its first word. */
static void test_doubted(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	befriend(e, "abcd");
	ENGINE_PLAY(e, "d> CON 0.01 0300 #d1 Uri-Host:hall.example", "hall< CON 0.01 * #*", A,
		    "lamp< CON 0.02 *a #*a " AT("05"), "wait 7s", "lamp< CON 0.02 $a #$a " AT("05"), B,
		    "lamp< CON 0.02 * #* " AT("06"), "e> CON 0.01 0300 #e0 " GET, C, D, "quiet lamp",
		    /* other devices are not concerned */
		    "e> CON 0.01 0301 #e1 Uri-Host:hall.example", "hall< CON 0.01 * #*", "lamp> ACK 0.00 $a #",
		    /* the lane decides before the age */
		    "lamp< CON 0.02 * #* " AT("07"), "lamp< CON 0.02 * #*d " AT("08"), "lamp< CON 0.01 * #* Uri-Path:t",
		    "quiet lamp", "lamp> NON 2.04 7001 #$d OSCORE= !=00", "d< ACK 2.04 0200 #d0 OSCORE= !=00");
	e->n_out = 0;
	engine_stop(e);
}

/*
 * Given up: one datagram at a time, repeats or not, when the rate has paid for the last. Who would wait longer than
 * queue-wait hears so at once, and who waited in vain hears for how long.
 */
static void test_silent(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	unsigned len;

	(void)state;
	befriend(e, "abcd");
	ENGINE_PLAY(e, A, "wait 94s", "a< ACK 0.00 0200 #", "a< CON 5.04 * #a0", "a> ACK 0.00 $ #", "flush",
		    "b> NON 0.02 0200 #b0 OSCORE=090a06 Uri-Path:lamp " PAYLOAD);
	len = engine_take(e, "lamp")->len;
	assert_in_range(len, 41, 80);
	engine_line(e, C);
	engine_line(e, "c< ACK 5.03 0200 #c0 Max-Age=%02x", len);
	engine_wait(e, (len - 10) * TSTAMP_S);
	ENGINE_PLAY(e, "quiet", "e> CON 0.01 0300 #e0 " GET, D, "wait 9999ms", "d< ACK 0.00 0200 #", "quiet",
		    "wait 1ms", "lamp< CON 0.02 *d #*d " AT("08"), "wait 9s", "quiet", "wait 2s");
	engine_line(e, "e< ACK 5.03 0300 #e0 Max-Age=%02x", len - 10);
	assert_int_equal(e->proxy->faults[FAULT_PROBING], 2);
	/* its first word, and nobody waits any more */
	ENGINE_PLAY(e, "lamp> ACK 2.04 $d #$d OSCORE= !=00", "d< CON 2.04 * #d0 OSCORE= !=00",
		    "e> CON 0.01 0301 #e1 " GET, "lamp< CON 0.01 * #* Uri-Path:t",
		    "c> CON 0.02 0201 #c1 OSCORE=090b07 Uri-Path:lamp !=00", "lamp< CON 0.02 * #* OSCORE=090b07 !=00");
	e->n_out = 0;
	engine_stop(e);
}

/* What it does not say to strangers keeps nobody in good standing waiting, however many they are. */
static void test_silent_to_strangers(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	befriend(e, "a");
	for (unsigned i = 0; i < 8; i++)
		engine_line(e, "%c> CON 0.01 0300 #01 " GET, 'a' + i);
	ENGINE_PLAY(e, "flush", "wait 94s", "flush", "b> CON 0.01 0301 #02 " GET);
	assert_non_null(engine_take(e, "lamp"));
	ENGINE_PLAY(e, "c> CON 0.01 0301 #02 " GET, "quiet lamp", A, "lamp< CON 0.02 * #* " AT("05"));
	e->n_out = 0;
	engine_stop(e);
}

/* A flood at a silent device pays like one at any other: what is answered 5.03 is charged, and soon nothing more is looked at. */
static void test_flood_at_silent(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;
	unsigned passed = 0;

	(void)state;
	c.policy.throttle_rate = (struct rate){ 1000, TSTAMP_S };
	c.policy.servers[0].unknown_rate = (struct rate){ 60, TSTAMP_MIN };
	e = engine_start(&c);
	for (unsigned i = 0; i < 3; i++)
		engine_line(e, "%c> NON 0.01 0300 #01 " GET " Uri-Query:as-long-as-it-takes", 'a' + i);
	engine_wait(e, 94 * TSTAMP_S);
	ENGINE_PLAY(e, "flush", "a> NON 0.01 0301 #02 " GET " Uri-Query:as-long-as-it-takes");
	assert_non_null(engine_take(e, "lamp"));
	for (unsigned i = 0; i < 500; i++) {
		engine_line(e, "%c> NON 0.01 %04x #03 " GET " Uri-Query:as-long-as-it-takes", 'a' + i % 8, 0x400 + i);
		passed += strcmp(e->action, "forward") == 0;
		e->n_out = 0;
	}
	assert_int_equal(e->proxy->faults[FAULT_PROBING], passed);
	assert_int_equal(e->proxy->guard->servers[0].outcomes[OUTCOME_NEUTRAL], 0); /* it answered none */
	assert_in_range(passed, 10, 60);
	engine_stop(e);
}

/* Who said that no answer is wanted learns nothing from none. */
static void test_no_response(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		engine_line(e, "%c> NON 0.03 0300 #01 " GET " No-Response=1a", 'a' + i);
		assert_non_null(engine_take(e, "lamp"));
	}
	engine_wait(e, 94 * TSTAMP_S);
	assert_int_equal(e->proxy->guard->servers[0].outcomes[OUTCOME_SILENT], 0);
	for (unsigned i = 0; i < 3; i++) {
		engine_line(e, "%c> NON 0.01 0301 #02 " GET, 'a' + i);
		assert_non_null(engine_take(e, "lamp"));
	}
	e->n_out = 0;
	engine_stop(e);
}

/* It was silent for three clients. Another device in its place, or another mode, begins anew. */
static void test_silence_ends_with_reload(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct proxy_config c = engine_roomy();
		struct engine *e = engine_start(&c);

		befriend(e, "abc");
		for (unsigned k = 0; k < 3; k++)
			engine_line(e, "%c> NON 0.02 0300 #01 OSCORE=090a%02x Uri-Path:lamp !=00", 'a' + k, 5 + k);
		engine_wait(e, 94 * TSTAMP_S);
		ENGINE_PLAY(e, "flush", "a> NON 0.02 0301 #02 OSCORE=090b05 Uri-Path:lamp !=00");
		assert_non_null(engine_take(e, "lamp"));
		if (i == 1)
			c.policy.servers[0].mode = MODE_OPEN;
		if (i == 2)
			c.servers[0].address.port = 61616;
		e->cfg = c;
		engine_peer(e, "lamp")->path.remote = c.servers[0].address;
		proxy_reconfigure(e->proxy, &c, e->now);
		ENGINE_PLAY(e, "flush", "b> NON 0.02 0301 #02 OSCORE=090b06 Uri-Path:lamp !=00");
		assert_int_equal(engine_take(e, "lamp") != NULL, i > 0);
		e->n_out = 0;
		engine_stop(e);
	}
}

struct deaf {
	uint64_t bytes, refused, answered;
	bool awake;
};

static void swallow(struct engine *e, const struct engine_sent *s)
{
	struct deaf *d = e->sink_arg;
	uint8_t reply[15];

	if (s->to.leg == LEG_CLIENT) {
		d->refused += s->buf[1] == MSG_UNAVAILABLE;
		d->answered += s->buf[1] == MSG_CHANGED;
		return;
	}
	d->bytes += s->len;
	if (!d->awake)
		return;
	memcpy(reply, s->buf, 12);
	reply[0] = 0x68;
	reply[1] = MSG_CHANGED;
	memcpy(reply + 12, "\x90\xff", 3); /* OSCORE, and something in it */
	proxy_receive(e->proxy, &s->to, bytes_of(reply, sizeof reply), e->now);
}

/*
 * A dead device is asked each second for an hour, by three clients in turn: it gets a byte a second. When it is back, after
 * a pause, the first request is answered.
 */
static void test_rate_of_probes(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	struct deaf d = { .bytes = 0 };

	(void)state;
	befriend(e, "abc");
	e->sink = swallow;
	e->sink_arg = &d;
	for (unsigned i = 0; i < 3600; i++) {
		if (i == 120)
			d.bytes = 0;
		engine_line(e, "%c> CON 0.02 %04x #a0 OSCORE=0a%04x%02x Uri-Path:lamp " PAYLOAD, 'a' + i % 3, 0x200 + i,
			    10 + i / 3 % 100, 5 + i % 3);
		engine_wait(e, TSTAMP_S);
	}
	assert_in_range(d.bytes, 3480 * 8 / 10, 3480 + 60);
	assert_int_equal(d.answered, 0);
	engine_wait(e, 200 * TSTAMP_S);
	d.awake = true;
	engine_line(e, "a> NON 0.02 7200 #a0 OSCORE=0a00f005 Uri-Path:lamp " PAYLOAD);
	assert_int_equal(d.answered, 1);
	e->sink = NULL;
	engine_stop(e);
}

/* --- a link that is too slow -------------------------------------------------------------------------------------- */

/* Who would wait too long hears so before he has waited, and by how much. The others are sent in time. */
static void test_would_wait(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;
	unsigned cost, sent = 0;

	(void)state;
	c.links[0].sched.rate = (struct rate){ 10, TSTAMP_S };
	c.links[0].sched.burst = 64;
	e = engine_start(&c);
	engine_line(e, "a> CON 0.01 0001 #01 " GET);
	cost = engine_take(e, "lamp")->len + 48U;
	for (unsigned i = 1; i < 8; i++) {
		uint64_t wait = (uint64_t)(sent + 2) * cost - (cost > 64 ? cost : 64); /* tenths of a second */

		engine_line(e, "%c> CON 0.01 0001 #01 " GET, 'a' + i);
		if (wait > 200)
			engine_line(e, "%c< ACK 5.03 0001 #01 Max-Age=%02x", 'a' + i, (unsigned)(wait - 200 + 9) / 10);
		else
			sent++;
	}
	assert_in_range(sent, 2, 4);
	assert_int_equal(e->proxy->faults[FAULT_LINK_WAIT], 7 - sent);
	engine_wait(e, 20 * TSTAMP_S);
	assert_int_equal(e->to_device, 1 + sent);
	assert_int_equal(e->proxy->faults[FAULT_LINK_WAIT], 7 - sent);
	e->n_out = 0;
	engine_stop(e);
}

/* Six clients ask one device, then one asks another: it is next but one. */
static void test_devices_take_turns(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.links[0].sched.rate = (struct rate){ 100, TSTAMP_S };
	c.links[0].sched.burst = 64;
	e = engine_start(&c);
	for (unsigned i = 0; i < 6; i++)
		engine_line(e, "%c> CON 0.01 0001 #01 " GET, 'a' + i);
	ENGINE_PLAY(e, "g> CON 0.01 0001 #01 Uri-Host:hall.example", "wait 800ms", "hall< CON 0.01 * #*");
	assert_true(e->to_device <= 2);
	e->n_out = 0;
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_nstart),
		cmocka_unit_test(test_parked_given_up),
		cmocka_unit_test(test_displaced),
		cmocka_unit_test(test_doubted),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_silent_to_strangers),
		cmocka_unit_test(test_flood_at_silent),
		cmocka_unit_test(test_no_response),
		cmocka_unit_test(test_silence_ends_with_reload),
		cmocka_unit_test(test_rate_of_probes),
		cmocka_unit_test(test_would_wait),
		cmocka_unit_test(test_devices_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

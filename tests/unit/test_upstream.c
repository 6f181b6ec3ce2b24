/* upstream: the device leg: Message IDs, tokens, the link's lanes, NSTART, what is given up while
 * it waits. */
#include "proxy/upstream.h"
#include "engine.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_ids),     cmocka_unit_test(test_channels),  cmocka_unit_test(test_nstart),
		cmocka_unit_test(test_parked_given_up), cmocka_unit_test(test_displaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

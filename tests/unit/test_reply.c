/* reply: what goes to clients: form and size of refusals, what is remembered, what is repeated,
 * what is held. */
#include "proxy/reply.h"
#include "engine.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET "Uri-Path:lamp Uri-Path:t"
#define REG "Observe= Uri-Path:lamp Uri-Path:t"
#define LONG                                                                                                           \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"                     \
	"890123456789"

static struct engine *start_spent(void)
{
	struct proxy_config c = engine_careful();

	for (unsigned i = 0; i < 3; i++)
		c.policy.servers[i].unknown_budget = 0;
	return engine_start(&c);
}

/* 4.29: Max-Age, and an Echo to prove oneself with; piggybacked or NON, never a separate CON (RFC
 * 9175 §2.4). */
static void test_refusals(void **state)
{
	struct engine *e = start_spent();
	const struct engine_sent *s;
	struct msg_option opt;
	struct msg m;

	(void)state;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #0102030405060708 " GET);
	s = engine_take(e, "a");
	assert_non_null(s);
	assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
	assert_true(m.type == MSG_NON && m.code == MSG_TOO_MANY_REQUESTS && m.token.len == 8 && m.n_options == 2);
	assert_true(msg_find(&m, 14, &opt) && opt.value.len <= 4);
	assert_true(msg_find(&m, 252, &opt) && opt.value.len == ECHO_LEN);
	assert_true(s->len <= PROXY_UNPROVEN);
	/* with a stale or foreign Echo: 4.01 with a fresh one, and that is accepted */
	ENGINE_PLAY(e, "b> CON 0.01 0002 #02 " GET " Echo=0102030405", "b< ACK 4.01 0002 #02 Echo=*", "quiet",
		    "b> CON 0.01 0003 #03 " GET " Echo=$", "wait 1s");
	assert_string_equal(e->action, "queue");
	assert_string_equal(e->lane, "reachable");
	e->n_out = 0;
	engine_stop(e);
}

/* A silent listener answers no stranger it refuses, and none answers one at a well-known port (A24). */
static void test_silent(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;

	(void)state;
	c.policy.servers[0].unknown_budget = 0;
	c.listens[0].silent = true;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "a> NON 0.01 0002 #02 " GET,
		    "a> CON 0.01 0003 #03 Uri-Path:nowhere", "a> CON 0.01 0004 #04 " GET " 65003=", "quiet");
	engine_stop(e);
	c.listens[0].silent = false;
	e = engine_start(&c);
	engine_client(e, "ntp", "[2001:db8:2::1]:123");
	ENGINE_PLAY(e, "ntp> CON 0.01 0001 #01 " GET, "ntp> CON 0.01 0003 #03 Uri-Path:nowhere",
		    "ntp> CON 0.01 0004 #04 " GET " 65003=", "quiet");
	engine_stop(e);
}

/* A prefix gets only so many replies, of whatever kind; another prefix is not concerned. */
static void test_reply_rate(void **state)
{
	struct engine *e = start_spent();

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		engine_line(e, "a> NON 0.01 %04x #01 %s", i, i & 1 ? GET : "Uri-Path:nowhere");
	assert_in_range(e->n_out, 20, 40); /* reply-rate, and as many again by slip at most */
	e->n_out = 0;
	engine_line(e, "b> NON 0.01 0001 #01 " GET);
	assert_int_equal(e->n_out, 1);
	e->n_out = 0;
	engine_stop(e);
}

/* The reply to a repeated request is the same to the byte, whatever it was. */
static void test_same_bytes(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "lamp> NON 2.05 7001 #$ !on",
		    "a< NON 2.05 *m #01 !on", "a> NON 0.01 0001 #01 " GET, "a< NON 2.05 $m #01 !on", "quiet",
		    "a> CON 0.01 0002 #02 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 4.04 $ #$",
		    "a< ACK 4.04 0002 #02", "wait 200s", "a> CON 0.01 0002 #02 " GET, "a< ACK 4.04 0002 #02", "quiet",
		    /* EXCHANGE_LIFETIME is 247 s: then it is a new request */
		    "wait 60s", "a> CON 0.01 0002 #02 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !x",
		    "a< ACK 2.05 0002 #02 !x");
	assert_int_equal(e->proxy->faults[FAULT_DUPLICATE], 2);
	engine_stop(e);
}

/* A separate response is repeated until the client acknowledges or is given up: MAX_RETRANSMIT 4.
 */
static void test_separate_repeated(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);
	unsigned copies = 0;

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 *u #*t Uri-Path:t", "lamp> ACK 0.00 $u #",
		    "wait 2s", "a< ACK 0.00 0001 #", "lamp> CON 2.05 7001 #$t !on", "lamp< ACK 0.00 7001 #",
		    "a< CON 2.05 *m #01 !on", "wait 100s");
	while (e->n_out) {
		ENGINE_PLAY(e, "a< CON 2.05 $m #01 !on");
		copies++;
	}
	assert_int_equal(copies, 4);
	assert_int_equal(e->proxy->faults[FAULT_CLIENT_GONE], 1);
	engine_stop(e);
}

/* A held last word about an observation does not stay for ever. */
static void test_held_last_word(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 " REG, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "x< ACK 2.05 0001 #01 Observe=* !1",
		    "lamp> NON 2.05 7001 #$t Observe=02 !" LONG, "lamp> NON 2.05 7002 #$t Observe=03 !" LONG,
		    "lamp> NON 2.05 7003 #$t Observe=04 !" LONG, "lamp> NON 2.05 7004 #$t Observe=05 65002= !" LONG);
	engine_wait(e, 200 * TSTAMP_S);
	assert_int_equal(e->proxy->exchanges.count, 0);
	e->n_out = 0;
	engine_stop(e);
}

/* A held answer asks for a proof within the prefix's replies only, and never at a well-known port. */
static void test_asks_within_replies(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.policy.reply_rate = (struct rate){ 20, TSTAMP_S };
	c.policy.reply_slip = 0;
	e = engine_start(&c);
	engine_client(e, "ntp", "[2001:db8:2::1]:123");
	ENGINE_PLAY(e, "ntp> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ !" LONG LONG, "quiet", "a> CON 0.01 0001 #01 " GET,
		    "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !" LONG LONG, "a< CON 0.00 * #", "quiet");
	for (unsigned i = 0; i < 20; i++)
		engine_line(e, "b> NON 0.01 1%03x #01 Uri-Path:nowhere", i);
	ENGINE_PLAY(e, "flush", "b> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ !" LONG LONG, "quiet");
	engine_stop(e);
}

/* A notification is repeated to an unproven address as often as I3 lets it: the engine counts. */
static void test_repeated_within_i3(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 " REG " Uri-Query:" LONG,
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:t Uri-Query:" LONG, "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "x< ACK 2.05 0001 #01 Observe=* !1", "lamp> NON 2.05 7001 #$t Observe=02 !" LONG,
		    "x< CON 2.05 *m #01 Observe=* !" LONG, "wait 100s", "x< CON 2.05 $m #01 Observe=* !" LONG, "flush");
	engine_stop(e);
}

/* Nobody guesses the Message ID of a CON, whose acknowledgement proves something; and a CON comes every day (RFC 7641 §4.5). */
static void test_con_now_and_then(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	const struct engine_peer *a = engine_peer(e, "a");
	unsigned non;

	(void)state;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "lamp> NON 2.05 7001 #$ !0",
		    "a< NON 2.05 * #01 !0");
	non = (unsigned)strtoul(a->mid, NULL, 16);
	ENGINE_PLAY(e, "a> CON 0.01 0002 #02 " REG, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$t Observe=01 Max-Age=03ffff !1",
		    "a< ACK 2.05 0002 #02 Observe=* Max-Age=03ffff !1",
		    "lamp> NON 2.05 7002 #$t Observe=02 Max-Age=03ffff !2",
		    "a< CON 2.05 * #02 Observe=* Max-Age=03ffff !2");
	assert_int_not_equal(strtoul(a->mid, NULL, 16), (non + 1) & 0xffff);
	ENGINE_PLAY(e, "a> ACK 0.00 $ #", "lamp> NON 2.05 7003 #$t Observe=03 Max-Age=03ffff !3",
		    "a< NON 2.05 * #02 Observe=* Max-Age=03ffff !3", "wait 24h",
		    "lamp> NON 2.05 7004 #$t Observe=04 Max-Age=03ffff !4",
		    "a< CON 2.05 * #02 Observe=* Max-Age=03ffff !4", "a> RST 0.00 $ #", "flush");
	engine_stop(e);
}

/* I3 to the byte: three times what came, and 136 at most; what is held for want of a proof is held as long as an answer is waited for. */
static void test_i3_to_the_byte(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #*",
		    "lamp> ACK 2.05 $ #$ !" LONG "01234567890123456789",
		    "a< ACK 2.05 0001 #01 !" LONG "01234567890123456789", "quiet", "b> CON 0.01 0001 #01 Uri-Path:lamp",
		    "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !" LONG "012345678901234567890", "b< CON 0.00 * #",
		    "quiet", "c> CON 0.01 0001 #01 Uri-Path:lamp Uri-Query:" LONG, "lamp< CON 0.01 * #* *q",
		    "lamp> ACK 2.05 $ #$ !" LONG "012345678901234567890123456789",
		    "c< ACK 2.05 0001 #01 !" LONG "012345678901234567890123456789", "quiet",
		    "d> CON 0.01 0001 #01 Uri-Path:lamp Uri-Query:" LONG, "lamp< CON 0.01 * #* *q",
		    "lamp> ACK 2.05 $ #$ !" LONG "0123456789012345678901234567890", "d< CON 0.00 * #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 2);
	ENGINE_PLAY(e, "wait 94s", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* Whoever acknowledges what was no CON, and so had a number that can be guessed, proves nothing. */
static void test_ack_of_non(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REG, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$t Observe=01 Max-Age=ffff !1", "a< ACK 2.05 0001 #01 Observe=* Max-Age=ffff !1",
		    "lamp> NON 2.05 7001 #$t Observe=02 Max-Age=ffff !2",
		    "a< NON 2.05 *m #01 Observe=* Max-Age=ffff !2", "wait 2min", "a> ACK 0.00 $m #",
		    "lamp> NON 2.05 7002 #$t Observe=03 Max-Age=ffff !3", "a< CON 2.05 * #01 Observe=* Max-Age=ffff !3",
		    "a> RST 0.00 $ #", "flush");
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_reply_rate),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_separate_repeated),
		cmocka_unit_test(test_held_last_word),
		cmocka_unit_test(test_asks_within_replies),
		cmocka_unit_test(test_repeated_within_i3),
		cmocka_unit_test(test_i3_to_the_byte),
		cmocka_unit_test(test_ack_of_non),
		cmocka_unit_test(test_con_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

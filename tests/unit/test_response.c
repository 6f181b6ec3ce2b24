/* response: the device leg: RFC 7252 Appendix A through the engine, Observe, what is passed on and
 * what is not. */
#include "proxy/response.h"
#include "engine.h"
#include "msgtext.h"
#include "vectors.h"
#include "coap/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET   "Uri-Path:lamp Uri-Path:temperature"
#define SOME  "0123456789012345678901234567890123456789"
#define LARGE SOME SOME SOME SOME SOME

/* A proxy whose listener leads to lamp by default, so that the RFC's datagrams can be used as they
 * are. */
static struct engine *start_default(struct proxy_config c)
{
	c.listens[0].server = 0;
	return engine_start(&c);
}

/* --- RFC 7252 Appendix A
 * ------------------------------------------------------------------------------------------ */

struct figure {
	char req_text[MSGTEXT_MAX], rsp_text[MSGTEXT_MAX];
	struct bytes req, rsp;
	uint8_t req_buf[64], rsp_buf[64];
	struct msg request, response;
};

static void load_figure(const char *json, long number, struct figure *f)
{
	const char *a = vectors_first(vectors_member(json, "appendix_A"));

	while (a && vectors_number(a, "fig") != number)
		a = vectors_next(a);
	assert_non_null(a);
	f->req = vectors_bytes(a, "req", f->req_buf, sizeof f->req_buf);
	f->rsp = vectors_bytes(a, "rsp", f->rsp_buf, sizeof f->rsp_buf);
	assert_int_equal(msg_parse(&f->request, f->req), MSG_OK);
	assert_int_equal(msg_parse(&f->response, f->rsp), MSG_OK);
}

/* The device got exactly the request's options and payload. Its answer is the figure's, as `type`.
 */
static void answer_figure(struct engine *e, const struct figure *f, uint8_t type, uint16_t mid)
{
	const struct engine_sent *s = engine_take(e, "lamp");
	uint8_t buf[64];
	struct msgbuf b;
	struct msg up;

	assert_non_null(s);
	assert_int_equal(msg_parse(&up, bytes_of(s->buf, s->len)), MSG_OK);
	assert_int_equal(up.type, f->request.type);
	assert_int_equal(up.token.len, EXCHANGE_TOKEN);
	assert_true(bytes_equal(up.options, f->request.options));
	msgbuf_begin(&b, buf, sizeof buf, type, f->response.code, type == MSG_ACK ? up.mid : mid, up.token);
	msgbuf_payload(&b, f->response.payload);
	engine_receive(e, &engine_peer(e, "lamp")->path, msgbuf_end(&b));
}

/* The client got these very bytes; with `mid` the Message ID is set aside, and returned. */
static uint16_t client_got(struct engine *e, struct bytes expected, bool any_mid)
{
	const struct engine_sent *s = engine_take(e, "a");

	assert_non_null(s);
	assert_int_equal(s->len, expected.len);
	assert_memory_equal(s->buf, expected.ptr, 2);
	if (!any_mid)
		assert_memory_equal(s->buf + 2, expected.ptr + 2, 2);
	assert_memory_equal(s->buf + 4, expected.ptr + 4, expected.len - 4);
	return (uint16_t)(s->buf[2] << 8 | s->buf[3]);
}

static void test_piggybacked_figures(void **state)
{
	char *json = vectors_load("rfc7252_messages.json");
	static const long figures[] = { 16, 17, 18, 19 };
	struct engine *e = start_default(engine_roomy());
	struct figure f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		load_figure(json, figures[i], &f);
		engine_receive(e, &engine_peer(e, "a")->path, f.req);
		answer_figure(e, &f, MSG_ACK, 0);
		client_got(e, f.rsp, false);
		if (figures[i] == 19) { /* the response is lost: the client repeats itself, the
					   device hears nothing */
			engine_wait(e, 3 * TSTAMP_S);
			engine_receive(e, &engine_peer(e, "a")->path, f.req);
			client_got(e, f.rsp, false);
		}
		ENGINE_PLAY(e, "quiet");
	}
	engine_stop(e);
	free(json);
}

/* Figure 18 on our own leg: a request to the device is lost and repeated, byte by byte the same. */
static void test_lost_upstream(void **state)
{
	struct engine *e = start_default(engine_open());
	char *json = vectors_load("rfc7252_messages.json");
	struct engine_sent first;
	struct figure f;

	(void)state;
	load_figure(json, 18, &f);
	engine_receive(e, &engine_peer(e, "a")->path, f.req);
	first = *engine_take(e, "lamp");
	engine_wait(e, 4 * TSTAMP_S - 1);
	ENGINE_PLAY(e, "a< ACK 0.00 7d36 #", "quiet lamp");
	engine_wait(e, 2 * TSTAMP_S); /* ACK_TIMEOUT 4 s, up to 6 s */
	assert_int_equal(e->n_out, 1);
	assert_int_equal(e->out[0].len, first.len);
	assert_memory_equal(e->out[0].buf, first.buf, first.len);
	answer_figure(e, &f, MSG_ACK, 0);
	ENGINE_PLAY(e, "a< CON 2.05 * #31 !22.3 C", "a> ACK 0.00 $ #", "quiet");
	engine_stop(e);
	free(json);
}

static void test_separate_figures(void **state)
{
	struct engine *e = start_default(engine_open());
	char *json = vectors_load("rfc7252_messages.json");
	struct figure f;
	uint16_t mid;

	(void)state;
	load_figure(json, 20, &f);
	engine_receive(e, &engine_peer(e, "a")->path, f.req);
	engine_wait(e, 1600 * TSTAMP_MS); /* before the client's own ACK_TIMEOUT */
	ENGINE_PLAY(e, "a< ACK 0.00 7d38 #");
	answer_figure(e, &f, MSG_CON, 0xad7b);
	ENGINE_PLAY(e, "lamp< ACK 0.00 ad7b #");
	mid = client_got(e, f.rsp, true);
	engine_line(e, "a> ACK 0.00 %04x #", mid);
	ENGINE_PLAY(e, "wait 100s", "quiet");

	load_figure(json, 21, &f); /* the client crashed: RST; nothing is sent again */
	engine_receive(e, &engine_peer(e, "a")->path, f.req);
	engine_wait(e, 1600 * TSTAMP_MS);
	ENGINE_PLAY(e, "a< ACK 0.00 7d39 #");
	answer_figure(e, &f, MSG_CON, 0xad7c);
	ENGINE_PLAY(e, "lamp< ACK 0.00 ad7c #");
	mid = client_got(e, f.rsp, true);
	engine_line(e, "a> RST 0.00 %04x #", mid);
	ENGINE_PLAY(e, "wait 100s", "quiet");
	engine_stop(e);
	free(json);
}

static void test_non_figure(void **state)
{
	struct engine *e = start_default(engine_roomy());
	char *json = vectors_load("rfc7252_messages.json");
	struct figure f;

	(void)state;
	load_figure(json, 22, &f);
	engine_receive(e, &engine_peer(e, "a")->path, f.req);
	answer_figure(e, &f, MSG_NON, 0xad7d);
	client_got(e, f.rsp, true);
	ENGINE_PLAY(e, "quiet");
	engine_stop(e);
	free(json);
}

/* --- the device's ways of answering
 * ------------------------------------------------------------------------------- */

static void test_device_answers(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e,
		    /* empty ACK, then separate CON, which the device repeats: acknowledged again,
		       delivered once */
		    "a> CON 0.01 0001 #a1 " GET, "lamp< CON 0.01 * #*t Uri-Path:temperature", "lamp> ACK 0.00 $ #",
		    "wait 2s", "quiet", "lamp> CON 2.05 7001 #$t !on", "lamp< ACK 0.00 7001 #",
		    "a< ACK 2.05 0001 #a1 !on", "lamp> CON 2.05 7001 #$t !on", "lamp< ACK 0.00 7001 #", "quiet",
		    /* the separate response overtakes the ACK */
		    "a> CON 0.01 0002 #a2 " GET, "lamp< CON 0.01 *m #* Uri-Path:temperature",
		    "lamp> CON 2.05 7002 #$ !on", "lamp< ACK 0.00 7002 #", "a< ACK 2.05 0002 #a2 !on",
		    "lamp> ACK 0.00 $m #", "quiet",
		    /* NON response to a CON */
		    "a> CON 0.01 0003 #a3 " GET, "lamp< CON 0.01 * #* Uri-Path:temperature",
		    "lamp> NON 2.05 7003 #$ !on", "a< ACK 2.05 0003 #a3 !on", "quiet",
		    /* RST */
		    "a> CON 0.01 0004 #a4 " GET, "lamp< CON 0.01 * #* Uri-Path:temperature", "lamp> RST 0.00 $ #",
		    "a< ACK 5.02 0004 #a4", "quiet",
		    /* RST to a NON */
		    "a> NON 0.01 0005 #a5 " GET, "lamp< NON 0.01 * #* Uri-Path:temperature", "lamp> RST 0.00 $ #",
		    "a< NON 5.02 * #a5", "quiet",
		    /* piggybacked under a wrong Message ID, wrong token, wrong device: matches
		       nothing */
		    "a> CON 0.01 0006 #a6 " GET, "lamp< CON 0.01 *m #*t Uri-Path:temperature",
		    "lamp> ACK 2.05 0000 #$t !on", "lamp> ACK 2.05 $m #0102030405060708 !on",
		    "door> ACK 2.05 $m #$t !on", "quiet", "lamp> ACK 2.05 $m #$t !on", "a< ACK 2.05 0006 #a6 !on",
		    /* a CON that matches nothing is rejected, a ping answered, a request of the
		       device refused */
		    "lamp> CON 2.05 7005 #0102030405060708 !on", "lamp< RST 0.00 7005 #", "lamp> CON 0.00 7006 #",
		    "lamp< RST 0.00 7006 #", "lamp> CON 0.01 7007 #01 Uri-Path:x", "lamp< RST 0.00 7007 #",
		    "lamp> NON 0.01 7008 #01 Uri-Path:x", "lamp> NON 2.05 7009 #0102030405060708 !on", "quiet");
	engine_stop(e);
}

/* RFC 7252 §5.7.1: unsafe and not understood in a response is 5.02; what is safe, critical or not,
 * is passed on. */
static void test_response_options(void **state)
{
	static const struct {
		const char *options;
		bool passes;
	} rows[] = {
		{ "ETag=01 Content-Format=2a Max-Age=3c !x", true },
		{ "Location-Path:a Location-Path:b Location-Query:c", true },
		{ "Block2=0e Size2=1000 !x", true },
		{ "Echo=0102030405 !x", true },
		{ "65001=7a !x", true },
		{ "65004=7a !x", true },
		{ "65020=7a !x", true },
		{ "65002=7a !x", false },
		{ "65003=7a !x", false },
		{ "Q-Block2=0e !x", false },
		{ "18=00 !x", false },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		engine_line(e, "a> CON 0.01 %04x #b%x " GET, i, i);
		engine_line(e, "lamp< CON 0.01 * #* Uri-Path:temperature");
		engine_line(e, "lamp> ACK 2.05 $ #$ %s", rows[i].options);
		if (rows[i].passes)
			engine_line(e, "a< ACK 2.05 %04x #b%x %s", i, i, rows[i].options);
		else
			engine_line(e, "a< ACK 5.02 %04x #b%x", i, i);
		engine_line(e, "quiet");
		engine_line(e, "wait 10ms");
	}
	assert_int_equal(e->proxy->faults[FAULT_UNFORWARDABLE], 4);
	engine_stop(e);
}

/* Whatever the device says, its options and payload arrive byte by byte, non-canonical encodings
 * included. */
static void test_verbatim(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		uint8_t buf[1280], tail[1200];
		size_t n = 0, payload = (size_t)(engine_random(e) % 1000);
		const struct engine_sent *s;
		struct msg up, got;

		engine_line(e, "a> CON 0.02 %04x #%04x OSCORE=0900 Uri-Path:lamp !=00", round, round);
		s = engine_take(e, "lamp");
		assert_non_null(s);
		assert_int_equal(msg_parse(&up, bytes_of(s->buf, s->len)), MSG_OK);
		tail[n++] = 0x90;     /* OSCORE, empty */
		if (round % 3 == 0) { /* Block2 with a delta of 14 in the two-byte extended form
					 would be refused: 13 + 1 */
			tail[n++] = 0xd1;
			tail[n++] = 0x01;
			tail[n++] = (uint8_t)round;
		}
		tail[n++] = 0xff;
		for (size_t i = 0; i <= payload; i++)
			tail[n++] = (uint8_t)engine_random(e);
		memcpy(buf, (uint8_t[]){ 0x68, 0x44, s->buf[2], s->buf[3] }, 4);
		memcpy(buf + 4, up.token.ptr, 8);
		memcpy(buf + 12, tail, n);
		engine_receive(e, &engine_peer(e, "lamp")->path, bytes_of(buf, 12 + n));
		s = engine_take(e, "a");
		assert_non_null(s);
		assert_int_equal(msg_parse(&got, bytes_of(s->buf, s->len)), MSG_OK);
		assert_int_equal(s->len, 4 + 2 + n);
		assert_memory_equal(s->buf + 6, tail, n);
	}
	engine_stop(e);
}

/* --- Observe
 * ------------------------------------------------------------------------------------------------------
 */

#define LONG       "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define REGISTER   "Observe= Uri-Path:lamp Uri-Path:temperature"
#define DEREGISTER "Observe=01 Uri-Path:lamp Uri-Path:temperature"

static void test_observe(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #c0ffee " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=09 !20", "a< ACK 2.05 0001 #c0ffee Observe=* !20", "prove a",
		    /* NON and CON notifications; ours keep the kind, with our Message IDs */
		    "lamp> NON 2.05 7001 #$t Observe=0a !21", "a< NON 2.05 * #c0ffee Observe=* !21", "prove a",
		    "lamp> CON 2.05 7002 #$t Observe=0b !22", "lamp< ACK 0.00 7002 #",
		    "a< CON 2.05 * #c0ffee Observe=* !22", "a> ACK 0.00 $ #", "wait 55s", "quiet",
		    /* a CON notification the client does not acknowledge is repeated, with the same
		   bytes */
		    "lamp> CON 2.05 7003 #$t Observe=0c !23", "lamp< ACK 0.00 7003 #",
		    "a< CON 2.05 *m #c0ffee Observe=* !23", "wait 3s", "a< CON 2.05 $m #c0ffee Observe=* !23",
		    "a> ACK 0.00 $m #", "wait 56s", "quiet", "wait 1s",
		    "lamp< CON 0.01 * #$t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$t Observe=0d !24",
		    "a< NON 2.05 * #c0ffee Observe=* !24", "wait 26s", "prove a",
		    /* renewal: what the device was asked for anew when it had grown old is what the client hears; the
		   device sees the same token, and so the same observation (RFC 7641 §3.1) */
		    "a> CON 0.01 0002 #c0ffee " REGISTER, "a< ACK 2.05 0002 #c0ffee Observe=* Max-Age=20 !24",
		    "lamp> NON 2.05 7004 #$t Observe=0e !25", "a< NON 2.05 * #c0ffee Observe=* !25",
		    /* deregistration goes up under the same token; then it is over */
		    "a> CON 0.01 0003 #c0ffee " DEREGISTER, "lamp< CON 0.01 * #$t Observe=01 Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t !26", "a< ACK 2.05 0003 #c0ffee !26",
		    "lamp> NON 2.05 7005 #$t Observe=0f !27", "lamp< RST 0.00 7005 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* The ways an observation ends that are not the client's asking. */
static void test_observe_ends(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e,
		    /* the client answers a notification with RST: the next one is told so */
		    "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1", "prove a",
		    "lamp> NON 2.05 7001 #$t Observe=02 !2", "a< NON 2.05 * #01 Observe=* !2", "a> RST 0.00 $ #",
		    "lamp> NON 2.05 7002 #$t Observe=03 !3", "lamp< RST 0.00 7002 #", "quiet",
		    /* the client is gone: its CON is given up, and then the same */
		    "a> CON 0.01 0002 #02 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0002 #02 Observe=* !1",
		    "lamp> CON 2.05 7003 #$t Observe=02 !2", "lamp< ACK 0.00 7003 #", "wait 100s", "flush",
		    "lamp> CON 2.05 7004 #$t Observe=03 !3", "lamp< RST 0.00 7004 #", "quiet",
		    /* an error code, or no Observe option, is the last word (RFC 7641 §3.2) */
		    "a> CON 0.01 0003 #03 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0003 #03 Observe=* !1", "prove a",
		    "lamp> NON 4.04 7005 #$t", "a< NON 4.04 * #03", "lamp> NON 2.05 7006 #$t Observe=02 !2",
		    "lamp< RST 0.00 7006 #", "quiet",
		    /* the device declines: no Observe in its answer */
		    "a> CON 0.01 0004 #04 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t !1", "a< ACK 2.05 0004 #04 !1", "lamp> NON 2.05 7007 #$t Observe=02 !2",
		    "lamp< RST 0.00 7007 #", "quiet",
		    /* an unsafe option in a notification: 5.02, and over */
		    "a> CON 0.01 0005 #05 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0005 #05 Observe=* !1",
		    "lamp> NON 2.05 7008 #$t Observe=02 65002=00 !2", "a< NON 5.02 * #05",
		    "lamp> NON 2.05 7009 #$t Observe=03 !3", "lamp< RST 0.00 7009 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	assert_int_equal(e->proxy->exchanges.observing[0], 0);
	engine_stop(e);
}

/* Every eighth NON notification goes out as CON, so that a client that left is noticed (RFC 7641
 * §4.5). */
static void test_observe_probes(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);
	unsigned cons = 0;

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1");
	engine_prove(e, "a");
	for (unsigned i = 1; i <= 24; i++) {
		const struct engine_sent *s;

		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x !n", 0x7000 + i, i + 1);
		s = engine_take(e, "a");
		assert_non_null(s);
		if ((s->buf[0] >> 4 & 3) == MSG_CON) {
			assert_int_equal(i % 8, 0);
			cons++;
			engine_line(e, "a> ACK 0.00 %02x%02x #", s->buf[2], s->buf[3]);
		}
	}
	assert_int_equal(cons, 3);
	engine_stop(e);
}

/* Several clients observe different things: each its own registration and token; observe-max is
 * per server. */
static void test_observe_max(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e;

	(void)state;
	c.servers[0].observe_max = 2;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*a Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$a Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1",
		    "b> CON 0.01 0001 #01 " REGISTER " Uri-Query:u=F",
		    "lamp< CON 0.01 * #*b Observe= Uri-Path:temperature Uri-Query:u=F",
		    "lamp> ACK 2.05 $ #$b Observe=01 !1", "b< ACK 2.05 0001 #01 Observe=* !1", "prove a", "prove b",
		    "lamp> NON 2.05 7001 #$b Observe=02 !b", "b< NON 2.05 * #01 Observe=* !b",
		    "lamp> NON 2.05 7002 #$a Observe=02 !a", "a< NON 2.05 * #01 Observe=* !a", "quiet",
		    /* the third is answered, but not observed */
		    "d> CON 0.01 0001 #01 " REGISTER " Uri-Query:u=K",
		    "lamp< CON 0.01 * #* Uri-Path:temperature Uri-Query:u=K", "lamp> ACK 2.05 $ #$ !1",
		    "d< ACK 2.05 0001 #01 !1",
		    /* who wants what another observes is no third, nor is a renewal */
		    "d> CON 0.01 0002 #02 " REGISTER, "d< ACK 2.05 0002 #02 Observe=* !a",
		    "a> CON 0.01 0002 #01 " REGISTER, "a< ACK 2.05 0002 #01 Observe=* !a", "quiet");
	assert_int_equal(e->proxy->exchanges.observing[0], 2);
	/* what is opaque is never another's: it counts for itself, and its renewal does not */
	ENGINE_PLAY(e, "b> CON 0.01 0002 #01 " DEREGISTER " Uri-Query:u=F",
		    "lamp< CON 0.01 * #$b Observe=01 Uri-Path:temperature Uri-Query:u=F", "lamp> ACK 2.05 $ #$ !b",
		    "b< ACK 2.05 0002 #01 !b", "b> CON 0.05 0003 #03 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*o Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= !=01",
		    "b< ACK 2.05 0003 #03 Observe=01 OSCORE= !=01",
		    "d> CON 0.05 0004 #04 Observe= OSCORE=090106 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #* OSCORE=090106 !=00", "lamp> ACK 2.05 $ #$ OSCORE= !=01",
		    "d< ACK 2.05 0004 #04 OSCORE= !=01",
		    "b> CON 0.05 0004 #03 Observe= OSCORE=090205 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #$o Observe= OSCORE=090205 !=00", "lamp> ACK 2.05 $ #$ Observe=02 OSCORE= !=02",
		    "b< ACK 2.05 0004 #03 Observe=02 OSCORE= !=02", "quiet");
	assert_int_equal(e->proxy->exchanges.observing[0], 2);
	e->n_out = 0;
	engine_stop(e);
}

/* The device went away: an observation that is not the guard's to renew ends after the 24 hours within which a CON is due, and
 * an hour. */
static void test_observe_device_lost(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.05 0001 #01 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*a Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$a Observe=01 OSCORE= !=01",
		    "a< ACK 2.05 0001 #01 Observe=01 OSCORE= !=01", "wait 24h");
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	ENGINE_PLAY(e, "lamp> NON 2.05 7001 #$a Observe=02 OSCORE=0101 !=02",
		    "a< CON 2.05 * #01 Observe=02 OSCORE=0101 !=02", "a> ACK 0.00 $ #", "wait 24h");
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	ENGINE_PLAY(e, "wait 2h", "lamp> NON 2.05 7002 #$a Observe=03 OSCORE=0102 !=03", "lamp< RST 0.00 7002 #",
		    "quiet");
	assert_int_equal(e->proxy->exchanges.observing[0], 0);
	engine_stop(e);
}

/* One that the guard renews ends when the device does not answer that, and its client hears of it (RFC 7641 §5). */
static void test_observe_device_silent(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 * #*a Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$a Observe=01 Max-Age=0a !1", "a< ACK 2.05 0001 #01 Observe=* Max-Age=0a !1",
		    "wait 9s", "quiet", "wait 1s", "lamp< CON 0.01 *m #$a Observe= Uri-Path:temperature", "wait 92s");
	for (unsigned i = 0; i < 4; i++)
		engine_line(e, "lamp< CON 0.01 $m #$a Observe= Uri-Path:temperature");
	ENGINE_PLAY(e, "quiet", "wait 2s", "a< NON 5.04 * #01", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* Nobody who is known to be there follows it: it ends soon after its Max-Age, and no link pays for it. */
static void test_observe_lapses(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*a Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$a Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1", "wait 59s");
	assert_int_equal(e->proxy->exchanges.observing[0], 1);
	ENGINE_PLAY(e, "wait 1s", "a< CON 2.05 *m #01 Observe=* Max-Age= !1", "quiet", "wait 31s", "quiet lamp",
		    "lamp> NON 2.05 7002 #$a Observe=03 !3", "lamp< RST 0.00 7002 #", "flush");
	assert_int_equal(e->proxy->exchanges.count, 0);
	/* who acknowledges that is there, and it is renewed */
	ENGINE_PLAY(e, "a> CON 0.01 0002 #02 " REGISTER, "lamp< CON 0.01 * #*a Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$a Observe=01 !1", "a< ACK 2.05 0002 #02 Observe=* !1", "wait 1min",
		    "a< CON 2.05 *m #02 Observe=* Max-Age= !1", "a> ACK 0.00 $m #", "wait 31s",
		    "lamp< CON 0.01 * #$a Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$a Observe=02 !2",
		    "a< * 2.05 * #02 Observe=* !2", "flush");
	engine_stop(e);
}

/* A stranger's registration proves nothing: notifications go out within I3, then they wait for a
 * pong. */
static void test_observe_unproven(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "x< ACK 2.05 0001 #01 Observe=* !1");
	for (unsigned i = 0; i < 200; i++) {
		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x !n", 0x7000 + i, i + 2);
		engine_line(e, "wait 1s");
	}
	engine_line(e, "flush"); /* the engine has watched the amplification */
	engine_stop(e);
}

/* Nor is the first response kept for as long as an observation when its client never proves itself. */
static void test_observe_unproven_first(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !" LONG LONG, "x< CON 0.00 * #", "quiet");
	assert_int_equal(e->proxy->holding, 1);
	ENGINE_PLAY(e, "wait 94s", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/*
 * The same, and the client answers. The first notification goes as CON: its acknowledgement is a
 * proof, for clients that know no ping. Else what no longer fits waits for a pong; the youngest is
 * what it gets.
 */
static void test_observe_proven_later(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1",
		    "lamp> NON 2.05 7001 #$t Observe=02 !2", "a< CON 2.05 * #01 Observe=* !2", "a> ACK 0.00 $ #",
		    "lamp> NON 2.05 7002 #$t Observe=03 !" LONG, "a< NON 2.05 * #01 Observe=* !" LONG,
		    "lamp> NON 2.05 7003 #$t Observe=04 !" LONG, "a< NON 2.05 * #01 Observe=* !" LONG, "quiet",

		    "b> CON 0.01 0001 #01 " REGISTER " Uri-Query:b",
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature Uri-Query:b",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "b< ACK 2.05 0001 #01 Observe=* !1",
		    "lamp> NON 2.05 7004 #$t Observe=02 !" LONG LONG, "b< CON 0.00 *p #", "quiet",
		    "lamp> NON 2.05 7005 #$t Observe=03 !" LONG LONG "x", "flush", "b> RST 0.00 $p #",
		    "b< CON 2.05 * #01 Observe=* !" LONG LONG "x", "b> ACK 0.00 $ #", "wait 1s", "b< CON 0.00 * #",
		    "quiet");
	engine_stop(e);
}

/* In a client's name, or a device's: a hundred and more with Message IDs that were never used. */
static void wrong_resets(struct engine *e, const char *who, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		engine_line(e, "%s> RST 0.00 %04x #", who, 0xf000 + i);
}

/* After many wrong resets a right one is perhaps a guess: the client is asked. */
static void test_guessed_reset(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0001 #01 Observe=* !1", "lamp> NON 2.05 7001 #$t Observe=02 !2",
		    "a< NON 2.05 *m #01 Observe=* !2");
	wrong_resets(e, "a", 100);
	ENGINE_PLAY(e, "a> RST 0.00 $m #", "lamp> NON 2.05 7002 #$t Observe=03 !3", "a< CON 2.05 *m #01 Observe=* !3",
		    "a> ACK 0.00 $m #", "lamp> NON 2.05 7003 #$t Observe=04 !4", "a< NON 2.05 *m #01 Observe=* !4");
	/* it was no guess */
	ENGINE_PLAY(e, "a> RST 0.00 $m #", "lamp> NON 2.05 7004 #$t Observe=05 !5", "a< CON 2.05 *m #01 Observe=* !5",
		    "a> RST 0.00 $m #");
	assert_true(e->proxy->exchanges.count > 0);
	for (unsigned i = 0; i < 93; i++) { /* and is not heard now, either: there are always wrong ones */
		wrong_resets(e, "a", 3);
		engine_wait(e, TSTAMP_S);
	}
	assert_int_equal(e->proxy->exchanges.count, 0);
	e->n_out = 0;
	/* a minute later they are believed again */
	ENGINE_PLAY(e, "wait 70s", "prove a", "a> CON 0.01 0002 #02 " REGISTER,
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0002 #02 Observe=* !1", "lamp> NON 2.05 7005 #$t Observe=02 !2",
		    "a< NON 2.05 *m #02 Observe=* !2", "a> RST 0.00 $m #");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* The device says it again when it is asked again. */
static void test_guessed_device_reset(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 *m #*t Uri-Path:temperature");
	wrong_resets(e, "lamp", 9);
	ENGINE_PLAY(e, "lamp> RST 0.00 $m #", "quiet", "lamp> ACK 2.05 $m #$t !on", "a< ACK 2.05 0001 #01 !on");
	ENGINE_PLAY(e, "a> CON 0.01 0002 #02 " GET, "lamp< CON 0.01 *m #*t Uri-Path:temperature");
	wrong_resets(e, "lamp", 9);
	ENGINE_PLAY(e, "lamp> RST 0.00 $m #", "quiet", "wait 10s");
	e->n_out = 0;
	ENGINE_PLAY(e, "lamp> RST 0.00 $m #", "a< CON 5.02 * #02", "a> ACK 0.00 $ #", "quiet");
	/* another device's are not doubted */
	ENGINE_PLAY(e, "a> CON 0.01 0003 #03 Uri-Path:house Uri-Path:door", "door< CON 0.01 *m #*t");
	wrong_resets(e, "lamp", 9);
	ENGINE_PLAY(e, "door> RST 0.00 $m #", "a< ACK 5.02 0003 #03");
	engine_stop(e);
}

/* A client that is gone is noticed, however often the device has news: its CON is repeated, not replaced. */
static void test_vanished(void **state)
{
	static const char *const types[] = { "NON", "CON" };

	(void)state;
	for (unsigned t = 0; t < 2; t++) {
		struct proxy_config c = engine_roomy();
		struct engine *e = engine_start(&c);

		ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
			    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0001 #01 Observe=* !1",
			    "lamp> NON 2.05 7001 #$t Observe=02 !2", "a< CON 2.05 * #01 Observe=* !2",
			    "a> ACK 0.00 $ #");
		for (unsigned i = 0; i < 30; i++) {
			engine_line(e, "lamp> %s 2.05 %04x #$t Observe=%02x !x", types[t], 0x7100 + i, i + 3);
			engine_wait(e, 10 * TSTAMP_S);
		}
		assert_int_equal(e->proxy->exchanges.count, 0);
		assert_int_equal(e->proxy->faults[FAULT_CLIENT_GONE], 1);
		e->n_out = 0;
		engine_stop(e);
	}
}

/* While a CON is not acknowledged news goes as NON, and the acknowledgement is still recognised. */
static void test_news_meanwhile(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0001 #01 Observe=* !1", "lamp> CON 2.05 7001 #$t Observe=02 !2",
		    "lamp< ACK 0.00 7001 #", "a< CON 2.05 *m #01 Observe=* !2", "lamp> CON 2.05 7002 #$t Observe=03 !3",
		    "lamp< ACK 0.00 7002 #", "a< NON 2.05 * #01 Observe=* !3", "a> ACK 0.00 $m #", "wait 59s", "quiet",
		    "lamp> CON 2.05 7003 #$t Observe=04 !4", "lamp< ACK 0.00 7003 #", "a< CON 2.05 * #01 Observe=* !4",
		    "a> RST 0.00 $ #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* A second copy of a piggybacked response is no notification; a device that restarted counts its Message IDs anew. */
static void test_device_repeats(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 *m #*t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $m #$t Observe=01 !1",
		    "a< ACK 2.05 0001 #01 Observe=* !1", "lamp> ACK 2.05 $m #$t Observe=01 !1", "quiet",
		    "b> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*t Uri-Path:temperature",
		    "lamp> CON 2.05 0001 #$t !1", "lamp< ACK 0.00 0001 #", "b< ACK 2.05 0001 #01 !1",
		    "d> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*t Uri-Path:temperature",
		    "lamp> CON 2.05 0001 #$t !2", "lamp< ACK 0.00 0001 #", "d< ACK 2.05 0001 #01 !2", "quiet");
	engine_stop(e);
	/* what it acknowledged it may acknowledge or reset again: that is over, and news come on */
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 *m #*t Observe= Uri-Path:temperature", "lamp> ACK 0.00 $m #",
		    "lamp> NON 2.05 7001 #$t Observe=01 Max-Age=ffff !1",
		    "a< ACK 2.05 0001 #01 Observe=* Max-Age=ffff !1", "lamp> ACK 0.00 $m #", "lamp> RST 0.00 $m #",
		    "wait 100s", "quiet", "prove a", "lamp> NON 2.05 7002 #$t Observe=02 Max-Age=ffff !2",
		    "a< NON 2.05 * #01 Observe=* Max-Age=ffff !2", "quiet");
	engine_stop(e);
}

/* Who holds a key asked for it: one answer goes there, however large, and a ping if his prefix has replies left. */
static void test_accepted_is_told(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.policy.reply_rate = (struct rate){ 1, TSTAMP_HOUR };
	c.policy.reply_slip = 0;
	e = engine_start(&c);
	engine_client(e, "next", "[2001:db8:1::77]:40001"); /* of a's /64 */
	ENGINE_PLAY(e, "a> CON 0.05 0001 #01 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #* Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= !" LARGE,
		    "a< ACK 2.05 0001 #01 Observe=01 OSCORE= !" LARGE, "a< CON 0.00 * #", "quiet",
		    "next> CON 0.05 0001 #01 Observe= OSCORE=090106 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #* Observe= OSCORE=090106 !=00", "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= !" LARGE,
		    "next< ACK 2.05 0001 #01 Observe=01 OSCORE= !" LARGE, "quiet");
	engine_stop(e);
}

/* A notification that nobody may be sent is not kept for as long as an observation; an error is the last word, Observe or not. */
static void test_opaque_ends(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.05 0001 #01 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*t Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$t Observe=01 OSCORE= !=00",
		    "x< ACK 2.05 0001 #01 Observe=01 OSCORE= !=00", "flush",
		    "lamp> NON 2.05 7001 #$t Observe=02 OSCORE=0101 !" LARGE, "flush", "wait 100s", "flush");
	assert_int_equal(e->proxy->exchanges.count, 0);
	ENGINE_PLAY(e, "prove a", "a> CON 0.05 0001 #01 Observe= OSCORE=090107 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*t Observe= OSCORE=090107 !=00", "lamp> ACK 2.05 $ #$t Observe=01 OSCORE= !=00",
		    "a< ACK 2.05 0001 #01 Observe=01 OSCORE= !=00", "lamp> NON 4.01 7002 #$t Observe=02",
		    "a< NON 4.01 * #01 *o", "lamp> NON 2.05 7003 #$t Observe=03 OSCORE=0102 !=00",
		    "lamp< RST 0.00 7003 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* Registrations from forged addresses leave places to clients that proved theirs. */
static void test_forged_observers(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		char name[8], address[64];

		sprintf(name, "s%u", i);
		sprintf(address, "[2001:db8:bad:%x::1]:40000", i + 16);
		engine_client(e, name, address);
		engine_line(e, "%s> CON 0.01 0001 #01 " REGISTER " Uri-Query:%u", name, i);
		engine_line(e, "lamp< CON 0.01 * #*t%s Uri-Path:temperature Uri-Query:%u", i < 8 ? " Observe=" : "", i);
		engine_line(e, i < 8 ? "lamp> ACK 2.05 $ #$t Observe=01 !1" : "lamp> ACK 2.05 $ #$t !1");
	}
	ENGINE_PLAY(e, "flush", "prove a", "a> CON 0.01 0001 #01 " REGISTER,
		    "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0001 #01 Observe=* !1", "quiet");
	engine_stop(e);
}

/* A key proves no address: one answer, but no stream of them (I3), and guessed acknowledgements prove nothing. */
static void test_unproven_home(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.05 0001 #01 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*t Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$t Observe=01 OSCORE= !=00");
	for (unsigned i = 0; i < 6; i++) /* the engine would cry */
		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x OSCORE= !" LONG LONG, 0x7000 + i, i + 2);
	ENGINE_PLAY(e, "flush", "y> CON 0.01 0001 #01 " REGISTER, "lamp< CON 0.01 * #*t Observe= Uri-Path:temperature",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "y< ACK 2.05 0001 #01 Observe=* !1",
		    "lamp> NON 2.05 7001 #$t Observe=02 !2", "y< CON 2.05 * #01 Observe=* !2");
	for (unsigned i = 0; i < 65536; i++) {
		const uint8_t ack[] = { 0x60, 0, (uint8_t)(i * 40503 >> 8), (uint8_t)(i * 40503) };

		engine_receive(e, &engine_peer(e, "y")->path, bytes_of(ack, sizeof ack));
	}
	assert_false(guard_knows(e->proxy->guard, &engine_peer(e, "y")->path.remote,
				 guard_flow(e->proxy->guard, &engine_peer(e, "y")->path.remote), e->now));
	e->n_out = 0;
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vanished),
		cmocka_unit_test(test_guessed_reset),
		cmocka_unit_test(test_guessed_device_reset),
		cmocka_unit_test(test_news_meanwhile),
		cmocka_unit_test(test_device_repeats),
		cmocka_unit_test(test_opaque_ends),
		cmocka_unit_test(test_accepted_is_told),
		cmocka_unit_test(test_unproven_home),
		cmocka_unit_test(test_forged_observers),
		cmocka_unit_test(test_piggybacked_figures),
		cmocka_unit_test(test_lost_upstream),
		cmocka_unit_test(test_separate_figures),
		cmocka_unit_test(test_non_figure),
		cmocka_unit_test(test_device_answers),
		cmocka_unit_test(test_response_options),
		cmocka_unit_test(test_verbatim),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_observe_ends),
		cmocka_unit_test(test_observe_probes),
		cmocka_unit_test(test_observe_max),
		cmocka_unit_test(test_observe_device_lost),
		cmocka_unit_test(test_observe_device_silent),
		cmocka_unit_test(test_observe_lapses),
		cmocka_unit_test(test_observe_unproven),
		cmocka_unit_test(test_observe_unproven_first),
		cmocka_unit_test(test_observe_proven_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* request: the client leg: who is heard, what goes up, what is refused and how. */
#include "proxy/request.h"
#include "engine.h"
#include "guard/state.h"
#include "msgtext.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET "Uri-Path:lamp Uri-Path:t"
#define X10 "0123456789"
#define X90 X10 X10 X10 X10 X10 X10 X10 X10 X10

/* --- what the next hop sees
 * --------------------------------------------------------------------------------------- */

/* To us, and to which device as what; or the code of the refusal. */
struct row {
	const char *sent, *device, *seen;
};

static void run_rows(struct engine *e, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool con = strncmp(rows[i].sent, "NON", 3) != 0;

		engine_line(e, "a> %s %04zx #f0%02zx %s", con ? "CON 0.02" : "NON 0.02", i, i,
			    con ? rows[i].sent : rows[i].sent + 4);
		if (rows[i].device) {
			engine_line(e, "%s< %s 0.02 * #* %s", rows[i].device, con ? "CON" : "NON", rows[i].seen);
			engine_line(e, "%s> NON 2.04 %04zx #$", rows[i].device, i);
			engine_line(e, con ? "a< ACK 2.04 %04zx #f0%02zx" : "a< NON 2.04 * #f0%02zx", i, i);
		} else if (con) {
			engine_line(e, "a< ACK %s %04zx #f0%02zx", rows[i].seen, i, i);
		} else {
			engine_line(e, "a< NON %s * #f0%02zx", rows[i].seen, i);
		}
		engine_line(e, "quiet");
		engine_line(e, "wait 10ms");
	}
}

#define RUN(e, rows) run_rows(e, rows, sizeof(rows) / sizeof *(rows))

static void test_reverse(void **state)
{
	static const struct row rows[] = {
		{ "Uri-Path:lamp", "lamp", "" },
		{ "Uri-Path:lamp Uri-Path:a Uri-Path:b Uri-Query:q=1", "lamp", "Uri-Path:a Uri-Path:b Uri-Query:q=1" },
		{ "Uri-Path:lamp Uri-Path:lamp", "lamp", "Uri-Path:lamp" },
		{ "Uri-Path:lamp Uri-Path:", "lamp", "Uri-Path:" },
		{ "Uri-Path:house Uri-Path:door Uri-Path:open", "door", "Uri-Path:open" },
		{ "Uri-Path:house Uri-Path:door", "door", "" },
		/* an unknown Uri-Host does not disturb, and does not travel on */
		{ "Uri-Host:guard.example Uri-Port=1633 Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ "Uri-Host:hall.example Uri-Path:lamp", "hall", "Uri-Path:lamp" },
		{ "Uri-Host:HALL.example", "hall", "" },
		{ "NON Uri-Path:lamp", "lamp", "" },
		{ "Uri-Path:house", NULL, "4.04" },
		{ "Uri-Path:lam", NULL, "4.04" },
		{ "Uri-Path:lampe", NULL, "4.04" },
		{ "Uri-Path:Lamp", NULL, "4.04" },
		{ "Uri-Path:house/door", NULL, "4.04" },
		{ "Uri-Path:.well-known Uri-Path:core", NULL, "4.04" },
		{ "", NULL, "4.04" },
		{ "NON Uri-Path:nowhere", NULL, "4.04" },
		/* blocks and the like pass through untouched */
		{ "Uri-Path:lamp Block2=06 Block1=0e Size2= Size1=1000 Request-Tag=01 !x", "lamp",
		  "Block2=06 Block1=0e Size2= Size1=1000 Request-Tag=01 Request-Tag=* !x" },
		{ "If-Match=01 ETag=02 If-None-Match= Uri-Path:lamp Content-Format=2a Accept=32 !x", "lamp",
		  "If-Match=01 ETag=02 If-None-Match= Content-Format=2a Accept=32 !x" },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	RUN(e, rows);
	engine_stop(e);
}

static void test_forward(void **state)
{
	static const struct row rows[] = {
		/* the destination's own literal is omitted; a name is kept; Hop-Limit 16 is added
		   (RFC 8768 §3) */
		{ "Proxy-Uri:coap://[fd00:db8::18]/a/b?c&d", "door",
		  "Uri-Path:a Uri-Path:b Uri-Query:c Uri-Query:d Hop-Limit=10" },
		{ "Proxy-Uri:coap://[fd00:db8::18]", "door", "Hop-Limit=10" },
		{ "Proxy-Uri:coap://[fd00:db8::18]/", "door", "Hop-Limit=10" },
		{ "Proxy-Uri:coap://[fd00:0DB8:0::18]:5683/%41", "door", "Uri-Path:A Hop-Limit=10" },
		{ "Proxy-Uri:coap://hall.example:61616/x", "hall", "Uri-Host:hall.example Uri-Path:x Hop-Limit=10" },
		{ "Proxy-Uri:COAP://Hall.Example:61616/x", "hall", "Uri-Host:Hall.Example Uri-Path:x Hop-Limit=10" },
		{ "Proxy-Uri:coap://[fd00:db8::19]:61616//%2F//?%2F%2F&?%26", "hall",
		  "Uri-Path: Uri-Path:/ Uri-Path: Uri-Path: Uri-Query:// Uri-Query:?& "
		  "Hop-Limit=10" },
		/* Proxy-Uri takes precedence over Uri-* */
		{ "Uri-Host:hall.example Uri-Path:z Uri-Query:z Proxy-Uri:coap://[fd00:db8::18]/a", "door",
		  "Uri-Path:a Hop-Limit=10" },
		{ "Uri-Host:fd00:db8::18 Uri-Path:a Proxy-Scheme:coap", "door", "Uri-Path:a Hop-Limit=10" },
		{ "Uri-Host:[fd00:db8::18] Uri-Path:a Proxy-Scheme:coap", "door", "Uri-Path:a Hop-Limit=10" },
		{ "Uri-Host:hall.example Uri-Port=f0b0 Uri-Path:a Uri-Query:b Proxy-Scheme:coap", "hall",
		  "Uri-Host:hall.example Uri-Path:a Uri-Query:b Hop-Limit=10" },
		{ "Uri-Host:hall.example Uri-Port=f0b0 OSCORE=0900 Proxy-Scheme:coap "
		  "!=0000000000000000",
		  "hall", "Uri-Host:hall.example OSCORE=0900 Hop-Limit=10 !=0000000000000000" },
		/* our own authority is treated locally (RFC 7252 §5.7.2) */
		{ "Uri-Host:2001:db8::53 Uri-Path:lamp Uri-Path:a Proxy-Scheme:coap", "lamp",
		  "Uri-Path:a Hop-Limit=10" },
		{ "Uri-Path:lamp Uri-Path:a Proxy-Scheme:coap", "lamp", "Uri-Path:a" },
		{ "Proxy-Uri:coap://[2001:db8::53]/lamp/a?b", "lamp", "Uri-Path:a Uri-Query:b Hop-Limit=10" },
		{ "Proxy-Uri:coap://[2001:db8::53]/house/d%6For", "door", "Hop-Limit=10" },
		{ "Proxy-Uri:coap://[2001:db8::53]/other", NULL, "4.04" },
		{ "Proxy-Uri:coap://[2001:db8::53]", NULL, "4.04" },
		/* default deny */
		{ "Proxy-Uri:coap://[fd00:db8::17]/", NULL, "5.05" }, /* lamp is no forward target */
		{ "Proxy-Uri:coap://[fd00:db8::99]/", NULL, "5.05" },
		{ "Proxy-Uri:coap://[fd00:db8::18]:5684/", NULL, "5.05" },
		{ "Proxy-Uri:coap://hall.example/", NULL, "5.05" }, /* its port is another */
		{ "Proxy-Uri:coap://other.example/", NULL, "5.05" },
		{ "Proxy-Uri:coaps://[fd00:db8::18]/", NULL, "5.05" },
		{ "Proxy-Uri:http://[fd00:db8::18]/", NULL, "5.05" },
		{ "Proxy-Uri:coap://[::1]/", NULL, "5.05" },
		{ "Proxy-Uri:coap://127.0.0.1/", NULL, "5.05" },
		{ "Proxy-Uri:coap://[::ffff:127.0.0.1]/", NULL, "5.05" },
		{ "Proxy-Uri:coap://[ff02::1]/", NULL, "5.05" },
		{ "Proxy-Uri:coap://[fe80::1]/", NULL, "5.05" },
		{ "Uri-Host:other.example Proxy-Scheme:coap", NULL, "5.05" },
		{ "Uri-Host:fd00:db8::18 Uri-Port=1234 Proxy-Scheme:coap", NULL, "5.05" },
		{ "Uri-Host:fd00:db8::18 Proxy-Scheme:coaps", NULL, "5.05" },
		/* not a URI */
		{ "Proxy-Uri:/relative", NULL, "4.02" },
		{ "Proxy-Uri:coap://u@[fd00:db8::18]/", NULL, "4.02" },
		{ "Proxy-Uri:coap://[fd00:db8::18]/#f", NULL, "4.02" },
		{ "Proxy-Uri:coap://[fd00:db8::18]/%4", NULL, "4.02" },
		{ "Proxy-Uri:coap://[fd00:db8::18]:0/", NULL, "4.02" },
		{ "Proxy-Uri:coap://?q", NULL, "4.02" },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	RUN(e, rows);
	engine_stop(e);
}

/* RFC 8768: decremented, 5.08 when it runs out, 4.00 when it is none. */
static void test_hop_limit(void **state)
{
	static const struct row rows[] = {
		{ "Uri-Path:lamp Hop-Limit=10", "lamp", "Hop-Limit=0f" },
		{ "Uri-Path:lamp Hop-Limit=02", "lamp", "Hop-Limit=01" },
		{ "Uri-Path:lamp Hop-Limit=ff Accept=32", "lamp", "Hop-Limit=fe Accept=32" },
		{ "Uri-Path:lamp Hop-Limit=01", NULL, "5.08" },
		{ "Uri-Path:lamp Hop-Limit=00", NULL, "4.00" },
		{ "Uri-Path:lamp Hop-Limit=", NULL, "4.00" },
		{ "Uri-Path:lamp Hop-Limit=0010", NULL, "4.00" },
		{ "Hop-Limit=05 Proxy-Uri:coap://[fd00:db8::18]/a", "door", "Uri-Path:a Hop-Limit=04" },
		{ "Hop-Limit=01 Proxy-Uri:coap://[fd00:db8::18]/a", NULL, "5.08" },
		{ "OSCORE=0900 Uri-Path:lamp Hop-Limit=05 !=0000", "lamp", "OSCORE=0900 Hop-Limit=04 !=0000" },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e;
	struct row plain[sizeof rows / sizeof *rows];

	(void)state;
	memcpy(plain, rows, sizeof rows);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!plain[i].device && strcmp(plain[i].seen, "5.08") == 0)
			plain[i].device = "-"; /* below: it names the proxy */
	e = engine_start(&c);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (plain[i].device != NULL && plain[i].device[0] == '-') {
			engine_line(e, "a> CON 0.02 8%03zx #0c %s", i, rows[i].sent);
			engine_line(e, "a< ACK 5.08 8%03zx #0c !guard under test", i);
			engine_line(e, "quiet");
		} else {
			run_rows(e, &plain[i], 1);
			engine_wait(e, 300 * TSTAMP_S); /* the row's Message ID is always 0 */
		}
	engine_stop(e);
}

/* RFC 7252 §5.7.1 */
static void test_request_options(void **state)
{
	static const struct row rows[] = {
		{ "Uri-Path:lamp 65001=7a", "lamp", "65001=7a" }, /* critical, safe */
		{ "Uri-Path:lamp 65004=7a", "lamp", "65004=7a" }, /* elective, safe */
		{ "Uri-Path:lamp 65020=7a", "lamp", "65020=7a" },
		{ "9=0900 Uri-Path:lamp EDHOC= !=0000", "lamp", "OSCORE=0900 EDHOC= !=0000" },
		{ "Uri-Path:lamp Uri-Path-Abbrev=01", "lamp", "Uri-Path-Abbrev=01" },
		{ "Uri-Path:lamp 65002=7a", NULL, "4.02" }, /* elective, unsafe */
		{ "Uri-Path:lamp 65003=7a", NULL, "4.02" },
		{ "NON Uri-Path:lamp 65003=7a", NULL, "4.02" },
		{ "Uri-Path:lamp Q-Block1=0e", NULL, "4.02" },
		{ "Uri-Path:lamp Q-Block2=0e", NULL, "4.02" },
		{ "Uri-Path:lamp Proxy-Cri=80", NULL, "4.02" },
		{ "Uri-Path:lamp Proxy-Scheme-Number=00", NULL, "4.02" },
		/* critical, known, of a wrong length or repeated: as if not known (RFC 7252 §5.4.3,
		   §5.4.5) */
		{ "Uri-Path:lamp Block2=00000000", NULL, "4.02" },
		{ "Uri-Path:lamp Accept=000000", NULL, "4.02" },
		{ "Uri-Path:lamp Accept=00 Accept=00", NULL, "4.02" },
		{ "Uri-Host:a Uri-Host:b Uri-Path:lamp", NULL, "4.02" },
		{ "Uri-Host: Uri-Path:lamp", NULL, "4.02" },
		{ "OSCORE=0900 OSCORE=0900 Uri-Path:lamp !=00", NULL, "4.02" },
		{ "OSCORE=0900 Uri-Path:lamp", NULL, "4.02" }, /* no payload: malformed (RFC 8613 §2) */
		/* elective and safe, of a wrong length: the endpoint's affair */
		{ "Uri-Path:lamp Size1=0000000000", "lamp", "Size1=0000000000" },
		{ "ETag= Uri-Path:lamp", "lamp", "ETag=" },
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	RUN(e, rows);
	engine_stop(e);
}

/* tests/vectors: the forms of proxying, bit by bit. */
static void test_proxy_forms(void **state)
{
	struct proxy_config c = engine_roomy();
	char *json = vectors_load("rfc7252_messages.json"), expect[64];
	const char *form = vectors_first(vectors_member(json, "proxy_forms_own"));
	struct engine *e;
	uint8_t wire[64], upstream[64];
	unsigned forms = 0;
	struct msg up, got;

	(void)state;
	/* the third row is what the first two become at a server of that name; they name none in
	 * the others */
	assert_int_equal(
		msg_parse(&up, vectors_bytes(vectors_next(vectors_next(form)), "wire", upstream, sizeof upstream)),
		MSG_OK);
	strcpy(c.servers[1].uri_host, "example.net");
	c.listens[0].server = 1;
	e = engine_start(&c);
	for (; form; form = vectors_next(form), forms++) {
		bool refused = vectors_text(form, "expect", expect, sizeof expect) && strcmp(expect, "4.02") == 0;
		const struct engine_sent *s;
		struct msg_option hop;

		if (forms == 2)
			continue;
		engine_receive(e, &engine_peer(e, (const char *[]){ "a", "b", "c", "d", "e", "f", "g" }[forms])->path,
			       vectors_bytes(form, "wire", wire, sizeof wire));
		s = engine_take(e, "door");
		assert_true((s == NULL) == refused);
		if (!s) {
			engine_line(e, "d< ACK 4.02 0003 #02");
			continue;
		}
		assert_int_equal(msg_parse(&got, bytes_of(s->buf, s->len)), MSG_OK);
		if (forms < 2) {
			struct msg_iter x = msg_options(&up), y = msg_options(&got);
			struct msg_option a, b;

			while (msg_next(&x, &a)) {
				assert_true(msg_next(&y, &b));
				assert_int_equal(a.number, b.number);
				assert_true(bytes_equal(a.value, b.value));
			}
			assert_true(msg_next(&y, &b) && b.number == 16 && !msg_next(&y, &b));
		} else {
			assert_true(msg_find(&got, forms == 4 ? 65001 : forms == 5 ? 65004 : 65020, &hop));
			assert_true(bytes_are(hop.value, "z"));
		}
	}
	assert_int_equal(forms, 7);
	e->n_out = 0;
	engine_stop(e);
	free(json);
}

/* RFC 8974: whatever length, the token comes back as it was. */
static void test_tokens(void **state)
{
	static const unsigned lengths[] = { 0,  1,  2,  3,  4,  5,  6,  7,   8,   9,   10,
					    11, 12, 13, 31, 32, 33, 34, 100, 268, 269, 300 };
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	char token[601];

	(void)state;
	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		for (unsigned n = 0; n < lengths[i]; n++)
			sprintf(token + 2 * n, "%02x", (n * 7 + i) & 0xff);
		token[2 * lengths[i]] = '\0';
		engine_line(e, "a> CON 0.01 %04x #%s " GET, i, token);
		engine_line(e, "lamp< CON 0.01 * #* Uri-Path:t");
		assert_int_equal(strlen(engine_peer(e, "lamp")->token), 2 * EXCHANGE_TOKEN);
		engine_line(e, "lamp> ACK 2.05 $ #$ !on");
		if (lengths[i] == 268) { /* larger than an unproven address may get */
			engine_line(e, "a< CON 0.00 * #");
			engine_line(e, "a> RST 0.00 $ #");
		}
		engine_line(e, "a< ACK 2.05 %04x #%s !on", i, token);
		engine_line(e, "wait 10s");
		e->n_out = 0; /* a second ping */
	}
	/* a refusal, too */
	engine_line(e, "b> CON 0.01 0001 #%s Uri-Path:nowhere", token);
	engine_line(e, "b< ACK 4.04 0001 #%s", token);
	engine_line(e, "b> NON 0.01 0002 #%s Uri-Path:nowhere", token);
	engine_line(e, "b< NON 4.04 * #%s", token);
	engine_stop(e);
}

/* --- silence, and waiting
 * ------------------------------------------------------------------------------------------ */

/* An unproven client's CON reaches the device exactly once, however often the client repeats it,
 * and no ACK is given. */
static void test_unproven_once(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*t Uri-Path:t", "wait 2s",
		    "x> CON 0.01 0001 #01 " GET, "wait 4s", "x> CON 0.01 0001 #01 " GET, "wait 8s",
		    "x> CON 0.01 0001 #01 " GET, "wait 16s", "x> CON 0.01 0001 #01 " GET, "wait 30s", "quiet",
		    "wait 40s", "x< ACK 5.04 0001 #01", "quiet",
		    /* known still: the same answer */
		    "x> CON 0.01 0001 #01 " GET, "x< ACK 5.04 0001 #01", "quiet");
	assert_int_equal(e->to_device, 1);
	engine_stop(e);
}

/* A client we know is told by ACK that we are at it, and the device hears MAX_RETRANSMIT
 * repetitions. */
static void test_silent_device(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e;

	(void)state;
	c.links[0].retransmit = (struct retransmit_params){ 2 * TSTAMP_S, 2 };
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 *m #*t Uri-Path:t", "wait 3s", "a< ACK 0.00 0001 #",
		    "a> CON 0.01 0001 #01 " GET, "a< ACK 0.00 0001 #", "wait 7s", "lamp< CON 0.01 $m #$t Uri-Path:t",
		    "lamp< CON 0.01 $m #$t Uri-Path:t", "quiet lamp", "wait 14s", "quiet lamp", "a< CON 5.04 * #01",
		    "a> ACK 0.00 $ #", "flush", "wait 100s", "quiet",
		    /* a NON is not repeated; 5.04 after the link's MAX_TRANSMIT_WAIT, 21 s */
		    "a> NON 0.01 0002 #02 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "wait 20s", "quiet", "wait 2s",
		    "a< NON 5.04 * #02", "quiet",
		    /* No-Response: silence is what was asked for */
		    "a> NON 0.02 0003 #03 Uri-Path:lamp No-Response=1a", "lamp< NON 0.02 * #* No-Response=1a",
		    "wait 100s", "quiet");
	assert_int_equal(e->proxy->faults[FAULT_DEVICE_SILENT], 3);
	engine_stop(e);
}

/* A device that stays silent delays nobody but the client that waits for it already (NSTART). */
static void test_no_head_of_line(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*a Uri-Path:t", "a> CON 0.01 0002 #02 " GET,
		    "quiet", "b> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*b Uri-Path:t",
		    "a> CON 0.01 0003 #03 Uri-Host:hall.example", "hall< CON 0.01 * #*", "hall> ACK 2.05 $ #$ !x",
		    "a< ACK 2.05 0003 #03 !x", "lamp> NON 2.05 7001 #$b !b", "b< ACK 2.05 0001 #01 !b", "quiet",
		    /* the parked one follows when the first is settled */
		    "lamp> NON 2.05 7002 #$a !a", "a< ACK 2.05 0001 #01 !a", "lamp< CON 0.01 * #* Uri-Path:t",
		    "lamp> ACK 2.05 $ #$ !c", "a< ACK 2.05 0002 #02 !c", "quiet",
		    /* or is told after queue-wait */
		    "d> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "d> CON 0.01 0002 #02 " GET,
		    "wait 19s", "quiet", "wait 2s", "d< ACK 5.03 0002 #02", "quiet");
	engine_stop(e);
}

/* The link is slow: what waited longer than queue-wait is answered 5.03, and never goes up. */
static void test_queue_wait(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;
	unsigned refused = 0;

	(void)state;
	c.links[0].sched.rate = (struct rate){ 10, TSTAMP_S };
	c.links[0].sched.burst = 128;
	e = engine_start(&c);
	for (unsigned i = 0; i < 8; i++)
		engine_line(e, "%c> CON 0.01 0001 #01 " GET, 'a' + i);
	engine_wait(e, 25 * TSTAMP_S);
	for (unsigned i = 0; i < 8; i++) {
		const struct engine_sent *s = engine_take(e, (char[]){ (char)('a' + i), '\0' });

		refused += s && s->buf[1] == MSG_UNAVAILABLE;
	}
	assert_int_equal(refused + e->to_device, 8);
	assert_true(refused >= 3 && e->to_device >= 2);
	assert_int_equal(e->proxy->faults[FAULT_LINK_WAIT], refused);
	engine_stop(e);
}

/* --- an address that is not proven
 * --------------------------------------------------------------------------------- */

static void test_held_until_pong(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e,
		    /* answered by a pong, the large response goes out; the engine would have cried
		       at x */
		    "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !" X90 X90,
		    "a< CON 0.00 *p #", "quiet", "wait 1s", "quiet", "a> RST 0.00 $p #",
		    "a< ACK 2.05 0001 #01 !" X90 X90, "quiet",
		    /* proven now: the second ping comes, and large responses go at once */
		    "wait 1s", "a< CON 0.00 *q #", "a> RST 0.00 $q #", "a> CON 0.01 0002 #02 " GET,
		    "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !" X90 X90, "a< ACK 2.05 0002 #02 !" X90 X90,
		    "quiet",
		    /* never proven: never sent; the client's own repetitions are met by pings */
		    "x> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !" X90 X90,
		    "x< CON 0.00 * #", "wait 2s", "x> CON 0.01 0001 #01 " GET, "x< CON 0.00 * #", "quiet", "wait 100s",
		    "quiet");
	assert_int_equal(e->to_device, 3);
	engine_stop(e);
}

/* A response that fits after the second copy of the request: from then on each copy may ask for it
 * again, within I3. */
static void test_repeated_by_unproven(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.listens[0].server = 0;
	e = engine_start(&c);
	ENGINE_PLAY(e, "x> CON 0.01 0001 #", "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !" X90 X10 X10 X10 X10,
		    "x< CON 0.00 * #", "quiet", "x> CON 0.01 0001 #", "x< CON 0.00 * #",
		    "x< ACK 2.05 0001 # !" X90 X10 X10 X10 X10, "quiet");
	for (unsigned i = 0; i < 40; i++)
		ENGINE_PLAY(e, "x> CON 0.01 0001 #", "wait 1s", "flush");
	engine_stop(e);
}

/* --- Echo
 * ----------------------------------------------------------------------------------------------------------
 */

/* Our own Echo is taken off before the device sees it, a foreign one is the device's (RFC 9175
 * §2.3). */
static void test_echo(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.policy.servers[0].unknown_rate = (struct rate){ 2, TSTAMP_MIN };
	c.policy.servers[0].unknown_budget = 1;
	e = engine_start(&c);
	ENGINE_PLAY(e,
		    /* the day's budget is one unit; then NON gets 4.29 with Max-Age and Echo */
		    "b> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "lamp> NON 2.05 7001 #$ !x",
		    "b< NON 2.05 * #01 !x", "quiet");
	engine_line(e, "a> NON 0.02 0001 #e1 OSCORE=091425 Uri-Path:lamp !=198f83b556e4de905d497d");
	{
		const struct engine_sent *s = engine_take(e, "a");
		struct msg_option echo, age;
		char hex[80];
		struct msg m;

		assert_non_null(s);
		assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
		assert_int_equal(m.code, MSG_TOO_MANY_REQUESTS);
		assert_true(msg_find(&m, 252, &echo) && msg_find(&m, 14, &age));
		msgtext_hex(echo.value, hex);
		/* the very same protected message, with the Echo outside: same Partial IV, new
		 * token */
		engine_line(e,
			    "a> NON 0.02 0002 #e2 OSCORE=091425 Uri-Path:lamp Echo=%s "
			    "!=198f83b556e4de905d497d",
			    hex);
	}
	ENGINE_PLAY(e, "lamp< NON 0.02 * #* OSCORE=091425 !=198f83b556e4de905d497d",
		    "lamp> NON 2.04 7002 #$ OSCORE= !=00", "a< NON 2.04 * #e2 OSCORE= !=00",
		    /* a foreign one is kept, from whom may reach the device */
		    "a> NON 0.02 0003 #e3 OSCORE=091525 Uri-Path:lamp Echo=0102030405 !=19",
		    "lamp< NON 0.02 * #* OSCORE=091525 Echo=0102030405 !=19", "quiet");
	engine_stop(e);
}

/* Nor does the device see one of ours that is too old to be of use. */
static void test_stale_echo(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	const struct path *a = &engine_peer(e, "a")->path;
	uint8_t echo[ECHO_LEN];
	char hex[80];

	(void)state;
	guard_echo(e->proxy->guard, &a->remote, &a->local, e->now, echo);
	msgtext_hex(bytes_of(echo, sizeof echo), hex);
	engine_line(e, "a> CON 0.01 0001 #01 " GET " Echo=%s", hex);
	ENGINE_PLAY(e, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$", "a< ACK 2.05 0001 #01", "wait 2min");
	engine_line(e, "a> CON 0.01 0002 #02 " GET " Echo=%s", hex);
	ENGINE_PLAY(e, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$", "a< ACK 2.05 0002 #02");
	engine_stop(e);
}

/* The queue of newcomers is full: who makes room hears of it. Who waits in vain leaves it. */
static void test_full_queue(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;
	unsigned told = 0;

	(void)state;
	c.exchanges = 1200;
	c.policy.relations = 4096;
	c.policy.servers[0].unknown_budget = 0;
	e = engine_start(&c);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i <= 1024; i++) {
			struct path who = engine_path("[2001:db8::1]:40000");
			uint8_t buf[64];
			uint16_t mid;

			who.remote.ip[2] = (uint8_t)(i >> 8); /* a /32 each */
			who.remote.ip[3] = (uint8_t)i;
			mid = guard_ping(e->proxy->guard, &who.remote, &who.local, e->now);
			engine_receive(e, &who,
				       round < 2
					       ? bytes_of((uint8_t[]){ 0x70, 0, (uint8_t)(mid >> 8), (uint8_t)mid }, 4)
					       : msgtext_write("NON 0.01 0001 #01 " GET, buf, sizeof buf));
		}
		if (round < 2) {
			engine_wait(e, 800 * TSTAMP_MS);
			e->n_out = 0;
		}
	}
	for (unsigned i = 0; i < e->n_out; i++)
		told += e->out[i].buf[1] == MSG_UNAVAILABLE;
	assert_int_equal(told, 1);
	assert_int_equal(newcomers_waiting(e->proxy->guard->newcomers, 0), 1024);
	engine_wait(e, PROXY_PATIENCE);
	assert_true(newcomers_idle(e->proxy->guard->newcomers));
	e->n_out = 0;
	engine_stop(e);
}

/* tests/vectors echo_flow: our values have another layout, the flow is the same. */
static void test_echo_flow(void **state)
{
	char *json = vectors_load("reputation_cases.json");
	const char *flow = vectors_member(json, "echo_flow");
	struct proxy_config c = engine_roomy();
	uint8_t first[64], retry[96], up[64];
	struct bytes request = vectors_bytes(flow, "client_request", first, sizeof first);
	struct msg m, expected, again;
	const struct engine_sent *s;
	struct msg_option echo, opt;
	struct msg_iter it;
	struct msgbuf b;
	struct engine *e;
	struct path a;

	(void)state;
	c.listens[0].server = 0;
	c.policy.servers[0].unknown_budget = 0;
	e = engine_start(&c);
	a = engine_path("[2001:db8:1::a]:40001");
	/* an outer Echo of somebody else is answered 4.01 with one of ours, as in the vector */
	assert_int_equal(
		msg_parse(&again, vectors_bytes(flow, "client_retry_same_oscore_message", retry, sizeof retry)),
		MSG_OK);
	engine_receive(e, &a, bytes_of(retry, (size_t)(again.payload.ptr + again.payload.len - retry)));
	s = engine_take(e, "a");
	assert_non_null(s);
	assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
	assert_true(m.type == MSG_ACK && m.code == MSG_UNAUTHORIZED && m.mid == 0x1031 && m.n_options == 1);
	assert_true(msg_find(&m, 252, &echo) && echo.value.len == ECHO_LEN);
	/* the retry of the vector, with our value in place of its */
	assert_int_equal(msg_parse(&again, request), MSG_OK);
	msgbuf_begin(&b, retry, sizeof retry, again.type, again.code, 0x1032, bytes_of("\xe3", 1));
	for (it = msg_options(&again); msg_next(&it, &opt);)
		msgbuf_option(&b, opt.number, opt.value);
	msgbuf_option(&b, 252, echo.value);
	msgbuf_payload(&b, again.payload);
	engine_receive(e, &a, msgbuf_end(&b));
	engine_wait(e, TSTAMP_S);
	s = engine_take(e, "lamp");
	if (!s) { /* unknown-budget 0 is no budget for anybody who is not in good standing */
		assert_int_equal(e->proxy->exchanges.count, 1);
	} else {
		assert_int_equal(
			msg_parse(&expected, vectors_bytes(flow, "guard_to_server_echo_removed", up, sizeof up)),
			MSG_OK);
		assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
		assert_true(m.type == expected.type && m.code == expected.code);
		assert_true(bytes_equal(m.options, expected.options) && bytes_equal(m.payload, expected.payload));
	}
	engine_stop(e);
	free(json);
}

/* --- who forges what
 * ----------------------------------------------------------------------------------------------- */

/* a is in good standing: kid 05, Partial IVs 1 to 9. */
static struct engine *start_trusted(const struct proxy_config *c)
{
	struct engine *e = engine_start(c);

	for (unsigned i = 1; i <= 9; i++) {
		engine_line(e, "a> NON 0.02 %04x #%02x OSCORE=09%02x05 Uri-Path:lamp !=00", 0x100 + i, i, i);
		engine_line(e, "lamp< NON 0.02 * #* OSCORE=09%02x05 !=00", i);
		engine_line(e, "lamp> NON 2.04 %04x #$ OSCORE= !=00", 0x100 + i);
		engine_line(e, "a< NON 2.04 * #%02x OSCORE= !=00", i);
	}
	return e;
}

/* Each of these was forged by somebody who sees nothing, and would have kept the true request from the device. */
static void test_forged_obstacles(void **state)
{
	static const char *const forged[] = {
		"a> CON 0.01 7777 #77 " GET,                             /* NSTART, and the device is silent */
		"a> NON 0.01 0200 #77 " GET,                             /* its next Message ID */
		"x> NON 0.02 7777 #77 OSCORE=090a05 Uri-Path:lamp !=00", /* its next Partial IV */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof forged / sizeof *forged; i++) {
		struct proxy_config c = engine_roomy();
		struct engine *e = start_trusted(&c);

		engine_line(e, "%s", forged[i]);
		engine_line(e, "flush");
		ENGINE_PLAY(e, "a> CON 0.02 0200 #20 OSCORE=090a05 Uri-Path:lamp !=00",
			    "lamp< CON 0.02 * #* OSCORE=090a05 !=00");
		engine_stop(e);
	}
}

/* Within one lane requests still wait for each other, and the better lane goes first afterwards. */
static void test_nstart_lanes(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = start_trusted(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.02 0200 #20 OSCORE=090a05 Uri-Path:lamp !=00",
		    "lamp< CON 0.02 * #*a OSCORE=090a05 !=00", "a> CON 0.01 0300 #30 " GET, "quiet",
		    "a> CON 0.02 0201 #21 OSCORE=090b05 Uri-Path:lamp !=00", "quiet",
		    "lamp> NON 2.04 7001 #$a OSCORE= !=00", "a< ACK 2.04 0200 #20 OSCORE= !=00",
		    "lamp< CON 0.02 * #*b OSCORE=090b05 !=00", "quiet", "lamp> NON 2.04 7002 #$b OSCORE= !=00",
		    "a< ACK 2.04 0201 #21 OSCORE= !=00", "lamp< CON 0.01 * #* Uri-Path:t", "quiet");
	engine_stop(e);
}

/* Good standing pays for no key exchange, wherever it is asked for. */
static void test_handshakes_cost(void **state)
{
	static const char *const rows[] = {
		"a> NON 0.02 0201 #21 OSCORE=090a05 Uri-Path:lamp EDHOC= !=00",
		"b> NON 0.02 0201 #21 Uri-Path:lamp Uri-Path:.well-known Uri-Path:edhoc !=00",
		"b> NON 0.02 0201 #21 Uri-Path:lamp Uri-Path:keys Content-Format=40 !=00",
		"b> NON 0.02 0201 #21 Uri-Path:lamp Uri-Path:keys Content-Format=41 !=00",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxy_config c = engine_careful();
		struct engine *e = start_trusted(&c);

		engine_line(e, "%s", rows[i]);
		assert_int_equal(e->to_device, 10);
		assert_int_equal(e->proxy->guard->servers[0].budgets[BUDGET_UNKNOWN].used, 36);
		e->n_out = 0;
		engine_stop(e);
	}
}

#define EDHOC "Uri-Path:lamp Uri-Path:.well-known Uri-Path:edhoc Content-Format=41"

/* EDHOC through the guard with what it gives strangers by default: all messages of the exchange pass, and then the new key is known. */
static void test_handshake_completes(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.02 0101 #11 " EDHOC " !=f5030258",
		    "lamp< CON 0.02 * #*a Uri-Path:.well-known Uri-Path:edhoc Content-Format=41 !=f5030258",
		    "lamp> NON 2.04 7001 #$a Content-Format=40 !=58aa", "a< ACK 2.04 0101 #11 Content-Format=40 !=58aa",
		    "a> CON 0.02 0102 #12 " EDHOC " !=2701",
		    "lamp< CON 0.02 * #*b Uri-Path:.well-known Uri-Path:edhoc Content-Format=41 !=2701",
		    "lamp> NON 2.04 7002 #$b", "a< ACK 2.04 0102 #12");
	/* the other half of what strangers may spend is there for requests, so empty it */
	while (guard_spend(e->proxy->guard, 0, LANE_UNKNOWN, e->now))
		;
	ENGINE_PLAY(e, "a> CON 0.02 0103 #13 OSCORE=090027 Uri-Path:lamp !=00",
		    "lamp< CON 0.02 * #*c OSCORE=090027 !=00", "lamp> NON 2.04 7003 #$c OSCORE= !=00",
		    "a< ACK 2.04 0103 #13 OSCORE= !=00");
	engine_line(e, "a> CON 0.02 0104 #14 OSCORE=090127 Uri-Path:lamp !=00");
	assert_string_equal(e->reason, "tentative");
	e->n_out = 0;
	engine_stop(e);
}

/* What begins an exchange, or is a token, is nobody's next message. */
static void test_handshake_begins(void **state)
{
	static const struct {
		const char *line, *reason;
	} rows[] = {
		{ "a> NON 0.02 0102 #12 " EDHOC " !=f5030258", "budget-spent" },
		{ "a> NON 0.02 0102 #12 " EDHOC, "budget-spent" }, /* the client is the responder (RFC 9528 A.2.2) */
		{ "a> NON 0.02 0102 #12 Uri-Path:lamp Uri-Path:authz-info !=a1", "budget-spent" },
		{ "a> NON 0.02 0102 #12 Uri-Path:lamp Uri-Path:x Content-Format=40 !=0358", "budget-spent" },
		{ "a> NON 0.02 0102 #12 " EDHOC " !=2701", "handshake" },
		{ "a> NON 0.02 0102 #12 OSCORE=090027 Uri-Path:lamp EDHOC= !=2701", "handshake" },
		{ "b> NON 0.02 0102 #12 " EDHOC " !=2701", "budget-spent" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxy_config c = engine_careful();
		struct engine *e = engine_start(&c);

		ENGINE_PLAY(e, "a> NON 0.02 0101 #11 " EDHOC " !=f5030258",
			    "lamp< NON 0.02 * #*a Uri-Path:.well-known Uri-Path:edhoc Content-Format=41 !=f5030258",
			    "lamp> NON 2.04 7001 #$a !=58aa", "a< NON 2.04 * #11 !=58aa");
		engine_line(e, "%s", rows[i].line);
		assert_string_equal(e->reason, rows[i].reason);
		e->n_out = 0;
		engine_stop(e);
	}
}

/* Message IDs are those of two endpoints (RFC 7252 §4.4): at another port of ours it is another request. */
static void test_two_listeners(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.listens[1] = c.listens[0];
	c.listens[1].bind.port = 5685;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t");
	engine_peer(e, "a")->path.local.port = 5685;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "a> NON 0.01 0001 #01 " GET,
		    "quiet");
	engine_stop(e);
}

/* A NON's Message ID may be used again after NON_LIFETIME, 145 s (RFC 7252 §4.4). */
static void test_non_lifetime(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "lamp> NON 2.05 0001 #$ !1",
		    "a< NON 2.05 * #01 !1", "wait 144s", "a> NON 0.01 0001 #01 " GET, "quiet lamp", "flush", "wait 2s",
		    "a> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "quiet");
	engine_stop(e);
}

/* What is not judged is told all the same. */
static void expect_told(const struct engine *e, const char *lane, const char *action, const char *reason)
{
	assert_string_equal(e->lane, lane);
	assert_string_equal(e->action, action);
	assert_string_equal(e->reason, reason);
}

static void test_shared_is_told(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	(void)state;
	c.cache_size = 4096;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t");
	expect_told(e, "unknown", "forward", "unknown");
	ENGINE_PLAY(e, "b> CON 0.01 0001 #01 " GET, "quiet lamp");
	expect_told(e, "-", "share", "joined");
	ENGINE_PLAY(e, "lamp> ACK 2.05 $ #$ !1", "a< ACK 2.05 0001 #01 !1", "b< ACK 2.05 0001 #01 !1",
		    "d> CON 0.01 0001 #01 " GET, "d< ACK 2.05 0001 #01 !1");
	expect_told(e, "-", "share", "cached");
	assert_int_equal(e->verdicts, 3);
	engine_stop(e);
}

/* dry-run: as if open, also for what is admitted: past the link's bucket. */
static void test_dry_run(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;

	(void)state;
	c.policy.dry_run = true;
	c.links[0].sched.rate = (struct rate){ 10, TSTAMP_S };
	c.links[0].sched.burst = 128;
	e = engine_start(&c);
	for (unsigned i = 0; i < 6; i++)
		engine_line(e, "%c> NON 0.01 0001 #01 " GET, 'a' + i);
	assert_int_equal(e->to_device, 6);
	e->n_out = 0;
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_hop_limit),
		cmocka_unit_test(test_request_options),
		cmocka_unit_test(test_proxy_forms),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_unproven_once),
		cmocka_unit_test(test_silent_device),
		cmocka_unit_test(test_no_head_of_line),
		cmocka_unit_test(test_queue_wait),
		cmocka_unit_test(test_held_until_pong),
		cmocka_unit_test(test_repeated_by_unproven),
		cmocka_unit_test(test_two_listeners),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_flow),
		cmocka_unit_test(test_forged_obstacles),
		cmocka_unit_test(test_nstart_lanes),
		cmocka_unit_test(test_handshakes_cost),
		cmocka_unit_test(test_handshake_completes),
		cmocka_unit_test(test_handshake_begins),
		cmocka_unit_test(test_non_lifetime),
		cmocka_unit_test(test_shared_is_told),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_stale_echo),
		cmocka_unit_test(test_dry_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

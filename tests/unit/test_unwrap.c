/* unwrap: the guard as an OSCORE endpoint, layer by layer: what is inside, whom it may reach, and how it is refused. */
#include "bottle.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "guard/state.h"
#include "msgtext.h"
#include "nested.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LAMP, DOOR, HALL };

#define ALL      "0" /* may reach every server */
#define SOME     "1" /* the lamp only */
#define NOTHING  "2"
#define NOT_OURS "ACK 4.01 $ #$ Max-Age= !Security context not found"

static struct bottle three(struct proxy_config cfg)
{
	struct bottle b = bottle_of(cfg);

	bottle_context(&b, "all", 1U << LAMP | 1U << DOOR | 1U << HALL, PROXY_NO_SERVER);
	bottle_context(&b, "some", 1U << LAMP, PROXY_NO_SERVER);
	bottle_context(&b, "nothing", 0, PROXY_NO_SERVER);
	return b;
}

/* --- whom a context may reach ------------------------------------------------------------------------------------- */

/* Under these layers; beside the outermost and inside the innermost; to which server as what, or the refusal inside. */
struct row {
	const char *layers, *outside, *inside, *server, *seen;
};

static void run_row(struct bottle *b, const struct row *r, unsigned i)
{
	struct bottle_talk t = { .piv = 0 };
	char line[512];

	snprintf(line, sizeof line, "CON 0.02 %04x #f0%02x %s", i, i, r->inside);
	bottle_wrap(b, &t, r->layers, r->outside, line);
	bottle_send(b, &t, "a");
	if (r->server) {
		engine_line(b->e, "%s< CON 0.02 * #* %s", r->server, r->seen);
		assert_string_equal(b->e->lane, "authenticated");
		engine_line(b->e, "%s> NON 2.04 %04x #$ !done", r->server, i);
		snprintf(line, sizeof line, "ACK 2.04 %04x #f0%02x !done", i, i);
	} else {
		snprintf(line, sizeof line, "ACK %.4s %04x #f0%02x%s", r->seen, i, i, r->seen + 4);
	}
	bottle_hear(b, &t, "a", (unsigned)strlen(r->layers), line);
	assert_true(t.piv == BOTTLE_NO_PIV); /* the request's own nonce does */
	engine_line(b->e, "quiet");
	engine_line(b->e, "wait 10ms");
}

static void run(const struct row *rows, size_t n, uint8_t by_default, uint32_t max_layers)
{
	struct bottle b = three(engine_roomy());

	b.cfg.listens[0].server = by_default;
	b.cfg.max_layers = max_layers;
	bottle_start(&b);
	for (unsigned i = 0; i < n; i++)
		run_row(&b, &rows[i], i);
	bottle_stop(&b);
}

#define RUN(rows, by_default, max_layers) run(rows, sizeof(rows) / sizeof *(rows), by_default, max_layers)

static void test_authorization(void **state)
{
	static const struct row rows[] = {
		/* by path */
		{ ALL, "", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ SOME, "", "Uri-Path:lamp Uri-Path:a Uri-Query:q", "lamp", "Uri-Path:a Uri-Query:q" },
		{ NOTHING, "", "Uri-Path:lamp Uri-Path:a", NULL, "4.01" },
		{ ALL, "", "Uri-Path:house Uri-Path:door", "door", "" },
		{ SOME, "", "Uri-Path:house Uri-Path:door", NULL, "4.01" },
		/* by Proxy-Scheme: whoever holds the context needs no `forward` */
		{ ALL, "", "Uri-Host:fd00:db8::17 Uri-Path:a Proxy-Scheme:coap", "lamp", "Uri-Path:a Hop-Limit=10" },
		{ SOME, "", "Uri-Host:fd00:db8::17 Uri-Path:a Proxy-Scheme:coap", "lamp", "Uri-Path:a Hop-Limit=10" },
		{ NOTHING, "", "Uri-Host:fd00:db8::17 Uri-Path:a Proxy-Scheme:coap", NULL, "4.01" },
		{ ALL, "", "Uri-Host:hall.example Uri-Port=f0b0 Uri-Path:a Proxy-Scheme:coap", "hall",
		  "Uri-Host:hall.example Uri-Path:a Hop-Limit=10" },
		{ SOME, "", "Uri-Host:hall.example Uri-Port=f0b0 Uri-Path:a Proxy-Scheme:coap", NULL, "4.01" },
		/* by Proxy-Uri */
		{ ALL, "", "Proxy-Uri:coap://[fd00:db8::18]/x?y", "door", "Uri-Path:x Uri-Query:y Hop-Limit=10" },
		{ SOME, "", "Proxy-Uri:coap://[fd00:db8::17]/x?y", "lamp", "Uri-Path:x Uri-Query:y Hop-Limit=10" },
		{ SOME, "", "Proxy-Uri:coap://[fd00:db8::18]/x?y", NULL, "4.01" },
		/* an authority nobody configured */
		{ ALL, "", "Proxy-Uri:coap://[fd00:db8::99]/x", NULL, "5.05" },
		{ NOTHING, "", "Proxy-Uri:coap://[fd00:db8::99]/x", NULL, "5.05" },
		{ ALL, "", "Uri-Host:elsewhere Proxy-Scheme:coap", NULL, "5.05" },
		{ ALL, "", "Proxy-Uri:http://[fd00:db8::18]/x", NULL, "5.05" },
		{ ALL, "", "Proxy-Uri:coap://[fd00:db8::18", NULL, "4.02" },
		/* our own authority is treated locally, inside and outside of the layer */
		{ ALL, "", "Proxy-Uri:coap://[2001:db8::53]/lamp/a", "lamp", "Uri-Path:a Hop-Limit=10" },
		{ NOTHING, "", "Proxy-Uri:coap://[2001:db8::53]/lamp/a", NULL, "4.01" },
		{ ALL, "", "Proxy-Uri:coap://[2001:db8::53]/nowhere", NULL, "4.04" },
		{ ALL, "Proxy-Uri:coap://[2001:db8::53]", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ ALL, "Proxy-Uri:coap://[2001:db8::53]/nowhere", "Uri-Path:lamp", "lamp", "" },
		{ ALL, "Uri-Host:2001:db8::53 Proxy-Scheme:coap", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ ALL, "Proxy-Scheme:coap", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ ALL, "Uri-Host:2001:db8::53 Proxy-Scheme:coap", "Proxy-Uri:coap://[fd00:db8::18]/x", "door",
		  "Uri-Path:x Hop-Limit=10" },
		{ SOME, "Proxy-Uri:coap://[2001:db8::53]", "Proxy-Uri:coap://[fd00:db8::18]/x", NULL, "4.01" },
		/* what stands outside and ought to be inside is not heard */
		{ ALL, "Uri-Path:x Uri-Query:y Accept=32", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		{ ALL, "Uri-Host:guard.example Uri-Port=1633", "Uri-Path:lamp Uri-Path:a", "lamp", "Uri-Path:a" },
		/* what is end to end goes on as it is */
		{ SOME, "", "OSCORE=0901ab Uri-Path:lamp !=0011", "lamp", "OSCORE=0901ab !=0011" },
		{ SOME, "", "Uri-Path:lamp Echo=aabb", "lamp", "Echo=aabb" },
		{ SOME, "", "OSCORE=0901ab Uri-Path:lamp EDHOC= !=0011", "lamp", "OSCORE=0901ab EDHOC= !=0011" },
	};

	(void)state;
	RUN(rows, PROXY_NO_SERVER, 2);
}

/* What is wrong with the message inside is said inside. */
static void test_refused_inside(void **state)
{
	static const struct row rows[] = {
		{ ALL, "", "Uri-Path:nowhere", NULL, "4.04" },
		{ ALL, "", "", NULL, "4.04" },
		{ NOTHING, "", "Uri-Path:.well-known Uri-Path:core", NULL, "4.04" },
		{ ALL, "", "Uri-Path:lamp Q-Block1=0e", NULL, "4.02" },
		{ ALL, "", "Uri-Path:lamp Accept=00 Accept=00", NULL, "4.02" },
		{ ALL, "", "Uri-Path:lamp Block2=00000000", NULL, "4.02" },
		{ NOTHING, "", "Uri-Path:lamp Q-Block1=0e", NULL, "4.02" },
		{ ALL, "", "OSCORE=0901ab Uri-Path:lamp", NULL, "4.02" }, /* no payload: malformed */
		{ ALL, "", "Uri-Path:lamp Hop-Limit=00", NULL, "4.00" },
		{ ALL, "", "Uri-Path:lamp Hop-Limit=01", NULL, "5.08 !guard under test" },
		{ ALL, "", "Uri-Path:lamp Hop-Limit=05", "lamp", "Hop-Limit=04" },
		{ ALL, "Hop-Limit=07", "Uri-Path:lamp", "lamp", "Hop-Limit=06" },
		{ ALL, "Hop-Limit=07", "Uri-Path:lamp Hop-Limit=05", "lamp", "Hop-Limit=04" },
		{ ALL, "", "Hop-Limit=01 Proxy-Uri:coap://[fd00:db8::18]/x", NULL, "5.08 !guard under test" },
		/* a layer of nobody's, for nobody */
		{ ALL, "", "OSCORE=0901ab !=0011", NULL, "4.01 Max-Age= !Security context not found" },
		{ ALL, "", "OSCORE=1901014441ab !=0011", NULL, "4.01 Max-Age= !Security context not found" },
		{ ALL, "", "OSCORE=00 !=0011", NULL, "4.02" },
		{ ALL, "", "OSCORE=0e0102 !=0011", NULL, "4.02" },
		/* ours, but not from the holder of the key */
		{ ALL, "", "OSCORE=090121 !=001122334455667788", NULL, "4.01 Max-Age= !Security context not found" },
		/* a key exchange with the guard is not to be had */
		{ ALL, "", "OSCORE=090121 EDHOC= !=0011", NULL, "4.01 Max-Age= !Security context not found" },
	};

	(void)state;
	RUN(rows, PROXY_NO_SERVER, 2);
}

/* What names no server, once our layers are off, is for the listener's one. */
static void test_default_server(void **state)
{
	static const struct row rows[] = {
		{ SOME, "", "Uri-Path:x", "lamp", "Uri-Path:x" },
		{ NOTHING, "", "Uri-Path:x", NULL, "4.01" },
		{ SOME, "", "OSCORE=0901ab !=0011", "lamp", "OSCORE=0901ab !=0011" },
		{ NOTHING, "", "OSCORE=0901ab !=0011", NULL, "4.01" },
		{ ALL, "", "Uri-Path:house Uri-Path:door", "door", "" },
		{ SOME, "", "Uri-Path:house Uri-Path:door", NULL, "4.01" },
		{ SOME, "Proxy-Uri:coap://[2001:db8::53]", "Uri-Path:x", "lamp", "Uri-Path:x" },
		{ SOME, "", "Proxy-Uri:coap://[2001:db8::53]/x", "lamp", "Uri-Path:x Hop-Limit=10" },
		/* under a kid of ours by accident: it is the server's */
		{ SOME, "", "OSCORE=090120 !=001122334455667788", "lamp", "OSCORE=090120 !=001122334455667788" },
		{ ALL SOME, "", "Uri-Path:x", "lamp", "Uri-Path:x" },
		{ SOME NOTHING, "", "Uri-Path:x", NULL, "4.01" },
	};
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	RUN(rows, LAMP, 2);
	/* without any layer of ours, too */
	b.cfg.listens[0].server = LAMP;
	bottle_start(&b);
	ENGINE_PLAY(b.e, "a> CON 0.02 0001 #01 OSCORE=0901ab !=0011", "lamp< CON 0.02 * #* OSCORE=0901ab !=0011",
		    "lamp> ACK 2.04 $ #$ OSCORE= !=0022", "a< ACK 2.04 0001 #01 OSCORE= !=0022");
	engine_prove(b.e, "a");
	bottle_wrap(&b, &t, SOME, NULL, "CON 0.02 0002 #02 Uri-Path:x");
	t.wire[t.len - 1] ^= 1;
	bottle_send(&b, &t, "a");
	engine_line(b.e, "lamp< CON 0.02 * #* OSCORE=090021 *");
	engine_line(b.e, "lamp> ACK 4.00 $ #$");
	engine_line(b.e, "a< ACK 4.00 0002 #02");
	bottle_stop(&b);
}

/* Behind a layer of ours, what names a server is its own, though its kid be one of ours and the server want a layer. */
static void test_kid_inside(void **state)
{
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	b.cfg.servers[LAMP].require_layer = true;
	bottle_start(&b);
	bottle_ask(&b, &t, "a", ALL, "CON 0.02 0001 #20 OSCORE=090120 Uri-Path:lamp !=00112233445566778899");
	ENGINE_PLAY(b.e, "lamp< CON 0.02 * #* OSCORE=090120 !=00112233445566778899",
		    "lamp> ACK 2.04 $ #$ OSCORE= !=00");
	bottle_hear(&b, &t, "a", 1, "ACK 2.04 0001 #20 OSCORE= !=00");
	assert_int_equal(b.e->failed_opens, 0);
	bottle_stop(&b);
}

/* A listener that is silent is so to strangers. */
static void test_silent_listener(void **state)
{
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	b.cfg.listens[0].silent = true;
	bottle_start(&b);
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0001 #20 Uri-Path:nowhere");
	bottle_hear(&b, &t, "a", 1, "ACK 4.04 0001 #20");
	ENGINE_PLAY(b.e, "a> CON 0.01 0002 #20 Uri-Path:nowhere", "quiet");
	bottle_stop(&b);
}

/* Errors bear exactly the layers that came off, and the last context decides. */
static void test_layers(void **state)
{
	static const struct row rows[] = {
		{ ALL SOME, "", "Uri-Path:lamp", "lamp", "" },
		{ NOTHING SOME, "", "Uri-Path:lamp", "lamp", "" },
		{ ALL NOTHING, "", "Uri-Path:lamp", NULL, "4.01" },
		{ ALL SOME, "", "Uri-Path:house Uri-Path:door", NULL, "4.01" },
		{ SOME ALL, "", "Uri-Path:nowhere", NULL, "4.04" },
		{ SOME ALL, "", "Proxy-Uri:coap://[fd00:db8::99]/x", NULL, "5.05" },
		{ SOME ALL, "", "Uri-Path:lamp Hop-Limit=01", NULL, "5.08 !guard under test" },
		{ SOME ALL, "", "OSCORE=0901ab !=0011", NULL, "4.01 Max-Age= !Security context not found" },
		{ ALL ALL, "", "Uri-Path:lamp", "lamp", "" },
		{ SOME ALL, "", "OSCORE=0901ab Uri-Path:lamp !=0011", "lamp", "OSCORE=0901ab !=0011" },
	};

	(void)state;
	RUN(rows, PROXY_NO_SERVER, 2);
	RUN(rows, PROXY_NO_SERVER, 4);
	RUN(rows, PROXY_NO_SERVER, 3);
}

static void test_max_layers(void **state)
{
	static const struct {
		uint32_t max;
		const char *layers;
		bool served;
	} rows[] = {
		{ 1, ALL, true },
		{ 1, ALL ALL, false },
		{ 1, NOTHING SOME ALL, false },
		{ 2, ALL SOME, true },
		{ 2, ALL NOTHING SOME, false },
		{ 3, ALL NOTHING SOME, true },
		{ 4, ALL NOTHING ALL SOME, true },
		{ 4, ALL NOTHING ALL SOME ALL, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bottle b = three(engine_roomy());
		struct bottle_talk t = { .piv = 0 };
		unsigned depth = (unsigned)strlen(rows[i].layers);

		b.cfg.max_layers = rows[i].max;
		bottle_start(&b);
		bottle_ask(&b, &t, "a", rows[i].layers, "CON 0.01 0001 #20 Uri-Path:lamp");
		if (rows[i].served) {
			ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
			bottle_hear(&b, &t, "a", depth, "ACK 2.05 0001 #20 !on");
		} else {
			bottle_hear(&b, &t, "a", rows[i].max, "ACK 4.01 0001 #20");
			assert_int_equal(b.e->proxy->faults[FAULT_LAYERS], 1);
		}
		assert_int_equal(b.e->opens, rows[i].served ? depth : rows[i].max);
		assert_int_equal(b.e->seals, b.e->opens);
		engine_line(b.e, "quiet");
		bottle_stop(&b);
	}
}

/* As many layers as a datagram holds cost no more than the few that are looked at. */
static void test_bombs(void **state)
{
	static const char *const patterns[] = { "0", "01", "012", "0011" };

	(void)state;
	for (uint32_t max = 1; max <= PROXY_LAYERS; max++)
		for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++)
			for (unsigned broken = 0; broken < 2; broken++) {
				struct bottle b = three(engine_roomy());
				struct bottle_talk t = { .len = 0 };
				char layers[128] = "";

				b.cfg.max_layers = max;
				bottle_start(&b);
				for (size_t n = 0; t.len < 1260 && n + 1 < sizeof layers; n++) {
					layers[n] = patterns[i][n % strlen(patterns[i])];
					bottle_wrap(&b, &t, layers, NULL, "CON 0.01 0001 #20 Uri-Path:lamp");
				}
				assert_true(t.len <= 1280 && strlen(layers) > 60);
				t.wire[t.len - 1] ^= (uint8_t)broken;
				bottle_send(&b, &t, "a");
				assert_int_equal(b.e->to_device, 0);
				assert_int_equal(b.e->opens, broken ? 1 : max);
				assert_int_equal(b.e->seals, broken ? 0 : max);
				if (max == 2) /* what is configured */
					assert_true(b.e->opens + b.e->seals <= 4);
				if (!broken)
					bottle_hear(&b, &t, "a", max, "ACK 4.01 0001 #20");
				b.e->n_out = 0;
				bottle_stop(&b);
			}
}

/* --- repetitions -------------------------------------------------------------------------------------------------- */

/* Who asks the same again hears the same bytes, whether or not the first ones arrived. */
static void test_repeated(void **state)
{
	static const char *const rows[][2] = {
		{ NOTHING, "CON 0.01 %04x #20 Uri-Path:lamp" }, /* 4.01 */
		{ ALL, "CON 0.01 %04x #20 Uri-Path:nowhere" },  /* 4.04 */
		{ ALL, "NON 0.01 %04x #20 Uri-Path:nowhere" },
		{ ALL SOME, "CON 0.01 %04x #20 Uri-Path:lamp Hop-Limit=01" },
		{ ALL, "CON 0.01 %04x #20 OSCORE=0901ab !=0011" },
		{ ALL SOME ALL, "CON 0.01 %04x #20 Uri-Path:lamp" }, /* one layer too many */
		{ ALL, "CON 0.01 %04x #20 Uri-Path:lamp" },          /* served */
	};
	struct bottle b = three(engine_roomy());

	(void)state;
	bottle_start(&b);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bottle_talk t = { .piv = 0 }, first, again;
		char line[128];

		snprintf(line, sizeof line, rows[i][1], i);
		bottle_wrap(&b, &t, rows[i][0], NULL, line);
		bottle_send(&b, &t, "a");
		if (i == 6)
			ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
		assert_true(bottle_keep(&b, &first, "a"));
		for (unsigned n = 0; n < 4; n++) {
			uint64_t uses = b.e->opens + b.e->seals;

			engine_wait(b.e, 20 * TSTAMP_S);
			bottle_send(&b, &t, "a");
			assert_true(bottle_keep(&b, &again, "a"));
			assert_int_equal(again.len, first.len);
			assert_memory_equal(again.wire, first.wire, first.len);
			assert_int_equal(b.e->opens + b.e->seals, uses);
			engine_line(b.e, "quiet");
		}
		/* long afterwards it is a replay, and so is it from elsewhere */
		bottle_send(&b, &t, "b");
		if (line[0] == 'C')
			engine_line(b.e, "b< ACK 4.01 %04x #20 Max-Age= !Security context not found", i);
		else
			engine_line(b.e, "b< NON 4.01 * #20 Max-Age= !Security context not found");
		engine_wait(b.e, 300 * TSTAMP_S);
		bottle_send(&b, &t, "a");
		if (line[0] == 'C')
			engine_line(b.e, "a< ACK 4.01 %04x #20 Max-Age= !Security context not found", i);
		else
			engine_line(b.e, "a< NON 4.01 * #20 Max-Age= !Security context not found");
		engine_line(b.e, "quiet");
	}
	bottle_stop(&b);
}

/* --- what a stranger may learn ------------------------------------------------------------------------------------ */

struct vector {
	char *json;
	const char *x, *request; /* the example, and its first wire */
};

static struct vector load(void)
{
	struct vector v = { .json = vectors_load("oscore_capable_proxies_nested.json") };

	v.x = vectors_member(vectors_member(v.json, "examples"), "X.3 error responses at the proxy (own)");
	for (const char *e = vectors_first(vectors_member(v.x, "events")); e && !v.request; e = vectors_next(e))
		if (nested_is(e, "step", "send"))
			v.request = e;
	return v;
}

/* P of X.3; received: so many numbers. */
static struct engine *open_x3(const struct vector *v, struct proxy_config c, uint64_t received)
{
	struct oscore_state state = bottle_fresh(0, true);
	struct engine *e;
	uint8_t secret[16];

	strcpy(c.contexts[0].name, "CTX_C_P");
	c.contexts[0].setup = nested_setup(vectors_member(v->x, "contexts"), "CTX_C_P", "50", secret);
	c.contexts[0].next_hop = PROXY_NO_SERVER;
	for (uint64_t n = 0; n < received; n++)
		replay_accept(&state.window, n);
	e = engine_start(&c);
	assert_true(proxy_context_install(e->proxy, 0, bytes_of(secret, 16), &state));
	proxy_context_allow(e->proxy, 0, 100);
	return e;
}

/* Wrong tag; unknown kid; a number seen before. In the order of the vector's cases. */
static struct bytes spoil(const struct vector *v, unsigned how, uint8_t wire[256])
{
	struct bytes w = vectors_bytes(v->request, "wire", wire, 256);
	struct msg_option kid;
	struct msg m;

	assert_int_equal(msg_parse(&m, w), MSG_OK);
	assert_true(msg_find(&m, OPTION_OSCORE, &kid));
	if (how == 0)
		wire[w.len - 1] ^= 1;
	if (how == 1)
		wire[(size_t)(kid.value.ptr - wire) + kid.value.len - 1] ^= 1;
	return w;
}

static void test_precise(void **state)
{
	struct vector v = load();
	const char *event = vectors_first(vectors_member(v.x, "events"));
	unsigned cases = 0;

	(void)state;
	for (; event; event = vectors_next(event)) {
		struct proxy_config c = engine_roomy();
		struct engine *e;
		uint8_t wire[256], expected[256];
		struct bytes w;
		const struct engine_sent *s;

		if (!nested_is(event, "step", "case"))
			continue;
		c.precise_errors = true;
		e = open_x3(&v, c, cases == 2 ? 7 : 0);
		engine_receive(e, &engine_peer(e, "a")->path, spoil(&v, cases, wire));
		w = vectors_bytes(event, "wire", expected, sizeof expected);
		s = engine_take(e, "a");
		assert_non_null(s);
		assert_int_equal(s->len, w.len);
		assert_memory_equal(s->buf, w.ptr, w.len);
		engine_line(e, "quiet");
		engine_stop(e);
		cases++;
	}
	assert_int_equal(cases, 3);
	free(v.json);
}

/* Without a key nobody tells wrong kid, wrong tag and old number apart: same bytes, same count, whatever is behind. */
static void test_uniform(void **state)
{
	static const struct {
		uint8_t by_default;
		enum policy_mode mode;
		bool require_layer, forwarded;
		const char *reply;
	} rows[] = {
		{ PROXY_NO_SERVER, MODE_EXEMPTIONS, false, false,
		  "a< ACK 4.01 1022 #0c Max-Age= !Security context not found" },
		{ LAMP, MODE_EXEMPTIONS, false, true, NULL },
		{ LAMP, MODE_THROTTLE, false, true, NULL },
		{ LAMP, MODE_FULL, false, false, "a< ACK 4.01 1022 #0c" },
		{ LAMP, MODE_EXEMPTIONS, true, false, "a< ACK 4.01 1022 #0c" },
	};
	struct vector v = load();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		for (unsigned how = 0; how < 3; how++) {
			struct proxy_config c = engine_roomy();
			struct engine *e;
			uint8_t wire[256];

			c.listens[0].server = rows[i].by_default;
			c.policy.servers[LAMP].mode = rows[i].mode;
			c.servers[LAMP].require_layer = rows[i].require_layer;
			e = open_x3(&v, c, how == 2 ? 7 : 0);
			engine_receive(e, &engine_peer(e, "a")->path, spoil(&v, how, wire));
			assert_int_equal(e->to_device, rows[i].forwarded);
			assert_int_equal(e->to_client, !rows[i].forwarded);
			if (rows[i].reply)
				engine_line(e, "%s", rows[i].reply);
			else
				engine_line(e, "lamp< CON 0.02 * #* %s *",
					    how == 1 ? "OSCORE=090621" : "OSCORE=090620");
			e->n_out = 0;
			engine_stop(e);
		}
	free(v.json);
}

/* Nor by how often one may try: so many a minute, under a kid of ours or under nobody's. */
static void test_tries(void **state)
{
	(void)state;
	for (unsigned kid = 0x20; kid < 0x30; kid += 8) { /* that of ALL, and none */
		struct bottle b = three(engine_roomy());

		bottle_start(&b);
		for (unsigned i = 0; i < 100; i++)
			engine_line(b.e, "a> NON 0.02 %04x #01 OSCORE=09%02x%02x !=00112233445566778899", i, i, kid);
		assert_int_equal(b.e->proxy->faults[FAULT_KEY_RATE], 100 - GUARD_FORGERIES);
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* As good as it looks, and naming no server: what comes back. */
static unsigned forge(struct bottle *b, const char *who, unsigned i, unsigned kid, unsigned piv)
{
	unsigned seen;

	engine_line(b->e, "%s> CON 0.02 %04x #%04x OSCORE=0a%04x%02x !=00112233445566778899aabbccddeeff0011223344", who,
		    i, i, piv, kid);
	seen = b->e->n_out ? 256U * b->e->out[0].len + b->e->out[0].buf[1] : 0;
	assert_true(b->e->n_out <= 1);
	b->e->n_out = 0;
	return seen;
}

/* Who tries a kid often hears the same, and is tried as often, whether it exists or not, in whatever state its context is. */
static void test_uniform_tries(void **state)
{
	static const struct {
		bool synced, refuse_unsynced;
		unsigned next; /* number of the window */
		uint8_t aead;
	} rows[] = {
		{ true, false, 0, AEAD_AES_CCM_16_64_128 },
		{ true, false, 50000, AEAD_AES_CCM_16_64_128 },  /* all numbers are old */
		{ false, false, 50000, AEAD_AES_CCM_16_64_128 }, /* the window was lost */
		{ false, true, 50000, AEAD_AES_128_GCM },
		{ true, false, 0, AEAD_CHACHA20_POLY1305 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bottle b = bottle_of(engine_roomy());
		struct oscore_state s = bottle_fresh(0, rows[i].synced);
		uint64_t *faults;

		bottle_context(&b, "known", 7, PROXY_NO_SERVER);
		b.cfg.contexts[0].setup.aead = rows[i].aead;
		b.cfg.contexts[0].refuse_unsynced = rows[i].refuse_unsynced;
		bottle_start_off(&b);
		s.window.next = rows[i].next;
		bottle_install(&b, 0, &s, 100);
		faults = b.e->proxy->faults;
		for (unsigned n = 0; n < 3 * GUARD_FORGERIES; n++) {
			unsigned known = forge(&b, "a", n, 0x20, n + 1), unknown = forge(&b, "c", n, 0x77, n + 1);

			if (known != unknown)
				fail_msg("row %u, try %u: %04x %04x", i, n, known, unknown);
			engine_wait(b.e, 100 * TSTAMP_MS);
		}
		assert_int_equal(faults[FAULT_NO_CONTEXT] + faults[FAULT_NOT_AUTHENTIC] + faults[FAULT_KEY_RATE],
				 6 * GUARD_FORGERIES);
		assert_int_equal(faults[FAULT_NOT_AUTHENTIC], rows[i].refuse_unsynced ? 0 : faults[FAULT_NO_CONTEXT]);
		assert_true(faults[FAULT_KEY_RATE] > GUARD_FORGERIES);
		assert_int_equal(b.e->failed_opens,
				 faults[FAULT_NOT_AUTHENTIC]); /* a trace tells of none that has no name */
		bottle_stop(&b);
	}
}

/* --- after a restart ---------------------------------------------------------------------------------------------- */

static void test_unsynced(void **state)
{
	struct oscore_state lost = bottle_fresh(40, false);
	struct bottle b = three(engine_roomy());
	struct bottle_talk old = { .piv = 0 }, t = { .piv = 0 }, u = { .piv = 0 }, first;

	(void)state;
	bottle_start_off(&b);
	bottle_install(&b, 0, &lost, 140);
	bottle_wrap(&b, &old, ALL, NULL, "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_wrap(&b, &t, ALL, NULL, "CON 0.01 0002 #21 Uri-Path:lamp");
	bottle_send(&b, &t, "a");
	first = t;
	bottle_hear(&b, &t, "a", 1, "ACK 4.01 0002 #21 Echo=*");
	assert_int_equal(t.piv, 40); /* a number of its own */
	assert_string_equal(b.e->reason, "unsynced");
	bottle_keep(&b, &u, "a");
	bottle_send(&b, &first, "a"); /* the same again is heard again */
	assert_true(bottle_keep(&b, &u, "a"));
	assert_int_equal(u.len, t.len);
	assert_memory_equal(u.wire, t.wire, t.len);
	/* an old one gets as far, and no further: a wrong Echo, too */
	bottle_send(&b, &old, "b");
	bottle_hear(&b, &old, "b", 1, "ACK 4.01 0001 #20 Echo=*");
	assert_int_equal(old.piv, 41);
	bottle_ask(&b, &u, "a", ALL, "CON 0.01 0003 #22 Uri-Path:lamp Echo=0011223344556677");
	bottle_hear(&b, &u, "a", 1, "ACK 4.01 0003 #22 Echo=*");
	assert_int_equal(b.e->to_device, 0);
	/* the Echo opens the window; the device does not see it */
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0004 #23 Uri-Path:lamp Uri-Path:t Echo=$");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0004 #23 !on");
	assert_true(t.piv == BOTTLE_NO_PIV);
	/* what is older is a replay now, from wherever */
	bottle_send(&b, &first, "b");
	engine_line(b.e, "b< ACK 4.01 0002 #21 Max-Age= !Security context not found");
	bottle_ask(&b, &t, "b", ALL, "CON 0.01 0005 #24 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "b", 1, "ACK 2.05 0005 #24 !on");
	engine_line(b.e, "quiet");
	bottle_stop(&b);
}

/* Strangers at a well-known port are not answered in this case either. */
static void test_unsynced_port(void **state)
{
	struct oscore_state lost = bottle_fresh(40, false);
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start_off(&b);
	bottle_install(&b, 0, &lost, 140);
	engine_client(b.e, "ntp", "[2001:db8:2::1]:123");
	bottle_ask(&b, &t, "ntp", ALL, "CON 0.01 0001 #20 Uri-Path:lamp");
	assert_string_equal(b.e->reason, "unsynced");
	engine_line(b.e, "quiet");
	bottle_stop(&b);
}

/* Contexts whose peers know no Echo wait for somebody to set them up anew: until then they are not there. */
static void test_refuse_unsynced(void **state)
{
	struct oscore_state lost = bottle_fresh(40, false), whole = bottle_fresh(40, true);
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .mid = "0001", .token = "20" };

	(void)state;
	b.cfg.contexts[0].refuse_unsynced = true;
	bottle_start_off(&b);
	bottle_install(&b, 0, &lost, 140);
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 0, NOT_OURS);
	assert_int_equal(b.e->opens, 0);
	bottle_install(&b, 0, &whole, 140);
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0002 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0002 #20 !on");
	bottle_stop(&b);
}

/* Before the disk has said so, nothing goes out under a number of ours; what needs none does. */
static void test_mute(void **state)
{
	struct oscore_state lost = bottle_fresh(40, false), whole = bottle_fresh(40, true);
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	bottle_start_off(&b);
	bottle_install(&b, 0, &lost, 0);
	bottle_install(&b, 1, &whole, 0);  /* the window is not in use yet, either */
	bottle_install(&b, 2, &whole, 40); /* in use, but no number left */
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0001 #20 Uri-Path:lamp");
	bottle_ask(&b, &t, "a", SOME, "CON 0.01 0002 #21 Uri-Path:lamp");
	engine_line(b.e, "quiet");
	assert_int_equal(b.e->seals, 0);
	assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTABLE], 2);
	bottle_ask(&b, &t, "a", NOTHING, "CON 0.01 0003 #22 Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 4.01 0003 #22");
	/* now it may: the client's own repetition is heard */
	proxy_context_allow(b.e->proxy, 0, 140);
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0004 #20 Uri-Path:lamp");
	bottle_hear(&b, &t, "a", 1, "ACK 4.01 0004 #20 Echo=*");
	proxy_context_allow(b.e->proxy, 1, 140);
	bottle_ask(&b, &t, "a", SOME, "CON 0.01 0005 #21 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0005 #21 !on");
	bottle_stop(&b);
}

/* --- a context for one host --------------------------------------------------------------------------------------- */

static void test_source(void **state)
{
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	b.cfg.contexts[1].source = engine_path("[2001:db8:1::a]:1").remote; /* a's */
	bottle_start(&b);
	bottle_ask(&b, &t, "a", SOME, "CON 0.01 0001 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !on");
	/* nobody else's, and he has no other */
	bottle_ask(&b, &t, "b", SOME, "CON 0.01 0001 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "b< ACK 4.01 0001 #20 Max-Age= !Security context not found");
	bottle_ask(&b, &t, "a", ALL, "CON 0.01 0002 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "a< ACK 4.01 0002 #20 Max-Age= !Security context not found");
	bottle_ask(&b, &t, "b", ALL, "CON 0.01 0002 #20 Uri-Path:lamp");
	ENGINE_PLAY(b.e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	bottle_hear(&b, &t, "b", 1, "ACK 2.05 0002 #20 !on");
	bottle_stop(&b);
}

/* max-options holds for what is inside as well. */
static void test_many_options(void **state)
{
	char line[1024] = "CON 0.01 0001 #20 Uri-Path:lamp";
	struct bottle b = three(engine_roomy());
	struct bottle_talk t = { .piv = 0 };

	(void)state;
	for (unsigned i = 0; i < b.cfg.max_options; i++)
		strcat(line, " Uri-Query:q");
	bottle_start(&b);
	bottle_ask(&b, &t, "a", ALL, line);
	bottle_hear(&b, &t, "a", 1, "ACK 4.00 0001 #20");
	assert_int_equal(b.e->proxy->faults[FAULT_OPTIONS], 1);
	bottle_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorization),
		cmocka_unit_test(test_refused_inside),
		cmocka_unit_test(test_default_server),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_kid_inside),
		cmocka_unit_test(test_tries),
		cmocka_unit_test(test_unsynced_port),
		cmocka_unit_test(test_max_layers),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_precise),
		cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_uniform_tries),
		cmocka_unit_test(test_unsynced),
		cmocka_unit_test(test_silent_listener),
		cmocka_unit_test(test_refuse_unsynced),
		cmocka_unit_test(test_mute),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_many_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

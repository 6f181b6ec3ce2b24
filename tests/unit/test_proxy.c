/* proxy: the whole engine: what it drops, its timers, reload, and random traffic under the watched
 * invariants. */
#include "proxy/proxy.h"
#include "engine.h"
#include "msgtext.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GET "Uri-Path:lamp Uri-Path:t"

/* Nothing that is no CoAP, and no response nobody asked for, is answered. */
static void test_silence(void **state)
{
	static const char *const wires[] = {
		"",         "40",         "4001",       "400100",     "80010001",   "49010001",
		"4f010001", "40010001f0", "400100010f", "40010001ff", "40000001ff", "4100000101",
		"40200001", "40c00001",   "60010001",   "70010001",   "60450001",   "40450001",
		"50450001", "60000001",   "50000001",   "41e0000101",
	};
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	uint8_t buf[64];

	(void)state;
	for (unsigned i = 0; i < sizeof wires / sizeof *wires; i++) {
		size_t n = msgtext_unhex(wires[i], strlen(wires[i]), buf, sizeof buf);

		engine_receive(e, &engine_peer(e, "a")->path, bytes_of(buf, n));
		if (e->n_out)
			fail_msg("%s was answered", wires[i]);
	}
	assert_int_equal(e->to_client + e->to_device, 0);
	engine_stop(e);
}

/* tests/vectors malformed_own, from the client's and from the device's side. */
static void test_malformed_vectors(void **state)
{
	char *json = vectors_load("rfc7252_messages.json");
	struct proxy_config c = engine_roomy();
	struct engine *e;
	uint8_t wire[64];

	(void)state;
	e = engine_start(&c);
	for (const char *m = vectors_first(vectors_member(json, "malformed_own")); m; m = vectors_next(m)) {
		struct bytes b = vectors_bytes(m, "wire", wire, sizeof wire);

		if (b.len > 4 && b.ptr[0] == 0x49)
			continue; /* well-formed to a node that knows RFC 8974, as we do */
		engine_receive(e, &engine_peer(e, "a")->path, b);
		assert_int_equal(e->n_out, 0);
		engine_receive(e, &engine_peer(e, "lamp")->path, b);
		e->n_out = 0; /* a device may be told RST */
	}
	engine_stop(e);
	free(json);
}

static uint64_t faults(const struct engine *e)
{
	uint64_t n = 0;

	for (unsigned f = FAULT_SHORT; f <= FAULT_LARGE; f++)
		n += e->proxy->faults[f];
	return n;
}

/* A stranger's datagram, whatever it is. What is no CoAP message is counted under its reason, once, and gets no reply. */
static void feed(struct engine *e, const uint8_t *data, size_t len)
{
	struct bytes d = bytes_of(data, len);
	uint64_t before = faults(e);
	struct msg m;
	bool sound = msg_parse(&m, d) == MSG_OK && m.n_options <= e->cfg.max_options && len <= e->cfg.max_datagram;

	e->n_out = 0;
	engine_receive(e, &engine_peer(e, "a")->path, d);
	assert_int_equal(faults(e) - before, !sound);
	if (!sound)
		assert_int_equal(e->n_out, 0);
	e->n_out = 0;
}

/* Every truncation and every single-byte corruption of one message, in a buffer of exactly its size. */
static void feed_all_of(struct engine *e, const uint8_t *wire, size_t len)
{
	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, wire, cut);
		feed(e, copy, cut);
		free(copy);
	}
	for (size_t at = 0; at < len; at++) {
		uint8_t *copy = malloc(len);

		memcpy(copy, wire, len);
		for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
			copy[at] = (uint8_t)(wire[at] ^ flip);
			feed(e, copy, len);
		}
		free(copy);
	}
}

/* Of each vector file: whatever stands there as a hex string of at least four bytes. */
static void test_hostile_strangers(void **state)
{
	static const char *const files[] = { "reputation_cases.json", "rfc7252_messages.json",
					     "rfc8613_appendix_c.json", "oscore_capable_proxies_nested.json" };
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);
	unsigned messages = 0;

	(void)state;
	for (unsigned f = 0; f < sizeof files / sizeof *files; f++) {
		char *json = vectors_load(files[f]);

		for (char *word = strtok(json, "\""); word; word = strtok(NULL, "\"")) {
			uint8_t wire[512];
			size_t n = 0;
			unsigned byte;

			if (strlen(word) < 8 || strlen(word) > 2 * sizeof wire || strlen(word) % 2 ||
			    strspn(word, "0123456789abcdef") != strlen(word))
				continue;
			for (; sscanf(word + 2 * n, "%2x", &byte) == 1 && n < strlen(word) / 2; n++)
				wire[n] = (uint8_t)byte;
			if (messages++ % 4 == 0 || f < 2) /* the nested ones are many and alike */
				feed_all_of(e, wire, n);
		}
		free(json);
	}
	assert_true(messages > 300);
	engine_stop(e);
}

/* A client's ping is answered RST; ours is answered by it. */
static void test_pings(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;

	(void)state;
	c.policy.servers[0].unknown_budget = 1; /* one for the unknown, one for the proven */
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.00 0001 #", "a< RST 0.00 0001 #", "quiet",
		    /* somebody else takes the one */
		    "b> NON 0.01 0001 #01 " GET, "lamp< NON 0.01 * #* Uri-Path:t", "quiet",
		    /* asked quietly; the client's own retransmissions arrive proven */
		    "a> CON 0.01 0002 #02 " GET, "a< CON 0.00 * #", "quiet", "a> RST 0.00 $ #", "wait 800ms",
		    "a< CON 0.00 * #", "a> RST 0.00 $ #", "wait 2s", "quiet", "a> CON 0.01 0002 #02 " GET,
		    "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !on", "a< ACK 2.05 0002 #02 !on", "quiet");
	assert_string_equal(e->action, "forward");
	/* and when no newcomer can be served, nobody is asked in vain */
	ENGINE_PLAY(e, "c> CON 0.01 0003 #03 " GET, "flush");
	assert_string_equal(e->action, "throttle");
	e->n_out = 0;
	engine_stop(e);
}

static void test_unreachable(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	struct path to;

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t");
	to = engine_peer(e, "door")->path;
	proxy_unreachable(e->proxy, &to, e->now);
	engine_wait(e, TSTAMP_MS);
	ENGINE_PLAY(e, "quiet");
	to = engine_peer(e, "lamp")->path;
	proxy_unreachable(e->proxy, &to, e->now);
	engine_wait(e, TSTAMP_MS);
	ENGINE_PLAY(e, "flush");
	assert_int_equal(e->proxy->exchanges.count, 0);
	assert_int_equal(e->proxy->faults[FAULT_UNREACHABLE], 1);
	engine_stop(e);
}

/* A reload: what belongs to a vanished or changed server is answered 5.03; the rest goes on. */
static void test_reconfigure(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #*l Uri-Path:t",
		    "b> CON 0.01 0001 #01 Uri-Path:house Uri-Path:door", "door< CON 0.01 * #*",
		    "d> CON 0.01 0001 #01 Observe= Uri-Path:house Uri-Path:door",
		    "door< CON 0.01 * #* Observe=", "door> ACK 2.05 $ #$ Observe=01 !x",
		    "d< ACK 2.05 0001 #01 Observe=* !x");
	c.policy.servers[1].present = false;
	proxy_reconfigure(e->proxy, &c, e->now);
	e->cfg = c;
	engine_wait(e, TSTAMP_MS);
	ENGINE_PLAY(e, "b< ACK 5.03 0001 #01", "d< NON 5.03 * #01", "quiet", "lamp> NON 2.05 7001 #$l !on",
		    "a< ACK 2.05 0001 #01 !on", "b> CON 0.01 0002 #02 Uri-Path:house Uri-Path:door",
		    "b< ACK 4.04 0002 #02", "quiet");
	engine_stop(e);
}

/* What still waits in a link for a server that moves or goes is not sent to where nobody is configured any more. */
static void test_reconfigure_queued(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;

	(void)state;
	c.links[0].sched.rate = (struct rate){ 1, TSTAMP_S };
	c.links[0].sched.burst = 60;
	e = engine_start(&c);
	ENGINE_PLAY(e, "lamp> CON 0.00 0001 #", "lamp< RST 0.00 0001 #", "lamp> CON 0.00 0002 #",
		    "door> CON 0.00 0003 #", "hall> CON 0.00 0004 #", "quiet");
	assert_int_equal(e->proxy->pool.used - !!e->proxy->last, 3);
	c.servers[0].address.port++;
	c.policy.servers[1] = (struct policy_server){ .present = false };
	proxy_reconfigure(e->proxy, &c, e->now);
	e->cfg = c;
	assert_int_equal(e->proxy->pool.used - !!e->proxy->last, 1);
	ENGINE_PLAY(e, "wait 5min", "hall< RST 0.00 0004 #", "quiet");
	engine_stop(e);
}

/* A kept request is given back when the ping stays unanswered, whether or not anything else happens. */
static void test_kept_request_expires(void **state)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.02 0001 #01 OSCORE=090125 Uri-Path:lamp !=aa",
		    "lamp< CON 0.02 * #* OSCORE=090125 !=aa", "lamp> ACK 2.04 $ #$ OSCORE= !=bb", "flush");
	c.policy.servers[0].unknown_budget = 0;
	proxy_reconfigure(e->proxy, &c, e->now);
	ENGINE_PLAY(e, "b> CON 0.02 0001 #01 OSCORE=090225 Uri-Path:lamp !=aa", "b< CON 0.00 * #", "quiet");
	assert_string_equal(e->reason, "moved-unproven");
	assert_int_equal(e->proxy->pool.used - !!e->proxy->last, 1);
	engine_wait(e, 4 * TSTAMP_S);
	assert_int_equal(e->proxy->pool.used - !!e->proxy->last, 0);
	engine_stop(e);
}

/* dry-run: judged and counted, and forwarded all the same. */
static void test_dry_run(void **state)
{
	struct proxy_config c = engine_careful();
	struct engine *e;

	(void)state;
	c.policy.servers[0].unknown_budget = 0;
	c.policy.dry_run = true;
	e = engine_start(&c);
	ENGINE_PLAY(e, "a> CON 0.01 0001 #01 " GET, "lamp< CON 0.01 * #* Uri-Path:t", "lamp> ACK 2.05 $ #$ !on",
		    "a< ACK 2.05 0001 #01 !on", "quiet");
	assert_string_equal(e->action, "throttle");
	engine_stop(e);
}

/* Tables full: a verdict with a counter, and everything is as before afterwards. */
static void test_full(void **state)
{
	struct proxy_config c = engine_open();
	struct engine *e;
	unsigned refused = 0;

	(void)state;
	c.exchanges = 16;
	e = engine_start(&c);
	for (unsigned i = 0; i < 40; i++)
		engine_line(e, "%c> NON 0.01 %04x #%02x " GET, 'a' + i % 8, i, i);
	for (unsigned i = 0; i < e->n_out; i++)
		refused += e->out[i].to.leg == LEG_CLIENT && e->out[i].buf[1] == MSG_UNAVAILABLE;
	assert_int_equal(refused, 24);
	assert_int_equal(e->proxy->faults[FAULT_NO_ROOM], 24);
	assert_int_equal(e->to_device, 16);
	/* one client alone gets no more than a quarter */
	engine_wait(e, 100 * TSTAMP_S);
	e->n_out = 0;
	e->to_device = 0;
	for (unsigned i = 0; i < 10; i++)
		engine_line(e, "a> NON 0.01 %04x #%02x " GET, 100 + i, i);
	assert_int_equal(e->to_device, 4);
	for (unsigned i = 0; i < 6; i++) {
		while (e->out[0].to.leg == LEG_DEVICE)
			engine_take(e, "lamp");
		ENGINE_PLAY(e, "a< NON 5.03 * #*");
	}
	engine_stop(e);
}

/* --- random traffic
 * -------------------------------------------------------------------------------------------------
 */

#define HOSTILE 0x66 /* a kid the devices don't know: what they accept, proves its sender */

/* What a device does with a request. */
static void device_answers(struct engine *e, const struct engine_sent *s)
{
	static const uint8_t codes[] = { MSG_CONTENT,     MSG_CHANGED,   MSG_UNAUTHORIZED,
					 MSG_BAD_REQUEST, MSG_NOT_FOUND, MSG_UNAVAILABLE };
	uint64_t n = engine_random(e);
	struct path from = s->to;
	uint8_t buf[1300], payload[1100], type;
	struct msg_option observe;
	struct msgbuf b;
	struct msg m;

	if (msg_parse(&m, bytes_of(s->buf, s->len)) != MSG_OK || !msg_is_request(&m) || n % 5 == 0)
		return; /* silence */
	if (n % 7 == 0) {
		engine_receive(e, &from, bytes_of((uint8_t[]){ n & 8 ? 0x60 : 0x70, 0, s->buf[2], s->buf[3] }, 4));
		if (!(n & 8) || n & 16)
			return;
	}
	type = n & 32 ? (m.type == MSG_CON ? MSG_ACK : MSG_NON) : n & 64 ? MSG_CON : MSG_NON;
	msgbuf_begin(&b, buf, sizeof buf, type, codes[(n >> 8) % 6], type == MSG_ACK ? m.mid : (uint16_t)(n >> 16),
		     m.token);
	if (msg_find(&m, 6, &observe) && (n >> 40 & 1))
		msgbuf_option_uint(&b, 6, (uint32_t)(n >> 44 & 0xff));
	if (msg_find(&m, 9, &observe) && observe.value.ptr[2] != HOSTILE && (n >> 41 & 3))
		msgbuf_option(&b, 9, bytes_of("", 0));
	if ((n >> 33 & 31) == 0)
		msgbuf_option(&b, 65002, bytes_of("x", 1));
	memset(payload, 0x5a, sizeof payload);
	msgbuf_payload(&b, bytes_of(payload, n >> 48 & 3 ? n >> 50 & 63 : n >> 50 & 1023));
	engine_receive(e, &from, msgbuf_end(&b));
	if (n >> 60 & 1) /* repeats itself, or notifies */
		engine_receive(e, &from, msgbuf_end(&b));
}

/* What arrives at a friendly or hostile client. */
static void client_reacts(struct engine *e, const struct engine_sent *s)
{
	uint64_t n = engine_random(e);
	bool spoofed = s->to.remote.ip[4] == 0x0b && s->to.remote.ip[5] == 0xad;

	if (spoofed || (s->buf[0] >> 4 & 3) != MSG_CON || n % 3 == 0)
		return;
	/* pings are answered RST, responses ACK, now and then RST */
	engine_receive(e, &s->to,
		       bytes_of((uint8_t[]){ s->buf[1] == 0 || n % 8 == 1 ? 0x70 : 0x60, 0, s->buf[2], s->buf[3] }, 4));
}

static void random_request(struct engine *e)
{
	static const char *const names[] = { "a", "b", "c", "d", "x", "y", "x", "y" };
	uint64_t n = engine_random(e);
	char options[256], *at = options, token[33];
	const char *payload = "";

	if (n & 1)
		at += sprintf(at, " Observe=%s", n & 2 ? "" : "01");
	if ((n >> 4 & 3) == 0) {
		at += sprintf(at, " OSCORE=09%02x%02x", (unsigned)(n >> 6 & 0x7f),
			      n >> 42 & 1 ? HOSTILE : (unsigned)(n >> 13 & 3));
		payload = " !=0011223344556677";
	}
	at += sprintf(at, " Uri-Path:%s", (n >> 16 & 7) == 0 ? "nowhere" : "lamp");
	if ((n >> 19 & 15) == 0)
		at += sprintf(at, " Hop-Limit=%02x", (unsigned)(n >> 23 & 3));
	if ((n >> 27 & 15) == 0)
		at += sprintf(at, " Echo=%016llx", (unsigned long long)n);
	if ((n >> 31 & 31) == 0)
		at += sprintf(at, " 65003=00");
	memset(token, '7', sizeof token);
	token[2 * (n >> 36 & 15)] = '\0';
	engine_line(e, "%s> %s 0.0%u %04x #%s%s%s", names[n >> 40 & 7], n >> 43 & 3 ? "CON" : "NON", payload[0] ? 2 : 1,
		    (unsigned)(n >> 46 & 0x3ff), token, options, payload);
}

/*
 * Whatever happens: I3 and I4 are watched by the rig, memory by the sanitizers, and at the end
 * nothing is left. Both with budgets that are soon spent and with ample ones.
 */
static void random_traffic(const struct proxy_config *c, uint64_t seed, unsigned rounds)
{
	struct engine *e = engine_start(c);
	uint64_t to_device;

	e->seed = seed;
	for (unsigned i = 0; i < rounds; i++) {
		unsigned taken = e->n_out;
		struct engine_sent *batch = NULL;

		random_request(e);
		if (e->n_out > 0) {
			taken = e->n_out;
			batch = malloc(taken * sizeof *batch);
			assert_non_null(batch);
			memcpy(batch, e->out, taken * sizeof *batch);
			e->n_out = 0;
		}
		for (unsigned k = 0; batch && k < taken; k++)
			if (batch[k].to.leg == LEG_DEVICE)
				device_answers(e, &batch[k]);
			else
				client_reacts(e, &batch[k]);
		free(batch);
		engine_wait(e, engine_random(e) % (2 * TSTAMP_S));
	}
	to_device = e->to_device;
	assert_true(to_device > 20);
	engine_stop(e);
}

static void test_random(void **state)
{
	struct proxy_config careful = engine_careful(), roomy = engine_roomy();

	(void)state;
	roomy.exchanges = 32;
	roomy.servers[0].observe_max = 3;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		random_traffic(&careful, seed, 1500);
		random_traffic(&roomy, 100 + seed, 1500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_malformed_vectors),
		cmocka_unit_test(test_hostile_strangers),
		cmocka_unit_test(test_pings),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_reconfigure),
		cmocka_unit_test(test_reconfigure_queued),
		cmocka_unit_test(test_kept_request_expires),
		cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

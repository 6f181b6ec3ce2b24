/* proofs: who claims an address that is not his, or that he has an exchange he has not. */
#include "lab.h"
#include "scene.h"
#include "../unit/msgtext.h"
#include "coap/option.h"
#include "guard/guard.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG "01234567890123456789012345678901234567890123456789012345678901234567890123456789"

/* --- A10, A11: Echo -------------------------------------------------------------------------------------------- */

static struct guard_request claim(const struct path *from, const uint8_t echo[ECHO_LEN])
{
	return (struct guard_request){ .client = from->remote,
				       .listener = from->local,
				       .echo = bytes_of(echo, ECHO_LEN) };
}

static bool is_taken(struct engine *e, const struct path *from, const uint8_t echo[ECHO_LEN])
{
	struct guard_request rq = claim(from, echo);

	return guard_echo_origin(e->proxy->guard, &rq, e->now) == ECHO_VALID;
}

/* Another address, port, listener; another guard, or the same after its next start. */
static unsigned transplants(struct engine *e, const uint8_t echo[ECHO_LEN])
{
	struct path from = engine_peer(e, "a")->path, moved = from;
	struct echo_key other;
	uint8_t foreign[ECHO_LEN], secret[16] = { 0 };
	unsigned taken = 0;

	for (unsigned bit = 0; bit < 128; bit++, moved = from) {
		moved.remote.ip[bit / 8] ^= (uint8_t)(1U << bit % 8);
		taken += is_taken(e, &moved, echo);
	}
	for (unsigned bit = 0; bit < 16; bit++, moved = from) {
		moved.remote.port ^= (uint16_t)(1U << bit);
		taken += is_taken(e, &moved, echo);
	}
	moved.local.ip[15] ^= 1;
	taken += is_taken(e, &moved, echo);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t r = engine_random(e);

		memcpy(secret, &r, sizeof r);
		echo_init(&other, secret, e->cfg.policy.echo_key_lifetime, e->now - TSTAMP_MIN);
		echo_make(&other, &from.remote, &from.local, e->now, foreign);
		taken += is_taken(e, &from, foreign);
	}
	return taken;
}

static void forged_echo(struct lab *l)
{
	struct proxy_config c = engine_careful();
	struct engine *e = engine_start(&c);
	const struct path from = engine_peer(e, "a")->path;
	unsigned long n = lab_scaled(l, 10000000, 100000), taken = 0;
	uint8_t good[ECHO_LEN], echo[ECHO_LEN];
	struct guard_totals t;

	guard_echo(e->proxy->guard, &from.remote, &from.local, e->now, good);
	memcpy(echo, good, sizeof echo);
	for (unsigned long i = 0; i < n; i++) { /* all but the tag as it should be */
		uint64_t r = engine_random(e);

		memcpy(echo + ECHO_LEN - sizeof r, &r, sizeof r);
		taken += is_taken(e, &from, echo);
	}
	lab_tell(l, "random tags", (double)n);
	lab_at_most(l, "accepted", (double)taken, 0);
	lab_at_least(l, "the true one is accepted", is_taken(e, &from, good), 1);
	lab_at_most(l, "transplants accepted, of 145 endpoints and 1000 guards", transplants(e, good), 0);
	for (unsigned long i = 0; i < n / 100; i++) { /* and in requests */
		char hex[2 * ECHO_LEN + 1];
		uint64_t r = engine_random(e);

		memcpy(echo + ECHO_LEN - sizeof r, &r, sizeof r);
		msgtext_hex(bytes_of(echo, sizeof echo), hex);
		engine_line(e, "x> CON 0.01 %04x #20 Uri-Path:lamp Echo=%s", (unsigned)(i & 0xffff), hex);
		engine_wait(e, TSTAMP_MS);
		e->n_out = 0;
	}
	guard_view_totals(e->proxy->guard, &t);
	lab_at_most(l, "accepted in requests", (double)t.echoes_valid, 0);
	engine_stop(e);
}

static void old_echo(struct lab *l)
{
	static const struct {
		const char *what;
		uint64_t age;
		bool taken;
	} rows[] = { { "59 s old: accepted", 59 * TSTAMP_S, true },
		     { "61 s old: refused", 61 * TSTAMP_S, false },
		     { "an hour old: refused", TSTAMP_HOUR, false },
		     { "three key lifetimes old: refused", 3 * TSTAMP_HOUR, false } };

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxy_config c = engine_careful();
		struct engine *e = engine_start(&c);
		const struct path from = engine_peer(e, "a")->path;
		uint8_t echo[ECHO_LEN];

		guard_echo(e->proxy->guard, &from.remote, &from.local, e->now, echo);
		engine_wait(e, rows[i].age);
		lab_at_least(l, rows[i].what, is_taken(e, &from, echo) == rows[i].taken, 1);
		engine_stop(e);
	}
}

/* --- A15: a registration whose source was rewritten ------------------------------------------------------------- */

/* The key may be good; the address is the victim's. Beside the answer it gets at most what was "sent" by it. */
static void notify_victim(struct lab *l, const char *kind, const char *request, const char *seen, const char *oscore,
			  unsigned long n)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	uint64_t in, out = 0;
	uint8_t wire[64];
	char text[96];

	in = PROXY_FRAME + msgtext_write(request, wire, sizeof wire).len;
	engine_line(e, "x> %s", request);
	engine_line(e, "lamp< %s", seen);
	engine_line(e, "lamp> ACK 2.05 $ #$t Observe=01%s !=00", oscore);
	engine_line(e, "flush");
	for (unsigned long i = 0; i < n; i++) {
		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x%s !" LONG, (unsigned)(0x7000 + i) & 0xffff,
			    (unsigned)(i + 2) & 0xff, oscore);
		engine_wait(e, TSTAMP_S);
		for (const struct engine_sent *s; (s = engine_take(e, "x"));)
			out += s->len + PROXY_FRAME;
		e->n_out = 0;
	}
	snprintf(text, sizeof text, "%s: bytes to the victim per byte in its name", kind);
	lab_at_most(l, text, (double)out / (double)in, 3);
	engine_stop(e);
}

static void rewritten_source(struct lab *l)
{
	unsigned long n = lab_scaled(l, 10000, 500);

	lab_tell(l, "notifications of the device", (double)n);
	notify_victim(l, "OSCORE", "CON 0.05 0001 #01 Observe= OSCORE=090105 Uri-Path:lamp !=00",
		      "CON 0.05 * #*t Observe= OSCORE=090105 !=00", " OSCORE=", n);
	notify_victim(l, "plain", "CON 0.01 0001 #01 Observe= Uri-Path:lamp", "CON 0.01 * #*t Observe=", "", n);
}

/* --- A30: resets and ICMP from nowhere -------------------------------------------------------------------------- */

/* A proven client observes; in its name come 10 000 resets with Message IDs in random order. True: it still hears of news. */
static bool survives_resets(struct engine *e, unsigned long resets)
{
	const struct path from = engine_peer(e, "a")->path;
	bool alive;

	e->n_out = 0;
	for (unsigned long i = 0; i < resets; i++) {
		uint64_t r = engine_random(e);

		engine_receive(e, &from, bytes_of((uint8_t[]){ 0x70, 0, (uint8_t)r, (uint8_t)(r >> 8) }, 4));
	}
	e->n_out = 0;
	engine_line(e, "lamp> NON 2.05 7002 #$t Observe=03 !3");
	alive = engine_take(e, "a") != NULL;
	e->n_out = 0;
	return alive;
}

static void blind_resets(struct lab *l)
{
	unsigned long trials = lab_scaled(l, 2000, 100), survived = 0, again = 0;

	for (unsigned long i = 0; i < trials; i++) {
		struct proxy_config c = engine_roomy();
		struct engine *e = engine_start(&c);

		e->seed = 30000 + i;
		ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Observe= Uri-Path:lamp",
			    "lamp< CON 0.01 * #*t Observe=", "lamp> ACK 2.05 $ #$t Observe=01 !1",
			    "a< ACK 2.05 0001 #01 Observe=* !1", "lamp> CON 2.05 7001 #$t Observe=02 !2");
		if (survives_resets(e, 10000)) {
			survived++;
		} else { /* the client notices by Max-Age, and registers again */
			ENGINE_PLAY(e, "prove a", "a> CON 0.01 0002 #02 Observe= Uri-Path:lamp",
				    "lamp< CON 0.01 * #*t Observe=", "lamp> ACK 2.05 $ #$t Observe=01 !1",
				    "a< ACK 2.05 0002 #02 Observe=* !1");
			again++;
		}
		e->n_out = 0;
		engine_stop(e);
	}
	lab_tell(l, "observations, each against 10000 blind resets", (double)trials);
	/* so many trials can't tell it better than to three standard errors */
	lab_at_least(l, "survived, %", 100.0 * (double)survived / (double)trials,
		     85 - 3 * sqrt(85 * 15 / (double)trials));
	lab_at_least(l, "alive or registered again, %", 100.0 * (double)(survived + again) / (double)trials, 100);
}

/* Of the device: a reset ends the one exchange it names, and what follows is served. */
static void device_resets(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	unsigned rounds = (unsigned)lab_scaled(l, 500, 100), served = 0;
	struct engine *e = engine_start(&c);

	ENGINE_PLAY(e, "prove a");
	for (unsigned i = 0; i < rounds; i++) {
		const struct engine_sent *s;

		engine_line(e, "a> CON 0.01 %04x #%04x Uri-Path:lamp", i, i);
		engine_line(e, "lamp< CON 0.01 * #*");
		for (unsigned j = 0; j < 1000; j++) {
			uint64_t r = engine_random(e);

			engine_receive(e, &engine_peer(e, "lamp")->path,
				       bytes_of((uint8_t[]){ 0x70, 0, (uint8_t)r, (uint8_t)(r >> 8) }, 4));
		}
		engine_line(e, "lamp> ACK 2.05 $ #$ !on");
		s = engine_take(e, "a");
		served += s && s->buf[1] == MSG_CONTENT;
		e->n_out = 0;
		engine_prove(e, "a");
	}
	lab_at_least(l, "device's resets forged, 1000 each: requests answered, %", 100.0 * served / rounds, 90);
	engine_stop(e);
}

static void injected(struct lab *l)
{
	blind_resets(l);
	device_resets(l);
}

const struct attack proof_attacks[] = {
	{ "A10", forged_echo }, { "A11", old_echo }, { "A15", rewritten_source }, { "A30", injected }, { NULL, NULL },
};

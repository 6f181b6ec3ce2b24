/* wires: what is wrong with single datagrams, and who sends them: bombs, circles, answers nobody asked for, devices that ask. */
#include "lab.h"
#include "scene.h"
#include "../unit/msgtext.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- A20: option bombs ------------------------------------------------------------------------------------------ */

struct bomb {
	const char *what;
	const char *head; /* options before */
	size_t head_len;
	const char *unit;
	size_t unit_len, units; /* 0: as many as fit */
};

#define BOMB(what, head, unit, units)                                                                                  \
	{                                                                                                              \
		what, head, sizeof head - 1, unit, sizeof unit - 1, units                                              \
	}

static const struct bomb bombs[] = {
	BOMB("1000 empty options", "\xb4lamp", "\x00", 1000),
	BOMB("64 empty options: the most allowed", "\xb4lamp", "\x00", 63),
	BOMB("as many Uri-Path as allowed", "\xb4lamp", "\x01x", 63),
	BOMB("Uri-Path without end", "\xb4lamp", "\x01x", 0),
	BOMB("repeated unknown critical",
	     "\xb4lamp\xe1\xfc\xdf"
	     "x",
	     "\x01x", 0),
	BOMB("repeated OSCORE", "\x92\x01\x20", "\x02\x01\x20", 0),
	BOMB("repeated Echo",
	     "\xb4lamp\xdd\xe4\x00"
	     "0123456789abc",
	     "\x08"
	     "01234567",
	     0),
	BOMB("repeated Proxy-Uri",
	     "\xdd\x16\x04"
	     "coap://[::1]/aaaa",
	     "\x0d\x04"
	     "coap://[::1]/aaaa",
	     0),
	BOMB("numbers to 65535", "\xb4lamp", "\xe0\x03\x00", 0),
	BOMB("numbers past 65535", "\xb4lamp", "\xe0\xff\x00", 0),
	BOMB("deltas of 13", "", "\xd0\x00", 0),
	BOMB("a nibble of 15 at the end", "\xb4lamp", "\xf0", 1),
};

/* The least of 200 times: what the datagram costs, not what else the machine did. */
static double cost_of(struct engine *e, const uint8_t *wire, size_t len)
{
	struct path from = engine_path("[2001:db8::1]:40000"), to;
	uint8_t copy[1280];
	double least = 1e12;

	memcpy(copy, wire, len);
	for (unsigned i = 0; i < 200; i++) {
		double began;

		copy[2] = (uint8_t)i;
		from.remote.ip[7] = (uint8_t)i;
		began = lab_cpu_ns();
		proxy_receive(e->proxy, &from, bytes_of(copy, len), e->now);
		while (proxy_transmit(e->proxy, &to, e->now).len)
			;
		began = lab_cpu_ns() - began;
		least = began < least ? began : least;
	}
	engine_wait(e, 10 * TSTAMP_S);
	return least;
}

static size_t build(const struct bomb *b, uint8_t wire[1152])
{
	size_t len = 5, n = 0;

	memcpy(wire, (uint8_t[]){ 0x41, 1, 0, 1, 0x20 }, 5);
	memcpy(wire + len, b->head, b->head_len);
	len += b->head_len;
	for (; len + b->unit_len <= 1152 && (b->units == 0 || n < b->units); len += b->unit_len, n++)
		memcpy(wire + len, b->unit, b->unit_len);
	return len;
}

static void option_bombs(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	struct engine *e = engine_start(&c);
	struct scene_device device = { .code = MSG_CONTENT };
	double heap, worst = 0;
	uint8_t wire[1280];
	const char *what = "";

	scene_attend(e, &device);
	heap = lab_heap();
	for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
		double cost = cost_of(e, wire, build(&bombs[i], wire));

		what = cost > worst ? bombs[i].what : what;
		worst = cost > worst ? cost : worst;
	}
	lab_tell(l, "kinds of bombs", sizeof bombs / sizeof *bombs);
	lab_at_most(l, "heap grown by, bytes", lab_heap() - heap, 0);
	lab_bare_at_most(l, "worst datagram, us of CPU", worst / 1e3, 20);
	for (unsigned long i = 0; i < lab_scaled(l, 200000, 20000); i++) { /* and whatever chance makes of them */
		size_t len = build(&bombs[engine_random(e) % (sizeof bombs / sizeof *bombs)], wire);

		for (uint64_t r = engine_random(e), n = r % 4; n--; r >>= 16)
			wire[r % len] = (uint8_t)(r >> 8);
		engine_receive(e, &engine_peer(e, "x")->path, bytes_of(wire, len - engine_random(e) % 8));
		scene_answer(e);
		if (i % 16 == 0)
			engine_wait(e, TSTAMP_MS);
	}
	lab_tell(l, "damaged ones, without a mishap", (double)lab_scaled(l, 200000, 20000));
	engine_stop(e);
}

/* --- A23: guards that send to each other ------------------------------------------------------------------------ */

struct circle {
	struct engine *guards[2];
	struct addr at[2], behind; /* where they listen; who asked first */
	unsigned hops, back;
	uint8_t code;
};

static struct proxy_config half_of(const struct addr *listen, const struct addr *other)
{
	struct proxy_config c = engine_open();

	c.listens[0].bind = *listen;
	c.listens[0].server = 0;
	c.servers[0].address = *other;
	c.servers[0].uri_path[0] = '\0';
	c.servers[0].proxy = c.servers[0].forward = true;
	return c;
}

/* One datagram of guard i goes where it is addressed. False: nothing more. */
static bool carry(struct circle *r, unsigned i)
{
	struct path to, from;
	struct bytes d = proxy_transmit(r->guards[i]->proxy, &to, r->guards[i]->now);
	struct engine *other = r->guards[!i];
	uint8_t copy[1280];

	if (!d.len)
		return false;
	memcpy(copy, d.ptr, d.len);
	if (to.leg == LEG_DEVICE) { /* sent from a port of its own */
		from = (struct path){ LEG_CLIENT, r->at[!i], r->at[i] };
		from.remote.port = (uint16_t)(50000 + to.local.port);
		r->hops += copy[1] > 0 && copy[1] < 32;
	} else if (addr_equal(&to.remote, &r->behind)) {
		r->back++;
		r->code = copy[1];
		return true;
	} else {
		from = (struct path){ LEG_DEVICE, { .port = (uint16_t)(to.remote.port - 50000) }, r->at[i] };
	}
	proxy_receive(other->proxy, &from, bytes_of(copy, d.len), other->now);
	return true;
}

static void settle(struct circle *r, uint64_t ns)
{
	for (tstamp end = r->guards[0]->now + ns; r->guards[0]->now < end;) {
		while (carry(r, 0) || carry(r, 1))
			;
		for (unsigned i = 0; i < 2; i++) {
			r->guards[i]->now += 10 * TSTAMP_MS;
			proxy_expire(r->guards[i]->proxy, r->guards[i]->now);
		}
	}
}

static void proxy_circle(struct lab *l)
{
	static const char *const asked[] = {
		"CON 0.01 0001 #20 Uri-Host:nowhere.example Proxy-Scheme:coap",
		"NON 0.03 0001 #20 Uri-Host:nowhere.example Proxy-Scheme:coap !y",
		"CON 0.01 0001 #20 Uri-Path:x",
		"NON 0.03 0001 #20 Uri-Path:x !y",
		"CON 0.02 0001 #20 OSCORE=090120 Uri-Path:x !=00112233445566",
	};
	unsigned worst[2] = { 0, 0 }, ended[2] = { 0, 0 }, left = 0;

	for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
		struct circle r = { .hops = 0 };
		struct proxy_config c[2];
		uint8_t wire[128];
		struct path from;

		assert(addr_parse(&r.at[0], "[2001:db8::53]:5683", 0) &&
		       addr_parse(&r.at[1], "[2001:db8::54]:5683", 0));
		for (unsigned k = 0; k < 2; k++) {
			c[k] = half_of(&r.at[k], &r.at[!k]);
			r.guards[k] = engine_start(&c[k]);
		}
		from = engine_peer(r.guards[0], "a")->path;
		from.local = r.at[0];
		r.behind = from.remote;
		proxy_receive(r.guards[0]->proxy, &from, msgtext_write(asked[i], wire, sizeof wire), r.guards[0]->now);
		settle(&r, 60 * TSTAMP_S);
		worst[i > 1] = r.hops > worst[i > 1] ? r.hops : worst[i > 1];
		ended[i > 1] += r.code == MSG_HOP_LIMIT && r.back == 1;
		settle(&r, 400 * TSTAMP_S);
		for (unsigned k = 0; k < 2; k++) {
			left += r.guards[k]->proxy->exchanges.count;
			engine_stop(r.guards[k]);
		}
	}
	lab_at_most(l, "by Proxy-Scheme: hops", worst[0], 16);
	lab_at_least(l, "by Proxy-Scheme: ended in 5.08", ended[0], 2);
	lab_at_most(l, "each the other's default server: hops", worst[1], 16);
	lab_at_least(l, "each the other's default server: ended in 5.08", ended[1], 3);
	lab_at_most(l, "exchanges left", left, 0);
}

/* --- A25: answers nobody asked for ------------------------------------------------------------------------------ */

/* From the device's own address, to the port it is asked from, while a request of the client is under way. */
static void guessed_responses(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	unsigned long n = lab_scaled(l, 1000000, 20000), accepted = 0, served = 0, rounds = n / 1000;
	struct engine *e = engine_start(&c);

	for (unsigned long i = 0; i < rounds; i++) {
		const struct path *lamp;
		const struct engine_sent *s;

		engine_prove(e, "a");
		engine_line(e, "a> CON 0.01 %04x #20 Uri-Path:lamp", (unsigned)i & 0xffff);
		engine_line(e, "lamp< CON 0.01 *m #*t");
		lamp = &engine_peer(e, "lamp")->path;
		for (unsigned k = 0; k < 1000; k++) {
			uint64_t r = engine_random(e), mid = engine_random(e);
			uint8_t wire[16] = { (uint8_t)(k % 3 == 0   ? 0x48
						       : k % 3 == 1 ? 0x58
								    : 0x68),
					     MSG_CONTENT, (uint8_t)mid, (uint8_t)(mid >> 8) };

			memcpy(wire + 4, &r, 8);
			memcpy(wire + 12,
			       "\xff"
			       "bad",
			       4);
			engine_receive(e, lamp, bytes_of(wire, sizeof wire));
		}
		accepted += engine_take(e, "a") != NULL;
		e->n_out = 0;
		engine_line(e, "lamp> ACK 2.05 $m #$t !on");
		s = engine_take(e, "a");
		served += s && s->len > 3 && memcmp(s->buf + s->len - 2, "on", 2) == 0;
		engine_wait(e, TSTAMP_S);
		e->n_out = 0;
	}
	lab_tell(l, "guessed responses", (double)(rounds * 1000));
	lab_at_most(l, "accepted", (double)accepted, 0);
	lab_at_least(l, "the true response arrived, %", 100.0 * (double)served / (double)rounds, 100);
	lab_at_least(l, "counted as unasked", (double)e->proxy->faults[FAULT_UNASKED], (double)(rounds * 1000));
	engine_stop(e);
}

/* --- A26: a device that asks ------------------------------------------------------------------------------------ */

static void inner_node(struct lab *l)
{
	static const char *const asked[] = {
		"CON 0.01 %04x #20 Uri-Path:house Uri-Path:door",
		"NON 0.01 %04x #20 Proxy-Uri:coap://[2001:db8:1::a]/x",
		"CON 0.01 %04x #20 Uri-Host:hall.example Proxy-Scheme:coap",
		"CON 0.02 %04x #20 OSCORE=090120 Uri-Path:lamp !=00112233445566",
		"CON 0.00 %04x #",
		"CON 2.05 %04x #2021222324252627 Observe=01 !news",
	};
	struct proxy_config c = engine_careful();
	unsigned long n = lab_scaled(l, 100000, 10000), others = 0;
	struct engine *e = engine_start(&c);
	uint64_t before = 0;

	for (unsigned long i = 0; i < n; i++) {
		char line[128];

		snprintf(line, sizeof line, asked[i % (sizeof asked / sizeof *asked)], (unsigned)i & 0xffff);
		engine_line(e, "lamp> %s", line);
		engine_wait(e, TSTAMP_MS);
		while (engine_take(e, "lamp"))
			before++;
		others += e->n_out;
		e->n_out = 0;
	}
	lab_tell(l, "requests and news of an inner node", (double)n);
	lab_at_most(l, "datagrams to anybody but itself", (double)(e->to_client + others), 0);
	lab_at_most(l, "refusals to it, bytes per second of its link", (double)before * 52 / ((double)n / 1000),
		    1250 + 1024 / ((double)n / 1000));
	engine_stop(e);
}

const struct attack wire_attacks[] = {
	{ "A20", option_bombs }, { "A23", proxy_circle }, { "A25", guessed_responses },
	{ "A26", inner_node },   { NULL, NULL },
};

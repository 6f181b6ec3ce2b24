/* stores: what is kept for others between datagrams: observations, blocks, responses. */
#include "lab.h"
#include "scene.h"
#include "../unit/msgtext.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- A14: floods of observations -------------------------------------------------------------------------------- */

/* What clients got: answers with Observe, and what came after. */
struct observers {
	struct scene_device device; /* first member */
	unsigned long observing, plain;
};

static void registered(struct engine *e, const struct engine_sent *sent)
{
	struct observers *o = e->sink_arg;
	struct msg_option observe;
	struct msg m;

	assert(msg_parse(&m, bytes_of(sent->buf, sent->len)) == MSG_OK);
	if (m.code != MSG_CONTENT)
		return;
	*(msg_find(&m, OPTION_OBSERVE, &observe) ? &o->observing : &o->plain) += 1;
}

/* Many tokens and resources of one client, then as many clients. */
static void registrations(struct lab *l, bool many)
{
	struct proxy_config c = engine_roomy();
	struct observers o = { .device = {
				       .code = MSG_CONTENT, .payload = 4, .observes = true, .to_client = registered } };
	unsigned long n = lab_scaled(l, 10000, 500);
	struct engine *e = engine_start(&c);
	char text[96];

	scene_attend(e, &o.device);
	for (unsigned long i = 0; i < n; i++) {
		struct path from = engine_path("[2001:db8:0b5::1]:40000");
		char line[128];
		uint8_t wire[128];

		if (many)
			from.remote.ip[6] = (uint8_t)(i >> 8), from.remote.ip[7] = (uint8_t)i;
		snprintf(line, sizeof line, "NON 0.01 %04x #%04x Observe= Uri-Path:lamp Uri-Path:%lu",
			 (unsigned)i & 0xffff, (unsigned)i & 0xffff, i);
		engine_receive(e, &from, msgtext_write(line, wire, sizeof wire));
		scene_answer(e);
		engine_wait(e, 10 * TSTAMP_MS);
	}
	snprintf(text, sizeof text, "%s: registrations", many ? "many clients" : "one client");
	lab_tell(l, text, (double)n);
	snprintf(text, sizeof text, "%s: observations at the device", many ? "many clients" : "one client");
	lab_at_most(l, text, (double)o.device.observed, c.servers[0].observe_max);
	snprintf(text, sizeof text, "%s: answered without Observe", many ? "many clients" : "one client");
	lab_at_least(l, text, (double)o.plain, 1);
	engine_stop(e);
}

/* Proven once, then gone: how much goes there until the guard notices. */
static void gone(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	unsigned news = 0, sent = 0;
	struct engine *e = engine_start(&c);

	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Observe= Uri-Path:lamp",
		    "lamp< CON 0.01 * #*t Observe=", "lamp> ACK 2.05 $ #$t Observe=01 !1",
		    "a< ACK 2.05 0001 #01 Observe=* !1");
	for (; news < 200; news++) {
		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%02x !x", 0x7100 + news, news + 2);
		engine_wait(e, 30 * TSTAMP_S);
		for (const struct engine_sent *s; (s = engine_take(e, "a"));)
			sent += s->len > 4;
		e->n_out = 0;
	}
	lab_tell(l, "notifications for a client that is gone", news);
	lab_at_most(l, "sent to it, repetitions included", sent, 8 + 4);
	engine_stop(e);
}

static void observe_flood(struct lab *l)
{
	registrations(l, false);
	registrations(l, true);
	gone(l);
}

/* --- A16: first blocks ------------------------------------------------------------------------------------------ */

static struct bytes put_block(uint8_t *wire, size_t cap, uint16_t mid, uint32_t block, uint32_t size1, size_t payload)
{
	static const uint8_t stuff[1024];
	struct msgbuf b;

	msgbuf_begin(&b, wire, cap, MSG_CON, MSG_PUT, mid, bytes_of(&mid, sizeof mid));
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of("lamp", 4));
	msgbuf_option_uint(&b, 27, block);
	if (size1)
		msgbuf_option_uint(&b, 60, size1);
	msgbuf_payload(&b, bytes_of(stuff, payload));
	return msgbuf_end(&b);
}

/* First blocks only, sizes that nobody has, the last number there is; from anywhere. */
static void first_blocks(struct engine *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		static const uint32_t blocks[] = { 0x0e, 0x08, 0xfffff0 | 0x0e, 0x1e, 0x0f };
		struct path from = engine_path("[2001:db8:bad:3::1]:40000");
		uint64_t r = engine_random(e);
		uint8_t wire[1280];

		from.remote.ip[7] = (uint8_t)(r & 15);
		from.remote.ip[15] = (uint8_t)(r >> 8);
		engine_receive(e, &from,
			       put_block(wire, sizeof wire, (uint16_t)(r >> 16), blocks[r >> 40 & 3],
					 r >> 50 & 1 ? UINT32_MAX : 0, r >> 51 & 1 ? 1024 : 16));
		scene_answer(e);
		if (i % 10 == 9)
			engine_wait(e, TSTAMP_MS);
	}
}

#define WARM 20 /* requests until it is in good standing */

struct sender {
	struct scene_device device; /* first member */
	struct addr client;
	bool answered[64];
	unsigned taken;
};

/* By its Message ID or, in a response of its own, by its token: both are 1000 and the block's number. */
static void taken(struct engine *e, const struct engine_sent *sent)
{
	struct sender *s = e->sink_arg;
	uint16_t number;
	struct msg m;

	if (!addr_equal(&sent->to.remote, &s->client) || msg_parse(&m, bytes_of(sent->buf, sent->len)) != MSG_OK ||
	    m.code != MSG_CHANGED || m.token.len != sizeof number)
		return;
	memcpy(&number, m.token.ptr, sizeof number);
	if (number < 1000 + WARM || number >= 1000 + WARM + 64 || s->answered[number - 1000 - WARM])
		return;
	s->answered[number - 1000 - WARM] = true;
	s->taken++;
}

/* A block of a client in good standing; its PUT is inside, the guard sees an OSCORE request. */
static void send_block(struct engine *e, unsigned number)
{
	static const uint8_t stuff[1024];
	const uint8_t oscore[] = { 0x09, (uint8_t)number, 0x25 };
	uint16_t mid = (uint16_t)(1000 + number);
	uint8_t wire[1280];
	struct msgbuf b;

	msgbuf_begin(&b, wire, sizeof wire, MSG_CON, MSG_POST, mid, bytes_of(&mid, sizeof mid));
	msgbuf_option(&b, OPTION_OSCORE, bytes_of(oscore, sizeof oscore));
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of("lamp", 4));
	msgbuf_payload(&b, bytes_of(stuff, sizeof stuff));
	engine_receive(e, &engine_peer(e, "a")->path, msgbuf_end(&b));
	scene_answer(e);
}

static void transfer(struct engine *e, struct sender *s, unsigned each)
{
	for (unsigned number = WARM; number < WARM + 64; number++) {
		send_block(e, number);
		for (unsigned ms = 0; ms < 10000 && s->taken <= number - WARM; ms += each) {
			first_blocks(e, each);
			engine_wait(e, (uint64_t)each * 9 * TSTAMP_MS / 10);
			scene_answer(e);
		}
	}
}

/* 64 KiB in 64 requests, each when the last one was answered, over 10 kbit/s; strangers send a thousand first blocks a second. */
static void exhaust(struct lab *l, const char *how, uint32_t block_size)
{
	struct proxy_config c = engine_careful();
	struct sender s = { .device = { .code = MSG_CHANGED, .payload = 9, .oscore = true, .to_client = taken } };
	struct engine *e;
	double resident, heap;
	char text[96];

	c.links[0].block_size = block_size;
	e = engine_start(&c);
	s.client = engine_peer(e, "a")->path.remote;
	scene_attend(e, &s.device);
	for (unsigned number = 0; number < WARM; number++) {
		send_block(e, number);
		for (unsigned i = 0; i < 100; i++) { /* in pieces it takes as many turns */
			engine_wait(e, 200 * TSTAMP_MS);
			scene_answer(e);
		}
	}
	resident = lab_resident();
	heap = lab_heap();
	transfer(e, &s, (unsigned)lab_scaled(l, 1000, 100));
	snprintf(text, sizeof text, "%s: KiB of 64 that did not arrive", how);
	lab_at_most(l, text, 64.0 - s.taken, 0);
	snprintf(text, sizeof text, "%s: heap grown by, bytes", how);
	lab_at_most(l, text, lab_heap() - heap, 1024); /* what lies in the C library's cache counts */
	snprintf(text, sizeof text, "%s: resident memory moved by, KiB", how);
	lab_bare_at_most(l, text, (lab_resident() - resident) / 1024, 2048);
	snprintf(text, sizeof text, "%s: exchanges under way, at most what is configured", how);
	lab_at_most(l, text, e->proxy->exchanges.count, c.exchanges);
	engine_stop(e);
}

static void block_exhaustion(struct lab *l)
{
	exhaust(l, "blocks pass", 0);
	exhaust(l, "blocks cut to 512", 512);
}

/* --- A35: what others are told ---------------------------------------------------------------------------------- */

/* The device's figures grow: a representation says when it was made. */
struct source {
	struct scene_device device; /* first member; unused but for the queue */
	struct addr client;
	char told[16];
	unsigned long answers, max_age;
};

static void told(struct engine *e, const struct engine_sent *sent)
{
	struct source *s = e->sink_arg;
	struct msg_option age;
	struct msg m;

	if (!addr_equal(&sent->to.remote, &s->client) || msg_parse(&m, bytes_of(sent->buf, sent->len)) != MSG_OK ||
	    m.code != MSG_CONTENT)
		return;
	s->answers++;
	snprintf(s->told, sizeof s->told, "%.*s", (int)m.payload.len, (const char *)m.payload.ptr);
	s->max_age = 0;
	if (msg_find(&m, OPTION_MAX_AGE, &age))
		for (size_t i = 0; i < age.value.len; i++)
			s->max_age = s->max_age << 8 | age.value.ptr[i];
}

static void give(struct engine *e, const char *value, unsigned max_age)
{
	struct source *s = e->sink_arg;

	for (unsigned i = 0; i < s->device.n; i++) {
		const struct engine_sent *asked = &s->device.queue[i];
		uint8_t buf[64];
		struct msgbuf b;
		struct msg m;

		assert(msg_parse(&m, bytes_of(asked->buf, asked->len)) == MSG_OK);
		msgbuf_begin(&b, buf, sizeof buf, m.type == MSG_CON ? MSG_ACK : MSG_NON, MSG_CONTENT, m.mid, m.token);
		msgbuf_option_uint(&b, OPTION_MAX_AGE, max_age);
		msgbuf_payload(&b, bytes_of(value, strlen(value)));
		s->device.requests++;
		engine_receive(e, &asked->to, msgbuf_end(&b));
	}
	s->device.n = 0;
}

/* What a is told when it asks for this; the device would say `value`. */
static const char *ask_for(struct engine *e, unsigned mid, const char *options, const char *value)
{
	struct source *s = e->sink_arg;

	*s->told = '\0';
	engine_line(e, "a> NON 0.01 %04x #%04x %s", mid, mid, options);
	give(e, value, 60);
	return s->told;
}

/* Guessed responses, requests that differ in what is part of the key, and OSCORE, whose answers are nobody else's. */
static unsigned poison(struct engine *e, unsigned long n)
{
	static const char *const others[] = { "Uri-Path:lamp Uri-Path:t Uri-Query:x", "Uri-Path:lamp Uri-Path:T",
					      "Uri-Path:lamp Uri-Path:t Uri-Path:",
					      "Uri-Path:lamp Uri-Path:t Accept=32",
					      "If-Match=01 Uri-Path:lamp Uri-Path:t" };
	struct source *s = e->sink_arg;
	unsigned wrong = 0;

	for (unsigned long i = 0; i < n; i++) {
		uint64_t r = engine_random(e);
		uint8_t wire[14] = { 0x58, MSG_CONTENT, (uint8_t)i, (uint8_t)(i >> 8) };

		memcpy(wire + 4, &r, 8);
		memcpy(wire + 12,
		       "\xff"
		       "!",
		       2);
		engine_receive(e, &engine_peer(e, "lamp")->path, bytes_of(wire, sizeof wire));
		if (i % 100 == 0) {
			engine_line(e, "b> NON 0.01 %04x #%04x %s", (unsigned)(i / 100) & 0xffff,
				    (unsigned)(i / 100) & 0xffff, others[i / 100 % (sizeof others / sizeof *others)]);
			give(e, "bad", 3600);
			engine_line(e, "b> NON 0.05 %04x #%04x OSCORE=0a%04x25 Uri-Path:lamp Uri-Path:t !=00112233",
				    0x8000 + (unsigned)(i / 100), (unsigned)(i / 100) & 0xffff,
				    (unsigned)(i / 100) & 0xffff);
			give(e, "bad", 3600);
		}
		if (i % 1000 == 999)
			wrong += strcmp(ask_for(e, (unsigned)(i / 1000) & 0xfff, "Uri-Path:lamp Uri-Path:t", "new"),
					"good") != 0 &&
				 s->answers;
	}
	return wrong;
}

static void cache_poisoning(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	struct source s = { .device = { .to_client = told } };
	struct engine *e = engine_start(&c);

	s.client = engine_peer(e, "a")->path.remote;
	scene_attend(e, &s.device);
	ask_for(e, 1, "Uri-Path:lamp Uri-Path:t", "one");
	lab_at_least(l, "off by default: a second request goes up",
		     strcmp(ask_for(e, 2, "Uri-Path:lamp Uri-Path:t", "two"), "two") == 0, 1);
	engine_stop(e);
	c.cache_size = 1 << 16;
	s = (struct source){ .client = s.client, .device = { .to_client = told } };
	e = engine_start(&c);
	scene_attend(e, &s.device);
	ask_for(e, 0xf001, "Uri-Path:lamp Uri-Path:t", "good");
	lab_at_most(l, "guessed responses and other keys: wrong answers given", poison(e, lab_scaled(l, 100000, 10000)),
		    0);
	lab_tell(l, "guessed responses", (double)lab_scaled(l, 100000, 10000));
	engine_wait(e, 20500 * TSTAMP_MS);
	ask_for(e, 0xf002, "Uri-Path:lamp Uri-Path:t", "new");
	lab_at_least(l, "20.5 s old: from the cache", strcmp(s.told, "good") == 0, 1);
	lab_at_most(l, "20.5 s old: Max-Age of 60, less its age", (double)s.max_age, 39);
	engine_wait(e, 40 * TSTAMP_S);
	lab_at_least(l, "60.5 s old: asked anew",
		     strcmp(ask_for(e, 0xf003, "Uri-Path:lamp Uri-Path:t", "new"), "new") == 0, 1);
	engine_stop(e);
}

const struct attack store_attacks[] = {
	{ "A14", observe_flood },
	{ "A16", block_exhaustion },
	{ "A35", cache_poisoning },
	{ NULL, NULL },
};

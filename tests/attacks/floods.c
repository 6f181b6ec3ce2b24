/* floods: many datagrams, from many addresses or from one that is somebody else's. */
#include "lab.h"
#include "scene.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "guard/guard.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "../unit/msgtext.h"

#define HOME "192.0.2.10:40000"

static double seconds_of(struct lab *l, unsigned long full, unsigned long least)
{
	return (double)lab_scaled(l, full, least);
}

/* --- A2: the victim's own address ------------------------------------------------------------------------------ */

static void own_address(struct lab *l)
{
	struct scene s;
	struct world_client *c;
	double seconds = seconds_of(l, 600, 20);
	unsigned long forged = 0;

	scene_open(&s, NULL, 2);
	c = scene_trusted(&s, HOME, 1);
	scene_follow(&s, c, 2);
	for (double t = 0; t < seconds; t += 0.001, forged++) {
		scene_forge(&s, &c->addr);
		scene_run(&s, 0.001);
	}
	scene_calm(&s);
	lab_tell(l, "forgeries in its name", (double)forged);
	lab_at_least(l, "its requests answered, %", scene_success(&s), 99);
	lab_at_most(l, "refusals and pings to it, a second", (double)s.refusals / seconds, 30);
	lab_at_most(l, "most in one second", (double)s.worst, 20 + 20 + 21);
	lab_tell(l, "forgeries at the device", s.w->device.strange);
	scene_close(&s);
}

/* --- A6, A7: amplification and reflection ---------------------------------------------------------------------- */

#define VICTIMS 4096

struct mirror {
	struct scene_device device;         /* first member */
	uint64_t in[VICTIMS], out[VICTIMS]; /* frames, by the last 12 bits of a victim's /64 */
	double ratio;                       /* the worst there ever was */
	unsigned long replies, largest, second_replies, worst;
	uint64_t second;
};

static unsigned victim_of(const struct addr *a)
{
	return (unsigned)(a->ip[6] << 8 | a->ip[7]) % VICTIMS;
}

static void mirrored(struct engine *e, const struct engine_sent *sent)
{
	struct mirror *m = e->sink_arg;
	unsigned victim = victim_of(&sent->to.remote);
	uint64_t second = sent->at / TSTAMP_S;
	struct msg reply;

	assert(msg_parse(&reply, bytes_of(sent->buf, sent->len)) == MSG_OK);
	m->second_replies = second == m->second ? m->second_replies + 1 : 1;
	m->second = second;
	m->worst = m->second_replies > m->worst ? m->second_replies : m->worst;
	m->replies++;
	m->largest = sent->len - reply.token.len > m->largest ? sent->len - reply.token.len : m->largest;
	m->out[victim] += sent->len + PROXY_FRAME;
	if ((double)m->out[victim] > m->ratio * (double)m->in[victim])
		m->ratio = (double)m->out[victim] / (double)m->in[victim];
}

static void reflect(struct engine *e, struct mirror *m, const struct path *from, struct bytes wire)
{
	m->in[victim_of(&from->remote)] += wire.len + PROXY_FRAME;
	engine_receive(e, from, wire);
	scene_answer(e);
	engine_wait(e, TSTAMP_MS);
}

static struct mirror *mirror_open(struct engine **e, const struct proxy_config *c)
{
	struct mirror *m = calloc(1, sizeof *m);

	assert(m);
	*e = engine_start(c);
	m->device =
		(struct scene_device){ .payload = 1024, .code = MSG_CONTENT, .observes = true, .to_client = mirrored };
	scene_attend(*e, &m->device);
	return m;
}

static void mirror_close(struct engine *e, struct mirror *m)
{
	engine_stop(e);
	free(m);
}

/* Requests with large answers, and what is answered by the guard; the budgets let most of them through. */
static void amplification(struct lab *l)
{
	static const char *const asked[] = {
		"CON 0.01 %04x #",
		"CON 0.01 %04x #20 Uri-Path:lamp",
		"NON 0.01 %04x #20 Uri-Path:lamp",
		"CON 0.01 %04x #20 Uri-Path:.well-known Uri-Path:core",
		"CON 0.01 %04x #20 Uri-Path:lamp Uri-Path:.well-known Uri-Path:core",
		"CON 0.01 %04x #20 Observe= Uri-Path:lamp",
		"CON 0.01 %04x #20 Uri-Path:lamp Echo=000000000000000000000000",
		"CON 0.01 %04x #20 Uri-Path:lamp Hop-Limit=01",
		"CON 0.01 %04x #20 Uri-Path:lamp 65003=00",
		"CON 0.01 %04x #20 Proxy-Uri:coap://192.0.2.99/",
		"CON 0.02 %04x #20 OSCORE=090120 Uri-Path:lamp !=00112233445566",
		"CON 0.02 %04x #20 OSCORE=09 Uri-Path:lamp !=00112233445566",
		"CON 0.00 %04x #",
		"CON 7.31 %04x #",
	};
	enum { FORMS = sizeof asked / sizeof *asked };
	struct proxy_config c = engine_roomy();
	unsigned long n = lab_scaled(l, 1000000, 20000);
	struct engine *e;
	struct mirror *m = mirror_open(&e, &c);
	struct path from = engine_path("[2001:db8:bad::1]:40000");

	for (unsigned long i = 0; i < n; i++) {
		char line[256];
		uint8_t wire[256];
		unsigned victim = (unsigned)(engine_random(e) % VICTIMS);

		from.remote.ip[6] = (uint8_t)(victim >> 8);
		from.remote.ip[7] = (uint8_t)victim;
		snprintf(line, sizeof line, asked[engine_random(e) % FORMS], (unsigned)(i & 0xffff));
		reflect(e, m, &from, msgtext_write(line, wire, sizeof wire));
	}
	lab_tell(l, "requests from unproven addresses", (double)n);
	lab_tell(l, "answered by the device with 1 KiB", (double)m->device.requests);
	lab_at_least(l, "datagrams back", (double)m->replies, (double)n / 1000);
	lab_at_most(l, "bytes out per byte in, frames, at the worst address", m->ratio, 3);
	lab_at_most(l, "largest reply, bytes of CoAP without token", (double)m->largest, 136);
	mirror_close(e, m);
}

/* Every refusal is small, but there are many, and one /64 would get them all. */
static void reflection(struct lab *l)
{
	struct proxy_config c = engine_careful();
	unsigned long seconds = lab_scaled(l, 60, 6);
	struct engine *e;
	struct mirror *m = mirror_open(&e, &c);
	struct path from = engine_path("[2001:db8:bad:1::1]:40000");

	for (unsigned long i = 0; i < seconds * 1000; i++) {
		uint64_t r = engine_random(e);
		uint8_t wire[] = { 0x42, 1, (uint8_t)r, (uint8_t)(r >> 8), 0, 1, 0xb4, 'l', 'a', 'm', 'p' };

		from.remote.ip[15] = (uint8_t)(r >> 16);
		reflect(e, m, &from, bytes_of(wire, sizeof wire));
	}
	lab_tell(l, "requests from one /64, a second", 1000);
	/* 20, and half as many that slip through; at first what is in store of both, and what strangers' requests brought */
	lab_at_most(l, "replies to it, a second", (double)m->replies / (double)seconds, 30 + 55 / (double)seconds);
	lab_at_most(l, "most in one second", (double)m->worst, 30 + 55);
	lab_at_most(l, "bytes out per byte in, frames, at the worst address", m->ratio, 3);
	mirror_close(e, m);
}

/* --- A12: as many addresses as one likes ----------------------------------------------------------------------- */

/* Newcomers of untouched prefixes ask meanwhile, one every 15 s. */
static void crowd(struct lab *l, const char *what, struct addr (*source)(struct world *w))
{
	struct scene s;
	unsigned long n = lab_scaled(l, 2000000, 160000), newcomers = 0, answered = 0;
	struct world_client *new[8] = { NULL };
	char text[96];
	double before;

	scene_open(&s, NULL, 12);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(text, sizeof text, "[3001:db8:%x::1]:40000", i + 1);
		new[i] = world_client(s.w, text, false, 0);
	}
	before = lab_resident();
	for (unsigned long i = 0; i < n; i++) {
		struct addr from = source(s.w);

		scene_get(&s, &from);
		if (i % 10 == 9)
			world_run(s.w, world_seconds(s.w) + 0.001);
		if (i % 150000 == 7000 && newcomers < 8 && !new[newcomers]->busy)
			world_ask(new[newcomers++]);
	}
	snprintf(text, sizeof text, "%s: resident memory moved by, KiB", what);
	lab_bare_at_most(l, text, (lab_resident() - before) / 1024, 1024);
	world_run(s.w, world_seconds(s.w) + 100);
	for (unsigned i = 0; i < newcomers; i++)
		answered += new[i]->answered;
	snprintf(text, sizeof text, "%s: newcomers of other prefixes answered, %%", what);
	lab_at_least(l, text, 100.0 * (double)answered / (double)newcomers, 100);
	scene_close(&s);
}

static struct addr of_one_64(struct world *w)
{
	return scene_inside(w, "2001:db8:1:1::", 64);
}

static struct addr of_many_48s(struct world *w)
{
	return scene_inside(w, "2001::", 16);
}

static void addresses(struct lab *l)
{
	crowd(l, "2^64 addresses of one /64", of_one_64);
	crowd(l, "many /48s", of_many_48s);
}

/* --- A13: hash flooding ---------------------------------------------------------------------------------------- */

static uint32_t unkeyed(const struct addr *a)
{
	uint32_t h = 2166136261U; /* FNV-1a, as an attacker who knows the program would compute it */

	for (unsigned i = 0; i < 16; i++)
		h = (h ^ a->ip[i]) * 16777619U;
	return h;
}

static double cost_of(struct engine *e, const struct addr *client, uint16_t mid)
{
	uint8_t wire[] = { 0x52, 1, (uint8_t)(mid >> 8), (uint8_t)mid, 0, 1, 0xb4, 'l', 'a', 'm', 'p' };
	struct path from = engine_path("[2001:db8::1]:1"), to;
	double began;

	from.remote = *client;
	began = lab_cpu_ns();
	proxy_receive(e->proxy, &from, bytes_of(wire, sizeof wire), e->now);
	while (proxy_transmit(e->proxy, &to, e->now).len)
		;
	return lab_cpu_ns() - began;
}

static struct addr colliding(struct engine *e)
{
	struct addr a = { .ip = { 0x20, 1, 0xd, 0xb8, 7 }, .port = 40000 };

	do {
		uint64_t r = engine_random(e);

		memcpy(a.ip + 5, &r, 8);
	} while (unkeyed(&a) % 256);
	return a;
}

static struct addr scattered(struct engine *e)
{
	struct addr a = { .ip = { 0x20, 1, 0xd, 0xb8, 7 }, .port = 40000 };
	uint64_t r = engine_random(e);

	memcpy(a.ip + 5, &r, 8);
	return a;
}

/* The same number of each kind, in turn, so that the machine's moods strike both. */
static void hash_flood(struct lab *l)
{
	struct proxy_config c = engine_careful();
	unsigned long n = lab_scaled(l, 100000, 5000);
	double *costs[2] = { calloc(n, sizeof(double)), calloc(n, sizeof(double)) }, p99[2];
	struct engine *e;

	c.policy.servers[0].unknown_rate.count = 0;
	c.policy.servers[0].unknown_budget = 0;
	e = engine_start(&c);
	assert(costs[0] && costs[1]);
	for (unsigned long i = 0; i < n; i++)
		for (unsigned k = 0; k < 2; k++) {
			struct addr client = k ? colliding(e) : scattered(e);

			costs[k][i] = cost_of(e, &client, (uint16_t)i);
		}
	for (unsigned k = 0; k < 2; k++)
		p99[k] = lab_percentile(costs[k], n, 99);
	lab_tell(l, "addresses that collide under an unkeyed hash", (double)n);
	lab_tell(l, "p99 of others, ns", p99[0]);
	lab_bare_at_most(l, "p99 of theirs / p99 of others", p99[1] / p99[0], 2);
	free(costs[0]);
	free(costs[1]);
	engine_stop(e);
}

/* --- A17: what is remembered for duplicates -------------------------------------------------------------------- */

/* A client, and what it heard last. */
struct twin {
	struct scene_device device; /* first member */
	struct addr client;
	struct engine_sent last;
	unsigned long heard;
};

static void heard(struct engine *e, const struct engine_sent *sent)
{
	struct twin *t = e->sink_arg;

	if (!addr_equal(&sent->to.remote, &t->client))
		return;
	t->last = *sent;
	t->heard++;
}

static void ask_number(struct engine *e, unsigned n)
{
	engine_line(e, "a> CON 0.02 %04x #%04x OSCORE=0a%04x25 Uri-Path:lamp !=aa", n, n, n);
	scene_answer(e);
}

/* So many strangers, ten thousand a second, each with a Message ID of its own. */
static void strangers(struct engine *e, unsigned long n)
{
	struct path from = engine_path("[2001:db8:bad:2::1]:40000");

	for (unsigned long i = 0; i < n; i++) {
		uint64_t r = engine_random(e);
		uint8_t wire[] = { 0x42, 1, (uint8_t)(i >> 8), (uint8_t)i, 0x20, 1, 0xb4, 'l', 'a', 'm', 'p' };

		from.remote.ip[7] = (uint8_t)(r & 7); /* the rig keeps accounts of them: some thousand */
		from.remote.ip[15] = (uint8_t)(r >> 8);
		engine_receive(e, &from, bytes_of(wire, sizeof wire));
		scene_answer(e);
		if (i % 10 == 9)
			engine_wait(e, TSTAMP_MS);
	}
}

/* Its retransmission comes 2 s later: the same bytes, and nothing goes up. */
static bool is_recognised(struct engine *e, struct twin *t, unsigned n)
{
	unsigned long before = t->heard, requests;
	struct engine_sent first;

	ask_number(e, n);
	if (t->heard != before + 1)
		return false;
	first = t->last;
	strangers(e, 20000);
	requests = t->device.requests;
	before = t->heard;
	ask_number(e, n);
	return t->heard == before + 1 && t->device.requests == requests && t->last.len == first.len &&
	       memcmp(t->last.buf, first.buf, first.len) == 0;
}

static void duplicates(struct lab *l)
{
	struct proxy_config c = engine_careful();
	struct twin t = { .device = { .code = MSG_CHANGED, .payload = 4, .oscore = true, .to_client = heard } };
	unsigned rounds = (unsigned)lab_scaled(l, 50, 2), recognised = 0;
	struct engine *e;
	double before;

	c.links[0].sched.rate.count = 12500;
	e = engine_start(&c);
	t.client = engine_peer(e, "a")->path.remote;
	scene_attend(e, &t.device);
	for (unsigned i = 0; i < 20; i++) {
		ask_number(e, i);
		engine_wait(e, TSTAMP_S);
	}
	before = lab_resident();
	for (unsigned i = 0; i < rounds; i++)
		recognised += is_recognised(e, &t, 100 + i);
	lab_tell(l, "requests of strangers", 20000.0 * rounds);
	lab_bare_at_most(l, "resident memory moved by, KiB", (lab_resident() - before) / 1024, 1024);
	lab_at_least(l, "retransmissions answered from memory, %", 100.0 * recognised / rounds, 100);
	engine_stop(e);
}

/* --- A32: a botnet that proved all its addresses ---------------------------------------------------------------- */

static void ask_with_echo(struct engine *e, unsigned bot, uint16_t mid)
{
	struct path from = engine_path("[2001:db8:b07:1::1]:40000");
	uint8_t wire[64], echo[ECHO_LEN];
	struct msgbuf b;

	from.remote.ip[6] = (uint8_t)(bot >> 8);
	from.remote.ip[7] = (uint8_t)bot;
	guard_echo(e->proxy->guard, &from.remote, &from.local, e->now, echo);
	msgbuf_begin(&b, wire, sizeof wire, MSG_CON, MSG_GET, mid, bytes_of(&mid, sizeof mid));
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of("lamp", 4));
	msgbuf_option(&b, OPTION_ECHO, bytes_of(echo, sizeof echo));
	engine_receive(e, &from, msgbuf_end(&b));
}

static uint64_t into_link(const struct engine *e)
{
	return e->proxy->sent_bytes[LEG_DEVICE] + e->proxy->sent[LEG_DEVICE] * e->cfg.links[0].sched.overhead;
}

/* 10 000 clients, each with an Echo for its address, each asking every 10 s: none is over any limit of its own. */
static void botnet_against(struct lab *l, const char *budgets, const struct proxy_config *c)
{
	struct twin t = { .device = { .code = MSG_CHANGED, .payload = 4, .oscore = true, .to_client = heard } };
	unsigned long n = lab_scaled(l, 300000, 20000);
	struct engine *e = engine_start(c);
	unsigned asked = 0;
	uint64_t before;
	double allowed;
	char text[96];

	t.client = engine_peer(e, "a")->path.remote;
	scene_attend(e, &t.device);
	for (unsigned i = 0; i < 20; i++) {
		ask_number(e, i);
		engine_wait(e, TSTAMP_S);
	}
	before = into_link(e);
	t.heard = 0;
	for (unsigned long i = 0; i < n; i++) {
		ask_with_echo(e, (unsigned)(i % 10000), (uint16_t)i);
		if (i % 2000 == 0)
			ask_number(e, 100 + asked++);
		scene_answer(e);
		engine_wait(e, TSTAMP_MS);
	}
	allowed = c->links[0].sched.burst + (double)c->links[0].sched.rate.count * (double)n / 1000;
	snprintf(text, sizeof text, "%s: bytes into the link / what its bucket allows", budgets);
	lab_at_most(l, text, (double)(into_link(e) - before) / allowed, 1);
	snprintf(text, sizeof text, "%s: requests of a trusted client answered, %%", budgets);
	lab_at_least(l, text, 100.0 * (double)t.heard / asked, 99);
	engine_stop(e);
}

static void botnet(struct lab *l)
{
	struct proxy_config c = engine_careful();

	lab_tell(l, "requests of 10000 proven clients, a second", 1000);
	botnet_against(l, "default budgets", &c);
	c.policy.servers[0].unknown_rate =
		(struct rate){ 1000, TSTAMP_S }; /* so that nothing but the link is in their way */
	c.policy.servers[0].unknown_budget = 1000000000;
	botnet_against(l, "no budgets", &c);
}

const struct attack flood_attacks[] = {
	{ "A2", own_address }, { "A6", amplification }, { "A7", reflection }, { "A12", addresses },
	{ "A13", hash_flood }, { "A17", duplicates },   { "A32", botnet },    { NULL, NULL },
};

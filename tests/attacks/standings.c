/* standings: who tries to take a client's standing away, to move it, or to misuse his own. */
#include "lab.h"
#include "scene.h"
#include "../unit/msgtext.h"
#include "guard/guard.h"
#include <assert.h>
#include <stdio.h>

#define HOME "192.0.2.10:40000"

/* --- A3: every kid --------------------------------------------------------------------------------------------- */

static void every_kid(struct lab *l)
{
	struct scene s;
	struct world_client *c;
	unsigned long n = lab_scaled(l, 1000000, 20000), lost = 0;
	uint8_t data[64];

	scene_open(&s, NULL, 3);
	c = scene_trusted(&s, HOME, 1);
	scene_follow(&s, c, 2);
	for (unsigned long i = 0; i < n; i++) {
		struct addr from = scene_source(s.w);

		world_inject(s.w, &from, data, world_forge(s.w, (uint8_t)i, c->piv + i / 256 % 200, 3, data));
		scene_run(&s, 0.001);
		if (i % 1000 == 0)
			lost += !scene_is_trusted(&s, 1);
	}
	scene_calm(&s);
	lab_tell(l, "forged requests over all kids", (double)n);
	lab_at_least(l, "the client's requests answered, %", scene_success(&s), 100);
	lab_at_most(l, "times it was throttled", c->refused, 0);
	lab_at_most(l, "times it was found without its standing", (double)lost, 0);
	/* 6 a minute, and a minute's worth of either kind in store */
	lab_at_most(l, "forgeries forwarded", s.w->device.strange, 12 + 6 * (double)n / 60000 + 1);
	scene_close(&s);
}

/* --- A4: far numbers ------------------------------------------------------------------------------------------- */

static void far_numbers(struct lab *l)
{
	struct scene s;
	struct world_client *c;
	unsigned long n = lab_scaled(l, 100000, 2000), fast = 0, asked = 0;
	uint8_t data[64];

	scene_open(&s, NULL, 4);
	c = scene_trusted(&s, HOME, 1);
	scene_follow(&s, c, 1e9);
	scene_run(&s, 5);
	for (unsigned long i = 0; i < n; i++) {
		struct addr from = i % 2 ? c->addr : scene_source(s.w);

		world_inject(s.w, &from, data, world_forge(s.w, 1, (1ULL << 39) + i, 5, data));
		scene_run(&s, 0.01);
		if (i % 500 != 499)
			continue;
		world_ask(c);
		scene_run(&s, 0.005); /* not yet there */
		scene_run(&s, 0.006);
		fast += strcmp(s.lane, "trusted") == 0 && strcmp(s.action, "forward") == 0;
		asked++;
		scene_run(&s, 1);
	}
	lab_tell(l, "requests with numbers from 2^39 on", (double)n);
	lab_at_least(l, "the client's next number in the lane of the trusted, %", 100.0 * (double)fast / (double)asked,
		     100);
	lab_at_least(l, "answered, %", scene_success(&s), 100);
	lab_tell(l, "forgeries at the device", s.w->device.strange);
	scene_calm(&s);
	scene_close(&s);
}

/* --- A5, A8: what was seen before ------------------------------------------------------------------------------ */

static void make_home(struct engine *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		engine_line(e, "a> CON 0.02 %04x #%04x OSCORE=09%02x25 Uri-Path:lamp !=aa", i, i, i);
		scene_answer(e);
		engine_wait(e, TSTAMP_S);
	}
}

static bool relation(struct engine *e, struct guard_client *out)
{
	for (uint32_t place = 0; guard_view_client(e->proxy->guard, &place, out, e->now);)
		if (out->kid_len == 1 && out->kid[0] == 0x25)
			return true;
	return false;
}

/* A device with what its clients were sent. */
struct ear {
	struct scene_device device; /* first member */
	struct addr listening;
	struct engine_sent last;
	unsigned long heard, elsewhere; /* replies there, and to anybody else */
};

static void hear(struct engine *e, const struct engine_sent *sent)
{
	struct ear *ear = e->sink_arg;

	if (!addr_equal(&sent->to.remote, &ear->listening)) {
		ear->elsewhere++;
		return;
	}
	ear->last = *sent;
	ear->heard++;
}

static struct engine *listen_at_home(struct ear *ear, const struct proxy_config *c)
{
	struct engine *e = engine_start(c);

	*ear = (struct ear){ .device = { .code = MSG_CHANGED, .payload = 4, .oscore = true, .to_client = hear } };
	ear->listening = engine_peer(e, "a")->path.remote;
	scene_attend(e, &ear->device);
	make_home(e, 20);
	ear->device.requests = ear->heard = ear->elsewhere = 0;
	return e;
}

/* Each number that was used, with other tokens, from home and from elsewhere; then the client's own retransmission. */
static void used_numbers(struct lab *l)
{
	struct proxy_config c = engine_careful();
	unsigned long n = lab_scaled(l, 100000, 2000);
	struct ear ear;
	struct engine *e = listen_at_home(&ear, &c);
	struct engine_sent first;
	bool same;

	for (unsigned long i = 0; i < n; i++) {
		engine_line(e, "%c> CON 0.02 %04x #%06lx OSCORE=09%02x25 Uri-Path:lamp !=aa", "ax"[i % 2],
			    (unsigned)(i & 0xffff), i, (unsigned)(i / 2 % 20));
		scene_answer(e);
		engine_wait(e, TSTAMP_MS);
	}
	lab_tell(l, "used numbers with other tokens", (double)n);
	lab_at_most(l, "forwarded", (double)ear.device.requests, 0);
	lab_at_most(l, "replies to the client's address", (double)ear.heard, 0);
	engine_line(e, "a> CON 0.02 7777 #77 OSCORE=091825 Uri-Path:lamp !=aa");
	scene_answer(e);
	first = ear.last;
	engine_line(e, "a> CON 0.02 7777 #77 OSCORE=091825 Uri-Path:lamp !=aa");
	scene_answer(e);
	same = ear.heard == 2 && ear.last.len == first.len && memcmp(ear.last.buf, first.buf, first.len) == 0;
	lab_at_least(l, "exact retransmission: the same bytes again", same, 1);
	lab_at_most(l, "exact retransmission: forwarded", (double)ear.device.requests - 1, 0);
	engine_stop(e);
}

/* The old request as it was, and one that was caught on the way and suppressed, both from where the attacker is. */
static void replay_elsewhere(struct lab *l)
{
	struct proxy_config c = engine_careful();
	unsigned long n = lab_scaled(l, 1000, 50);
	struct ear ear;
	struct engine *e = listen_at_home(&ear, &c);
	struct guard_client before, after;
	double worst = 0;

	assert(relation(e, &before));
	for (unsigned long i = 0; i < n; i++) {
		ear.elsewhere = 0;
		engine_line(e, "x> CON 0.02 %04lx #10 OSCORE=09%02x25 Uri-Path:lamp !=aa", i, (unsigned)(i % 20));
		scene_answer(e);
		engine_wait(e, 10 * TSTAMP_S);
		worst = (double)ear.elsewhere > worst ? (double)ear.elsewhere : worst;
	}
	lab_tell(l, "requests copied and sent from elsewhere", (double)n);
	lab_at_most(l, "replies to one", worst, 1);
	lab_at_most(l, "forwarded", (double)ear.device.requests, 0);
	engine_line(e, "x> CON 0.02 ffff #10 OSCORE=091925 Uri-Path:lamp !=aa"); /* the next number */
	scene_answer(e);
	assert(relation(e, &after));
	lab_at_least(l, "the client lives where it did", addr_equal(&after.endpoint, &before.endpoint), 1);
	lab_at_least(l, "and is trusted", after.standing == STANDING_TRUSTED, 1);
	ear.heard = 0;
	engine_line(e, "a> CON 0.02 7777 #77 OSCORE=091a25 Uri-Path:lamp !=aa");
	scene_answer(e);
	lab_at_least(l, "its next request is answered at once", (double)ear.heard, 1);
	engine_stop(e);
}

/* --- A9: a client whose NAT forgets it ------------------------------------------------------------------------- */

static void rebinding(struct lab *l)
{
	unsigned rounds = (unsigned)lab_scaled(l, 20, 5), asked = 0, answered = 0;
	double worst = 0, quiet = 0;

	for (uint64_t seed = 0; seed < (l->scale < 1 ? 1 : 10); seed++) {
		struct scene s;
		struct world_client *c;

		scene_open(&s, NULL, 900 + seed);
		c = scene_trusted(&s, HOME, 1);
		quiet = (double)c->worst / 1e6;
		scene_follow(&s, c, 2.5);
		c->worst = 0;
		scene_run(
			&s,
			1); /* while nothing is under way: what is, would look like a replay from elsewhere to the device, too */
		for (unsigned i = 0; i < rounds; i++) { /* every 30 s */
			c->addr.port = (uint16_t)(40001 + i);
			for (unsigned j = 0; j < 30; j++)
				scene_run(&s, 1);
		}
		scene_calm(&s);
		asked += c->asked - s.asked_before;
		answered += c->answered - s.answered_before;
		worst = (double)c->worst / 1e6 > worst ? (double)c->worst / 1e6 : worst;
		scene_close(&s);
	}
	lab_tell(l, "requests", asked);
	lab_at_least(l, "answered, %", 100.0 * answered / asked, 99.5);
	lab_tell(l, "round trip on a quiet day, ms", quiet);
	lab_at_most(l, "worst round trip, in those of a quiet day", worst / quiet, 2);
}

/* --- A36: standing misused ------------------------------------------------------------------------------------- */

/* What it asks is accepted, and too much. */
static void flood_with_standing(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	unsigned long seconds = lab_scaled(l, 60, 5);
	struct ear ear;
	struct engine *e;

	c.policy.servers[0].trusted_rate = (struct rate){ 10, TSTAMP_S };
	e = listen_at_home(&ear, &c);
	for (unsigned long i = 0; i < seconds * 1000; i++) {
		engine_line(e, "a> CON 0.02 %04lx #%08lx OSCORE=0b%06lx25 Uri-Path:lamp !=aa", i & 0xffff, i,
			    20 + i / 8);
		scene_answer(e);
		engine_wait(e, TSTAMP_MS);
	}
	lab_at_most(l, "promoted, 1000 requests a second: forwarded / its bucket",
		    (double)ear.device.requests / (20 + 10 * (double)seconds), 1);
	engine_stop(e);
}

/* Its key was withdrawn, and it goes on: with an Echo in each request it loses its standing. */
static double requests_until_demoted(bool echo)
{
	struct proxy_config c = engine_roomy();
	struct ear ear;
	struct engine *e = listen_at_home(&ear, &c);
	struct guard_client found;
	unsigned n = 0;

	ear.device.refuses = true;
	while (n < 1000 && relation(e, &found) && found.standing == STANDING_TRUSTED && !(found.doubted && !echo)) {
		const struct path *a = &engine_peer(e, "a")->path;
		uint8_t value[ECHO_LEN];
		char hex[2 * ECHO_LEN + 1];

		guard_echo(e->proxy->guard, &a->remote, &a->local, e->now, value);
		msgtext_hex(bytes_of(value, sizeof value), hex);
		engine_line(e, "a> CON 0.02 %04x #%04x OSCORE=09%02x25 Uri-Path:lamp %s%s !=aa", 100 + n, n, 20 + n,
			    echo ? "Echo=" : "", echo ? hex : "");
		scene_answer(e);
		engine_wait(e, TSTAMP_S);
		n++;
	}
	engine_stop(e);
	return n;
}

static void misused(struct lab *l)
{
	flood_with_standing(l);
	lab_at_most(l, "refused, with proof: requests until demoted", requests_until_demoted(true), 64);
	lab_at_most(l, "refused, without proof: requests until doubted", requests_until_demoted(false), 64);
}

const struct attack standing_attacks[] = {
	{ "A3", every_kid }, { "A4", far_numbers }, { "A5", used_numbers }, { "A8", replay_elsewhere },
	{ "A9", rebinding }, { "A36", misused },    { NULL, NULL },
};

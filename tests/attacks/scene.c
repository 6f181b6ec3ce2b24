#include "scene.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "guard/guard.h"
#include "proxy/core.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char config[] = "[guard]\nname = guard\n"
			     "[listen main]\nbind = 192.0.2.1:5683\n"
			     "[link air]\nrate = 10kbit/s\n"
			     "[server dev]\naddress = coap://[fd00::17]\n";

/* --- worlds ---------------------------------------------------------------------------------------------------- */

/* I4, as a bucket of our own. A datagram larger than the bucket may go when it is full. */
static void watch_link(struct scene *s, size_t len)
{
	const struct linksched_config *c = &s->w->config.proxy.links[0].sched;
	double cost = (double)len + (double)c->overhead, rate = (double)c->rate.count / (double)c->rate.period;

	s->level += rate * (double)(s->w->now - s->level_at);
	s->level = s->level > c->burst ? c->burst : s->level;
	s->level_at = s->w->now;
	s->link_bytes += len + c->overhead;
	s->level -= cost < c->burst ? cost : c->burst;
	if (-s->level > s->link_excess + 0.001)
		s->link_excess = -s->level;
}

static void watch_client(struct scene *s, struct bytes d)
{
	uint64_t second = s->w->now / TSTAMP_S;
	bool ping = d.len == 4 && d.ptr[0] == 0x40;

	if (!ping && (d.len < 4 || (d.ptr[1] != MSG_UNAUTHORIZED && d.ptr[1] != MSG_TOO_MANY_REQUESTS)))
		return;
	if (second != s->second)
		s->refusals_second = 0;
	s->second = second;
	s->refusals++;
	if (++s->refusals_second > s->worst)
		s->worst = s->refusals_second;
}

static void watch(struct world *w, const struct path *to, struct bytes d)
{
	struct scene *s = w->watch_arg;

	if (to->leg == LEG_DEVICE)
		watch_link(s, d.len);
	else if (s->followed && addr_equal(&to->remote, &s->followed->addr))
		watch_client(s, d);
}

static void note_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
			 const char *reason, tstamp now)
{
	struct scene *s = arg;

	(void)from;
	(void)server;
	(void)now;
	snprintf(s->lane, sizeof s->lane, "%s", lane);
	snprintf(s->action, sizeof s->action, "%s", action);
	snprintf(s->reason, sizeof s->reason, "%s", reason);
}

void scene_open(struct scene *s, const char *more, uint64_t seed)
{
	struct proxy_tap tap = { .verdict = note_verdict, .arg = s };
	char text[1024];

	memset(s, 0, sizeof *s);
	snprintf(text, sizeof text, "%s%s", config, more ? more : "");
	s->w = world_open(text, NULL, seed);
	s->w->watch = watch;
	s->w->watch_arg = s;
	s->level = s->w->config.proxy.links[0].sched.burst;
	s->level_at = s->w->now;
	proxy_tap(s->w->proxy, &tap);
}

void scene_close(struct scene *s)
{
	world_close(s->w);
}

struct world_client *scene_trusted(struct scene *s, const char *addr, uint8_t kid)
{
	struct world_client *c = world_client(s->w, addr, true, kid);

	for (unsigned i = 0; i < 10; i++) {
		world_ask(c);
		world_run(s->w, world_seconds(s->w) + 0.5);
	}
	assert(c->answered == 10);
	return c;
}

void scene_follow(struct scene *s, struct world_client *c, double period)
{
	s->followed = c;
	s->asked_before = c->asked;
	s->answered_before = s->seen = c->answered;
	s->total = c->total;
	s->n_latencies = 0;
	s->refusals = s->worst = 0;
	world_keep_asking(c, period);
}

void scene_run(struct scene *s, double seconds)
{
	struct world_client *c = s->followed;

	world_run(s->w, world_seconds(s->w) + seconds);
	if (c && c->answered != s->seen && s->n_latencies < SCENE_LATENCIES)
		s->latencies[s->n_latencies++] = (double)(c->total - s->total) / 1e6;
	if (c) {
		s->seen = c->answered;
		s->total = c->total;
	}
}

void scene_calm(struct scene *s)
{
	s->followed->period = 0;
	scene_run(s, 1.5);
	if (s->followed->busy)
		scene_run(s, 100);
}

double scene_success(const struct scene *s)
{
	unsigned asked = s->followed->asked - s->asked_before;

	return asked ? 100.0 * (s->followed->answered - s->answered_before) / asked : 0;
}

double scene_p99(struct scene *s)
{
	return lab_percentile(s->latencies, s->n_latencies, 99);
}

bool scene_is_trusted(const struct scene *s, uint8_t kid)
{
	struct guard_client c;

	for (uint32_t place = 0; guard_view_client(s->w->proxy->guard, &place, &c, s->w->now);)
		if (c.kid_len == 1 && c.kid[0] == kid)
			return c.standing == STANDING_TRUSTED;
	return false;
}

struct addr scene_source(struct world *w)
{
	return scene_inside(w, "2000::", 16);
}

struct addr scene_inside(struct world *w, const char *prefix, unsigned bits)
{
	struct addr a, fixed;

	assert(addr_parse(&fixed, prefix, 0) && bits % 8 == 0);
	a = (struct addr){ .port = (uint16_t)(1024 + world_random(w) % 60000) };
	for (unsigned i = 0; i < 16; i++)
		a.ip[i] = i < bits / 8 ? fixed.ip[i] : (uint8_t)world_random(w);
	return a;
}

void scene_forge(struct scene *s, const struct addr *from)
{
	uint8_t data[64];
	unsigned len = 1 + (unsigned)(world_random(s->w) % 3);
	uint64_t piv = world_random(s->w) & ((1ULL << 8 * len) - 1);

	world_inject(s->w, from, data, world_forge(s->w, (uint8_t)world_random(s->w), piv, len, data));
}

void scene_get(struct scene *s, const struct addr *from)
{
	uint64_t r = world_random(s->w);
	uint8_t data[] = {
		0x42, 1,    (uint8_t)r, (uint8_t)(r >> 8), (uint8_t)(r >> 16), (uint8_t)(r >> 24), 0xb3, 'd', 'e',
		'v',  0x01, 'x'
	};

	world_inject(s->w, from, data, sizeof data);
}

/* --- engines --------------------------------------------------------------------------------------------------- */

static void take(struct engine *e, const struct engine_sent *sent)
{
	struct scene_device *d = e->sink_arg;

	if (sent->to.leg == LEG_CLIENT) {
		if (d->to_client)
			d->to_client(e, sent);
		return;
	}
	if (d->to_device)
		d->to_device(e, sent);
	if (MSG_CLASS(sent->buf[1]) == 0 && sent->buf[1] != MSG_EMPTY && d->n < sizeof d->queue / sizeof *d->queue)
		d->queue[d->n++] = *sent;
}

void scene_attend(struct engine *e, struct scene_device *d)
{
	e->sink = take;
	e->sink_arg = d;
}

static void answer(struct engine *e, struct scene_device *d, const struct engine_sent *asked)
{
	static const uint8_t stuff[1024];
	uint8_t buf[1280];
	struct msg_option found;
	struct msgbuf b;
	struct msg m;
	bool observe, oscore;

	if (msg_parse(&m, bytes_of(asked->buf, asked->len)) != MSG_OK)
		return;
	d->requests++;
	oscore = msg_find(&m, OPTION_OSCORE, &found);
	observe = d->observes && msg_find(&m, OPTION_OBSERVE, &found) && found.value.len == 0;
	d->observed += observe;
	msgbuf_begin(&b, buf, sizeof buf, m.type == MSG_CON ? MSG_ACK : MSG_NON,
		     d->refuses ? MSG_UNAUTHORIZED : d->code, m.type == MSG_CON ? m.mid : d->mid++, m.token);
	if (observe)
		msgbuf_option_uint(&b, OPTION_OBSERVE, (uint32_t)d->requests & 0xffff);
	if (oscore && d->oscore && !d->refuses)
		msgbuf_option(&b, OPTION_OSCORE, bytes_of(stuff, 0));
	msgbuf_payload(&b, bytes_of(stuff, d->payload));
	engine_receive(e, &asked->to, msgbuf_end(&b));
}

void scene_answer(struct engine *e)
{
	struct scene_device *d = e->sink_arg;

	for (unsigned i = 0; i < d->n; i++) {
		struct engine_sent asked = d->queue[i];

		answer(e, d, &asked);
	}
	d->n = 0;
}

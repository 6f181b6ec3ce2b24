#include "world.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NET_DELAY  (10 * TSTAMP_MS)
#define LINK_DELAY (20 * TSTAMP_MS)
#define GENUINE    0xaa /* first payload byte of a request that a world_client made; the guard can't know */
#define FRAME      48

static void fill(struct rng *rng, void *out, size_t len)
{
	struct world_rng *r = (struct world_rng *)(void *)rng;
	uint8_t *at = out;

	while (len--) {
		uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
		*at++ = (uint8_t)(z ^ z >> 31);
	}
}

void world_seed(struct world_rng *r, uint64_t seed)
{
	*r = (struct world_rng){ .rng = { fill }, .state = seed };
}

uint64_t world_random(struct world *w)
{
	return rng_u64(&w->rng.rng);
}

double world_seconds(const struct world *w)
{
	return (double)(w->now - TSTAMP_HOUR) / (double)TSTAMP_S;
}

static tstamp at_second(double s)
{
	return TSTAMP_HOUR + (tstamp)(s * (double)TSTAMP_S);
}

static struct world_event *later(struct world *w, tstamp at, enum world_event_kind kind)
{
	for (unsigned i = 0; i < WORLD_EVENTS; i++)
		if (w->events[i].kind == EVENT_FREE) {
			w->events[i] = (struct world_event){ .kind = kind };
			heap_set(&w->timeline, &w->events[i].node, at);
			return &w->events[i];
		}
	assert(false && "too many events");
	return NULL;
}

static void carry(struct world *w, enum world_event_kind kind, uint64_t delay, const struct path *path,
		  struct bytes data)
{
	struct world_event *e = later(w, w->now + delay, kind);

	assert(data.len <= sizeof e->data);
	e->path = *path;
	e->len = data.len;
	memcpy(e->data, data.ptr, data.len);
}

static struct bytes load(const char *text, struct config *c, struct config_errors *errors)
{
	char path[] = "/tmp/world-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	ok = config_load(c, NULL, path, errors);
	unlink(path);
	if (!ok)
		for (unsigned i = 0; i < errors->count; i++)
			fprintf(stderr, "%s\n", errors->list[i].text);
	assert(ok);
	return bytes_of(text, strlen(text));
}

static void on_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		       const char *reason, tstamp now)
{
	struct world *w = arg;

	w->verdicts++;
	w->refusals += strcmp(action, "forward") != 0 && strcmp(action, "queue") != 0 && strcmp(action, "share") != 0;
	tracer_verdict(&w->trace, from, server, lane, action, reason, now);
}

static void on_layer(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes)
{
	struct world *w = arg;

	tracer_layer(&w->trace, context, use, ok, bytes);
}

static void on_context(void *arg, const char *context, const struct proxy_context_view *view)
{
	struct world *w = arg;

	tracer_context(&w->trace, context, view);
}

static void on_allowed(void *arg, const char *context, uint64_t limit)
{
	struct world *w = arg;

	tracer_allowed(&w->trace, context, limit);
}

static void record(struct world *w, const char *trace, const char *config)
{
	tracer_init(&w->trace);
	if (trace) {
		unlink(trace);
		assert(tracer_start(&w->trace, trace, config) == 0);
		w->trace.now = w->now;
	}
}

struct world *world_open(const char *config, const char *trace, uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);
	uint8_t secret[32];

	assert(w);
	load(config, &w->config, &w->errors);
	w->now = TSTAMP_HOUR;
	world_seed(&w->engine_rng, seed);
	world_seed(&w->rng, ~seed);
	w->engine_rng.rng.fill(&w->engine_rng.rng, secret, sizeof secret);
	w->proxy = proxy_create(&w->config.proxy, secret, &w->engine_rng.rng, w->now);
	assert(w->proxy);
	w->tap = (struct proxy_tap){
		.verdict = on_verdict, .layer = on_layer, .context = on_context, .allowed = on_allowed, .arg = w
	};
	proxy_tap(w->proxy, &w->tap);
	heap_init(&w->timeline, w->slots, WORLD_EVENTS);
	w->device.addr = w->config.proxy.servers[0].address;
	w->listen = w->config.proxy.listens[0].bind;
	record(w, trace, config);
	return w;
}

/* What is wanted on it is there at once. */
static void disk(struct world *w)
{
	struct oscore_state state;

	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++)
		if (proxy_context_wanted(w->proxy, i, &state))
			proxy_context_allow(w->proxy, i, state.next);
}

static void share(struct oscore_context *c, const struct oscore_setup *guard, struct bytes secret, struct rng *rng)
{
	struct oscore_state state = { .synced = true };
	struct oscore_setup s = *guard;

	s.sender_id = guard->recipient_id;
	s.recipient_id = guard->sender_id;
	replay_init(&state.window, s.window);
	assert(oscore_context_init(c, &s, secret, &state, rng));
	oscore_context_allow(c, OSCORE_PIV_MAX);
}

void world_share_key(struct world *w, const char *name, struct world_client *c, uint64_t next, bool whole)
{
	static const char secret[16] = "a secret of ours";
	struct oscore_state state = { .next = next, .synced = whole };
	uint8_t i = 0;

	while (strcmp(w->config.proxy.contexts[i].name, name) != 0)
		assert(++i < PROXY_CONTEXTS);
	replay_init(&state.window, w->config.proxy.contexts[i].setup.window);
	assert(proxy_context_install(w->proxy, i, bytes_of(secret, sizeof secret), &state));
	disk(w);
	if (c)
		share(&c->key, &w->config.proxy.contexts[i].setup, bytes_of(secret, sizeof secret), &w->rng.rng);
}

void world_close(struct world *w)
{
	for (unsigned i = 0; i < w->n_clients; i++)
		oscore_context_wipe(&w->clients[i].key);
	tracer_stop(&w->trace, "done");
	proxy_free(w->proxy);
	free(w);
}

/* --- clients --------------------------------------------------------------------------------------------------- */

struct world_client *world_client(struct world *w, const char *addr, bool oscore, uint8_t kid)
{
	struct world_client *c = &w->clients[w->n_clients++];

	assert(w->n_clients <= WORLD_CLIENTS);
	*c = (struct world_client){
		.world = w, .oscore = oscore, .kid = kid, .answers_pings = true, .uses_echo = true
	};
	assert(addr_parse(&c->addr, addr, 5683));
	c->mid = (uint16_t)world_random(w);
	if (oscore)
		w->device.knows[kid] = true;
	return c;
}

static size_t piv_bytes(uint64_t piv, uint8_t out[5])
{
	size_t n = 1;

	while (n < 5 && piv >> 8 * n)
		n++;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(piv >> 8 * (n - 1 - i));
	return n;
}

static void put_oscore(struct msgbuf *b, uint8_t kid, uint64_t piv, size_t piv_len)
{
	uint8_t option[7], number[5];
	size_t n = piv_bytes(piv, number);

	if (piv_len < n)
		piv_len = n;
	option[0] = (uint8_t)(0x08 | piv_len);
	memset(option + 1, 0, piv_len);
	memcpy(option + 1 + piv_len - n, number, n);
	option[1 + piv_len] = kid;
	msgbuf_option(b, OPTION_OSCORE, bytes_of(option, 2 + piv_len));
}

static void compose(struct world_client *c)
{
	struct world *w = c->world;
	struct msgbuf b;
	uint8_t payload[17];

	w->rng.rng.fill(&w->rng.rng, c->token, sizeof c->token);
	w->rng.rng.fill(&w->rng.rng, payload, sizeof payload);
	payload[0] = GENUINE;
	msgbuf_begin(&b, c->request, sizeof c->request, MSG_CON, c->oscore ? MSG_POST : MSG_GET, ++c->mid,
		     bytes_of(c->token, sizeof c->token));
	if (c->oscore) {
		put_oscore(&b, c->kid, c->piv++, 0);
	} else {
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of("dev", 3));
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of("x", 1));
	}
	if (c->echo_len)
		msgbuf_option(&b, OPTION_ECHO, bytes_of(c->echo, c->echo_len));
	if (c->oscore)
		msgbuf_payload(&b, bytes_of(payload, sizeof payload));
	c->request_len = msgbuf_end(&b).len;
	assert(c->request_len);
}

/* What was composed goes inside a layer for the guard. */
static void wrap(struct world_client *c)
{
	uint8_t plain[sizeof c->request];
	struct oscore_room room;
	struct msg_option opt;
	struct msg m, out;
	struct msgbuf b;
	struct msg_iter it;

	assert(msg_parse(&m, bytes_of(c->request, c->request_len)) == MSG_OK);
	msgbuf_begin(&b, plain, sizeof plain, m.type, m.code, m.mid, m.token);
	for (it = msg_options(&m); msg_next(&it, &opt);)
		msgbuf_option(&b, opt.number, opt.value);
	if (c->inside_len)
		msgbuf_option(&b, OPTION_ECHO, bytes_of(c->inside, c->inside_len));
	msgbuf_payload(&b, m.payload);
	assert(msg_parse(&m, msgbuf_end(&b)) == MSG_OK);
	assert(oscore_protect_request(&c->key, &m, OSCORE_NEXT_HOP, &room, &out, &c->asking) == OSCORE_OK);
	c->request_len = (size_t)(out.payload.ptr + out.payload.len - room.at);
	assert(c->request_len <= sizeof c->request);
	memcpy(c->request, room.at, c->request_len);
}

static void transmit(struct world_client *c)
{
	struct world *w = c->world;
	struct path p = { LEG_CLIENT, w->listen, c->addr };
	struct world_event *e;

	c->sent++;
	carry(w, EVENT_TO_GUARD, NET_DELAY, &p, bytes_of(c->request, c->request_len));
	e = later(w, w->now + c->timeout, EVENT_RETRANSMIT);
	e->client = c;
	e->serial = c->asked;
	c->timeout *= 2;
}

void world_ask(struct world_client *c)
{
	assert(!c->busy);
	compose(c);
	if (c->key.sealer)
		wrap(c);
	c->busy = true;
	c->acked = false;
	c->sent = 0;
	c->asked++;
	c->began = c->world->now;
	c->timeout = 2 * TSTAMP_S + world_random(c->world) % TSTAMP_S;
	transmit(c);
}

static void ask_again(struct world_client *c)
{
	if (c->period)
		later(c->world, c->world->now + c->period, EVENT_ASK)->client = c;
}

void world_keep_asking(struct world_client *c, double period_s)
{
	bool was_idle = c->period == 0;

	c->period = (uint64_t)(period_s * (double)TSTAMP_S);
	if (was_idle)
		later(c->world, c->world->now, EVENT_ASK)->client = c;
}

static void retransmit(struct world_client *c, unsigned serial)
{
	if (!c->busy || serial != c->asked)
		return;
	if (c->acked && c->world->now - c->began < 200 * TSTAMP_S) { /* patient now */
		struct world_event *e = later(c->world, c->world->now + c->timeout, EVENT_RETRANSMIT);

		e->client = c;
		e->serial = serial;
		return;
	}
	if (c->sent < 5 && !c->acked) {
		transmit(c);
		return;
	}
	c->busy = false;
	c->lost++;
}

static void reply_empty(struct world_client *c, uint8_t type, uint16_t mid)
{
	struct path p = { LEG_CLIENT, c->world->listen, c->addr };
	uint8_t data[4] = { (uint8_t)(0x40 | type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

	carry(c->world, EVENT_TO_GUARD, NET_DELAY, &p, bytes_of(data, sizeof data));
}

static void keep_echo(struct world_client *c, const struct msg *m)
{
	struct msg_option echo;

	if (c->uses_echo && msg_find(m, OPTION_ECHO, &echo) && echo.value.len <= sizeof c->echo) {
		memcpy(c->echo, echo.value.ptr, echo.value.len);
		c->echo_len = echo.value.len;
	}
}

static void take_response(struct world_client *c, const struct msg *m)
{
	struct msg_option found;
	bool ok = c->oscore ? msg_find(m, OPTION_OSCORE, &found) : MSG_CLASS(m->code) == 2;
	uint64_t latency = c->world->now - c->began;

	c->busy = false;
	keep_echo(c, m);
	if (ok) {
		c->answered++;
		c->total += latency;
		c->worst = latency > c->worst ? latency : c->worst;
	} else if (msg_find(m, OPTION_ECHO, &found) && m->code == MSG_UNAUTHORIZED && c->uses_echo) {
		c->challenged++;
		world_ask(c);
		c->asked--; /* the same operation */
	} else if (m->code == MSG_TOO_MANY_REQUESTS) {
		c->refused++;
	} else {
		c->failed++;
	}
}

/* Takes the guard's layer off; what bears none is left as it is. */
static void unwrap(struct world_client *c, const struct msg *m, struct oscore_room *room, struct msg *out)
{
	struct msg_option value;
	struct oscore_option option;

	*out = *m;
	if (!c->key.opener || !msg_find(m, OPTION_OSCORE, &value))
		return;
	assert(oscore_option_parse(&option, value.value) == OSCORE_OPTION_OK);
	assert(oscore_unprotect_response(&c->key, m, &option, &c->asking, room, out) == OSCORE_OK);
}

/* The guard lost its window: the same again, with its Echo inside. */
static bool recovers(struct world_client *c, const struct msg *inside)
{
	struct msg_option echo;

	if (!c->key.sealer || inside->code != MSG_UNAUTHORIZED || !msg_find(inside, OPTION_ECHO, &echo) ||
	    echo.value.len > sizeof c->inside)
		return false;
	memcpy(c->inside, echo.value.ptr, echo.value.len);
	c->inside_len = echo.value.len;
	c->recovered++;
	c->busy = false;
	world_ask(c);
	c->asked--;
	return true;
}

static void client_receive(struct world_client *c, const struct msg *m)
{
	struct oscore_room room;
	struct msg inside;

	if (m->code == MSG_EMPTY) {
		if (m->type == MSG_CON && c->answers_pings)
			reply_empty(c, MSG_RESET, m->mid);
		if (m->type == MSG_ACK && m->mid == c->mid)
			c->acked = true;
		return;
	}
	if (m->type == MSG_CON)
		reply_empty(c, MSG_ACK, m->mid);
	if (!c->busy || !bytes_equal(m->token, bytes_of(c->token, sizeof c->token)))
		return;
	unwrap(c, m, &room, &inside);
	if (!recovers(c, &inside))
		take_response(c, &inside);
}

/* --- the device ------------------------------------------------------------------------------------------------ */

static void device_reply(struct world *w, const struct path *from, const struct msg *m, uint8_t code, bool protected)
{
	uint8_t buf[64], payload[10] = { 0 };
	struct msgbuf b;
	struct path p = { LEG_DEVICE, from->local, w->device.addr };

	msgbuf_begin(&b, buf, sizeof buf, m->type == MSG_CON ? MSG_ACK : MSG_NON, code, m->mid, m->token);
	if (protected)
		msgbuf_option(&b, OPTION_OSCORE, bytes_of(NULL, 0));
	msgbuf_payload(&b, bytes_of(payload, sizeof payload));
	carry(w, EVENT_TO_GUARD, LINK_DELAY, &p, msgbuf_end(&b));
}

static bool unprotects(struct world_device *d, struct bytes option, uint64_t *piv, uint8_t *kid)
{
	size_t n = option.len ? option.ptr[0] & 7U : 0;

	*piv = 0;
	if (option.len < 2 + n)
		return false;
	for (size_t i = 0; i < n; i++)
		*piv = *piv << 8 | option.ptr[1 + i];
	*kid = option.ptr[1 + n];
	return d->knows[*kid] && !d->forgot;
}

static void device_receive(struct world *w, const struct path *from, const struct msg *m)
{
	struct world_device *d = &w->device;
	struct msg_option oscore;
	bool has_oscore = msg_find(m, OPTION_OSCORE, &oscore), genuine = m->payload.len && m->payload.ptr[0] == GENUINE;
	uint64_t piv;
	uint8_t kid;

	if (m->code == MSG_EMPTY)
		return;
	d->requests++;
	d->strange += has_oscore && !genuine;
	if (d->silent)
		return;
	if (!has_oscore) {
		device_reply(w, from, m, MSG_CONTENT, false);
	} else if (unprotects(d, oscore.value, &piv, &kid) && genuine && piv >= d->highest[kid]) {
		d->highest[kid] = piv + 1;
		device_reply(w, from, m, MSG_CHANGED, true);
	} else {
		d->refused++;
		device_reply(w, from, m, MSG_UNAUTHORIZED, false);
	}
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static void to_guard(struct world *w, const struct path *path, const uint8_t *data, size_t len)
{
	struct bytes d = bytes_of(data, len);

	tracer_in(&w->trace, path, d, w->now);
	proxy_receive(w->proxy, path, d, w->now);
}

static struct world_client *client_at(struct world *w, const struct addr *a)
{
	for (unsigned i = 0; i < w->n_clients; i++)
		if (addr_equal(&w->clients[i].addr, a))
			return &w->clients[i];
	return NULL;
}

static void to_client(struct world *w, const struct path *path, const uint8_t *data, size_t len)
{
	struct world_client *c = client_at(w, &path->remote);
	struct msg m;

	assert(msg_parse(&m, bytes_of(data, len)) == MSG_OK);
	if (c)
		client_receive(c, &m);
}

static void to_device(struct world *w, const struct path *path, const uint8_t *data, size_t len)
{
	struct msg m;

	assert(msg_parse(&m, bytes_of(data, len)) == MSG_OK);
	device_receive(w, path, &m);
}

static void pump(struct world *w)
{
	struct path to;
	struct bytes d;

	disk(w);
	while ((d = proxy_transmit(w->proxy, &to, w->now)).len) {
		tracer_out(&w->trace, &to, d, w->now);
		if (w->watch)
			w->watch(w, &to, d);
		if (to.leg == LEG_CLIENT && !client_at(w, &to.remote)) {
			w->stray_out += d.len + FRAME;
			w->largest_stray = d.len > w->largest_stray ? (unsigned)d.len : w->largest_stray;
			continue;
		}
		if (to.leg == LEG_CLIENT)
			carry(w, EVENT_TO_CLIENT, NET_DELAY, &to, d);
		else
			carry(w, EVENT_TO_DEVICE, LINK_DELAY, &to, d);
	}
}

static void happen(struct world *w, struct world_event *e)
{
	struct world_event now = *e;

	heap_remove(&w->timeline, &e->node);
	e->kind = EVENT_FREE;
	switch (now.kind) {
	case EVENT_TO_GUARD: to_guard(w, &now.path, now.data, now.len); break;
	case EVENT_TO_CLIENT: to_client(w, &now.path, now.data, now.len); break;
	case EVENT_TO_DEVICE: to_device(w, &now.path, now.data, now.len); break;
	case EVENT_RETRANSMIT: retransmit(now.client, now.serial); break;
	case EVENT_ASK:
		if (!now.client->busy)
			world_ask(now.client);
		ask_again(now.client);
		break;
	case EVENT_CALL: now.call(w, now.arg); break;
	case EVENT_FREE: break;
	}
}

void world_run(struct world *w, double until_s)
{
	tstamp until = at_second(until_s);

	for (;;) {
		struct heap_node *top = heap_top(&w->timeline);
		tstamp timer = proxy_next_expiry(w->proxy, w->now),
		       next = tstamp_min(top ? top->at : TSTAMP_NEVER, timer);

		if (next > until)
			break;
		w->now = next > w->now ? next : w->now;
		if (top && top->at <= w->now)
			happen(w, (struct world_event *)(void *)top);
		proxy_expire(w->proxy, w->now);
		pump(w);
	}
	w->now = until;
}

void world_call(struct world *w, double at_s, void (*call)(struct world *w, void *arg), void *arg)
{
	struct world_event *e = later(w, at_second(at_s), EVENT_CALL);

	e->call = call;
	e->arg = arg;
}

void world_inject(struct world *w, const struct addr *from, const uint8_t *data, size_t len)
{
	struct path p = { LEG_CLIENT, w->listen, *from };

	w->stray_in += len + FRAME;
	to_guard(w, &p, data, len);
}

size_t world_forge(struct world *w, uint8_t kid, uint64_t piv, unsigned piv_len, uint8_t out[64])
{
	uint64_t r = world_random(w);
	uint8_t payload[17];
	struct msgbuf b;

	w->rng.rng.fill(&w->rng.rng, payload, sizeof payload);
	payload[0] = 0x66;
	msgbuf_begin(&b, out, 64, MSG_CON, MSG_POST, (uint16_t)r, bytes_of((const uint8_t *)&r + 2, 4));
	put_oscore(&b, kid, piv, piv_len);
	msgbuf_payload(&b, bytes_of(payload, sizeof payload));
	return msgbuf_end(&b).len;
}

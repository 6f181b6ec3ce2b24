/*
 * fuzz_engine: the whole engine against a story of events: datagrams of clients and devices, pauses, reloads, views. Its
 * tables are small, so that everything overflows. After each event what must always hold is checked, and at the end
 * that nothing is left. Input: 8 bytes of seed, one that says how much of a random story follows the rest, events.
 */
#include "fuzz_target.h"
#include "fuzz_layer.h"
#include "coap/option.h"
#include "guard/state.h"
#include "proxy/core.h"
#include "proxy/snapshot.h"
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS 12
#define SERVERS 6
#define LINKS   3
#define ASKED   16
#define ROUNDS  100    /* of expiry at one point in time */
#define TURNS   400000 /* of expiry in one pause */

struct world {
	struct rng rng; /* first member */
	uint64_t seed;
	struct fuzz_input in;
	struct proxy_config cfg;
	struct proxy *proxy;
	tstamp now;
	struct fuzz_peer clients[CLIENTS];
	uint32_t piv;
	uint16_t device_mid;
	struct fuzz_asked asked[ASKED];
	unsigned n_asked;
	struct fuzz_ends ends;
	uint64_t keys;             /* uses of them, since the datagram came */
	struct fuzz_talk *subject; /* of the datagram that is being received; NULL: none */
	struct dgram *taken[1024]; /* out of the pool, so that it runs dry */
	unsigned n_taken;
	unsigned sent; /* since the event began */
	const char *event;
};

static void fail_at(const struct world *w, const char *what, int line)
{
	fprintf(stderr, "fuzz_engine.c:%d: %s, after %s at %llu ms\n", line, what, w->event,
		(unsigned long long)(w->now / TSTAMP_MS));
	abort();
}

#define MUST(w, condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fail_at(w, #condition, __LINE__);                                                              \
	} while (0)

static void fill(struct rng *rng, void *out, size_t len)
{
	struct world *w = (struct world *)(void *)rng;
	uint8_t *at = out;

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(fuzz_random(&w->seed) >> 24);
}

/* --- the configuration ------------------------------------------------------------------------------------------- */

static void put_address(struct addr *a, const char *text)
{
	if (!addr_parse(a, text, 5683))
		abort();
}

static void put_server(struct proxy_config *c, uint8_t i, const char *name, const char *address, const char *path)
{
	static const enum policy_mode modes[] = { MODE_EXEMPTIONS, MODE_EXEMPTIONS, MODE_EXEMPTIONS,
						  MODE_OPEN,       MODE_THROTTLE,   MODE_FULL };
	static const enum policy_plain plains[] = { PLAIN_THROTTLE, PLAIN_DENY,     PLAIN_ALLOW,
						    PLAIN_THROTTLE, PLAIN_THROTTLE, PLAIN_ALLOW };
	struct proxy_server *s = &c->servers[i];

	snprintf(s->name, sizeof s->name, "%s", name);
	snprintf(s->uri_path, sizeof s->uri_path, "%s", path);
	put_address(&s->address, address);
	s->forward = i % 2;
	s->require_layer = i == 4 && !c->precise_errors;
	s->observe_max = 4;
	c->policy.servers[i] = (struct policy_server){
		.present = i < 5 || c->precise_errors,
		.link = i / 2,
		.mode = modes[i],
		.plain = plains[i],
		.unknown_rate = { i % 2 ? 60 : 6, TSTAMP_MIN },
		.unknown_budget = 3000,
		.handshake_cost = 6,
		.trusted_rate = { 2, TSTAMP_S },
	};
}

static void put_links(struct proxy_config *c)
{
	static const char *const names[] = { "air", "wire", "thread" };

	for (uint8_t i = 0; i < LINKS; i++) {
		struct proxy_link *l = &c->links[i];

		snprintf(l->name, sizeof l->name, "%s", names[i]);
		l->sched = (struct linksched_config){ .rate = { 300U << 2 * i, TSTAMP_S },
						      .burst = 256U << i,
						      .overhead = 48,
						      .queue_length = 2 + i,
						      .share = { 80, 15, 5 } };
		l->retransmit = (struct retransmit_params){ 2 * TSTAMP_S, (uint8_t)(2 + i) };
		l->nstart = 1;
		l->queue_wait = (i + 1U) * 4 * TSTAMP_S;
	}
}

static void put_listens(struct proxy_config *c)
{
	static const uint8_t servers[] = { PROXY_NO_SERVER, 0, 3 };

	for (uint8_t i = 0; i < 3; i++) {
		snprintf(c->listens[i].name, sizeof c->listens[i].name, "front%u", i);
		put_address(&c->listens[i].bind, "[2001:db8::53]:5683");
		c->listens[i].bind.port = (uint16_t)(5683 + i);
		c->listens[i].server = servers[i];
		c->listens[i].silent = i == 2;
	}
}

/* Hall is the next hop of a layer; its own context serves nobody else. */
static void put_contexts(struct proxy_config *c)
{
	static const char *const names[] = { "front", "inner", "host", "next" };
	static const uint64_t servers[] = { 0xff, 0x2d, 0x0f, 0 };

	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++)
		c->contexts[i].next_hop = PROXY_NO_SERVER;
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++) {
		snprintf(c->contexts[i].name, sizeof c->contexts[i].name, "%s", names[i]);
		c->contexts[i].servers = servers[i];
		c->contexts[i].setup = fuzz_layer_setup(i);
	}
	c->contexts[FUZZ_NEXT].next_hop = 2;
	put_address(&c->contexts[FUZZ_SOURCE].source, "[2001:db8:2::a]:1");
}

static void configure(struct world *w)
{
	struct proxy_config *c = &w->cfg;

	*c = (struct proxy_config){ .name = "guard under fire",
				    .max_datagram = 1280,
				    .max_options = 32,
				    .max_layers = 2,
				    .hop_limit = 16,
				    .ssn_reserve = 64 };
	c->max_layers = (uint32_t)(w->seed >> 8) % PROXY_LAYERS + 1;
	c->precise_errors = w->seed >> 16 & 1;
	c->exchanges = (uint32_t)(16 + w->seed % 49);
	put_listens(c);
	put_links(c);
	put_server(c, 0, "lamp", "[fd00:db8::17]:5683", "lamp");
	put_server(c, 1, "door", "[fd00:db8::18]:5683", "house/door");
	put_server(c, 2, "hall", "[fd00:db8::19]:61616", "hall");
	put_server(c, 3, "open", "[fd00:db8::20]:5683", "open");
	put_server(c, 4, "slow", "[fd00:db8::21]:5683", "slow");
	put_server(c, 5, "new", "[fd00:db8::22]:5683", "new");
	snprintf(c->servers[2].uri_host, sizeof c->servers[2].uri_host, "hall.example");
	put_contexts(c);
	c->policy.throttle_rate = (struct rate){ 4, TSTAMP_S };
	c->policy.table_size = 256;
	c->policy.reply_rate = (struct rate){ 5, TSTAMP_S };
	c->policy.reply_slip = 2;
	c->policy.relations = 16;
	c->policy.contexts = 16;
	c->policy.trusted_after = 2;
	c->policy.min_success = 50;
	c->policy.lifetime = TSTAMP_DAY;
	c->policy.roam_grace = TSTAMP_MIN;
	c->policy.echo_validity = TSTAMP_MIN;
	c->policy.echo_key_lifetime = TSTAMP_HOUR;
	c->policy.window = 64;
	c->policy.plausible_jump = 256;
	c->policy.sequence_idle = 7 * TSTAMP_DAY;
}

/* What is shown of a verdict can be read. */
static void note_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
			 const char *reason, tstamp now)
{
	struct world *w = arg;

	MUST(w, from->leg == LEG_CLIENT && now == w->now);
	MUST(w, strlen(server) && strlen(lane) && strlen(action) && strlen(reason));
}

static void note_key(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes)
{
	struct world *w = arg;

	MUST(w, strlen(context) && (ok || bytes.len == 0));
	w->keys++;
	if (use == AEAD_OPEN && ok && w->subject)
		w->subject->came_off = true;
}

/* /64s of their own, some in one; one IPv4, one at a well-known port; two reach the other listeners. */
static void add_clients(struct world *w)
{
	static const char *const addresses[CLIENTS] = {
		"[2001:db8:1::a]:40001", "[2001:db8:2::a]:40001",  "[2001:db8:3::a]:40001",  "[2001:db8:3::b]:40001",
		"[2001:db8:3::b]:40002", "[2001:db8:3:1::a]:4000", "[2001:db8:3:2::a]:4000", "192.0.2.1:40001",
		"[2001:db8:7::1]:53",    "[2001:db9::1]:50000",    "[2001:db9:1::1]:50000",  "[2001:db9:2::1]:50000",
	};

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct fuzz_peer *c = &w->clients[i];

		c->path.leg = LEG_CLIENT;
		c->path.local = w->cfg.listens[i < 9 ? 0 : i - 9].bind;
		put_address(&c->path.remote, addresses[i]);
	}
}

/* --- what always holds ------------------------------------------------------------------------------------------- */

static bool is_held(const struct exchange *x)
{
	return x->down && x->client_at == TSTAMP_NEVER;
}

/* Every exchange has an end in sight, and the heap knows which. Returns the packets it holds that no link does. */
static unsigned check_exchange(const struct world *w, const struct exchange *x)
{
	tstamp first = tstamp_min(x->ack_at, tstamp_min(x->device_at, x->client_at));

	MUST(w, first != TSTAMP_NEVER);
	MUST(w, x->timer.place != 0 && x->timer.at == first);
	MUST(w, w->cfg.policy.servers[x->server].present);
	MUST(w, !x->up || x->state == EXCHANGE_WAITING || x->state == EXCHANGE_PARKED || x->state == EXCHANGE_QUEUED ||
			x->state == EXCHANGE_DISPLACED || x->state == EXCHANGE_SENT);
	MUST(w, x->state != EXCHANGE_ANSWERED || x->down);
	MUST(w, !x->bare || x->has_layer);
	return (unsigned)((x->up && !x->up->queued) + !!x->down + !!x->long_token + !!x->bare);
}

static unsigned queued(const struct world *w)
{
	struct linksched_view v;
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		linksched_view(w->proxy->links[i], w->now, &v);
		for (unsigned l = 0; l < LANE_COUNT; l++)
			n += v.queued[l];
	}
	return n;
}

/* Each packet that is not in the pool is somebody's. */
static void check_all(const struct world *w)
{
	const struct proxy *p = w->proxy;
	unsigned count = 0, holding = 0, packets = queued(w) + !!p->last + w->n_taken, observing[SERVERS] = { 0 };

	MUST(w, list_empty(&p->outbox));
	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		const struct exchange *x = exchange_by_ref(&p->exchanges, i);

		if (!x)
			continue;
		count++;
		holding += is_held(x);
		observing[x->server] += x->state == EXCHANGE_OBSERVING;
		packets += check_exchange(w, x);
	}
	for (unsigned i = 0; i < PROXY_HOLDS; i++)
		packets += p->holds[i].datagram != NULL;
	MUST(w, count == p->exchanges.count && p->exchanges.timers.count == count);
	MUST(w, holding == p->holding);
	MUST(w, packets == p->pool.used);
	for (unsigned i = 0; i < SERVERS; i++)
		MUST(w, observing[i] == p->exchanges.observing[i]);
}

static void check_left(struct world *w)
{
	struct guard_totals t;

	guard_view_totals(w->proxy->guard, &t);
	MUST(w, w->proxy->exchanges.count == 0);
	MUST(w, w->proxy->holding == 0);
	MUST(w, t.inflight == 0);
	MUST(w, queued(w) == 0);
	for (unsigned i = 0; i < PROXY_PINGS; i++)
		MUST(w, w->proxy->pings[i].at == 0);
	for (unsigned i = 0; i < PROXY_HOLDS; i++)
		MUST(w, w->proxy->holds[i].datagram == NULL);
	MUST(w, w->proxy->pool.used == (w->proxy->last ? 1 : 0));
}

/* --- what the engine sends --------------------------------------------------------------------------------------- */

static void got_request(struct world *w, const struct path *to, const struct msg *m)
{
	struct fuzz_asked *a = &w->asked[w->n_asked++ % ASKED];
	struct msg_option opt;
	bool known = false;

	for (unsigned i = 0; i < SERVERS; i++)
		known |= w->cfg.policy.servers[i].present && addr_equal(&w->cfg.servers[i].address, &to->remote);
	MUST(w, known);
	MUST(w, to->local.port < CHANNELS);
	if (m->code == MSG_EMPTY) {
		MUST(w, m->type != MSG_CON && m->type != MSG_NON);
		w->n_asked--;
		return;
	}
	MUST(w, msg_is_request(m) && m->token.len == EXCHANGE_TOKEN);
	*a = (struct fuzz_asked){ .to = *to, .mid = m->mid, .type = m->type };
	memcpy(a->token, m->token.ptr, sizeof a->token);
	a->oscore = msg_find(m, OPTION_OSCORE, &opt);
	a->observe = msg_find(m, OPTION_OBSERVE, &opt);
	a->layered = fuzz_layer_heard(&w->ends, m, &a->layer);
	MUST(w, a->layered || !addr_equal(&w->cfg.servers[2].address, &to->remote)); /* hall gets nothing without */
}

/* What is inside the layers that came off the request. There is no other answer to it. */
static void read_layers(struct world *w, struct msg *m, struct oscore_room rooms[2])
{
	struct fuzz_talk *t = fuzz_layer_talk(&w->ends, m);
	unsigned read;

	if (!t || m->code == MSG_EMPTY)
		return;
	read = fuzz_layer_read(&w->ends, t, m, rooms);
	MUST(w, read > 0 || !t->came_off || t->repeated);
}

static void got_reply(struct world *w, const struct path *to, struct msg *m)
{
	struct oscore_room rooms[2];
	struct fuzz_peer *c = w->clients;
	struct msg_option echo;

	while (c < w->clients + CLIENTS && !addr_equal(&c->path.remote, &to->remote))
		c++;
	MUST(w, c < w->clients + CLIENTS && addr_equal(&c->path.local, &to->local));
	MUST(w, m->code == MSG_EMPTY || msg_is_response(m));
	if (m->type == MSG_CON)
		c->con_mid = m->mid;
	read_layers(w, m, rooms);
	if (msg_find(m, OPTION_ECHO, &echo) && echo.value.len <= sizeof c->echo) {
		memcpy(c->echo, echo.value.ptr, echo.value.len);
		c->echo_len = echo.value.len;
	}
}

/* It is sent a second time, or not as it was. */
static void note_copy(struct world *w, const uint8_t *buf, size_t len)
{
	struct fuzz_talk *t;
	struct msg m;

	if (msg_parse(&m, bytes_of(buf, len)) == MSG_OK && (t = fuzz_layer_talk(&w->ends, &m)))
		t->repeated = true;
}

/* What is kept comes in a second time, and may find other contexts then. */
static void note_kept(struct world *w)
{
	for (unsigned i = 0; i < PROXY_HOLDS; i++)
		if (w->proxy->holds[i].datagram)
			note_copy(w, w->proxy->holds[i].datagram->buf, w->proxy->holds[i].datagram->len);
}

static void drain(struct world *w)
{
	struct path to;
	struct bytes d;

	note_kept(w);
	while ((d = proxy_transmit(w->proxy, &to, w->now)).len) {
		uint8_t *copy = malloc(d.len);
		struct msg m;

		if (!copy)
			abort();
		memcpy(copy, d.ptr, d.len);
		MUST(w, d.len <= DGRAM_MAX);
		MUST(w, msg_parse(&m, bytes_of(copy, d.len)) == MSG_OK);
		if (to.leg == LEG_DEVICE)
			got_request(w, &to, &m);
		else
			got_reply(w, &to, &m);
		free(copy);
		MUST(w, ++w->sent <= w->proxy->pool.capacity); /* not for ever */
	}
	check_all(w);
}

static void pass(struct world *w, uint64_t ns)
{
	tstamp end = w->now + ns, next;
	unsigned still = 0, turns = 0;

	while ((next = proxy_next_expiry(w->proxy, w->now)) <= end) {
		still = next > w->now ? 0 : still + 1;
		MUST(w, still < ROUNDS && ++turns < TURNS);
		if (next > w->now)
			w->now = next;
		proxy_expire(w->proxy, w->now);
		w->sent = 0;
		drain(w);
	}
	w->now = end;
	drain(w);
}

/* --- events ------------------------------------------------------------------------------------------------------ */

/* The layered request in it, or the one that was kept and is taken up again because of it. */
static struct fuzz_talk *subject_of(struct world *w, const struct path *from, struct bytes datagram)
{
	struct msg m;

	if (from->leg == LEG_DEVICE || msg_parse(&m, datagram) != MSG_OK)
		return NULL;
	if (m.code == MSG_EMPTY)
		for (unsigned i = 0; i < PROXY_HOLDS; i++) {
			const struct proxy_hold *h = &w->proxy->holds[i];

			if (h->datagram && addr_equal(&h->from.remote, &from->remote) &&
			    msg_parse(&m, dgram_bytes(h->datagram)) == MSG_OK)
				return fuzz_layer_talk(&w->ends, &m);
		}
	return fuzz_layer_talk(&w->ends, &m);
}

/* A copy that ends where it ends. */
static void receive(struct world *w, const struct path *from, const uint8_t *buf, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, buf, len);
	w->subject = subject_of(w, from, bytes_of(copy, len));
	w->keys = 0;
	proxy_receive(w->proxy, from, bytes_of(copy, len), w->now);
	MUST(w, w->keys <= 2 * w->cfg.max_layers); /* as many off, and as many on again: 4 with the default of 2 */
	w->subject = NULL;
	free(copy);
}

/* As it is, if it cannot be protected. */
static size_t with_layers(struct world *w, uint8_t *buf, size_t len)
{
	uint8_t layered[DGRAM_MAX];
	size_t n;

	memcpy(layered, buf, len);
	n = fuzz_layer_request(&w->in, &w->ends, layered, len);
	if (n == 0)
		return len;
	memcpy(buf, layered, n);
	return n;
}

static size_t from_client(struct world *w, struct fuzz_peer *c, uint8_t *buf)
{
	unsigned how = fuzz_below(&w->in, 16);
	size_t len;

	if (how < 11) {
		len = fuzz_request(&w->in, c, &w->piv, buf, DGRAM_MAX);
		if (how > 5)
			len = with_layers(w, buf, len);
	} else if (how == 11) { /* again */
		memcpy(buf, c->last, c->last_len);
		note_copy(w, buf, c->last_len);
		if (c->last_len > 4 && fuzz_chance(&w->in, 2)) /* as somebody would who had heard it */
			buf[3] ^= (uint8_t)(1 + fuzz_byte(&w->in));
		return c->last_len;
	} else if (how == 12) {
		return fuzz_empty(MSG_CON, ++c->next_mid, buf);
	} else if (how == 13) {
		return fuzz_empty(MSG_ACK, c->con_mid, buf);
	} else {
		return fuzz_empty(MSG_RESET, (uint16_t)(c->con_mid + fuzz_chance(&w->in, 8)), buf);
	}
	if (fuzz_chance(&w->in, 16)) {
		note_copy(w, buf, len);
		len = fuzz_damage(&w->in, buf, len, DGRAM_MAX);
	}
	memcpy(c->last, buf, len);
	c->last_len = len;
	return len;
}

static void client_event(struct world *w)
{
	struct fuzz_peer *c = &w->clients[fuzz_below(&w->in, CLIENTS)];
	uint8_t buf[DGRAM_MAX];
	size_t len = from_client(w, c, buf);

	w->event = "a datagram of a client";
	receive(w, &c->path, buf, len);
}

/* Several that came together. */
static void batch_event(struct world *w)
{
	static uint8_t bufs[20][DGRAM_MAX];
	struct proxy_input in[20];
	unsigned n = 2 + fuzz_below(&w->in, 19);

	w->event = "a batch";
	for (unsigned i = 0; i < n; i++) {
		struct fuzz_peer *c = &w->clients[fuzz_below(&w->in, CLIENTS)];
		size_t len = from_client(w, c, bufs[i]);

		in[i] = (struct proxy_input){ c->path, bytes_of(bufs[i], len) };
	}
	w->keys = 0;
	proxy_receive_batch(w->proxy, in, n, w->now);
	MUST(w, w->keys <= 2 * n * w->cfg.max_layers);
}

/* The client that answers the guard: as all should. */
static void proof_event(struct world *w)
{
	unsigned which = fuzz_byte(&w->in);
	struct fuzz_peer *c = &w->clients[which % CLIENTS];
	uint8_t buf[4];

	w->event = "an answer to the guard's CON";
	fuzz_empty(which & 0x80 ? MSG_ACK : MSG_RESET, c->con_mid, buf);
	receive(w, &c->path, buf, sizeof buf);
}

/* Without, if it cannot be protected. Now and then under a number of its own, though it needs none. */
static size_t answer_layered(struct world *w, struct fuzz_asked *a, uint8_t *buf, size_t len)
{
	uint8_t layered[DGRAM_MAX];
	size_t n;

	memcpy(layered, buf, len);
	if (fuzz_chance(&w->in, 4))
		a->layer.nonce_free = false;
	n = fuzz_layer_response(&w->ends, &a->layer, layered, len);
	if (n == 0)
		return len;
	memcpy(buf, layered, n);
	return n;
}

static void device_event(struct world *w)
{
	unsigned known = w->n_asked < ASKED ? w->n_asked : ASKED, back = fuzz_byte(&w->in);
	struct fuzz_asked unknown = { .to = { .leg = LEG_DEVICE, .remote = w->cfg.servers[0].address } };
	struct fuzz_asked *a = known ? &w->asked[(w->n_asked - 1 - back / 2 % 8 % known) % ASKED] : &unknown;
	struct path from = a->to;
	uint8_t buf[DGRAM_MAX];
	size_t len = fuzz_response(&w->in, a, &w->device_mid, buf, sizeof buf);

	w->event = "a datagram of a device";
	if (a->layered && !fuzz_chance(&w->in, 8))
		len = answer_layered(w, a, buf, len);
	if (back >= 0xf8)
		from.local.port ^= 1;
	if (back >= 0xfc)
		from.remote = w->cfg.servers[fuzz_below(&w->in, SERVERS)].address;
	if (back >= 0xf0 && fuzz_chance(&w->in, 2))
		len = fuzz_damage(&w->in, buf, len, sizeof buf);
	receive(w, &from, buf, len);
}

static void pause_event(struct world *w)
{
	static const uint64_t pauses[] = { TSTAMP_MS,       10 * TSTAMP_MS, 100 * TSTAMP_MS, 500 * TSTAMP_MS,
					   700 * TSTAMP_MS, TSTAMP_S,       2 * TSTAMP_S,    3 * TSTAMP_S,
					   4 * TSTAMP_S,    8 * TSTAMP_S,   20 * TSTAMP_S,   TSTAMP_S,
					   TSTAMP_S,        60 * TSTAMP_S,  100 * TSTAMP_S,  26 * TSTAMP_HOUR };
	unsigned which = fuzz_below(&w->in, 16);

	w->event = "a pause";
	if (which == 15 && !fuzz_chance(&w->in, 4))
		which = 5;
	pass(w, pauses[which] + fuzz_byte(&w->in) * TSTAMP_US);
}

/* A daemon that was busy: timers fire late and all at once. */
static void late_event(struct world *w)
{
	w->event = "a late expiry";
	w->now += fuzz_byte(&w->in) * 100 * TSTAMP_MS;
	proxy_expire(w->proxy, w->now);
}

static void raw_event(struct world *w)
{
	struct path from = w->clients[fuzz_below(&w->in, CLIENTS)].path;
	uint8_t buf[64];
	size_t len = fuzz_below(&w->in, sizeof buf);

	w->event = "noise";
	if (fuzz_chance(&w->in, 4))
		from = (struct path){ .leg = LEG_DEVICE,
				      .remote = w->cfg.servers[fuzz_below(&w->in, SERVERS)].address };
	for (size_t i = 0; i < len; i++)
		buf[i] = fuzz_byte(&w->in);
	receive(w, &from, buf, len);
}

static void move_server(struct world *w, uint8_t i, unsigned how)
{
	struct policy_server *s = &w->cfg.policy.servers[i];

	switch (how) {
	case 0: s->present = !s->present; break;
	case 1: s->link = (uint8_t)((s->link + 1) % LINKS); break;
	case 2: w->cfg.servers[i].address.port ^= 1; break;
	case 3: s->mode = (enum policy_mode)((s->mode + 1) % 4); break;
	default: s->plain = (enum policy_plain)((s->plain + 1) % 3); break;
	}
}

static void tune(struct world *w, unsigned how)
{
	struct proxy_link *l = &w->cfg.links[how / 8 % LINKS];

	switch (how % 8) {
	case 0: l->nstart = 1 + l->nstart % 3; break;
	case 1: l->sched.queue_length = 1 + l->sched.queue_length % 4; break;
	case 2: l->sched.rate.count = l->sched.rate.count > 5000 ? 100 : l->sched.rate.count * 3; break;
	case 3: l->queue_wait = l->queue_wait > 10 * TSTAMP_S ? 100 * TSTAMP_MS : l->queue_wait * 2; break;
	case 4: w->cfg.servers[how / 8 % SERVERS].observe_max = how / 8 % 3; break;
	case 5: w->cfg.policy.dry_run = !w->cfg.policy.dry_run; break;
	case 6: w->cfg.max_datagram = w->cfg.max_datagram == 1280 ? 256 : 1280; break;
	default: l->retransmit.max_retransmit = (uint8_t)((l->retransmit.max_retransmit + 1) % 5); break;
	}
}

/* What the daemon's rules let through: a link nobody uses may go, and one that is used is there. */
static void reload_event(struct world *w)
{
	bool used[LINKS] = { false };
	struct proxy_config fresh;

	w->event = "a reload";
	move_server(w, (uint8_t)fuzz_below(&w->in, SERVERS), fuzz_below(&w->in, 5));
	if (fuzz_chance(&w->in, 2))
		tune(w, fuzz_byte(&w->in));
	for (unsigned i = 0; i < SERVERS; i++)
		used[w->cfg.policy.servers[i].link] |= w->cfg.policy.servers[i].present;
	fresh = w->cfg;
	for (unsigned i = 0; i < LINKS; i++)
		if (!used[i])
			fresh.links[i] = (struct proxy_link){ .name = "" };
	for (unsigned i = 0; i < SERVERS; i++)
		if (!fresh.policy.servers[i].present) {
			fresh.policy.servers[i] = (struct policy_server){ .present = false };
			fresh.servers[i] = (struct proxy_server){ .name = "" };
		}
	for (unsigned i = 0; i < 3; i++)
		if (fresh.listens[i].server != PROXY_NO_SERVER &&
		    !fresh.policy.servers[fresh.listens[i].server].present)
			fresh.listens[i].server = PROXY_NO_SERVER;
	proxy_reconfigure(w->proxy, &fresh, w->now);
}

static void ignore_header(void *arg, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		*(size_t *)arg += strlen(names[i]);
}

static void ignore_row(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		*(size_t *)arg += cells[i].kind == CELL_TEXT ? strlen(cells[i].text) : (size_t)cells[i].count;
}

static void ignore_sample(void *arg, const char *name, const char *type, const char *help, const char *labels,
			  double value)
{
	*(size_t *)arg += strlen(name) + strlen(type) + strlen(help) + strlen(labels) + (value > 0);
}

static void look_event(struct world *w)
{
	const struct addr *who = &w->clients[fuzz_below(&w->in, CLIENTS)].path.remote;
	size_t read = 0;
	struct snapshot_sink sink = { ignore_header, ignore_row, &read };
	struct snapshot_metrics metrics = { ignore_sample, &read };

	w->event = "a look";
	snapshot_links(w->proxy, &sink, w->now);
	snapshot_servers(w->proxy, &sink, w->now);
	snapshot_clients(w->proxy, &sink, w->now);
	snapshot_counters(w->proxy, &sink, w->now);
	snapshot_why(w->proxy, who, &sink, w->now);
	snapshot_metrics(w->proxy, &metrics, w->now);
}

static void give_back(struct world *w)
{
	while (w->n_taken)
		dgram_give(&w->proxy->pool, w->taken[--w->n_taken]);
}

/* Hardly any packet is left for a while. */
static void drought_event(struct world *w)
{
	unsigned left = fuzz_below(&w->in, 6);

	w->event = "a drought";
	if (w->n_taken)
		give_back(w);
	else
		while (w->proxy->pool.capacity - w->proxy->pool.used > left)
			w->taken[w->n_taken++] = dgram_take(&w->proxy->pool);
}

/* At the start, or after one: its window is whole, or was lost. */
static void install(struct world *w, uint8_t place, bool synced)
{
	struct oscore_state state = proxy_context_state(w->proxy, place);

	if (state.window.size == 0)
		replay_init(&state.window, 32);
	state.synced &= synced;
	if (state.next == 0)
		state.synced = synced;
	if (!proxy_context_install(w->proxy, place, fuzz_layer_secret(place), &state))
		abort();
	if (proxy_context_wanted(w->proxy, place, &state))
		proxy_context_allow(w->proxy, place, state.next);
}

/* As if a device had been asked 65536 times just now. */
static void numbers_event(struct world *w)
{
	struct mid_space *s = &w->proxy->mids[fuzz_below(&w->in, SERVERS)];

	w->event = "all numbers spent";
	for (unsigned i = 0; i < MID_SEGMENTS; i++)
		s->used[i] = w->now;
	s->next = 0;
}

/* What the daemon does with a context, in any order. No number is ever used twice. */
static void context_event(struct world *w)
{
	uint8_t which = fuzz_byte(&w->in), place = which % FUZZ_CONTEXTS;
	struct oscore_state state;

	w->event = "a context";
	switch (which >> 2 & 7) {
	case 0: proxy_context_withdraw(w->proxy, place); break;
	case 1: install(w, place, true); break;
	case 2: install(w, place, false); break;
	case 3: w->cfg.contexts[place].refuse_unsynced ^= true; break;
	case 4: w->cfg.contexts[place].servers ^= which >> 5; break;
	default:
		if (proxy_context_wanted(w->proxy, place, &state))
			proxy_context_allow(w->proxy, place, state.next);
		break;
	}
}

/* As if somebody had forged a thousand messages under each kid just now, and drawn all Echoes. */
static void tries_event(struct world *w)
{
	w->event = "all tries spent";
	for (uint32_t i = 0; i < FUZZ_CONTEXTS; i++) {
		while (peers_may_try(&w->proxy->guard->peers, i, w->now))
			peers_failed(&w->proxy->guard->peers, i, w->now);
		while (peers_may_echo(&w->proxy->guard->peers, i, w->now))
			;
	}
}

static void rare_event(struct world *w)
{
	struct path to = { .leg = LEG_DEVICE };

	switch (fuzz_below(&w->in, 12)) {
	case 8:
	case 9:
	case 10: context_event(w); break;
	case 11: tries_event(w); break;
	case 0: reload_event(w); break;
	case 1: look_event(w); break;
	case 2:
		w->event = "a host forgotten";
		proxy_forget(w->proxy, &w->clients[fuzz_below(&w->in, CLIENTS)].path.remote, w->now);
		break;
	case 3:
		w->event = "nobody listens there";
		to.remote = w->cfg.servers[fuzz_below(&w->in, SERVERS)].address;
		proxy_unreachable(w->proxy, &to, w->now);
		break;
	case 4: raw_event(w); break;
	case 5: drought_event(w); break;
	case 6: numbers_event(w); break;
	default: late_event(w); break;
	}
}

static void play(struct world *w)
{
	unsigned what = fuzz_below(&w->in, 32);

	w->sent = 0;
	if (what < 11)
		client_event(w);
	else if (what < 20)
		device_event(w);
	else if (what < 24)
		proof_event(w);
	else if (what < 29)
		pause_event(w);
	else if (what == 29)
		batch_event(w);
	else
		rare_event(w);
	drain(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	static struct world world;
	struct world *w = &world;

	if (size < 9)
		return 0;
	*w = (struct world){ .rng = { fill }, .now = TSTAMP_HOUR, .event = "the start" };
	memcpy(&w->seed, data, sizeof w->seed);
	w->in = (struct fuzz_input){ data + 9, data + size, w->seed, data[8] * 32U };
	configure(w);
	add_clients(w);
	w->proxy = proxy_create(&w->cfg, secret, &w->rng, w->now);
	if (!w->proxy)
		abort();
	proxy_tap(w->proxy, &(struct proxy_tap){ .verdict = note_verdict, .layer = note_key, .arg = w });
	fuzz_layer_open(&w->ends, &w->rng);
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++)
		install(w, i, true);
	for (unsigned i = 0; i < 4000 && !fuzz_ended(&w->in); i++)
		play(w);
	w->event = "the last word";
	give_back(w);
	pass(w, 30 * TSTAMP_HOUR); /* the longest timer is an observation's, 25 h */
	check_left(w);
	proxy_free(w->proxy);
	fuzz_layer_close(&w->ends);
	return 0;
}

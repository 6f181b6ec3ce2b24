/*
 * fuzz_engine: the whole engine against a story of events: datagrams of clients and devices, pauses, reloads, views. Its
 * tables are small, so that everything overflows. After each event what must always hold is checked, and at the end
 * that nothing is left. Input: 8 bytes of seed, one that says how much of a random story follows the rest, events.
 */
#include "fuzz_target.h"
#include "fuzz_house.h"
#include "fuzz_layer.h"
#include "coap/option.h"
#include "guard/state.h"
#include "proxy/core.h"
#include "proxy/proxy_fleet.h"
#include "proxy/proxy_hint.h"
#include "proxy/snapshot.h"

#define HONEST  12 /* clients that answer */
#define CLIENTS (HONEST + FUZZ_SPOOFED)
#define ASKED   16
#define HINTS   64
#define TAKEN   4096
#define ROUNDS  200    /* of expiry at one point in time */
#define TURNS   400000 /* of expiry in one pause */

struct world {
	struct rng rng; /* first member */
	uint64_t seed;
	struct fuzz_input in;
	struct proxy_config cfg;
	bool strict;
	struct proxy *proxy;
	tstamp now;
	struct fuzz_ledger ledger;
	struct fuzz_peer clients[CLIENTS];
	uint32_t piv;
	uint16_t device_mid;
	struct fuzz_asked asked[ASKED];
	unsigned n_asked;
	struct fuzz_ends ends;
	uint32_t layers;           /* that were taken off at most */
	uint64_t keys;             /* uses of them, since the datagram came */
	struct fuzz_talk *subject; /* of the datagram that is being received; NULL: none */
	struct fuzz_thing things[FUZZ_SERVERS];
	struct oscore_state disk[FUZZ_CONTEXTS];
	bool disk_full;
	bool allowed[FUZZ_SERVERS]; /* plain requests went there uncharged */
	struct dgram *taken[TAKEN]; /* out of the pool, so that it runs dry */
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

/*
 * /64s of their own, some in one; one IPv4, one at a well-known port; two reach the other listeners. At the last four addresses
 * nobody is: they are another's who sends in their name.
 */
static void add_clients(struct world *w)
{
	static const char *const addresses[CLIENTS] = {
		"[2001:db8:1::a]:40001", "[2001:db8:2::a]:40001",  "[2001:db8:3::a]:40001",  "[2001:db8:3::b]:40001",
		"[2001:db8:3::b]:40002", "[2001:db8:3:1::a]:4000", "[2001:db8:3:2::a]:4000", "192.0.2.1:40001",
		"[2001:db8:7::1]:53",    "[2001:db9::1]:50000",    "[2001:db9:1::1]:50000",  "[2001:db9:2::1]:50000",
		"[2001:db8:bad::1]:4",   "[2001:db8:bad:1::1]:4",  "198.51.100.7:40001",     "[2001:db8:bad::2]:4",
	};
	struct addr spoofed[FUZZ_SPOOFED];

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct fuzz_peer *c = &w->clients[i];

		c->path.leg = LEG_CLIENT;
		c->path.local = w->cfg.listens[i < 9 || i >= HONEST ? 0 : i - 9].bind;
		FUZZ_MUST(addr_parse(&c->path.remote, addresses[i], 5683));
		c->spoofed = i >= HONEST;
		if (c->spoofed)
			spoofed[i - HONEST] = c->path.remote;
	}
	fuzz_ledger_open(&w->ledger, spoofed);
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
	MUST(w, x->state != EXCHANGE_PARKED || (x->up && !list_empty(&x->up->link)));
	return (unsigned)((x->up && !x->up->queued) + !!x->down + !!x->long_token + !!x->bare + !!x->last +
			  !!x->pieces.whole + !!x->pieces.gathered);
}

static unsigned queued(const struct world *w)
{
	struct linksched_view v;
	unsigned n = 0;

	for (unsigned i = 0; i < FUZZ_LINKS; i++) {
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
	unsigned count = 0, holding = 0, packets = queued(w) + !!p->last + w->n_taken, following = 0,
		 observing[FUZZ_SERVERS] = { 0 };

	MUST(w, list_empty(&p->outbox));
	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		const struct exchange *x = exchange_by_ref(&p->exchanges, i);

		if (!x)
			continue;
		count++;
		holding += is_held(x);
		if (x->state == EXCHANGE_OBSERVING || x->renewing)
			*(x->subject == EXCHANGE_NONE ? &observing[x->server] : &following) += 1;
		packets += check_exchange(w, x);
	}
	for (unsigned i = 0; i < PROXY_HOLDS; i++)
		packets += p->holds[i].datagram != NULL;
	MUST(w, count == p->exchanges.count && p->exchanges.timers.count == count);
	MUST(w, holding == p->holding);
	MUST(w, packets == p->pool.used);
	MUST(w, following == p->exchanges.following);
	for (unsigned i = 0; i < FUZZ_SERVERS; i++)
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

	for (unsigned i = 0; i < FUZZ_SERVERS; i++)
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
	fuzz_note_asked(a, m);
	a->oscore = msg_find(m, OPTION_OSCORE, &opt);
	a->layered = fuzz_layer_heard(&w->ends, m, a);
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

	while (c < w->clients + CLIENTS && !addr_equal(&c->path.remote, &to->remote))
		c++;
	MUST(w, c < w->clients + CLIENTS && addr_equal(&c->path.local, &to->local));
	MUST(w, m->code == MSG_EMPTY || msg_is_response(m));
	if (c->spoofed)
		return;
	if (m->type == MSG_CON)
		c->con_mid = m->mid;
	read_layers(w, m, rooms);
	fuzz_note_got(c, m);
}

/* A key proves no address, but each message is authentic only once: it gets one answer, however long, and its copies. */
static bool is_authentic(struct world *w, struct bytes d)
{
	struct fuzz_talk *t;
	struct msg m;

	if (msg_parse(&m, d) != MSG_OK || !msg_is_response(&m) || !fuzz_layer_is_talk(&m))
		return false;
	t = fuzz_layer_talk(&w->ends, &m);
	if (!t) /* too long ago to know */
		return true;
	if ((!t->came_off && !t->batched) || (t->told && t->told_mid != m.mid))
		return false;
	t->told = true;
	t->told_mid = m.mid;
	return true;
}

static void look_at_budgets(struct world *w)
{
	for (uint8_t i = 0; i < FUZZ_SERVERS; i++) {
		fuzz_ledger_charge(&w->ledger, i, &w->proxy->guard->servers[i]);
		w->allowed[i] |= w->cfg.policy.servers[i].plain == PLAIN_ALLOW;
	}
}

/* A request on its way to that server. Strangers have paid for it. */
static const char *count_stranger(struct world *w, uint8_t server, struct bytes d)
{
	uint32_t frame = w->cfg.links[w->cfg.policy.servers[server].link].sched.frame_size;
	const struct exchange *x;
	struct msg m;

	if (w->allowed[server] || w->cfg.policy.servers[server].mode != MODE_EXEMPTIONS)
		return NULL;
	x = msg_parse(&m, d) == MSG_OK ? exchange_by_token(&w->proxy->exchanges, server, m.token) : NULL;
	if (!x || x->lane < LANE_REACHABLE || x->accepted)
		return NULL;
	return fuzz_ledger_stranger(&w->ledger, server, frame ? ((uint32_t)d.len + frame - 1) / frame : 1);
}

/* The bytes of it, and where to. */
static void count_sent(struct world *w, const struct path *to, struct bytes d)
{
	const char *wrong = NULL;

	if (w->strict && to->leg == LEG_CLIENT && !is_authentic(w, d))
		wrong = fuzz_ledger_out(&w->ledger, &to->remote, d);
	for (uint8_t i = 0; w->strict && to->leg == LEG_DEVICE && i < FUZZ_SERVERS; i++) {
		uint8_t link = w->cfg.policy.servers[i].link;

		if (!addr_equal(&w->cfg.servers[i].address, &to->remote))
			continue;
		wrong = fuzz_ledger_link(&w->ledger, link, &w->cfg.links[link].sched, d.len, w->now);
		if (!wrong)
			wrong = count_stranger(w, i, d);
	}
	if (wrong)
		fail_at(w, wrong, __LINE__);
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

/* As the daemon does before it sends: a disk that is full keeps numbers from being used. */
static void settle(struct world *w)
{
	struct oscore_state state;

	for (uint8_t i = 0; !w->disk_full && i < FUZZ_CONTEXTS; i++) {
		if (!proxy_context_wanted(w->proxy, i, &state))
			continue;
		MUST(w, state.next >= w->disk[i].next);
		w->disk[i] = state;
		proxy_context_allow(w->proxy, i, state.next);
	}
}

static void drain(struct world *w)
{
	struct path to;
	struct bytes d;

	settle(w);
	note_kept(w);
	look_at_budgets(w);
	while ((d = proxy_transmit(w->proxy, &to, w->now)).len) {
		uint8_t *copy = malloc(d.len);
		struct msg m;

		if (!copy)
			abort();
		memcpy(copy, d.ptr, d.len);
		MUST(w, d.len <= DGRAM_MAX);
		look_at_budgets(w);
		count_sent(w, &to, d);
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
	uint8_t *copy = fuzz_room(len);
	uint64_t followers;

	memcpy(copy, buf, len);
	w->subject = subject_of(w, from, bytes_of(copy, len));
	if (from->leg == LEG_CLIENT)
		fuzz_ledger_in(&w->ledger, &from->remote, len);
	w->keys = 0;
	followers = w->proxy->exchanges.followers;
	proxy_receive(w->proxy, from, bytes_of(copy, len), w->now);
	/* as many off, and as many on again: 4 with the default of 2; and what one is told all are told who follow */
	MUST(w, w->keys <= (2 + followers) * w->layers);
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
	unsigned how = fuzz_below(&w->in, c->spoofed ? 12 : 16); /* who is not there answers nothing */
	size_t len;

	if (how < 11) {
		len = fuzz_request(&w->in, c, &w->piv, buf, DGRAM_MAX);
		if (how > 5 && !(c->spoofed && w->strict)) /* who has a key at the device may be at home anywhere */
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
	if (!c->spoofed && fuzz_chance(&w->in, 16)) {
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

static void note_batched(struct world *w, struct bytes datagram)
{
	struct fuzz_talk *t;
	struct msg m;

	if (msg_parse(&m, datagram) == MSG_OK && (t = fuzz_layer_talk(&w->ends, &m)))
		t->batched = true;
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

		note_batched(w, bytes_of(bufs[i], len));
		in[i] = (struct proxy_input){ c->path, bytes_of(bufs[i], len) };
		fuzz_ledger_in(&w->ledger, &c->path.remote, len);
	}
	w->keys = 0;
	proxy_receive_batch(w->proxy, in, n, w->now);
	MUST(w, w->keys <= (2 * n + w->proxy->exchanges.capacity) * w->layers);
}

/* The client that answers the guard: as all should. */
static void proof_event(struct world *w)
{
	unsigned which = fuzz_byte(&w->in);
	struct fuzz_peer *c = &w->clients[which % HONEST];
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
	n = fuzz_layer_response(&w->ends, a, layered, len);
	if (n == 0)
		return len;
	memcpy(buf, layered, n);
	return n;
}

/* Mostly as it should be. */
static size_t from_device(struct world *w, struct fuzz_asked *a, uint8_t *buf)
{
	const struct fuzz_thing *t = &w->things[a->to.remote.ip[15] % FUZZ_SERVERS];
	size_t len;

	if (fuzz_chance(&w->in, 3) || (a->forged && !a->piece) || (a->oscore && !a->layered))
		len = fuzz_response(&w->in, a, &w->device_mid, buf, DGRAM_MAX);
	else
		len = fuzz_answer(&w->in, a, t, &w->device_mid, buf, DGRAM_MAX);
	if (a->layered && !a->piece && !fuzz_chance(&w->in, 8))
		len = answer_layered(w, a, buf, len);
	return len;
}

static void device_event(struct world *w)
{
	unsigned known = w->n_asked < ASKED ? w->n_asked : ASKED, back = fuzz_byte(&w->in);
	struct fuzz_asked unknown = { .to = { .leg = LEG_DEVICE, .remote = w->cfg.servers[0].address } };
	struct fuzz_asked *a = known ? &w->asked[(w->n_asked - 1 - back / 2 % 8 % known) % ASKED] : &unknown;
	struct path from = a->to;
	uint8_t buf[DGRAM_MAX];
	size_t len = from_device(w, a, buf);

	w->event = "a datagram of a device";
	if (back >= 0xf8)
		from.local.port ^= 1;
	if (back >= 0xfc)
		from.remote = w->cfg.servers[fuzz_below(&w->in, FUZZ_SERVERS)].address;
	if (back >= 0xf0 && fuzz_chance(&w->in, 2))
		len = fuzz_damage(&w->in, buf, len, sizeof buf);
	receive(w, &from, buf, len);
}

static void thing_event(struct world *w)
{
	static const uint16_t lengths[] = { 0, 20, 64, 65, 300, 1024, 1100, 5000 };
	uint8_t which = fuzz_byte(&w->in);
	struct fuzz_thing *t = &w->things[which % FUZZ_SERVERS];

	w->event = "a thing that changes";
	*t = (struct fuzz_thing){ lengths[which >> 5], (uint8_t)(t->version + 1), (uint8_t)fuzz_below(&w->in, 7) };
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
	if (fuzz_chance(&w->in, 8)) /* it slept */
		w->now += fuzz_byte(&w->in) * TSTAMP_HOUR;
	proxy_expire(w->proxy, w->now);
}

static void raw_event(struct world *w)
{
	struct path from = w->clients[fuzz_below(&w->in, HONEST)].path;
	uint8_t buf[64];
	size_t len = fuzz_below(&w->in, sizeof buf);

	w->event = "noise";
	if (fuzz_chance(&w->in, 4))
		from = (struct path){ .leg = LEG_DEVICE,
				      .remote = w->cfg.servers[fuzz_below(&w->in, FUZZ_SERVERS)].address };
	for (size_t i = 0; i < len; i++)
		buf[i] = fuzz_byte(&w->in);
	receive(w, &from, buf, len);
}

static void reconfigure(struct world *w)
{
	struct proxy_config fresh = fuzz_house_sound(&w->cfg);

	w->layers = fresh.max_layers > w->layers ? fresh.max_layers : w->layers;
	proxy_reconfigure(w->proxy, &fresh, w->now);
	fuzz_ledger_refill(&w->ledger); /* to a faster rate and back: the debt of before is forgiven */
}

static void reload_event(struct world *w)
{
	w->event = "a reload";
	fuzz_house_move(&w->cfg, &w->in, w->strict);
	if (fuzz_chance(&w->in, 2))
		fuzz_house_tune(&w->cfg, &w->in, w->strict);
	reconfigure(w);
}

/* All at once; tables stay as large as they are, and contexts what they are. */
static void exchange_event(struct world *w)
{
	struct proxy_config before = w->cfg;

	w->event = "another configuration";
	fuzz_house_build(&w->cfg, w->seed ^ (uint64_t)fuzz_byte(&w->in) << 8, w->strict);
	w->cfg.exchanges = before.exchanges;
	w->cfg.cache_size = before.cache_size;
	memcpy(w->cfg.contexts, before.contexts, sizeof w->cfg.contexts);
	reconfigure(w);
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
		while (w->proxy->pool.capacity - w->proxy->pool.used > left && w->n_taken < TAKEN)
			w->taken[w->n_taken++] = dgram_take(&w->proxy->pool);
}

static void install_with(struct world *w, uint8_t place, struct oscore_state state)
{
	if (state.window.size == 0)
		replay_init(&state.window, 32);
	FUZZ_MUST(proxy_context_install(w->proxy, place, fuzz_layer_secret(place), &state));
}

/* At the start, or after one: its window is whole, or was lost. */
static void install(struct world *w, uint8_t place, bool synced)
{
	struct oscore_state state = proxy_context_state(w->proxy, place);

	if (!proxy_context_works(w->proxy, place))
		state = w->disk[place];
	state.synced &= synced;
	if (state.next == 0)
		state.synced = synced;
	install_with(w, place, state);
}

/* As if a device had been asked 65536 times just now. */
static void numbers_event(struct world *w)
{
	struct mid_space *s = &w->proxy->mids[fuzz_below(&w->in, FUZZ_SERVERS)];

	w->event = "all numbers spent";
	for (unsigned i = 0; i < MID_SEGMENTS; i++)
		s->used[i] = w->now;
	s->next = 0;
}

/* What the daemon does with a context, in any order. No number is ever used twice. */
static void context_event(struct world *w)
{
	uint8_t which = fuzz_byte(&w->in), place = which % FUZZ_CONTEXTS;

	w->event = "a context";
	switch (which >> 2 & 7) {
	case 0: /* an orderly end of it */
		if (proxy_context_works(w->proxy, place))
			w->disk[place] = proxy_context_state(w->proxy, place);
		proxy_context_withdraw(w->proxy, place);
		break;
	case 1: install(w, place, true); break;
	case 2: install(w, place, false); break;
	case 3: w->cfg.contexts[place].refuse_unsynced ^= true; break;
	case 4: w->cfg.contexts[place].servers ^= which >> 5; break;
	default: w->disk_full = !w->disk_full; break;
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

/* Two clocks: what other guards believe may be years off. */
static void fleet_event(struct world *w)
{
	static const int64_t off[] = { 0, 10, -10, 3600, -3600, 315360000, -315360000, 1 };
	uint8_t how = fuzz_byte(&w->in);
	uint64_t wall = UINT64_C(1763781000) + w->now / TSTAMP_S + (uint64_t)off[how >> 1 & 7];

	w->event = "a clock set";
	if (how & 1)
		FUZZ_MUST(proxy_fleet_join(w->proxy, bytes_of("the secret of a fleet", 16 + how / 64), wall * TSTAMP_S,
					   w->now));
	else
		proxy_fleet_leave(w->proxy, w->now);
}

static void begin_life(struct world *w)
{
	const struct proxy_tap tap = { .verdict = note_verdict, .layer = note_key, .arg = w };
	struct proxy_config fresh = fuzz_house_sound(&w->cfg);
	uint8_t secret[32];

	fill(&w->rng, secret, sizeof secret);
	w->proxy = proxy_create(&fresh, secret, &w->rng, w->now);
	FUZZ_MUST(w->proxy);
	proxy_tap(w->proxy, &tap);
}

/* What would be on disk then. No number that was used is left to be used again. */
static void end_life(struct world *w, bool orderly)
{
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++) {
		if (!proxy_context_works(w->proxy, i))
			continue;
		MUST(w, w->disk[i].next >= proxy_context_state(w->proxy, i).next);
		if (orderly && !w->disk_full)
			w->disk[i] = proxy_context_state(w->proxy, i);
	}
	give_back(w);
	proxy_free(w->proxy);
}

static unsigned take_hints(const struct world *w, struct guard_hint_root *root, struct guard_hint hints[HINTS])
{
	unsigned n = 0;

	proxy_hint_root(w->proxy, root);
	for (uint32_t place = 0; n < HINTS && proxy_hint_next(w->proxy, &place, &hints[n], w->now);)
		n++;
	return n;
}

/* A guard that dies, or ends, and starts again with what is on disk. */
static void restart_event(struct world *w)
{
	static struct guard_hint hints[HINTS];
	struct guard_hint_root root;
	unsigned n = take_hints(w, &root, hints);
	uint8_t how = fuzz_byte(&w->in);

	w->event = "a restart";
	end_life(w, how & 1);
	if (how & 2)
		w->now += how * TSTAMP_MIN;
	begin_life(w);
	fuzz_ledger_refill(&w->ledger);
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++)
		install_with(w, i, w->disk[i]);
	if (how & 4)
		MUST(w, proxy_hint_adopt(w->proxy, &root));
	for (unsigned i = 0; how & 4 && i < n; i++)
		proxy_hint_take(w->proxy, &hints[i], w->now);
}

static void forget_event(struct world *w)
{
	w->event = "a host forgotten";
	proxy_forget(w->proxy, &w->clients[fuzz_below(&w->in, CLIENTS)].path.remote, w->now);
}

/* An ICMP error. */
static void unreachable_event(struct world *w)
{
	struct path to = { .leg = LEG_DEVICE };
	unsigned which = fuzz_byte(&w->in);

	w->event = "nobody listens there";
	to.remote = w->cfg.servers[which % FUZZ_SERVERS].address;
	if (which >= 0xe0)
		to = w->clients[which % CLIENTS].path;
	proxy_unreachable(w->proxy, &to, w->now);
}

static void rare_event(struct world *w)
{
	static void (*const events[])(struct world * w) = {
		reload_event,  look_event,    forget_event,  unreachable_event, raw_event,   drought_event,
		numbers_event, context_event, context_event, context_event,     tries_event, late_event,
		thing_event,   restart_event, fleet_event,   exchange_event,    thing_event, reload_event,
	};

	events[fuzz_below(&w->in, sizeof events / sizeof events[0])](w);
}

/* Bytes on the heap; 0: nobody counts them. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

static void play(struct world *w)
{
	unsigned what = fuzz_below(&w->in, 32);
	size_t before = heap();

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
	if (what < 30) /* nothing that comes, and no time that passes, takes memory */
		MUST(w, heap() == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct world *w = &world;

	if (size < 9)
		return 0;
	*w = (struct world){ .rng = { fill }, .now = TSTAMP_HOUR, .event = "the start" };
	memcpy(&w->seed, data, sizeof w->seed);
	w->in = (struct fuzz_input){ data + 9, data + size, w->seed, data[8] * 32U };
	w->strict = w->seed >> 17 & 1;
	fuzz_house_build(&w->cfg, w->seed, w->strict);
	w->layers = w->cfg.max_layers;
	add_clients(w);
	begin_life(w);
	fuzz_layer_open(&w->ends, &w->rng, &w->ledger);
	for (uint8_t i = 0; i < FUZZ_SERVERS; i++)
		w->things[i] = (struct fuzz_thing){ (uint16_t)(i * 100), 1, 6 };
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++)
		install(w, i, true);
	for (unsigned i = 0; i < 4000 && !fuzz_ended(&w->in); i++)
		play(w);
	w->event = "the last word";
	w->disk_full = false;
	give_back(w);
	pass(w, 30 * TSTAMP_HOUR); /* the longest timer is an observation's, 25 h */
	check_left(w);
	proxy_free(w->proxy);
	fuzz_layer_close(&w->ends);
	return 0;
}

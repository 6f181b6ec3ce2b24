#include "proxy/proxy.h"
#include "proxy/proxy_context.h"
#include "proxy/core.h"
#include "proxy/ending.h"
#include "proxy/holds.h"
#include "proxy/opening.h"
#include "proxy/reply.h"
#include "proxy/request.h"
#include "proxy/response.h"
#include "proxy/share.h"
#include "proxy/snapshot.h"
#include "proxy/upstream.h"
#include "base/memory.h"

static bool has_next_hop(const struct proxy_config *cfg)
{
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		if (cfg->contexts[i].name[0] && cfg->contexts[i].next_hop != PROXY_NO_SERVER)
			return true;
	return false;
}

static bool has_blocks(const struct proxy_config *cfg)
{
	for (unsigned i = 0; i < POLICY_LINKS; i++)
		if (cfg->links[i].name[0] && cfg->links[i].block_size)
			return true;
	return false;
}

static uint32_t pool_size(const struct proxy_config *cfg)
{
	uint32_t each = has_next_hop(cfg) ? 3 : 2; /* each way; and as it was before our layer */

	if (has_blocks(cfg))
		each += 2;                  /* the whole request, and what was gathered of the response */
	return cfg->exchanges * each + 512; /* and a batch of stateless replies */
}

#define DEDUP_ENTRIES 8192
#define DEDUP_LOG     (1 << 20)

size_t proxy_memory(const struct proxy_config *cfg)
{
	return sizeof(struct proxy) + guard_memory(&cfg->policy, cfg->exchanges) + exchange_memory(cfg->exchanges) +
	       oscore_store_memory(PROXY_CONTEXTS) + POLICY_LINKS * linksched_memory() +
	       pool_size(cfg) * sizeof(struct dgram) + dedup_memory(DEDUP_ENTRIES, DEDUP_LOG) +
	       (cfg->cache_size ? cache_memory(cfg->cache_size) : 0);
}

static bool open_links(struct proxy *p)
{
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		if (p->cfg.links[i].name[0] == '\0' || p->links[i])
			continue;
		p->links[i] = linksched_create(&p->cfg.links[i].sched);
		if (!p->links[i])
			return false;
	}
	return true;
}

/* Every place gets its scheduler at start, so that a reload allocates nothing. */
static bool spare_links(struct proxy *p)
{
	static const struct linksched_config spare = {
		.rate = { 1250, TSTAMP_S }, .burst = 1024, .queue_length = 1, .share = { 80, 15, 5 }
	};

	for (unsigned i = 0; i < POLICY_LINKS; i++)
		if (!p->links[i] && !(p->links[i] = linksched_create(&spare)))
			return false;
	return true;
}

/* At least one, so that 0 keeps its meaning. */
static void count_places(struct proxy_config *cfg)
{
	cfg->places = 1;
	for (uint8_t i = 0; i < POLICY_SERVERS; i++)
		if (cfg->policy.servers[i].present)
			cfg->places = (uint8_t)(i + 1);
}

/* By which contexts, and what is shared, are found: nobody may aim. */
static struct siphash_key key_for(const char *use, const uint8_t secret[32])
{
	struct siphash_key a = siphash_key_from(secret), b = siphash_key_from(secret + 16);

	return (struct siphash_key){ siphash(&a, use, strlen(use)), siphash(&b, use, strlen(use)) };
}

struct proxy *proxy_create(const struct proxy_config *cfg, const uint8_t secret[32], struct rng *rng, tstamp now)
{
	struct proxy *p = memory_create(1, sizeof *p);
	struct siphash_key key;

	if (!p)
		return NULL;
	p->cfg = *cfg;
	count_places(&p->cfg);
	proxy_context_note(p);
	p->rng = rng;
	p->next_ping = p->next_hold = p->next_probe = TSTAMP_NEVER;
	list_init(&p->outbox);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		mid_init(&p->mids[i], (uint16_t)rng_u64(rng));
		list_init(&p->parked[i]);
	}
	rng->fill(rng, p->down_mids, sizeof p->down_mids);
	p->guard = guard_create(&cfg->policy, cfg->exchanges, secret, now);
	p->dedup = dedup_create(DEDUP_ENTRIES, DEDUP_LOG);
	key = key_for("contexts", secret);
	p->share_keys[0] = key_for("uri", secret);
	p->share_keys[1] = key_for("request", secret);
	p->observe_number = (uint32_t)siphash(&p->share_keys[0], "observe", 7) & 0xffffff;
	p->cache = cfg->cache_size ? cache_create(cfg->cache_size) : NULL;
	p->contexts = oscore_store_create(PROXY_CONTEXTS, &key);
	if (!p->guard || !p->dedup || !p->contexts || (cfg->cache_size && !p->cache) ||
	    !dgram_pool_init(&p->pool, pool_size(cfg)) || !exchange_table_init(&p->exchanges, cfg->exchanges) ||
	    !open_links(p) || !spare_links(p)) {
		proxy_free(p);
		return NULL;
	}
	return p;
}

void proxy_free(struct proxy *p)
{
	if (p) {
		guard_free(p->guard);
		dedup_free(p->dedup);
		cache_free(p->cache);
		oscore_store_free(p->contexts);
		dgram_pool_free(&p->pool);
		exchange_table_free(&p->exchanges);
		for (unsigned i = 0; i < POLICY_LINKS; i++)
			linksched_free(p->links[i]);
	}
	memory_free(p);
}

void proxy_tap(struct proxy *p, const struct proxy_tap *tap)
{
	p->tap = tap ? *tap : (struct proxy_tap){ .verdict = NULL };
	proxy_context_listen(p);
}

/* The client proved its address: what was held for it goes out now. */
static void release_held(struct proxy *p, const struct path *client, tstamp now)
{
	uint64_t flow = guard_flow(p->guard, &client->remote);
	struct exchange *x, *next;

	if (p->holding == 0)
		return;
	for (x = exchange_of_flow(&p->exchanges, flow, NULL); x; x = next) {
		next = exchange_of_flow(&p->exchanges, flow, x);
		if (reply_release(p, x, now))
			ending_drop(p, x, OUTCOME_NEUTRAL, now);
	}
}

/* Datagrams of clients that are neither requests nor answer one of our messages by number. */
static void client_empty(struct proxy *p, const struct path *from, const struct msg *m, tstamp now)
{
	struct exchange *x = exchange_by_down_mid(&p->exchanges, guard_flow(p->guard, &from->remote), m->mid);
	bool again;

	if (m->type == MSG_CON) {
		if (from->remote.port >= 1024 && guard_may_reply(p->guard, &from->remote, now)) /* a ping */
			reply_reset(p, from, m->mid);
	} else if (x && m->type == MSG_RESET && guard_guesses(p->guard, &from->remote, now)) {
		reply_doubt(x);
	} else if (x && m->type == MSG_RESET) { /* the client wants no more of this */
		core_count(p, FAULT_CLIENT_GONE);
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
	} else if (x && m->type == MSG_ACK) {
		if (reply_acknowledged(p, x, now))
			ending_drop(p, x, OUTCOME_NEUTRAL, now);
	} else if (m->type == MSG_ACK) {
		guard_missed(p->guard, &from->remote, now);
	} else if (m->type == MSG_RESET) {
		if (guard_pong(p->guard, &from->remote, &from->local, m->mid, &again, now)) {
			release_held(p, from, now);
			request_resume(p, from, now);
			if (again)
				reply_ping_later(p, from, now);
		}
	}
}

static enum fault malformed(enum msg_error e)
{
	static const enum fault by_error[MSG_ERRORS] = {
		[MSG_SHORT] = FAULT_SHORT,   [MSG_VERSION] = FAULT_VERSION, [MSG_TOKEN] = FAULT_TOKEN,
		[MSG_OPTION] = FAULT_OPTION, [MSG_MARKER] = FAULT_MARKER,   [MSG_STUFFED] = FAULT_STUFFED,
	};

	return by_error[e];
}

#define AHEAD 16 /* datagrams looked at before the first of them is judged */

struct arrival {
	enum { ARRIVAL_NONE, ARRIVAL_EMPTY, ARRIVAL_REQUEST, ARRIVAL_DEVICE } kind;
	struct msg msg;
	struct request request;
};

/* Silence is the answer to all that is wrong here. */
static bool is_sound(struct proxy *p, struct msg *m, struct bytes datagram)
{
	enum msg_error error;

	if (datagram.len > p->cfg.max_datagram)
		core_count(p, FAULT_LARGE);
	else if ((error = msg_parse(m, datagram)) != MSG_OK)
		core_count(p, malformed(error));
	else if (m->n_options > p->cfg.max_options)
		core_count(p, FAULT_OPTIONS);
	else
		return true;
	return false;
}

static void look_at(struct proxy *p, struct arrival *a, const struct proxy_input *in)
{
	const struct msg *m = &a->msg;

	p->received[in->from.leg]++;
	p->received_bytes[in->from.leg] += in->datagram.len;
	a->kind = ARRIVAL_NONE;
	if (!is_sound(p, &a->msg, in->datagram))
		return;
	if (in->from.leg == LEG_DEVICE) {
		a->kind = ARRIVAL_DEVICE;
	} else if (m->code == MSG_EMPTY) {
		a->kind = ARRIVAL_EMPTY;
	} else if (msg_is_request(m) && (m->type == MSG_CON || m->type == MSG_NON)) {
		a->kind = ARRIVAL_REQUEST;
		request_prepare(p, &a->request, &in->from, in->datagram, m);
	} else { /* never answered */
		core_count(p, msg_is_response(m) ? FAULT_STRAY : FAULT_CODE);
	}
}

static void take(struct proxy *p, struct arrival *a, const struct proxy_input *in, tstamp now)
{
	switch (a->kind) {
	case ARRIVAL_REQUEST: request_handle(p, &a->request, now); break;
	case ARRIVAL_DEVICE: response_receive(p, &in->from, &a->msg, now); break;
	case ARRIVAL_EMPTY: client_empty(p, &in->from, &a->msg, now); break;
	case ARRIVAL_NONE: break;
	}
}

void proxy_receive_batch(struct proxy *p, const struct proxy_input *in, unsigned n, tstamp now)
{
	struct arrival arrivals[AHEAD];

	for (unsigned done = 0; done < n; done += AHEAD) {
		unsigned some = n - done < AHEAD ? n - done : AHEAD;

		for (unsigned i = 0; i < some; i++)
			look_at(p, &arrivals[i], &in[done + i]);
		for (unsigned i = 0; i < some; i++)
			take(p, &arrivals[i], &in[done + i], now);
	}
}

void proxy_receive(struct proxy *p, const struct path *from, struct bytes datagram, tstamp now)
{
	const struct proxy_input in = { *from, datagram };

	proxy_receive_batch(p, &in, 1, now);
}

/* A connection acknowledges by itself, and takes all that is open with it when it goes (RFC 8323 §3.4). */
static bool hangs_on(const struct exchange *x, const struct addr *server)
{
	return x->state == EXCHANGE_SENT ||
	       (addr_is_connected(server) && (x->state == EXCHANGE_ACKED || x->state == EXCHANGE_OBSERVING));
}

void proxy_unreachable(struct proxy *p, const struct path *to, tstamp now)
{
	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		struct exchange *x = exchange_by_ref(&p->exchanges, i);

		if (x && hangs_on(x, &to->remote) && addr_equal(&p->cfg.servers[x->server].address, &to->remote))
			ending_failed(p, x, MSG_BAD_GATEWAY, FAULT_UNREACHABLE, now);
	}
}

static struct dgram *next_datagram(struct proxy *p, tstamp now)
{
	struct list *first = p->outbox.next;

	if (first != &p->outbox) {
		list_remove(first);
		return LIST_ENTRY(first, struct dgram, link);
	}
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		struct dgram *d = p->cfg.links[i].name[0] ? linksched_pop(p->links[i], now) : NULL;

		if (d)
			return d;
	}
	return NULL;
}

struct bytes proxy_transmit(struct proxy *p, struct path *to, tstamp now)
{
	struct dgram *d;

	dgram_give(&p->pool, p->last);
	p->last = NULL;
	do {
		d = next_datagram(p, now);
		if (!d)
			return bytes_of(NULL, 0);
	} while (d->to.leg == LEG_DEVICE && !upstream_number(p, d, now));
	*to = d->to;
	p->sent[d->to.leg]++;
	p->sent_bytes[d->to.leg] += d->len;
	if (d->to.leg == LEG_CLIENT || !upstream_sent(p, d, now))
		p->last = d;
	return dgram_bytes(d);
}

tstamp proxy_next_expiry(const struct proxy *p, tstamp now)
{
	tstamp next = tstamp_min(exchange_next_expiry(&p->exchanges), tstamp_min(p->next_ping, p->next_hold));

	next = tstamp_min(next, p->next_probe);
	for (unsigned i = 0; i < POLICY_LINKS; i++)
		if (p->cfg.links[i].name[0])
			next = tstamp_min(next, linksched_next(p->links[i], now));
	return tstamp_min(next, guard_next_admission(p->guard, now));
}

static void device_timer(struct proxy *p, struct exchange *x, tstamp now)
{
	switch (x->state) {
	case EXCHANGE_SENT:
		if (upstream_retransmit(p, x, now))
			return;
		ending_timed_out(p, x, now);
		return;
	case EXCHANGE_FOLLOWING:
	case EXCHANGE_GATHERING:
	case EXCHANGE_ACKED: ending_timed_out(p, x, now); return;
	case EXCHANGE_OBSERVING:
		if (!x->own)
			ending_drop(p, x, OUTCOME_NEUTRAL, now);
		else
			share_renew(p, x, now);
		return;
	case EXCHANGE_ANSWERED: ending_drop(p, x, OUTCOME_NEUTRAL, now); return;
	case EXCHANGE_DISPLACED: ending_refused(p, x, now); return;
	default:
		upstream_overdue(p, x, now);
		ending_refused(p, x, now);
		return;
	}
}

static void exchange_timer(struct proxy *p, struct exchange *x, tstamp now)
{
	if (tstamp_reached(x->ack_at, now)) {
		x->ack_at = TSTAMP_NEVER;
		exchange_arm(&p->exchanges, x);
		if (!response_hasten(p, x, now))
			reply_acknowledge(p, x);
	} else if (tstamp_reached(x->client_at, now)) {
		if (reply_retransmit(p, x, now))
			return;
		core_count(p, FAULT_CLIENT_GONE);
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
	} else {
		x->device_at = TSTAMP_NEVER;
		exchange_arm(&p->exchanges, x);
		device_timer(p, x, now);
	}
}

void proxy_expire(struct proxy *p, tstamp now)
{
	struct exchange *x;
	uint32_t ref;

	while ((x = exchange_expired(&p->exchanges, now)))
		exchange_timer(p, x, now);
	reply_pings_due(p, now);
	holds_due(p, now);
	upstream_probes_due(p, now);
	while (guard_admit(p->guard, &ref, now)) {
		x = exchange_by_ref(&p->exchanges, ref);
		if (x && x->state == EXCHANGE_WAITING)
			opening_launch(p, x, now);
	}
}

static bool keeps_server(const struct proxy *p, const struct proxy_config *cfg, uint8_t i)
{
	return cfg->policy.servers[i].present && addr_equal(&p->cfg.servers[i].address, &cfg->servers[i].address) &&
	       p->cfg.policy.servers[i].link == cfg->policy.servers[i].link;
}

/* What still waits for a server that goes or moves: acknowledgements and resets, which belong to no exchange. */
static void forget_queued(struct proxy *p, uint8_t server)
{
	struct linksched *link = p->links[p->cfg.policy.servers[server].link];
	struct dgram *d;

	while ((d = linksched_withdraw(link, &p->cfg.servers[server].address)))
		dgram_give(&p->pool, d);
}

/* Its server goes. Who has been answered already hears nothing more. */
static void cut_off(struct proxy *p, uint32_t ref, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, ref);

	if (x->state != EXCHANGE_ANSWERED)
		ending_unavailable(p, x, FAULT_NO_TARGET, now);
	x = exchange_by_ref(&p->exchanges, ref);
	if (x)
		ending_drop(p, x, OUTCOME_CANCELLED, now);
}

void proxy_reconfigure(struct proxy *p, const struct proxy_config *cfg, tstamp now)
{
	uint32_t exchanges = p->cfg.exchanges;

	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		struct exchange *x = exchange_by_ref(&p->exchanges, i);

		if (x && !keeps_server(p, cfg, x->server))
			cut_off(p, i, now);
	}
	for (uint8_t i = 0; i < p->cfg.places; i++)
		if (p->cfg.policy.servers[i].present && !keeps_server(p, cfg, i)) {
			forget_queued(p, i);
			p->paces[i] = (struct pace){ 0 };
		}
	proxy_context_keep(p, cfg);
	guard_retune(p->guard, &cfg->policy, now);
	p->cfg = *cfg;
	count_places(&p->cfg);
	proxy_context_note(p);
	p->cfg.exchanges = exchanges;
	for (unsigned i = 0; i < POLICY_LINKS; i++)
		if (cfg->links[i].name[0])
			linksched_retune(p->links[i], &cfg->links[i].sched);
}

unsigned proxy_forget(struct proxy *p, const struct addr *who, tstamp now)
{
	unsigned n = guard_forget(p->guard, who, now);

	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		struct exchange *x = exchange_by_ref(&p->exchanges, i);

		if (x && x->state == EXCHANGE_WAITING && addr_same_host(&x->client.remote, who)) {
			ending_unavailable(p, x, FAULT_NO_ROOM, now);
			n++;
		}
	}
	return n;
}

#include "guard/guard.h"
#include "guard/identity.h"
#include "guard/judge.h"
#include "guard/settle.h"
#include "guard/state.h"
#include "base/memory.h"

_Static_assert(POLICY_WINDOW == SEQTRACK_WINDOW, "what may be configured is what is remembered");

#define SKETCH_LEVELS 3

static const struct newcomers_config newcomers_limits = {
	.capacity = 1024,
	.per_64 = 1,
	.per_48 = 4,
	.charges = 65536,
	.memory = TSTAMP_DAY,
};

static uint32_t reach_entries(const struct policy *p)
{
	return p->relations * 2;
}

#define SKETCH_BURST 8 /* requests an address may send at once, at least */

static struct ratelimit_config request_sketch(const struct policy *p)
{
	struct rate r = p->throttle_rate;
	uint64_t per_s = r.period ? r.count * TSTAMP_S / r.period : 0;

	return (struct ratelimit_config){
		.cells = p->table_size,
		.rate = r,
		.burst = per_s > SKETCH_BURST ? (uint32_t)per_s : SKETCH_BURST,
		.n_levels = SKETCH_LEVELS,
		.levels = { { 64, 32, 1 }, { 48, 24, 8 }, { 32, 16, 64 } },
	};
}

/* Of misses, so many a minute. */
static struct ratelimit_config miss_sketch(const struct policy *p, uint32_t per_minute)
{
	return (struct ratelimit_config){
		.cells = p->table_size / 4,
		.rate = { per_minute, TSTAMP_MIN },
		.burst = per_minute,
		.n_levels = 1,
		.levels = { { 64, 24, 1 } },
	};
}

size_t guard_memory(const struct policy *p, uint32_t requests)
{
	struct ratelimit_config a = request_sketch(p), b = miss_sketch(p, GUARD_GUESSES);

	return sizeof(struct guard) + requests * sizeof(struct guard_ticket) + reputation_memory(p->relations) +
	       seqtrack_memory(p->contexts) + reach_memory(reach_entries(p)) + inflight_memory(requests + 1) +
	       newcomers_memory(&newcomers_limits) + ratelimit_memory(&a) + 3 * ratelimit_memory(&b) +
	       replies_memory(p->table_size);
}

/* Every key is derived from the one secret: hash(label, secret half). */
static struct siphash_key derive(const uint8_t secret[32], uint64_t label)
{
	struct siphash_key a = siphash_key_from(secret), b = siphash_key_from(secret + 16);

	return (struct siphash_key){ siphash(&a, &label, sizeof label), siphash(&b, &label, sizeof label) };
}

static void cost_from_policy(struct guard *g, tstamp now)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		const struct policy_server *p = &g->policy.servers[i];
		struct guard_server_state *s = &g->servers[i];
		struct budget_config cost = { p->unknown_rate, p->unknown_budget, p->handshake_cost };

		for (unsigned k = 0; k < BUDGETS; k++)
			budget_retune(&s->budgets[k], &s->cost, &cost, now);
		s->cost = cost;
	}
}

struct guard *guard_create(const struct policy *policy, uint32_t requests, const uint8_t secret[32], tstamp now)
{
	struct guard *g = memory_create(1, sizeof *g);
	struct ratelimit_config requests_cfg = request_sketch(policy), guesses_cfg = miss_sketch(policy, GUARD_GUESSES),
				forgeries_cfg = miss_sketch(policy, GUARD_FORGERIES);
	struct siphash_key k, echo_secret = derive(secret, 3);

	if (!g)
		return NULL;
	g->policy = *policy;
	g->hash_key = derive(secret, 1);
	g->ping_key = derive(secret, 2);
	echo_init(&g->echo_key, (const uint8_t *)&echo_secret, policy->echo_key_lifetime, now);
	k = derive(secret, 4);
	g->reputation = reputation_create(policy->relations);
	g->seqtrack = seqtrack_create(policy->contexts);
	g->reach = reach_create(reach_entries(policy));
	g->inflight = inflight_create(requests + 1); /* one to be refused by name */
	g->waiting = memory_create(requests, sizeof *g->waiting);
	g->refs = requests;
	g->newcomers = newcomers_create(&newcomers_limits, &k, k.k0 ^ k.k1);
	g->requests = ratelimit_create(&requests_cfg, &k);
	g->guesses = ratelimit_create(&guesses_cfg, &k);
	g->forgeries[0] = ratelimit_create(&forgeries_cfg, &k);
	g->forgeries[1] = ratelimit_create(&forgeries_cfg, &k);
	if (!g->reputation || !g->seqtrack || !g->reach || !g->inflight || !g->waiting || !g->newcomers ||
	    !g->requests || !g->guesses || !g->forgeries[0] || !g->forgeries[1] ||
	    !replies_init(&g->replies, policy->table_size, policy->reply_rate, policy->reply_slip, &k)) {
		guard_free(g);
		return NULL;
	}
	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		g->numbers[i] = (uint8_t)i;
	cost_from_policy(g, now);
	return g;
}

void guard_free(struct guard *g)
{
	if (g) {
		reputation_free(g->reputation);
		seqtrack_free(g->seqtrack);
		reach_free(g->reach);
		inflight_free(g->inflight);
		memory_free(g->waiting);
		newcomers_free(g->newcomers);
		ratelimit_free(g->requests);
		replies_free(&g->replies);
		ratelimit_free(g->guesses);
		ratelimit_free(g->forgeries[0]);
		ratelimit_free(g->forgeries[1]);
	}
	memory_free(g);
}

static void forget_relation(struct guard *g, struct relation *rel)
{
	seqtrack_forget(g->seqtrack, reputation_key(g->reputation, rel));
	reputation_remove(g->reputation, rel);
	g->changes++;
}

static void forget_server(struct guard *g, uint8_t server)
{
	for (uint32_t i = 0; i < reputation_capacity(g->reputation); i++) {
		struct relation *rel = reputation_at(g->reputation, i);

		if (rel && rel->server == server)
			forget_relation(g, rel);
	}
	g->servers[server] = (struct guard_server_state){ .lanes = { 0 } };
}

void guard_retune(struct guard *g, const struct policy *policy, tstamp now)
{
	struct policy old = g->policy;
	struct ratelimit_config requests = request_sketch(policy);

	g->policy = *policy;
	g->policy.relations = old.relations; /* sizes stay as created */
	g->policy.contexts = old.contexts;
	g->policy.table_size = old.table_size;
	g->policy.echo_key_lifetime = old.echo_key_lifetime;
	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		if (old.servers[i].present && !policy->servers[i].present)
			forget_server(g, (uint8_t)i);
	ratelimit_retune(g->requests, requests.rate, requests.burst);
	replies_retune(&g->replies, policy->reply_rate, policy->reply_slip);
	cost_from_policy(g, now);
}

uint64_t guard_flow(const struct guard *g, const struct addr *client)
{
	return identity_endpoint(&g->hash_key, client);
}

void guard_identify(const struct guard *g, struct guard_request *rq)
{
	if (!rq->endpoint)
		rq->endpoint = identity_endpoint(&g->hash_key, &rq->client);
	reach_prefetch(g->reach, rq->endpoint);
	if (!rq->trackable)
		return;
	rq->relation = identity_relation(&g->hash_key, g->numbers[rq->server], rq->kid, rq->kid_context);
	reputation_prefetch(g->reputation, rq->relation);
	seqtrack_prefetch(g->seqtrack, rq->relation);
}

static void remember_incident(struct guard *g, const struct guard_request *rq, const struct verdict *v, tstamp now)
{
	g->incidents[g->next_incident++ % GUARD_INCIDENTS] = (struct guard_incident){
		.client = rq->client,
		.at = now,
		.server = rq->server,
		.action = (uint8_t)v->action,
		.reason = (uint8_t)v->reason,
		.lane = (uint8_t)v->lane,
	};
}

struct verdict guard_check(struct guard *g, const struct guard_request *rq, tstamp now)
{
	struct guard_server_state *s = &g->servers[rq->server];
	struct guard_request identified;
	struct verdict v;

	if (!rq->endpoint) {
		identified = *rq;
		guard_identify(g, &identified);
		rq = &identified;
	}
	v = judge_request(g, rq, now);
	s->verdicts[v.action][v.reason]++;
	if (v.action == VERDICT_FORWARD)
		s->lanes[v.lane]++;
	else
		remember_incident(g, rq, &v, now);
	return v;
}

/* By how much it costs more than the least of its kind. */
static uint32_t weight(const struct budget_config *c, const struct inflight_request *in)
{
	enum budget_kind kind = (enum budget_kind)in->kind;

	return budget_cost(c, kind, in->units) / budget_cost(c, kind, 1);
}

bool guard_enqueue(struct guard *g, const struct verdict *v, uint32_t ref, uint32_t *evicted, tstamp now)
{
	const struct inflight_request *in = inflight_get(g->inflight, v->ticket);
	struct newcomers_entry e, out;
	bool has_evicted = false;

	*evicted = UINT32_MAX;
	if (!in || ref >= g->refs)
		return false;
	e = (struct newcomers_entry){ .client = in->client,
				      .ref = ref,
				      .server = in->server,
				      .kind = in->kind,
				      .weight = weight(&g->servers[in->server].cost, in),
				      .since = now };
	if (newcomers_push(g->newcomers, &e, &out, &has_evicted) != NEWCOMERS_QUEUED) {
		inflight_close(g->inflight, v->ticket);
		return false;
	}
	g->waiting[ref] = v->ticket;
	if (has_evicted) {
		*evicted = out.ref;
		inflight_close(g->inflight, g->waiting[out.ref]);
	}
	return true;
}

/* Bits of the kinds of request that may be admitted now. */
static uint32_t affordable_kinds(const struct guard *g, uint8_t server, tstamp now)
{
	const struct guard_server_state *s = &g->servers[server];
	uint32_t kinds = 0;

	for (unsigned k = 0; k < BUDGET_KINDS; k++)
		if (state_newcomer_wait(s, (enum budget_kind)k, now) == 0)
			kinds |= 1U << k;
	if (inflight_handshake(g->inflight, server))
		kinds &= ~(1U << BUDGET_HANDSHAKE);
	return kinds;
}

static void launch(struct guard *g, uint8_t server, const struct newcomers_entry *e, tstamp now)
{
	struct guard_server_state *s = &g->servers[server];
	struct inflight_request *in = inflight_get(g->inflight, g->waiting[e->ref]);

	if (in) {
		uint32_t cost = budget_cost(&s->cost, (enum budget_kind)e->kind, in->units);

		if (budget_borrow(&s->budgets[BUDGET_REACHABLE], &s->cost, (enum budget_kind)e->kind, cost, now))
			in->paid = cost;
		inflight_launch(g->inflight, g->waiting[e->ref]);
	}
	s->lanes[LANE_REACHABLE]++;
}

bool guard_admit(struct guard *g, uint32_t *ref, tstamp now)
{
	for (unsigned i = 0; i < POLICY_SERVERS && !newcomers_idle(g->newcomers); i++) {
		struct newcomers_entry e;
		uint32_t kinds;

		if (!g->policy.servers[i].present || newcomers_waiting(g->newcomers, i) == 0)
			continue;
		kinds = affordable_kinds(g, (uint8_t)i, now);
		if (!kinds || !newcomers_admit(g->newcomers, i, kinds, now, &e))
			continue;
		launch(g, (uint8_t)i, &e, now);
		*ref = e.ref;
		return true;
	}
	return false;
}

tstamp guard_next_admission(const struct guard *g, tstamp now)
{
	tstamp next = TSTAMP_NEVER;

	for (unsigned i = 0; i < POLICY_SERVERS && !newcomers_idle(g->newcomers); i++) {
		const struct guard_server_state *s = &g->servers[i];

		for (unsigned k = 0; g->policy.servers[i].present && k < BUDGET_KINDS; k++)
			if (newcomers_waiting_kinds(g->newcomers, i, 1U << k) &&
			    !(k == BUDGET_HANDSHAKE && inflight_handshake(g->inflight, (uint8_t)i)))
				next = tstamp_min(next,
						  tstamp_add(now, state_newcomer_wait(s, (enum budget_kind)k, now)));
	}
	return next;
}

void guard_withdraw(struct guard *g, uint32_t ref)
{
	if (newcomers_remove(g->newcomers, ref))
		inflight_close(g->inflight, g->waiting[ref]);
}

bool guard_report(struct guard *g, struct guard_ticket t, enum guard_outcome outcome, tstamp now)
{
	const struct inflight_request *in = inflight_get(g->inflight, t);
	bool news;

	if (!in)
		return false;
	g->servers[in->server].outcomes[outcome]++;
	news = settle_outcome(g, in, outcome, now);
	inflight_close(g->inflight, t);
	return news;
}

const char *guard_outcome_word(enum guard_outcome o)
{
	static const char *const words[] = { "accepted", "observed", "tentative", "refused",
					     "neutral",  "silent",   "cancelled" };

	return words[o];
}

static bool is_proven(const struct guard *g, const struct guard_request *rq, tstamp now)
{
	return addr_is_connected(&rq->client) ||
	       reach_find(g->reach, rq->endpoint, g->policy.echo_validity, now).state == REACH_PROVEN;
}

bool guard_may_try(struct guard *g, const struct guard_request *rq, uint32_t peer, bool *proven, tstamp now)
{
	bool sure;

	*proven = rq->echo.ptr && guard_echo_origin(g, rq, now) == ECHO_VALID;
	if (*proven)
		reach_echo(g->reach, rq->endpoint, &rq->client, now);
	*proven |= addr_is_connected(&rq->client);
	if (peers_is_home(&g->peers, peer, rq->endpoint))
		return true;
	/* who spoofs a prefix must not use up what its own hosts may try: those who proved themselves count apart */
	sure = is_proven(g, rq, now);
	if (ratelimit_load(g->forgeries[sure], &rq->client, now) >= 1000)
		return false;
	return sure || peers_may_try(&g->peers, peer, now);
}

bool guard_may_echo(struct guard *g, const struct guard_request *rq, uint32_t peer, tstamp now)
{
	return is_proven(g, rq, now) || peers_may_echo(&g->peers, peer, now);
}

void guard_tried(struct guard *g, const struct guard_request *rq, uint32_t peer, bool authentic, tstamp now)
{
	if (authentic) {
		peers_seen(&g->peers, peer, rq->endpoint);
	} else if (!peers_is_home(&g->peers, peer, rq->endpoint)) {
		ratelimit_charge(g->forgeries[is_proven(g, rq, now)], &rq->client, 1, now);
		peers_failed(&g->peers, peer, now);
	}
}

void guard_forget_peer(struct guard *g, uint32_t peer)
{
	peers_forget(&g->peers, peer);
}

uint16_t guard_ping(struct guard *g, const struct addr *client, const struct addr *listener, tstamp now)
{
	g->pings++;
	return ping_mid(&g->ping_key, client, listener, now);
}

bool guard_guesses(const struct guard *g, const struct addr *client, tstamp now)
{
	return ratelimit_load(g->guesses, client, now) >= 1000;
}

bool guard_pong(struct guard *g, const struct addr *client, const struct addr *listener, uint16_t mid, bool *again,
		tstamp now)
{
	uint64_t slot;

	*again = false;
	if (guard_guesses(g, client, now))
		return false;
	if (!ping_check(&g->ping_key, client, listener, mid, now, &slot)) {
		guard_missed(g, client, now);
		return false;
	}
	g->pongs++;
	*again = reach_pong(g->reach, guard_flow(g, client), client, slot, g->policy.echo_validity, now) == REACH_ONCE;
	return true;
}

bool guard_heard(struct guard *g, const struct addr *client, tstamp now)
{
	if (guard_guesses(g, client, now))
		return false;
	reach_pong(g->reach, guard_flow(g, client), client, now / PING_SLOT, g->policy.echo_validity, now);
	return true;
}

void guard_missed(struct guard *g, const struct addr *client, tstamp now)
{
	g->pongs_wrong++;
	ratelimit_charge(g->guesses, client, 1, now);
}

void guard_echo(struct guard *g, const struct addr *client, const struct addr *listener, tstamp now,
		uint8_t out[ECHO_LEN])
{
	g->echoes_made++;
	echo_make(&g->echo_key, client, listener, now, out);
}

enum echo_result guard_echo_origin(const struct guard *g, const struct guard_request *rq, tstamp now)
{
	return echo_check(&g->echo_key, &rq->client, &rq->listener, rq->echo, g->policy.echo_validity, now);
}

bool guard_knows(const struct guard *g, const struct addr *client, uint64_t flow, tstamp now)
{
	struct reach_view v = reach_find(g->reach, flow, g->policy.echo_validity, now);

	return addr_is_connected(client) || v.state != REACH_NONE || v.home;
}

bool guard_reaches(const struct guard *g, const struct addr *client, uint64_t flow, tstamp now)
{
	struct reach_view v = reach_find(g->reach, flow, g->policy.echo_validity, now);

	return addr_is_connected(client) || v.state != REACH_NONE || (v.home && v.shown);
}

/* What goes there in that lane, after its request was settled, is paid by the strangers' budget. */
static bool is_charged(const struct guard *g, uint8_t server, enum lane lane)
{
	const struct policy_server *policy = &g->policy.servers[server];

	return lane >= LANE_REACHABLE && policy->mode == MODE_EXEMPTIONS && policy->plain != PLAIN_ALLOW;
}

bool guard_spend(struct guard *g, uint8_t server, enum lane lane, tstamp now)
{
	const struct budget_config *c = &g->servers[server].cost;
	struct budget *b = state_budget(&g->servers[server], lane);

	if (!is_charged(g, server, lane))
		return true;
	return budget_left(b, c, now) > c->per_day / 2 && budget_take(b, c, BUDGET_REQUEST, 1, now);
}

void guard_owe(struct guard *g, struct guard_ticket t, uint8_t server, enum lane lane, uint32_t units, tstamp now)
{
	struct inflight_request *in = inflight_get(g->inflight, t);
	enum budget_kind kind = in ? (enum budget_kind)in->kind : BUDGET_REQUEST;

	if (lane < LANE_REACHABLE || (in ? in->paid == 0 : !is_charged(g, server, lane)))
		return;
	budget_owe(state_budget(&g->servers[server], lane), &g->servers[server].cost, kind, units, now);
	if (in)
		in->paid += units;
}

void guard_unspent(struct guard *g, struct guard_ticket t, uint32_t units)
{
	struct inflight_request *in = inflight_get(g->inflight, t);
	uint32_t floor, most;

	if (!in || in->waiting)
		return;
	floor = in->kind == BUDGET_HANDSHAKE && !in->continued ? g->servers[in->server].cost.handshake_cost : 0;
	most = in->paid > floor ? in->paid - floor : 0;
	if (units > most)
		units = most;
	settle_refund(g, in, units);
	in->paid -= units;
}

bool guard_may_reply(struct guard *g, const struct addr *client, tstamp now)
{
	return replies_allow(&g->replies, client, now);
}

unsigned guard_forget(struct guard *g, const struct addr *host, tstamp now)
{
	unsigned n = reach_forget_host(g->reach, host);

	(void)now;
	for (uint32_t i = 0; i < reputation_capacity(g->reputation); i++) {
		struct relation *rel = reputation_at(g->reputation, i);

		if (rel && memcmp(rel->ip, host->ip, sizeof rel->ip) == 0) {
			forget_relation(g, rel);
			n++;
		}
	}
	return n;
}

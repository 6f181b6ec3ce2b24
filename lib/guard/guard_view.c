/* guard_view: copies of what the guard knows, for people. */
#include "guard/guard.h"
#include "guard/state.h"

static void copy_client(const struct guard *g, const struct relation *rel, struct guard_client *out, tstamp now)
{
	struct rate r = g->policy.servers[rel->server].trusted_rate;

	*out = (struct guard_client){
		.server = rel->server,
		.standing = (enum standing)rel->standing,
		.doubted = relation_doubted(rel, now),
		.kid_len = rel->kid_len,
		.settled = rel->history_len,
		.success = relation_success(rel),
		.idle = tstamp_since(rel->seen_s * TSTAMP_S, now),
		.fill = bucket_fill(&rel->bucket, r, policy_burst(r), now),
	};
	memcpy(out->kid, rel->kid, sizeof out->kid);
	memcpy(out->endpoint.ip, rel->ip, sizeof rel->ip);
	out->endpoint.port = rel->port;
	seqtrack_highest(g->seqtrack, reputation_key(g->reputation, rel), &out->highest);
}

bool guard_view_client(const struct guard *g, uint32_t *place, struct guard_client *out, tstamp now)
{
	while (*place < reputation_capacity(g->reputation)) {
		const struct relation *rel = reputation_at(g->reputation, (*place)++);

		if (rel && rel->seen_s + g->policy.lifetime / TSTAMP_S >= now / TSTAMP_S) {
			copy_client(g, rel, out, now);
			return true;
		}
	}
	return false;
}

void guard_view_server(const struct guard *g, uint8_t server, struct guard_server *out, tstamp now)
{
	const struct guard_server_state *s = &g->servers[server];
	struct guard_client c;

	*out = (struct guard_server){ .waiting = newcomers_waiting(g->newcomers, server) };
	for (uint32_t place = 0; guard_view_client(g, &place, &c, now);)
		out->relations += c.server == server;
	out->unknown_left = budget_left(&s->budgets[BUDGET_UNKNOWN], &s->cost, now);
	out->reachable_left = budget_left(&s->budgets[BUDGET_REACHABLE], &s->cost, now);
	out->unknown_wait = budget_wait(&s->budgets[BUDGET_UNKNOWN], &s->cost, BUDGET_REQUEST, 1, now);
	out->reachable_wait = budget_wait(&s->budgets[BUDGET_REACHABLE], &s->cost, BUDGET_REQUEST, 1, now);
	memcpy(out->verdicts, s->verdicts, sizeof out->verdicts);
	memcpy(out->lanes, s->lanes, sizeof out->lanes);
	memcpy(out->outcomes, s->outcomes, sizeof out->outcomes);
}

void guard_view_totals(const struct guard *g, struct guard_totals *out)
{
	*out = (struct guard_totals){
		.pings = g->pings,
		.pongs = g->pongs,
		.pongs_wrong = g->pongs_wrong,
		.echoes_made = g->echoes_made,
		.echoes_valid = g->echoes_valid,
		.echoes_stale = g->echoes_stale,
		.echoes_foreign = g->echoes_foreign,
		.replies_suppressed = g->replies.suppressed,
		.relations = reputation_count(g->reputation),
		.relations_capacity = reputation_capacity(g->reputation),
		.contexts = seqtrack_count(g->seqtrack),
		.inflight = inflight_count(g->inflight),
	};
}

unsigned guard_view_incidents(const struct guard *g, const struct addr *host, struct guard_incident *out, unsigned max)
{
	uint32_t last = g->next_incident, n = 0;

	for (uint32_t i = 0; i < GUARD_INCIDENTS && i < last && n < max; i++) {
		const struct guard_incident *inc = &g->incidents[(last - 1 - i) % GUARD_INCIDENTS];

		if (addr_same_host(&inc->client, host))
			out[n++] = *inc;
	}
	return n;
}

static void merge_proof(void *arg, const struct reach_view *v)
{
	struct guard_explanation *out = arg;

	out->proven |= v->state == REACH_PROVEN;
	out->wary |= v->wary;
	out->home |= v->home;
}

void guard_view_explanation(const struct guard *g, const struct addr *host, struct guard_explanation *out, tstamp now)
{
	*out = (struct guard_explanation){
		.request_load = ratelimit_load(g->requests, host, now),
		.reply_load = ratelimit_load(g->replies.sketch, host, now),
		.reply_wait = ratelimit_wait(g->replies.sketch, host, now),
	};
	reach_each(g->reach, host, g->policy.echo_validity, now, merge_proof, out);
}

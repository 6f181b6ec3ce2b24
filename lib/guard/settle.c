#include "guard/settle.h"

static void move_home(struct guard *g, struct relation *rel, const struct inflight_request *in, tstamp now)
{
	if (rel->endpoint == in->endpoint)
		return;
	/* A relation moves on proof plus acceptance; the old endpoint stays valid for a while. */
	if (rel->endpoint && !in->proven)
		return;
	if (rel->endpoint) {
		rel->old_endpoint = rel->endpoint;
		rel->roam_until_s = (uint32_t)(tstamp_add(now, g->policy.roam_grace) / TSTAMP_S);
	}
	rel->endpoint = in->endpoint;
	memcpy(rel->ip, in->client.ip, sizeof rel->ip);
	rel->port = in->client.port;
}

static struct relation *new_relation(struct guard *g, const struct inflight_request *in, tstamp now)
{
	struct relation *rel = reputation_admit(g->reputation, in->relation, now);

	rel->server = in->server;
	rel->kid_len = in->kid_len;
	memcpy(rel->kid, in->kid, sizeof rel->kid);
	return rel;
}

void settle_refund(struct guard *g, const struct inflight_request *in, uint32_t units)
{
	struct guard_server_state *s = &g->servers[in->server];

	if (in->lane == LANE_MOVED) {
		bucket_refund(&s->moved, GUARD_MOVED, units);
		s->moved_used -= s->moved_used < units ? s->moved_used : units;
	} else {
		budget_refund(state_budget(s, (enum lane)in->lane), &s->cost, (enum budget_kind)in->kind, units);
	}
}

/* What the payer was charged, and its prefixes when it was admitted; a relation's own bucket is not given back. */
static void give_back(struct guard *g, const struct inflight_request *in, tstamp now)
{
	if (in->paid)
		settle_refund(g, in, in->paid);
	if (in->queued && !in->waiting)
		newcomers_refund(g->newcomers, &in->client, now);
}

static void apply(struct guard *g, struct relation *rel, enum standing_event e, tstamp now)
{
	struct standing_step step = standing_step((enum standing)rel->standing, e);

	if (step.doubted)
		relation_doubt(rel, GUARD_DOUBT, now);
	if (step.after_run && relation_accepted(rel) < g->policy.trusted_after)
		return;
	rel->standing = step.to;
	if (rel->standing < STANDING_TENTATIVE)
		reputation_remove(g->reputation, rel);
	else if (rel->standing == STANDING_TRUSTED && rel->history_len == 64 &&
		 relation_success(rel) < g->policy.min_success)
		rel->standing = STANDING_TENTATIVE;
}

static void accept(struct guard *g, const struct inflight_request *in, tstamp now)
{
	struct relation *rel = reputation_find(g->reputation, in->relation, g->policy.lifetime, now);

	if (!rel)
		rel = new_relation(g, in, now);
	if (relation_is_hint(rel))
		rel->endpoint = rel->old_endpoint = 0; /* it lives where it is accepted first, as a new one does */
	g->changes++;
	move_home(g, rel, in, now);
	relation_seen(rel, now);
	relation_book(rel, true);
	apply(g, rel, EVENT_ACCEPTED, now);
	if (rel->endpoint == in->endpoint)
		reach_home(g->reach, in->endpoint, &in->client, now);
	if (in->probation)
		reach_wary(g->reach, in->endpoint, 0);
	give_back(g, in, now);
}

static void refuse(struct guard *g, const struct inflight_request *in, tstamp now)
{
	struct relation *rel =
		in->relation ? reputation_find(g->reputation, in->relation, g->policy.lifetime, now) : NULL;
	bool at_home = rel && rel->endpoint == in->endpoint;

	if (at_home && !in->probation) {
		if (in->echo)
			relation_book(rel, false);
		apply(g, rel, in->echo ? EVENT_REFUSED_PROVEN : EVENT_REFUSED_UNPROVEN, now);
	} else if (in->proven && !at_home) {
		/* reachable -> unknown: the proof is spent, and the next one counts only after a while */
		reach_spend(g->reach, in->endpoint);
		if (rel)
			reach_wary(g->reach, in->endpoint, tstamp_add(now, GUARD_DOUBT));
	}
}

/* The server answered the first message, which a stranger's budget paid. */
static void begin_handshake(struct guard *g, const struct inflight_request *in, tstamp now)
{
	if (in->kind == BUDGET_HANDSHAKE && in->paid && !in->continued)
		handshakes_begin(&g->servers[in->server].handshakes, in->endpoint, now);
}

bool settle_outcome(struct guard *g, const struct inflight_request *in, enum guard_outcome outcome, tstamp now)
{
	bool accepted = outcome == OUTCOME_ACCEPTED || outcome == OUTCOME_OBSERVED;
	bool news;

	if (outcome == OUTCOME_CANCELLED)
		give_back(g, in, now);
	if (outcome == OUTCOME_REFUSED)
		refuse(g, in, now);
	if (outcome == OUTCOME_NEUTRAL)
		begin_handshake(g, in, now);
	if (!accepted || !in->relation || in->follow_up || in->replayable)
		return false;
	news = seqtrack_accept(g->seqtrack, in->relation, in->piv, g->policy.sequence_idle, now);
	if (news)
		accept(g, in, now);
	return news;
}

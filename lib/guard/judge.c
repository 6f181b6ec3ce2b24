#include "guard/judge.h"

#define PROOF_WAIT    4    /* s */
#define TOO_DEAR_WAIT 3600 /* s */

/* What is known when the judging begins; filled once, read by every step below. */
struct bench {
	const struct guard_request *rq;
	const struct policy_server *policy;
	struct guard_server_state *server;
	struct reach_view reach;
	struct relation *relation; /* NULL: none, or no OSCORE identity */
	uint64_t endpoint, key;
	enum echo_result echo; /* FOREIGN also when there is none */
	bool echo_valid, at_home;
	bool proven; /* by Echo or pings, and nobody spoofs the endpoint */
	enum seq_finding finding;
	enum budget_kind kind;
	uint32_t units, cost; /* of the strangers' budget */
	tstamp now;
};

static struct verdict say(enum verdict_action action, enum verdict_reason reason, enum lane lane)
{
	return (struct verdict){ .action = action, .reason = reason, .lane = lane };
}

static void take_proof(struct guard *g, struct bench *b)
{
	const struct guard_request *rq = b->rq;

	b->endpoint = rq->endpoint;
	b->reach = reach_find(g->reach, b->endpoint, g->policy.echo_validity, b->now);
	b->echo = ECHO_FOREIGN;
	if (rq->echo.ptr) {
		b->echo =
			echo_check(&g->echo_key, &rq->client, &rq->listener, rq->echo, g->policy.echo_validity, b->now);
		b->echo_valid = b->echo == ECHO_VALID;
		if (b->echo_valid)
			reach_echo(g->reach, b->endpoint, &rq->client, b->now);
		g->echoes_valid += b->echo == ECHO_VALID;
		g->echoes_stale += b->echo == ECHO_STALE;
		g->echoes_foreign += b->echo == ECHO_FOREIGN;
	}
	/* a completed handshake is as good as an Echo in each of its messages */
	b->echo_valid |= addr_is_connected(&rq->client);
	b->proven = b->echo_valid || (b->reach.state == REACH_PROVEN && !b->reach.wary);
}

/* What was read from disk helps whom it fits. For anybody else it is as if it were not there: not even a spoofer can make it harm. */
static bool is_usable(const struct bench *b, const struct relation *rel)
{
	return !relation_is_hint(rel) ||
	       (b->finding == SEQ_PLAUSIBLE && !relation_doubted(rel, b->now) && !b->reach.wary);
}

static void take_identity(struct guard *g, struct bench *b)
{
	const struct guard_request *rq = b->rq;
	struct relation *rel;

	b->finding = SEQ_NEW;
	if (!rq->trackable)
		return;
	b->key = rq->relation;
	b->finding = seqtrack_judge(g->seqtrack, b->key, rq->piv, g->policy.plausible_jump, g->policy.window,
				    g->policy.sequence_idle, b->now);
	rel = reputation_find(g->reputation, b->key, g->policy.lifetime, b->now);
	if (rel && !is_usable(b, rel))
		rel = NULL;
	b->relation = rel;
	if (rel)
		b->at_home = rel->endpoint == b->endpoint ||
			     (rel->old_endpoint == b->endpoint && rel->roam_until_s > b->now / TSTAMP_S);
}

/* Opens the ticket that guard_report will settle. A full table is a verdict, too. */
static struct verdict forward(struct guard *g, const struct bench *b, struct verdict v, uint32_t paid, bool probation)
{
	const struct guard_request *rq = b->rq;
	struct inflight_request in = {
		.client = rq->client,
		.endpoint = b->endpoint,
		.relation = b->key,
		.piv = rq->piv,
		.since = b->now,
		.server = rq->server,
		.kind = (uint8_t)b->kind,
		.lane = (uint8_t)v.lane,
		.proven = b->proven,
		.echo = b->echo_valid,
		.paid = paid,
		.units = (uint16_t)b->units,
		.queued = v.action == VERDICT_QUEUE,
		.waiting = v.action == VERDICT_QUEUE,
		.probation = probation,
		.continued = v.reason == REASON_HANDSHAKE,
		.replayable = rq->replayable,
		.follow_up = rq->follow_up,
		.kid_len = (uint8_t)rq->kid.len,
	};

	memcpy(in.kid, rq->kid.ptr ? rq->kid.ptr : (const uint8_t *)"",
	       rq->kid.len < RELATION_KID ? rq->kid.len : RELATION_KID);
	v.proven = b->proven || (b->at_home && !relation_is_hint(b->relation)); /* a hint proves nothing */
	v.ticket = inflight_open(g->inflight, &in);
	if (v.ticket.generation == 0)
		return say(VERDICT_DROP, REASON_QUEUE_FULL, v.lane);
	if (probation)
		reach_wary(g->reach, b->endpoint, tstamp_add(b->now, GUARD_DOUBT));
	return v;
}

/* Somebody guesses in the name of the client's prefix: no answer to a ping counts now. */
static bool is_guessed(const struct guard *g, const struct bench *b)
{
	return g->pongs_wrong && guard_guesses(g, &b->rq->client, b->now);
}

/* Who repeats by itself and will be served soon is asked quietly: its own retransmission arrives proven. */
static bool ping_serves(const struct guard *g, const struct bench *b)
{
	uint64_t interval = rate_duration(b->policy->unknown_rate, (uint64_t)b->cost * 2);
	uint64_t places = 1 + newcomers_waiting(g->newcomers, b->rq->server);

	if (!b->rq->confirmable || b->reach.wary || is_guessed(g, b))
		return false;
	return interval <= GUARD_PATIENCE / (places < 3 ? places : 3) &&
	       state_newcomer_wait(b->server, b->kind, b->now) <= GUARD_PATIENCE;
}

/* In seconds. */
static uint64_t expected_wait(const struct guard *g, const struct bench *b)
{
	uint64_t places = 1 + newcomers_waiting(g->newcomers, b->rq->server);
	uint64_t wait = state_newcomer_wait(b->server, b->kind, b->now);

	return 1 + wait / TSTAMP_S + (places - 1) * rate_duration(b->policy->unknown_rate, 1) / TSTAMP_S;
}

/*
 * Whoever returns with the Echo waits in the queue, and not outside: soon, spread over a few seconds, and long before the value is stale.
 */
static uint32_t retry_with_proof(const struct guard *g, const struct bench *b)
{
	uint64_t wait = expected_wait(g, b), soon = 1 + b->endpoint % PROOF_WAIT;

	return (uint32_t)(wait < soon ? wait : soon);
}

/* A refusal costs a reply; a prefix gets only so many, and well-known ports of other protocols get none (A24). */
static bool may_reply(struct guard *g, const struct bench *b)
{
	return b->rq->client.port >= 1024 && replies_allow(&g->replies, &b->rq->client, b->now);
}

static struct verdict refusal(const struct bench *b, enum verdict_action action, enum verdict_reason reason,
			      uint32_t retry_after_s)
{
	struct verdict v = say(action, reason, LANE_UNKNOWN);

	v.proven = b->proven;
	v.retry_after_s = retry_after_s;
	return v;
}

static struct verdict refuse(struct guard *g, const struct bench *b, enum verdict_action action,
			     enum verdict_reason reason, uint32_t retry_after_s)
{
	return refusal(b, may_reply(g, b) ? action : VERDICT_DROP, reason, retry_after_s);
}

/* The cheapest question first: under a flood most get no reply at all. */
static struct verdict challenge(struct guard *g, const struct bench *b, enum verdict_reason reason)
{
	if (!may_reply(g, b))
		return refusal(b, VERDICT_DROP, reason, 0);
	/* An OSCORE request without an outer Echo never gets 4.01 + Echo: libcoap would repeat it for ever. */
	if (b->rq->echo.ptr && !b->echo_valid)
		return refusal(b, VERDICT_CHALLENGE, REASON_ECHO_STALE, 0);
	if (!b->rq->has_oscore && b->reach.echo)
		return refusal(b, VERDICT_CHALLENGE, reason, 0);
	if (ping_serves(g, b))
		return refusal(b, VERDICT_PING, reason, 0);
	return refusal(b, VERDICT_THROTTLE, reason, retry_with_proof(g, b));
}

static bool handshake_busy(const struct guard *g, const struct bench *b)
{
	return b->kind == BUDGET_HANDSHAKE && inflight_handshake(g->inflight, b->rq->server);
}

/* The unknown lane: the server's budget, then the prefix's rate, which is the dearer look-up. */
static bool take_unknown(struct guard *g, const struct bench *b, enum verdict_reason *why)
{
	struct budget *budget = &b->server->budgets[BUDGET_UNKNOWN];

	*why = REASON_HANDSHAKE_BUSY;
	if (handshake_busy(g, b))
		return false;
	*why = REASON_BUDGET_SPENT;
	if (budget_wait(budget, &b->server->cost, b->kind, b->cost, b->now))
		return false;
	*why = REASON_PREFIX_RATE;
	if (ratelimit_charge(g->requests, &b->rq->client, 1, b->now))
		return false;
	return budget_take(budget, &b->server->cost, b->kind, b->cost, b->now);
}

/* In the relation's own bucket, two seconds deep. */
static struct verdict spend_own(struct guard *g, const struct bench *b, struct verdict v)
{
	struct rate r = b->policy->trusted_rate;
	uint64_t burst = policy_burst(r);
	uint64_t wait = bucket_wait(&b->relation->bucket, r, burst, 1, b->now);

	if (wait)
		return refuse(g, b, VERDICT_THROTTLE, REASON_RELATION_RATE, (uint32_t)(1 + wait / TSTAMP_S));
	v.retransmit = true;
	v = forward(g, b, v, 0, false);
	if (v.action == VERDICT_FORWARD)
		bucket_take(&b->relation->bucket, r, burst, 1, b->now);
	return v;
}

/* Pings were answered, perhaps, but here only Echo counts: the 4.29 brings one. */
static struct verdict ask_for_echo(struct guard *g, const struct bench *b, enum verdict_reason reason, uint32_t wait_s)
{
	struct verdict v = refuse(g, b, VERDICT_THROTTLE, reason, wait_s);

	v.proven = false;
	return v;
}

/* An answered ping proves this request: its datagram is kept, and the client loses one round trip. */
static struct verdict ask_and_hold(struct guard *g, const struct bench *b, enum verdict_reason reason)
{
	struct verdict v;

	if (is_guessed(g, b))
		return ask_for_echo(g, b, reason, retry_with_proof(g, b));
	v = refuse(g, b, VERDICT_PING, reason, 0);
	v.hold = v.action == VERDICT_PING;
	return v;
}

static struct verdict judge_proven(struct guard *g, const struct bench *b)
{
	struct verdict queue = say(VERDICT_QUEUE, REASON_REACHABLE, LANE_REACHABLE);

	if (!b->rq->has_oscore && b->policy->plain == PLAIN_ALLOW && b->kind == BUDGET_REQUEST) {
		if (ratelimit_charge(g->requests, &b->rq->client, 1, b->now))
			return refuse(g, b, VERDICT_THROTTLE, REASON_PREFIX_RATE, 1);
		return forward(g, b, say(VERDICT_FORWARD, REASON_PLAIN_ALLOWED, LANE_REACHABLE), 0, false);
	}
	if (b->cost > 1 && b->cost > b->policy->unknown_budget) /* no day has so much */
		return refuse(g, b, VERDICT_THROTTLE, REASON_BUDGET_SPENT, TOO_DEAR_WAIT);
	if (!handshake_busy(g, b) && newcomers_waiting(g->newcomers, b->rq->server) == 0 &&
	    budget_borrow(&b->server->budgets[BUDGET_REACHABLE], &b->server->cost, b->kind, b->cost, b->now))
		return forward(g, b, say(VERDICT_FORWARD, REASON_REACHABLE, LANE_REACHABLE), b->cost, false);
	return forward(g, b, queue, 0, false);
}

/*
 * Odd, and from a relation's own endpoint: only Echo counts, since the true client answers pings for its spoofer, too. Half of
 * the prefix's replies are kept for better cases.
 */
static struct verdict judge_odd(struct guard *g, const struct bench *b, enum verdict_reason reason)
{
	if (b->echo_valid)
		return b->relation ? spend_own(g, b, say(VERDICT_FORWARD, REASON_MOVED, LANE_MOVED))
				   : judge_proven(g, b);
	if (ratelimit_load(g->replies.sketch, &b->rq->client, b->now) > 500)
		return say(VERDICT_DROP, reason, LANE_UNKNOWN);
	if (b->rq->echo.ptr)
		return refuse(g, b, VERDICT_CHALLENGE, REASON_ECHO_STALE, 0);
	return ask_for_echo(g, b, reason, retry_with_proof(g, b));
}

/* An unknown kid there: one try in the unknown lane, and no other until the device accepts it. A client may have a new key. */
static struct verdict judge_neighbour(struct guard *g, const struct bench *b)
{
	enum verdict_reason why;

	if (!b->echo_valid && !b->reach.wary && take_unknown(g, b, &why))
		return forward(g, b, say(VERDICT_FORWARD, REASON_UNKNOWN, LANE_UNKNOWN), b->cost, true);
	return judge_odd(g, b, REASON_NEIGHBOUR);
}

/* Next to the highest number accepted: what a spoofer who does not see the traffic rarely hits. */
static bool is_near(const struct guard *g, const struct bench *b)
{
	uint64_t piv = b->rq->piv, highest = 0;

	if (!seqtrack_highest(g->seqtrack, b->key, &highest))
		return false;
	return (piv > highest ? piv - highest : highest - piv) <= GUARD_NEAR;
}

/* One that is more than the bucket holds may go when it is full. */
static bool try_moved(const struct bench *b)
{
	uint32_t depth = b->units > GUARD_MOVED_MAX ? b->units : GUARD_MOVED_MAX;

	return bucket_take(&b->server->moved, GUARD_MOVED, depth, b->units, b->now);
}

/* Each request needs a proof of its own; one Echo or one answered ping serves one request. */
static struct verdict judge_doubted(struct guard *g, const struct bench *b)
{
	enum verdict_reason why;

	if (!b->echo_valid && !is_near(g, b))
		return judge_odd(g, b, REASON_DOUBTED);
	/* a spoofer's pings are answered by the true client: of such tries there are no more than of moved relations */
	if (!b->echo_valid && b->reach.state != REACH_NONE && !try_moved(b))
		return ask_for_echo(g, b, REASON_DOUBTED, 1);
	if (b->echo_valid || b->reach.state != REACH_NONE) {
		reach_spend(g->reach, b->endpoint); /* an Echo, too, must not prove the spoofer's next one */
		return spend_own(g, b, say(VERDICT_FORWARD, REASON_DOUBTED, LANE_MOVED));
	}
	if (take_unknown(g, b, &why)) /* clients that can prove nothing must not be locked out */
		return forward(g, b, say(VERDICT_FORWARD, REASON_DOUBTED, LANE_UNKNOWN), b->cost, false);
	return ask_and_hold(g, b, REASON_DOUBTED);
}

/* Ahead of strangers, but in a day no more than they get: a guesser of kids comes this way, too. Refunded on acceptance. */
static bool take_moved(const struct bench *b)
{
	struct guard_server_state *s = b->server;

	if (tstamp_since(s->moved_day, b->now) >= TSTAMP_DAY) {
		s->moved_day = b->now;
		s->moved_used = 0;
	}
	if (s->moved_used >= b->policy->unknown_budget || !try_moved(b))
		return false;
	s->moved_used += b->units;
	return true;
}

/* One answer is enough for one request, where nobody spoofs the endpoint. */
static bool has_answered(const struct bench *b)
{
	return b->echo_valid || (b->reach.state != REACH_NONE && !b->reach.wary);
}

static struct verdict judge_moved(struct guard *g, const struct bench *b)
{
	bool proven = has_answered(b);
	enum verdict_reason why;

	if (proven && take_moved(b)) {
		struct bench sure = *b;

		sure.proven = true;
		return forward(g, &sure, say(VERDICT_FORWARD, REASON_MOVED, LANE_MOVED), b->units, false);
	}
	if (proven)
		return judge_proven(g, b);
	if (take_unknown(g, b, &why))
		return forward(g, b, say(VERDICT_FORWARD, REASON_MOVED_UNPROVEN, LANE_UNKNOWN), b->cost, false);
	return b->reach.wary ? challenge(g, b, REASON_MOVED_UNPROVEN) : ask_and_hold(g, b, REASON_MOVED_UNPROVEN);
}

/* Never forwarded without a proof, and never counted against the relation. */
static struct verdict judge_far(struct guard *g, const struct bench *b)
{
	if (b->at_home)
		return judge_odd(g, b, REASON_SEQ_FAR);
	if (b->echo_valid)
		return judge_moved(g, b);
	return b->proven ? judge_proven(g, b) : challenge(g, b, REASON_SEQ_FAR);
}

static struct verdict judge_relation(struct guard *g, const struct bench *b)
{
	bool trusted = b->relation->standing == STANDING_TRUSTED;

	if (b->finding == SEQ_FAR)
		return judge_far(g, b);
	if (!b->at_home)
		return judge_moved(g, b);
	if (relation_doubted(b->relation, b->now))
		return judge_doubted(g, b);
	if (b->reach.wary && !b->echo_valid && !is_near(g, b))
		return judge_odd(g, b, REASON_SEQ_FAR);
	return spend_own(
		g, b,
		say(VERDICT_FORWARD, trusted ? REASON_TRUSTED : REASON_TENTATIVE, trusted ? LANE_TRUSTED : LANE_MOVED));
}

static bool is_denied(const struct bench *b)
{
	return !b->rq->has_oscore && b->policy->plain == PLAIN_DENY;
}

static struct verdict judge_stranger(struct guard *g, const struct bench *b)
{
	enum verdict_reason why;

	if (is_denied(b))
		return refuse(g, b, VERDICT_REJECT, REASON_PLAIN_DENIED, 0);
	if (b->reach.home && b->rq->trackable)
		return judge_neighbour(g, b);
	if (b->proven)
		return judge_proven(g, b);
	if (take_unknown(g, b, &why))
		return forward(g, b, say(VERDICT_FORWARD, REASON_UNKNOWN, LANE_UNKNOWN), b->cost, false);
	return challenge(g, b, why);
}

/* What follows the first message of a key exchange: the next one, or a request under the new key. Neither is large. */
static bool may_continue(const struct bench *b)
{
	if (!b->rq->continues && !(b->rq->trackable && b->finding == SEQ_NEW))
		return false;
	return b->units <= HANDSHAKES_UNITS && !is_denied(b) && b->policy->unknown_rate.count &&
	       handshakes_known(&b->server->handshakes, b->endpoint, b->now);
}

/*
 * It does not wait, or the device's work on the first message would be lost. What the device receives is owed by the next who make keys, and by
 * nobody else.
 */
static struct verdict continue_handshake(struct guard *g, const struct bench *b, bool proven)
{
	enum lane lane = proven ? LANE_REACHABLE : LANE_UNKNOWN;
	struct verdict v = say(VERDICT_FORWARD, REASON_HANDSHAKE, lane);
	struct bench next = *b;

	next.kind = BUDGET_HANDSHAKE;
	v = forward(g, &next, v, b->units, false);
	if (v.action == VERDICT_FORWARD)
		budget_owe(state_budget(b->server, lane), &b->server->cost, BUDGET_HANDSHAKE, b->units, b->now);
	return v;
}

/* Spoofers may have used up what is for the unproven, and no ping helps whose address is spoofed, or who answers none. */
static struct verdict judge_continued(struct guard *g, const struct bench *b)
{
	bool proven = has_answered(b);
	enum verdict_reason why;

	if (handshakes_continue(&b->server->handshakes, b->endpoint, proven, b->now))
		return continue_handshake(g, b, proven);
	if (proven || b->reach.wary)
		return judge_stranger(g, b);
	if (!b->reach.home && take_unknown(g, b, &why))
		return forward(g, b, say(VERDICT_FORWARD, REASON_UNKNOWN, LANE_UNKNOWN), b->cost, false);
	return ask_and_hold(g, b, REASON_HANDSHAKE);
}

static bool is_reused(const struct guard *g, const struct bench *b)
{
	if (!b->rq->trackable || b->rq->replayable)
		return false;
	/* at home only its own counts: who forges the next number elsewhere must not take it from its owner */
	return b->finding == SEQ_REUSED || b->finding == SEQ_OLD ||
	       inflight_has(g->inflight, b->key, b->rq->piv, b->at_home ? b->endpoint : 0);
}

/*
 * A later outer block of a response repeats the request's OSCORE option (RFC 8613 §4.1.3.4.2): legitimate for one of the last
 * numbers, where its relation lives. Outer blocks of a request need no exception: they are accepted only as a whole.
 */
static bool is_follow_up(const struct guard *g, const struct bench *b)
{
	return b->rq->follow_up && b->kind == BUDGET_REQUEST && b->relation && b->at_home && b->finding == SEQ_REUSED &&
	       is_near(g, b) && !relation_doubted(b->relation, b->now) && !b->reach.wary;
}

/*
 * Who holds a key of ours is no stranger: only his own bucket binds him here, and his share of the link (I5). What he is told goes
 * inside his layer, and is no use to anybody else.
 */
static struct verdict judge_authenticated(struct guard *g, struct bench *b)
{
	struct verdict v = say(VERDICT_FORWARD, REASON_AUTHENTICATED, LANE_AUTHENTICATED);
	uint64_t wait;

	v.retransmit = true;
	if (handshake_busy(g, b))
		v = refusal(b, VERDICT_THROTTLE, REASON_HANDSHAKE_BUSY, 1);
	else if ((wait = peers_spend(&g->peers, b->rq->peer, b->rq->server, b->policy->trusted_rate,
				     budget_cost(&b->server->cost, b->kind, 1), b->now)))
		v = refusal(b, VERDICT_THROTTLE, REASON_RELATION_RATE, (uint32_t)(1 + wait / TSTAMP_S));
	else
		v = forward(g, b, v, 0, false);
	v.proven = true;
	return v;
}

static struct verdict judge_exemptions(struct guard *g, struct bench *b)
{
	take_proof(g, b);
	take_identity(g, b);
	if (is_follow_up(g, b))
		return spend_own(g, b, say(VERDICT_FORWARD, REASON_FOLLOW_UP, LANE_MOVED));
	/* A captured replay is dropped: an unprotected refusal would beat the true answer to its client. */
	if (is_reused(g, b))
		return b->proven ? refuse(g, b, VERDICT_REJECT, REASON_SEQ_REUSED, 0)
				 : say(VERDICT_DROP, REASON_SEQ_REUSED, LANE_UNKNOWN);
	if (b->relation && b->kind == BUDGET_REQUEST)
		return judge_relation(g, b);
	/* A key exchange has no standing yet, whoever asks for it, and costs what it costs; but once. */
	return may_continue(b) ? judge_continued(g, b) : judge_stranger(g, b);
}

static struct verdict judge_open(struct guard *g, struct bench *b)
{
	struct verdict v = say(VERDICT_FORWARD, REASON_OPEN, LANE_TRUSTED);

	v.unscheduled = v.retransmit = true;
	b->proven = true;
	return forward(g, b, v, 0, false);
}

static struct verdict judge_throttle(struct guard *g, struct bench *b)
{
	b->proven = true;
	return forward(g, b, say(VERDICT_FORWARD, REASON_SHARED, LANE_UNKNOWN), 0, false);
}

struct verdict judge_request(struct guard *g, const struct guard_request *rq, tstamp now)
{
	struct bench b = { .rq = rq,
			   .policy = &g->policy.servers[rq->server],
			   .server = &g->servers[rq->server],
			   .kind = rq->handshake ? BUDGET_HANDSHAKE : BUDGET_REQUEST,
			   .units = rq->units ? rq->units : 1,
			   .now = now };

	b.cost = budget_cost(&b.server->cost, b.kind, b.units);
	if (!rq->authenticated && (rq->layer_required || b.policy->mode == MODE_FULL)) {
		take_proof(g, &b);
		return refuse(g, &b, VERDICT_REJECT, REASON_NOT_AUTHENTICATED, 0);
	}
	switch (b.policy->mode) {
	case MODE_OPEN: return judge_open(g, &b);
	case MODE_THROTTLE: return judge_throttle(g, &b);
	default: break;
	}
	return rq->authenticated ? judge_authenticated(g, &b) : judge_exemptions(g, &b);
}

#include "proxy/ending.h"
#include "coap/msg.h"
#include "proxy/errand.h"
#include "proxy/reply.h"
#include "proxy/share.h"
#include "proxy/upstream.h"

static void give_back(struct proxy *p, struct exchange *x, tstamp now)
{
	upstream_discard(p, x);
	reply_discard(p, x);
	errand_end(p, x, now);
	dgram_give(&p->pool, x->long_token);
	dgram_give(&p->pool, x->bare);
	dgram_give(&p->pool, x->last);
	dgram_give(&p->pool, x->pieces.whole);
}

static void fail_followers(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, enum fault why,
			   tstamp now);

/* Who is given up in the middle has cost the device what it has. */
bool ending_report(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now)
{
	if (outcome == OUTCOME_CANCELLED && x->begun)
		outcome = OUTCOME_NEUTRAL;
	if (x->begun)
		guard_unspent(p->guard, x->ticket, x->prepaid);
	x->prepaid = 0;
	return guard_report(p->guard, x->ticket, outcome, now);
}

void ending_drop(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now)
{
	uint64_t flow = x->flow;
	uint8_t server = x->server;
	uint32_t subject = x->subject;

	fail_followers(p, x, MSG_UNAVAILABLE, UPSTREAM_MAX_AGE, FAULT_NO_ROOM, now);
	ending_report(p, x, outcome, now);
	if (x->dedup)
		dedup_answer(p->dedup, x->dedup, bytes_of(NULL, 0));
	give_back(p, x, now);
	if (x->parent != EXCHANGE_NONE)
		exchange_by_ref(&p->exchanges, x->parent)->errand = EXCHANGE_NONE;
	exchange_close(&p->exchanges, x);
	upstream_unpark(p, flow, server, now);
	if (subject != EXCHANGE_NONE)
		share_left(p, subject, now);
}

/* The last word to the client of x. */
static void tell(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, enum guard_outcome outcome,
		 tstamp now)
{
	if (!x->no_response)
		reply_failure(p, x, code, max_age, now);
	if (!x->down) {
		ending_drop(p, x, outcome, now);
		return;
	}
	/* held, or not acknowledged yet: for a while, also when it is the last word about an observation */
	exchange_set_state(&p->exchanges, x, EXCHANGE_ANSWERED);
	if (x->client_at == TSTAMP_NEVER && x->device_at == TSTAMP_NEVER) {
		x->device_at = tstamp_add(now, PROXY_PATIENCE);
		exchange_arm(&p->exchanges, x);
	}
}

/* An errand's trouble is that of the exchange it was for, unless that has another notification to come. */
static void fail_own(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, enum fault why,
		     enum guard_outcome outcome, tstamp now)
{
	struct exchange *for_whom = exchange_by_ref(&p->exchanges, x->parent);

	if (!for_whom)
		fail_followers(p, x, code, max_age, why, now);
	ending_drop(p, x, outcome, now);
	if (for_whom && for_whom->state == EXCHANGE_GATHERING)
		ending_failed(p, for_whom, code, why, now);
	else if (for_whom)
		errand_end(p, for_whom, now);
}

/* Once for each client who hears of it. The guard's own request counts where nobody waits for it. */
static void note(struct proxy *p, const struct exchange *x, enum fault why, tstamp now)
{
	if (!x->own)
		core_remember(p, &x->client.remote, x->server, why, now);
	if (!x->own || (x->followers == EXCHANGE_NONE && x->parent == EXCHANGE_NONE))
		core_count(p, why);
}

static void fail_for(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, enum fault why,
		     enum guard_outcome outcome, tstamp now)
{
	note(p, x, why, now);
	if (x->state == EXCHANGE_WAITING)
		guard_withdraw(p->guard, exchange_ref(&p->exchanges, x));
	ending_report(p, x, outcome, now);
	upstream_settled(p, x, now);
	if (x->own)
		fail_own(p, x, code, max_age, why, outcome, now);
	else
		tell(p, x, code, max_age, outcome, now);
}

/* Each of them hears it, unless something old may do (RFC 7641 §5). */
static void fail_followers(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, enum fault why,
			   tstamp now)
{
	bool silent = why == FAULT_DEVICE_SILENT || why == FAULT_PROBING || why == FAULT_UNREACHABLE;

	while (x->followers != EXCHANGE_NONE) {
		struct exchange *y = exchange_by_ref(&p->exchanges, x->followers);

		exchange_unfollow(&p->exchanges, y);
		if (y->state == EXCHANGE_ANSWERED) /* told already */
			continue;
		if (!silent || !share_stale(p, y, now))
			fail_for(p, y, code, max_age, why, OUTCOME_NEUTRAL, now);
	}
}

static void fail(struct proxy *p, struct exchange *x, uint8_t code, enum fault why, enum guard_outcome outcome,
		 tstamp now)
{
	fail_for(p, x, code, UPSTREAM_MAX_AGE, why, outcome, now);
}

/* What a silent device spares itself is charged all the same: else a flood of strangers at it would cost their budget nothing. */
void ending_refused(struct proxy *p, struct exchange *x, tstamp now)
{
	enum guard_outcome outcome = x->why == FAULT_PROBING ? OUTCOME_SILENT : OUTCOME_CANCELLED;

	fail_for(p, x, MSG_UNAVAILABLE, x->max_age, (enum fault)x->why, outcome, now);
}

void ending_unavailable(struct proxy *p, struct exchange *x, enum fault why, tstamp now)
{
	fail(p, x, MSG_UNAVAILABLE, why, OUTCOME_CANCELLED, now);
}

/* A follower gives up when its subject does, and maybe a moment before it. */
static bool follows_in_vain(const struct proxy *p, const struct exchange *x)
{
	const struct exchange *subject = exchange_by_ref(&p->exchanges, x->subject);

	return x->state == EXCHANGE_FOLLOWING && subject && subject->state == EXCHANGE_SENT;
}

void ending_timed_out(struct proxy *p, struct exchange *x, tstamp now)
{
	if (follows_in_vain(p, x) && share_stale(p, x, now))
		return;
	if (x->doubted)
		fail(p, x, MSG_BAD_GATEWAY, FAULT_UNPROTECTED, OUTCOME_NEUTRAL, now);
	else
		fail(p, x, MSG_GATEWAY_TIMEOUT, FAULT_DEVICE_SILENT, x->no_response ? OUTCOME_NEUTRAL : OUTCOME_SILENT,
		     now);
}

void ending_failed(struct proxy *p, struct exchange *x, uint8_t code, enum fault why, tstamp now)
{
	fail(p, x, code, why, OUTCOME_NEUTRAL, now);
}

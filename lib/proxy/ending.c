#include "proxy/ending.h"
#include "coap/msg.h"
#include "proxy/reply.h"
#include "proxy/upstream.h"

void ending_drop(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now)
{
	uint64_t flow = x->flow;
	uint8_t server = x->server;

	guard_report(p->guard, x->ticket, outcome, now);
	if (x->dedup)
		dedup_answer(p->dedup, x->dedup, bytes_of(NULL, 0));
	upstream_discard(p, x);
	reply_discard(p, x);
	dgram_give(&p->pool, x->long_token);
	dgram_give(&p->pool, x->bare);
	exchange_close(&p->exchanges, x);
	upstream_unpark(p, flow, server, now);
}

static void fail(struct proxy *p, struct exchange *x, uint8_t code, enum fault why, enum guard_outcome outcome,
		 tstamp now)
{
	core_count(p, why);
	if (x->state == EXCHANGE_WAITING)
		guard_withdraw(p->guard, exchange_ref(&p->exchanges, x));
	guard_report(p->guard, x->ticket, outcome, now);
	upstream_settled(p, x, now);
	if (!x->no_response)
		reply_failure(p, x, code, 60, now);
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

void ending_unavailable(struct proxy *p, struct exchange *x, enum fault why, tstamp now)
{
	fail(p, x, MSG_UNAVAILABLE, why, OUTCOME_CANCELLED, now);
}

void ending_timed_out(struct proxy *p, struct exchange *x, tstamp now)
{
	fail(p, x, MSG_GATEWAY_TIMEOUT, FAULT_DEVICE_SILENT, x->no_response ? OUTCOME_NEUTRAL : OUTCOME_SILENT, now);
}

void ending_failed(struct proxy *p, struct exchange *x, uint8_t code, enum fault why, tstamp now)
{
	fail(p, x, code, why, OUTCOME_NEUTRAL, now);
}

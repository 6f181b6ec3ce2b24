#include "proxy/opening.h"
#include "coap/option.h"
#include "proxy/ending.h"
#include "proxy/upstream.h"

static bool keep_token(struct proxy *p, struct exchange *x, struct bytes token)
{
	x->token_len = (uint16_t)token.len;
	if (token.len > EXCHANGE_INLINE) { /* RFC 8974 */
		x->long_token = dgram_take(&p->pool);
		if (!x->long_token || token.len > DGRAM_MAX) {
			x->token_len = 0;
			return false;
		}
	}
	if (token.len)
		memcpy(x->long_token ? x->long_token->buf : x->client_token, token.ptr, token.len);
	return true;
}

static void fill(struct exchange *x, const struct request *rq, const struct verdict *v, tstamp now)
{
	x->server = rq->target.server;
	x->client_mid = rq->msg->mid;
	x->client_type = rq->msg->type;
	x->lane = (uint8_t)v->lane;
	x->ticket = v->ticket;
	x->retransmit = v->retransmit;
	x->unscheduled = v->unscheduled;
	x->proven = v->proven;
	x->layers = rq->layers;
	x->has_oscore = rq->facts.has_oscore;
	x->no_response = rq->view.silent_ok;
	x->observe = rq->view.observe;
	x->opened = now;
	x->dedup = rq->dedup;
}

/* The same client under the same layers, so that nobody ends what he cannot begin. */
static bool same_client(const struct exchange *a, const struct exchange *b)
{
	if (a->layers.n != b->layers.n)
		return false;
	for (unsigned i = 0; i < a->layers.n; i++)
		if (a->layers.off[i].context != b->layers.off[i].context)
			return false;
	return bytes_equal(exchange_client_token(a), exchange_client_token(b));
}

/* An observation of the same client under the same token: what comes now renews or ends it (RFC 7641 §3.1, §3.6). */
static struct exchange *same_observation(const struct proxy *p, const struct exchange *x)
{
	for (struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, x->flow, y));)
		if (y != x && y->state == EXCHANGE_OBSERVING && y->server == x->server && same_client(x, y))
			return y;
	return NULL;
}

static void take_over_observation(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	struct exchange *old = rq->view.observe || rq->view.deregister ? same_observation(p, x) : NULL;

	if (!old)
		return;
	exchange_adopt_token(&p->exchanges, x, old);
	ending_drop(p, old, OUTCOME_NEUTRAL, now);
}

/* Who proved nothing may take half of the places: forged registrations, which last a day, must leave some. */
static uint32_t observers_max(const struct proxy *p, const struct exchange *x)
{
	uint32_t max = p->cfg.servers[x->server].observe_max;

	return x->proven ? max : (max + 1) / 2;
}

static struct target_edits edits(const struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	const struct request_view *v = &rq->view;
	struct target_edits e = { .hop_limit = v->hop_limit ? (uint8_t)(v->hop_limit - 1) : 0 };

	/* Our own Echo never leaves the guard; a foreign one may be the device's (RFC 9175 §2.3). */
	e.drop_echo = v->echo.ptr && guard_echo_origin(p->guard, &rq->facts, now) != ECHO_FOREIGN;
	if (v->hop_limit == 0 && (rq->target.by_proxy_uri || rq->target.by_proxy_scheme))
		e.hop_limit = (uint8_t)p->cfg.hop_limit;
	if (x->observe && p->exchanges.observing[x->server] >= observers_max(p, x)) {
		e.drop_observe = true; /* answered, but not observed */
		x->observe = false;
	}
	return e;
}

static void remember(struct proxy *p, const struct request *rq, struct exchange *x, tstamp now)
{
	uint64_t lifetime = x->client_type == MSG_CON ? retransmit_exchange_lifetime(&retransmit_defaults)
						      : retransmit_non_lifetime(&retransmit_defaults);

	dedup_open(p->dedup, rq->dedup, exchange_ref(&p->exchanges, x), tstamp_add(now, lifetime));
	if (x->client_type == MSG_CON && x->proven)
		x->ack_at = tstamp_add(now, PROXY_ACK_DELAY);
}

/* Who puts a layer on a message must know each of its options (draft-ietf-core-oscore-capable-proxies-07 §2.2). */
static enum opening can_layer(const struct proxy *p, const struct exchange *x, const struct request *rq)
{
	if (!x->has_layer)
		return OPENING_DONE;
	if (!option_knows_all(rq->msg))
		return OPENING_BAD_OPTION;
	return upstream_can_layer(p, x) ? OPENING_DONE : OPENING_NO_LAYER;
}

static enum opening build(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	enum opening result = can_layer(p, x, rq);
	struct target_edits e;

	if (result != OPENING_DONE)
		return result;
	if (!keep_token(p, x, rq->msg->token))
		return OPENING_NO_ROOM;
	take_over_observation(p, x, rq, now);
	e = edits(p, x, rq, now);
	return upstream_build(p, x, &rq->target, &rq->view, &e) ? OPENING_DONE : OPENING_NO_ROOM;
}

/* An exchange with its upstream message, remembered as what the request's duplicates belong to. */
static enum opening open(struct proxy *p, const struct request *rq, const struct verdict *v, struct exchange **out,
			 tstamp now)
{
	struct exchange *x = *out = exchange_open(&p->exchanges, rq->from, rq->flow, p->rng);
	enum opening result;

	if (!x) {
		guard_report(p->guard, v->ticket, OUTCOME_CANCELLED, now);
		return OPENING_NO_ROOM;
	}
	fill(x, rq, v, now);
	x->has_layer = p->layers_of[x->server] != PROXY_NO_CONTEXT;
	x->bytes_in = (uint32_t)rq->datagram.len + PROXY_FRAME;
	result = build(p, x, rq, now);
	if (result == OPENING_DONE) {
		remember(p, rq, x, now);
	} else {
		x->dedup = 0;
		ending_drop(p, x, OUTCOME_CANCELLED, now);
	}
	return result;
}

void opening_launch(struct proxy *p, struct exchange *x, tstamp now)
{
	if (!upstream_submit(p, x, now))
		ending_unavailable(p, x, FAULT_NO_ROOM, now);
}

enum opening opening_forward(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x;
	enum opening result = open(p, rq, v, &x, now);

	if (result == OPENING_DONE)
		opening_launch(p, x, now);
	return result;
}

enum opening opening_queue(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x, *loser;
	enum opening result = open(p, rq, v, &x, now);
	uint32_t evicted;

	if (result != OPENING_DONE)
		return result;
	exchange_set_state(&p->exchanges, x, EXCHANGE_WAITING);
	x->device_at = tstamp_add(now, PROXY_PATIENCE);
	exchange_arm(&p->exchanges, x);
	if (!guard_enqueue(p->guard, v, exchange_ref(&p->exchanges, x), &evicted, now)) {
		ending_unavailable(p, x, FAULT_NO_ROOM, now);
		return OPENING_DONE;
	}
	loser = exchange_by_ref(&p->exchanges, evicted);
	if (loser)
		ending_unavailable(p, loser, FAULT_NO_ROOM, now);
	return OPENING_DONE;
}

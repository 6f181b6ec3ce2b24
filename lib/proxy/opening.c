#include "proxy/opening.h"
#include "coap/option.h"
#include "proxy/ending.h"
#include "proxy/petition.h"
#include "proxy/share.h"
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
	x->by_path = rq->target.by_path;
	x->method = rq->msg->code;
	x->keyed = rq->keyed;
	x->key = rq->key;
	x->client_mid = rq->msg->mid;
	x->client_type = rq->msg->type;
	x->lane = (uint8_t)v->lane;
	x->ticket = v->ticket;
	x->prepaid = rq->facts.units;
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

/* Under the same layers, so that nobody ends what he cannot begin. */
static bool same_layers(const struct layers *a, const struct layers *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (a->off[i].context != b->off[i].context)
			return false;
	return true;
}

static bool same_client(const struct exchange *a, const struct exchange *b)
{
	return same_layers(&a->layers, &b->layers) && bytes_equal(exchange_client_token(a), exchange_client_token(b));
}

/* Notifications come, or will when what it follows is answered. */
static bool is_observation(const struct exchange *x)
{
	return !x->own && (x->state == EXCHANGE_OBSERVING || (x->state == EXCHANGE_FOLLOWING && x->observe));
}

/* An observation of the same client under the same token: what comes now renews or ends it (RFC 7641 §3.1, §3.6). */
static struct exchange *same_observation(const struct proxy *p, const struct exchange *x)
{
	for (struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, x->flow, y));)
		if (y != x && is_observation(y) && y->server == x->server && same_client(x, y))
			return y;
	return NULL;
}

static void take_over_observation(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	struct exchange *old = rq->view.observe || rq->view.deregister ? same_observation(p, x) : NULL;

	if (!old)
		return;
	if (old->subject == EXCHANGE_NONE)
		exchange_adopt_token(&p->exchanges, x, old);
	else if (x->subject == EXCHANGE_NONE && rq->view.deregister && old->state == EXCHANGE_OBSERVING &&
		 share_is_alone(p, old)) /* the device hears of it, too */
		exchange_adopt_token(&p->exchanges, x, exchange_by_ref(&p->exchanges, old->subject));
	ending_drop(p, old, OUTCOME_NEUTRAL, now);
}

/* Who proved nothing may take half of the places: forged registrations, which last a day, must leave some. */
static uint32_t observers_max(const struct proxy *p, const struct exchange *x)
{
	uint32_t max = p->cfg.servers[x->server].observe_max;

	return x->proven ? max : (max + 1) / 2;
}

static bool may_observe(const struct proxy *p, const struct exchange *x)
{
	return p->exchanges.observing[x->server] < observers_max(p, x);
}

/* What goes on to a proxy may come back; a device does not need to know. */
static bool may_loop(const struct proxy *p, const struct target *t)
{
	return t->by_proxy_uri || t->by_proxy_scheme || p->cfg.servers[t->server].proxy;
}

static struct target_edits edits(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	const struct request_view *v = &rq->view;
	struct target_edits e = { .hop_limit = v->hop_limit ? (uint8_t)(v->hop_limit - 1) : 0 };

	if (x->own) {
		e.drop_etag = true;
		e.etag = share_etag(p, rq, now);
	}

	/* Our own Echo never leaves the guard; a foreign one may be the device's (RFC 9175 §2.3). */
	e.drop_echo = v->echo.ptr && guard_echo_origin(p->guard, &rq->facts, now) != ECHO_FOREIGN;
	if (v->hop_limit == 0 && may_loop(p, &rq->target))
		e.hop_limit = (uint8_t)p->cfg.hop_limit;
	if (x->observe && !may_observe(p, x)) {
		e.drop_observe = true; /* answered, but not observed */
		x->observe = false;
	}
	return e;
}

/* Who puts a layer on a message must know each of its options (draft-ietf-core-oscore-capable-proxies-07 §2.2). */
static enum opening can_layer(const struct proxy *p, const struct exchange *x, const struct request *rq)
{
	if (!x->has_layer)
		return OPENING_DONE;
	if (!option_knows_all(rq->msg))
		return OPENING_BAD_OPTION;
	return petition_can_layer(p, x) ? OPENING_DONE : OPENING_NO_LAYER;
}

static enum opening build(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	enum opening result = can_layer(p, x, rq);
	struct target_edits e;

	if (result != OPENING_DONE)
		return result;
	if (!x->own && !keep_token(p, x, rq->msg->token))
		return OPENING_NO_ROOM;
	if (!x->own)
		take_over_observation(p, x, rq, now);
	e = edits(p, x, rq, now);
	return petition_build(p, x, &rq->target, &rq->view, &e, now) ? OPENING_DONE : OPENING_NO_ROOM;
}

static void remember(struct proxy *p, const struct request *rq, struct exchange *x, tstamp now)
{
	uint64_t lifetime = x->client_type == MSG_CON ? retransmit_exchange_lifetime(&retransmit_defaults)
						      : retransmit_non_lifetime(&retransmit_defaults);

	dedup_open(p->dedup, rq->dedup, exchange_ref(&p->exchanges, x), tstamp_add(now, lifetime));
	if (x->client_type == MSG_CON && x->proven)
		x->ack_at = tstamp_add(now, PROXY_ACK_DELAY);
}

/* The exchange of rq's client, which waits for what the subject is told. */
static enum opening follow(struct proxy *p, const struct request *rq, struct exchange *subject, bool proven, tstamp now)
{
	const struct verdict v = { .lane = subject->lane, .proven = proven };
	struct exchange *x =
		share_may_follow(p, proven) ? exchange_open(&p->exchanges, rq->from, rq->flow, p->rng) : NULL;

	if (!x)
		return OPENING_NO_ROOM;
	fill(x, rq, &v, now);
	x->bytes_in = (uint32_t)rq->datagram.len + PROXY_FRAME;
	if (!keep_token(p, x, rq->msg->token)) {
		x->dedup = 0;
		ending_drop(p, x, OUTCOME_CANCELLED, now);
		return OPENING_NO_ROOM;
	}
	x->pieces.has_ask2 = rq->view.has_block2;
	x->pieces.ask2 = rq->view.block2;
	exchange_follow(&p->exchanges, x, subject);
	subject->proven |= proven; /* what a stranger asked first is gathered for who comes after him, too */
	take_over_observation(p, x, rq, now);
	x->observe = rq->view.observe && subject->observe && share_may_observe(p, rq->flow);
	exchange_set_state(&p->exchanges, x, EXCHANGE_FOLLOWING);
	x->device_at = tstamp_add(now, PROXY_PATIENCE);
	remember(p, rq, x, now);
	exchange_arm(&p->exchanges, x);
	share_join(p, subject, x, now);
	return OPENING_DONE;
}

/* Another subject of the same, in that state. */
static struct exchange *twin(const struct proxy *p, const struct exchange *subject, enum exchange_state state)
{
	for (struct exchange *y = NULL; (y = exchange_by_key(&p->exchanges, &subject->key, y));)
		if (y != subject && y->state == state && y->observe == subject->observe)
			return y;
	return NULL;
}

/* Who waits in the newcomers' queue for the same need not wait; who follows a relation that has grown old follows the renewed one. */
static void take_over_followers(struct proxy *p, struct exchange *subject, struct exchange *old, tstamp now)
{
	if (!old)
		return;
	while (old->followers != EXCHANGE_NONE) {
		struct exchange *x = exchange_by_ref(&p->exchanges, old->followers);

		exchange_unfollow(&p->exchanges, x);
		exchange_follow(&p->exchanges, x, subject);
	}
	share_left(p, exchange_ref(&p->exchanges, old), now);
}

/* On behalf of all who ask the same. The device sees one relation, renewed: the token of an old one goes on. */
static enum opening open_subject(struct proxy *p, struct exchange *x, const struct request *rq, bool proven, tstamp now)
{
	struct exchange *old = x->observe && may_observe(p, x) ? twin(p, x, EXCHANGE_OBSERVING) : NULL;
	enum opening result;

	x->dedup = 0;
	exchange_share(&p->exchanges, x);
	if (old)
		exchange_adopt_token(&p->exchanges, x, old);
	result = build(p, x, rq, now);
	if (result == OPENING_DONE)
		result = follow(p, rq, x, proven, now);
	if (result == OPENING_DONE)
		take_over_followers(p, x, old, now);
	else if (old) /* it keeps what it had */
		exchange_adopt_token(&p->exchanges, x, old);
	return result;
}

static enum opening open_alone(struct proxy *p, struct exchange *x, const struct request *rq, tstamp now)
{
	enum opening result = build(p, x, rq, now);

	if (result == OPENING_DONE)
		remember(p, rq, x, now);
	return result;
}

/*
 * An exchange with its upstream message, remembered as what the request's duplicates belong to. If others may ask the same, it is the
 * guard's own, and the client's follows it.
 */
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
	x->own = share_wants_subject(p, rq, now) && share_may_follow(p, v->proven);
	result = x->own ? open_subject(p, x, rq, v->proven, now) : open_alone(p, x, rq, now);
	if (result != OPENING_DONE) {
		x->dedup = 0;
		ending_drop(p, x, OUTCOME_CANCELLED, now);
	}
	return result;
}

void opening_launch(struct proxy *p, struct exchange *x, tstamp now)
{
	if (!upstream_submit(p, x, now))
		ending_refused(p, x, now);
}

enum opening opening_forward(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x;
	enum opening result = open(p, rq, v, &x, now);

	if (result != OPENING_DONE)
		return result;
	if (x->own)
		take_over_followers(p, x, twin(p, x, EXCHANGE_WAITING), now);
	opening_launch(p, x, now);
	return result;
}

enum opening opening_join(struct proxy *p, const struct request *rq, struct exchange *subject, bool proven, tstamp now)
{
	p->shared[SHARED_JOINED]++;
	return follow(p, rq, subject, proven, now);
}

void opening_leave(struct proxy *p, const struct request *rq, tstamp now)
{
	for (struct exchange *x = NULL; (x = exchange_of_flow(&p->exchanges, rq->flow, x));)
		if (x->subject != EXCHANGE_NONE && x->observe && x->server == rq->target.server &&
		    same_layers(&x->layers, &rq->layers) && bytes_equal(exchange_client_token(x), rq->msg->token)) {
			ending_drop(p, x, OUTCOME_NEUTRAL, now);
			return;
		}
}

enum opening opening_queue(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x = share_subject(p, rq, now), *loser;
	enum opening result;
	uint32_t evicted;

	if (x) { /* it waits already */
		p->shared[SHARED_JOINED]++;
		guard_report(p->guard, v->ticket, OUTCOME_CANCELLED, now);
		return follow(p, rq, x, v->proven, now);
	}
	result = open(p, rq, v, &x, now);
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

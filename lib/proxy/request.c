#include "proxy/request.h"
#include "coap/option.h"
#include "proxy/classify.h"
#include "proxy/ending.h"
#include "proxy/reply.h"
#include "proxy/target.h"
#include "proxy/upstream.h"

#define HOP_LIMIT_DEFAULT 16 /* RFC 8768 §3 */

/* application/edhoc+cbor-seq and application/cid-edhoc+cbor-seq (RFC 9528 §10.9) */
#define FORMAT_EDHOC     64
#define FORMAT_CID_EDHOC 65

/* Each copy of a request may ask for three times its size again while its address is unproven (I3). */
static bool may_repeat(const struct proxy *p, const struct request *rq, size_t answer, tstamp now)
{
	return answer + PROXY_FRAME <= 3 * (rq->datagram.len + PROXY_FRAME) ||
	       guard_reaches(p->guard, &rq->from->remote, now);
}

/* A client that repeats itself is answered as before, or hears that we are at it (RFC 7252 §4.2). */
static bool absorb_duplicate(struct proxy *p, const struct request *rq, tstamp now)
{
	struct bytes reply;
	struct exchange *x;
	uint32_t ref;

	switch (dedup_find(p->dedup, rq->dedup, now, &ref, &reply)) {
	case DEDUP_NEW: return false;
	case DEDUP_ANSWERED:
		core_count(p, FAULT_DUPLICATE);
		if (reply.len && may_repeat(p, rq, reply.len, now))
			reply_again(p, rq->from, reply);
		return true;
	case DEDUP_PENDING: break;
	}
	core_count(p, FAULT_DUPLICATE);
	x = exchange_by_ref(&p->exchanges, ref);
	if (!x || x->dedup != rq->dedup)
		return true;
	x->bytes_in += (uint32_t)rq->datagram.len + PROXY_FRAME;
	if (x->acked)
		reply_acknowledge(p, x);
	else if (exchange_is_held(x))
		reply_ask(p, x, now);
	if (reply_release(p, x, now))
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
	return true;
}

static bool may_answer(struct proxy *p, const struct request *rq, tstamp now)
{
	return rq->from->remote.port >= 1024 && !rq->listen->silent &&
	       guard_may_reply(p->guard, &rq->from->remote, now);
}

static void tap(const struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	if (p->tap.verdict)
		p->tap.verdict(p->tap.arg, rq->from, p->cfg.servers[rq->target.server].name, verdict_lane_word(v->lane),
			       verdict_action_word(v->action), verdict_reason_word(v->reason), now);
}

static void refuse(struct proxy *p, const struct request *rq, uint8_t code, enum fault why, tstamp now)
{
	core_count(p, why);
	if (p->tap.verdict)
		p->tap.verdict(p->tap.arg, rq->from, "-", "-", "drop", fault_word(why), now);
	if (!may_answer(p, rq, now))
		return;
	if (code == MSG_HOP_LIMIT)
		reply_hop_limit(p, &rq->reply);
	else
		reply_error(p, &rq->reply, code);
}

static bool is_faulty(struct proxy *p, const struct request *rq, tstamp now)
{
	switch (rq->view.defect) {
	case DEFECT_NONE: return false;
	case DEFECT_BAD_OPTION: refuse(p, rq, MSG_BAD_OPTION, FAULT_BAD_OPTION, now); break;
	case DEFECT_BAD_REQUEST: refuse(p, rq, MSG_BAD_REQUEST, FAULT_BAD_OPTION, now); break;
	case DEFECT_HOP_LIMIT: refuse(p, rq, MSG_HOP_LIMIT, FAULT_HOP_LIMIT, now); break;
	}
	return true;
}

/* What makes the device compute a key exchange: EDHOC, alone or combined, and a token (RFC 9528 A.2, RFC 9200 §5.10). */
static bool is_handshake(const struct request *rq)
{
	const struct request_view *v = &rq->view;

	if (v->edhoc || v->content_format == FORMAT_EDHOC || v->content_format == FORMAT_CID_EDHOC)
		return true;
	return !v->oscore.ptr && rq->msg->code == MSG_POST &&
	       (target_path_is(&rq->target, v, ".well-known/edhoc") || target_path_is(&rq->target, v, "authz-info"));
}

static void gather_facts(struct request *rq)
{
	const struct request_view *v = &rq->view;
	struct guard_request *f = &rq->facts;

	*f = (struct guard_request){
		.client = rq->from->remote,
		.listener = rq->from->local,
		.server = rq->target.server,
		.confirmable = rq->msg->type == MSG_CON,
		.has_oscore = v->oscore.ptr != NULL,
		.echo = v->echo,
		.replayable = v->request_hash,
		.handshake = is_handshake(rq),
		.endpoint = rq->flow,
	};
	if (f->has_oscore)
		f->trackable = classify_oscore(v->oscore, &f->kid, &f->kid_context, &f->piv);
	f->follow_up = f->has_oscore && v->follow_up;
}

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
	x->has_oscore = rq->facts.has_oscore;
	x->no_response = rq->view.silent_ok;
	x->observe = rq->view.observe;
	x->opened = now;
	x->dedup = rq->dedup;
}

/* An observation of the same client under the same token: what comes now renews or ends it (RFC 7641 §3.1, §3.6). */
static struct exchange *same_observation(const struct proxy *p, const struct exchange *x)
{
	for (struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, x->flow, y));)
		if (y != x && y->state == EXCHANGE_OBSERVING && y->server == x->server &&
		    bytes_equal(exchange_client_token(y), exchange_client_token(x)))
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
		e.hop_limit = HOP_LIMIT_DEFAULT;
	if (x->observe && p->exchanges.observing[x->server] >= observers_max(p, x)) {
		e.drop_observe = true; /* answered, but not observed */
		x->observe = false;
	}
	return e;
}

/* An exchange with its upstream message; NULL: refused already. */
static struct exchange *open_exchange(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x = exchange_open(&p->exchanges, rq->from, rq->flow, p->rng);
	bool built = false;
	struct target_edits e;

	if (x) {
		fill(x, rq, v, now);
		x->bytes_in = (uint32_t)rq->datagram.len + PROXY_FRAME;
		if (keep_token(p, x, rq->msg->token)) {
			take_over_observation(p, x, rq, now);
			e = edits(p, x, rq, now);
			built = upstream_build(p, x, &rq->target, &rq->view, &e);
		}
		if (built)
			return x;
		x->dedup = 0;
		ending_drop(p, x, OUTCOME_CANCELLED, now);
	} else {
		guard_report(p->guard, v->ticket, OUTCOME_CANCELLED, now);
	}
	refuse(p, rq, MSG_UNAVAILABLE, FAULT_NO_ROOM, now);
	return NULL;
}

static void remember(struct proxy *p, const struct request *rq, struct exchange *x, tstamp now)
{
	uint64_t lifetime = x->client_type == MSG_CON ? retransmit_exchange_lifetime(&retransmit_defaults)
						      : retransmit_non_lifetime(&retransmit_defaults);

	dedup_open(p->dedup, rq->dedup, exchange_ref(&p->exchanges, x), tstamp_add(now, lifetime));
	if (x->client_type == MSG_CON && x->proven)
		x->ack_at = tstamp_add(now, PROXY_ACK_DELAY);
}

void request_launch(struct proxy *p, struct exchange *x, tstamp now)
{
	if (!upstream_submit(p, x, now))
		ending_unavailable(p, x, FAULT_NO_ROOM, now);
}

static void forward(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x = open_exchange(p, rq, v, now);

	if (!x)
		return;
	remember(p, rq, x, now);
	request_launch(p, x, now);
}

static void queue(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	struct exchange *x = open_exchange(p, rq, v, now), *loser;
	uint32_t evicted;

	if (!x)
		return;
	remember(p, rq, x, now);
	exchange_set_state(&p->exchanges, x, EXCHANGE_WAITING);
	x->device_at = tstamp_add(now, PROXY_PATIENCE);
	exchange_arm(&p->exchanges, x);
	if (!guard_enqueue(p->guard, v, exchange_ref(&p->exchanges, x), &evicted, now)) {
		ending_unavailable(p, x, FAULT_NO_ROOM, now);
		return;
	}
	loser = exchange_by_ref(&p->exchanges, evicted);
	if (loser)
		ending_unavailable(p, loser, FAULT_NO_ROOM, now);
}

void request_holds_due(struct proxy *p, tstamp now)
{
	if (!tstamp_reached(p->next_hold, now))
		return;
	p->next_hold = TSTAMP_NEVER;
	for (unsigned i = 0; i < PROXY_HOLDS; i++) {
		struct proxy_hold *h = &p->holds[i];
		tstamp end = tstamp_add(h->since, PROXY_HOLD);

		if (h->datagram && tstamp_reached(end, now)) {
			dgram_give(&p->pool, h->datagram);
			h->datagram = NULL;
		} else if (h->datagram) {
			p->next_hold = tstamp_min(p->next_hold, end);
		}
	}
}

static struct proxy_hold *find_hold(struct proxy *p, uint64_t flow, tstamp now)
{
	struct proxy_hold *place = NULL;

	request_holds_due(p, now);
	for (unsigned i = 0; i < PROXY_HOLDS; i++) {
		struct proxy_hold *h = &p->holds[i];

		if (h->datagram && h->flow == flow)
			return h;
		if (!h->datagram)
			place = h;
	}
	return place;
}

/* One per client; the youngest is the one to serve. No place: the client's retransmission will do. */
static void hold(struct proxy *p, const struct request *rq, tstamp now)
{
	struct proxy_hold *h = find_hold(p, rq->flow, now);

	if (h && !h->datagram)
		h->datagram = dgram_take(&p->pool);
	if (!h || !h->datagram || rq->datagram.len > DGRAM_MAX)
		return;
	h->flow = rq->flow;
	h->from = *rq->from;
	h->since = now;
	p->next_hold = tstamp_min(p->next_hold, tstamp_add(now, PROXY_HOLD));
	h->datagram->len = (uint16_t)rq->datagram.len;
	memcpy(h->datagram->buf, rq->datagram.ptr, rq->datagram.len);
}

void request_resume(struct proxy *p, const struct path *from, tstamp now)
{
	struct proxy_hold *h = find_hold(p, guard_flow(p->guard, &from->remote), now);
	struct dgram *d = h ? h->datagram : NULL;
	struct request rq;
	struct path path;
	struct msg m;

	if (!d)
		return;
	path = h->from;
	h->datagram = NULL;
	if (msg_parse(&m, dgram_bytes(d)) == MSG_OK) {
		request_prepare(p, &rq, &path, dgram_bytes(d), &m);
		request_handle(p, &rq, now);
	}
	dgram_give(&p->pool, d);
}

/* dry-run: judged and counted, then treated as if the server's mode were open, whatever the verdict. */
static struct verdict spared(struct verdict v)
{
	v.unscheduled = v.retransmit = v.proven = true;
	v.action = VERDICT_FORWARD;
	v.lane = LANE_TRUSTED;
	return v;
}

static void act(struct proxy *p, struct request *rq, const struct verdict *v, tstamp now)
{
	switch (v->action) {
	case VERDICT_FORWARD: forward(p, rq, v, now); return;
	case VERDICT_QUEUE: queue(p, rq, v, now); return;
	case VERDICT_DROP: return;
	default: break;
	}
	if (rq->listen->silent)
		return;
	switch (v->action) {
	case VERDICT_PING:
		reply_ping(p, rq->from, now);
		if (v->hold)
			hold(p, rq, now);
		break;
	case VERDICT_CHALLENGE: reply_challenge(p, &rq->reply, now); break;
	case VERDICT_THROTTLE: reply_throttle(p, &rq->reply, v->retry_after_s, !v->proven, now); break;
	default: reply_error(p, &rq->reply, MSG_UNAUTHORIZED); break;
	}
}

void request_prepare(struct proxy *p, struct request *rq, const struct path *from, struct bytes datagram,
		     const struct msg *m)
{
	rq->from = from;
	rq->msg = m;
	rq->datagram = datagram;
	rq->listen = core_listen(p, &from->local);
	rq->flow = guard_flow(p->guard, &from->remote);
	rq->dedup = dedup_key(rq->flow ^ from->local.port, m->mid, m->token);
	rq->reply = (struct reply_to){ from, m, rq->flow };
	dedup_prefetch(p->dedup, rq->dedup);
	classify_request(&rq->view, m);
	if (rq->view.defect != DEFECT_NONE)
		return;
	rq->target = target_resolve(&p->cfg, &rq->view, rq->listen, &from->local);
	if (rq->target.server == PROXY_NO_SERVER)
		return;
	gather_facts(rq);
	guard_identify(p->guard, &rq->facts);
}

void request_handle(struct proxy *p, struct request *rq, tstamp now)
{
	struct verdict v;

	if (absorb_duplicate(p, rq, now) || is_faulty(p, rq, now))
		return;
	if (rq->target.server == PROXY_NO_SERVER) {
		refuse(p, rq, rq->target.code, FAULT_NO_TARGET, now);
		return;
	}
	v = guard_check(p->guard, &rq->facts, now);
	tap(p, rq, &v, now);
	if (p->cfg.policy.dry_run)
		v = spared(v);
	act(p, rq, &v, now);
}

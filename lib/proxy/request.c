#include "proxy/request.h"
#include "coap/option.h"
#include "proxy/ending.h"
#include "proxy/facts.h"
#include "proxy/holds.h"
#include "proxy/opening.h"
#include "proxy/petition.h"
#include "proxy/share.h"
#include "proxy/share_key.h"

/* Each copy of a request may ask for three times its size again while its address is unproven (I3). */
static bool may_repeat(const struct proxy *p, const struct request *rq, size_t answer, tstamp now)
{
	return answer + PROXY_FRAME <= 3 * (rq->datagram.len + PROXY_FRAME) ||
	       guard_reaches(p->guard, &rq->from->remote, rq->flow, now);
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

static bool may_answer_stranger(struct proxy *p, const struct request *rq, tstamp now)
{
	return rq->from->remote.port >= 1024 && !rq->listen->silent &&
	       guard_may_reply(p->guard, &rq->from->remote, now);
}

/* Whoever holds a key of ours is no stranger, and what he is told costs nobody else anything. */
static bool may_answer(struct proxy *p, const struct request *rq, tstamp now)
{
	return rq->layers.n || may_answer_stranger(p, rq, now);
}

static void tap(const struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	if (p->tap.verdict)
		p->tap.verdict(p->tap.arg, rq->from, p->cfg.servers[rq->target.server].name, verdict_lane_word(v->lane),
			       verdict_action_word(v->action), verdict_reason_word(v->reason), now);
}

static void count_refusal(struct proxy *p, const struct request *rq, enum fault why, tstamp now)
{
	core_count(p, why);
	core_remember(p, &rq->from->remote, PROXY_NO_SERVER, why, now);
	if (p->tap.verdict)
		p->tap.verdict(p->tap.arg, rq->from, "-", "-", "drop", fault_word(why), now);
}

static void refuse(struct proxy *p, const struct request *rq, uint8_t code, enum fault why, tstamp now)
{
	count_refusal(p, rq, why, now);
	if (!may_answer(p, rq, now))
		return;
	if (code == MSG_HOP_LIMIT)
		reply_hop_limit(p, &rq->reply, now);
	else
		reply_error(p, &rq->reply, code, now);
}

/* True: refused. */
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

/* dry-run: judged and counted, then treated as if the server's mode were open, whatever the verdict. */
static struct verdict spared(struct verdict v)
{
	v.unscheduled = v.retransmit = v.proven = true;
	v.action = VERDICT_FORWARD;
	v.lane = LANE_TRUSTED;
	return v;
}

static void report_opening(struct proxy *p, const struct request *rq, enum opening result, tstamp now)
{
	switch (result) {
	case OPENING_DONE: break;
	case OPENING_NO_ROOM: refuse(p, rq, MSG_UNAVAILABLE, FAULT_NO_ROOM, now); break;
	case OPENING_NO_LAYER: refuse(p, rq, MSG_UNAVAILABLE, FAULT_NO_LAYER, now); break;
	case OPENING_BAD_OPTION: refuse(p, rq, MSG_BAD_OPTION, FAULT_BAD_OPTION, now); break;
	}
}

static void act(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now)
{
	switch (v->action) {
	case VERDICT_FORWARD: report_opening(p, rq, opening_forward(p, rq, v, now), now); return;
	case VERDICT_QUEUE: report_opening(p, rq, opening_queue(p, rq, v, now), now); return;
	case VERDICT_DROP: return;
	default: break;
	}
	if (rq->listen->silent && rq->layers.n == 0)
		return;
	switch (v->action) {
	case VERDICT_PING:
		reply_ping(p, rq->from, now);
		if (v->hold)
			holds_keep(p, rq->flow, rq->from, rq->datagram, false, now);
		break;
	case VERDICT_CHALLENGE: reply_challenge(p, &rq->reply, now); break;
	case VERDICT_THROTTLE: reply_throttle(p, &rq->reply, v->retry_after_s, !v->proven, now); break;
	default: reply_error(p, &rq->reply, MSG_UNAUTHORIZED, now); break;
	}
}

/* Who may be anybody answers a ping first, and with that asks again. */
static void ask_for_proof(struct proxy *p, const struct request *rq, tstamp now)
{
	reply_ping(p, rq->from, now);
	holds_keep(p, rq->flow, rq->from, rq->datagram, true, now);
}

/* Told by the message itself, or known. */
static bool is_proven(struct proxy *p, const struct request *rq, tstamp now)
{
	return rq->layers.n > 0 || guard_reaches(p->guard, &rq->from->remote, rq->flow, now) ||
	       (rq->view.echo.ptr && guard_echo_origin(p->guard, &rq->facts, now) == ECHO_VALID);
}

/* What an unproven address may get at once (I3). */
static size_t small_answer(const struct request *rq)
{
	size_t most = 3 * (rq->datagram.len + PROXY_FRAME) - PROXY_FRAME;

	return most < PROXY_UNPROVEN ? most : PROXY_UNPROVEN;
}

/* Who repeats itself is asked quietly, where the answer counts; the others are asked to come again. */
static void challenge(struct proxy *p, const struct request *rq, tstamp now)
{
	if (rq->msg->type == MSG_CON && !guard_guesses(p->guard, &rq->from->remote, now))
		ask_for_proof(p, rq, now);
	else
		reply_challenge(p, &rq->reply, now);
}

static void tell_known(struct proxy *p, const struct request *rq, const struct share_hit *hit, bool proven, tstamp now)
{
	const struct block *ask = classify_asked_block(&rq->view);

	if (!proven && !may_answer_stranger(p, rq, now))
		return;
	if (!reply_known(p, &rq->reply, hit, ask, proven ? DGRAM_MAX : small_answer(rq), now))
		challenge(p, rq, now);
}

static void ask_stranger(struct proxy *p, const struct request *rq, tstamp now)
{
	if (may_answer_stranger(p, rq, now))
		challenge(p, rq, now);
}

/* No lane: it goes into no link. */
static void tap_shared(const struct proxy *p, const struct request *rq, const char *reason, tstamp now)
{
	if (p->tap.verdict)
		p->tap.verdict(p->tap.arg, rq->from, p->cfg.servers[rq->target.server].name, "-", "share", reason, now);
}

/* What costs the device nothing is not for the guard to judge. The request has a key. False: the device has to be asked. */
static bool serve_shared(struct proxy *p, const struct request *rq, tstamp now)
{
	struct exchange *subject;
	struct share_hit hit;
	bool proven;

	proven = is_proven(p, rq, now);
	if (share_known(p, rq, &hit, now)) {
		tap_shared(p, rq, "cached", now);
		tell_known(p, rq, &hit, proven, now);
		return true;
	}
	subject = share_subject(p, rq, now);
	if (!subject || (proven && subject->state == EXCHANGE_WAITING)) /* who need not wait there asks at once */
		return false;
	if (!proven && !share_may_follow(p, false)) { /* perhaps it is nobodies who have the places */
		ask_stranger(p, rq, now);
		return true;
	}
	if (!share_may_follow(p, proven)) /* it is judged as if nobody had asked */
		return false;
	tap_shared(p, rq, "joined", now);
	report_opening(p, rq, opening_join(p, rq, subject, proven, now), now);
	return true;
}

static void judge(struct proxy *p, struct request *rq, tstamp now)
{
	struct verdict v;

	rq->keyed = share_key_is_plain(rq) && share_key_make(p, rq, &rq->key);
	if (!rq->keyed || !serve_shared(p, rq, now)) {
		rq->facts.units = petition_units(p, rq->target.server, rq->msg, rq->facts.has_oscore, now);
		v = guard_check(p->guard, &rq->facts, now);
		tap(p, rq, &v, now);
		if (p->cfg.policy.dry_run)
			v = spared(v);
		act(p, rq, &v, now);
	}
	if (rq->view.deregister) /* whatever came of it */
		opening_leave(p, rq, now);
}

/* What rq->msg says, and for whom it is. */
static void look(struct proxy *p, struct request *rq)
{
	classify_request(&rq->view, rq->msg);
	if (rq->view.defect != DEFECT_NONE)
		return;
	rq->target = target_resolve(&p->cfg, &rq->view, rq->listen, &rq->from->local, rq->layers.n > 0);
	if (rq->target.server != PROXY_NO_SERVER)
		facts_gather(p, rq);
}

/* --- our own layers: the loop of draft-ietf-core-oscore-capable-proxies-07 §2.4, whose steps are numbered ---------- */

/* Rooms for what is inside, and inside that; the next layer is opened into the other one. */
struct unwrapping {
	struct oscore_room rooms[2];
	struct msg msgs[2];
	uint32_t peer;    /* whose context is tried: its place, or PEERS_NOBODY with a decoy */
	enum fault fault; /* why the last layer did not come off; FAULT_COUNT: no reason */
};

/* Step 5: as far as can be seen it is for us: nothing names a server, or one that wants a layer off first. */
static bool is_local(const struct proxy *p, const struct request *rq)
{
	const struct target *t = &rq->target;

	if (t->server == PROXY_NO_SERVER)
		return t->code == MSG_NOT_FOUND;
	if (t->by_default)
		return true;
	return rq->layers.n == 0 &&
	       (p->cfg.servers[t->server].require_layer || p->cfg.policy.servers[t->server].mode == MODE_FULL);
}

static bool waits_for_reset(const struct proxy *p, const struct oscore_context *c)
{
	return !c->synced && p->cfg.contexts[oscore_store_place(p->contexts, c)].refuse_unsynced;
}

/*
 * A stranger must not learn which kids there are, so one that nobody has is tried with a decoy. Where there is a server for what is not ours,
 * such kids are that server's clients, whose requests are none of this.
 */
static bool wants_decoy(const struct request *rq)
{
	return rq->layers.n == 0 && rq->target.server == PROXY_NO_SERVER;
}

static struct oscore_context *find_context(struct proxy *p, const struct request *rq, struct unwrapping *u)
{
	const struct oscore_option *o = &rq->view.option;
	struct oscore_claim is = oscore_store_claim(p->contexts, &rq->from->remote, o->kid, o->kid_context);

	if (is.context && waits_for_reset(p, is.context)) /* no decoy does */
		is = (struct oscore_claim){ oscore_store_stand_in(p->contexts, is.context), OSCORE_NOWHERE };
	u->peer = is.place < PEERS_NOBODY ? is.place : PEERS_NOBODY;
	return wants_decoy(rq) || u->peer != PEERS_NOBODY ? is.context : NULL;
}

/* Step 6: the context it claims to be under; NULL: none of ours. A combined request (RFC 9668) needs EDHOC, which is not built. */
static struct oscore_context *claimed(struct proxy *p, const struct request *rq, struct unwrapping *u)
{
	const struct oscore_option *o = &rq->view.option;

	if (!rq->view.oscore.ptr || rq->view.edhoc || !is_local(p, rq) || u->fault != FAULT_COUNT)
		return NULL;
	if (rq->view.unreadable || o->group || !o->kid.ptr || !o->piv.ptr)
		return NULL;
	return find_context(p, rq, u);
}

/* A decryption is cheap, but not for everybody and for ever. */
static bool may_try(struct proxy *p, struct request *rq, uint32_t peer, bool *proven, tstamp now)
{
	*proven = false;
	if (rq->layers.n)
		return true;
	rq->facts.client = rq->from->remote;
	rq->facts.listener = rq->from->local;
	rq->facts.echo = rq->view.echo;
	rq->facts.endpoint = rq->flow;
	if (guard_may_try(p->guard, &rq->facts, peer, proven, now))
		return true;
	count_refusal(p, rq, FAULT_KEY_RATE, now);
	if (may_answer(p, rq, now))
		ask_for_proof(p, rq, now);
	return false;
}

static void book(struct proxy *p, const struct request *rq, const struct unwrapping *u, struct oscore_context *c,
		 enum oscore_result r, bool proven, tstamp now)
{
	if (rq->layers.n)
		return;
	/* while the window is lost, what is authentic may be old, and who sent it is anybody; and so is who repeats it */
	guard_tried(p->guard, &rq->facts, u->peer, r == OSCORE_OK, now);
	if (r == OSCORE_INVALID && proven)
		c->counters.proven_failed++;
}

/* What could not be taken off, and why. */
static enum fault failed(const struct unwrapping *u, enum oscore_result r)
{
	if (u->peer == PEERS_NOBODY)
		return FAULT_NO_CONTEXT;
	return r == OSCORE_REPLAYED ? FAULT_REPLAY : FAULT_NOT_AUTHENTIC;
}

/*
 * The window was lost. What is authentic may be old then, and its sender anybody: he is answered as a stranger is, and not so often that the
 * sequence numbers run away.
 */
static void ask_for_echo(struct proxy *p, const struct request *rq, const struct oscore_context *c, tstamp now)
{
	bool stranger = rq->layers.n == 1;

	count_refusal(p, rq, FAULT_UNSYNCED, now);
	if (stranger && !may_answer_stranger(p, rq, now))
		return;
	if (!stranger || guard_may_echo(p->guard, &rq->facts, oscore_store_place(p->contexts, c), now))
		reply_echo(p, &rq->reply, bytes_of(c->challenge, OSCORE_CHALLENGE), now);
	else
		ask_for_proof(p, rq, now);
}

/* True: the request is now what was inside, or not ours after all (then u->fault says why). False: answered. */
static bool unwrap_one(struct proxy *p, struct request *rq, struct unwrapping *u, struct oscore_context *c, tstamp now)
{
	unsigned turn = rq->layers.n & 1;
	struct oscore_request remembered;
	enum oscore_result r;
	bool proven;

	if (rq->layers.n >= p->cfg.max_layers) {
		refuse(p, rq, MSG_UNAUTHORIZED, FAULT_LAYERS, now);
		return false;
	}
	if (!may_try(p, rq, u->peer, &proven, now))
		return false;
	r = oscore_unprotect_request(c, rq->msg, &rq->view.option, &u->rooms[turn], &u->msgs[turn], &remembered);
	book(p, rq, u, c, r, proven, now);
	if ((r != OSCORE_OK && r != OSCORE_UNSYNCED) || u->peer == PEERS_NOBODY) {
		u->fault = failed(u, r);
		return true;
	}
	layers_push(&rq->layers, p->contexts, c, &remembered);
	rq->msg = rq->reply.msg = &u->msgs[turn];
	if (r == OSCORE_UNSYNCED) {
		ask_for_echo(p, rq, c, now);
		return false;
	}
	if (rq->msg->n_options > p->cfg.max_options) {
		refuse(p, rq, MSG_BAD_REQUEST, FAULT_OPTIONS, now);
		return false;
	}
	look(p, rq);
	return !is_faulty(p, rq, now);
}

/* What is under nobody's kid counts as a forgery under one of ours does: it must not show which it was. True: as many were tried as may be. */
static bool tries_too_much(struct proxy *p, struct request *rq, const struct unwrapping *u, tstamp now)
{
	bool proven;

	if (rq->layers.n || u->fault != FAULT_COUNT)
		return false;
	if (!may_try(p, rq, PEERS_NOBODY, &proven, now))
		return true;
	guard_tried(p->guard, &rq->facts, PEERS_NOBODY, false, now);
	return false;
}

/* Step 5 or 6 ended: there is no server, no application, or no context. */
static void refuse_local(struct proxy *p, struct request *rq, const struct unwrapping *u, tstamp now)
{
	enum fault why = u->fault == FAULT_COUNT ? FAULT_NO_CONTEXT : u->fault;

	if (!rq->view.oscore.ptr || rq->target.code != MSG_NOT_FOUND || !p->has_contexts) {
		refuse(p, rq, rq->target.code, FAULT_NO_TARGET, now);
	} else if (rq->view.unreadable) {
		refuse(p, rq, MSG_BAD_OPTION, FAULT_BAD_OPTION, now);
	} else if (!tries_too_much(p, rq, u, now)) {
		count_refusal(p, rq, why, now);
		if (may_answer(p, rq, now))
			reply_oscore_error(p, &rq->reply, p->cfg.precise_errors ? why : FAULT_NO_CONTEXT, now);
	}
}

/* Step 4: the last context that came off says whom its holder may reach. */
static bool is_authorized(const struct proxy *p, const struct request *rq)
{
	const struct layers *l = &rq->layers;

	return l->n == 0 || p->cfg.contexts[l->off[l->n - 1].context].servers >> rq->target.server & 1;
}

/* A layer that did not come off may be the server's own, under a kid that is ours, too; or its sender has the wrong key, and asks why. */
static void judge_unopened(struct proxy *p, struct request *rq, const struct unwrapping *u, tstamp now)
{
	if (u->fault != FAULT_COUNT)
		core_remember(p, &rq->from->remote, rq->target.server, u->fault, now);
	judge(p, rq, now);
}

static void unwrap(struct proxy *p, struct request *rq, tstamp now)
{
	struct unwrapping u;
	struct oscore_context *c;

	u.fault = FAULT_COUNT;
	while ((c = claimed(p, rq, &u)))
		if (!unwrap_one(p, rq, &u, c, now))
			return;
	if (rq->target.server == PROXY_NO_SERVER)
		refuse_local(p, rq, &u, now);
	else if (!is_authorized(p, rq))
		refuse(p, rq, MSG_UNAUTHORIZED, FAULT_UNAUTHORIZED, now);
	else
		judge_unopened(p, rq, &u, now);
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
	rq->layers.n = 0;
	rq->reply = (struct reply_to){ from, m, rq->flow, rq->dedup, &rq->layers };
	dedup_prefetch(p->dedup, rq->dedup);
	look(p, rq);
	if (rq->view.defect != DEFECT_NONE)
		return;
	if (p->has_contexts && rq->view.oscore.ptr)
		oscore_store_prefetch(p->contexts, &from->remote, rq->view.option.kid, rq->view.option.kid_context);
	if (rq->target.server != PROXY_NO_SERVER)
		guard_identify(p->guard, &rq->facts);
}

void request_handle(struct proxy *p, struct request *rq, tstamp now)
{
	if (absorb_duplicate(p, rq, now) || is_faulty(p, rq, now))
		return;
	if (rq->target.server == PROXY_NO_SERVER || (p->has_contexts && rq->view.oscore.ptr && is_local(p, rq)))
		unwrap(p, rq, now);
	else
		judge(p, rq, now);
}

void request_resume(struct proxy *p, const struct path *from, tstamp now)
{
	struct path path;
	struct dgram *d = holds_take(p, guard_flow(p->guard, &from->remote), &path, now);
	struct request rq;
	struct msg m;

	if (!d)
		return;
	if (msg_parse(&m, dgram_bytes(d)) == MSG_OK) {
		request_prepare(p, &rq, &path, dgram_bytes(d), &m);
		request_handle(p, &rq, now);
	}
	dgram_give(&p->pool, d);
}

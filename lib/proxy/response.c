#include "proxy/response.h"
#include "coap/option.h"
#include "proxy/classify.h"
#include "proxy/ending.h"
#include "proxy/errand.h"
#include "proxy/reply.h"
#include "proxy/share.h"
#include "proxy/upstream.h"

static uint8_t server_at(const struct proxy *p, const struct addr *remote)
{
	for (uint8_t i = 0; i < p->cfg.places; i++)
		if (p->cfg.policy.servers[i].present && addr_equal(&p->cfg.servers[i].address, remote))
			return i;
	return PROXY_NO_SERVER;
}

static void acknowledged(struct proxy *p, uint8_t server, uint16_t mid, tstamp now)
{
	struct exchange *x = exchange_by_up_mid(&p->exchanges, server, mid);

	if (!x || x->state != EXCHANGE_SENT)
		return;
	exchange_set_state(&p->exchanges, x, EXCHANGE_ACKED);
	upstream_settled(p, x, now);
	x->device_at = core_until(x);
	exchange_arm(&p->exchanges, x);
}

/* Wrong resets in a device's name, after which a right one may be a guess. It is sent again when our request is. */
#define WRONG_RESETS     ((struct rate){ 8, TSTAMP_MIN })
#define WRONG_RESETS_MAX 8

static void reset(struct proxy *p, uint8_t server, uint16_t mid, tstamp now)
{
	struct exchange *x = exchange_by_up_mid(&p->exchanges, server, mid);
	struct bucket *wrong = &p->wrong_resets[server];

	if (!x || (x->state != EXCHANGE_SENT && x->state != EXCHANGE_ACKED))
		bucket_take(wrong, WRONG_RESETS, WRONG_RESETS_MAX, 1, now);
	else if (bucket_wait(wrong, WRONG_RESETS, WRONG_RESETS_MAX, 1, now) == 0)
		ending_failed(p, x, MSG_BAD_GATEWAY, FAULT_DEVICE_RESET, now);
}

static struct exchange *match(const struct proxy *p, uint8_t server, const struct msg *m)
{
	struct exchange *x = exchange_by_token(&p->exchanges, server, m->token);

	/* a piggybacked response carries our Message ID, too (RFC 7252 §5.3.2); a second copy is no notification */
	if (x && m->type == MSG_ACK && (x->up_mid != m->mid || x->state == EXCHANGE_OBSERVING))
		return NULL;
	return x && x->state >= EXCHANGE_SENT && x->state != EXCHANGE_ANSWERED && x->state != EXCHANGE_GATHERING ? x
														 : NULL;
}

/* In the place of a keyed hash: servers and channels are ours to number. */
static uint64_t speaker(uint8_t server, enum path_channel channel)
{
	return 1ULL << 40 | (uint64_t)server << 8 | channel;
}

/* Acknowledges a CON of the device. False: seen before, and acknowledged again. */
static bool acknowledge(struct proxy *p, uint8_t server, enum path_channel channel, const struct msg *m, tstamp now)
{
	const struct retransmit_params *params = &core_link(p, server)->retransmit;
	uint64_t key = dedup_key(speaker(server, channel), m->mid, m->token);
	struct bytes reply;
	uint32_t ref;

	upstream_empty(p, server, channel, MSG_ACK, m->mid, now);
	if (dedup_find(p->dedup, key, now, &ref, &reply) != DEDUP_NEW)
		return false;
	dedup_open(p->dedup, key, EXCHANGE_NONE, tstamp_add(now, retransmit_exchange_lifetime(params)));
	return true;
}

/* When an observation ends by itself: the last word soon, one whose client proves nothing soon, too. */
static void set_end(struct proxy *p, struct exchange *x, bool last, bool was_held, tstamp now)
{
	bool stranger = x->subject != EXCHANGE_NONE && !x->proven && !x->layers.n && !core_is_reached(p, x, now);

	if (last || (exchange_is_held(x) && !was_held) || (stranger && x->state == EXCHANGE_OBSERVING && !was_held))
		x->device_at = tstamp_add(now, PROXY_PATIENCE);
	else if (!exchange_is_held(x))
		x->device_at = tstamp_add(now, PROXY_OBSERVATION);
	exchange_arm(&p->exchanges, x);
}

/* What the first response says about the client: who holds the key asked for it, so one answer per Partial IV may go there. */
static void account(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	x->accepted = ending_report(p, x, classify_response(m, x->has_oscore), now);
	x->proven |= x->accepted;
	upstream_settled(p, x, now);
}

/*
 * So that a relation that moved can settle there, and that notifications may go there: after a large answer its client is not asked
 * any more (I3).
 */
static bool wants_ping(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return !guard_knows(p->guard, &x->client.remote, x->flow, now) ||
	       (x->observe && !guard_reaches(p->guard, &x->client.remote, x->flow, now));
}

static void deliver_first(struct proxy *p, struct exchange *x, const struct msg *m, bool observing, tstamp now)
{
	reply_forward(p, x, m, m->type == MSG_CON, now);
	if (x->accepted && wants_ping(p, x, now) && guard_may_reply(p->guard, &x->client.remote, now)) {
		x->bytes_out += 4 + PROXY_FRAME;
		reply_ping(p, &x->client, now);
	}
	if (x->observe && observing && MSG_CLASS(m->code) == 2) {
		exchange_set_state(&p->exchanges, x, EXCHANGE_OBSERVING);
		x->con_at = now;
		set_end(p, x, false, false, now);
	} else if (x->down) {
		exchange_set_state(&p->exchanges, x, EXCHANGE_ANSWERED);
	} else {
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
	}
}

static void notify(struct proxy *p, struct exchange *x, const struct msg *m, bool observing, tstamp now)
{
	bool last = !observing || MSG_CLASS(m->code) != 2, was_held = exchange_is_held(x);

	x->proven = false; /* a registration proves one answer, not a stream of them */
	reply_forward(p, x, m, m->type == MSG_CON, now);
	if (last && !x->down) {
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
		return;
	}
	if (last)
		exchange_set_state(&p->exchanges, x, EXCHANGE_ANSWERED);
	set_end(p, x, last, was_held, now);
}

void response_deliver(struct proxy *p, struct exchange *x, const struct msg *m, bool observing, tstamp now)
{
	if (x->state == EXCHANGE_OBSERVING)
		notify(p, x, m, observing, now);
	else
		deliver_first(p, x, m, observing, now);
}

static void unmatched(struct proxy *p, uint8_t server, enum path_channel channel, const struct msg *m, bool observing,
		      tstamp now)
{
	struct bytes reply;
	uint32_t ref;

	/* an observation that is being renewed, and not under way yet: not wanted now, but not to be ended */
	if (exchange_by_token(&p->exchanges, server, m->token) && observing) {
		if (m->type == MSG_CON)
			upstream_empty(p, server, channel, MSG_ACK, m->mid, now);
		return;
	}
	core_count(p, FAULT_UNASKED);
	/* "acknowledge each duplicate copy of a Confirmable message using the same Acknowledgement" (RFC 7252 §4.2) */
	if (m->type == MSG_CON &&
	    dedup_find(p->dedup, dedup_key(speaker(server, channel), m->mid, m->token), now, &ref, &reply) != DEDUP_NEW)
		upstream_empty(p, server, channel, MSG_ACK, m->mid, now);
	else if (m->type == MSG_CON || (m->type == MSG_NON && observing)) /* ends an observation nobody wants */
		upstream_empty(p, server, channel, MSG_RESET, m->mid, now);
}

/* Whoever puts layers on a response must know each of its options (draft-ietf-core-oscore-capable-proxies-07 §2.2). */
static bool can_carry(const struct exchange *x, const struct msg *m)
{
	return x->layers.n == 0 || option_knows_all(m);
}

static bool observes(const struct msg *m)
{
	struct msg_option observe;

	return msg_find(m, OPTION_OBSERVE, &observe);
}

/* m is all there is, or all that fits. */
static void conclude(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	if (x->own) {
		share_tell(p, x, m, observes(m), now);
		return;
	}
	if (x->keyed)
		share_keep(p, x, m, now);
	response_deliver(p, x, m, observes(m), now);
}

/* The rest is waited for; notifications may come meanwhile where there are any. */
static void await_rest(struct proxy *p, struct exchange *x)
{
	if (x->state == EXCHANGE_OBSERVING)
		return;
	x->device_at = tstamp_add(x->opened, PROXY_PATIENCE);
	exchange_arm(&p->exchanges, x);
}

static bool is_forwardable(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	bool observing;

	if (classify_response_forwardable(m, &observing) && can_carry(x, m))
		return true;
	ending_failed(p, x, MSG_BAD_GATEWAY, FAULT_UNFORWARDABLE, now);
	return false;
}

static void settle(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	if (!is_forwardable(p, x, m, now))
		return;
	if (x->state != EXCHANGE_OBSERVING)
		account(p, x, m, now);
	if (errand_begin(p, x, m, now))
		await_rest(p, x);
	else
		conclude(p, x, m, now);
}

/* The next hop lost its window and asks whether we are of today: not the client's business (RFC 8613 B.1.2). */
static bool repeated(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	struct msg_option echo;

	return m->code == MSG_UNAUTHORIZED && msg_find(m, OPTION_ECHO, &echo) && upstream_repeat(p, x, echo.value, now);
}

/*
 * Anybody on the way may have sent it, and nobody may end an exchange by that. The true answer is waited for, but not for long: a next
 * hop that has lost its key can only answer so.
 */
static void doubt(struct proxy *p, struct exchange *x, tstamp now)
{
	core_count(p, FAULT_UNPROTECTED);
	if (x->doubted || x->state == EXCHANGE_OBSERVING)
		return;
	x->doubted = now;
	x->device_at = tstamp_min(x->device_at, core_until(x));
	exchange_arm(&p->exchanges, x);
}

/*
 * Our layer comes off first. What does not bear it says nothing about the server, and is not passed on as if it did. False: nobody
 * with our key sent it, and nothing happened.
 */
static bool settle_layered(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	struct oscore_option option;
	struct oscore_room room;
	struct msg_option value;
	struct msg inside;

	if (!msg_find(m, OPTION_OSCORE, &value) || oscore_option_parse(&option, value.value) != OSCORE_OPTION_OK ||
	    layers_remove(&x->up_layer, p->contexts, m, &option, &room, &inside) != OSCORE_OK) {
		core_count(p, FAULT_NOT_AUTHENTIC); /* as if it had never come (RFC 8613 §8.4) */
		return false;
	}
	if (repeated(p, x, &inside, now))
		return true;
	if (!x->own) { /* which may want it again */
		dgram_give(&p->pool, x->bare);
		x->bare = NULL;
	}
	if (!is_forwardable(p, x, &inside, now))
		return true;
	if (x->state != EXCHANGE_OBSERVING)
		account(p, x, &inside, now);
	conclude(p, x, &inside, now);
	return true;
}

/* False: nobody with our key sent it. What does not even claim to be of the next hop begins nothing. */
static bool receive_layered(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	struct msg_option value;

	if (!msg_find(m, OPTION_OSCORE, &value)) {
		doubt(p, x, now);
		return false;
	}
	if (!errand_begin(p, x, m, now))
		return settle_layered(p, x, m, now);
	if (x->state != EXCHANGE_OBSERVING) /* whose end stays where it was */
		upstream_settled(p, x, now);
	await_rest(p, x);
	return true;
}

/* What was gathered is told as if it had come at once, and nothing more is fetched. */
static void tell_gathered(struct proxy *p, struct exchange *x, tstamp now)
{
	uint32_t ref = exchange_ref(&p->exchanges, x);
	struct msg whole;

	if (msg_parse(&whole, dgram_bytes(x->pieces.gathered)) == MSG_OK) {
		if (x->has_layer)
			settle_layered(p, x, &whole, now);
		else
			conclude(p, x, &whole, now);
	}
	x = exchange_by_ref(&p->exchanges, ref);
	if (x)
		errand_end(p, x, now);
}

static void fetched(struct proxy *p, struct exchange *e, const struct msg *m, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, e->parent);

	switch (errand_answered(p, e, m, now)) {
	case PIECES_PARTLY: break;
	case PIECES_WHOLE: tell_gathered(p, x, now); break;
	case PIECES_BROKEN:
		errand_end(p, x, now);
		if (x->state == EXCHANGE_GATHERING)
			ending_failed(p, x, MSG_BAD_GATEWAY, FAULT_BROKEN_BLOCKS, now);
		break;
	}
}

/* A piggybacked response is one that every client understands: libcoap 4.3.4 takes the first of several blocks in no other. */
bool response_hasten(struct proxy *p, struct exchange *x, tstamp now)
{
	struct exchange *asks = x->subject == EXCHANGE_NONE ? x : exchange_by_ref(&p->exchanges, x->subject);

	if (asks->state != EXCHANGE_GATHERING || !pieces_stop(&asks->pieces))
		return false;
	tell_gathered(p, asks, now);
	return true;
}

/* The response, or what stands for it. */
static void received(struct proxy *p, struct exchange *x, enum path_channel channel, const struct msg *m, tstamp now)
{
	uint8_t server = x->server;

	if (!x->has_layer)
		settle(p, x, m, now);
	else if (!receive_layered(p, x, m, now)) /* the true one is no duplicate of it */
		dedup_forget(p->dedup, dedup_key(speaker(server, channel), m->mid, m->token));
}

static void answered(struct proxy *p, uint8_t server, enum path_channel channel, const struct msg *m, tstamp now)
{
	struct exchange *x = match(p, server, m);

	if (!x) {
		unmatched(p, server, channel, m, observes(m), now);
		return;
	}
	if (m->type == MSG_CON && !acknowledge(p, server, channel, m, now))
		return;
	if (x->parent != EXCHANGE_NONE) {
		fetched(p, x, m, now);
		return;
	}
	switch (upstream_continue(p, x, m, now)) {
	case UPSTREAM_ANSWERED: received(p, x, channel, m, now); break;
	case UPSTREAM_GOES_ON: break;
	case UPSTREAM_REFUSED: ending_refused(p, x, now); break;
	}
}

void response_receive(struct proxy *p, const struct path *from, const struct msg *m, tstamp now)
{
	enum path_channel channel = from->local.port == CHANNEL_OSCORE ? CHANNEL_OSCORE : CHANNEL_PLAIN;
	uint8_t server = server_at(p, &from->remote);

	if (server == PROXY_NO_SERVER) {
		core_count(p, FAULT_UNASKED);
		return;
	}
	upstream_heard(p, server, now);
	if (m->code == MSG_EMPTY) {
		if (m->type == MSG_ACK)
			acknowledged(p, server, m->mid, now);
		else if (m->type == MSG_RESET)
			reset(p, server, m->mid, now);
		else if (m->type == MSG_CON) /* a ping */
			upstream_empty(p, server, channel, MSG_RESET, m->mid, now);
	} else if (msg_is_response(m) && m->type != MSG_RESET) {
		answered(p, server, channel, m, now);
	} else {
		core_count(p, FAULT_CODE);
		if (m->type == MSG_CON) /* requests of devices are not forwarded yet */
			upstream_empty(p, server, channel, MSG_RESET, m->mid, now);
	}
}

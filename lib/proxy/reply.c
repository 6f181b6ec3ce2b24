#include "proxy/reply.h"
#include "coap/option.h"
#include "proxy/location.h"
#include "proxy/share.h"
#include <stdio.h>

#define DEFAULT_MAX_AGE 60 /* RFC 7252 §5.10.5: not written */
#define PING_FRAME      (4 + PROXY_FRAME)
#define CON_EVERY       8                  /* notifications: at most so many unacknowledged ones in a row */
#define CON_AFTER       (23 * TSTAMP_HOUR) /* and a CON at least every 24 h (RFC 7641 §4.5) */

static uint16_t next_mid(struct proxy *p, uint64_t flow)
{
	return p->down_mids[flow % (sizeof p->down_mids / sizeof *p->down_mids)]++;
}

static struct dgram *blank(struct proxy *p, const struct path *to)
{
	struct dgram *d = dgram_take(&p->pool);

	if (!d) {
		core_count(p, FAULT_NO_ROOM);
		return NULL;
	}
	d->to = *to;
	d->owner = DGRAM_UNOWNED;
	d->queued = false;
	d->len = 0;
	return d;
}

static void send(struct proxy *p, struct dgram *d, struct bytes end)
{
	if (end.len == 0) {
		dgram_give(&p->pool, d);
		return;
	}
	d->len = (uint16_t)end.len;
	list_append(&p->outbox, &d->link);
}

/* A copy of what x keeps for retransmission. */
static void send_copy(struct proxy *p, const struct dgram *kept)
{
	struct dgram *d = blank(p, &kept->to);

	if (d) {
		memcpy(d->buf, kept->buf, kept->len);
		send(p, d, bytes_of(d->buf, kept->len));
	}
}

/* ACK with the request's Message ID to a CON, NON with one of ours to a NON: never a separate CON (RFC 9175 §2.4). */
static struct dgram *begin(struct proxy *p, const struct reply_to *to, uint8_t code, struct msgbuf *b)
{
	struct dgram *d = blank(p, to->from);
	bool con = to->msg->type == MSG_CON;

	if (d)
		msgbuf_begin(b, d->buf, DGRAM_MAX, con ? MSG_ACK : MSG_NON, code,
			     con ? to->msg->mid : next_mid(p, to->flow), to->msg->token);
	return d;
}

/*
 * Puts the request's layers on. What a layer's holder is told is remembered: to him who asks the same again we could say only that his
 * Partial IV was seen before.
 */
static bool protect(struct proxy *p, const struct reply_to *to, struct dgram *d, tstamp now)
{
	if (to->layers->n == 0)
		return true;
	if (layers_protect(to->layers, p->contexts, d) != OSCORE_OK) {
		core_count(p, FAULT_UNPROTECTABLE);
		return false;
	}
	dedup_open(p->dedup, to->dedup, EXCHANGE_NONE,
		   tstamp_add(now, retransmit_exchange_lifetime(&retransmit_defaults)));
	dedup_answer(p->dedup, to->dedup, dgram_bytes(d));
	return true;
}

static void finish(struct proxy *p, const struct reply_to *to, struct dgram *d, const struct msgbuf *b, tstamp now)
{
	struct bytes end = msgbuf_end(b);

	d->len = (uint16_t)end.len;
	if (end.len && protect(p, to, d, now))
		send(p, d, dgram_bytes(d));
	else
		dgram_give(&p->pool, d);
}

void reply_error(struct proxy *p, const struct reply_to *to, uint8_t code, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, code, &b);

	if (d)
		finish(p, to, d, &b, now);
}

void reply_oscore_error(struct proxy *p, const struct reply_to *to, enum fault why, tstamp now)
{
	const char *text = why == FAULT_REPLAY          ? "Replay detected"
			   : why == FAULT_NOT_AUTHENTIC ? "Decryption failed"
							: "Security context not found";
	struct msgbuf b;
	struct dgram *d = begin(p, to, why == FAULT_NOT_AUTHENTIC ? MSG_BAD_REQUEST : MSG_UNAUTHORIZED, &b);

	if (!d)
		return;
	msgbuf_option_uint(&b, OPTION_MAX_AGE, 0);
	msgbuf_payload(&b, bytes_of(text, strlen(text)));
	finish(p, to, d, &b, now);
}

bool reply_known(struct proxy *p, const struct reply_to *to, const struct share_hit *what, const struct block *ask,
		 size_t limit, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, what->confirmed ? MSG_VALID : what->what.head.code, &b);

	if (!d)
		return true;
	if (what->confirmed)
		representation_confirm(&what->what, what->max_age, &b);
	else
		representation_write(&what->what, ask, REPRESENTATION_UNOBSERVED, what->max_age, &b);
	if (msgbuf_end(&b).len > limit) {
		dgram_give(&p->pool, d);
		return false;
	}
	finish(p, to, d, &b, now);
	return true;
}

void reply_echo(struct proxy *p, const struct reply_to *to, struct bytes echo, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, MSG_UNAUTHORIZED, &b);

	if (!d)
		return;
	msgbuf_option(&b, OPTION_ECHO, echo);
	finish(p, to, d, &b, now);
}

void reply_hop_limit(struct proxy *p, const struct reply_to *to, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, MSG_HOP_LIMIT, &b);

	if (!d)
		return;
	msgbuf_payload(&b, bytes_of(p->cfg.name, strlen(p->cfg.name))); /* names the proxy (RFC 8768 §4) */
	finish(p, to, d, &b, now);
}

static void add_echo(struct proxy *p, const struct reply_to *to, struct msgbuf *b, tstamp now)
{
	uint8_t echo[ECHO_LEN];

	guard_echo(p->guard, &to->from->remote, &to->from->local, now, echo);
	msgbuf_option(b, OPTION_ECHO, bytes_of(echo, sizeof echo));
}

void reply_challenge(struct proxy *p, const struct reply_to *to, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, MSG_UNAUTHORIZED, &b);

	if (!d)
		return;
	add_echo(p, to, &b, now);
	finish(p, to, d, &b, now);
}

void reply_throttle(struct proxy *p, const struct reply_to *to, uint32_t max_age, bool echo, tstamp now)
{
	struct msgbuf b;
	struct dgram *d = begin(p, to, MSG_TOO_MANY_REQUESTS, &b);

	if (!d)
		return;
	msgbuf_option_uint(&b, OPTION_MAX_AGE, max_age);
	if (echo)
		add_echo(p, to, &b, now);
	finish(p, to, d, &b, now);
}

static void send_empty(struct proxy *p, const struct path *to, uint8_t type, uint16_t mid)
{
	struct dgram *d = blank(p, to);
	struct msgbuf b;

	if (!d)
		return;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, type, MSG_EMPTY, mid, bytes_of(NULL, 0));
	send(p, d, msgbuf_end(&b));
}

void reply_ping(struct proxy *p, const struct path *client, tstamp now)
{
	send_empty(p, client, MSG_CON, guard_ping(p->guard, &client->remote, &client->local, now));
}

void reply_ping_later(struct proxy *p, const struct path *client, tstamp now)
{
	for (unsigned i = 0; i < PROXY_PINGS; i++)
		if (p->pings[i].at == 0) {
			p->pings[i] = (struct proxy_ping){ *client, tstamp_add(now, PROXY_PING_GAP) };
			p->next_ping = tstamp_min(p->next_ping, p->pings[i].at);
			return;
		}
}

void reply_pings_due(struct proxy *p, tstamp now)
{
	if (!tstamp_reached(p->next_ping, now))
		return;
	p->next_ping = TSTAMP_NEVER;
	for (unsigned i = 0; i < PROXY_PINGS; i++) {
		struct proxy_ping *ping = &p->pings[i];

		if (ping->at && tstamp_reached(ping->at, now)) {
			reply_ping(p, &ping->to, now);
			ping->at = 0;
		} else if (ping->at) {
			p->next_ping = tstamp_min(p->next_ping, ping->at);
		}
	}
}

void reply_reset(struct proxy *p, const struct path *from, uint16_t mid)
{
	send_empty(p, from, MSG_RESET, mid);
}

void reply_again(struct proxy *p, const struct path *from, struct bytes reply)
{
	struct dgram *d = blank(p, from);

	if (!d)
		return;
	memcpy(d->buf, reply.ptr, reply.len);
	send(p, d, bytes_of(d->buf, reply.len));
}

void reply_acknowledge(struct proxy *p, struct exchange *x)
{
	x->acked = true;
	send_empty(p, &x->client, MSG_ACK, x->client_mid);
}

/* The header towards x's client: piggybacked as long as that is possible, else a message of its own. */
static void begin_for(struct proxy *p, struct exchange *x, uint8_t code, bool confirmable, struct dgram *d,
		      struct msgbuf *b)
{
	bool piggyback = x->client_type == MSG_CON && !x->acked && x->state != EXCHANGE_OBSERVING;
	uint16_t mid = x->client_mid;

	/* that of a CON is random: its acknowledgement proves return-routability as a pong does */
	if (!piggyback)
		mid = confirmable ? (uint16_t)rng_u64(p->rng) : next_mid(p, x->flow);
	msgbuf_begin(b, d->buf, DGRAM_MAX,
		     piggyback     ? MSG_ACK
		     : confirmable ? MSG_CON
				   : MSG_NON,
		     code, mid, exchange_client_token(x));
}

static bool is_confirmable(const struct dgram *d)
{
	return (d->buf[0] >> 4 & 3) == MSG_CON;
}

/* Keeps d for retransmission and starts the client's timer. */
static void expect_ack(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	x->down = d;
	x->unacknowledged = true;
	x->client_at =
		tstamp_add(now, retransmit_start(&x->down_timer, &retransmit_defaults, (uint32_t)rng_u64(p->rng)));
	exchange_arm(&p->exchanges, x);
	send_copy(p, d);
}

static void count_answer(struct proxy *p, const struct exchange *x)
{
	unsigned class = MSG_CLASS(x->code);

	p->answered[x->server][class == 2 ? 0 : class == 4 ? 1 : 2]++;
}

static void deliver(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	if ((d->buf[0] >> 4 & 3) != MSG_ACK && !exchange_awaits_ack(x)) { /* what the client may acknowledge or reset */
		exchange_set_down_mid(&p->exchanges, x, (uint16_t)(d->buf[2] << 8 | d->buf[3]));
		x->unacknowledged = false;
	}
	if (x->dedup) {
		/* a second copy of the request is answered with the same bytes (RFC 7252 §4.2) */
		dedup_answer(p->dedup, x->dedup, dgram_bytes(d));
		x->dedup = 0;
	}
	x->ack_at = TSTAMP_NEVER;
	if (!core_is_reached(p, x, now)) /* what went with a proof must not keep a ping from him when that is over */
		x->bytes_out += (uint32_t)d->len + PROXY_FRAME;
	count_answer(p, x);
	if (is_confirmable(d))
		expect_ack(p, x, d, now);
	else
		send(p, d, dgram_bytes(d));
}

/* What an unproven address may get: small, and three times what came from it (I3). */
static bool may_amplify(const struct proxy *p, const struct exchange *x, size_t len, tstamp now)
{
	if (x->proven || core_is_reached(p, x, now))
		return true;
	return len <= PROXY_UNPROVEN && x->bytes_out + len + PROXY_FRAME <= 3 * x->bytes_in;
}

void reply_discard(struct proxy *p, struct exchange *x)
{
	if (exchange_is_held(x))
		p->holding--;
	dgram_give(&p->pool, x->down);
	x->down = NULL;
	x->client_at = TSTAMP_NEVER;
}

void reply_ask(struct proxy *p, struct exchange *x, tstamp now)
{
	if (x->bytes_out + PING_FRAME > 3 * x->bytes_in || !guard_may_reply(p->guard, &x->client.remote, now))
		return;
	x->bytes_out += PING_FRAME;
	reply_ping(p, &x->client, now);
}

static void hold(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	core_count(p, FAULT_UNPROVEN);
	x->down = d;
	p->holding++;
	if (x->state != EXCHANGE_OBSERVING) {
		exchange_set_state(&p->exchanges, x, EXCHANGE_ANSWERED);
		x->device_at = tstamp_add(x->opened, PROXY_PATIENCE);
		exchange_arm(&p->exchanges, x);
	}
	if (x->client.remote.port >= 1024)
		reply_ask(p, x, now);
}

/* The whole plain message in d: its layers are put on, and it goes out, or waits for a proof. */
static void deliver_or_hold(struct proxy *p, struct exchange *x, struct dgram *d, struct bytes end, tstamp now)
{
	bool may;

	if (end.len == 0) {
		dgram_give(&p->pool, d);
		return;
	}
	d->len = (uint16_t)end.len;
	x->code = d->buf[1];
	if (layers_protect(&x->layers, p->contexts, d) != OSCORE_OK) {
		core_count(p, FAULT_UNPROTECTABLE);
		dgram_give(&p->pool, d);
		return;
	}
	may = may_amplify(p, x, d->len, now);
	if (!may || is_confirmable(d) || !exchange_awaits_ack(x))
		reply_discard(p, x);
	if (may)
		deliver(p, x, d, now);
	else
		hold(p, x, d, now);
}

void reply_failure(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, tstamp now)
{
	struct dgram *d = blank(p, &x->client);
	struct msgbuf b;

	if (!d)
		return;
	/* A last word about an observation comes as NON: nothing is kept for it. */
	begin_for(p, x, code, x->acked && x->state != EXCHANGE_OBSERVING && x->proven, d, &b);
	if (max_age != DEFAULT_MAX_AGE)
		msgbuf_option_uint(&b, OPTION_MAX_AGE, max_age);
	deliver_or_hold(p, x, d, msgbuf_end(&b), now);
}

/*
 * Now and then a NON notification goes as CON, to learn whether anybody still listens (RFC 7641 §4.5); and to somebody
 * who has proved nothing the first one does, since some clients acknowledge but know no ping.
 */
static bool wants_con(const struct proxy *p, struct exchange *x, bool confirmable, tstamp now)
{
	if (x->state != EXCHANGE_OBSERVING)
		return x->acked && x->proven; /* separate response to a CON */
	if (exchange_awaits_ack(x))
		return false;
	if (!confirmable && ++x->notified < CON_EVERY && tstamp_since(x->con_at, now) < CON_AFTER &&
	    may_amplify(p, x, DGRAM_MAX, now))
		return false;
	x->notified = 0;
	x->con_at = now;
	return true;
}

void reply_doubt(struct exchange *x)
{
	x->notified = CON_EVERY - 1;
}

static bool write_edited(const struct edits *e, const struct msg *response, struct msgbuf *b)
{
	if (e->n || e->lead) {
		edits_write(e, response, b);
		msgbuf_payload(b, response->payload);
	} else {
		msgbuf_rest(b, response);
	}
	return !b->failed;
}

/* What the layers of x will add at most. */
static size_t growth(const struct proxy *p, const struct exchange *x)
{
	size_t sum = 0;

	for (unsigned i = 0; i < x->layers.n; i++) {
		const struct oscore_context *c = layers_context(p->contexts, &x->layers.off[i]);

		sum += c ? layers_growth(c) : 0;
	}
	return sum;
}

/*
 * What the server made is told as x's client must ask for it; or, where that cannot be said, not at all: the option is elective, and what
 * was made is made, so no error may say otherwise.
 */
static bool copy_located(const struct proxy *p, const struct exchange *x, const struct msg *response, struct edits e,
			 struct msgbuf *b)
{
	const struct msgbuf begun = *b;
	size_t reserve = growth(p, x);
	struct edits moved = e;

	if (reserve <= b->cap - b->len && location_move(&moved, response, p->cfg.servers[x->server].uri_path)) {
		b->cap -= reserve;
		if (write_edited(&moved, response, b))
			return true;
		*b = begun;
	}
	location_drop(&e);
	return write_edited(&e, response, b);
}

/* Everything but what pieces of the link's and of the client's own make different, and the server's own paths. */
static bool copy(const struct proxy *p, const struct exchange *x, const struct msg *response, struct msgbuf *b)
{
	struct edits e = { .n = 0 };

	pieces_present(&x->pieces, response, &e);
	if (x->by_path && !x->has_oscore && location_is_told(response))
		return copy_located(p, x, response, e, b);
	return write_edited(&e, response, b);
}

void reply_forward(struct proxy *p, struct exchange *x, const struct msg *response, bool confirmable, tstamp now)
{
	struct dgram *d = blank(p, &x->client);
	struct msgbuf b;

	if (!d)
		return;
	begin_for(p, x, response->code, wants_con(p, x, confirmable, now), d, &b);
	if (!copy(p, x, response, &b)) {
		dgram_give(&p->pool, d);
		core_count(p, FAULT_NO_ROOM);
		return;
	}
	deliver_or_hold(p, x, d, msgbuf_end(&b), now);
}

bool reply_release(struct proxy *p, struct exchange *x, tstamp now)
{
	struct dgram *d = x->down;

	if (!exchange_is_held(x) || !may_amplify(p, x, d->len, now))
		return false;
	x->down = NULL;
	p->holding--;
	deliver(p, x, d, now);
	if (x->state == EXCHANGE_OBSERVING) {
		x->device_at = tstamp_add(now, PROXY_OBSERVATION);
		exchange_arm(&p->exchanges, x);
	}
	return x->state == EXCHANGE_ANSWERED && !x->down;
}

bool reply_acknowledged(struct proxy *p, struct exchange *x, tstamp now)
{
	if (!x->unacknowledged)
		return false;
	x->unacknowledged = false;
	x->listening |= guard_heard(p->guard, &x->client.remote, now);
	if (exchange_awaits_ack(x))
		reply_discard(p, x);
	exchange_arm(&p->exchanges, x);
	reply_release(p, x, now); /* what came meanwhile */
	return x->state == EXCHANGE_ANSWERED && !x->down;
}

bool reply_retransmit(struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t timeout;

	if (!x->down || !retransmit_next(&x->down_timer, &retransmit_defaults, &timeout))
		return false;
	x->client_at = tstamp_add(now, timeout);
	exchange_arm(&p->exchanges, x);
	if (may_amplify(p, x, x->down->len, now)) {
		x->bytes_out += (uint32_t)x->down->len + PROXY_FRAME;
		send_copy(p, x->down);
	}
	return true;
}

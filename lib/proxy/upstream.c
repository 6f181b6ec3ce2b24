#include "proxy/upstream.h"
#include "coap/option.h"
#include "proxy/ending.h"

#define WHOLE_FOR TSTAMP_HOUR /* what a server knows of blocks is tried again so often */

static uint64_t exchange_lifetime(const struct proxy *p, uint8_t server)
{
	return retransmit_exchange_lifetime(&core_link(p, server)->retransmit);
}

/* How long a device may take that is asked once: as long as if it were asked again and again. */
static uint64_t patience(const struct proxy *p, uint8_t server)
{
	uint64_t wait = retransmit_wait(&core_link(p, server)->retransmit);

	return wait < PROXY_PATIENCE ? wait : PROXY_PATIENCE;
}

static struct dgram *blank(struct proxy *p, uint8_t server, enum path_channel channel)
{
	struct dgram *d = dgram_take(&p->pool);

	if (!d) {
		core_count(p, FAULT_NO_ROOM);
		return NULL;
	}
	d->to = (struct path){ .leg = LEG_DEVICE, .remote = p->cfg.servers[server].address };
	d->to.local.port = (uint16_t)channel;
	d->owner = DGRAM_UNOWNED;
	d->queued = false;
	return d;
}

static struct oscore_context *layer_context(const struct proxy *p, const struct exchange *x)
{
	uint8_t place = p->layers_of[x->server];
	struct oscore_context *c = place == PROXY_NO_CONTEXT ? NULL : oscore_store_at(p->contexts, place);

	return c && oscore_context_works(c) ? c : NULL;
}

bool upstream_can_layer(const struct proxy *p, const struct exchange *x)
{
	const struct oscore_context *c = layer_context(p, x);

	return c && c->next < c->limit;
}

/* A message for x's server, in its lane; x keeps it. */
static void own(struct proxy *p, struct exchange *x, struct dgram *d, struct bytes message)
{
	const struct oscore_context *c = x->has_layer && !x->pieces.whole ? layer_context(p, x) : NULL;

	d->len = (uint16_t)message.len;
	d->growth = c ? layers_growth(c) : 0;
	d->owner = exchange_ref(&p->exchanges, x);
	d->lane = x->lane;
	d->device = x->server;
	d->flow = x->flow;
	x->up = d;
}

static enum path_channel channel_of(const struct exchange *x)
{
	return x->has_oscore || x->has_layer ? CHANNEL_OSCORE : CHANNEL_PLAIN;
}

/* What goes there goes in blocks of the link, if it has any and the server is not known to know none. */
static bool is_cut(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return core_link(p, x->server)->block_size && tstamp_reached(p->whole_until[x->server][channel_of(x)], now);
}

static uint8_t link_szx(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return is_cut(p, x, now) ? block_szx(core_link(p, x->server)->block_size) : BLOCK_SZX_MAX;
}

/* Whose blocks a client's own are. */
static uint64_t sender_of(const struct exchange *x)
{
	return x->flow ^ (x->layers.n ? x->layers.off[x->layers.n - 1].context + 1 : 0);
}

/*
 * It may want a later block of what was asked on behalf of all: to libcoap 4.3.4 another Request-Tag is another body, with another
 * ETag.
 */
static bool follows_shared(const struct proxy *p, const struct exchange *x)
{
	return p->cache && x->keyed && !x->pieces.has_ask1 && (x->method == MSG_GET || x->method == MSG_FETCH);
}

/* Which pieces belong together: those of one message, and of what its client cut itself; no two clients' are mixed (RFC 9175 §3.3). */
static void set_tag(const struct proxy *p, struct exchange *x, bool cuts)
{
	uint64_t what, hash;

	if (cuts && !x->own && !x->pieces.has_ask1)
		memcpy(&what, x->token, sizeof what); /* the same client may have another one under way */
	else
		what = x->own || follows_shared(p, x) ? x->key.request : sender_of(x);
	hash = siphash(&p->share_keys[1], &what, sizeof what);

	memcpy(x->pieces.tag, &hash, sizeof x->pieces.tag);
}

/* Of the message in d the first piece stays there. False: no room. */
static bool cut(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	struct dgram *whole = dgram_take(&p->pool);
	struct msg m;

	if (!whole || msg_parse(&m, dgram_bytes(d)) != MSG_OK) {
		dgram_give(&p->pool, whole);
		return false;
	}
	set_tag(p, x, m.payload.len > block_size(link_szx(p, x, now)));
	x->pieces.opaque = channel_of(x) == CHANNEL_OSCORE;
	x->pieces.tagged = !x->pieces.opaque && link_szx(p, x, now) < BLOCK_SZX_MAX;
	pieces_begin(&x->pieces, whole, &m, link_szx(p, x, now));
	return pieces_write(&x->pieces, x->up_is_con, bytes_of(x->token, sizeof x->token), d);
}

/* What the client said of blocks; the guard's own want what there is. */
static void note_asked(struct exchange *x, const struct request_view *v)
{
	x->pieces = (struct pieces){ .whole = NULL };
	if (x->own)
		return;
	x->pieces.has_ask1 = v->has_block1;
	x->pieces.ask1 = v->block1;
	x->pieces.has_ask2 = v->has_block2;
	x->pieces.ask2 = v->block2;
}

/*
 * In pieces, each with blocks of our own making; what a client sends in blocks gets its tag at least. What the guard asks on its own behalf is kept whole, to be asked again. A layer of ours goes on
 * before the cutting, when the message leaves.
 */
bool upstream_build(struct proxy *p, struct exchange *x, const struct target *t, const struct request_view *v,
		    const struct target_edits *e, tstamp now)
{
	struct dgram *d = blank(p, x->server, channel_of(x));
	bool cuts = !x->has_layer && (x->own || v->has_block1 || is_cut(p, x, now));
	struct target_edits edits = *e;
	struct msgbuf b;

	if (!d)
		return false;
	x->up_is_con = v->msg->type == MSG_CON;
	edits.drop_blocks = cuts;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, x->up_is_con ? MSG_CON : MSG_NON, v->msg->code, 0,
		     bytes_of(x->token, sizeof x->token));
	target_rewrite(t, v, &edits, &b);
	d->len = (uint16_t)msgbuf_end(&b).len;
	if (cuts)
		note_asked(x, v);
	if (d->len == 0 || (cuts && !cut(p, x, d, now))) {
		dgram_give(&p->pool, d);
		return false;
	}
	own(p, x, d, dgram_bytes(d));
	return true;
}

/* in, with this Echo instead of any other. */
static struct bytes with_echo(const struct dgram *bare, struct bytes echo, struct dgram *d)
{
	struct edits e = { .n = 0 };
	struct msgbuf b;
	struct msg m;

	if (msg_parse(&m, dgram_bytes(bare)) != MSG_OK)
		return bytes_of(NULL, 0);
	edits_set(&e, OPTION_ECHO, echo);
	msgbuf_begin(&b, d->buf, DGRAM_MAX, m.type, m.code, 0, m.token);
	edits_write(&e, &m, &b);
	msgbuf_payload(&b, m.payload);
	return msgbuf_end(&b);
}

/* A layer goes on anew, and what it makes is cut anew. */
static void forget_pieces(struct proxy *p, struct exchange *x)
{
	dgram_give(&p->pool, x->pieces.whole);
	x->pieces = (struct pieces){ .whole = NULL };
}

bool upstream_repeat(struct proxy *p, struct exchange *x, struct bytes echo, tstamp now)
{
	struct bytes message;
	struct dgram *d;

	if (x->echoed || !x->bare || !upstream_can_layer(p, x))
		return false;
	d = blank(p, x->server, CHANNEL_OSCORE);
	if (!d)
		return false;
	message = with_echo(x->bare, echo, d);
	if (message.len == 0) {
		dgram_give(&p->pool, d);
		return false;
	}
	x->echoed = true;
	upstream_settled(p, x, now);
	forget_pieces(p, x);
	own(p, x, d, message);
	return upstream_submit(p, x, now);
}

/*
 * NSTART (RFC 7252 §4.7), per client and device: one that waits in vain delays nobody else. Nor does it delay a better lane:
 * who forges a client's address must not make its own requests wait.
 */
static bool has_nstart(const struct proxy *p, const struct exchange *x)
{
	uint32_t outstanding = 0;

	if (x->unscheduled || !x->up_is_con)
		return false;
	for (const struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, x->flow, y));)
		outstanding += y != x && y->server == x->server && y->up_is_con && y->lane <= x->lane &&
			       (y->state == EXCHANGE_SENT || y->state == EXCHANGE_QUEUED);
	return outstanding >= core_link(p, x->server)->nstart;
}

static struct linksched *link_of(const struct proxy *p, uint8_t server)
{
	return p->links[p->cfg.policy.servers[server].link];
}

static struct pace_sender sender(const struct exchange *x, bool again)
{
	return (struct pace_sender){ .flow = x->flow, .lane = x->lane, .again = again };
}

/* Until the manners towards its device let x go. */
static uint64_t probe_wait(const struct proxy *p, const struct exchange *x, bool again, tstamp now)
{
	struct pace_sender s = sender(x, again);

	return x->unscheduled ? 0 : pace_wait(&p->paces[x->server], &s, now);
}

/* A Max-Age that is over when `ns` are. */
static uint32_t seconds(uint64_t ns)
{
	uint64_t s = ns / TSTAMP_S + (ns % TSTAMP_S != 0);

	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static bool refuse(struct exchange *x, enum fault why, uint32_t max_age)
{
	x->why = (uint8_t)why;
	x->max_age = max_age;
	return false;
}

/* Answered 5.03 as soon as time passes, for the reason in x. */
static void displace(struct proxy *p, struct exchange *x, tstamp now)
{
	exchange_set_state(&p->exchanges, x, EXCHANGE_DISPLACED);
	x->device_at = now;
	exchange_arm(&p->exchanges, x);
}

static void displace_datagram(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);

	if (!x || x->up != d) {
		dgram_give(&p->pool, d);
		return;
	}
	refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	displace(p, x, now);
}

static bool enter_link(struct proxy *p, struct exchange *x, bool again, tstamp now)
{
	struct pace_sender s = sender(x, again);
	struct dgram *dropped = NULL;

	if (x->unscheduled) {
		list_append(&p->outbox, &x->up->link);
		return true;
	}
	if (!linksched_push(link_of(p, x->server), x->up, &dropped))
		return refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	if (dropped)
		displace_datagram(p, dropped, now);
	pace_sent(&p->paces[x->server], &s, (uint64_t)x->up->len + x->up->growth, core_link(p, x->server)->probing,
		  now);
	return true;
}

/* One that is only doubted is being asked again already, and may be heard at any time: that is worth waiting for. */
static bool park(struct proxy *p, struct exchange *x, uint64_t wait, tstamp now)
{
	struct pace_sender s = sender(x, false);

	if (wait > core_link(p, x->server)->queue_wait && pace_is_silent(&p->paces[x->server], &s))
		return refuse(x, FAULT_PROBING, seconds(wait));
	list_append(&p->parked[x->server], &x->up->link);
	if (wait > 0)
		p->next_probe = tstamp_min(p->next_probe, tstamp_add(now, wait));
	return true;
}

/* Better told now than after queue-wait. */
static bool fits_link(const struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t queue_wait = core_link(p, x->server)->queue_wait;
	uint64_t wait = x->unscheduled ? 0 : linksched_estimate(link_of(p, x->server), x->up, now);

	return wait <= queue_wait || refuse(x, FAULT_LINK_WAIT, seconds(wait - queue_wait));
}

bool upstream_submit(struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t wait = probe_wait(p, x, false, now);
	bool parks = wait > 0 || has_nstart(p, x);

	exchange_set_state(&p->exchanges, x, parks ? EXCHANGE_PARKED : EXCHANGE_QUEUED);
	x->device_at = tstamp_add(now, core_link(p, x->server)->queue_wait);
	exchange_arm(&p->exchanges, x);
	if (parks)
		return park(p, x, wait, now);
	return fits_link(p, x, now) && enter_link(p, x, false, now);
}

void upstream_overdue(struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t wait = x->state == EXCHANGE_PARKED ? probe_wait(p, x, false, now) : 0;

	if (wait > 0)
		refuse(x, FAULT_PROBING, seconds(wait));
	else
		refuse(x, FAULT_LINK_WAIT, UPSTREAM_MAX_AGE);
}

/* What goes up is kept as it was: the next hop may want it again, with an Echo inside. */
static bool put_layer_on(struct proxy *p, struct exchange *x, struct dgram *d)
{
	struct oscore_context *c = layer_context(p, x);

	if (!x->bare) {
		x->bare = dgram_take(&p->pool);
		if (!x->bare)
			return false;
		x->bare->len = d->len;
		memcpy(x->bare->buf, d->buf, d->len);
	}
	d->growth = 0;
	return c && layers_add(&x->up_layer, p->contexts, c, d) == OSCORE_OK;
}

/* Once: later pieces are of the same protected message. */
static bool protect(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	if (x->pieces.whole)
		return true;
	return put_layer_on(p, x, d) && (!is_cut(p, x, now) || cut(p, x, d, now));
}

bool upstream_number(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);
	uint64_t wait;
	uint16_t mid;

	if (!x || x->up != d || x->state != EXCHANGE_QUEUED) /* an ACK or RST, or sent before */
		return true;
	if (x->has_layer && !protect(p, x, d, now)) {
		refuse(x, FAULT_NO_LAYER, UPSTREAM_MAX_AGE);
		displace(p, x, now);
		return false;
	}
	if (!mid_next(&p->mids[x->server], exchange_lifetime(p, x->server), now, &mid, &wait)) {
		refuse(x, FAULT_MID_SPENT, UPSTREAM_MAX_AGE);
		displace(p, x, now);
		return false;
	}
	d->buf[2] = (uint8_t)(mid >> 8);
	d->buf[3] = (uint8_t)mid;
	exchange_set_up_mid(&p->exchanges, x, mid);
	return true;
}

bool upstream_sent(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);

	if (!x || x->up != d)
		return false;
	if (x->state == EXCHANGE_QUEUED) {
		exchange_set_state(&p->exchanges, x, EXCHANGE_SENT);
		retransmit_start(&x->up_timer, &core_link(p, x->server)->retransmit, (uint32_t)rng_u64(p->rng));
	}
	if (x->up_is_con && x->retransmit) {
		x->device_at = tstamp_min(tstamp_add(now, x->up_timer.timeout), tstamp_add(x->opened, PROXY_PATIENCE));
		exchange_arm(&p->exchanges, x);
		return true;
	}
	x->up = NULL;
	d->owner = DGRAM_UNOWNED;
	x->device_at = tstamp_add(x->opened, patience(p, x->server));
	exchange_arm(&p->exchanges, x);
	return false;
}

/* Nothing answered what x sent last; but who wants no response may have none. */
static void note_silence(struct proxy *p, const struct exchange *x, bool given_up, tstamp now)
{
	uint64_t waited = x->up ? x->up_timer.timeout : tstamp_since(x->opened, now);
	struct pace_sender s = sender(x, true);

	if (x->unscheduled || (x->no_response && !x->up_is_con))
		return;
	if (given_up)
		pace_given_up(&p->paces[x->server], &s, waited, now);
	else
		pace_unanswered(&p->paces[x->server], &s, waited, now);
}

/* One back-off for all who ask a silent device: that of x goes on when it is its turn. */
static bool wait_for_probe(struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t wait = probe_wait(p, x, true, now);

	if (wait == 0)
		return false;
	x->device_at = tstamp_min(tstamp_add(now, wait), tstamp_add(x->opened, PROXY_PATIENCE));
	exchange_arm(&p->exchanges, x);
	return true;
}

bool upstream_retransmit(struct proxy *p, struct exchange *x, tstamp now)
{
	bool repeats = x->up && !x->up->queued && tstamp_since(x->opened, now) < PROXY_PATIENCE &&
		       x->up_timer.count < core_link(p, x->server)->retransmit.max_retransmit;
	uint64_t timeout;

	note_silence(p, x, !repeats, now);
	if (repeats && wait_for_probe(p, x, now))
		return true;
	if (!repeats || !retransmit_next(&x->up_timer, &core_link(p, x->server)->retransmit, &timeout))
		return false;
	x->device_at = tstamp_add(now, core_link(p, x->server)->queue_wait);
	exchange_arm(&p->exchanges, x);
	return enter_link(p, x, true, now);
}

void upstream_discard(struct proxy *p, struct exchange *x)
{
	if (!x->up)
		return;
	if (x->up->queued)
		linksched_remove(link_of(p, x->server), x->up);
	list_remove(&x->up->link);
	if (p->last == x->up)
		p->last = NULL;
	dgram_give(&p->pool, x->up);
	x->up = NULL;
}

/* The better lane, then the older one; the chain begins with the youngest. */
static bool goes_before(const struct exchange *a, const struct exchange *b)
{
	return a->lane != b->lane ? a->lane < b->lane : a->opened <= b->opened;
}

static void submit_parked(struct proxy *p, struct exchange *x, tstamp now)
{
	list_remove(&x->up->link);
	if (!upstream_submit(p, x, now))
		displace(p, x, now);
}

void upstream_unpark(struct proxy *p, uint64_t flow, uint8_t server, tstamp now)
{
	struct exchange *first = NULL;

	for (struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, flow, y));)
		/* one without a message is being given up just now */
		if (y->server == server && y->state == EXCHANGE_PARKED && y->up && (!first || goes_before(y, first)))
			first = y;
	if (first && !has_nstart(p, first) && probe_wait(p, first, false, now) == 0) /* else its wait goes on */
		submit_parked(p, first, now);
}

/* The better lane first, then the older: each one that goes may be all that goes for now. */
static void unpark_lane(struct proxy *p, uint8_t server, unsigned lane, tstamp now)
{
	struct list *next;

	for (struct list *n = p->parked[server].next; n != &p->parked[server]; n = next) {
		struct exchange *x = exchange_by_ref(&p->exchanges, LIST_ENTRY(n, struct dgram, link)->owner);
		uint64_t wait;

		next = n->next;
		if (x->lane != lane)
			continue;
		wait = probe_wait(p, x, false, now);
		if (wait > 0)
			p->next_probe = tstamp_min(p->next_probe, tstamp_add(now, wait));
		else if (!has_nstart(p, x))
			submit_parked(p, x, now);
	}
}

static void unpark_all(struct proxy *p, uint8_t server, tstamp now)
{
	for (unsigned lane = 0; lane < LANE_COUNT; lane++)
		unpark_lane(p, server, lane, now);
}

void upstream_heard(struct proxy *p, uint8_t server, tstamp now)
{
	if (pace_heard(&p->paces[server], now))
		unpark_all(p, server, now);
}

void upstream_probes_due(struct proxy *p, tstamp now)
{
	if (!tstamp_reached(p->next_probe, now))
		return;
	p->next_probe = TSTAMP_NEVER;
	for (uint8_t i = 0; i < p->cfg.places; i++)
		unpark_all(p, i, now);
}

void upstream_settled(struct proxy *p, struct exchange *x, tstamp now)
{
	upstream_discard(p, x);
	x->device_at = TSTAMP_NEVER;
	exchange_arm(&p->exchanges, x);
	upstream_unpark(p, x->flow, x->server, now);
}

/* A message for x's server, under the token of x. */
static bool submit(struct proxy *p, struct exchange *x, struct dgram *d, bool written, tstamp now)
{
	if (!written) {
		dgram_give(&p->pool, d);
		return refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	}
	own(p, x, d, dgram_bytes(d));
	return upstream_submit(p, x, now);
}

static struct bytes token_of(const struct exchange *x)
{
	return bytes_of(x->token, sizeof x->token);
}

static bool submit_piece(struct proxy *p, struct exchange *x, tstamp now)
{
	struct dgram *d;

	upstream_settled(p, x, now);
	d = blank(p, x->server, channel_of(x));
	if (!d)
		return refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	exchange_renew_token(&p->exchanges, x, p->rng);
	x->retransmit = true; /* the device answers: what is lost now is worth repeating */
	return submit(p, x, d, pieces_write(&x->pieces, x->up_is_con, token_of(x), d), now);
}

/*
 * A server that knows no blocks refuses the option; one that knows none around OSCORE takes the first piece for the whole, which does not
 * verify.
 */
static bool refuses_blocks(const struct exchange *x, const struct msg *m)
{
	const struct pieces *ps = &x->pieces;
	struct msg_option opt;

	if (ps->joined || !(ps->cut || ps->szx2 < BLOCK_SZX_MAX))
		return false;
	if (m->code == MSG_BAD_OPTION)
		return true;
	return ps->opaque && ps->cut && ps->sent == 0 && (m->code == MSG_BAD_REQUEST || m->code == MSG_UNAUTHORIZED) &&
	       !msg_find(m, OPTION_OSCORE, &opt) && !msg_find(m, OPTION_ECHO, &opt);
}

bool upstream_continue(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	if (!x->pieces.whole || x->state > EXCHANGE_ACKED)
		return false;
	if (refuses_blocks(x, m)) {
		pieces_join(&x->pieces);
		p->whole_until[x->server][channel_of(x)] = tstamp_add(now, WHOLE_FOR);
	} else if (!pieces_continue(&x->pieces, m)) {
		return false;
	}
	if (!submit_piece(p, x, now))
		ending_refused(p, x, now);
	return true;
}

bool upstream_rest(struct proxy *p, struct exchange *e, const struct exchange *x, tstamp now)
{
	struct dgram *d = blank(p, e->server, channel_of(e));

	if (!d)
		return refuse(e, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	exchange_renew_token(&p->exchanges, e, p->rng);
	return submit(p, e, d, pieces_write_rest(&x->pieces, e->up_is_con, token_of(e), d), now);
}

/* As it was before our layer, if there is one. */
static bool write_again(struct exchange *x, struct dgram *d)
{
	if (!x->has_layer) {
		x->pieces.sent = 0;
		return x->pieces.whole && pieces_write(&x->pieces, x->up_is_con, token_of(x), d);
	}
	if (!x->bare)
		return false;
	memcpy(d->buf, x->bare->buf, x->bare->len);
	d->len = x->bare->len;
	return true;
}

bool upstream_renew(struct proxy *p, struct exchange *x, tstamp now)
{
	struct dgram *d = blank(p, x->server, channel_of(x));

	if (!d)
		return refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
	if (x->has_layer)
		forget_pieces(p, x);
	x->opened = now;
	x->renewing = true;
	return submit(p, x, d, write_again(x, d), now);
}

void upstream_empty(struct proxy *p, uint8_t server, enum path_channel channel, uint8_t type, uint16_t mid, tstamp now)
{
	struct dgram *d = blank(p, server, channel), *dropped = NULL;
	struct msgbuf b;

	if (!d)
		return;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, type, MSG_EMPTY, mid, bytes_of(NULL, 0));
	d->len = (uint16_t)msgbuf_end(&b).len;
	d->lane = LANE_CONTROL;
	d->device = server;
	d->flow = 0;
	if (p->cfg.policy.servers[server].mode == MODE_OPEN)
		list_append(&p->outbox, &d->link);
	else if (!linksched_push(link_of(p, server), d, &dropped))
		dgram_give(&p->pool, d);
	if (dropped)
		displace_datagram(p, dropped, now);
}

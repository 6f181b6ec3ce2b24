#include "proxy/upstream.h"
#include "coap/option.h"

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
	const struct oscore_context *c = x->has_layer ? layer_context(p, x) : NULL;

	d->len = (uint16_t)message.len;
	d->growth = c ? layers_growth(c) : 0;
	d->owner = exchange_ref(&p->exchanges, x);
	d->lane = x->lane;
	d->flow = x->flow;
	x->up = d;
}

static enum path_channel channel_of(const struct exchange *x)
{
	return x->has_oscore || x->has_layer ? CHANNEL_OSCORE : CHANNEL_PLAIN;
}

bool upstream_build(struct proxy *p, struct exchange *x, const struct target *t, const struct request_view *v,
		    const struct target_edits *e)
{
	struct dgram *d = blank(p, x->server, channel_of(x));
	struct bytes end;
	struct msgbuf b;

	if (!d)
		return false;
	x->up_is_con = v->msg->type == MSG_CON;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, x->up_is_con ? MSG_CON : MSG_NON, v->msg->code, 0,
		     bytes_of(x->token, sizeof x->token));
	target_rewrite(t, v, e, &b);
	end = msgbuf_end(&b);
	if (end.len == 0) {
		dgram_give(&p->pool, d);
		return false;
	}
	own(p, x, d, end);
	return true;
}

/* in, with this Echo instead of any other. */
static struct bytes with_echo(const struct dgram *bare, struct bytes echo, struct dgram *d)
{
	struct msg_option opt;
	struct msg_iter it;
	struct msgbuf b;
	bool written = false;
	struct msg m;

	if (msg_parse(&m, dgram_bytes(bare)) != MSG_OK)
		return bytes_of(NULL, 0);
	msgbuf_begin(&b, d->buf, DGRAM_MAX, m.type, m.code, 0, m.token);
	it = msg_options(&m);
	while (msg_next(&it, &opt)) {
		if (!written && opt.number > OPTION_ECHO) {
			msgbuf_option(&b, OPTION_ECHO, echo);
			written = true;
		}
		if (opt.number != OPTION_ECHO)
			msgbuf_option(&b, opt.number, opt.value);
	}
	if (!written)
		msgbuf_option(&b, OPTION_ECHO, echo);
	msgbuf_payload(&b, m.payload);
	return msgbuf_end(&b);
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
	own(p, x, d, message);
	return upstream_submit(p, x, now);
}

/*
 * NSTART (RFC 7252 §4.7), per client and device: one that waits in vain delays nobody else. Nor does it delay a better lane:
 * who forges a client's address must not make its own requests wait.
 */
static bool must_park(const struct proxy *p, const struct exchange *x)
{
	uint32_t outstanding = 0;

	if (x->unscheduled || !x->up_is_con)
		return false;
	for (const struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, x->flow, y));)
		outstanding += y != x && y->server == x->server && y->up_is_con && y->lane <= x->lane &&
			       (y->state == EXCHANGE_SENT || y->state == EXCHANGE_QUEUED);
	return outstanding >= core_link(p, x->server)->nstart;
}

/* Lost its place in the link: answered 5.03 as soon as time passes. */
static void displace(struct proxy *p, struct exchange *x, tstamp now)
{
	exchange_set_state(&p->exchanges, x, EXCHANGE_DISPLACED);
	x->device_at = now;
	exchange_arm(&p->exchanges, x);
}

static void displace_datagram(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);

	if (x && x->up == d)
		displace(p, x, now);
	else
		dgram_give(&p->pool, d);
}

static bool enter_link(struct proxy *p, struct exchange *x, tstamp now)
{
	struct dgram *dropped = NULL;

	if (x->unscheduled) {
		list_append(&p->outbox, &x->up->link);
		return true;
	}
	if (!linksched_push(p->links[p->cfg.policy.servers[x->server].link], x->up, now, &dropped))
		return false;
	if (dropped)
		displace_datagram(p, dropped, now);
	return true;
}

bool upstream_submit(struct proxy *p, struct exchange *x, tstamp now)
{
	bool park = must_park(p, x);

	exchange_set_state(&p->exchanges, x, park ? EXCHANGE_PARKED : EXCHANGE_QUEUED);
	x->device_at = tstamp_add(now, core_link(p, x->server)->queue_wait);
	exchange_arm(&p->exchanges, x);
	if (park)
		return true;
	return enter_link(p, x, now);
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

bool upstream_number(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);
	uint64_t wait;
	uint16_t mid;

	if (!x || x->up != d || x->state != EXCHANGE_QUEUED) /* an ACK or RST, or sent before */
		return true;
	if (x->has_layer && !put_layer_on(p, x, d)) {
		core_count(p, FAULT_NO_LAYER);
		displace(p, x, now);
		return false;
	}
	if (!mid_next(&p->mids[x->server], exchange_lifetime(p, x->server), now, &mid, &wait)) {
		core_count(p, FAULT_MID_SPENT);
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

bool upstream_retransmit(struct proxy *p, struct exchange *x, tstamp now)
{
	uint64_t timeout;

	if (!x->up || x->up->queued || tstamp_since(x->opened, now) >= PROXY_PATIENCE)
		return false;
	if (!retransmit_next(&x->up_timer, &core_link(p, x->server)->retransmit, &timeout))
		return false;
	x->device_at = tstamp_add(now, core_link(p, x->server)->queue_wait);
	exchange_arm(&p->exchanges, x);
	return enter_link(p, x, now);
}

void upstream_discard(struct proxy *p, struct exchange *x)
{
	if (!x->up)
		return;
	if (x->up->queued)
		linksched_remove(p->links[p->cfg.policy.servers[x->server].link], x->up);
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

void upstream_unpark(struct proxy *p, uint64_t flow, uint8_t server, tstamp now)
{
	struct exchange *first = NULL;

	for (struct exchange *y = NULL; (y = exchange_of_flow(&p->exchanges, flow, y));)
		/* one without a message is being given up just now */
		if (y->server == server && y->state == EXCHANGE_PARKED && y->up && (!first || goes_before(y, first)))
			first = y;
	if (first && !must_park(p, first) && !upstream_submit(p, first, now)) /* else its wait goes on */
		displace(p, first, now);
}

void upstream_settled(struct proxy *p, struct exchange *x, tstamp now)
{
	upstream_discard(p, x);
	x->device_at = TSTAMP_NEVER;
	exchange_arm(&p->exchanges, x);
	upstream_unpark(p, x->flow, x->server, now);
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
	d->flow = 0;
	if (p->cfg.policy.servers[server].mode == MODE_OPEN)
		list_append(&p->outbox, &d->link);
	else if (!linksched_push(p->links[p->cfg.policy.servers[server].link], d, now, &dropped))
		dgram_give(&p->pool, d);
	if (dropped)
		dgram_give(&p->pool, dropped);
}

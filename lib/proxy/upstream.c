#include "proxy/upstream.h"
#include "proxy/petition.h"

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

bool upstream_number(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);
	uint64_t wait;
	uint16_t mid;

	if (!x || x->up != d || x->state != EXCHANGE_QUEUED) /* an ACK or RST, or sent before */
		return true;
	if (x->has_layer && !petition_protect(p, x, d, now)) {
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

/* What was not paid for in advance is a debt of those who may be served next. */
static void charge(struct proxy *p, struct exchange *x, const struct dgram *d, tstamp now)
{
	uint32_t units = petition_weight(p, x->server, d->len), ready = units < x->prepaid ? units : x->prepaid;

	x->begun = true;
	x->prepaid = (uint16_t)(x->prepaid - ready);
	if (units > ready && !x->accepted)
		guard_owe(p->guard, x->ticket, x->server, (enum lane)x->lane, units - ready, now);
}

bool upstream_sent(struct proxy *p, struct dgram *d, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, d->owner);

	if (!x || x->up != d)
		return false;
	charge(p, x, d, now);
	if (x->state == EXCHANGE_QUEUED) {
		exchange_set_state(&p->exchanges, x, EXCHANGE_SENT);
		retransmit_start(&x->up_timer, &core_link(p, x->server)->retransmit, (uint32_t)rng_u64(p->rng));
	}
	if (x->up_is_con && x->retransmit) {
		x->device_at = tstamp_min(tstamp_add(now, x->up_timer.timeout), core_until(x));
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
	x->device_at = tstamp_min(tstamp_add(now, wait), core_until(x));
	exchange_arm(&p->exchanges, x);
	return true;
}

bool upstream_retransmit(struct proxy *p, struct exchange *x, tstamp now)
{
	bool repeats = x->up && !x->up->queued && !tstamp_reached(core_until(x), now) &&
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

/* What was written for x goes into the link, if it could be written. */
static bool submit(struct proxy *p, struct exchange *x, bool written, tstamp now)
{
	return written ? upstream_submit(p, x, now) : refuse(x, FAULT_NO_ROOM, UPSTREAM_MAX_AGE);
}

bool upstream_repeat(struct proxy *p, struct exchange *x, struct bytes echo, tstamp now)
{
	if (x->echoed || !x->bare || !petition_can_layer(p, x))
		return false;
	x->echoed = true;
	upstream_settled(p, x, now);
	return submit(p, x, petition_with_echo(p, x, echo), now);
}

enum upstream_turn upstream_continue(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	if (!petition_goes_on(p, x, m, now))
		return UPSTREAM_ANSWERED;
	upstream_settled(p, x, now);
	x->retransmit = true; /* the device answers: what is lost now is worth repeating */
	return submit(p, x, petition_next_piece(p, x), now) ? UPSTREAM_GOES_ON : UPSTREAM_REFUSED;
}

bool upstream_rest(struct proxy *p, struct exchange *e, const struct exchange *x, tstamp now)
{
	return submit(p, e, petition_for_rest(p, e, x), now);
}

bool upstream_renew(struct proxy *p, struct exchange *x, tstamp now)
{
	x->opened = now;
	x->renewing = true;
	return submit(p, x, petition_again(p, x), now);
}

void upstream_empty(struct proxy *p, uint8_t server, enum path_channel channel, uint8_t type, uint16_t mid, tstamp now)
{
	struct dgram *d = petition_blank(p, server, channel), *dropped = NULL;
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

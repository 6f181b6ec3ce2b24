#include "proxy/errand.h"
#include "proxy/ending.h"
#include "proxy/upstream.h"

/* What goes up for x goes up as x itself did: same lane, same channel. */
static struct exchange *open(struct proxy *p, struct exchange *x, tstamp now)
{
	struct exchange *e = exchange_open(&p->exchanges, &x->client, x->flow, p->rng);

	if (!e)
		return NULL;
	e->own = e->proven = e->retransmit = e->up_is_con = true;
	e->server = x->server;
	e->lane = x->lane;
	e->unscheduled = x->unscheduled;
	e->has_oscore = x->has_oscore || x->has_layer;
	e->accepted = x->accepted;
	e->prepaid = !x->has_layer;
	e->opened = now;
	e->parent = exchange_ref(&p->exchanges, x);
	x->errand = exchange_ref(&p->exchanges, e);
	return e;
}

static void close_errand(struct proxy *p, struct exchange *e, tstamp now)
{
	ending_drop(p, e, OUTCOME_CANCELLED, now);
}

void errand_end(struct proxy *p, struct exchange *x, tstamp now)
{
	if (x->errand != EXCHANGE_NONE)
		close_errand(p, exchange_by_ref(&p->exchanges, x->errand), now);
	dgram_give(&p->pool, x->pieces.gathered);
	x->pieces.gathered = NULL;
	x->pieces.more = false;
}

/* Of strangers a block is a request. What is under our layer is no use before it is whole: it is a debt then. */
static bool may_spend(struct proxy *p, const struct exchange *x, tstamp now)
{
	return x->accepted || x->has_layer || guard_spend(p->guard, x->server, (enum lane)x->lane, now);
}

/* For nobody unproven a body is held; a notification does not say so by itself. */
static bool may_hold(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return x->proven || x->has_layer || core_is_reached(p, x, now);
}

bool errand_begin(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	enum exchange_state before = (enum exchange_state)x->state;
	struct exchange *e;
	struct dgram *room;

	errand_end(p, x, now);
	if (!x->pieces.whole || !may_hold(p, x, now))
		return false;
	room = dgram_take(&p->pool);
	if (pieces_gather(&x->pieces, m, room) != PIECES_PARTLY) {
		dgram_give(&p->pool, room);
		return false;
	}
	if (before != EXCHANGE_OBSERVING) /* what it was waiting for came, and it makes nobody wait (NSTART) */
		exchange_set_state(&p->exchanges, x, EXCHANGE_GATHERING);
	e = may_spend(p, x, now) ? open(p, x, now) : NULL;
	if (e && upstream_rest(p, e, x, now))
		return true;
	exchange_set_state(&p->exchanges, x, before);
	errand_end(p, x, now); /* the client gets the first block, and may ask for the others itself */
	return false;
}

enum pieces_result errand_answered(struct proxy *p, struct exchange *e, const struct msg *m, tstamp now)
{
	struct exchange *x = exchange_by_ref(&p->exchanges, e->parent);
	enum pieces_result r = pieces_add(&x->pieces, m);

	upstream_settled(p, e, now);
	if (r == PIECES_PARTLY) {
		e->opened = now; /* it is answered: its device is patient */
		if (upstream_rest(p, e, x, now))
			return r;
		r = PIECES_BROKEN;
	}
	close_errand(p, e, now);
	return r;
}

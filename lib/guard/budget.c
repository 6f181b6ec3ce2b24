#include "guard/budget.h"

static struct rate half_rate(const struct budget_config *c)
{
	return (struct rate){ c->rate.count, c->rate.period * 2 };
}

uint32_t budget_cost(const struct budget_config *c, enum budget_kind k, uint32_t units)
{
	uint32_t least = k == BUDGET_HANDSHAKE ? c->handshake_cost : 1;

	return units > least ? units : least;
}

/* A minute's worth of the whole rate, and never less than one request of the kind. */
static uint64_t depth(const struct budget_config *c, enum budget_kind k)
{
	uint64_t minute = c->rate.period ? c->rate.count * TSTAMP_MIN / c->rate.period : 0;
	uint64_t least = budget_cost(c, k, 1);

	return minute > least ? minute : least;
}

/* So that what costs more may go when the half is full. */
static uint64_t depth_for(const struct budget_config *c, enum budget_kind k, uint32_t cost)
{
	uint64_t usual = depth(c, k);

	return usual > cost ? usual : cost;
}

static bool new_day(const struct budget *b, tstamp now)
{
	return tstamp_since(b->day, now) >= TSTAMP_DAY;
}

uint32_t budget_left(const struct budget *b, const struct budget_config *c, tstamp now)
{
	uint32_t used = new_day(b, now) ? 0 : b->used;

	return used < c->per_day ? c->per_day - used : 0;
}

/* The half to charge: the kind's own, or the other's when that one is full and idle. */
static enum budget_kind payer(const struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost,
			      tstamp now)
{
	enum budget_kind other = k == BUDGET_REQUEST ? BUDGET_HANDSHAKE : BUDGET_REQUEST;

	if (bucket_wait(&b->half[k], half_rate(c), depth_for(c, k, cost), cost, now) == 0)
		return k;
	if (tstamp_reached(b->half[other].tat, now) && cost <= depth(c, other))
		return other;
	return BUDGET_KINDS;
}

/* Of the day. */
static void use(struct budget *b, uint32_t cost, tstamp now)
{
	if (new_day(b, now)) {
		b->day = now;
		b->used = 0;
	}
	b->used += b->used > UINT32_MAX - cost ? UINT32_MAX - b->used : cost;
}

bool budget_take(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now)
{
	enum budget_kind from;

	if (budget_left(b, c, now) < cost)
		return false;
	from = payer(b, c, k, cost, now);
	if (from == BUDGET_KINDS || !bucket_take(&b->half[from], half_rate(c), depth_for(c, from, cost), cost, now))
		return false;
	use(b, cost, now);
	return true;
}

uint64_t budget_wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost,
		     tstamp now)
{
	enum budget_kind other = k == BUDGET_REQUEST ? BUDGET_HANDSHAKE : BUDGET_REQUEST;
	uint64_t own, lent;

	if (cost > c->per_day || c->rate.count == 0) /* the other half has nothing to lend either */
		return TSTAMP_NEVER;
	if (budget_left(b, c, now) < cost) /* the rest of the day */
		return tstamp_since(now, tstamp_add(b->day, TSTAMP_DAY));
	own = bucket_wait(&b->half[k], half_rate(c), depth_for(c, k, cost), cost, now);
	lent = tstamp_since(now, b->half[other].tat);
	return lent < own && cost <= depth(c, other) ? lent : own;
}

void budget_owe(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now)
{
	tstamp from = b->half[k].tat > now ? b->half[k].tat : now;

	if (c->rate.count) /* else nobody waits for it to be paid: nobody passes */
		b->half[k].tat = tstamp_add(from, rate_duration(half_rate(c), cost));
	use(b, cost, now);
}

bool budget_borrow(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost, tstamp now)
{
	uint32_t least = budget_cost(c, k, 1);

	if (!budget_take(b, c, k, least, now))
		return false;
	if (cost > least)
		budget_owe(b, c, k, cost - least, now);
	return true;
}

uint64_t budget_borrow_wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now)
{
	return budget_wait(b, c, k, budget_cost(c, k, 1), now);
}

void budget_refund(struct budget *b, const struct budget_config *c, enum budget_kind k, uint32_t cost)
{
	if (c->rate.count)
		bucket_refund(&b->half[k], half_rate(c), cost);
	b->used -= b->used < cost ? b->used : cost;
}

void budget_retune(struct budget *b, const struct budget_config *old, const struct budget_config *new, tstamp now)
{
	uint64_t before = rate_duration(half_rate(old), 1), after = rate_duration(half_rate(new), 1);

	if (old->rate.count == 0 || new->rate.count == 0 || before == 0 || before == after)
		return;
	for (unsigned k = 0; k < BUDGET_KINDS; k++) {
		uint64_t debt = tstamp_since(now, b->half[k].tat), units = debt / before + (debt % before != 0);

		b->half[k].tat = tstamp_add(now, rate_duration(half_rate(new), units));
	}
}

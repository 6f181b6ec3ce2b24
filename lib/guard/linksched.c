#include "guard/linksched.h"

#include <assert.h>
#include "base/memory.h"

#define CLASSES 3

/* A token bucket with its numbers. What is larger than it passes when it is full. */
struct gate {
	struct rate rate;
	uint64_t burst;
	struct bucket bucket;
};

struct lane_queue {
	struct list queue; /* of struct dgram, in order of arrival */
	uint32_t count;
	uint32_t round; /* the first one that may still be joined */
	uint64_t bytes, sent_datagrams, sent_bytes;
};

struct linksched {
	struct gate link;
	struct gate shares[CLASSES];
	struct lane_queue lanes[LANE_COUNT];
	uint32_t overhead, queue_length;
};

static const uint8_t class_of[LANE_COUNT] = {
	[LANE_CONTROL] = 0, [LANE_AUTHENTICATED] = 0, [LANE_TRUSTED] = 0,
	[LANE_MOVED] = 0,   [LANE_REACHABLE] = 1,     [LANE_UNKNOWN] = 2,
};

static uint64_t gate_wait(const struct gate *g, uint64_t cost, tstamp now)
{
	if (g->rate.count == 0)
		return TSTAMP_NEVER;
	if (cost > g->burst)
		return tstamp_since(now, g->bucket.tat);
	return bucket_wait(&g->bucket, g->rate, g->burst, cost, now);
}

static void gate_charge(struct gate *g, uint64_t cost, tstamp now)
{
	tstamp from = g->bucket.tat > now ? g->bucket.tat : now;

	g->bucket.tat = tstamp_add(from, rate_duration(g->rate, cost));
}

/* After a retune to a faster rate, debt at the slower one must not outlast the deepest debt
 * possible now. */
static void gate_settle(struct gate *g, uint64_t largest, tstamp now)
{
	uint64_t deepest = g->burst > largest ? g->burst : largest;

	if (g->rate.count > 0)
		g->bucket.tat = tstamp_min(g->bucket.tat, tstamp_add(now, rate_duration(g->rate, deepest)));
}

static struct dgram *dgram_of(struct list *node)
{
	return LIST_ENTRY(node, struct dgram, link);
}

static uint64_t cost_of(const struct linksched *q, const struct dgram *d)
{
	return (uint64_t)d->len + d->growth + q->overhead;
}

/* Rounds wrap; those in one lane lie within a queue length or so of each other. */
static bool is_earlier(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* The head of a lane: the smallest round, and of that the first to arrive. */
static struct dgram *lane_head(const struct lane_queue *l)
{
	struct dgram *head = NULL;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		struct dgram *d = dgram_of(n);

		if (!head || is_earlier(d->round, head->round))
			head = d;
	}
	return head;
}

/*
 * Each flow has one datagram per round. Nobody joins the round being served: a flow that keeps just
 * one datagram queued would join it again and again, and the others would never see the next.
 */
static uint32_t next_round(const struct lane_queue *l, uint64_t flow)
{
	uint32_t round = l->round;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		const struct dgram *d = dgram_of(n);

		if (d->flow == flow && is_earlier(round, d->round + 1))
			round = d->round + 1;
	}
	return round;
}

static uint32_t count_flow(const struct lane_queue *l, uint64_t flow)
{
	uint32_t count = 0;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next)
		count += dgram_of(n)->flow == flow;
	return count;
}

/* The last datagram of the flow that holds most of the lane, if that is more than `than`. Else
 * NULL. */
static struct dgram *greediest(const struct lane_queue *l, uint32_t than)
{
	struct dgram *last = NULL;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		struct dgram *d = dgram_of(n);
		uint32_t count = count_flow(l, d->flow);

		if (count > than || (last && count == than && d->flow == last->flow)) {
			last = d;
			than = count;
		}
	}
	return last;
}

/*
 * Who goes next, whether or not the link has room now: the first lane whose class is within its
 * share; when none is, the first lane at all, for bandwidth nobody claims is lent.
 */
static struct dgram *choose(const struct linksched *q, tstamp now, bool *entitled)
{
	struct dgram *first = NULL;

	for (unsigned i = 0; i < LANE_COUNT; i++) {
		struct dgram *head = lane_head(&q->lanes[i]);

		if (!head)
			continue;
		if (gate_wait(&q->shares[class_of[i]], cost_of(q, head), now) == 0) {
			*entitled = true;
			return head;
		}
		if (!first)
			first = head;
	}
	*entitled = false;
	return first;
}

struct linksched *linksched_create(const struct linksched_config *cfg)
{
	struct linksched *q = memory_create(1, sizeof *q);

	if (!q)
		return NULL;
	for (unsigned i = 0; i < LANE_COUNT; i++)
		list_init(&q->lanes[i].queue);
	linksched_retune(q, cfg);
	return q;
}

void linksched_free(struct linksched *q)
{
	memory_free(q);
}

void linksched_retune(struct linksched *q, const struct linksched_config *cfg)
{
	q->link.rate = cfg->rate;
	q->link.burst = cfg->burst;
	q->overhead = cfg->overhead;
	q->queue_length = cfg->queue_length;
	for (unsigned i = 0; i < CLASSES; i++) {
		struct gate *g = &q->shares[i];

		/* Percent: by a longer period, so that no rate is rounded away. */
		g->rate = (struct rate){ cfg->rate.count * cfg->share[i], cfg->rate.period * 100 };
		g->burst = (uint64_t)cfg->burst * cfg->share[i] / 100;
	}
}

bool linksched_push(struct linksched *q, struct dgram *d, tstamp now, struct dgram **dropped)
{
	struct lane_queue *l = &q->lanes[d->lane];

	assert(d->lane < LANE_COUNT && !d->queued);
	*dropped = NULL;
	if (l->count >= q->queue_length) {
		struct dgram *victim = greediest(l, count_flow(l, d->flow) + 1);

		if (!victim)
			return false;
		linksched_remove(q, victim);
		*dropped = victim;
	}
	d->round = next_round(l, d->flow);
	d->since = now;
	d->queued = true;
	list_append(&l->queue, &d->link);
	l->count++;
	l->bytes += d->len + d->growth;
	return true;
}

struct dgram *linksched_pop(struct linksched *q, tstamp now)
{
	bool entitled;
	struct dgram *d;
	struct lane_queue *l;
	uint64_t cost;

	for (unsigned i = 0; i < CLASSES; i++)
		gate_settle(&q->shares[i], DGRAM_MAX + q->overhead, now);
	gate_settle(&q->link, DGRAM_MAX + q->overhead, now);
	d = choose(q, now, &entitled);
	if (!d || gate_wait(&q->link, cost_of(q, d), now) > 0)
		return NULL;
	cost = cost_of(q, d);
	gate_charge(&q->link, cost, now);
	if (entitled)
		gate_charge(&q->shares[class_of[d->lane]], cost, now);
	l = &q->lanes[d->lane];
	l->round = d->round + 1;
	l->sent_datagrams++;
	l->sent_bytes += cost;
	linksched_remove(q, d);
	return d;
}

void linksched_remove(struct linksched *q, struct dgram *d)
{
	struct lane_queue *l = &q->lanes[d->lane];

	if (!d->queued)
		return;
	list_remove(&d->link);
	d->queued = false;
	l->count--;
	l->bytes -= d->len + d->growth;
}

struct dgram *linksched_overdue(struct linksched *q, uint64_t wait, tstamp now)
{
	struct dgram *oldest = NULL;

	for (unsigned i = 0; i < LANE_COUNT; i++) {
		struct lane_queue *l = &q->lanes[i];

		if (l->count > 0 && (!oldest || dgram_of(l->queue.next)->since < oldest->since))
			oldest = dgram_of(l->queue.next);
	}
	if (!oldest || tstamp_since(oldest->since, now) <= wait)
		return NULL;
	linksched_remove(q, oldest);
	return oldest;
}

struct dgram *linksched_withdraw(struct linksched *q, const struct addr *to)
{
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		struct lane_queue *l = &q->lanes[i];

		for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
			struct dgram *d = dgram_of(n);

			if (!addr_equal(&d->to.remote, to))
				continue;
			linksched_remove(q, d);
			return d;
		}
	}
	return NULL;
}

tstamp linksched_next(const struct linksched *q, tstamp now)
{
	bool entitled;
	struct dgram *d = choose(q, now, &entitled);

	return d ? tstamp_add(now, gate_wait(&q->link, cost_of(q, d), now)) : TSTAMP_NEVER;
}

/* Until `cost` more bytes have passed after what is owed and queued: as if the gate were one long
 * pipe. */
static uint64_t gate_estimate(const struct gate *g, uint64_t before, uint64_t cost, tstamp now)
{
	uint64_t owed = tstamp_since(now, g->bucket.tat);
	uint64_t all, spare;

	if (g->rate.count == 0)
		return TSTAMP_NEVER;
	all = tstamp_add(owed, rate_duration(g->rate, before + cost));
	spare = rate_duration(g->rate, cost > g->burst ? cost : g->burst);
	return all > spare ? all - spare : 0;
}

/*
 * At worst everything of equal or higher priority goes first; but no higher class can keep this one
 * below its share.
 */
uint64_t linksched_estimate(const struct linksched *q, unsigned lane, size_t len, tstamp now)
{
	uint64_t ahead = 0, ahead_in_class = 0, cost = (uint64_t)len + q->overhead;
	uint64_t by_priority, by_share;

	for (unsigned i = 0; i <= lane; i++) {
		const struct lane_queue *l = &q->lanes[i];
		uint64_t bytes = l->bytes + (uint64_t)l->count * q->overhead;

		ahead += bytes;
		if (class_of[i] == class_of[lane])
			ahead_in_class += bytes;
	}
	by_priority = gate_estimate(&q->link, ahead, cost, now);
	by_share = gate_estimate(&q->shares[class_of[lane]], ahead_in_class, cost, now);
	/* Even what is within its share waits until the link has room for it. */
	if (by_share < gate_wait(&q->link, cost, now))
		by_share = gate_wait(&q->link, cost, now);
	return by_priority < by_share ? by_priority : by_share;
}

void linksched_view(const struct linksched *q, tstamp now, struct linksched_view *out)
{
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		out->queued[i] = q->lanes[i].count;
		out->sent_datagrams[i] = q->lanes[i].sent_datagrams;
		out->sent_bytes[i] = q->lanes[i].sent_bytes;
	}
	out->fill_permille = bucket_fill(&q->link.bucket, q->link.rate, q->link.burst, now);
}

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

/* One device in one lane. */
struct turn {
	uint64_t served; /* the lane's count of datagrams sent, when it was served last */
	uint32_t round;  /* the first one that may still be joined */
};

struct lane_queue {
	struct list queue; /* of struct dgram, in order of arrival */
	uint32_t count;
	uint64_t bytes, sent_datagrams, sent_bytes; /* as they leave */
	struct turn turns[LINKSCHED_DEVICES];
};

struct linksched {
	struct gate link;
	struct gate shares[CLASSES];
	struct lane_queue lanes[LANE_COUNT];
	uint32_t overhead, frame_size, frame_overhead, queue_length;
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

	if (g->rate.count > 0 && g->bucket.tat > now) /* it owes something */
		g->bucket.tat = tstamp_min(g->bucket.tat, tstamp_add(now, rate_duration(g->rate, deepest)));
}

static struct dgram *dgram_of(struct list *node)
{
	return LIST_ENTRY(node, struct dgram, link);
}

/* Bytes as they leave: in whole frames, if the link has them (RFC 4944 §5.3). */
static uint64_t cost(const struct linksched *q, uint64_t len)
{
	uint64_t all = len + q->overhead;

	if (q->frame_size == 0)
		return all;
	return all + (all + q->frame_size - 1) / q->frame_size * q->frame_overhead;
}

static uint64_t cost_of(const struct linksched *q, const struct dgram *d)
{
	return cost(q, (uint64_t)d->len + d->growth);
}

/* Rounds wrap; those of one device lie within a queue length or so of each other. */
static bool is_earlier(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Devices take turns, and at each device flows: which goes first does not depend on who asks most. */
static bool goes_before(const struct lane_queue *l, const struct dgram *a, const struct dgram *b)
{
	if (a->device != b->device)
		return l->turns[a->device].served < l->turns[b->device].served;
	return is_earlier(a->round, b->round);
}

/* The head of a lane: the device served longest ago, there the smallest round, and of that the first to arrive. */
static struct dgram *lane_head(const struct lane_queue *l)
{
	struct dgram *head = NULL;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		struct dgram *d = dgram_of(n);

		if (!head || goes_before(l, d, head))
			head = d;
	}
	return head;
}

/*
 * Each flow has one datagram per round and device. Nobody joins the round being served: a flow that keeps just
 * one datagram queued would join it again and again, and the others would never see the next.
 */
static bool is_same_flow(const struct dgram *a, const struct dgram *b)
{
	return a->flow == b->flow && a->device == b->device;
}

static uint32_t next_round(const struct lane_queue *l, const struct dgram *of)
{
	uint32_t round = l->turns[of->device].round;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		const struct dgram *d = dgram_of(n);

		if (is_same_flow(d, of) && is_earlier(round, d->round + 1))
			round = d->round + 1;
	}
	return round;
}

static uint32_t count_flow(const struct lane_queue *l, const struct dgram *of)
{
	uint32_t count = 0;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next)
		count += is_same_flow(dgram_of(n), of);
	return count;
}

/* The device that holds most of the lane, if that is more than this one would with one more; else this one. */
static uint8_t greediest_device(const struct lane_queue *l, uint8_t than)
{
	uint32_t counts[LINKSCHED_DEVICES] = { 0 };
	uint8_t most = than;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next)
		counts[dgram_of(n)->device]++;
	counts[than]++;
	for (uint8_t i = 0; i < LINKSCHED_DEVICES; i++)
		if (counts[i] > counts[most])
			most = i;
	return most;
}

/* The last datagram of the flow that holds most of this device's places, if that is more than `than`. Else NULL. */
static struct dgram *greediest_flow(const struct lane_queue *l, uint8_t device, uint32_t than)
{
	struct dgram *last = NULL;

	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		struct dgram *d = dgram_of(n);
		uint32_t count = d->device == device ? count_flow(l, d) : 0;

		if (count > than || (last && count == than && d->flow == last->flow)) {
			last = d;
			than = count;
		}
	}
	return last;
}

/* Who makes room for d in a full lane. NULL: nobody is greedier. */
static struct dgram *victim_of(const struct lane_queue *l, const struct dgram *d)
{
	uint8_t device = greediest_device(l, d->device);

	return greediest_flow(l, device, device == d->device ? count_flow(l, d) + 1 : 0);
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

size_t linksched_memory(void)
{
	return sizeof(struct linksched);
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

/* What is queued leaves at the new cost. */
static void weigh_lane(const struct linksched *q, struct lane_queue *l)
{
	l->bytes = 0;
	for (struct list *n = l->queue.next; n != &l->queue; n = n->next)
		l->bytes += cost_of(q, dgram_of(n));
}

void linksched_retune(struct linksched *q, const struct linksched_config *cfg)
{
	q->link.rate = cfg->rate;
	q->link.burst = cfg->burst;
	q->overhead = cfg->overhead;
	q->frame_size = cfg->frame_size;
	q->frame_overhead = cfg->frame_overhead;
	q->queue_length = cfg->queue_length;
	for (unsigned i = 0; i < CLASSES; i++) {
		struct gate *g = &q->shares[i];

		/* Percent: by a longer period, so that no rate is rounded away. */
		g->rate = (struct rate){ cfg->rate.count * cfg->share[i], cfg->rate.period * 100 };
		g->burst = (uint64_t)cfg->burst * cfg->share[i] / 100;
	}
	for (unsigned i = 0; i < LANE_COUNT; i++)
		weigh_lane(q, &q->lanes[i]);
}

bool linksched_push(struct linksched *q, struct dgram *d, struct dgram **dropped)
{
	struct lane_queue *l = &q->lanes[d->lane];

	assert(d->lane < LANE_COUNT && d->device < LINKSCHED_DEVICES && !d->queued);
	*dropped = NULL;
	if (l->count >= q->queue_length) {
		struct dgram *victim = victim_of(l, d);

		if (!victim)
			return false;
		linksched_remove(q, victim);
		*dropped = victim;
	}
	d->round = next_round(l, d);
	d->queued = true;
	list_append(&l->queue, &d->link);
	l->count++;
	l->bytes += cost_of(q, d);
	return true;
}

struct dgram *linksched_pop(struct linksched *q, tstamp now)
{
	bool entitled;
	struct dgram *d;
	struct lane_queue *l;
	uint64_t bytes;

	for (unsigned i = 0; i < CLASSES; i++)
		gate_settle(&q->shares[i], cost(q, DGRAM_MAX), now);
	gate_settle(&q->link, cost(q, DGRAM_MAX), now);
	d = choose(q, now, &entitled);
	if (!d || gate_wait(&q->link, cost_of(q, d), now) > 0)
		return NULL;
	bytes = cost_of(q, d);
	gate_charge(&q->link, bytes, now);
	if (entitled)
		gate_charge(&q->shares[class_of[d->lane]], bytes, now);
	l = &q->lanes[d->lane];
	l->sent_datagrams++;
	l->sent_bytes += bytes;
	l->turns[d->device] = (struct turn){ .served = l->sent_datagrams, .round = d->round + 1 };
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
	l->bytes -= cost_of(q, d);
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
 * What goes before d in its own lane: of its device what is in its round or an earlier one, and of each other device as many, and
 * one more. Which of those is decided by rounds, too, and taken by age here: it is an estimate.
 */
static uint64_t lane_ahead(const struct linksched *q, const struct dgram *d)
{
	const struct lane_queue *l = &q->lanes[d->lane];
	uint32_t round = next_round(l, d), turns = 1, seen[LINKSCHED_DEVICES] = { 0 };
	uint64_t bytes = 0;

	if (l->count == 0)
		return 0;
	for (struct list *n = l->queue.next; n != &l->queue; n = n->next)
		turns += dgram_of(n)->device == d->device && !is_earlier(round, dgram_of(n)->round);
	for (struct list *n = l->queue.next; n != &l->queue; n = n->next) {
		const struct dgram *other = dgram_of(n);

		if (other->device == d->device ? !is_earlier(round, other->round) : seen[other->device]++ < turns)
			bytes += cost_of(q, other);
	}
	return bytes;
}

/*
 * At worst everything of higher priority goes first, and in the lane what its turn is before; but no higher class can keep this one
 * below its share.
 */
uint64_t linksched_estimate(const struct linksched *q, const struct dgram *d, tstamp now)
{
	uint64_t ahead = lane_ahead(q, d), ahead_in_class = ahead, bytes = cost_of(q, d);
	uint64_t by_priority, by_share;

	for (unsigned i = 0; i < d->lane; i++) {
		ahead += q->lanes[i].bytes;
		if (class_of[i] == class_of[d->lane])
			ahead_in_class += q->lanes[i].bytes;
	}
	by_priority = gate_estimate(&q->link, ahead, bytes, now);
	by_share = gate_estimate(&q->shares[class_of[d->lane]], ahead_in_class, bytes, now);
	/* Even what is within its share waits until the link has room for it. */
	if (by_share < gate_wait(&q->link, bytes, now))
		by_share = gate_wait(&q->link, bytes, now);
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

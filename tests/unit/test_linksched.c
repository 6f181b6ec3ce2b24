#include "guard/linksched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* 10 kbit/s, as the configuration's default: a byte takes 0.8 ms. */
static const struct linksched_config usual = {
	.rate = { 1250, TSTAMP_S },
	.burst = 1024,
	.overhead = 48,
	.queue_length = 32,
	.share = { 80, 15, 5 },
};

#define BYTE  (800 * TSTAMP_US)
#define POOL  512
#define START TSTAMP_HOUR

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct dgram *pool; /* of POOL, for the running test */

static int set_up(void **state)
{
	(void)state;
	pool = calloc(POOL, sizeof *pool);
	return pool ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(pool);
	return 0;
}

/* The i-th datagram of the pool, dressed up. */
static struct dgram *dress(unsigned i, enum lane lane, uint64_t flow, uint16_t len)
{
	struct dgram *d = &pool[i];

	assert_true(i < POOL && !d->queued);
	d->lane = (uint8_t)lane;
	d->flow = flow;
	d->device = 0;
	d->len = len;
	d->owner = i;
	return d;
}

static bool push(struct linksched *q, struct dgram *d)
{
	struct dgram *dropped = NULL;
	bool queued = linksched_push(q, d, &dropped);

	assert_null(dropped);
	return queued;
}

/* Pops the next one whenever it may go; its number in the pool. */
static unsigned pop_when_due(struct linksched *q, tstamp *now)
{
	struct dgram *d = linksched_pop(q, *now);

	while (!d && linksched_next(q, *now) != TSTAMP_NEVER) {
		assert_true(linksched_next(q, *now) > *now); /* or the caller would spin */
		*now = linksched_next(q, *now);
		d = linksched_pop(q, *now);
	}
	assert_non_null(d);
	assert_false(d->queued);
	return d->owner;
}

/* What a datagram of this length, of a flow and device that nobody else is, would wait. */
static uint64_t wait_of(const struct linksched *q, enum lane lane, uint16_t len, tstamp now)
{
	return linksched_estimate(q, dress(POOL - 1, lane, POOL, len), now);
}

static void test_empty(void **state)
{
	struct linksched *q = linksched_create(&usual);
	struct linksched_view v;

	(void)state;
	assert_null(linksched_pop(q, START));
	assert_int_equal(linksched_next(q, START), TSTAMP_NEVER);
	assert_int_equal(wait_of(q, LANE_UNKNOWN, 100, START), 0);
	linksched_view(q, START, &v);
	assert_int_equal(v.fill_permille, 1000);
	linksched_free(q);
	linksched_free(NULL);
}

/* 100 + 48 bytes each: six are in the burst, the seventh waits for 12 bytes more. */
static void test_bucket(void **state)
{
	struct linksched *q = linksched_create(&usual);
	struct linksched_view v;
	tstamp now = START;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_true(push(q, dress(i, LANE_TRUSTED, i, 100)));
	for (unsigned i = 0; i < 6; i++)
		assert_ptr_equal(linksched_pop(q, now), &pool[i]);
	assert_null(linksched_pop(q, now));
	assert_int_equal(linksched_next(q, now), START + (7 * 148 - 1024) * BYTE);
	assert_null(linksched_pop(q, linksched_next(q, now) - 1));
	assert_int_equal(pop_when_due(q, &now), 6);
	assert_int_equal(now, START + 12 * BYTE);
	linksched_view(q, now, &v);
	assert_int_equal(v.queued[LANE_TRUSTED], 1);
	assert_int_equal(v.sent_datagrams[LANE_TRUSTED], 7);
	assert_int_equal(v.sent_bytes[LANE_TRUSTED], 7 * 148);
	assert_int_equal(v.fill_permille, 0);
	linksched_free(q);
}

/* Larger than the bucket: passes when that is full, and its debt is paid by all that come after. */
static void test_oversize(void **state)
{
	struct linksched *q = linksched_create(&usual);
	tstamp now = START;

	(void)state;
	push(q, dress(0, LANE_TRUSTED, 1, 100));
	push(q, dress(1, LANE_TRUSTED, 1, 1280));
	push(q, dress(2, LANE_TRUSTED, 1, 100));
	assert_int_equal(pop_when_due(q, &now), 0);
	assert_int_equal(now, START);
	assert_int_equal(pop_when_due(q, &now), 1);
	assert_int_equal(now, START + 148 * BYTE);
	assert_int_equal(pop_when_due(q, &now), 2);
	assert_int_equal(now, START + (148 + 1328 + 148 - 1024) * BYTE);
	linksched_free(q);
}

static void test_no_rate(void **state)
{
	struct linksched_config cfg = usual;
	struct linksched *q;

	(void)state;
	cfg.rate.count = 0;
	q = linksched_create(&cfg);
	push(q, dress(0, LANE_CONTROL, 1, 4));
	assert_null(linksched_pop(q, START));
	assert_int_equal(linksched_next(q, START), TSTAMP_NEVER);
	assert_int_equal(wait_of(q, LANE_CONTROL, 4, START), TSTAMP_NEVER);
	linksched_retune(q, &usual);
	assert_ptr_equal(linksched_pop(q, START), &pool[0]); /* nothing queued was lost */
	linksched_free(q);
}

/* Small enough for every share: the order of lanes is the order of leaving. */
static void test_lanes_in_order(void **state)
{
	struct linksched_config cfg = usual;
	struct linksched *q;

	(void)state;
	cfg.burst = 100000;
	q = linksched_create(&cfg);
	for (unsigned i = 0; i < LANE_COUNT; i++)
		push(q, dress(i, (enum lane)(LANE_COUNT - 1 - i), 1, 10));
	for (unsigned i = 0; i < LANE_COUNT; i++)
		assert_ptr_equal(linksched_pop(q, START), &pool[LANE_COUNT - 1 - i]);
	linksched_free(q);
}

/* All classes always want more than there is. Bytes of each class, in permille of all. */
static void test_shares(void **state)
{
	static const struct {
		uint8_t share[3];
		bool wants[3];
		unsigned least[3], most[3];
	} rows[] = {
		{ { 80, 15, 5 }, { 1, 1, 1 }, { 780, 140, 45 }, { 815, 160, 60 } },
		{ { 40, 30, 30 }, { 1, 1, 1 }, { 390, 290, 290 }, { 420, 310, 310 } },
		/* What nobody claims is lent, in the order of lanes. */
		{ { 80, 15, 5 }, { 1, 0, 0 }, { 1000, 0, 0 }, { 1000, 0, 0 } },
		{ { 80, 15, 5 }, { 0, 0, 1 }, { 0, 0, 1000 }, { 0, 0, 1000 } },
		{ { 80, 15, 5 }, { 0, 1, 1 }, { 0, 930, 45 }, { 0, 955, 70 } },
		{ { 50, 15, 5 }, { 1, 1, 1 }, { 780, 140, 45 }, { 815, 160, 60 } },
		{ { 100, 0, 0 }, { 1, 1, 1 }, { 1000, 0, 0 }, { 1000, 0, 0 } },
	};
	static const enum lane lanes[3] = { LANE_TRUSTED, LANE_REACHABLE, LANE_UNKNOWN };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct linksched_config cfg = usual;
		struct linksched *q;
		uint64_t bytes[3] = { 0 }, all = 0;
		tstamp now = START;

		for (unsigned c = 0; c < 3; c++)
			cfg.share[c] = rows[i].share[c];
		memset(pool, 0, POOL * sizeof *pool);
		q = linksched_create(&cfg);
		for (unsigned c = 0; c < 3; c++)
			for (unsigned k = 0; rows[i].wants[c] && k < 4; k++)
				push(q, dress(4 * c + k, lanes[c], k, 52));
		for (unsigned n = 0; n < 2000; n++) {
			unsigned left = pop_when_due(q, &now), c = left / 4;

			bytes[c] += 100;
			all += 100;
			push(q, dress(left, lanes[c], left % 4, 52));
		}
		for (unsigned c = 0; c < 3; c++)
			if (bytes[c] * 1000 / all < rows[i].least[c] || bytes[c] * 1000 / all > rows[i].most[c])
				fail_msg("row %zu, class %u: %u permille", i, c, (unsigned)(bytes[c] * 1000 / all));
		/* Work-conserving: the link was never idle. */
		assert_in_range(now - START, (200000 - 1024) * BYTE, 200000 * BYTE);
		linksched_free(q);
	}
}

/* What a class borrows while nobody else wants it is no debt: its share is there when the others
 * come. */
static void test_loans_are_gifts(void **state)
{
	struct linksched *q = linksched_create(&usual);
	tstamp now = START;

	(void)state;
	for (unsigned n = 0; n < 100; n++) {
		push(q, dress(0, LANE_UNKNOWN, 1, 52));
		assert_int_equal(pop_when_due(q, &now), 0);
	}
	now += 100 * 20 * BYTE; /* in which its share, a twentieth, earns one datagram */
	for (unsigned i = 1; i <= 20; i++)
		push(q, dress(i, LANE_TRUSTED, i, 52));
	push(q, dress(0, LANE_UNKNOWN, 1, 52));
	for (unsigned i = 0; i < 20; i++)
		if (pop_when_due(q, &now) == 0)
			break;
	assert_false(pool[0].queued);
	linksched_free(q);
}

/* 20 datagrams of a greedy flow are queued when others come with one each: they wait for one of it,
 * not for 20. */
static void test_fair_between_flows(void **state)
{
	struct linksched *q = linksched_create(&usual);
	static const unsigned expected[] = { 0, 1, 20, 21, 2, 22, 3, 4 };
	tstamp now = START;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		push(q, dress(i, LANE_REACHABLE, 666, 52));
	assert_int_equal(pop_when_due(q, &now), expected[0]);
	push(q, dress(20, LANE_REACHABLE, 1, 52));
	push(q, dress(21, LANE_REACHABLE, 2, 52));
	push(q, dress(22, LANE_REACHABLE, 2, 52));
	for (unsigned i = 1; i < sizeof expected / sizeof *expected; i++)
		assert_int_equal(pop_when_due(q, &now), expected[i]);
	linksched_free(q);
}

/* A flow with one datagram at a time, again and again, against one with a backlog: turn by turn. */
static void test_fair_to_a_backlog(void **state)
{
	struct linksched *q = linksched_create(&usual);
	unsigned backlog_left = 0;
	tstamp now = START;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		push(q, dress(i, LANE_TRUSTED, 1, 52));
	push(q, dress(20, LANE_TRUSTED, 2, 52));
	for (unsigned n = 0; n < 30; n++) {
		unsigned left = pop_when_due(q, &now);

		if (left == 20)
			push(q, dress(20, LANE_TRUSTED, 2, 52));
		else
			backlog_left++;
	}
	assert_in_range(backlog_left, 14, 16);
	linksched_free(q);
}

static struct dgram *for_device(uint8_t device, struct dgram *d)
{
	d->device = device;
	return d;
}

/* A hundred clients of one device, then one of another, and one of a third: they take turns, whoever has more clients. */
static void test_fair_between_devices(void **state)
{
	static const unsigned expected[] = { 0, 100, 103, 1, 101, 104, 2, 102, 105, 3, 4, 5 };
	struct linksched_config cfg = usual;
	struct linksched *q;
	tstamp now = START;

	(void)state;
	cfg.queue_length = 128;
	q = linksched_create(&cfg);
	for (unsigned i = 0; i < 100; i++)
		push(q, dress(i, LANE_TRUSTED, i, 52));
	for (unsigned i = 100; i < 103; i++)
		push(q, for_device(7, dress(i, LANE_TRUSTED, 50, 52)));
	for (unsigned i = 103; i < 106; i++)
		push(q, for_device(63, dress(i, LANE_TRUSTED, i, 52)));
	for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_int_equal(pop_when_due(q, &now), expected[i]);
	linksched_free(q);
}

/* One datagram at a time, again and again, against a backlog: every second turn, to one or two devices. */
static void test_devices_take_turns(void **state)
{
	(void)state;
	for (uint8_t device = 0; device < 2; device++) {
		struct linksched *q = linksched_create(&usual);
		unsigned mine = 0;
		tstamp now = START;

		memset(pool, 0, POOL * sizeof *pool);
		for (unsigned i = 0; i < 30; i++)
			push(q, dress(i, LANE_UNKNOWN, device ? i : 1, 52));
		push(q, for_device(device, dress(30, LANE_UNKNOWN, 99, 52)));
		for (unsigned n = 0; n < 40; n++) {
			if (pop_when_due(q, &now) != 30)
				continue;
			mine++;
			push(q, for_device(device, dress(30, LANE_UNKNOWN, 99, 52)));
		}
		assert_in_range(mine, 19, 21);
		linksched_free(q);
	}
}

/* As after four thousand million datagrams, the wrap at every place of the pattern. */
static void test_rounds_wrap(void **state)
{
	(void)state;
	for (uint32_t before = 1; before <= 4; before++) {
		struct linksched *q = linksched_create(&usual);
		tstamp now = START;

		push(q, dress(0, LANE_TRUSTED, 1, 52));
		pool[0].round = UINT32_MAX - before;
		assert_int_equal(pop_when_due(q, &now), 0);
		for (unsigned i = 0; i < 4; i++) {
			push(q, dress(0, LANE_TRUSTED, 1, 52));
			push(q, dress(1, LANE_TRUSTED, 1, 52));
			push(q, dress(2, LANE_TRUSTED, 1, 52));
			push(q, dress(3, LANE_TRUSTED, 2, 52));
			assert_int_equal(pop_when_due(q, &now), 0);
			assert_int_equal(pop_when_due(q, &now), 3);
			assert_int_equal(pop_when_due(q, &now), 1);
			assert_int_equal(pop_when_due(q, &now), 2);
		}
		linksched_free(q);
	}
}

static void test_full_lane(void **state)
{
	struct linksched_config cfg = usual;
	struct linksched *q;
	struct dgram *dropped = NULL;

	(void)state;
	cfg.queue_length = 6;
	q = linksched_create(&cfg);
	/* Flow 7 holds three, 8 two, 9 one. */
	for (unsigned i = 0; i < 6; i++)
		push(q, dress(i, LANE_UNKNOWN, i < 3 ? 7 : i < 5 ? 8 : 9, 52));
	assert_false(linksched_push(q, dress(6, LANE_UNKNOWN, 7, 52), &dropped));
	assert_null(dropped);
	assert_false(pool[6].queued);
	assert_false(linksched_push(q, dress(6, LANE_UNKNOWN, 8, 52), &dropped));
	assert_true(linksched_push(q, dress(6, LANE_UNKNOWN, 10, 52), &dropped));
	assert_ptr_equal(dropped, &pool[2]); /* the last of the greediest */
	assert_false(dropped->queued);
	/* Now 7 and 8 hold two, 9 and 10 one: a second one of 9 would be no less greedy. */
	assert_false(linksched_push(q, dress(7, LANE_UNKNOWN, 9, 52), &dropped));
	assert_null(dropped);
	assert_true(linksched_push(q, dress(7, LANE_UNKNOWN, 11, 52), &dropped));
	assert_ptr_equal(dropped, &pool[1]);
	/* Another lane has its own places. */
	assert_true(push(q, dress(8, LANE_REACHABLE, 7, 52)));
	linksched_free(q);
}

/* Room is made by the device that holds most, and there by the flow that does; then by one's own device. */
static void test_full_lane_of_devices(void **state)
{
	static const struct {
		uint8_t device;
		uint64_t flow;
		int dropped; /* -1: no room */
	} rows[] = {
		{ 1, 9, 4 },  /* device 0 holds six, flow 7 of it three: its last */
		{ 1, 9, 1 },  /* now 7, 8 and 5 hold two, two and one: the last of the first such flow */
		{ 1, 9, 3 },  /* 4 to 2 */
		{ 1, 9, -1 }, /* 3 to 3 */
		{ 1, 3, 8 },  /* but 9 holds three there, and 3 none */
		{ 0, 7, -1 }, /* 3 to 3 */
	};
	struct linksched_config cfg = usual;
	struct linksched *q;

	(void)state;
	cfg.queue_length = 6;
	q = linksched_create(&cfg);
	for (unsigned i = 0; i < 6; i++)
		push(q, dress(i, LANE_UNKNOWN, (uint64_t[]){ 7, 7, 8, 8, 7, 5 }[i], 52));
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dgram *dropped = NULL,
			     *d = for_device(rows[i].device, dress(6 + i, LANE_UNKNOWN, rows[i].flow, 52));

		if (linksched_push(q, d, &dropped) != (rows[i].dropped >= 0))
			fail_msg("row %u", i);
		if (rows[i].dropped >= 0 && dropped != &pool[rows[i].dropped])
			fail_msg("row %u: %d went", i, dropped ? (int)dropped->owner : -1);
	}
	linksched_free(q);
}

/* Two of one device and one of another: a second one of the other would only turn that round. */
static void test_full_lane_turned_round(void **state)
{
	struct linksched_config cfg = usual;
	struct dgram *dropped = NULL;
	struct linksched *q;

	(void)state;
	cfg.queue_length = 3;
	q = linksched_create(&cfg);
	push(q, dress(0, LANE_UNKNOWN, 7, 52));
	push(q, dress(1, LANE_UNKNOWN, 8, 52));
	push(q, for_device(1, dress(2, LANE_UNKNOWN, 9, 52)));
	assert_false(linksched_push(q, for_device(1, dress(3, LANE_UNKNOWN, 9, 52)), &dropped));
	assert_null(dropped);
	linksched_free(q);
}

/* What a datagram weighs when it leaves. */
static void test_frames(void **state)
{
	static const struct {
		uint32_t overhead, frame_size, frame_overhead;
		uint16_t len;
		uint8_t growth;
		uint64_t bytes;
	} rows[] = {
		{ 48, 0, 0, 100, 0, 148 },
		{ 48, 0, 29, 100, 0, 148 },
		{ 27, 104, 29, 60, 0, 116 },
		{ 27, 104, 29, 77, 0, 133 },
		{ 27, 104, 29, 78, 0, 163 },
		{ 27, 104, 29, 60, 18, 163 },
		{ 27, 104, 29, 200, 0, 314 },
		{ 27, 104, 29, 4, 0, 60 },
		{ 0, 1, 1, 4, 0, 8 },
		{ 27, 104, 29, 1280, 0, 1684 },
		{ 256, 1, 256, 1280, 0, 1536 * 257 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct linksched_config cfg = usual;
		struct linksched_view v;
		struct linksched *q;
		uint64_t both = 2 * rows[i].bytes, burst = cfg.burst;

		cfg.overhead = rows[i].overhead;
		cfg.frame_size = rows[i].frame_size;
		cfg.frame_overhead = rows[i].frame_overhead;
		q = linksched_create(&cfg);
		for (unsigned k = 0; k < 2; k++) {
			dress(k, LANE_TRUSTED, 1, rows[i].len)->growth = rows[i].growth;
			push(q, &pool[k]);
		}
		assert_ptr_equal(linksched_pop(q, START), &pool[0]);
		linksched_view(q, START, &v);
		if (v.sent_bytes[LANE_TRUSTED] != rows[i].bytes)
			fail_msg("row %zu: %u bytes", i, (unsigned)v.sent_bytes[LANE_TRUSTED]);
		/* and that is what the link is charged with */
		if (rows[i].bytes > burst)
			burst = rows[i].bytes;
		assert_int_equal(linksched_next(q, START), START + (both > burst ? (both - burst) * BYTE : 0));
		linksched_remove(q, &pool[1]);
		linksched_free(q);
	}
}

static void test_remove(void **state)
{
	struct linksched *q = linksched_create(&usual);
	struct linksched_view v;

	(void)state;
	push(q, dress(0, LANE_UNKNOWN, 1, 52));
	push(q, dress(1, LANE_TRUSTED, 1, 52));
	linksched_remove(q, &pool[0]);
	linksched_remove(q, &pool[0]); /* harmless */
	linksched_view(q, START, &v);
	assert_int_equal(v.queued[LANE_UNKNOWN], 0);
	assert_int_equal(v.queued[LANE_TRUSTED], 1);
	linksched_remove(q, &pool[1]);
	assert_int_equal(linksched_next(q, START), TSTAMP_NEVER);
	assert_int_equal(wait_of(q, LANE_UNKNOWN, 52, START), 0);
	linksched_free(q);
}

static void test_withdraw(void **state)
{
	struct linksched *q = linksched_create(&usual);
	struct addr here = { .port = 1 }, there = { .port = 2 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		dress(i, i < 2 ? LANE_CONTROL : LANE_UNKNOWN, i, 52)->to.remote = i % 2 ? here : there;
		assert_true(push(q, &pool[i]));
	}
	assert_ptr_equal(linksched_withdraw(q, &here), &pool[1]);
	assert_ptr_equal(linksched_withdraw(q, &here), &pool[3]);
	assert_null(linksched_withdraw(q, &here));
	assert_ptr_equal(linksched_pop(q, START), &pool[0]);
	assert_ptr_equal(linksched_withdraw(q, &there), &pool[2]);
	assert_int_equal(linksched_next(q, START), TSTAMP_NEVER);
	linksched_free(q);
}

static void test_retune(void **state)
{
	struct linksched_config cfg = usual;
	struct linksched *q;
	tstamp now = START, settled;

	(void)state;
	cfg.rate = (struct rate){ 1, TSTAMP_S };
	q = linksched_create(&cfg);
	for (unsigned i = 0; i < 20; i++)
		push(q, dress(i, LANE_TRUSTED, 1, 52));
	while (linksched_pop(q, now))
		;
	assert_int_equal(linksched_next(q, now), now + 76 * TSTAMP_S);
	linksched_retune(q, &usual);
	/* 1024 seconds of debt are now at most what the largest datagram owes, and soon paid. */
	assert_null(linksched_pop(q, now));
	settled = linksched_next(q, now);
	assert_true(settled <= now + (DGRAM_MAX + 48) * BYTE);
	assert_int_equal(pop_when_due(q, &now), 10);
	assert_int_equal(now, settled);
	linksched_free(q);
}

/* What is queued weighs what it weighs when it leaves, not when it came. */
static void test_retune_weight(void **state)
{
	struct linksched_config heavy = usual;
	struct linksched *q = linksched_create(&usual);

	(void)state;
	heavy.overhead = 100;
	for (unsigned i = 0; i < 10; i++)
		push(q, dress(i, LANE_TRUSTED, 1, 100));
	assert_int_equal(wait_of(q, LANE_MOVED, 100, START), (11 * 148 - 1024) * BYTE);
	linksched_retune(q, &heavy);
	assert_int_equal(wait_of(q, LANE_MOVED, 100, START), (11 * 200 - 1024) * BYTE);
	for (unsigned i = 0; i < 10; i++)
		linksched_remove(q, &pool[i]);
	assert_int_equal(wait_of(q, LANE_MOVED, 100, START), 0);
	linksched_free(q);
}

/* What comes true when nothing else happens. */
static void test_estimate(void **state)
{
	static const enum lane lanes[] = { LANE_TRUSTED, LANE_REACHABLE, LANE_UNKNOWN };

	(void)state;
	for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
		struct linksched *q = linksched_create(&usual);
		tstamp now = START;
		uint64_t estimate;

		for (unsigned k = 0; k < 20; k++)
			push(q, dress(k, lanes[i], 1, 100));
		while (linksched_pop(q, now))
			;
		estimate = linksched_estimate(q, dress(20, lanes[i], 1, 100), now);
		push(q, &pool[20]);
		while (pop_when_due(q, &now) != 20)
			;
		assert_int_equal(now - START, estimate);
		assert_int_equal(estimate, (21 * 148 - 1024) * BYTE);
		linksched_free(q);
	}
}

/* Random crowds of flows and devices in one lane: the last to come waits as long as it was told, to within a datagram. */
static void test_estimate_takes_turns(void **state)
{
	uint64_t seed = 7959, early = 0, late = 0, told = 0;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct linksched_config cfg = usual;
		struct linksched *q;
		unsigned n = 1 + (unsigned)(next_random(&seed) % 31), devices = 1 + (unsigned)(next_random(&seed) % 4);
		tstamp now = START;
		uint64_t estimate = 0;

		cfg.frame_size = round % 2 ? 104 : 0;
		cfg.frame_overhead = 29;
		memset(pool, 0, POOL * sizeof *pool);
		q = linksched_create(&cfg);
		for (unsigned i = 0; i <= n; i++) {
			uint64_t x = next_random(&seed);
			struct dgram *d = for_device((uint8_t)(x % devices), dress(i, LANE_TRUSTED, x >> 8 & 3,
										   (uint16_t)(10 + (x >> 16) % 200)));

			if (i == n / 2) /* some have had a turn */
				for (unsigned k = 0; k < n / 4; k++)
					pop_when_due(q, &now);
			if (i == n)
				estimate = linksched_estimate(q, d, now);
			push(q, d);
		}
		estimate += now;
		while (pop_when_due(q, &now) != n)
			;
		if (now > estimate + 210 * BYTE)
			fail_msg("round %u: %u ms late", round, (unsigned)((now - estimate) / TSTAMP_MS));
		if (now > estimate)
			late += now - estimate;
		else
			early += estimate - now;
		told += estimate - START;
		linksched_free(q);
	}
	assert_true(late * 1000 < told && early * 10 < told);
}

/* A crowd of trusted traffic ahead: strangers still have their share. */
static void test_estimate_has_its_share(void **state)
{
	struct linksched_config cfg = usual;
	struct linksched *q;
	uint64_t trusted, unknown;

	(void)state;
	cfg.share[0] = 40;
	cfg.share[2] = 45;
	q = linksched_create(&cfg);
	for (unsigned i = 0; i < 32; i++)
		push(q, dress(i, LANE_TRUSTED, i, 200));
	trusted = wait_of(q, LANE_TRUSTED, 100, START);
	unknown = wait_of(q, LANE_UNKNOWN, 100, START);
	assert_int_equal(trusted, (32 * 248 + 148 - 1024) * BYTE);
	assert_int_equal(unknown, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(linksched_pop(q, START));
	/* 32 bytes are left of the burst: its share does not help it past the link's own bucket. */
	assert_int_equal(wait_of(q, LANE_UNKNOWN, 100, START), (148 - 32) * BYTE);
	linksched_free(q);
}

/*
 * Random traffic against naive copies of two things: which datagrams are queued, and what has left
 * when. I4: in every window, the bytes that left fit burst + rate x window, or, where one datagram
 * is larger than the burst, that datagram + rate x window.
 */
#define LEFT_MAX 3000

struct record {
	tstamp at;
	uint64_t bytes;
};

struct naive {
	bool queued[POOL];
	unsigned count;
	struct record left[LEFT_MAX];
	unsigned n_left;
};

static void check_windows(const struct naive *m, const struct linksched_config *cfg)
{
	for (unsigned from = 0; from < m->n_left; from++) {
		uint64_t sum = 0, allowance = cfg->burst;

		for (unsigned to = from; to < m->n_left; to++) {
			uint64_t window = m->left[to].at - m->left[from].at;

			sum += m->left[to].bytes;
			if (m->left[to].bytes > allowance)
				allowance = m->left[to].bytes;
			if (sum * TSTAMP_S > allowance * TSTAMP_S + window * cfg->rate.count)
				fail_msg("%u to %u: %llu bytes", from, to, (unsigned long long)sum);
		}
	}
}

static void note_left(struct naive *m, const struct linksched_config *cfg, const struct dgram *d, tstamp now)
{
	assert_true(m->queued[d->owner] && !d->queued);
	m->queued[d->owner] = false;
	m->count--;
	if (m->n_left < LEFT_MAX)
		m->left[m->n_left++] = (struct record){ now, (uint64_t)d->len + cfg->overhead };
}

static void push_random(struct linksched *q, struct naive *m, uint64_t *seed)
{
	unsigned i = (unsigned)(next_random(seed) % POOL);
	uint64_t x = next_random(seed);
	uint16_t len = (uint16_t)(x % 40 == 0 ? 1280 : 4 + x / 40 % 150);
	struct dgram *dropped;

	if (m->queued[i])
		return;
	dress(i, (enum lane)(next_random(seed) % LANE_COUNT), next_random(seed) % 5, len);
	if (!linksched_push(q, &pool[i], &dropped)) {
		assert_null(dropped);
		return;
	}
	m->queued[i] = true;
	m->count++;
	if (dropped) {
		assert_int_equal(dropped->lane, pool[i].lane);
		assert_int_not_equal(dropped->flow, pool[i].flow);
		m->queued[dropped->owner] = false;
		m->count--;
	}
}

static void take_out_random(struct linksched *q, struct naive *m, uint64_t *seed)
{
	unsigned i = (unsigned)(next_random(seed) % POOL);

	m->count -= m->queued[i];
	m->queued[i] = false;
	linksched_remove(q, &pool[i]);
}

static void check_counts(const struct linksched *q, const struct naive *m, tstamp now)
{
	struct linksched_view v;
	unsigned queued = 0;

	linksched_view(q, now, &v);
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		assert_true(v.queued[i] <= usual.queue_length);
		queued += v.queued[i];
	}
	assert_int_equal(queued, m->count);
	assert_int_equal(linksched_next(q, now) == TSTAMP_NEVER, m->count == 0);
}

static void test_every_window(void **state)
{
	struct naive *m = calloc(1, sizeof *m);
	struct linksched *q = linksched_create(&usual);
	uint64_t seed = 6282;
	tstamp now = START;

	(void)state;
	for (unsigned i = 0; i < 60000 && m->n_left < LEFT_MAX; i++) {
		struct dgram *d;

		/* Busy and quiet times, so that bursts are saved up and spent. */
		now += next_random(&seed) % ((i / 1000 % 3 == 0 ? 2000 : 100) * TSTAMP_MS);
		if (next_random(&seed) % 4 > 0)
			push_random(q, m, &seed);
		else
			take_out_random(q, m, &seed);
		while ((d = linksched_pop(q, now)))
			note_left(m, &usual, d, now);
		if (m->count > 0)
			assert_true(linksched_next(q, now) > now);
		check_counts(q, m, now);
	}
	assert_int_equal(m->n_left, LEFT_MAX);
	check_windows(m, &usual);
	linksched_free(q);
	free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_bucket),
		TEST(test_oversize),
		TEST(test_no_rate),
		TEST(test_lanes_in_order),
		TEST(test_shares),
		TEST(test_loans_are_gifts),
		TEST(test_fair_between_flows),
		TEST(test_fair_to_a_backlog),
		TEST(test_fair_between_devices),
		TEST(test_devices_take_turns),
		TEST(test_rounds_wrap),
		TEST(test_full_lane),
		TEST(test_full_lane_of_devices),
		TEST(test_full_lane_turned_round),
		TEST(test_frames),
		TEST(test_remove),
		TEST(test_withdraw),
		TEST(test_retune),
		TEST(test_retune_weight),
		TEST(test_estimate),
		TEST(test_estimate_takes_turns),
		TEST(test_estimate_has_its_share),
		TEST(test_every_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

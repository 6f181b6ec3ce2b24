#include "guard/newcomers.h"
#include "guard/charges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ALL     UINT32_MAX /* kinds */
#define MINUTES TSTAMP_MIN

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static const struct newcomers_config usual = {
	.capacity = 1024,
	.per_64 = 1,
	.per_48 = 4,
	.charges = 65536,
	.memory = TSTAMP_DAY,
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* 2xxx:xxxx (region) : xxxx (site) : xxxx (host) :: low */
static struct addr v6(uint32_t region, uint32_t site, uint32_t host, uint32_t low)
{
	struct addr a = { .port = 5683 };

	for (unsigned i = 0; i < 4; i++) {
		a.ip[i] = (uint8_t)((0x20000000 | region) >> (24 - 8 * i));
		a.ip[12 + i] = (uint8_t)(low >> (24 - 8 * i));
	}
	for (unsigned i = 0; i < 2; i++) {
		a.ip[4 + i] = (uint8_t)(site >> (8 - 8 * i));
		a.ip[6 + i] = (uint8_t)(host >> (8 - 8 * i));
	}
	return a;
}

static struct addr v4(uint32_t ip)
{
	struct addr a = { .ip = { [10] = 0xff, [11] = 0xff }, .port = 5683 };

	for (unsigned i = 0; i < 4; i++)
		a.ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
	return a;
}

static enum newcomers_result push(struct newcomers *n, struct addr client, uint32_t ref, tstamp since)
{
	struct newcomers_entry e = { .client = client, .ref = ref, .since = since }, evicted;
	bool has_evicted;
	enum newcomers_result r = newcomers_push(n, &e, &evicted, &has_evicted);

	assert_false(has_evicted);
	return r;
}

/* The ref of the one admitted, -1: none. */
static int64_t admit(struct newcomers *n, tstamp now)
{
	struct newcomers_entry e;

	return newcomers_admit(n, 0, ALL, now, &e) ? (int64_t)e.ref : -1;
}

static void test_prefix_limits(void **state)
{
	struct {
		struct addr client;
		enum newcomers_result expected;
	} rows[] = {
		{ v6(1, 1, 1, 1), NEWCOMERS_QUEUED },
		{ v6(1, 1, 1, 2), NEWCOMERS_PREFIX_FULL }, /* the same /64 */
		{ v6(1, 1, 2, 1), NEWCOMERS_QUEUED },
		{ v6(1, 1, 3, 1), NEWCOMERS_QUEUED },
		{ v6(1, 1, 4, 1), NEWCOMERS_QUEUED },
		{ v6(1, 1, 5, 1), NEWCOMERS_PREFIX_FULL }, /* the fifth of a /48 */
		{ v6(1, 2, 1, 1), NEWCOMERS_QUEUED },
		{ v6(2, 1, 1, 1), NEWCOMERS_QUEUED },
		{ v4(0x0a000001), NEWCOMERS_QUEUED },
		{ v4(0x0a000001), NEWCOMERS_PREFIX_FULL }, /* /32 */
		{ v4(0x0a000002), NEWCOMERS_QUEUED },
		{ v4(0x0a000003), NEWCOMERS_QUEUED },
		{ v4(0x0a000004), NEWCOMERS_QUEUED },
		{ v4(0x0a000005), NEWCOMERS_PREFIX_FULL }, /* the fifth of a /24 */
		{ v4(0x0a000101), NEWCOMERS_QUEUED },
	};
	struct newcomers *n = newcomers_create(&usual, &key, 1);

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		if (push(n, rows[i].client, i, i) != rows[i].expected)
			fail_msg("row %u", i);
	assert_int_equal(newcomers_waiting(n, 0), 11);
	assert_true(newcomers_remove(n, 0));
	assert_false(newcomers_remove(n, 0));
	assert_int_equal(push(n, v6(1, 1, 1, 2), 99, 99), NEWCOMERS_QUEUED); /* its place is free */
	newcomers_free(n);
	newcomers_free(NULL);
}

static void test_servers_and_kinds(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 1);
	struct newcomers_entry e = { 0 }, out;
	bool has_evicted;

	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		e = (struct newcomers_entry){
			.client = v6(i, 1, 1, 1), .ref = i, .server = i % 2, .kind = i % 3, .weight = 3, .since = i
		};
		assert_int_equal(newcomers_push(n, &e, &out, &has_evicted), NEWCOMERS_QUEUED);
	}
	assert_int_equal(newcomers_waiting(n, 0), 6);
	assert_int_equal(newcomers_waiting(n, 7), 0);
	assert_int_equal(newcomers_waiting_kinds(n, 1, 1 << 0), 2);
	assert_int_equal(newcomers_waiting_kinds(n, 1, 1 << 0 | 1 << 2), 4);
	assert_int_equal(newcomers_waiting_kinds(n, 1, 1U << 31), 0);
	assert_false(newcomers_admit(n, 7, ALL, 100, &out));
	assert_false(newcomers_admit(n, 1, 1 << 3, 100, &out));
	assert_false(newcomers_admit(n, 1, 0, 100, &out));
	for (unsigned i = 0; i < 2; i++) {
		assert_true(newcomers_admit(n, 1, 1 << 2, 100, &out));
		assert_true(out.server == 1 && out.kind == 2 && out.weight == 3);
	}
	assert_false(newcomers_admit(n, 1, 1 << 2, 100, &out));
	assert_int_equal(newcomers_waiting(n, 1), 4);
	assert_int_equal(newcomers_waiting(n, 0), 6);
	newcomers_free(n);
}

static void test_oldest_first_inside_a_prefix(void **state)
{
	struct newcomers_config cfg = usual;

	(void)state;
	cfg.per_64 = cfg.per_48 = 8;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct newcomers *n = newcomers_create(&cfg, &key, seed);

		for (uint32_t i = 0; i < 8; i++) /* pushed in another order than that of age */
			push(n, v6(1, 1, 1, i), i * 3 % 8, i * 3 % 8);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(admit(n, 1000 + i * TSTAMP_S), i);
		for (uint32_t i = 0; i < 8; i++) /* of the same age: first come, first served */
			push(n, v6(1, 1, 1, i), i, 1000);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(admit(n, 2000 + i * TSTAMP_S), i);
		newcomers_free(n);
	}
}

/* Two small requests among twenty that cost ten times as much go first as often as two among two do. A dear one that is alone goes at once. */
static void test_weights(void **state)
{
	struct newcomers_config cfg = usual;
	unsigned small[2] = { 0 };

	(void)state;
	cfg.charges = 64;
	cfg.capacity = 32;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		for (uint32_t dear = 0; dear < 2; dear++) {
			struct newcomers *n = newcomers_create(&cfg, &key, seed * 77777);
			struct newcomers_entry out;
			bool has_evicted;

			for (uint32_t i = 0; i < 22; i++) {
				struct newcomers_entry e = { .client = v6(i, 1, 1, i),
							     .ref = i,
							     .weight = i < 2 || !dear ? 1 : 10 };

				newcomers_push(n, &e, &out, &has_evicted);
			}
			small[dear] += admit(n, 1000) < 2;
			for (uint32_t i = 1; i < 22; i++)
				assert_true(admit(n, 1000) >= 0);
			newcomers_free(n);
		}
	}
	assert_in_range(small[0], 140, 230);
	assert_in_range(small[1], 950, 1250);
}

/* Ten prefixes, one of them with eight waiting: each goes first in a tenth of all draws, in every
 * third. */
static void test_equal_chances(void **state)
{
	struct newcomers_config cfg = usual;

	(void)state;
	cfg.per_64 = cfg.per_48 = 8;
	cfg.charges = 64;
	cfg.capacity = 32;
	for (uint32_t third = 0; third < 3; third++) {
		unsigned first[10] = { 0 };

		for (uint64_t seed = 0; seed < 2000; seed++) {
			struct newcomers *n = newcomers_create(&cfg, &key, seed * 77777);

			for (uint32_t i = 0; i < third; i++) {
				push(n, v6(100, 1, 1, 1), 0, 0);
				admit(n, 1000);
			}
			for (uint32_t i = 0; i < 17; i++)
				push(n, v6(i < 9 ? i : 9, third == 2 ? i : 1, 1, i), i < 9 ? i : 9, i);
			first[admit(n, 1000)]++;
			newcomers_free(n);
		}
		for (unsigned i = 0; i < 10; i++)
			assert_in_range(first[i], 140, 260);
	}
}

/*
 * Turn by turn: (1) never charged /64, (2) least recently charged /48, (3) least recently charged
 * /32, in it the least recently charged /48. Each row is one admission among three, of which just
 * one is right.
 */
static void test_thirds(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 1);

	(void)state;
	/* Charge 1:1:1, then 2:1:1, 1:2:1. */
	push(n, v6(1, 1, 1, 1), 0, 0);
	assert_int_equal(admit(n, 1 * MINUTES), 0);
	push(n, v6(2, 1, 1, 1), 1, 0);
	assert_int_equal(admit(n, 2 * MINUTES), 1);
	push(n, v6(1, 2, 1, 1), 2, 0);
	assert_int_equal(admit(n, 3 * MINUTES), 2);

	push(n, v6(1, 1, 1, 9), 10, 0);
	push(n, v6(2, 1, 2, 9), 11, 9); /* the only fresh /64, though the youngest */
	push(n, v6(1, 2, 1, 9), 12, 0);
	assert_int_equal(admit(n, 4 * MINUTES), 11);
	push(n, v6(2, 1, 1, 9), 13, 0);
	/* /48s: 1:1 at 1, 1:2 at 3, 2:1 at 4 min. */
	assert_int_equal(admit(n, 5 * MINUTES), 10);
	/* /32s: 2 at 4, 1 at 5 min. */
	assert_int_equal(admit(n, 6 * MINUTES), 13);
	push(n, v6(1, 1, 2, 9), 14, 0);
	push(n, v6(1, 1, 1, 9), 15, 0);
	assert_int_equal(admit(n, 7 * MINUTES), 14);
	/* No turn is lost when there is no fresh /64: /48s 1:2 at 3, 1:1 at 7 min. */
	push(n, v6(1, 1, 2, 9), 16, 0);
	assert_int_equal(admit(n, 8 * MINUTES), 12);
	newcomers_free(n);
}

/* Three servers in turn: each of them sees all three disciplines. */
static void test_each_server_rotates(void **state)
{
	struct newcomers_config cfg = usual;
	struct newcomers *n;
	struct newcomers_entry e, out;
	bool has_evicted;
	unsigned waits[3] = { 0 };

	(void)state;
	cfg.per_48 = 64;
	n = newcomers_create(&cfg, &key, 5);
	for (uint32_t i = 0; i < 60; i++) {
		e = (struct newcomers_entry){ .client = v6(1, 1, i, 1), .server = i % 3 };
		newcomers_push(n, &e, &out, &has_evicted);
	}
	for (uint32_t server = 0; server < 3; server++)
		newcomers_admit(n, server, ALL, MINUTES, &out); /* all thirds now stand elsewhere than at (1) */
	for (uint32_t server = 0; server < 3; server++) {
		e = (struct newcomers_entry){
			.client = v6(9 + server, 1, 1, 1), .ref = 1, .server = server, .since = 1
		};
		newcomers_push(n, &e, &out, &has_evicted);
	}
	for (unsigned i = 0; i < 9; i++) {
		newcomers_admit(n, i % 3, ALL, (2 + i) * MINUTES, &out);
		if (out.ref == 1)
			waits[i % 3] = i / 3 + 1;
	}
	for (uint32_t server = 0; server < 3; server++)
		assert_in_range(waits[server], 1, 2);
	newcomers_free(n);
}

static void test_forgets(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 1);

	(void)state;
	push(n, v6(1, 1, 1, 1), 0, 0);
	admit(n, MINUTES);
	push(n, v6(2, 1, 1, 1), 1, 0);
	admit(n, 2 * MINUTES);
	push(n, v6(3, 1, 1, 1), 2, 0);
	admit(n, 3 * MINUTES);
	/* Next is third (1): 1:1:1 is fresh again only when its charge is a day old. */
	push(n, v6(1, 1, 1, 1), 10, 9);
	push(n, v6(2, 1, 1, 1), 11, 0);
	assert_int_equal(admit(n, MINUTES + TSTAMP_DAY + TSTAMP_S), 10);
	newcomers_free(n);
}

static void test_refund_frees_all_levels(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 1);
	struct addr accepted = v6(1, 1, 1, 1);

	(void)state;
	push(n, accepted, 0, 0);
	admit(n, MINUTES);
	newcomers_refund(n, &accepted, 2 * MINUTES);
	for (uint32_t i = 0; i < 2; i++) { /* turns (2) and (3) */
		push(n, v6(2 + i, 1, 1, 1), i, 0);
		admit(n, 3 * MINUTES);
	}
	for (uint32_t i = 0; i < 3; i++) { /* turn by turn, 1:1:1 counts as untouched */
		push(n, accepted, 100, 0);
		push(n, v6(2, 1, 1, 2), 1, 0);
		assert_int_equal(admit(n, (4 + i) * MINUTES), 100);
		newcomers_refund(n, &accepted, (4 + i) * MINUTES);
		newcomers_remove(n, 1);
	}
	newcomers_free(n);
}

static void test_refund_of_another_endpoint(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 1);
	struct addr admitted = v6(1, 1, 1, 1), neighbour = v6(1, 1, 1, 2), other_port = admitted;

	(void)state;
	other_port.port++;
	push(n, admitted, 0, 0);
	admit(n, MINUTES);
	newcomers_refund(n, &neighbour, MINUTES);
	newcomers_refund(n, &other_port, MINUTES);
	push(n, admitted, 1, 0);
	push(n, v6(2, 1, 1, 1), 2, 1);
	assert_int_equal(admit(n, 2 * MINUTES), 2); /* by turn (2): 1:1 is still charged */
	newcomers_free(n);
}

/* Nobody of the crowd can make sure to stay, by age or by youth. */
static void test_evicts_at_random(void **state)
{
	struct newcomers_config cfg = usual;
	unsigned evictions[8] = { 0 };

	(void)state;
	cfg.capacity = cfg.per_48 = 8;
	cfg.charges = 8;
	for (uint64_t seed = 0; seed < 1600; seed++) {
		struct newcomers *n = newcomers_create(&cfg, &key, seed * 77777);
		struct newcomers_entry e = { .client = v6(2, 1, 1, 1), .ref = 99 }, evicted;
		bool has_evicted;

		for (uint32_t i = 0; i < 8; i++)
			push(n, v6(1, 1, i, 1), i, i);
		newcomers_push(n, &e, &evicted, &has_evicted);
		assert_true(has_evicted && evicted.ref < 8);
		evictions[evicted.ref]++;
		newcomers_free(n);
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(evictions[i], 140, 260);
}

/* Of regions with as many waiting any makes room, wherever it stands in the table and whatever stands before it. */
static void test_crowds_alike(void **state)
{
	struct newcomers_config cfg = usual;
	unsigned evictions[4] = { 0 };

	(void)state;
	cfg.capacity = 16;
	cfg.charges = 16;
	for (uint64_t seed = 0; seed < 1200; seed++) {
		struct newcomers *n = newcomers_create(&cfg, &key, seed * 77777);
		struct newcomers_entry e = { .client = v6(99, 1, 1, 1), .ref = 99 }, evicted;
		bool has_evicted;

		for (uint32_t i = 0; i < 8; i++)
			push(n, v6(1 + i / 2, i, i, 1), i, i);
		for (uint32_t i = 8; i < 16; i++)
			push(n, v6(i, 1, 1, 1), i, i);
		newcomers_push(n, &e, &evicted, &has_evicted);
		assert_true(has_evicted && evicted.ref < 8);
		evictions[evicted.ref / 2]++;
		newcomers_free(n);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(evictions[i], 225, 375);
}

static void test_overflow(void **state)
{
	struct newcomers_config cfg = usual;
	struct newcomers_entry e = { 0 }, evicted;
	bool has_evicted;
	struct newcomers *n;

	(void)state;
	cfg.capacity = 10;
	cfg.per_48 = 10;
	n = newcomers_create(&cfg, &key, 1);
	for (uint32_t i = 0; i < 10; i++)
		push(n, v6(i < 3 ? 1 : i < 8 ? 2 : 3, 1, i, 1), i, i);
	e.client = v6(2, 9, 9, 9);
	assert_int_equal(newcomers_push(n, &e, &evicted, &has_evicted), NEWCOMERS_FULL);
	assert_false(has_evicted);
	e.client = v6(2, 1, 3, 9);
	assert_int_equal(newcomers_push(n, &e, &evicted, &has_evicted), NEWCOMERS_PREFIX_FULL);
	for (uint32_t i = 0; i < 2; i++) { /* 3, 5, 2 waiting; then 3, 4, 2, 1; then 3, 3, 2, 1, 1 */
		e.client = v6(10 + i, 1, 1, 1);
		e.ref = 100 + i;
		assert_int_equal(newcomers_push(n, &e, &evicted, &has_evicted), NEWCOMERS_QUEUED);
		assert_true(has_evicted);
		assert_in_range(evicted.ref, 3, 7);
		assert_false(newcomers_remove(n, evicted.ref));
	}
	e.client = v6(1, 9, 9, 9);
	assert_int_equal(newcomers_push(n, &e, &evicted, &has_evicted), NEWCOMERS_FULL);
	assert_int_equal(newcomers_waiting(n, 0), 10);
	newcomers_free(n);
}

static void test_memory(void **state)
{
	(void)state;
	assert_in_range(newcomers_memory(&usual), 65536 * 16, 65536 * 16 + 300 * 1024);
}

/* --- against a naive copy --- */

/*
 * The copy keeps lists of what waits and of what was charged, by plain addresses. It does not
 * choose: it says whether the one chosen was one of those that could be.
 */
#define MODEL_MAX 40

struct model_charge {
	uint8_t ip[16];
	unsigned level;
	tstamp last, before;
	struct addr who_last, who_before;
};

struct model {
	struct newcomers_entry waiting[MODEL_MAX];
	unsigned count, turn[3];
	struct model_charge charges[1000];
	unsigned n_charges;
};

static void mask(const struct addr *a, unsigned level, uint8_t ip[16])
{
	static const unsigned bits[2][3] = { { 64, 48, 32 }, { 128, 120, 112 } };

	memcpy(ip, a->ip, 16);
	addr_mask(ip, bits[addr_is_v4(a)][level]);
}

static bool same_prefix(const struct addr *a, const struct addr *b, unsigned level)
{
	uint8_t x[16], y[16];

	mask(a, level, x);
	mask(b, level, y);
	return memcmp(x, y, 16) == 0;
}

static struct model_charge *model_charge(struct model *m, const struct addr *a, unsigned level)
{
	uint8_t ip[16];
	struct model_charge *c = m->charges;

	mask(a, level, ip);
	while (c < m->charges + m->n_charges && (c->level != level || memcmp(c->ip, ip, 16) != 0))
		c++;
	if (c == m->charges + m->n_charges) {
		assert_true(++m->n_charges <= sizeof m->charges / sizeof *m->charges);
		memcpy(c->ip, ip, 16);
		c->level = level;
	}
	return c;
}

static tstamp model_charged(struct model *m, const struct addr *a, unsigned level, tstamp now)
{
	tstamp last = model_charge(m, a, level)->last;

	return now - last <= usual.memory ? last : 0;
}

static unsigned model_count(const struct model *m, const struct addr *a, unsigned level)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->count; i++)
		count += same_prefix(&m->waiting[i].client, a, level);
	return count;
}

static unsigned model_most(const struct model *m)
{
	unsigned most = 0;

	for (unsigned i = 0; i < m->count; i++)
		if (model_count(m, &m->waiting[i].client, 2) > most)
			most = model_count(m, &m->waiting[i].client, 2);
	return most;
}

/* When the one of the fullest /32 was charged that was charged last. */
static tstamp model_served(struct model *m, tstamp now)
{
	tstamp latest = 0;

	for (unsigned i = 0; i < m->count; i++) {
		tstamp at = model_charged(m, &m->waiting[i].client, 2, now);

		if (model_count(m, &m->waiting[i].client, 2) == model_most(m) && at > latest)
			latest = at;
	}
	return latest;
}

/* There are as many of its own as of anybody, or will be, and they were served later. */
static bool model_refuses(struct model *m, const struct addr *a, tstamp now)
{
	unsigned own = model_count(m, a, 2) + 1, most = model_most(m);

	return own > most || (own == most && model_charged(m, a, 2, now) > model_served(m, now));
}

static void model_drop(struct model *m, uint32_t ref)
{
	unsigned i = 0;

	while (i < m->count && m->waiting[i].ref != ref)
		i++;
	assert_true(i < m->count);
	memmove(&m->waiting[i], &m->waiting[i + 1], (--m->count - i) * sizeof m->waiting[0]);
}

/* Whether b would have to go before a. */
static bool must_precede(struct model *m, const struct newcomers_entry *a, const struct newcomers_entry *b,
			 unsigned third, tstamp now)
{
	unsigned level = third;

	if (third == 2) {
		tstamp at = model_charged(m, &a->client, 2, now);
		tstamp bt = model_charged(m, &b->client, 2, now);

		if (at != bt)
			return bt < at;
		if (!same_prefix(&a->client, &b->client, 2))
			return false;
		level = 1;
	}
	if (level == 1) {
		tstamp at = model_charged(m, &a->client, 1, now);
		tstamp bt = model_charged(m, &b->client, 1, now);

		if (at != bt)
			return bt < at;
	}
	return same_prefix(&a->client, &b->client, level) && b->since < a->since;
}

static bool is_candidate(const struct newcomers_entry *e, uint32_t server, uint32_t kinds)
{
	return e->server == server && (kinds >> e->kind & 1);
}

static void check_choice(struct model *m, const struct newcomers_entry *chosen, uint32_t kinds, tstamp now)
{
	unsigned third = m->turn[chosen->server]++ % 3;
	bool any_fresh = false;

	for (unsigned i = 0; third == 0 && i < m->count; i++)
		any_fresh |= is_candidate(&m->waiting[i], chosen->server, kinds) &&
			     model_charged(m, &m->waiting[i].client, 0, now) == 0;
	if (third == 0 && any_fresh)
		assert_int_equal(model_charged(m, &chosen->client, 0, now), 0);
	else if (third == 0)
		third = 1;
	for (unsigned i = 0; i < m->count; i++)
		if (is_candidate(&m->waiting[i], chosen->server, kinds))
			assert_false(must_precede(m, chosen, &m->waiting[i], third, now));
}

static void model_push(struct model *m, struct newcomers *n, uint64_t *seed, uint32_t ref, tstamp now)
{
	uint64_t x = next_random(seed), y = next_random(seed);
	struct newcomers_entry e = { .ref = ref, .server = (uint32_t)(x % 3), .since = now }, out;
	enum newcomers_result expected = NEWCOMERS_QUEUED;
	bool has_evicted;

	e.kind = (uint32_t)(x >> 8 & 1) * 31;
	e.client = v6((uint32_t)(y % 5 * (y >> 8 & 1)), (uint32_t)(y >> 16 & 3), (uint32_t)(y >> 24 & 3),
		      (uint32_t)(y >> 32 & 7));
	if (x >> 16 & 1)
		e.client = v4((uint32_t)(y & 0x00010103));
	if (model_count(m, &e.client, 0) >= 2 || model_count(m, &e.client, 1) >= 6)
		expected = NEWCOMERS_PREFIX_FULL;
	else if (m->count == MODEL_MAX && model_refuses(m, &e.client, now))
		expected = NEWCOMERS_FULL;
	assert_int_equal(newcomers_push(n, &e, &out, &has_evicted), expected);
	assert_int_equal(has_evicted, expected == NEWCOMERS_QUEUED && m->count == MODEL_MAX);
	if (has_evicted) {
		assert_int_equal(model_count(m, &out.client, 2), model_most(m));
		assert_int_equal(model_charged(m, &out.client, 2, now), model_served(m, now));
		model_drop(m, out.ref);
	}
	if (expected == NEWCOMERS_QUEUED)
		m->waiting[m->count++] = e;
}

static void model_admit(struct model *m, struct newcomers *n, uint64_t *seed, tstamp now)
{
	uint32_t server = (uint32_t)(next_random(seed) % 3);
	uint32_t kinds = next_random(seed) % 4 ? ALL : 1;
	unsigned candidates = 0;
	struct newcomers_entry out;

	for (unsigned i = 0; i < m->count; i++)
		candidates += is_candidate(&m->waiting[i], server, kinds);
	assert_int_equal(newcomers_waiting_kinds(n, server, kinds), candidates);
	assert_int_equal(newcomers_admit(n, server, kinds, now, &out), candidates > 0);
	if (candidates == 0)
		return;
	assert_true(is_candidate(&out, server, kinds));
	check_choice(m, &out, kinds, now);
	model_drop(m, out.ref);
	for (unsigned level = 0; level < 3; level++) {
		struct model_charge *c = model_charge(m, &out.client, level);

		c->before = c->last;
		c->who_before = c->who_last;
		c->last = now;
		c->who_last = out.client;
	}
}

static void model_refund(struct model *m, struct newcomers *n, uint64_t *seed, tstamp now)
{
	const struct model_charge *some;
	struct addr who;

	if (m->n_charges == 0)
		return;
	some = &m->charges[next_random(seed) % m->n_charges];
	who = some->who_last;
	newcomers_refund(n, &who, now);
	for (unsigned i = 0; i < m->n_charges; i++) {
		struct model_charge *c = &m->charges[i];

		if (c->last && addr_equal(&c->who_last, &who)) {
			c->last = c->before;
			c->who_last = c->who_before;
			c->before = 0;
		} else if (c->before && addr_equal(&c->who_before, &who)) {
			c->before = 0;
		}
	}
}

static void test_against_model(void **state)
{
	struct newcomers_config cfg = usual;
	struct model *m = calloc(1, sizeof *m);
	struct newcomers *n;
	uint64_t seed = 5;
	tstamp now = TSTAMP_DAY * 2;

	(void)state;
	cfg.capacity = MODEL_MAX;
	cfg.per_64 = 2;
	cfg.per_48 = 6;
	n = newcomers_create(&cfg, &key, 6);
	for (uint32_t i = 0; i < 15000; i++) {
		uint64_t x = next_random(&seed);

		/* Whole units of the table's clock; sometimes half of its memory. */
		now += CHARGES_UNIT * (1 + next_random(&seed) % (i % 500 ? 100 : 5400000));
		if (x % 16 < 10)
			model_push(m, n, &seed, i, now);
		else if (x % 16 < 14)
			model_admit(m, n, &seed, now);
		else if (x % 16 < 15)
			model_refund(m, n, &seed, now);
		else if (m->count > 0) {
			uint32_t ref = m->waiting[x / 16 % m->count].ref;

			assert_true(newcomers_remove(n, ref));
			model_drop(m, ref);
		}
		assert_int_equal(newcomers_waiting(n, 0) + newcomers_waiting(n, 1) + newcomers_waiting(n, 2), m->count);
	}
	newcomers_free(n);
	free(m);
}

/* --- simulations of an attack: experiment.md, section 5 --- */

/*
 * 1000 bots, always pending, each with a /64 of its own for every try, in 250 /48s of 5 /32s. One
 * admission a second. Bots have refs under 1000. Returns the ref of the one admitted.
 */
struct attack {
	struct newcomers *n;
	tstamp now;
	uint32_t tries;
};

static void push_bot(struct attack *a, uint32_t bot)
{
	struct addr client = v6(bot % 5, bot / 5 % 50, 1 + a->tries++ % 65000, 1);

	push(a->n, client, bot, a->now); /* unless its /64 waits already */
}

static uint32_t step(struct attack *a)
{
	int64_t ref;

	a->now += TSTAMP_S;
	ref = admit(a->n, a->now);
	assert_true(ref >= 0);
	if (ref < 1000)
		push_bot(a, (uint32_t)ref);
	return (uint32_t)ref;
}

static void start_attack(struct attack *a, unsigned seconds)
{
	*a = (struct attack){ newcomers_create(&usual, &key, 7), TSTAMP_HOUR, 0 };
	for (uint32_t bot = 0; bot < 1000; bot++)
		push_bot(a, bot);
	assert_int_equal(newcomers_waiting(a->n, 0), 1000);
	for (unsigned i = 0; i < seconds; i++)
		step(a);
}

static void test_newcomers_from_untouched_regions(void **state)
{
	struct attack a;
	unsigned sum = 0;

	(void)state;
	start_attack(&a, 1000);
	for (uint32_t i = 0; i < 300; i++) {
		unsigned wait = 1;

		push(a.n, v6(1000 + i, 1, 1, 1), 1000 + i, a.now);
		while (step(&a) != 1000 + i)
			assert_true(++wait <= 2);
		sum += wait;
		for (unsigned pause = 0; pause < i % 3; pause++)
			step(&a);
	}
	assert_true(sum <= 300 * 3 / 2);
	newcomers_free(a.n);
}

/* Twenty at once: one after the other, two of every three admissions are theirs. */
static void test_crowd_of_newcomers(void **state)
{
	struct attack a;
	unsigned admitted = 0, steps = 0;

	(void)state;
	start_attack(&a, 1000);
	for (uint32_t i = 0; i < 20; i++)
		push(a.n, v6(1000 + i, 1, 1, 1), 1000 + i, a.now);
	for (; admitted < 20; steps++)
		admitted += step(&a) >= 1000;
	assert_true(steps <= 31);
	newcomers_free(a.n);
}

/* Who shares a /48 with three ever pending bots, alone in the queue with them, waits for its age to
 * come. */
static void test_no_starvation_inside_a_prefix(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 8);
	tstamp now = TSTAMP_HOUR;
	uint32_t tries = 1;

	(void)state;
	for (uint32_t bot = 0; bot < 3; bot++)
		push(n, v6(1, 1, tries++, 1), bot, now);
	for (uint32_t i = 0; i < 200; i++) {
		int64_t ref;
		unsigned wait = 0;

		push(n, v6(1, 1, 0, 1), 1000, now);
		do {
			ref = admit(n, now += TSTAMP_S);
			if (ref < 1000)
				push(n, v6(1, 1, tries++, 1), (uint32_t)ref, now);
			assert_true(++wait <= 6); /* fourth by age at worst, and age counts in two of three */
		} while (ref != 1000);
	}
	newcomers_free(n);
}

/* Everybody who waits is admitted in the end, bots included, and a full queue never refuses an
 * untouched /32. */
static void test_everybody_gets_there(void **state)
{
	struct newcomers *n = newcomers_create(&usual, &key, 9);
	struct newcomers_entry e = { 0 }, out;
	bool has_evicted, seen[1024] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 1024; i++)
		assert_int_equal(push(n, v6(i % 7, i / 7 % 50, i, 1), i, i), NEWCOMERS_QUEUED);
	e = (struct newcomers_entry){ .client = v6(99, 1, 1, 1), .ref = 1024 };
	assert_int_equal(newcomers_push(n, &e, &out, &has_evicted), NEWCOMERS_QUEUED);
	assert_true(has_evicted);
	seen[out.ref] = true;
	for (uint32_t i = 0; i < 1024; i++) {
		int64_t ref = admit(n, TSTAMP_HOUR + i * TSTAMP_S);

		assert_true(ref >= 0 && (ref == 1024 || !seen[ref]));
		if (ref < 1024)
			seen[ref] = true;
	}
	assert_int_equal(admit(n, TSTAMP_DAY), -1);
	newcomers_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix_limits),
		cmocka_unit_test(test_servers_and_kinds),
		cmocka_unit_test(test_oldest_first_inside_a_prefix),
		cmocka_unit_test(test_equal_chances),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_thirds),
		cmocka_unit_test(test_each_server_rotates),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_refund_frees_all_levels),
		cmocka_unit_test(test_refund_of_another_endpoint),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_evicts_at_random),
		cmocka_unit_test(test_crowds_alike),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_newcomers_from_untouched_regions),
		cmocka_unit_test(test_crowd_of_newcomers),
		cmocka_unit_test(test_no_starvation_inside_a_prefix),
		cmocka_unit_test(test_everybody_gets_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

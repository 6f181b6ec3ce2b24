#include "guard/ratelimit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* 2/s and 20 at once for an address, more for what is wider. */
static const struct ratelimit_config usual = {
	.cells = 65536,
	.rate = { 2, TSTAMP_S },
	.burst = 20,
	.n_levels = 4,
	.levels = { { 128, 32, 1 }, { 64, 24, 2 }, { 48, 16, 8 }, { 32, 0xff, 64 } },
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct addr v6(uint64_t high, uint64_t low)
{
	struct addr a = { .port = 5683 };

	for (unsigned i = 0; i < 8; i++) {
		a.ip[i] = (uint8_t)(high >> (56 - 8 * i));
		a.ip[8 + i] = (uint8_t)(low >> (56 - 8 * i));
	}
	return a;
}

static struct addr v4(uint64_t ip)
{
	return v6(0, UINT64_C(0xffff00000000) | ip);
}

static unsigned drain(struct ratelimit *r, struct addr a, tstamp now)
{
	unsigned passed = 0;

	while (passed < 1000000 && ratelimit_charge(r, &a, 1, now) == 0)
		passed++;
	return passed;
}

/* After `first` has taken all it can, how much passes from `second`, and which level stops it. */
static void test_levels(void **state)
{
	struct {
		struct addr first, second;
		unsigned passed, stopped_by;
	} rows[] = {
		{ v6(1, 1), v6(1, 1), 0, 1 },
		{ v6(0x20010db800000000, 1), v6(0x20010db800000000, 2), 20, 1 },
		{ v6(0x20010db800000000, 1), v6(0x20010db800000001, 1), 20, 1 },
		{ v4(0x0a000001), v4(0x0a000001), 0, 1 },
		{ v4(0x0a000001), v4(0x0a000002), 20, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ratelimit *r = ratelimit_create(&usual, &key);

		assert_int_equal(drain(r, rows[i].first, TSTAMP_HOUR), 20);
		assert_int_equal(drain(r, rows[i].second, TSTAMP_HOUR), rows[i].passed);
		assert_int_equal(ratelimit_charge(r, &rows[i].second, 1, TSTAMP_HOUR), rows[i].stopped_by);
		ratelimit_free(r);
	}
}

/* Fresh addresses drain one prefix after the other: what passes is burst x multiplier, then its
 * level refuses. */
static void test_wider_prefixes(void **state)
{
	static const struct {
		unsigned level, passed;
		uint64_t high_step, low_step; /* from one address to the next */
		bool is_v4;
	} rows[] = {
		{ 2, 40, 0, 1, false },
		{ 3, 160, 1, 0, false },
		{ 4, 1280, UINT64_C(1) << 16, 0, false },
		{ 2, 40, 0, 1, true },
		{ 3, 160, 0, 1 << 8, true },
		{ 0, 2000, 0, 1 << 16, true }, /* 100 addresses: nothing wider counts */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ratelimit *r = ratelimit_create(&usual, &key);
		unsigned passed = 0, refused = 0;

		for (unsigned n = 0; n < 100 && refused < 2; n++) {
			uint64_t low = rows[i].low_step * n;
			struct addr a = rows[i].is_v4 ? v4(0x0a000000 + low)
						      : v6(0x20010db800000000 + rows[i].high_step * n, low);

			passed += drain(r, a, TSTAMP_HOUR);
			refused = ratelimit_charge(r, &a, 1, TSTAMP_HOUR);
		}
		assert_int_equal(passed, rows[i].passed);
		assert_int_equal(refused > 1 ? refused : 0, rows[i].level);
		ratelimit_free(r);
	}
}

static void test_scope_and_port(void **state)
{
	struct ratelimit *r = ratelimit_create(&usual, &key);
	struct addr a = v6(0xfe80000000000000, 1);

	(void)state;
	a.scope = 2;
	assert_int_equal(drain(r, a, TSTAMP_HOUR), 20);
	a.port++;
	assert_int_equal(drain(r, a, TSTAMP_HOUR), 0);
	a.scope = 3; /* the same address on another interface is somebody else */
	assert_int_equal(drain(r, a, TSTAMP_HOUR), 20);
	ratelimit_free(r);
}

static void test_refusal_charges_nothing(void **state)
{
	struct ratelimit *r = ratelimit_create(&usual, &key);
	struct addr a = v6(1, 1), b = v6(1, 2);

	(void)state;
	drain(r, a, TSTAMP_HOUR);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(ratelimit_charge(r, &a, 1, TSTAMP_HOUR), 1);
	assert_int_equal(drain(r, b, TSTAMP_HOUR), 20); /* the other half of the /64 */
	ratelimit_free(r);
}

static void test_time(void **state)
{
	struct ratelimit *r = ratelimit_create(&usual, &key);
	struct addr a = v6(1, 1);
	tstamp now = TSTAMP_HOUR;

	(void)state;
	assert_int_equal(ratelimit_wait(r, &a, now), 0);
	assert_int_equal(ratelimit_load(r, &a, now), 0);
	assert_int_equal(ratelimit_charge(r, &a, 5, now), 0);
	assert_int_equal(ratelimit_load(r, &a, now), 250);
	assert_int_equal(ratelimit_charge(r, &a, 16, now), 1);
	assert_int_equal(ratelimit_charge(r, &a, 15, now), 0);
	assert_int_equal(ratelimit_load(r, &a, now), 1000);
	assert_int_equal(ratelimit_wait(r, &a, now), TSTAMP_S / 2);
	assert_int_equal(ratelimit_charge(r, &a, 1, now + TSTAMP_S / 2 - 1), 1);
	assert_int_equal(ratelimit_load(r, &a, now + TSTAMP_S / 2), 950);
	assert_int_equal(ratelimit_charge(r, &a, 1, now + TSTAMP_S / 2), 0);
	assert_int_equal(ratelimit_load(r, &a, now + 11 * TSTAMP_S), 0);
	assert_int_equal(drain(r, a, now + 11 * TSTAMP_S), 20);
	ratelimit_free(r);
}

static void test_nothing_passes(void **state)
{
	static const struct {
		uint64_t rate;
		uint32_t burst, price;
	} rows[] = { { 0, 20, 1 }, { 2, 0, 1 }, { 2, 20, 21 }, { 2, 20, UINT32_MAX } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ratelimit_config cfg = usual;
		struct addr a = v6(1, 1);
		struct ratelimit *r;

		cfg.rate.count = rows[i].rate;
		cfg.burst = rows[i].burst;
		r = ratelimit_create(&cfg, &key);
		assert_int_equal(ratelimit_charge(r, &a, rows[i].price, TSTAMP_DAY), 1);
		if (rows[i].price == 1) {
			assert_int_equal(ratelimit_wait(r, &a, TSTAMP_DAY), TSTAMP_NEVER);
			assert_int_equal(ratelimit_load(r, &a, TSTAMP_DAY), 1000);
		}
		ratelimit_free(r);
	}
}

/* Absurd numbers saturate; they neither trap nor open the gate. */
static void test_extremes(void **state)
{
	struct ratelimit_config cfg = usual;
	struct addr a = v6(1, 1);
	struct ratelimit *r;

	(void)state;
	cfg.rate = (struct rate){ 1, TSTAMP_NEVER };
	cfg.burst = UINT32_MAX;
	r = ratelimit_create(&cfg, &key);
	assert_int_equal(ratelimit_charge(r, &a, 1, TSTAMP_DAY), 0);
	assert_int_not_equal(ratelimit_charge(r, &a, 1, TSTAMP_DAY), 0);
	ratelimit_free(r);
	cfg.rate = (struct rate){ UINT64_MAX, 1 };
	cfg.burst = 1;
	r = ratelimit_create(&cfg, &key);
	assert_int_equal(drain(r, a, TSTAMP_DAY), 1);
	assert_int_equal(drain(r, a, TSTAMP_DAY + 1), 1);
	ratelimit_free(r);
	cfg.rate = (struct rate){ 3000000, TSTAMP_S };
	cfg.burst = 3000001;
	r = ratelimit_create(&cfg, &key);
	assert_int_equal(ratelimit_charge(r, &a, 3000000, TSTAMP_DAY), 0);
	assert_int_equal(ratelimit_load(r, &a, TSTAMP_DAY), 999); /* one still passes */
	assert_int_equal(drain(r, a, TSTAMP_DAY), 1);
	ratelimit_free(r);
}

static void test_retune(void **state)
{
	struct ratelimit_config cfg = usual;
	struct addr a = v6(1, 1);
	struct ratelimit *r;
	tstamp now = TSTAMP_DAY;

	(void)state;
	cfg.rate = (struct rate){ 1, TSTAMP_HOUR };
	r = ratelimit_create(&cfg, &key);
	drain(r, a, now);
	ratelimit_retune(r, usual.rate, usual.burst);
	/* Still full, but 20 hours of debt have become 10 seconds. */
	assert_int_equal(ratelimit_wait(r, &a, now), TSTAMP_S / 2);
	assert_int_equal(ratelimit_charge(r, &a, 1, now), 1);
	assert_int_equal(ratelimit_charge(r, &a, 1, now + TSTAMP_S / 2), 0);
	assert_int_equal(drain(r, a, now + 11 * TSTAMP_S), 20);
	ratelimit_free(r);
}

static void test_memory(void **state)
{
	struct ratelimit_config cfg = usual;

	(void)state;
	assert_true(ratelimit_memory(&cfg) < 65536 * 8 + 512);
	cfg.cells++;
	assert_true(ratelimit_memory(&cfg) > 2 * 65536 * 8);
	cfg.cells = 0;
	assert_true(ratelimit_memory(&cfg) >= 2 * 8);
}

/* The naive copy: one exact bucket per prefix, found by comparing. */
#define PREFIXES 1024

struct model {
	struct {
		uint8_t ip[16];
		unsigned level;
		struct bucket bucket;
	} prefixes[PREFIXES];
	unsigned count;
};

static struct bucket *find_naively(struct model *m, const struct addr *a, unsigned level, unsigned bits)
{
	uint8_t ip[16];
	unsigned i = 0;

	memcpy(ip, a->ip, sizeof ip);
	addr_mask(ip, bits);
	while (i < m->count && (m->prefixes[i].level != level || memcmp(m->prefixes[i].ip, ip, sizeof ip) != 0))
		i++;
	if (i == m->count) {
		assert_true(m->count < PREFIXES);
		memcpy(m->prefixes[i].ip, ip, sizeof ip);
		m->prefixes[i].level = level;
		m->count++;
	}
	return &m->prefixes[i].bucket;
}

static unsigned charge_naively(struct model *m, const struct addr *a, uint32_t price, tstamp now)
{
	struct bucket *buckets[RATELIMIT_LEVELS];

	for (unsigned i = 0; i < usual.n_levels; i++) {
		const struct ratelimit_level *l = &usual.levels[i];
		struct rate rate = { usual.rate.count * l->multiplier, usual.rate.period };

		buckets[i] = NULL;
		if (addr_is_v4(a) && l->bits_v4 == 0xff)
			continue;
		buckets[i] = find_naively(m, a, i, addr_is_v4(a) ? 96u + l->bits_v4 : l->bits_v6);
		if (bucket_wait(buckets[i], rate, (uint64_t)usual.burst * l->multiplier, price, now))
			return i + 1;
	}
	for (unsigned i = 0; i < usual.n_levels; i++) {
		const struct ratelimit_level *l = &usual.levels[i];
		struct rate rate = { usual.rate.count * l->multiplier, usual.rate.period };

		if (buckets[i])
			bucket_take(buckets[i], rate, (uint64_t)usual.burst * l->multiplier, price, now);
	}
	return 0;
}

static struct addr random_addr(uint64_t *seed)
{
	uint64_t x = next_random(seed);

	if (x % 3 == 0)
		return v4(0x0a000000 | (x >> 8 & 3) << 16 | (x >> 16 & 1) << 8 | (x >> 24 & 3));
	return v6(0x20010db800000000 | (x >> 8 & 1) << 32 | (x >> 16 & 1) << 16 | (x >> 24 & 3), x >> 32 & 3);
}

/* While the table is roomy, the sketch is exact. */
static void test_against_model(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	struct ratelimit *r = ratelimit_create(&usual, &key);
	uint64_t seed = 1;
	tstamp now = TSTAMP_HOUR;
	unsigned refused = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct addr a = random_addr(&seed);
		uint32_t price = 1 + (uint32_t)(next_random(&seed) % 4);
		unsigned expected = charge_naively(m, &a, price, now);

		assert_int_equal(ratelimit_charge(r, &a, price, now), expected);
		refused += expected > 0;
		now += next_random(&seed) % (40 * TSTAMP_MS);
	}
	assert_in_range(refused, 2000, 18000); /* both outcomes were well tried */
	ratelimit_free(r);
	free(m);
}

/* However crowded the table, nobody gets more than an exact bucket would have given. */
static void test_crowded_never_gives_more(void **state)
{
	struct ratelimit_config cfg = usual;
	struct model *m = calloc(1, sizeof *m);
	struct ratelimit *r;
	uint64_t seed = 2;
	tstamp now = TSTAMP_HOUR;
	unsigned passed = 0;

	(void)state;
	cfg.cells = 128;
	r = ratelimit_create(&cfg, &key);
	for (unsigned i = 0; i < 20000; i++) {
		struct addr a = random_addr(&seed);

		if (ratelimit_charge(r, &a, 1, now) == 0) {
			assert_int_equal(charge_naively(m, &a, 1, now), 0);
			passed++;
		}
		now += next_random(&seed) % (8 * TSTAMP_MS);
	}
	assert_in_range(passed, 1000, 19000);
	ratelimit_free(r);
	free(m);
}

/* Ten seconds of 10^4/s from one /64, never the same address twice: it gets what a /64 gets. */
static void test_flood_from_one_prefix(void **state)
{
	struct ratelimit *r = ratelimit_create(&usual, &key);
	struct addr quiet = v6(0x20010db8ffff0000, 1);
	uint64_t seed = 3;
	unsigned passed = 0, quiet_passed = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		tstamp now = TSTAMP_HOUR + i * (100 * TSTAMP_US);
		struct addr bot = v6(0x20010db800010002, next_random(&seed));

		passed += ratelimit_charge(r, &bot, 1, now) == 0;
		if (i % 10000 == 0)
			quiet_passed += ratelimit_charge(r, &quiet, 1, now) == 0;
	}
	assert_in_range(passed, 2 * 20 + 2 * 2 * 9, 2 * 20 + 2 * 2 * 10);
	assert_int_equal(quiet_passed, 10);
	ratelimit_free(r);
}

/* The same from 10^5 sources all over the world: who asks once a second is not drowned. */
static void test_flood_from_everywhere(void **state)
{
	struct ratelimit *r = ratelimit_create(&usual, &key);
	uint64_t seed = 4;
	unsigned quiet_passed = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		tstamp now = TSTAMP_HOUR + i * (100 * TSTAMP_US);
		struct addr bot = v6(next_random(&seed), next_random(&seed));

		ratelimit_charge(r, &bot, 1, now);
		if (i % 1000 == 0) {
			struct addr quiet = v6(0x20010db800000000 | (i / 1000 % 10) << 16, 1);

			quiet_passed += ratelimit_charge(r, &quiet, 1, now) == 0;
		}
	}
	assert_int_equal(quiet_passed, 100);
	ratelimit_free(r);
}

/* Half of all cells full in one row would refuse half of the quiet ones: a quiet one is refused only if both of its cells are. */
static void test_crowded_spares(void **state)
{
	struct ratelimit_config cfg = usual;
	struct ratelimit *r;
	unsigned refused = 0;

	(void)state;
	cfg.cells = 128;
	cfg.n_levels = 1;
	r = ratelimit_create(&cfg, &key);
	for (unsigned i = 0; i < 16; i++)
		drain(r, v6(i, 1), TSTAMP_HOUR);
	for (unsigned i = 0; i < 2000; i++)
		refused += ratelimit_load(r, (struct addr[]){ v6(1000 + i, 1) }, TSTAMP_HOUR) == 1000;
	assert_in_range(refused, 1, 2000 * 2 / 16);
	ratelimit_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_wider_prefixes),
		cmocka_unit_test(test_scope_and_port),
		cmocka_unit_test(test_refusal_charges_nothing),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_nothing_passes),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_retune),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_crowded_never_gives_more),
		cmocka_unit_test(test_crowded_spares),
		cmocka_unit_test(test_flood_from_one_prefix),
		cmocka_unit_test(test_flood_from_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

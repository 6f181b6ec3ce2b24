#include "guard/echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define VALIDITY (60 * TSTAMP_S)
#define LIFETIME (50 * TSTAMP_S) /* so that one minute spans an epoch boundary */
#define START    (1000 * TSTAMP_S)

static const uint8_t secret[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const struct addr client = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 0xa }, .port = 40001 };
static const struct addr listener = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, .port = 5683 };

static struct echo_key new_key(uint64_t lifetime)
{
	struct echo_key k;

	echo_init(&k, secret, lifetime, START);
	return k;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Made at START + made, checked at START + seen. */
static void test_ages(void **state)
{
	static const struct {
		uint64_t lifetime, validity, made, seen;
		enum echo_result expected;
	} rows[] = {
		{ LIFETIME, VALIDITY, 0, 0, ECHO_VALID },
		{ LIFETIME, VALIDITY, 0, 1, ECHO_VALID },
		{ LIFETIME, VALIDITY, 20 * TSTAMP_S, 79 * TSTAMP_S, ECHO_VALID },
		{ LIFETIME, VALIDITY, 20 * TSTAMP_S, 80 * TSTAMP_S, ECHO_VALID },
		{ LIFETIME, VALIDITY, 20 * TSTAMP_S, 80 * TSTAMP_S + 1, ECHO_STALE },
		{ LIFETIME, VALIDITY, 20 * TSTAMP_S, 81 * TSTAMP_S, ECHO_STALE },
		{ LIFETIME, VALIDITY, 49999 * TSTAMP_MS, 50 * TSTAMP_S, ECHO_VALID },
		/* Between two ticks: up to a tick early, never late. */
		{ LIFETIME, VALIDITY, 20249 * TSTAMP_MS, 80 * TSTAMP_S, ECHO_VALID },
		{ LIFETIME, VALIDITY, 20249 * TSTAMP_MS, 80001 * TSTAMP_MS, ECHO_STALE },
		/* Two epochs back, the key is gone. */
		{ LIFETIME, VALIDITY, 0, 99999 * TSTAMP_MS, ECHO_STALE },
		{ LIFETIME, VALIDITY, 0, 100 * TSTAMP_S, ECHO_FOREIGN },
		{ LIFETIME, TSTAMP_NEVER, 0, 99 * TSTAMP_S, ECHO_VALID },
		{ LIFETIME, TSTAMP_NEVER, 0, 100 * TSTAMP_S, ECHO_FOREIGN },
		/* 256 epochs later the first byte is the same again, and one after that the
		   previous one. */
		{ LIFETIME, TSTAMP_NEVER, 0, 256 * LIFETIME, ECHO_FOREIGN },
		{ LIFETIME, TSTAMP_NEVER, 0, 257 * LIFETIME, ECHO_FOREIGN },
		{ LIFETIME, VALIDITY, 255 * LIFETIME, 256 * LIFETIME + 1, ECHO_VALID },
		/* From the future, one epoch and one tick ahead. */
		{ LIFETIME, VALIDITY, LIFETIME, 0, ECHO_FOREIGN },
		{ LIFETIME, VALIDITY, 10 * TSTAMP_S, 9 * TSTAMP_S, ECHO_FOREIGN },
		{ LIFETIME, VALIDITY, 250 * TSTAMP_MS, 249 * TSTAMP_MS, ECHO_FOREIGN },
		/* The longest epoch there may be: the age takes all of its 24 bits. */
		{ (UINT64_C(1) << 22) * TSTAMP_S, VALIDITY, (UINT64_C(1) << 22) * TSTAMP_S - 1,
		  (UINT64_C(1) << 22) * TSTAMP_S + 59 * TSTAMP_S, ECHO_VALID },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct echo_key k = new_key(rows[i].lifetime);
		uint8_t value[ECHO_LEN];
		enum echo_result r;

		echo_make(&k, &client, &listener, START + rows[i].made, value);
		r = echo_check(&k, &client, &listener, bytes_of(value, sizeof value), rows[i].validity,
			       START + rows[i].seen);
		if (r != rows[i].expected)
			fail_msg("row %zu: %d instead of %d", i, (int)r, (int)rows[i].expected);
	}
}

static void test_layout(void **state)
{
	struct echo_key k = new_key(LIFETIME);
	uint8_t value[ECHO_LEN];

	(void)state;
	echo_make(&k, &client, &listener, START + 3 * LIFETIME + 2600 * TSTAMP_MS, value);
	assert_int_equal(value[0], 3);
	assert_int_equal(value[1] << 16 | value[2] << 8 | value[3], 10);
}

static void test_transplants(void **state)
{
	struct addr c = client, l = listener;
	struct {
		const char *what;
		uint8_t *byte;
	} rows[] = {
		{ "client address", &c.ip[15] },         { "client prefix", &c.ip[0] },
		{ "client scope", (uint8_t *)&c.scope }, { "client port", (uint8_t *)&c.port },
		{ "listener address", &l.ip[15] },       { "listener port", (uint8_t *)&l.port },
	};
	struct echo_key k = new_key(LIFETIME);
	uint8_t value[ECHO_LEN];
	struct bytes v = bytes_of(value, sizeof value);

	(void)state;
	echo_make(&k, &client, &listener, START, value);
	assert_int_equal(echo_check(&k, &c, &l, v, VALIDITY, START), ECHO_VALID);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		*rows[i].byte ^= 1;
		if (echo_check(&k, &c, &l, v, VALIDITY, START) != ECHO_FOREIGN)
			fail_msg("taken from another %s", rows[i].what);
		*rows[i].byte ^= 1;
	}
}

static void test_other_secret(void **state)
{
	uint8_t other[16];
	struct echo_key ours = new_key(LIFETIME), theirs;
	uint8_t value[ECHO_LEN];

	(void)state;
	memcpy(other, secret, sizeof other);
	other[15] ^= 0x80;
	echo_init(&theirs, other, LIFETIME, START);
	echo_make(&theirs, &client, &listener, START, value);
	assert_int_equal(echo_check(&ours, &client, &listener, bytes_of(value, sizeof value), VALIDITY, START),
			 ECHO_FOREIGN);
}

/* In the second epoch, so that a flip in the first byte can name a living one. */
static void test_every_bit_flip(void **state)
{
	struct echo_key k = new_key(LIFETIME);
	tstamp now = START + LIFETIME + TSTAMP_S;
	uint8_t value[ECHO_LEN];

	(void)state;
	echo_make(&k, &client, &listener, now, value);
	for (unsigned bit = 0; bit < 8 * ECHO_LEN; bit++) {
		value[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(echo_check(&k, &client, &listener, bytes_of(value, ECHO_LEN), VALIDITY, now),
				 ECHO_FOREIGN);
		value[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

static void test_lengths(void **state)
{
	struct echo_key k = new_key(LIFETIME);
	uint8_t value[40] = { 0 };

	(void)state;
	echo_make(&k, &client, &listener, START, value);
	for (size_t len = 0; len <= sizeof value; len++)
		assert_int_equal(echo_check(&k, &client, &listener, bytes_of(value, len), VALIDITY, START),
				 len == ECHO_LEN ? ECHO_VALID : ECHO_FOREIGN);
}

#define WALL (UINT64_C(1763781000) * TSTAMP_S) /* of November 2025 */
#define YEAR (365 * TSTAMP_DAY)

/* Another guard of the fleet: it started at another time of its own, and its clock is off by so much. */
static struct echo_key shared_key(uint64_t lifetime, int64_t off, tstamp start)
{
	struct echo_key k;

	echo_init_shared(&k, secret, lifetime, WALL + (uint64_t)off, start);
	return k;
}

#define SKEW(s) ((s) * (int64_t)TSTAMP_S)

/* Made by a guard whose clock is off by so much, and checked by one that is right, `later` afterwards. */
static void test_fleet(void **state)
{
	static const struct {
		uint64_t lifetime;
		int64_t off;
		uint64_t later;
		enum echo_result expected;
	} rows[] = {
		{ TSTAMP_HOUR, 0, 0, ECHO_VALID },
		{ TSTAMP_HOUR, 0, 60 * TSTAMP_S, ECHO_VALID },
		{ TSTAMP_HOUR, 0, 60251 * TSTAMP_MS, ECHO_STALE },
		{ TSTAMP_HOUR, SKEW(5), 0, ECHO_VALID },
		{ TSTAMP_HOUR, SKEW(30), 0, ECHO_VALID },
		{ TSTAMP_HOUR, SKEW(31), 0, ECHO_FOREIGN },
		{ TSTAMP_HOUR, SKEW(31), 2 * TSTAMP_S, ECHO_VALID },
		{ TSTAMP_HOUR, SKEW(-59), 0, ECHO_VALID },
		{ TSTAMP_HOUR, SKEW(-61), 0, ECHO_STALE },
		{ TSTAMP_HOUR, -(int64_t)TSTAMP_DAY, 0, ECHO_FOREIGN },
		{ TSTAMP_HOUR, (int64_t)TSTAMP_DAY, 0, ECHO_FOREIGN },
		{ TSTAMP_HOUR, (int64_t)(10 * YEAR), 0, ECHO_FOREIGN },
		{ TSTAMP_HOUR, -(int64_t)(10 * YEAR), 0, ECHO_FOREIGN },
		/* 256 epochs: the first byte is the same again */
		{ TSTAMP_HOUR, (int64_t)(256 * TSTAMP_HOUR), 0, ECHO_FOREIGN },
		{ TSTAMP_HOUR, -(int64_t)(256 * TSTAMP_HOUR), 0, ECHO_FOREIGN },
		/* over a boundary of epochs, either way: WALL is a multiple of 10 minutes */
		{ 10 * TSTAMP_MIN, SKEW(-1), 0, ECHO_VALID },
		{ 10 * TSTAMP_MIN, SKEW(-1), 2 * TSTAMP_S, ECHO_VALID },
		{ 10 * TSTAMP_MIN, SKEW(599), 570 * TSTAMP_S, ECHO_VALID },
		{ 10 * TSTAMP_MIN, SKEW(601), 575 * TSTAMP_S, ECHO_VALID },
		{ 10 * TSTAMP_MIN, SKEW(1201), 599 * TSTAMP_S, ECHO_FOREIGN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct echo_key a = shared_key(rows[i].lifetime, rows[i].off, 77 * TSTAMP_S);
		struct echo_key b = shared_key(rows[i].lifetime, 0, START);
		struct addr other = { .ip = { 0xfd, [15] = 9 }, .port = listener.port };
		uint8_t value[ECHO_LEN];
		enum echo_result r;

		echo_make(&a, &client, &listener, 77 * TSTAMP_S, value);
		r = echo_check(&b, &client, &other, bytes_of(value, sizeof value), VALIDITY, START + rows[i].later);
		if (r != rows[i].expected)
			fail_msg("row %zu: %d instead of %d", i, (int)r, (int)rows[i].expected);
	}
}

/* A short validity bounds what another clock may be ahead, too. */
static void test_fleet_short_validity(void **state)
{
	uint8_t value[ECHO_LEN];

	(void)state;
	for (int64_t ahead = 0; ahead < 10; ahead++) {
		struct echo_key a = shared_key(TSTAMP_HOUR, SKEW(ahead), START), b = shared_key(TSTAMP_HOUR, 0, START);

		echo_make(&a, &client, &listener, START, value);
		assert_int_equal(echo_check(&b, &client, &listener, bytes_of(value, ECHO_LEN), 2 * TSTAMP_S, START),
				 ahead <= 2 ? ECHO_VALID : ECHO_FOREIGN);
	}
}

/* Neither whoever has another secret, nor the same secret without the fleet, nor another client or port. */
static void test_fleet_strangers(void **state)
{
	struct echo_key ours = shared_key(TSTAMP_HOUR, 0, START), alone = new_key(TSTAMP_HOUR), theirs;
	struct addr c = client, l = listener;
	uint8_t value[ECHO_LEN], other[16] = { 5 };
	struct bytes v = bytes_of(value, sizeof value);

	(void)state;
	echo_init_shared(&theirs, other, TSTAMP_HOUR, WALL, START);
	echo_make(&ours, &client, &listener, START, value);
	assert_int_equal(echo_check(&ours, &client, &listener, v, VALIDITY, START), ECHO_VALID);
	assert_int_equal(echo_check(&theirs, &client, &listener, v, VALIDITY, START), ECHO_FOREIGN);
	assert_int_equal(echo_check(&alone, &client, &listener, v, VALIDITY, START), ECHO_FOREIGN);
	c.port ^= 1;
	assert_int_equal(echo_check(&ours, &c, &listener, v, VALIDITY, START), ECHO_FOREIGN);
	l.port ^= 1;
	assert_int_equal(echo_check(&ours, &client, &l, v, VALIDITY, START), ECHO_FOREIGN);
}

/* I6: once it runs, no other clock than the monotonic one counts; a guard that was told the time anew goes on at once. */
static void test_clock_steps(void **state)
{
	static const int64_t steps[] = { SKEW(1),
					 SKEW(-1),
					 (int64_t)TSTAMP_DAY,
					 -(int64_t)TSTAMP_DAY,
					 (int64_t)(10 * YEAR),
					 -(int64_t)(10 * YEAR) };

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct echo_key k = shared_key(TSTAMP_HOUR, 0, START);
		uint8_t before[ECHO_LEN], after[ECHO_LEN];

		echo_make(&k, &client, &listener, START, before);
		k = shared_key(TSTAMP_HOUR, steps[i], START + TSTAMP_S);
		echo_make(&k, &client, &listener, START + TSTAMP_S, after);
		assert_int_equal(
			echo_check(&k, &client, &listener, bytes_of(after, ECHO_LEN), VALIDITY, START + TSTAMP_S),
			ECHO_VALID);
		assert_int_equal(
			echo_check(&k, &client, &listener, bytes_of(before, ECHO_LEN), VALIDITY, START + TSTAMP_S),
			steps[i] == SKEW(1) || steps[i] == SKEW(-1) ? ECHO_VALID : ECHO_FOREIGN);
		assert_int_not_equal(
			echo_check(&k, &client, &listener, bytes_of(after, ECHO_LEN), VALIDITY, START + 62 * TSTAMP_S),
			ECHO_VALID);
	}
}

static void test_random_tags(void **state)
{
	struct echo_key k = new_key(LIFETIME);
	uint64_t seed = 9175;
	unsigned accepted = 0;
	uint8_t value[ECHO_LEN];

	(void)state;
	echo_make(&k, &client, &listener, START, value);
	for (unsigned i = 0; i < 1000000; i++) {
		uint64_t tag = next_random(&seed);

		memcpy(value + 4, &tag, sizeof tag);
		accepted += echo_check(&k, &client, &listener, bytes_of(value, sizeof value), VALIDITY, START) !=
			    ECHO_FOREIGN;
	}
	assert_int_equal(accepted, 0);
}

/* Random lives against the definition in plain arithmetic. */
static void test_against_model(void **state)
{
	uint64_t seed = 12;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t life = TSTAMP_S + next_random(&seed) % LIFETIME;
		struct echo_key k = new_key(life);
		uint64_t made = next_random(&seed) % (600 * life);
		uint64_t seen = made + next_random(&seed) % (3 * life);
		uint64_t shown = made - made % life % (250 * TSTAMP_MS);
		enum echo_result expected = ECHO_FOREIGN;
		uint8_t value[ECHO_LEN];

		if (seen / life - made / life <= 1)
			expected = seen - shown <= VALIDITY ? ECHO_VALID : ECHO_STALE;
		echo_make(&k, &client, &listener, START + made, value);
		assert_int_equal(echo_check(&k, &client, &listener, bytes_of(value, ECHO_LEN), VALIDITY, START + seen),
				 expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_transplants),
		cmocka_unit_test(test_other_secret),
		cmocka_unit_test(test_every_bit_flip),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_random_tags),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_fleet),
		cmocka_unit_test(test_fleet_short_validity),
		cmocka_unit_test(test_fleet_strangers),
		cmocka_unit_test(test_clock_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

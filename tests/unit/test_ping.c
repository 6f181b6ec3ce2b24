#include "guard/ping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static const struct addr client = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 0xa }, .port = 40001 };
static const struct addr listener = { .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, .port = 5683 };

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* sent and answered in slots; by the age of the ping alone. Slot 1003 and 1004 lie in different
 * hashes. */
static void test_slots(void **state)
{
	static const struct {
		uint64_t sent, answered;
		bool expected;
	} rows[] = {
		{ 0, 0, true },        { 0, 7, true },       { 0, 8, false },       { 3, 4, true },
		{ 1000, 1000, true },  { 1000, 1007, true }, { 1000, 1008, false }, { 1001, 1008, true },
		{ 1001, 1009, false }, { 1003, 1010, true }, { 1003, 1011, false }, { 1004, 1011, true },
		{ 1004, 1003, false }, /* not sent yet */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		tstamp sent = rows[i].sent * PING_SLOT + PING_SLOT / 3;
		tstamp answered = rows[i].answered * PING_SLOT + PING_SLOT / 2;
		uint16_t mid = ping_mid(&key, &client, &listener, sent);
		uint64_t slot = UINT64_MAX;
		bool found = ping_check(&key, &client, &listener, mid, answered, &slot);

		if (found != rows[i].expected || (found && slot != rows[i].sent))
			fail_msg("row %zu: %d, slot %llu", i, found, (unsigned long long)slot);
	}
}

static void test_one_mid_per_slot(void **state)
{
	unsigned same = 0;

	(void)state;
	for (uint64_t slot = 0; slot < 1000; slot++) {
		tstamp at = slot * PING_SLOT;
		uint16_t mid = ping_mid(&key, &client, &listener, at);

		assert_int_equal(ping_mid(&key, &client, &listener, at + PING_SLOT - 1), mid);
		same += ping_mid(&key, &client, &listener, at + PING_SLOT) == mid;
	}
	assert_true(same <= 1); /* 1000 / 65536 expected */
}

/* Elsewhere, the right Message ID is no better than a guess: 8 / 65536. */
static void test_transplants(void **state)
{
	struct addr c = client, l = listener;
	struct siphash_key k = key;
	struct {
		const char *what;
		uint8_t *byte;
	} rows[] = {
		{ "client address", &c.ip[15] },         { "client scope", (uint8_t *)&c.scope },
		{ "client port", (uint8_t *)&c.port },   { "listener address", &l.ip[0] },
		{ "listener port", (uint8_t *)&l.port }, { "key", (uint8_t *)&k.k1 },
	};
	uint64_t slot;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned accepted = 0;

		*rows[i].byte ^= 1;
		for (uint64_t s = 0; s < 1000; s++) {
			uint16_t mid = ping_mid(&key, &client, &listener, s * PING_SLOT);

			accepted += ping_check(&k, &c, &l, mid, s * PING_SLOT, &slot);
		}
		*rows[i].byte ^= 1;
		if (accepted > 3)
			fail_msg("%u taken from another %s", accepted, rows[i].what);
	}
}

/* Of 400 000 guesses 48.8 should be right. No more than that is given away, and the slots are all
 * in use. */
static void test_guesses(void **state)
{
	uint64_t seed = 7252, slot;
	unsigned right = 0;

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		tstamp now = (1000 + i) * PING_SLOT;

		right += ping_check(&key, &client, &listener, (uint16_t)next_random(&seed), now, &slot);
	}
	assert_in_range(right, 25, 75);
}

/* Two proofs in a row, as callers ask for them, have different slots. */
static void test_two_proofs(void **state)
{
	tstamp now = 77 * PING_SLOT;
	uint16_t first = ping_mid(&key, &client, &listener, now);
	uint16_t second = ping_mid(&key, &client, &listener, now + PING_SLOT);
	uint64_t a, b;

	(void)state;
	assert_true(ping_check(&key, &client, &listener, first, now + 2 * PING_SLOT, &a));
	assert_true(ping_check(&key, &client, &listener, second, now + 2 * PING_SLOT, &b));
	assert_int_equal(b - a, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),       cmocka_unit_test(test_one_mid_per_slot),
		cmocka_unit_test(test_transplants), cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_two_proofs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "coap/retransmit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MS TSTAMP_MS
#define S  TSTAMP_S

/* The first row is RFC 7252 §4.8.2 as printed. */
static const struct {
	struct retransmit_params p;
	uint64_t span, wait, exchange, non;
} rows[] = {
	{ { 2 * S, 4 }, 45 * S, 93 * S, 247 * S, 145 * S },
	{ { 4 * S, 4 }, 90 * S, 186 * S, 294 * S, 190 * S },
	{ { 1 * S, 0 }, 0, 1500 * MS, 201 * S, 100 * S },
	{ { 2 * S, 1 }, 3 * S, 9 * S, 205 * S, 103 * S },
	{ { 0, 255 }, 0, 0, 200 * S, 100 * S },
	{ { 2 * S, 255 }, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	{ { UINT64_MAX, 4 }, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	{ { UINT64_MAX, 0 }, 0, UINT64_MAX, UINT64_MAX, 100 * S },
};

static void derives_the_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(retransmit_span(&rows[i].p) == rows[i].span);
		assert_true(retransmit_wait(&rows[i].p) == rows[i].wait);
		assert_true(retransmit_exchange_lifetime(&rows[i].p) == rows[i].exchange);
		assert_true(retransmit_non_lifetime(&rows[i].p) == rows[i].non);
	}
}

static void first_timeout_is_drawn(void **state)
{
	const struct retransmit_params p = { 2 * S, 4 };
	uint64_t last = 0;
	struct retransmit r;

	(void)state;
	assert_true(retransmit_start(&r, &p, 0) == 2 * S);
	assert_true(retransmit_start(&r, &p, UINT32_MAX) == 3 * S);
	assert_in_range(retransmit_start(&r, &p, 0x80000000), 2500 * MS - 1, 2500 * MS + 1);
	for (uint64_t random = 0; random <= UINT32_MAX; random += 0x01000000) {
		uint64_t t = retransmit_start(&r, &p, (uint32_t)random);

		assert_true(t >= last && t >= 2 * S && t <= 3 * S);
		assert_true(r.timeout == t && r.count == 0);
		last = t;
	}
}

/* MAX_RETRANSMIT times again, each wait twice the last; the waits add up to MAX_TRANSMIT_WAIT at
 * the latest. */
static void doubles_and_gives_up(void **state)
{
	(void)state;
	for (uint8_t max = 0; max < 12; max++) {
		const struct retransmit_params p = { 2 * S, max };
		struct retransmit r;
		uint64_t sum = retransmit_start(&r, &p, UINT32_MAX), last = sum, timeout = 0, sent_last = 0;
		unsigned again = 0;

		for (; retransmit_next(&r, &p, &timeout); again++) {
			assert_true(timeout == 2 * last);
			sent_last = sum;
			last = timeout;
			sum += timeout;
		}
		assert_int_equal(again, max);
		assert_true(sum == retransmit_wait(&p));
		assert_true(sent_last == retransmit_span(&p));
		assert_false(retransmit_next(&r, &p, &timeout));
	}
}

static void saturates(void **state)
{
	const struct retransmit_params p = { UINT64_MAX - 1, 255 };
	struct retransmit r;
	uint64_t timeout = 0;
	unsigned again = 0;

	(void)state;
	assert_true(retransmit_start(&r, &p, UINT32_MAX) == UINT64_MAX);
	while (retransmit_next(&r, &p, &timeout)) {
		assert_true(timeout == UINT64_MAX);
		again++;
	}
	assert_int_equal(again, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derives_the_times),
		cmocka_unit_test(first_timeout_is_drawn),
		cmocka_unit_test(doubles_and_gives_up),
		cmocka_unit_test(saturates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

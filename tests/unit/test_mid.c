#include "coap/mid.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define LIFETIME (247 * TSTAMP_S)

static uint64_t seed = 9;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void counts_up_and_around(void **state)
{
	struct mid_space s;
	uint64_t wait;
	uint16_t mid;

	(void)state;
	mid_init(&s, 65534);
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(mid_next(&s, LIFETIME, 0, &mid, &wait));
		assert_int_equal(mid, (65534 + i) & 0xffff);
	}
}

/* All 65536 at once, even at time 0; the next only a lifetime after the first run was last used. */
static void waits_for_the_lifetime(void **state)
{
	struct mid_space s;
	uint64_t wait = 0;
	uint16_t mid;

	(void)state;
	mid_init(&s, 1024);
	for (uint32_t i = 0; i < 65536; i++)
		assert_true(mid_next(&s, LIFETIME, 0, &mid, &wait));
	assert_false(mid_next(&s, LIFETIME, 0, &mid, &wait));
	assert_in_range(wait, LIFETIME, LIFETIME + 1);
	assert_false(mid_next(&s, LIFETIME, 5 * TSTAMP_S, &mid, &wait));
	assert_false(mid_next(&s, LIFETIME, 5 * TSTAMP_S + wait - 1, &mid, &(uint64_t){ 0 }));
	assert_true(mid_next(&s, LIFETIME, 5 * TSTAMP_S + wait, &mid, &wait));
	assert_int_equal(mid, 1024);
}

/* The naive copy remembers when each number was used. 200 000 messages at up to 2 000 a second. */
static void none_is_used_twice_in_a_lifetime(void **state)
{
	static tstamp used[65536];
	unsigned refused = 0;

	(void)state;
	for (uint32_t run = 0; run < 4; run++) {
		struct mid_space s;
		tstamp now = 0;

		for (uint32_t i = 0; i < 65536; i++)
			used[i] = TSTAMP_NEVER;
		mid_init(&s, (uint16_t)draw(65536));
		for (uint32_t i = 0; i < 200000; i++) {
			uint64_t wait;
			uint16_t mid;

			now += draw(1000000u << run);
			if (!mid_next(&s, LIFETIME, now, &mid, &wait)) {
				assert_in_range(wait, 1, LIFETIME + 1);
				refused++;
				now += wait;
				assert_true(mid_next(&s, LIFETIME, now, &mid, &wait));
			}
			assert_true(used[mid] == TSTAMP_NEVER || now - used[mid] >= LIFETIME);
			used[mid] = now;
		}
	}
	assert_true(refused > 10);
}

/* Numbers do not run dry at the rate they allow: 65536 in a lifetime, less one run. */
static void never_waits_at_the_fair_rate(void **state)
{
	const uint64_t pace = LIFETIME / (65536 - 65536 / MID_SEGMENTS);
	struct mid_space s;
	uint64_t wait;
	uint16_t mid;

	(void)state;
	mid_init(&s, 77);
	for (uint32_t i = 0; i < 200000; i++)
		assert_true(mid_next(&s, LIFETIME, (i + 1) * (pace + 1), &mid, &wait));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_up_and_around),
		cmocka_unit_test(waits_for_the_lifetime),
		cmocka_unit_test(none_is_used_twice_in_a_lifetime),
		cmocka_unit_test(never_waits_at_the_fair_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* replay: a table is the specification; then random operations against a naive set. */
#include "oscore/replay.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "oscore/oscore_option.h"

#define P32 (UINT64_C(1) << 32)
#define TOP OSCORE_PIV_MAX

/* size 0: the window of the row before. */
static const struct {
	uint8_t size;
	uint64_t number;
	bool fresh;
} rows[] = {
	/* from nothing, and every number once */
	{ 32, 0, true },
	{ 0, 0, false },
	{ 0, 1, true },
	{ 0, 1, false },
	{ 0, 0, false },
	/* the first one is not the lowest; a jump of 31 leaves 0 just inside, one of 32 just outside */
	{ 32, 31, true },
	{ 0, 0, true },
	{ 0, 0, false },
	{ 0, 31, false },
	{ 0, 30, true },
	{ 32, 32, true },
	{ 0, 0, false },
	{ 0, 1, true },
	{ 32, 0, true },
	{ 0, 31, true },
	{ 0, 0, false },
	{ 0, 1, true },
	{ 32, 5, true },
	{ 0, 36, true },
	{ 0, 5, false },
	{ 0, 6, true },
	{ 0, 4, false },
	{ 32, 5, true },
	{ 0, 37, true },
	{ 0, 5, false },
	{ 0, 6, true },
	{ 0, 37, false },
	{ 32, 5, true },
	{ 0, 38, true },
	{ 0, 6, false },
	{ 0, 7, true },
	{ 0, 37, true },
	/* what falls out and what stays when the window slides on by one */
	{ 32, 0, true },
	{ 0, 2, true },
	{ 0, 32, true },
	{ 0, 1, true },
	{ 0, 33, true },
	{ 0, 1, false },
	{ 0, 2, false },
	{ 0, 3, true },
	{ 0, 34, true },
	{ 0, 3, false },
	{ 0, 4, true },
	/* a size of 64: shifts by 63, 64 and 65 */
	{ 64, 63, true },
	{ 0, 0, true },
	{ 0, 0, false },
	{ 0, 63, false },
	{ 64, 64, true },
	{ 0, 0, false },
	{ 0, 1, true },
	{ 64, 5, true },
	{ 0, 68, true },
	{ 0, 5, false },
	{ 0, 6, true },
	{ 0, 4, false },
	{ 64, 5, true },
	{ 0, 69, true },
	{ 0, 5, false },
	{ 0, 6, true },
	{ 0, 7, true },
	{ 0, 69, false },
	{ 64, 5, true },
	{ 0, 70, true },
	{ 0, 6, false },
	{ 0, 7, true },
	{ 0, 69, true },
	{ 0, 70, false },
	/* far ahead: all before is gone, all in the window is fresh */
	{ 32, 7, true },
	{ 0, P32 + 7, true },
	{ 0, 7, false },
	{ 0, P32 + 7, false },
	{ 0, P32 + 6, true },
	{ 0, P32 - 24, true },
	{ 0, P32 - 25, false },
	{ 64, 7, true },
	{ 0, P32 + 7, true },
	{ 0, 8, false },
	{ 0, P32 - 56, true },
	{ 0, P32 - 57, false },
	/* the last number there is */
	{ 32, 0, true },
	{ 0, TOP, true },
	{ 0, TOP, false },
	{ 0, 0, false },
	{ 0, TOP - 31, true },
	{ 0, TOP - 32, false },
	{ 64, TOP, true },
	{ 0, TOP, false },
	{ 0, TOP - 63, true },
	{ 0, TOP - 64, false },
	{ 0, TOP - 1, true },
	/* and those there are not */
	{ 32, TOP + 1, false },
	{ 0, UINT64_MAX, false },
	{ 0, 0, true },
	/* a window of one takes rising numbers only */
	{ 1, 5, true },
	{ 0, 5, false },
	{ 0, 4, false },
	{ 0, 6, true },
	{ 0, 5, false },
	{ 0, 70, true },
	{ 0, 69, false },
	{ 0, TOP, true },
	{ 0, TOP, false },
};

static void test_rows(void **state)
{
	struct replay r;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct replay before;

		if (rows[i].size)
			replay_init(&r, rows[i].size);
		before = r;
		if (replay_is_fresh(&r, rows[i].number) != rows[i].fresh)
			fail_msg("row %zu: is_fresh", i);
		assert_memory_equal(&r, &before, sizeof r);
		if (replay_accept(&r, rows[i].number) != rows[i].fresh)
			fail_msg("row %zu: accept", i);
		if (!rows[i].fresh)
			assert_memory_equal(&r, &before, sizeof r);
	}
}

/* What is remembered about every number up to a few hundred above the base. */
struct naive {
	bool struck[4096];
	uint64_t next;
	uint8_t size;
};

static bool naive_is_fresh(const struct naive *n, uint64_t i)
{
	return !n->struck[i] && (i >= n->next || n->next - i <= n->size);
}

static void naive_strike(struct naive *n, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++)
		n->struck[i] = true;
	if (to + 1 > n->next)
		n->next = to + 1;
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Near the highest number mostly, and now and then a jump. */
static uint64_t some_number(const struct naive *n, uint64_t *seed)
{
	uint64_t near = n->next + next_random(seed) % 8, back = next_random(seed) % (n->size + 8U);

	if (next_random(seed) % 50 == 0)
		return n->next + next_random(seed) % 70;
	return near > back ? near - back : 0;
}

static void compare(const struct replay *r, const struct naive *n)
{
	uint64_t from = n->next > 80 ? n->next - 80 : 0;

	assert_true(r->next == n->next);
	for (uint64_t i = from; i < n->next + 5; i++)
		if (replay_is_fresh(r, i) != naive_is_fresh(n, i))
			fail_msg("size %u, next %llu: %llu", r->size, (unsigned long long)n->next,
				 (unsigned long long)i);
}

static void run_random(uint8_t size, uint64_t seed)
{
	static struct naive n;
	struct replay r;

	memset(&n, 0, sizeof n);
	n.size = size;
	replay_init(&r, size);
	while (n.next < 4000) {
		uint64_t i = some_number(&n, &seed);

		if (next_random(&seed) % 100 == 0) {
			naive_strike(&n, 0, i);
			replay_resume(&r, i);
		} else {
			assert_int_equal(replay_accept(&r, i), naive_is_fresh(&n, i));
			if (naive_is_fresh(&n, i))
				naive_strike(&n, i, i);
		}
		compare(&r, &n);
	}
}

static void test_against_a_set(void **state)
{
	(void)state;
	for (uint8_t size = 1; size <= REPLAY_MAX; size++)
		run_random(size, size);
}

/* After a lost window: the number that was proven fresh and all below are struck out, all above are not. */
static void test_resume(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 30, 31, 32, 63, 64, 65, 1000, P32, TOP };
	static const uint8_t sizes[] = { 1, 32, 33, 64 };

	(void)state;
	for (size_t s = 0; s < sizeof sizes; s++)
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
			struct replay r;

			replay_init(&r, sizes[s]);
			replay_resume(&r, numbers[i]);
			for (uint64_t below = 0; below <= 70 && below <= numbers[i]; below++)
				assert_false(replay_is_fresh(&r, numbers[i] - below));
			assert_int_equal(replay_is_fresh(&r, numbers[i] + 1), numbers[i] != TOP);
			assert_int_equal(replay_accept(&r, numbers[i] + 1), numbers[i] != TOP);
			assert_false(replay_is_fresh(&r, numbers[i]));
		}
}

/* Bits above the size stay clear: the window is written to disk and compared. */
static void test_no_bit_outside(void **state)
{
	(void)state;
	for (uint8_t size = 1; size < 64; size++) {
		struct replay r;

		replay_init(&r, size);
		for (uint64_t i = 0; i < 200; i++) {
			assert_true(replay_accept(&r, i));
			assert_true(r.seen >> size == 0);
		}
		replay_resume(&r, 300);
		assert_true(r.seen >> size == 0 && r.seen == UINT64_MAX >> (64 - size));
		replay_resume(&r, 290);
		assert_true(r.next == 301 && r.seen == UINT64_MAX >> (64 - size));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_against_a_set),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_no_bit_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

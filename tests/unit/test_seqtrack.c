#include "guard/seqtrack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define KEY  UINT64_C(0x1234567890abcdef)
#define JUMP 256
#define IDLE (7 * TSTAMP_DAY)
#define TOP  ((UINT64_C(1) << 40) - 1) /* the largest Partial IV, RFC 8613 §7.2.1 */

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct row {
	char verb; /* j: judge, a: accept */
	uint64_t piv;
	int expected; /* a finding; of accept: news or not */
};

static void run(const struct row *rows, size_t n, uint32_t window)
{
	struct seqtrack *s = seqtrack_create(8);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		int found = r->verb == 'j' ? (int)seqtrack_judge(s, KEY, r->piv, JUMP, window, IDLE, 1)
					   : (int)seqtrack_accept(s, KEY, r->piv, IDLE, 1);

		if (found != r->expected)
			fail_msg("row %zu (%c %llu): %d", i, r->verb, (unsigned long long)r->piv, found);
	}
	seqtrack_free(s);
}

#define RUN(rows, window) run(rows, sizeof(rows) / sizeof *(rows), window)

static void test_jumps(void **state)
{
	static const struct row rows[] = {
		{ 'j', 0, SEQ_NEW },
		{ 'j', TOP, SEQ_NEW },
		{ 'a', 0, true },
		{ 'j', 0, SEQ_REUSED },
		{ 'a', 0, false },
		{ 'j', 1, SEQ_PLAUSIBLE },
		{ 'j', 256, SEQ_PLAUSIBLE },
		{ 'j', 257, SEQ_FAR },
		{ 'j', TOP, SEQ_FAR },
		{ 'a', 31, true }, /* highest 31 */
		{ 'j', 0, SEQ_REUSED },
		{ 'j', 1, SEQ_PLAUSIBLE },
		{ 'a', 63, true }, /* + 32 */
		{ 'j', 0, SEQ_REUSED },
		{ 'j', 31, SEQ_REUSED },
		{ 'j', 32, SEQ_PLAUSIBLE },
		{ 'a', 96, true }, /* + 33 */
		{ 'j', 31, SEQ_OLD },
		{ 'j', 32, SEQ_OLD },
		{ 'j', 33, SEQ_PLAUSIBLE },
		{ 'j', 63, SEQ_REUSED },
		{ 'a', 33, true },
		{ 'a', 33, false },
		{ 'a', 32, false }, /* below the window: may well have been accepted */
		{ 'a', 159, true }, /* + 63 */
		{ 'j', 96, SEQ_REUSED },
		{ 'j', 95, SEQ_OLD },
		{ 'j', 97, SEQ_PLAUSIBLE },
		{ 'a', 223, true }, /* + 64: all before is out */
		{ 'j', 159, SEQ_OLD },
		{ 'j', 160, SEQ_PLAUSIBLE },
		{ 'j', 223, SEQ_REUSED },
		{ 'a', 288, true }, /* + 65 */
		{ 'j', 225, SEQ_PLAUSIBLE },
		{ 'j', 224, SEQ_OLD },
		{ 'a', 288 + (UINT64_C(1) << 32), true }, /* + 2^32: no number is cut to 32 bits */
		{ 'j', 288, SEQ_OLD },
		{ 'j', 287 + (UINT64_C(1) << 32), SEQ_PLAUSIBLE },
		{ 'j', 288 + (UINT64_C(1) << 32), SEQ_REUSED },
		{ 'j', TOP, SEQ_FAR },
		{ 'a', TOP, true },
		{ 'j', TOP, SEQ_REUSED },
		{ 'j', TOP - 63, SEQ_PLAUSIBLE },
		{ 'j', TOP - 64, SEQ_OLD },
		{ 'j', 0, SEQ_OLD },
		{ 'a', TOP, false },
	};

	(void)state;
	RUN(rows, SEQTRACK_WINDOW);
}

static void test_straight_to_the_top(void **state)
{
	static const struct row rows[] = {
		{ 'a', 0, true },
		{ 'a', TOP, true },
		{ 'j', 0, SEQ_OLD },
		{ 'j', TOP, SEQ_REUSED },
		{ 'j', TOP - 1, SEQ_PLAUSIBLE },
	};

	(void)state;
	RUN(rows, SEQTRACK_WINDOW);
}

static void test_narrow_window(void **state)
{
	static const struct row rows[] = {
		{ 'a', 100, true },   { 'j', 100, SEQ_REUSED }, { 'j', 99, SEQ_PLAUSIBLE }, { 'j', 69, SEQ_PLAUSIBLE },
		{ 'j', 68, SEQ_OLD }, { 'a', 99, true },        { 'j', 99, SEQ_REUSED },
	};

	(void)state;
	RUN(rows, 32);
}

/* tests/vectors/reputation_cases.json, sequences S1 to S8, in one life of the context. */
static void test_vectors(void **state)
{
	static const struct row rows[] = {
		{ 'j', 10, SEQ_NEW }, /* S1 */
		{ 'a', 10, true },
		{ 'j', 11, SEQ_PLAUSIBLE },
		{ 'a', 11, true },
		{ 'j', 13, SEQ_PLAUSIBLE },
		{ 'a', 13, true },
		{ 'j', 12, SEQ_PLAUSIBLE }, /* S2: below the highest but never seen */
		{ 'a', 12, true },
		{ 'j', 11, SEQ_REUSED },    /* S3 */
		{ 'j', 13, SEQ_REUSED },    /* S4: dedup answers before it comes to this */
		{ 'j', 500000, SEQ_FAR },   /* S5 */
		{ 'j', 14, SEQ_PLAUSIBLE }, /* ... which moved nothing */
		{ 'j', 1013, SEQ_FAR },     /* S6: B.1.1 gap; forwarded once proven */
		{ 'a', 1013, true },
		{ 'j', 1014, SEQ_PLAUSIBLE }, /* S7 */
		{ 'a', 1014, true },
		{ 'j', 1015, SEQ_PLAUSIBLE }, /* S8: refused by the device, so nothing is accepted */
		{ 'j', 1015, SEQ_PLAUSIBLE },
		{ 'j', 1014, SEQ_REUSED },
	};

	(void)state;
	RUN(rows, SEQTRACK_WINDOW);
}

static void test_idle(void **state)
{
	struct seqtrack *s = seqtrack_create(8);
	uint64_t highest;

	(void)state;
	assert_false(seqtrack_highest(s, KEY, &highest));
	assert_true(seqtrack_accept(s, KEY, 500, 100, 1000));
	assert_int_equal(seqtrack_judge(s, KEY, 500, JUMP, 64, 100, 1100), SEQ_REUSED);
	assert_int_equal(seqtrack_judge(s, KEY, 500, JUMP, 64, 100, 1101), SEQ_NEW);
	assert_false(seqtrack_accept(s, KEY, 500, 100, 1100)); /* used again, though no news */
	assert_int_equal(seqtrack_judge(s, KEY, 500, JUMP, 64, 100, 1200), SEQ_REUSED);
	assert_true(seqtrack_accept(s, KEY, 7, 100, 1201)); /* a new life */
	assert_true(seqtrack_highest(s, KEY, &highest));
	assert_int_equal(highest, 7);
	assert_int_equal(seqtrack_judge(s, KEY, 6, JUMP, 64, 100, 1201), SEQ_PLAUSIBLE);
	assert_int_equal(seqtrack_count(s), 1);
	seqtrack_forget(s, KEY);
	seqtrack_forget(s, KEY);
	assert_int_equal(seqtrack_count(s), 0);
	assert_int_equal(seqtrack_judge(s, KEY, 7, JUMP, 64, 100, 1201), SEQ_NEW);
	seqtrack_free(s);
}

/* What was known before a restart, here 40, 39 and 37: only what may come next is plausible, all else is new. */
static void test_hint(void **state)
{
	static const struct {
		uint64_t piv;
		enum seq_finding finding;
		uint64_t highest, seen; /* once it was accepted */
	} rows[] = {
		{ 41, SEQ_PLAUSIBLE, 41, 0x17 },
		{ 40 + JUMP * SEQTRACK_BLUR, SEQ_PLAUSIBLE, 40 + JUMP * SEQTRACK_BLUR, 1 },
		{ 41 + JUMP * SEQTRACK_BLUR, SEQ_NEW, 41 + JUMP * SEQTRACK_BLUR, 1 },
		{ TOP, SEQ_NEW, TOP, 1 },
		{ 38, SEQ_PLAUSIBLE, 40, 0xf }, /* late, and not yet accepted */
		{ 40, SEQ_NEW, 40, 1 },         /* the client counts anew */
		{ 39, SEQ_NEW, 39, 1 },
		{ 37, SEQ_NEW, 37, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct seqtrack *s = seqtrack_create(8);
		uint64_t highest, seen;

		seqtrack_hint(s, KEY, 40, 0xb, 1);
		assert_true(seqtrack_window(s, KEY, &highest, &seen)); /* can be written again, unconfirmed */
		assert_int_equal(highest, 40);
		assert_int_equal(seen, 0xb);
		if (seqtrack_judge(s, KEY, rows[i].piv, JUMP, 64, IDLE, 1) != rows[i].finding)
			fail_msg("row %zu: finding", i);
		assert_int_equal(seqtrack_judge(s, KEY, rows[i].piv, JUMP, 64, IDLE, IDLE + 2), SEQ_NEW);
		assert_true(seqtrack_accept(s, KEY, rows[i].piv, IDLE, 1));
		assert_true(seqtrack_window(s, KEY, &highest, &seen));
		if (highest != rows[i].highest || seen != rows[i].seen)
			fail_msg("row %zu: %llu, %llx", i, (unsigned long long)highest, (unsigned long long)seen);
		/* from now on it is a record as any other */
		assert_int_equal(seqtrack_judge(s, KEY, rows[i].piv, JUMP, 64, IDLE, 1), SEQ_REUSED);
		assert_false(seqtrack_accept(s, KEY, rows[i].piv, IDLE, 1));
		assert_int_equal(seqtrack_count(s), 1);
		seqtrack_free(s);
	}
}

/* Nine keys of one bucket of eight: the one unused for longest goes, nobody else. */
static void test_stalest_makes_room(void **state)
{
	struct seqtrack *s = seqtrack_create(64);

	(void)state;
	for (uint64_t i = 1; i <= 8; i++)
		seqtrack_accept(s, i << 32, i, IDLE, i);
	seqtrack_accept(s, UINT64_C(1) << 32, 2, IDLE, 9); /* now 2 is the stalest */
	assert_int_equal(seqtrack_count(s), 8);
	seqtrack_accept(s, UINT64_C(9) << 32, 9, IDLE, 10);
	assert_int_equal(seqtrack_count(s), 8);
	for (uint64_t i = 1; i <= 9; i++)
		assert_int_equal(seqtrack_judge(s, i << 32, i, JUMP, 64, IDLE, 10) == SEQ_NEW, i == 2);
	seqtrack_free(s);
}

static void test_memory(void **state)
{
	(void)state;
	assert_true(seqtrack_memory(8192) <= 8192 * 32 + 128);
	assert_true(seqtrack_memory(8193) > 2 * 8192 * 32);
	assert_true(seqtrack_memory(0) > 0);
}

/* The naive copy: every number ever accepted of a context, in an array. */
#define KEYS 40
#define SPAN 4096

struct context {
	uint64_t highest;
	tstamp used;
	bool known, accepted[SPAN];
};

static enum seq_finding judge_naively(const struct context *c, uint64_t piv, uint64_t jump, uint32_t window,
				      uint64_t idle, tstamp now)
{
	if (!c->known || now - c->used > idle)
		return SEQ_NEW;
	if (piv > c->highest)
		return piv > c->highest + jump ? SEQ_FAR : SEQ_PLAUSIBLE;
	if (piv + window <= c->highest)
		return SEQ_OLD;
	return c->accepted[piv] ? SEQ_REUSED : SEQ_PLAUSIBLE;
}

static bool accept_naively(struct context *c, uint64_t piv, uint64_t idle, tstamp now)
{
	bool news;

	if (!c->known || now - c->used > idle)
		memset(c, 0, sizeof *c);
	news = !c->known || piv > c->highest || (piv + 64 > c->highest && !c->accepted[piv]);
	c->accepted[piv] = true;
	c->highest = !c->known || piv > c->highest ? piv : c->highest;
	c->known = true;
	c->used = now;
	return news;
}

static void test_against_model(void **state)
{
	struct context *model = calloc(KEYS, sizeof *model);
	struct seqtrack *s = seqtrack_create(8 * KEYS); /* far more places than keys: none makes room */
	uint64_t seed = 8613;
	tstamp now = 0;
	uint32_t known = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t k = next_random(&seed) % KEYS, key = (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
		struct context *c = &model[k];
		uint64_t piv = (c->highest + 8 + 80 - next_random(&seed) % 160) % SPAN;
		uint32_t window = 1 + (uint32_t)(next_random(&seed) % 64);

		now += next_random(&seed) % 3;
		switch (next_random(&seed) % 8) {
		case 0:
			if (next_random(&seed) % 50 == 0) {
				seqtrack_forget(s, key);
				memset(c, 0, sizeof *c);
			}
			break;
		case 1:
		case 2:
		case 3:
			assert_int_equal(seqtrack_accept(s, key, piv, 300, now), accept_naively(c, piv, 300, now));
			break;
		default:
			assert_int_equal(seqtrack_judge(s, key, piv, 40, window, 300, now),
					 judge_naively(c, piv, 40, window, 300, now));
		}
	}
	for (unsigned k = 0; k < KEYS; k++)
		known += model[k].known;
	assert_int_equal(seqtrack_count(s), known);
	seqtrack_free(s);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jumps),         cmocka_unit_test(test_straight_to_the_top),
		cmocka_unit_test(test_narrow_window), cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_idle),          cmocka_unit_test(test_stalest_makes_room),
		cmocka_unit_test(test_memory),        cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* reputation: the table of relations against a naive copy. */
#include "guard/reputation.h"
#include "guard/standing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

#define RELATIONS 32
#define LIFETIME  (50 * TSTAMP_S)

struct copy {
	uint64_t key;
	tstamp seen;
	unsigned accepted;
};

/* Random operations; the copy keeps every key for ever, so what the table has must be in it, and as
 * it is there. */
static void test_against_copy(void **state)
{
	struct reputation *r = reputation_create(RELATIONS);
	struct copy copy[48] = { { 0 } };
	uint64_t seed = 7;
	tstamp now = TSTAMP_HOUR;

	(void)state;
	assert_int_equal(reputation_capacity(r), RELATIONS);
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t n = next_random(&seed), which = n % 48;
		struct relation *rel = reputation_find(r, which + 1, LIFETIME, now);

		now += (n >> 8 & 3) * TSTAMP_S;
		rel = reputation_find(r, which + 1, LIFETIME, now);
		if (rel) {
			assert_true(reputation_key(r, rel) == which + 1 && copy[which].key);
			assert_int_equal(relation_accepted(rel), copy[which].accepted > 64 ? 64 : copy[which].accepted);
			assert_true(now - copy[which].seen < LIFETIME + 2 * TSTAMP_S);
		}
		switch (n >> 16 & 7) {
		case 0:
			rel = reputation_admit(r, which + 1, now);
			assert_int_equal(rel->standing, STANDING_TENTATIVE);
			assert_int_equal(rel->history_len, 0);
			copy[which] = (struct copy){ which + 1, now, 0 };
			assert_ptr_equal(reputation_find(r, which + 1, LIFETIME, now), rel);
			break;
		case 1:
			if (rel)
				reputation_remove(r, rel);
			copy[which].key = 0;
			assert_true(!rel || !reputation_find(r, which + 1, LIFETIME, now));
			break;
		default:
			if (rel) {
				relation_seen(rel, now);
				relation_book(rel, true);
				copy[which].seen = now;
				copy[which].accepted++;
			}
		}
		assert_true(reputation_count(r) <= RELATIONS);
	}
	{
		uint32_t places = 0;

		for (uint32_t i = 0; i < reputation_capacity(r); i++)
			places += reputation_at(r, i) != NULL;
		assert_int_equal(places, reputation_count(r));
	}
	reputation_free(r);
}

/* The stalest of eight makes room. */
static void test_eviction(void **state)
{
	struct reputation *r = reputation_create(8);
	tstamp now = TSTAMP_HOUR;

	(void)state;
	for (uint64_t k = 1; k <= 8; k++)
		reputation_admit(r, k, now += TSTAMP_S);
	now += TSTAMP_S;
	relation_seen(reputation_find(r, 1, LIFETIME, now), now);
	reputation_admit(r, 9, now);
	assert_null(reputation_find(r, 2, LIFETIME, now));
	assert_non_null(reputation_find(r, 1, LIFETIME, now));
	assert_int_equal(reputation_count(r), 8);
	reputation_free(r);
}

/* To the second. */
static void test_lifetime(void **state)
{
	struct reputation *r = reputation_create(8);

	(void)state;
	reputation_admit(r, 1, TSTAMP_HOUR);
	assert_non_null(reputation_find(r, 1, LIFETIME, TSTAMP_HOUR + LIFETIME));
	assert_null(reputation_find(r, 1, LIFETIME, TSTAMP_HOUR + LIFETIME + TSTAMP_S));
	reputation_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_copy),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_lifetime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* reputation: the standings graph against policy's table, and the records against a naive copy. */
#include "guard/reputation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* policy.md, "Standing of a relation", as it stands there. The two columns on Partial IVs are verdicts, not standings. */
static const char *const policy[STANDINGS] = {
	"unknown | reachable | tentative | unknown | unknown | unknown",
	"reachable | reachable | tentative | unknown | reachable | reachable",
	"tentative | tentative | trusted after n | reachable | tentative, doubted | tentative",
	"trusted | trusted | trusted | tentative | trusted, doubted | trusted",
};

static void test_table(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STANDINGS; s++) {
		char line[256];
		size_t at = (size_t)sprintf(line, "%s", standing_word((enum standing)s));

		for (unsigned e = 0; e < STANDING_EVENTS; e++) {
			struct standing_step step = standing_step((enum standing)s, (enum standing_event)e);

			at += (size_t)sprintf(line + at, " | %s%s%s", standing_word((enum standing)step.to),
					      step.after_run ? " after n" : "", step.doubted ? ", doubted" : "");
		}
		print_message("%s\n", line);
		assert_string_equal(line, policy[s]);
	}
	assert_string_equal(standing_event_word(EVENT_REFUSED_UNPROVEN), "refused without proof");
}

/* I1: nothing that is not proven lowers a standing. */
static void test_unproven_never_lowers(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STANDINGS; s++) {
		assert_true(standing_step((enum standing)s, EVENT_REFUSED_UNPROVEN).to == s);
		assert_true(standing_step((enum standing)s, EVENT_SILENT).to == s);
		assert_true(standing_step((enum standing)s, EVENT_PROOF).to >= s);
		assert_true(standing_step((enum standing)s, EVENT_ACCEPTED).to >= s);
	}
}

static void test_history(void **state)
{
	struct relation rel = { .key = 1 };

	(void)state;
	assert_int_equal(relation_success(&rel), 100);
	for (unsigned i = 0; i < 3; i++)
		relation_book(&rel, true);
	relation_book(&rel, false);
	assert_int_equal(relation_success(&rel), 75);
	assert_int_equal(relation_accepted(&rel), 3);
	for (unsigned i = 0; i < 64; i++)
		relation_book(&rel, false);
	assert_int_equal(rel.history_len, 64);
	assert_int_equal(relation_success(&rel), 0);
	for (unsigned i = 0; i < 32; i++)
		relation_book(&rel, true);
	assert_int_equal(relation_success(&rel), 50);
	assert_int_equal(relation_accepted(&rel), 32);
}

static void test_doubt(void **state)
{
	struct relation rel = { .key = 1 };
	tstamp now = 1000 * TSTAMP_S;

	(void)state;
	assert_false(relation_doubted(&rel, now));
	relation_doubt(&rel, TSTAMP_MIN, now);
	assert_true(relation_doubted(&rel, now));
	assert_true(relation_doubted(&rel, now + 59 * TSTAMP_S));
	assert_false(relation_doubted(&rel, now + 61 * TSTAMP_S));
}

#define RELATIONS 32
#define LIFETIME  (50 * TSTAMP_S)

struct copy {
	uint64_t key;
	tstamp seen;
	unsigned accepted;
};

/* Random operations; the copy keeps every key for ever, so what the table has must be in it, and as it is there. */
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
			assert_true(rel->key == which + 1 && copy[which].key);
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
	relation_seen(reputation_find(r, 1, LIFETIME, now), now + TSTAMP_S);
	reputation_admit(r, 9, now);
	assert_null(reputation_find(r, 2, LIFETIME, now));
	assert_non_null(reputation_find(r, 1, LIFETIME, now));
	assert_int_equal(reputation_count(r), 8);
	assert_true(sizeof(struct relation) <= 80);
	reputation_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_unproven_never_lowers),
		cmocka_unit_test(test_history),	     cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_against_copy), cmocka_unit_test(test_eviction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* settle: what each outcome does, by who asked and how: standing, doubt, number, proof, budget. */
#include "guard/settle.h"
#include "guard/identity.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR
#define KEY   77

struct world {
	struct guard *g;
	struct inflight_request in;
	uint64_t home, away;
};

static struct world begin(void)
{
	static const uint8_t secret[32] = { 5 };
	struct proxy_config c = engine_careful();
	struct world w = { .in = { .relation = KEY, .piv = 50, .kid_len = 1 } };

	w.g = guard_create(&c.policy, 64, secret, START);
	assert_non_null(w.g);
	assert_true(addr_parse(&w.in.client, "[2001:db8:1::a]:40001", 0));
	w.home = guard_flow(w.g, &w.in.client);
	w.away = w.home ^ 1;
	w.in.endpoint = w.home;
	return w;
}

static struct relation *relation(const struct world *w)
{
	return reputation_find(w->g->reputation, KEY, w->g->policy.lifetime, START);
}

static bool settle(struct world *w, enum guard_outcome o)
{
	return settle_outcome(w->g, &w->in, o, START);
}

/* Accepted n times, with numbers below 50. */
static void earn(struct world *w, unsigned n)
{
	struct inflight_request in = w->in;

	for (unsigned i = 0; i < n; i++) {
		in.piv = 10 + i;
		assert_true(settle_outcome(w->g, &in, OUTCOME_ACCEPTED, START));
	}
}

/* standing before (0: no relation) x outcome x proven -> standing after, doubted; policy's table,
 * through the tables. */
static void test_outcomes(void **state)
{
	static const struct {
		unsigned earned;
		enum guard_outcome outcome;
		bool proven;
		enum standing after;
		bool doubted;
	} rows[] = {
		{ 0, OUTCOME_ACCEPTED, false, STANDING_TENTATIVE, false },
		{ 0, OUTCOME_OBSERVED, false, STANDING_TENTATIVE, false },
		{ 0, OUTCOME_TENTATIVE, true, STANDING_UNKNOWN, false },
		{ 0, OUTCOME_REFUSED, true, STANDING_UNKNOWN, false },
		{ 0, OUTCOME_REFUSED, false, STANDING_UNKNOWN, false },
		{ 0, OUTCOME_NEUTRAL, true, STANDING_UNKNOWN, false },
		{ 0, OUTCOME_SILENT, true, STANDING_UNKNOWN, false },
		{ 1, OUTCOME_ACCEPTED, false, STANDING_TENTATIVE, false }, /* not yet enough */
		{ 7, OUTCOME_ACCEPTED, false, STANDING_TRUSTED, false },
		{ 7, OUTCOME_OBSERVED, true, STANDING_TRUSTED, false },
		{ 7, OUTCOME_TENTATIVE, true, STANDING_TENTATIVE, false },
		{ 1, OUTCOME_REFUSED, true, STANDING_UNKNOWN,
		  false }, /* its endpoint is reachable, the relation gone */
		{ 1, OUTCOME_REFUSED, false, STANDING_TENTATIVE, true },
		{ 1, OUTCOME_SILENT, true, STANDING_TENTATIVE, false },
		{ 1, OUTCOME_NEUTRAL, true, STANDING_TENTATIVE, false },
		{ 1, OUTCOME_CANCELLED, true, STANDING_TENTATIVE, false },
		{ 8, OUTCOME_ACCEPTED, false, STANDING_TRUSTED, false },
		{ 8, OUTCOME_REFUSED, true, STANDING_TENTATIVE, false },
		{ 8, OUTCOME_REFUSED, false, STANDING_TRUSTED, true },
		{ 8, OUTCOME_SILENT, true, STANDING_TRUSTED, false },
		{ 8, OUTCOME_SILENT, false, STANDING_TRUSTED, false },
		{ 8, OUTCOME_TENTATIVE, false, STANDING_TRUSTED, false },
		{ 8, OUTCOME_NEUTRAL, false, STANDING_TRUSTED, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w = begin();
		const struct relation *rel;

		earn(&w, rows[i].earned);
		w.in.proven = w.in.echo = rows[i].proven;
		settle(&w, rows[i].outcome);
		rel = relation(&w);
		if ((rel ? rel->standing : STANDING_UNKNOWN) != rows[i].after)
			fail_msg("row %u: %s", i, rel ? standing_word(rel->standing) : "none");
		assert_int_equal(rel && relation_doubted(rel, START), rows[i].doubted);
		guard_free(w.g);
	}
}

/* Only acceptance moves the number, and the same one earns nothing twice. */
static void test_numbers(void **state)
{
	struct world w = begin();
	uint64_t highest = 0;

	(void)state;
	earn(&w, 3);
	settle(&w, OUTCOME_REFUSED);
	settle(&w, OUTCOME_TENTATIVE);
	settle(&w, OUTCOME_SILENT);
	assert_true(seqtrack_highest(w.g->seqtrack, KEY, &highest) && highest == 12);
	assert_true(settle(&w, OUTCOME_OBSERVED));
	assert_true(seqtrack_highest(w.g->seqtrack, KEY, &highest) && highest == 50);
	assert_false(settle(&w, OUTCOME_OBSERVED));
	assert_false(settle(&w, OUTCOME_ACCEPTED));
	assert_int_equal(relation_accepted(relation(&w)), 4);
	w.in.piv = 51;
	w.in.replayable = true;
	assert_false(settle(&w, OUTCOME_ACCEPTED));
	w.in.replayable = false;
	w.in.follow_up = true;
	assert_false(settle(&w, OUTCOME_ACCEPTED));
	assert_true(seqtrack_highest(w.g->seqtrack, KEY, &highest) && highest == 50);
	guard_free(w.g);
}

/* A relation moves on proof plus acceptance, and the old endpoint stays valid for roam-grace. */
static void test_moving(void **state)
{
	struct world w = begin();

	(void)state;
	earn(&w, 3);
	w.in.endpoint = w.away;
	assert_true(settle(&w, OUTCOME_ACCEPTED));
	assert_true(relation(&w)->endpoint == w.home); /* without proof */
	w.in.piv++;
	w.in.proven = true;
	settle(&w, OUTCOME_TENTATIVE);
	assert_true(relation(&w)->endpoint == w.home); /* without acceptance */
	w.in.piv++;
	assert_true(settle(&w, OUTCOME_ACCEPTED));
	assert_true(relation(&w)->endpoint == w.away && relation(&w)->old_endpoint == w.home);
	assert_int_equal(relation(&w)->roam_until_s, (START + w.g->policy.roam_grace) / TSTAMP_S);
	guard_free(w.g);
}

/* Refusals elsewhere cost the one elsewhere its proof, never the relation. */
static void test_refused_elsewhere(void **state)
{
	struct world w = begin();

	(void)state;
	earn(&w, 8);
	w.in.endpoint = w.away;
	w.in.proven = true;
	reach_echo(w.g->reach, w.away, &w.in.client, START);
	settle(&w, OUTCOME_REFUSED);
	assert_int_equal(relation(&w)->standing, STANDING_TRUSTED);
	assert_int_equal(relation_success(relation(&w)), 100);
	assert_false(relation_doubted(relation(&w), START));
	assert_int_equal(reach_find(w.g->reach, w.away, TSTAMP_MIN, START).state, REACH_NONE);
	assert_true(reach_find(w.g->reach, w.away, TSTAMP_MIN, START).wary);
	guard_free(w.g);
}

/* A try by the way says nothing about the relation that lives there, even if it is one of today. */
static void test_refused_on_probation(void **state)
{
	struct world w = begin();

	(void)state;
	earn(&w, 8);
	w.in.probation = true;
	settle(&w, OUTCOME_REFUSED);
	w.in.proven = w.in.echo = true;
	settle(&w, OUTCOME_REFUSED);
	assert_int_equal(relation(&w)->standing, STANDING_TRUSTED);
	assert_false(relation_doubted(relation(&w), START));
	guard_free(w.g);
}

/* Just min-success is enough. */
static void test_just_min_success(void **state)
{
	struct world w = begin();
	struct relation *rel;

	(void)state;
	earn(&w, 8);
	rel = relation(&w);
	for (unsigned i = 0; i < 32; i++)
		relation_book(rel, false);
	for (unsigned i = 0; i < 24; i++) {
		w.in.piv++;
		settle(&w, OUTCOME_ACCEPTED);
	}
	assert_true(rel->history_len == 64 && relation_success(rel) == w.g->policy.min_success);
	assert_int_equal(rel->standing, STANDING_TRUSTED);
	guard_free(w.g);
}

static bool goes_first(struct world *w, const struct newcomers_entry *first, const struct newcomers_entry *other)
{
	struct newcomers_entry out;
	bool evicted, is_first;

	newcomers_push(w->g->newcomers, first, &out, &evicted);
	newcomers_push(w->g->newcomers, other, &out, &evicted);
	assert_true(newcomers_admit(w->g->newcomers, 0, 1, START, &out));
	is_first = out.ref == first->ref;
	assert_true(newcomers_remove(w->g->newcomers, is_first ? other->ref : first->ref));
	return is_first;
}

/* Who waited in the queue and was accepted is as good as who never was admitted: one of two goes first by chance. */
static void test_newcomer_refunded(void **state)
{
	(void)state;
	for (unsigned queued = 0; queued < 2; queued++) {
		struct world w = begin();
		struct newcomers_entry own = { .client = w.in.client, .ref = 1, .weight = 1, .since = START },
				       fresh = own;
		unsigned first = 0;

		w.in.queued = queued;
		fresh.ref = 2;
		for (unsigned i = 0; i < 32; i++) {
			struct newcomers_entry out;
			bool evicted;

			newcomers_push(w.g->newcomers, &own, &out, &evicted);
			assert_true(newcomers_admit(w.g->newcomers, 0, 1, START, &out));
			w.in.piv++;
			assert_true(settle(&w, OUTCOME_ACCEPTED));
			fresh.client.ip[2] = (uint8_t)(128 + i); /* another /32 each time */
			if (goes_first(&w, &own, &fresh)) {
				first++;
				w.in.piv++;
				assert_true(settle(&w, OUTCOME_ACCEPTED));
			}
		}
		assert_in_range(first, queued ? 8 : 0, queued ? 24 : 0);
		guard_free(w.g);
	}
}

/* An admission of before is not forgotten when a later request is given up that was never admitted. */
static void test_newcomer_still_waiting(void **state)
{
	struct newcomers_entry own, fresh, out;
	struct world w = begin();
	bool evicted;

	(void)state;
	own = fresh = (struct newcomers_entry){ .client = w.in.client, .ref = 1, .weight = 1, .since = START };
	newcomers_push(w.g->newcomers, &own, &out, &evicted);
	assert_true(newcomers_admit(w.g->newcomers, 0, 1, START, &out));
	w.in.queued = w.in.waiting = true;
	fresh.ref = 2;
	for (unsigned i = 0; i < 32; i++) {
		settle(&w, OUTCOME_CANCELLED);
		fresh.client.ip[2] = (uint8_t)(128 + i);
		assert_false(goes_first(&w, &own, &fresh));
	}
	guard_free(w.g);
}

/* Below min-success over 64 settled requests the standing falls by itself. */
static void test_min_success(void **state)
{
	struct world w = begin();
	struct relation *rel;

	(void)state;
	earn(&w, 8);
	rel = relation(&w);
	for (unsigned i = 0; i < 40; i++)
		relation_book(rel, false);
	for (unsigned i = 0; i < 16; i++) {
		w.in.piv++;
		settle(&w, OUTCOME_ACCEPTED);
		assert_int_equal(rel->standing, i < 15 ? STANDING_TRUSTED : STANDING_TENTATIVE);
	}
	guard_free(w.g);
}

/* The budget that paid for a stranger gets it back when the device accepts, or never saw it; else
 * not. */
static void test_refunds(void **state)
{
	static const struct {
		enum guard_outcome outcome;
		bool refunded;
	} rows[] = { { OUTCOME_ACCEPTED, true }, { OUTCOME_CANCELLED, true }, { OUTCOME_REFUSED, false },
		     { OUTCOME_SILENT, false },  { OUTCOME_NEUTRAL, false },  { OUTCOME_TENTATIVE, false } };

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w = begin();
		struct guard_server_state *s = &w.g->servers[0];
		uint32_t before = budget_left(&s->budgets[BUDGET_UNKNOWN], &s->cost, START);

		w.in.lane = LANE_UNKNOWN;
		w.in.paid = 5;
		assert_true(budget_take(&s->budgets[BUDGET_UNKNOWN], &s->cost, BUDGET_REQUEST, 5, START));
		settle(&w, rows[i].outcome);
		assert_int_equal(budget_left(&s->budgets[BUDGET_UNKNOWN], &s->cost, START),
				 before - (rows[i].refunded ? 0 : 5));
		guard_free(w.g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_moving),
		cmocka_unit_test(test_refused_elsewhere),
		cmocka_unit_test(test_min_success),
		cmocka_unit_test(test_just_min_success),
		cmocka_unit_test(test_refused_on_probation),
		cmocka_unit_test(test_newcomer_refunded),
		cmocka_unit_test(test_newcomer_still_waiting),
		cmocka_unit_test(test_refunds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

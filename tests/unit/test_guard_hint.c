/*
 * guard_hint: what comes back after a restart helps whom it fits, is tentative at most, proves nothing, and harms nobody. Where two
 * guards stand side by side, one of them never had a hint.
 */
#include "guard/guard_hint.h"
#include "guard/guard.h"
#include "guard/state.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR
#define HOME  "[2001:db8:1::a]:40001"
#define MOVED "[2001:db8:1::a]:40002"

static const uint8_t first_secret[32] = { 9 }, second_secret[32] = { 10 };

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct policy careful(void)
{
	struct proxy_config c = engine_careful();

	return c.policy;
}

static struct guard *create(const struct policy *p, const uint8_t secret[32], tstamp now)
{
	struct guard *g = guard_create(p, 256, secret, now);

	assert_non_null(g);
	return g;
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(&a, text, 0));
	return a;
}

static struct guard_request request(const char *client, uint8_t kid, uint64_t piv)
{
	static uint8_t kids[256];
	struct guard_request rq = {
		.client = address(client), .confirmable = true, .has_oscore = true, .trackable = true
	};

	rq.listener = address("[2001:db8::53]:5683");
	kids[kid] = kid;
	rq.kid = bytes_of(&kids[kid], 1);
	rq.piv = piv;
	return rq;
}

static struct verdict ask(struct guard *g, const char *client, uint8_t kid, uint64_t piv, tstamp now)
{
	struct guard_request rq = request(client, kid, piv);

	return guard_check(g, &rq, now);
}

/* n accepted ones; a second apart. */
static tstamp earn(struct guard *g, const char *client, uint8_t kid, uint64_t first, unsigned n, tstamp now)
{
	for (unsigned i = 0; i < n; i++, now += TSTAMP_S) {
		struct verdict v = ask(g, client, kid, first + i, now);

		assert_int_equal(v.action, VERDICT_FORWARD);
		assert_true(guard_report(g, v.ticket, OUTCOME_ACCEPTED, now));
	}
	return now;
}

static void prove(struct guard *g, const char *client, tstamp *now)
{
	struct addr a = address(client), listener = address("[2001:db8::53]:5683");
	bool again;

	for (unsigned i = 0; i < 2; i++) {
		assert_true(guard_pong(g, &a, &listener, guard_ping(g, &a, &listener, *now), &again, *now));
		*now += 700 * TSTAMP_MS;
	}
}

/* Carries all over, as the daemon does: `off` ns lie between. Returns how many were taken. */
static unsigned carry(const struct guard *from, struct guard *to, uint64_t off, tstamp then, tstamp now)
{
	struct guard_hint_root root;
	struct guard_hint h;
	unsigned n = 0;

	guard_hint_root(from, &root);
	assert_true(guard_hint_adopt(to, &root));
	for (uint32_t place = 0; guard_hint_next(from, &place, &h, then);) {
		h.idle += off;
		n += guard_hint_take(to, &h, now);
	}
	return n;
}

static bool find_client(const struct guard *g, uint8_t kid, struct guard_client *out, tstamp now)
{
	for (uint32_t place = 0; guard_view_client(g, &place, out, now);)
		if (out->kid_len == 1 && out->kid[0] == kid)
			return true;
	return false;
}

/* A guard that knew client 7 as trusted with numbers up to 20, after its restart; and one that knows nothing. */
struct pair {
	struct guard *hinted, *blank;
	tstamp now;
};

static struct pair restart(const struct policy *p)
{
	struct guard *before = create(p, first_secret, START);
	struct pair r = { create(p, second_secret, START), create(p, second_secret, START), START };
	tstamp then = earn(before, HOME, 7, 1, 20, START);

	assert_int_equal(carry(before, r.hinted, 0, then, r.now), 1);
	guard_free(before);
	return r;
}

static void stop(struct pair *r)
{
	guard_free(r->hinted);
	guard_free(r->blank);
}

static void test_tentative_and_unproven(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	struct guard_client c;
	struct verdict v;
	struct addr home = address(HOME);

	(void)state;
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.standing, STANDING_TENTATIVE);
	assert_int_equal(c.highest, 20);
	assert_int_equal(c.settled, 0);
	assert_true(addr_equal(&c.endpoint, &home));
	assert_false(guard_knows(r.hinted, &home, guard_flow(r.hinted, &home), r.now));
	assert_false(guard_reaches(r.hinted, &home, guard_flow(r.hinted, &home), r.now));
	v = ask(r.hinted, HOME, 7, 21, r.now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	assert_int_equal(v.lane, LANE_MOVED);
	assert_int_equal(v.reason, REASON_TENTATIVE);
	assert_false(v.proven);
	stop(&r);
}

/* It earns its standing as any other does, from the first acceptance on. */
static void test_earned_again(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	struct guard_client c;

	(void)state;
	r.now = earn(r.hinted, HOME, 7, 21, p.trusted_after - 1, r.now);
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.standing, STANDING_TENTATIVE);
	assert_int_equal(c.settled, p.trusted_after - 1);
	r.now = earn(r.hinted, HOME, 7, 21 + p.trusted_after - 1, 1, r.now);
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.standing, STANDING_TRUSTED);
	stop(&r);
}

/*
 * Numbers and what becomes of them, with the unknown budget spent: FORWARD is what the hint gives. What does not fit gets what a
 * stranger gets, and is not called a replay.
 */
static void test_numbers(void **state)
{
	static const struct {
		const char *from;
		uint64_t piv;
		bool fits;
	} rows[] = {
		{ HOME, 21, true },
		{ HOME, 20 + 256, true },
		{ HOME, 20 + 16 * 256, true },      /* what it did in the minutes before a crash */
		{ HOME, 20 + 16 * 256 + 1, false }, /* not far: new */
		{ HOME, 20, false },                /* not reused: new */
		{ HOME, 1, false },
		{ HOME, 0, true }, /* in the window, and not accepted yet */
		{ HOME, (UINT64_C(1) << 40) - 1, false },
	};
	struct policy p = careful();

	(void)state;
	p.servers[0].unknown_rate = (struct rate){ 0, TSTAMP_MIN };
	p.servers[0].unknown_budget = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy roomy = careful();
		struct pair r = restart(&roomy);
		struct verdict hinted, blank;

		guard_retune(r.hinted, &p, r.now);
		guard_retune(r.blank, &p, r.now);
		hinted = ask(r.hinted, rows[i].from, 7, rows[i].piv, r.now);
		blank = ask(r.blank, rows[i].from, 7, rows[i].piv, r.now);
		if ((hinted.action == VERDICT_FORWARD) != rows[i].fits)
			fail_msg("row %zu: %s, %s", i, verdict_action_word(hinted.action),
				 verdict_reason_word(hinted.reason));
		if (!rows[i].fits && (hinted.action != blank.action || hinted.reason != blank.reason))
			fail_msg("row %zu: %s, %s; without a hint %s, %s", i, verdict_action_word(hinted.action),
				 verdict_reason_word(hinted.reason), verdict_action_word(blank.action),
				 verdict_reason_word(blank.reason));
		stop(&r);
	}
}

/* I1: a mark that is too high, because the client began to count anew or because it is wrong, locks nobody out. */
static void test_too_high(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	struct guard_client c;

	(void)state;
	r.now = earn(r.hinted, HOME, 7, 0, 1, r.now); /* through the unknown budget: 0 was never accepted */
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.highest, 20);
	stop(&r);

	r = restart(&p);
	r.now = earn(r.hinted, HOME, 7, 3, 1, r.now); /* 3 was: so all begins with it */
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.highest, 3);
	assert_int_equal(c.standing, STANDING_TENTATIVE);
	r.now = earn(r.hinted, HOME, 7, 4, 10, r.now);
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_int_equal(c.standing, STANDING_TRUSTED);
	stop(&r);
}

/* Once confirmed, what was accepted before the restart is a replay, and as cheap as one. */
static void test_replays_after_confirmation(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);

	(void)state;
	r.now = earn(r.hinted, HOME, 7, 22, 1, r.now);
	for (uint64_t piv = 1; piv <= 20; piv++)
		assert_int_equal(ask(r.hinted, HOME, 7, piv, r.now).reason, REASON_SEQ_REUSED);
	assert_int_equal(ask(r.hinted, HOME, 7, 21, r.now).action, VERDICT_FORWARD);
	stop(&r);
}

/* Where the device accepts it first is where it lives, as with any new relation; the old place is nobody's. */
static void test_moved_meanwhile(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	struct addr moved = address(MOVED);
	struct guard_client c;
	struct verdict v;

	(void)state;
	prove(r.hinted, MOVED, &r.now);
	v = ask(r.hinted, MOVED, 7, 21, r.now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	assert_int_equal(v.reason, REASON_MOVED);
	assert_true(guard_report(r.hinted, v.ticket, OUTCOME_ACCEPTED, r.now));
	assert_true(find_client(r.hinted, 7, &c, r.now));
	assert_true(addr_equal(&c.endpoint, &moved));
	assert_int_not_equal(ask(r.hinted, HOME, 7, 22, r.now).reason, REASON_TENTATIVE);
	stop(&r);
}

/* Somebody who knows all that is in the file spoofs it: one refusal, and the hint gives no more than there is without one. */
static void test_spoofed(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	unsigned through = 0;

	(void)state;
	p.servers[0].unknown_rate = (struct rate){ 0, TSTAMP_MIN };
	p.servers[0].unknown_budget = 0;
	guard_retune(r.hinted, &p, r.now);
	for (unsigned i = 0; i < 200; i++, r.now += 200 * TSTAMP_MS) {
		struct verdict v = ask(r.hinted, HOME, 7, 21 + i, r.now);

		if (v.action != VERDICT_FORWARD)
			continue;
		through++;
		guard_report(r.hinted, v.ticket, OUTCOME_REFUSED, r.now);
	}
	assert_int_equal(through, 1); /* in 40 s */
	stop(&r);
}

/* A proven neighbour tried another hint in vain: its endpoint is wary, which is no reason to refuse what a stranger may. */
static void test_wary(void **state)
{
	struct policy p = careful();
	struct pair r = restart(&p);
	struct guard_hint other = {
		.relation = 0, .endpoint = 99, .highest = 20, .seen = 1, .kid_len = 1, .kid = { 8 }
	};
	struct guard_request rq = request(HOME, 8, 21);
	struct verdict v;

	(void)state;
	guard_identify(r.hinted, &rq);
	other.relation = rq.relation;
	assert_true(guard_hint_take(r.hinted, &other, r.now));
	prove(r.hinted, HOME, &r.now);
	v = guard_check(r.hinted, &rq, r.now);
	assert_int_equal(v.reason, REASON_MOVED);
	guard_report(r.hinted, v.ticket, OUTCOME_REFUSED, r.now);
	assert_int_equal(ask(r.hinted, HOME, 7, 60, r.now).action, VERDICT_FORWARD);
	stop(&r);
}

/*
 * Random life: whatever comes, a hint never turns away what would have been let through without it, never lets into a better lane than
 * `moved` before an acceptance, and proves nothing.
 */
static void test_never_harms(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned run = 0; run < 300; run++) {
		struct policy p = careful();
		struct pair r = restart(&p);

		for (unsigned i = 0; i < 12; i++) {
			uint64_t dice = next_random(&seed);
			const char *from = dice & 1 ? HOME : dice & 2 ? MOVED : "[2001:db8:2::b]:1234";
			uint64_t piv = dice >> 8 & 1   ? dice >> 16 & 63
				       : dice >> 9 & 1 ? dice >> 16 & 8191
						       : dice >> 25 & 0xffffffff;
			uint8_t kid = dice >> 2 & 3 ? 7 : 8;
			struct verdict hinted = ask(r.hinted, from, kid, piv, r.now);
			struct verdict blank = ask(r.blank, from, kid, piv, r.now);
			enum guard_outcome what = dice >> 4 & 3 ? OUTCOME_REFUSED : OUTCOME_SILENT;

			if (blank.action == VERDICT_FORWARD && hinted.action != VERDICT_FORWARD)
				fail_msg("run %u, %u: %s piv %llu: %s, %s", run, i, from, (unsigned long long)piv,
					 verdict_action_word(hinted.action), verdict_reason_word(hinted.reason));
			assert_true(hinted.action != VERDICT_FORWARD || hinted.lane >= LANE_MOVED);
			assert_false(hinted.proven);
			guard_report(r.hinted, hinted.ticket, what, r.now);
			guard_report(r.blank, blank.ticket, what, r.now);
			r.now += dice >> 40 & 0xfffffff;
		}
		stop(&r);
	}
}

/* Ages: rows of (idle when written, time off, taken?). The lifetime is 24 h. */
static void test_ages(void **state)
{
	static const struct {
		uint64_t idle, off;
		tstamp clock; /* of the machine that starts */
		bool taken;
	} rows[] = {
		{ 0, 0, START, true },
		{ TSTAMP_HOUR, 0, 5 * TSTAMP_S, true }, /* the machine itself is younger */
		{ 23 * TSTAMP_HOUR, TSTAMP_HOUR, START, true },
		{ 22 * TSTAMP_HOUR, TSTAMP_HOUR, 100 * TSTAMP_DAY, true },
		{ 23 * TSTAMP_HOUR, TSTAMP_HOUR + 2 * TSTAMP_S, START, false },
		{ 0, TSTAMP_DAY + 2 * TSTAMP_S, 100 * TSTAMP_DAY, false },
		{ 0, 3650 * TSTAMP_DAY, START, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = careful();
		struct guard *a = create(&p, first_secret, START), *b = create(&p, second_secret, rows[i].clock);
		tstamp then = earn(a, HOME, 7, 1, 9, START) - TSTAMP_S + rows[i].idle;
		struct guard_client c;

		if (carry(a, b, rows[i].off, then, rows[i].clock) != rows[i].taken)
			fail_msg("row %zu", i);
		assert_int_equal(find_client(b, 7, &c, rows[i].clock), rows[i].taken);
		/* it goes on ageing from where it was, as far as the machine's clock reaches back */
		if (rows[i].taken && rows[i].clock > rows[i].idle + rows[i].off)
			assert_in_range(c.idle, rows[i].idle + rows[i].off, rows[i].idle + rows[i].off + TSTAMP_S);
		guard_free(a);
		guard_free(b);
	}
}

/* What a hint must not be. */
static void test_impossible(void **state)
{
	struct policy p = careful();
	struct guard *g = create(&p, first_secret, START);
	struct guard_hint good = { .relation = 5, .endpoint = 6, .seen = 1, .kid_len = 1 };
	struct guard_hint_root root;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct guard_hint h = good;

		h.relation = i == 1 ? 0 : 5;
		h.endpoint = i == 2 ? 0 : 6;
		h.server = i == 3 ? POLICY_SERVERS - 1 : i == 4 ? 255 : 0;
		assert_int_equal(guard_hint_take(g, &h, START), i == 0);
	}
	guard_hint_root(g, &root);
	root.numbers[3] = 4; /* twice */
	assert_false(guard_hint_adopt(g, &root));
	root.numbers[3] = 200;
	assert_false(guard_hint_adopt(g, &root));
	root.numbers[3] = 3;
	assert_true(guard_hint_adopt(g, &root));
	guard_free(g);
}

/* A server may stand elsewhere after the restart: its number goes with its name, and so do its clients. */
static void test_server_moved(void **state)
{
	struct policy p = careful();
	struct guard *a = create(&p, first_secret, START), *b = create(&p, second_secret, START);
	struct guard_hint_root root;
	struct guard_hint h;
	uint32_t place = 0;
	tstamp then = earn(a, HOME, 7, 1, 9, START);
	struct guard_request rq = request(HOME, 7, 10);
	struct verdict v;

	(void)state;
	guard_hint_root(a, &root);
	root.numbers[0] = 2;
	root.numbers[2] = 0;
	assert_true(guard_hint_adopt(b, &root));
	assert_true(guard_hint_next(a, &place, &h, then));
	assert_int_equal(h.server, 0);
	h.server = 2;
	assert_true(guard_hint_take(b, &h, START));
	assert_int_equal(guard_check(b, &rq, START).reason, REASON_UNKNOWN);
	rq.server = 2;
	v = guard_check(b, &rq, START);
	assert_int_equal(v.reason, REASON_TENTATIVE);
	guard_free(a);
	guard_free(b);
}

/* Over and over: nothing is lost on the way, confirmed or not, and changes are counted. */
static void test_many_restarts(void **state)
{
	struct policy p = careful();
	struct guard *g = create(&p, first_secret, START);
	tstamp now = earn(g, HOME, 7, 1, 9, START);
	uint64_t piv = 10;

	(void)state;
	assert_int_equal(guard_hint_changes(g), 9);
	for (unsigned i = 0; i < 20; i++) {
		struct guard *next = create(&p, i % 2 ? first_secret : second_secret, now);
		struct guard_client c;

		assert_int_equal(carry(g, next, 0, now, now), 1);
		assert_int_equal(guard_hint_changes(next), 0);
		guard_free(g);
		g = next;
		if (i % 3 == 0)
			now = earn(g, HOME, 7, piv++, 1, now);
		assert_true(find_client(g, 7, &c, now));
		assert_int_equal(c.highest, piv - 1);
		assert_int_equal(guard_hint_changes(g), i % 3 == 0);
	}
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tentative_and_unproven),
		cmocka_unit_test(test_earned_again),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_too_high),
		cmocka_unit_test(test_replays_after_confirmation),
		cmocka_unit_test(test_moved_meanwhile),
		cmocka_unit_test(test_spoofed),
		cmocka_unit_test(test_wary),
		cmocka_unit_test(test_never_harms),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_server_moved),
		cmocka_unit_test(test_many_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* guard: whole stories through check and report: the vectors' sequences, and the invariants under
 * random traffic. */
#include "guard/guard.h"
#include "guard/state.h"
#include "engine.h"
#include "msgtext.h"
#include "proxy/classify.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

struct rig {
	struct guard *g;
	struct policy policy;
	tstamp now;
	uint64_t seed;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct rig rig_start(const struct policy *policy)
{
	static const uint8_t secret[32] = { 9 };
	struct rig r = { .policy = *policy, .now = START, .seed = 3 };

	r.g = guard_create(policy, 256, secret, START);
	assert_non_null(r.g);
	return r;
}

static struct policy careful(void)
{
	struct proxy_config c = engine_careful();

	return c.policy;
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(&a, text, 0));
	return a;
}

/* kid of one byte, or none (kid < 0): a plain request. */
static struct guard_request request(const struct addr *client, int kid, uint64_t piv)
{
	static uint8_t kids[256];
	struct guard_request rq = { .client = *client, .confirmable = true };

	addr_parse(&rq.listener, "[2001:db8::53]:5683", 5683);
	if (kid >= 0) {
		kids[kid] = (uint8_t)kid;
		rq.has_oscore = rq.trackable = true;
		rq.kid = bytes_of(&kids[kid], 1);
		rq.piv = piv;
	}
	return rq;
}

static void prove(struct rig *r, const struct addr *client)
{
	struct guard_request rq = request(client, -1, 0);
	bool again;

	for (unsigned i = 0; i < 2; i++) {
		assert_true(guard_pong(r->g, client, &rq.listener, guard_ping(r->g, client, &rq.listener, r->now),
				       &again, r->now));
		assert_int_equal(again, i == 0);
		r->now += 700 * TSTAMP_MS;
	}
}

static bool find_client(const struct rig *r, int kid, struct guard_client *out)
{
	for (uint32_t place = 0; guard_view_client(r->g, &place, out, r->now);)
		if (out->kid_len == 1 && out->kid[0] == kid)
			return true;
	return false;
}

/* n accepted requests from `first` on: with n >= trusted_after the relation is trusted. */
static void earn(struct rig *r, const struct addr *client, int kid, uint64_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct guard_request rq = request(client, kid, first + i);
		struct verdict v = guard_check(r->g, &rq, r->now);

		assert_int_equal(v.action, VERDICT_FORWARD);
		assert_true(guard_report(r->g, v.ticket, OUTCOME_ACCEPTED, r->now));
		r->now += TSTAMP_S;
	}
}

/* --- tests/vectors: sequences
 * --------------------------------------------------------------------------------------- */

/* What stands in a step, as facts. */
static struct guard_request step_request(const char *step, uint8_t wire[128])
{
	struct guard_request rq = { .confirmable = true };
	struct request_view v;
	char source[64];
	struct msg m;

	assert_int_equal(msg_parse(&m, vectors_bytes(step, "request", wire, 128)), MSG_OK);
	classify_request(&v, &m);
	assert_true(addr_parse(&rq.client, vectors_text(step, "source", source, sizeof source), 0));
	assert_true(addr_parse(&rq.listener, "[2001:db8::53]:5683", 0));
	rq.has_oscore = true;
	rq.trackable = classify_oscore(&v, &rq.kid, &rq.kid_context, &rq.piv);
	assert_true(rq.trackable);
	assert_true(rq.piv == (uint64_t)vectors_number(step, "piv"));
	return rq;
}

static enum guard_outcome step_outcome(const char *step)
{
	uint8_t wire[128];
	struct bytes b = vectors_bytes(step, "server_response", wire, sizeof wire);
	struct msg m;

	if (!b.ptr)
		return OUTCOME_SILENT;
	assert_int_equal(msg_parse(&m, b), MSG_OK);
	return classify_response(&m, true);
}

/* Position of sequences[id].steps[n]. */
static const char *step_of(const char *json, const char *id, unsigned n)
{
	const char *s = vectors_first(vectors_member(json, "sequences"));
	char found[8];

	for (; s; s = vectors_next(s))
		if (strcmp(vectors_text(s, "id", found, sizeof found), id) == 0)
			break;
	assert_non_null(s);
	s = vectors_first(vectors_member(s, "steps"));
	while (n--)
		s = vectors_next(s);
	assert_non_null(s);
	return s;
}

/* One step: the verdict expected, and what follows from the device's answer if it was forwarded. */
static struct verdict run_step(struct rig *r, const char *step, const struct bytes *echo)
{
	uint8_t wire[128];
	struct guard_request rq = step_request(step, wire);
	struct verdict v;

	if (echo)
		rq.echo = *echo;
	v = guard_check(r->g, &rq, r->now);
	if (v.action == VERDICT_FORWARD)
		guard_report(r->g, v.ticket, step_outcome(step), r->now + TSTAMP_MS);
	r->now += TSTAMP_S;
	return v;
}

static void expect_highest(const struct rig *r, uint64_t highest, enum standing standing, const char *endpoint)
{
	struct addr a = address(endpoint);
	struct guard_client c;

	assert_true(find_client(r, 0x25, &c));
	assert_true(c.highest == highest);
	assert_int_equal(c.standing, standing);
	assert_true(memcmp(c.endpoint.ip, a.ip, 16) == 0 && c.endpoint.port == a.port);
}

#define EXPECT(v, what, why, way)                                                                                      \
	do {                                                                                                           \
		struct verdict v_ = (v);                                                                               \
		assert_int_equal(v_.action, VERDICT_##what);                                                           \
		assert_int_equal(v_.reason, REASON_##why);                                                             \
		assert_int_equal(v_.lane, LANE_##way);                                                                 \
	} while (0)

#define A "[2001:db8:1::a]:40001"
#define B "[2001:db8:2::b]:40002"

static void test_sequences(void **state)
{
	char *json = vectors_load("reputation_cases.json");
	struct policy p = careful();
	struct guard_client c;
	uint8_t echo[ECHO_LEN], wire[128];
	struct bytes value = bytes_of(echo, sizeof echo);
	struct guard_request rq;
	struct verdict v;
	struct rig r;

	(void)state;
	p.trusted_after = 3;
	r = rig_start(&p);
	/* S1: a quiet day: the first goes up at once; accepted, it is on the list */
	EXPECT(run_step(&r, step_of(json, "S1", 0), NULL), FORWARD, UNKNOWN, UNKNOWN);
	expect_highest(&r, 10, STANDING_TENTATIVE, A);
	EXPECT(run_step(&r, step_of(json, "S1", 1), NULL), FORWARD, TENTATIVE, MOVED);
	expect_highest(&r, 11, STANDING_TENTATIVE, A);
	EXPECT(run_step(&r, step_of(json, "S1", 2), NULL), FORWARD, TENTATIVE, MOVED);
	expect_highest(&r, 13, STANDING_TRUSTED, A);
	/* S2: below the highest, never seen, in the window */
	EXPECT(run_step(&r, step_of(json, "S2", 0), NULL), FORWARD, TRUSTED, TRUSTED);
	expect_highest(&r, 13, STANDING_TRUSTED, A);
	/* S3: seen, with another token: nothing goes up, nothing comes back to an address that may
	 * be the victim's */
	EXPECT(run_step(&r, step_of(json, "S3", 0), NULL), DROP, SEQ_REUSED, UNKNOWN);
	/* S4 is the message layer's (test_request): to the guard it would be S3 */
	EXPECT(run_step(&r, step_of(json, "S4", 0), NULL), DROP, SEQ_REUSED, UNKNOWN);
	expect_highest(&r, 13, STANDING_TRUSTED, A);
	/* S5: implausible: challenged, not forwarded. Not held against A */
	EXPECT(run_step(&r, step_of(json, "S5", 0), NULL), THROTTLE, SEQ_FAR, UNKNOWN);
	expect_highest(&r, 13, STANDING_TRUSTED, A);
	find_client(&r, 0x25, &c);
	assert_int_equal(c.success, 100);
	assert_false(c.doubted);
	/* S6: a true client's jump: challenged, and forwarded with an Echo */
	EXPECT(run_step(&r, step_of(json, "S6", 0), NULL), THROTTLE, SEQ_FAR, UNKNOWN);
	rq = step_request(step_of(json, "S6", 0), wire);
	guard_echo(r.g, &rq.client, &rq.listener, r.now, echo);
	EXPECT(run_step(&r, step_of(json, "S6", 0), &value), FORWARD, MOVED, MOVED);
	expect_highest(&r, 1013, STANDING_TRUSTED, A);
	/* S7: a new address: above plain strangers once it is proven; A stays until the grace is
	 * over */
	rq = step_request(step_of(json, "S7", 0), wire);
	prove(&r, &rq.client);
	EXPECT(run_step(&r, step_of(json, "S7", 0), NULL), FORWARD, MOVED, MOVED);
	expect_highest(&r, 1014, STANDING_TRUSTED, B);
	/* S8: guessing from a third address: at most the strangers' budget; the number does not
	 * move, B is not touched */
	v = run_step(&r, step_of(json, "S8", 0), NULL);
	assert_int_equal(v.lane, LANE_UNKNOWN);
	assert_int_equal(v.reason, REASON_MOVED_UNPROVEN);
	expect_highest(&r, 1014, STANDING_TRUSTED, B);
	find_client(&r, 0x25, &c);
	assert_int_equal(c.success, 100);
	guard_free(r.g);
	free(json);
}

/* --- scenarios
 * ------------------------------------------------------------------------------------------------------
 */

static void test_forget(void **state)
{
	struct policy p = careful();
	struct rig r = rig_start(&p);
	struct addr a = address(A), b = address(B);
	struct guard_client c;

	(void)state;
	earn(&r, &a, 1, 1, 2);
	earn(&r, &b, 2, 1, 2);
	assert_true(guard_knows(r.g, &a, guard_flow(r.g, &a), r.now));
	assert_true(guard_forget(r.g, &a, r.now) >= 1);
	assert_false(find_client(&r, 1, &c));
	assert_true(find_client(&r, 2, &c));
	assert_false(guard_knows(r.g, &a, guard_flow(r.g, &a), r.now));
	assert_true(guard_knows(r.g, &b, guard_flow(r.g, &b), r.now));
	guard_free(r.g);
}

/* A reload with new numbers loses nobody, but for a server that is gone. */
static void test_retune(void **state)
{
	struct policy p = careful();
	struct rig r = rig_start(&p);
	struct addr a = address(A);
	struct guard_request rq;
	struct guard_client c;

	(void)state;
	earn(&r, &a, 1, 1, 9);
	p.trusted_after = 100;
	p.relations = 16; /* sizes stay */
	p.servers[0].unknown_budget = 0;
	guard_retune(r.g, &p, r.now);
	assert_true(find_client(&r, 1, &c) && c.standing == STANDING_TRUSTED);
	rq = request(&a, 1, 20);
	assert_int_equal(guard_check(r.g, &rq, r.now).lane, LANE_TRUSTED);
	p.servers[0].present = false;
	guard_retune(r.g, &p, r.now);
	assert_false(find_client(&r, 1, &c));
	guard_free(r.g);
}

/* Newcomers who proved their address wait their turn, and go when the budget allows; nobody is let
 * in twice. */
static void test_newcomers(void **state)
{
	struct policy p = careful();
	struct rig r = rig_start(&p);
	unsigned queued = 0, admitted = 0;
	uint32_t ref, evicted;
	tstamp next;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct guard_request rq;
		char text[40];
		struct addr a;
		struct verdict v;

		snprintf(text, sizeof text, "[2001:db8:%x::1]:5000", 0x100 + i);
		a = address(text);
		prove(&r, &a);
		rq = request(&a, -1, 0);
		v = guard_check(r.g, &rq, r.now);
		if (v.action == VERDICT_QUEUE) {
			assert_int_equal(v.reason, REASON_REACHABLE);
			assert_true(guard_enqueue(r.g, &v, i, &evicted, r.now));
			assert_int_equal(evicted, UINT32_MAX);
			queued++;
		} else {
			assert_int_equal(v.action, VERDICT_FORWARD);
			assert_int_equal(queued, 0); /* nobody overtakes the queue */
			guard_report(r.g, v.ticket, OUTCOME_NEUTRAL, r.now);
		}
	}
	assert_true(queued >= 25);
	guard_withdraw(r.g, 39);
	while ((next = guard_next_admission(r.g, r.now)) != TSTAMP_NEVER) {
		assert_true(next >= r.now && next < r.now + TSTAMP_DAY);
		r.now = next;
		while (guard_admit(r.g, &ref, r.now)) {
			assert_true(ref < 39);
			assert_true(guard_report(r.g, r.g->waiting[ref], OUTCOME_NEUTRAL, r.now) == false);
			admitted++;
		}
	}
	assert_int_equal(admitted, queued - 1);
	assert_int_equal(inflight_count(r.g->inflight), 0);
	guard_free(r.g);
}

/* The queue is full: who makes room has no ticket any more. */
static void test_queue_full(void **state)
{
	static const uint8_t secret[32] = { 9 };
	struct rig r = { .policy = careful(), .now = START };
	uint32_t evicted = UINT32_MAX;

	(void)state;
	r.policy.servers[0].unknown_budget = 0;
	r.g = guard_create(&r.policy, 1100, secret, START);
	assert_non_null(r.g);
	for (unsigned i = 0; i <= 1024; i++) {
		struct addr a = address("[2001:db8::1]:5000");
		struct guard_request rq;
		struct verdict v;

		a.ip[2] = (uint8_t)(i >> 8); /* a /32 each */
		a.ip[3] = (uint8_t)i;
		prove(&r, &a);
		rq = request(&a, -1, 0);
		v = guard_check(r.g, &rq, r.now);
		assert_int_equal(v.action, VERDICT_QUEUE);
		assert_int_equal(evicted, UINT32_MAX);
		assert_true(guard_enqueue(r.g, &v, i, &evicted, r.now));
	}
	assert_true(evicted < 1024);
	assert_int_equal(inflight_count(r.g->inflight), 1024);
	guard_free(r.g);
}

/* One /64 has one place in the queue, one /48 four. */
static void test_queue_prefixes(void **state)
{
	static const struct {
		const char *address;
		bool queued;
	} rows[] = {
		{ "[2001:db8:1:1::1]:5000", true },  { "[2001:db8:1:1::1]:5001", false },
		{ "[2001:db8:1:1::2]:5000", false }, { "[2001:db8:1:2::1]:5000", true },
		{ "[2001:db8:1:3::1]:5000", true },  { "[2001:db8:1:4::1]:5000", true },
		{ "[2001:db8:1:5::1]:5000", false }, { "[2001:db8:2:1::1]:5000", true },
		{ "[::ffff:192.0.2.1]:5000", true }, { "[::ffff:192.0.2.1]:5001", false },
		{ "[::ffff:192.0.2.2]:5000", true },
	};
	struct policy p = careful();
	struct rig r;
	uint32_t evicted;

	(void)state;
	p.servers[0].unknown_budget = 0;
	r = rig_start(&p);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct addr a = address(rows[i].address);
		struct guard_request rq = request(&a, -1, 0);
		struct verdict v;

		prove(&r, &a);
		v = guard_check(r.g, &rq, r.now);
		assert_int_equal(v.action, VERDICT_QUEUE);
		if (guard_enqueue(r.g, &v, i, &evicted, r.now) != rows[i].queued)
			fail_msg("%s", rows[i].address);
	}
	guard_free(r.g);
}

/* Who was admitted comes after who never was, for a day. */
static void test_charged_for_a_day(void **state)
{
	(void)state;
	for (unsigned later = 0; later < 2; later++) {
		struct policy p = careful();
		struct rig r = rig_start(&p);
		struct newcomers_entry own = { .ref = 1, .weight = 1 }, other = { .ref = 2, .weight = 1 }, out;
		unsigned first = 0;
		bool evicted;

		for (unsigned i = 0; i < 24; i++) {
			own.client = address("[2001:db8::1]:5000");
			other.client = address("[2001:dc8::1]:5000");
			own.client.ip[1] = other.client.ip[1] = (uint8_t)i;
			own.since = other.since = r.now;
			newcomers_push(r.g->newcomers, &own, &out, &evicted);
			assert_true(newcomers_admit(r.g->newcomers, 0, 1, r.now, &out));
			r.now += TSTAMP_DAY - TSTAMP_S + later * 2 * TSTAMP_S;
			newcomers_push(r.g->newcomers, &own, &out, &evicted);
			newcomers_push(r.g->newcomers, &other, &out, &evicted);
			assert_true(newcomers_admit(r.g->newcomers, 0, 1, r.now, &out));
			first += out.ref == own.ref;
			newcomers_remove(r.g->newcomers, 3 - out.ref);
		}
		assert_in_range(first, later ? 6 : 0, later ? 18 : 0);
		guard_free(r.g);
	}
}

/* What the guard asks for its clients' sake costs what theirs would, and leaves half of a day to newcomers. */
static void test_spend(void **state)
{
	static const struct {
		enum policy_mode mode;
		enum policy_plain plain;
		enum lane lane;
		unsigned granted; /* of 300; 100 a day are a budget */
	} rows[] = {
		{ MODE_EXEMPTIONS, PLAIN_THROTTLE, LANE_AUTHENTICATED, 300 },
		{ MODE_EXEMPTIONS, PLAIN_THROTTLE, LANE_MOVED, 300 },
		{ MODE_EXEMPTIONS, PLAIN_THROTTLE, LANE_REACHABLE, 50 },
		{ MODE_EXEMPTIONS, PLAIN_THROTTLE, LANE_UNKNOWN, 50 },
		{ MODE_EXEMPTIONS, PLAIN_ALLOW, LANE_UNKNOWN, 300 },
		{ MODE_OPEN, PLAIN_THROTTLE, LANE_UNKNOWN, 300 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy p = careful();
		unsigned granted = 0;
		struct rig r;

		p.servers[0].mode = rows[i].mode;
		p.servers[0].plain = rows[i].plain;
		p.servers[0].unknown_budget = 100;
		r = rig_start(&p);
		for (unsigned n = 0; n < 300; n++, r.now += 2 * TSTAMP_MIN)
			granted += guard_spend(r.g, 0, rows[i].lane, r.now);
		assert_int_equal(granted, rows[i].granted);
		guard_free(r.g);
	}
}

/* A key exchange that waits goes when the one under way is over, and not before. */
static void test_waiting_handshake(void **state)
{
	struct policy p = careful();
	struct rig r = rig_start(&p);
	struct addr a = address("[2001:db8:1::1]:5000"), b = address("[2001:db8:2::1]:5000");
	struct guard_request first = request(&a, -1, 0), second = request(&b, -1, 0);
	uint32_t ref, evicted;
	struct verdict v, w;

	(void)state;
	first.handshake = second.handshake = true;
	prove(&r, &b);
	v = guard_check(r.g, &first, r.now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	w = guard_check(r.g, &second, r.now);
	assert_int_equal(w.action, VERDICT_QUEUE);
	assert_true(guard_enqueue(r.g, &w, 5, &evicted, r.now));
	r.now += TSTAMP_HOUR;
	assert_int_equal(guard_next_admission(r.g, r.now), TSTAMP_NEVER);
	assert_false(guard_admit(r.g, &ref, r.now));
	guard_report(r.g, v.ticket, OUTCOME_NEUTRAL, r.now);
	assert_int_equal(guard_next_admission(r.g, r.now), r.now);
	assert_true(guard_admit(r.g, &ref, r.now) && ref == 5);
	guard_free(r.g);
}

/* --- invariants
 * -----------------------------------------------------------------------------------------------------
 */

#define FRIENDS 4

static struct addr friend_at(unsigned i)
{
	char text[48];

	snprintf(text, sizeof text, "[2001:db8:%x::1]:40000", i + 1);
	return address(text);
}

struct memory {
	uint32_t relations, contexts;
	unsigned reached;
};

static void count_reached(void *arg, const struct reach_view *v)
{
	(void)v;
	++*(unsigned *)arg;
}

/* All that is known of anybody, but for the sketches. */
static struct memory memory_of(const struct rig *r, const struct addr *attacker)
{
	struct memory m = { reputation_count(r->g->reputation), seqtrack_count(r->g->seqtrack), 0 };

	reach_each(r->g->reach, attacker, r->policy.echo_validity, r->now, count_reached, &m.reached);
	return m;
}

/* Anything that comes from an address nobody proved: a stranger's, or a friend's that is spoofed.
 */
static struct guard_request forged(struct rig *r, bool *spoofs_friend)
{
	uint64_t n = next_random(&r->seed);
	struct guard_request rq;
	struct addr from;
	char text[64];

	snprintf(text, sizeof text, "[2001:db8:bad:%x::%x]:%u", (unsigned)(n & 0xff), (unsigned)(n >> 8 & 3),
		 1024 + (unsigned)(n >> 10 & 7));
	*spoofs_friend = (n >> 16 & 1) != 0;
	from = *spoofs_friend ? friend_at(n >> 17 & 3) : address(text);
	rq = request(&from, (n >> 20 & 3) ? (int)(n >> 22 & 7) : -1, n >> 32 & 3 ? n >> 34 & 127 : n >> 24);
	rq.confirmable = n >> 60 & 1;
	rq.follow_up = (n >> 50 & 15) == 0;
	rq.replayable = (n >> 54 & 31) == 0;
	rq.handshake = rq.kid.ptr == NULL && (n >> 59 & 1);
	if ((n >> 61 & 7) == 0)
		rq.echo = bytes_of("no such echo", 12);
	return rq;
}

/*
 * I1, I2: random forged requests, which the device refuses, ignores, or answers with an error.
 * Afterwards every friend has the standing, endpoint and number it had, and of the strangers
 * nothing is known.
 */
static void test_forgeries_move_nothing(void **state)
{
	static const enum guard_outcome answers[] = { OUTCOME_REFUSED, OUTCOME_SILENT, OUTCOME_NEUTRAL,
						      OUTCOME_CANCELLED, OUTCOME_TENTATIVE };
	struct policy p = careful();
	struct guard_client before[FRIENDS], after;
	struct memory was;
	struct rig r;

	(void)state;
	p.trusted_after = 4;
	r = rig_start(&p);
	for (unsigned i = 0; i < FRIENDS; i++) {
		struct addr a = friend_at(i);

		earn(&r, &a, (int)i, 10, i < 2 ? 6 : 2); /* two trusted, two tentative */
		assert_true(find_client(&r, (int)i, &before[i]));
	}
	was = memory_of(&r, &before[0].endpoint);
	for (unsigned round = 0; round < 30000; round++) {
		struct addr host = friend_at(round % FRIENDS);
		bool spoofs;
		struct guard_request rq = forged(&r, &spoofs);
		struct verdict v = guard_check(r.g, &rq, r.now);
		struct memory m;

		if (v.action == VERDICT_FORWARD || v.action == VERDICT_QUEUE) {
			assert_int_equal(v.action, VERDICT_FORWARD); /* the queue is for the proven */
			guard_report(r.g, v.ticket, answers[next_random(&r.seed) % 5], r.now);
		}
		m = memory_of(&r, &rq.client);
		assert_int_equal(m.relations, was.relations);
		assert_int_equal(m.contexts, was.contexts);
		if (!spoofs)
			assert_int_equal(m.reached, 0);
		if (round % 64 == 0) {
			bool again; /* a guessed pong now and then */

			guard_pong(r.g, &host, &rq.listener, (uint16_t)next_random(&r.seed), &again, r.now);
		}
		r.now += (next_random(&r.seed) & 63) * TSTAMP_MS;
	}
	for (unsigned i = 0; i < FRIENDS; i++) {
		assert_true(find_client(&r, (int)i, &after));
		assert_int_equal(after.standing, before[i].standing);
		assert_int_equal(after.success, 100);
		assert_int_equal(after.settled, before[i].settled);
		assert_true(after.highest == before[i].highest);
		assert_memory_equal(after.endpoint.ip, before[i].endpoint.ip, 16);
		assert_int_equal(after.endpoint.port, before[i].endpoint.port);
	}
	assert_int_equal(inflight_count(r.g->inflight), 0);
	guard_free(r.g);
}

/*
 * The true client under that attack: with an Echo for each request it is never kept waiting,
 * whatever is forged in its name, and the device sees few forgeries from its address.
 */
static void test_true_client_survives(void **state)
{
	struct policy p = careful();
	struct addr a = address(A);
	unsigned forged_up = 0, refused = 0;
	uint64_t piv = 100;
	struct guard_client c;
	struct rig r;

	(void)state;
	r = rig_start(&p);
	earn(&r, &a, 1, 1, 20);
	prove(&r, &a);
	for (unsigned second = 0; second < 120; second++) {
		uint8_t echo[ECHO_LEN];
		struct guard_request rq;
		struct verdict v;

		for (unsigned i = 0; i < 200; i++) { /* the victim's own address, its kid and all others, any number */
			uint64_t n = next_random(&r.seed);

			rq = request(&a, n & 1 ? 1 : (int)(n >> 8 & 0xff),
				     n >> 16 & 1 ? n >> 20 & 0xffffff : piv + (n >> 50 & 255));
			v = guard_check(r.g, &rq, r.now);
			if (v.action == VERDICT_FORWARD) {
				forged_up++;
				guard_report(r.g, v.ticket, OUTCOME_REFUSED, r.now);
			}
			r.now += 5 * TSTAMP_MS;
		}
		rq = request(&a, 1, ++piv);
		v = guard_check(r.g, &rq, r.now);
		if (v.action != VERDICT_FORWARD) { /* challenged: it comes again with an Echo */
			assert_true(v.action == VERDICT_PING || v.action == VERDICT_THROTTLE ||
				    v.action == VERDICT_DROP);
			refused++;
			guard_echo(r.g, &a, &rq.listener, r.now, echo);
			rq.echo = bytes_of(echo, sizeof echo);
			v = guard_check(r.g, &rq, r.now);
		}
		assert_int_equal(v.action, VERDICT_FORWARD);
		guard_report(r.g, v.ticket, OUTCOME_ACCEPTED, r.now);
		assert_true(find_client(&r, 1, &c));
		assert_int_equal(c.standing, STANDING_TRUSTED);
	}
	print_message("forged requests that reached the device: %u of 24000 in 120 s; one more "
		      "round trip: %u of 120\n",
		      forged_up, refused);
	assert_true(forged_up <= 40 && refused < 120);
	guard_free(r.g);
}

/* I5: trusted is not unlimited: at most the relation's rate, two seconds deep. */
static void test_relation_bucket(void **state)
{
	struct policy p = careful();
	struct addr a = address(A), b = address(B);
	unsigned passed = 0, other = 0;
	uint64_t piv = 100;
	struct rig r;

	(void)state;
	r = rig_start(&p);
	earn(&r, &a, 1, 1, 20);
	earn(&r, &b, 2, 1, 20);
	for (unsigned i = 0; i < 10000; i++) { /* 1000/s for 10 s */
		struct guard_request rq = request(&a, 1, ++piv);
		struct verdict v = guard_check(r.g, &rq, r.now);

		if (v.action == VERDICT_FORWARD) {
			passed++;
			guard_report(r.g, v.ticket, OUTCOME_ACCEPTED, r.now);
		} else {
			assert_int_equal(v.reason, REASON_RELATION_RATE);
			piv--;
		}
		if (i % 1000 == 0) { /* another's is its own */
			rq = request(&b, 2, 100 + i / 1000);
			v = guard_check(r.g, &rq, r.now);
			other += v.action == VERDICT_FORWARD;
			guard_report(r.g, v.ticket, OUTCOME_ACCEPTED, r.now);
		}
		r.now += TSTAMP_MS;
	}
	assert_in_range(passed, 100, 121);
	assert_int_equal(other, 10);
	guard_free(r.g);
}

/* A formerly trusted client that turned abusive: refusals with proof cost its standing. */
static void test_abuse_with_proof(void **state)
{
	struct policy p = careful();
	struct addr a = address(A);
	struct guard_client c;
	unsigned refused = 0;
	struct rig r;

	(void)state;
	r = rig_start(&p);
	earn(&r, &a, 1, 1, 20);
	while (find_client(&r, 1, &c) && refused < 10) {
		struct guard_request rq = request(&a, 1, 100 + refused);
		uint8_t echo[ECHO_LEN];
		struct verdict v;

		guard_echo(r.g, &rq.client, &rq.listener, r.now, echo);
		rq.echo = bytes_of(echo, sizeof echo);
		v = guard_check(r.g, &rq, r.now);
		assert_int_equal(v.action, VERDICT_FORWARD);
		guard_report(r.g, v.ticket, OUTCOME_REFUSED, r.now);
		refused++;
	}
	assert_int_equal(refused, 2); /* trusted, tentative, no relation */
	guard_free(r.g);
}

/* I1: the true client answered pings, its spoofer cannot: what is forged at its endpoint makes it doubted, and no more. */
static void test_forged_while_proven(void **state)
{
	struct policy p = careful();
	struct addr a = address(A);
	struct guard_client c;
	struct rig r;

	(void)state;
	r = rig_start(&p);
	earn(&r, &a, 1, 1, 20);
	for (unsigned i = 0; i < 20; i++) {
		struct guard_request rq = request(&a, 1, 21 + i % 4);
		struct verdict v;

		for (unsigned j = 0; j < 2; j++) { /* as every conforming client does */
			bool again;

			assert_true(guard_pong(r.g, &a, &rq.listener, guard_ping(r.g, &a, &rq.listener, r.now), &again,
					       r.now));
			r.now += TSTAMP_S;
		}
		v = guard_check(r.g, &rq, r.now);
		guard_report(r.g, v.ticket, OUTCOME_REFUSED, r.now);
		assert_true(find_client(&r, 1, &c) && c.standing == STANDING_TRUSTED && c.doubted);
	}
	guard_free(r.g);
}

/* The strangers' budget holds whatever they do, and the ones of prefixes that ask too often pay for
 * themselves. */
static void test_unknown_budget(void **state)
{
	struct policy p = careful();
	unsigned up = 0;
	struct rig r;

	(void)state;
	r = rig_start(&p);
	for (unsigned i = 0; i < 60000; i++) { /* 1000/s for a minute, each from its own /64 */
		struct guard_request rq;
		struct addr a;
		char text[64];
		struct verdict v;

		snprintf(text, sizeof text, "[2001:db8:%x:%x::1]:5000", (unsigned)(next_random(&r.seed) & 0xffff),
			 (unsigned)(next_random(&r.seed) & 0xffff));
		a = address(text);
		rq = request(&a, i & 1 ? (int)(i >> 1 & 255) : -1, i);
		v = guard_check(r.g, &rq, r.now);
		if (v.action == VERDICT_FORWARD) {
			up++;
			guard_report(r.g, v.ticket, OUTCOME_REFUSED, r.now);
		} else {
			assert_true(v.action != VERDICT_QUEUE && v.action != VERDICT_CHALLENGE);
		}
		r.now += TSTAMP_MS;
	}
	/* a minute's depth at first, then 6 a minute; never more than twice the half, since the
	 * other is handshakes' */
	assert_in_range(up, 6, 18);
	guard_free(r.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_retune),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_charged_for_a_day),
		cmocka_unit_test(test_queue_prefixes),
		cmocka_unit_test(test_spend),
		cmocka_unit_test(test_waiting_handshake),
		cmocka_unit_test(test_newcomers),
		cmocka_unit_test(test_forgeries_move_nothing),
		cmocka_unit_test(test_true_client_survives),
		cmocka_unit_test(test_relation_bucket),
		cmocka_unit_test(test_abuse_with_proof),
		cmocka_unit_test(test_forged_while_proven),
		cmocka_unit_test(test_unknown_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

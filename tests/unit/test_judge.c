/* judge: the verdict on one request, row by row: who asks, what is spent, what is said. */
#include "guard/judge.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

/* Who sends. */
enum who {
	STRANGER,  /* nobody knows */
	PROVEN,    /* answered two pings */
	ONCE,      /* answered one */
	SHOWN,     /* showed an Echo once, too long ago */
	TENTATIVE, /* kid 1, accepted once up to 10 */
	TRUSTED,   /* kid 2, accepted up to 100 */
	DOUBTED,   /* kid 3, accepted up to 100, and somebody spoofs it */
	ELSEWHERE, /* a stranger's address; used with the kids above */
	MOVED,     /* a proven address that is no relation's */
	CONNECTED  /* a stranger by TCP */
};

enum echo { NO_ECHO, FRESH, STALE, FOREIGN };

struct row {
	const char *what;
	enum who who;
	int kid; /* -1: plain */
	uint64_t piv;
	enum echo echo;
	bool non, handshake;
	bool spent; /* the budgets of strangers, proven or not */
	enum verdict_action action;
	enum verdict_reason reason;
	enum lane lane;
};

static const char *const addresses[] = {
	[STRANGER] = "[2001:db8:1::1]:40001",  [PROVEN] = "[2001:db8:2::1]:40002",
	[ONCE] = "[2001:db8:3::1]:40003",      [SHOWN] = "[2001:db8:4::1]:40004",
	[TENTATIVE] = "[2001:db8:5::1]:40005", [TRUSTED] = "[2001:db8:6::1]:40006",
	[DOUBTED] = "[2001:db8:7::1]:40007",   [ELSEWHERE] = "[2001:db8:8::1]:40008",
	[MOVED] = "[2001:db8:9::1]:40009",     [CONNECTED] = "[2001:db8:8::1]:40008/tcp",
};

static uint8_t kids[256];

static struct guard_request facts(enum who who, int kid, uint64_t piv)
{
	struct guard_request rq = { .confirmable = true };

	assert_true(addr_parse(&rq.client, addresses[who], 0));
	assert_true(addr_parse(&rq.listener, "[2001:db8::53]:5683", 0));
	if (kid >= 0) {
		kids[kid] = (uint8_t)kid;
		rq.has_oscore = rq.trackable = true;
		rq.kid = bytes_of(&kids[kid], 1);
		rq.piv = piv;
	}
	return rq;
}

static void pong(struct guard *g, enum who who, unsigned times, tstamp now)
{
	struct guard_request rq = facts(who, -1, 0);
	bool again;

	for (unsigned i = 0; i < times; i++) {
		tstamp at = now - (times - 1 - i) * TSTAMP_S;

		assert_true(guard_pong(g, &rq.client, &rq.listener, guard_ping(g, &rq.client, &rq.listener, at), &again,
				       at));
	}
}

/* Budgets are refunded on acceptance, so this spends nothing. */
static void accepted(struct guard *g, enum who who, int kid, uint64_t first, uint64_t last, tstamp *now)
{
	for (uint64_t piv = first; piv <= last; piv++) {
		struct guard_request rq = facts(who, kid, piv);

		assert_true(guard_report(g, guard_check(g, &rq, *now).ticket, OUTCOME_ACCEPTED, *now));
		*now += TSTAMP_S;
	}
}

static void show_echo(struct guard *g, enum who who, tstamp now)
{
	struct guard_request rq = facts(who, -1, 0);
	uint8_t echo[ECHO_LEN];

	guard_echo(g, &rq.client, &rq.listener, now, echo);
	rq.echo = bytes_of(echo, sizeof echo);
	guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_CANCELLED, now);
}

static struct policy usual(void)
{
	struct proxy_config c = engine_careful();

	return c.policy;
}

static struct guard *cast(const struct policy *p, tstamp *now)
{
	static const uint8_t secret[32] = { 5 };
	struct guard *g = guard_create(p, 64, secret, START);
	struct guard_request rq;

	assert_non_null(g);
	*now = START;
	show_echo(g, SHOWN, *now);
	accepted(g, TENTATIVE, 1, 10, 10, now);
	accepted(g, TRUSTED, 2, 81, 100, now);
	accepted(g, DOUBTED, 3, 81, 100, now);
	*now += 90 * TSTAMP_S;
	rq = facts(DOUBTED, 3, 150); /* a spoofer's */
	guard_report(g, guard_check(g, &rq, *now).ticket, OUTCOME_REFUSED, *now);
	pong(g, PROVEN, 2, *now);
	pong(g, MOVED, 2, *now);
	pong(g, ONCE, 1, *now);
	return g;
}

static void spend(struct guard *g, tstamp now)
{
	struct guard_server_state *s = &g->servers[0];

	for (unsigned i = 0; i < BUDGETS; i++)
		for (unsigned k = 0; k < BUDGET_KINDS; k++)
			while (budget_take(&s->budgets[i], &s->cost, (enum budget_kind)k,
					   budget_cost(&s->cost, (enum budget_kind)k, 1), now))
				;
}

static void judge(struct guard *g, const struct row *row, tstamp now)
{
	struct guard_request rq = facts(row->who, row->kid, row->piv);
	uint8_t echo[ECHO_LEN];
	struct verdict v;

	rq.confirmable = !row->non;
	rq.handshake = row->handshake;
	if (row->echo != NO_ECHO) {
		guard_echo(g, &rq.client, &rq.listener, row->echo == STALE ? now - 2 * TSTAMP_MIN : now, echo);
		echo[ECHO_LEN - 1] ^= row->echo == FOREIGN;
		rq.echo = bytes_of(echo, sizeof echo);
	}
	v = guard_check(g, &rq, now);
	if (v.action != row->action || v.reason != row->reason || v.lane != row->lane)
		fail_msg("%s: %s (%s) in lane %s instead of %s (%s) in lane %s", row->what,
			 verdict_action_word(v.action), verdict_reason_word(v.reason), verdict_lane_word(v.lane),
			 verdict_action_word(row->action), verdict_reason_word(row->reason),
			 verdict_lane_word(row->lane));
	assert_int_equal(v.ticket.generation != 0, v.action == VERDICT_FORWARD || v.action == VERDICT_QUEUE);
	assert_int_equal(v.retry_after_s != 0, v.action == VERDICT_THROTTLE);
	/* where only Echo counts, the refusal brings one, and its time is up before the value is stale */
	if (v.action == VERDICT_THROTTLE)
		assert_true(!v.proven && v.retry_after_s <= 4);
	/* only what comes from a relation's home, or with proof, is sent to the device more than
	 * once */
	if (v.retransmit)
		assert_true(v.proven && v.lane <= LANE_MOVED);
}

#define ROW(what, who, kid, piv, echo, action, reason, lane)                                                           \
	{                                                                                                              \
		what, who, kid, piv, echo, false, false, false, VERDICT_##action, REASON_##reason, LANE_##lane         \
	}
#define SPENT(what, who, kid, piv, echo, action, reason, lane)                                                         \
	{                                                                                                              \
		what, who, kid, piv, echo, false, false, true, VERDICT_##action, REASON_##reason, LANE_##lane          \
	}

static void test_rows(void **state)
{
	static const struct row rows[] = {
		/* a quiet day: nobody notices the guard */
		ROW("a stranger", STRANGER, -1, 0, NO_ECHO, FORWARD, UNKNOWN, UNKNOWN),
		ROW("a stranger with OSCORE", STRANGER, 9, 7, NO_ECHO, FORWARD, UNKNOWN, UNKNOWN),
		ROW("a stranger with a foreign Echo", STRANGER, 9, 7, FOREIGN, FORWARD, UNKNOWN, UNKNOWN),
		{ "a stranger's handshake", STRANGER, -1, 0, NO_ECHO, false, true, false, VERDICT_FORWARD,
		  REASON_UNKNOWN, LANE_UNKNOWN },
		ROW("one answered ping is no proof", ONCE, -1, 0, NO_ECHO, FORWARD, UNKNOWN, UNKNOWN),
		ROW("two are", PROVEN, -1, 0, NO_ECHO, FORWARD, REACHABLE, REACHABLE),
		ROW("an Echo is", STRANGER, -1, 0, FRESH, FORWARD, REACHABLE, REACHABLE),
		ROW("a stale one is none", STRANGER, -1, 0, STALE, FORWARD, UNKNOWN, UNKNOWN),
		ROW("tentative", TENTATIVE, 1, 11, NO_ECHO, FORWARD, TENTATIVE, MOVED),
		ROW("trusted", TRUSTED, 2, 101, NO_ECHO, FORWARD, TRUSTED, TRUSTED),
		ROW("trusted, far enough", TRUSTED, 2, 356, NO_ECHO, FORWARD, TRUSTED, TRUSTED),
		ROW("trusted, reordered", TRUSTED, 2, 80, NO_ECHO, FORWARD, TRUSTED, TRUSTED),
		/* Partial IVs */
		ROW("reused", TRUSTED, 2, 100, NO_ECHO, DROP, SEQ_REUSED, UNKNOWN),
		ROW("reused elsewhere", ELSEWHERE, 2, 100, NO_ECHO, DROP, SEQ_REUSED, UNKNOWN),
		ROW("reused with proof", TRUSTED, 2, 100, FRESH, REJECT, SEQ_REUSED, UNKNOWN),
		ROW("below the window", TRUSTED, 2, 36, NO_ECHO, DROP, SEQ_REUSED, UNKNOWN),
		ROW("far", TRUSTED, 2, 357, NO_ECHO, THROTTLE, SEQ_FAR, UNKNOWN),
		ROW("far, from a proven stranger", MOVED, 2, 357, NO_ECHO, FORWARD, REACHABLE, REACHABLE),
		ROW("far, with Echo", TRUSTED, 2, 357, FRESH, FORWARD, MOVED, MOVED),
		ROW("far elsewhere", ELSEWHERE, 2, 357, NO_ECHO, PING, SEQ_FAR, UNKNOWN),
		/* at another address */
		ROW("moved, unproven", ELSEWHERE, 2, 101, NO_ECHO, FORWARD, MOVED_UNPROVEN, UNKNOWN),
		ROW("moved, proven", MOVED, 2, 101, NO_ECHO, FORWARD, MOVED, MOVED),
		ROW("moved, with Echo", ELSEWHERE, 2, 101, FRESH, FORWARD, MOVED, MOVED),
		ROW("moved, one ping answered", ONCE, 2, 101, NO_ECHO, FORWARD, MOVED, MOVED),
		ROW("an unknown kid at a relation's home", TRUSTED, 77, 5, NO_ECHO, FORWARD, UNKNOWN, UNKNOWN),
		/* by TCP: a proof in each message, and no more than that */
		ROW("connected", CONNECTED, -1, 0, NO_ECHO, FORWARD, REACHABLE, REACHABLE),
		ROW("connected, with a stale Echo", CONNECTED, -1, 0, STALE, FORWARD, REACHABLE, REACHABLE),
		ROW("connected, an unknown kid", CONNECTED, 77, 5, NO_ECHO, FORWARD, REACHABLE, REACHABLE),
		ROW("moved to a connection", CONNECTED, 2, 101, NO_ECHO, FORWARD, MOVED, MOVED),
		ROW("connected, reused", CONNECTED, 2, 100, NO_ECHO, REJECT, SEQ_REUSED, UNKNOWN),
		ROW("connected, far", CONNECTED, 2, 357, NO_ECHO, FORWARD, MOVED, MOVED),
		ROW("connected, doubted", CONNECTED, 3, 101, NO_ECHO, FORWARD, MOVED, MOVED),
		SPENT("connected: waits its turn", CONNECTED, -1, 0, NO_ECHO, QUEUE, REACHABLE, REACHABLE),
		SPENT("connected, with a stale Echo: waits", CONNECTED, 9, 7, STALE, QUEUE, REACHABLE, REACHABLE),
		/* doubted */
		ROW("doubted, with Echo", DOUBTED, 3, 101, FRESH, FORWARD, DOUBTED, MOVED),
		ROW("doubted, the next number", DOUBTED, 3, 101, NO_ECHO, FORWARD, DOUBTED, UNKNOWN),
		/* under attack: the budget is spent */
		SPENT("CON: asked quietly", STRANGER, -1, 0, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN),
		SPENT("CON with OSCORE", STRANGER, 9, 7, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN),
		{ "NON", STRANGER, -1, 0, NO_ECHO, true, false, true, VERDICT_THROTTLE, REASON_BUDGET_SPENT,
		  LANE_UNKNOWN },
		{ "NON with OSCORE", STRANGER, 9, 7, NO_ECHO, true, false, true, VERDICT_THROTTLE, REASON_BUDGET_SPENT,
		  LANE_UNKNOWN },
		SPENT("a stale Echo", STRANGER, -1, 0, STALE, CHALLENGE, ECHO_STALE, UNKNOWN),
		SPENT("a foreign Echo with OSCORE", STRANGER, 9, 7, FOREIGN, CHALLENGE, ECHO_STALE, UNKNOWN),
		SPENT("plain, showed Echo before", SHOWN, -1, 0, NO_ECHO, CHALLENGE, BUDGET_SPENT, UNKNOWN),
		SPENT("OSCORE without Echo: never 4.01", SHOWN, 9, 7, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN),
		SPENT("proven: waits its turn", PROVEN, -1, 0, NO_ECHO, QUEUE, REACHABLE, REACHABLE),
		SPENT("trusted: as ever", TRUSTED, 2, 101, NO_ECHO, FORWARD, TRUSTED, TRUSTED),
		SPENT("tentative: as ever", TENTATIVE, 1, 11, NO_ECHO, FORWARD, TENTATIVE, MOVED),
		SPENT("moved, proven: as ever", MOVED, 2, 101, NO_ECHO, FORWARD, MOVED, MOVED),
		SPENT("moved, unproven", ELSEWHERE, 2, 101, NO_ECHO, PING, MOVED_UNPROVEN, UNKNOWN),
		SPENT("far", TRUSTED, 2, 357, NO_ECHO, THROTTLE, SEQ_FAR, UNKNOWN),
		SPENT("a neighbour", TRUSTED, 77, 5, NO_ECHO, THROTTLE, NEIGHBOUR, UNKNOWN),
		SPENT("plain, where a relation lives", TRUSTED, -1, 0, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN),
		SPENT("doubted, the next number", DOUBTED, 3, 101, NO_ECHO, PING, DOUBTED, UNKNOWN),
		SPENT("doubted, with Echo", DOUBTED, 3, 101, FRESH, FORWARD, DOUBTED, MOVED),
	};
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		tstamp now;
		struct guard *g = cast(&p, &now);

		if (rows[i].spent)
			spend(g, now);
		judge(g, &rows[i], now);
		guard_free(g);
	}
}

static void test_plain(void **state)
{
	static const struct row deny = ROW("denied", PROVEN, -1, 0, NO_ECHO, REJECT, PLAIN_DENIED, UNKNOWN);
	static const struct row oscore =
		ROW("OSCORE is not plain", PROVEN, 9, 1, NO_ECHO, FORWARD, REACHABLE, REACHABLE);
	static const struct row allow = SPENT("allowed", PROVEN, -1, 0, NO_ECHO, FORWARD, PLAIN_ALLOWED, REACHABLE);
	static const struct row unproven =
		SPENT("but not unproven", STRANGER, -1, 0, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN);
	static const struct row exchange = {
		"nor key exchanges", PROVEN,        -1, 0, NO_ECHO, false, true, true, VERDICT_QUEUE,
		REASON_REACHABLE,    LANE_REACHABLE
	};
	struct policy p = usual();
	struct guard *g;
	tstamp now;

	(void)state;
	p.servers[0].plain = PLAIN_DENY;
	g = cast(&p, &now);
	judge(g, &deny, now);
	judge(g, &oscore, now);
	guard_free(g);
	p.servers[0].plain = PLAIN_ALLOW;
	g = cast(&p, &now);
	spend(g, now);
	judge(g, &allow, now);
	judge(g, &unproven, now);
	judge(g, &exchange, now);
	guard_free(g);
}

/* What it costs the device decides. 6 units are in store, and 36 of handshakes' half may be lent when that is full. */
static void test_units(void **state)
{
	static const struct {
		const char *what;
		enum who who;
		uint16_t units, before; /* before: small ones that came just now; then nothing is lent */
		enum verdict_action action;
		enum verdict_reason reason;
	} rows[] = {
		{ "small", STRANGER, 1, 0, VERDICT_FORWARD, REASON_UNKNOWN },
		{ "of five datagrams", STRANGER, 5, 0, VERDICT_FORWARD, REASON_UNKNOWN },
		{ "more than a minute's worth", STRANGER, 20, 0, VERDICT_FORWARD, REASON_UNKNOWN },
		{ "room for a small one only", STRANGER, 5, 5, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ "proven: room for a small one, and the rest is owed", PROVEN, 5, 5, VERDICT_FORWARD,
		  REASON_REACHABLE },
		{ "moved, proven: more than there is in store", MOVED, 20, 0, VERDICT_FORWARD, REASON_MOVED },
		{ "more than a day's worth", STRANGER, 601, 0, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ "more than a day's worth, proven", PROVEN, 601, 0, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ "trusted", TRUSTED, 601, 0, VERDICT_FORWARD, REASON_TRUSTED },
	};
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		tstamp now;
		struct guard *g = cast(&p, &now);
		bool proven = rows[i].who == PROVEN, oscore = rows[i].who == MOVED || rows[i].who == TRUSTED;
		struct budget *b = &g->servers[0].budgets[proven ? BUDGET_REACHABLE : BUDGET_UNKNOWN];
		struct guard_request rq = facts(rows[i].who, oscore ? 2 : -1, 101);
		struct verdict v;
		uint32_t used;

		*b = (struct budget){ .used = 0 };
		for (unsigned k = 0; k < rows[i].before; k++)
			assert_true(budget_take(b, &g->servers[0].cost, BUDGET_REQUEST, 1, now));
		if (rows[i].before)
			b->half[BUDGET_HANDSHAKE].tat = now + 1; /* lends nothing */
		used = b->used;
		rq.units = rows[i].units;
		v = guard_check(g, &rq, now);
		if (v.action != rows[i].action || v.reason != rows[i].reason)
			print_error("%s\n", rows[i].what);
		assert_int_equal(v.action, rows[i].action);
		assert_int_equal(v.reason, rows[i].reason);
		if (rows[i].action == VERDICT_FORWARD && !oscore) {
			assert_int_equal(b->used, used + rows[i].units);
			guard_report(g, v.ticket, OUTCOME_CANCELLED, now);
		}
		assert_int_equal(b->used, used);
		guard_free(g);
	}
}

/* One key exchange at a time, whoever asks. */
static void test_handshakes(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0), next = facts(PROVEN, -1, 0);
	struct verdict first, second;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	rq.handshake = next.handshake = true;
	first = guard_check(g, &rq, now);
	assert_int_equal(first.action, VERDICT_FORWARD);
	addr_parse(&rq.client, addresses[ELSEWHERE], 0);
	second = guard_check(g, &rq, now);
	assert_int_equal(second.reason, REASON_HANDSHAKE_BUSY);
	assert_int_equal(second.action, VERDICT_THROTTLE); /* 72 units are 12 minutes: no CON is repeated so long */
	assert_int_equal(guard_check(g, &next, now).action, VERDICT_QUEUE);
	guard_report(g, first.ticket, OUTCOME_NEUTRAL, now);
	now += 20 * TSTAMP_MIN;
	second = guard_check(g, &rq, now);
	assert_int_equal(second.action, VERDICT_FORWARD);
	guard_free(g);
}

/*
 * What follows the first message of a key exchange, which took all that strangers may spend. Each message comes from STRANGER or from
 * ELSEWHERE, who began none; pong: STRANGER answers a ping before it.
 */
static void test_continued_handshakes(void **state)
{
	enum step_kind { MESSAGE_1, MESSAGE_3, PLAIN, NEW_KEY, TOKEN };
	static const struct {
		unsigned at_s;
		enum step_kind kind;
		enum who who;
		bool pong;
		enum verdict_action action;
		enum verdict_reason reason;
	} rows[] = {
		{ 0, MESSAGE_3, ELSEWHERE, false, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ 0, NEW_KEY, ELSEWHERE, false, VERDICT_PING, REASON_BUDGET_SPENT },
		{ 1, MESSAGE_1, STRANGER, false, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ 1, PLAIN, STRANGER, false, VERDICT_PING, REASON_BUDGET_SPENT },
		{ 1, MESSAGE_3, STRANGER, false, VERDICT_FORWARD, REASON_HANDSHAKE },
		{ 1, NEW_KEY, STRANGER, false, VERDICT_FORWARD, REASON_HANDSHAKE },
		{ 2, MESSAGE_3, STRANGER, false, VERDICT_PING, REASON_HANDSHAKE },
		{ 2, NEW_KEY, STRANGER, false, VERDICT_PING, REASON_HANDSHAKE },
		{ 3, NEW_KEY, STRANGER, true, VERDICT_FORWARD, REASON_HANDSHAKE },
		{ 4, MESSAGE_3, STRANGER, true, VERDICT_FORWARD, REASON_HANDSHAKE },
		{ 5, TOKEN, STRANGER, false, VERDICT_QUEUE, REASON_REACHABLE },
		{ 6, MESSAGE_3, STRANGER, false, VERDICT_QUEUE, REASON_REACHABLE },
	};
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0);
	struct guard *g;
	struct verdict v;
	tstamp begin, now;

	(void)state;
	g = cast(&p, &begin);
	rq.handshake = true;
	v = guard_check(g, &rq, begin);
	assert_int_equal(v.action, VERDICT_FORWARD);
	spend(g, begin);
	guard_report(g, v.ticket, OUTCOME_NEUTRAL, begin);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		rq = facts(rows[i].who, rows[i].kind == NEW_KEY ? 77 : -1, 0);
		rq.handshake = rows[i].kind != PLAIN && rows[i].kind != NEW_KEY;
		rq.continues = rows[i].kind == MESSAGE_3;
		now = begin + rows[i].at_s * TSTAMP_S;
		if (rows[i].pong)
			pong(g, STRANGER, 1, now);
		v = guard_check(g, &rq, now);
		if (v.action != rows[i].action || v.reason != rows[i].reason)
			fail_msg("row %u: %s (%s)", i, verdict_action_word(v.action), verdict_reason_word(v.reason));
		guard_report(g, v.ticket, rows[i].kind == TOKEN ? OUTCOME_CANCELLED : OUTCOME_NEUTRAL, now);
	}
	guard_free(g);
}

/* What follows is no way to the other half, to more than a few datagrams, or to a next exchange. */
static void test_bounds_of_handshakes(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0), other = facts(ELSEWHERE, 77, 0);
	struct guard *g;
	struct verdict v;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	rq.handshake = true;
	guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_NEUTRAL, now);
	rq.continues = true;
	rq.units = HANDSHAKES_UNITS + 1;
	assert_int_equal(guard_check(g, &rq, now).reason, REASON_BUDGET_SPENT);
	rq.units = HANDSHAKES_UNITS;
	for (unsigned i = 0; i < HANDSHAKES_BLIND; i++) {
		v = guard_check(g, &rq, now);
		assert_true(v.reason == REASON_HANDSHAKE && !v.retransmit);
		other.piv = i;
		assert_int_equal(guard_check(g, &other, now).action, VERDICT_FORWARD); /* requests go as before */
		guard_report(g, v.ticket, OUTCOME_NEUTRAL, now);
	}
	assert_int_equal(g->servers[0].budgets[BUDGET_UNKNOWN].used, 36 + HANDSHAKES_BLIND * (HANDSHAKES_UNITS + 1));
	assert_int_equal(guard_check(g, &rq, now).action, VERDICT_PING);
	guard_free(g);
}

/* Who answers a ping in vain, or cannot answer any, is not locked out by his own key exchange. */
static void test_handshakes_without_pings(void **state)
{
	static const struct {
		const char *what;
		bool wary, guessed, spent, handshake;
		enum verdict_action action;
		enum verdict_reason reason;
	} rows[] = {
		{ "a ping serves", false, false, true, false, VERDICT_PING, REASON_HANDSHAKE },
		{ "somebody spoofs its address", true, false, true, false, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ "and that of a message_3", true, false, true, true, VERDICT_THROTTLE, REASON_BUDGET_SPENT },
		{ "its prefix guesses", false, true, true, false, VERDICT_THROTTLE, REASON_HANDSHAKE },
		{ "a quiet day", false, false, false, false, VERDICT_FORWARD, REASON_UNKNOWN },
		{ "a quiet day, spoofed", true, false, false, false, VERDICT_FORWARD, REASON_UNKNOWN },
	};
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct guard_request rq = facts(STRANGER, -1, 0);
		struct verdict v;
		struct guard *g;
		tstamp now;

		g = cast(&p, &now);
		pong(g, STRANGER, 1, now - 2 * p.echo_validity);
		rq.handshake = true;
		guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_NEUTRAL, now);
		for (unsigned k = 0; k < HANDSHAKES_BLIND; k++) {
			rq = facts(STRANGER, 77, k);
			guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_NEUTRAL, now);
		}
		now += 30 * TSTAMP_S;
		if (rows[i].wary)
			reach_wary(g->reach, guard_flow(g, &rq.client), now + TSTAMP_MIN);
		for (unsigned k = 0; rows[i].guessed && k < GUARD_GUESSES; k++)
			guard_missed(g, &rq.client, now);
		if (rows[i].spent)
			spend(g, now);
		rq = facts(STRANGER, rows[i].handshake ? -1 : 77, 5);
		rq.handshake = rq.continues = rows[i].handshake;
		v = guard_check(g, &rq, now);
		if (v.action != rows[i].action || v.reason != rows[i].reason)
			fail_msg("%s: %s (%s)", rows[i].what, verdict_action_word(v.action),
				 verdict_reason_word(v.reason));
		assert_int_equal(v.hold, v.action == VERDICT_PING);
		assert_true(v.action != VERDICT_THROTTLE || !v.proven); /* it brings an Echo */
		guard_free(g);
	}
}

/* Where resets were guessed, no right one counts: only an Echo helps the client that moved there, or is doubted. */
static void test_guessed_prefix(void **state)
{
	static const struct {
		enum who who;
		int kid;
		enum verdict_reason reason;
	} rows[] = { { ELSEWHERE, 2, REASON_MOVED_UNPROVEN }, { DOUBTED, 3, REASON_DOUBTED } };
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct guard_request rq = facts(rows[i].who, rows[i].kid, 101);
		struct verdict v;
		struct guard *g;
		tstamp now;

		g = cast(&p, &now);
		spend(g, now);
		v = guard_check(g, &rq, now);
		assert_true(v.action == VERDICT_PING && v.hold && v.reason == rows[i].reason);
		for (unsigned k = 0; k < GUARD_GUESSES; k++)
			guard_missed(g, &rq.client, now);
		v = guard_check(g, &rq, now);
		assert_true(v.action == VERDICT_THROTTLE && !v.proven && v.reason == rows[i].reason);
		guard_free(g);
	}
}

/* A key exchange under an OSCORE option (RFC 9668) opens no way for plain requests to a server that takes none. */
static void test_handshakes_where_plain_is_denied(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, 9, 0);
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	p.servers[0].plain = PLAIN_DENY;
	guard_retune(g, &p, now);
	rq.handshake = rq.continues = true;
	guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_NEUTRAL, now);
	rq = facts(STRANGER, -1, 0);
	rq.handshake = rq.continues = true;
	v = guard_check(g, &rq, now);
	assert_true(v.action == VERDICT_REJECT && v.reason == REASON_PLAIN_DENIED);
	rq = facts(STRANGER, 9, 1);
	v = guard_check(g, &rq, now);
	assert_true(v.action == VERDICT_FORWARD && v.reason == REASON_HANDSHAKE);
	guard_free(g);
}

/* A key exchange that no day's budget pays does not wait in the queue in vain. */
static void test_handshakes_too_dear(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(PROVEN, -1, 0);
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	p.servers[0].unknown_budget = 35;
	guard_retune(g, &p, now);
	rq.handshake = true;
	v = guard_check(g, &rq, now);
	assert_true(v.action == VERDICT_THROTTLE && v.reason == REASON_BUDGET_SPENT && v.retry_after_s == 3600);
	guard_free(g);
}

/* A message that the device never answers keeps nobody else from his key exchange, and what was never sent of it is given back. */
static void test_unanswered_continuation(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0), other = facts(PROVEN, -1, 0);
	struct budget *b;
	struct guard *g;
	struct verdict v;
	uint32_t used;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	b = &g->servers[0].budgets[BUDGET_UNKNOWN];
	rq.handshake = other.handshake = true;
	guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_NEUTRAL, now);
	rq.continues = true;
	rq.units = HANDSHAKES_UNITS;
	used = b->used;
	v = guard_check(g, &rq, now);
	assert_int_equal(v.reason, REASON_HANDSHAKE);
	assert_int_equal(guard_check(g, &other, now).action, VERDICT_FORWARD);
	guard_unspent(g, v.ticket, HANDSHAKES_UNITS - 1);
	assert_int_equal(b->used, used + 1);
	guard_report(g, v.ticket, OUTCOME_SILENT, now);
	assert_true(inflight_handshake(g->inflight, 0)); /* the other one */
	guard_free(g);
}

/* Nothing follows what the device refused, or never saw. */
static void test_refused_handshakes(void **state)
{
	static const enum guard_outcome outcomes[] = { OUTCOME_REFUSED, OUTCOME_SILENT, OUTCOME_CANCELLED };
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
		struct guard_request rq = facts(STRANGER, -1, 0);
		struct verdict v;
		struct guard *g;
		tstamp now;

		g = cast(&p, &now);
		rq.handshake = true;
		guard_report(g, guard_check(g, &rq, now).ticket, outcomes[i], now);
		spend(g, now);
		rq.continues = true;
		v = guard_check(g, &rq, now);
		assert_int_equal(v.reason, REASON_BUDGET_SPENT);
		guard_free(g);
	}
}

/* Who gives strangers more need not wait until what they owe has flowed at the old rate. */
static void test_other_rate(void **state)
{
	struct policy p = usual();
	struct guard_server before, after;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	spend(g, now);
	guard_owe(g, (struct guard_ticket){ 0, 0 }, 0, LANE_REACHABLE, 200, now);
	guard_view_server(g, 0, &before, now);
	p.servers[0].unknown_rate.count *= 2;
	guard_retune(g, &p, now);
	guard_view_server(g, 0, &after, now);
	assert_true(after.reachable_wait > 0 && after.reachable_wait <= before.reachable_wait / 2);
	guard_free(g);
}

static void test_modes(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0);
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	spend(g, now);
	p.servers[0].mode = MODE_OPEN;
	guard_retune(g, &p, now);
	v = guard_check(g, &rq, now);
	assert_true(v.action == VERDICT_FORWARD && v.reason == REASON_OPEN && v.unscheduled && v.retransmit);
	p.servers[0].mode = MODE_THROTTLE;
	guard_retune(g, &p, now);
	v = guard_check(g, &rq, now);
	assert_true(v.action == VERDICT_FORWARD && v.reason == REASON_SHARED && !v.unscheduled &&
		    v.lane == LANE_UNKNOWN);
	guard_free(g);
}

/* Ports of other protocols get no answer of ours; nor does a prefix that had its share. */
static void test_no_reply(void **state)
{
	struct policy p = usual();
	struct guard_request rq = facts(STRANGER, -1, 0);
	unsigned replies = 0;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	spend(g, now);
	rq.client.port = 53;
	assert_int_equal(guard_check(g, &rq, now).action, VERDICT_DROP);
	for (unsigned i = 0; i < 1000; i++) { /* one /64, ports and hosts at will */
		rq = facts(STRANGER, -1, 0);
		rq.client.ip[15] = (uint8_t)i;
		rq.client.port = (uint16_t)(2000 + i);
		replies += guard_check(g, &rq, now).action != VERDICT_DROP;
	}
	assert_in_range(replies, 20, 32); /* reply-rate, and half as many again by slip */
	guard_free(g);
}

/* A captured request does not become fresh by an added Block option; a later outer block does pass where it belongs. */
static void test_follow_up(void **state)
{
	static const struct {
		enum who who;
		int kid;
		uint64_t piv;
		enum verdict_action action;
		enum verdict_reason reason;
	} rows[] = {
		{ TRUSTED, 2, 100, VERDICT_FORWARD, REASON_FOLLOW_UP },
		{ TRUSTED, 2, 97, VERDICT_FORWARD, REASON_FOLLOW_UP },
		{ TRUSTED, 2, 90, VERDICT_DROP, REASON_SEQ_REUSED },
		{ TRUSTED, 2, 1, VERDICT_DROP, REASON_SEQ_REUSED },
		{ ELSEWHERE, 2, 100, VERDICT_DROP, REASON_SEQ_REUSED },
		{ MOVED, 2, 100, VERDICT_REJECT, REASON_SEQ_REUSED },
		{ DOUBTED, 3, 100, VERDICT_DROP, REASON_SEQ_REUSED },
	};
	struct policy p = usual();
	tstamp now;

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct guard *g = cast(&p, &now);
		struct guard_request rq = facts(rows[i].who, rows[i].kid, rows[i].piv);
		struct verdict v;

		rq.follow_up = true;
		v = guard_check(g, &rq, now);
		if (v.action != rows[i].action || v.reason != rows[i].reason)
			fail_msg("row %u: %s (%s)", i, verdict_action_word(v.action), verdict_reason_word(v.reason));
		/* and it books nothing */
		assert_false(guard_report(g, v.ticket, OUTCOME_ACCEPTED, now));
		guard_free(g);
	}
}

/* A reachable guesser of kids gets no more of a day than strangers do; who is accepted gets it back. */
static void test_moved_budget(void **state)
{
	struct policy p = usual();
	unsigned tried = 0, served = 0;
	struct guard_request rq;
	struct guard *g;
	tstamp now;

	(void)state;
	p.servers[0].unknown_budget = 30;
	p.lifetime = 7 * TSTAMP_DAY;
	p.echo_validity = TSTAMP_DAY;
	g = cast(&p, &now);
	for (unsigned i = 0; i < 100; i++, now += 2 * TSTAMP_S) { /* each from an endpoint that answered two pings */
		struct verdict v;

		rq = facts(MOVED, 2, 101 + i % 200);
		rq.client.port = (uint16_t)(3000 + i);
		for (unsigned n = 2; n-- > 0;) {
			bool again;
			tstamp at = now - n * TSTAMP_S;

			guard_pong(g, &rq.client, &rq.listener, guard_ping(g, &rq.client, &rq.listener, at), &again,
				   at);
		}
		v = guard_check(g, &rq, now);
		tried += v.action == VERDICT_FORWARD && v.lane == LANE_MOVED;
		guard_report(g, v.ticket, OUTCOME_REFUSED, now);
	}
	assert_int_equal(tried, 30);
	now += TSTAMP_DAY;
	rq = facts(MOVED, 2, 150);
	pong(g, MOVED, 2, now);
	assert_int_equal(guard_check(g, &rq, now).lane, LANE_MOVED);
	guard_free(g);
	g = cast(&p, &now);
	for (unsigned i = 0; i < 60; i++, now += 2 * TSTAMP_S) { /* the true client, with a new port every time */
		struct verdict v;
		bool again;

		rq = facts(MOVED, 2, 101 + i);
		rq.client.port = (uint16_t)(3000 + i);
		for (unsigned n = 2; n-- > 0;)
			guard_pong(g, &rq.client, &rq.listener,
				   guard_ping(g, &rq.client, &rq.listener, now - n * TSTAMP_S), &again,
				   now - n * TSTAMP_S);
		v = guard_check(g, &rq, now);
		served += v.action == VERDICT_FORWARD && v.lane == LANE_MOVED;
		guard_report(g, v.ticket, OUTCOME_ACCEPTED, now);
	}
	assert_int_equal(served, 60);
	guard_free(g);
}

/* Max-Age is the expected wait, spread so that clients do not return together. */
static void test_retry_after(void **state)
{
	struct policy p = usual();
	unsigned least = 3600, most = 0;
	struct guard *g;
	tstamp now;

	(void)state;
	p.reply_rate = (struct rate){ 100000, TSTAMP_S };
	p.throttle_rate = (struct rate){ 100000, TSTAMP_S };
	g = cast(&p, &now);
	spend(g, now);
	for (unsigned i = 0; i < 200; i++) {
		struct guard_request rq = facts(STRANGER, 9, i);
		struct verdict v;

		rq.confirmable = false;
		rq.client.ip[3] = (uint8_t)i;
		v = guard_check(g, &rq, now);
		assert_int_equal(v.action, VERDICT_THROTTLE);
		least = v.retry_after_s < least ? v.retry_after_s : least;
		most = v.retry_after_s > most ? v.retry_after_s : most;
	}
	assert_int_equal(least, 1); /* with the Echo that came along, before it is stale */
	assert_int_equal(most, 4);
	guard_free(g);
}

/* Who answers pings, and so might answer them for a spoofer, is asked for an Echo all the same, and in time. */
static void test_odd_brings_echo(void **state)
{
	static const struct row rows[] = {
		ROW("far", TRUSTED, 2, 357, NO_ECHO, THROTTLE, SEQ_FAR, UNKNOWN),
		SPENT("a neighbour", TRUSTED, 77, 5, NO_ECHO, THROTTLE, NEIGHBOUR, UNKNOWN),
	};
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		tstamp now;
		struct guard *g = cast(&p, &now);
		struct guard_request rq = facts(TRUSTED, rows[i].kid, rows[i].piv);
		struct verdict v;

		if (rows[i].spent)
			spend(g, now);
		pong(g, TRUSTED, 2, now);
		v = guard_check(g, &rq, now);
		assert_int_equal(v.action, VERDICT_THROTTLE);
		assert_false(v.proven);
		assert_in_range(v.retry_after_s, 1, 4);
		guard_free(g);
	}
}

/* Who proved himself and was refused under somebody's kid: for a while only an Echo counts. */
static void test_wary(void **state)
{
	static const struct row rows[] = {
		SPENT("pings prove nothing", MOVED, -1, 0, NO_ECHO, THROTTLE, BUDGET_SPENT, UNKNOWN),
		SPENT("nor for a relation", MOVED, 2, 102, NO_ECHO, THROTTLE, MOVED_UNPROVEN, UNKNOWN),
		SPENT("an Echo does", MOVED, -1, 0, FRESH, QUEUE, REACHABLE, REACHABLE),
		SPENT("and for a relation", MOVED, 2, 102, FRESH, FORWARD, MOVED, MOVED),
	};
	static const struct row later[] = {
		SPENT("a minute later", MOVED, -1, 0, NO_ECHO, QUEUE, REACHABLE, REACHABLE),
		SPENT("the relation's, too", MOVED, 2, 102, NO_ECHO, FORWARD, MOVED, MOVED),
	};
	struct policy p = usual();

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		tstamp now;
		struct guard *g = cast(&p, &now);
		struct guard_request rq = facts(MOVED, 2, 101);

		assert_true(guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_REFUSED, now) == false);
		now += i < 4 ? 2 * TSTAMP_S : GUARD_DOUBT;
		pong(g, MOVED, 2, now);
		spend(g, now);
		judge(g, i < 4 ? &rows[i] : &later[i - 4], now);
		guard_free(g);
	}
}

/* A prefix that guesses at pings is asked by none for a while; what another guesses is nobody else's fault. */
static void test_guesser(void **state)
{
	static const struct row closed = SPENT("it", STRANGER, -1, 0, NO_ECHO, THROTTLE, BUDGET_SPENT, UNKNOWN);
	static const struct row open = SPENT("others", ELSEWHERE, -1, 0, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN);
	struct guard_request rq = facts(STRANGER, -1, 0);
	struct policy p = usual();
	struct guard *g;
	tstamp now;
	bool again;

	(void)state;
	g = cast(&p, &now);
	for (unsigned i = 0; i < GUARD_GUESSES; i++)
		assert_false(guard_pong(g, &rq.client, &rq.listener,
					(uint16_t)(guard_ping(g, &rq.client, &rq.listener, now) + 1), &again, now));
	/* not even the right one counts now, nor an acknowledgement */
	assert_false(
		guard_pong(g, &rq.client, &rq.listener, guard_ping(g, &rq.client, &rq.listener, now), &again, now));
	assert_false(guard_heard(g, &rq.client, now));
	spend(g, now);
	judge(g, &closed, now);
	judge(g, &open, now);
	guard_free(g);
}

/* A spoofer's pings are answered by the true client: ten such tries at once, then only an Echo counts. */
static void test_doubted_tries(void **state)
{
	struct policy p = usual();
	struct guard *g;
	tstamp now;

	(void)state;
	p.servers[0].trusted_rate = (struct rate){ 1000, TSTAMP_S };
	g = cast(&p, &now);
	for (unsigned i = 0; i <= GUARD_MOVED_MAX; i++) {
		struct guard_request rq = facts(DOUBTED, 3, 101);
		struct verdict v;

		pong(g, DOUBTED, 1, now);
		v = guard_check(g, &rq, now);
		assert_int_equal(v.action, i < GUARD_MOVED_MAX ? VERDICT_FORWARD : VERDICT_THROTTLE);
		assert_int_equal(v.reason, REASON_DOUBTED);
		guard_report(g, v.ticket, OUTCOME_NEUTRAL, now);
	}
	guard_free(g);
}

/* Whoever holds a key of ours waits for the key exchange under way, too; and his own bucket is his own. */
static void test_authenticated_handshake(void **state)
{
	struct guard_request first = facts(STRANGER, -1, 0), second = facts(ELSEWHERE, -1, 0);
	struct policy p = usual();
	struct verdict v, w;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	first.handshake = second.handshake = second.authenticated = true;
	v = guard_check(g, &first, now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	w = guard_check(g, &second, now);
	assert_true(w.action == VERDICT_THROTTLE && w.reason == REASON_HANDSHAKE_BUSY && w.retry_after_s == 1);
	guard_report(g, v.ticket, OUTCOME_NEUTRAL, now);
	assert_int_equal(guard_check(g, &second, now).reason, REASON_AUTHENTICATED);
	guard_free(g);
}

/* A later outer block is not served either where somebody tried another kid. */
static void test_wary_follow_up(void **state)
{
	struct guard_request block = facts(TRUSTED, 2, 100), other = facts(TRUSTED, 77, 5);
	struct policy p = usual();
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	assert_int_equal(guard_check(g, &other, now).action, VERDICT_FORWARD);
	block.follow_up = true;
	assert_int_equal(guard_check(g, &block, now).action, VERDICT_DROP);
	guard_free(g);
}

/* As many tickets as there are, in any mode: then it is dropped, and not forwarded without one. */
static void test_no_ticket(void **state)
{
	struct guard_request rq = facts(STRANGER, -1, 0);
	struct policy p = usual();
	unsigned forwarded = 0;
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	p.servers[0].mode = MODE_OPEN;
	guard_retune(g, &p, now);
	while ((v = guard_check(g, &rq, now)).action == VERDICT_FORWARD)
		assert_true(v.ticket.generation != 0 && ++forwarded <= 65);
	assert_int_equal(forwarded, 65);
	assert_true(v.action == VERDICT_DROP && v.reason == REASON_QUEUE_FULL);
	guard_free(g);
}

/* Where a relation lives, another kid has one try until the device accepts it. */
static void test_neighbours(void **state)
{
	struct guard_request first = facts(TRUSTED, 77, 5), second = facts(TRUSTED, 78, 5),
			     third = facts(TRUSTED, 79, 5);
	struct policy p = usual();
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	v = guard_check(g, &first, now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	assert_int_equal(guard_check(g, &second, now).reason, REASON_NEIGHBOUR);
	assert_true(guard_report(g, v.ticket, OUTCOME_ACCEPTED, now));
	v = guard_check(g, &second, now);
	assert_int_equal(v.action, VERDICT_FORWARD);
	guard_report(g, v.ticket, OUTCOME_REFUSED, now);
	assert_int_equal(guard_check(g, &third, now + GUARD_DOUBT - TSTAMP_S).reason, REASON_NEIGHBOUR);
	assert_int_equal(guard_check(g, &third, now + GUARD_DOUBT).action, VERDICT_FORWARD);
	guard_free(g);
}

/* One prefix takes from the budget of strangers what it may send at once, and no more, proven or not. */
static void test_prefix_rate(void **state)
{
	struct policy p = usual();

	(void)state;
	p.servers[0].plain = PLAIN_ALLOW;
	p.servers[0].unknown_rate = (struct rate){ 1000, TSTAMP_S };
	for (unsigned proven = 0; proven < 2; proven++) {
		enum who who = proven ? PROVEN : STRANGER;
		struct guard_request rq = facts(who, -1, 0), other = facts(ELSEWHERE, -1, 0);
		unsigned forwarded = 0;
		struct verdict v;
		struct guard *g;
		tstamp now;

		g = cast(&p, &now);
		while ((v = guard_check(g, &rq, now)).action == VERDICT_FORWARD)
			assert_true(++forwarded < 100);
		assert_int_equal(forwarded, 8); /* four seconds' worth */
		assert_int_equal(v.reason, REASON_PREFIX_RATE);
		assert_int_equal(guard_check(g, &other, now).action, VERDICT_FORWARD);
		guard_free(g);
	}
}

/* Hosts at will make no more of a /48 than eight of them, nor of a /32 than sixty-four. */
static void test_prefix_levels(void **state)
{
	static const struct {
		const char *from;
		unsigned byte, hosts, most;
	} rows[] = {
		{ "[2001:db8:1::1]:40001", 6, 8192, 64 },
		{ "[2001:db8:1::1]:40001", 4, 8192, 512 },
		{ "[::ffff:192.0.2.1]:40001", 14, 256, 64 },
		{ "[::ffff:192.0.2.1]:40001", 14, 8192, 512 },
	};
	struct policy p = usual();

	(void)state;
	p.servers[0].unknown_rate = (struct rate){ 100000, TSTAMP_S };
	p.servers[0].unknown_budget = 1000000;
	p.table_size = 65536;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct guard_request rq = facts(STRANGER, -1, 0);
		unsigned forwarded = 0;
		struct guard *g;
		tstamp now;

		assert_true(addr_parse(&rq.client, rows[i].from, 0));
		g = cast(&p, &now);
		for (unsigned n = 0; n < rows[i].hosts; n++) {
			struct verdict v;

			rq.client.ip[rows[i].byte] = (uint8_t)(n >> 8);
			rq.client.ip[rows[i].byte + 1] = (uint8_t)n;
			v = guard_check(g, &rq, now);
			forwarded += v.action == VERDICT_FORWARD;
			guard_report(g, v.ticket, OUTCOME_NEUTRAL, now);
		}
		assert_int_equal(forwarded, rows[i].most);
		guard_free(g);
	}
}

/* Of a prefix's replies half are for those who do nothing odd. */
static void test_odd_gets_half(void **state)
{
	static const struct row odd = ROW("far", TRUSTED, 2, 357, NO_ECHO, DROP, SEQ_FAR, UNKNOWN);
	static const struct row usual_one = SPENT("plain", TRUSTED, -1, 0, NO_ECHO, PING, BUDGET_SPENT, UNKNOWN);
	struct guard_request rq = facts(TRUSTED, -1, 0);
	struct policy p = usual();
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	for (unsigned i = 0; i < 11; i++)
		assert_true(replies_allow(&g->replies, &rq.client, now));
	judge(g, &odd, now);
	spend(g, now);
	judge(g, &usual_one, now);
	guard_free(g);
}

/* What carries a Request-Hash may be asked again by anybody who saw it: its number says nothing. */
static void test_replayable(void **state)
{
	struct guard_request rq = facts(TRUSTED, 2, 100);
	struct policy p = usual();
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	assert_int_equal(guard_check(g, &rq, now).reason, REASON_SEQ_REUSED);
	rq.replayable = true;
	assert_int_equal(guard_check(g, &rq, now).action, VERDICT_FORWARD);
	guard_free(g);
}

/* The endpoint a relation left is its home for roam-grace, and not a moment longer. */
static void test_roam_grace(void **state)
{
	struct policy p = usual();
	struct guard_request rq;
	struct verdict v;
	struct guard *g;
	tstamp now;

	(void)state;
	g = cast(&p, &now);
	rq = facts(MOVED, 2, 101);
	assert_true(guard_report(g, guard_check(g, &rq, now).ticket, OUTCOME_ACCEPTED, now));
	rq = facts(TRUSTED, 2, 102);
	now += p.roam_grace - TSTAMP_S;
	v = guard_check(g, &rq, now);
	assert_int_equal(v.reason, REASON_TRUSTED);
	guard_report(g, v.ticket, OUTCOME_CANCELLED, now);
	now += TSTAMP_S;
	assert_int_equal(guard_check(g, &rq, now).reason, REASON_MOVED_UNPROVEN);
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd_brings_echo),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_continued_handshakes),
		cmocka_unit_test(test_bounds_of_handshakes),
		cmocka_unit_test(test_handshakes_without_pings),
		cmocka_unit_test(test_guessed_prefix),
		cmocka_unit_test(test_handshakes_where_plain_is_denied),
		cmocka_unit_test(test_handshakes_too_dear),
		cmocka_unit_test(test_unanswered_continuation),
		cmocka_unit_test(test_refused_handshakes),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_other_rate),
		cmocka_unit_test(test_no_reply),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_follow_up),
		cmocka_unit_test(test_moved_budget),
		cmocka_unit_test(test_wary),
		cmocka_unit_test(test_guesser),
		cmocka_unit_test(test_roam_grace),
		cmocka_unit_test(test_prefix_rate),
		cmocka_unit_test(test_odd_gets_half),
		cmocka_unit_test(test_replayable),
		cmocka_unit_test(test_prefix_levels),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_doubted_tries),
		cmocka_unit_test(test_authenticated_handshake),
		cmocka_unit_test(test_wary_follow_up),
		cmocka_unit_test(test_no_ticket),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

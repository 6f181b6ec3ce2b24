/* pace: what is sent to a device that does not answer, step by step, and against a naive copy. */
#include "guard/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

static const struct rate probing = { 1, TSTAMP_S };

enum { SENT, AGAIN, UNANSWERED, GIVEN_UP, HEARD, MAY, MAY_AGAIN, SILENT, STATE };

struct step {
	unsigned at_s;
	uint8_t what, lane;
	uint64_t flow;
	/* bytes sent; seconds waited in vain, or to wait; silent or not; doubted or not; the state */
	uint64_t n;
};

static void play(struct pace *p, const struct step *s)
{
	struct pace_sender who = { .flow = s->flow,
				   .lane = s->lane,
				   .again = s->what == AGAIN || s->what == MAY_AGAIN };
	tstamp now = START + s->at_s * TSTAMP_S;

	switch (s->what) {
	case SENT:
	case AGAIN: pace_sent(p, &who, s->n, probing, now); break;
	case UNANSWERED: pace_unanswered(p, &who, s->n * TSTAMP_S, now); break;
	case GIVEN_UP: pace_given_up(p, &who, s->n * TSTAMP_S, now); break;
	case HEARD: assert_int_equal(pace_heard(p, now), s->n); break;
	case SILENT: assert_int_equal(pace_is_silent(p, &who), s->n); break;
	case STATE: assert_int_equal(pace_state(p), s->n); break;
	default: assert_int_equal(pace_wait(p, &who, now), s->n * TSTAMP_S); break;
	}
}

static void play_all(const char *story, const struct step *steps, size_t n)
{
	struct pace p = { 0 };

	for (size_t i = 0; i < n; i++) {
		print_message("%s, step %zu\n", story, i);
		play(&p, &steps[i]);
	}
}

#define STORY(name, ...)                                                                                               \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		static const struct step steps[] = { __VA_ARGS__ };                                                    \
                                                                                                                       \
		(void)state;                                                                                           \
		play_all(#name, steps, sizeof steps / sizeof *steps);                                                  \
	}

#define T LANE_TRUSTED
#define U LANE_UNKNOWN

/* clang-format off */
/* However much is sent, nothing waits before something had to be sent again. */
STORY(test_healthy,
	{ 0, SENT, T, 1, 500 }, { 0, MAY, T, 1, 0 }, { 0, SENT, T, 2, 500 }, { 0, MAY, U, 3, 0 }, { 1, HEARD, 0, 0, false },
	{ 1, SILENT, T, 1, false })

/* Who had to send again waits until his last datagram is paid for; one other may try, and then all wait. */
STORY(test_doubted,
	{ 0, SENT, T, 1, 60 }, { 5, UNANSWERED, T, 1, 5 }, { 5, MAY_AGAIN, T, 1, 0 }, { 5, AGAIN, T, 1, 60 },
	{ 6, MAY, T, 1, 59 }, { 6, MAY, T, 2, 0 }, { 6, SENT, T, 2, 80 }, { 7, MAY, T, 3, 79 }, { 7, MAY, T, 2, 79 },
	{ 7, MAY_AGAIN, T, 2, 0 }, { 7, SILENT, T, 1, false },
	{ 86, MAY, T, 3, 0 }, { 86, SENT, T, 3, 10 }, { 86, MAY, T, 4, 10 })

/* One answer to anybody ends it. */
STORY(test_heard,
	{ 0, SENT, T, 1, 60 }, { 5, UNANSWERED, T, 1, 5 }, { 5, SENT, T, 2, 60 }, { 6, MAY, T, 3, 59 }, { 7, HEARD, 0, 0, true },
	{ 7, MAY, T, 1, 0 }, { 7, MAY, T, 3, 0 }, { 8, HEARD, 0, 0, false })

/* What the device said while somebody waited says that it is there. */
STORY(test_heard_meanwhile,
	{ 0, SENT, T, 1, 60 }, { 3, HEARD, 0, 0, false }, { 5, UNANSWERED, T, 1, 5 }, { 5, MAY, T, 1, 0 },
	{ 8, UNANSWERED, T, 1, 5 }, { 8, MAY, T, 1, 52 }, { 9, HEARD, 0, 0, true }, { 90, GIVEN_UP, T, 1, 90 },
	{ 90, SILENT, T, 1, false }, { 90, MAY_AGAIN, T, 1, 0 }, { 190, UNANSWERED, T, 1, 5 }, { 190, SILENT, T, 1, false })

/* Given up: everything waits for its pay, repeats, too. */
STORY(test_silent,
	{ 0, SENT, T, 1, 60 }, { 5, UNANSWERED, T, 1, 5 }, { 5, AGAIN, T, 1, 60 }, { 5, SENT, T, 2, 60 },
	{ 93, GIVEN_UP, T, 1, 32 }, { 93, SILENT, T, 1, true }, { 93, SILENT, T, 3, true }, { 93, MAY, T, 3, 0 },
	{ 93, SENT, T, 3, 70 }, { 94, MAY, T, 1, 69 }, { 94, MAY_AGAIN, T, 3, 69 }, { 94, MAY_AGAIN, T, 2, 69 },
	{ 163, MAY_AGAIN, T, 3, 0 }, { 163, AGAIN, T, 3, 70 }, { 164, MAY, T, 1, 69 },
	{ 170, HEARD, 0, 0, true }, { 170, MAY, T, 1, 0 }, { 170, SILENT, T, 3, false })

/* Given up once, by one client: that is his own trouble until another has tried, too. */
STORY(test_given_up_alone,
	{ 0, SENT, T, 1, 100 }, { 93, GIVEN_UP, T, 1, 93 }, { 93, MAY, T, 1, 7 }, { 93, MAY, T, 2, 0 }, { 93, SILENT, T, 2, false },
	{ 93, SENT, T, 2, 50 }, { 94, SILENT, T, 3, true }, { 94, MAY, T, 3, 49 })

/* Two clients who doubt need nobody to try. */
STORY(test_two_doubt,
	{ 0, SENT, T, 1, 60 }, { 0, SENT, T, 2, 60 }, { 5, UNANSWERED, T, 1, 5 }, { 5, UNANSWERED, T, 2, 5 }, { 5, MAY, T, 3, 55 })

/* What strangers find out is no concern of their betters, whose silence is theirs; neither are their debts. */
STORY(test_lanes,
	{ 0, SENT, U, 1, 60 }, { 0, SENT, U, 2, 60 }, { 50, GIVEN_UP, U, 1, 50 }, { 50, GIVEN_UP, U, 2, 50 },
	{ 50, MAY, U, 3, 10 }, { 50, MAY, LANE_REACHABLE, 3, 0 }, { 50, MAY, T, 3, 0 }, { 50, SILENT, T, 3, false },
	{ 51, SENT, T, 3, 30 }, { 56, UNANSWERED, T, 3, 5 }, { 56, GIVEN_UP, T, 3, 5 }, { 56, SILENT, U, 9, true },
	{ 60, SENT, U, 1, 100 }, { 61, MAY, U, 4, 99 }, { 61, MAY, T, 3, 20 }, { 61, MAY, LANE_MOVED, 8, 20 }, { 61, MAY, T, 8, 0 })

/* What people are told: one client's doubt is enough, and so is one word of the device. */
STORY(test_state,
	{ 0, STATE, 0, 0, PACE_UNHEARD }, { 0, SENT, U, 1, 60 }, { 0, STATE, 0, 0, PACE_UNHEARD }, { 1, HEARD, 0, 0, false },
	{ 1, STATE, 0, 0, PACE_ANSWERS }, { 10, UNANSWERED, T, 1, 5 }, { 10, STATE, 0, 0, PACE_DOUBTED }, { 12, GIVEN_UP, U, 2, 11 },
	{ 12, STATE, 0, 0, PACE_SILENT }, { 13, UNANSWERED, T, 3, 5 }, { 13, STATE, 0, 0, PACE_SILENT }, { 14, HEARD, 0, 0, true },
	{ 14, STATE, 0, 0, PACE_ANSWERS })
/* clang-format on */

static void test_no_overflow(void **state)
{
	struct pace p = { 0 };
	struct pace_sender s = { .flow = 1, .lane = T };

	(void)state;
	pace_sent(&p, &s, UINT64_MAX, probing, START);
	pace_unanswered(&p, &s, 1, START);
	assert_int_equal(pace_wait(&p, &s, START), TSTAMP_NEVER - START);
	assert_int_equal(pace_wait(&p, &s, TSTAMP_NEVER), 0);
	assert_true(pace_heard(&p, START));
	assert_int_equal(pace_wait(&p, &s, START), 0);
}

/*
 * Thousands of random requests, each of which goes when it may. However they mix, what is sent to a silent device in one lane is
 * never more than one datagram ahead of the rate; and a device that answers everything is never waited for.
 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void test_rate_of_probes(void **state)
{
	struct pace p = { 0 };
	uint64_t seed = 7252, sent[LANE_COUNT] = { 0 }, last[LANE_COUNT] = { 0 }, refused = 0;
	tstamp now = START, since;

	(void)state;
	for (unsigned lane = 1; lane < LANE_COUNT; lane++)
		for (uint64_t flow = 1; flow <= 2; flow++)
			pace_given_up(&p, &(struct pace_sender){ .flow = flow, .lane = (uint8_t)lane }, TSTAMP_S, now);
	since = now;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t x = next_random(&seed), bytes = 20 + x % 100;
		struct pace_sender s = { x >> 8 & 31, (uint8_t)(1 + (x >> 16) % (LANE_COUNT - 1)), x >> 24 & 1 };

		now += (x >> 32) % (10 * TSTAMP_S);
		if (pace_wait(&p, &s, now) > 0) {
			refused++;
			continue;
		}
		assert_true(sent[s.lane] <= (now - since) / TSTAMP_S);
		pace_sent(&p, &s, bytes, probing, now);
		sent[s.lane] += bytes;
		last[s.lane] = bytes;
	}
	assert_true(refused > 10000);
	for (unsigned lane = 1; lane < LANE_COUNT; lane++)
		assert_true(sent[lane] >= last[lane] && last[lane] > 0);
	assert_true(sent[LANE_AUTHENTICATED] > (now - since) / TSTAMP_S / 2); /* it is used, too */
}

static void test_answered_never_waits(void **state)
{
	struct pace p = { 0 };
	uint64_t seed = 791;
	tstamp now = START;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t x = next_random(&seed);
		struct pace_sender s = { x & 31, (uint8_t)((x >> 8) % LANE_COUNT), false };

		now += (x >> 32) % TSTAMP_S;
		assert_int_equal(pace_wait(&p, &s, now), 0);
		pace_sent(&p, &s, 60, probing, now);
		assert_false(pace_heard(&p, now + 20 * TSTAMP_MS));
		/* one of them is lost now and then: others have heard the device since */
		if (x >> 16 & 1)
			pace_unanswered(&p, &s, 4 * TSTAMP_S, now + TSTAMP_S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),        cmocka_unit_test(test_doubted),
		cmocka_unit_test(test_heard),          cmocka_unit_test(test_heard_meanwhile),
		cmocka_unit_test(test_silent),         cmocka_unit_test(test_given_up_alone),
		cmocka_unit_test(test_state),          cmocka_unit_test(test_two_doubt),
		cmocka_unit_test(test_lanes),          cmocka_unit_test(test_no_overflow),
		cmocka_unit_test(test_rate_of_probes), cmocka_unit_test(test_answered_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

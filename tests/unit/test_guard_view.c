/* guard_view: what people are shown agrees with what happened. */
#include "guard/guard.h"
#include "guard/state.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

static struct guard *new_guard(void)
{
	static const uint8_t secret[32] = { 8 };
	struct proxy_config c = engine_careful();
	struct guard *g = guard_create(&c.policy, 64, secret, START);

	assert_non_null(g);
	return g;
}

static struct guard_request request(const char *client, uint8_t server, uint64_t piv)
{
	static const uint8_t kid[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct guard_request rq = {
		.server = server, .has_oscore = true, .trackable = true, .kid = { kid, 8 }, .piv = piv
	};

	assert_true(addr_parse(&rq.client, client, 0));
	assert_true(addr_parse(&rq.listener, "[2001:db8::53]:5683", 0));
	return rq;
}

#define A "[2001:db8:1::a]:40001"
#define B "[2001:db8:2::b]:40002"

static void test_clients(void **state)
{
	struct guard *g = new_guard();
	struct guard_client c;
	uint32_t place = 0;

	(void)state;
	assert_false(guard_view_client(g, &place, &c, START));
	for (unsigned i = 0; i < 3; i++) {
		struct guard_request rq = request(A, 1, 5 + i);

		guard_report(g, guard_check(g, &rq, START).ticket, OUTCOME_ACCEPTED, START);
	}
	place = 0;
	assert_true(guard_view_client(g, &place, &c, START + 10 * TSTAMP_S));
	assert_true(c.server == 1 && c.standing == STANDING_TENTATIVE && !c.doubted && c.highest == 7 &&
		    c.settled == 3);
	assert_true(c.success == 100 && c.kid_len == 8 && c.kid[0] == 1 && c.endpoint.port == 40001);
	assert_in_range(c.idle / TSTAMP_S, 10, 11);
	assert_int_equal(c.fill, 1000);
	assert_false(guard_view_client(g, &place, &c, START));
	place = 0; /* not heard of for a lifetime: not shown */
	assert_false(guard_view_client(g, &place, &c, START + 2 * TSTAMP_DAY));
	guard_free(g);
}

static void test_server(void **state)
{
	struct guard *g = new_guard();
	struct guard_request rq = request(A, 0, 5);
	struct guard_server s;
	uint64_t n = 0;

	(void)state;
	guard_report(g, guard_check(g, &rq, START).ticket, OUTCOME_ACCEPTED, START);
	rq = request(A, 0, 6);
	guard_report(g, guard_check(g, &rq, START).ticket, OUTCOME_SILENT, START);
	rq = request(A, 0, 5);
	guard_check(g, &rq, START); /* reused */
	guard_view_server(g, 0, &s, START);
	assert_true(s.verdicts[VERDICT_FORWARD][REASON_UNKNOWN] == 1 &&
		    s.verdicts[VERDICT_FORWARD][REASON_TENTATIVE] == 1);
	assert_true(s.verdicts[VERDICT_DROP][REASON_SEQ_REUSED] == 1);
	assert_true(s.lanes[LANE_UNKNOWN] == 1 && s.lanes[LANE_MOVED] == 1);
	assert_true(s.outcomes[OUTCOME_ACCEPTED] == 1 && s.outcomes[OUTCOME_SILENT] == 1);
	assert_true(s.relations == 1 && s.waiting == 0 && s.unknown_left == 600 && s.unknown_wait == 0);
	guard_view_server(g, 1, &s, START);
	for (unsigned a = 0; a < VERDICT_ACTION_COUNT; a++)
		for (unsigned r = 0; r < REASON_COUNT; r++)
			n += s.verdicts[a][r];
	assert_true(n == 0 && s.relations == 0);
	guard_free(g);
}

static void test_incidents(void **state)
{
	struct guard *g = new_guard();
	struct guard_request rq = request(A, 0, 5), other;
	struct guard_incident list[4];

	(void)state;
	guard_report(g, guard_check(g, &rq, START).ticket, OUTCOME_ACCEPTED, START);
	assert_int_equal(guard_view_incidents(g, &rq.client, list, 4), 0);
	for (unsigned i = 0; i < 6; i++) {
		guard_check(g, &rq, START + i * TSTAMP_S); /* reused */
		other = request(B, 0, 5);
		guard_check(g, &other, START + i * TSTAMP_S);
	}
	assert_int_equal(guard_view_incidents(g, &rq.client, list, 4), 4);
	assert_true(list[0].at == START + 5 * TSTAMP_S && list[3].at == START + 2 * TSTAMP_S); /* youngest first */
	assert_true(list[0].action == VERDICT_DROP && list[0].reason == REASON_SEQ_REUSED);
	for (unsigned i = 0; i < 3 * GUARD_INCIDENTS; i++) /* the ring turns over */
		guard_check(g, &other, START + TSTAMP_MIN);
	assert_int_equal(guard_view_incidents(g, &rq.client, list, 4), 0);
	assert_int_equal(guard_view_incidents(g, &other.client, list, 4), 4);
	guard_free(g);
}

static void test_totals_and_explanation(void **state)
{
	struct guard *g = new_guard();
	struct guard_request rq = request(A, 0, 5);
	struct guard_explanation x;
	struct guard_totals t;
	uint8_t echo[ECHO_LEN];
	struct verdict v;
	bool again;

	(void)state;
	guard_view_explanation(g, &rq.client, &x, START);
	assert_true(!x.proven && !x.wary && !x.home && x.request_load == 0 && x.reply_load == 0 && x.reply_wait == 0);
	assert_true(
		guard_pong(g, &rq.client, &rq.listener, guard_ping(g, &rq.client, &rq.listener, START), &again, START));
	assert_false(guard_pong(g, &rq.client, &rq.listener, 0x1234, &again, START));
	guard_echo(g, &rq.client, &rq.listener, START, echo);
	rq.echo = bytes_of(echo, sizeof echo);
	v = guard_check(g, &rq, START);
	guard_view_totals(g, &t);
	assert_true(t.pings == 1 && t.pongs == 1 && t.pongs_wrong == 1 && t.echoes_made == 1 && t.echoes_valid == 1);
	assert_true(t.inflight == 1 && t.relations == 0);
	guard_report(g, v.ticket, OUTCOME_ACCEPTED, START);
	guard_view_totals(g, &t);
	assert_true(t.inflight == 0 && t.relations == 1 && t.contexts == 1 && t.relations_capacity >= 64);
	guard_view_explanation(g, &rq.client, &x, START);
	assert_true(x.proven && x.home && !x.wary);
	while (guard_may_reply(g, &rq.client, START) && guard_may_reply(g, &rq.client, START))
		;
	guard_view_explanation(g, &rq.client, &x, START);
	assert_true(x.reply_load >= 1000 && x.reply_wait > 0);
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_incidents),
		cmocka_unit_test(test_totals_and_explanation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* classify: the cases of tests/vectors, word by word, and what the rows do not cover. */
#include "proxy/classify.h"
#include "msgtext.h"
#include "vectors.h"
#include "coap/option.h"
#include "guard/state.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct request_view view(struct bytes wire, struct msg *m)
{
	struct request_view v;

	assert_int_equal(msg_parse(m, wire), MSG_OK);
	classify_request(&v, m);
	return v;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What the daemon would book for a case: by classify, or by the message layer. */
static enum guard_outcome outcome_of(struct bytes request, struct bytes response)
{
	struct request_view v;
	struct msg m, r;

	v = view(request, &m);
	if (response.ptr == NULL)
		return OUTCOME_SILENT;
	assert_int_equal(msg_parse(&r, response), MSG_OK);
	if (r.code == MSG_EMPTY) /* RST, or an ACK that only says wait */
		return OUTCOME_NEUTRAL;
	return classify_response(&r, v.oscore.ptr != NULL);
}

/* Whether it earns credit at a guard that books it: a relation comes into being, or its number is
 * news. */
static bool earns(struct guard *g, struct bytes wire, enum guard_outcome outcome, const struct addr *client)
{
	struct guard_request rq = { .client = *client };
	struct request_view v;
	struct verdict verdict;
	struct msg m;

	v = view(wire, &m);
	assert_true(addr_parse(&rq.listener, "[2001:db8::53]:5683", 5683));
	rq.has_oscore = v.oscore.ptr != NULL;
	rq.trackable = rq.has_oscore && classify_oscore(&v, &rq.kid, &rq.kid_context, &rq.piv);
	rq.replayable = v.request_hash;
	rq.follow_up = v.follow_up;
	verdict = guard_check(g, &rq, TSTAMP_HOUR);
	/* a case whose number was accepted before must not reach the device again, and so earns
	 * nothing */
	if (verdict.action != VERDICT_FORWARD)
		return false;
	return guard_report(g, verdict.ticket, outcome, TSTAMP_HOUR);
}

static struct guard *new_guard(void)
{
	static const uint8_t secret[32] = { 1 };
	struct proxy_config c = engine_roomy();
	struct guard *g = guard_create(&c.policy, 64, secret, TSTAMP_HOUR);

	assert_non_null(g);
	return g;
}

static const struct {
	const char *credit;
	enum guard_outcome outcome;
	bool earns;
} credits[] = {
	{ "accepted", OUTCOME_ACCEPTED, true },
	{ "tentative", OUTCOME_TENTATIVE, false },
	{ "neutral", OUTCOME_NEUTRAL, false },
	{ "not accepted yet", OUTCOME_TENTATIVE, false }, /* no credit, and nothing held against it */
	{ "not accepted", OUTCOME_REFUSED, false },
	{ "none (already booked)", OUTCOME_OBSERVED, false },
};

static void test_responses(void **state)
{
	char *json = vectors_load("reputation_cases.json");
	char id[8], credit[40];
	uint8_t request[256], response[256];
	struct addr a, other;
	unsigned cases = 0;

	(void)state;
	addr_parse(&a, "[2001:db8:1::a]:40001", 0);
	addr_parse(&other, "[2001:db8:66::6]:40005", 0);
	for (const char *c = vectors_first(vectors_member(json, "response_cases")); c; c = vectors_next(c), cases++) {
		struct bytes rq = vectors_bytes(c, "request", request, sizeof request);
		struct bytes rs = vectors_bytes(c, "response", response, sizeof response);
		enum guard_outcome o = outcome_of(rq, rs), expected;
		struct guard *g = new_guard();
		unsigned row = 0;

		assert_non_null(vectors_text(c, "id", id, sizeof id));
		assert_non_null(vectors_text(c, "credit", credit, sizeof credit));
		while (!starts(credit, credits[row].credit))
			assert_true(++row < sizeof credits / sizeof *credits);
		expected = credits[row].outcome;
		if (strcmp(id, "A6") == 0 || strcmp(id, "N12") == 0) /* accepted if the number is new, see below */
			expected = OUTCOME_OBSERVED;
		if (!rs.ptr)
			expected = OUTCOME_SILENT; /* books nothing either */
		if (o != expected)
			fail_msg("%s: %s instead of %s", id, guard_outcome_word(o), guard_outcome_word(expected));
		if (strcmp(id, "A7") == 0 || strcmp(id, "N12") == 0) /* A6 went before */
			assert_true(earns(g, rq, OUTCOME_OBSERVED, &a));
		if (earns(g, rq, o, strcmp(id, "N12") == 0 ? &other : &a) != credits[row].earns)
			fail_msg("%s: credit", id);
		guard_free(g);
	}
	assert_int_equal(cases, 32);
	free(json);
}

/* Every case whose request carries no readable identity or a Request-Hash: even "accepted" earns
 * nothing. */
static void test_no_identity_no_credit(void **state)
{
	static const char *const requests[] = {
		("41021005a693090525ed010e131111111111111111111111111111111111111111111111111111111"
		 "1"
		 "11111111ff46811625a8db79e6280d5d"),
		"41021010b1bb2e77656c6c2d6b6e6f776e056564686f631141fff5",
		"41021020c19489800525ff000000000000000000",
		"41021020c190ff000000000000000000",
	};
	struct guard *g = new_guard();
	uint8_t buf[128];
	struct addr a;

	(void)state;
	addr_parse(&a, "[2001:db8:1::a]:40001", 0);
	for (unsigned i = 0; i < 4; i++)
		assert_false(earns(g, bytes_of(buf, msgtext_unhex(requests[i], strlen(requests[i]), buf, sizeof buf)),
				   OUTCOME_ACCEPTED, &a));
	assert_int_equal(reputation_count(g->reputation), 0);
	assert_int_equal(seqtrack_count(g->seqtrack), 0);
	guard_free(g);
}

static void test_requests(void **state)
{
	char *json = vectors_load("reputation_cases.json");
	char id[8], verdict[200], piv_text[24];
	uint8_t wire[64], kid_expected[16], context_expected[16];
	unsigned cases = 0;

	(void)state;
	for (const char *c = vectors_first(vectors_member(json, "request_cases")); c; c = vectors_next(c), cases++) {
		const char *seen = vectors_member(c, "keyless_view");
		struct bytes rq = vectors_bytes(c, "request", wire, sizeof wire), kid, context;
		struct request_view v;
		uint64_t piv = 0;
		bool readable;
		struct msg m;

		assert_non_null(vectors_text(c, "id", id, sizeof id));
		assert_non_null(vectors_text(c, "verdict", verdict, sizeof verdict));
		v = view(rq, &m);
		assert_int_equal(v.defect, DEFECT_NONE); /* a keyless forwarder passes all of them on */
		assert_non_null(v.oscore.ptr);
		readable = classify_oscore(&v, &kid, &context, &piv);
		/* trackable: kid and Partial IV both read, and no byte of an unknown layout in
		 * between */
		if (*seen != '{' || !vectors_text(seen, "piv", piv_text, sizeof piv_text)) {
			if (readable)
				fail_msg("%s is not readable", id);
			continue;
		}
		assert_true(readable);
		assert_true(piv == strtoull(piv_text, NULL, 16));
		assert_true(bytes_equal(kid, vectors_bytes(seen, "kid", kid_expected, sizeof kid_expected)));
		if (vectors_member(seen, "kid_context")) {
			struct bytes k = vectors_bytes(seen, "kid_context", context_expected, sizeof context_expected);

			assert_true((k.ptr == NULL) == (context.ptr == NULL));
			assert_true(bytes_equal(k, context));
		}
	}
	assert_int_equal(cases, 9);
	free(json);
}

/* Truncations and lengths of the option's value. */
static void test_oscore_values(void **state)
{
	static const struct {
		const char *value;
		bool readable;
		uint64_t piv;
		const char *kid;
		int context; /* -1: absent */
	} rows[] = {
		{ "", false, 0, "", -1 },
		{ "00", false, 0, "", -1 },
		{ "08", false, 0, "", -1 },
		{ "0100", false, 0, "", -1 },
		{ "09", false, 0, "", -1 },
		{ "0900", true, 0, "", -1 },
		{ "090025", true, 0, "25", -1 },
		{ "0dffffffffff25", true, 0xffffffffff, "25", -1 },
		{ "0dffffffff", false, 0, "", -1 },
		{ "0e00000000000025", false, 0, "", -1 },
		{ "0f0000000000000025", false, 0, "", -1 },
		{ "1905", false, 0, "", -1 },
		{ "190500", true, 5, "", 0 },
		{ "190501", false, 0, "", -1 },
		{ "190501aa", true, 5, "", 1 },
		{ "190501aabb", true, 5, "bb", 1 },
		{ "1905ffaabb", false, 0, "", -1 },
		{ "290525", true, 5, "25", -1 },
		{ "490525", false, 0, "", -1 },
		{ "890525", false, 0, "", -1 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t value[16], kid_hex[16];
		struct request_view v = { .msg = NULL };
		struct bytes kid, context;
		uint64_t piv = 0;
		size_t n = msgtext_unhex(rows[i].value, strlen(rows[i].value), value, sizeof value);
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, value, n);
		v.oscore = bytes_of(copy, n);
		v.unreadable = oscore_option_parse(&v.option, v.oscore);
		if (classify_oscore(&v, &kid, &context, &piv) != rows[i].readable)
			fail_msg("%s", rows[i].value);
		if (rows[i].readable) {
			assert_true(piv == rows[i].piv);
			assert_true(bytes_equal(kid, bytes_of(kid_hex, msgtext_unhex(rows[i].kid, strlen(rows[i].kid),
										     kid_hex, sizeof kid_hex))));
			assert_true((context.ptr == NULL) == (rows[i].context < 0));
			assert_true(rows[i].context < 0 || context.len == (size_t)rows[i].context);
		}
		free(copy);
	}
}

/* tests/vectors: critical, unsafe and NoCacheKey by number alone (RFC 7252 §5.4.6). */
static void test_option_numbers(void **state)
{
	char *json = vectors_load("rfc7252_messages.json");
	unsigned cases = 0;

	(void)state;
	for (const char *c = vectors_first(vectors_member(json, "option_number_properties")); c; c = vectors_next(c)) {
		uint16_t n = (uint16_t)vectors_number(c, "number");

		assert_int_equal(option_is_critical(n), vectors_true(c, "critical"));
		assert_int_equal(option_is_unsafe(n), vectors_true(c, "unsafe"));
		/* only says something about options that are safe to forward */
		assert_int_equal(option_is_no_cache_key(n) && !option_is_unsafe(n), vectors_true(c, "no_cache_key"));
		cases++;
	}
	assert_int_equal(cases, 41);
	free(json);
}

/* What of a request the proxy looks at. */
static void test_views(void **state)
{
	uint8_t buf[256];
	struct request_view v;
	struct msg m;

	(void)state;
	v = view(msgtext_write("CON 0.01 0001 # Uri-Host:h Observe= Uri-Port=1633 Uri-Path:a "
			       "Uri-Path:b Hop-Limit=05",
			       buf, sizeof buf),
		 &m);
	assert_true(bytes_are(v.uri_host, "h") && v.observe && !v.deregister && v.has_uri_port && v.uri_port == 5683);
	assert_true(v.n_path == 2 && v.hop_limit == 5 && v.defect == DEFECT_NONE && !v.oscore.ptr && !v.echo.ptr);
	v = view(msgtext_write("CON 0.02 0001 # Observe=01 OSCORE=0900 EDHOC= Block2=10 !x", buf, sizeof buf), &m);
	assert_true(!v.observe && v.deregister && v.oscore.ptr && v.edhoc && v.follow_up);
	v = view(msgtext_write("CON 0.02 0001 # Observe=02 OSCORE=0900 Block2=06 Block1=18 !x", buf, sizeof buf), &m);
	assert_true(!v.observe && !v.deregister && !v.follow_up);
	v = view(
		msgtext_write("CON 0.05 0001 # OSCORE=0900 Echo=01 No-Response=02 Request-Hash=aa !x", buf, sizeof buf),
		&m);
	assert_true(v.silent_ok && v.request_hash && v.echo.len == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_responses),      cmocka_unit_test(test_no_identity_no_credit),
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_oscore_values),
		cmocka_unit_test(test_option_numbers), cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

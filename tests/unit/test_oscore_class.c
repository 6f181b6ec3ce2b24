/* oscore_class: the table of numbers, and all combinations of draft-ietf-core-oscore-capable-proxies-07 §2.2. */
#include "oscore/oscore_class.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "vectors.h"

/* RFC 8613 figure 5, and what was registered or suggested later. */
static const uint16_t outer[] = { 2, 3, 7, 9, 16, 21, 24, 35, 39, 47, 235, 239, 248, 548 };
static const uint16_t both[] = { 6, 14, 19, 23, 27, 28, 31, 60, 252, 258, 292 };

static bool is_among(uint16_t number, const uint16_t *list, size_t n)
{
	while (n--)
		if (list[n] == number)
			return true;
	return false;
}

static enum oscore_class expected_of(uint16_t number)
{
	if (is_among(number, outer, sizeof outer / sizeof *outer))
		return OSCORE_OUTER;
	return is_among(number, both, sizeof both / sizeof *both) ? OSCORE_BOTH : OSCORE_INNER;
}

/* Every number there is: "unknown" options are class E, too (RFC 8613 §4.1). */
static void test_every_number(void **state)
{
	(void)state;
	for (uint32_t number = 0; number <= UINT16_MAX; number++)
		if (oscore_class_of((uint16_t)number) != expected_of((uint16_t)number))
			fail_msg("option %u", number);
}

static struct oscore_class_facts facts_of(const char *row)
{
	return (struct oscore_class_facts){
		.added = vectors_true(row, "added"),
		.consumer = vectors_true(row, "x_consumer"),
		.immediate = vectors_true(row, "x_immediate_next_consumer"),
		.next_hop = vectors_true(row, "x_is_next_hop"),
		.next_hop_is_next_consumer = vectors_true(row, "next_hop_is_immediate_next_consumer"),
		.needed_before = vectors_true(row, "x_needs_before_decrypt"),
		.is_authority = vectors_true(row, "is_uri_host_or_port"),
		.has_scheme = vectors_true(row, "m_has_proxy_scheme"),
	};
}

static void test_decision_table(void **state)
{
	char *json = vectors_load("oscore_capable_proxies_nested.json");
	unsigned n = 0, inner = 0;

	(void)state;
	for (const char *row = vectors_first(vectors_member(json, "option_class_decision_table_sec2_2")); row;
	     row = vectors_next(row), n++) {
		struct oscore_class_facts f = facts_of(row);

		assert_non_null(vectors_member(row, "class_E"));
		if (oscore_class_is_inner(&f) != vectors_true(row, "class_E"))
			fail_msg("row %u", n);
		inner += vectors_true(row, "class_E");
	}
	assert_int_equal(n, 192);
	assert_in_range(inner, 1, 191);
	free(json);
}

/* What the draft says in words (§2.2, App. B). */
static void test_stories(void **state)
{
	static const struct {
		const char *story;
		struct oscore_class_facts f;
		bool inner;
	} rows[] = {
		{ "the OSCORE option of this very layer",
		  { .added = true,
		    .consumer = true,
		    .immediate = true,
		    .next_hop = true,
		    .needed_before = true,
		    .next_hop_is_next_consumer = true },
		  false },
		{ "the OSCORE option of the layer beneath: for the server, the layer is for the proxy",
		  { .added = true, .next_hop = true },
		  true },
		{ "Proxy-Scheme for the proxy",
		  { .added = true,
		    .consumer = true,
		    .immediate = true,
		    .next_hop = true,
		    .next_hop_is_next_consumer = true,
		    .has_scheme = true },
		  true },
		{ "Uri-Host beside it",
		  { .added = true,
		    .consumer = true,
		    .immediate = true,
		    .next_hop = true,
		    .next_hop_is_next_consumer = true,
		    .is_authority = true,
		    .has_scheme = true },
		  true },
		{ "Uri-Host alone, for the server",
		  { .added = true,
		    .consumer = true,
		    .immediate = true,
		    .next_hop = true,
		    .next_hop_is_next_consumer = true,
		    .is_authority = true },
		  false },
		{ "Proxy-Scheme for the proxy, but the layer is for the server behind",
		  { .added = true, .next_hop_is_next_consumer = true, .has_scheme = true },
		  false },
		{ "Hop-Limit end to end: consumed by the proxy first",
		  { .added = true, .consumer = true, .next_hop_is_next_consumer = true },
		  false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (oscore_class_is_inner(&rows[i].f) != rows[i].inner)
			fail_msg("%s", rows[i].story);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_number),
		cmocka_unit_test(test_decision_table),
		cmocka_unit_test(test_stories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

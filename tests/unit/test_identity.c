/* identity: what makes two endpoints or two relations the same. */
#include "guard/identity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct siphash_key key = { 1, 2 }, other = { 1, 3 };

static void test_endpoints(void **state)
{
	struct addr a, b;
	uint64_t half[2];

	(void)state;
	addr_parse(&a, "[2001:db8::1]:5683", 0);
	b = a;
	assert_true(identity_endpoint(&key, &a) == identity_endpoint(&key, &b));
	assert_true(identity_endpoint(&key, &a) != identity_endpoint(&other, &a));
	b.port++;
	assert_true(identity_endpoint(&key, &a) != identity_endpoint(&key, &b));
	b = a;
	b.scope = 3;
	assert_true(identity_endpoint(&key, &a) != identity_endpoint(&key, &b));
	b = a;
	for (b.carrier = ADDR_DTLS; b.carrier <= ADDR_TLS; b.carrier++)
		assert_true(identity_endpoint(&key, &a) != identity_endpoint(&key, &b));
	/* what is on disk of UDP endpoints stays good */
	memcpy(half, a.ip, sizeof half);
	assert_true(identity_endpoint(&key, &a) == siphash_brief(&key, half[0], half[1], 5683));
	b = a;
	b.ip[15]++;
	assert_true(identity_endpoint(&key, &a) != identity_endpoint(&key, &b));
}

/* Every row is another relation: an empty kid is legal, an absent context is not an empty one. */
static void test_relations(void **state)
{
	static const struct {
		uint8_t server;
		const char *kid, *context; /* NULL: absent */
	} rows[] = {
		{ 0, "", NULL },   { 0, "", "" },    { 0, "a", NULL }, { 0, "a", "" },    { 0, "", "a" },
		{ 0, "ab", NULL }, { 0, "a", "b" },  { 0, "", "ab" },  { 1, "ab", NULL }, { 0, "abc", "" },
		{ 0, "ab", "c" },  { 0, "a", "bc" }, { 0, "", "abc" },
	};
	const unsigned n = sizeof rows / sizeof *rows;
	uint64_t h[sizeof rows / sizeof *rows];

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct bytes context =
			rows[i].context ? bytes_of(rows[i].context, strlen(rows[i].context)) : bytes_of(NULL, 0);

		h[i] = identity_relation(&key, rows[i].server, bytes_of(rows[i].kid, strlen(rows[i].kid)), context);
		assert_true(h[i] != 0);
		for (unsigned k = 0; k < i; k++)
			assert_true(h[i] != h[k]);
	}
}

/* Ids as long as an option can hold. */
static void test_long(void **state)
{
	uint8_t id[300] = { 0 };
	uint64_t whole = identity_relation(&key, 0, bytes_of(id, 255), bytes_of(id, 255));

	(void)state;
	id[254] = 1;
	assert_true(identity_relation(&key, 0, bytes_of(id, 255), bytes_of(id, 255)) != whole);
	identity_relation(&key, 0, bytes_of(id, 300), bytes_of(id, 300)); /* reads no further than it may */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

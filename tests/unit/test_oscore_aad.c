/* oscore_aad: every info and every AAD of RFC 8613 appendix C and of the nested examples, byte by byte. */
#include "oscore/oscore_aad.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "vectors.h"

#define AES_CCM_16_64_128 10

static void assert_bytes(const char *what, const uint8_t *at, size_t len, struct bytes expected)
{
	assert_non_null(expected.ptr);
	if (!bytes_equal(bytes_of(at, len), expected))
		fail_msg("%s", what);
}

/* For both IDs, and the Common IV. */
static void test_info(void **state)
{
	static const char *const names[] = { "C.1.1", "C.1.2", "C.2.1", "C.2.2", "C.3.1", "C.3.2" };
	static const struct {
		const char *id, *info, *type;
		uint8_t len;
	} infos[] = {
		{ "Sender ID", "info (for Sender Key)", "Key", 16 },
		{ "Recipient ID", "info (for Recipient Key)", "Key", 16 },
		{ NULL, "info (for Common IV)", "IV", 13 },
	};
	char *json = vectors_load("rfc8613_appendix_c.json");
	const char *vectors = vectors_member(json, "vectors");

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t k = 0; k < 3; k++) {
			const char *c = vectors_member(vectors, names[i]);
			uint8_t id_at[8], context_at[OSCORE_INFO_MAX], expected[OSCORE_INFO_MAX], out[OSCORE_INFO_MAX];
			struct bytes id = { id_at, 0 }, context = vectors_bytes(c, "ID Context", context_at, 32);

			if (infos[k].id)
				id = vectors_bytes(c, infos[k].id, id_at, sizeof id_at);
			assert_non_null(id.ptr);
			assert_bytes(names[i], out,
				     oscore_aad_info(id, context, AES_CCM_16_64_128, infos[k].type, infos[k].len, out),
				     vectors_bytes(c, infos[k].info, expected, sizeof expected));
		}
	free(json);
}

static void check_aad(const char *what, struct bytes kid, struct bytes piv, struct bytes expected)
{
	uint8_t out[OSCORE_AAD_MAX];

	assert_true(kid.ptr && piv.ptr);
	assert_bytes(what, out, oscore_aad_write(AES_CCM_16_64_128, kid, piv, out), expected);
}

/* request_kid and request_piv of a response are those of its request: C.7 and C.8 answer C.4. */
static void test_aad(void **state)
{
	static const struct {
		const char *name, *request;
	} rows[] = { { "C.4", "C.4" }, { "C.5", "C.5" }, { "C.6", "C.6" }, { "C.7", "C.4" }, { "C.8", "C.4" } };
	char *json = vectors_load("rfc8613_appendix_c.json");
	const char *vectors = vectors_member(json, "vectors");
	const char *example = vectors_member(json, "aad_example_sec5_4");
	uint8_t kid[8], piv[8], expected[OSCORE_AAD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *rq = vectors_member(vectors, rows[i].request), *c = vectors_member(vectors, rows[i].name);

		check_aad(rows[i].name, vectors_bytes(rq, "kid", kid, sizeof kid),
			  vectors_bytes(rq, "Partial IV", piv, sizeof piv),
			  vectors_bytes(c, "AAD", expected, sizeof expected));
	}
	check_aad("section 5.4", vectors_bytes(example, "request_kid", kid, sizeof kid),
		  vectors_bytes(example, "request_piv", piv, sizeof piv),
		  vectors_bytes(example, "aad", expected, sizeof expected));
	free(json);
}

/* Behind a member of an object: the next member's value; NULL: it was the last. */
static const char *next_value(const char *value)
{
	const char *key = vectors_next(value);

	return key ? strchr(key + 1, ':') + 2 : NULL;
}

static unsigned check_events(const char *example)
{
	uint8_t kid[8], piv[8], expected[OSCORE_AAD_MAX];
	unsigned n = 0;

	for (const char *e = vectors_first(vectors_member(example, "events")); e; e = vectors_next(e)) {
		if (!vectors_member(e, "aad"))
			continue;
		check_aad("nested", vectors_bytes(e, "request_kid", kid, sizeof kid),
			  vectors_bytes(e, "request_piv", piv, sizeof piv),
			  vectors_bytes(e, "aad", expected, sizeof expected));
		n++;
	}
	return n;
}

static void test_nested(void **state)
{
	char *json = vectors_load("oscore_capable_proxies_nested.json");
	unsigned n = 0;

	(void)state;
	for (const char *x = vectors_member(vectors_member(json, "examples"), "B.1 forward-proxy C-S,C-P"); x;
	     x = next_value(x))
		n += check_events(x);
	assert_int_equal(n, 63);
	free(json);
}

/* The longest there can be, and numbers of algorithms that take a second byte: written out by hand. */
static void test_longest(void **state)
{
	static const uint8_t kid[7] = { 1, 2, 3, 4, 5, 6, 7 }, piv[5] = { 0xff, 0xfe, 0xfd, 0xfc, 0xfb };
	static const uint8_t aad[] = { 0x83, 0x68, 'E',  'n',  'c',  'r',  'y',  'p',  't',  '0', 0x40,
				       0x54, 0x85, 0x01, 0x81, 0x18, 30,   0x47, 1,    2,    3,   4,
				       5,    6,    7,    0x45, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x40 };
	static const uint8_t context[32] = { 0xcc };
	static const uint8_t head[] = { 0x85, 0x47, 1, 2, 3, 4, 5, 6, 7, 0x58, 32, 0xcc };
	static const uint8_t tail[] = { 0x18, 24, 0x63, 'K', 'e', 'y', 0x18, 32 };
	uint8_t out[OSCORE_AAD_MAX];
	size_t len;

	(void)state;
	len = oscore_aad_write(30, bytes_of(kid, 7), bytes_of(piv, 5), out);
	assert_bytes("aad", out, len, bytes_of(aad, sizeof aad));
	len = oscore_aad_info(bytes_of(kid, 7), bytes_of(context, 32), 24, "Key", 32, out);
	assert_int_equal(len, 11 + 32 + sizeof tail);
	assert_memory_equal(out, head, sizeof head);
	assert_memory_equal(out + 11 + 32, tail, sizeof tail);
	/* an empty ID Context is not the same as none */
	len = oscore_aad_info(bytes_of(kid, 0), bytes_of(context, 0), 1, "IV", 12, out);
	assert_bytes("empty", out, len, bytes_of("\x85\x40\x40\x01\x62IV\x0c", 8));
	len = oscore_aad_info(bytes_of(kid, 0), bytes_of(NULL, 0), 1, "IV", 12, out);
	assert_bytes("none", out, len, bytes_of("\x85\x40\xf6\x01\x62IV\x0c", 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_aad),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

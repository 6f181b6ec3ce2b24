/* oscore_option: RFC 8613 §6.3 verbatim, what is malformed, every truncation, and random options there and back. */
#include "oscore/oscore_option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "msgtext.h"
#include "vectors.h"

/* From a heap block of exactly that size: what is read behind it, is found. */
static enum oscore_option_error parse_exactly(struct oscore_option *o, struct bytes value, uint8_t **block)
{
	*block = malloc(value.len ? value.len : 1);
	assert_non_null(*block);
	if (value.len)
		memcpy(*block, value.ptr, value.len);
	return oscore_option_parse(o, bytes_of(*block, value.len));
}

static bool is_same(struct bytes a, struct bytes b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && bytes_equal(a, b);
}

static void assert_same(const struct oscore_option *a, const struct oscore_option *b)
{
	assert_true(is_same(a->piv, b->piv));
	assert_true(is_same(a->kid, b->kid));
	assert_true(is_same(a->kid_context, b->kid_context));
	assert_int_equal(a->group, b->group);
}

static void test_published(void **state)
{
	char *json = vectors_load("rfc8613_appendix_c.json");
	uint8_t kid[16], piv[16], context[16], value[32], out[OSCORE_OPTION_LEN], *block;
	unsigned n = 0;

	(void)state;
	for (const char *c = vectors_first(vectors_member(json, "option_compression_sec6_3")); c;
	     c = vectors_next(c), n++) {
		struct oscore_option o, expected = { .kid = vectors_bytes(c, "kid", kid, sizeof kid),
						     .piv = vectors_bytes(c, "piv", piv, sizeof piv),
						     .kid_context = vectors_bytes(c, "kid_context", context, 16) };
		struct bytes wire = vectors_bytes(c, "option", value, sizeof value);

		if (expected.piv.len == 0) /* the file says "" for none */
			expected.piv.ptr = NULL;
		assert_int_equal(parse_exactly(&o, wire, &block), OSCORE_OPTION_OK);
		assert_same(&o, &expected);
		assert_true(bytes_equal(bytes_of(out, oscore_option_write(&expected, out)), wire));
		free(block);
	}
	assert_int_equal(n, 5);
	free(json);
}

static void test_malformed(void **state)
{
	char *json = vectors_load("rfc8613_appendix_c.json");
	uint8_t value[32], *block;
	unsigned n = 0, good = 0;

	(void)state;
	for (const char *c = vectors_first(vectors_member(json, "negative_option_values_own")); c;
	     c = vectors_next(c), n++) {
		struct bytes wire = vectors_bytes(c, "option", value, sizeof value);
		struct oscore_option o;
		enum oscore_option_error expected = OSCORE_OPTION_MALFORMED;

		if (wire.ptr[0] & 0xc0)
			expected = OSCORE_OPTION_EXTENDED;
		if (vectors_true(c, "valid"))
			expected = OSCORE_OPTION_OK;
		good += expected == OSCORE_OPTION_OK;
		assert_int_equal(parse_exactly(&o, wire, &block), expected);
		free(block);
	}
	assert_int_equal(n, 8);
	assert_int_equal(good, 1);
	free(json);
}

static void test_rows(void **state)
{
	static const struct {
		const char *value;
		enum oscore_option_error error;
		const char *piv, *kid_context, *kid; /* NULL: absent */
		bool group;
	} rows[] = {
		{ "", OSCORE_OPTION_OK, NULL, NULL, NULL, false },
		{ "00", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "0000", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "08", OSCORE_OPTION_OK, NULL, NULL, "", false },
		{ "0825", OSCORE_OPTION_OK, NULL, NULL, "25", false },
		{ "01", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "0100", OSCORE_OPTION_OK, "00", NULL, NULL, false },
		{ "010025", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false }, /* no flag announces a kid */
		{ "03000005", OSCORE_OPTION_OK, "000005", NULL, NULL, false },  /* not canonical, but a number */
		{ "05ffffffffff", OSCORE_OPTION_OK, "ffffffffff", NULL, NULL, false },
		{ "05ffffffff", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "06ffffffffffff", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "07ffffffffffffff", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "10", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "1000", OSCORE_OPTION_OK, NULL, "", NULL, false },
		{ "100011", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "1001", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "1001aa", OSCORE_OPTION_OK, NULL, "aa", NULL, false },
		{ "10ffaa", OSCORE_OPTION_MALFORMED, NULL, NULL, NULL, false },
		{ "190500", OSCORE_OPTION_OK, "05", "", "", false },
		{ "190501aa", OSCORE_OPTION_OK, "05", "aa", "", false },
		{ "190501aabbcc", OSCORE_OPTION_OK, "05", "aa", "bbcc", false },
		{ "20", OSCORE_OPTION_OK, NULL, NULL, NULL, true },
		{ "290525", OSCORE_OPTION_OK, "05", NULL, "25", true },
		{ "390502aabb25", OSCORE_OPTION_OK, "05", "aabb", "25", true },
		{ "40", OSCORE_OPTION_EXTENDED, NULL, NULL, NULL, false },
		{ "490525", OSCORE_OPTION_EXTENDED, NULL, NULL, NULL, false },
		{ "890525", OSCORE_OPTION_EXTENDED, NULL, NULL, NULL, false },
		{ "80", OSCORE_OPTION_EXTENDED, NULL, NULL, NULL, false },
		{ "c7", OSCORE_OPTION_EXTENDED, NULL, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const texts[] = { rows[i].piv, rows[i].kid_context, rows[i].kid };
		uint8_t value[16], fields[3][16], *block;
		struct bytes field[3];
		struct oscore_option o = { .group = true };

		for (size_t k = 0; k < 3; k++)
			field[k] =
				texts[k] ? bytes_of(fields[k], msgtext_unhex(texts[k], strlen(texts[k]), fields[k], 16))
					 : bytes_of(NULL, 0);
		if (parse_exactly(
			    &o,
			    bytes_of(value, msgtext_unhex(rows[i].value, strlen(rows[i].value), value, sizeof value)),
			    &block) != rows[i].error)
			fail_msg("%s", rows[i].value);
		assert_same(&o, &(struct oscore_option){ .piv = field[0],
							 .kid_context = field[1],
							 .kid = field[2],
							 .group = rows[i].group });
		free(block);
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Absent, empty or up to `max` bytes. */
static struct bytes some_bytes(uint64_t *seed, uint8_t *at, size_t max)
{
	size_t len = (size_t)(next_random(seed) % (max + 1));

	if (next_random(seed) % 3 == 0)
		return bytes_of(NULL, 0);
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)next_random(seed);
	return bytes_of(at, len);
}

struct random_option {
	uint8_t piv[OSCORE_PIV], kid[100], context[140];
	struct oscore_option o;
};

static void draw(struct random_option *r, uint64_t *seed)
{
	bool brief = next_random(seed) % 4 != 0;

	r->o.piv = some_bytes(seed, r->piv, sizeof r->piv);
	if (r->o.piv.len == 0)
		r->o.piv.ptr = NULL; /* n is 0: none */
	r->o.kid = some_bytes(seed, r->kid, brief ? 7 : sizeof r->kid);
	r->o.kid_context = some_bytes(seed, r->context, brief ? 8 : sizeof r->context);
	r->o.group = next_random(seed) % 4 == 0;
}

/* How long a prefix must be to be read as something: up to where the kid begins. */
static size_t shortest(const struct oscore_option *o)
{
	return 1 + o->piv.len + (o->kid_context.ptr ? 1 + o->kid_context.len : 0);
}

static void test_there_and_back(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		uint8_t wire[OSCORE_OPTION_LEN], *block;
		struct random_option r;
		struct oscore_option o;
		size_t len;

		draw(&r, &seed);
		len = oscore_option_write(&r.o, wire);
		assert_int_equal(parse_exactly(&o, bytes_of(wire, len), &block), OSCORE_OPTION_OK);
		assert_same(&o, &r.o);
		free(block);
		/* every truncation: only a kid may be shorter without anybody noticing */
		for (size_t cut = 1; cut < len; cut++) {
			bool readable = r.o.kid.ptr && cut >= shortest(&r.o);

			assert_int_equal(parse_exactly(&o, bytes_of(wire, cut), &block),
					 readable ? OSCORE_OPTION_OK : OSCORE_OPTION_MALFORMED);
			assert_int_equal(o.kid.len, readable ? cut - shortest(&r.o) : 0);
			free(block);
		}
	}
}

/* Whatever is read, is written the same: the encoding is unique. */
static void test_back_and_there(void **state)
{
	uint64_t seed = 2;
	unsigned good = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t value[12], out[OSCORE_OPTION_LEN], *block;
		size_t len = (size_t)(next_random(&seed) % sizeof value);
		struct oscore_option o;

		for (size_t k = 0; k < len; k++)
			value[k] = (uint8_t)(next_random(&seed) >> next_random(&seed) % 8);
		if (parse_exactly(&o, bytes_of(value, len), &block) == OSCORE_OPTION_OK) {
			assert_true(bytes_equal(bytes_of(out, oscore_option_write(&o, out)), bytes_of(value, len)));
			good++;
		} else {
			assert_same(&o, &(struct oscore_option){ .group = false });
		}
		free(block);
	}
	assert_in_range(good, 20000, 180000);
}

/* What does not fit into 255 bytes, or into n. */
static void test_too_long(void **state)
{
	static const uint8_t text[300];
	static const struct {
		size_t piv, context, kid;
		bool has_context;
		size_t len;
	} rows[] = {
		{ 5, 0, 249, false, 255 },   { 5, 0, 250, false, 0 },     { 6, 0, 1, false, 0 },
		{ 300, 0, 1, false, 0 },     { 0, 253, 0, true, 255 },    { 0, 254, 0, true, 0 },
		{ 0, 255, 0, true, 0 },      { 0, 300, 0, true, 0 },      { 1, 100, 152, true, 255 },
		{ 1, 100, 153, true, 0 },    { 0, 0, 254, false, 255 },   { 0, 0, 255, false, 0 },
		{ 0, SIZE_MAX, 2, true, 0 }, { 0, 1, SIZE_MAX, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oscore_option o = { .kid = bytes_of(text, rows[i].kid) }, back;
		uint8_t out[OSCORE_OPTION_LEN];

		if (rows[i].piv)
			o.piv = bytes_of(text, rows[i].piv);
		if (rows[i].has_context)
			o.kid_context = bytes_of(text, rows[i].context);
		assert_int_equal(oscore_option_write(&o, out), rows[i].len);
		if (rows[i].len) {
			assert_int_equal(oscore_option_parse(&back, bytes_of(out, rows[i].len)), OSCORE_OPTION_OK);
			assert_same(&back, &o);
		}
	}
}

static void test_numbers(void **state)
{
	static const struct {
		uint64_t number;
		const char *piv;
	} rows[] = {
		{ 0, "00" },
		{ 1, "01" },
		{ 0x14, "14" },
		{ 0xff, "ff" },
		{ 0x100, "0100" },
		{ 0xffff, "ffff" },
		{ 0x10000, "010000" },
		{ 0xffffff, "ffffff" },
		{ 0x1000000, "01000000" },
		{ 0xffffffff, "ffffffff" },
		{ 0x100000000, "0100000000" },
		{ 0xfedcba9876, "fedcba9876" },
		{ OSCORE_PIV_MAX, "ffffffffff" },
	};
	uint8_t piv[OSCORE_PIV], expected[OSCORE_PIV];
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bytes e = { expected,
				   msgtext_unhex(rows[i].piv, strlen(rows[i].piv), expected, sizeof expected) };

		assert_true(bytes_equal(bytes_of(piv, oscore_option_piv(rows[i].number, piv)), e));
		assert_true(oscore_option_number(e) == rows[i].number);
	}
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t number = (next_random(&seed) << 31 | next_random(&seed)) >> (22 + next_random(&seed) % 40);

		assert_true(oscore_option_number(bytes_of(piv, oscore_option_piv(number, piv))) == number);
		assert_true(number == 0 || piv[0] != 0);
	}
	assert_true(oscore_option_number(bytes_of("\0\0\0\1\2", 5)) == 0x102);
	assert_true(oscore_option_number(bytes_of(NULL, 0)) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published),      cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_rows),           cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_back_and_there), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

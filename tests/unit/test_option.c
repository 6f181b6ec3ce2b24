#include "coap/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* rfc7252_messages.json, option_number_properties, verbatim. */
static const struct {
	uint16_t number;
	bool critical, unsafe, no_cache_key;
} properties[] = {
	{ 1, true, false, false },      { 2, false, true, false },     { 3, true, true, false },
	{ 4, false, false, false },     { 5, true, false, false },     { 6, false, true, false },
	{ 7, true, true, false },       { 8, false, false, false },    { 9, true, false, false },
	{ 11, true, true, false },      { 12, false, false, false },   { 13, true, false, false },
	{ 14, false, true, false },     { 15, true, true, false },     { 16, false, false, false },
	{ 17, true, false, false },     { 18, false, true, false },    { 19, true, true, false },
	{ 20, false, false, false },    { 21, true, false, false },    { 23, true, true, false },
	{ 24, false, false, false },    { 27, true, true, false },     { 28, false, false, true },
	{ 31, true, true, false },      { 35, true, true, false },     { 39, true, true, false },
	{ 47, true, true, false },      { 60, false, false, true },    { 235, true, true, false },
	{ 239, true, true, false },     { 248, false, false, false },  { 252, false, false, true },
	{ 258, false, true, false },    { 292, false, false, false },  { 548, false, false, false },
	{ 64988, false, false, true },  { 65001, true, false, false }, { 65002, false, true, false },
	{ 65004, false, false, false }, { 65020, false, false, true },
};

static void a_number_says_how_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
		assert_int_equal(option_is_critical(properties[i].number), properties[i].critical);
		assert_int_equal(option_is_unsafe(properties[i].number), properties[i].unsafe);
		assert_int_equal(option_is_no_cache_key(properties[i].number), properties[i].no_cache_key);
	}
}

/* The registries' rows: number, length, format, repeatable, carried on by this proxy. */
static const struct {
	const char *name;
	uint16_t number, min, max;
	enum option_format format;
	bool repeatable, handled;
} rows[] = {
	{ "If-Match", 1, 0, 8, OPTION_OPAQUE, true, false },
	{ "Uri-Host", 3, 1, 255, OPTION_STRING, false, true },
	{ "ETag", 4, 1, 8, OPTION_OPAQUE, true, false },
	{ "If-None-Match", 5, 0, 0, OPTION_EMPTY, false, false },
	{ "Observe", 6, 0, 3, OPTION_UINT, false, true },
	{ "Uri-Port", 7, 0, 2, OPTION_UINT, false, true },
	{ "Location-Path", 8, 0, 255, OPTION_STRING, true, false },
	{ "OSCORE", 9, 0, 255, OPTION_OPAQUE, false, false },
	{ "Uri-Path", 11, 0, 255, OPTION_STRING, true, true },
	{ "Content-Format", 12, 0, 2, OPTION_UINT, false, false },
	{ "Uri-Path-Abbrev", 13, 0, 4, OPTION_UINT, false, false },
	{ "Max-Age", 14, 0, 4, OPTION_UINT, false, true },
	{ "Uri-Query", 15, 0, 255, OPTION_STRING, true, true },
	{ "Hop-Limit", 16, 1, 1, OPTION_UINT, false, false },
	{ "Accept", 17, 0, 2, OPTION_UINT, false, false },
	{ "Q-Block1", 19, 0, 3, OPTION_UINT, false, false },
	{ "Location-Query", 20, 0, 255, OPTION_STRING, true, false },
	{ "EDHOC", 21, 0, 0, OPTION_EMPTY, false, false },
	{ "Block2", 23, 0, 3, OPTION_UINT, false, true },
	{ "Block1", 27, 0, 3, OPTION_UINT, false, true },
	{ "Size2", 28, 0, 4, OPTION_UINT, false, false },
	{ "Q-Block2", 31, 0, 3, OPTION_UINT, true, false },
	{ "Proxy-Uri", 35, 1, 1034, OPTION_STRING, false, true },
	{ "Proxy-Scheme", 39, 1, 255, OPTION_STRING, false, true },
	{ "Size1", 60, 0, 4, OPTION_UINT, false, false },
	{ "Proxy-Cri", 235, 1, 1023, OPTION_OPAQUE, false, false },
	{ "Proxy-Scheme-Number", 239, 0, 3, OPTION_UINT, false, false },
	{ "Echo", 252, 1, 40, OPTION_OPAQUE, false, false },
	{ "No-Response", 258, 0, 1, OPTION_UINT, false, true },
	{ "Request-Tag", 292, 0, 8, OPTION_OPAQUE, true, false },
	{ "Request-Hash", 548, 0, 65535, OPTION_OPAQUE, false, false },
};

static void the_table_is_the_registry(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct option_info *info = option_find(rows[i].number);

		assert_non_null(info);
		assert_int_equal(info->number, rows[i].number);
		assert_string_equal(info->name, rows[i].name);
		assert_int_equal(info->min, rows[i].min);
		assert_int_equal(info->max, rows[i].max);
		assert_int_equal(info->format, rows[i].format);
		assert_int_equal(info->repeatable, rows[i].repeatable);
		assert_int_equal(info->handled, rows[i].handled);
	}
}

static void the_table_lists_nothing_else(void **state)
{
	unsigned listed = 0;

	(void)state;
	for (uint32_t number = 0; number <= UINT16_MAX; number++) {
		const struct option_info *info = option_find((uint16_t)number);

		if (!info)
			continue;
		listed++;
		assert_int_equal(info->number, number);
		/* Safe-to-forward options need no understanding. */
		assert_true(!info->handled || option_is_unsafe((uint16_t)number));
	}
	assert_int_equal(listed, sizeof rows / sizeof rows[0]);
}

static const struct {
	size_t len;
	const char *bytes;
	bool ok;
	uint32_t value;
} uints[] = {
	{ 0, "", true, 0 },
	{ 1, "\x00", true, 0 },
	{ 1, "\xff", true, 255 },
	{ 2, "\x16\x33", true, 5683 },
	{ 3, "\x01\x00\x00", true, 65536 },
	{ 4, "\xff\xff\xff\xff", true, UINT32_MAX },
	{ 4, "\x00\x00\x00\x3c", true, 60 },
	{ 5, "\x00\x00\x00\x00\x01", false, 77 },
	{ 8, "\xff\xff\xff\xff\xff\xff\xff\xff", false, 77 },
};

static void numbers_are_big_endian(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
		uint32_t value = 77;

		assert_int_equal(option_uint(bytes_of(uints[i].bytes, uints[i].len), &value), uints[i].ok);
		assert_int_equal(value, uints[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_says_how_it_is),
		cmocka_unit_test(the_table_is_the_registry),
		cmocka_unit_test(the_table_lists_nothing_else),
		cmocka_unit_test(numbers_are_big_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

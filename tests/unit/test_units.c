#include "units.h"
#include "base/tstamp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const struct unit *units;
		const char *text;
		bool good;
		uint64_t value; /* count times factor */
	} rows[] = {
		{ units_duration, "500ms", true, 500 * TSTAMP_MS },
		{ units_duration, "2s", true, 2 * TSTAMP_S },
		{ units_duration, "10min", true, 10 * TSTAMP_MIN },
		{ units_duration, "1h", true, TSTAMP_HOUR },
		{ units_duration, "7d", true, 7 * TSTAMP_DAY },
		{ units_duration, "007d", true, 7 * TSTAMP_DAY },
		{ units_duration, "2", false, 0 },
		{ units_duration, "2 s", false, 0 },
		{ units_duration, "2m", false, 0 },
		{ units_duration, "2sec", false, 0 },
		{ units_duration, "S", false, 0 },
		{ units_duration, "-2s", false, 0 },
		{ units_duration, "+2s", false, 0 },
		{ units_duration, "1.5s", false, 0 },
		{ units_duration, "0x2s", false, 0 },
		{ units_duration, "", false, 0 },
		{ units_duration, "213503d", true, 213503 * TSTAMP_DAY },
		{ units_duration, "213504d", false, 0 }, /* over 64 bits of nanoseconds */
		{ units_size, "1280B", true, 1280 },
		{ units_size, "24MiB", true, 24 << 20 },
		{ units_size, "4KB", false, 0 },
		{ units_size, "4kib", false, 0 },
		{ units_size, "17592186044415MiB", true, 17592186044415ULL << 20 },
		{ units_size, "17592186044416MiB", false, 0 },
		{ units_percent, "80%", true, 80 },
		{ units_percent, "80", false, 0 },
		{ units_plain, "64", true, 64 },
		{ units_plain, "64B", false, 0 },
		{ units_plain, "9999999999999999999", true, 9999999999999999999ULL },
		{ units_plain, "10000000000000000000", false, 0 },
		{ units_per_day, "600/day", true, 600 },
		{ units_per_day, "600/h", false, 0 },
		{ units_per_time, "6/min", true, 6 * TSTAMP_MIN },
		{ units_per_time, "10/fortnight", false, 0 },
		{ units_bits, "10kbit/s", true, 10000 },
		{ units_bits, "10kbit", false, 0 },
		{ units_bits, "1Mbit/s", true, 1000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct unit *unit = NULL;
		uint64_t count = 0;

		if (units_parse(rows[i].units, rows[i].text, &count, &unit) != rows[i].good)
			fail_msg("\"%s\" should be %s", rows[i].text, rows[i].good ? "good" : "bad");
		if (rows[i].good)
			assert_int_equal(count * unit->factor, rows[i].value);
	}
}

static void test_print(void **state)
{
	static const struct {
		const struct unit *units;
		uint64_t value;
		const char *text;
	} rows[] = {
		{ units_duration, 0, "0ms" },
		{ units_duration, 1500 * TSTAMP_MS, "1500ms" },
		{ units_duration, 90 * TSTAMP_S, "90s" },
		{ units_duration, 60 * TSTAMP_S, "1min" },
		{ units_duration, 36 * TSTAMP_HOUR, "36h" },
		{ units_duration, 48 * TSTAMP_HOUR, "2d" },
		{ units_size, 1280, "1280B" },
		{ units_size, 2048, "2KiB" },
		{ units_bits, 12500, "12500bit/s" },
		{ units_bits, 250000, "250kbit/s" },
		{ units_percent, 5, "5%" },
		{ units_plain, 0, "0" },
	};
	char text[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(units_print(rows[i].units, rows[i].value, text), rows[i].text);
}

/* What is printed is read back as the same value. */
static void test_round_trip(void **state)
{
	static const struct {
		const struct unit *units;
		uint64_t grain; /* the smallest unit */
	} kinds[] = {
		{ units_duration, TSTAMP_MS }, { units_size, 1 }, { units_bits, 1 }, { units_plain, 1 },
		{ units_percent, 1 },
	};
	uint64_t seed = 1;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		size_t kind = n % (sizeof kinds / sizeof *kinds);
		const struct unit *unit;
		char text[UNITS_TEXT];
		uint64_t value, count;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		value = (seed >> (24 + n % 40)) * kinds[kind].grain;
		units_print(kinds[kind].units, value, text);
		assert_true(units_parse(kinds[kind].units, text, &count, &unit));
		assert_int_equal(count * unit->factor, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

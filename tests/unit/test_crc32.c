#include "crc32.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The check value of every catalogue, and sums in pieces. */
static void test_known(void **state)
{
	const char *digits = "123456789";

	(void)state;
	assert_int_equal(crc32_of(0, "", 0), 0);
	assert_int_equal(crc32_of(0, digits, 9), 0xcbf43926);
	assert_int_equal(crc32_of(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
	for (size_t i = 0; i <= 9; i++)
		assert_int_equal(crc32_of(crc32_of(0, digits, i), digits + i, 9 - i), 0xcbf43926);
}

static void test_every_change(void **state)
{
	char text[64] = "server 0 lamp\nclient 0 9a07 4f1c 17 ffff\n";
	uint32_t whole = crc32_of(0, text, sizeof text);

	(void)state;
	for (unsigned i = 0; i < sizeof text; i++) {
		for (unsigned change = 1; change < 256; change++) {
			text[i] = (char)(text[i] ^ (char)change);
			assert_int_not_equal(crc32_of(0, text, sizeof text), whole);
			text[i] = (char)(text[i] ^ (char)change);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_every_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

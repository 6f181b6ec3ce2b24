#include "coap/block.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_values(void **state)
{
	/* RFC 7959 §2.2 and the figures of §3: NUM/M/SZX */
	static const struct {
		uint8_t len, value[4];
		bool good;
		struct block block;
	} rows[] = {
		{ 0, { 0 }, true, { 0, 0, false } },
		{ 1, { 0x00 }, true, { 0, 0, false } },
		{ 1, { 0x0e }, true, { 0, 6, true } },
		{ 1, { 0x16 }, true, { 1, 6, false } },
		{ 1, { 0xfa }, true, { 15, 2, true } },
		{ 2, { 0x01, 0x0a }, true, { 16, 2, true } },
		{ 2, { 0x00, 0x0e }, true, { 0, 6, true } }, /* leading zeros */
		{ 3, { 0xff, 0xff, 0xfe }, true, { 0xfffff, 6, true } },
		{ 1, { 0x07 }, false, { 0, 0, false } }, /* reserved */
		{ 3, { 0xff, 0xff, 0xff }, false, { 0, 0, false } },
		{ 4, { 0x00, 0x00, 0x00, 0x0e }, false, { 0, 0, false } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct block b;

		assert_int_equal(block_parse(bytes_of(rows[i].value, rows[i].len), &b), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(b.num, rows[i].block.num);
		assert_int_equal(b.szx, rows[i].block.szx);
		assert_int_equal(b.more, rows[i].block.more);
	}
}

static void test_value_comes_back(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 1u << 24; n += 37) {
		uint8_t value[3] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
		struct block b;

		if (block_parse(bytes_of(value, 3), &b))
			assert_int_equal(block_value(b), n);
		else
			assert_int_equal(n & 7, 7);
	}
}

static void test_offsets(void **state)
{
	struct block b;

	(void)state;
	for (uint8_t szx = 0; szx <= BLOCK_SZX_MAX; szx++) {
		assert_int_equal(block_size(szx), 16 << szx);
		assert_true(block_at(block_size(szx) * 5, szx, true, &b));
		assert_int_equal(b.num, 5);
		assert_int_equal(block_offset(b), block_size(szx) * 5);
		assert_false(block_at(block_size(szx) << 20, szx, false, &b));
	}
	assert_true(block_at((1u << 24) - 16, 0, false, &b));
	assert_int_equal(b.num, BLOCK_NUM_MAX);
}

static void test_sizes(void **state)
{
	static const struct {
		uint32_t size;
		uint8_t szx;
	} rows[] = { { 16, 0 }, { 31, 0 }, { 32, 1 }, { 64, 2 }, { 100, 2 }, { 1023, 5 }, { 1024, 6 }, { 9000, 6 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(block_szx(rows[i].size), rows[i].szx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_value_comes_back),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

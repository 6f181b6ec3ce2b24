/* hkdf: RFC 5869 appendix A.1 to A.3, the keys of RFC 8613 appendix C, and rows computed with another library. */
#include "crypto/hkdf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "msgtext.h"
#include "vectors.h"

static struct bytes unhex(const char *text, uint8_t *out, size_t cap)
{
	return bytes_of(out, msgtext_unhex(text, strlen(text), out, cap));
}

#define B22 "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"

static void test_rows(void **state)
{
	static const struct {
		enum hkdf_hash hash;
		const char *secret, *salt, *info, *okm;
	} rows[] = {
		{ HKDF_SHA_256, B22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		  "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
		{ HKDF_SHA_256,
		  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031"
		  "323334353637"
		  "38393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		  "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f9091"
		  "929394959697"
		  "98999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		  "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1"
		  "e2e3e4e5e6e7"
		  "e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		  "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da32"
		  "75600c2f09b8"
		  "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
		{ HKDF_SHA_256, B22, "", "",
		  "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
		/* not of the RFC: HMAC-SHA-512 by hand, in Python */
		{ HKDF_SHA_512, B22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		  "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb" },
		{ HKDF_SHA_512, B22, "", "",
		  "f5fa02b18298a72a8c23898a8703472c6eb179dc204c03425c970e3b164bf90fff22d04836d0e2343bac" },
		{ HKDF_SHA_512, "0102030405060708090a0b0c0d0e0f10", "9e7ca92223786340", "854101f60a634b657910",
		  "bbaf9de7b437dd1800d923bb1c0262a7" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t secret[80], salt[80], info[80], expected[82], out[83];
		struct bytes okm = unhex(rows[i].okm, expected, sizeof expected);

		out[okm.len] = 0x5a;
		assert_true(hkdf_derive(rows[i].hash, unhex(rows[i].secret, secret, 80), unhex(rows[i].salt, salt, 80),
					unhex(rows[i].info, info, 80), out, okm.len));
		if (!bytes_equal(bytes_of(out, okm.len), okm))
			fail_msg("row %zu", i);
		assert_int_equal(out[okm.len], 0x5a);
	}
}

/* 255 hashes are the most (RFC 5869 §2.3). The ends were computed in Python. */
static void test_length(void **state)
{
	static const struct {
		enum hkdf_hash hash;
		size_t len;
		const char *end;
	} rows[] = {
		{ HKDF_SHA_256, 255 * 32, "cf20fcc51711744feb0631bc65c26161" },
		{ HKDF_SHA_512, 255 * 64, "dc3b7ab6a5eb8ef9a4e738c6ccea84d6" },
	};
	uint8_t secret[22], salt[13], end[16], *out = malloc(255 * 64 + 1);
	struct bytes ikm = unhex(B22, secret, sizeof secret);

	(void)state;
	unhex("000102030405060708090a0b0c", salt, sizeof salt);
	for (size_t i = 0; i < 2; i++) {
		assert_true(hkdf_derive(rows[i].hash, ikm, bytes_of(salt, 13), bytes_of(NULL, 0), out, rows[i].len));
		assert_true(bytes_equal(bytes_of(out + rows[i].len - 16, 16), unhex(rows[i].end, end, sizeof end)));
		assert_false(
			hkdf_derive(rows[i].hash, ikm, bytes_of(salt, 13), bytes_of(NULL, 0), out, rows[i].len + 1));
	}
	free(out);
}

/* The contexts of RFC 8613 C.1 to C.3: both keys and the Common IV. */
static void test_oscore_keys(void **state)
{
	static const char *const names[] = { "C.1.1", "C.1.2", "C.2.1", "C.2.2", "C.3.1", "C.3.2" };
	static const struct {
		const char *info, *key;
	} keys[] = {
		{ "info (for Sender Key)", "Sender Key" },
		{ "info (for Recipient Key)", "Recipient Key" },
		{ "info (for Common IV)", "Common IV" },
	};
	char *json = vectors_load("rfc8613_appendix_c.json");
	const char *vectors = vectors_member(json, "vectors");

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t k = 0; k < 3; k++) {
			const char *c = vectors_member(vectors, names[i]);
			uint8_t secret[32], salt[32], info[32], key[32], out[32];
			struct bytes expected = vectors_bytes(c, keys[k].key, key, sizeof key);

			assert_true(expected.len == 16 || expected.len == 13);
			assert_true(hkdf_derive(HKDF_SHA_256, vectors_bytes(c, "Master Secret", secret, sizeof secret),
						vectors_bytes(c, "Master Salt", salt, sizeof salt),
						vectors_bytes(c, keys[k].info, info, sizeof info), out, expected.len));
			if (!bytes_equal(bytes_of(out, expected.len), expected))
				fail_msg("%s: %s", names[i], keys[k].key);
		}
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_oscore_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

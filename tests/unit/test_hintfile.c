/* hintfile: what is written is read; whatever is cut, changed, swapped or grown is refused, also with a good checksum. */
#include "hintfile.h"
#include "crc32.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT_MAX (HINTFILE_CLIENTS * 256)

static const struct hintfile_head plain_head = { .saved = 1763781000,
						 .key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 },
						 .servers = { [0] = "lamp", [3] = "a.long_server-name-0123456789ab" } };

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static struct guard_hint random_hint(uint64_t *seed)
{
	uint64_t dice = next_random(seed);
	struct guard_hint h = {
		.relation = next_random(seed) | 1,
		.endpoint = next_random(seed) | 2,
		.highest = next_random(seed) >> (24 + (dice & 31)),
		.seen = next_random(seed) | 1,
		.idle = (next_random(seed) & 0xfffff) * TSTAMP_S,
		.address.port = (uint16_t)(dice >> 32),
		.server = dice & 32 ? 0 : 3,
		.kid_len = (uint8_t)(dice & 64 ? dice >> 8 & 7 : dice >> 8),
	};

	memcpy(h.address.ip, dice & 128 ? "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2" : " \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0",
	       15);
	h.address.ip[15] = (uint8_t)(dice >> 48);
	for (unsigned i = 0; i < RELATION_KID && i < h.kid_len; i++)
		h.kid[i] = (uint8_t)next_random(seed);
	return h;
}

/* The text of n random clients; the caller frees it. */
static char *write_text(unsigned n, uint64_t seed, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	struct hintfile h;

	assert_non_null(f);
	hintfile_begin(&h, f, &plain_head);
	for (unsigned i = 0; i < n; i++) {
		struct guard_hint hint = random_hint(&seed);

		hintfile_put(&h, &hint);
	}
	hintfile_end(&h);
	assert_int_equal(fclose(f), 0);
	return text;
}

struct heard {
	unsigned n;
	uint64_t seed;
};

static void hear(void *arg, const struct hintfile_head *head, const struct guard_hint *hint)
{
	struct heard *h = arg;
	struct guard_hint same = random_hint(&h->seed);

	assert_memory_equal(head, &plain_head, sizeof *head);
	assert_int_equal(hint->relation, same.relation);
	assert_int_equal(hint->endpoint, same.endpoint);
	assert_int_equal(hint->highest, same.highest);
	assert_int_equal(hint->seen, same.seen);
	assert_int_equal(hint->idle, same.idle);
	assert_int_equal(hint->server, same.server);
	assert_int_equal(hint->kid_len, same.kid_len);
	assert_memory_equal(hint->kid, same.kid, RELATION_KID);
	assert_true(addr_equal(&hint->address, &same.address));
	h->n++;
}

static const char *read_text(const char *text, size_t len,
			     void (*client)(void *, const struct hintfile_head *, const struct guard_hint *), void *arg)
{
	FILE *f = len ? fmemopen((void *)(uintptr_t)text, len, "r") : fopen("/dev/null", "r");
	struct hintfile_head head;
	const char *wrong;

	assert_non_null(f);
	wrong = hintfile_read(f, &head, client, arg);
	fclose(f);
	return wrong;
}

static void test_round_trip(void **state)
{
	static const unsigned counts[] = { 0, 1, 2, 100, HINTFILE_CLIENTS };

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		size_t len = 0;
		char *text = write_text(counts[i], i, &len);
		struct heard heard = { .seed = i };
		const char *wrong = read_text(text, len, hear, &heard);

		if (wrong)
			fail_msg("%u clients: %s", counts[i], wrong);
		assert_int_equal(heard.n, counts[i]);
		assert_null(read_text(text, len, NULL, NULL));
		free(text);
	}
}

static void test_as_documented(void **state)
{
	static const char expected[] =
		"coap-guard-hints 1\n"
		"saved 1763781000\n"
		"key 07060504030201000f0e0d0c0b0a0908\n"
		"server 0 lamp\n"
		"server 3 a.long_server-name-0123456789ab\n"
		"client 3 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 [2001:db8::1]:40001\n"
		"client 0 0000000000000001 0000000000000002 0 1 0 0 - 192.0.2.1:5683\n"
		"client 0 0000000000000001 0000000000000002 1099511627775 ffffffffffffffff 0 255 "
		"010203040506 192.0.2.1:5683\n";
	struct guard_hint hints[3] = { { .relation = 0x9a07000000000001,
					 .endpoint = 0x4f1c000000000002,
					 .highest = 17,
					 .seen = 0xffff,
					 .idle = 42 * TSTAMP_S + 5,
					 .server = 3,
					 .kid_len = 1,
					 .kid = { 7 } },
				       { .relation = 1, .endpoint = 2, .seen = 1 },
				       { .relation = 1,
					 .endpoint = 2,
					 .highest = OSCORE_PIV_MAX,
					 .seen = UINT64_MAX,
					 .kid_len = 255,
					 .kid = { 1, 2, 3, 4, 5, 6 } } };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct hintfile h;

	(void)state;
	addr_parse(&hints[0].address, "[2001:db8::1]:40001", 0);
	addr_parse(&hints[1].address, "192.0.2.1:5683", 0);
	hints[2].address = hints[1].address;
	hintfile_begin(&h, f, &plain_head);
	for (unsigned i = 0; i < 3; i++)
		hintfile_put(&h, &hints[i]);
	hintfile_end(&h);
	fclose(f);
	assert_int_equal(len, strlen(expected) + 13);
	assert_memory_equal(text, expected, strlen(expected));
	assert_null(read_text(text, len, NULL, NULL));
	free(text);
}

static void test_more_than_fits(void **state)
{
	size_t len = 0;
	char *text = write_text(HINTFILE_CLIENTS + 100, 1, &len), *again;
	struct heard heard = { .seed = 1 };

	(void)state;
	assert_null(read_text(text, len, hear, &heard));
	assert_int_equal(heard.n, HINTFILE_CLIENTS);
	assert_true(len <= TEXT_MAX);
	/* one more, with a good checksum */
	again = malloc(len + 256);
	len -= 13;
	memcpy(again, text, len);
	len += (size_t)sprintf(again + len, "client 0 0000000000000001 0000000000000002 0 1 0 0 - 192.0.2.1:5683\n");
	len += (size_t)sprintf(again + len, "end %08" PRIx32 "\n", crc32_of(0, again, len));
	assert_string_equal(read_text(again, len, NULL, NULL), "too many clients");
	free(again);
	free(text);
}

static void test_every_truncation(void **state)
{
	size_t len = 0;
	char *text = write_text(20, 2, &len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		if (!read_text(text, cut, NULL, NULL))
			fail_msg("cut to %zu of %zu bytes", cut, len);
	free(text);
}

static void test_every_byte(void **state)
{
	size_t len = 0;
	char *text = write_text(4, 3, &len);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		for (unsigned value = 0; value < 256; value++) {
			text[i] = (char)value;
			if ((char)value != was && !read_text(text, len, NULL, NULL))
				fail_msg("byte %zu of %zu is %02x", i, len, value);
		}
		text[i] = was;
	}
	free(text);
}

/* With a checksum that fits: only what would be written so is taken. */
static const char *read_signed(const char *body)
{
	char text[4096];
	int len = snprintf(text, sizeof text, "%s", body);

	len += sprintf(text + len, "end %08" PRIx32 "\n", crc32_of(0, text, (size_t)len));
	return read_text(text, (size_t)len, NULL, NULL);
}

#define TOP      "coap-guard-hints 1\nsaved 1763781000\nkey 07060504030201000f0e0d0c0b0a0908\n"
#define ADDRESS  "[2001:db8::1]:40001\n"
#define CLIENT   "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 " ADDRESS
#define LAMP     "server 0 lamp\n"
#define BAD_ROWS (sizeof rows / sizeof *rows)

static void test_strict(void **state)
{
	static const struct {
		const char *body, *wrong;
	} rows[] = {
		{ TOP, NULL },
		{ TOP LAMP CLIENT CLIENT, NULL }, /* the later one counts */
		{ "", "not such a file" },
		{ "coap-guard-hints 2\n", "of an unknown version" },
		{ "coap-guard-context 1\n", "not such a file" },
		{ "coap-guard-hints 1\nsaved 1763781000\n", "damaged: its head" },
		{ "coap-guard-hints 1\nsaved -1\nkey 07060504030201000f0e0d0c0b0a0908\n", "damaged: its head" },
		{ "coap-guard-hints 1\nsaved 01\nkey 07060504030201000f0e0d0c0b0a0908\n", "damaged: its head" },
		{ "coap-guard-hints 1\nsaved 99999999999999\nkey 07060504030201000f0e0d0c0b0a0908\n",
		  "damaged: its head" },
		{ "coap-guard-hints 1\nsaved 1\nkey 07060504030201000F0e0d0c0b0a0908\n", "damaged: its head" },
		{ "coap-guard-hints 1\nsaved 1\nkey 07060504030201000f0e0d0c0b0a09\n", "damaged: its head" },
		{ TOP "server 64 lamp\n", "damaged: a server" },
		{ TOP "server -1 lamp\n", "damaged: a server" },
		{ TOP "server 00 lamp\n", "damaged: a server" },
		{ TOP "server 0  lamp\n", "damaged: a server" },
		{ TOP "server 0 la/mp\n", "damaged: a server" },
		{ TOP "server 0 ..\n", "damaged: a server" },
		{ TOP "server 0 a0123456789012345678901234567890\n", "damaged: a server" },
		{ TOP "server 0 \n", "damaged: a server" },
		{ TOP LAMP LAMP, "damaged: a server" },
		{ TOP LAMP "server 1 lamp\n", "damaged: a server" },
		{ TOP "server 1 fan\n" LAMP, "damaged: a server" },
		{ TOP CLIENT, "damaged: a client" },
		{ TOP CLIENT LAMP, "damaged: a client" },
		{ TOP LAMP CLIENT "server 1 fan\n", "damaged: cut off or bad checksum" },
		{ TOP LAMP "client 1 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 99 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 0000000000000000 4f1c000000000002 17 ffff 42 1 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 0000000000000000 17 ffff 42 1 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 1099511627776 ffff 42 1 07 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 -17 ffff 42 1 07 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 fffe 42 1 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 0 42 1 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 999999999 1 07 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 256 070707070707 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 0707 " ADDRESS,
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 2 07 " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 - " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 xx " ADDRESS, "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 [2001:db8:0::1]:40001\n",
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 nowhere\n",
		  "damaged: a client" },
		{ TOP LAMP "client 0 9a07000000000001 4f1c000000000002 17 ffff 42 1 07 [2001:db8::1]:40001 \n",
		  "damaged: a client" },
		{ TOP LAMP CLIENT "\n", "damaged: cut off or bad checksum" },
		{ TOP LAMP "Client\n", "damaged: cut off or bad checksum" },
	};

	(void)state;
	for (size_t i = 0; i < BAD_ROWS; i++) {
		const char *wrong = read_signed(rows[i].body);

		if ((wrong && !rows[i].wrong) || (!wrong && rows[i].wrong) ||
		    (wrong && strcmp(wrong, rows[i].wrong) != 0))
			fail_msg("row %zu: %s", i, wrong ? wrong : "taken");
	}
	assert_string_equal(read_text("", 0, NULL, NULL), "empty, or cut off");
}

static void test_more_behind_its_end(void **state)
{
	size_t len = 0;
	char *text = write_text(2, 4, &len), *twice = malloc(2 * len);

	(void)state;
	memcpy(twice, text, len);
	memcpy(twice + len, text, len);
	for (size_t more = 1; more <= len; more++)
		assert_string_equal(read_text(twice, len + more, NULL, NULL), "damaged: more behind its end");
	free(twice);
	free(text);
}

/* Blind changes under a good checksum: no crash, and what is taken is a file as it would be written. */
static void test_random_changes(void **state)
{
	uint64_t seed = 99;
	unsigned taken = 0;

	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		char body[1024] = TOP LAMP CLIENT CLIENT;

		for (unsigned i = 0; i <= run % 3; i++)
			body[next_random(&seed) % strlen(body)] =
				(char)(next_random(&seed) & 3 ? "0123456789abcdef \n-:[]"[next_random(&seed) % 22]
							      : (int)(next_random(&seed) & 0xff));
		taken += read_signed(body) == NULL;
	}
	assert_true(taken > 100 && taken < 19000); /* digits may change, most else may not */
}

static void drop(void *arg, const struct hintfile_head *head, const struct guard_hint *hint)
{
	(void)head;
	(void)hint;
	++*(unsigned *)arg;
}

/* Lines without end, and zeros. */
static void test_rubbish(void **state)
{
	char *zeros = calloc(1, 1 << 20);
	unsigned n = 0;

	(void)state;
	assert_non_null(read_text(zeros, 1 << 20, drop, &n));
	memset(zeros, 'c', 1 << 20);
	assert_non_null(read_text(zeros, 1 << 20, drop, &n));
	memset(zeros, '\n', 1 << 20);
	assert_non_null(read_text(zeros, 1 << 20, drop, &n));
	assert_int_equal(n, 0);
	free(zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_as_documented),
		cmocka_unit_test(test_more_than_fits),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_more_behind_its_end),
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

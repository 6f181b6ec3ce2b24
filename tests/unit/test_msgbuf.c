#include "coap/msgbuf.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>

static uint64_t seed = 6;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

static struct bytes unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[2 * n]; n++) {
		char two[3] = { hex[2 * n], hex[2 * n + 1], '\0' };

		out[n] = (uint8_t)strtoul(two, NULL, 16);
	}
	return bytes_of(out, n);
}

/* rfc7252_messages.json, appendix_A and proxy_forms_own, verbatim: what must come out. */
static const struct {
	const char *wire;
	uint8_t type, code;
	uint16_t mid;
	const char *token;
	struct {
		uint16_t number;
		const char *value;
	} options[4];
	const char *payload;
} rows[] = {
	{ "40017d34bb74656d7065726174757265", MSG_CON, MSG_GET, 0x7d34, "", { { 11, "temperature" } }, "" },
	{ "60457d34ff32322e332043", MSG_ACK, MSG_CONTENT, 0x7d34, "", { { 0 } }, "22.3 C" },
	{ "41017d3520bb74656d7065726174757265", MSG_CON, MSG_GET, 0x7d35, " ", { { 11, "temperature" } }, "" },
	{ "60007d38", MSG_ACK, MSG_EMPTY, 0x7d38, "", { { 0 } }, "" },
	{ "4145ad7b53ff32322e332043", MSG_CON, MSG_CONTENT, 0xad7b, "S", { { 0 } }, "22.3 C" },
	{ "7000ad7c", MSG_RESET, MSG_EMPTY, 0xad7c, "", { { 0 } }, "" },
	{ "5145ad7d75ff32322e332043", MSG_NON, MSG_CONTENT, 0xad7d, "u", { { 0 } }, "22.3 C" },
	{ "5184952a86", MSG_NON, MSG_NOT_FOUND, 0x952a, "\x86", { { 0 } }, "" },
	{ "4101000101dd160b636f61703a2f2f6578616d706c652e6e65742f743f783d31",
	  MSG_CON,
	  MSG_GET,
	  1,
	  "\1",
	  { { 35, "coap://example.net/t?x=1" } },
	  "" },
	{ "41010001013b6578616d706c652e6e6574817443783d31d40b636f6170",
	  MSG_CON,
	  MSG_GET,
	  1,
	  "\1",
	  { { 3, "example.net" }, { 11, "t" }, { 15, "x=1" }, { 39, "coap" } },
	  "" },
	{ "4101000302b174d40f636f6170e1fcb67a",
	  MSG_CON,
	  MSG_GET,
	  3,
	  "\2",
	  { { 11, "t" }, { 39, "coap" }, { 65002, "z" } },
	  "" },
};

static struct bytes write_row(size_t i, struct msgbuf *b, uint8_t *buf, size_t cap)
{
	msgbuf_begin(b, buf, cap, rows[i].type, rows[i].code, rows[i].mid, text(rows[i].token));
	for (size_t j = 0; j < 4 && rows[i].options[j].number; j++)
		msgbuf_option(b, rows[i].options[j].number, text(rows[i].options[j].value));
	msgbuf_payload(b, text(rows[i].payload));
	return msgbuf_end(b);
}

static void writes_the_figures(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t wanted[64], buf[64];
		struct msgbuf b;

		assert_true(bytes_equal(write_row(i, &b, buf, sizeof buf), unhex(rows[i].wire, wanted)));
	}
}

/* With one byte less than needed the end fails, and no byte behind the buffer is touched. */
static void keeps_inside_its_buffer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t wanted[64];
		size_t len = unhex(rows[i].wire, wanted).len;

		for (size_t cap = 0; cap <= len; cap++) {
			uint8_t buf[64];
			struct msgbuf b;

			memset(buf, 0xee, sizeof buf);
			assert_int_equal(write_row(i, &b, buf, cap).len, cap == len ? len : 0);
			for (size_t j = cap; j < sizeof buf; j++)
				assert_int_equal(buf[j], 0xee);
		}
	}
}

/* rfc7252_messages.json, rfc8974_tkl, verbatim. */
static const struct {
	size_t len;
	const char *tkl, *ext;
} tokens[] = {
	{ 0, "40", "" },    { 8, "48", "" },     { 9, "49", "" },       { 12, "4c", "" },        { 13, "4d", "00" },
	{ 32, "4d", "13" }, { 268, "4d", "ff" }, { 269, "4e", "0000" }, { 65804, "4e", "ffff" },
};

static void writes_long_tokens(void **state)
{
	static uint8_t token[65805], buf[66000];
	struct msgbuf b;

	(void)state;
	memset(token, 0x5a, sizeof token);
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		uint8_t head[4] = { 0, MSG_GET, 0xab, 0xcd }, ext_buf[2];
		struct bytes ext = unhex(tokens[i].ext, ext_buf), end;
		struct msg m;

		unhex(tokens[i].tkl, head);
		msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 0xabcd, bytes_of(token, tokens[i].len));
		end = msgbuf_end(&b);
		assert_int_equal(end.len, 4 + ext.len + tokens[i].len);
		assert_memory_equal(buf, head, 4);
		assert_true(bytes_equal(bytes_of(buf + 4, ext.len), ext));
		assert_int_equal(msg_parse(&m, end), MSG_OK);
		assert_true(bytes_equal(m.token, bytes_of(token, tokens[i].len)));
		msgbuf_begin(&b, buf, end.len - 1, MSG_CON, MSG_GET, 0xabcd, bytes_of(token, tokens[i].len));
		assert_int_equal(msgbuf_end(&b).len, 0);
	}
	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, bytes_of(token, 65805));
	assert_int_equal(msgbuf_end(&b).len, 0);
}

/* Every length and delta at which the form of an option header changes. */
static void writes_every_form_of_option(void **state)
{
	static const uint16_t deltas[] = { 0, 1, 12, 13, 14, 268, 269, 270, 524, 525, 65534, 65535 };
	static const size_t lengths[] = { 0, 1, 12, 13, 14, 268, 269, 270, 524, 525, 1034, 65803, 65804 };
	static uint8_t value[65805], buf[66000];
	struct msgbuf b;

	(void)state;
	memset(value, 0x77, sizeof value);
	for (size_t i = 0; i < sizeof deltas / sizeof deltas[0]; i++)
		for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++) {
			size_t len = lengths[j];
			size_t size = 1u + (deltas[i] > 12) + (deltas[i] > 268) + (len > 12) + (len > 268) + len;
			struct msg_option opt;
			struct msg m;

			msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
			msgbuf_option(&b, deltas[i], bytes_of(value, len));
			assert_int_equal(msgbuf_end(&b).len, 4 + size);
			assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
			assert_true(msg_find(&m, deltas[i], &opt));
			assert_true(bytes_equal(opt.value, bytes_of(value, len)));
			msgbuf_begin(&b, buf, 4 + size - 1, MSG_CON, MSG_GET, 1, text(""));
			msgbuf_option(&b, deltas[i], bytes_of(value, len));
			assert_int_equal(msgbuf_end(&b).len, 0);
		}
	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
	msgbuf_option(&b, 1, bytes_of(value, 65805));
	assert_int_equal(msgbuf_end(&b).len, 0);
}

static const struct {
	uint32_t value;
	size_t len;
	const char *bytes;
} uints[] = {
	{ 0, 0, "" },
	{ 1, 1, "\x01" },
	{ 255, 1, "\xff" },
	{ 256, 2, "\x01\x00" },
	{ 65535, 2, "\xff\xff" },
	{ 65536, 3, "\x01\x00\x00" },
	{ 0xffffff, 3, "\xff\xff\xff" },
	{ 0x1000000, 4, "\x01\x00\x00\x00" },
	{ UINT32_MAX, 4, "\xff\xff\xff\xff" },
};

static void writes_short_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
		struct msg_option opt;
		struct msgbuf b;
		uint8_t buf[16];
		struct msg m;

		msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
		msgbuf_option_uint(&b, 14, uints[i].value);
		assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
		assert_true(msg_find(&m, 14, &opt));
		assert_true(bytes_equal(opt.value, bytes_of(uints[i].bytes, uints[i].len)));
	}
}

/* The first wrong step decides, whatever follows. */
static void failure_sticks(void **state)
{
	struct msgbuf b;
	uint8_t buf[32];

	(void)state;
	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
	msgbuf_option(&b, 11, text("a"));
	msgbuf_option(&b, 11, text("b"));
	assert_int_equal(msgbuf_end(&b).len, 8);
	msgbuf_option(&b, 10, text("c"));
	assert_int_equal(msgbuf_end(&b).len, 0);
	msgbuf_option(&b, 12, text(""));
	msgbuf_payload(&b, text("x"));
	assert_int_equal(msgbuf_end(&b).len, 0);
	assert_true(b.failed);

	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
	msgbuf_payload(&b, text("x"));
	assert_int_equal(msgbuf_end(&b).len, 6);
	msgbuf_option(&b, 65535, text(""));
	assert_int_equal(msgbuf_end(&b).len, 0);

	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
	msgbuf_payload(&b, text("x"));
	msgbuf_payload(&b, text("y"));
	assert_int_equal(msgbuf_end(&b).len, 0);

	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_GET, 1, text(""));
	msgbuf_payload(&b, text(""));
	assert_int_equal(msgbuf_end(&b).len, 4);
}

#define MANY 12

static void reads_what_it_wrote(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t noise[700], buf[2048];
		struct bytes values[MANY], payload, token;
		uint32_t numbers[MANY], n = draw(MANY), at = 0;
		struct msg_option opt;
		struct msg_iter it;
		struct msgbuf b;
		struct msg m;

		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)draw(256);
		token = bytes_of(noise, draw(4) ? draw(9) : draw(300));
		payload = bytes_of(noise + 1, draw(2) ? 0 : draw(300));
		msgbuf_begin(&b, buf, sizeof buf, (uint8_t)draw(4), (uint8_t)(1 + draw(255)), (uint16_t)round, token);
		for (uint32_t i = 0; i < n; i++) {
			at += draw(3) ? draw(20) : draw(65536 / MANY);
			numbers[i] = at;
			values[i] = bytes_of(noise + draw(300), draw(10) ? draw(20) : draw(100));
			msgbuf_option(&b, (uint16_t)at, values[i]);
		}
		msgbuf_payload(&b, payload);
		assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
		assert_int_equal(m.mid, round & 0xffff);
		assert_int_equal(m.n_options, n);
		assert_true(bytes_equal(m.token, token));
		assert_true(bytes_equal(m.payload, payload));
		it = msg_options(&m);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(msg_next(&it, &opt));
			assert_int_equal(opt.number, numbers[i]);
			assert_true(bytes_equal(opt.value, values[i]));
		}
		assert_false(msg_next(&it, &opt));
	}
}

/* Options and payload of a message, behind another head. */
static void copies_the_rest(void **state)
{
	static const char *const rests[] = { "", " Uri-Path:a Uri-Path:b", " !x", " ETag=0102 65535=ff !payload" };

	(void)state;
	for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
		uint8_t in[128], out[128];
		char before[96], after[96], seen[MSGTEXT_MAX];
		struct msgbuf b;
		struct msg m;

		snprintf(before, sizeof before, "CON 0.01 7d34 #20%s", rests[i]);
		snprintf(after, sizeof after, "ACK 2.05 0001 #aabb%s", rests[i]);
		assert_int_equal(msg_parse(&m, msgtext_write(before, in, sizeof in)), MSG_OK);
		for (size_t cap = 0; cap <= sizeof out; cap++) {
			msgbuf_begin(&b, out, cap, MSG_ACK, MSG_CONTENT, 1, bytes_of("\xaa\xbb", 2));
			msgbuf_rest(&b, &m);
			if (msgbuf_end(&b).len)
				assert_string_equal(msgtext_format(msgbuf_end(&b), seen), after);
			assert_int_equal(msgbuf_end(&b).len == 0,
					 cap < 6 + m.options.len + (m.payload.len ? 1 : 0) + m.payload.len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_the_rest),
		cmocka_unit_test(writes_the_figures),
		cmocka_unit_test(keeps_inside_its_buffer),
		cmocka_unit_test(writes_long_tokens),
		cmocka_unit_test(writes_every_form_of_option),
		cmocka_unit_test(writes_short_numbers),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(reads_what_it_wrote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

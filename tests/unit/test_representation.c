/* representation: what is kept of a response, and what comes of it again, whole or in blocks. */
#include "proxy/representation.h"
#include "base/dgram.h"
#include "msgtext.h"
#include "coap/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])

static uint64_t seed = 7;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* A message and what is read of it. */
struct sheet {
	uint8_t buf[DGRAM_MAX], room[CACHE_OPTIONS];
	struct msg msg;
	struct representation r;
};

static bool take(struct sheet *s, const char *line)
{
	assert_int_equal(msg_parse(&s->msg, msgtext_write(line, s->buf, sizeof s->buf)), MSG_OK);
	return representation_read(&s->msg, s->room, &s->r);
}

/* What a 2.03 says of what is kept: ETag, Max-Age, Content-Format and options. */
static void test_read_valid(void **state)
{
	static const struct {
		const char *said, *etag, *options;
		uint32_t max_age, format;
	} rows[] = {
		{ "", NULL, "", 0, 0 },
		{ "Max-Age=05 65004=7a", NULL, "", 0, 0 },
		{ "ETag=aa OSCORE= 65004=7a", NULL, "", 0, 0 },
		{ "ETag=aa", "aa", "", 60, CACHE_ANY },
		{ "ETag=aa Content-Format=32 Max-Age=012c", "aa", "Content-Format=32", 300, 50 },
		{ "ETag=010203040506070809 65004=7a", "010203040506070809", "65004=7a", 60, CACHE_ANY },
		{ "ETag=aa ETag=bb 65004=7a 65004=7b", "aa", "65004=7a 65004=7b", 60, CACHE_ANY },
		{ "If-Match=01 ETag=aa Observe=05 Max-Age= Block2=08 Block1=08 Size2=20 65004=7a", "aa",
		  "If-Match=01 65004=7a", 0, CACHE_ANY },
		{ "ETag=aa Size1=20 Echo=0102030405 65000= 65005=01 65006=01", "aa", "Size1=20 65000= 65005=01", 60,
		  CACHE_ANY },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		uint8_t buf[DGRAM_MAX], room[DGRAM_MAX], wanted[DGRAM_MAX], etag[16];
		struct cache_head head;
		struct msg m, w;
		char line[300];

		snprintf(line, sizeof line, "ACK 2.03 0001 # %s", rows[i].said);
		assert_int_equal(msg_parse(&m, msgtext_write(line, buf, sizeof buf)), MSG_OK);
		snprintf(line, sizeof line, "ACK 2.03 0001 # %s", rows[i].options);
		assert_int_equal(msg_parse(&w, msgtext_write(line, wanted, sizeof wanted)), MSG_OK);
		assert_int_equal(representation_read_valid(&m, room, &head), rows[i].etag != NULL);
		if (!rows[i].etag)
			continue;
		assert_true(bytes_equal(head.etag, bytes_of(etag, msgtext_unhex(rows[i].etag, strlen(rows[i].etag),
										etag, sizeof etag))));
		assert_true(bytes_equal(head.options, w.options));
		assert_int_equal(head.max_age, rows[i].max_age);
		assert_int_equal(head.content_format, rows[i].format);
	}
}

/* r in a message that says nothing else, as text. */
static const char *told(const struct representation *r, const struct block *ask, uint32_t observe, uint32_t max_age)
{
	static char text[MSGTEXT_MAX];
	uint8_t buf[DGRAM_MAX];
	struct msgbuf b;

	msgbuf_begin(&b, buf, sizeof buf, MSG_NON, r->head.code, 0, bytes_of(NULL, 0));
	representation_write(r, ask, observe, max_age, &b);
	assert_true(msgbuf_end(&b).len > 0);
	return msgtext_format(msgbuf_end(&b), text);
}

static void test_read(void **state)
{
	static const struct {
		const char *line;
		uint32_t max_age, format;
		const char *etag, *again; /* as it is told with Max-Age 7, unobserved */
		size_t offset;
		bool more;
	} rows[] = {
		{ "ACK 2.05 0001 #01 !x", 60, CACHE_ANY, "", "NON 2.05 0000 # Max-Age=07 !x", 0, false },
		{ "ACK 4.04 0001 #01", 60, CACHE_ANY, "", "NON 4.04 0000 # Max-Age=07", 0, false },
		{ "ACK 2.05 0001 # ETag=0102030405060708 Max-Age= !x", 0, CACHE_ANY, "0102030405060708",
		  "NON 2.05 0000 # ETag=0102030405060708 Max-Age=07 !x", 0, false },
		{ "ACK 2.05 0001 # Max-Age=ffffffff !x", 0xffffffff, CACHE_ANY, "", "NON 2.05 0000 # Max-Age=07 !x", 0,
		  false },
		{ "ACK 2.05 0001 # Content-Format= !x", 60, 0, "", "NON 2.05 0000 # Content-Format= Max-Age=07 !x", 0,
		  false },
		/* who is told, and when, is not of the representation; the rest is passed on, known or not */
		{ "ACK 2.05 0001 # Observe=0102 Location-Path:a Content-Format=3c Location-Query:b Size2=0400 65001=7a "
		  "!x",
		  60, 60, "",
		  "NON 2.05 0000 # Location-Path:a Content-Format=3c Max-Age=07 Location-Query:b 65001=7a !x", 0,
		  false },
		{ "ACK 2.05 0001 # Block2=04 Block1=08 !0123456789abcdef", 60, CACHE_ANY, "",
		  "NON 2.05 0000 # Max-Age=07 !0123456789abcdef", 0, false },
		{ "ACK 2.05 0001 # Block2=08 !0123456789abcdef", 60, CACHE_ANY, "",
		  "NON 2.05 0000 # Max-Age=07 Block2=08 !0123456789abcdef", 0, true },
		{ "ACK 2.05 0001 # Block2=50 !0123456789abcdef", 60, CACHE_ANY, "", NULL, 80, false },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct sheet s;
		char etag[20];

		assert_true(take(&s, rows[i].line));
		assert_int_equal(s.r.head.max_age, rows[i].max_age);
		assert_int_equal(s.r.head.content_format, rows[i].format);
		msgtext_hex(s.r.head.etag, etag);
		assert_string_equal(etag, rows[i].etag);
		assert_int_equal(s.r.offset, rows[i].offset);
		assert_true(s.r.more == rows[i].more);
		assert_true(bytes_equal(s.r.payload, s.msg.payload));
		if (rows[i].again)
			assert_string_equal(told(&s.r, NULL, REPRESENTATION_UNOBSERVED, 7), rows[i].again);
	}
}

/* What cannot be kept. */
static void test_refused(void **state)
{
	static const struct {
		unsigned paths;
		const char *then;
		bool good;
	} many[] = { { 128, "", true }, { 129, "", false }, { 126, " 65001=", true }, { 127, " 65001=", false } };
	struct sheet s;
	char line[MSGTEXT_MAX];

	(void)state;
	assert_false(take(&s, "ACK 2.05 0001 # ETag=010203040506070809 !x"));
	assert_false(take(&s, "ACK 2.05 0001 # Block2=0f !x"));
	assert_false(take(&s, "ACK 2.05 0001 # Block2=01020304 !x"));
	/* options up to CACHE_OPTIONS bytes, headers included */
	for (unsigned i = 0; i < ROWS(many); i++) {
		char *at = line + sprintf(line, "ACK 2.05 0001 #");

		for (unsigned n = 0; n < many[i].paths; n++)
			at += sprintf(at, " Location-Path:a"); /* two bytes each */
		sprintf(at, "%s !x", many[i].then);
		assert_true(take(&s, line) == many[i].good);
	}
}

static void test_observed(void **state)
{
	struct sheet s;

	(void)state;
	assert_true(take(&s, "CON 2.05 0001 # ETag=aa Observe=07 Content-Format=32 Max-Age=3c !x"));
	assert_string_equal(told(&s.r, NULL, 0, 60), "NON 2.05 0000 # ETag=aa Observe= Content-Format=32 !x");
	assert_string_equal(told(&s.r, NULL, 0xffffff, 59),
			    "NON 2.05 0000 # ETag=aa Observe=ffffff Content-Format=32 Max-Age=3b !x");
	assert_string_equal(told(&s.r, NULL, REPRESENTATION_UNOBSERVED, 0),
			    "NON 2.05 0000 # ETag=aa Content-Format=32 Max-Age= !x");
}

static void test_confirm(void **state)
{
	struct sheet s;
	uint8_t buf[64];
	struct msgbuf b;
	char text[MSGTEXT_MAX];

	(void)state;
	assert_true(take(&s, "CON 2.05 0001 # ETag=aa Content-Format=32 Block2=08 !0123456789abcdef"));
	msgbuf_begin(&b, buf, sizeof buf, MSG_ACK, MSG_VALID, 1, bytes_of(NULL, 0));
	representation_confirm(&s.r, 5, &b);
	assert_string_equal(msgtext_format(msgbuf_end(&b), text), "ACK 2.03 0001 # ETag=aa Max-Age=05");
}

static void make(struct sheet *s, size_t len, size_t offset, bool more)
{
	*s = (struct sheet){ .r = { .head = { .code = MSG_CONTENT, .max_age = 60, .etag = bytes_of("e", 1) } } };
	for (size_t i = 0; i < len; i++)
		s->buf[i] = (uint8_t)draw(256);
	s->r.payload = bytes_of(s->buf, len);
	s->r.offset = offset;
	s->r.more = more;
}

/*
 * Any representation, or its beginning, in any block that a client may ask for: the bytes are those of the place it says, there is no more
 * than was asked for, and whether there is more is true.
 */
static void test_blocks(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		size_t len = draw(1025);
		bool more = len >= 16 && draw(2);
		struct sheet whole, got;
		uint8_t szx = (uint8_t)draw(7), buf[DGRAM_MAX];
		struct block ask = { 0, szx, false };
		bool asked = draw(4) > 0;
		struct msgbuf b;
		struct msg m;

		if (more)
			len -= len % 16; /* what was gathered is whole blocks */
		make(&whole, len, 0, more);
		if (asked && len > block_size(szx))
			ask.num = draw((uint32_t)((len - 1) / block_size(szx)) + 1);
		msgbuf_begin(&b, buf, sizeof buf, MSG_ACK, MSG_CONTENT, 0, bytes_of(NULL, 0));
		representation_write(&whole.r, asked ? &ask : NULL, REPRESENTATION_UNOBSERVED, 60, &b);
		assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
		assert_true(representation_read(&m, got.room, &got.r));
		assert_int_equal(got.r.offset, asked ? block_offset(ask) : 0);
		assert_true(got.r.payload.len <= (asked ? block_size(szx) : 1024));
		assert_true(got.r.offset + got.r.payload.len <= len);
		if (got.r.payload.len)
			assert_memory_equal(got.r.payload.ptr, whole.buf + got.r.offset, got.r.payload.len);
		assert_true(got.r.more == (more || got.r.offset + got.r.payload.len < len));
		assert_true(got.r.payload.len > 0 || len == 0);
		assert_true(!got.r.more || got.r.payload.len >= 16);
	}
}

/* What is kept of it is what was read. */
static void test_keep(void **state)
{
	static const char *const lines[] = {
		"ACK 2.05 0001 # !x",
		"ACK 4.04 0001 # Max-Age=05",
		"NON 2.05 0001 # ETag=aa Observe=02 Location-Path:a Content-Format=3c Max-Age= 65001=7a !x",
		"NON 2.05 0001 # ETag=aa Block2=09 !0123456789abcdef0123456789abcdef",
		"NON 2.05 0001 # ETag=aa Block2=01 !0123456789abcdef0123456789abcdef",
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(lines); i++) {
		struct sheet a, b;
		struct msgbuf out;

		assert_true(take(&a, lines[i]));
		msgbuf_begin(&out, b.buf, sizeof b.buf, MSG_NON, a.r.head.code, 0, bytes_of(NULL, 0));
		representation_keep(&a.r, &out);
		assert_int_equal(msg_parse(&b.msg, msgbuf_end(&out)), MSG_OK);
		assert_true(representation_read(&b.msg, b.room, &b.r));
		assert_int_equal(b.r.head.code, a.r.head.code);
		assert_int_equal(b.r.head.max_age, a.r.head.max_age);
		assert_int_equal(b.r.head.content_format, a.r.head.content_format);
		assert_true(bytes_equal(b.r.head.etag, a.r.head.etag));
		assert_true(bytes_equal(b.r.head.options, a.r.head.options));
		assert_true(bytes_equal(b.r.payload, a.r.payload));
		assert_true(b.r.more == a.r.more && b.r.offset == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_valid), cmocka_unit_test(test_read),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_observed),   cmocka_unit_test(test_confirm), cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

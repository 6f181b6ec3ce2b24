/* cache: a row for every promise of the header, a naive copy, and ceilings. */
#include "proxy/cache.h"
#include "coap/msgbuf.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])
#define NONE    CACHE_ANY
#define CONTENT 0x45 /* 2.05 */
#define MISSING 0x84 /* 4.04 */
#define CHUNK   128
#define S       TSTAMP_S

static uint64_t seed = 21;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* What byte i of the representation n is. */
static void fill(uint8_t *out, size_t len, size_t from, unsigned n)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((from + i) * 167 + (from + i) / 256 * 31 + n * 13);
}

static struct cache *cache_of(size_t bytes)
{
	struct cache *c = cache_create(bytes);

	assert_non_null(c);
	return c;
}

static struct cache_view view_of(const struct cache *c)
{
	struct cache_view v;

	cache_view(c, &v);
	return v;
}

static struct cache_key key_of(uint64_t request, uint32_t accept)
{
	return (struct cache_key){ .uri = request, .request = request, .accept = accept };
}

static struct cache_head head_of(const char *etag, uint32_t max_age)
{
	return (struct cache_head){ .code = CONTENT,
				    .max_age = max_age,
				    .content_format = NONE,
				    .etag = bytes_of(etag, etag ? strlen(etag) : 0) };
}

/* `len` bytes of representation n from `offset` on, with 60 s to live at time 0. */
static bool put(struct cache *c, struct cache_key k, const char *etag, size_t offset, size_t len, bool complete)
{
	static uint8_t bytes[1 << 16];
	struct cache_head head = head_of(etag, 60);

	assert_true(len <= sizeof bytes);
	fill(bytes, len, offset, 0);
	return cache_put(c, &k, &head, offset, bytes_of(bytes, len), complete, 0);
}

static bool has(struct cache *c, struct cache_key k)
{
	struct cache_entry e;

	return cache_find(c, &k, 0, &e);
}

static void expect_payload(const struct cache *c, const struct cache_entry *e, unsigned n)
{
	static uint8_t out[1 << 16], expected[1 << 16];

	assert_true(e->len <= sizeof out);
	fill(expected, e->len, 0, n);
	assert_int_equal(cache_read(c, e->place, 0, out, sizeof out), e->len);
	assert_memory_equal(out, expected, e->len);
}

/* --- one entry */

static void gives_back_what_it_was_given(void **state)
{
	static const struct {
		size_t options, payload, etag;
		uint8_t code;
		uint32_t format;
		bool complete;
		size_t bytes; /* that it takes */
	} rows[] = {
		{ 0, 0, 0, MISSING, NONE, true, 0 },         { 0, 1, 1, CONTENT, 0, true, 128 },
		{ 1, 0, 8, CONTENT, 65535, true, 128 },      { 0, 128, 4, CONTENT, 50, false, 128 },
		{ 1, 128, 4, CONTENT, 50, false, 256 },      { 128, 1, 0, CONTENT, NONE, true, 256 },
		{ 127, 130, 0, 0xa0, NONE, true, 384 },      { 256, 1024, 8, CONTENT, 60, false, 1280 },
		{ 200, 30000, 8, CONTENT, 60, true, 30208 },
	};
	static uint8_t options[CACHE_OPTIONS], etag[CACHE_ETAG], payload[30000];

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(64 * 1024);
		struct cache_key k = key_of(i, NONE);
		struct cache_head head = { .code = rows[i].code,
					   .max_age = i * 1000,
					   .content_format = rows[i].format,
					   .etag = bytes_of(etag, rows[i].etag),
					   .options = bytes_of(options, rows[i].options) };
		struct cache_entry e;

		fill(options, rows[i].options, 0, i + 50);
		fill(etag, rows[i].etag, 0, i + 90);
		fill(payload, rows[i].payload, 0, i);
		assert_true(cache_put(c, &k, &head, 0, bytes_of(payload, rows[i].payload), rows[i].complete, 7 * S));
		assert_true(cache_find(c, &k, 7 * S, &e));
		assert_int_equal(e.head.code, rows[i].code);
		assert_int_equal(e.head.max_age, i * 1000);
		assert_int_equal(e.max_age, i * 1000);
		assert_int_equal(e.age, 0);
		assert_int_equal(e.head.content_format, rows[i].format);
		assert_true(bytes_equal(e.head.etag, head.etag));
		assert_true((e.head.etag.ptr != NULL) == (rows[i].etag > 0));
		assert_true(bytes_equal(e.head.options, head.options));
		assert_int_equal(e.len, rows[i].payload);
		assert_int_equal(e.complete, rows[i].complete);
		assert_false(e.outdated);
		expect_payload(c, &e, i);
		assert_int_equal(view_of(c).entries, 1);
		assert_int_equal(view_of(c).stored, 1);
		assert_int_equal(view_of(c).bytes, rows[i].bytes);
		cache_free(c);
	}
	cache_free(NULL);
}

static void reads_from_anywhere(void **state)
{
	static const struct {
		size_t offset, n, read; /* of 1000 bytes */
	} rows[] = {
		{ 0, 0, 0 },      { 0, 1, 1 },       { 0, 1000, 1000 },         { 0, 2000, 1000 }, { 999, 5, 1 },
		{ 1000, 1, 0 },   { 5000, 9, 0 },    { SIZE_MAX, SIZE_MAX, 0 }, { 127, 2, 2 },     { 128, 128, 128 },
		{ 96, 700, 700 }, { 512, 512, 488 }, { 1, SIZE_MAX, 999 },      { 1023, 1024, 0 },
	};
	struct cache *c = cache_of(8192);
	struct cache_key k = key_of(5, NONE);
	struct cache_head head = head_of(NULL, 60);
	struct cache_entry e;
	uint8_t expected[1000];

	(void)state;
	head.options = bytes_of("0123456789", 10);
	fill(expected, 1000, 0, 0);
	assert_true(cache_put(c, &k, &head, 0, bytes_of(expected, 1000), true, 0));
	assert_true(cache_find(c, &k, 0, &e));
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint8_t *out = malloc(rows[i].read + 1);

		assert_non_null(out);
		assert_int_equal(cache_read(c, e.place, rows[i].offset, out, rows[i].n), rows[i].read);
		if (rows[i].read)
			assert_memory_equal(out, expected + rows[i].offset, rows[i].read);
		free(out);
	}
	assert_int_equal(cache_read(c, e.place + 1, 0, expected, 1000), 0);
	assert_int_equal(cache_read(c, UINT32_MAX, 0, expected, 1000), 0);
	cache_clear(c); /* what was there is named still, and gone */
	assert_int_equal(cache_read(c, e.place, 0, expected, 1000), 0);
	cache_free(c);
}

/* 8192 bytes: half are 4096. */
static void refuses_what_is_too_large(void **state)
{
	static const struct {
		size_t etag, options, payload;
		bool kept;
	} rows[] = {
		{ 8, 0, 1, true },      { 9, 0, 1, false },      { 0, 256, 1, true },    { 0, 257, 1, false },
		{ 0, 0, 4096, true },   { 0, 0, 4097, false },   { 0, 1, 4095, true },   { 0, 1, 4096, false },
		{ 8, 256, 3840, true }, { 8, 256, 3841, false }, { 0, 0, 60000, false },
	};
	static const uint8_t bytes[60000];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(8192);
		struct cache_key k = key_of(1, NONE), other = key_of(2, NONE);
		struct cache_head head = head_of(NULL, 60);

		head.etag = bytes_of(bytes, rows[i].etag);
		head.options = bytes_of(bytes, rows[i].options);
		assert_true(put(c, k, "old", 0, 100, true));
		assert_true(put(c, other, "old", 0, 100, true));
		assert_int_equal(cache_put(c, &k, &head, 0, bytes_of(bytes, rows[i].payload), true, 0), rows[i].kept);
		/* The old one was superseded, whether or not the new one is kept. */
		assert_int_equal(has(c, k), rows[i].kept);
		assert_true(has(c, other));
		assert_int_equal(view_of(c).refused, !rows[i].kept);
		assert_int_equal(view_of(c).stored, 2 + rows[i].kept);
		assert_int_equal(view_of(c).evicted, 0);
		cache_free(c);
	}
}

static void keys_are_compared_in_full(void **state)
{
	static const struct cache_key kept = { .uri = 1, .request = 2, .accept = 3 };
	static const struct {
		struct cache_key asked;
		bool found;
	} rows[] = {
		{ { 1, 2, 3 }, true },
		{ { 1 + (1ull << 40), 2, 3 }, false },
		{ { 1, 2 + (1ull << 40), 3 }, false },
		{ { 1, 2, 3 + (1u << 16) }, false },
		{ { 1, 2, NONE }, false },
	};
	struct cache *c = cache_of(4096);

	(void)state;
	assert_true(put(c, kept, NULL, 0, 10, true));
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(has(c, rows[i].asked), rows[i].found);
	cache_free(c);
}

/* --- Accept */

static void formats_serve_who_wants_them(void **state)
{
	static const struct {
		uint32_t accept, format; /* of what is kept */
		uint8_t code;
		uint32_t wanted;
		bool found;
	} rows[] = {
		{ NONE, 50, CONTENT, NONE, true },   { NONE, 50, CONTENT, 50, true },
		{ NONE, 50, CONTENT, 60, false },    { 50, 50, CONTENT, 50, true },
		{ 50, 60, CONTENT, 50, true },       { 50, 60, CONTENT, 60, true },
		{ 50, 50, CONTENT, NONE, false },    { 50, NONE, CONTENT, NONE, false },
		{ NONE, NONE, CONTENT, NONE, true }, { NONE, NONE, CONTENT, 0, false },
		{ NONE, 0, CONTENT, 0, true },       { 50, 257, 0x86, 50, true },
		{ 50, 257, 0x86, 257, false },       { NONE, 257, 0xa0, 257, false },
		{ NONE, 257, 0xa0, NONE, true },     { 50, NONE, 0x86, NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(9, rows[i].accept);
		struct cache_head head = { .code = rows[i].code, .max_age = 60, .content_format = rows[i].format };

		assert_true(cache_put(c, &k, &head, 0, bytes_of("x", 1), true, 0));
		assert_int_equal(has(c, key_of(9, rows[i].wanted)), rows[i].found);
		cache_free(c);
	}
}

/* One asked for with Accept 50, one with none; both are of format 50. */
static void fresh_goes_first_then_what_was_asked_so(void **state)
{
	static const struct {
		uint32_t exact, relaxed; /* Max-Age */
		size_t len;              /* 1: the exact one */
	} rows[] = { { 60, 60, 1 }, { 60, 0, 1 }, { 0, 60, 2 }, { 0, 0, 1 } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (unsigned order = 0; order < 2; order++) {
			struct cache *c = cache_of(4096);
			struct cache_entry e;

			for (unsigned j = 0; j < 2; j++) {
				bool exact = j == order;
				struct cache_key k = key_of(9, exact ? 50 : NONE);
				struct cache_head head = head_of(NULL, exact ? rows[i].exact : rows[i].relaxed);

				head.content_format = 50;
				assert_true(cache_put(c, &k, &head, 0, bytes_of("xx", exact ? 1 : 2), true, 0));
			}
			assert_true(cache_find(c, &(struct cache_key){ 9, 9, 50 }, 0, &e));
			assert_int_equal(e.len, rows[i].len);
			assert_true(cache_find(c, &(struct cache_key){ 9, 9, NONE }, 0, &e));
			assert_int_equal(e.len, 2);
			cache_free(c);
		}
}

static void variants_are_few(void **state)
{
	struct cache *c = cache_of(1 << 20);

	(void)state;
	assert_true(put(c, key_of(3 + (1ull << 32), NONE), NULL, 0, 10, true)); /* in the same chain */
	for (uint32_t accept = 0; accept < 100000; accept++) {
		assert_true(put(c, key_of(3, accept), NULL, 0, 10, true));
		assert_true(has(c, key_of(3, 0))); /* as it is used, it stays */
		assert_int_equal(view_of(c).entries, accept < 7 ? accept + 2 : 9);
	}
	for (uint32_t accept = 1; accept < 100000 - 7; accept++)
		assert_false(has(c, key_of(3, accept)));
	for (uint32_t accept = 100000 - 7; accept < 100000; accept++)
		assert_true(has(c, key_of(3, accept)));
	assert_true(has(c, key_of(3 + (1ull << 32), NONE)));
	assert_int_equal(view_of(c).evicted, 100000 - 8);
	cache_free(c);
}

/* --- age */

static void ages(void **state)
{
	static const struct {
		uint32_t max_age;
		tstamp received, now;
		uint32_t age, left;
	} rows[] = {
		{ 60, 0, 0, 0, 60 },
		{ 60, 5 * S, 5 * S, 0, 60 },
		{ 60, 5 * S, 5 * S + 1, 1, 59 },
		{ 60, 5 * S, 6 * S - 1, 1, 59 },
		{ 60, 5 * S, 6 * S, 1, 59 },
		{ 60, 5 * S, 6 * S + 1, 2, 58 },
		{ 60, 5 * S, 64 * S, 59, 1 },
		{ 60, 5 * S, 64 * S + 1, 60, 0 },
		{ 60, 5 * S, 65 * S, 60, 0 },
		{ 60, 5 * S, 5 * S + 3 * TSTAMP_DAY, 259200, 0 },
		{ 60, 5 * S, 4 * S, 0, 60 }, /* received in the future */
		{ 60, 5 * S, 0, 0, 60 },
		{ 60, 5 * TSTAMP_DAY, 1, 0, 60 },
		{ 0, 5 * S, 5 * S, 0, 0 },
		{ 0, 5 * S, 4 * S, 0, 0 },
		{ 0, 5 * S, 9 * S, 4, 0 },
		{ 1, 0, S - 1, 1, 0 },
		{ 86400 * 7, 0, 6 * TSTAMP_DAY, 6 * 86400, 86400 },
		{ UINT32_MAX, 0, 0, 0, UINT32_MAX },
		{ UINT32_MAX, 0, 1, 1, UINT32_MAX - 1 },
		{ UINT32_MAX, 0, UINT32_MAX * S, UINT32_MAX, 0 },
		{ UINT32_MAX, 0, TSTAMP_NEVER, UINT32_MAX, 0 },
		{ UINT32_MAX, UINT64_MAX - 10 * S, UINT64_MAX - 5 * S, 5, 5 }, /* the end of time */
		{ UINT32_MAX, UINT64_MAX - 10 * S, 0, 0, UINT32_MAX },
		{ 60, UINT64_MAX - 100 * S, UINT64_MAX - 90 * S, 10, 50 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (unsigned validated = 0; validated < 2; validated++) {
			struct cache *c = cache_of(4096);
			struct cache_key k = key_of(1, NONE);
			struct cache_head head = head_of("e", validated ? 7 : rows[i].max_age);
			struct cache_entry e;

			assert_true(
				cache_put(c, &k, &head, 0, bytes_of("x", 1), true, validated ? 3 : rows[i].received));
			head.max_age = rows[i].max_age;
			if (validated)
				assert_true(cache_refresh(c, &k, &head, rows[i].received));
			assert_true(cache_find(c, &k, rows[i].now, &e));
			assert_int_equal(e.head.max_age, rows[i].max_age);
			assert_int_equal(e.age, rows[i].age);
			assert_int_equal(e.max_age, rows[i].left);
			assert_true(e.max_age == 0 || (uint64_t)e.max_age + e.age <= rows[i].max_age);
			cache_free(c);
		}
}

static void never_younger_than_it_is(void **state)
{
	struct cache *c = cache_of(0);
	struct cache_key k = key_of(1, NONE);

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t max_age = draw(1000);
		tstamp received = (tstamp)draw(1u << 30) * draw(1000), passed = draw(2000) * S / 2 + draw(3);
		struct cache_head head = head_of(NULL, max_age);
		struct cache_entry e;

		assert_true(cache_put(c, &k, &head, 0, bytes_of(NULL, 0), true, received));
		assert_true(cache_find(c, &k, received + passed, &e));
		assert_true(e.max_age == 0 || e.max_age * S + passed <= max_age * S);
		assert_true(e.max_age > 0 || passed + S > max_age * S);
	}
	cache_free(c);
}

/* --- parts */

/* What is there: 256 bytes with ETag "a", or none, all of it or not. Then a part comes. */
static void parts_join_on(void **state)
{
	static const struct {
		const char *there;
		bool whole;
		const char *etag;
		uint8_t code;
		size_t offset, payload;
		bool complete;
		bool kept, stays;
		size_t len;
		bool all;
	} rows[] = {
		{ "a", false, "a", CONTENT, 256, 100, false, true, true, 356, false },
		{ "a", false, "a", CONTENT, 256, 100, true, true, true, 356, true },
		{ "a", false, "a", CONTENT, 256, 0, true, true, true, 256, true },
		{ "a", false, "a", CONTENT, 256, 1024, false, true, true, 1280, false },
		/* over what is there */
		{ "a", false, "a", CONTENT, 128, 256, false, true, true, 384, false },
		{ "a", false, "a", CONTENT, 128, 128, false, true, true, 256, false },
		{ "a", false, "a", CONTENT, 64, 64, false, true, true, 256, false },
		{ "a", false, "a", CONTENT, 128, 128, true, true, true, 256, true },
		{ "a", true, "a", CONTENT, 128, 128, true, true, true, 256, true },
		{ "a", true, "a", CONTENT, 64, 64, false, true, true, 256, true },
		{ "a", true, "a", CONTENT, 128, 128, false, true, true, 256, true },
		/* with a gap */
		{ "a", false, "a", CONTENT, 257, 100, false, false, true, 256, false },
		{ "a", false, "a", CONTENT, SIZE_MAX - 50, 100, true, false, true, 256, false },
		/* too much: half is 2048 */
		{ "a", false, "a", CONTENT, 256, 1792, true, true, true, 2048, true },
		{ "a", false, "a", CONTENT, 256, 1793, true, false, true, 256, false },
		/* no ETag */
		{ NULL, false, NULL, CONTENT, 256, 100, false, false, true, 256, false },
		{ NULL, false, "a", CONTENT, 256, 100, false, false, false, 0, false },
		{ "a", false, NULL, CONTENT, 256, 100, false, false, false, 0, false },
		/* another representation */
		{ "a", false, "b", CONTENT, 256, 100, false, false, false, 0, false },
		{ "a", false, "aa", CONTENT, 256, 100, false, false, false, 0, false },
		{ "a", true, "b", CONTENT, 64, 64, false, false, false, 0, false },
		{ "a", false, "a", MISSING, 256, 100, false, false, false, 0, false },
		/* another length */
		{ "a", false, "a", CONTENT, 64, 64, true, false, false, 0, false },
		{ "a", true, "a", CONTENT, 64, 64, true, false, false, 0, false },
		{ "a", true, "a", CONTENT, 256, 1, true, false, false, 0, false },
		{ "a", true, "a", CONTENT, 128, 256, false, false, false, 0, false },
	};
	uint8_t payload[2048];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(1, NONE);
		struct cache_head head = head_of(rows[i].etag, 60);
		struct cache_entry e;

		head.code = rows[i].code;
		assert_true(put(c, k, rows[i].there, 0, 256, rows[i].whole));
		fill(payload, rows[i].payload, rows[i].offset, 0);
		assert_int_equal(cache_put(c, &k, &head, rows[i].offset, bytes_of(payload, rows[i].payload),
					   rows[i].complete, 0),
				 rows[i].kept);
		assert_int_equal(view_of(c).refused, !rows[i].kept);
		assert_int_equal(view_of(c).entries, rows[i].stays);
		assert_int_equal(view_of(c).bytes, (rows[i].len + CHUNK - 1) / CHUNK * CHUNK);
		assert_int_equal(cache_find(c, &k, 0, &e), rows[i].stays);
		if (rows[i].stays) {
			assert_int_equal(e.len, rows[i].len);
			assert_int_equal(e.complete, rows[i].all);
			expect_payload(c, &e, 0);
		}
		cache_free(c);
	}
}

static void parts_need_a_beginning(void **state)
{
	struct cache *c = cache_of(4096);

	(void)state;
	assert_false(put(c, key_of(1, NONE), "a", 16, 16, false));
	assert_int_equal(view_of(c).entries, 0);
	assert_int_equal(view_of(c).refused, 1);
	assert_int_equal(view_of(c).stored, 0);
	cache_free(c);
}

/* With options in front, in parts of every size. */
static void parts_make_a_whole(void **state)
{
	static const size_t sizes[] = { 1, 16, 64, 127, 128, 129, 512, 1024 };
	static uint8_t options[CACHE_OPTIONS], payload[1024];

	(void)state;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		struct cache *c = cache_of(32 * 1024);
		struct cache_key k = key_of(1, NONE);
		struct cache_head head = head_of("etag", 60);
		struct cache_entry e;
		size_t total = 5000, at, n;

		head.options = bytes_of(options, i * 256 / 7);
		fill(options, head.options.len, 0, 77);
		for (at = 0; at < total; at += n) {
			n = total - at < sizes[i] ? total - at : sizes[i];
			fill(payload, n, at, 0);
			assert_true(cache_put(c, &k, &head, at, bytes_of(payload, n), at + n == total, 0));
		}
		assert_true(cache_find(c, &k, 0, &e));
		assert_true(e.complete);
		assert_int_equal(e.len, total);
		assert_true(bytes_equal(e.head.options, head.options));
		expect_payload(c, &e, 0);
		assert_int_equal(view_of(c).entries, 1);
		assert_int_equal(view_of(c).stored, 1);
		cache_free(c);
	}
}

/* The earliest end counts. */
static void parts_never_make_it_younger(void **state)
{
	static const struct {
		uint32_t first;
		tstamp later;
		uint32_t second, left; /* seen at `later` */
	} rows[] = {
		{ 60, 10 * S, 60, 50 }, { 60, 10 * S, 30, 30 }, { 60, 10 * S, 50, 50 },         { 60, 10 * S, 0, 0 },
		{ 60, 70 * S, 60, 0 },  { 0, 10 * S, 60, 0 },   { 60, 10 * S, UINT32_MAX, 50 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(1, NONE);
		struct cache_head first = head_of("a", rows[i].first), second = head_of("a", rows[i].second);
		struct cache_entry e;

		assert_true(cache_put(c, &k, &first, 0, bytes_of("0123", 4), false, 0));
		assert_true(cache_put(c, &k, &second, 4, bytes_of("4567", 4), true, rows[i].later));
		assert_true(cache_find(c, &k, rows[i].later, &e));
		assert_int_equal(e.max_age, rows[i].left);
		assert_int_equal(e.age, rows[i].later / S);
		assert_true(e.complete);
		cache_free(c);
	}
}

/* Block by block through what another Accept left: the answer to one Accept goes on with what cache_find showed. */
static void parts_join_what_would_be_found(void **state)
{
	static const struct {
		const char *exact, *relaxed, *etag; /* exact NULL: not there */
		bool kept;
		size_t exact_len, relaxed_len; /* after it; 0: gone */
	} rows[] = {
		{ NULL, "a", "a", true, 0, 256 }, { NULL, "a", "b", false, 0, 0 }, { "a", "a", "a", true, 256, 128 },
		{ "b", "a", "a", true, 0, 256 },  { "a", "b", "a", true, 256, 0 }, { "b", "c", "a", false, 0, 0 },
	};
	static const uint8_t bytes[128];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key none = key_of(1, NONE), k = key_of(1, 50), unrelated = key_of(1, 60);
		struct cache_head head;
		struct cache_view v;

		head = head_of("z", 60);
		head.content_format = 60;
		assert_true(cache_put(c, &unrelated, &head, 0, bytes_of(bytes, 128), false, 0));
		head = head_of(rows[i].relaxed, 60);
		head.content_format = 50;
		assert_true(cache_put(c, &none, &head, 0, bytes_of(bytes, 128), false, 0));
		if (rows[i].exact) {
			head.etag = bytes_of(rows[i].exact, 1);
			assert_true(cache_put(c, &k, &head, 0, bytes_of(bytes, 128), false, 0));
		}
		head.etag = bytes_of(rows[i].etag, 1);
		assert_int_equal(cache_put(c, &k, &head, 128, bytes_of(bytes, 128), false, 0), rows[i].kept);
		v = view_of(c);
		assert_int_equal(v.entries, 1 + (rows[i].exact_len > 0) + (rows[i].relaxed_len > 0));
		assert_int_equal(v.bytes, 128 + rows[i].exact_len + rows[i].relaxed_len);
		assert_int_equal(has(c, none), rows[i].relaxed_len > 0);
		assert_int_equal(has(c, k), rows[i].exact_len + rows[i].relaxed_len > 0);
		assert_true(has(c, unrelated));
		cache_free(c);
	}
}

/* --- validation and invalidation */

static void validation_makes_fresh(void **state)
{
	static const struct {
		uint32_t accept, format;
		const char *there;
		uint32_t asked;
		const char *etag;
		bool found;
	} rows[] = {
		{ NONE, 50, "a", NONE, "a", true },
		{ NONE, 50, "a", NONE, "b", false },
		{ NONE, 50, "a", NONE, "", false },
		{ NONE, 50, "", NONE, "", false },
		{ NONE, 50, "", NONE, "a", false },
		{ NONE, 50, "a", NONE, "ab", false },
		{ NONE, 50, "a", 50, "a", true },
		{ NONE, 50, "a", 60, "a", false },
		{ 50, 50, "a", NONE, "a", false },
		{ 50, 50, "12345678", 50, "12345678", true },
		{ 50, 50, "12345678", 50, "123456789", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(1, rows[i].accept), asked = key_of(1, rows[i].asked);
		struct cache_head head = head_of(rows[i].there, 0);
		struct cache_entry e;

		head.content_format = rows[i].format;
		assert_true(cache_put(c, &k, &head, 0, bytes_of("x", 1), true, 0));
		head = head_of(rows[i].etag, 30);
		assert_int_equal(cache_refresh(c, &asked, &head, 100 * S), rows[i].found);
		assert_true(cache_find(c, &k, 110 * S, &e));
		assert_int_equal(e.max_age, rows[i].found ? 20 : 0);
		assert_int_equal(e.age, rows[i].found ? 10 : 110);
		cache_free(c);
	}
}

/* Options as on the wire, of text like "Content-Format=32 65004=7a". */
static struct bytes options_of(const char *text, struct msg *m, uint8_t buf[1500])
{
	char line[MSGTEXT_MAX];

	snprintf(line, sizeof line, "CON 2.05 0001 # %s", text);
	assert_int_equal(msg_parse(m, msgtext_write(line, buf, 1500)), MSG_OK);
	return m->options;
}

/* "For each type of Safe-to-Forward option present in the response", all that are kept of that type go (RFC 7252 §5.9.1.3). */
static void validation_replaces_options(void **state)
{
	static const struct {
		const char *kept, *said, *then;
	} rows[] = {
		{ "Content-Format=32 65004=7a", "", "Content-Format=32 65004=7a" },
		{ "Content-Format=32 65004=7a", "65004=7a", "Content-Format=32 65004=7a" },
		{ "Content-Format=32 65004=7a", "65004=7b7c", "Content-Format=32 65004=7b7c" },
		{ "Content-Format=32 65004=7a", "65004=", "Content-Format=32 65004=" },
		{ "Content-Format=32 65004=7a 65004=7b 65004=7c", "65004=7d", "Content-Format=32 65004=7d" },
		{ "Content-Format=32 65004=7a", "65004=7b 65004=7c", "Content-Format=32 65004=7b 65004=7c" },
		{ "65004=7a 65004=7b", "65004=7b 65004=7a 65004=7b", "65004=7b 65004=7a 65004=7b" },
		{ "65004=7a", "8=61 8=62 65000=01 65020=02", "8=61 8=62 65000=01 65004=7a 65020=02" },
		{ "", "Content-Format=32", "Content-Format=32" },
		{ "8=61 65000=01 65020=02", "65004=7a", "8=61 65000=01 65004=7a 65020=02" },
		{ "8=61 65004=7a", "8=62 8=63 65004=", "8=62 8=63 65004=" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(1, NONE);
		struct cache_head head = head_of("a", 5), said = head_of("a", 60);
		uint8_t payload[300], kept[1500], news[1500], then[1500];
		struct msg m[3];
		struct cache_entry e;

		fill(payload, sizeof payload, 0, 1);
		head.options = options_of(rows[i].kept, &m[0], kept);
		said.options = options_of(rows[i].said, &m[1], news);
		assert_true(cache_put(c, &k, &head, 0, bytes_of(payload, 200), false, 0));
		for (unsigned twice = 0; twice < 2; twice++) {
			assert_true(cache_refresh(c, &k, &said, 10 * S));
			assert_true(cache_find(c, &k, 20 * S, &e));
			assert_int_equal(e.max_age, 50);
			assert_true(bytes_equal(e.head.options, options_of(rows[i].then, &m[2], then)));
			assert_int_equal(e.len, 200);
			expect_payload(c, &e, 1);
		}
		/* what follows joins on where the payload ends */
		assert_true(cache_put(c, &k, &head, 200, bytes_of(payload + 200, 100), true, 20 * S));
		assert_true(cache_find(c, &k, 20 * S, &e));
		assert_true(bytes_equal(e.head.options, options_of(rows[i].then, &m[2], then)));
		assert_int_equal(e.len, 300);
		expect_payload(c, &e, 1);
		/* what takes its place leaves nothing of it */
		assert_true(cache_put(c, &k, &head, 0, bytes_of(payload, 1), true, 20 * S));
		assert_true(cache_find(c, &k, 20 * S, &e));
		assert_true(bytes_equal(e.head.options, head.options));
		assert_int_equal(view_of(c).bytes, CHUNK);
		cache_free(c);
	}
}

/* A Content-Format that the server corrects decides whom it serves. */
static void validation_changes_the_format(void **state)
{
	struct cache *c = cache_of(4096);
	struct cache_key k = key_of(1, NONE), json = key_of(1, 50), cbor = key_of(1, 60);
	struct cache_head head = head_of("a", 60);

	(void)state;
	head.content_format = 50;
	assert_true(cache_put(c, &k, &head, 0, bytes_of("x", 1), true, 0));
	assert_true(has(c, json) && !has(c, cbor));
	head.content_format = NONE;
	assert_true(cache_refresh(c, &k, &head, 0));
	assert_true(has(c, json) && !has(c, cbor));
	head.content_format = 60;
	assert_true(cache_refresh(c, &k, &head, 0));
	assert_true(has(c, cbor) && !has(c, json));
	cache_free(c);
}

/* One option, with a value so long: its head has three bytes, a fourth one from 13 on, and a fifth one from 269 on. */
static struct bytes option_of(uint16_t number, size_t len, uint8_t *room, size_t cap)
{
	static const uint8_t zeros[2000];
	struct msgbuf b;

	msgbuf_bare(&b, room, cap);
	msgbuf_option(&b, number, bytes_of(zeros, len));
	assert_false(b.failed);
	return bytes_of(room, b.len);
}

/* Neither the old options nor a part of the new ones would be true: it goes, and what is asked for next is the whole. */
static void validation_drops_what_outgrows(void **state)
{
	static const struct {
		uint16_t number;
		size_t kept, said, payload;
		bool stays;
	} rows[] = {
		{ 65004, 100, 252, 0, true },         { 65004, 100, 253, 0, false },
		{ 65004, 100, 1300, 0, false },       { 65000, 100, 150, 0, true },
		{ 65000, 100, 151, 0, false },        { 65004, 0, 124, 2048 - 128 - 3, true },
		{ 65004, 0, 125, 2048 - 128, false }, { 65004, 100, 99, 1900, false },
	};
	static uint8_t kept[1500], said[1500], payload[2048];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(4096);
		struct cache_key k = key_of(1, NONE), other = key_of(2, NONE);
		struct cache_head head = head_of("a", 60);

		head.options = option_of(65004, rows[i].kept, kept, sizeof kept);
		assert_true(cache_put(c, &k, &head, 0, bytes_of(payload, rows[i].payload), true, 0));
		assert_true(put(c, other, "a", 0, 10, true));
		head.options = option_of(rows[i].number, rows[i].said, said, sizeof said);
		assert_int_equal(cache_refresh(c, &k, &head, 0), rows[i].stays);
		assert_int_equal(has(c, k), rows[i].stays);
		assert_true(has(c, other));
		assert_int_equal(view_of(c).entries, 1 + rows[i].stays);
		assert_true(view_of(c).bytes <= 4096);
		cache_free(c);
	}
}

/* Room for its options is made of others, the least recently used first, and never of itself. */
static void validation_makes_room(void **state)
{
	static uint8_t said[300];
	struct cache *c = cache_of(4096);
	struct cache_head head = head_of("a", 60);
	struct cache_key k = key_of(1, NONE);

	(void)state;
	assert_true(put(c, k, "a", 0, 1024, true)); /* the oldest */
	for (unsigned i = 2; i < 14; i++)
		assert_true(put(c, key_of(i, NONE), "a", 0, 256, true));
	assert_int_equal(view_of(c).bytes, 4096);
	head.options = option_of(65004, 200, said, sizeof said);
	assert_true(cache_refresh(c, &k, &head, 0));
	assert_int_equal(view_of(c).evicted, 1);
	assert_false(has(c, key_of(2, NONE)));
	assert_true(has(c, k) && has(c, key_of(3, NONE)));
	assert_int_equal(view_of(c).bytes, 4096);
	cache_clear(c);
	assert_int_equal(view_of(c).bytes, 0);
	cache_free(c);
}

/* Requests 0 to 9; two each have a URI. The unsafe one concerns URI 3, that is 6 and 7. */
static void unsafe_requests_make_old(void **state)
{
	struct cache *c = cache_of(8192);
	struct cache_head head = head_of("a", 60);
	struct cache_key k[10];
	struct cache_entry e;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		k[i] = (struct cache_key){ .uri = i / 2, .request = i, .accept = NONE };
		assert_true(cache_put(c, &k[i], &head, 0, bytes_of("0123", 4), false, 0));
	}
	cache_invalidate(c, 77);
	cache_invalidate(c, 3);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(cache_find(c, &k[i], S, &e));
		assert_int_equal(e.outdated, i / 2 == 3);
		assert_int_equal(e.max_age, i / 2 == 3 ? 0 : 59);
		assert_int_equal(e.head.max_age, 60);
	}
	/* A part says nothing about the whole; what validates it or takes its place does. */
	assert_true(cache_put(c, &k[6], &head, 4, bytes_of("4567", 4), true, S));
	assert_true(cache_find(c, &k[6], S, &e));
	assert_true(e.outdated && e.complete);
	assert_true(cache_refresh(c, &k[6], &head, S));
	assert_true(cache_put(c, &k[7], &head, 0, bytes_of("4567", 4), true, S));
	for (unsigned i = 6; i < 8; i++) {
		assert_true(cache_find(c, &k[i], S, &e));
		assert_false(e.outdated);
		assert_int_equal(e.max_age, 60);
	}
	cache_invalidate(c, 3);
	assert_true(cache_find(c, &k[6], S, &e));
	assert_true(e.outdated);
	assert_int_equal(view_of(c).entries, 10);
	cache_free(c);
}

static void clear_leaves_nothing(void **state)
{
	struct cache *c = cache_of(8192);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 20; i++)
			assert_true(put(c, key_of(i, NONE), "a", 0, 300, true));
		assert_int_equal(view_of(c).entries, 20);
		assert_int_equal(view_of(c).bytes, 20 * 384);
		cache_clear(c);
		assert_int_equal(view_of(c).entries, 0);
		assert_int_equal(view_of(c).bytes, 0);
		for (unsigned i = 0; i < 20; i++)
			assert_false(has(c, key_of(i, NONE)));
	}
	assert_int_equal(view_of(c).evicted, 0);
	cache_clear(c);
	cache_free(c);
}

/* --- room */

static void the_least_recently_used_goes(void **state)
{
	struct cache *c = cache_of(16 * CHUNK); /* 16 entries */
	struct cache_head head = head_of("a", 60);
	struct cache_key k;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_true(put(c, key_of(i, NONE), "a", 0, CHUNK, false));
	assert_true(has(c, key_of(0, NONE)));
	k = key_of(1, NONE);
	assert_true(cache_refresh(c, &k, &head, 0));
	assert_true(put(c, key_of(2, NONE), "a", 16, CHUNK - 16, true)); /* nothing new, but used */
	assert_int_equal(view_of(c).evicted, 0);
	assert_true(put(c, key_of(16, NONE), NULL, 0, 3 * CHUNK, true)); /* 3, 4, 5 */
	assert_int_equal(view_of(c).evicted, 3);
	assert_int_equal(view_of(c).bytes, 16 * CHUNK);
	for (unsigned i = 3; i < 6; i++)
		assert_false(has(c, key_of(i, NONE)));
	for (unsigned i = 6; i < 17; i++)
		assert_true(has(c, key_of(i, NONE)));
	/* 0, 1 and 2 were used before all that were looked up since: now they are the oldest. */
	assert_true(put(c, key_of(17, NONE), NULL, 0, 2 * CHUNK, true));
	assert_false(has(c, key_of(0, NONE)));
	assert_false(has(c, key_of(1, NONE)));
	assert_true(has(c, key_of(2, NONE)));
	cache_free(c);
}

/* Entries without a byte are as many as there are heads. */
static void heads_run_out_too(void **state)
{
	static const struct {
		size_t bytes;
		uint32_t entries;
	} rows[] = { { 0, 16 }, { 4096, 16 }, { 4352, 17 }, { 1 << 20, 4096 }, { 32 << 20, 65535 } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct cache *c = cache_of(rows[i].bytes);

		assert_int_equal(view_of(c).entries_capacity, rows[i].entries);
		assert_int_equal(view_of(c).bytes_capacity, rows[i].bytes);
		for (unsigned j = 0; j < rows[i].entries + 5; j++)
			assert_true(put(c, key_of(j * 0x9e3779b97f4a7c15ull, NONE), NULL, 0, 0, true));
		assert_int_equal(view_of(c).entries, rows[i].entries);
		assert_int_equal(view_of(c).evicted, 5);
		assert_int_equal(view_of(c).bytes, 0);
		for (unsigned j = 0; j < rows[i].entries + 5; j++)
			assert_int_equal(has(c, key_of(j * 0x9e3779b97f4a7c15ull, NONE)), j >= 5);
		cache_free(c);
	}
}

/* The oldest is extended until it is half of all, while fifteen others take all the room there is. */
static void who_grows_does_not_evict_itself(void **state)
{
	struct cache *c = cache_of(32 * CHUNK);
	struct cache_key k = key_of(100, NONE);
	struct cache_entry e;
	uint64_t evicted;

	(void)state;
	assert_true(put(c, k, "a", 0, CHUNK, false));
	for (size_t n = 1; n < 16; n++) {
		for (unsigned i = 0; i < 15; i++)
			assert_true(
				put(c, key_of(i, NONE), NULL, 0, ((32 - n) / 15 + (i < (32 - n) % 15)) * CHUNK, true));
		assert_int_equal(view_of(c).bytes, 32 * CHUNK);
		evicted = view_of(c).evicted;
		assert_true(put(c, k, "a", n * CHUNK, CHUNK, n == 15));
		assert_int_equal(view_of(c).evicted, evicted + 1);
		assert_false(has(c, key_of(0, NONE)));
		assert_true(cache_find(c, &k, 0, &e));
		assert_int_equal(e.len, (n + 1) * CHUNK);
		expect_payload(c, &e, 0);
	}
	assert_true(e.complete);
	cache_free(c);
}

static void memory_is_as_said(void **state)
{
	static const struct {
		size_t bytes;
		uint64_t least, most; /* percent of `bytes` on top */
	} rows[] = {
		{ 64 << 10, 40, 80 }, { 100000, 40, 80 },   { 1 << 20, 40, 80 },
		{ 10 << 20, 40, 80 }, { 16 << 20, 40, 80 }, { 256 << 20, 5, 20 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t top = cache_memory(rows[i].bytes) - rows[i].bytes;

		assert_in_range(top * 100 / rows[i].bytes, rows[i].least, rows[i].most);
	}
	/* More than there may be is as much as there may be. */
	assert_true(cache_memory(SIZE_MAX) == cache_memory((size_t)1 << 31));
	assert_true(cache_memory(0) > 0);
}

/* --- a naive copy: an array in the order of creation, every look-up a walk */

enum { MODEL_BYTES = 8192, MODEL_ENTRIES = 32, LONGEST = MODEL_BYTES / 2, REQUESTS = 14, FORMATS = 11 };

struct copy {
	struct cache_key k;
	uint8_t code, etag[CACHE_ETAG], options[CACHE_OPTIONS], payload[LONGEST];
	size_t etag_len, options_len, len;
	size_t came_with, renewed; /* bytes of options: before the payload, and in the place of those */
	uint32_t max_age, format;
	tstamp since, expires;
	uint64_t used;
	bool complete, outdated;
};

struct model {
	struct copy copies[MODEL_ENTRIES];
	unsigned n;
	uint64_t uses, stored, evicted, refused;
};

static size_t model_chunks(size_t options, size_t payload)
{
	return (options + payload + CHUNK - 1) / CHUNK;
}

static size_t model_used(const struct model *m)
{
	size_t chunks = 0;

	for (unsigned i = 0; i < m->n; i++)
		chunks +=
			model_chunks(m->copies[i].came_with, m->copies[i].len) + model_chunks(m->copies[i].renewed, 0);
	return chunks;
}

static void model_drop(struct model *m, unsigned i)
{
	memmove(&m->copies[i], &m->copies[i + 1], (m->n - i - 1) * sizeof m->copies[0]);
	m->n--;
}

/* Among all, or those that differ from k by Accept only. */
static void model_evict(struct model *m, const struct cache_key *k)
{
	unsigned oldest = MODEL_ENTRIES;

	for (unsigned i = 0; i < m->n; i++)
		if ((!k || m->copies[i].k.request == k->request) &&
		    (oldest == MODEL_ENTRIES || m->copies[i].used < m->copies[oldest].used))
			oldest = i;
	assert_true(oldest < MODEL_ENTRIES);
	model_drop(m, oldest);
	m->evicted++;
}

static bool model_serves(const struct copy *e, const struct cache_key *k)
{
	if (e->k.request != k->request)
		return false;
	if (e->k.accept == k->accept)
		return true;
	return k->accept != NONE && e->format == k->accept && e->code == CONTENT;
}

static uint32_t model_left(const struct copy *e, tstamp now)
{
	if (e->outdated || now >= e->expires)
		return 0;
	return (uint32_t)((e->expires - now) / S);
}

static struct copy *model_find(struct model *m, const struct cache_key *k, tstamp now)
{
	for (unsigned rank = 4; rank > 0; rank--)
		for (unsigned i = m->n; i-- > 0;) {
			struct copy *e = &m->copies[i];
			bool fresh = model_left(e, now) > 0, exact = e->k.accept == k->accept;

			if (model_serves(e, k) && 1u + 2 * fresh + exact == rank)
				return e;
		}
	return NULL;
}

static bool model_begin(struct model *m, const struct cache_key *k, const struct cache_head *head, struct bytes payload,
			bool complete, tstamp now)
{
	size_t need = model_chunks(head->options.len, payload.len);
	unsigned variants = 0;
	struct copy *e;

	for (unsigned i = 0; i < m->n; i++)
		if (m->copies[i].k.request == k->request && m->copies[i].k.accept == k->accept)
			model_drop(m, i--);
	if (head->options.len + payload.len > LONGEST || head->options.len > CACHE_OPTIONS)
		return false;
	for (unsigned i = 0; i < m->n; i++)
		variants += m->copies[i].k.request == k->request;
	if (variants == CACHE_VARIANTS)
		model_evict(m, k);
	while (m->n == MODEL_ENTRIES || model_used(m) + need > MODEL_BYTES / CHUNK)
		model_evict(m, NULL);
	e = &m->copies[m->n++];
	*e = (struct copy){ .k = *k,
			    .code = head->code,
			    .etag_len = head->etag.len,
			    .options_len = head->options.len,
			    .came_with = head->options.len,
			    .len = payload.len,
			    .max_age = head->max_age,
			    .format = head->content_format,
			    .since = now,
			    .expires = now + head->max_age * S,
			    .used = ++m->uses,
			    .complete = complete };
	if (head->etag.len)
		memcpy(e->etag, head->etag.ptr, head->etag.len);
	if (head->options.len)
		memcpy(e->options, head->options.ptr, head->options.len);
	if (payload.len)
		memcpy(e->payload, payload.ptr, payload.len);
	m->stored++;
	return true;
}

static bool model_same(const struct copy *e, const struct cache_head *head)
{
	return e->code == head->code && bytes_equal(bytes_of(e->etag, e->etag_len), head->etag);
}

static bool model_follow(struct model *m, const struct cache_key *k, const struct cache_head *head, size_t offset,
			 struct bytes payload, bool complete, tstamp now)
{
	struct copy *e = NULL, grown;
	size_t end = offset + payload.len;

	for (unsigned i = 0; i < m->n; i++)
		if (model_serves(&m->copies[i], k) && !model_same(&m->copies[i], head))
			model_drop(m, i--);
	for (unsigned i = 0; i < m->n; i++)
		if (model_serves(&m->copies[i], k) && (!e || e->k.accept != k->accept))
			e = &m->copies[i];
	if (!e || head->etag.len == 0 || offset > e->len)
		return false;
	if ((complete && end < e->len) || (e->complete && end > e->len)) {
		model_drop(m, (unsigned)(e - m->copies));
		return false;
	}
	if (e->came_with + end + model_chunks(e->renewed, 0) * CHUNK > LONGEST)
		return false;
	e->used = ++m->uses;
	e->complete |= complete;
	if (now + head->max_age * S < e->expires)
		e->expires = now + head->max_age * S;
	if (end <= e->len)
		return true;
	memcpy(e->payload + e->len, payload.ptr + (e->len - offset), end - e->len);
	grown = *e;
	grown.len = end;
	while (model_used(m) - model_chunks(e->came_with, e->len) + model_chunks(e->came_with, end) >
	       MODEL_BYTES / CHUNK) {
		model_evict(m, NULL);
		for (unsigned i = 0; i < m->n; i++)
			if (m->copies[i].used == grown.used)
				e = &m->copies[i];
	}
	*e = grown;
	return true;
}

static void compare(struct model *m, struct cache *c, struct cache_key k, tstamp now, unsigned met[3])
{
	struct copy *e = model_find(m, &k, now);
	struct cache_entry got;
	uint8_t out[LONGEST];
	size_t offset, n;

	assert_int_equal(cache_find(c, &k, now, &got), e != NULL);
	met[!e ? 0 : e->k.accept == k.accept ? 1 : 2]++;
	if (!e)
		return;
	e->used = ++m->uses;
	assert_int_equal(got.head.code, e->code);
	assert_int_equal(got.head.max_age, e->max_age);
	assert_int_equal(got.head.content_format, e->format);
	assert_true(bytes_equal(got.head.etag, bytes_of(e->etag, e->etag_len)));
	assert_true(bytes_equal(got.head.options, bytes_of(e->options, e->options_len)));
	assert_int_equal(got.len, e->len);
	assert_int_equal(got.complete, e->complete);
	assert_int_equal(got.outdated, e->outdated);
	assert_int_equal(got.age, (now - e->since + S - 1) / S);
	assert_int_equal(got.max_age, model_left(e, now));
	offset = draw((uint32_t)e->len + 1);
	n = cache_read(c, got.place, offset, out, draw(LONGEST + 1));
	assert_memory_equal(out, e->payload + offset, n);
	assert_int_equal(cache_read(c, got.place, 0, out, LONGEST), e->len);
	assert_memory_equal(out, e->payload, e->len);
}

static struct cache_key some_key(void)
{
	uint64_t request = draw(REQUESTS);

	return (struct cache_key){ .uri = request / 3,
				   .request = request * (1ull << 40 | 1),
				   .accept = draw(3) ? draw(2) ? NONE : 0 : draw(FORMATS) };
}

/* Two numbers: what a 2.03 says of one stays beside the other. Within CACHE_OPTIONS, or not. */
static struct bytes some_options(uint8_t *room, size_t cap)
{
	static uint8_t values[256];
	struct msgbuf b;

	fill(values, sizeof values, 0, draw(256));
	msgbuf_bare(&b, room, cap);
	for (unsigned n = draw(4); n > 0; n--)
		msgbuf_option(&b, 8, bytes_of(values, draw(60)));
	for (unsigned n = draw(4); n > 0; n--)
		msgbuf_option(&b, 60, bytes_of(values, draw(90)));
	assert_false(b.failed);
	return bytes_of(room, b.len);
}

/* Half of it may well go on with an entry. Small ones use up the heads, others the room. */
static void random_put(struct model *m, struct cache *c, struct cache_key k, bool small, tstamp now,
		       unsigned kept[2][2])
{
	static const char *const etags[] = { NULL, "a", "a", "a", "a", "bcdefghi" };
	static uint8_t options[1000], payload[LONGEST + 1000];
	struct cache_head head = head_of(etags[draw(6)], draw(20) ? draw(100) : 0);
	struct copy *there = model_find(m, &k, now);
	size_t len = small ? draw(60) : draw(8) ? draw(700) : draw(LONGEST + 1000), offset = 0;
	bool complete = draw(3) == 0, expected;

	head.code = draw(20) ? CONTENT : MISSING;
	head.content_format = draw(4) ? 0 : draw(2) ? NONE : draw(FORMATS);
	head.options = small || draw(3) ? bytes_of(NULL, 0) : some_options(options, sizeof options);
	if (there && draw(2)) {
		offset = draw(3) ? there->len : draw((uint32_t)there->len + 20);
		if (draw(20))
			head.etag = bytes_of(there->etag_len ? there->etag : NULL, there->etag_len);
	}
	/* The head may not be borrowed from what changes. */
	if (head.etag.len) {
		static uint8_t etag[CACHE_ETAG];

		memcpy(etag, head.etag.ptr, head.etag.len);
		head.etag.ptr = etag;
	}
	fill(payload, len, offset, draw(256));
	expected = offset ? model_follow(m, &k, &head, offset, bytes_of(payload, len), complete, now)
			  : model_begin(m, &k, &head, bytes_of(payload, len), complete, now);
	m->refused += !expected;
	assert_int_equal(cache_put(c, &k, &head, offset, bytes_of(payload, len), complete, now), expected);
	kept[offset > 0][expected]++;
}

/* All of 8 and then all of 60, of one or the other. */
static size_t model_merge(struct bytes old, struct bytes new, uint8_t *out, size_t cap)
{
	const struct msg from[2] = { { .options = old }, { .options = new } };
	struct msgbuf b;

	msgbuf_bare(&b, out, cap);
	for (unsigned number = 8; number <= 60; number += 52) {
		struct msg_option opt;
		struct msg_iter it = msg_options(&from[msg_find(&from[1], (uint16_t)number, &opt)]);

		while (msg_next(&it, &opt))
			if (opt.number == number)
				msgbuf_option(&b, opt.number, opt.value);
	}
	assert_false(b.failed);
	return b.len;
}

/* The options of `at` are those, in a run of their own. False: it is gone. */
static bool model_renew(struct model *m, unsigned at, const uint8_t *options, size_t len)
{
	struct copy *e = &m->copies[at];
	uint64_t used = e->used;

	if (len == e->options_len && memcmp(options, e->options, len) == 0)
		return true;
	e->renewed = 0;
	if (len > CACHE_OPTIONS || e->came_with + e->len + model_chunks(len, 0) * CHUNK > LONGEST) {
		model_drop(m, at);
		return false;
	}
	while (model_used(m) + model_chunks(len, 0) > MODEL_BYTES / CHUNK)
		model_evict(m, NULL);
	for (unsigned i = 0; i < m->n; i++)
		if (m->copies[i].used == used)
			e = &m->copies[i];
	e->renewed = e->options_len = len;
	memcpy(e->options, options, len);
	return true;
}

static void random_refresh(struct model *m, struct cache *c, struct cache_key k, tstamp now, unsigned found[3])
{
	uint8_t options[1000], merged[1000];
	struct cache_head head = head_of(draw(3) ? "a" : "bcdefghi", draw(100));
	uint64_t before = m->uses;
	unsigned dropped = 0;
	bool expected = false;

	if (draw(2))
		head.content_format = draw(FORMATS);
	if (draw(2))
		head.options = some_options(options, sizeof options);
	for (unsigned i = m->n; i-- > 0;) {
		struct copy *e = &m->copies[i];
		unsigned n = m->n;
		size_t len;

		if (e->used > before || !model_serves(e, &k) || !bytes_equal(bytes_of(e->etag, e->etag_len), head.etag))
			continue;
		e->used = ++m->uses;
		e->since = now;
		e->expires = now + head.max_age * S;
		e->max_age = head.max_age;
		e->outdated = false;
		if (head.content_format != NONE)
			e->format = head.content_format;
		len = model_merge(bytes_of(e->options, e->options_len), head.options, merged, sizeof merged);
		if (model_renew(m, i, merged, len))
			expected = true;
		else
			dropped++;
		if (m->n != n) /* those that follow have other places now; who was met is known by its use */
			i = m->n;
	}
	assert_int_equal(cache_refresh(c, &k, &head, now), expected);
	found[expected]++;
	found[2] += dropped > 0;
}

static void compare_views(const struct model *m, const struct cache *c)
{
	struct cache_view v = view_of(c);

	assert_int_equal(v.entries, m->n);
	assert_int_equal(v.bytes, model_used(m) * CHUNK);
	assert_int_equal(v.stored, m->stored);
	assert_int_equal(v.evicted, m->evicted);
	assert_int_equal(v.refused, m->refused);
	assert_true(v.bytes <= v.bytes_capacity && v.entries <= v.entries_capacity);
}

static void agrees_with_a_naive_copy(void **state)
{
	static struct model m;
	struct cache *c = cache_of(MODEL_BYTES);
	unsigned met[3] = { 0 }, kept[2][2] = { { 0 } }, found[3] = { 0 }, full = 0;
	tstamp now = 1000 * S;

	(void)state;
	for (unsigned step = 0; step < 120000; step++) {
		struct cache_key k = some_key();
		unsigned what = draw(100);

		now += draw(3) ? 0 : draw(3000) * TSTAMP_MS;
		if (what < 50) {
			random_put(&m, c, k, step / 3000 % 2, now, kept);
		} else if (what < 60) {
			random_refresh(&m, c, k, now, found);
		} else if (what < 63) {
			cache_invalidate(c, k.uri);
			for (unsigned i = 0; i < m.n; i++)
				m.copies[i].outdated |= m.copies[i].k.uri == k.uri;
		} else if (what == 63 && draw(20) == 0) {
			cache_clear(c);
			m.n = 0;
		} else {
			compare(&m, c, k, now, met);
		}
		compare_views(&m, c);
		full += m.n == MODEL_ENTRIES;
		for (unsigned i = 0; step % 500 == 0 && i < REQUESTS * (FORMATS + 1); i++) {
			k.request = i / (FORMATS + 1) * (1ull << 40 | 1);
			k.uri = i / (FORMATS + 1) / 3;
			k.accept = i % (FORMATS + 1) < FORMATS ? i % (FORMATS + 1) : NONE;
			compare(&m, c, k, now, met);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(met[i] > 1000);
	for (unsigned i = 0; i < 4; i++)
		assert_true(kept[i / 2][i % 2] > 500);
	assert_true(found[0] > 500 && found[1] > 500 && found[2] > 10);
	assert_true(full > 100 && m.evicted > 1000);
	cache_free(c);
}

/* --- ceilings */

static void a_million_puts_stay_inside(void **state)
{
	static uint8_t payload[5000];
	size_t bytes = 1000000, highest = 0;
	struct cache *c = cache_of(bytes);
	struct cache_view v;

	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		struct cache_key k = key_of(draw(20000) * 0x9e3779b97f4a7c15ull, draw(4) ? NONE : draw(70000));
		struct cache_head head = head_of(draw(2) ? "etag" : NULL, draw(100));
		size_t len = draw(10) ? draw(200) : draw(sizeof payload);
		struct cache_entry e;
		size_t offset = draw(2) && cache_find(c, &k, 0, &e) ? e.len : 0;

		head.options = bytes_of(payload, draw(4) ? 0 : draw(CACHE_OPTIONS));
		(void)cache_put(c, &k, &head, offset, bytes_of(payload, len), draw(2), i * TSTAMP_MS);
		v = view_of(c);
		assert_true(v.bytes <= v.bytes_capacity && v.entries <= v.entries_capacity);
		highest = v.bytes > highest ? v.bytes : highest;
	}
	assert_true(v.bytes_capacity <= bytes && v.bytes_capacity + CHUNK > bytes);
	assert_true(highest > bytes - 40 * CHUNK);
	assert_true(v.evicted > 100000);
	cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_what_it_was_given),
		cmocka_unit_test(reads_from_anywhere),
		cmocka_unit_test(refuses_what_is_too_large),
		cmocka_unit_test(keys_are_compared_in_full),
		cmocka_unit_test(formats_serve_who_wants_them),
		cmocka_unit_test(fresh_goes_first_then_what_was_asked_so),
		cmocka_unit_test(variants_are_few),
		cmocka_unit_test(ages),
		cmocka_unit_test(never_younger_than_it_is),
		cmocka_unit_test(parts_join_on),
		cmocka_unit_test(parts_need_a_beginning),
		cmocka_unit_test(parts_make_a_whole),
		cmocka_unit_test(parts_never_make_it_younger),
		cmocka_unit_test(parts_join_what_would_be_found),
		cmocka_unit_test(validation_makes_fresh),
		cmocka_unit_test(validation_replaces_options),
		cmocka_unit_test(validation_changes_the_format),
		cmocka_unit_test(validation_drops_what_outgrows),
		cmocka_unit_test(validation_makes_room),
		cmocka_unit_test(unsafe_requests_make_old),
		cmocka_unit_test(clear_leaves_nothing),
		cmocka_unit_test(the_least_recently_used_goes),
		cmocka_unit_test(heads_run_out_too),
		cmocka_unit_test(who_grows_does_not_evict_itself),
		cmocka_unit_test(memory_is_as_said),
		cmocka_unit_test(agrees_with_a_naive_copy),
		cmocka_unit_test(a_million_puts_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

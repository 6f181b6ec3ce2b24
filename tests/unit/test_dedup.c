#include "coap/dedup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t seed = 8;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

static void remembers_one_exchange(void **state)
{
	struct dedup *d = dedup_create(64, 1024);
	struct bytes reply = { 0 };
	uint32_t ref = 0;

	(void)state;
	assert_non_null(d);
	dedup_prefetch(d, 42);
	assert_int_equal(dedup_find(d, 42, 0, &ref, &reply), DEDUP_NEW);
	dedup_open(d, 42, 7, 100);
	assert_int_equal(dedup_find(d, 42, 99, &ref, &reply), DEDUP_PENDING);
	assert_int_equal(ref, 7);
	assert_int_equal(dedup_find(d, 42, 100, &ref, &reply), DEDUP_NEW);
	dedup_answer(d, 42, text("pong"));
	assert_int_equal(dedup_find(d, 42, 99, &ref, &reply), DEDUP_ANSWERED);
	assert_true(bytes_are(reply, "pong"));
	assert_int_equal(dedup_find(d, 42, 100, &ref, &reply), DEDUP_NEW);
	assert_int_equal(dedup_find(d, 42 + 8, 0, &ref, &reply), DEDUP_NEW);
	dedup_answer(d, 42, text(""));
	assert_int_equal(dedup_find(d, 42, 99, &ref, &reply), DEDUP_ANSWERED);
	assert_int_equal(reply.len, 0);
	dedup_open(d, 42, UINT32_MAX, 300);
	assert_int_equal(dedup_find(d, 42, 299, &ref, &reply), DEDUP_PENDING);
	assert_true(ref == UINT32_MAX);
	dedup_forget(d, 42);
	assert_int_equal(dedup_find(d, 42, 0, &ref, &reply), DEDUP_NEW);
	dedup_forget(d, 42);
	dedup_answer(d, 42, text("late"));
	assert_int_equal(dedup_find(d, 42, 0, &ref, &reply), DEDUP_NEW);
	dedup_free(d);
	dedup_free(NULL);
}

/* Nine keys of one bucket of eight: the one that would expire first is gone. */
static void the_stalest_makes_room(void **state)
{
	struct dedup *d = dedup_create(1, 64);
	struct bytes reply;
	uint32_t ref;

	(void)state;
	assert_non_null(d);
	for (uint32_t key = 1; key <= 8; key++)
		dedup_open(d, key, key, key == 5 ? 10 : 100 + key);
	for (uint32_t key = 1; key <= 8; key++)
		assert_int_equal(dedup_find(d, key, 0, &ref, &reply), DEDUP_PENDING);
	dedup_open(d, 9, 9, 1);
	assert_int_equal(dedup_find(d, 5, 0, &ref, &reply), DEDUP_NEW);
	dedup_open(d, 10, 10, 200);
	assert_int_equal(dedup_find(d, 9, 0, &ref, &reply), DEDUP_NEW);
	dedup_forget(d, 3);
	dedup_open(d, 11, 11, 1);
	assert_int_equal(dedup_find(d, 1, 0, &ref, &reply), DEDUP_PENDING);
	assert_int_equal(dedup_find(d, 11, 0, &ref, &reply), DEDUP_PENDING);
	assert_int_equal(ref, 11);
	dedup_free(d);
}

static void the_log_forgets(void **state)
{
	struct dedup *d = dedup_create(64, 20);
	struct bytes reply;
	uint32_t ref;

	(void)state;
	assert_non_null(d);
	for (uint32_t key = 1; key <= 4; key++)
		dedup_open(d, key, key, 100);
	dedup_answer(d, 1, text("12345678"));
	dedup_answer(d, 2, text("abcdefgh"));
	assert_int_equal(dedup_find(d, 1, 0, &ref, &reply), DEDUP_ANSWERED);
	assert_true(bytes_are(reply, "12345678"));
	dedup_answer(d, 3, text("+"));
	assert_int_equal(dedup_find(d, 1, 0, &ref, &reply), DEDUP_ANSWERED);
	assert_int_equal(reply.len, 0);
	assert_int_equal(dedup_find(d, 3, 0, &ref, &reply), DEDUP_ANSWERED);
	assert_true(bytes_are(reply, "+"));
	/* Exactly the whole log, and one byte more. */
	dedup_answer(d, 4, text("123456789012345678"));
	assert_int_equal(dedup_find(d, 4, 0, &ref, &reply), DEDUP_ANSWERED);
	assert_true(bytes_are(reply, "123456789012345678"));
	dedup_answer(d, 4, text("1234567890123456789"));
	assert_int_equal(dedup_find(d, 4, 0, &ref, &reply), DEDUP_ANSWERED);
	assert_int_equal(reply.len, 0);
	dedup_free(d);
}

static void sizes_may_be_odd(void **state)
{
	static const struct {
		uint32_t entries, log_bytes;
	} sizes[] = { { 0, 0 }, { 1, 1 }, { 9, 2 }, { 1000, 70000 } };
	static uint8_t big[65536];

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct dedup *d = dedup_create(sizes[i].entries, sizes[i].log_bytes);
		struct bytes reply = { 0 };
		uint32_t ref;

		assert_non_null(d);
		dedup_open(d, UINT64_MAX, 1, TSTAMP_NEVER);
		dedup_answer(d, UINT64_MAX, bytes_of(big, 65535));
		assert_int_equal(dedup_find(d, UINT64_MAX, 5, &ref, &reply), DEDUP_ANSWERED);
		assert_int_equal(reply.len, sizes[i].log_bytes > 65535 ? 65535 : 0);
		dedup_answer(d, UINT64_MAX, bytes_of(big, 65536));
		assert_int_equal(dedup_find(d, UINT64_MAX, 5, &ref, &reply), DEDUP_ANSWERED);
		assert_int_equal(reply.len, 0);
		dedup_free(d);
	}
}

/*
 * The naive copy: an array of records whose bucket is (key & 3), eight a bucket, and each reply in
 * full. `since` counts the log bytes appended after a reply: up to LOG minus the largest gap at the
 * ring's end it must be there, above LOG it must be gone.
 */
enum { BUCKETS = 4, KEYS = 48, LOG = 1024, REPLY = 200 };

struct record {
	bool used, answered;
	uint64_t key;
	uint32_t ref;
	tstamp expires;
	uint8_t reply[REPLY];
	size_t len;
	uint64_t end; /* log bytes appended up to its own end */
};

struct model {
	struct record records[BUCKETS][8];
	uint64_t appended;
};

static struct record *model_find(struct model *m, uint64_t key)
{
	for (int i = 0; i < 8; i++)
		if (m->records[key & 3][i].used && m->records[key & 3][i].key == key)
			return &m->records[key & 3][i];
	return NULL;
}

static void model_open(struct model *m, uint64_t key, uint32_t ref, tstamp expires)
{
	struct record *r = model_find(m, key), *bucket = m->records[key & 3];

	for (int i = 0; !r && i < 8; i++)
		if (!bucket[i].used)
			r = &bucket[i];
	if (!r) {
		r = bucket;
		for (int i = 1; i < 8; i++)
			if (bucket[i].expires < r->expires)
				r = &bucket[i];
	}
	*r = (struct record){ .used = true, .key = key, .ref = ref, .expires = expires };
}

static unsigned check(struct model *m, const struct dedup *d, uint64_t key, tstamp now)
{
	struct record *r = model_find(m, key);
	struct bytes reply = { 0 };
	uint32_t ref = 0;
	enum dedup_state s = dedup_find(d, key, now, &ref, &reply);

	if (!r || r->expires <= now) {
		assert_int_equal(s, DEDUP_NEW);
		return 0;
	}
	if (!r->answered) {
		assert_int_equal(s, DEDUP_PENDING);
		assert_int_equal(ref, r->ref);
		return 1;
	}
	assert_int_equal(s, DEDUP_ANSWERED);
	if (reply.len > 0) {
		assert_true(bytes_equal(reply, bytes_of(r->reply, r->len)));
		assert_true(m->appended - r->end + r->len + 2 <= LOG);
		return 2;
	}
	assert_true(r->len == 0 || m->appended - r->end + r->len + 2 > LOG - (REPLY + 2));
	return 3;
}

static void model_answer(struct model *m, struct dedup *d, uint64_t key)
{
	struct record *r = model_find(m, key);
	uint8_t reply[REPLY];
	size_t len = draw(REPLY + 1);

	for (size_t i = 0; i < len; i++)
		reply[i] = (uint8_t)draw(256);
	dedup_answer(d, key, bytes_of(reply, len));
	if (!r)
		return;
	m->appended += len + 2;
	r->answered = true;
	r->len = len;
	r->end = m->appended;
	memcpy(r->reply, reply, len);
}

static void agrees_with_a_naive_copy(void **state)
{
	static struct model m;
	struct dedup *d = dedup_create(BUCKETS * 8, LOG);
	unsigned met[4] = { 0 };
	tstamp now = 1;

	(void)state;
	assert_non_null(d);
	for (int step = 0; step < 60000; step++) {
		uint64_t key = 1 + draw(KEYS);

		now += draw(4);
		switch (draw(8)) {
		case 0:
		case 1:
		case 2:
			/* No two expire at once, so that there is one stalest. */
			model_open(&m, key, (uint32_t)step, (now + draw(1000)) * 100000 + (tstamp)step);
			dedup_open(d, key, (uint32_t)step, model_find(&m, key)->expires);
			break;
		case 3:
		case 4:
		case 5: model_answer(&m, d, key); break;
		case 6:
			if (draw(4) == 0) {
				dedup_forget(d, key);
				if (model_find(&m, key))
					*model_find(&m, key) = (struct record){ 0 };
			}
			break;
		default: break;
		}
		met[check(&m, d, key, now * 100000)]++;
		met[check(&m, d, 1 + draw(KEYS), now * 100000)]++;
	}
	for (int i = 0; i < 4; i++)
		assert_true(met[i] > 1000);
	dedup_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_one_exchange),   cmocka_unit_test(the_stalest_makes_room),
		cmocka_unit_test(the_log_forgets),          cmocka_unit_test(sizes_may_be_odd),
		cmocka_unit_test(agrees_with_a_naive_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

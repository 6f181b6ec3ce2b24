#include "base/dgram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define CAPACITY 16

static uint64_t seed = 3;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void empty_is_a_verdict(void **state)
{
	struct dgram_pool p;
	struct dgram *taken[CAPACITY];

	(void)state;
	assert_true(dgram_pool_init(&p, CAPACITY));
	assert_int_equal(p.used, 0);
	for (unsigned i = 0; i < CAPACITY; i++) {
		taken[i] = dgram_take(&p);
		assert_non_null(taken[i]);
		memset(taken[i]->buf, (int)i, DGRAM_MAX);
	}
	assert_int_equal(p.used, CAPACITY);
	assert_null(dgram_take(&p));
	for (unsigned i = 0; i < CAPACITY; i++) {
		assert_int_equal(taken[i]->buf[0], i);
		assert_int_equal(taken[i]->buf[DGRAM_MAX - 1], i);
		dgram_give(&p, taken[i]);
	}
	dgram_give(&p, NULL);
	assert_int_equal(p.used, 0);
	assert_ptr_equal(dgram_take(&p), taken[CAPACITY - 1]);
	dgram_pool_free(&p);
	assert_null(dgram_take(&p));
}

static void comes_back_clean(void **state)
{
	static const struct path nowhere;
	struct dgram_pool p;
	struct dgram *d;

	(void)state;
	assert_true(dgram_pool_init(&p, 1));
	d = dgram_take(&p);
	memset(&d->to, 0xff, sizeof d->to);
	d->flow = 1;
	d->round = d->owner = 2;
	d->len = DGRAM_MAX;
	d->lane = 3;
	d->queued = true;
	assert_int_equal(dgram_bytes(d).len, DGRAM_MAX);
	assert_ptr_equal(dgram_bytes(d).ptr, d->buf);
	dgram_give(&p, d);
	assert_ptr_equal(dgram_take(&p), d);
	assert_memory_equal(&d->to, &nowhere, sizeof nowhere);
	assert_true(d->flow == 0 && d->round == 0 && d->len == 0 && d->lane == 0);
	assert_false(d->queued);
	assert_true(d->owner == DGRAM_UNOWNED);
	assert_true(list_empty(&d->link));
	dgram_pool_free(&p);
}

/* Datagrams move through queues; giving one that still hangs in a queue takes it out. */
static void agrees_with_a_count(void **state)
{
	struct dgram_pool p;
	struct list queue;
	unsigned out = 0;

	(void)state;
	assert_true(dgram_pool_init(&p, CAPACITY));
	list_init(&queue);
	for (int step = 0; step < 20000; step++) {
		unsigned length = 0;

		if (draw(2)) {
			struct dgram *d = dgram_take(&p);

			assert_true((d == NULL) == (out == CAPACITY));
			if (d) {
				list_append(draw(2) ? &queue : queue.next, &d->link);
				out++;
			}
		} else if (out > 0) {
			dgram_give(&p, LIST_ENTRY(queue.next, struct dgram, link));
			out--;
		}
		for (struct list *l = queue.next; l != &queue; l = l->next)
			length++;
		assert_int_equal(length, out);
		assert_int_equal(p.used, out);
	}
	dgram_pool_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_a_verdict),
		cmocka_unit_test(comes_back_clean),
		cmocka_unit_test(agrees_with_a_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

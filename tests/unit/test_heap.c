#include "base/heap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define NODES 100

static uint64_t seed = 2;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void gives_back_in_order(void **state)
{
	struct heap_node nodes[NODES] = { 0 }, *slots[NODES];
	struct heap h;
	tstamp last = 0;

	(void)state;
	heap_init(&h, slots, NODES);
	assert_null(heap_top(&h));
	for (uint32_t i = 0; i < NODES; i++)
		heap_set(&h, &nodes[i], draw(1000));
	for (uint32_t i = 0; i < NODES; i++) {
		struct heap_node *top = heap_top(&h);

		assert_true(top->at >= last);
		last = top->at;
		heap_remove(&h, top);
		assert_int_equal(top->place, 0);
	}
	assert_null(heap_top(&h));
}

static void never_is_not_queued(void **state)
{
	struct heap_node a = { 0 }, b = { 0 }, *slots[2];
	struct heap h;

	(void)state;
	heap_init(&h, slots, 2);
	heap_set(&h, &a, TSTAMP_NEVER);
	assert_null(heap_top(&h));
	assert_true(a.at == TSTAMP_NEVER);
	heap_set(&h, &a, 5);
	heap_set(&h, &b, 4);
	heap_set(&h, &b, TSTAMP_NEVER);
	assert_ptr_equal(heap_top(&h), &a);
	assert_int_equal(h.count, 1);
	assert_int_equal(b.place, 0);
	heap_remove(&h, &b);
	heap_remove(&h, &b);
	assert_int_equal(h.count, 1);
	heap_set(&h, &a, 0);
	assert_true(heap_top(&h)->at == 0);
}

/* The naive copy is an array of deadlines, TSTAMP_NEVER for "not in". */
static void check(const struct heap *h, const struct heap_node *nodes, const tstamp *model)
{
	tstamp least = TSTAMP_NEVER;
	uint32_t count = 0;

	for (uint32_t i = 0; i < NODES; i++) {
		least = tstamp_min(least, model[i]);
		count += model[i] != TSTAMP_NEVER;
		if (model[i] == TSTAMP_NEVER) {
			assert_int_equal(nodes[i].place, 0);
			continue;
		}
		assert_true(nodes[i].at == model[i]);
		assert_in_range(nodes[i].place, 1, h->count);
		assert_ptr_equal(h->slots[nodes[i].place - 1], &nodes[i]);
	}
	assert_int_equal(h->count, count);
	for (uint32_t place = 2; place <= count; place++)
		assert_true(h->slots[place / 2 - 1]->at <= h->slots[place - 1]->at);
	if (count)
		assert_true(heap_top(h)->at == least);
	else
		assert_null(heap_top(h));
}

static void agrees_with_an_array(void **state)
{
	struct heap_node nodes[NODES] = { 0 }, *slots[NODES];
	tstamp model[NODES];
	struct heap h;

	(void)state;
	heap_init(&h, slots, NODES);
	for (uint32_t i = 0; i < NODES; i++)
		model[i] = TSTAMP_NEVER;
	for (int step = 0; step < 20000; step++) {
		uint32_t i = draw(NODES);
		/* Alternate between filling and draining, so that every size is met. */
		uint32_t sets = step / 500 % 2 ? 30 : 70;

		if (draw(100) < sets) {
			model[i] = draw(10) ? draw(50) : TSTAMP_NEVER;
			heap_set(&h, &nodes[i], model[i]);
		} else {
			model[i] = TSTAMP_NEVER;
			heap_remove(&h, &nodes[i]);
		}
		check(&h, nodes, model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_in_order),
		cmocka_unit_test(never_is_not_queued),
		cmocka_unit_test(agrees_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

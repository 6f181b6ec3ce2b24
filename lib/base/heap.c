#include "base/heap.h"
#include <assert.h>

/*
 * A binary heap in slots[0..count): the parent of place n is place n / 2. Places are 1-based so
 * that 0 can mean "not here".
 */
static void put(struct heap *h, struct heap_node *n, uint32_t place)
{
	h->slots[place - 1] = n;
	n->place = place;
}

static struct heap_node *at(const struct heap *h, uint32_t place)
{
	return h->slots[place - 1];
}

static void rise(struct heap *h, struct heap_node *n)
{
	uint32_t place = n->place;

	for (; place > 1 && n->at < at(h, place / 2)->at; place /= 2)
		put(h, at(h, place / 2), place);
	put(h, n, place);
}

static void sink(struct heap *h, struct heap_node *n)
{
	uint32_t place = n->place;

	while (place <= h->count / 2) {
		uint32_t child = 2 * place;

		if (child < h->count && at(h, child + 1)->at < at(h, child)->at)
			child++;
		if (at(h, child)->at >= n->at)
			break;
		put(h, at(h, child), place);
		place = child;
	}
	put(h, n, place);
}

void heap_init(struct heap *h, struct heap_node **slots, uint32_t capacity)
{
	/* Twice a place must fit. */
	assert(capacity <= UINT32_MAX / 2);
	*h = (struct heap){ .slots = slots, .capacity = capacity };
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *last;

	if (n->place == 0)
		return;
	last = at(h, h->count--);
	if (last != n) {
		put(h, last, n->place);
		rise(h, last);
		sink(h, last);
	}
	n->place = 0;
}

void heap_set(struct heap *h, struct heap_node *n, tstamp when)
{
	if (when == TSTAMP_NEVER) {
		heap_remove(h, n);
		n->at = when;
		return;
	}
	n->at = when;
	if (n->place == 0) {
		assert(h->count < h->capacity);
		put(h, n, ++h->count);
	}
	rise(h, n);
	sink(h, n);
}

struct heap_node *heap_top(const struct heap *h)
{
	return h->count ? h->slots[0] : NULL;
}

/* heap: deadlines in order. Intrusive; the slots are given at start, so nothing can fail later. */
#ifndef HEAP_H
#define HEAP_H
#include "base/tstamp.h"
#include <stddef.h>

struct heap_node {
	tstamp at;
	uint32_t place; /* 1-based position, 0: not in a heap */
};

struct heap {
	struct heap_node **slots; /* caller's, `capacity` of them */
	uint32_t capacity, count;
};

void heap_init(struct heap *h, struct heap_node **slots, uint32_t capacity);
void heap_set(struct heap *h, struct heap_node *n, tstamp at); /* inserts or moves; TSTAMP_NEVER removes */
void heap_remove(struct heap *h, struct heap_node *n);         /* harmless when not in the heap */
struct heap_node *heap_top(const struct heap *h);              /* the earliest, or NULL */
#endif

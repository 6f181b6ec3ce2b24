/* tally: how many there are of each key. Fixed size, open addressing; a key counted down to 0
 * leaves no trace. */
#ifndef TALLY_H
#define TALLY_H
#include <assert.h>
#include <stdint.h>
#include "base/memory.h"

struct tally_cell {
	uint64_t key;
	uint32_t count; /* 0: free */
};

struct tally {
	struct tally_cell *cells;
	uint32_t mask;
};

/* At least twice as many cells as keys: probing stays short, and a free cell always ends it. */
static inline uint32_t tally_cells(uint32_t keys)
{
	uint32_t n = 2;

	while (n < UINT32_C(1) << 30 && n / 2 < keys)
		n *= 2;
	return n;
}

/* keys: the most different ones at a time. Returns 0, or -1: no memory. */
static inline int tally_init(struct tally *t, uint32_t keys)
{
	uint32_t n = tally_cells(keys);

	t->cells = memory_create(n, sizeof *t->cells);
	t->mask = n - 1;
	return t->cells ? 0 : -1;
}

static inline void tally_free(struct tally *t)
{
	memory_free(t->cells);
}

/* The cell of key, or the free one where it would be. Keys are keyed hashes, so their low bits will
 * do. */
static inline uint32_t tally_find(const struct tally *t, uint64_t key)
{
	uint32_t i = (uint32_t)key & t->mask;

	while (t->cells[i].count > 0 && t->cells[i].key != key)
		i = (i + 1) & t->mask;
	return i;
}

static inline uint32_t tally_count(const struct tally *t, uint64_t key)
{
	return t->cells[tally_find(t, key)].count;
}

static inline void tally_add(struct tally *t, uint64_t key)
{
	struct tally_cell *c = &t->cells[tally_find(t, key)];

	c->key = key;
	c->count++;
}

/*
 * Fills hole i: a later cell of the same run moves into it when its home does not lie between the
 * two, as it could not be found behind a hole.
 *
 *     home ... hole ... cell     moves
 *     hole ... home ... cell     stays
 */
static inline void tally_close(struct tally *t, uint32_t hole)
{
	for (uint32_t i = (hole + 1) & t->mask; t->cells[i].count > 0; i = (i + 1) & t->mask) {
		uint32_t home = (uint32_t)t->cells[i].key & t->mask;

		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->cells[hole] = t->cells[i];
		t->cells[i].count = 0;
		hole = i;
	}
}

/* One less of key, of which there must be one. */
static inline void tally_sub(struct tally *t, uint64_t key)
{
	uint32_t i = tally_find(t, key);

	assert(t->cells[i].count > 0);
	if (--t->cells[i].count == 0)
		tally_close(t, i);
}
#endif

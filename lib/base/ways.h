/* ways: the keys of one bucket side by side, a cache line of them: looking one up in vain touches nothing else. */
#ifndef WAYS_H
#define WAYS_H
#include <stdint.h>

#define WAYS 8

/* The place of key, or WAYS. */
static inline unsigned ways_find(const uint64_t keys[WAYS], uint64_t key)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < WAYS; i++)
		if (keys[i] == key)
			return i;
	return WAYS;
}
#endif

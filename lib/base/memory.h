/* memory: what is allocated at start, and never again. Zeroed and touched: nothing is paged in later, under load. */
#ifndef MEMORY_H
#define MEMORY_H
#include <stddef.h>
#include <stdint.h>

/* n items of `size` bytes, on a cache line's boundary; NULL: no memory. The caller frees it with memory_free. */
void *memory_create(size_t n, size_t size);
void memory_free(void *memory); /* NULL is harmless */

/* How many buckets of `ways` places hold at least `items`: a power of two, so that a mask finds one. */
static inline uint32_t memory_buckets(uint32_t items, uint32_t ways)
{
	uint64_t n = 1;

	while (n * ways < items)
		n *= 2;
	return (uint32_t)n;
}
#endif

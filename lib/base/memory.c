#include "base/memory.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

void *memory_create(size_t n, size_t size)
{
	size_t bytes, rounded;
	void *memory;

	if (size && n > SIZE_MAX / size)
		return NULL;
	bytes = n * size;
	rounded = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	memory = aligned_alloc(CACHE_LINE, rounded ? rounded : CACHE_LINE);
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

void memory_free(void *memory)
{
	free(memory);
}

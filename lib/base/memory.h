/* memory: what is allocated at start, and never again. Zeroed and touched: nothing is paged in later, under load. */
#ifndef MEMORY_H
#define MEMORY_H
#include <stddef.h>

/* n items of `size` bytes, on a cache line's boundary; NULL: no memory. The caller frees it with memory_free. */
void *memory_create(size_t n, size_t size);
void memory_free(void *memory); /* NULL is harmless */
#endif

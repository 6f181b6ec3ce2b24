/*
 * chunks: runs of bytes in one arena of fixed size. A run grows at its end only and goes as a whole; any byte of it is found in O(log n)
 * steps, whatever a stranger asks for.
 */
#ifndef CHUNKS_H
#define CHUNKS_H
#include "base/bytes.h"

#define CHUNK 128

struct chunk_link {
	uint32_t before, jump; /* the one before it, and one further back */
	uint32_t number;       /* in its run, from 0 on */
};

struct chunks {
	uint8_t (*data)[CHUNK];
	struct chunk_link *links; /* free ones hang together by `before` */
	uint32_t capacity, used, free;
};

/* Zeroed it is empty. */
struct run {
	size_t size;
	uint32_t first, last; /* while it is not empty */
};

bool chunks_init(struct chunks *c, uint32_t capacity); /* false: no memory */
void chunks_free(struct chunks *c);                    /* harmless after chunks_init failed, and when all is zero */
size_t chunks_memory(uint32_t capacity);               /* all that chunks_init(c, capacity) allocates */

static inline uint32_t chunks_for(size_t size)
{
	return (uint32_t)((size + CHUNK - 1) / CHUNK);
}

/* How many more `run` takes to hold so many bytes in all. */
static inline uint32_t chunks_missing(const struct run *run, size_t size)
{
	return size > run->size ? chunks_for(size) - chunks_for(run->size) : 0;
}

/* The caller has seen to it that as many are free as are missing. */
void chunks_append(struct chunks *c, struct run *run, struct bytes b);
/* Copies n bytes from `offset`; all of them are there. */
void chunks_read(const struct chunks *c, const struct run *run, size_t offset, uint8_t *out, size_t n);
void chunks_release(struct chunks *c, struct run *run); /* in O(1); the run is empty then */
#endif

#include "base/chunks.h"
#include <assert.h>
#include "base/memory.h"

/*
 * How far back a jump goes follows from the number alone, and is such that a few jumps and steps lead everywhere
 * (Myers, "An applicative random-access stack", 1983):
 *
 *     number   0  1  2  3  4  5  6  7
 *     jump     0  0  1  0  3  4  3  0
 */

#define NONE UINT32_MAX

size_t chunks_memory(uint32_t capacity)
{
	return capacity * (CHUNK + sizeof(struct chunk_link));
}

bool chunks_init(struct chunks *c, uint32_t capacity)
{
	*c = (struct chunks){ .capacity = capacity, .free = capacity ? 0 : NONE };
	c->data = memory_create(capacity, sizeof *c->data);
	c->links = memory_create(capacity, sizeof *c->links);
	if (!c->data || !c->links) {
		chunks_free(c);
		return false;
	}
	for (uint32_t i = 0; i < capacity; i++)
		c->links[i].before = i + 1 < capacity ? i + 1 : NONE;
	return true;
}

void chunks_free(struct chunks *c)
{
	memory_free(c->data);
	memory_free(c->links);
	*c = (struct chunks){ .free = NONE };
}

static uint32_t jump_from(const struct chunk_link *links, uint32_t last)
{
	uint32_t j = links[last].jump, jj = links[j].jump;

	return links[last].number - links[j].number == links[j].number - links[jj].number ? jj : last;
}

static void add_chunk(struct chunks *c, struct run *run)
{
	uint32_t i = c->free, last = run->last;

	assert(i != NONE);
	c->free = c->links[i].before;
	c->used++;
	if (run->size == 0) {
		run->first = i;
		c->links[i] = (struct chunk_link){ i, i, 0 };
	} else {
		c->links[i] = (struct chunk_link){ last, jump_from(c->links, last), c->links[last].number + 1 };
	}
	run->last = i;
}

void chunks_append(struct chunks *c, struct run *run, struct bytes b)
{
	while (b.len) {
		size_t at = run->size % CHUNK, n = b.len < CHUNK - at ? b.len : CHUNK - at;

		if (at == 0)
			add_chunk(c, run);
		memcpy(c->data[run->last] + at, b.ptr, n);
		run->size += n;
		b = bytes_of(b.ptr + n, b.len - n);
	}
}

static uint32_t seek(const struct chunk_link *links, uint32_t last, size_t number)
{
	uint32_t i = last;

	while (links[i].number > number)
		i = links[links[i].jump].number >= number ? links[i].jump : links[i].before;
	return i;
}

/* From the last byte to the first, as the chunks hang together. */
void chunks_read(const struct chunks *c, const struct run *run, size_t offset, uint8_t *out, size_t n)
{
	size_t end = offset + n, start;
	uint32_t i = n ? seek(c->links, run->last, (end - 1) / CHUNK) : NONE;

	for (; end > offset; end = start, i = c->links[i].before) {
		start = (end - 1) / CHUNK * CHUNK;
		start = start > offset ? start : offset;
		memcpy(out + (start - offset), c->data[i] + start % CHUNK, end - start);
	}
}

void chunks_release(struct chunks *c, struct run *run)
{
	if (run->size) {
		c->used -= c->links[run->last].number + 1;
		c->links[run->first].before = c->free;
		c->free = run->last;
	}
	*run = (struct run){ 0 };
}

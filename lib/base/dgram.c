#include "base/dgram.h"
#include <assert.h>
#include "base/memory.h"

bool dgram_pool_init(struct dgram_pool *p, uint32_t capacity)
{
	*p = (struct dgram_pool){ .all = memory_create(capacity, sizeof *p->all), .capacity = capacity };
	list_init(&p->free);
	if (!p->all)
		return false;
	for (uint32_t i = 0; i < capacity; i++)
		list_append(&p->free, &p->all[i].link);
	return true;
}

void dgram_pool_free(struct dgram_pool *p)
{
	memory_free(p->all);
	*p = (struct dgram_pool){ 0 };
	list_init(&p->free);
}

struct dgram *dgram_take(struct dgram_pool *p)
{
	struct dgram *d;

	if (list_empty(&p->free))
		return NULL;
	d = LIST_ENTRY(p->free.next, struct dgram, link);
	list_remove(&d->link);
	/* All but buf: clearing 1.4 KiB that are about to be written would be waste. */
	memset(&d->to, 0, offsetof(struct dgram, buf) - offsetof(struct dgram, to));
	d->owner = DGRAM_UNOWNED;
	p->used++;
	return d;
}

/* The last one given is the next one taken: its lines are still in the cache. */
void dgram_give(struct dgram_pool *p, struct dgram *d)
{
	if (!d)
		return;
	assert(d >= p->all && d < p->all + p->capacity && p->used > 0);
	list_remove(&d->link);
	list_append(p->free.next, &d->link);
	p->used--;
}

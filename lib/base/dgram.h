/* dgram: packet buffers from a pool of fixed size, and what a queue has to know about each. */
#ifndef DGRAM_H
#define DGRAM_H
#include "base/bytes.h"
#include "base/list.h"
#include "base/path.h"
#include "base/tstamp.h"

#define DGRAM_MAX 1408 /* the largest datagram accepted (1280) and what a proxy may have to add */

struct dgram {
	struct list link; /* in the pool, in an outbox, or in a lane of a link */
	struct path to;
	uint64_t flow;  /* whose it is, for fairness inside a lane */
	uint32_t round; /* linksched's: fair-queueing round */
	uint32_t owner; /* the exchange it belongs to, or DGRAM_UNOWNED */
	uint16_t len;
	uint8_t lane;   /* enum lane */
	uint8_t device; /* its place, for fairness between devices */
	bool queued;    /* in a lane of a link */
	uint8_t growth; /* bytes that come on top before it is sent: counted by the link already */
	uint8_t buf[DGRAM_MAX];
};

#define DGRAM_UNOWNED UINT32_MAX

struct dgram_pool {
	struct dgram *all;
	struct list free;
	uint32_t capacity, used;
};

bool dgram_pool_init(struct dgram_pool *p, uint32_t capacity); /* false: no memory */
void dgram_pool_free(struct dgram_pool *p);
struct dgram *dgram_take(struct dgram_pool *p);         /* NULL when the pool is empty: a verdict, not an error */
void dgram_give(struct dgram_pool *p, struct dgram *d); /* NULL is harmless */

static inline struct bytes dgram_bytes(const struct dgram *d)
{
	return bytes_of(d->buf, d->len);
}
#endif

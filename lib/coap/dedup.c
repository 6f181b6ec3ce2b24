#include "coap/dedup.h"
#include <assert.h>
#include "base/memory.h"
#include "base/ways.h"

/*
 * 24 bytes a record, kept as columns: a look-up that misses, the common case, reads one cache line.
 * An empty record has key 0 and expires 0, so it is also the stalest.
 */
struct bucket_of_eight {
	uint64_t key[WAYS];
	tstamp expires[WAYS];
	uint64_t what[WAYS]; /* pending: ref << 1; answered: position in the log << 1 | 1 */
};

/*
 * Positions in the log count every byte ever written and never wrap; a byte's place in the ring is
 * its position modulo size. What lies more than `size` below head has been overwritten.
 *
 *     head - size                      head
 *     | ...  | len 2 | reply | len 2 | reply |
 */
struct dedup {
	struct bucket_of_eight *buckets;
	size_t mask;
	uint8_t *log;
	uint64_t size, head;
};

#define PREFIX 2 /* length of the reply, in host order: nobody else reads it */

size_t dedup_memory(uint32_t entries, uint32_t log_bytes)
{
	return sizeof(struct dedup) + memory_buckets(entries, WAYS) * sizeof(struct bucket_of_eight) + log_bytes;
}

uint64_t dedup_key(uint64_t who, uint16_t mid, struct bytes token)
{
	uint64_t h = (who ^ (uint64_t)mid << 16) * 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < token.len; i++)
		h = (h ^ token.ptr[i]) * 0x100000001b3ULL;
	h ^= h >> 29;
	return h ? h : 1;
}

struct dedup *dedup_create(uint32_t entries, uint32_t log_bytes)
{
	struct dedup *d = memory_create(1, sizeof *d);
	uint32_t buckets = memory_buckets(entries, WAYS);

	if (!d)
		return NULL;
	d->mask = buckets - 1;
	d->size = log_bytes ? log_bytes : 1;
	d->head = 2 * d->size; /* so that position 0 is one that was overwritten */
	d->buckets = memory_create(buckets, sizeof *d->buckets);
	d->log = memory_create(1, log_bytes ? log_bytes : 1);
	if (!d->buckets || !d->log) {
		dedup_free(d);
		return NULL;
	}
	return d;
}

void dedup_free(struct dedup *d)
{
	if (!d)
		return;
	memory_free(d->buckets);
	memory_free(d->log);
	memory_free(d);
}

static struct bucket_of_eight *bucket_for(const struct dedup *d, uint64_t key)
{
	return &d->buckets[key & d->mask];
}

static struct bytes log_read(const struct dedup *d, uint64_t at)
{
	uint16_t len;

	if (d->head - at > d->size)
		return bytes_of(NULL, 0);
	memcpy(&len, d->log + at % d->size, PREFIX);
	return bytes_of(d->log + at % d->size + PREFIX, len);
}

/* Returns where it stands; position 0, long overwritten, when it cannot be kept. */
static uint64_t log_append(struct dedup *d, struct bytes reply)
{
	uint64_t need = PREFIX + reply.len, at = d->head;
	uint16_t len = (uint16_t)reply.len;

	if (reply.len > UINT16_MAX || need > d->size)
		return 0;
	/* A reply is one run of bytes: what is left at the end of the ring is skipped. */
	if (at % d->size + need > d->size)
		at += d->size - at % d->size;
	memcpy(d->log + at % d->size, &len, PREFIX);
	if (len)
		memcpy(d->log + at % d->size + PREFIX, reply.ptr, len);
	d->head = at + need;
	return at;
}

enum dedup_state dedup_find(const struct dedup *d, uint64_t key, tstamp now, uint32_t *ref, struct bytes *reply)
{
	const struct bucket_of_eight *b = bucket_for(d, key);
	unsigned i = ways_find(b->key, key);

	if (i == WAYS || tstamp_reached(b->expires[i], now))
		return DEDUP_NEW;
	if (b->what[i] & 1) {
		*reply = log_read(d, b->what[i] >> 1);
		return DEDUP_ANSWERED;
	}
	*ref = (uint32_t)(b->what[i] >> 1);
	return DEDUP_PENDING;
}

void dedup_prefetch(const struct dedup *d, uint64_t key)
{
	const struct bucket_of_eight *b = bucket_for(d, key);

	__builtin_prefetch(b->key);
	__builtin_prefetch(b->expires);
}

void dedup_open(struct dedup *d, uint64_t key, uint32_t ref, tstamp expires)
{
	struct bucket_of_eight *b = bucket_for(d, key);
	unsigned i = ways_find(b->key, key);

	assert(key != 0);
	if (i == WAYS) {
		i = 0;
		for (unsigned j = 1; j < WAYS; j++)
			if (b->expires[j] < b->expires[i])
				i = j;
	}
	b->key[i] = key;
	b->expires[i] = expires;
	b->what[i] = (uint64_t)ref << 1;
}

void dedup_answer(struct dedup *d, uint64_t key, struct bytes reply)
{
	struct bucket_of_eight *b = bucket_for(d, key);
	unsigned i = ways_find(b->key, key);

	if (i < WAYS)
		b->what[i] = log_append(d, reply) << 1 | 1;
}

void dedup_forget(struct dedup *d, uint64_t key)
{
	struct bucket_of_eight *b = bucket_for(d, key);
	unsigned i = ways_find(b->key, key);

	if (i == WAYS)
		return;
	b->key[i] = 0;
	b->expires[i] = 0;
}

#include "guard/reputation.h"
#include "base/memory.h"

#define WAYS 8

struct reputation {
	uint64_t mask;
	uint32_t count;
	struct relation buckets[][WAYS];
};

static uint32_t bucket_count(uint32_t relations)
{
	uint32_t n = 1;

	while (n * WAYS < relations)
		n *= 2;
	return n;
}

size_t reputation_memory(uint32_t relations)
{
	return sizeof(struct reputation) + bucket_count(relations) * sizeof(struct relation[WAYS]);
}

struct reputation *reputation_create(uint32_t relations)
{
	struct reputation *r = memory_create(1, reputation_memory(relations));

	if (r)
		r->mask = bucket_count(relations) - 1;
	return r;
}

void reputation_free(struct reputation *r)
{
	memory_free(r);
}

uint32_t reputation_count(const struct reputation *r)
{
	return r->count;
}

uint32_t reputation_capacity(const struct reputation *r)
{
	return (uint32_t)(r->mask + 1) * WAYS;
}

static uint32_t seconds(tstamp now)
{
	return (uint32_t)(now / TSTAMP_S);
}

void reputation_prefetch(const struct reputation *r, uint64_t key)
{
	__builtin_prefetch(r->buckets[key & r->mask]);
}

struct relation *reputation_find(struct reputation *r, uint64_t key, uint64_t lifetime, tstamp now)
{
	struct relation *b = r->buckets[key & r->mask];

	for (unsigned i = 0; i < WAYS; i++)
		if (b[i].key == key)
			return seconds(now) - b[i].seen_s <= lifetime / TSTAMP_S ? &b[i] : NULL;
	return NULL;
}

struct relation *reputation_admit(struct reputation *r, uint64_t key, tstamp now)
{
	struct relation *b = r->buckets[key & r->mask], *place = b;

	for (unsigned i = 0; i < WAYS; i++) {
		if (b[i].key == key || b[i].key == 0) {
			place = &b[i];
			break;
		}
		if (b[i].seen_s < place->seen_s)
			place = &b[i];
	}
	if (place->key == 0)
		r->count++;
	*place = (struct relation){ .key = key, .standing = STANDING_TENTATIVE, .seen_s = seconds(now) };
	return place;
}

void reputation_remove(struct reputation *r, struct relation *rel)
{
	if (rel->key)
		r->count--;
	*rel = (struct relation){ .key = 0 };
}

struct relation *reputation_at(struct reputation *r, uint32_t i)
{
	struct relation *rel = &r->buckets[i / WAYS][i % WAYS];

	return rel->key ? rel : NULL;
}

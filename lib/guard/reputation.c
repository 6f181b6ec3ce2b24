#include "guard/reputation.h"
#include "base/memory.h"
#include "base/ways.h"

struct bucket_of_relations {
	uint64_t keys[WAYS]; /* 0: free */
	struct relation relations[WAYS];
};

struct reputation {
	uint64_t mask;
	uint32_t count;
	_Alignas(64) struct bucket_of_relations buckets[];
};

size_t reputation_memory(uint32_t relations)
{
	return sizeof(struct reputation) + memory_buckets(relations, WAYS) * sizeof(struct bucket_of_relations);
}

struct reputation *reputation_create(uint32_t relations)
{
	struct reputation *r = memory_create(1, reputation_memory(relations));

	if (r)
		r->mask = memory_buckets(relations, WAYS) - 1;
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
	__builtin_prefetch(r->buckets[key & r->mask].keys);
}

struct relation *reputation_find(struct reputation *r, uint64_t key, uint64_t lifetime, tstamp now)
{
	struct bucket_of_relations *b = &r->buckets[key & r->mask];
	unsigned i = ways_find(b->keys, key);

	return i < WAYS && seconds(now) - b->relations[i].seen_s <= lifetime / TSTAMP_S ? &b->relations[i] : NULL;
}

struct relation *reputation_admit(struct reputation *r, uint64_t key, tstamp now)
{
	struct bucket_of_relations *b = &r->buckets[key & r->mask];
	unsigned place = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (b->keys[i] == key || b->keys[i] == 0) {
			place = i;
			break;
		}
		if (b->relations[i].seen_s < b->relations[place].seen_s)
			place = i;
	}
	if (b->keys[place] == 0)
		r->count++;
	b->keys[place] = key;
	b->relations[place] = (struct relation){ .standing = STANDING_TENTATIVE, .seen_s = seconds(now) };
	return &b->relations[place];
}

static uint64_t *key_of(struct reputation *r, const struct relation *rel)
{
	size_t bucket = (size_t)((const char *)rel - (const char *)r->buckets) / sizeof *r->buckets;

	return &r->buckets[bucket].keys[rel - r->buckets[bucket].relations];
}

uint64_t reputation_key(struct reputation *r, const struct relation *rel)
{
	return *key_of(r, rel);
}

void reputation_remove(struct reputation *r, struct relation *rel)
{
	uint64_t *key = key_of(r, rel);

	r->count -= *key != 0;
	*key = 0;
	*rel = (struct relation){ .endpoint = 0 };
}

struct relation *reputation_at(struct reputation *r, uint32_t i)
{
	struct bucket_of_relations *b = &r->buckets[i / WAYS];

	return b->keys[i % WAYS] ? &b->relations[i % WAYS] : NULL;
}

#include "oscore/oscore_store.h"
#include "base/memory.h"

#define PROBES 2U /* index entries per place, at most: one for its name, one for its source */
#define NONE   UINT32_MAX

struct entry {
	uint64_t hash; /* 0: free */
	uint32_t place;
};

struct oscore_store {
	struct oscore_context *all;
	struct entry
		*index; /* open addressing; half full, or with a source for each context full but for one in five */
	uint32_t capacity, mask;
	bool has_sources;
	struct siphash_key key;
};

static uint32_t index_size(uint32_t capacity)
{
	return memory_buckets(capacity * PROBES + capacity / 2 + 1, 1); /* one stays free: it ends every search */
}

size_t oscore_store_memory(uint32_t capacity)
{
	return sizeof(struct oscore_store) + capacity * sizeof(struct oscore_context) +
	       index_size(capacity) * sizeof(struct entry);
}

struct oscore_store *oscore_store_create(uint32_t capacity, const struct siphash_key *key)
{
	struct oscore_store *s = memory_create(1, sizeof *s);

	if (!s)
		return NULL;
	s->capacity = capacity;
	s->mask = index_size(capacity) - 1;
	s->key = *key;
	s->all = memory_create(capacity, sizeof *s->all);
	s->index = memory_create(s->mask + 1U, sizeof *s->index);
	if (!s->all || !s->index) {
		oscore_store_free(s);
		return NULL;
	}
	return s;
}

void oscore_store_free(struct oscore_store *s)
{
	if (s) {
		for (uint32_t i = 0; s->all && i < s->capacity; i++)
			oscore_context_wipe(&s->all[i]);
		memory_free(s->all);
		memory_free(s->index);
	}
	memory_free(s);
}

struct oscore_context *oscore_store_at(struct oscore_store *s, uint32_t place)
{
	return &s->all[place];
}

uint32_t oscore_store_place(const struct oscore_store *s, const struct oscore_context *c)
{
	return (uint32_t)(c - s->all);
}

/* Of a source alone, or of a name in the list of a source. Never 0. */
static uint64_t hash_source(const struct oscore_store *s, const uint8_t ip[16])
{
	return siphash(&s->key, ip, 16) | 1;
}

/* kid context present or not, its length and kid's cannot be mistaken for each other. */
static uint64_t hash_name(const struct oscore_store *s, uint64_t list, struct bytes kid, struct bytes kid_context)
{
	uint8_t text[8 + 2 + OSCORE_ID + OSCORE_ID_CONTEXT];
	size_t n = 10;

	memcpy(text, &list, sizeof list);
	text[8] = kid_context.ptr != NULL;
	text[9] = (uint8_t)kid.len;
	if (kid.len)
		memcpy(text + n, kid.ptr, kid.len);
	n += kid.len;
	if (kid_context.len)
		memcpy(text + n, kid_context.ptr, kid_context.len);
	return siphash(&s->key, text, n + kid_context.len) | 1;
}

static struct bytes kid_of(const struct oscore_context *c)
{
	return oscore_id_bytes(&c->setup.recipient_id);
}

static struct bytes kid_context_of(const struct oscore_context *c)
{
	return oscore_setup_id_context(&c->setup);
}

static void enter(struct oscore_store *s, uint64_t hash, uint32_t place)
{
	uint32_t i = (uint32_t)(hash >> 1) & s->mask;

	while (s->index[i].hash)
		i = (i + 1) & s->mask;
	s->index[i] = (struct entry){ hash, place };
}

void oscore_store_index(struct oscore_store *s)
{
	memset(s->index, 0, (s->mask + 1U) * sizeof *s->index);
	s->has_sources = false;
	for (uint32_t i = 0; i < s->capacity; i++) {
		const struct oscore_context *c = &s->all[i];
		uint64_t list = 0;

		if (!oscore_context_works(c))
			continue;
		if (!addr_is_unspecified(&c->source)) {
			list = hash_source(s, c->source.ip);
			enter(s, list, i);
			s->has_sources = true;
		}
		enter(s, hash_name(s, list, kid_of(c), kid_context_of(c)), i);
	}
}

/*
 * 64 bits of a keyed hash are the name: nobody can aim at another one, and a message that hits one by chance does not decrypt. So a
 * look-up touches the index and nothing else.
 */
static uint32_t place_of(const struct oscore_store *s, uint64_t hash)
{
	for (uint32_t i = (uint32_t)(hash >> 1) & s->mask; s->index[i].hash; i = (i + 1) & s->mask)
		if (s->index[i].hash == hash)
			return s->index[i].place;
	return NONE;
}

void oscore_store_prefetch(const struct oscore_store *s, const struct addr *source, struct bytes kid,
			   struct bytes kid_context)
{
	uint64_t hash;

	if (s->has_sources)
		__builtin_prefetch(&s->index[(uint32_t)(hash_source(s, source->ip) >> 1) & s->mask]);
	if (kid.len > OSCORE_ID || kid_context.len > OSCORE_ID_CONTEXT)
		return;
	hash = hash_name(s, 0, kid, kid_context);
	__builtin_prefetch(&s->index[(uint32_t)(hash >> 1) & s->mask]);
}

struct oscore_context *oscore_store_find(struct oscore_store *s, const struct addr *source, struct bytes kid,
					 struct bytes kid_context)
{
	uint64_t list = s->has_sources ? hash_source(s, source->ip) : 0;
	uint32_t place;

	if (list && place_of(s, list) == NONE)
		list = 0;
	if (kid.len > OSCORE_ID || kid_context.len > OSCORE_ID_CONTEXT)
		return NULL;
	place = place_of(s, hash_name(s, list, kid, kid_context));
	return place == NONE ? NULL : &s->all[place];
}

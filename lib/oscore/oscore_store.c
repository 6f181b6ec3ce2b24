#include "oscore/oscore_store.h"
#include "base/memory.h"
#include "crypto/secret.h"
#include "oscore/decoy.h"

#define PROBES 2U /* index entries per place, at most: one for its name, one for its source */
#define LINE   4U /* index entries in a line of the cache: looked at at once */
#define NONE   OSCORE_NOWHERE

struct entry {
	uint64_t hash; /* 0: free */
	uint32_t place;
};

struct oscore_store {
	struct oscore_context *all;
	/* open addressing; half full, or with a source for each context full but for one in five */
	struct entry *index;
	uint32_t capacity, mask;
	bool has_sources;
	struct siphash_key key;
	struct decoy decoys[AEAD_COUNT];
	struct decoy *used[AEAD_COUNT]; /* of the algorithms of those that work */
	uint32_t n_used;
};

static uint32_t index_size(uint32_t capacity)
{
	return LINE *
	       memory_buckets(capacity * PROBES + capacity / 2 + 1, LINE); /* one stays free: it ends every search */
}

size_t oscore_store_memory(uint32_t capacity)
{
	return sizeof(struct oscore_store) + capacity * sizeof(struct oscore_context) +
	       index_size(capacity) * sizeof(struct entry);
}

/* An algorithm that is not available here has no contexts either. */
static void begin_decoys(struct oscore_store *s)
{
	uint64_t key[AEAD_KEY / sizeof(uint64_t)];

	for (uint8_t i = 0; i < AEAD_COUNT; i++) {
		for (uint8_t k = 0; k < AEAD_KEY / sizeof *key; k++)
			key[k] = siphash(&s->key, (const uint8_t[]){ i, k }, 2);
		decoy_init(&s->decoys[i], (enum aead_algorithm)i, (const uint8_t *)key);
	}
	secret_wipe(key, sizeof key);
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
	begin_decoys(s);
	return s;
}

void oscore_store_free(struct oscore_store *s)
{
	if (s) {
		for (uint32_t i = 0; s->all && i < s->capacity; i++)
			oscore_context_wipe(&s->all[i]);
		for (uint32_t i = 0; i < AEAD_COUNT; i++)
			decoy_wipe(&s->decoys[i]);
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

/* Where to begin: at a line of the cache. */
static uint32_t line_of(const struct oscore_store *s, uint64_t hash)
{
	return (uint32_t)(hash >> 1) & s->mask & ~(LINE - 1);
}

static void enter(struct oscore_store *s, uint64_t hash, uint32_t place)
{
	uint32_t i = line_of(s, hash);

	while (s->index[i].hash)
		i = (i + 1) & s->mask;
	s->index[i] = (struct entry){ hash, place };
}

/* Its algorithm is used by one of ours. */
static void use_decoy(struct oscore_store *s, struct decoy *d)
{
	for (uint32_t i = 0; i < s->n_used; i++)
		if (s->used[i] == d)
			return;
	if (decoy_works(d))
		s->used[s->n_used++] = d;
}

void oscore_store_index(struct oscore_store *s)
{
	memset(s->index, 0, (s->mask + 1U) * sizeof *s->index);
	s->has_sources = false;
	s->n_used = 0;
	for (uint32_t i = 0; i < s->capacity; i++) {
		const struct oscore_context *c = &s->all[i];
		uint64_t list = 0;

		if (!oscore_context_works(c))
			continue;
		use_decoy(s, &s->decoys[c->setup.aead]);
		if (!addr_is_unspecified(&c->source)) {
			list = hash_source(s, c->source.ip);
			enter(s, list, i);
			s->has_sources = true;
		}
		enter(s, hash_name(s, list, kid_of(c), kid_context_of(c)), i);
	}
}

/* `a` where the hash is the one looked for. Without a branch, which would be guessed better for the one or the other. */
static uint32_t pick(bool is_it, uint32_t a, uint32_t otherwise)
{
	uint32_t mask = 0U - is_it;

	return (a & mask) | (otherwise & ~mask);
}

/*
 * 64 bits of a keyed hash are the name: nobody can aim at another one, and a message that hits one by chance does not decrypt. So a
 * look-up touches the index and nothing else; and it goes on to the next free entry, so that it takes as long where there is nothing.
 */
static uint32_t place_of(const struct oscore_store *s, uint64_t hash)
{
	uint32_t line = line_of(s, hash), place = NONE;

	for (bool ended = false; !ended; line = (line + LINE) & s->mask) {
		for (unsigned k = 0; k < LINE; k++) {
			const struct entry *e = &s->index[line + k];

			place = pick((e->hash == hash) & (place == NONE), e->place, place); /* the first of a name */
			ended |= e->hash == 0;
		}
	}
	return place;
}

void oscore_store_prefetch(const struct oscore_store *s, const struct addr *source, struct bytes kid,
			   struct bytes kid_context)
{
	if (s->has_sources)
		__builtin_prefetch(&s->index[line_of(s, hash_source(s, source->ip))]);
	if (kid.len <= OSCORE_ID && kid_context.len <= OSCORE_ID_CONTEXT)
		__builtin_prefetch(&s->index[line_of(s, hash_name(s, 0, kid, kid_context))]);
}

/* *hash: of the name in the list that was looked into; 0: nobody's name is so long. */
static uint32_t search(const struct oscore_store *s, const struct addr *source, struct bytes kid,
		       struct bytes kid_context, uint64_t *hash)
{
	uint64_t list = s->has_sources ? hash_source(s, source->ip) : 0;

	*hash = 0;
	if (list && place_of(s, list) == NONE)
		list = 0;
	if (kid.len > OSCORE_ID || kid_context.len > OSCORE_ID_CONTEXT)
		return NONE;
	*hash = hash_name(s, list, kid, kid_context);
	return place_of(s, *hash);
}

/* Where several algorithms are used, each name has one of them for good, as if somebody had it. */
static struct decoy *decoy_of(const struct oscore_store *s, uint64_t hash)
{
	return s->used[(hash >> 32) * s->n_used >> 32];
}

struct oscore_claim oscore_store_claim(struct oscore_store *s, const struct addr *source, struct bytes kid,
				       struct bytes kid_context)
{
	uint64_t hash;
	uint32_t place = search(s, source, kid, kid_context, &hash);
	struct oscore_context *either[2] = { NULL, &s->all[pick(place != NONE, place, 0)] };

	if (s->n_used)
		either[0] = decoy_for(decoy_of(s, hash), kid);
	return (struct oscore_claim){ either[place != NONE], place };
}

struct oscore_context *oscore_store_stand_in(struct oscore_store *s, const struct oscore_context *c)
{
	return decoy_for(&s->decoys[c->setup.aead], oscore_id_bytes(&c->setup.recipient_id));
}

#include "guard/reputation.h"
#include <stdlib.h>

#define WAYS 8

_Static_assert(sizeof(struct relation) <= 80, "a client record with its index takes at most 80 bytes");

struct reputation {
	uint64_t mask;
	uint32_t count;
	struct relation buckets[][WAYS];
};

/* policy: standing x event -> standing. REFUSED_PROVEN from tentative ends the relation: its endpoint is reachable. */
static const struct standing_step steps[STANDINGS][STANDING_EVENTS] = {
	[STANDING_UNKNOWN] = {
		[EVENT_PROOF] = { STANDING_REACHABLE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_SILENT] = { STANDING_UNKNOWN, false, false },
	},
	[STANDING_REACHABLE] = {
		[EVENT_PROOF] = { STANDING_REACHABLE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_REACHABLE, false, false },
		[EVENT_SILENT] = { STANDING_REACHABLE, false, false },
	},
	[STANDING_TENTATIVE] = {
		[EVENT_PROOF] = { STANDING_TENTATIVE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TRUSTED, false, true },
		[EVENT_REFUSED_PROVEN] = { STANDING_REACHABLE, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_TENTATIVE, true, false },
		[EVENT_SILENT] = { STANDING_TENTATIVE, false, false },
	},
	[STANDING_TRUSTED] = {
		[EVENT_PROOF] = { STANDING_TRUSTED, false, false },
		[EVENT_ACCEPTED] = { STANDING_TRUSTED, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_TRUSTED, true, false },
		[EVENT_SILENT] = { STANDING_TRUSTED, false, false },
	},
};

struct standing_step standing_step(enum standing from, enum standing_event e)
{
	return steps[from][e];
}

const char *standing_word(enum standing s)
{
	static const char *const words[] = { "unknown", "reachable", "tentative", "trusted" };

	return words[s];
}

const char *standing_event_word(enum standing_event e)
{
	static const char *const words[] = { "proof", "accepted", "refused with proof", "refused without proof",
					     "silent" };

	return words[e];
}

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
	struct reputation *r = calloc(1, reputation_memory(relations));

	if (r)
		r->mask = bucket_count(relations) - 1;
	return r;
}

void reputation_free(struct reputation *r)
{
	free(r);
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

void relation_seen(struct relation *rel, tstamp now)
{
	rel->seen_s = seconds(now);
}

void relation_book(struct relation *rel, bool accepted)
{
	rel->history = rel->history << 1 | accepted;
	if (rel->history_len < 64)
		rel->history_len++;
}

unsigned relation_accepted(const struct relation *rel)
{
	return (unsigned)__builtin_popcountll(rel->history);
}

unsigned relation_success(const struct relation *rel)
{
	return rel->history_len ? relation_accepted(rel) * 100 / rel->history_len : 100;
}

bool relation_doubted(const struct relation *rel, tstamp now)
{
	return rel->doubted_until_s > seconds(now);
}

void relation_doubt(struct relation *rel, uint64_t period, tstamp now)
{
	rel->doubted_until_s = seconds(tstamp_add(now, period));
}

#include "guard/newcomers.h"
#include "guard/charges.h"
#include "guard/policy.h"
#include "guard/tally.h"

#include <assert.h>
#include "base/memory.h"
#include <string.h>

#define LEVELS 3
#define KINDS  32
#define RANKS  6

enum level { LEVEL_HOST, LEVEL_SITE, LEVEL_REGION };

/* Whose admission it is: a never charged host, the site or the region longest without one. */
enum third { THIRD_HOST, THIRD_SITE, THIRD_REGION, THIRDS };

/* In the 128-bit form. */
static const struct {
	uint8_t v6, v4;
} prefix_bits[LEVELS] = {
	[LEVEL_HOST] = { 64, 128 },
	[LEVEL_SITE] = { 48, 120 },
	[LEVEL_REGION] = { 32, 112 },
};

struct waiting {
	struct newcomers_entry entry;
	uint64_t prefix[LEVELS]; /* keyed hashes */
	uint64_t order;          /* of arrival */
};

struct newcomers {
	struct newcomers_config cfg;
	struct siphash_key key;
	uint64_t random, order;
	uint32_t count;
	struct waiting *waiting;    /* the first `count` are in use, in no order */
	struct tally tally[LEVELS]; /* of waiting prefixes */
	uint32_t of_server[POLICY_SERVERS], of_kind[POLICY_SERVERS][KINDS]; /* waiting */
	struct charges charges;
	uint8_t turn[POLICY_SERVERS]; /* whose third is next: each server must see all three */
};

/* A candidate: what compares smaller goes first, number by number. */
struct rank {
	uint64_t by[RANKS];
};

/* The mixer of SplitMix64. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t draw(struct newcomers *n)
{
	n->random += UINT64_C(0x9e3779b97f4a7c15);
	return mix(n->random);
}

static uint64_t hash_prefix(const struct newcomers *n, const struct addr *client, unsigned level)
{
	struct {
		uint8_t ip[16];
		uint32_t scope, level;
	} text = { .scope = client->scope, .level = level };

	memcpy(text.ip, client->ip, sizeof text.ip);
	addr_mask(text.ip, addr_is_v4(client) ? prefix_bits[level].v4 : prefix_bits[level].v6);
	return siphash(&n->key, &text, sizeof text);
}

static uint16_t tag_client(const struct newcomers *n, const struct addr *client)
{
	struct {
		uint8_t ip[16];
		uint32_t scope, port;
	} text = { .scope = client->scope, .port = UINT32_C(1) << 16 | client->port };

	memcpy(text.ip, client->ip, sizeof text.ip);
	return (uint16_t)siphash(&n->key, &text, sizeof text);
}

static void add(struct newcomers *n, const struct newcomers_entry *e, const uint64_t prefix[LEVELS])
{
	struct waiting *w = &n->waiting[n->count++];

	w->entry = *e;
	w->order = n->order++;
	for (unsigned level = 0; level < LEVELS; level++) {
		w->prefix[level] = prefix[level];
		tally_add(&n->tally[level], prefix[level]);
	}
	n->of_server[e->server]++;
	n->of_kind[e->server][e->kind]++;
}

static void take_out(struct newcomers *n, uint32_t i, struct newcomers_entry *out)
{
	struct waiting *w = &n->waiting[i];

	*out = w->entry;
	for (unsigned level = 0; level < LEVELS; level++)
		tally_sub(&n->tally[level], w->prefix[level]);
	n->of_server[out->server]--;
	n->of_kind[out->server][out->kind]--;
	*w = n->waiting[--n->count];
}

/* The /32 that makes room. */
struct crowd {
	uint64_t region, charged;
	uint32_t count;
};

/*
 * The one with most waiting; of several the one that was served last, so that who never was keeps his place; of those any, with equal chance. The
 * table is full, so there is one.
 */
static struct crowd find_crowd(struct newcomers *n, tstamp now)
{
	const struct tally *t = &n->tally[LEVEL_REGION];
	struct crowd best = { .count = 0 };
	uint32_t alike = 0;

	for (uint32_t i = 0; i <= t->mask; i++) {
		const struct tally_cell *c = &t->cells[i];
		uint64_t charged;
		bool better;

		if (c->count == 0 || c->count < best.count)
			continue;
		charged = charges_at(&n->charges, c->key, now);
		better = c->count > best.count || charged > best.charged;
		if (!better && charged < best.charged)
			continue;
		alike = better ? 1 : alike + 1;
		if (better || draw(n) % alike == 0)
			best = (struct crowd){ c->key, charged, c->count };
	}
	return best;
}

/* Somebody of `region` may take a place of the crowd's: he is of fewer, or, if there will be as many, not of those who were served later. */
static bool gives_way(const struct newcomers *n, const struct crowd *crowd, uint64_t region, tstamp now)
{
	uint32_t own = tally_count(&n->tally[LEVEL_REGION], region) + 1;

	return own < crowd->count || (own == crowd->count && charges_at(&n->charges, region, now) <= crowd->charged);
}

/* Anyone of the crowd, with equal chance: neither age nor youth is of use to an attacker. */
static void evict_from(struct newcomers *n, uint64_t region, uint32_t crowd, struct newcomers_entry *evicted)
{
	uint64_t skip = draw(n) % crowd;
	uint32_t i = 0;

	while (n->waiting[i].prefix[LEVEL_REGION] != region || skip-- > 0)
		i++;
	take_out(n, i, evicted);
}

/* Equal chances for prefixes, not for entries: all entries of one draw the same lot. */
static uint64_t lot(uint64_t prefix, uint64_t nonce)
{
	return mix(prefix ^ nonce);
}

static struct rank rank_of(const struct newcomers *n, const struct waiting *w, enum third third, uint64_t nonce,
			   tstamp now)
{
	const uint64_t *prefix = w->prefix;
	struct rank r = { { 0, 0, 0, 0, w->entry.since, w->order } };

	if (third == THIRD_REGION) {
		r.by[0] = charges_at(&n->charges, prefix[LEVEL_REGION], now);
		r.by[1] = lot(prefix[LEVEL_REGION], nonce);
	}
	if (third == THIRD_HOST) {
		r.by[3] = lot(prefix[LEVEL_HOST], nonce);
	} else {
		r.by[2] = charges_at(&n->charges, prefix[LEVEL_SITE], now);
		r.by[3] = lot(prefix[LEVEL_SITE], nonce);
	}
	return r;
}

static bool is_before(const struct rank *a, const struct rank *b)
{
	unsigned i = 0;

	while (i < RANKS - 1 && a->by[i] == b->by[i])
		i++;
	return a->by[i] < b->by[i];
}

static bool is_asked_for(const struct newcomers_entry *e, uint32_t server, uint32_t kinds)
{
	return e->server == server && (kinds >> e->kind & 1);
}

/* Large requests must not take more of the device than small ones from as many prefixes. */
static bool takes_part(const struct waiting *w, uint64_t nonce)
{
	return w->entry.weight < 2 || mix(w->order ^ nonce) % w->entry.weight == 0;
}

/* The place of the one that goes first in this third, or n->count. */
static uint32_t choose_of(const struct newcomers *n, uint32_t server, uint32_t kinds, enum third third, uint64_t nonce,
			  bool all, tstamp now)
{
	uint32_t chosen = n->count;
	struct rank best = { { 0 } };

	for (uint32_t i = 0; i < n->count; i++) {
		const struct waiting *w = &n->waiting[i];
		struct rank r;

		if (!is_asked_for(&w->entry, server, kinds) || !(all || takes_part(w, nonce)))
			continue;
		if (third == THIRD_HOST && charges_at(&n->charges, w->prefix[LEVEL_HOST], now))
			continue;
		r = rank_of(n, w, third, nonce, now);
		if (chosen == n->count || is_before(&r, &best)) {
			best = r;
			chosen = i;
		}
	}
	return chosen;
}

static uint32_t choose(struct newcomers *n, uint32_t server, uint32_t kinds, enum third third, tstamp now)
{
	uint64_t nonce = draw(n);
	uint32_t chosen = choose_of(n, server, kinds, third, nonce, false, now);

	return chosen < n->count ? chosen : choose_of(n, server, kinds, third, nonce, true, now);
}

static void charge(struct newcomers *n, const struct waiting *w, tstamp now)
{
	uint16_t who = tag_client(n, &w->entry.client);

	for (unsigned level = 0; level < LEVELS; level++)
		charges_add(&n->charges, w->prefix[level], who, now);
}

struct newcomers *newcomers_create(const struct newcomers_config *cfg, const struct siphash_key *key, uint64_t seed)
{
	struct newcomers *n = memory_create(1, sizeof *n);
	bool ok;

	if (!n)
		return NULL;
	n->cfg = *cfg;
	n->key = *key;
	n->random = seed;
	n->waiting = memory_create(cfg->capacity, sizeof *n->waiting);
	ok = n->waiting && charges_init(&n->charges, cfg->charges, cfg->memory) == 0;
	for (unsigned level = 0; level < LEVELS; level++)
		ok = ok && tally_init(&n->tally[level], cfg->capacity) == 0;
	if (ok)
		return n;
	newcomers_free(n);
	return NULL;
}

void newcomers_free(struct newcomers *n)
{
	if (!n)
		return;
	for (unsigned level = 0; level < LEVELS; level++)
		tally_free(&n->tally[level]);
	memory_free(n->waiting);
	charges_free(&n->charges);
	memory_free(n);
}

size_t newcomers_memory(const struct newcomers_config *cfg)
{
	return sizeof(struct newcomers) + charges_memory(cfg->charges) + cfg->capacity * sizeof(struct waiting) +
	       sizeof(struct tally_cell) * tally_cells(cfg->capacity) * LEVELS;
}

enum newcomers_result newcomers_push(struct newcomers *n, const struct newcomers_entry *e,
				     struct newcomers_entry *evicted, bool *has_evicted)
{
	uint64_t prefix[LEVELS];
	struct crowd crowd;

	assert(e->server < POLICY_SERVERS && e->kind < KINDS);
	*has_evicted = false;
	for (unsigned level = 0; level < LEVELS; level++)
		prefix[level] = hash_prefix(n, &e->client, level);
	if (tally_count(&n->tally[LEVEL_HOST], prefix[LEVEL_HOST]) >= n->cfg.per_64 ||
	    tally_count(&n->tally[LEVEL_SITE], prefix[LEVEL_SITE]) >= n->cfg.per_48)
		return NEWCOMERS_PREFIX_FULL;
	if (n->count == n->cfg.capacity) {
		crowd = find_crowd(n, e->since);
		if (!gives_way(n, &crowd, prefix[LEVEL_REGION], e->since))
			return NEWCOMERS_FULL;
		evict_from(n, crowd.region, crowd.count, evicted);
		*has_evicted = true;
	}
	add(n, e, prefix);
	return NEWCOMERS_QUEUED;
}

bool newcomers_admit(struct newcomers *n, uint32_t server, uint32_t kinds, tstamp now, struct newcomers_entry *out)
{
	uint8_t *turn = &n->turn[server];
	uint32_t i = choose(n, server, kinds, *turn, now);

	if (i == n->count && *turn == THIRD_HOST) /* all have been charged before */
		i = choose(n, server, kinds, THIRD_SITE, now);
	if (i == n->count)
		return false;
	*turn = (uint8_t)((*turn + 1) % THIRDS);
	charge(n, &n->waiting[i], now);
	take_out(n, i, out);
	return true;
}

bool newcomers_remove(struct newcomers *n, uint32_t ref)
{
	struct newcomers_entry gone;

	for (uint32_t i = 0; i < n->count; i++) {
		if (n->waiting[i].entry.ref == ref) {
			take_out(n, i, &gone);
			return true;
		}
	}
	return false;
}

void newcomers_refund(struct newcomers *n, const struct addr *client, tstamp now)
{
	(void)now; /* a charge too old to count does no harm, given back or not */
	for (unsigned level = 0; level < LEVELS; level++)
		charges_refund(&n->charges, hash_prefix(n, client, level), tag_client(n, client));
}

bool newcomers_idle(const struct newcomers *n)
{
	return n->count == 0;
}

uint32_t newcomers_waiting(const struct newcomers *n, uint32_t server)
{
	return n->of_server[server];
}

uint32_t newcomers_waiting_kinds(const struct newcomers *n, uint32_t server, uint32_t kinds)
{
	uint32_t waiting = 0;

	if (n->of_server[server] == 0)
		return 0;
	for (; kinds; kinds &= kinds - 1)
		waiting += n->of_kind[server][__builtin_ctz(kinds)];
	return waiting;
}

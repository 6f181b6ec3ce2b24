#include "guard/ratelimit.h"

#include <assert.h>
#include "base/memory.h"

/* An address in two words as they lie in memory. */
struct prefix {
	uint64_t half[2];
};

/*
 * A cell is a leaky bucket as the time at which it will be empty (GCRA). All levels share the
 * cells, which works because a level's multiplier makes its units shorter, not its bucket longer:
 * full is burst/rate ahead at each.
 */
struct ratelimit {
	tstamp *cells; /* row 0, then row 1 */
	uint64_t mask; /* of the index in a row */
	struct siphash_key key;
	struct ratelimit_config cfg;
	uint64_t unit[RATELIMIT_LEVELS];          /* ns that one unit takes to leak; 0: nothing passes */
	uint64_t depth[RATELIMIT_LEVELS];         /* ns that a full cell takes */
	struct prefix masks[2][RATELIMIT_LEVELS]; /* IPv6, IPv4 */
};

/* The two cells of one prefix. */
struct pair {
	uint64_t at[2]; /* indexes into cells */
	uint64_t used;  /* ns of content, when it was looked at */
	unsigned level;
};

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* A unit is rounded up, so that no rounding makes a bucket leak faster than it should. */
static void tune(struct ratelimit *r)
{
	for (unsigned i = 0; i < r->cfg.n_levels; i++) {
		uint64_t multiplier = r->cfg.levels[i].multiplier;
		uint64_t count = times(r->cfg.rate.count, multiplier);

		r->unit[i] = 0;
		if (count > 0)
			r->unit[i] = rate_duration((struct rate){ count, r->cfg.rate.period }, 1);
		r->depth[i] = times(r->unit[i], times(r->cfg.burst, multiplier));
	}
}

static struct prefix mask_of(unsigned bits)
{
	uint8_t ip[16];
	struct prefix mask;

	memset(ip, 0xff, sizeof ip);
	addr_mask(ip, bits);
	memcpy(mask.half, ip, sizeof mask.half);
	return mask;
}

static void make_masks(struct ratelimit *r)
{
	for (unsigned i = 0; i < r->cfg.n_levels; i++) {
		r->masks[0][i] = mask_of(r->cfg.levels[i].bits_v6);
		r->masks[1][i] = mask_of(96U + r->cfg.levels[i].bits_v4);
	}
}

/* Hashes all levels before any cell is read: the memory is on its way meanwhile. Returns how many
 * there are. */
static unsigned find_cells(const struct ratelimit *r, const struct addr *src, struct pair pairs[RATELIMIT_LEVELS])
{
	bool v4 = addr_is_v4(src);
	struct prefix ip;
	unsigned n = 0;

	memcpy(ip.half, src->ip, sizeof ip.half);
	for (unsigned i = 0; i < r->cfg.n_levels; i++) {
		const uint64_t *mask = r->masks[v4][i].half;
		uint64_t hash;

		if (v4 && r->cfg.levels[i].bits_v4 == 0xff)
			continue;
		hash = siphash_brief(&r->key, ip.half[0] & mask[0], ip.half[1] & mask[1],
				     (uint64_t)i << 32 | src->scope);
		pairs[n] = (struct pair){ .at = { hash & r->mask, r->mask + 1 + (hash >> 32 & r->mask) }, .level = i };
		__builtin_prefetch(&r->cells[pairs[n].at[0]]);
		__builtin_prefetch(&r->cells[pairs[n].at[1]]);
		n++;
	}
	return n;
}

/* The smaller cell of the two counts. After a retune a cell may hold more than is full now. */
static void look_at(const struct ratelimit *r, struct pair *p, tstamp now)
{
	uint64_t used = tstamp_since(now, tstamp_min(r->cells[p->at[0]], r->cells[p->at[1]]));

	p->used = used < r->depth[p->level] ? used : r->depth[p->level];
}

static bool can_bear(const struct ratelimit *r, const struct pair *p, uint32_t price)
{
	uint64_t unit = r->unit[p->level], depth = r->depth[p->level];
	uint64_t cost = times(unit, price);

	return unit > 0 && cost <= depth && p->used <= depth - cost;
}

/* Conservative update: no cell rises above what the smaller of the two proves. */
static void charge(struct ratelimit *r, const struct pair *p, uint32_t price, tstamp now)
{
	tstamp level = tstamp_add(now, p->used + times(r->unit[p->level], price));

	for (unsigned row = 0; row < 2; row++) {
		tstamp *cell = &r->cells[p->at[row]];

		if (*cell < level)
			*cell = level;
	}
}

/* What an older, slower rate left behind must not outlast the present one's full bucket. */
static void clamp(struct ratelimit *r, const struct pair *p, tstamp now)
{
	tstamp full = tstamp_add(now, r->depth[p->level]);

	for (unsigned row = 0; row < 2; row++) {
		tstamp *cell = &r->cells[p->at[row]];

		if (*cell > full)
			*cell = full;
	}
}

struct ratelimit *ratelimit_create(const struct ratelimit_config *cfg, const struct siphash_key *key)
{
	struct ratelimit *r = memory_create(1, sizeof *r);
	size_t length = memory_buckets(cfg->cells, 2);

	assert(cfg->n_levels <= RATELIMIT_LEVELS);
	if (!r)
		return NULL;
	r->cells = memory_create(2 * length, sizeof *r->cells);
	if (!r->cells) {
		memory_free(r);
		return NULL;
	}
	r->mask = length - 1;
	r->key = *key;
	r->cfg = *cfg;
	make_masks(r);
	tune(r);
	return r;
}

void ratelimit_free(struct ratelimit *r)
{
	if (!r)
		return;
	memory_free(r->cells);
	memory_free(r);
}

void ratelimit_retune(struct ratelimit *r, struct rate rate, uint32_t burst)
{
	r->cfg.rate = rate;
	r->cfg.burst = burst;
	tune(r);
}

unsigned ratelimit_charge(struct ratelimit *r, const struct addr *src, uint32_t price, tstamp now)
{
	struct pair pairs[RATELIMIT_LEVELS];
	unsigned n = find_cells(r, src, pairs);

	for (unsigned i = 0; i < n; i++)
		clamp(r, &pairs[i], now);
	for (unsigned i = 0; i < n; i++) {
		look_at(r, &pairs[i], now);
		if (!can_bear(r, &pairs[i], price))
			return pairs[i].level + 1;
	}
	for (unsigned i = 0; i < n; i++)
		charge(r, &pairs[i], price, now);
	return 0;
}

unsigned ratelimit_load(const struct ratelimit *r, const struct addr *src, tstamp now)
{
	struct pair pairs[RATELIMIT_LEVELS];
	unsigned n = find_cells(r, src, pairs), fullest = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t used, depth = r->depth[pairs[i].level];
		unsigned load;

		look_at(r, &pairs[i], now);
		if (!can_bear(r, &pairs[i], 1))
			return 1000;
		used = pairs[i].used;
		/* Divide what is large, multiply what is small: no overflow, and no error that
		 * shows. */
		load = (unsigned)(depth < TSTAMP_S ? used * 1000 / depth : used / (depth / 1000));
		load = load < 999 ? load : 999;
		fullest = load > fullest ? load : fullest;
	}
	return fullest;
}

uint64_t ratelimit_wait(const struct ratelimit *r, const struct addr *src, tstamp now)
{
	struct pair pairs[RATELIMIT_LEVELS];
	unsigned n = find_cells(r, src, pairs);
	uint64_t longest = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t unit = r->unit[pairs[i].level], depth = r->depth[pairs[i].level];

		if (unit == 0 || unit > depth)
			return TSTAMP_NEVER;
		look_at(r, &pairs[i], now);
		if (pairs[i].used > depth - unit && pairs[i].used - (depth - unit) > longest)
			longest = pairs[i].used - (depth - unit);
	}
	return longest;
}

size_t ratelimit_memory(const struct ratelimit_config *cfg)
{
	return sizeof(struct ratelimit) + 2 * (size_t)memory_buckets(cfg->cells, 2) * sizeof(tstamp);
}

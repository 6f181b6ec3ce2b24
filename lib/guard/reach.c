#include "guard/reach.h"
#include "base/memory.h"
#include "base/ways.h"

struct record {
	tstamp proven, touched, wary_until;
	uint64_t slot;
	struct addr endpoint;
	uint8_t state;
	bool echo, home, shown;
};

struct shelf {
	uint64_t keys[WAYS]; /* 0: free */
	struct record records[WAYS];
};

struct reach {
	uint64_t mask;
	_Alignas(64) struct shelf shelves[];
};

size_t reach_memory(uint32_t entries)
{
	return sizeof(struct reach) + memory_buckets(entries, WAYS) * sizeof(struct shelf);
}

struct reach *reach_create(uint32_t entries)
{
	struct reach *r = memory_create(1, reach_memory(entries));

	if (r)
		r->mask = memory_buckets(entries, WAYS) - 1;
	return r;
}

void reach_free(struct reach *r)
{
	memory_free(r);
}

void reach_prefetch(const struct reach *r, uint64_t key)
{
	__builtin_prefetch(r->shelves[key & r->mask].keys);
}

static const struct record *lookup(const struct reach *r, uint64_t key)
{
	const struct shelf *s = &r->shelves[key & r->mask];
	unsigned i = ways_find(s->keys, key);

	return i < WAYS ? &s->records[i] : NULL;
}

static struct record *known(struct reach *r, uint64_t key)
{
	struct shelf *s = &r->shelves[key & r->mask];
	unsigned i = ways_find(s->keys, key);

	return i < WAYS ? &s->records[i] : NULL;
}

static struct record *claim(struct reach *r, uint64_t key, const struct addr *endpoint, tstamp now)
{
	struct shelf *s = &r->shelves[key & r->mask];
	struct record *rec = known(r, key);
	unsigned stalest = 0;

	for (unsigned i = 1; !rec && i < WAYS; i++)
		if (s->records[i].touched < s->records[stalest].touched)
			stalest = i;
	if (!rec) {
		s->keys[stalest] = key;
		rec = &s->records[stalest];
		*rec = (struct record){ .endpoint = *endpoint };
	}
	rec->touched = now;
	return rec;
}

static struct reach_view view(const struct record *rec, uint64_t validity, tstamp now)
{
	struct reach_view v = { .echo = rec->echo, .home = rec->home, .shown = rec->shown };

	v.wary = !tstamp_reached(rec->wary_until, now);
	if (rec->state != REACH_NONE && tstamp_since(rec->proven, now) <= validity)
		v.state = (enum reach_state)rec->state;
	return v;
}

struct reach_view reach_find(const struct reach *r, uint64_t key, uint64_t validity, tstamp now)
{
	const struct record *rec = lookup(r, key);

	return rec ? view(rec, validity, now) : (struct reach_view){ .state = REACH_NONE };
}

void reach_echo(struct reach *r, uint64_t key, const struct addr *endpoint, tstamp now)
{
	struct record *rec = claim(r, key, endpoint, now);

	rec->state = REACH_PROVEN;
	rec->proven = now;
	rec->echo = rec->shown = true;
}

enum reach_state reach_pong(struct reach *r, uint64_t key, const struct addr *endpoint, uint64_t slot,
			    uint64_t validity, tstamp now)
{
	struct record *rec = claim(r, key, endpoint, now);
	bool fresh = rec->state != REACH_NONE && tstamp_since(rec->proven, now) <= validity;

	rec->shown = true;
	if (!fresh) {
		rec->state = REACH_ONCE;
		rec->slot = slot;
		rec->proven = now;
	} else if (rec->state == REACH_PROVEN || slot > rec->slot) {
		rec->state = REACH_PROVEN;
		rec->proven = now;
	}
	return (enum reach_state)rec->state;
}

void reach_home(struct reach *r, uint64_t key, const struct addr *endpoint, tstamp now)
{
	claim(r, key, endpoint, now)->home = true;
}

void reach_wary(struct reach *r, uint64_t key, tstamp until)
{
	struct record *rec = known(r, key);

	if (rec)
		rec->wary_until = until;
}

void reach_spend(struct reach *r, uint64_t key)
{
	struct record *rec = known(r, key);

	if (rec)
		rec->state = REACH_NONE;
}

static void clear(struct shelf *s, unsigned i)
{
	s->keys[i] = 0;
	s->records[i] = (struct record){ .touched = 0 };
}

void reach_forget(struct reach *r, uint64_t key)
{
	struct shelf *s = &r->shelves[key & r->mask];
	unsigned i = ways_find(s->keys, key);

	if (i < WAYS)
		clear(s, i);
}

unsigned reach_forget_host(struct reach *r, const struct addr *host)
{
	unsigned n = 0;

	for (uint64_t i = 0; i <= r->mask; i++)
		for (unsigned j = 0; j < WAYS; j++)
			if (r->shelves[i].keys[j] && addr_same_host(&r->shelves[i].records[j].endpoint, host)) {
				clear(&r->shelves[i], j);
				n++;
			}
	return n;
}

void reach_each(const struct reach *r, const struct addr *host, uint64_t validity, tstamp now,
		void (*each)(void *arg, const struct reach_view *v), void *arg)
{
	for (uint64_t i = 0; i <= r->mask; i++)
		for (unsigned j = 0; j < WAYS; j++) {
			const struct record *rec = &r->shelves[i].records[j];

			if (r->shelves[i].keys[j] && addr_same_host(&rec->endpoint, host)) {
				struct reach_view v = view(rec, validity, now);

				each(arg, &v);
			}
		}
}

#include "guard/seqtrack.h"

#include <assert.h>
#include "base/memory.h"
#include "base/ways.h"

/*
 * Bit d of seen: highest - d was accepted. Bit 0 clear: all of it is a hint, which nothing has confirmed yet.
 */
struct record {
	uint64_t highest, seen;
	tstamp used;
};

/* Keys stand together: looking one up in vain touches one cache line, and what is found lies in one or two more. */
struct shelf {
	uint64_t keys[WAYS]; /* 0: free */
	struct record records[WAYS];
};

struct seqtrack {
	struct shelf *shelves;
	uint64_t mask;
	uint32_t count;
};

static_assert(SEQTRACK_WINDOW == 64, "the window is one word");

static struct shelf *shelf_of(const struct seqtrack *s, uint64_t key)
{
	return &s->shelves[key & s->mask];
}

/* NULL: nothing was ever accepted, or it is forgotten. */
static struct record *find(const struct seqtrack *s, uint64_t key)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->keys, key);

	return i < WAYS ? &sh->records[i] : NULL;
}

static bool is_idle(const struct record *r, uint64_t idle, tstamp now)
{
	return tstamp_since(r->used, now) > idle;
}

/* A free place, else the one unused for longest. */
static struct record *make_room(struct seqtrack *s, uint64_t key)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned stalest = 0, i = ways_find(sh->keys, 0);

	for (unsigned j = 1; i == WAYS && j < WAYS; j++)
		if (sh->records[j].used < sh->records[stalest].used)
			stalest = j;
	s->count += i < WAYS;
	i = i < WAYS ? i : stalest;
	sh->keys[i] = key;
	return &sh->records[i];
}

/* RFC 8613 §7.4 leaves the window to the server; ours is a sliding one as in RFC 6479, without the
 * shifts of a ring. */
static bool mark_accepted(struct record *r, uint64_t piv)
{
	uint64_t distance;

	if (piv > r->highest) {
		distance = piv - r->highest;
		r->seen = distance < SEQTRACK_WINDOW ? r->seen << distance | 1 : 1;
		r->highest = piv;
		return true;
	}
	distance = r->highest - piv;
	if (distance >= SEQTRACK_WINDOW || (r->seen >> distance & 1))
		return false;
	r->seen |= UINT64_C(1) << distance;
	return true;
}

struct seqtrack *seqtrack_create(uint32_t entries)
{
	struct seqtrack *s = memory_create(1, sizeof *s);
	size_t n = memory_buckets(entries, WAYS);

	if (!s)
		return NULL;
	s->shelves = memory_create(n, sizeof *s->shelves);
	if (!s->shelves) {
		memory_free(s);
		return NULL;
	}
	s->mask = n - 1;
	return s;
}

void seqtrack_free(struct seqtrack *s)
{
	if (!s)
		return;
	memory_free(s->shelves);
	memory_free(s);
}

size_t seqtrack_memory(uint32_t entries)
{
	return sizeof(struct seqtrack) + memory_buckets(entries, WAYS) * sizeof(struct shelf);
}

uint32_t seqtrack_count(const struct seqtrack *s)
{
	return s->count;
}

static bool is_hint(const struct record *r)
{
	return !(r->seen & 1);
}

static enum seq_finding compare(const struct record *r, uint64_t piv, uint64_t jump, uint32_t window)
{
	uint64_t distance;

	if (piv > r->highest)
		return piv - r->highest <= jump ? SEQ_PLAUSIBLE : SEQ_FAR;
	distance = r->highest - piv;
	if (distance >= window || distance >= SEQTRACK_WINDOW)
		return SEQ_OLD;
	return (r->seen | 1) >> distance & 1 ? SEQ_REUSED : SEQ_PLAUSIBLE;
}

enum seq_finding seqtrack_judge(const struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t jump, uint32_t window,
				uint64_t idle, tstamp now)
{
	const struct record *r = find(s, key);

	if (!r || is_idle(r, idle, now))
		return SEQ_NEW;
	if (!is_hint(r))
		return compare(r, piv, jump, window);
	return compare(r, piv, jump * SEQTRACK_BLUR, window) == SEQ_PLAUSIBLE ? SEQ_PLAUSIBLE : SEQ_NEW;
}

/* The first number accepted after a restart: the hint was right, or all begins with it. */
static void confirm(struct record *r, uint64_t piv)
{
	r->seen |= 1;
	if (mark_accepted(r, piv))
		return;
	r->highest = piv;
	r->seen = 1;
}

bool seqtrack_accept(struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t idle, tstamp now)
{
	struct record *r = find(s, key);
	bool known = r && !is_idle(r, idle, now);

	assert(key != 0);
	if (!r)
		r = make_room(s, key);
	r->used = now;
	if (known && !is_hint(r))
		return mark_accepted(r, piv);
	if (known) {
		confirm(r, piv);
		return true;
	}
	r->highest = piv;
	r->seen = 1;
	return true;
}

void seqtrack_hint(struct seqtrack *s, uint64_t key, uint64_t highest, uint64_t seen, tstamp now)
{
	struct record *r = find(s, key);

	assert(key != 0);
	if (!r)
		r = make_room(s, key);
	*r = (struct record){ .highest = highest, .seen = seen & ~UINT64_C(1), .used = now };
}

bool seqtrack_highest(const struct seqtrack *s, uint64_t key, uint64_t *highest)
{
	const struct record *r = find(s, key);

	if (!r)
		return false;
	*highest = r->highest;
	return true;
}

bool seqtrack_window(const struct seqtrack *s, uint64_t key, uint64_t *highest, uint64_t *seen)
{
	const struct record *r = find(s, key);

	if (!r)
		return false;
	*highest = r->highest;
	*seen = r->seen | 1;
	return true;
}

void seqtrack_forget(struct seqtrack *s, uint64_t key)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->keys, key);

	if (i == WAYS)
		return;
	sh->keys[i] = 0;
	s->count--;
}

void seqtrack_prefetch(const struct seqtrack *s, uint64_t key)
{
	__builtin_prefetch(shelf_of(s, key)->keys);
}

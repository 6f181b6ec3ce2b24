#include "guard/seqtrack.h"

#include <assert.h>
#include "base/memory.h"
#include "base/ways.h"

/*
 * Eight records side by side, one kind of field after the other: looking for a key touches one
 * cache line. Bit d of seen: highest - d was accepted. Bit 0 clear: all of it is a
 * hint, which nothing has confirmed yet.
 */
struct shelf {
	uint64_t key[WAYS]; /* 0: free */
	uint64_t highest[WAYS];
	uint64_t seen[WAYS];
	tstamp used[WAYS];
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

static bool is_idle(const struct shelf *sh, unsigned i, uint64_t idle, tstamp now)
{
	return tstamp_since(sh->used[i], now) > idle;
}

/* A free place, else the one unused for longest. */
static unsigned make_room(struct seqtrack *s, struct shelf *sh)
{
	unsigned stalest = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (sh->key[i] == 0) {
			s->count++;
			return i;
		}
		if (sh->used[i] < sh->used[stalest])
			stalest = i;
	}
	return stalest;
}

/* RFC 8613 §7.4 leaves the window to the server; ours is a sliding one as in RFC 6479, without the
 * shifts of a ring. */
static bool mark_accepted(struct shelf *sh, unsigned i, uint64_t piv)
{
	uint64_t distance;

	if (piv > sh->highest[i]) {
		distance = piv - sh->highest[i];
		sh->seen[i] = distance < SEQTRACK_WINDOW ? sh->seen[i] << distance | 1 : 1;
		sh->highest[i] = piv;
		return true;
	}
	distance = sh->highest[i] - piv;
	if (distance >= SEQTRACK_WINDOW || (sh->seen[i] >> distance & 1))
		return false;
	sh->seen[i] |= UINT64_C(1) << distance;
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

static bool is_hint(const struct shelf *sh, unsigned i)
{
	return !(sh->seen[i] & 1);
}

static enum seq_finding compare(const struct shelf *sh, unsigned i, uint64_t piv, uint64_t jump, uint32_t window)
{
	uint64_t distance;

	if (piv > sh->highest[i])
		return piv - sh->highest[i] <= jump ? SEQ_PLAUSIBLE : SEQ_FAR;
	distance = sh->highest[i] - piv;
	if (distance >= window || distance >= SEQTRACK_WINDOW)
		return SEQ_OLD;
	return (sh->seen[i] | 1) >> distance & 1 ? SEQ_REUSED : SEQ_PLAUSIBLE;
}

enum seq_finding seqtrack_judge(const struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t jump, uint32_t window,
				uint64_t idle, tstamp now)
{
	const struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);

	if (i == WAYS || is_idle(sh, i, idle, now))
		return SEQ_NEW;
	if (!is_hint(sh, i))
		return compare(sh, i, piv, jump, window);
	return compare(sh, i, piv, jump * SEQTRACK_BLUR, window) == SEQ_PLAUSIBLE ? SEQ_PLAUSIBLE : SEQ_NEW;
}

/* The first number accepted after a restart: the hint was right, or all begins with it. */
static void confirm(struct shelf *sh, unsigned i, uint64_t piv)
{
	sh->seen[i] |= 1;
	if (mark_accepted(sh, i, piv))
		return;
	sh->highest[i] = piv;
	sh->seen[i] = 1;
}

bool seqtrack_accept(struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t idle, tstamp now)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);
	bool known = i < WAYS && !is_idle(sh, i, idle, now);

	assert(key != 0);
	if (i == WAYS)
		i = make_room(s, sh);
	sh->key[i] = key;
	sh->used[i] = now;
	if (known && !is_hint(sh, i))
		return mark_accepted(sh, i, piv);
	if (known) {
		confirm(sh, i, piv);
		return true;
	}
	sh->highest[i] = piv;
	sh->seen[i] = 1;
	return true;
}

void seqtrack_hint(struct seqtrack *s, uint64_t key, uint64_t highest, uint64_t seen, tstamp now)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);

	assert(key != 0);
	if (i == WAYS)
		i = make_room(s, sh);
	sh->key[i] = key;
	sh->used[i] = now;
	sh->highest[i] = highest;
	sh->seen[i] = seen & ~UINT64_C(1);
}

bool seqtrack_highest(const struct seqtrack *s, uint64_t key, uint64_t *highest)
{
	const struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);

	if (i == WAYS)
		return false;
	*highest = sh->highest[i];
	return true;
}

bool seqtrack_window(const struct seqtrack *s, uint64_t key, uint64_t *highest, uint64_t *seen)
{
	const struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);

	if (i == WAYS)
		return false;
	*highest = sh->highest[i];
	*seen = sh->seen[i] | 1;
	return true;
}

void seqtrack_forget(struct seqtrack *s, uint64_t key)
{
	struct shelf *sh = shelf_of(s, key);
	unsigned i = ways_find(sh->key, key);

	if (i == WAYS)
		return;
	sh->key[i] = 0;
	s->count--;
}

void seqtrack_prefetch(const struct seqtrack *s, uint64_t key)
{
	__builtin_prefetch(shelf_of(s, key)->key);
}

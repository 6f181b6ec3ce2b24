/*
 * charges: which prefixes were charged when, and for whom. Fixed size, shelves of eight places; the
 * place charged least recently makes room. A charge is forgotten after a while, or given back.
 */
#ifndef CHARGES_H
#define CHARGES_H
#include "base/tstamp.h"
#include "base/memory.h"

#define CHARGES_SHELF 8
#define CHARGES_UNIT  (16 * TSTAMP_MS) /* of the clock below: it turns over after two years */

/*
 * The last charge and the one before it, each with a tag of the client it was for: what giving back
 * needs. Times are in units of the clock, 0: none. A third charge displaces the first; giving that
 * one back then changes nothing.
 */
struct charge {
	uint32_t tag; /* of the prefix, beside its shelf */
	uint32_t last, before;
	uint16_t who_last, who_before;
};

struct charges {
	struct charge *places;
	uint32_t mask; /* of shelves */
	uint64_t memory;
};

static inline uint32_t charges_shelves(uint32_t places)
{
	uint32_t shelves = 1;

	while (shelves < UINT32_C(1) << 28 && shelves * CHARGES_SHELF < places)
		shelves *= 2;
	return shelves;
}

static inline size_t charges_memory(uint32_t places)
{
	return sizeof(struct charge) * CHARGES_SHELF * charges_shelves(places);
}

/* Returns 0, or -1: no memory. */
static inline int charges_init(struct charges *c, uint32_t places, uint64_t memory)
{
	c->mask = charges_shelves(places) - 1;
	c->memory = memory;
	c->places = memory_create(1, charges_memory(places));
	return c->places ? 0 : -1;
}

static inline void charges_free(struct charges *c)
{
	memory_free(c->places);
}

static inline uint32_t charges_clock(tstamp now)
{
	uint32_t at = (uint32_t)(now / CHARGES_UNIT);

	return at ? at : 1;
}

static inline uint32_t charges_age(const struct charge *p, tstamp now)
{
	return charges_clock(now) - p->last;
}

static inline bool charges_forgot(const struct charges *c, const struct charge *p, tstamp now)
{
	return p->last == 0 || charges_age(p, now) * CHARGES_UNIT > c->memory;
}

static inline struct charge *charges_find(const struct charges *c, uint64_t prefix)
{
	struct charge *shelf = &c->places[((uint32_t)prefix & c->mask) * CHARGES_SHELF];

	for (unsigned i = 0; i < CHARGES_SHELF; i++)
		if (shelf[i].last && shelf[i].tag == (uint32_t)(prefix >> 32))
			return &shelf[i];
	return NULL;
}

/* For a prefix that has no place: a free or forgotten one, else the one charged least recently. */
static inline struct charge *charges_place(struct charges *c, uint64_t prefix, tstamp now)
{
	struct charge *shelf = &c->places[((uint32_t)prefix & c->mask) * CHARGES_SHELF];
	struct charge *stalest = &shelf[0];

	for (unsigned i = 0; i < CHARGES_SHELF; i++) {
		if (charges_forgot(c, &shelf[i], now)) {
			stalest = &shelf[i];
			break;
		}
		if (charges_age(&shelf[i], now) > charges_age(stalest, now))
			stalest = &shelf[i];
	}
	*stalest = (struct charge){ .tag = (uint32_t)(prefix >> 32) };
	return stalest;
}

/* When the prefix was charged last, for comparing: 0: never, as far as remembered; else the larger
 * the later. */
static inline uint64_t charges_at(const struct charges *c, uint64_t prefix, tstamp now)
{
	const struct charge *p = charges_find(c, prefix);

	if (!p || charges_forgot(c, p, now))
		return 0;
	return UINT64_C(1) + UINT32_MAX - charges_age(p, now);
}

static inline void charges_add(struct charges *c, uint64_t prefix, uint16_t who, tstamp now)
{
	struct charge *p = charges_find(c, prefix);

	if (!p)
		p = charges_place(c, prefix, now);
	p->before = p->last;
	p->who_before = p->who_last;
	p->last = charges_clock(now);
	p->who_last = who;
}

/* As if never charged for `who`. Others' charges stay. */
static inline void charges_refund(struct charges *c, uint64_t prefix, uint16_t who)
{
	struct charge *p = charges_find(c, prefix);

	if (!p)
		return;
	if (p->who_last == who) {
		p->last = p->before;
		p->who_last = p->who_before;
		p->before = 0;
	} else if (p->who_before == who) {
		p->before = 0;
	}
}
#endif

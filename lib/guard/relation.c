#include "guard/relation.h"

_Static_assert(sizeof(struct relation) + sizeof(uint64_t) <= 80,
	       "a client record with its index takes at most 80 bytes");

static uint32_t seconds(tstamp now)
{
	return (uint32_t)(now / TSTAMP_S);
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

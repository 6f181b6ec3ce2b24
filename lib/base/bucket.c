#include "base/bucket.h"

static uint64_t debt(const struct bucket *b, tstamp now)
{
	return tstamp_since(now, b->tat);
}

uint64_t bucket_wait(const struct bucket *b, struct rate r, uint64_t burst, uint64_t cost, tstamp now)
{
	uint64_t room;

	if (r.count == 0 || cost > burst)
		return TSTAMP_NEVER;
	room = rate_duration(r, burst) - rate_duration(r, cost);
	return debt(b, now) > room ? debt(b, now) - room : 0;
}

bool bucket_take(struct bucket *b, struct rate r, uint64_t burst, uint64_t cost, tstamp now)
{
	if (bucket_wait(b, r, burst, cost, now) != 0)
		return false;
	b->tat = tstamp_add(tstamp_add(now, debt(b, now)), rate_duration(r, cost));
	return true;
}

void bucket_refund(struct bucket *b, struct rate r, uint64_t cost)
{
	uint64_t ns = rate_duration(r, cost);

	b->tat = b->tat > ns ? b->tat - ns : 0;
}

unsigned bucket_fill(const struct bucket *b, struct rate r, uint64_t burst, tstamp now)
{
	uint64_t depth = rate_duration(r, burst), owed = debt(b, now);

	if (r.count == 0 || burst == 0 || owed > depth)
		return 0;
	if (depth == 0)
		return 1000;
	/* The product would overflow only with depths of months, where the last digits do not
	 * matter. */
	if (depth > UINT64_MAX / 1000)
		return (unsigned)((depth - owed) / (depth / 1000 + 1));
	return (unsigned)((depth - owed) * 1000 / depth);
}

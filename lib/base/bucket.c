#include "base/bucket.h"

__extension__ typedef unsigned __int128 wide;

/*
 * A unit is rounded up to a whole nanosecond, and everything is a multiple of it. So durations add
 * up exactly, a full bucket holds exactly its burst however it is taken, and no window ever passes
 * more than the rate says.
 */
uint64_t rate_duration(struct rate r, uint64_t units)
{
	wide ns;

	if (r.count == 0)
		return units ? UINT64_MAX : 0;
	ns = (wide)units * (r.period / r.count + (r.period % r.count != 0));
	return ns < UINT64_MAX ? (uint64_t)ns : UINT64_MAX;
}

static uint64_t debt(const struct bucket *b, tstamp now)
{
	return tstamp_since(now, b->tat);
}

uint64_t bucket_wait(const struct bucket *b, struct rate r, uint64_t burst, uint64_t cost,
		     tstamp now)
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
	return depth ? (unsigned)((wide)(depth - owed) * 1000 / depth) : 1000;
}

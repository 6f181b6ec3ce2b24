#include "coap/mid.h"

#define SEGMENT (65536 / MID_SEGMENTS)

void mid_init(struct mid_space *s, uint16_t first)
{
	*s = (struct mid_space){ .next = first };
}

/*
 * Only entering a run needs a check: its last use then lies a whole round back, and every number
 * further on in it is at least as old.
 */
bool mid_next(struct mid_space *s, uint64_t lifetime, tstamp now, uint16_t *mid, uint64_t *wait)
{
	tstamp *used = &s->used[s->next / SEGMENT];
	bool enters = s->next % SEGMENT == 0 || !s->started;

	if (enters && *used != 0 && tstamp_since(*used, now) < lifetime) {
		*wait = lifetime - tstamp_since(*used, now);
		return false;
	}
	s->started = true;
	*used = now ? now : 1; /* 0 says never */
	*mid = s->next++;
	return true;
}

/* mid: Message IDs towards one endpoint, none used again within EXCHANGE_LIFETIME (RFC 7252 §4.4). */
#ifndef MID_H
#define MID_H
#include "base/tstamp.h"

#define MID_SEGMENTS 64 /* the 65536 numbers in 64 runs of 1024, each with the time it was last used */

struct mid_space {
	uint16_t next;
	bool started;
	tstamp used[MID_SEGMENTS]; /* 0: never */
};

void mid_init(struct mid_space *s, uint16_t first);
/* False: the next number was used less than `lifetime` ago; try again after *wait nanoseconds. */
bool mid_next(struct mid_space *s, uint64_t lifetime, tstamp now, uint16_t *mid, uint64_t *wait);
#endif

/* guard_fleet: whose key makes Echo values: one that the guards of a network share, or one of this guard's own. */
#ifndef GUARD_FLEET_H
#define GUARD_FLEET_H
#include "base/tstamp.h"

struct guard;

/* wall: ns since 1970, now. Later steps of that clock change nothing. */
void guard_fleet_join(struct guard *g, const uint8_t key[16], uint64_t wall, tstamp now);
void guard_fleet_leave(struct guard *g, const uint8_t key[16], tstamp now); /* key: random */
#endif

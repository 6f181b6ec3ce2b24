#include "guard/guard_fleet.h"
#include "guard/state.h"

void guard_fleet_join(struct guard *g, const uint8_t key[16], uint64_t wall, tstamp now)
{
	echo_init_shared(&g->echo_key, key, g->policy.echo_key_lifetime, wall, now);
}

void guard_fleet_leave(struct guard *g, const uint8_t key[16], tstamp now)
{
	echo_init(&g->echo_key, key, g->policy.echo_key_lifetime, now);
}

#include "guard/peers.h"

bool peers_is_home(const struct peers *p, uint32_t place, uint64_t endpoint)
{
	for (unsigned i = 0; i < PEERS_HOMES; i++)
		if (p->all[place].homes[i] == endpoint)
			return true;
	return false;
}

void peers_seen(struct peers *p, uint32_t place, uint64_t endpoint)
{
	uint64_t *homes = p->all[place].homes;

	if (homes[0] == endpoint)
		return;
	for (unsigned i = PEERS_HOMES - 1; i > 0; i--)
		homes[i] = homes[i - 1];
	homes[0] = endpoint;
}

bool peers_may_try(const struct peers *p, uint32_t place, tstamp now)
{
	return bucket_wait(&p->all[place].tries, PEERS_TRIES, PEERS_TRIES_MAX, 1, now) == 0;
}

void peers_failed(struct peers *p, uint32_t place, tstamp now)
{
	bucket_take(&p->all[place].tries, PEERS_TRIES, PEERS_TRIES_MAX, 1, now);
}

bool peers_may_echo(struct peers *p, uint32_t place, tstamp now)
{
	return bucket_take(&p->all[place].echoes, PEERS_ECHOES, PEERS_ECHOES_MAX, 1, now);
}

uint64_t peers_spend(struct peers *p, uint32_t place, uint8_t server, struct rate r, uint64_t cost, tstamp now)
{
	struct bucket *own = &p->all[place].own[server];
	uint64_t burst = policy_burst(r), wait;

	cost = cost < burst ? cost : burst;
	wait = bucket_wait(own, r, burst, cost, now);
	if (wait == 0)
		bucket_take(own, r, burst, cost, now);
	return wait;
}

void peers_forget(struct peers *p, uint32_t place)
{
	p->all[place] = (struct peer){ .homes = { 0 } };
}

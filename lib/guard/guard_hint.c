#include "guard/guard_hint.h"
#include "guard/state.h"

void guard_hint_root(const struct guard *g, struct guard_hint_root *out)
{
	out->key = g->hash_key;
	memcpy(out->numbers, g->numbers, sizeof out->numbers);
}

bool guard_hint_adopt(struct guard *g, const struct guard_hint_root *root)
{
	uint64_t taken = 0;

	_Static_assert(POLICY_SERVERS == 64, "a bit for each number");
	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		if (root->numbers[i] < POLICY_SERVERS)
			taken |= UINT64_C(1) << root->numbers[i];
	if (taken != UINT64_MAX)
		return false;
	g->hash_key = root->key;
	memcpy(g->numbers, root->numbers, sizeof g->numbers);
	return true;
}

static uint64_t idle_since(const struct relation *rel, tstamp now)
{
	return tstamp_since(rel->seen_s * TSTAMP_S, now);
}

static bool copy_hint(const struct guard *g, const struct relation *rel, struct guard_hint *out, tstamp now)
{
	*out = (struct guard_hint){
		.relation = reputation_key(g->reputation, rel),
		.endpoint = rel->endpoint,
		.idle = idle_since(rel, now),
		.address.port = rel->port,
		.server = rel->server,
		.kid_len = rel->kid_len,
		.trusted = rel->standing == STANDING_TRUSTED,
	};
	memcpy(out->address.ip, rel->ip, sizeof rel->ip);
	memcpy(out->kid, rel->kid, sizeof out->kid);
	return out->idle <= g->policy.lifetime &&
	       seqtrack_window(g->seqtrack, out->relation, &out->highest, &out->seen);
}

bool guard_hint_next(const struct guard *g, uint32_t *place, struct guard_hint *out, tstamp now)
{
	while (*place < reputation_capacity(g->reputation)) {
		const struct relation *rel = reputation_at(g->reputation, (*place)++);

		if (rel && copy_hint(g, rel, out, now))
			return true;
	}
	return false;
}

/* The clock may be younger than the hint is old: then it grows as old again. */
bool guard_hint_take(struct guard *g, const struct guard_hint *h, tstamp now)
{
	struct relation *rel;

	if (!h->relation || !h->endpoint || h->server >= POLICY_SERVERS || !g->policy.servers[h->server].present ||
	    h->idle > g->policy.lifetime)
		return false;
	rel = reputation_admit(g->reputation, h->relation, h->idle < now ? now - h->idle : 0);
	rel->server = h->server;
	rel->endpoint = h->endpoint;
	rel->port = h->address.port;
	rel->kid_len = h->kid_len;
	memcpy(rel->ip, h->address.ip, sizeof rel->ip);
	memcpy(rel->kid, h->kid, sizeof rel->kid);
	seqtrack_hint(g->seqtrack, h->relation, h->highest, h->seen, now);
	return true;
}

uint64_t guard_hint_changes(const struct guard *g)
{
	return g->changes;
}

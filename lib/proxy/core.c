#include "proxy/core.h"

void core_count(struct proxy *p, enum fault f)
{
	p->faults[f]++;
}

void core_remember(struct proxy *p, const struct addr *client, uint8_t server, enum fault f, tstamp now)
{
	p->refusals[p->next_refusal++ % PROXY_REFUSALS] =
		(struct proxy_refusal){ .client = *client, .at = now, .fault = (uint8_t)f, .server = server };
}

const struct proxy_listen *core_listen(const struct proxy *p, const struct addr *local)
{
	const struct proxy_listen *wildcard = &p->cfg.listens[0];

	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		const struct proxy_listen *l = &p->cfg.listens[i];

		if (l->bind.port != local->port || l->bind.carrier != local->carrier || l->name[0] == '\0')
			continue;
		if (memcmp(l->bind.ip, local->ip, sizeof local->ip) == 0)
			return l;
		if (addr_is_unspecified(&l->bind))
			wildcard = l;
	}
	return wildcard;
}

bool core_is_reached(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return x->listening || guard_reaches(p->guard, &x->client.remote, x->flow, now);
}

tstamp core_until(const struct exchange *x)
{
	tstamp end = tstamp_add(x->opened, PROXY_PATIENCE);

	return x->doubted ? tstamp_min(end, tstamp_add(x->doubted, PROXY_DOUBT)) : end;
}

const struct proxy_link *core_link(const struct proxy *p, uint8_t server)
{
	return &p->cfg.links[p->cfg.policy.servers[server].link];
}

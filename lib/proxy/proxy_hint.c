#include "proxy/proxy_hint.h"
#include "proxy/core.h"

void proxy_hint_root(const struct proxy *p, struct guard_hint_root *out)
{
	guard_hint_root(p->guard, out);
}

bool proxy_hint_adopt(struct proxy *p, const struct guard_hint_root *root)
{
	return guard_hint_adopt(p->guard, root);
}

bool proxy_hint_next(const struct proxy *p, uint32_t *place, struct guard_hint *out, tstamp now)
{
	return guard_hint_next(p->guard, place, out, now);
}

bool proxy_hint_take(struct proxy *p, const struct guard_hint *h, tstamp now)
{
	return guard_hint_take(p->guard, h, now);
}

uint64_t proxy_hint_changes(const struct proxy *p)
{
	return guard_hint_changes(p->guard);
}

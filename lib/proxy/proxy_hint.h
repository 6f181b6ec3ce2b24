/* proxy_hint: the door to what the guard knows of clients, for whoever keeps it over a restart; see guard/guard_hint.h. */
#ifndef PROXY_HINT_H
#define PROXY_HINT_H
#include "guard/guard_hint.h"
#include "proxy/proxy.h"

void proxy_hint_root(const struct proxy *p, struct guard_hint_root *out);
bool proxy_hint_adopt(struct proxy *p, const struct guard_hint_root *root);
bool proxy_hint_next(const struct proxy *p, uint32_t *place, struct guard_hint *out, tstamp now);
bool proxy_hint_take(struct proxy *p, const struct guard_hint *h, tstamp now);
uint64_t proxy_hint_changes(const struct proxy *p);
#endif

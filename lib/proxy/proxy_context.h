/*
 * proxy_context: the guard's OSCORE contexts at work, by their places in the configuration. What the daemon may ask of them is in proxy.h
 * (proxy_context_*); these are for the engine's own rooms.
 */
#ifndef PROXY_CONTEXT_H
#define PROXY_CONTEXT_H
#include "proxy/core.h"

/* Those whose setup the new configuration keeps go on; the others are taken out of work. Before p->cfg changes. */
void proxy_context_keep(struct proxy *p, const struct proxy_config *cfg);
/* What p->cfg says of them, where it is looked up for every request. After p->cfg changed. */
void proxy_context_note(struct proxy *p);
/* p->tap changed: whoever wants to hear of each use of a key does from now on. */
void proxy_context_listen(struct proxy *p);
#endif

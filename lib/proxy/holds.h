/* holds: datagrams kept while their sender is pinged: one per client, a few in all, for a moment. */
#ifndef HOLDS_H
#define HOLDS_H
#include "proxy/core.h"

/* The youngest is the one to serve. No place: the client's retransmission will do. Strangers leave half of the places to others. */
void holds_keep(struct proxy *p, uint64_t flow, const struct path *from, struct bytes datagram, bool stranger,
		tstamp now);
/* What was kept for this client, and where it came from; NULL: nothing. The caller gives it back to the pool. */
struct dgram *holds_take(struct proxy *p, uint64_t flow, struct path *from, tstamp now);
/* Those kept for clients that answer no ping are given up. */
void holds_due(struct proxy *p, tstamp now);
#endif

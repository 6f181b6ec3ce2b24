#include "guard/handshakes.h"
#include <stddef.h>

static struct handshake *find(struct handshakes *h, uint64_t endpoint, tstamp now)
{
	for (unsigned i = 0; i < HANDSHAKES; i++)
		if (h->all[i].endpoint == endpoint && !tstamp_reached(h->all[i].until, now))
			return &h->all[i];
	return NULL;
}

/* Its own place, or that of whoever has the least time left: none at all, where one is free. */
static struct handshake *place_for(struct handshakes *h, uint64_t endpoint, tstamp now)
{
	struct handshake *own = find(h, endpoint, now), *least = h->all;

	for (unsigned i = 1; i < HANDSHAKES; i++)
		if (h->all[i].until < least->until)
			least = &h->all[i];
	return own ? own : least;
}

void handshakes_begin(struct handshakes *h, uint64_t endpoint, tstamp now)
{
	*place_for(h, endpoint, now) = (struct handshake){ .endpoint = endpoint,
							   .until = tstamp_add(now, HANDSHAKES_LAST),
							   .blind = HANDSHAKES_BLIND,
							   .sure = HANDSHAKES_SURE };
}

bool handshakes_known(struct handshakes *h, uint64_t endpoint, tstamp now)
{
	return find(h, endpoint, now) != NULL;
}

bool handshakes_continue(struct handshakes *h, uint64_t endpoint, bool proven, tstamp now)
{
	struct handshake *shake = find(h, endpoint, now);
	uint8_t *left;

	if (!shake)
		return false;
	left = proven && shake->sure ? &shake->sure : &shake->blind;
	if (*left == 0)
		return false;
	--*left;
	return true;
}

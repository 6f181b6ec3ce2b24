#include "proxy/holds.h"

void holds_due(struct proxy *p, tstamp now)
{
	if (!tstamp_reached(p->next_hold, now))
		return;
	p->next_hold = TSTAMP_NEVER;
	for (unsigned i = 0; i < PROXY_HOLDS; i++) {
		struct proxy_hold *h = &p->holds[i];
		tstamp end = tstamp_add(h->since, PROXY_HOLD);

		if (h->datagram && tstamp_reached(end, now)) {
			dgram_give(&p->pool, h->datagram);
			h->datagram = NULL;
		} else if (h->datagram) {
			p->next_hold = tstamp_min(p->next_hold, end);
		}
	}
}

/* The client's, or a free one. */
static struct proxy_hold *find(struct proxy *p, uint64_t flow, tstamp now)
{
	struct proxy_hold *place = NULL;

	holds_due(p, now);
	for (unsigned i = 0; i < PROXY_HOLDS; i++) {
		struct proxy_hold *h = &p->holds[i];

		if (h->datagram && h->flow == flow)
			return h;
		if (!h->datagram)
			place = h;
	}
	return place;
}

static unsigned used(const struct proxy *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PROXY_HOLDS; i++)
		n += p->holds[i].datagram != NULL;
	return n;
}

void holds_keep(struct proxy *p, uint64_t flow, const struct path *from, struct bytes datagram, bool stranger,
		tstamp now)
{
	struct proxy_hold *h = find(p, flow, now);

	if (datagram.len > DGRAM_MAX || (stranger && used(p) >= PROXY_HOLDS / 2))
		return;
	if (h && !h->datagram)
		h->datagram = dgram_take(&p->pool);
	if (!h || !h->datagram)
		return;
	h->flow = flow;
	h->from = *from;
	h->since = now;
	p->next_hold = tstamp_min(p->next_hold, tstamp_add(now, PROXY_HOLD));
	h->datagram->len = (uint16_t)datagram.len;
	memcpy(h->datagram->buf, datagram.ptr, datagram.len);
}

struct dgram *holds_take(struct proxy *p, uint64_t flow, struct path *from, tstamp now)
{
	struct proxy_hold *h = find(p, flow, now);
	struct dgram *d = h ? h->datagram : NULL;

	if (!d)
		return NULL;
	*from = h->from;
	h->datagram = NULL;
	return d;
}

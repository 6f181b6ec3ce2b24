#include "coap/retransmit.h"

__extension__ typedef unsigned __int128 wide;

#define MAX_LATENCY (100 * TSTAMP_S) /* RFC 7252 §4.8.2 */

static uint64_t saturate(wide ns)
{
	return ns < UINT64_MAX ? (uint64_t)ns : UINT64_MAX;
}

/* ack_timeout * (2^doublings - 1) * 1.5: when the last of so many doubling waits ends at the
 * latest. */
static uint64_t span(const struct retransmit_params *p, unsigned doublings)
{
	if (doublings > 60)
		return p->ack_timeout ? UINT64_MAX : 0;
	return saturate((wide)p->ack_timeout * ((1ULL << doublings) - 1) * 3 / 2);
}

uint64_t retransmit_start(struct retransmit *r, const struct retransmit_params *p, uint32_t random)
{
	uint64_t spread = (uint64_t)((wide)(p->ack_timeout / 2) * random / UINT32_MAX);

	*r = (struct retransmit){ .timeout = saturate((wide)p->ack_timeout + spread) };
	return r->timeout;
}

bool retransmit_next(struct retransmit *r, const struct retransmit_params *p, uint64_t *timeout)
{
	if (r->count >= p->max_retransmit)
		return false;
	r->count++;
	r->timeout = saturate((wide)r->timeout * 2);
	*timeout = r->timeout;
	return true;
}

uint64_t retransmit_span(const struct retransmit_params *p)
{
	return span(p, p->max_retransmit);
}

uint64_t retransmit_wait(const struct retransmit_params *p)
{
	return span(p, p->max_retransmit + 1u);
}

/* There and back, and PROCESSING_DELAY, which RFC 7252 §4.8.2 sets to ACK_TIMEOUT. */
uint64_t retransmit_exchange_lifetime(const struct retransmit_params *p)
{
	return saturate((wide)retransmit_span(p) + 2 * MAX_LATENCY + p->ack_timeout);
}

uint64_t retransmit_non_lifetime(const struct retransmit_params *p)
{
	return saturate((wide)retransmit_span(p) + MAX_LATENCY);
}

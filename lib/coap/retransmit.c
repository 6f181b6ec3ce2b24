#include "coap/retransmit.h"

const struct retransmit_params retransmit_defaults = { .ack_timeout = 2 * TSTAMP_S, .max_retransmit = 4 };

#define MAX_LATENCY (100 * TSTAMP_S) /* RFC 7252 §4.8.2 */

/* ns * by / 2; saturates. */
static uint64_t halves(uint64_t ns, uint64_t by)
{
	uint64_t product;

	return __builtin_mul_overflow(ns, by, &product) ? UINT64_MAX : product / 2;
}

/* ack_timeout * (2^doublings - 1) * 1.5: when the last of so many doubling waits ends at the
 * latest. */
static uint64_t span(const struct retransmit_params *p, unsigned doublings)
{
	if (doublings > 60)
		return p->ack_timeout ? UINT64_MAX : 0;
	return halves(p->ack_timeout, ((1ULL << doublings) - 1) * 3);
}

uint64_t retransmit_start(struct retransmit *r, const struct retransmit_params *p, uint32_t random)
{
	uint64_t spread = p->ack_timeout / 2;

	/* Scaled by random / UINT32_MAX in two steps, since the product need not fit. */
	spread = spread / UINT32_MAX * random + spread % UINT32_MAX * random / UINT32_MAX;
	*r = (struct retransmit){ .timeout = tstamp_add(p->ack_timeout, spread) };
	return r->timeout;
}

bool retransmit_next(struct retransmit *r, const struct retransmit_params *p, uint64_t *timeout)
{
	if (r->count >= p->max_retransmit)
		return false;
	r->count++;
	r->timeout = tstamp_add(r->timeout, r->timeout);
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
	return tstamp_add(tstamp_add(retransmit_span(p), 2 * MAX_LATENCY), p->ack_timeout);
}

uint64_t retransmit_non_lifetime(const struct retransmit_params *p)
{
	return tstamp_add(retransmit_span(p), MAX_LATENCY);
}

/* retransmit: the timers of a Confirmable message (RFC 7252 §4.2, §4.8). */
#ifndef RETRANSMIT_H
#define RETRANSMIT_H
#include "base/tstamp.h"

struct retransmit_params {
	uint64_t ack_timeout;   /* ns */
	uint8_t max_retransmit; /* ACK_RANDOM_FACTOR is 1.5 */
};

/* ACK_TIMEOUT 2 s, MAX_RETRANSMIT 4 (RFC 7252 §4.8): towards clients. */
extern const struct retransmit_params retransmit_defaults;

struct retransmit {
	uint64_t timeout; /* ns, doubles */
	uint8_t count;    /* retransmissions so far */
};

/* Draws the first timeout in [ack_timeout, 1.5 ack_timeout] from `random`; returns it. */
uint64_t retransmit_start(struct retransmit *r, const struct retransmit_params *p, uint32_t random);
/* False: given up. True: send again and wait *timeout. */
bool retransmit_next(struct retransmit *r, const struct retransmit_params *p, uint64_t *timeout);

uint64_t retransmit_span(const struct retransmit_params *p);              /* MAX_TRANSMIT_SPAN */
uint64_t retransmit_wait(const struct retransmit_params *p);              /* MAX_TRANSMIT_WAIT */
uint64_t retransmit_exchange_lifetime(const struct retransmit_params *p); /* EXCHANGE_LIFETIME */
uint64_t retransmit_non_lifetime(const struct retransmit_params *p);      /* NON_LIFETIME */
#endif

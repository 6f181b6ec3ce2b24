/* upstream: the device leg of an exchange: its message, its place in the link, its timers. */
#ifndef UPSTREAM_H
#define UPSTREAM_H
#include "proxy/core.h"
#include "proxy/target.h"

/* Builds the message for x->server; x keeps it. The token is x's own. False: no room. */
bool upstream_build(struct proxy *p, struct exchange *x, const struct target *t, const struct request_view *v,
		    const struct target_edits *e);
/* The context for x's next hop works, and has a sequence number to go on with. */
bool upstream_can_layer(const struct proxy *p, const struct exchange *x);
/*
 * The next hop wants x's request again, with this Echo inside the layer (RFC 8613 B.1.2). Once; false: it cannot be.
 */
bool upstream_repeat(struct proxy *p, struct exchange *x, struct bytes echo, tstamp now);
/*
 * d is about to leave: a request gets its Message ID, and its layer, so that Partial IVs leave in their order. False: it can have none,
 * it does not leave, its client gets 5.03.
 */
bool upstream_number(struct proxy *p, struct dgram *d, tstamp now);
/* Into the link, or parked while its client has NSTART messages outstanding. False: no room. */
bool upstream_submit(struct proxy *p, struct exchange *x, tstamp now);
/* d leaves for the device now; timers start. True: the exchange keeps d. */
bool upstream_sent(struct proxy *p, struct dgram *d, tstamp now);
/* The device's timer of x fired while SENT. True: sent again; false: given up. */
bool upstream_retransmit(struct proxy *p, struct exchange *x, tstamp now);
/* The device acknowledged or answered: nothing is sent again, and a parked request of the client may go. */
void upstream_settled(struct proxy *p, struct exchange *x, tstamp now);
/* Gives back what x holds for the device. */
void upstream_discard(struct proxy *p, struct exchange *x);
void upstream_unpark(struct proxy *p, uint64_t flow, uint8_t server, tstamp now);
/* Empty ACK or RST to the device, in the link's first lane. */
void upstream_empty(struct proxy *p, uint8_t server, enum path_channel channel, uint8_t type, uint16_t mid, tstamp now);
#endif

/* upstream: the device leg of an exchange: its place in the link, its timers, its turns. */
#ifndef UPSTREAM_H
#define UPSTREAM_H
#include "proxy/core.h"

#define UPSTREAM_MAX_AGE 60 /* of a 5.03, when nothing says better when to come again: the default of the option */

enum upstream_turn {
	UPSTREAM_ANSWERED, /* that is the response */
	UPSTREAM_GOES_ON,  /* the next piece of the request is in the link */
	UPSTREAM_REFUSED   /* it could not go there; x says why */
};
/* The device answered x, or a piece of x's request. */
enum upstream_turn upstream_continue(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now);
/* e asks for the next block of the response to x. False: no room. */
bool upstream_rest(struct proxy *p, struct exchange *e, const struct exchange *x, tstamp now);
/* What x observes has grown old: it is asked for again, under the same token. False: it cannot be. */
bool upstream_renew(struct proxy *p, struct exchange *x, tstamp now);
/*
 * The next hop wants x's request again, with this Echo inside the layer (RFC 8613 B.1.2). Once; false: it cannot be.
 */
bool upstream_repeat(struct proxy *p, struct exchange *x, struct bytes echo, tstamp now);
/*
 * d is about to leave: a request gets its Message ID, and its layer, so that Partial IVs leave in their order. False: it can have none,
 * it does not leave, its client gets 5.03.
 */
bool upstream_number(struct proxy *p, struct dgram *d, tstamp now);
/*
 * Into the link, or parked while its client has NSTART messages outstanding or its device is silent. False: it cannot go within queue-wait;
 * x says why, and when to come again.
 */
bool upstream_submit(struct proxy *p, struct exchange *x, tstamp now);
/* d leaves for the device now; timers start. True: the exchange keeps d. */
bool upstream_sent(struct proxy *p, struct dgram *d, tstamp now);
/* The device's timer of x fired while SENT. True: sent again, or soon; false: given up. */
bool upstream_retransmit(struct proxy *p, struct exchange *x, tstamp now);
/* The device acknowledged or answered: nothing is sent again, and a parked request of the client may go. */
void upstream_settled(struct proxy *p, struct exchange *x, tstamp now);
/* Gives back what x holds for the device. */
void upstream_discard(struct proxy *p, struct exchange *x);
void upstream_unpark(struct proxy *p, uint64_t flow, uint8_t server, tstamp now);
/* x has waited for queue-wait: leaves in it why, and when to come again. */
void upstream_overdue(struct proxy *p, struct exchange *x, tstamp now);
/* Something came from the device: who was parked because it was silent may go. */
void upstream_heard(struct proxy *p, uint8_t server, tstamp now);
/* The next requests for silent devices, as far as their rate of probes allows. */
void upstream_probes_due(struct proxy *p, tstamp now);
/* Empty ACK or RST to the device, in the link's first lane. */
void upstream_empty(struct proxy *p, uint8_t server, enum path_channel channel, uint8_t type, uint16_t mid, tstamp now);
#endif

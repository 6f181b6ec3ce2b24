/* reply: everything that goes towards clients: refusals, challenges, responses, acknowledgements. */
#ifndef REPLY_H
#define REPLY_H
#include "proxy/core.h"

/* To whom, for a request that has no exchange. */
struct share_hit;

struct reply_to {
	const struct path *from;
	const struct msg *msg;
	uint64_t flow, dedup;
	struct layers *layers; /* that came off it, and go on every reply */
};

void reply_error(struct proxy *p, const struct reply_to *to, uint8_t code, tstamp now);
/* Of the OSCORE layer: why is one of NO_CONTEXT, NOT_AUTHENTIC, REPLAY (RFC 8613 §8.2). */
void reply_oscore_error(struct proxy *p, const struct reply_to *to, enum fault why, tstamp now);
/* 4.01 with this Echo, inside the layers (RFC 8613 B.1.2). */
void reply_echo(struct proxy *p, const struct reply_to *to, struct bytes echo, tstamp now);
/* What is known already; what: options and payload, for a client that asked for this block. False: larger than `limit`, nothing was sent. */
bool reply_known(struct proxy *p, const struct reply_to *to, const struct share_hit *what, const struct block *ask,
		 size_t limit, tstamp now);
void reply_challenge(struct proxy *p, const struct reply_to *to, tstamp now); /* 4.01 + Echo */
void reply_throttle(struct proxy *p, const struct reply_to *to, uint32_t max_age, bool echo, tstamp now); /* 4.29 */
void reply_hop_limit(struct proxy *p, const struct reply_to *to, tstamp now);                             /* 5.08 */
void reply_ping(struct proxy *p, const struct path *client, tstamp now);
/* The second ping of a proof, a moment later. */
void reply_ping_later(struct proxy *p, const struct path *client, tstamp now);
void reply_pings_due(struct proxy *p, tstamp now);
/*
 * Asks the client of x, for whom something is held, to prove itself: a ping, counted like any reply, so that
 * neither notifications nor repeated requests make a stream of them (I3).
 */
void reply_ask(struct proxy *p, struct exchange *x, tstamp now);
void reply_reset(struct proxy *p, const struct path *from, uint16_t mid);
void reply_again(struct proxy *p, const struct path *from, struct bytes reply); /* a remembered reply */

/* Empty ACK to the client of x: a separate response will follow. */
void reply_acknowledge(struct proxy *p, struct exchange *x);
/* An error of ours to the client of x, in place of a response. x stays open. */
void reply_failure(struct proxy *p, struct exchange *x, uint8_t code, uint32_t max_age, tstamp now);
/*
 * A response or notification of the device, verbatim but for token, Message ID, type and where it says that something was made.
 * `confirmable`: the device sent it as CON. It is held when the address is unproven and it would amplify (I3).
 */
void reply_forward(struct proxy *p, struct exchange *x, const struct msg *response, bool confirmable, tstamp now);
/* What was held for x's client goes out, if it may now. True: that was the last of x, which may be dropped. */
bool reply_release(struct proxy *p, struct exchange *x, tstamp now);
/* Forgets what is held or unacknowledged towards the client. */
void reply_discard(struct proxy *p, struct exchange *x);
/* The client acknowledged the last CON it was sent. True: that was the last of x, which may be dropped. */
bool reply_acknowledged(struct proxy *p, struct exchange *x, tstamp now);
/*
 * A reset came for x that may be a guess: the next notification asks, and when nobody acknowledges it the client is gone. A true reset is
 * believed that much later, and a guessed one never.
 */
void reply_doubt(struct exchange *x);
/* The client's own CON (response) timer of x fired. False: the client is gone. */
bool reply_retransmit(struct proxy *p, struct exchange *x, tstamp now);
#endif

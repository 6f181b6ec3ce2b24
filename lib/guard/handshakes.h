/*
 * handshakes: key exchanges that a server has begun to answer. What follows the first message does not wait: message_3 of EDHOC and the first
 * request under the new key (RFC 9528 appendix A.2, RFC 9668). Otherwise a device would compute half an exchange for nothing.
 */
#ifndef HANDSHAKES_H
#define HANDSHAKES_H
#include "base/tstamp.h"
#include <stdbool.h>
#include <stdint.h>

#define HANDSHAKES       8               /* at one server; the one with the least time left makes room */
#define HANDSHAKES_LAST  (60 * TSTAMP_S) /* from the answer to the first message on */
#define HANDSHAKES_UNITS 4               /* a message of more is none of these */
#define HANDSHAKES_BLIND 2 /* messages whose sender proved nothing: the next message, and a request under the new key */
#define HANDSHAKES_SURE  2 /* messages more of an endpoint that is proven */

struct handshake {
	uint64_t endpoint; /* keyed hash; 0: none */
	tstamp until;
	uint8_t blind, sure; /* left */
};

struct handshakes {
	struct handshake all[HANDSHAKES];
};

/* The server answered the first message of that endpoint. */
void handshakes_begin(struct handshakes *h, uint64_t endpoint, tstamp now);
bool handshakes_known(struct handshakes *h, uint64_t endpoint, tstamp now);
/* One more message of it may go up without a budget; counted. Who is proven uses what is for the proven first. */
bool handshakes_continue(struct handshakes *h, uint64_t endpoint, bool proven, tstamp now);
#endif

/*
 * oscore: puts one OSCORE layer on a message, and takes one off (RFC 8613 §8, with the options of
 * draft-ietf-core-oscore-capable-proxies §2.2). Type, Message ID and token of a message stay what they are.
 */
#ifndef OSCORE_H
#define OSCORE_H
#include "base/dgram.h"
#include "coap/msg.h"
#include "oscore/oscore_context.h"

enum oscore_result {
	OSCORE_OK,
	OSCORE_REPLAYED, /* authentic, but its number was seen before */
	OSCORE_UNSYNCED, /* authentic, but the window was lost: answer 4.01 with the context's challenge as Echo (B.1.2) */
	OSCORE_INVALID,   /* not from the holder of this context, or no CoAP message inside */
	OSCORE_EXHAUSTED, /* no sequence number that is safe to use */
	OSCORE_UNKNOWN,   /* an option we do not know: who puts on a layer must know them all (draft §2.2) */
	OSCORE_TOO_LARGE  /* does not fit a datagram any more */
};

/* What the layers of later messages must know of a request. */
struct oscore_request {
	uint64_t notified; /* received: 1 + the Partial IV of the newest response that had one; 0: none */
	uint8_t piv_len, piv[OSCORE_PIV];
	bool fetch;      /* its outer code was FETCH, so that of its responses is 2.05 (RFC 8613 §4.2) */
	bool nonce_free; /* its nonce has not served a response yet: the first one needs no Partial IV of its own */
};

/* Room for one message. */
struct oscore_room {
	uint8_t at[DGRAM_MAX];
};

/* True: the peer is who the message is sent to, so outer options are hidden from everybody else. */
enum oscore_peer { OSCORE_NEXT_HOP, OSCORE_BEYOND };

/*
 * Each writes the whole new message into *room and makes *out a view of it; `in` must lie elsewhere. Nothing of *out may be used
 * unless the result is OK (or UNSYNCED). A number is used up also by what fails later.
 */
enum oscore_result oscore_protect_request(struct oscore_context *c, const struct msg *in, enum oscore_peer peer,
					  struct oscore_room *room, struct msg *out, struct oscore_request *rq);
/*
 * opt: in's OSCORE option, with kid and Partial IV. The tag is checked before the number, so that what is forged takes the same way
 * whatever its number is. What is inside replaces what is left outside, and is never merged
 * with it.
 */
enum oscore_result oscore_unprotect_request(struct oscore_context *c, const struct msg *in,
					    const struct oscore_option *opt, struct oscore_room *room, struct msg *out,
					    struct oscore_request *rq);
/* With the request's nonce if that is free, else with a number of our own (draft §2.5.1). */
enum oscore_result oscore_protect_response(struct oscore_context *c, const struct msg *in, struct oscore_request *rq,
					   struct oscore_room *room, struct msg *out);
/*
 * REPLAYED: a second response without a Partial IV, or a notification not younger than the last. Observe gets the Partial IV's
 * last three bytes as its value (§4.1.3.5.2), so that whoever knows no OSCORE can order by it.
 */
enum oscore_result oscore_unprotect_response(struct oscore_context *c, const struct msg *in,
					     const struct oscore_option *opt, struct oscore_request *rq,
					     struct oscore_room *room, struct msg *out);
#endif

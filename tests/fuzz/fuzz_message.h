/* fuzz_message: messages as clients and devices send them, and as they do not, from the bytes of an input. */
#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H
#include "base/dgram.h"
#include "coap/msg.h"
#include "fuzz_input.h"
#include "oscore/oscore.h"

#define FUZZ_TOKEN 1200

/* What a peer remembers of the guard's last datagrams to it. */
struct fuzz_peer {
	struct path path;
	uint16_t con_mid; /* of the last CON: a ping, a response, a notification */
	uint8_t echo[64];
	size_t echo_len;
	uint16_t next_mid;
	uint8_t last[DGRAM_MAX]; /* what it sent last, to be sent again */
	size_t last_len;
};

/* A request that went to a device. */
struct fuzz_asked {
	struct path to;
	uint16_t mid;
	uint8_t type, token[8];
	bool oscore, observe;
	bool layered; /* under the guard's layer: so its answer is */
	struct oscore_request layer;
};

size_t fuzz_request(struct fuzz_input *in, struct fuzz_peer *from, uint32_t *piv, uint8_t *buf, size_t cap);
/* A device's answer to `a`, or something like it. */
size_t fuzz_response(struct fuzz_input *in, const struct fuzz_asked *a, uint16_t *mid, uint8_t *buf, size_t cap);
size_t fuzz_empty(uint8_t type, uint16_t mid, uint8_t *buf);
/* Flips, cuts or appends. */
size_t fuzz_damage(struct fuzz_input *in, uint8_t *buf, size_t len, size_t cap);
#endif

/* fuzz_message: messages as clients and devices send them, and as they do not, from the bytes of an input. */
#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H
#include "base/dgram.h"
#include "coap/block.h"
#include "coap/msg.h"
#include "fuzz_input.h"
#include "oscore/oscore.h"

#define FUZZ_TOKEN 1200

/* What a peer remembers of the guard's last datagrams to it. */
struct fuzz_peer {
	struct path path;
	bool spoofed;     /* nobody is there who could answer */
	uint16_t con_mid; /* of the last CON: a ping, a response, a notification */
	uint8_t echo[64];
	size_t echo_len;
	uint8_t etag[8];
	size_t etag_len;
	struct block up, down; /* the block that it sends next, the one it has got last */
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
	bool forged;  /* by somebody without the key: a device that looks finds that out */
	bool layered; /* under the guard's layer: so its answer is */
	bool piece;   /* of what is under that layer: the whole is not there yet */
	bool last;    /* piece of several */
	struct block outer;
	struct oscore_request layer;
	/* Inside that layer: */
	uint8_t code, etag[8], etag_len;
	bool has_block1, has_block2;
	struct block block1, block2;
};

/* What a device has. */
struct fuzz_thing {
	uint16_t len;
	uint8_t version;
	uint8_t szx; /* of its blocks, at most */
};

size_t fuzz_request(struct fuzz_input *in, struct fuzz_peer *from, uint32_t *piv, uint8_t *buf, size_t cap);
/* A device's answer to `a`, or something like it. */
size_t fuzz_response(struct fuzz_input *in, const struct fuzz_asked *a, uint16_t *mid, uint8_t *buf, size_t cap);
/* As a device answers that knows blocks and entity-tags (RFC 7959, RFC 7252 §5.10.6). */
size_t fuzz_answer(struct fuzz_input *in, const struct fuzz_asked *a, const struct fuzz_thing *t, uint16_t *mid,
		   uint8_t *buf, size_t cap);
/* Notes what an answer will be made by. */
void fuzz_note_asked(struct fuzz_asked *a, const struct msg *m);
/* Notes what the next request of a client may be made by. */
void fuzz_note_got(struct fuzz_peer *c, const struct msg *m);
size_t fuzz_empty(uint8_t type, uint16_t mid, uint8_t *buf);
/* Flips, cuts or appends. */
size_t fuzz_damage(struct fuzz_input *in, uint8_t *buf, size_t len, size_t cap);
#endif

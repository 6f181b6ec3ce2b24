/* msgbuf: writes one CoAP message into a caller's buffer. The first step that fails makes the end fail. */
#ifndef MSGBUF_H
#define MSGBUF_H
#include "coap/msg.h"

struct msgbuf {
	uint8_t *buf;
	size_t cap, len;
	uint16_t last; /* number of the last option: options come in ascending order */
	bool failed;
};

/* Tokens up to 65804 bytes (RFC 8974 §2.1). */
void msgbuf_begin(struct msgbuf *b, uint8_t *buf, size_t cap, uint8_t type, uint8_t code, uint16_t mid,
		  struct bytes token);
/* Options alone, as in a struct msg whose options they are. */
void msgbuf_bare(struct msgbuf *b, uint8_t *buf, size_t cap);
void msgbuf_option(struct msgbuf *b, uint16_t number, struct bytes value);  /* a smaller number than last fails */
void msgbuf_option_uint(struct msgbuf *b, uint16_t number, uint32_t value); /* shortest form, 0 is empty */
void msgbuf_payload(struct msgbuf *b, struct bytes payload);                /* empty: no marker */
/* The options and the payload of m, as they stand in its datagram; only right after the beginning. */
void msgbuf_rest(struct msgbuf *b, const struct msg *m);
struct bytes msgbuf_end(const struct msgbuf *b); /* length 0 if any step failed */
#endif

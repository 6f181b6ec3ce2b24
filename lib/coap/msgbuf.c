#include "coap/msgbuf.h"
#include <coap3/coap.h>

#define MARKER    0xff
#define MAX_VALUE 65804 /* 269 + 65535: the longest token (RFC 8974 §2.1) and option (RFC 7252 §3.1) */

/* Room for n more bytes, or NULL and the message has failed. */
static uint8_t *extend(struct msgbuf *b, size_t n)
{
	uint8_t *at = b->buf + b->len;

	if (b->failed || n > b->cap - b->len) {
		b->failed = true;
		return NULL;
	}
	b->len += n;
	return at;
}

static void append(struct msgbuf *b, struct bytes value)
{
	uint8_t *at = extend(b, value.len);

	if (at && value.len)
		memcpy(at, value.ptr, value.len);
}

/* The inverse of msg.c's take_token. */
static size_t encode_token_length(size_t len, uint8_t *tkl, uint8_t ext[2])
{
	if (len < 13) {
		*tkl = (uint8_t)len;
		return 0;
	}
	if (len < 269) {
		*tkl = 13;
		ext[0] = (uint8_t)(len - 13);
		return 1;
	}
	*tkl = 14;
	ext[0] = (uint8_t)((len - 269) >> 8);
	ext[1] = (uint8_t)(len - 269);
	return 2;
}

void msgbuf_begin(struct msgbuf *b, uint8_t *buf, size_t cap, uint8_t type, uint8_t code, uint16_t mid,
		  struct bytes token)
{
	uint8_t tkl, ext[2];
	size_t n_ext = encode_token_length(token.len, &tkl, ext);
	uint8_t head[4] = { (uint8_t)(1 << 6 | (type & 3) << 4 | tkl), code, (uint8_t)(mid >> 8), (uint8_t)mid };

	*b = (struct msgbuf){ .buf = buf, .cap = cap, .failed = token.len > MAX_VALUE };
	append(b, bytes_of(head, sizeof head));
	append(b, bytes_of(ext, n_ext));
	append(b, token);
}

void msgbuf_bare(struct msgbuf *b, uint8_t *buf, size_t cap)
{
	*b = (struct msgbuf){ .buf = buf, .cap = cap };
}

void msgbuf_option(struct msgbuf *b, uint16_t number, struct bytes value)
{
	size_t used;

	if (b->failed || number < b->last || value.len > MAX_VALUE) {
		b->failed = true;
		return;
	}
	used = coap_opt_encode(b->buf + b->len, b->cap - b->len, (uint16_t)(number - b->last), value.ptr, value.len);
	if (used == 0)
		b->failed = true;
	b->len += used;
	b->last = number;
}

/* RFC 7252 §3.2: "a sender SHOULD represent the integer with as few bytes as possible, i.e.,
 * without leading zero bytes". */
void msgbuf_option_uint(struct msgbuf *b, uint16_t number, uint32_t value)
{
	uint8_t be[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
	size_t zeros = 0;

	while (zeros < 4 && be[zeros] == 0)
		zeros++;
	msgbuf_option(b, number, bytes_of(be + zeros, 4 - zeros));
}

void msgbuf_payload(struct msgbuf *b, struct bytes payload)
{
	uint8_t *marker;

	if (payload.len > 0) {
		marker = extend(b, 1);
		if (marker)
			*marker = MARKER;
		append(b, payload);
	}
	/* Nothing may follow: what is full takes no more. */
	b->cap = b->len;
}

void msgbuf_rest(struct msgbuf *b, const struct msg *m)
{
	struct bytes rest = m->options;

	/* one after the other, marker included */
	if (m->payload.len)
		rest.len = (size_t)(m->payload.ptr + m->payload.len - rest.ptr);
	append(b, rest);
	b->cap = b->len;
}

struct bytes msgbuf_end(const struct msgbuf *b)
{
	return b->failed ? bytes_of(b->buf, 0) : bytes_of(b->buf, b->len);
}

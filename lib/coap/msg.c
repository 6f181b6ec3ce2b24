#include "coap/msg.h"
#include <coap3/coap.h>

#define HEADER 4
#define MARKER 0xff

static const char *const texts[MSG_ERRORS] = {
	[MSG_OK] = "well formed",
	[MSG_SHORT] = "shorter than its header and token",
	[MSG_VERSION] = "not version 1",
	[MSG_TOKEN] = "reserved token length",
	[MSG_OPTION] = "malformed option",
	[MSG_MARKER] = "payload marker without payload",
	[MSG_STUFFED] = "Empty message that is not empty",
};

const char *msg_error_text(enum msg_error e)
{
	return texts[e];
}

static struct bytes skip(struct bytes b, size_t n)
{
	return bytes_of(b.ptr + n, b.len - n);
}

/*
 * RFC 8974 §2.1: token lengths 0 to 12 stand in the header; 13 and 14 are followed by one or two
 * more bytes; "15: Reserved. This value MUST NOT be sent and MUST be processed as a message format
 * error."
 */
static enum msg_error take_token(struct msg *m, struct bytes *rest, unsigned tkl)
{
	size_t extra = tkl < 13 ? 0 : tkl - 12;
	size_t len = tkl;

	if (tkl == 15)
		return MSG_TOKEN;
	if (rest->len < extra)
		return MSG_SHORT;
	if (tkl == 13)
		len = 13u + rest->ptr[0];
	if (tkl == 14)
		len = 269u + ((unsigned)rest->ptr[0] << 8 | rest->ptr[1]);
	if (rest->len - extra < len)
		return MSG_SHORT;
	m->token = bytes_of(rest->ptr + extra, len);
	*rest = skip(*rest, extra + len);
	return MSG_OK;
}

/*
 * One option off the front of *rest, which is not empty and does not start with the marker: the
 * codec answers 0 for the marker as for garbage. It adds a two-byte delta in 16 bits, so a sum over
 * 65535 comes out below 269, the least that nibble 14 can say. False: garbage.
 */
static inline bool take_option(struct bytes *rest, uint32_t *number, struct bytes *value)
{
	coap_option_t opt;
	size_t used = coap_opt_parse(rest->ptr, rest->len, &opt);

	if (used == 0 || (rest->ptr[0] >> 4 == 14 && opt.delta < 269))
		return false;
	*number += opt.delta;
	*value = bytes_of(opt.value, opt.length);
	*rest = skip(*rest, used);
	return true;
}

static enum msg_error take_options(struct msg *m, struct bytes *rest)
{
	const uint8_t *start = rest->ptr;
	struct bytes value;
	uint32_t number = 0, count = 0;

	for (; rest->len > 0 && *rest->ptr != MARKER; count++)
		if (!take_option(rest, &number, &value) || number > UINT16_MAX)
			return MSG_OPTION;
	/* Only a buffer larger than any UDP datagram holds so many. */
	if (count > UINT16_MAX)
		return MSG_OPTION;
	m->n_options = (uint16_t)count;
	m->options = bytes_of(start, (size_t)(rest->ptr - start));
	return MSG_OK;
}

/* Type, code and Message ID are set even when what follows is wrong: they are what a Reset is made
 * of. */
enum msg_error msg_parse(struct msg *m, struct bytes datagram)
{
	const uint8_t *p = datagram.ptr;
	struct bytes rest;
	enum msg_error e;

	*m = (struct msg){ 0 };
	if (datagram.len < HEADER)
		return MSG_SHORT;
	if (p[0] >> 6 != 1)
		return MSG_VERSION;
	m->type = p[0] >> 4 & 3;
	m->code = p[1];
	m->mid = (uint16_t)(p[2] << 8 | p[3]);
	/* RFC 7252 §4.1: an Empty message has token length 0 and nothing after the Message ID. */
	if (m->code == MSG_EMPTY)
		return datagram.len == HEADER && (p[0] & 15) == 0 ? MSG_OK : MSG_STUFFED;
	rest = skip(datagram, HEADER);
	e = take_token(m, &rest, p[0] & 15);
	if (e == MSG_OK)
		e = take_options(m, &rest);
	if (e != MSG_OK || rest.len == 0)
		return e;
	/* RFC 7252 §3: "a marker followed by a zero-length payload MUST be processed as a message
	 * format error." */
	if (rest.len == 1)
		return MSG_MARKER;
	m->payload = skip(rest, 1);
	return MSG_OK;
}

struct msg_iter msg_options(const struct msg *m)
{
	return (struct msg_iter){ .rest = m->options };
}

/* Delta or length, the nibble extended (RFC 7252 §3.1). */
static uint32_t extended(const uint8_t **p, unsigned nibble)
{
	const uint8_t *at = *p;

	if (nibble < 13)
		return nibble;
	*p += nibble - 12;
	return nibble == 13 ? 13U + at[0] : 269U + (uint32_t)(at[0] << 8 | at[1]);
}

/* What msg_parse has proved is only read again. */
bool msg_next(struct msg_iter *it, struct msg_option *opt)
{
	const uint8_t *p = it->rest.ptr, *end;
	unsigned first;
	uint32_t delta, len;

	if (it->rest.len == 0) /* of an Empty message it points nowhere */
		return false;
	end = p + it->rest.len;
	first = *p++;
	delta = extended(&p, first >> 4);
	len = extended(&p, first & 15);
	it->number = opt->number = (uint16_t)(it->number + delta);
	opt->value = bytes_of(p, len);
	it->rest = bytes_of(p + len, (size_t)(end - p) - len);
	return true;
}

bool msg_find(const struct msg *m, uint16_t number, struct msg_option *opt)
{
	struct msg_iter it = msg_options(m);

	while (msg_next(&it, opt) && opt->number <= number)
		if (opt->number == number)
			return true;
	return false;
}

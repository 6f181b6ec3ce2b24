#include "oscore/oscore_option.h"
#include <assert.h>

enum { FLAG_PIV = 0x07, FLAG_KID = 0x08, FLAG_KID_CONTEXT = 0x10, FLAG_GROUP = 0x20, FLAGS_EXTENDED = 0xc0 };

uint64_t oscore_option_number(struct bytes piv)
{
	uint64_t number = 0;

	assert(piv.len <= OSCORE_PIV);
	for (size_t i = 0; i < piv.len; i++)
		number = number << 8 | piv.ptr[i];
	return number;
}

uint8_t oscore_option_piv(uint64_t number, uint8_t out[OSCORE_PIV])
{
	uint8_t len = 1;

	assert(number <= OSCORE_PIV_MAX);
	while (number >> 8 * len)
		len++;
	for (uint8_t i = 0; i < len; i++)
		out[i] = (uint8_t)(number >> 8 * (len - 1 - i));
	return len;
}

/* Cuts n bytes off the front of rest. */
static bool take(struct bytes *rest, size_t n, struct bytes *out)
{
	if (rest->len < n)
		return false;
	*out = bytes_of(rest->ptr, n);
	*rest = bytes_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool take_kid_context(struct bytes *rest, struct bytes *out)
{
	struct bytes length;

	return take(rest, 1, &length) && take(rest, length.ptr[0], out);
}

/* What the flags announce, and nothing behind it. */
static bool read_fields(struct oscore_option *o, uint8_t flags, struct bytes rest)
{
	size_t n = flags & FLAG_PIV;

	o->group = flags & FLAG_GROUP;
	if (n > OSCORE_PIV || (n && !take(&rest, n, &o->piv)))
		return false;
	if (flags & FLAG_KID_CONTEXT && !take_kid_context(&rest, &o->kid_context))
		return false;
	if (flags & FLAG_KID)
		return take(&rest, rest.len, &o->kid);
	return rest.len == 0;
}

enum oscore_option_error oscore_option_parse(struct oscore_option *o, struct bytes value)
{
	*o = (struct oscore_option){ .group = false };
	if (value.len == 0)
		return OSCORE_OPTION_OK;
	if (value.ptr[0] & FLAGS_EXTENDED)
		return OSCORE_OPTION_EXTENDED;
	/* "If the OSCORE flag bits are all zero (0x00), the option value SHALL be empty" (RFC 8613 §2) */
	if (value.ptr[0] && read_fields(o, value.ptr[0], bytes_of(value.ptr + 1, value.len - 1)))
		return OSCORE_OPTION_OK;
	*o = (struct oscore_option){ .group = false };
	return OSCORE_OPTION_MALFORMED;
}

static uint8_t *put(uint8_t *at, struct bytes b)
{
	if (b.len)
		memcpy(at, b.ptr, b.len);
	return at + b.len;
}

static uint8_t flags_of(const struct oscore_option *o)
{
	size_t flags = o->piv.len;

	flags |= o->kid_context.ptr ? FLAG_KID_CONTEXT : 0;
	flags |= o->kid.ptr ? FLAG_KID : 0;
	flags |= o->group ? FLAG_GROUP : 0;
	return (uint8_t)flags;
}

/* Each length by itself first: their sum must not wrap. */
static bool fits(const struct oscore_option *o)
{
	const size_t context = o->kid_context.ptr ? 1 + o->kid_context.len : 0;

	return o->piv.len <= OSCORE_PIV && o->kid_context.len < OSCORE_OPTION_LEN && o->kid.len < OSCORE_OPTION_LEN &&
	       1 + o->piv.len + context + o->kid.len <= OSCORE_OPTION_LEN;
}

size_t oscore_option_write(const struct oscore_option *o, uint8_t out[OSCORE_OPTION_LEN])
{
	uint8_t *at = out;

	if (!fits(o) || flags_of(o) == 0)
		return 0;
	*at++ = flags_of(o);
	at = put(at, o->piv);
	if (o->kid_context.ptr) {
		*at++ = (uint8_t)o->kid_context.len;
		at = put(at, o->kid_context);
	}
	at = put(at, o->kid);
	return (size_t)(at - out);
}

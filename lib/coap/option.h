/* option: the table of option numbers, and what a number says by itself (RFC 7252 §5.4.6). */
#ifndef OPTION_H
#define OPTION_H
#include "base/bytes.h"
#include "coap/msg.h"

enum {
	OPTION_IF_MATCH = 1,
	OPTION_URI_HOST = 3,
	OPTION_ETAG = 4,
	OPTION_IF_NONE_MATCH = 5,
	OPTION_OBSERVE = 6,
	OPTION_URI_PORT = 7,
	OPTION_LOCATION_PATH = 8,
	OPTION_OSCORE = 9,
	OPTION_URI_PATH = 11,
	OPTION_CONTENT_FORMAT = 12,
	OPTION_URI_PATH_ABBREV = 13,
	OPTION_MAX_AGE = 14,
	OPTION_URI_QUERY = 15,
	OPTION_HOP_LIMIT = 16,
	OPTION_ACCEPT = 17,
	OPTION_Q_BLOCK1 = 19,
	OPTION_LOCATION_QUERY = 20,
	OPTION_EDHOC = 21,
	OPTION_BLOCK2 = 23,
	OPTION_BLOCK1 = 27,
	OPTION_SIZE2 = 28,
	OPTION_Q_BLOCK2 = 31,
	OPTION_PROXY_URI = 35,
	OPTION_PROXY_SCHEME = 39,
	OPTION_SIZE1 = 60,
	OPTION_PROXY_CRI = 235,
	OPTION_PROXY_SCHEME_NUMBER = 239,
	OPTION_ECHO = 252,
	OPTION_NO_RESPONSE = 258,
	OPTION_REQUEST_TAG = 292,
	OPTION_REQUEST_HASH = 548
};

enum option_format { OPTION_EMPTY, OPTION_OPAQUE, OPTION_UINT, OPTION_STRING };

struct option_info {
	uint16_t number, min, max; /* length bounds in bytes */
	uint8_t format;            /* enum option_format */
	bool repeatable;
	bool handled; /* an unsafe option this proxy understands and may carry on (RFC 7252 §5.7.1) */
	const char *name;
};

/* NULL for a number the table does not list. */
const struct option_info *option_find(uint16_t number);

/* Each option of m is in the table. */
bool option_knows_all(const struct msg *m);

static inline bool option_is_critical(uint16_t number)
{
	return number & 1;
}
static inline bool option_is_unsafe(uint16_t number)
{
	return number & 2;
}
static inline bool option_is_no_cache_key(uint16_t number)
{
	return (number & 0x1e) == 0x1c;
}

/* Big-endian, up to 4 bytes, leading zeros allowed; false: longer. */
bool option_uint(struct bytes value, uint32_t *out);
#endif

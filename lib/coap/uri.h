/*
 * uri: an absolute coap URI as it comes in Proxy-Uri (RFC 7252 §6, RFC 3986), split strictly and small.
 * No user information, no fragment, no control bytes, no port 0, at most URI_MAX bytes; nothing is looked up.
 */
#ifndef URI_H
#define URI_H
#include "base/bytes.h"

#define URI_MAX 1034 /* RFC 7252 §5.10.2 */

enum uri_error {
	URI_OK,
	URI_LONG,
	URI_SCHEME,    /* not an absolute URI */
	URI_AUTHORITY, /* user information, empty or malformed host or port */
	URI_BYTE,      /* a byte or percent-encoding that may not stand there */
	URI_FRAGMENT
};

struct uri {
	struct bytes scheme; /* as written */
	struct bytes host;   /* without brackets, still percent-encoded */
	bool bracketed;      /* an IPv6 literal in [] */
	uint16_t port;       /* 0: none was given */
	struct bytes path;   /* from the first '/', or empty */
	struct bytes query;  /* without '?', or empty */
	bool has_query;
};

enum uri_error uri_parse(struct uri *u, struct bytes text);

/*
 * Cuts the next segment off *rest at `separator` ('/' for a path whose leading '/' was dropped, '&' for a query),
 * percent-decodes it into buf and sets *out. False: no segment is left, or it is longer than cap (then
 * rest->ptr is unchanged and rest->len not 0). *more starts true and turns false after the last segment, so that
 * "a/" yields "a" and "".
 */
bool uri_segment(struct bytes *rest, char separator, bool *more, uint8_t *buf, size_t cap, struct bytes *out);
#endif

#include "coap/option.h"

#define REPEAT true
#define ONCE   false
#define YES    true /* handled */
#define NO     false

/* A place of the number's own: every option of every message is looked up here. */
#define ROW(number, ...) [number] = { number, __VA_ARGS__ }

/*
 * RFC 7252 §5.10; Observe 7641, blocks 7959 and 9177, OSCORE 8613, Hop-Limit 8768, Echo
 * and Request-Tag 9175, No-Response 7967, EDHOC 9668. Uri-Path-Abbrev, Proxy-Cri,
 * Proxy-Scheme-Number and Request-Hash are suggested numbers of drafts. What has no name is not listed.
 */
static const struct option_info low[] = {
	ROW(OPTION_IF_MATCH, 0, 8, OPTION_OPAQUE, REPEAT, NO, "If-Match"),
	ROW(OPTION_URI_HOST, 1, 255, OPTION_STRING, ONCE, YES, "Uri-Host"),
	ROW(OPTION_ETAG, 1, 8, OPTION_OPAQUE, REPEAT, NO, "ETag"),
	ROW(OPTION_IF_NONE_MATCH, 0, 0, OPTION_EMPTY, ONCE, NO, "If-None-Match"),
	ROW(OPTION_OBSERVE, 0, 3, OPTION_UINT, ONCE, YES, "Observe"),
	ROW(OPTION_URI_PORT, 0, 2, OPTION_UINT, ONCE, YES, "Uri-Port"),
	ROW(OPTION_LOCATION_PATH, 0, 255, OPTION_STRING, REPEAT, NO, "Location-Path"),
	ROW(OPTION_OSCORE, 0, 255, OPTION_OPAQUE, ONCE, NO, "OSCORE"),
	ROW(OPTION_URI_PATH, 0, 255, OPTION_STRING, REPEAT, YES, "Uri-Path"),
	ROW(OPTION_CONTENT_FORMAT, 0, 2, OPTION_UINT, ONCE, NO, "Content-Format"),
	ROW(OPTION_URI_PATH_ABBREV, 0, 4, OPTION_UINT, ONCE, NO, "Uri-Path-Abbrev"),
	ROW(OPTION_MAX_AGE, 0, 4, OPTION_UINT, ONCE, YES, "Max-Age"),
	ROW(OPTION_URI_QUERY, 0, 255, OPTION_STRING, REPEAT, YES, "Uri-Query"),
	ROW(OPTION_HOP_LIMIT, 1, 1, OPTION_UINT, ONCE, NO, "Hop-Limit"),
	ROW(OPTION_ACCEPT, 0, 2, OPTION_UINT, ONCE, NO, "Accept"),
	ROW(OPTION_Q_BLOCK1, 0, 3, OPTION_UINT, ONCE, NO, "Q-Block1"),
	ROW(OPTION_LOCATION_QUERY, 0, 255, OPTION_STRING, REPEAT, NO, "Location-Query"),
	ROW(OPTION_EDHOC, 0, 0, OPTION_EMPTY, ONCE, NO, "EDHOC"),
	ROW(OPTION_BLOCK2, 0, 3, OPTION_UINT, ONCE, YES, "Block2"),
	ROW(OPTION_BLOCK1, 0, 3, OPTION_UINT, ONCE, YES, "Block1"),
	ROW(OPTION_SIZE2, 0, 4, OPTION_UINT, ONCE, NO, "Size2"),
	ROW(OPTION_Q_BLOCK2, 0, 3, OPTION_UINT, REPEAT, NO, "Q-Block2"),
	ROW(OPTION_PROXY_URI, 1, 1034, OPTION_STRING, ONCE, YES, "Proxy-Uri"),
	ROW(OPTION_PROXY_SCHEME, 1, 255, OPTION_STRING, ONCE, YES, "Proxy-Scheme"),
	ROW(OPTION_SIZE1, 0, 4, OPTION_UINT, ONCE, NO, "Size1"),
};

/* Few and far between. */
static const struct option_info high[] = {
	{ OPTION_PROXY_CRI, 1, 1023, OPTION_OPAQUE, ONCE, NO, "Proxy-Cri" },
	{ OPTION_PROXY_SCHEME_NUMBER, 0, 3, OPTION_UINT, ONCE, NO, "Proxy-Scheme-Number" },
	{ OPTION_ECHO, 1, 40, OPTION_OPAQUE, ONCE, NO, "Echo" },
	{ OPTION_NO_RESPONSE, 0, 1, OPTION_UINT, ONCE, YES, "No-Response" },
	{ OPTION_REQUEST_TAG, 0, 8, OPTION_OPAQUE, REPEAT, NO, "Request-Tag" },
	{ OPTION_REQUEST_HASH, 0, UINT16_MAX, OPTION_OPAQUE, ONCE, NO, "Request-Hash" },
};

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

const struct option_info *option_find(uint16_t number)
{
	if (number < COUNT(low))
		return low[number].name ? &low[number] : NULL;
	for (size_t i = 0; i < COUNT(high); i++)
		if (high[i].number == number)
			return &high[i];
	return NULL;
}

bool option_knows_all(const struct msg *m)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	while (msg_next(&it, &opt))
		if (!option_find(opt.number))
			return false;
	return true;
}

bool option_uint(struct bytes value, uint32_t *out)
{
	uint32_t sum = 0;

	if (value.len > 4)
		return false;
	for (size_t i = 0; i < value.len; i++)
		sum = sum << 8 | value.ptr[i];
	*out = sum;
	return true;
}

#include "coap/uri.h"
#include <arpa/inet.h>

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static int hex_value(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static bool is_in(uint8_t c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

/* RFC 3986 §2: unreserved, sub-delims and gen-delims; '%' is looked at apart. */
static bool is_uri_byte(uint8_t c)
{
	return is_alpha(c) || is_digit(c) || is_in(c, "-._~!$&'()*+,;=:/?[]@");
}

/* The byte that "%XX" at p stands for, or -1. */
static int decode(const uint8_t *p, size_t len)
{
	int high, low;

	if (len < 3 || p[0] != '%')
		return -1;
	high = hex_value(p[1]);
	low = hex_value(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* One look at every byte, so that the splitting below meets none it would have to doubt. */
static enum uri_error check_bytes(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		int byte;

		if (c == '#')
			return URI_FRAGMENT;
		if (c != '%') {
			if (!is_uri_byte(c))
				return URI_BYTE;
			continue;
		}
		byte = decode(text.ptr + i, text.len - i);
		if (byte < 0x20 || byte == 0x7f)
			return URI_BYTE;
		i += 2;
	}
	return URI_OK;
}

static void advance(struct bytes *b, size_t n)
{
	b->ptr += n;
	b->len -= n;
}

/* The bytes before the first one of `set`, taken off *rest. */
static struct bytes take_until(struct bytes *rest, const char *set)
{
	struct bytes head = { rest->ptr, 0 };

	while (head.len < rest->len && !is_in(rest->ptr[head.len], set))
		head.len++;
	advance(rest, head.len);
	return head;
}

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ), and then "://" */
static enum uri_error take_scheme(struct uri *u, struct bytes *rest)
{
	u->scheme = take_until(rest, ":/?");
	if (u->scheme.len == 0 || !is_alpha(u->scheme.ptr[0]))
		return URI_SCHEME;
	for (size_t i = 1; i < u->scheme.len; i++)
		if (!is_alpha(u->scheme.ptr[i]) && !is_digit(u->scheme.ptr[i]) && !is_in(u->scheme.ptr[i], "+-."))
			return URI_SCHEME;
	if (rest->len < 3 || memcmp(rest->ptr, "://", 3) != 0)
		return URI_SCHEME;
	advance(rest, 3);
	return URI_OK;
}

static enum uri_error parse_port(struct uri *u, struct bytes digits)
{
	uint32_t port = 0;

	if (digits.len == 0 || digits.len > 5)
		return URI_AUTHORITY;
	for (size_t i = 0; i < digits.len; i++) {
		if (!is_digit(digits.ptr[i]))
			return URI_AUTHORITY;
		port = port * 10 + (uint32_t)(digits.ptr[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return URI_AUTHORITY;
	u->port = (uint16_t)port;
	return URI_OK;
}

/* "[" IPv6 "]". No zone: a stranger has no business naming our interfaces; no IPvFuture: there is
 * none. */
static enum uri_error take_literal(struct uri *u, struct bytes *authority)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	advance(authority, 1);
	u->bracketed = true;
	u->host = take_until(authority, "]");
	if (authority->len == 0 || u->host.len >= sizeof text)
		return URI_AUTHORITY;
	memcpy(text, u->host.ptr, u->host.len);
	text[u->host.len] = '\0';
	advance(authority, 1);
	return inet_pton(AF_INET6, text, &ignored) == 1 ? URI_OK : URI_AUTHORITY;
}

static enum uri_error parse_authority(struct uri *u, struct bytes authority)
{
	enum uri_error e = URI_OK;

	if (authority.len > 0 && authority.ptr[0] == '[')
		e = take_literal(u, &authority);
	else
		u->host = take_until(&authority, ":@[]");
	if (e != URI_OK || u->host.len == 0)
		return URI_AUTHORITY;
	if (authority.len == 0)
		return URI_OK;
	if (authority.ptr[0] != ':')
		return URI_AUTHORITY;
	advance(&authority, 1);
	return parse_port(u, authority);
}

static bool is_dots(struct bytes raw)
{
	size_t dots = 0, i = 0;

	for (; i < raw.len; dots++) {
		if (raw.ptr[i] == '.')
			i++;
		else if (decode(raw.ptr + i, raw.len - i) == '.')
			i += 3;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

/*
 * RFC 7252 §5.10.1: "The value of a Uri-Path Option MUST NOT be "." or ".."". Whoever sends a URI
 * has resolved it (§6.4 step 2); resolving it here would only invite two readings of one path.
 * Brackets belong to hosts.
 */
static bool is_plain_path(struct bytes path)
{
	while (path.len > 0) {
		advance(&path, 1);
		if (is_dots(take_until(&path, "/")))
			return false;
	}
	return true;
}

static bool has_bracket(struct bytes part)
{
	return memchr(part.ptr, '[', part.len) || memchr(part.ptr, ']', part.len);
}

enum uri_error uri_parse(struct uri *u, struct bytes text)
{
	enum uri_error e;

	*u = (struct uri){ 0 };
	if (text.len > URI_MAX)
		return URI_LONG;
	if (text.len == 0)
		return URI_SCHEME;
	e = check_bytes(text);
	if (e == URI_OK)
		e = take_scheme(u, &text);
	if (e == URI_OK)
		e = parse_authority(u, take_until(&text, "/?"));
	if (e != URI_OK)
		return e;
	if (has_bracket(text))
		return URI_BYTE;
	u->path = take_until(&text, "?");
	if (!is_plain_path(u->path))
		return URI_BYTE;
	if (text.len > 0) {
		u->has_query = true;
		advance(&text, 1);
	}
	u->query = text;
	return URI_OK;
}

/* Returns how many bytes `raw` decodes to; writes no more than cap of them. A '%' that encodes
 * nothing is itself. */
static size_t decode_all(struct bytes raw, uint8_t *buf, size_t cap)
{
	size_t n = 0;

	for (; raw.len > 0; n++) {
		int byte = decode(raw.ptr, raw.len);

		if (n < cap)
			buf[n] = byte < 0 ? *raw.ptr : (uint8_t)byte;
		advance(&raw, byte < 0 ? 1 : 3);
	}
	return n;
}

bool uri_segment(struct bytes *rest, char separator, bool *more, uint8_t *buf, size_t cap, struct bytes *out)
{
	const char set[2] = { separator, '\0' };
	struct bytes left = *rest, raw;
	size_t n;

	if (!*more)
		return false;
	raw = take_until(&left, set);
	n = decode_all(raw, buf, cap);
	if (n > cap)
		return false;
	*more = left.len > 0;
	if (*more)
		advance(&left, 1);
	*rest = left;
	*out = bytes_of(buf, n);
	return true;
}

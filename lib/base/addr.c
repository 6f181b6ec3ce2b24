#include "base/addr.h"
#include <arpa/inet.h>
#include <stdio.h>

static const char *const carriers[] = {
	[ADDR_UDP] = "", [ADDR_DTLS] = "/dtls", [ADDR_TCP] = "/tcp", [ADDR_TLS] = "/tls"
};

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool addr_is_v4(const struct addr *a)
{
	return memcmp(a->ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	if (addr_is_v4(a))
		return memcmp(a->ip + 12, zero, 4) == 0;
	return memcmp(a->ip, zero, 16) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (addr_is_v4(a))
		return a->ip[12] == 127;
	return memcmp(a->ip, one, 16) == 0;
}

bool addr_is_link_local(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->ip[12] == 169 && a->ip[13] == 254;
	return a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool addr_is_multicast(const struct addr *a)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	if (addr_is_v4(a))
		return (a->ip[12] & 0xf0) == 0xe0 || memcmp(a->ip + 12, broadcast, 4) == 0;
	return a->ip[0] == 0xff;
}

void addr_mask(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;

		if (keep < 8)
			ip[i] = (uint8_t)(ip[i] & 0xff00U >> keep);
	}
}

/* Decimal digits only, at most `max`; no sign, no space, as strtoul would let pass. */
static bool parse_number(const char *text, size_t len, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*out = (uint32_t)value;
	return value <= max;
}

static bool parse_port(struct addr *a, const char *text)
{
	uint32_t port;

	if (!parse_number(text, strlen(text), UINT16_MAX, &port))
		return false;
	a->port = (uint16_t)port;
	return true;
}

/* Copies a run of text that inet_pton needs as a string. */
static bool cut(char *out, size_t cap, const char *text, size_t len)
{
	if (len >= cap)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static bool parse_v4(struct addr *a, const char *text, size_t len)
{
	char host[INET_ADDRSTRLEN];

	memcpy(a->ip, v4_prefix, sizeof v4_prefix);
	return cut(host, sizeof host, text, len) && inet_pton(AF_INET, host, a->ip + 12) == 1;
}

/* A zone says on which link an address is meant; only fe80::/10 leaves that open (RFC 4007 §6). */
static bool parse_v6(struct addr *a, const char *text, size_t len)
{
	char host[INET6_ADDRSTRLEN];
	const char *zone = memchr(text, '%', len);
	size_t host_len = zone ? (size_t)(zone - text) : len;

	if (!cut(host, sizeof host, text, host_len) || inet_pton(AF_INET6, host, a->ip) != 1)
		return false;
	if (!zone)
		return true;
	return parse_number(zone + 1, len - host_len - 1, UINT32_MAX, &a->scope) && a->scope && addr_is_link_local(a) &&
	       !addr_is_v4(a);
}

static bool parse(struct addr *a, const char *text)
{
	const char *colon = strchr(text, ':');
	const char *close;

	if (*text == '[') {
		close = strchr(text, ']');
		if (!close || !parse_v6(a, text + 1, (size_t)(close - text) - 1))
			return false;
		return close[1] == '\0' || (close[1] == ':' && parse_port(a, close + 2));
	}
	if (!colon)
		return parse_v4(a, text, strlen(text));
	if (strchr(colon + 1, ':'))
		return parse_v6(a, text, strlen(text));
	return parse_v4(a, text, (size_t)(colon - text)) && parse_port(a, colon + 1);
}

/* The carrier behind an address; the length of what stands before it. */
static size_t parse_carrier(struct addr *a, const char *text)
{
	size_t len = strcspn(text, "/");

	for (uint8_t i = ADDR_DTLS; i <= ADDR_TLS; i++) {
		if (strcmp(text + len, carriers[i]) == 0) {
			a->carrier = i;
			return len;
		}
	}
	return strlen(text);
}

bool addr_parse(struct addr *a, const char *text, uint16_t default_port)
{
	char before[ADDR_TEXT];

	*a = (struct addr){ .port = default_port };
	if (cut(before, sizeof before, text, parse_carrier(a, text)) && parse(a, before))
		return true;
	*a = (struct addr){ 0 };
	return false;
}

const char *addr_format_host(const struct addr *a, char out[ADDR_TEXT])
{
	bool v4 = addr_is_v4(a);
	size_t len;

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->ip + 12 : a->ip, out, ADDR_TEXT);
	len = strlen(out);
	if (a->scope && !v4)
		snprintf(out + len, ADDR_TEXT - len, "%%%u", a->scope);
	return out;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	char host[ADDR_TEXT];

	addr_format_host(a, host);
	/* 57: the longest host with zone; said here so that the compiler sees that nothing is cut.
	 */
	snprintf(out, ADDR_TEXT, addr_is_v4(a) ? "%.57s:%u%s" : "[%.57s]:%u%s", host, a->port,
		 carriers[a->carrier & 3]);
	return out;
}

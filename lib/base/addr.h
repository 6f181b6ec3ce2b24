/* addr: one endpoint. IPv4 is ::ffff:a.b.c.d: from here on there is one address family. */
#ifndef ADDR_H
#define ADDR_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What carries messages to and from an endpoint. */
enum addr_carrier { ADDR_UDP, ADDR_DTLS, ADDR_TCP, ADDR_TLS };

struct addr {
	uint8_t ip[16];
	uint32_t scope; /* interface index of a link-local address, else 0 */
	uint16_t port;
	uint8_t carrier; /* an enum addr_carrier: whoever spoofs a datagram from a TCP client's address is somebody else */
};

#define ADDR_TEXT 72 /* room for the longest text form with zone, port, carrier and NUL */

static inline bool addr_same_host(const struct addr *a, const struct addr *b)
{
	return memcmp(a->ip, b->ip, 16) == 0 && a->scope == b->scope;
}

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && a->carrier == b->carrier && addr_same_host(a, b);
}

/* It completed a handshake with us, so it is where it says it is. */
static inline bool addr_is_connected(const struct addr *a)
{
	return a->carrier != ADDR_UDP;
}

bool addr_is_v4(const struct addr *a); /* v4-mapped */

/* Each holds for the IPv6 form and for the v4-mapped form of it. */
bool addr_is_unspecified(const struct addr *a);
bool addr_is_loopback(const struct addr *a);   /* ::1, 127/8 */
bool addr_is_link_local(const struct addr *a); /* fe80::/10, 169.254/16 */
bool addr_is_multicast(const struct addr *a);  /* ff00::/8, 224/4, 255.255.255.255 */

/* Keeps the first `bits` of ip, clears the rest. bits counts in the 128-bit form (IPv4 /24 is 120). */
void addr_mask(uint8_t ip[16], unsigned bits);

/*
 * Reads "192.0.2.1", "192.0.2.1:5683", "::1", "[::1]", "[::1]:5683", "[fe80::1%3]:5683" (numeric zone), and each of them with
 * "/dtls", "/tcp" or "/tls" behind.
 * A missing port becomes default_port. False: the text is none of these; *a is then unspecified.
 * No name look-up, ever.
 */
bool addr_parse(struct addr *a, const char *text, uint16_t default_port);

/* Writes "192.0.2.1:5683", "[2001:db8::1]:5683" or "192.0.2.1:5684/dtls" into out and returns out. */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT]);
/* The same without port, brackets and carrier. */
const char *addr_format_host(const struct addr *a, char out[ADDR_TEXT]);
#endif

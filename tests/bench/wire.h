/* wire: the requests of the bench as bytes. */
#ifndef WIRE_H
#define WIRE_H
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind {
	WIRE_OSCORE, /* looks like OSCORE end to end: POST, Uri-Host, kid and Partial IV, 24 bytes
			of ciphertext */
	WIRE_GET,    /* plain GET, Uri-Host, Uri-Path */
	WIRE_PROXY,  /* the same with Proxy-Scheme, for forward proxies */
	WIRE_BAD,    /* malformed, a different way each time */
	WIRE_KINDS
};

struct wire {
	enum wire_kind kind;
	const char *host; /* at most 12 bytes */
	uint32_t kid;     /* 24 bits */
	uint32_t piv;     /* 24 bits */
	uint64_t token;
	uint16_t mid;
};

enum wire_kind wire_kind(const char *word);            /* "oscore", "get", "proxy", "bad"; WIRE_KINDS: none of them */
size_t wire_write(uint8_t *out, const struct wire *w); /* at most 96 bytes */
/* The i-th of 2^23 source addresses 127.1.0.0 to 127.128.255.255; neighbours in i lie in different
 * /24 and /16. */
struct in_addr wire_source(uint32_t i);
#endif

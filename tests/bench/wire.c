#include "wire.h"
#include <arpa/inet.h>
#include <string.h>

#define SOURCE_BITS 23

enum wire_kind wire_kind(const char *word)
{
	static const char *const words[] = { "oscore", "get", "proxy", "bad" };
	unsigned k = 0;

	while (k < WIRE_KINDS && strcmp(word, words[k]))
		k++;
	return (enum wire_kind)k;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static uint8_t *put_option(uint8_t *p, unsigned delta, const void *value, size_t n)
{
	*p++ = (uint8_t)((delta < 13 ? delta : 13) << 4 | n);
	if (delta >= 13)
		*p++ = (uint8_t)(delta - 13);
	return put(p, value, n);
}

/* RFC 8613 §6.1: flags, Partial IV without leading zeros (here up to 3 bytes), kid. */
static uint8_t *put_oscore(uint8_t *p, unsigned delta, const struct wire *w)
{
	uint8_t value[7], *v = value + 1;
	unsigned n = w->piv > 0xffff ? 3 : w->piv > 0xff ? 2 : 1;

	value[0] = (uint8_t)(0x08 | n);
	for (unsigned i = n; i-- > 0;)
		*v++ = (uint8_t)(w->piv >> 8 * i);
	for (unsigned i = 3; i-- > 0;)
		*v++ = (uint8_t)(w->kid >> 8 * i);
	return put_option(p, delta, value, (size_t)(v - value));
}

static uint8_t *put_header(uint8_t *p, unsigned code, const struct wire *w)
{
	uint16_t mid = htons(w->mid);

	*p++ = 0x48; /* version 1, CON, TKL 8 */
	*p++ = (uint8_t)code;
	p = put(p, &mid, 2);
	p = put(p, &w->token, 8);
	return put_option(p, 3, w->host, strlen(w->host));
}

static size_t write_oscore(uint8_t *out, const struct wire *w)
{
	uint8_t *p = put_oscore(put_header(out, 2, w), 9 - 3, w);

	*p++ = 0xff;
	memset(p, (int)(w->token & 0xff), 24);
	return (size_t)(p + 24 - out);
}

static size_t write_get(uint8_t *out, const struct wire *w)
{
	uint8_t *p = put_option(put_header(out, 1, w), 11 - 3, "time", 4);

	if (w->kind == WIRE_PROXY)
		p = put_option(p, 39 - 11, "coap", 4);
	return (size_t)(p - out);
}

/* A sound request broken in one of eight ways. */
static size_t write_bad(uint8_t *out, const struct wire *w)
{
	struct wire sound = *w;
	size_t n;

	sound.kind = w->mid & 8 ? WIRE_OSCORE : WIRE_GET;
	n = wire_write(out, &sound);
	switch (w->mid & 7) {
	case 0: out[0] = 0x88; break;                        /* version 2 */
	case 1: out[0] = 0x49; break;                        /* TKL 9 */
	case 2: out[0] = 0x4f; break;                        /* TKL 15 */
	case 3: n = 7; break;                                /* ends in the token */
	case 4: out[12] = 0xf1; break;                       /* option delta 15 */
	case 5: out[12] = 0x1f; break;                       /* option length 15 */
	case 6: n = 14; break;                               /* ends in an option */
	default: memcpy(out + 12, "\xe0\xff\xff", 3); break; /* option number past 65535 */
	}
	return n;
}

size_t wire_write(uint8_t *out, const struct wire *w)
{
	switch (w->kind) {
	case WIRE_OSCORE: return write_oscore(out, w);
	case WIRE_BAD: return write_bad(out, w);
	default: return write_get(out, w);
	}
}

struct in_addr wire_source(uint32_t i)
{
	uint32_t j = i * 0x9e3779b1u & ((1u << SOURCE_BITS) - 1); /* odd, hence a permutation */

	/* The low bits of the product are as regular as i: let them choose the /16. */
	j = (j & 0x7f) << 16 | j >> 7;
	return (struct in_addr){ htonl(0x7f010000u + j) };
}

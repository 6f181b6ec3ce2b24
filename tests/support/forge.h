/* forge: the messages of an attacker: garbage, valid GETs, OSCORE-looking requests; drawn from a
 * seeded generator. */
#ifndef FORGE_H
#define FORGE_H
#include "marker.h"
#include <string.h>

#define FORGE_MESSAGE 160 /* bytes of the longest */
#define FORGE_SEGMENT 24
#define FORGE_PATH    96 /* characters of a path with its query */

struct forge {
	uint64_t rng;
	const char *path;  /* of a GET: "a/b?c=d" */
	const char *outer; /* path of an OSCORE request, or NULL */
	const char *kinds; /* of g, v, o */
	bool sweep;        /* every kid in turn, not at random */
	uint8_t next_kid;
};

static inline uint64_t forge_draw(struct forge *f) /* splitmix64 */
{
	uint64_t z = f->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline void forge_bytes(struct forge *f, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)forge_draw(f);
}

static inline uint8_t *forge_option(uint8_t *p, unsigned *last, unsigned number, const uint8_t *value, size_t len)
{
	unsigned delta = number - *last;

	*last = number;
	*p++ = (uint8_t)((delta < 13 ? delta : 13) << 4 | (len < 13 ? len : 13));
	if (delta >= 13)
		*p++ = (uint8_t)(delta - 13);
	if (len >= 13)
		*p++ = (uint8_t)(len - 13);
	memcpy(p, value, len);
	return p + len;
}

/* "a/b?c=d": two Uri-Path options (11) and a Uri-Query (15) */
static inline uint8_t *forge_path(uint8_t *p, unsigned *last, const char *path)
{
	unsigned number = 11;

	while (*path) {
		size_t n = strcspn(path, number == 11 ? "/?" : "&");

		p = forge_option(p, last, number, (const uint8_t *)path, n);
		path += n;
		if (*path == '?')
			number = 15;
		path += *path != '\0';
	}
	return p;
}

static inline uint8_t *forge_header(struct forge *f, uint8_t *p, uint8_t code)
{
	*p++ = 0x44; /* CON, token of 4 */
	*p++ = code;
	forge_bytes(f, p, 6);
	return p + 6;
}

static inline size_t forge_garbage(struct forge *f, uint8_t *out)
{
	size_t n = 1 + forge_draw(f) % 64;

	forge_bytes(f, out, n);
	return n;
}

static inline size_t forge_get(struct forge *f, uint8_t *out)
{
	unsigned last = 0;
	uint8_t *p = forge_header(f, out, 1);

	return (size_t)(forge_path(p, &last, f->path) - out);
}

static inline size_t forge_oscore(struct forge *f, uint8_t *out)
{
	uint8_t value[8], piv = (uint8_t)(1 + forge_draw(f) % 3), *p = forge_header(f, out, 2);
	unsigned last = 0;

	value[0] = 0x08 | piv; /* RFC 8613 section 6.1: kid flag, length of the Partial IV */
	forge_bytes(f, value + 1, piv);
	value[1 + piv] = (uint8_t)(f->sweep ? f->next_kid++ : forge_draw(f));
	p = forge_option(p, &last, 9, value, 2u + piv);
	if (f->outer)
		p = forge_path(p, &last, f->outer);
	*p++ = 0xff;
	forge_bytes(f, p, MARKER_PAYLOAD);
	marker_set(p);
	return (size_t)(p + MARKER_PAYLOAD - out);
}

static inline size_t forge_message(struct forge *f, uint8_t *out)
{
	switch (f->kinds[forge_draw(f) % strlen(f->kinds)]) {
	case 'g': return forge_garbage(f, out);
	case 'v': return forge_get(f, out);
	default: return forge_oscore(f, out);
	}
}

/* Every path and segment fits into a message. */
static inline bool forge_fits(const struct forge *f)
{
	const char *paths[] = { f->path, f->outer ? f->outer : "" };

	for (unsigned i = 0; i < 2; i++) {
		if (strlen(paths[i]) > FORGE_PATH)
			return false;
		for (const char *p = paths[i]; *p; p += p[strcspn(p, "/?&")] ? strcspn(p, "/?&") + 1 : strlen(p))
			if (strcspn(p, "/?&") > FORGE_SEGMENT)
				return false;
	}
	return *f->kinds != '\0';
}
#endif

/* bytes: a borrowed run of octets. It never owns; it dies with the buffer it points into. */
#ifndef BYTES_H
#define BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *ptr;
	size_t len;
};

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
	return (struct bytes){ ptr, len };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* At most `most` of them, after the first n, which are there. Nothing of nothing is nothing, though it is nowhere. */
static inline struct bytes bytes_part(struct bytes b, size_t n, size_t most)
{
	size_t left = b.len - n;

	return bytes_of(n ? b.ptr + n : b.ptr, left < most ? left : most);
}

/* Compares with a C string. */
static inline bool bytes_are(struct bytes a, const char *text)
{
	return bytes_equal(a, bytes_of(text, strlen(text)));
}
#endif

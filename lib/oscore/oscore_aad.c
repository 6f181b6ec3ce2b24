#include "oscore/oscore_aad.h"
#include <assert.h>
#include <cbor.h>

#define ARRAY_MAX 24 /* aad_array is shorter: 6 heads, a number, 7 bytes of kid, 5 of Partial IV */

/* What is written so far; the callers' bounds make it fit. */
struct writer {
	uint8_t *at;
	size_t len, cap;
};

/* Takes what an encoder returns: the bytes written, 0 when there was no room. */
static void wrote(struct writer *w, size_t n)
{
	assert(n > 0);
	w->len += n;
}

static uint8_t *end_of(const struct writer *w)
{
	return w->at + w->len;
}

static void put_array(struct writer *w, size_t n)
{
	wrote(w, cbor_encode_array_start(n, end_of(w), w->cap - w->len));
}

static void put_uint(struct writer *w, uint64_t value)
{
	wrote(w, cbor_encode_uint(value, end_of(w), w->cap - w->len));
}

static void put_raw(struct writer *w, struct bytes b)
{
	assert(b.len <= w->cap - w->len);
	if (b.len)
		memcpy(end_of(w), b.ptr, b.len);
	w->len += b.len;
}

static void put_bytes(struct writer *w, struct bytes b)
{
	wrote(w, cbor_encode_bytestring_start(b.len, end_of(w), w->cap - w->len));
	put_raw(w, b);
}

static void put_text(struct writer *w, const char *text)
{
	wrote(w, cbor_encode_string_start(strlen(text), end_of(w), w->cap - w->len));
	put_raw(w, bytes_of(text, strlen(text)));
}

#define OUTER     11            /* bytes in front of the head of the byte string that holds aad_array */
#define EMPTY     0x40          /* h'' */
#define LENGTH(n) (EMPTY | (n)) /* head of a byte string shorter than 24 bytes, as all of these are */

void oscore_aad_init(struct oscore_aad *a, uint8_t cose, struct bytes request_kid)
{
	struct writer w = { .at = a->at, .cap = sizeof a->at };

	put_array(&w, 3);
	put_text(&w, "Encrypt0");
	put_bytes(&w, bytes_of(NULL, 0)); /* protected header */
	assert(w.len == OUTER);
	put_raw(&w, bytes_of("", 1)); /* its length is not known yet */
	put_array(&w, 5);
	put_uint(&w, 1); /* oscore_version */
	put_array(&w, 1);
	put_uint(&w, cose);
	put_bytes(&w, request_kid);
	a->len = (uint8_t)w.len;
}

size_t oscore_aad_finish(const struct oscore_aad *a, struct bytes request_piv, uint8_t out[OSCORE_AAD_MAX])
{
	size_t len = a->len + 1U + request_piv.len + 1U;

	assert(len - OUTER - 1 < ARRAY_MAX);
	memcpy(out, a->at, sizeof a->at);
	out[OUTER] = (uint8_t)LENGTH(len - OUTER - 1);
	out[a->len] = (uint8_t)LENGTH(request_piv.len);
	memcpy(out + a->len + 1, request_piv.ptr, request_piv.len);
	out[len - 1] = EMPTY; /* class I options */
	return len;
}

size_t oscore_aad_write(uint8_t cose, struct bytes request_kid, struct bytes request_piv, uint8_t out[OSCORE_AAD_MAX])
{
	struct oscore_aad a;

	oscore_aad_init(&a, cose, request_kid);
	return oscore_aad_finish(&a, request_piv, out);
}

size_t oscore_aad_info(struct bytes id, struct bytes id_context, uint8_t cose, const char *type, uint8_t len,
		       uint8_t out[OSCORE_INFO_MAX])
{
	struct writer info = { .at = out, .cap = OSCORE_INFO_MAX };

	put_array(&info, 5);
	put_bytes(&info, id);
	if (id_context.ptr)
		put_bytes(&info, id_context);
	else
		wrote(&info, cbor_encode_null(end_of(&info), info.cap - info.len));
	put_uint(&info, cose);
	put_text(&info, type);
	put_uint(&info, len);
	return info.len;
}

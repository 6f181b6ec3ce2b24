/*
 * fuzz_http: the input is what a visitor of the page for Prometheus sends, of which any first part may come alone. What has been
 * judged stays so, whatever follows, and a good request is one by its looks.
 */
#include "fuzz_target.h"
#include "http.h"
#include <strings.h>

#define STEPS 512 /* up to here each length is tried */

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	return true;
}

/* A head ends with an empty line, and not before. */
static bool has_empty_line(struct bytes text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '\n' &&
		    (text.ptr[i + 1] == '\n' || (i + 2 < text.len && memcmp(text.ptr + i + 1, "\r\n", 2) == 0)))
			return true;
	return false;
}

/* RFC 9112 §3.2: nobody may read another host than we do. */
static unsigned count_hosts(struct bytes text)
{
	unsigned n = 0;

	for (size_t i = 0;
	     i + 6 <= text.len && memcmp(text.ptr + i, "\n\r\n", 3) != 0 && memcmp(text.ptr + i, "\n\n", 2) != 0; i++)
		n += text.ptr[i] == '\n' && strncasecmp((const char *)text.ptr + i + 1, "host:", 5) == 0;
	return n;
}

static void check_request(const struct http_request *r, struct bytes text)
{
	FUZZ_MUST(r->path.len > 0 && r->path.ptr >= text.ptr && r->path.ptr + r->path.len < text.ptr + text.len);
	FUZZ_MUST(is_printable(r->path) && !memchr(r->path.ptr, '?', r->path.len));
	FUZZ_MUST(r->path.ptr[0] == '/' || bytes_are(r->path, "*"));
	FUZZ_MUST(has_empty_line(text) && count_hosts(text) <= 1);
	if (r->method == HTTP_GET)
		FUZZ_MUST(memmem(text.ptr, text.len, "GET ", 4));
	if (r->method == HTTP_HEAD)
		FUZZ_MUST(memmem(text.ptr, text.len, "HEAD ", 5));
}

static bool may_follow(enum http_result before, enum http_result r)
{
	switch (before) {
	case HTTP_MORE: return true;
	case HTTP_LARGE:
	case HTTP_BAD: return r == HTTP_BAD || r == HTTP_LARGE;
	default: return r == before || r == HTTP_BAD; /* rubbish anywhere is rubbish */
	}
}

static enum http_result parse(struct bytes text)
{
	uint8_t *copy = fuzz_room(text.len);
	struct bytes head = bytes_of(copy, text.len);
	struct http_request request;
	enum http_result r;

	memcpy(copy, text.ptr, text.len);
	r = http_parse(head, &request);
	if (r == HTTP_DONE)
		check_request(&request, head);
	FUZZ_MUST(r != HTTP_MORE || text.len < HTTP_REQUEST_MAX);
	FUZZ_MUST(r != HTTP_LARGE || text.len >= HTTP_REQUEST_MAX);
	free(copy);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_result before = HTTP_MORE, r;

	if (size > HTTP_REQUEST_MAX + 64)
		return 0;
	for (size_t n = 1; n <= size; n += n < STEPS ? 1 : 61) {
		r = parse(bytes_of(data, n));
		FUZZ_MUST(may_follow(before, r));
		before = r;
	}
	parse(bytes_of(data, size));
	return 0;
}

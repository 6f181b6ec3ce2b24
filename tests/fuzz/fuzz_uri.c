/*
 * fuzz_uri: the input is a URI as it comes in Proxy-Uri. The parts of a good one lie behind each other without a gap, and its
 * segments are what a second reader decodes.
 */
#include "fuzz_target.h"
#include "coap/uri.h"

static bool is_control(uint8_t c)
{
	return c <= ' ' || c >= 0x7f;
}

static int digit(uint8_t c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return c >= '0' && c <= '9' ? c - '0' : at && c > '9' ? (int)(at - digits) : -1;
}

/* scheme "://" [ "[" ] host [ "]" ] [ ":" port ] path [ "?" query ] */
static void check_places(const struct uri *u, struct bytes text)
{
	const uint8_t *end = text.ptr + text.len, *host = u->scheme.ptr + u->scheme.len + 3 + u->bracketed;
	const uint8_t *port = host + u->host.len + u->bracketed;
	unsigned number = 0;

	FUZZ_MUST(u->scheme.ptr == text.ptr && u->scheme.len > 0 && memcmp(host - 3 - u->bracketed, "://", 3) == 0);
	FUZZ_MUST(u->host.ptr == host && u->host.len > 0);
	FUZZ_MUST(!u->bracketed || (host[-1] == '[' && port[-1] == ']'));
	if (port < u->path.ptr) {
		FUZZ_MUST(*port == ':');
		for (port++; port < u->path.ptr; port++)
			number = number * 10 + (unsigned)digit(*port);
		FUZZ_MUST(number > 0);
	}
	FUZZ_MUST(u->port == number && u->path.ptr == port);
	FUZZ_MUST(u->path.len == 0 || u->path.ptr[0] == '/');
	FUZZ_MUST(u->query.ptr == u->path.ptr + u->path.len + u->has_query && u->query.ptr + u->query.len == end);
	FUZZ_MUST(u->has_query || u->query.len == 0);
}

static void check_bytes(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		FUZZ_MUST(!is_control(text.ptr[i]) && !strchr("#\"<>\\^`{|}", text.ptr[i]));
		if (text.ptr[i] != '%')
			continue;
		FUZZ_MUST(i + 2 < text.len && digit(text.ptr[i + 1]) >= 0 && digit(text.ptr[i + 2]) >= 0);
		FUZZ_MUST(digit(text.ptr[i + 1]) * 16 + digit(text.ptr[i + 2]) >= ' ');
	}
}

static size_t decode(struct bytes raw, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++)
		if (raw.ptr[i] == '%') {
			out[n++] = (uint8_t)(digit(raw.ptr[i + 1]) * 16 + digit(raw.ptr[i + 2]));
			i += 2;
		} else {
			out[n++] = raw.ptr[i];
		}
	return n;
}

/* What has no room stays where it is. */
static void check_no_room(struct bytes rest, char separator, size_t len)
{
	struct bytes before = rest, out;
	bool more = true;
	uint8_t *tight;

	if (len == 0)
		return;
	tight = fuzz_room(len - 1);
	FUZZ_MUST(!uri_segment(&rest, separator, &more, tight, len - 1, &out));
	FUZZ_MUST(more && rest.ptr == before.ptr && rest.len == before.len);
	free(tight);
}

static void check_segments(struct bytes text, char separator)
{
	uint8_t expected[URI_MAX], buf[URI_MAX];
	struct bytes rest = text, out, raw = { text.ptr, 0 };
	bool more = true;

	while (more) {
		size_t len;

		while (raw.ptr + raw.len < text.ptr + text.len && raw.ptr[raw.len] != separator)
			raw.len++;
		len = decode(raw, expected);
		check_no_room(rest, separator, len);
		FUZZ_MUST(uri_segment(&rest, separator, &more, buf, sizeof buf, &out));
		FUZZ_MUST(bytes_equal(out, bytes_of(expected, len)));
		if (separator == '/')
			FUZZ_MUST(!bytes_are(out, ".") && !bytes_are(out, ".."));
		FUZZ_MUST(more == (raw.ptr + raw.len < text.ptr + text.len));
		if (more)
			raw = bytes_of(raw.ptr + raw.len + 1, 0);
	}
	FUZZ_MUST(rest.len == 0 && !uri_segment(&rest, separator, &more, buf, sizeof buf, &out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes_of(data, size);
	struct uri u;
	enum uri_error e = uri_parse(&u, text);

	FUZZ_MUST((e == URI_LONG) == (size > URI_MAX));
	if (e != URI_OK)
		return 0;
	check_places(&u, text);
	check_bytes(text);
	check_segments(u.path.len ? bytes_of(u.path.ptr + 1, u.path.len - 1) : u.path, '/');
	check_segments(u.query, '&');
	return 0;
}

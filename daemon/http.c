#include "http.h"
#include <strings.h>

static bool is_alnum(uint8_t ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

/* RFC 9110 §5.6.2 */
static bool is_token(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++) {
		if (!is_alnum(word.ptr[i]) && (!word.ptr[i] || !strchr("!#$%&'*+-.^_`|~", word.ptr[i])))
			return false;
	}
	return word.len > 0;
}

/* What no head contains, wherever it stands: so binary rubbish is known before its first line ends. */
static bool has_controls(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t ch = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : '\n';

		if ((ch < ' ' && ch != '\t' && ch != '\r' && ch != '\n') || ch == 0x7f || (ch == '\r' && next != '\n'))
			return true;
	}
	return false;
}

static struct bytes piece(const uint8_t *start, const uint8_t *end)
{
	return bytes_of(start, (size_t)(end - start));
}

/* Cuts off what is before the first `mark`, which is cut off, too. False: there is none. */
static bool cut(struct bytes *text, uint8_t mark, struct bytes *before)
{
	const uint8_t *at = text->len ? memchr(text->ptr, mark, text->len) : NULL;

	if (!at)
		return false;
	*before = piece(text->ptr, at);
	*text = piece(at + 1, text->ptr + text->len);
	return true;
}

/* A line may end with LF alone (RFC 9112 §2.2). */
static bool next_line(struct bytes *text, struct bytes *line)
{
	if (!cut(text, '\n', line))
		return false;
	if (line->len > 0 && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* "/path?query", or "http://host/path?query", which every server must take (RFC 9112 §3.2). */
static bool read_target(struct bytes target, struct bytes *path)
{
	static const char scheme[] = "http://";
	size_t len = strlen(scheme);
	struct bytes host;

	for (size_t i = 0; i < target.len; i++) {
		if (target.ptr[i] <= ' ' || target.ptr[i] > '~')
			return false;
	}
	if (target.len > len && strncasecmp((const char *)target.ptr, scheme, len) == 0) {
		target = piece(target.ptr + len, target.ptr + target.len);
		if (!cut(&target, '/', &host) || host.len == 0)
			return false;
		target = piece(target.ptr - 1, target.ptr + target.len);
	}
	*path = target;
	cut(&target, '?', path);
	return path->len > 0 && (path->ptr[0] == '/' || bytes_are(*path, "*"));
}

/* METHOD TARGET HTTP/1.x */
static enum http_result read_first_line(struct bytes line, struct http_request *out, bool *needs_host)
{
	struct bytes method, target;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method))
		return HTTP_BAD;
	if (line.len != 8 || memcmp(line.ptr, "HTTP/", 5) != 0 || line.ptr[6] != '.' || !is_alnum(line.ptr[5]) ||
	    !is_alnum(line.ptr[7]))
		return HTTP_BAD;
	if (line.ptr[5] != '1')
		return HTTP_VERSION;
	out->method = bytes_are(method, "GET") ? HTTP_GET : bytes_are(method, "HEAD") ? HTTP_HEAD : HTTP_OTHER;
	*needs_host = line.ptr[7] != '0';
	return read_target(target, &out->path) ? HTTP_DONE : HTTP_BAD;
}

/* Lines that go on from the line before are no longer allowed (RFC 9112 §5.2). */
static bool read_field(struct bytes line, unsigned *hosts)
{
	struct bytes name;

	if (!cut(&line, ':', &name) || !is_token(name))
		return false;
	*hosts += name.len == 4 && strncasecmp((const char *)name.ptr, "host", 4) == 0;
	return true;
}

static enum http_result read_head(struct bytes text, struct http_request *out)
{
	enum http_result result;
	bool needs_host = false;
	struct bytes line;
	unsigned hosts = 0;

	if (!next_line(&text, &line) || (line.len == 0 && !next_line(&text, &line))) /* RFC 9112 §2.2 */
		return HTTP_MORE;
	result = read_first_line(line, out, &needs_host);
	if (result != HTTP_DONE)
		return result;
	while (next_line(&text, &line)) {
		if (line.len == 0)
			return hosts > 1 || (needs_host && hosts == 0) ? HTTP_BAD : HTTP_DONE; /* RFC 9112 §3.2 */
		if (!read_field(line, &hosts))
			return HTTP_BAD;
	}
	return HTTP_MORE;
}

enum http_result http_parse(struct bytes text, struct http_request *out)
{
	struct http_request request = { .method = HTTP_OTHER };
	enum http_result result = has_controls(text) ? HTTP_BAD : read_head(text, &request);

	if (result == HTTP_DONE)
		*out = request;
	return result == HTTP_MORE && text.len >= HTTP_REQUEST_MAX ? HTTP_LARGE : result;
}

const char *http_status(unsigned code)
{
	static const struct {
		unsigned code;
		const char *text;
	} rows[] = {
		{ 200, "200 OK" },
		{ 400, "400 Bad Request" },
		{ 404, "404 Not Found" },
		{ 405, "405 Method Not Allowed" },
		{ 431, "431 Request Header Fields Too Large" },
		{ 505, "505 HTTP Version Not Supported" },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].code == code)
			return rows[i].text;
	}
	return "500 Internal Server Error";
}

/* http: requests good and bad, cut anywhere. */
#include "http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct row {
	const char *text;
	enum http_result result;
	int method;
	const char *path;
} rows[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_DONE, HTTP_GET, "/metrics" },
	{ "GET /metrics HTTP/1.1\nHost: a\n\n", HTTP_DONE, HTTP_GET, "/metrics" },
	{ "\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_DONE, HTTP_GET, "/metrics" },
	{ "HEAD /metrics?name[]=up&x=1 HTTP/1.1\r\nhOST:\r\n\r\n", HTTP_DONE, HTTP_HEAD, "/metrics" },
	{ "GET / HTTP/1.0\r\n\r\n", HTTP_DONE, HTTP_GET, "/" },
	{ "GET http://[::1]:9568/metrics?a=/b HTTP/1.1\r\nHost: [::1]:9568\r\n\r\n", HTTP_DONE, HTTP_GET, "/metrics" },
	{ "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", HTTP_DONE, HTTP_OTHER, "/metrics" },
	{ "get /metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_DONE, HTTP_OTHER, "/metrics" },
	{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_DONE, HTTP_OTHER, "*" },
	{ "GET /%2e%2e/metrics HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4 b\tc\r\n\r\n", HTTP_DONE, HTTP_GET,
	  "/%2e%2e/metrics" },
	/* RFC 9112 §3.2: one Host, no more and, in 1.1, no less */
	{ "GET / HTTP/1.1\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_VERSION, 0, NULL },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_VERSION, 0, NULL },
	{ "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET http:///metrics HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET /\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HTTP_BAD, 0, NULL }, /* §5.2 */
	{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", HTTP_BAD, 0, NULL },           /* §5.1 */
	{ "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", HTTP_BAD, 0, NULL },
	{ "\x16\x03\x01\x02", HTTP_BAD, 0, NULL }, /* TLS */
	{ "", HTTP_MORE, 0, NULL },
};

/* In memory that ends where the text does. */
static enum http_result parse(const char *text, size_t len, struct http_request *out, uint8_t **copy)
{
	*copy = malloc(len ? len : 1);
	memcpy(*copy, text, len);
	return http_parse(bytes_of(*copy, len), out);
}

static void test_requests(void **state)
{
	struct http_request request;
	uint8_t *copy;

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *r = &rows[i];
		enum http_result got = parse(r->text, strlen(r->text), &request, &copy);

		if (got != r->result)
			fail_msg("row %u: got %d, not %d: %s", i, got, r->result, r->text);
		if (got == HTTP_DONE) {
			assert_int_equal(request.method, r->method);
			assert_true(bytes_are(request.path, r->path));
		}
		free(copy);
	}
}

/* What is cut is not whole, and never read past its end; a good request is not bad before it is whole. */
static void test_every_truncation(void **state)
{
	struct http_request request;
	uint8_t *copy;

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t whole = strlen(rows[i].text);

		for (size_t len = 0; len < whole; len++) {
			enum http_result got = parse(rows[i].text, len, &request, &copy);

			free(copy);
			if (rows[i].result == HTTP_DONE)
				assert_int_equal(got, HTTP_MORE);
			else if (got != HTTP_MORE)
				assert_int_equal(got, rows[i].result);
		}
	}
}

/* One byte changed to any other never reads outside, and what is done has a path. */
static void test_every_byte(void **state)
{
	static const char good[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http_request request;
	char text[sizeof good];
	uint8_t *copy;

	(void)state;
	for (size_t at = 0; at < sizeof good - 1; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(text, good, sizeof good);
			text[at] = (char)byte;
			if (parse(text, sizeof good - 1, &request, &copy) == HTTP_DONE)
				assert_true(request.path.len > 0 && request.path.ptr > copy &&
					    request.path.ptr + request.path.len < copy + sizeof good);
			free(copy);
		}
	}
}

/* What a request is made of, in any order: never read outside, and what is done is short and has one path. */
static void test_random(void **state)
{
	static const char *const pieces[] = { "GET",  "HEAD",     " ",        " ",    "/",    "metrics",
					      "?a=b", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r\n", "\n",
					      "\r",   "Host: a",  "Host:",    "X: y", ":",    "http://",
					      "a",    "\t",       "\x01",     "\xff" };
	struct http_request request;
	unsigned done = 0;

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 200000; round++) {
		char text[512] = "";
		uint8_t *copy;

		if (round % 2)
			strcpy(text, "GET / HTTP/1.");
		for (unsigned n = (unsigned)rand() % 16; n > 0; n--)
			strcat(text, pieces[(unsigned)rand() % (sizeof pieces / sizeof pieces[0])]);
		if (round % 2)
			strcat(text, "\r\n\r\n");
		if (parse(text, strlen(text), &request, &copy) == HTTP_DONE) {
			done++;
			assert_true(request.path.ptr > copy &&
				    request.path.ptr + request.path.len < copy + strlen(text));
		}
		free(copy);
	}
	assert_true(done > 10);
}

static void test_too_large(void **state)
{
	static char text[HTTP_REQUEST_MAX];
	struct http_request request;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(http_parse(bytes_of(text, sizeof text - 1), &request), HTTP_MORE);
	assert_int_equal(http_parse(bytes_of(text, sizeof text), &request), HTTP_LARGE);
	snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	text[strlen(text)] = 'y';
	assert_int_equal(http_parse(bytes_of(text, sizeof text), &request), HTTP_LARGE);
	memcpy(text + sizeof text - 4, "\r\n\r\n", 4);
	assert_int_equal(http_parse(bytes_of(text, sizeof text), &request), HTTP_DONE);
}

static void test_status(void **state)
{
	(void)state;
	assert_string_equal(http_status(404), "404 Not Found");
	assert_string_equal(http_status(999), "500 Internal Server Error");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_requests),   cmocka_unit_test(test_every_truncation),
					    cmocka_unit_test(test_every_byte), cmocka_unit_test(test_random),
					    cmocka_unit_test(test_too_large),  cmocka_unit_test(test_status) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

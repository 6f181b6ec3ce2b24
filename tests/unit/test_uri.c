#include "coap/uri.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static uint64_t seed = 7;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

/* Walks a path without its leading '/', or a query, and compares; NULL ends the wanted segments. */
static void check_segments(struct bytes rest, char separator, const char *const *wanted)
{
	uint8_t buf[64];
	struct bytes out;
	bool more = true;

	while (uri_segment(&rest, separator, &more, buf, sizeof buf, &out)) {
		assert_non_null(*wanted);
		assert_true(bytes_are(out, *wanted++));
	}
	assert_null(*wanted);
	assert_false(more);
	assert_int_equal(rest.len, 0);
}

/*
 * rfc7252_messages.json, appendix_B_uri (RFC 7252 appendix B), verbatim: the destination, the URI,
 * and the options it decomposes into. host is what a Uri-Host option or the destination is made of.
 */
static const struct {
	const char *dst;
	uint16_t dst_port;
	const char *uri, *host;
	bool literal;
	const char *path[6], *query[4];
} appendix_b[] = {
	{ "2001:db8::2:1", 5683, "coap://[2001:db8::2:1]/", "2001:db8::2:1", true, { "" }, { NULL } },
	{ "2001:db8::2:1", 5683, "coap://example.net/", "example.net", false, { "" }, { NULL } },
	{ "2001:db8::2:1",
	  5683,
	  "coap://example.net/.well-known/core",
	  "example.net",
	  false,
	  { ".well-known", "core" },
	  { NULL } },
	{ "2001:db8::2:1",
	  5683,
	  "coap://xn--18j4d.example/%E3%81%93%E3%82%93%E3%81%AB%E3%81%A1%E3%81%AF",
	  "xn--18j4d.example",
	  false,
	  { "\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf" },
	  { NULL } },
	{ "198.51.100.1",
	  61616,
	  "coap://198.51.100.1:61616//%2F//?%2F%2F&?%26",
	  "198.51.100.1",
	  true,
	  { "", "/", "", "" },
	  { "//", "?&" } },
};

static void splits_appendix_b(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof appendix_b / sizeof appendix_b[0]; i++) {
		struct uri u;

		assert_int_equal(uri_parse(&u, text(appendix_b[i].uri)), URI_OK);
		assert_true(bytes_are(u.scheme, "coap"));
		assert_true(bytes_are(u.host, appendix_b[i].host));
		if (appendix_b[i].literal)
			assert_true(bytes_are(u.host, appendix_b[i].dst));
		assert_int_equal(u.bracketed, appendix_b[i].literal && strchr(appendix_b[i].dst, ':'));
		assert_int_equal(u.port ? u.port : 5683, appendix_b[i].dst_port);
		assert_int_equal(u.path.ptr[0], '/');
		check_segments(bytes_of(u.path.ptr + 1, u.path.len - 1), '/', appendix_b[i].path);
		assert_int_equal(u.has_query, appendix_b[i].query[0] != NULL);
		if (u.has_query)
			check_segments(u.query, '&', appendix_b[i].query);
	}
}

static const struct {
	const char *uri, *scheme, *host;
	bool bracketed;
	uint16_t port;
	const char *path, *query; /* query NULL: none */
} good[] = {
	{ "coap://h", "coap", "h", false, 0, "", NULL },
	{ "coap://h?q", "coap", "h", false, 0, "", "q" },
	{ "coap://h?", "coap", "h", false, 0, "", "" },
	{ "coap://h/?", "coap", "h", false, 0, "/", "" },
	{ "coap://h:1", "coap", "h", false, 1, "", NULL },
	{ "coap://h:65535/a?b", "coap", "h", false, 65535, "/a", "b" },
	{ "coap://h:05683", "coap", "h", false, 5683, "", NULL },
	{ "COAPS+tcp://H.Example:5684/A", "COAPS+tcp", "H.Example", false, 5684, "/A", NULL },
	{ "coap://[::1]:1/a/b/?c=d&e", "coap", "::1", true, 1, "/a/b/", "c=d&e" },
	{ "coap://[::ffff:192.0.2.1]", "coap", "::ffff:192.0.2.1", true, 0, "", NULL },
	{ "coap://h/a?b?c/d", "coap", "h", false, 0, "/a", "b?c/d" },
	{ "coap://h/a:b@c", "coap", "h", false, 0, "/a:b@c", NULL },
	{ "coap://h/...", "coap", "h", false, 0, "/...", NULL },
	{ "coap://h/.a/a./a..b", "coap", "h", false, 0, "/.a/a./a..b", NULL },
	{ "coap://h?a=..&.", "coap", "h", false, 0, "", "a=..&." },
	{ "coap://%41/%20", "coap", "%41", false, 0, "/%20", NULL },
	{ "coap://h/%25%ff", "coap", "h", false, 0, "/%25%ff", NULL },
};

static void splits_the_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct uri u;

		if (uri_parse(&u, text(good[i].uri)) != URI_OK)
			fail_msg("refused %s", good[i].uri);
		assert_true(bytes_are(u.scheme, good[i].scheme));
		assert_true(bytes_are(u.host, good[i].host));
		assert_int_equal(u.bracketed, good[i].bracketed);
		assert_int_equal(u.port, good[i].port);
		assert_true(bytes_are(u.path, good[i].path));
		assert_int_equal(u.has_query, good[i].query != NULL);
		assert_true(bytes_are(u.query, good[i].query ? good[i].query : ""));
	}
}

static const struct {
	const char *uri;
	enum uri_error error;
} bad[] = {
	{ "", URI_SCHEME },
	{ "coap", URI_SCHEME },
	{ "coap:", URI_SCHEME },
	{ "coap:/h", URI_SCHEME },
	{ "coap:h", URI_SCHEME },
	{ "coap:/", URI_SCHEME },
	{ "//h/a", URI_SCHEME },
	{ "/a", URI_SCHEME },
	{ "://h", URI_SCHEME },
	{ "1coap://h", URI_SCHEME },
	{ "+coap://h", URI_SCHEME },
	{ "co_ap://h", URI_SCHEME },
	{ "co%61p://h", URI_SCHEME },
	{ "a?coap://h", URI_SCHEME },
	{ "coap://", URI_AUTHORITY },
	{ "coap:///a", URI_AUTHORITY },
	{ "coap://?q", URI_AUTHORITY },
	{ "coap://:1", URI_AUTHORITY },
	{ "coap://h:", URI_AUTHORITY },
	{ "coap://h:/", URI_AUTHORITY },
	{ "coap://h:0", URI_AUTHORITY },
	{ "coap://h:00000", URI_AUTHORITY },
	{ "coap://h:65536", URI_AUTHORITY },
	{ "coap://h:000080", URI_AUTHORITY },
	{ "coap://h:4294967297", URI_AUTHORITY },
	{ "coap://h:1:2", URI_AUTHORITY },
	{ "coap://h:1a", URI_AUTHORITY },
	{ "coap://h:-1", URI_AUTHORITY },
	{ "coap://u@h", URI_AUTHORITY },
	{ "coap://u:p@h", URI_AUTHORITY },
	{ "coap://@h", URI_AUTHORITY },
	{ "coap://h:1@2", URI_AUTHORITY },
	{ "coap://[]", URI_AUTHORITY },
	{ "coap://[::1", URI_AUTHORITY },
	{ "coap://[::1]x", URI_AUTHORITY },
	{ "coap://[::1]:", URI_AUTHORITY },
	{ "coap://[::1]@h", URI_AUTHORITY },
	{ "coap://::1]", URI_AUTHORITY },
	{ "coap://h]", URI_AUTHORITY },
	{ "coap://h[", URI_AUTHORITY },
	{ "coap://[192.0.2.1]", URI_AUTHORITY },
	{ "coap://[v1.a]", URI_AUTHORITY },
	{ "coap://[fe80::1%251]", URI_AUTHORITY },
	{ "coap://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]", URI_AUTHORITY },
	{ "coap://2001:db8::1", URI_AUTHORITY },
	{ "coap://h/a b", URI_BYTE },
	{ "coap://h/a\tb", URI_BYTE },
	{ "coap://h\n", URI_BYTE },
	{ "coap://h/\x7f", URI_BYTE },
	{ "coap://h/\xc3\xa4", URI_BYTE },
	{ "coap://h/a\"", URI_BYTE },
	{ "coap://h/<a>", URI_BYTE },
	{ "coap://h/a\\b", URI_BYTE },
	{ "coap://h/a|b^c`{}", URI_BYTE },
	{ "coap://h/[", URI_BYTE },
	{ "coap://h?]", URI_BYTE },
	{ "coap://h/%", URI_BYTE },
	{ "coap://h/%4", URI_BYTE },
	{ "coap://h/%4g", URI_BYTE },
	{ "coap://h/%g4", URI_BYTE },
	{ "coap://h/%%41", URI_BYTE },
	{ "coap://h/%00", URI_BYTE },
	{ "coap://h%00/", URI_BYTE },
	{ "coap://h/%1f", URI_BYTE },
	{ "coap://h?%7F", URI_BYTE },
	{ "coap://h/.", URI_BYTE },
	{ "coap://h/..", URI_BYTE },
	{ "coap://h/a/../b", URI_BYTE },
	{ "coap://h/./b", URI_BYTE },
	{ "coap://h/a/%2e%2E", URI_BYTE },
	{ "coap://h/.%2e?q", URI_BYTE },
	{ "coap://h/a#", URI_FRAGMENT },
	{ "coap://h#f", URI_FRAGMENT },
	{ "#", URI_FRAGMENT },
};

static void refuses(void **state)
{
	static const char with_nul[] = "coap://h/a\0b";
	struct uri u;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		enum uri_error e = uri_parse(&u, text(bad[i].uri));

		if (e != bad[i].error)
			fail_msg("\"%s\": %d instead of %d", bad[i].uri, (int)e, (int)bad[i].error);
	}
	assert_int_equal(uri_parse(&u, bytes_of(with_nul, sizeof with_nul - 1)), URI_BYTE);
}

static void knows_the_longest(void **state)
{
	char longest[URI_MAX + 1];
	struct uri u;

	(void)state;
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "coap://", 7);
	assert_int_equal(uri_parse(&u, bytes_of(longest, URI_MAX)), URI_OK);
	assert_int_equal(u.host.len, URI_MAX - 7);
	assert_int_equal(uri_parse(&u, bytes_of(longest, URI_MAX + 1)), URI_LONG);
}

static const struct {
	const char *rest;
	char separator;
	const char *segments[6];
} cuts[] = {
	{ "", '/', { "" } },
	{ "a", '/', { "a" } },
	{ "a/", '/', { "a", "" } },
	{ "/", '/', { "", "" } },
	{ "a/b&c", '/', { "a", "b&c" } },
	{ "a/b&c", '&', { "a/b", "c" } },
	{ "&&", '&', { "", "", "" } },
	{ "%2f/%2F", '/', { "/", "/" } },
	{ "a%26b&c%3dd", '&', { "a&b", "c=d" } },
	{ "100%/%zz/%4", '/', { "100%", "%zz", "%4" } },
};

static void cuts_segments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
		check_segments(text(cuts[i].rest), cuts[i].separator, cuts[i].segments);
}

/* A segment longer than its room leaves everything as it was. */
static void room_may_be_short(void **state)
{
	const char *path = "%41bc/de";
	struct bytes rest = text(path), out = { 0 };
	uint8_t buf[4] = { 0, 0, 0, 0xee };
	bool more = true;

	(void)state;
	assert_false(uri_segment(&rest, '/', &more, buf, 2, &out));
	assert_true(more);
	assert_ptr_equal(rest.ptr, path);
	assert_int_equal(rest.len, strlen(path));
	assert_int_equal(buf[2], 0);
	assert_true(uri_segment(&rest, '/', &more, buf, 3, &out));
	assert_true(bytes_are(out, "Abc"));
	assert_int_equal(buf[3], 0xee);
	assert_true(uri_segment(&rest, '/', &more, buf, 2, &out));
	assert_true(bytes_are(out, "de"));
	assert_false(uri_segment(&rest, '/', &more, buf, 2, &out));
	assert_int_equal(rest.len, 0);
	more = true;
	rest = text("");
	assert_true(uri_segment(&rest, '/', &more, buf, 0, &out));
	assert_int_equal(out.len, 0);
}

static bool is_inside(struct bytes part, struct bytes whole)
{
	return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What is accepted is made of its parts again, byte by byte. */
static void check_whole(const struct uri *u, struct bytes whole)
{
	char again[64];
	size_t n = 0, colon;

	assert_true(is_inside(u->scheme, whole) && is_inside(u->host, whole));
	assert_true(is_inside(u->path, whole) && is_inside(u->query, whole));
	assert_true(u->host.len > 0 && (u->path.len == 0 || u->path.ptr[0] == '/'));
	memcpy(again, u->scheme.ptr, u->scheme.len);
	n += u->scheme.len;
	memcpy(again + n, "://[", 4);
	n += u->bracketed ? 4 : 3;
	memcpy(again + n, u->host.ptr, u->host.len);
	n += u->host.len;
	if (u->bracketed)
		again[n++] = ']';
	assert_memory_equal(again, whole.ptr, n);
	colon = n;
	if (u->port) {
		assert_int_equal(whole.ptr[n], ':');
		assert_int_equal(strtoul((const char *)whole.ptr + n + 1, NULL, 10), u->port);
		for (n++; whole.ptr[n] >= '0' && whole.ptr[n] <= '9'; n++)
			;
	}
	assert_true(n == colon || n > colon + 1);
	assert_int_equal(n + u->path.len + u->has_query + u->query.len, whole.len);
}

static void survives_noise(void **state)
{
	static const char *const pieces[] = { "coap", ":",    "//",  "/",    "h",   "[", "]", "::1",
					      "@",    "?",    "&",   "%41",  "%",   "#", ".", "..",
					      "0",    "5683", "a=b", "\x01", "%2e", "-", "+", "1" };
	unsigned accepted = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		char buf[64] = "coap://";
		uint32_t n = 1 + draw(6);
		struct uri u;

		if (draw(4) == 0)
			buf[0] = '\0';
		while (n-- > 0)
			strcat(buf, pieces[draw(sizeof pieces / sizeof pieces[0])]);
		if (uri_parse(&u, text(buf)) != URI_OK)
			continue;
		check_whole(&u, text(buf));
		accepted++;
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_appendix_b), cmocka_unit_test(splits_the_parts),
		cmocka_unit_test(refuses),           cmocka_unit_test(knows_the_longest),
		cmocka_unit_test(cuts_segments),     cmocka_unit_test(room_may_be_short),
		cmocka_unit_test(survives_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* target: which server, in the cases a request alone does not show (the table of forms is in
 * test_request). */
#include "proxy/target.h"
#include "engine.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct target resolve(const struct proxy_config *c, const char *options, const char *local, struct msg *m,
			     struct request_view *v)
{
	static uint8_t buf[512];
	char text[600];
	struct addr at;

	strcpy(text, "CON 0.01 0001 # ");
	strcat(text, options);
	assert_int_equal(msg_parse(m, msgtext_write(text, buf, sizeof buf)), MSG_OK);
	classify_request(v, m);
	assert_true(addr_parse(&at, local, 5683));
	return target_resolve(c, v, &c->listens[0], &at, false);
}

#define OURS "[2001:db8::53]:5683"

/* Longest prefix, by whole segments; then the listener's own server. */
static void test_prefixes(void **state)
{
	static const struct {
		const char *options;
		uint8_t server, skip;
	} rows[] = {
		{ "Uri-Path:a", 0, 1 },
		{ "Uri-Path:a Uri-Path:x", 0, 1 },
		{ "Uri-Path:a Uri-Path:b", 1, 2 },
		{ "Uri-Path:a Uri-Path:b Uri-Path:c", 1, 2 },
		{ "Uri-Path:a Uri-Path:bb", 0, 1 },
		{ "Uri-Path:x", 2, 0 },
		{ "", 2, 0 },
		{ "Uri-Path:", 2, 0 },
	};
	struct proxy_config c = engine_careful();
	struct request_view v;
	struct msg m;

	(void)state;
	strcpy(c.servers[0].uri_path, "a");
	strcpy(c.servers[1].uri_path, "a/b");
	c.listens[0].server = 2;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct target t = resolve(&c, rows[i].options, OURS, &m, &v);

		assert_int_equal(t.server, rows[i].server);
		assert_int_equal(t.skip_path, rows[i].skip);
	}
	c.policy.servers[1].present = false; /* a place not used is no server */
	assert_int_equal(resolve(&c, "Uri-Path:a Uri-Path:b", OURS, &m, &v).server, 0);
	c.policy.servers[2].present = false;
	assert_int_equal(resolve(&c, "Uri-Path:x", OURS, &m, &v).server, PROXY_NO_SERVER);
}

/* Ours are the addresses we are bound to, and the one the request came to when the bind is a
 * wildcard. */
static void test_own(void **state)
{
	struct proxy_config c = engine_careful();
	struct request_view v;
	struct msg m;

	(void)state;
	assert_true(addr_parse(&c.listens[0].bind, "[::]:5683", 5683));
	assert_int_equal(resolve(&c, "Proxy-Uri:coap://[2001:db8::53]/lamp", OURS, &m, &v).server, 0);
	assert_int_equal(resolve(&c, "Proxy-Uri:coap://[2001:db8::53]/lamp", "[2001:db8::54]:5683", &m, &v).code,
			 MSG_NO_PROXYING);
	assert_int_equal(resolve(&c, "Proxy-Uri:coap://192.0.2.1/lamp", "192.0.2.1:5683", &m, &v).server, 0);
	assert_int_equal(resolve(&c, "Proxy-Uri:coap://[::ffff:192.0.2.1]/lamp", "192.0.2.1:5683", &m, &v).server, 0);
	assert_int_equal(resolve(&c, "Proxy-Uri:coap://192.0.2.1:5684/lamp", "192.0.2.1:5683", &m, &v).code,
			 MSG_NO_PROXYING);
}

/* The path the server will see, however it was asked for. */
static void test_path_is(void **state)
{
	static const struct {
		const char *options;
		bool edhoc;
	} rows[] = {
		{ "Uri-Path:lamp Uri-Path:.well-known Uri-Path:edhoc", true },
		{ "Uri-Path:lamp Uri-Path:.well-known", false },
		{ "Uri-Path:lamp Uri-Path:.well-known Uri-Path:edhoc Uri-Path:x", false },
		{ "Uri-Path:lamp", false },
		{ "Uri-Host:hall.example Uri-Path:.well-known Uri-Path:edhoc", true },
		{ "Proxy-Uri:coap://[fd00:db8::18]/.well-known/edhoc", true },
		{ "Proxy-Uri:coap://[fd00:db8::18]/.well-known/edhoc/", false },
		{ "Proxy-Uri:coap://[fd00:db8::18]/%2Ewell-known/%65dhoc", true },
		{ "Proxy-Uri:coap://[2001:db8::53]/lamp/.well-known/edhoc", true },
		{ "Proxy-Uri:coap://[fd00:db8::18]/", false },
		{ "Proxy-Uri:coap://[fd00:db8::18]", false },
	};
	struct proxy_config c = engine_careful();
	struct request_view v;
	struct msg m;

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct target t = resolve(&c, rows[i].options, OURS, &m, &v);

		assert_int_not_equal(t.server, PROXY_NO_SERVER);
		if (target_path_is(&t, &v, ".well-known/edhoc") != rows[i].edhoc)
			fail_msg("%s", rows[i].options);
	}
}

/* Nothing longer than an option may be, or the message can hold, gets through by halves. */
static void test_rewrite_overflow(void **state)
{
	struct proxy_config c = engine_careful();
	struct request_view v;
	struct msg m;
	struct target t = resolve(&c, "Uri-Path:lamp Uri-Path:0123456789", OURS, &m, &v);
	const struct target_edits none = { .hop_limit = 0 };
	uint8_t buf[64];
	struct msgbuf b;

	(void)state;
	for (size_t cap = 4; cap < 16; cap++) {
		msgbuf_begin(&b, buf, cap, MSG_CON, MSG_GET, 1, bytes_of(NULL, 0));
		target_rewrite(&t, &v, &none, &b);
		assert_int_equal(msgbuf_end(&b).len, cap < 15 ? 0 : 15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_path_is),
		cmocka_unit_test(test_rewrite_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

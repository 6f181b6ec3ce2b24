/* redact: nothing that names somebody comes through, and the same one has the same number. */
#include "redact.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *text;
static size_t len;

static const char *redacted(struct redact *r, const char *in, void (*how)(struct redact *, const char *, FILE *))
{
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	how(r, in, out);
	fclose(out);
	return text;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "[2001:db8::5]:5683 asks", "[<ip6-net1-host1>]:5683 asks" },
		{ "2001:db8::6, then 2001:db8::5.", "<ip6-net1-host2>, then <ip6-net1-host1>." },
		{ "2001:db8:0:1::5: no", "<ip6-net2-host1>: no" },
		{ "192.0.2.1:5683 192.0.2.9 198.51.100.1", "<ip4-net3-host1>:5683 <ip4-net3-host2> <ip4-net4-host1>" },
		{ "::ffff:192.0.2.1", "<ip4-net3-host1>" },
		{ "[fe80::1%3]:5683", "[<ip6-net5-host1>%3]:5683" },
		{ "coap://[FD00::17]/a coap://[fd00::17]", "coap://[<ip6-net6-host1>]/a coap://[<ip6-net6-host1>]" },
		{ "[::1]:5683 [::]:5683 127.0.0.1 0.0.0.0 ::", "[::1]:5683 [::]:5683 127.0.0.1 0.0.0.0 ::" },
		{ "2026-11-22T03:20:39Z 03:20:39 1.44.2 0.1.0 a::b", NULL },
		{ "face bad 3.0 12 1:2 budget-spent: \"x\"", "face bad 3.0 12 1:2 budget-spent: \"x\"" },
		{ "(2001:db8::5)=2001:db8::5/64", "(<ip6-net1-host1>)=<ip6-net1-host1>/64" },
		{ "2001:0db8:0000:0000:0000:0000:0000:0005", "<ip6-net1-host1>" },
		{ "", "" },
	};
	struct redact *r = calloc(1, sizeof *r);

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *got = redacted(r, rows[i].in, redact_text);

		if (rows[i].out)
			assert_string_equal(got, rows[i].out);
		else
			assert_non_null(strstr(got, "2026-11-22T03:20:39Z 03:20:39 1.44.2 0.1.0 "));
	}
	assert_int_equal(r->nets, 6 + 1); /* "a::b" is one, too */
	free(r);
}

static void test_words(void **state)
{
	struct redact *r = calloc(1, sizeof *r);
	static const char *const kids[] = { "07", "0a", "07", "(empty)" };
	static const char *const expected[] = { "<kid-1>", "<kid-2>", "<kid-1>", "<kid-3>" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		FILE *out;

		free(text);
		out = open_memstream(&text, &len);
		redact_word(r, "kid", kids[i], out);
		fclose(out);
		assert_string_equal(text, expected[i]);
	}
	free(r);
}

static void test_config(void **state)
{
	struct redact *r = calloc(1, sizeof *r);

	(void)state;
	assert_string_equal(redacted(r,
				     "[context phone]\nsender-id = 0x01                         ; a.conf:3\n"
				     "id-context =                             ; default\nmaster-salt = 0x9e7c\n"
				     "source = 2001:db8::5                     ; a.conf:5\n"
				     "uri-host = lamp.example                  ; b\nuri-path = lamp\n",
				     redact_config),
			    "[context phone]\nsender-id = <hidden>                         ; a.conf:3\n"
			    "id-context =                             ; default\nmaster-salt = <hidden>\n"
			    "source = <ip6-net1-host1>                     ; a.conf:5\n"
			    "uri-host = <hidden>                  ; b\nuri-path = lamp\n");
	assert_int_equal(r->hidden, 3);
	free(r);
}

/* More than there is room for still says nothing. */
static void test_many(void **state)
{
	struct redact *r = calloc(1, sizeof *r);
	char in[64];

	(void)state;
	for (unsigned i = 0; i < 3 * REDACT_HOSTS; i++) {
		snprintf(in, sizeof in, "2001:db8:%x:%x::1", i % 7, i);
		assert_true(strncmp(redacted(r, in, redact_text), "<ip6", 4) == 0);
		assert_null(strchr(text, ':'));
		snprintf(in, sizeof in, "kid %u", i);
		redacted(r, in, redact_text);
	}
	assert_int_equal(r->hosts, REDACT_HOSTS);
	free(r);
}

/* Any text made of what addresses are made of: no address that inet_pton knows is left between marks. */
static void test_random(void **state)
{
	static const char letters[] = "0123456789abcdef:::...[] xg";
	struct redact *r = calloc(1, sizeof *r);

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 20000; round++) {
		char in[48];
		unsigned n = (unsigned)rand() % 47;
		uint8_t ip[16];

		for (unsigned i = 0; i < n; i++)
			in[i] = letters[(unsigned)rand() % (sizeof letters - 1)];
		in[n] = '\0';
		redacted(r, in, redact_text);
		for (char *word = strtok(text, " []<>"); word; word = strtok(NULL, " []<>"))
			assert_false(inet_pton(AF_INET6, word, ip) == 1 && strcmp(word, "::1") != 0 &&
				     strcmp(word, "::") != 0 && strspn(word, "0:.") != strlen(word) &&
				     strspn(word, "0:.1") != strlen(word));
	}
	free(r);
}

static int teardown(void **state)
{
	(void)state;
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_addresses), cmocka_unit_test(test_words),
					    cmocka_unit_test(test_config), cmocka_unit_test(test_many),
					    cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, teardown);
}

#include "nft.h"
#include "usage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#ifndef TEST_ROOT
#define TEST_ROOT "." /* the root of the source tree */
#endif

static struct config config;
static struct config_errors errors;

/* The caller frees it. */
static char *print(const char *path, const char *user)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!config_load(&config, NULL, path, &errors))
		fail_msg("%s", errors.list[0].text);
	nft_print(&config, user, out);
	fclose(out);
	return text;
}

/* The caller frees it. */
static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 16);

	if (!file || !text || fread(text, 1, (1 << 16) - 1, file) == 0)
		fail_msg("%s cannot be read", path);
	fclose(file);
	return text;
}

/* tests/nft/NAME.conf gives tests/nft/NAME.nft. */
static void test_rules(void **state)
{
	static const char *const names[] = { "plain", "empty", "several", "ports", "links" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[128], *printed, *expected;

		snprintf(path, sizeof path, TEST_ROOT "/tests/nft/%s.conf", names[i]);
		printed = print(path, USAGE_USER);
		snprintf(path, sizeof path, TEST_ROOT "/tests/nft/%s.nft", names[i]);
		expected = read_all(path);
		assert_string_equal(printed, expected);
		free(printed);
		free(expected);
	}
}

/* The user is the only difference. */
static void test_user(void **state)
{
	char *named = print(TEST_ROOT "/tests/nft/plain.conf", "nobody");
	char *at = strstr(named, "meta skuid \"nobody\" accept\n");

	(void)state;
	assert_non_null(at);
	assert_null(strstr(named, "skuid \"coap-guard\""));
	free(named);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* As many servers as there may be, each an address of its own, or all the same one. */
static void test_full_house(void **state)
{
	static const struct {
		const char *address;
		unsigned chains, networks;
	} rows[] = {
		{ "coap://[fd00:db8::%u]:5683", POLICY_SERVERS, 1 },
		{ "coap://[fd00:db8:%u::1]:5683", POLICY_SERVERS, POLICY_SERVERS },
		{ "coap://192.0.%u.7:5683", POLICY_SERVERS, POLICY_SERVERS },
		{ "coap://[fd00:db8::1]:%u", 1, 1 },
	};
	char path[64];

	(void)state;
	snprintf(path, sizeof path, "/tmp/test_nft.%d", (int)getpid());
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FILE *file = fopen(path, "w");
		char *text;

		assert_non_null(file);
		for (unsigned n = 1; n <= POLICY_SERVERS; n++) {
			fprintf(file, "[server s%u]\naddress = ", n);
			fprintf(file, rows[i].address, n);
			fputs("\n", file);
		}
		fclose(file);
		text = print(path, USAGE_USER);
		assert_int_equal(count(text, "\tchain to-s"), rows[i].chains);
		assert_int_equal(count(text, ": goto to-s"), 2 * rows[i].chains); /* forwarded, and from here */
		assert_int_equal(count(text, "fib saddr . iif oif missing"), rows[i].networks);
		free(text);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_full_house),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* near: what was meant, and what is too far to be a guess. */
#include "near.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void test_words(void **state)
{
	static const char *const known[] = {
		"status", "servers", "trace on", "trace off", "master-secret-file", "why"
	};
	static const struct {
		const char *typed, *meant; /* NULL: none */
	} rows[] = {
		{ "statsu", "status" },
		{ "server", "servers" },
		{ "trce off", "trace off" },
		{ "master-secret", "master-secret-file" },
		{ "wy", "why" },
		{ "xyz", NULL },
		{ "", NULL },
		{ "banana", NULL },
		{ "a word that is longer than any of those", NULL },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *best = NULL;
		unsigned nearest = NEAR_MAX;

		for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
			near_consider(rows[i].typed, known[k], &best, &nearest);
		if (best ? !rows[i].meant || strcmp(best, rows[i].meant) != 0 : rows[i].meant != NULL)
			fail_msg("\"%s\" is near \"%s\"", rows[i].typed, best ? best : "-");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

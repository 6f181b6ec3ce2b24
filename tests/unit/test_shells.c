/* shells and usage: every command and option is offered, and told about, everywhere. */
#include "shells.h"
#include "usage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct usage *const programs[] = { &usage_guardctl, &usage_guardd };

static char *print(const char *shell, const struct usage *u)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (shell)
		assert_true(shells_print(shell, out));
	else
		usage_print(u, out);
	fclose(out);
	return text;
}

/* As a word of its own. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len) {
		bool begins = at == text || strchr(" '\"\n(|{,-[", at[-1]) != NULL;

		if (begins && strchr(" '\"\n)|}=,[+;", at[len]))
			return true;
	}
	return false;
}

static void test_all_is_offered(void **state)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	(void)state;
	for (unsigned s = 0; s < 3; s++) {
		char *text = print(shells[s], NULL);

		for (unsigned p = 0; p < 2; p++) {
			for (const struct usage_option *o = programs[p]->options; o->name; o++) {
				if (!has_word(text, o->name))
					fail_msg("%s: --%s", shells[s], o->name);
			}
			for (const struct usage_command *c = programs[p]->commands; c->words; c++) {
				char words[64], *second;

				strcpy(words, c->words);
				second = strchr(words, ' ');
				if (second)
					*second++ = '\0';
				if (!has_word(text, words) || (second && !has_word(text, second)))
					fail_msg("%s: %s", shells[s], c->words);
			}
			assert_non_null(strstr(text, programs[p]->name));
		}
		free(text);
	}
	assert_false(shells_print("csh", stdout));
}

static void test_help(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		char *text = print(NULL, programs[p]);
		unsigned column = 0;

		for (const struct usage_option *o = programs[p]->options; o->name; o++)
			assert_true(has_word(text, o->name));
		for (const struct usage_command *c = programs[p]->commands; c->words; c++)
			assert_non_null(strstr(text, c->words));
		for (const char *at = text; *at; at++) {
			column = *at == '\n' ? 0 : column + 1;
			assert_true(column <= 100);
		}
		free(text);
	}
}

/* What shells would need escaped is not there; letters and names differ. */
static void test_tables(void **state)
{
	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		unsigned n = 0;

		for (const struct usage_option *o = programs[p]->options; o->name; o++, n++) {
			assert_null(strpbrk(o->text, "'\"[]:\\`$"));
			for (const struct usage_option *a = programs[p]->options; a < o; a++)
				assert_true(a->letter != o->letter && strcmp(a->name, o->name) != 0);
		}
		assert_true(n <= USAGE_OPTIONS);
		for (const struct usage_command *c = programs[p]->commands; c->words; c++)
			assert_null(strpbrk(c->text, "'\"[]:\\`$"));
	}
}

static void test_find(void **state)
{
	static const struct {
		const char *line, *words;
	} rows[] = {
		{ "status", "status" },
		{ "status now", NULL },
		{ "why ::1", "why" },
		{ "why", NULL },
		{ "why ", NULL },
		{ "context new a", "context new" },
		{ "context", NULL },
		{ "context new", NULL },
		{ "trace off", "trace off" },
		{ "trace on /a b", "trace on" },
		{ "statuses", NULL },
		{ "", NULL },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct usage_command *c = usage_find(&usage_guardctl, rows[i].line);

		if (rows[i].words)
			assert_string_equal(c->words, rows[i].words);
		else
			assert_null(c);
	}
}

static void test_getopt(void **state)
{
	struct usage_getopt g;

	(void)state;
	usage_getopt(&usage_guardd, &g);
	assert_string_equal(g.letters, "c:CDN::l:Vh");
	assert_string_equal(g.options[0].name, "config");
	assert_int_equal(g.options[0].has_arg, required_argument);
	assert_int_equal(g.options[3].has_arg, optional_argument);
	usage_getopt(&usage_guardctl, &g);
	assert_string_equal(g.letters, "s:jtn:d:Vh");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_is_offered), cmocka_unit_test(test_help),
					    cmocka_unit_test(test_tables), cmocka_unit_test(test_find),
					    cmocka_unit_test(test_getopt) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

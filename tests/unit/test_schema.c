#include "schema.h"
#include "config.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifndef TEST_ROOT
#define TEST_ROOT "." /* the root of the source tree */
#endif

static struct config config;

/* The whole file; the caller frees it. */
static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	if (!file || !text || fread(text, 1, (1 << 18) - 1, file) == 0)
		fail_msg("%s cannot be read", path);
	fclose(file);
	return text;
}

/* A copy of the text from the line `head` to the next that begins with `mark`, or NULL. */
static char *section_of(const char *text, const char *head, const char *mark)
{
	char line[128], next[16];
	const char *start, *end;

	snprintf(line, sizeof line, "\n%s\n", head);
	snprintf(next, sizeof next, "\n%s", mark);
	start = strstr(text, line);
	if (!start)
		return NULL;
	end = strstr(start + strlen(line) - 1, next);
	return end ? strndup(start, (size_t)(end - start)) : strdup(start);
}

/* Keys are in lower case with hyphens, are there once, and are explained by a sentence. */
static void test_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];

		assert_int_equal(strspn(k->key, "abcdefghijklmnopqrstuvwxyz-"), strlen(k->key));
		assert_ptr_equal(schema_find(k->section, k->key), k);
		assert_int_equal(k->text[strlen(k->text) - 1], '.');
		assert_true(isupper((unsigned char)k->text[0]) || strncmp(k->text, "open:", 5) == 0);
		if (schema_is_named(k->section))
			assert_true(k->reloadable); /* what rules.c relies on */
	}
}

/* Defaults and bounds obey their own rules, and what lies just outside is refused. */
static void test_defaults_and_bounds(void **state)
{
	char text[VALUE_TEXT], again[VALUE_TEXT];

	(void)state;
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];
		const char *to;

		if (k->fallback && !schema_set(k, &config, 0, k->fallback))
			fail_msg("%s = %s", k->key, k->fallback);
		to = strstr(value_range(&k->rule, text), " to ");
		if (!to || k->rule.kind == VALUE_RATE)
			continue;
		if (!schema_set(k, &config, 0, to + 4))
			fail_msg("%s = %s", k->key, to + 4);
		assert_string_equal(schema_get(k, &config, 0, again), to + 4);
		text[to - text] = '\0';
		if (!schema_set(k, &config, 0, text))
			fail_msg("%s = %s", k->key, text);
		assert_string_equal(schema_get(k, &config, 0, again), text);
	}
}

/* The words of an error are not cut. */
static void test_expects_fits(void **state)
{
	char text[VALUE_EXPECTS];

	(void)state;
	for (unsigned i = 0; i < schema_count; i++)
		assert_true(strlen(value_expects(&schema_keys[i].rule, text)) < VALUE_EXPECTS - 1);
}

static void test_near(void **state)
{
	static const struct {
		enum schema_section section;
		const char *typed, *meant;
	} rows[] = {
		{ SECTION_SERVER, "adress", "address" },
		{ SECTION_SERVER, "Address", "address" },
		{ SECTION_SERVER, "uripath", "uri-path" },
		{ SECTION_SERVER, "url-host", "uri-host" },
		{ SECTION_SERVER, "lnik", "link" },
		{ SECTION_SERVER, "colour", NULL },
		{ SECTION_SERVER, "", NULL },
		{ SECTION_SERVER, "a-key-that-is-longer-than-any", NULL },
		{ SECTION_LINK, "share-trust", "share-trusted" },
		{ SECTION_GUARD, "log_level", "log-level" },
		{ SECTION_CONTEXT, "senderid", "sender-id" },
		{ SECTION_CONTEXT, "server", "servers" },
		{ SECTION_CONTEXT, "master-secret", "master-secret-file" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *near = schema_near_key(rows[i].section, rows[i].typed);

		if ((near && !rows[i].meant) || (!near && rows[i].meant))
			fail_msg("\"%s\" is near \"%s\"", rows[i].typed, near ? near : "-");
		if (near)
			assert_string_equal(near, rows[i].meant);
	}
	assert_string_equal(schema_near_section("servers"), "server");
	assert_string_equal(schema_near_section("allowlist"), "allow-list");
	assert_string_equal(schema_near_section("contexts"), "context");
	assert_null(schema_near_section("banana"));
}

static void test_names(void **state)
{
	char names[SCHEMA_LIST], name[PROXY_NAME];

	(void)state;
	memset(&config, 0, sizeof config);
	assert_string_equal(schema_names(&config, SECTION_LINK, names), "none");
	strcpy(config.proxy.links[1].name, "b");
	strcpy(config.proxy.links[0].name, "a");
	assert_string_equal(schema_names(&config, SECTION_LINK, names), "a, b");
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		snprintf(name, sizeof name, "a-server-with-a-long-name-%u", i);
		strcpy(config.proxy.servers[i].name, name);
	}
	schema_names(&config, SECTION_SERVER, names);
	assert_string_equal(names + strlen(names) - 5, ", ...");
	assert_int_equal(schema_place(&config, SECTION_SERVER, "a-server-with-a-long-name-63"), 63);
	assert_int_equal(schema_place(&config, SECTION_SERVER, "none"), -1);
	assert_int_equal(schema_place(&config, SECTION_LINK, ""), -1);
}

static const char *head_of(enum schema_section s, char out[64])
{
	snprintf(out, 64, "## [%s%s]", schema_word(s), schema_is_named(s) ? " NAME" : "");
	return out;
}

/* The line of docs/configuration.md for one key. */
static void doc_row(const struct schema_key *k, char out[512])
{
	char range[VALUE_TEXT], words[2 * VALUE_TEXT] = "", fallback[VALUE_TEXT] = "";
	size_t len = 0;

	for (const char *p = value_range(&k->rule, range); *p; p++)
		len += (size_t)sprintf(words + len, *p == '|' ? ", " : "%c", *p);
	if (k->fallback)
		snprintf(fallback, sizeof fallback, *k->fallback ? "`%s`" : "empty%s", k->fallback);
	snprintf(out, 512, "\n| `%s` | %s | %s | %s | %s |\n", k->key, fallback, words, k->reloadable ? "yes" : "no",
		 k->text);
}

static void test_documented(void **state)
{
	char *doc = read_all(TEST_ROOT "/docs/configuration.md");

	(void)state;
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];
		char head[64], row[512];
		char *section = section_of(doc, head_of(k->section, head), "## ");

		doc_row(k, row);
		if (!section || !strstr(section, row))
			fail_msg("docs/configuration.md lacks, under \"%s\":%s", head, row);
		free(section);
	}
	free(doc);
}

/* conf/coap-guard.conf shows every key, commented out, at its default. */
static void test_shipped(void **state)
{
	char *conf = read_all(TEST_ROOT "/conf/coap-guard.conf");
	static const char *const heads[SECTION_COUNT] = {
		"[guard]",    ";[listen outside]", ";[link default]", ";[server lamp]", ";[context phone]",
		"[throttle]", "[allow-list]",      "[echo]",          "[sequence]",     "[cache]",
		"[state]",    "[control]",         "[metrics]",
	};

	(void)state;
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];
		char *section, line[VALUE_TEXT + 64];

		snprintf(line, sizeof line, "\n;%s =%s%s%s", k->key, k->fallback && *k->fallback ? " " : "",
			 k->fallback ? k->fallback : "", k->fallback ? "\n" : "");
		section = section_of(conf, heads[k->section], "[");
		if (!section || !strstr(section, line))
			fail_msg("conf/coap-guard.conf lacks, under \"%s\":%s", heads[k->section], line);
		free(section);
	}
	free(conf);
}

/* What is planned is said to be, in the code and on paper. */
static void test_planned(void **state)
{
	static const struct {
		const char *section, *key, *value, *paper;
	} rows[] = {
		{ "egress", NULL, NULL, "`[egress]`" },
		{ "listen", "side", NULL, "`[listen]` `side`" },
		{ "throttle", "exempt", NULL, "`[throttle]` `exempt`" },
	};
	char *doc = read_all(TEST_ROOT "/docs/configuration.md");

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *text = schema_planned(rows[i].section, rows[i].key, rows[i].value);
		char line[256];

		assert_non_null(text);
		snprintf(line, sizeof line, "\n| %s | %s |\n", rows[i].paper, text);
		if (!strstr(doc, line))
			fail_msg("docs/configuration.md lacks: %s", line);
	}
	assert_null(schema_planned("server", "mode", NULL));
	assert_null(schema_planned("server", NULL, NULL));
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),        cmocka_unit_test(test_defaults_and_bounds),
		cmocka_unit_test(test_expects_fits), cmocka_unit_test(test_near),
		cmocka_unit_test(test_names),        cmocka_unit_test(test_documented),
		cmocka_unit_test(test_shipped),      cmocka_unit_test(test_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

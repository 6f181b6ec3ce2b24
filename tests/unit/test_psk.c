#include "psk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "00112233445566778899aabbccddeeff"

static struct psk_list list;
static char why[256];

static void reads_lines(void **state)
{
	static const struct {
		const char *text, *identities; /* apart by blanks */
		const char *why;               /* NULL: nothing is wrong */
	} rows[] = {
		{ "phone " KEY, "phone", NULL },
		{ "phone " KEY "\n", "phone", NULL },
		{ "# all of them\n\n  phone\t0x" KEY "\r\nwatch " KEY KEY " \n#", "phone watch", NULL },
		{ "a:b/c@d " KEY "\nb 0X" KEY, "a:b/c@d b", NULL },
		{ "", "", "line 0: the end, and no identity" },
		{ "\n# none\n", "", "line 2: the end, and no identity" },
		{ "phone", "", "line 1: empty" },
		{ "phone \n", "", "line 1: empty" },
		{ "phone 0011", "", "line 1: shorter than 16 bytes, which can be guessed" },
		{ "phone " KEY "0", "", "line 1: an odd number of digits" },
		{ "phone " KEY "\nphone " KEY, "", "line 2: an identity that was there before" },
		{ "phone " KEY "\n\nwatch " KEY " " KEY KEY KEY KEY, "", "line 3: longer than 64 bytes" },
		{ "phone secret", "", "line 1: not hexadecimal" },
		{ KEY KEY " " KEY, "", "line 1: an identity longer than 63 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char found[256] = "";
		bool ok = psk_parse(&list, rows[i].text, strlen(rows[i].text), why, sizeof why);

		if (ok != !rows[i].why || (!ok && strcmp(why, rows[i].why) != 0))
			fail_msg("row %zu: %s", i, ok ? "taken" : why);
		for (unsigned j = 0; j < list.count; j++)
			snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", j ? " " : "",
				 list.list[j].identity);
		assert_string_equal(found, rows[i].identities);
	}
	assert_false(psk_parse(&list, "a\0b " KEY, strlen(KEY) + 4, why, sizeof why));
}

static void wipes_what_is_no_good(void **state)
{
	static const struct psk_list nothing;

	(void)state;
	assert_false(psk_parse(&list, "phone " KEY "\nwatch x", strlen(KEY) + 14, why, sizeof why));
	assert_memory_equal(&list, &nothing, sizeof list);
}

static void holds_so_many(void **state)
{
	char text[128 * (PSK_MAX + 1)];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < PSK_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "client-%02u " KEY "%02x\n", i, i);
	assert_true(psk_parse(&list, text, len, why, sizeof why));
	for (unsigned i = 0; i < PSK_MAX; i++) {
		char name[16];
		int n = snprintf(name, sizeof name, "client-%02u", i);
		const struct psk *p = psk_find(&list, (const uint8_t *)name, (size_t)n);

		assert_non_null(p);
		assert_int_equal(p->len, 17);
		assert_int_equal(p->key[16], i);
		assert_null(psk_find(&list, (const uint8_t *)name, (size_t)n - 1));
	}
	assert_null(psk_find(&list, (const uint8_t *)"", 0));
	assert_null(psk_find(&list, (const uint8_t *)"client-00\0", 10));
	len += (size_t)snprintf(text + len, sizeof text - len, "one-more " KEY "\n");
	assert_false(psk_parse(&list, text, len, why, sizeof why));
	assert_string_equal(why, "line 65: one identity too many; 64 at most");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static void reads_files_of_its_own_only(void **state)
{
	char dir[] = "/tmp/test_psk.XXXXXX", config[64], file[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(config, sizeof config, "%s/guard.conf", dir);
	snprintf(file, sizeof file, "%s/a.psk", dir);
	assert_false(psk_read(&list, "listen-a.psk", "a.psk", config, why, sizeof why));
	write_file(file, "phone " KEY, 0600);
	assert_true(psk_read(&list, "listen-a.psk", "a.psk", config, why, sizeof why));
	assert_true(psk_read(&list, "listen-a.psk", file, config, why, sizeof why));
	assert_int_equal(list.count, 1);
	chmod(file, 0640);
	assert_false(psk_read(&list, "listen-a.psk", "a.psk", config, why, sizeof why));
	assert_non_null(strstr(why, "others may read or write it"));
	write_file(file, "phone " KEY "x", 0600);
	chmod(file, 0600);
	assert_false(psk_read(&list, "listen-a.psk", "a.psk", config, why, sizeof why));
	assert_string_equal(why, "a.psk: line 1: not hexadecimal");
	assert_null(strstr(why, KEY));
	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lines),
		cmocka_unit_test(wipes_what_is_no_good),
		cmocka_unit_test(holds_so_many),
		cmocka_unit_test(reads_files_of_its_own_only),
	};

	unsetenv("CREDENTIALS_DIRECTORY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

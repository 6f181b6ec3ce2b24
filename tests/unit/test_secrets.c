/* secrets: what is a key, whose it may be, and that nothing of it gets into what is said. */
#include "secrets.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define KEY   "000102030405060708090a0b0c0d0e0f"
#define KEY64 KEY KEY KEY KEY

static char directory[64], config[96], key[96];
static uint8_t secret[SECRETS_MAX];
static char why[512];

static void write_key(const char *path, const char *text, size_t len, mode_t mode)
{
	int fd;

	unlink(path); /* the last one may be read-only */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static size_t take(const char *text, size_t len)
{
	write_key(key, text, len, 0600);
	why[0] = '\0';
	return secrets_read("phone", key, config, secret, why, sizeof why);
}

static int setup(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	snprintf(directory, sizeof directory, "%s/test_secrets.XXXXXX",
		 getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 32 ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	snprintf(config, sizeof config, "%s/a.conf", directory);
	snprintf(key, sizeof key, "%s/key", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(key);
	return rmdir(directory);
}

static void test_text(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: refused */
		const char *why;
	} rows[] = {
		{ KEY, 16, NULL },
		{ KEY "\n", 16, NULL },
		{ "0x" KEY "\r\n", 16, NULL },
		{ " \t0X" KEY, 16, NULL },
		{ "000102030405060708090A0B0C0D0E0F", 16, NULL },
		{ "0001 0203 0405 0607\n0809 0a0b 0c0d 0e 0 f\n", 16, NULL },
		{ KEY "10", 17, NULL },
		{ KEY64, 64, NULL },
		{ "", 0, "empty" },
		{ "\n", 0, "empty" },
		{ "0x", 0, "empty" },
		{ "000102030405060708090a0b0c0d0e", 0, "shorter than 16 bytes, which can be guessed" },
		{ KEY "1", 0, "an odd number of digits" },
		{ KEY64 "0", 0, "longer than 64 bytes" },
		{ KEY64 KEY64, 0, "longer than 64 bytes" },
		{ KEY "xx", 0, "not hexadecimal" },
		{ "0x0x" KEY, 0, "not hexadecimal" },
		{ KEY " 0x00", 0, "not hexadecimal" },
		{ "\"" KEY "\"", 0, "not hexadecimal" },
		{ "AAECAwQFBgcICQoLDA0ODw==", 0, "not hexadecimal" },
		{ "\xef\xbb\xbf" KEY, 0, "not hexadecimal" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(take(rows[i].text, strlen(rows[i].text)), rows[i].len);
		if (rows[i].why) {
			assert_memory_equal(why, key, strlen(key));
			assert_string_equal(strstr(why, ": ") + 2, rows[i].why);
			continue;
		}
		assert_string_equal(why, "");
		for (size_t b = 0; b < rows[i].len; b++)
			assert_int_equal(secret[b], rows[i].len == 17 ? b : b % 16);
	}
	assert_int_equal(take(KEY "\0" KEY, 2 * strlen(KEY) + 1), 0);
	assert_string_equal(strstr(why, ": "), ": not hexadecimal");
}

/* Every byte behind a good key, and in the middle of one: taken only when it is a digit or white space. */
static void test_every_byte(void **state)
{
	(void)state;
	for (unsigned ch = 0; ch < 256; ch++) {
		char text[] = KEY "00";
		bool hex = ch && strchr("0123456789abcdefABCDEF", (int)ch),
		     space = ch && strchr(" \t\r\n\v\f", (int)ch);

		text[9] = (char)ch;
		assert_int_equal(take(text, strlen(KEY) + 2), hex ? 17 : 0);
		text[9] = '4';
		text[32] = text[33] = (char)ch;
		assert_int_equal(take(text, strlen(KEY) + 2), hex ? 17 : space ? 16 : 0);
	}
}

static void test_size(void **state)
{
	char text[1025];

	(void)state;
	memset(text, ' ', sizeof text);
	memcpy(text, KEY, strlen(KEY));
	assert_int_equal(take(text, 1024), 16);
	assert_int_equal(take(text, 1025), 0);
	assert_string_equal(strstr(why, ": "), ": too large for a key");
}

static void test_modes(void **state)
{
	(void)state;
	for (mode_t mode = 0; mode <= 0777; mode++) {
		bool ok = (mode & 077) == 0 && (mode & 0400 || geteuid() == 0);

		write_key(key, KEY, strlen(KEY), mode);
		assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), ok ? 16 : 0);
		if (mode & 077 && (mode & 0400 || geteuid() == 0))
			assert_string_equal(strstr(why, ": "), ": others may read or write it; chmod 0600 it");
		unlink(key);
	}
}

static void test_owner(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	write_key(key, KEY, strlen(KEY), 0600);
	assert_int_equal(chown(key, 65534, 65534), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_string_equal(strstr(why, ": "), ": belongs to another user; expected this one or root");
	/* For its owner it is good. */
	assert_int_equal(chmod(directory, 0711), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 16);
	assert_int_equal(seteuid(0), 0);
	unlink(key);
}

static void test_kinds(void **state)
{
	char target[96];

	(void)state;
	unlink(key);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_string_equal(strstr(why, ": "), ": No such file or directory");
	snprintf(target, sizeof target, "%s/target", directory);
	write_key(target, KEY, strlen(KEY), 0600);
	assert_int_equal(symlink(target, key), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_string_equal(strstr(why, ": "), ": a symbolic link; name the file itself");
	unlink(key);
	unlink(target);
	assert_int_equal(mkfifo(key, 0600), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_string_equal(strstr(why, ": "), ": not a regular file");
	unlink(key);
	assert_int_equal(mkdir(key, 0700), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_string_equal(strstr(why, ": "), ": not a regular file");
	assert_int_equal(rmdir(key), 0);
}

static void test_beside(void **state)
{
	char name[600], old[256];

	(void)state;
	write_key(key, KEY, strlen(KEY), 0600);
	assert_int_equal(secrets_read("phone", "key", config, secret, why, sizeof why), 16);
	assert_int_equal(secrets_read("phone", "./key", config, secret, why, sizeof why), 16);
	assert_int_equal(secrets_read("phone", "keys/phone", config, secret, why, sizeof why), 0);
	assert_memory_equal(why, directory, strlen(directory));
	/* A configuration without a slash is where we are. */
	assert_non_null(getcwd(old, sizeof old));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(secrets_read("phone", "key", "a.conf", secret, why, sizeof why), 16);
	assert_int_equal(chdir(old), 0);
	/* What is cut is no other file. */
	snprintf(name, sizeof name, "%s/%0500d/key", directory, 0);
	assert_int_equal(secrets_read("phone", name, config, secret, why, sizeof why), 0);
}

static void test_credentials(void **state)
{
	char credential[128];

	(void)state;
	write_key(key, KEY, strlen(KEY), 0600);
	snprintf(credential, sizeof credential, "%s/phone", directory);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	/* None of this name: the file. */
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 16);
	/* Of this name: it, with the mode that the manager gave it. */
	write_key(credential, KEY KEY, 2 * strlen(KEY), 0440);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 32);
	/* A bad one is not passed over. */
	write_key(credential, "x", 1, 0400);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	assert_memory_equal(why, credential, strlen(credential));
	unlink(credential);
	assert_int_equal(symlink(key, credential), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 0);
	unlink(credential);
	/* A place that is none: no credentials. */
	write_key(credential, KEY KEY, 2 * strlen(KEY), 0400);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "relative", 1), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 16);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "", 1), 0);
	assert_int_equal(secrets_read("phone", key, config, secret, why, sizeof why), 16);
	unlink(credential);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* No eight digits of what stood in the file are in what is said. */
static void test_silence(void **state)
{
	static const char *const texts[] = { KEY "1", KEY "z", KEY64 "00", "0001020304050607" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(take(texts[i], strlen(texts[i])), 0);
		for (size_t at = 0; at + 8 <= strlen(texts[i]); at++) {
			char part[9];

			snprintf(part, sizeof part, "%.8s", texts[i] + at);
			assert_null(strstr(why, part));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),   cmocka_unit_test(test_every_byte),  cmocka_unit_test(test_size),
		cmocka_unit_test(test_modes),  cmocka_unit_test(test_owner),       cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_beside), cmocka_unit_test(test_credentials), cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* statedir: what is written is read, what is not so is refused, and there is one writer. */
#include "statedir.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define TOO_LARGE "1099511627777" /* 2^40 + 1 */
#define LARGEST   "1099511627776"

/* As in statedir.h; the checksum is another program's. */
#define SAMPLE                                                                                                         \
	"coap-guard-context 1\n"                                                                                       \
	"fingerprint 000102030405060708090a0b0c0d0e0f\n"                                                               \
	"sender f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"                                                                    \
	"next 1024\n"                                                                                                  \
	"window 32 77 5f\n"                                                                                            \
	"end 900d7759\n"

static char directory[64], file[96];
static struct statedir dir;
static char why[256];

static int setup(void **state)
{
	(void)state;
	/* In memory, for there are many writes. */
	snprintf(directory, sizeof directory, "%s/test_statedir.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(directory))
		return -1;
	snprintf(file, sizeof file, "%s/phone.context", directory);
	return statedir_open(&dir, directory, why, sizeof why);
}

static int teardown(void **state)
{
	char lock[96];

	(void)state;
	statedir_close(&dir);
	snprintf(lock, sizeof lock, "%s/lock", directory);
	unlink(lock);
	unlink(file);
	return rmdir(directory);
}

static void put_file(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static enum statedir_found get(struct statedir_entry *e)
{
	why[0] = '\0';
	return statedir_read(&dir, "phone", e, why, sizeof why);
}

/* The text with a good last line, by long division of polynomials. */
static size_t finish(const char *lines, char *out, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (const char *p = lines; *p; p++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bool odd = ((uint32_t)(uint8_t)*p >> bit ^ crc) & 1;

			crc = crc >> 1 ^ (odd ? 0xedb88320 : 0);
		}
	return (size_t)snprintf(out, size, "%send %08" PRIx32 "\n", lines, crc ^ UINT32_MAX);
}

static void test_sample(void **state)
{
	struct statedir_entry e;
	char text[512];
	FILE *f;

	(void)state;
	put_file(SAMPLE, strlen(SAMPLE));
	assert_int_equal(get(&e), STATEDIR_FOUND);
	for (unsigned i = 0; i < OSCORE_PRINT; i++) {
		assert_int_equal(e.print[i], i);
		assert_int_equal(e.sender[i], 0xf0 + i);
	}
	assert_int_equal(e.state.next, 1024);
	assert_true(e.state.synced);
	assert_int_equal(e.state.window.size, 32);
	assert_int_equal(e.state.window.next, 77);
	assert_int_equal(e.state.window.seen, 0x5f);
	/* And written again it is the same. */
	unlink(file);
	assert_int_equal(statedir_write(&dir, "phone", &e), 0);
	f = fopen(file, "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof text, f), strlen(SAMPLE));
	assert_memory_equal(text, SAMPLE, strlen(SAMPLE));
	fclose(f);
}

static uint64_t seed = 1;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Small and large numbers, and the ends. */
static uint64_t draw_number(void)
{
	uint64_t n = draw() >> (24 + draw() % 40);

	return draw() % 16 ? n : OSCORE_PIV_MAX + 1 - n % 2;
}

static void test_round_trips(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		struct statedir_entry e = { 0 }, back;
		struct stat st;

		for (unsigned b = 0; b < OSCORE_PRINT; b++) {
			e.print[b] = (uint8_t)draw();
			e.sender[b] = (uint8_t)draw();
		}
		e.state.next = draw_number();
		e.state.synced = draw() % 2;
		if (e.state.synced) {
			e.state.window.size = (uint8_t)(1 + draw() % REPLAY_MAX);
			e.state.window.next = draw_number();
			e.state.window.seen = draw() >> (64 - e.state.window.size);
		}
		assert_int_equal(statedir_write(&dir, "phone", &e), 0);
		assert_int_equal(get(&back), STATEDIR_FOUND);
		assert_memory_equal(back.print, e.print, OSCORE_PRINT);
		assert_memory_equal(back.sender, e.sender, OSCORE_PRINT);
		assert_true(back.state.next == e.state.next && back.state.synced == e.state.synced);
		assert_int_equal(back.state.window.size, e.state.window.size);
		assert_true(back.state.window.next == e.state.window.next &&
			    back.state.window.seen == e.state.window.seen);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void must_be_bad(const char *text, size_t len)
{
	struct statedir_entry e;

	put_file(text, len);
	if (get(&e) != STATEDIR_BAD)
		fail_msg("taken: \"%.*s\"", (int)len, text);
	assert_true(strlen(why) > 4);
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(SAMPLE); len++)
		must_be_bad(SAMPLE, len);
	assert_true(strlen(why) > 0);
	must_be_bad("", 0);
	assert_string_equal(why, "empty");
}

/* Every byte changed into every other. */
static void test_corrupted(void **state)
{
	char text[] = SAMPLE;

	(void)state;
	for (size_t i = 0; i < strlen(SAMPLE); i++) {
		for (unsigned other = 0; other < 256; other++) {
			if ((char)other == SAMPLE[i])
				continue;
			text[i] = (char)other;
			must_be_bad(text, strlen(SAMPLE));
		}
		text[i] = SAMPLE[i];
	}
}

/* Every byte left out, and every one there twice; blocks of another write. */
static void test_shifted(void **state)
{
	char text[sizeof SAMPLE + 512];

	(void)state;
	for (size_t i = 0; i < strlen(SAMPLE); i++) {
		memcpy(text, SAMPLE, i);
		strcpy(text + i, &SAMPLE[i + 1]);
		must_be_bad(text, strlen(text));
		memcpy(text, SAMPLE, i + 1);
		strcpy(text + i + 1, &SAMPLE[i]);
		must_be_bad(text, strlen(text));
		memcpy(text, SAMPLE, strlen(SAMPLE));
		memset(text + i, 0, strlen(SAMPLE) - i); /* zeros, as some file systems leave them */
		must_be_bad(text, strlen(SAMPLE));
	}
	must_be_bad(SAMPLE "\n", strlen(SAMPLE) + 1);
	must_be_bad(SAMPLE SAMPLE, 2 * strlen(SAMPLE));
	memset(text, 'x', sizeof text);
	memcpy(text, SAMPLE, strlen(SAMPLE));
	must_be_bad(text, sizeof text);
}

#define PRINTS "fingerprint 000102030405060708090a0b0c0d0e0f\nsender f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
#define HEAD   "coap-guard-context 1\n" PRINTS

/* Whole, as far as the checksum can tell. */
static void test_strict(void **state)
{
	static const struct {
		const char *lines, *why; /* NULL: good */
	} rows[] = {
		{ HEAD "next 0\n", NULL },
		{ HEAD "next " LARGEST "\n", NULL },
		{ HEAD "next 0\nwindow 1 0 0\n", NULL },
		{ HEAD "next 0\nwindow 1 1 1\n", NULL },
		{ HEAD "next 0\nwindow 64 " LARGEST " ffffffffffffffff\n", NULL },
		{ HEAD "next " TOO_LARGE "\n", "damaged: a missing or wrong line" },
		{ HEAD "next 18446744073709551616\n", "damaged: a missing or wrong line" },
		{ HEAD "next -1\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 32 " TOO_LARGE " 0\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 0 0 0\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 65 0 0\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 32 9 100000000\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 1 1 2\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow 32 9\n", "damaged: a missing or wrong line" },
		{ HEAD "next 0\nwindow\n", "damaged: not as it was written" },
		{ HEAD "next 00\n", "damaged: not as it was written" },
		{ HEAD "next +1\n", "damaged: not as it was written" },
		{ HEAD "next  1\n", "damaged: not as it was written" },
		{ HEAD "next 1 \n", "damaged: not as it was written" },
		{ HEAD "next 1\r\n", "damaged: not as it was written" },
		{ HEAD "next 1\n\n", "damaged: not as it was written" },
		{ HEAD "next 1\nnext 2\n", "damaged: not as it was written" },
		{ HEAD "next 1\nwindow 32 9 F\n", "damaged: not as it was written" },
		{ HEAD "next 1\nwindow 32 9 0xf\n", "damaged: not as it was written" },
		{ HEAD "next 1\nwindow 32 9 f\nwindow 32 9 f\n", "damaged: not as it was written" },
		{ HEAD, "damaged: a missing or wrong line" },
		{ HEAD "window 32 9 f\nnext 1\n", "damaged: a missing or wrong line" },
		{ "coap-guard-context 1\nnext 1\n", "damaged: a missing or wrong line" },
		{ "coap-guard-context 1\nfingerprint 0g0102030405060708090a0b0c0d0e0f\nsender "
		  "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\nnext 1\n",
		  "damaged: a missing or wrong line" },
		{ "coap-guard-context 1\nfingerprint 00\nsender 00\nnext 1\n", "damaged: a missing or wrong line" },
		{ "coap-guard-context 2\n" PRINTS "next 1\n", "of an unknown version" },
		{ "coap-guard-context 11\n", "of an unknown version" },
		{ "next 1\n", "damaged: a missing or wrong line" },
		{ "", "damaged: a missing or wrong line" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct statedir_entry e;
		char text[512];

		put_file(text, finish(rows[i].lines, text, sizeof text));
		if (get(&e) != (rows[i].why ? STATEDIR_BAD : STATEDIR_FOUND))
			fail_msg("\"%s\": %s", rows[i].lines, why);
		assert_string_equal(why, rows[i].why ? rows[i].why : "");
	}
}

static void test_kinds(void **state)
{
	struct statedir_entry e;
	char target[96];

	(void)state;
	unlink(file);
	assert_int_equal(get(&e), STATEDIR_NONE);
	snprintf(target, sizeof target, "%s/target", directory);
	put_file(SAMPLE, strlen(SAMPLE));
	assert_int_equal(rename(file, target), 0);
	assert_int_equal(symlink(target, file), 0);
	assert_int_equal(get(&e), STATEDIR_UNREADABLE);
	/* Writing puts a file in the place of the link, and leaves alone what it led to. */
	memset(&e, 0, sizeof e);
	assert_int_equal(statedir_write(&dir, "phone", &e), 0);
	assert_int_equal(get(&e), STATEDIR_FOUND);
	assert_int_equal(e.state.next, 0);
	assert_int_equal(rename(target, file), 0);
	assert_int_equal(get(&e), STATEDIR_FOUND);
	assert_int_equal(e.state.next, 1024);
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(get(&e), STATEDIR_UNREADABLE);
	assert_string_equal(why, "not a regular file");
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(get(&e), STATEDIR_UNREADABLE);
	assert_int_equal(rmdir(file), 0);
}

/* A failed write is said, leaves the old file, and no rubbish. */
static void test_failures(void **state)
{
	struct statedir_entry e = { 0 };
	char fresh[128], away[80];

	(void)state;
	snprintf(fresh, sizeof fresh, "%s.new", file);
	put_file(SAMPLE, strlen(SAMPLE));
	/* A leftover is no obstacle, whatever it links to. */
	assert_int_equal(symlink("/nowhere/at/all", fresh), 0);
	e.state.next = 7;
	assert_int_equal(statedir_write(&dir, "phone", &e), 0);
	assert_int_equal(get(&e), STATEDIR_FOUND);
	assert_int_equal(e.state.next, 7);
	assert_int_equal(access(fresh, F_OK), -1);
	/* A directory is. */
	assert_int_equal(mkdir(fresh, 0700), 0);
	e.state.next = 8;
	assert_int_equal(statedir_write(&dir, "phone", &e), -EISDIR);
	assert_int_equal(get(&e), STATEDIR_FOUND);
	assert_int_equal(e.state.next, 7);
	assert_int_equal(rmdir(fresh), 0);
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(statedir_write(&dir, "phone", &e), -EISDIR);
	assert_int_equal(access(fresh, F_OK), -1);
	assert_int_equal(rmdir(file), 0);
	/* So is a directory that has gone. */
	snprintf(away, sizeof away, "%s.away", directory);
	assert_int_equal(rename(directory, away), 0);
	assert_int_equal(statedir_write(&dir, "phone", &e), -ENOENT);
	assert_int_equal(rename(away, directory), 0);
	assert_int_equal(statedir_write(&dir, "phone", &e), 0);
}

static void test_find(void **state)
{
	static const char *const others[] = { "a.context", "nothing", ".context", "a.context.new" };
	struct statedir_entry e = { .sender = { 9 } };
	char name[PROXY_NAME], path[128];

	(void)state;
	assert_false(statedir_find(&dir, e.sender, "", name));
	assert_int_equal(statedir_write(&dir, "phone", &e), 0);
	assert_true(statedir_find(&dir, e.sender, "", name));
	assert_string_equal(name, "phone");
	assert_false(statedir_find(&dir, e.sender, "phone", name));
	/* What is no state file is passed over. */
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, others[i]);
		fclose(fopen(path, "w"));
	}
	assert_true(statedir_find(&dir, e.sender, "tablet", name));
	assert_string_equal(name, "phone");
	e.sender[15] = 1;
	assert_false(statedir_find(&dir, e.sender, "", name));
	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, others[i]);
		unlink(path);
	}
}

/* In another process: what statedir_open says there. */
static int open_elsewhere(void)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct statedir second;

		_exit(-statedir_open(&second, directory, why, sizeof why));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_lock(void **state)
{
	struct statedir second;

	(void)state;
	assert_int_equal(open_elsewhere(), EWOULDBLOCK);
	assert_int_equal(statedir_open(&second, directory, why, sizeof why), -EWOULDBLOCK);
	assert_false(statedir_is_open(&second));
	assert_memory_equal(why, directory, strlen(directory));
	assert_string_equal(why + strlen(directory), ": locked by another coap-guardd");
	statedir_close(&second); /* harmless */
	statedir_close(&dir);
	assert_int_equal(open_elsewhere(), 0);
	/* The lock of a process that has gone is none. */
	assert_int_equal(statedir_open(&dir, directory, why, sizeof why), 0);
}

static void test_directory(void **state)
{
	struct statedir other;
	char path[160];
	struct stat st;

	(void)state;
	snprintf(path, sizeof path, "%s/made", directory);
	assert_int_equal(statedir_open(&other, path, why, sizeof why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	statedir_close(&other);
	for (mode_t mode = 0; mode < 0100; mode++) { /* of group and others */
		assert_int_equal(chmod(path, 0700 | mode), 0);
		assert_int_equal(statedir_open(&other, path, why, sizeof why), mode & 022 ? -EPERM : 0);
		if (mode & 022)
			assert_string_equal(strstr(why, ": "), ": others may write there; chmod 0700 it");
		statedir_close(&other);
	}
	assert_int_equal(chmod(path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(statedir_open(&other, path, why, sizeof why), -EPERM);
		assert_string_equal(strstr(why, ": "), ": belongs to another user");
	}
	snprintf(path, sizeof path, "%s/made/lock", directory);
	unlink(path);
	snprintf(path, sizeof path, "%s/made", directory);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof path, "%s/not/made", directory);
	assert_int_equal(statedir_open(&other, path, why, sizeof why), -ENOENT);
	assert_string_equal(strstr(why, ": "), ": No such file or directory");
	put_file("", 0);
	assert_int_equal(statedir_open(&other, file, why, sizeof why), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),    cmocka_unit_test(test_round_trips), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_corrupted), cmocka_unit_test(test_shifted),     cmocka_unit_test(test_strict),
		cmocka_unit_test(test_kinds),     cmocka_unit_test(test_failures),    cmocka_unit_test(test_find),
		cmocka_unit_test(test_lock),      cmocka_unit_test(test_directory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* contexts, renewal: what is at work, what is on disk, and what is said, over starts, ends, reloads and full disks. */
#include "contexts.h"
#include "entropy.h"
#include "proxy/core.h"
#include "proxy/snapshot.h"
#include "renewal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define KEY_B "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define LAMP  "[server lamp]\naddress = coap://[fd00::17]\n"
#define PHONE "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\n"
#define GUARD "[context guard]\nsender-id =\nrecipient-id = 0x03\nnext-hop = lamp\n"

/* One daemon, as far as contexts go. */
static struct config config, candidate;
static struct config_errors errors;
static struct contexts x;
static struct proxy *proxy;
static struct entropy entropy;
static struct log journal;
static char root[64], said[65536], text[CONTEXTS_TEXT];
static tstamp now = 1000 * TSTAMP_S;

static const char *at(const char *name)
{
	static char path[4][160];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
	return path[turn];
}

static void put(const char *name, const char *content)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static const char *get(const char *name)
{
	static char content[1024];
	int fd = open(at(name), O_RDONLY);
	ssize_t len = fd < 0 ? 0 : read(fd, content, sizeof content - 1);

	content[len > 0 ? len : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return content;
}

/* The lines of a state file between the prints and the end. */
static const char *state_of(const char *name)
{
	static char lines[1024];
	char file[64];
	const char *start;

	snprintf(file, sizeof file, "state/%s.context", name);
	start = strstr(get(file), "next ");
	snprintf(lines, sizeof lines, "%s", start ? start : "none");
	if (start)
		*strstr(lines, "end ") = '\0';
	return lines;
}

static const char *log_text(void)
{
	ssize_t len = pread(journal.fd, said, sizeof said - 1, 0);

	said[len > 0 ? len : 0] = '\0';
	return said;
}

static void forget_log(void)
{
	assert_int_equal(ftruncate(journal.fd, 0), 0);
	lseek(journal.fd, 0, SEEK_SET);
	log_init(&journal, journal.fd, LEVEL_INFO);
}

static void load(struct config *c, const struct config *previous, const char *sections)
{
	char whole[4096];

	snprintf(whole, sizeof whole, LAMP "[state]\ndirectory = %s\n%s", at("state"), sections);
	put("guard.conf", whole);
	if (!config_load(c, previous, at("guard.conf"), &errors))
		fail_msg("%s", errors.list[0].text);
}

static int begin(const char *sections)
{
	uint8_t secret[32] = { 7 };
	static char path[160];

	load(&config, NULL, sections);
	snprintf(path, sizeof path, "%s", at("guard.conf"));
	entropy_init(&entropy);
	proxy = proxy_create(&config.proxy, secret, &entropy.rng, now);
	assert_non_null(proxy);
	forget_log();
	contexts_init(&x);
	return contexts_open(&x, proxy, &config, path, &journal, now);
}

/* As kill -9: nothing is written any more. */
static void vanish(void)
{
	statedir_close(&x.dir);
	proxy_free(proxy);
	entropy_wipe(&entropy);
}

static void end(void)
{
	contexts_close(&x);
	vanish();
}

static void reload(const char *sections)
{
	load(&candidate, &config, sections);
	contexts_leave(&x, &candidate);
	proxy_reconfigure(proxy, &candidate.proxy, now);
	config = candidate;
	contexts_enter(&x, now);
}

static struct oscore_context *context(const char *name)
{
	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++) {
		if (strcmp(config.proxy.contexts[i].name, name) == 0)
			return oscore_store_at(proxy->contexts, i);
	}
	fail_msg("no context %s", name);
	return NULL;
}

static void ignore_header(void *arg, const char *const *names, unsigned n)
{
	(void)arg;
	assert_string_equal(names[0], "context");
	assert_string_equal(names[n - 1], "note");
}

static void take_note(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	const char **note = arg;

	if (strcmp(cells[0].text, note[0]) == 0)
		note[1] = cells[n - 1].text;
}

/* What people are told of a context. */
static const char *note(const char *name)
{
	const char *row[2] = { name, NULL };
	struct snapshot_sink sink = { ignore_header, take_note, row };

	snapshot_contexts(proxy, &sink, now);
	assert_non_null(row[1]);
	return row[1];
}

static void use(const char *name, unsigned numbers)
{
	uint64_t number;

	while (numbers-- > 0)
		assert_true(oscore_context_number(context(name), &number));
}

static void remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "%s/test_contexts.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(root))
		return -1;
	log_init(&journal, memfd_create("test_contexts", MFD_CLOEXEC), LEVEL_INFO);
	mkdir(at("keys"), 0700);
	put("keys/phone", KEY_A "\n");
	put("keys/guard", KEY_B "\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(journal.fd);
	remove_tree(root);
	return 0;
}

/* Most guards have no contexts, and no state directory. */
static void test_none(void **state)
{
	(void)state;
	assert_int_equal(begin(""), EX_OK);
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	reload("");
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	end();
	assert_int_equal(access(at("state"), F_OK), -1);
	assert_string_equal(log_text(), "");
}

static void test_first_time(void **state)
{
	(void)state;
	assert_int_equal(begin(PHONE), EX_OK);
	assert_int_equal(contexts_count(&x), 1);
	assert_int_equal(contexts_working(&x), 0);
	assert_string_equal(note("phone"), "no state for its key: coap-guardctl context new phone");
	assert_false(renewal_new(&x, "fan", now, text));
	assert_string_equal(text, "no section [context fan]; defined contexts: phone");
	assert_true(renewal_new(&x, "phone", now, text));
	assert_string_equal(text, "[context phone] works; its state begins at 0");
	assert_string_equal(note("phone"), "");
	assert_int_equal(contexts_working(&x), 1);
	assert_true(context("phone")->synced);
	assert_int_equal(context("phone")->limit, 128);
	assert_string_equal(state_of("phone"), "next 128\n");
	assert_false(renewal_new(&x, "phone", now, text));
	assert_string_equal(text, "[context phone] works already");
	end();
	assert_string_equal(state_of("phone"), "next 0\nwindow 32 0 0\n");
	/* Not again, even when it does not work. */
	put("keys/phone", KEY_B);
	begin(PHONE);
	assert_false(renewal_new(&x, "phone", now, text));
	assert_non_null(strstr(text, "/state/phone.context exists; "));
	end();
	put("keys/phone", KEY_A);
}

/* A clean end keeps numbers and window; a sudden one costs what was reserved, and the window. */
static void test_ends(void **state)
{
	(void)state;
	begin(PHONE);
	use("phone", 5);
	assert_true(replay_accept(&context("phone")->window, 9));
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	end();
	assert_string_equal(state_of("phone"), "next 5\nwindow 32 10 1\n");
	begin(PHONE);
	assert_int_equal(context("phone")->next, 5);
	assert_true(context("phone")->synced);
	assert_false(replay_is_fresh(&context("phone")->window, 9));
	assert_true(replay_is_fresh(&context("phone")->window, 8));
	assert_string_equal(state_of("phone"), "next 133\n"); /* in use */
	vanish();
	assert_string_equal(state_of("phone"), "next 133\n");
	begin(PHONE);
	assert_int_equal(context("phone")->next, 133);
	assert_false(context("phone")->synced);
	end();
	assert_string_equal(state_of("phone"), "next 133\n"); /* it stays lost */
}

/* At every moment the disk is ahead of what is used. */
static void test_ahead(void **state)
{
	uint64_t next;

	(void)state;
	begin(PHONE "[state]\nssn-reserve = 16\n");
	for (unsigned i = 0; i < 200; i++) {
		use("phone", 1 + i % 8);
		contexts_settle(&x, now);
		assert_int_equal(sscanf(state_of("phone"), "next %" SCNu64, &next), 1);
		assert_true(context("phone")->next <= next);
		assert_int_equal(context("phone")->limit, next);
	}
	end();
}

static void write_entry(const char *name, const struct oscore_state *s)
{
	struct statedir dir;
	struct statedir_entry e;
	char why[256];

	assert_int_equal(statedir_open(&dir, at("state"), why, sizeof why), 0);
	assert_int_equal(statedir_read(&dir, name, &e, why, sizeof why), STATEDIR_FOUND);
	e.state = *s;
	assert_int_equal(statedir_write(&dir, name, &e), 0);
	statedir_close(&dir);
}

/* The window's size is configured. What a larger one shows is taken for received. */
static void test_window_sizes(void **state)
{
	static const struct {
		unsigned size;
		const char *on_disk;
	} rows[] = {
		{ 32, "next 7\nwindow 32 77 5f\n" },        { 16, "next 7\nwindow 16 77 5f\n" },
		{ 4, "next 7\nwindow 4 77 f\n" },           { 64, "next 7\nwindow 64 77 ffffffff0000005f\n" },
		{ 33, "next 7\nwindow 33 77 10000005f\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oscore_state s = { .next = 7, .synced = true, .window = { 77, 0x5f, 32 } };
		char sections[256];

		write_entry("phone", &s);
		snprintf(sections, sizeof sections, PHONE "replay-window = %u\n", rows[i].size);
		begin(sections);
		assert_int_equal(contexts_working(&x), 1);
		end();
		assert_string_equal(state_of("phone"), rows[i].on_disk);
		/* The same by a reload. */
		write_entry("phone", &s);
		begin(PHONE);
		reload(sections);
		assert_int_equal(contexts_working(&x), 1);
		assert_true(context("phone")->synced);
		end();
		assert_string_equal(state_of("phone"), rows[i].on_disk);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *file, *note;
	} rows[] = {
		{ "", "state empty: new key at both ends, then coap-guardctl context reset phone" },
		{ "x\n", "state damaged: cut off: new key at both ends, then coap-guardctl context reset phone" },
		{ "coap-guard-context 2\n",
		  "state of an unknown version: new key at both ends, then coap-guardctl context reset phone" },
		{ "coap-guard-context 1\nnext 1\nend 00000000\n",
		  "state damaged: cut off or bad checksum: new key at both ends, then coap-guardctl context "
		  "reset phone" },
	};
	struct oscore_state used_up = { .next = OSCORE_PIV_MAX + 1 };

	(void)state;
	/* Others are not harmed. */
	begin(PHONE GUARD);
	assert_true(renewal_new(&x, "guard", now, text));
	end();
	write_entry("phone", &used_up);
	begin(PHONE GUARD);
	assert_string_equal(note("phone"), "no sequence numbers left: new key at both ends, then coap-guardctl "
					   "context reset phone");
	assert_false(renewal_reset(&x, "phone", now, text));
	assert_string_equal(text, "no sequence numbers left: new key at both ends, then reset phone again");
	assert_int_equal(contexts_working(&x), 1);
	end();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put("state/phone.context", rows[i].file);
		begin(PHONE GUARD);
		assert_int_equal(contexts_working(&x), 1);
		assert_string_equal(note("phone"), rows[i].note);
		assert_non_null(strstr(log_text(), rows[i].note));
		end();
		assert_string_equal(get("state/phone.context"), rows[i].file); /* and left alone */
	}
	unlink(at("state/phone.context"));
	assert_int_equal(mkdir(at("state/phone.context"), 0700), 0);
	begin(PHONE GUARD);
	assert_string_equal(note("phone"), "its state cannot be read: not a regular file");
	assert_false(renewal_reset(&x, "phone", now, text));
	assert_non_null(strstr(text, "/state/phone.context: Is a directory"));
	end();
	assert_int_equal(rmdir(at("state/phone.context")), 0);
	/* Without a key, or with one that others can read. */
	assert_int_equal(chmod(at("keys/phone"), 0640), 0);
	begin(PHONE GUARD);
	assert_int_equal(contexts_working(&x), 1);
	assert_non_null(strstr(note("phone"), "/keys/phone: others may read or write it; chmod 0600 it"));
	assert_false(renewal_new(&x, "phone", now, text));
	assert_non_null(strstr(text, "chmod 0600"));
	end();
	assert_int_equal(chmod(at("keys/phone"), 0600), 0);
	begin(PHONE);
	assert_true(renewal_new(&x, "phone", now, text));
	end();
}

static void test_another_key(void **state)
{
	(void)state;
	begin(PHONE);
	use("phone", 3);
	end();
	put("keys/phone", KEY_B "00");
	begin(PHONE);
	assert_string_equal(note("phone"),
			    "its state is of another key or identifier: coap-guardctl context reset phone");
	assert_true(renewal_reset(&x, "phone", now, text));
	assert_non_null(strstr(text, "begins anew at 0. Its key must be new at both ends"));
	assert_int_equal(context("phone")->next, 0);
	assert_true(context("phone")->synced);
	use("phone", 3);
	end();
	assert_string_equal(state_of("phone"), "next 3\nwindow 32 0 0\n");
	/* Another peer, but the sender's half is the same: its numbers go on, or a nonce would be used twice. */
	begin("[context phone]\nsender-id = 0x01\nrecipient-id = 0x09\n");
	assert_string_equal(note("phone"),
			    "its state is of another key or identifier: coap-guardctl context reset phone");
	assert_true(renewal_reset(&x, "phone", now, text));
	assert_non_null(strstr(text, "begins anew at 3. "));
	end();
	/* Another sender: from 0. */
	begin("[context phone]\nsender-id = 0x08\nrecipient-id = 0x09\n");
	assert_true(renewal_reset(&x, "phone", now, text));
	assert_non_null(strstr(text, "begins anew at 0. "));
	end();
	put("keys/phone", KEY_A);
	begin(PHONE);
	assert_true(renewal_reset(&x, "phone", now, text));
	end();
}

/* One master secret, one sender identifier, two peers: a nonce would be used twice. */
static void test_twins(void **state)
{
	static const char *const twin = "[context tablet]\nsender-id = 0x01\nrecipient-id = 0x05\n"
					"master-secret-file = keys/phone\n";
	char sections[512];

	(void)state;
	snprintf(sections, sizeof sections, "%s%s", PHONE, twin);
	begin(sections);
	assert_string_equal(note("tablet"), "the sender key of [context phone]: it needs a master secret of its own");
	assert_false(renewal_new(&x, "tablet", now, text));
	assert_non_null(strstr(text, "its sender key is that of "));
	assert_non_null(strstr(text, "/state/phone.context: rename the file if that was its name before"));
	assert_false(renewal_reset(&x, "tablet", now, text));
	end();
	/* Not when the first one has gone, either: what it used stays used. */
	begin(twin);
	assert_string_equal(note("tablet"), "no state for its key: coap-guardctl context new tablet");
	assert_false(renewal_new(&x, "tablet", now, text));
	assert_non_null(strstr(text, "/state/phone.context: rename the file"));
	end();
	/* The other direction of a pair is no twin. */
	begin(PHONE "[context mirror]\nsender-id = 0x02\nrecipient-id = 0x01\nmaster-secret-file = keys/phone\n");
	assert_true(renewal_new(&x, "mirror", now, text));
	end();
	unlink(at("state/mirror.context"));
}

/* What cannot be written is tried again, later and later; nothing is used meanwhile. */
static void test_write_fails(void **state)
{
	static const unsigned pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	uint64_t number;

	(void)state;
	begin(PHONE);
	assert_int_equal(mkdir(at("state/phone.context.new"), 0700), 0);
	use("phone", 70);
	assert_true(contexts_settle(&x, now) == now + TSTAMP_S);
	assert_string_equal(note("phone"),
			    "its state was not written: Is a directory; it stops when its sequence numbers run out");
	for (unsigned i = 1; i < 8; i++) {
		assert_true(contexts_settle(&x, now + 1) == now + pauses[i - 1] * TSTAMP_S);
		assert_int_equal(x.write_errors, i);
		now += pauses[i - 1] * TSTAMP_S;
		assert_true(contexts_settle(&x, now) == now + pauses[i] * TSTAMP_S);
	}
	while (oscore_context_number(context("phone"), &number))
		assert_true(number < context("phone")->limit);
	assert_int_equal(context("phone")->next, context("phone")->limit);
	/* One line at first; the folding of the rest is the log's affair. */
	assert_non_null(strstr(log_text(), "[context phone] its state was not written: Is a directory"));
	assert_int_equal(rmdir(at("state/phone.context.new")), 0);
	now += 60 * TSTAMP_S;
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	assert_string_equal(note("phone"), "");
	assert_non_null(strstr(log_text(), "[context phone] its state is on disk again"));
	use("phone", 1);
	/* From the start. */
	end();
	assert_int_equal(mkdir(at("state/phone.context.new"), 0700), 0);
	begin(PHONE);
	assert_string_equal(note("phone"), "its state was not written: Is a directory; it waits for that");
	assert_false(oscore_context_number(context("phone"), &number));
	assert_false(context("phone")->synced);
	snprintf(said, sizeof said, "%s", state_of("phone"));
	assert_non_null(strstr(said, "window"));
	assert_false(renewal_reset(&x, "phone", now, text)); /* nor does that help */
	end();
	assert_string_equal(state_of("phone"), said); /* as it was */
	assert_int_equal(rmdir(at("state/phone.context.new")), 0);
}

static ino_t file_number(const char *name)
{
	struct stat st;

	assert_int_equal(stat(at(name), &st), 0);
	return st.st_ino;
}

static void test_reload(void **state)
{
	uint32_t generation;
	ino_t file;

	(void)state;
	begin(PHONE);
	assert_true(replay_accept(&context("phone")->window, 40));
	generation = context("phone")->generation;
	file = file_number("state/phone.context");
	/* What does not change is not touched, whatever else does. */
	reload("[server fan]\naddress = coap://[fd00::18]\n" GUARD PHONE "recovery = refuse\n");
	assert_int_equal(context("phone")->generation, generation);
	assert_int_equal(file_number("state/phone.context"), file);
	assert_int_equal(contexts_working(&x), 2);
	/* Gone and back: as if it had ended in between. */
	use("phone", 2);
	reload(GUARD);
	assert_non_null(strstr(state_of("phone"), "\nwindow 32 41 "));
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 1);
	assert_true(context("phone")->synced);
	assert_false(replay_is_fresh(&context("phone")->window, 40));
	/* Another key in the file, another identifier: its state is not theirs. */
	put("keys/phone", KEY_B "11");
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 0);
	assert_string_equal(note("phone"),
			    "its state is of another key or identifier: coap-guardctl context reset phone");
	put("keys/phone", KEY_A);
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 1);
	assert_false(replay_is_fresh(&context("phone")->window, 40));
	reload("[context phone]\nsender-id = 0x01\nrecipient-id = 0x22\n");
	assert_int_equal(contexts_working(&x), 0);
	/* A key that was taken away ends its context. */
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 1);
	assert_int_equal(rename(at("keys/phone"), at("keys/away")), 0);
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 0);
	assert_non_null(strstr(note("phone"), "/keys/phone: No such file or directory"));
	assert_int_equal(rename(at("keys/away"), at("keys/phone")), 0);
	/* None left: the directory is free for others. */
	reload("");
	assert_false(statedir_is_open(&x.dir));
	reload(PHONE);
	assert_int_equal(contexts_working(&x), 1);
	end();
}

static void test_reset(void **state)
{
	static const char *const policies[] = { "echo", "refuse" };
	char sections[256];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(sections, sizeof sections, PHONE "recovery = %s\n", policies[i]);
		begin(sections);
		assert_true(renewal_reset(&x, "phone", now, text));
		use("phone", 1);
		vanish();
		/* The same key, whose window was lost: an Echo shows what is fresh, even if it otherwise may not. */
		begin(sections);
		assert_false(context("phone")->synced);
		assert_int_equal(config.proxy.contexts[0].refuse_unsynced, i);
		assert_true(renewal_reset(&x, "phone", now, text));
		assert_non_null(strstr(text, "the same key: goes on from "));
		assert_non_null(strstr(text, "an Echo will show that the next request is fresh"));
		assert_false(context("phone")->synced);
		assert_int_equal(proxy->cfg.contexts[0].refuse_unsynced, 0);
		assert_int_equal(config.proxy.contexts[0].refuse_unsynced, i);
		replay_resume(&context("phone")->window, 50);
		context("phone")->synced = true;
		/* For once. */
		reload(sections);
		assert_int_equal(proxy->cfg.contexts[0].refuse_unsynced, i);
		/* At work, and whole: nothing is lost. */
		assert_true(renewal_reset(&x, "phone", now, text));
		assert_non_null(strstr(text, "its replay window is whole"));
		assert_true(context("phone")->synced);
		assert_false(replay_is_fresh(&context("phone")->window, 50));
		/* Its file gone or damaged while it is at work: memory knows better. */
		use("phone", 9);
		put("state/phone.context", "x");
		assert_true(renewal_reset(&x, "phone", now, text));
		assert_non_null(strstr(text, "the same key: goes on from "));
		assert_non_null(strstr(state_of("phone"), "next "));
		assert_false(replay_is_fresh(&context("phone")->window, 50));
		end();
		assert_non_null(strstr(state_of("phone"), "window 32 51 "));
		/* And when nobody knows: anew. */
		put("state/phone.context", "x");
		begin(sections);
		assert_true(renewal_reset(&x, "phone", now, text));
		assert_non_null(strstr(text, "begins anew at 0. Its key must be new at both ends"));
		end();
		unlink(at("state/phone.context"));
		begin(sections);
		assert_true(renewal_reset(&x, "phone", now, text));
		assert_non_null(strstr(text, "begins anew at 0. Its key must be new at both ends"));
		end();
		assert_string_equal(state_of("phone"), "next 0\nwindow 32 0 0\n");
	}
	begin(PHONE);
	assert_false(renewal_reset(&x, "fan", now, text));
	assert_string_equal(text, "no section [context fan]; defined contexts: phone");
	end();
}

static void test_directory(void **state)
{
	struct statedir other;

	(void)state;
	/* In use by another: the daemon does not start. */
	assert_int_equal(statedir_open(&other, at("state"), text, sizeof text), 0);
	assert_int_equal(begin(PHONE), EX_CANTCREAT);
	assert_non_null(strstr(log_text(), "/state: locked by another coap-guardd"));
	end();
	statedir_close(&other);
	/* Not usable: it starts, says so, and tries again. */
	assert_int_equal(rename(at("state"), at("away")), 0);
	put("state", "");
	assert_int_equal(begin(PHONE), EX_OK);
	assert_non_null(strstr(note("phone"), "/state: Not a directory"));
	assert_true(contexts_settle(&x, now) == now + TSTAMP_S);
	assert_false(renewal_new(&x, "phone", now, text));
	assert_non_null(strstr(text, "/state cannot be used"));
	unlink(at("state"));
	assert_int_equal(rename(at("away"), at("state")), 0);
	now += 10 * TSTAMP_S;
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	assert_int_equal(contexts_working(&x), 1);
	assert_string_equal(note("phone"), "");
	/* A disk that comes back while it runs. */
	assert_int_equal(rename(at("state"), at("away")), 0);
	use("phone", 100);
	contexts_settle(&x, now);
	assert_non_null(strstr(note("phone"), "No such file or directory"));
	assert_int_equal(rename(at("away"), at("state")), 0);
	now += 60 * TSTAMP_S;
	assert_true(contexts_settle(&x, now) == TSTAMP_NEVER);
	assert_string_equal(note("phone"), "");
	end();
}

/* Nothing of a key is said or dumped, at whatever level. */
static void test_silence(void **state)
{
	char *dump = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&dump, &len);

	(void)state;
	begin(PHONE GUARD);
	log_set_level(&journal, LEVEL_DEBUG);
	put("keys/phone", KEY_A "1");
	reload(PHONE GUARD);
	assert_non_null(strstr(note("phone"), "an odd number of digits"));
	put("keys/phone", KEY_A);
	reload(PHONE GUARD);
	assert_true(renewal_reset(&x, "phone", now, text));
	config_dump(&config, out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i + 8 <= strlen(KEY_A); i++) {
		char part[9];

		snprintf(part, sizeof part, "%.8s", &KEY_A[i]);
		assert_null(strstr(log_text(), part));
		assert_null(strstr(dump, part));
		assert_null(strstr(get("state/phone.context"), part));
	}
	free(dump);
	end();
}

#define VEIL 0x55 /* what is looked for is kept under it, or it would be found here */

static bool is_at(const uint8_t *p, const uint8_t *veiled, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((p[i] ^ VEIL) != veiled[i])
			return false;
	}
	return true;
}

/* In a part of this process's memory, freed stack and all. */
static bool is_between(int mem, off_t start, off_t stop, const uint8_t *veiled, size_t len)
{
	static uint8_t chunk[65536 + 64];
	bool found = false;

	for (; start < stop && !found; start += 65536) {
		ssize_t n = pread(mem, chunk, sizeof chunk, start);

		for (ssize_t i = 0; i + (ssize_t)len <= n && !found; i++)
			found = is_at(chunk + i, veiled, len);
	}
	explicit_bzero(chunk, sizeof chunk);
	return found;
}

static bool is_in_memory(const uint8_t *veiled, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	char line[512], mode[8];
	unsigned long start, stop;
	bool found = false;

	assert_non_null(maps);
	while (!found && fgets(line, sizeof line, maps)) {
		/* A sanitizer's shadow is large and holds nothing. */
		if (sscanf(line, "%lx-%lx %7s", &start, &stop, mode) == 3 && mode[1] == 'w' && stop - start < 1UL << 28)
			found = is_between(mem, (off_t)start, (off_t)stop, veiled, len);
	}
	fclose(maps);
	close(mem);
	return found;
}

/* After a start and a reset neither the text nor the bytes of a Master Secret are anywhere in memory. */
static void test_wiped(void **state)
{
	uint8_t veiled[16], digits[32], copy[16];
	char hex[33];

	(void)state;
	entropy_init(&entropy);
	entropy.rng.fill(&entropy.rng, copy, sizeof copy);
	entropy_wipe(&entropy);
	for (unsigned i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", copy[i]);
	for (unsigned i = 0; i < 32; i++) {
		digits[i] = (uint8_t)(hex[i] ^ VEIL);
		veiled[i / 2] = copy[i / 2] ^ VEIL;
	}
	put("keys/phone", hex);
	assert_true(is_in_memory(veiled, sizeof veiled)); /* it would be found */
	assert_true(is_in_memory(digits, sizeof digits));
	explicit_bzero(copy, sizeof copy);
	explicit_bzero(hex, sizeof hex);
	begin(PHONE);
	assert_false(is_in_memory(veiled, sizeof veiled));
	assert_false(is_in_memory(digits, sizeof digits));
	assert_true(renewal_reset(&x, "phone", now, text));
	assert_false(is_in_memory(veiled, sizeof veiled));
	assert_false(is_in_memory(digits, sizeof digits));
	reload(PHONE);
	assert_false(is_in_memory(veiled, sizeof veiled));
	assert_false(is_in_memory(digits, sizeof digits));
	assert_int_equal(contexts_working(&x), 1);
	end();
}

/*
 * The loader saves registers, and what was copied with them, on the stack whenever it binds a function late. coap-guardd is linked
 * to be bound early; so is this.
 */
static void bind_early(char **argv)
{
	if (getenv("LD_BIND_NOW") || setenv("LD_BIND_NOW", "1", 1) != 0)
		return;
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),         cmocka_unit_test(test_first_time),
		cmocka_unit_test(test_ends),         cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_window_sizes), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_another_key),  cmocka_unit_test(test_twins),
		cmocka_unit_test(test_write_fails),  cmocka_unit_test(test_reload),
		cmocka_unit_test(test_reset),        cmocka_unit_test(test_directory),
		cmocka_unit_test(test_silence),      cmocka_unit_test(test_wiped),
	};

	(void)argc;
	bind_early(argv);
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* hints: what is known of clients, over ends, starts, reloads, steps of the clock and disks that do not work. */
#include "hints.h"
#include "entropy.h"
#include "hintfile.h"
#include "proxy/core.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define LAMP    "[server lamp]\naddress = coap://[fd00::17]\n"
#define FAN     "[server fan]\naddress = coap://[fd00::18]\n"
#define TODAY   (UINT64_C(1763781000) * TSTAMP_S)
#define CONTEXT "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\n"

/* One daemon, as far as hints go. */
static struct config config, candidate;
static struct config_errors errors;
static struct contexts x;
static struct hints hints;
static struct proxy *proxy;
static struct entropy entropy;
static struct log journal;
static char root[64], said[65536];
static tstamp now = 1000 * TSTAMP_S;
static uint64_t today = TODAY;

static uint64_t read_today(void *arg)
{
	(void)arg;
	return today;
}

static const struct wall wall = { read_today, NULL };

static const char *at(const char *name)
{
	static char path[4][160];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
	return path[turn];
}

static void put(const char *name, const char *content, size_t len)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	close(fd);
}

static const char *get(const char *name, size_t *len)
{
	static char content[65536];
	int fd = open(at(name), O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, content, sizeof content - 1);

	*len = n > 0 ? (size_t)n : 0;
	content[*len] = '\0';
	if (fd >= 0)
		close(fd);
	return content;
}

static const char *log_text(void)
{
	ssize_t len = pread(journal.fd, said, sizeof said - 1, 0);

	said[len > 0 ? len : 0] = '\0';
	return said;
}

static unsigned times_said(const char *what)
{
	unsigned n = 0;

	for (const char *p = log_text(); (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void load(struct config *c, const struct config *previous, const char *sections)
{
	char whole[4096];
	int len = snprintf(whole, sizeof whole, "[state]\ndirectory = %s\n%s", at("state"), sections);

	put("guard.conf", whole, (size_t)len);
	if (!config_load(c, previous, at("guard.conf"), &errors))
		fail_msg("%s", errors.list[0].text);
}

static void begin(const char *sections)
{
	static uint8_t secret[32];
	static char path[160];

	secret[0]++; /* never the same again */
	load(&config, NULL, sections);
	snprintf(path, sizeof path, "%s", at("guard.conf"));
	entropy_init(&entropy);
	proxy = proxy_create(&config.proxy, secret, &entropy.rng, now);
	assert_non_null(proxy);
	assert_int_equal(ftruncate(journal.fd, 0), 0);
	lseek(journal.fd, 0, SEEK_SET);
	log_init(&journal, journal.fd, LEVEL_INFO);
	contexts_init(&x);
	hints_init(&hints);
	contexts_open(&x, proxy, &config, path, &journal, now);
	hints_open(&hints, proxy, &config, &x, &journal, &wall, now);
}

/* As kill -9. */
static void vanish(void)
{
	statedir_close(&hints.own);
	statedir_close(&x.dir);
	proxy_free(proxy);
	entropy_wipe(&entropy);
}

static void end(void)
{
	hints_close(&hints, now);
	contexts_close(&x);
	vanish();
}

static void reload(const char *sections)
{
	load(&candidate, &config, sections);
	contexts_leave(&x, &candidate);
	proxy_reconfigure(proxy, &candidate.proxy, now);
	config = candidate;
	hints_yield(&hints);
	contexts_enter(&x, now);
}

static struct guard_request request(uint8_t server, uint8_t kid, uint64_t piv)
{
	static uint8_t kids[256];
	struct guard_request rq = {
		.confirmable = true, .has_oscore = true, .trackable = true, .server = server, .piv = piv
	};

	addr_parse(&rq.client, "[2001:db8:1::a]:40001", 0);
	addr_parse(&rq.listener, "[2001:db8::53]:5683", 0);
	kids[kid] = kid;
	rq.kid = bytes_of(&kids[kid], 1);
	return rq;
}

static void accept(uint8_t server, uint8_t kid, uint64_t piv)
{
	struct guard_request rq = request(server, kid, piv);
	struct verdict v = guard_check(proxy->guard, &rq, now);

	assert_int_equal(v.action, VERDICT_FORWARD);
	assert_true(guard_report(proxy->guard, v.ticket, OUTCOME_ACCEPTED, now));
}

static enum verdict_reason reason(uint8_t server, uint8_t kid, uint64_t piv)
{
	struct guard_request rq = request(server, kid, piv);

	return guard_check(proxy->guard, &rq, now).reason;
}

static unsigned clients(void)
{
	struct guard_client c;
	unsigned n = 0;

	for (uint32_t place = 0; guard_view_client(proxy->guard, &place, &c, now);) {
		assert_int_equal(c.standing, STANDING_TENTATIVE);
		n++;
	}
	return n;
}

static bool is_there(const char *name)
{
	return access(at(name), F_OK) == 0;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_hints.XXXXXX");
	journal.fd = memfd_create("log", MFD_CLOEXEC);
	today = TODAY;
	now = 1000 * TSTAMP_S;
	return mkdtemp(root) && journal.fd >= 0 && mkdir(at("state"), 0700) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close(journal.fd);
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static void test_clean_end(void **state)
{
	struct stat st;

	(void)state;
	begin(LAMP);
	accept(0, 7, 5);
	accept(0, 8, 900);
	assert_false(is_there("state/hints")); /* not yet */
	end();
	assert_int_equal(stat(at("state/hints"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	begin(LAMP);
	assert_int_equal(times_said("remembers 2 clients"), 1);
	assert_int_equal(clients(), 2);
	assert_int_equal(reason(0, 7, 6), REASON_TENTATIVE);
	assert_int_equal(reason(0, 8, 6), REASON_UNKNOWN);
	end();
}

static void test_every_five_minutes(void **state)
{
	(void)state;
	begin(LAMP);
	assert_int_equal(hints_settle(&hints, now), TSTAMP_NEVER); /* nothing to write */
	accept(0, 7, 5);
	assert_int_equal(hints_settle(&hints, now), now + HINTS_PERIOD);
	now += HINTS_PERIOD - 1;
	hints_settle(&hints, now);
	assert_false(is_there("state/hints"));
	now++;
	assert_int_equal(hints_settle(&hints, now), now + HINTS_PERIOD);
	assert_true(is_there("state/hints"));
	assert_int_equal(hints_settle(&hints, now), TSTAMP_NEVER);
	vanish(); /* kill -9: what was written counts */
	begin(LAMP);
	assert_int_equal(clients(), 1);
	assert_int_equal(unlink(at("state/hints")), 0);
	end(); /* nothing has changed: nothing is written */
	assert_false(is_there("state/hints"));
}

static void test_forgotten_is_forgotten(void **state)
{
	struct addr who;

	(void)state;
	begin(LAMP);
	accept(0, 7, 5);
	end();
	begin(LAMP);
	addr_parse(&who, "2001:db8:1::a", 0);
	assert_int_equal(guard_forget(proxy->guard, &who, now), 1);
	end();
	begin(LAMP);
	assert_int_equal(clients(), 0);
	end();
}

static void test_switched_off(void **state)
{
	(void)state;
	begin(LAMP "[allow-list]\nsave = no\n");
	accept(0, 7, 5);
	now += 2 * HINTS_PERIOD;
	assert_int_equal(hints_settle(&hints, now), TSTAMP_NEVER);
	end();
	assert_false(is_there("state/hints") || is_there("state/lock"));
	begin(LAMP);
	accept(0, 7, 5);
	end();
	begin(LAMP "[allow-list]\nsave = no\n");
	assert_int_equal(clients(), 0);
	reload(LAMP); /* it may be switched on under way */
	accept(0, 9, 5);
	now += HINTS_PERIOD;
	hints_settle(&hints, now);
	vanish();
	begin(LAMP);
	assert_int_equal(reason(0, 9, 6), REASON_TENTATIVE);
	end();
}

/* Servers are known by name: they may stand in another order, and one may be gone. */
static void test_servers_by_name(void **state)
{
	(void)state;
	begin(LAMP FAN);
	accept(0, 7, 5);
	accept(1, 8, 5);
	end();
	begin(FAN LAMP);
	assert_int_equal(clients(), 2);
	assert_int_equal(reason(1, 7, 6), REASON_TENTATIVE);
	assert_int_equal(reason(0, 8, 6), REASON_TENTATIVE);
	assert_int_equal(reason(0, 7, 6), REASON_UNKNOWN);
	accept(0, 9, 1);
	end();
	begin("[server door]\naddress = coap://[fd00::19]\n" FAN);
	assert_int_equal(clients(), 2);
	assert_int_equal(reason(1, 8, 6), REASON_TENTATIVE);
	assert_int_equal(reason(1, 9, 2), REASON_TENTATIVE);
	assert_int_equal(reason(0, 7, 6), REASON_UNKNOWN);
	end();
}

/* The two lines that are a configuration start without a directory, and say so once. */
static void test_no_directory(void **state)
{
	(void)state;
	assert_int_equal(rmdir(at("state")), 0);
	begin(LAMP);
	for (unsigned i = 0; i < 5; i++) {
		accept(0, 7, 5 + i);
		now += HINTS_PERIOD;
		hints_settle(&hints, now);
	}
	assert_int_equal(times_said("No such file or directory; clients are not remembered over a restart"), 1);
	assert_int_equal(times_said("\n"), 1);
	assert_false(is_there("state"));
	assert_int_equal(mkdir(at("state"), 0700), 0); /* somebody makes it */
	accept(0, 7, 50);
	now += HINTS_PERIOD;
	hints_settle(&hints, now);
	assert_int_equal(times_said("on disk again"), 1);
	end();
	begin(LAMP);
	assert_int_equal(clients(), 1);
	end();
}

static void test_others_may_write(void **state)
{
	(void)state;
	assert_int_equal(chmod(at("state"), 0777), 0);
	begin(LAMP);
	assert_int_equal(times_said("others may write there; chmod 0700 it; clients are not remembered"), 1);
	accept(0, 7, 5);
	end();
	assert_false(is_there("state/hints"));
}

static void test_locked_by_another(void **state)
{
	struct statedir other;
	char why[256];

	(void)state;
	assert_int_equal(statedir_open(&other, at("state"), why, sizeof why), 0);
	begin(LAMP);
	assert_int_equal(times_said("locked by another coap-guardd; clients are not remembered"), 1);
	accept(0, 7, 5);
	end();
	assert_false(is_there("state/hints"));
	statedir_close(&other);
}

static void test_cannot_write(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("state/hints.new"), 0700), 0); /* what even root cannot unlink */
	assert_int_equal(mkdir(at("state/hints.new/in-the-way"), 0700), 0);
	begin(LAMP);
	for (unsigned i = 0; i < 3; i++) {
		accept(0, 7, 5 + i);
		now += HINTS_PERIOD;
		hints_settle(&hints, now);
	}
	assert_int_equal(times_said("cannot write hints"), 1);
	assert_int_equal(rmdir(at("state/hints.new/in-the-way")), 0);
	assert_int_equal(rmdir(at("state/hints.new")), 0);
	end();
	assert_int_equal(times_said("on disk again"), 1);
	assert_true(is_there("state/hints"));
}

/* Whatever is wrong with it: said, ignored, and written anew. */
static void test_damaged(void **state)
{
	char whole[4096];
	size_t len;

	(void)state;
	begin(LAMP);
	accept(0, 7, 5);
	end();
	memcpy(whole, get("state/hints", &len), len = strlen(get("state/hints", &len)));
	for (unsigned i = 0; i < 12; i++) {
		size_t cut = i < 6 ? len * i / 6 : len;

		if (i >= 6)
			whole[len * (i - 6) / 6] ^= 1;
		put("state/hints", whole, cut);
		if (i >= 6)
			whole[len * (i - 6) / 6] ^= 1;
		begin(LAMP);
		assert_int_equal(clients(), 0);
		assert_int_equal(times_said("clients begin anew"), 1);
		vanish();
	}
	begin(LAMP);
	accept(0, 7, 5);
	end();
	begin(LAMP);
	assert_int_equal(clients(), 1);
	end();
}

static void test_not_a_file(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(at("state/hints"), 0600), 0);
	begin(LAMP); /* does not wait for a writer */
	assert_int_equal(times_said("clients begin anew"), 1);
	vanish();
	assert_int_equal(unlink(at("state/hints")), 0);
	assert_int_equal(symlink("guard.conf", at("state/hints")), 0);
	begin(LAMP);
	assert_int_equal(times_said("clients begin anew"), 1);
	vanish();
}

/* The time of day decides when a hint is too old (24 h), and nothing else; without one that can be believed, none is. */
static void test_clock_jumps(void **state)
{
	static const struct {
		uint64_t then, later;
		unsigned clients;
	} rows[] = {
		{ TODAY, TODAY, 1 },
		{ TODAY, TODAY + 23 * TSTAMP_HOUR, 1 },
		{ TODAY, TODAY + 25 * TSTAMP_HOUR, 0 },
		{ TODAY, TODAY + TSTAMP_DAY * 3650, 0 },
		{ TODAY, TODAY - TSTAMP_DAY, 1 },
		{ TODAY, TODAY - TSTAMP_DAY * 600, 1 },
		{ TODAY, TODAY - TSTAMP_DAY * 3650, 1 },
		{ TODAY, 0, 1 },
		{ 0, TODAY, 1 },
		{ 0, 0, 1 },
		{ TODAY, UINT64_MAX, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		today = rows[i].then;
		begin(LAMP);
		accept(0, 7, 5 + 1000 * i);
		end();
		today = rows[i].later;
		begin(LAMP);
		if (clients() != rows[i].clients)
			fail_msg("row %zu", i);
		now += HINTS_PERIOD; /* and it steps back and forth under way */
		today = TODAY;
		hints_settle(&hints, now);
		assert_true(rows[i].clients == 0 || reason(0, 7, 6 + 1000 * i) == REASON_TENTATIVE);
		end();
		assert_int_equal(unlink(at("state/hints")), 0);
	}
}

/* The directory belongs to the contexts while there are any; it changes hands in a reload. */
static void test_beside_contexts(void **state)
{
	(void)state;
	begin(LAMP);
	accept(0, 7, 5);
	assert_true(statedir_is_open(&hints.own));
	reload(LAMP CONTEXT);
	assert_false(statedir_is_open(&hints.own));
	assert_true(statedir_is_open(&x.dir));
	now += HINTS_PERIOD;
	hints_settle(&hints, now);
	assert_true(is_there("state/hints"));
	reload(LAMP);
	assert_false(statedir_is_open(&x.dir));
	accept(0, 7, 6);
	now += HINTS_PERIOD;
	hints_settle(&hints, now);
	assert_true(statedir_is_open(&hints.own));
	reload(LAMP CONTEXT);
	accept(0, 7, 7);
	end(); /* before the contexts close it */
	begin(LAMP CONTEXT);
	assert_int_equal(reason(0, 7, 7), REASON_UNKNOWN);
	assert_int_equal(reason(0, 7, 8), REASON_TENTATIVE);
	assert_int_equal(times_said("locked"), 0);
	end();
}

/* More than fit into a file: those in good standing stay. */
static void test_too_many(void **state)
{
	enum { ALL = HINTFILE_CLIENTS + 3000, GOOD = 100 };
	struct guard_hint h;
	unsigned trusted = 0, n = 0;

	(void)state;
	begin(LAMP "[guard]\nmemory-limit = 256MiB\n[allow-list]\nrelations = 131072\n[sequence]\ncontexts = 131072\n");
	for (unsigned i = 0; i < ALL; i++) {
		struct guard_hint one = {
			.relation = (i + 1) * UINT64_C(0x9e3779b97f4a7c15), .endpoint = i + 1, .seen = 1, .kid_len = 1
		};

		assert_true(guard_hint_take(proxy->guard, &one, now));
	}
	for (unsigned kid = 0; kid < GOOD; kid++)
		for (unsigned piv = 0; piv < 8; piv++, now += 30 * TSTAMP_S)
			accept(0, (uint8_t)kid, piv);
	end();
	begin(LAMP "[guard]\nmemory-limit = 256MiB\n[allow-list]\nrelations = 131072\n[sequence]\ncontexts = 131072\n");
	for (uint32_t place = 0; proxy_hint_next(proxy, &place, &h, now); n++)
		trusted += h.highest == 7;
	assert_true(n > HINTFILE_CLIENTS * 99 / 100 && n <= HINTFILE_CLIENTS);
	assert_int_equal(trusted, GOOD);
	end();
	begin(LAMP "[allow-list]\nrelations = 16\n"); /* a smaller table takes what it has room for */
	assert_true(clients() > 0 && clients() <= 16);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clean_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_five_minutes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_switched_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_servers_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_may_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_locked_by_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_jumps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_beside_contexts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

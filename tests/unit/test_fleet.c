/* fleet: two guards of one network and one of another, what each takes of the others, and clocks that step. */
#include "fleet.h"
#include "entropy.h"
#include "proxy/core.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define TODAY  (UINT64_C(1763781000) * TSTAMP_S)
#define LAMP   "[server lamp]\naddress = coap://[fd00::17]\n"
#define SHARED LAMP "[echo]\nsecret-file = echo.key\n"
#define KEY    "000102030405060708090a0b0c0d0e0f"
#define OTHER  "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

/* Each has a monotonic clock of its own. */
struct machine {
	struct config config;
	struct fleet fleet;
	struct proxy *proxy;
	struct wall wall;
	uint64_t today;
	tstamp now;
	char path[128], listener[40];
};

static struct machine a, b, c;
static struct config_errors errors;
static struct entropy entropy;
static struct log journal;
static char root[64], said[16384];

static uint64_t read_today(void *arg)
{
	return *(uint64_t *)arg;
}

static void put(const char *directory, const char *name, const char *content, mode_t mode)
{
	char path[200];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, directory);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%s", root, directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static unsigned times_said(const char *what)
{
	ssize_t len = pread(journal.fd, said, sizeof said - 1, 0);
	unsigned n = 0;

	said[len > 0 ? len : 0] = '\0';
	for (const char *p = said; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void load(struct machine *m, const char *name, const char *text)
{
	static struct config next;

	put(name, "guard.conf", text, 0600);
	memset(&next, 0, sizeof next);
	if (!config_load(&next, m->proxy ? &m->config : NULL, m->path, &errors))
		fail_msg("%s", errors.list[0].text);
	m->config = next;
}

static void start(struct machine *m, const char *name, const char *text, const char *key, const char *listener)
{
	static uint8_t secret[32];

	*m = (struct machine){ .today = TODAY, .now = ++secret[0] * TSTAMP_HOUR, .wall = { read_today, NULL } };
	m->wall.arg = &m->today;
	snprintf(m->path, sizeof m->path, "%s/%s/guard.conf", root, name);
	snprintf(m->listener, sizeof m->listener, "%s", listener);
	if (key)
		put(name, "echo.key", key, 0600);
	load(m, name, text);
	m->proxy = proxy_create(&m->config.proxy, secret, &entropy.rng, m->now);
	assert_non_null(m->proxy);
	fleet_init(&m->fleet);
	fleet_open(&m->fleet, m->proxy, &m->config, m->path, &journal, &m->wall, m->now);
}

/* Time passes, by both clocks. */
static void pass(struct machine *m, uint64_t ns)
{
	m->now += ns;
	m->today += ns;
	fleet_settle(&m->fleet, m->now);
}

struct echo {
	uint8_t bytes[ECHO_LEN];
};

static struct echo make(struct machine *m)
{
	struct addr client, listener;
	struct echo e;

	addr_parse(&client, "[2001:db8:1::a]:40001", 0);
	addr_parse(&listener, m->listener, 0);
	guard_echo(m->proxy->guard, &client, &listener, m->now, e.bytes);
	return e;
}

static enum echo_result check(struct machine *m, const struct echo *e)
{
	struct guard_request rq = { .echo = bytes_of(e->bytes, ECHO_LEN) };

	addr_parse(&rq.client, "[2001:db8:1::a]:40001", 0);
	addr_parse(&rq.listener, m->listener, 0);
	return guard_echo_origin(m->proxy->guard, &rq, m->now);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_fleet.XXXXXX");
	entropy_init(&entropy);
	journal.fd = memfd_create("log", MFD_CLOEXEC);
	log_init(&journal, journal.fd, LEVEL_INFO);
	return mkdtemp(root) && journal.fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	proxy_free(a.proxy);
	proxy_free(b.proxy);
	proxy_free(c.proxy);
	a.proxy = b.proxy = c.proxy = NULL;
	entropy_wipe(&entropy);
	close(journal.fd);
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static void start_three(void)
{
	start(&a, "a", SHARED, KEY, "[2001:db8::1]:5683");
	start(&b, "b", SHARED, "0x" KEY "\n", "[2001:db8::2]:5683");
	start(&c, "c", SHARED, OTHER, "[2001:db8::3]:5683");
}

static void test_one_network(void **state)
{
	struct echo e;

	(void)state;
	start_three();
	e = make(&a);
	assert_int_equal(check(&a, &e), ECHO_VALID);
	assert_int_equal(check(&b, &e), ECHO_VALID);
	assert_int_equal(check(&c, &e), ECHO_FOREIGN);
	pass(&b, 59 * TSTAMP_S);
	assert_int_equal(check(&b, &e), ECHO_VALID);
	pass(&b, 2 * TSTAMP_S);
	assert_int_equal(check(&b, &e), ECHO_STALE);
	pass(&b, 3 * TSTAMP_HOUR);
	assert_int_equal(check(&b, &e), ECHO_FOREIGN);
	assert_int_equal(times_said("\n"), 0);
}

/* Without the key a value dies with its guard; with it, another life of the same guard takes it. */
static void test_over_a_restart(void **state)
{
	struct echo e;

	(void)state;
	start(&a, "a", SHARED, KEY, "[2001:db8::1]:5683");
	start(&b, "b", SHARED, KEY, "[2001:db8::1]:5683");
	e = make(&a);
	assert_int_equal(check(&b, &e), ECHO_VALID);
	proxy_free(a.proxy);
	proxy_free(b.proxy);
	start(&a, "a", LAMP, NULL, "[2001:db8::1]:5683");
	start(&b, "b", LAMP, NULL, "[2001:db8::1]:5683");
	e = make(&a);
	assert_int_equal(check(&a, &e), ECHO_VALID);
	assert_int_equal(check(&b, &e), ECHO_FOREIGN);
}

/* I6: a step under way changes nothing but that it is told, once; a reload takes it over. */
static void test_steps_under_way(void **state)
{
	static const int64_t steps[] = { 1, -1, 29, -29, 86400, -86400, 315360000, -315360000, -1763781000 };

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		bool large = steps[i] > 30 || steps[i] < -30,
		     sane = i + 1 < sizeof steps / sizeof *steps && steps[i] > -200000000;
		struct echo e;

		start_three();
		assert_int_equal(ftruncate(journal.fd, 0), 0);
		lseek(journal.fd, 0, SEEK_SET);
		e = make(&b);
		a.today += (uint64_t)(steps[i] * (int64_t)TSTAMP_S);
		for (unsigned n = 0; n < 5; n++) {
			pass(&a, 10 * TSTAMP_S);
			pass(&b, 10 * TSTAMP_S);
			assert_int_equal(check(&a, &e), ECHO_VALID);
		}
		pass(&a, 11 * TSTAMP_S); /* and a replay is as old as it is */
		assert_int_equal(check(&a, &e), ECHO_STALE);
		pass(&b, 11 * TSTAMP_S);
		for (unsigned n = 0; n < 5; n++) {
			pass(&a, FLEET_LOOK);
			pass(&b, FLEET_LOOK);
		}
		assert_int_equal(times_said("the clock has stepped by"), large);
		fleet_enter(&a.fleet, a.now);
		e = make(&b);
		assert_int_equal(check(&a, &e), large ? ECHO_FOREIGN : ECHO_VALID);
		assert_int_equal(times_said("is not set"), !sane);
		e = make(&a); /* it serves its own clients all the same */
		assert_int_equal(check(&a, &e), ECHO_VALID);
		a.today = b.today;
		fleet_enter(&a.fleet, a.now);
		e = make(&b);
		assert_int_equal(check(&a, &e), ECHO_VALID);
		proxy_free(a.proxy);
		proxy_free(b.proxy);
		proxy_free(c.proxy);
		a.proxy = b.proxy = c.proxy = NULL;
	}
}

/* A router without a battery starts in 1970, and hears the time of day later. */
static void test_time_comes_later(void **state)
{
	struct echo e;

	(void)state;
	start_three();
	a.today = 30 * TSTAMP_S;
	fleet_enter(&a.fleet, a.now);
	assert_int_equal(times_said("the clock of this machine is not set"), 1);
	for (unsigned i = 0; i < 10; i++) {
		pass(&a, 31 * TSTAMP_S);
		e = make(&b);
		assert_int_equal(check(&a, &e), ECHO_FOREIGN);
		e = make(&a);
		assert_int_equal(check(&a, &e), ECHO_VALID);
		assert_int_equal(check(&b, &e), ECHO_FOREIGN);
	}
	assert_int_equal(times_said("is not set"), 1);
	a.today = b.today;
	a.now += FLEET_LOOK;
	assert_int_equal(fleet_settle(&a.fleet, a.now), a.now + FLEET_LOOK);
	e = make(&b);
	assert_int_equal(check(&a, &e), ECHO_VALID);
}

static void reload(struct machine *m, const char *name, const char *text)
{
	load(m, name, text);
	fleet_enter(&m->fleet, m->now);
}

/* The secret comes, changes and goes with a reload; one that stays costs no client anything. */
static void test_reloads(void **state)
{
	struct echo e, own;

	(void)state;
	start_three();
	e = make(&b);
	for (unsigned i = 0; i < 20; i++) {
		reload(&a, "a", SHARED);
		pass(&a, TSTAMP_S);
		assert_int_equal(check(&a, &e), ECHO_VALID);
	}
	reload(&a, "a", LAMP);
	assert_int_equal(fleet_settle(&a.fleet, a.now), TSTAMP_NEVER);
	assert_int_equal(check(&a, &e), ECHO_FOREIGN);
	own = make(&a);
	assert_int_equal(check(&a, &own), ECHO_VALID);
	assert_int_equal(check(&b, &own), ECHO_FOREIGN);
	reload(&a, "a", LAMP);
	assert_int_equal(check(&a, &own), ECHO_VALID); /* a key of its own stays, too */
	put("a", "echo.key", OTHER, 0600);
	reload(&a, "a", SHARED);
	a.today = c.today;
	fleet_enter(&a.fleet, a.now);
	e = make(&c);
	assert_int_equal(check(&a, &e), ECHO_VALID);
}

/* A secret that cannot be read, or that others can: told, and the guard goes on with a key of its own. */
static void test_bad_secrets(void **state)
{
	static const struct {
		const char *key;
		mode_t mode;
		const char *why;
	} rows[] = {
		{ KEY, 0644, "others may read or write it" },
		{ "", 0600, "empty" },
		{ "0011", 0600, "shorter than 16 bytes" },
		{ "secret!", 0600, "not hexadecimal" },
	};

	(void)state;
	start_three();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct echo e;

		put("a", "echo.key", rows[i].key, rows[i].mode);
		reload(&a, "a", SHARED);
		assert_int_equal(times_said(rows[i].why), 1);
		e = make(&a);
		assert_int_equal(check(&a, &e), ECHO_VALID);
		assert_int_equal(check(&b, &e), ECHO_FOREIGN);
	}
	reload(&a, "a", LAMP "[echo]\nsecret-file = none.key\n");
	assert_int_equal(times_said("none.key: No such file or directory; Echo values are this guard's own"), 1);
	assert_int_equal(times_said(KEY) + times_said("secret!"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_network, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_over_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_steps_under_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_comes_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reloads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_secrets, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "systemd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* A manager that listens at a path or, when the name begins with '@', in the abstract namespace. */
static int listen_as_manager(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(un.sun_path, name, strlen(name));
	if (name[0] == '@')
		un.sun_path[0] = '\0';
	else
		len++;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&un, len), 0);
	return fd;
}

static void expect_message(int manager, const char *expected)
{
	char message[2048];
	ssize_t n = recv(manager, message, sizeof message - 1, 0);

	assert_true(n >= 0);
	message[n] = '\0';
	assert_string_equal(message, expected);
}

static void speak(const char *name)
{
	int manager = listen_as_manager(name);
	struct systemd s;

	setenv("NOTIFY_SOCKET", name, 1);
	systemd_open(&s);
	assert_true(s.fd >= 0);
	systemd_ready(&s, "3 servers");
	expect_message(manager, "READY=1\nSTATUS=3 servers");
	systemd_reloading(&s, 5 * TSTAMP_S + 1999);
	expect_message(manager, "RELOADING=1\nMONOTONIC_USEC=5000001");
	systemd_status(&s, "two\nREADY=1"); /* no way to smuggle an assignment in */
	expect_message(manager, "STATUS=two READY=1");
	systemd_ping(&s);
	expect_message(manager, "WATCHDOG=1");
	systemd_stopping(&s);
	expect_message(manager, "STOPPING=1\nSTATUS=stopping");
	systemd_close(&s);
	systemd_close(&s);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
}

static void test_path(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof name, "/tmp/test_systemd.%d", (int)getpid());
	speak(name);
	unlink(name);
}

static void test_abstract(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof name, "@test_systemd.%d", (int)getpid());
	speak(name);
}

static void test_no_manager(void **state)
{
	static const char *const names[] = { "", "/", "@", "relative", "vsock:2:1", "/nobody/listens/here" };
	char long_name[200];
	struct systemd s;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	systemd_open(&s);
	assert_int_equal(s.fd, -1);
	systemd_ready(&s, "nobody hears this");
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		systemd_open(&s);
		assert_int_equal(s.fd >= 0, i == 5);
		systemd_ready(&s, "nor this");
		systemd_close(&s);
	}
	memset(long_name, '/', sizeof long_name);
	long_name[sizeof long_name - 1] = '\0';
	setenv("NOTIFY_SOCKET", long_name, 1);
	systemd_open(&s);
	assert_int_equal(s.fd, -1);
	unsetenv("NOTIFY_SOCKET");
}

static void test_watchdog(void **state)
{
	char me[24], other[24];
	const struct {
		const char *usec, *pid;
		uint64_t interval;
	} rows[] = {
		{ "20000000", NULL, 10 * TSTAMP_S },
		{ "20000000", me, 10 * TSTAMP_S },
		{ "20000000", other, 0 },
		{ NULL, NULL, 0 },
		{ "", NULL, 0 },
		{ "20s", NULL, 0 },
		{ "99999999999999999999999", NULL, 0 },
		{ "18446744073709551615", NULL, 0 },
		{ "0", NULL, 0 },
	};
	struct systemd s;

	(void)state;
	snprintf(me, sizeof me, "%d", (int)getpid());
	snprintf(other, sizeof other, "%d", (int)getpid() + 1);
	setenv("NOTIFY_SOCKET", "@test_systemd.watchdog", 1);
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (rows[i].usec)
			setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", rows[i].pid, 1);
		systemd_open(&s);
		assert_true(s.watchdog == rows[i].interval);
		systemd_close(&s);
	}
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_no_manager),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

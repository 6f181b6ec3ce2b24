#include "systemd.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 1024

/* "/path" or "@abstract" (unix(7)); anything else, vsock included, is not for us. */
static bool manager_address(struct systemd *s, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len < 2 || len >= sizeof s->manager.sun_path || (text[0] != '/' && text[0] != '@'))
		return false;
	memset(&s->manager, 0, sizeof s->manager);
	s->manager.sun_family = AF_UNIX;
	memcpy(s->manager.sun_path, text, len);
	if (text[0] == '@')
		s->manager.sun_path[0] = '\0';
	/* An abstract name ends with its length, a path with its NUL. */
	s->manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
	return true;
}

/* Half of what the manager allows, as sd_watchdog_enabled(3) advises. */
static uint64_t watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long value;
	char *end;

	if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	errno = 0;
	value = strtoull(usec, &end, 10);
	if (errno != 0 || end == usec || *end != '\0' || value > UINT64_MAX / TSTAMP_US)
		return 0;
	return value * TSTAMP_US / 2;
}

void systemd_open(struct systemd *s)
{
	s->fd = -1;
	s->watchdog = 0;
	if (!manager_address(s, getenv("NOTIFY_SOCKET")))
		return;
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd >= 0)
		s->watchdog = watchdog_interval();
}

void systemd_close(struct systemd *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void tell(const struct systemd *s, const char *message)
{
	if (s->fd < 0)
		return;
	/* A manager that does not listen is no reason to stop. */
	(void)!sendto(s->fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)(const void *)&s->manager,
		      s->manager_len);
}

/* A status is one line: a newline in it would start another assignment. */
static void tell_status(const struct systemd *s, const char *before, const char *status)
{
	char message[MESSAGE_MAX];
	size_t start = strlen(before) + strlen("STATUS=");

	snprintf(message, sizeof message, "%sSTATUS=%s", before, status);
	for (char *c = message + start; *c; c++) {
		if (*c == '\n')
			*c = ' ';
	}
	tell(s, message);
}

void systemd_ready(struct systemd *s, const char *status)
{
	tell_status(s, "READY=1\n", status);
}

void systemd_reloading(struct systemd *s, tstamp now)
{
	char message[MESSAGE_MAX];

	snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%llu", now / TSTAMP_US);
	tell(s, message);
}

void systemd_stopping(struct systemd *s)
{
	tell(s, "STOPPING=1\nSTATUS=stopping");
}

void systemd_status(struct systemd *s, const char *status)
{
	tell_status(s, "", status);
}

void systemd_ping(struct systemd *s)
{
	tell(s, "WATCHDOG=1");
}

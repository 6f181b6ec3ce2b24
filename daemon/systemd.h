/* systemd: the service manager's notification protocol (sd_notify(3)). Without a manager every call
 * does nothing. */
#ifndef SYSTEMD_H
#define SYSTEMD_H
#include "base/tstamp.h"
#include <sys/socket.h>
#include <sys/un.h>

struct systemd {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un manager;
	socklen_t manager_len;
	uint64_t watchdog; /* ns between pings; 0: no watchdog */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. A broken address is the same as none. */
void systemd_open(struct systemd *s);
void systemd_close(struct systemd *s);

void systemd_ready(struct systemd *s, const char *status);
void systemd_reloading(struct systemd *s, tstamp now); /* now: CLOCK_MONOTONIC; systemd_ready ends it */
void systemd_stopping(struct systemd *s);
void systemd_status(struct systemd *s, const char *status);
void systemd_ping(struct systemd *s);
#endif

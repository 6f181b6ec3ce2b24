/*
 * journal: systemd's journal, spoken to natively, so that a line has fields by which it can be found (systemd's "Native Journal
 * Protocol": a datagram of KEY=value lines).
 */
#ifndef JOURNAL_H
#define JOURNAL_H
#include "event.h"
#include <stdbool.h>
#include <sys/un.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal {
	int fd; /* -1: nobody reads there */
	struct sockaddr_un to;
};

/* Opens it only if `stream` is connected to it, as JOURNAL_STREAM says (systemd.exec(5)). */
void journal_open(struct journal *j, int stream, const char *path);
void journal_close(struct journal *j);

/* priority: '0' to '7'; text: without line ends. False: the journal does not take it, who asks writes to the stream. */
bool journal_send(const struct journal *j, char priority, const struct event *e, const char *text);
#endif

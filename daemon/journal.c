#include "journal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_MAX 2048

/* JOURNAL_STREAM is "device:inode". Who redirected the stream since then wants the lines there. */
static bool leads_to_journal(int stream)
{
	const char *text = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!text || fstat(stream, &st) != 0)
		return false;
	snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(text, own) == 0;
}

void journal_open(struct journal *j, int stream, const char *path)
{
	j->fd = -1;
	if (!leads_to_journal(stream) || strlen(path) >= sizeof j->to.sun_path)
		return;
	memset(&j->to, 0, sizeof j->to);
	j->to.sun_family = AF_UNIX;
	memcpy(j->to.sun_path, path, strlen(path));
	j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
}

struct message {
	char text[MESSAGE_MAX];
	size_t len;
};

/* A line end in a value would begin another field. */
static void put(struct message *m, const char *key, const char *value)
{
	size_t start = m->len + strlen(key) + 1, room = sizeof m->text - m->len;
	int n = snprintf(m->text + m->len, room, "%s=%s\n", key, value);

	if (n < 0 || (size_t)n >= room)
		return;
	for (size_t i = start; i + 1 < m->len + (size_t)n; i++) {
		if (m->text[i] == '\n')
			m->text[i] = ' ';
	}
	m->len += (size_t)n;
}

static void compose(struct message *m, char priority, const struct event *e, const char *text)
{
	put(m, "MESSAGE", text);
	put(m, "PRIORITY", (const char[]){ priority, '\0' });
	put(m, "SYSLOG_IDENTIFIER", "coap-guardd");
	if (e->kind != EVENT_NONE) {
		put(m, "MESSAGE_ID", event_id(e->kind));
		put(m, "COAP_GUARD_EVENT", event_word(e->kind));
	}
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		if (e->fields[i])
			put(m, event_field_key((enum event_field)i), e->fields[i]);
	}
}

/* A journal that is slow loses lines; the stream leads to the same one, and would block the loop. */
bool journal_send(const struct journal *j, char priority, const struct event *e, const char *text)
{
	struct message m = { .len = 0 };

	if (j->fd < 0)
		return false;
	compose(&m, priority, e, text);
	return sendto(j->fd, m.text, m.len, MSG_NOSIGNAL, (const struct sockaddr *)&j->to, sizeof j->to) >= 0 ||
	       errno == EAGAIN;
}

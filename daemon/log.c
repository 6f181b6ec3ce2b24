#include "log.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* syslog(3) priorities: critical, error, warning, informational, debug. */
static const char priorities[] = { '2', '3', '4', '6', '7' };
static const struct event no_event = { .kind = EVENT_NONE };

void log_init(struct log *l, int fd, enum log_level level)
{
	memset(l, 0, sizeof *l);
	l->fd = fd;
	l->terminal = isatty(fd) == 1;
	l->level = level;
	journal_open(&l->journal, fd, JOURNAL_SOCKET);
}

void log_close(struct log *l)
{
	journal_close(&l->journal);
}

bool log_level_parse(const char *word, enum log_level *level)
{
	const char *known = LOG_LEVELS;

	for (unsigned i = LEVEL_FATAL; i <= LEVEL_DEBUG; i++) {
		size_t len = strcspn(known, "|");

		if (strlen(word) == len && memcmp(word, known, len) == 0) {
			*level = (enum log_level)i;
			return true;
		}
		known += len + (known[len] == '|');
	}
	return false;
}

const char *log_level_word(enum log_level level)
{
	static const char *const words[] = { "fatal", "error", "warn", "info", "debug" };

	return words[level];
}

void log_set_level(struct log *l, enum log_level level)
{
	l->level = level;
}

/* What strangers choose neither begins a line nor moves a terminal's cursor. */
static void blank_controls(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == '\x7f')
			*text = '?';
	}
}

/* One write for one line: lines of several writers don't mix. */
static void write_stream(const struct log *l, enum log_level level, const char *text)
{
	char line[LOG_LINE + 96];
	int len;

	if (l->terminal)
		len = snprintf(line, sizeof line - 1, "coap-guardd: %s", text);
	else
		len = snprintf(line, sizeof line - 1, "<%c>%s", priorities[level], text);
	line[len] = '\n';
	/* Who can't log has nobody to tell. */
	if (write(l->fd, line, (size_t)len + 1) < 0)
		return;
}

static void keep(struct log *l, enum log_level level, enum event_kind event, const char *text)
{
	struct log_kept *k = &l->kept[l->written++ % LOG_KEPT];

	k->at = time(NULL);
	k->level = level;
	k->event = event;
	snprintf(k->text, sizeof k->text, "%s", text);
}

static void write_line(struct log *l, enum log_level level, const struct event *e, char *text)
{
	blank_controls(text);
	if (level < LEVEL_DEBUG)
		keep(l, level, e->kind, text);
	if (!journal_send(&l->journal, priorities[level], e, text))
		write_stream(l, level, text);
}

static void write_args(struct log *l, enum log_level level, const struct event *e, const char *fmt, va_list ap)
{
	char text[LOG_LINE];

	if (level > l->level)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	write_line(l, level, e, text);
}

#define WRITE_ARGS(l, level, e, fmt)                                                                                   \
	do {                                                                                                           \
		va_list ap;                                                                                            \
                                                                                                                       \
		va_start(ap, fmt);                                                                                     \
		write_args(l, level, e, fmt, ap);                                                                      \
		va_end(ap);                                                                                            \
	} while (0)

void log_fatal(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_FATAL, &no_event, fmt);
}

void log_error(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_ERROR, &no_event, fmt);
}

void log_warn(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_WARN, &no_event, fmt);
}

void log_info(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_INFO, &no_event, fmt);
}

void log_debug(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_DEBUG, &no_event, fmt);
}

void log_event(struct log *l, enum log_level level, const struct event *e, const char *fmt, ...)
{
	WRITE_ARGS(l, level, e, fmt);
}

/* The fold of this key, else a free one, else NULL. */
static struct log_fold *find_fold(struct log *l, const char *key)
{
	struct log_fold *free_one = NULL;

	for (unsigned i = 0; i < LOG_FOLDS; i++) {
		struct log_fold *f = &l->folds[i];

		if (strncmp(f->key, key, LOG_KEY - 1) == 0)
			return f;
		if (!*f->key && !free_one)
			free_one = f;
	}
	return free_one;
}

static void count_unfolded(struct log *l, tstamp now)
{
	if (l->unfolded++ == 0)
		l->unfolded_until = tstamp_add(now, LOG_WINDOW);
}

/* The window of f is over. What happened again begins the next one; what did not makes room. */
static void close_fold(struct log *l, struct log_fold *f, tstamp now)
{
	char text[LOG_LINE + 64];
	struct event e;

	if (f->more == 0) {
		f->key[0] = '\0';
		return;
	}
	snprintf(text, sizeof text, "%.*s (%" PRIu32 " more in 30 s)", LOG_LINE - 40, f->text, f->more);
	event_view(&e, &f->about);
	write_line(l, f->level, &e, text);
	f->more = 0;
	f->until = tstamp_add(now, LOG_WINDOW);
}

void log_expire(struct log *l, tstamp now)
{
	static const struct event lost = { .kind = EVENT_LINES_LOST };
	char text[LOG_LINE];

	for (unsigned i = 0; i < LOG_FOLDS; i++) {
		if (*l->folds[i].key && tstamp_reached(l->folds[i].until, now))
			close_fold(l, &l->folds[i], now);
	}
	if (l->unfolded == 0 || !tstamp_reached(l->unfolded_until, now))
		return;
	snprintf(text, sizeof text, "%" PRIu32 " other messages in 30 s were not written", l->unfolded);
	write_line(l, LEVEL_WARN, &lost, text);
	l->unfolded = 0;
}

static void write_folded(struct log *l, enum log_level level, const struct event *e, const char *key, tstamp now,
			 const char *fmt, va_list ap)
{
	struct log_fold *f;

	if (level > l->level)
		return;
	log_expire(l, now);
	f = find_fold(l, key);
	if (!f) {
		count_unfolded(l, now);
		return;
	}
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	event_copy(&f->about, e);
	f->level = level;
	if (*f->key) {
		f->more++;
		return;
	}
	snprintf(f->key, sizeof f->key, "%s", key);
	f->until = tstamp_add(now, LOG_WINDOW);
	write_line(l, level, e, f->text);
}

void log_folded(struct log *l, enum log_level level, const char *key, tstamp now, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_folded(l, level, &no_event, key, now, fmt, ap);
	va_end(ap);
}

void log_event_folded(struct log *l, enum log_level level, const struct event *e, const char *key, tstamp now,
		      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_folded(l, level, e, key, now, fmt, ap);
	va_end(ap);
}

tstamp log_next_expiry(const struct log *l)
{
	tstamp next = l->unfolded ? l->unfolded_until : TSTAMP_NEVER;

	for (unsigned i = 0; i < LOG_FOLDS; i++) {
		if (l->folds[i].more > 0)
			next = tstamp_min(next, l->folds[i].until);
	}
	return next;
}

const struct log_kept *log_kept(const struct log *l, unsigned i)
{
	uint64_t first = l->written > LOG_KEPT ? l->written - LOG_KEPT : 0;

	return first + i < l->written ? &l->kept[(first + i) % LOG_KEPT] : NULL;
}

#include "log.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* syslog(3) priorities: critical, error, warning, informational, debug. */
static const char priorities[] = { '2', '3', '4', '6', '7' };

void log_init(struct log *l, int fd, enum log_level level)
{
	memset(l, 0, sizeof *l);
	l->fd = fd;
	l->terminal = isatty(fd) == 1;
	l->level = level;
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

void log_set_level(struct log *l, enum log_level level)
{
	l->level = level;
}

/* One write for one line: lines of several writers don't mix. */
static void write_line(const struct log *l, enum log_level level, const char *text)
{
	char line[LOG_LINE + 32];
	int len;

	if (l->terminal)
		len = snprintf(line, sizeof line, "coap-guardd: %s", text);
	else
		len = snprintf(line, sizeof line, "<%c>%s", priorities[level], text);
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			*p = '?';
	}
	line[len] = '\n';
	/* Who can't log has nobody to tell. */
	if (write(l->fd, line, (size_t)len + 1) < 0)
		return;
}

static void write_args(const struct log *l, enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE];

	if (level > l->level)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	write_line(l, level, text);
}

#define WRITE_ARGS(l, level, fmt)                                                                                      \
	do {                                                                                                           \
		va_list ap;                                                                                            \
                                                                                                                       \
		va_start(ap, fmt);                                                                                     \
		write_args(l, level, fmt, ap);                                                                         \
		va_end(ap);                                                                                            \
	} while (0)

void log_fatal(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_FATAL, fmt);
}

void log_error(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_ERROR, fmt);
}

void log_warn(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_WARN, fmt);
}

void log_info(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_INFO, fmt);
}

void log_debug(struct log *l, const char *fmt, ...)
{
	WRITE_ARGS(l, LEVEL_DEBUG, fmt);
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

void log_folded(struct log *l, enum log_level level, const char *key, tstamp now, const char *fmt, ...)
{
	struct log_fold *f;
	va_list ap;

	if (level > l->level)
		return;
	log_expire(l, now);
	f = find_fold(l, key);
	if (!f) {
		count_unfolded(l, now);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	f->level = level;
	if (*f->key) {
		f->more++;
		return;
	}
	snprintf(f->key, sizeof f->key, "%s", key);
	f->until = tstamp_add(now, LOG_WINDOW);
	write_line(l, level, f->text);
}

/* The window of f is over. What happened again begins the next one; what did not makes room. */
static void close_fold(const struct log *l, struct log_fold *f, tstamp now)
{
	char text[LOG_LINE + 64];

	if (f->more == 0) {
		f->key[0] = '\0';
		return;
	}
	snprintf(text, sizeof text, "%.*s (%" PRIu32 " more in 30 s)", LOG_LINE - 40, f->text, f->more);
	write_line(l, f->level, text);
	f->more = 0;
	f->until = tstamp_add(now, LOG_WINDOW);
}

void log_expire(struct log *l, tstamp now)
{
	char text[LOG_LINE];

	for (unsigned i = 0; i < LOG_FOLDS; i++) {
		if (*l->folds[i].key && tstamp_reached(l->folds[i].until, now))
			close_fold(l, &l->folds[i], now);
	}
	if (l->unfolded == 0 || !tstamp_reached(l->unfolded_until, now))
		return;
	snprintf(text, sizeof text, "%" PRIu32 " other messages in 30 s were not written", l->unfolded);
	write_line(l, LEVEL_WARN, text);
	l->unfolded = 0;
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

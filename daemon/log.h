/*
 * log: lines on standard error: "<3>..." with the priority of sd-daemon(3) when something reads
 * them, "coap-guardd: ..." on a terminal; with fields of their own if it is the journal. What repeats
 * is folded, so that no flood of datagrams becomes a flood of lines. The last lines are kept.
 */
#ifndef LOG_H
#define LOG_H
#include "base/tstamp.h"
#include "journal.h"
#include <time.h>

enum log_level { LEVEL_FATAL, LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

#define LOG_LEVELS "fatal|error|warn|info|debug"

#define LOG_LINE   512
#define LOG_FOLDS  32
#define LOG_KEY    32
#define LOG_WINDOW (30 * TSTAMP_S)
#define LOG_KEPT   64

struct log_fold {
	char key[LOG_KEY]; /* empty: the place is free */
	tstamp until;
	uint32_t more; /* times since the line was written */
	enum log_level level;
	struct event_copy about;
	char text[LOG_LINE];
};

struct log_kept {
	time_t at; /* wall clock, for people */
	enum log_level level;
	enum event_kind event;
	char text[LOG_LINE];
};

struct log {
	int fd;
	bool terminal;
	struct journal journal;
	enum log_level level;
	struct log_kept kept[LOG_KEPT]; /* a ring */
	uint64_t written;               /* lines that were ever put there */
	struct log_fold folds[LOG_FOLDS];
	uint32_t unfolded; /* not written, for want of a place */
	tstamp unfolded_until;
};

void log_init(struct log *l, int fd, enum log_level level);
void log_close(struct log *l); /* fd stays open */
/* Reads one word of LOG_LEVELS; false: it is none. */
bool log_level_parse(const char *word, enum log_level *level);
void log_set_level(struct log *l, enum log_level level);

/* One line. Control characters become '?', what is too long is cut. */
void log_fatal(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_error(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line with the fields of an event. */
void log_event(struct log *l, enum log_level level, const struct event *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * A line at most every 30 s for one key, then once again with how often it happened meanwhile. key:
 * the cause, never anything a stranger chooses; with more keys at once than LOG_FOLDS the rest are
 * only counted.
 */
void log_folded(struct log *l, enum log_level level, const char *key, tstamp now, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void log_event_folded(struct log *l, enum log_level level, const struct event *e, const char *key, tstamp now,
		      const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Writes what folding held back and whose 30 s are over. */
void log_expire(struct log *l, tstamp now);
tstamp log_next_expiry(const struct log *l); /* TSTAMP_NEVER: nothing is held back */

/* The last lines, from 0, the oldest, on; NULL: there are no more. Lines of debug are not kept. */
const struct log_kept *log_kept(const struct log *l, unsigned i);
const char *log_level_word(enum log_level level);
#endif

/*
 * log: lines on standard error: "<3>..." with the priority of sd-daemon(3) when something reads
 * them, "coap-guardd: ..." on a terminal. What repeats is folded, so that no flood of datagrams
 * becomes a flood of lines.
 */
#ifndef LOG_H
#define LOG_H
#include "base/tstamp.h"

enum log_level { LEVEL_FATAL, LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

#define LOG_LEVELS "fatal|error|warn|info|debug"

#define LOG_LINE   512
#define LOG_FOLDS  32
#define LOG_KEY    32
#define LOG_WINDOW (30 * TSTAMP_S)

struct log_fold {
	char key[LOG_KEY]; /* empty: the place is free */
	tstamp until;
	uint32_t more; /* times since the line was written */
	enum log_level level;
	char text[LOG_LINE];
};

struct log {
	int fd;
	bool terminal;
	enum log_level level;
	struct log_fold folds[LOG_FOLDS];
	uint32_t unfolded; /* not written, for want of a place */
	tstamp unfolded_until;
};

void log_init(struct log *l, int fd, enum log_level level);
/* Reads one word of LOG_LEVELS; false: it is none. */
bool log_level_parse(const char *word, enum log_level *level);
void log_set_level(struct log *l, enum log_level level);

/* One line. Control characters become '?', what is too long is cut. */
void log_fatal(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_error(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A line at most every 30 s for one key, then once again with how often it happened meanwhile. key:
 * the cause, never anything a stranger chooses; with more keys at once than LOG_FOLDS the rest are
 * only counted.
 */
void log_folded(struct log *l, enum log_level level, const char *key, tstamp now, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Writes what folding held back and whose 30 s are over. */
void log_expire(struct log *l, tstamp now);
tstamp log_next_expiry(const struct log *l); /* TSTAMP_NEVER: nothing is held back */
#endif

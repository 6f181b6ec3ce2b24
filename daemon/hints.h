/*
 * hints: what is known of clients, brought over a restart: written to the state directory at a clean end, and every 5 minutes when
 * something has changed. None of it is needed: what cannot be read is left out, what cannot be written is said once.
 */
#ifndef HINTS_H
#define HINTS_H
#include "contexts.h"
#include "wall.h"

#define HINTS_PERIOD (5 * TSTAMP_MIN)

struct hints {
	struct proxy *proxy; /* NULL: not open */
	const struct config *config;
	const struct contexts *contexts;
	struct log *log;
	const struct wall *wall;
	struct statedir own; /* open while there are no contexts, which have the directory otherwise */
	uint64_t saved;      /* proxy_hint_changes of what is on disk */
	tstamp due;          /* of the next write, if anything has changed */
	bool trouble;        /* and it was said */
};

void hints_init(struct hints *h);
/* Takes in what is there. After contexts_open, and before anything is received. */
void hints_open(struct hints *h, struct proxy *p, const struct config *c, const struct contexts *x, struct log *l,
		const struct wall *w, tstamp now);
/* Once per turn. Returns when it wants to be called again. */
tstamp hints_settle(struct hints *h, tstamp now);
/* In a reload, when the configuration is the new one and before contexts_enter, which may want the directory. */
void hints_yield(struct hints *h);
/* A clean end, before contexts_close. Harmless when it is not open. */
void hints_close(struct hints *h, tstamp now);
#endif

/*
 * fleet: the secret that the guards of one network share, so that each takes the others' Echo values. They also have to agree on the
 * time. It is looked at when the guard starts and when it is reloaded; from then on the monotonic clock counts, and a step of the
 * other is only told of. Without a secret that can be read, or before anybody has told the machine the time, Echo values are this
 * guard's own, and die with it.
 */
#ifndef FLEET_H
#define FLEET_H
#include "config.h"
#include "wall.h"

#define FLEET_LOOK (30 * TSTAMP_S) /* so often the clock is looked at */

struct fleet {
	struct proxy *proxy;
	const struct config *config;
	const char *config_path;
	struct log *log;
	const struct wall *wall;
	enum { FLEET_ALONE, FLEET_WAITING, FLEET_JOINED } state; /* waiting: for the time */
	uint64_t wall_then;                                      /* when it joined, by either clock */
	tstamp then;
	tstamp due;   /* of the next look */
	bool stepped; /* and it was said */
};

void fleet_init(struct fleet *f);
void fleet_open(struct fleet *f, struct proxy *p, const struct config *c, const char *config_path, struct log *l,
		const struct wall *w, tstamp now);
void fleet_enter(struct fleet *f, tstamp now); /* in a reload, when the configuration is the new one */
/* Once per turn. Returns when it wants to be called again. */
tstamp fleet_settle(struct fleet *f, tstamp now);
#endif

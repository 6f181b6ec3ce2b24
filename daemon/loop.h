/*
 * loop: the one thread. A turn waits for something, reads the clock once, lets everything that
 * happened be handled at that time, and ends with `settle`.
 */
#ifndef LOOP_H
#define LOOP_H
#include "base/tstamp.h"

struct loop;
struct uv_loop_s;

struct loop_events {
	/* Before each wait. Sends what is due; returns the next deadline. */
	tstamp (*settle)(void *arg, tstamp now);
	void (*reload)(void *arg, tstamp now); /* SIGHUP */
	void (*watchdog)(void *arg);           /* every `watchdog` ns */
	void *arg;
};

/* From here on signals are kept for loop_run, and SIGPIPE is ignored. NULL: no memory or no
 * descriptors. */
struct loop *loop_create(const struct loop_events *events);
struct uv_loop_s *loop_uv(struct loop *l);
tstamp loop_now(struct loop *l); /* CLOCK_MONOTONIC, the same during one turn */
/* Turns until SIGTERM, SIGINT or loop_stop. watchdog 0: no pings. 0 or -errno. */
int loop_run(struct loop *l, uint64_t watchdog);
void loop_stop(struct loop *l);
/* Lets what was closed finish closing. NULL is harmless. */
void loop_free(struct loop *l);

const char *loop_built_with(void); /* version of libuv at build time */
const char *loop_runs_with(void);  /* and now */
#endif

/*
 * reach: endpoints that proved return-routability, and how. A record comes into being by proof or by an exchange the
 * device accepted, never by a mere datagram (I2). Buckets of 8; the stalest of a bucket makes room.
 */
#ifndef REACH_H
#define REACH_H
#include "base/addr.h"
#include "base/tstamp.h"
#include <stddef.h>

struct reach;

enum reach_state {
	REACH_NONE,
	REACH_ONCE,  /* one ping answered: 16 bits can be guessed */
	REACH_PROVEN /* Echo, or pings of two slots */
};

/* Small enough for a register: it is asked for with every request. */
struct reach_view {
	enum reach_state state;
	bool echo;  /* has shown an Echo before: 4.01 with Echo serves it */
	bool home;  /* a relation lives here */
	bool shown; /* return-routability was shown here once, however long ago */
	bool wary;  /* somebody seems to spoof this endpoint: only Echo counts */
};

struct reach *reach_create(uint32_t entries); /* rounded up to a power of two; NULL: no memory */
void reach_free(struct reach *r);
size_t reach_memory(uint32_t entries);

/* key: a keyed hash of the endpoint, never 0. Nothing older than `validity` is a proof. */
struct reach_view reach_find(const struct reach *r, uint64_t key, uint64_t validity, tstamp now);
void reach_prefetch(const struct reach *r, uint64_t key);

void reach_echo(struct reach *r, uint64_t key, const struct addr *endpoint, tstamp now);
/* A ping of `slot` was answered; two slots at least half a second apart within `validity` make a proof. */
enum reach_state reach_pong(struct reach *r, uint64_t key, const struct addr *endpoint, uint64_t slot,
			    uint64_t validity, tstamp now);
void reach_home(struct reach *r, uint64_t key, const struct addr *endpoint, tstamp now);
void reach_wary(struct reach *r, uint64_t key, tstamp until); /* only marks what is known; 0 ends it */
void reach_spend(struct reach *r, uint64_t key);              /* the proof was used up; home and wary stay */
void reach_forget(struct reach *r, uint64_t key);
unsigned reach_forget_host(struct reach *r, const struct addr *host); /* any port; returns how many */
/* Calls each() for every record of that host. */
void reach_each(const struct reach *r, const struct addr *host, uint64_t validity, tstamp now,
		void (*each)(void *arg, const struct reach_view *v), void *arg);
#endif

/*
 * scene: what attacks are staged in: a world (tests/replay/world.h) with trusted clients, watched from outside; forged datagrams; and an
 * engine in a bottle (tests/unit/engine.h) whose devices answer by themselves.
 */
#ifndef SCENE_H
#define SCENE_H
#include "../replay/world.h"
#include "../unit/engine.h"
#include "lab.h"

#define SCENE_LATENCIES 4096

/* A world, and what goes out of its guard. */
struct scene {
	struct world *w;
	unsigned long refusals, refusals_second,
		worst; /* refusals, challenges and pings to whom we follow; in this second, in the worst one */
	uint64_t second;
	uint64_t link_bytes; /* into the link, in frames */
	double link_excess;  /* most bytes by which a bucket of our own was overdrawn */
	double level;
	tstamp level_at;
	char lane[16], action[16], reason[24]; /* of the last verdict */
	struct world_client *followed;
	unsigned asked_before, answered_before, seen; /* of its counts */
	uint64_t total;
	double latencies[SCENE_LATENCIES]; /* ms, of its requests that were answered */
	unsigned long n_latencies;
};

/* more: lines for the configuration's end. */
void scene_open(struct scene *s, const char *more, uint64_t seed);
void scene_close(struct scene *s);
/* A client that asked until it was trusted. */
struct world_client *scene_trusted(struct scene *s, const char *addr, uint8_t kid);
/* c asks every `period` seconds from now on, and all about it is noted. */
void scene_follow(struct scene *s, struct world_client *c, double period);
/* Time passes; less at once than a period. */
void scene_run(struct scene *s, double seconds);
/* It asks no more, and gets what is under way. */
void scene_calm(struct scene *s);
double scene_success(const struct scene *s); /* percent of its requests */
double scene_p99(struct scene *s);           /* ms */
bool scene_is_trusted(const struct scene *s, uint8_t kid);
/* Anywhere in 2000::/16, or in the first `bits` of prefix. */
struct addr scene_source(struct world *w);
struct addr scene_inside(struct world *w, const char *prefix, unsigned bits);
/* OSCORE under a random kid with a random number; a GET of the device. */
void scene_forge(struct scene *s, const struct addr *from);
void scene_get(struct scene *s, const struct addr *from);

/* Devices of an engine that answer whatever they are asked, with so many bytes; observations with Observe. */
struct scene_device {
	size_t payload;
	uint8_t code;
	bool observes, oscore; /* answers OSCORE with OSCORE */
	bool refuses;
	uint16_t mid;
	unsigned long requests, observed;
	struct engine_sent queue[256];
	unsigned n;
	void (*to_device)(struct engine *e, const struct engine_sent *sent); /* sees what comes; may be NULL */
	void (*to_client)(struct engine *e,
			  const struct engine_sent *sent); /* hears what goes to clients; may be NULL */
};
void scene_attend(struct engine *e, struct scene_device *d);
/* What was asked since is answered. */
void scene_answer(struct engine *e);
#endif

/*
 * bottle: the other ends of the guard's contexts, in the same bottle as the engine: clients and next hops that put
 * layers on and take them off by themselves.
 *
 *   bottle_ask(&b, &t, "a", "01", "CON 0.01 7d34 #20 Uri-Path:lamp")   a asks under context 0, and inside that under 1
 *   bottle_hear(&b, &t, "a", 2, "ACK 2.05 7d34 #20 !on")               what is inside the two layers that came back
 *   bottle_get(&b, &t, "lamp", 2, "CON 0.01 * #* Uri-Path:t")          what the guard put a layer of context 2 on
 *   bottle_answer(&b, &t, "lamp", "ACK 2.05 $ #$ !on")
 *
 * Messages are those of msgtext.h; * and $ are those of engine.h, per talk.
 */
#ifndef BOTTLE_H
#define BOTTLE_H
#include "engine.h"
#include "oscore/oscore.h"

#define BOTTLE_CONTEXTS 8
#define BOTTLE_DEPTH    8 /* layers of a request whose responses can be read */
#define BOTTLE_NO_PIV   UINT64_MAX

struct bottle {
	struct proxy_config cfg;
	struct engine *e;
	struct rng rng;
	unsigned n;
	struct oscore_context ends[BOTTLE_CONTEXTS]; /* by place */
};

/* One request and what comes of it. */
struct bottle_talk {
	char layers[BOTTLE_DEPTH + 1]; /* places, the outermost first */
	struct oscore_request asked[BOTTLE_DEPTH];
	uint64_t piv; /* of the outermost layer heard or got last */
	char mid[8], token[160], echo[96];
	uint8_t wire[DGRAM_MAX]; /* as it went or came last */
	size_t len;
};

/* A configuration without contexts, to be changed before bottle_start. */
struct bottle bottle_of(struct proxy_config cfg);
/* servers: a bit each. Returns its place. Its kid towards the guard is 0x20 + place, the guard's own 0x50 + place. */
uint8_t bottle_context(struct bottle *b, const char *name, uint64_t servers, uint8_t next_hop);
/* All contexts at work, nothing sent or received yet. */
void bottle_start(struct bottle *b);
void bottle_start_off(struct bottle *b); /* none at work */
void bottle_install(struct bottle *b, uint8_t place, const struct oscore_state *state, uint64_t limit);
struct oscore_state bottle_fresh(uint64_t next, bool synced);
void bottle_stop(struct bottle *b);

/* layers: places, the outermost first. outside: options beside the outermost layer, as text. */
void bottle_wrap(struct bottle *b, struct bottle_talk *t, const char *layers, const char *outside, const char *line);
void bottle_send(struct bottle *b, struct bottle_talk *t, const char *who);
void bottle_ask(struct bottle *b, struct bottle_talk *t, const char *who, const char *layers, const char *line);
/* The oldest datagram to this client has exactly so many layers, of the request's outermost ones, and this inside. */
void bottle_hear(struct bottle *b, struct bottle_talk *t, const char *who, unsigned layers, const char *expected);
/* The same datagram, not expected to be anything. False: nothing came. */
bool bottle_keep(struct bottle *b, struct bottle_talk *t, const char *who);
void bottle_get(struct bottle *b, struct bottle_talk *t, const char *server, uint8_t place, const char *expected);
void bottle_answer(struct bottle *b, struct bottle_talk *t, const char *server, const char *line);
/* A response as bottle_answer would send it, into t->wire. */
void bottle_seal(struct bottle *b, struct bottle_talk *t, const char *line);
#endif

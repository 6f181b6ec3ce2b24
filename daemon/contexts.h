/*
 * contexts: the daemon's side of the OSCORE contexts: it brings their secrets and their states to the engine, and the states to disk
 * before the engine goes on. One that cannot work is refused, and says why; the others and the daemon don't mind.
 */
#ifndef CONTEXTS_H
#define CONTEXTS_H
#include "context_key.h"
#include "statedir.h"

#define CONTEXTS_TEXT 512 /* of an answer */

/* What failed is tried again after 1 s, and then after twice as long each time, up to 60 s. */
struct contexts_retry {
	tstamp due;     /* 0: at once */
	uint64_t pause; /* 0: it did not fail */
};

struct contexts {
	struct proxy *proxy;
	struct config *config; /* in force */
	const char *config_path;
	struct log *log;
	struct statedir dir;           /* open while there are contexts */
	struct contexts_retry opening; /* of the directory; due never while there are none */
	struct contexts_place {
		uint8_t print[OSCORE_PRINT], sender[OSCORE_PRINT]; /* of the key at work */
		bool written;                                      /* its file says that it is in use */
		struct contexts_retry writing;
	} places[PROXY_CONTEXTS];
	uint64_t write_errors;
};

void contexts_init(struct contexts *x);
/* Puts to work what can. 0, or EX_CANTCREAT: another process has the state directory, as the log says. */
int contexts_open(struct contexts *x, struct proxy *p, struct config *c, const char *config_path, struct log *l,
		  tstamp now);
/* A clean end: what is at work leaves its state behind, window and all. Nothing may be received or sent afterwards. */
void contexts_close(struct contexts *x);

/* Once per turn, before anything is sent. Returns when it wants to be called again. */
tstamp contexts_settle(struct contexts *x, tstamp now);

/* Around proxy_reconfigure: before it, and when config is the new one. */
void contexts_leave(struct contexts *x, const struct config *next);
void contexts_enter(struct contexts *x, tstamp now);

unsigned contexts_count(const struct contexts *x);
unsigned contexts_working(const struct contexts *x);

/* For what a person orders: */
/* Needed before the next two. 0 or -errno, said in the log and of every context. */
int contexts_open_directory(struct contexts *x, tstamp now);
/* Another context at work that has its sender key, or NULL. */
const char *contexts_twin(const struct contexts *x, unsigned place, const struct context_key *k);
/* Writes a state and puts the context to work with it. False: text says why, and what works goes on. */
bool contexts_begin(struct contexts *x, unsigned place, const struct context_key *k, const struct oscore_state *state,
		    tstamp now, char text[CONTEXTS_TEXT]);
#endif

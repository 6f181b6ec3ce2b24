/*
 * pace: manners towards one device that does not answer (RFC 7252 §4.7). Evidence and debts are kept by lane: what strangers find
 * out, or forge, makes nobody in a better lane wait.
 */
#ifndef PACE_H
#define PACE_H
#include "base/bucket.h"
#include "guard/verdict.h"

/* What was sent in one lane since the device was last heard. */
struct pace_lane {
	tstamp paid;      /* until then the rate of probes pays for the last datagram */
	uint64_t doubter; /* the flow that had to send again */
	bool doubted;     /* somebody had to */
	bool confirmed;   /* another flow was sent since: it may have been more than the doubter's own trouble */
	bool silent;      /* a request was given up */
};

/* All zero: nothing sent yet. */
struct pace {
	tstamp heard;
	struct pace_lane lanes[LANE_COUNT];
};

/* Who sends what. */
struct pace_sender {
	uint64_t flow;
	uint8_t lane;
	bool again; /* not for the first time */
};

/* A datagram of the device came, whatever it says. True: somebody had doubted it, and who waits may go. */
bool pace_heard(struct pace *p, tstamp now);
/* A datagram goes to the device; `probing` is how many bytes it may get when it is silent. */
void pace_sent(struct pace *p, const struct pace_sender *s, uint64_t bytes, struct rate probing, tstamp now);
/* Nothing answered what s sent `waited` ago. That counts if nobody heard of the device meanwhile. */
void pace_unanswered(struct pace *p, const struct pace_sender *s, uint64_t waited, tstamp now);
/* The same, and s sends no more. */
void pace_given_up(struct pace *p, const struct pace_sender *s, uint64_t waited, tstamp now);
/* Nanoseconds until s may send one more; 0: now. Repeats wait only when the device is silent. */
uint64_t pace_wait(const struct pace *p, const struct pace_sender *s, tstamp now);
/* Given up, as far as s is concerned: what is under way gives no hope that s should wait for. */
bool pace_is_silent(const struct pace *p, const struct pace_sender *s);

enum pace_state { PACE_UNHEARD, PACE_ANSWERS, PACE_DOUBTED, PACE_SILENT, PACE_STATES };
/* For people: the worst that any lane found. */
enum pace_state pace_state(const struct pace *p);
const char *pace_state_word(enum pace_state s);
#endif

/*
 * replay: the sliding window of received sequence numbers (RFC 8613 §7.4, RFC 6347 §4.1.2.6).
 *
 *   seen   bit i: number next-1-i was received          0 <= i < size <= 64
 *          ...0 0 1 0 1 1|          next is the lowest number above all received
 */
#ifndef REPLAY_H
#define REPLAY_H
#include <stdbool.h>
#include <stdint.h>

#define REPLAY_MAX 64

struct replay {
	uint64_t next, seen;
	uint8_t size; /* 1 to REPLAY_MAX */
};

void replay_init(struct replay *r, uint8_t size);              /* nothing received yet */
bool replay_is_fresh(const struct replay *r, uint64_t number); /* changes nothing */
bool replay_accept(struct replay *r, uint64_t number);         /* after decryption: strikes it out; false: not fresh */
/* The window was lost, and this number is known to be fresh: it is struck out with everything below (RFC 8613 B.1.2). */
void replay_resume(struct replay *r, uint64_t number);
#endif

/*
 * seqtrack: which OSCORE Partial IVs of a (server, kid, kid context) the server is known to have accepted.
 * Only acceptance moves the highest number; a sighting is not the guard's to remember here (I1).
 *
 *      highest-63 ................ highest   ....  highest + jump
 *      |<---- window, one bit each ---->|<-- plausible -->| far
 */
#ifndef SEQTRACK_H
#define SEQTRACK_H
#include "base/tstamp.h"
#include <stddef.h>

struct seqtrack;

enum seq_finding {
	SEQ_NEW,       /* nothing is known of this context */
	SEQ_PLAUSIBLE, /* not accepted yet, within window below or `jump` above the highest */
	SEQ_FAR,       /* above highest + jump */
	SEQ_REUSED,    /* accepted before */
	SEQ_OLD        /* below the window: cannot be told; treated as reused by the guard */
};

#define SEQTRACK_WINDOW 64
#define SEQTRACK_BLUR   16 /* so many jumps above a hint are plausible: it may be minutes older than what it tells of */

/* entries is rounded up to a power of two. Buckets of 8; the stalest of a bucket makes room. NULL: no memory. */
struct seqtrack *seqtrack_create(uint32_t entries);
void seqtrack_free(struct seqtrack *s);
size_t seqtrack_memory(uint32_t entries);
uint32_t seqtrack_count(const struct seqtrack *s);

/* key: a keyed hash of (server, kid, kid context), never 0. idle: records unused for longer are not known. */
enum seq_finding seqtrack_judge(const struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t jump, uint32_t window,
				uint64_t idle, tstamp now);
/*
 * What was known before a restart: until the server accepts a number again it only makes some plausible. All others are NEW, as if
 * nothing were known: a hint that is wrong must not lock anybody out. seen as seqtrack_window gives it.
 */
void seqtrack_hint(struct seqtrack *s, uint64_t key, uint64_t highest, uint64_t seen, tstamp now);
/* The server accepted piv. Returns true if that was news: never accepted before, as far as the window tells. */
bool seqtrack_accept(struct seqtrack *s, uint64_t key, uint64_t piv, uint64_t idle, tstamp now);
bool seqtrack_highest(const struct seqtrack *s, uint64_t key, uint64_t *highest); /* false: unknown */
/* Also which of those below it were: bit d of *seen is highest - d. */
bool seqtrack_window(const struct seqtrack *s, uint64_t key, uint64_t *highest, uint64_t *seen);
void seqtrack_forget(struct seqtrack *s, uint64_t key);
void seqtrack_prefetch(const struct seqtrack *s, uint64_t key);
#endif

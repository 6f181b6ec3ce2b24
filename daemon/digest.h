/*
 * digest: one line per server every 30 s in which it refused something: how much, and mostly why. So a flood of datagrams
 * is a line, and a quiet day is silence. And a warning when responses come that nobody asked for.
 */
#ifndef DIGEST_H
#define DIGEST_H
#include "log.h"
#include "proxy/proxy.h"

#define DIGEST_PERIOD  (30 * TSTAMP_S)
#define DIGEST_GUESSES 50  /* responses nobody asked for in that time: 100 a minute */
#define DIGEST_ROWS    512 /* counters remembered: as many as there are reasons, for a few servers */

struct digest {
	tstamp due;   /* of the next one */
	bool pending; /* something came since the last */
	struct {
		uint64_t key, count;
	} seen[DIGEST_ROWS];
};

static inline void digest_stir(struct digest *d)
{
	d->pending = true;
}

/* Writes what is due. */
void digest_write(struct digest *d, const struct proxy *p, struct log *l, tstamp now);
tstamp digest_next(const struct digest *d); /* TSTAMP_NEVER: nothing came */
#endif

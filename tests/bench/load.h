/* load: what the generator was asked to do, and what its modes share. */
#ifndef LOAD_H
#define LOAD_H
#include "batch.h"
#include "wire.h"
#include <sys/types.h>

struct load {
	struct sockaddr_in local, to; /* local port; the addresses are wire_source(first) and the
					 next `sources` - 1 */
	struct wire shape;            /* kind and host; Partial IV of tracked clients */
	uint32_t first, sources;
	bool tracked;    /* kid = number of the source, Partial IV from `shape`; else both at random */
	bool each;       /* the sources in turn, not drawn */
	uint32_t next;   /* whose turn it is */
	uint32_t count;  /* datagrams of a round, or requests in all */
	uint32_t rounds; /* drain */
	pid_t pid;       /* drain: the process to stop and read */
	uint32_t window; /* ask: outstanding requests */
	uint32_t rate;   /* ask, flood: per second; 0: as fast as it goes */
	uint32_t timeout_ms;
	uint64_t random; /* state of the generator, never 0 */
};

uint64_t load_random(struct load *l);
uint64_t load_clock(void); /* monotonic ns */
/* The next datagram of a flood into place i of b; returns its length. */
size_t load_fill(struct load *l, struct batch *b, unsigned i);
/* Place i of b is `len` bytes for l->to, from source number `source`. */
void load_address(const struct load *l, struct batch *b, unsigned i, size_t len, uint32_t source);

/* The modes. Each prints one line of JSON and returns an exit code. */
int drain_run(struct load *l);
int asker_run(struct load *l);
#endif

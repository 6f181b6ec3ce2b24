/* entropy: the operating system's randomness as a struct rng, drawn in blocks so that one request
 * costs a copy. */
#ifndef ENTROPY_H
#define ENTROPY_H
#include "base/rng.h"
#include <stdint.h>

#define ENTROPY_BLOCK 4096

struct entropy {
	struct rng rng; /* first, so that the rng leads back here */
	size_t left;    /* bytes of block not yet handed out; they are its last ones */
	uint8_t block[ENTROPY_BLOCK];
};

void entropy_init(struct entropy *e);
void entropy_wipe(struct entropy *e);

const char *entropy_built_with(void); /* version of the cryptographic library at build time */
const char *entropy_runs_with(void);  /* and now */
#endif

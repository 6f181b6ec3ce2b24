/* fuzz_layer: the other ends of the fuzzed proxy's contexts, and what must be remembered to read what comes back. */
#ifndef FUZZ_LAYER_H
#define FUZZ_LAYER_H
#include "fuzz_ledger.h"
#include "fuzz_message.h"
#include "proxy/proxy.h"

enum { FUZZ_FRONT, FUZZ_INNER, FUZZ_SOURCE, FUZZ_NEXT, FUZZ_CONTEXTS };

#define FUZZ_LAYERS 3  /* that a client puts on */
#define FUZZ_TALKS  64 /* layered requests remembered */

/* A layered request. Its token names it: a5, slot, serial. */
struct fuzz_talk {
	uint32_t serial; /* 0: none yet */
	uint8_t n, contexts[FUZZ_LAYERS];
	struct oscore_request asked[FUZZ_LAYERS];
	bool repeated; /* a copy went, too, damaged perhaps: it may be answered otherwise */
	bool came_off; /* the guard took a layer off */
	bool batched;  /* or may have: it came among others */
	bool told;     /* and answered, under this Message ID */
	uint16_t told_mid;
};

struct fuzz_ends {
	struct rng *rng;
	struct oscore_context at[FUZZ_CONTEXTS];
	struct fuzz_talk talks[FUZZ_TALKS];
	uint32_t serial;
	struct fuzz_ledger *ledger;  /* of nonces */
	uint8_t gathered[DGRAM_MAX]; /* at the next hop, of a request that came in pieces */
	size_t n_gathered;
};

/* How the proxy knows them: contexts 0 to 3. */
struct oscore_setup fuzz_layer_setup(uint8_t context);
struct bytes fuzz_layer_secret(uint8_t context);

void fuzz_layer_open(struct fuzz_ends *e, struct rng *rng, struct fuzz_ledger *ledger);
void fuzz_layer_close(struct fuzz_ends *e);
/* The request in buf gets a token and up to three layers, in place. Returns the new length; 0: it cannot. */
size_t fuzz_layer_request(struct fuzz_input *in, struct fuzz_ends *e, uint8_t *buf, size_t len);
/* The talk of a message with such a token; NULL: it has none, or is too old. */
struct fuzz_talk *fuzz_layer_talk(struct fuzz_ends *e, const struct msg *m);
/* It has such a token. */
bool fuzz_layer_is_talk(const struct msg *m);
/*
 * Takes the layers off a response, as far as they can be. Returns how many: 0 means that nobody who has the keys sent
 * this. A second copy of a message counts as read.
 */
unsigned fuzz_layer_read(struct fuzz_ends *e, struct fuzz_talk *t, struct msg *m, struct oscore_room rooms[2]);
/* The next hop's end: what is inside is noted. False: not under the guard's key. */
bool fuzz_layer_heard(struct fuzz_ends *e, const struct msg *m, struct fuzz_asked *a);
/* A layer on the response in buf. Returns the new length; 0: it cannot be protected. */
size_t fuzz_layer_response(struct fuzz_ends *e, struct fuzz_asked *a, uint8_t *buf, size_t len);
#endif

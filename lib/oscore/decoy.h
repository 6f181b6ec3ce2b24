/*
 * decoy: a context whose key nobody has, in the place of one that is not there. Whoever names a kid that nobody has is tried as if
 * somebody had it, so that neither his reply nor the time it takes tells which kids there are.
 */
#ifndef DECOY_H
#define DECOY_H
#include "oscore/oscore_context.h"

struct decoy {
	/* by the length of the kid, which the nonce and the AAD depend on; they share a key */
	struct oscore_context as[OSCORE_ID + 1];
};

/* key: as long as the algorithm's, and drawn anew at each start. False: no memory, or the algorithm is not available here. */
bool decoy_init(struct decoy *d, enum aead_algorithm algorithm, const uint8_t key[AEAD_KEY]);
void decoy_wipe(struct decoy *d);
/* It opens nothing, and can seal nothing. */
struct oscore_context *decoy_for(struct decoy *d, struct bytes kid);

static inline bool decoy_works(const struct decoy *d)
{
	return d->as[0].opener != NULL;
}
#endif

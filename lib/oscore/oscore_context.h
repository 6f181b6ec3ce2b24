/*
 * oscore_context: what two endpoints share (RFC 8613 §3): keys as prepared ciphers, identifiers, the sender sequence number and the
 * replay window. Sequence numbers are handed out only below a limit that the owner has put on disk (B.1.1).
 */
#ifndef OSCORE_CONTEXT_H
#define OSCORE_CONTEXT_H
#include "base/addr.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "oscore/oscore_aad.h"
#include "oscore/oscore_option.h"
#include "oscore/oscore_setup.h"
#include "oscore/replay.h"

#define OSCORE_SEALS                                                                                                   \
	(1U << 20) /* messages protected, after which the key ought to be replaced (key-limits draft §2.1) */
#define OSCORE_CHALLENGE 8

/* What has to survive a restart. */
struct oscore_state {
	uint64_t next;        /* no sender sequence number from here on was ever used */
	bool synced;          /* the window below is whole; else it was lost */
	struct replay window; /* its size is that of the setup */
};

struct oscore_counters {
	uint64_t sealed, opened; /* messages */
	uint64_t failed;         /* not authentic */
	uint64_t proven_failed;  /* of these, from sources that had proved their address: what counts against the key */
	uint64_t replayed;       /* authentic, but with a number seen before */
	uint64_t unsynced;       /* answered with an Echo, since the window was lost */
	uint64_t exhausted;      /* not protected, since no sequence number was safe to use */
};

struct oscore_context {
	struct oscore_setup setup;
	struct addr source;               /* the only host it is good for; unspecified: any */
	struct aead *sealer, *opener;     /* NULL: the context does not work */
	struct oscore_aad sent, received; /* of requests that we send, that we receive, and of their responses */
	uint8_t common_iv[AEAD_NONCE];
	uint64_t next, limit; /* sender sequence numbers: the next one, and the first that may not be used yet */
	struct replay window;
	bool synced; /* false: the window was lost, an Echo has to show that a request is fresh (B.1.2) */
	struct oscore_state loaded; /* its window counts as soon as the disk says that it is in use */
	uint8_t challenge
		[OSCORE_CHALLENGE]; /* the Echo value of this lifetime; unknown before, so whoever returns it is fresh */
	uint32_t generation;        /* changes with each set-up: what an older one began cannot go on */
	struct oscore_counters counters;
};

/*
 * Derives the keys (RFC 8613 §3.2.1); the secret is only read. Until oscore_context_allow nothing can be protected with a number of
 * its own, and the window counts as lost. False: no memory, or the library failed; then the context does not work.
 */
bool oscore_context_init(struct oscore_context *c, const struct oscore_setup *setup, struct bytes secret,
			 const struct oscore_state *state, struct rng *rng);
/* As oscore_context_init for a trace that is played again: no key. */
bool oscore_context_init_played(struct oscore_context *c, const struct oscore_setup *setup,
				const struct aead_player *player, const struct oscore_state *state, struct rng *rng);
void oscore_context_wipe(struct oscore_context *c); /* its generation stays */

static inline bool oscore_context_works(const struct oscore_context *c)
{
	return c->sealer != NULL;
}

/* The limit to write to disk next, `reserve` ahead, or 0: what is there will do for a while. */
uint64_t oscore_context_wanted(const struct oscore_context *c, uint32_t reserve);
/* Call only when it is on disk, together with the word that the window is in use. */
void oscore_context_allow(struct oscore_context *c, uint64_t limit);
/* What to write at a clean end. */
struct oscore_state oscore_context_state(const struct oscore_context *c);

/* Takes a sequence number. False: none is safe to use. */
bool oscore_context_number(struct oscore_context *c, uint64_t *number);
/* nonce of RFC 8613 §5.2 for a Partial IV made by the owner of `id`. */
void oscore_context_nonce(const struct oscore_context *c, struct bytes id, struct bytes piv, uint8_t out[AEAD_NONCE]);
#endif

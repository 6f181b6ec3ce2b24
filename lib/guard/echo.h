/*
 * echo: proof of return-routability by the Echo option (RFC 9175 §2). Stateless: the value says when it was made
 * and a MAC binds it to client endpoint and listener. 12 bytes, so that option header and value stay 13 + 1.
 *
 *   0        1               4                       12
 *   | epoch  | age in 1/4 s  | SipHash-2-4 truncated 0 |
 *
 * The time counts from the start of the key epoch: with a key of the guard's own it tells nothing about any clock. The guards of a fleet
 * share a key, and count epochs by the wall clock as it was when the key was set: from then on the monotonic one decides here, too.
 */
#ifndef ECHO_H
#define ECHO_H
#include "base/addr.h"
#include "base/bytes.h"
#include "base/siphash.h"
#include "base/tstamp.h"

#define ECHO_LEN  12
#define ECHO_SKEW (30 * TSTAMP_S) /* by so much the clocks of a fleet may differ */

struct echo_key {
	struct siphash_key master; /* each epoch's key is derived from it, so rotation draws no randomness */
	uint64_t lifetime;         /* of one epoch, ns; at most 2^22 s */
	tstamp start;
	uint64_t clock; /* at `start`: 0, or the wall clock */
	bool shared;    /* with other guards */
};

enum echo_result { ECHO_VALID, ECHO_STALE, ECHO_FOREIGN };

void echo_init(struct echo_key *k, const uint8_t secret[16], uint64_t lifetime, tstamp now);
/* wall: ns since 1970, now. Values are good at every guard with the same secret and lifetime: a value is bound to the listener's port only. */
void echo_init_shared(struct echo_key *k, const uint8_t secret[16], uint64_t lifetime, uint64_t wall, tstamp now);
void echo_make(const struct echo_key *k, const struct addr *client, const struct addr *listener, tstamp now,
	       uint8_t out[ECHO_LEN]);
/*
 * VALID: ours, for this endpoint, at most `validity` old. STALE: ours, of the current or the previous epoch, but
 * older. FOREIGN: anything else, forgeries included. The MAC is compared in constant time. Never in the future,
 * but for the ECHO_SKEW of a fleet, and no more than `validity` of it.
 */
enum echo_result echo_check(const struct echo_key *k, const struct addr *client, const struct addr *listener,
			    struct bytes value, uint64_t validity, tstamp now);
#endif

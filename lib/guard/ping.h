/*
 * ping: proof of return-routability by CoAP ping (RFC 7252 §4.3): an Empty CON whose Message ID is a MAC over
 * (endpoint, listener, time slot). Every conforming endpoint answers RST with that Message ID by itself. Stateless.
 * 16 bits can be guessed: callers ask for two proofs of different slots and count wrong ones.
 */
#ifndef PING_H
#define PING_H
#include "base/addr.h"
#include "base/siphash.h"
#include "base/tstamp.h"

#define PING_SLOT     (500 * TSTAMP_MS) /* one Message ID per endpoint and slot */
#define PING_VALIDITY 8                 /* slots: an answer may be 4 s late */

/* Message ID of the ping to send now. */
uint16_t ping_mid(const struct siphash_key *k, const struct addr *client, const struct addr *listener, tstamp now);
/* True: `mid` belongs to one of the last PING_VALIDITY slots, *slot says which. */
bool ping_check(const struct siphash_key *k, const struct addr *client, const struct addr *listener, uint16_t mid,
		tstamp now, uint64_t *slot);
#endif

/*
 * peers: the holders of the guard's own OSCORE contexts, by the context's place: where each was last heard of, what it may ask, and
 * how many forged messages under its kid are worth a decryption.
 */
#ifndef PEERS_H
#define PEERS_H
#include "base/bucket.h"
#include "guard/policy.h"
#include <stdbool.h>

#define PEERS_HOMES 2
/* decryptions for whoever is not known to hold the key: some 0.1 % of a processor */
#define PEERS_TRIES     ((struct rate){ 1000, TSTAMP_S })
#define PEERS_TRIES_MAX 1000

/* Echo values inside a layer whose window was lost: each costs a sequence number, and old messages draw them, too */
#define PEERS_ECHOES     ((struct rate){ 10, TSTAMP_S })
#define PEERS_ECHOES_MAX 32

struct peer {
	uint64_t homes[PEERS_HOMES]; /* keyed hashes of endpoints that sent authentic messages, the newest first */
	struct bucket tries, echoes;
	struct bucket own[POLICY_SERVERS]; /* each server has a rate of its own */
};

/* In the place of a peer: whoever uses a kid that is nobody's. He may try as often as under a kid of ours, so that it does not show. */
#define PEERS_NOBODY POLICY_PEERS

struct peers {
	struct peer all[POLICY_PEERS + 1];
};

/* An authentic message came from there. */
void peers_seen(struct peers *p, uint32_t place, uint64_t endpoint);
bool peers_is_home(const struct peers *p, uint32_t place, uint64_t endpoint);
bool peers_may_try(const struct peers *p, uint32_t place, tstamp now);
void peers_failed(struct peers *p, uint32_t place, tstamp now);   /* one try came to nothing */
bool peers_may_echo(struct peers *p, uint32_t place, tstamp now); /* one more Echo inside the layer; charged */
/*
 * In the peer's own bucket for that server, two seconds deep; a higher cost takes all of it. 0, or ns until it would pass; then nothing
 * was taken.
 */
uint64_t peers_spend(struct peers *p, uint32_t place, uint8_t server, struct rate r, uint64_t cost, tstamp now);
void peers_forget(struct peers *p, uint32_t place); /* the context changed hands */
#endif

/*
 * dedup: which message was seen, and what was answered (RFC 7252 §4.2, §4.5). A fixed index of 8-record buckets
 * and a circular log of replies: the oldest make room, nothing grows.
 */
#ifndef DEDUP_H
#define DEDUP_H
#include "base/bytes.h"
#include "base/tstamp.h"

struct dedup;
enum dedup_state { DEDUP_NEW, DEDUP_PENDING, DEDUP_ANSWERED };

/* entries is rounded up to a power of two; log_bytes holds the replies. NULL: no memory. */
struct dedup *dedup_create(uint32_t entries, uint32_t log_bytes);
void dedup_free(struct dedup *d);
size_t dedup_memory(uint32_t entries, uint32_t log_bytes);

/*
 * A duplicate has the same token, too: otherwise who forges a client's address could use up its next Message IDs, and
 * an endpoint that restarted and counts from the beginning would be taken for its former self. who: a hash of both
 * endpoints, keyed if it comes from the network. Never 0.
 */
uint64_t dedup_key(uint64_t who, uint16_t mid, struct bytes token);

/*
 * key: dedup_key. PENDING: *ref is what dedup_open was given.
 * ANSWERED: *reply is the reply, valid until the next dedup_answer; it is empty when the log has overwritten it
 * (then the duplicate is known, its answer is not).
 */
enum dedup_state dedup_find(const struct dedup *d, uint64_t key, tstamp now, uint32_t *ref, struct bytes *reply);
void dedup_prefetch(const struct dedup *d, uint64_t key);
void dedup_open(struct dedup *d, uint64_t key, uint32_t ref, tstamp expires); /* evicts the stalest of its bucket */
void dedup_answer(struct dedup *d, uint64_t key, struct bytes reply);         /* harmless if the key is gone */
void dedup_forget(struct dedup *d, uint64_t key);
#endif

/*
 * cache: representations that were answered in plain, until they are old (RFC 7252 §5.6). Fixed memory, the least recently used goes first.
 * It knows neither messages nor clients: whoever fills it decides what may be kept and who shares it.
 */
#ifndef CACHE_H
#define CACHE_H
#include "base/bytes.h"
#include "base/tstamp.h"

struct cache;

#define CACHE_ETAG     8
#define CACHE_OPTIONS  256        /* bytes of options that are kept; a response with more is not */
#define CACHE_VARIANTS 8          /* entries that differ only by Accept; a ninth replaces the least recently used */
#define CACHE_ANY      UINT32_MAX /* no Accept, or no Content-Format */

/* What was asked. Keyed hashes: nobody can aim for another's. */
struct cache_key {
	uint64_t uri;     /* server and URI: what a successful unsafe request makes old */
	uint64_t request; /* the same and all else of the cache key (RFC 7252 §5.4.2), but Accept */
	uint32_t accept;  /* or CACHE_ANY */
};

/*
 * A representation's head. Given, it is borrowed, but not from the cache; taken, it is valid until the next call that takes the cache
 * not const.
 */
struct cache_head {
	uint8_t code;
	uint32_t max_age;        /* s, as the server said it */
	uint32_t content_format; /* or CACHE_ANY */
	struct bytes etag;       /* ptr NULL: none */
	struct bytes options;    /* as on the wire, from option number 0; no ETag, Max-Age, Observe, block options */
};

struct cache_entry {
	struct cache_head head;
	uint32_t place;   /* names it until the cache changes */
	size_t len;       /* bytes of its payload that are here, from the first on */
	bool complete;    /* that is all of it */
	bool outdated;    /* an unsafe request succeeded since: good for nothing but its ETag */
	uint32_t age;     /* s since its beginning was received or it was validated, rounded up */
	uint32_t max_age; /* what is left of it, rounded down; 0: not fresh */
};

/*
 * bytes: of payload and options, in whole chunks of 128; more than 2 GiB is 2 GiB. Some two thirds of it come on top for heads and chains.
 * One entry per 256 bytes, at least 16, at most 65535. NULL: no memory.
 */
struct cache *cache_create(size_t bytes);
void cache_free(struct cache *c);
size_t cache_memory(size_t bytes); /* all that cache_create(bytes) allocates */

/*
 * What is kept for the key, fresh or not. A success (2.xx) asked for with another Accept, or with none, serves too if its Content-Format is
 * the one wanted (draft-hartke-core-e2e-security-reqs-03 PR2.5). What is fresh goes before what is not, then what was asked for with
 * this Accept before what was not. False: nothing. Counts as a use.
 */
bool cache_find(struct cache *c, const struct cache_key *k, tstamp now, struct cache_entry *out);
/* Copies at most `n` bytes of an entry's payload from `offset`; returns how many. Only until the cache changes. */
size_t cache_read(const struct cache *c, uint32_t place, size_t offset, uint8_t *out, size_t n);

/*
 * Part of a representation was received: `payload` at `offset`, and `complete` if it ends there. Offset 0 takes the place of what
 * was there. What follows is added to what cache_find would find if it joins on without a gap and the head has an ETag, and the same one;
 * else it is not kept. It may lie over what is there already. It never makes the whole fresh for longer: the earliest end counts.
 * False: not kept; what was there before under the key stays only if it still may, that is if neither ETag nor code nor length contradict it.
 */
bool cache_put(struct cache *c, const struct cache_key *k, const struct cache_head *head, size_t offset,
	       struct bytes payload, bool complete, tstamp now);
/*
 * The server says that what serves the key and has this ETag is still good (2.03), for so long, and that these options, however
 * long, stand for those of the same numbers that are kept, and a Content-Format for that which is (RFC 7252 §5.9.1.3). Code and payload stay. An
 * entry that would have too many options then is dropped: neither the old ones nor some of the new ones are true. Counts as a use. False: there
 * is no such entry, or no more.
 */
bool cache_refresh(struct cache *c, const struct cache_key *k, const struct cache_head *said, tstamp now);
/*
 * An unsafe request succeeded: all under that URI is outdated until it is validated or replaced (RFC 7252 §5.9.1). Another URI, one in a thousand
 * or fewer, may share its mark: that costs a validation, and nobody can choose which.
 */
void cache_invalidate(struct cache *c, uint64_t uri);
void cache_clear(struct cache *c);

struct cache_view {
	uint32_t entries, entries_capacity;
	size_t bytes, bytes_capacity; /* of payload and options, in whole chunks */
	uint64_t stored;              /* beginnings kept */
	uint64_t evicted;             /* made room for others */
	uint64_t refused;             /* too large, too many options, or an unusable follow-up */
};
void cache_view(const struct cache *c, struct cache_view *out);
#endif

/*
 * oscore_store: the contexts of this endpoint, found by who sends what: source address, kid and kid context. A host that has contexts of its
 * own has no others (draft-ietf-core-oscore-capable-proxies §2.4.1): there is one list per such source, and one for everybody
 * else, and only one of them is ever looked into, in the same number of steps.
 */
#ifndef OSCORE_STORE_H
#define OSCORE_STORE_H
#include "base/siphash.h"
#include "oscore/oscore_context.h"

#define OSCORE_NOWHERE UINT32_MAX

struct oscore_store;

/* Places 0 to capacity-1, none of them working. NULL: no memory. */
struct oscore_store *oscore_store_create(uint32_t capacity, const struct siphash_key *key);
void oscore_store_free(struct oscore_store *s);
size_t oscore_store_memory(uint32_t capacity);

struct oscore_context *oscore_store_at(struct oscore_store *s, uint32_t place);
uint32_t oscore_store_place(const struct oscore_store *s, const struct oscore_context *c);
/* After contexts were set up or wiped: what works is found from here on. */
void oscore_store_index(struct oscore_store *s);
/* Of a batch of requests each is announced first, so that memory is waited for only once. */
void oscore_store_prefetch(const struct oscore_store *s, const struct addr *source, struct bytes kid,
			   struct bytes kid_context);

struct oscore_claim {
	struct oscore_context *context; /* NULL: none works */
	uint32_t place;                 /* OSCORE_NOWHERE: it is a decoy */
};
/*
 * kid_context.ptr NULL: absent. Where there is no such context for this source, but others that work, a decoy of their algorithms stands
 * in, and it takes as long.
 */
struct oscore_claim oscore_store_claim(struct oscore_store *s, const struct addr *source, struct bytes kid,
				       struct bytes kid_context);
/* In the place of a context that works, but may not be used now. */
struct oscore_context *oscore_store_stand_in(struct oscore_store *s, const struct oscore_context *c);
#endif

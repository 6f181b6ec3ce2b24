/*
 * layers: the guard's own OSCORE layers on one exchange: those that came off the request and go on every response to it, the last one
 * off first; and the one put on towards the next hop (draft-ietf-core-oscore-capable-proxies-07 §2.3 to §2.6).
 */
#ifndef LAYERS_H
#define LAYERS_H
#include "base/dgram.h"
#include "oscore/oscore.h"
#include "oscore/oscore_store.h"
#include "proxy/proxy.h"

/* One layer, and what its later messages must know of the request. */
struct layer {
	uint32_t context, generation;
	struct oscore_request request;
};

struct layers {
	uint8_t n; /* the outermost first */
	struct layer off[PROXY_LAYERS];
};

/* The context of one of our layers; NULL: it has another key by now, or none. */
struct oscore_context *layers_context(struct oscore_store *s, const struct layer *l);

/* A layer came off. */
void layers_push(struct layers *l, const struct oscore_store *s, const struct oscore_context *c,
		 const struct oscore_request *rq);
/*
 * Puts all of them on the plain message in d, in place. OSCORE_OK, or why that cannot be; then nobody may see d. What it holds of
 * numbers and nonces is used up either way.
 */
enum oscore_result layers_protect(struct layers *l, struct oscore_store *s, struct dgram *d);

/* Puts a layer of context c on the request in d, in place; *l is what its responses need. */
enum oscore_result layers_add(struct layer *l, struct oscore_store *s, struct oscore_context *c, struct dgram *d);
/* Takes that layer off a response. opt: its OSCORE option. */
enum oscore_result layers_remove(struct layer *l, struct oscore_store *s, const struct msg *in,
				 const struct oscore_option *opt, struct oscore_room *room, struct msg *out);
/* Bytes that layers_add will add at most. */
uint8_t layers_growth(const struct oscore_context *c);
#endif

#include "proxy/layers.h"

struct oscore_context *layers_context(struct oscore_store *s, const struct layer *l)
{
	struct oscore_context *c = oscore_store_at(s, l->context);

	return oscore_context_works(c) && c->generation == l->generation ? c : NULL;
}

void layers_push(struct layers *l, const struct oscore_store *s, const struct oscore_context *c,
		 const struct oscore_request *rq)
{
	l->off[l->n++] = (struct layer){
		.context = oscore_store_place(s, c),
		.generation = c->generation,
		.request = *rq,
	};
}

static void put_back(struct dgram *d, const struct oscore_room *room, const struct msg *m)
{
	d->len = (uint16_t)(m->payload.ptr + m->payload.len - room->at);
	memcpy(d->buf, room->at, d->len);
}

static enum oscore_result protect(struct layer *l, struct oscore_store *s, struct dgram *d)
{
	struct oscore_context *c = layers_context(s, l);
	struct oscore_room room;
	enum oscore_result r;
	struct msg in, out;

	if (!c || msg_parse(&in, dgram_bytes(d)) != MSG_OK)
		return OSCORE_INVALID;
	r = oscore_protect_response(c, &in, &l->request, &room, &out);
	if (r == OSCORE_OK)
		put_back(d, &room, &out);
	return r;
}

enum oscore_result layers_protect(struct layers *l, struct oscore_store *s, struct dgram *d)
{
	enum oscore_result r = OSCORE_OK;

	for (unsigned i = l->n; i > 0 && r == OSCORE_OK; i--)
		r = protect(&l->off[i - 1], s, d);
	return r;
}

enum oscore_result layers_add(struct layer *l, struct oscore_store *s, struct oscore_context *c, struct dgram *d)
{
	struct oscore_room room;
	enum oscore_result r;
	struct msg in, out;

	if (msg_parse(&in, dgram_bytes(d)) != MSG_OK)
		return OSCORE_INVALID;
	l->context = oscore_store_place(s, c);
	l->generation = c->generation;
	r = oscore_protect_request(c, &in, OSCORE_NEXT_HOP, &room, &out, &l->request);
	if (r == OSCORE_OK)
		put_back(d, &room, &out);
	return r;
}

enum oscore_result layers_remove(struct layer *l, struct oscore_store *s, const struct msg *in,
				 const struct oscore_option *opt, struct oscore_room *room, struct msg *out)
{
	struct oscore_context *c = layers_context(s, l);

	return c ? oscore_unprotect_response(c, in, opt, &l->request, room, out) : OSCORE_INVALID;
}

/* Option header 3 and flags 1, Partial IV, kid context and its length, kid; code, payload marker and tag; an outer Observe. */
uint8_t layers_growth(const struct oscore_context *c)
{
	return (uint8_t)(3 + 1 + OSCORE_PIV + 1 + c->setup.id_context.len + c->setup.sender_id.len + 1 + 1 +
			 aead_info((enum aead_algorithm)c->setup.aead)->tag_len + 5);
}

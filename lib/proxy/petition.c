#include "proxy/petition.h"
#include "coap/option.h"

#define LAYER     16          /* what our layer adds, about, inside and outside */
#define WHOLE_FOR TSTAMP_HOUR /* what a server knows of blocks is tried again so often */

static enum path_channel channel_of(const struct exchange *x)
{
	return x->has_oscore || x->has_layer ? CHANNEL_OSCORE : CHANNEL_PLAIN;
}

static struct bytes token_of(const struct exchange *x)
{
	return bytes_of(x->token, sizeof x->token);
}

struct dgram *petition_blank(struct proxy *p, uint8_t server, enum path_channel channel)
{
	struct dgram *d = dgram_take(&p->pool);

	if (!d) {
		core_count(p, FAULT_NO_ROOM);
		return NULL;
	}
	d->to = (struct path){ .leg = LEG_DEVICE, .remote = p->cfg.servers[server].address };
	d->to.local.port = (uint16_t)channel;
	d->owner = DGRAM_UNOWNED;
	d->queued = false;
	return d;
}

static struct oscore_context *layer_context(const struct proxy *p, const struct exchange *x)
{
	uint8_t place = p->layers_of[x->server];
	struct oscore_context *c = place == PROXY_NO_CONTEXT ? NULL : oscore_store_at(p->contexts, place);

	return c && oscore_context_works(c) ? c : NULL;
}

bool petition_can_layer(const struct proxy *p, const struct exchange *x)
{
	const struct oscore_context *c = layer_context(p, x);

	return c && c->next < c->limit;
}

/* d is what goes up for x, in its lane. */
static bool keep(struct proxy *p, struct exchange *x, struct dgram *d, bool written)
{
	const struct oscore_context *c = x->has_layer && !x->pieces.whole ? layer_context(p, x) : NULL;

	if (!written) {
		dgram_give(&p->pool, d);
		return false;
	}
	d->growth = c ? layers_growth(c) : 0;
	d->owner = exchange_ref(&p->exchanges, x);
	d->lane = x->lane;
	d->device = x->server;
	d->flow = x->flow;
	x->up = d;
	return true;
}

/* What goes there goes in blocks of the link, if it has any and the server is not known to know none. */
static bool has_blocks(const struct proxy *p, uint8_t server, enum path_channel channel, tstamp now)
{
	return core_link(p, server)->block_size && tstamp_reached(p->whole_until[server][channel], now);
}

static bool is_cut(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return has_blocks(p, x->server, channel_of(x), now);
}

static uint8_t link_szx(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return is_cut(p, x, now) ? block_szx(core_link(p, x->server)->block_size) : BLOCK_SZX_MAX;
}

uint32_t petition_weight(const struct proxy *p, uint8_t server, size_t len)
{
	uint32_t frame = core_link(p, server)->sched.frame_size;

	return frame && len > frame ? (uint32_t)((len + frame - 1) / frame) : 1;
}

/* Every piece repeats the options, but for those that a layer of ours hides. */
static uint16_t count_units(const struct proxy *p, uint8_t server, const struct msg *m, bool has_oscore, tstamp now)
{
	bool layered = p->layers_of[server] != PROXY_NO_CONTEXT;
	size_t body = m->payload.len + (layered ? m->options.len + LAYER : 0);
	size_t head = 4 + EXCHANGE_TOKEN + (layered ? LAYER : m->options.len) + (body > 0);
	size_t block = has_blocks(p, server, has_oscore || layered ? CHANNEL_OSCORE : CHANNEL_PLAIN, now)
			       ? block_size(block_szx(core_link(p, server)->block_size))
			       : DGRAM_MAX;
	size_t full = body > 0 ? (body - 1) / block : 0, rest = body - full * block;
	size_t units = full * petition_weight(p, server, head + block) + petition_weight(p, server, head + rest);

	return units < UINT16_MAX ? (uint16_t)units : UINT16_MAX;
}

uint16_t petition_units(const struct proxy *p, uint8_t server, const struct msg *m, bool has_oscore, tstamp now)
{
	const struct proxy_link *link = core_link(p, server);

	return link->block_size || link->sched.frame_size ? count_units(p, server, m, has_oscore, now) : 1;
}

/* Whose blocks a client's own are. */
static uint64_t sender_of(const struct exchange *x)
{
	return x->flow ^ (x->layers.n ? x->layers.off[x->layers.n - 1].context + 1 : 0);
}

/*
 * It may want a later block of what was asked on behalf of all: to libcoap 4.3.4 another Request-Tag is another body, with another
 * ETag.
 */
static bool follows_shared(const struct proxy *p, const struct exchange *x)
{
	return p->cache && x->keyed && !x->pieces.has_ask1 && (x->method == MSG_GET || x->method == MSG_FETCH);
}

/* Which pieces belong together: those of one message, and of what its client cut itself; no two clients' are mixed (RFC 9175 §3.3). */
static void set_tag(const struct proxy *p, struct exchange *x, bool cuts)
{
	uint64_t what, hash;

	if (cuts && !x->own && !x->pieces.has_ask1)
		memcpy(&what, x->token, sizeof what); /* the same client may have another one under way */
	else
		what = x->own || follows_shared(p, x) ? x->key.request : sender_of(x);
	hash = siphash(&p->share_keys[1], &what, sizeof what);

	memcpy(x->pieces.tag, &hash, sizeof x->pieces.tag);
}

/* Of the message in d the first piece stays there. False: no room. */
static bool cut(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	struct dgram *whole = dgram_take(&p->pool);
	struct msg m;

	if (!whole || msg_parse(&m, dgram_bytes(d)) != MSG_OK) {
		dgram_give(&p->pool, whole);
		return false;
	}
	set_tag(p, x, m.payload.len > block_size(link_szx(p, x, now)));
	x->pieces.opaque = channel_of(x) == CHANNEL_OSCORE;
	x->pieces.tagged = !x->pieces.opaque && link_szx(p, x, now) < BLOCK_SZX_MAX;
	pieces_begin(&x->pieces, whole, &m, link_szx(p, x, now));
	return pieces_write(&x->pieces, x->up_is_con, token_of(x), d);
}

/* What the client said of blocks; the guard's own want what there is. */
static void note_asked(struct exchange *x, const struct request_view *v)
{
	x->pieces = (struct pieces){ .whole = NULL };
	if (x->own)
		return;
	x->pieces.has_ask1 = v->has_block1;
	x->pieces.ask1 = v->block1;
	x->pieces.has_ask2 = v->has_block2;
	x->pieces.ask2 = v->block2;
}

/*
 * In pieces, each with blocks of our own making; what a client sends in blocks gets its tag at least. What the guard asks on its own
 * behalf is kept whole, to be asked again. A layer of ours goes on before the cutting, when the message leaves.
 */
bool petition_build(struct proxy *p, struct exchange *x, const struct target *t, const struct request_view *v,
		    const struct target_edits *e, tstamp now)
{
	struct dgram *d = petition_blank(p, x->server, channel_of(x));
	bool cuts = !x->has_layer && (x->own || v->has_block1 || is_cut(p, x, now));
	struct target_edits edits = *e;
	struct msgbuf b;

	if (!d)
		return false;
	x->up_is_con = v->msg->type == MSG_CON;
	edits.drop_blocks = cuts;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, x->up_is_con ? MSG_CON : MSG_NON, v->msg->code, 0, token_of(x));
	target_rewrite(t, v, &edits, &b);
	d->len = (uint16_t)msgbuf_end(&b).len;
	if (cuts)
		note_asked(x, v);
	return keep(p, x, d, d->len > 0 && (!cuts || cut(p, x, d, now)));
}

/* A layer goes on anew, and what it makes is cut anew. */
static void forget_pieces(struct proxy *p, struct exchange *x)
{
	dgram_give(&p->pool, x->pieces.whole);
	x->pieces = (struct pieces){ .whole = NULL };
}

/* The same, with this Echo instead of any other. */
static bool write_echo(const struct dgram *bare, struct bytes echo, struct dgram *d)
{
	struct edits e = { .n = 0 };
	struct msgbuf b;
	struct msg m;

	if (msg_parse(&m, dgram_bytes(bare)) != MSG_OK)
		return false;
	edits_set(&e, OPTION_ECHO, echo);
	msgbuf_begin(&b, d->buf, DGRAM_MAX, m.type, m.code, 0, m.token);
	edits_write(&e, &m, &b);
	msgbuf_payload(&b, m.payload);
	d->len = (uint16_t)msgbuf_end(&b).len;
	return d->len > 0;
}

bool petition_with_echo(struct proxy *p, struct exchange *x, struct bytes echo)
{
	struct dgram *d = petition_blank(p, x->server, channel_of(x));

	forget_pieces(p, x);
	return d && keep(p, x, d, write_echo(x->bare, echo, d));
}

/* What goes up is kept as it was: the next hop may want it again, with an Echo inside. */
static bool put_layer_on(struct proxy *p, struct exchange *x, struct dgram *d)
{
	struct oscore_context *c = layer_context(p, x);

	if (!x->bare) {
		x->bare = dgram_take(&p->pool);
		if (!x->bare)
			return false;
		x->bare->len = d->len;
		memcpy(x->bare->buf, d->buf, d->len);
	}
	d->growth = 0;
	return c && layers_add(&x->up_layer, p->contexts, c, d) == OSCORE_OK;
}

/* Once: later pieces are of the same protected message. */
bool petition_protect(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now)
{
	if (x->pieces.whole)
		return true;
	return put_layer_on(p, x, d) && (!is_cut(p, x, now) || cut(p, x, d, now));
}

bool petition_next_piece(struct proxy *p, struct exchange *x)
{
	struct dgram *d = petition_blank(p, x->server, channel_of(x));

	if (!d)
		return false;
	exchange_renew_token(&p->exchanges, x, p->rng);
	return keep(p, x, d, pieces_write(&x->pieces, x->up_is_con, token_of(x), d));
}

bool petition_for_rest(struct proxy *p, struct exchange *e, const struct exchange *x)
{
	struct dgram *d = petition_blank(p, e->server, channel_of(e));

	if (!d)
		return false;
	exchange_renew_token(&p->exchanges, e, p->rng);
	return keep(p, e, d, pieces_write_rest(&x->pieces, e->up_is_con, token_of(e), d));
}

/* As it was before our layer, if there is one. */
static bool write_again(struct exchange *x, struct dgram *d)
{
	if (!x->has_layer) {
		x->pieces.sent = 0;
		return x->pieces.whole && pieces_write(&x->pieces, x->up_is_con, token_of(x), d);
	}
	if (!x->bare)
		return false;
	memcpy(d->buf, x->bare->buf, x->bare->len);
	d->len = x->bare->len;
	return true;
}

bool petition_again(struct proxy *p, struct exchange *x)
{
	struct dgram *d = petition_blank(p, x->server, channel_of(x));

	if (!d)
		return false;
	if (x->has_layer)
		forget_pieces(p, x);
	return keep(p, x, d, write_again(x, d));
}

/*
 * A server that knows no blocks refuses the option; one that knows none around OSCORE takes the first piece for the whole, which does not
 * verify.
 */
static bool refuses_blocks(const struct exchange *x, const struct msg *m)
{
	const struct pieces *ps = &x->pieces;
	struct msg_option opt;

	if (ps->joined || !(ps->cut || ps->szx2 < BLOCK_SZX_MAX))
		return false;
	if (m->code == MSG_BAD_OPTION)
		return true;
	return ps->opaque && ps->cut && ps->sent == 0 && (m->code == MSG_BAD_REQUEST || m->code == MSG_UNAUTHORIZED) &&
	       !msg_find(m, OPTION_OSCORE, &opt) && !msg_find(m, OPTION_ECHO, &opt);
}

bool petition_goes_on(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	if (!x->pieces.whole || x->state > EXCHANGE_ACKED)
		return false;
	if (!refuses_blocks(x, m))
		return pieces_continue(&x->pieces, m);
	pieces_join(&x->pieces);
	p->whole_until[x->server][channel_of(x)] = tstamp_add(now, WHOLE_FOR);
	return true;
}

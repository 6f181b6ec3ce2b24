#include "proxy/share_key.h"
#include "coap/option.h"

/* Options as the server sees them, one after the other. One takes a byte on the wire, and four more here. */
struct text {
	uint8_t buf[5 * DGRAM_MAX + 16];
	size_t len;
};

static void put(struct text *t, const void *from, size_t n)
{
	if (n)
		memcpy(t->buf + t->len, from, n);
	t->len += n;
}

/* Not a part of the key: what only concerns this hop, or this client, or blocks of a whole (RFC 7252 §5.4.2, RFC 9175 §3.7). */
static bool is_beside(uint16_t number)
{
	switch (number) {
	case OPTION_ETAG:
	case OPTION_OBSERVE:
	case OPTION_ACCEPT: /* apart */
	case OPTION_HOP_LIMIT:
	case OPTION_BLOCK1:
	case OPTION_BLOCK2:
	case OPTION_REQUEST_TAG: return true;
	default: return option_is_no_cache_key(number);
	}
}

/*
 * What names a resource at a server. Hosts are left out, and with them what a next proxy will make of its own options: that an unsafe request
 * makes old more than it has to costs a validation.
 */
static bool is_path(uint16_t number)
{
	return number == OPTION_URI_PATH || number == OPTION_URI_PATH_ABBREV || number == OPTION_URI_QUERY;
}

static void put_option(struct text *t, uint16_t number, struct bytes value)
{
	uint16_t head[2] = { number, (uint16_t)value.len };

	put(t, head, sizeof head);
	put(t, value.ptr, value.len);
}

/* No option is so long: what follows cannot look like more of them. */
static void put_end(struct text *t)
{
	static const uint16_t end[2] = { 0, UINT16_MAX };

	put(t, end, sizeof end);
}

static void put_options(struct text *t, const struct msg *m, bool of_path)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	while (msg_next(&it, &opt))
		if (is_path(opt.number) == of_path && !is_beside(opt.number))
			put_option(t, opt.number, opt.value);
	put_end(t);
}

/* Each layer of ours has its own clients: what one context is told is no other's business. */
static uint8_t circle(const struct request *rq)
{
	return rq->layers.n ? (uint8_t)rq->layers.off[rq->layers.n - 1].context : PROXY_NO_CONTEXT;
}

static struct cache_key key_of(const struct proxy *p, const struct request *rq, const struct msg *forwarded)
{
	struct text t = { .len = 0 };
	struct cache_key k = { .accept = rq->view.accept };
	uint8_t head[2] = { rq->msg->code, circle(rq) };

	put(&t, &rq->target.server, 1);
	put_options(&t, forwarded, true);
	k.uri = siphash(&p->share_keys[0], t.buf, t.len);
	put(&t, head, sizeof head);
	put_options(&t, forwarded, false);
	if (rq->msg->code == MSG_FETCH) /* RFC 8132 §2.2 */
		put(&t, rq->msg->payload.ptr, rq->msg->payload.len);
	k.request = siphash(&p->share_keys[1], t.buf, t.len);
	return k;
}

/* Whoever may ask the device at all. */
static bool is_admitted(const struct proxy *p, const struct request *rq)
{
	const struct policy_server *s = &p->cfg.policy.servers[rq->target.server];

	return rq->layers.n > 0 ||
	       (s->plain != PLAIN_DENY && s->mode != MODE_FULL && !p->cfg.servers[rq->target.server].require_layer);
}

bool share_key_make(const struct proxy *p, const struct request *rq, struct cache_key *key)
{
	const struct target_edits e = { .drop_echo = true };
	uint8_t buf[DGRAM_MAX];
	struct msgbuf b;
	struct msg m;

	if (!is_admitted(p, rq) || !(p->cache || rq->view.observe || rq->view.deregister))
		return false;
	if (share_key_is_safe(rq->msg->code) && rq->view.has_block1) /* what it asks for is not in this block alone */
		return false;
	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, rq->msg->code, 0, bytes_of(NULL, 0));
	target_rewrite(&rq->target, &rq->view, &e, &b);
	if (msg_parse(&m, msgbuf_end(&b)) != MSG_OK)
		return false;
	*key = key_of(p, rq, &m);
	return true;
}

uint64_t share_key_location(const struct proxy *p, uint8_t server, const struct msg *m)
{
	struct text t = { .len = 0 };
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	put(&t, &server, 1);
	while (msg_next(&it, &opt))
		if (opt.number == OPTION_LOCATION_PATH || opt.number == OPTION_LOCATION_QUERY)
			put_option(&t, opt.number == OPTION_LOCATION_PATH ? OPTION_URI_PATH : OPTION_URI_QUERY,
				   opt.value);
	put_end(&t);
	return siphash(&p->share_keys[0], t.buf, t.len);
}

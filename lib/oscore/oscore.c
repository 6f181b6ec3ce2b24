#include "oscore/oscore.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "oscore/oscore_class.h"

#define HEADER 4
#define MARKER 0xff

/*
 * A message without token whose Message ID gives up its last byte to the code is a plaintext:
 *
 *   | 40 | code | 00 | 00 | options | ff payload |
 *                     code | options | ff payload      RFC 8613 §5.3
 */
#define PLAINTEXT (HEADER - 1)

static struct bytes sender_id(const struct oscore_context *c)
{
	return oscore_id_bytes(&c->setup.sender_id);
}

static struct bytes recipient_id(const struct oscore_context *c)
{
	return oscore_id_bytes(&c->setup.recipient_id);
}

static struct bytes request_piv(const struct oscore_request *rq)
{
	return bytes_of(rq->piv, rq->piv_len);
}

static uint8_t tag_len(const struct oscore_context *c)
{
	return aead_info((enum aead_algorithm)c->setup.aead)->tag_len;
}

/* --- putting a layer on ------------------------------------------------------------------------------------------- */

static bool has_scheme(const struct msg *m)
{
	struct msg_option opt;

	return msg_find(m, OPTION_PROXY_SCHEME, &opt) || msg_find(m, OPTION_PROXY_SCHEME_NUMBER, &opt);
}

/* What we put into a message is for its next hop, too, so who added an option makes no difference here. */
static bool is_inner(uint16_t number, enum oscore_peer peer, bool scheme)
{
	const struct oscore_class_facts facts = {
		.next_hop = peer == OSCORE_NEXT_HOP,
		.next_hop_is_next_consumer = true,
		.is_authority = number == OPTION_URI_HOST || number == OPTION_URI_PORT,
		.has_scheme = scheme,
	};

	return oscore_class_of(number) != OSCORE_OUTER || oscore_class_is_inner(&facts);
}

/* RFC 8613 §4.1.3.5.2: "the Inner Observe option value [of a notification] MUST be empty". */
static struct bytes inner_value(const struct msg *in, const struct msg_option *opt)
{
	return opt->number == OPTION_OBSERVE && msg_is_response(in) ? bytes_of("", 0) : opt->value;
}

/* One walk, two messages: what is encrypted, and what stands around it. */
static enum oscore_result split(const struct msg *in, enum oscore_peer peer, struct bytes value, struct msgbuf *inner,
				struct msgbuf *outer)
{
	struct msg_iter it = msg_options(in);
	bool scheme = has_scheme(in), written = false;
	struct msg_option opt;

	while (msg_next(&it, &opt)) {
		if (!option_find(opt.number))
			return OSCORE_UNKNOWN;
		if (!written && opt.number > OPTION_OSCORE) {
			msgbuf_option(outer, OPTION_OSCORE, value);
			written = true;
		}
		if (is_inner(opt.number, peer, scheme))
			msgbuf_option(inner, opt.number, inner_value(in, &opt));
		else
			msgbuf_option(outer, opt.number, opt.value);
		if (opt.number == OPTION_OBSERVE)
			msgbuf_option(outer, opt.number, opt.value);
	}
	if (!written)
		msgbuf_option(outer, OPTION_OSCORE, value);
	msgbuf_payload(inner, in->payload);
	return OSCORE_OK;
}

struct sealing {
	struct oscore_option option;
	struct bytes nonce_id, nonce_piv, piv; /* for the nonce; the request's */
	const struct oscore_aad *aad;
	enum oscore_peer peer;
	uint8_t code;
};

static enum oscore_result seal(struct oscore_context *c, const struct msg *in, const struct sealing *s,
			       struct oscore_room *room, struct msg *out)
{
	uint8_t plain[DGRAM_MAX], value[OSCORE_OPTION_LEN], aad[OSCORE_AAD_MAX], nonce[AEAD_NONCE];
	size_t value_len = oscore_option_write(&s->option, value), head, len;
	struct msgbuf inner, outer;
	enum oscore_result r;

	msgbuf_begin(&inner, plain, sizeof plain, MSG_CON, in->code, in->code, bytes_of(NULL, 0));
	msgbuf_begin(&outer, room->at, sizeof room->at, in->type, s->code, in->mid, in->token);
	r = split(in, s->peer, bytes_of(value, value_len), &inner, &outer);
	if (r != OSCORE_OK)
		return r;
	head = msgbuf_end(&outer).len;
	len = msgbuf_end(&inner).len;
	if (head == 0 || len == 0 || head + 1 + len - PLAINTEXT + tag_len(c) > sizeof room->at)
		return OSCORE_TOO_LARGE;
	room->at[head++] = MARKER;
	oscore_context_nonce(c, s->nonce_id, s->nonce_piv, nonce);
	if (!aead_seal(c->sealer, nonce, bytes_of(aad, oscore_aad_finish(s->aad, s->piv, aad)),
		       bytes_of(plain + PLAINTEXT, len - PLAINTEXT), room->at + head))
		return OSCORE_EXHAUSTED;
	c->counters.sealed++;
	msg_parse(out, bytes_of(room->at, head + len - PLAINTEXT + tag_len(c)));
	return OSCORE_OK;
}

/* The number is taken before anything can go wrong: one lost is nothing, one used twice is everything. */
static bool take_piv(struct oscore_context *c, uint8_t piv[OSCORE_PIV], uint8_t *len)
{
	uint64_t number;

	if (!oscore_context_number(c, &number))
		return false;
	*len = oscore_option_piv(number, piv);
	return true;
}

enum oscore_result oscore_protect_request(struct oscore_context *c, const struct msg *in, enum oscore_peer peer,
					  struct oscore_room *room, struct msg *out, struct oscore_request *rq)
{
	struct msg_option observe;
	struct sealing s = { .peer = peer, .aad = &c->sent };

	*rq = (struct oscore_request){ .fetch = msg_find(in, OPTION_OBSERVE, &observe), .nonce_free = true };
	if (!take_piv(c, rq->piv, &rq->piv_len))
		return OSCORE_EXHAUSTED;
	s.nonce_id = s.option.kid = sender_id(c);
	s.nonce_piv = s.piv = s.option.piv = request_piv(rq);
	s.option.kid_context = oscore_setup_id_context(&c->setup);
	s.code = rq->fetch ? MSG_FETCH : MSG_POST;
	return seal(c, in, &s, room, out);
}

enum oscore_result oscore_protect_response(struct oscore_context *c, const struct msg *in, struct oscore_request *rq,
					   struct oscore_room *room, struct msg *out)
{
	struct sealing s = { .peer = OSCORE_NEXT_HOP, .aad = &c->received, .piv = request_piv(rq) };
	uint8_t piv[OSCORE_PIV], len;

	s.code = rq->fetch ? MSG_CONTENT : MSG_CHANGED;
	s.nonce_id = recipient_id(c);
	s.nonce_piv = s.piv;
	if (rq->nonce_free) {
		rq->nonce_free = false;
	} else {
		if (!take_piv(c, piv, &len))
			return OSCORE_EXHAUSTED;
		s.nonce_id = sender_id(c);
		s.nonce_piv = s.option.piv = bytes_of(piv, len);
	}
	return seal(c, in, &s, room, out);
}

/* --- taking a layer off ------------------------------------------------------------------------------------------- */

/* The plaintext as a message without token; false: not authentic, or no message of the kind expected. */
static bool open(struct oscore_context *c, const struct msg *in, struct bytes nonce_id, struct bytes nonce_piv,
		 const struct oscore_aad *request, struct bytes piv, uint8_t plain[DGRAM_MAX], struct msg *inside)
{
	uint8_t aad[OSCORE_AAD_MAX], nonce[AEAD_NONCE], code;
	size_t len = in->payload.len - tag_len(c);

	if (in->payload.len <= tag_len(c) || len + PLAINTEXT > DGRAM_MAX)
		return false;
	oscore_context_nonce(c, nonce_id, nonce_piv, nonce);
	if (!aead_open(c->opener, nonce, bytes_of(aad, oscore_aad_finish(request, piv, aad)), in->payload,
		       plain + PLAINTEXT)) {
		c->counters.failed++;
		return false;
	}
	c->counters.opened++;
	code = plain[PLAINTEXT];
	memcpy(plain, (const uint8_t[HEADER]){ 0x40, code, 0, 0 }, HEADER);
	return msg_parse(inside, bytes_of(plain, PLAINTEXT + len)) == MSG_OK;
}

/* Options that say where to: if one is inside, all of them are. */
static bool is_route(uint16_t number)
{
	switch (number) {
	case OPTION_URI_HOST:
	case OPTION_URI_PORT:
	case OPTION_PROXY_URI:
	case OPTION_PROXY_SCHEME:
	case OPTION_PROXY_CRI:
	case OPTION_PROXY_SCHEME_NUMBER: return true;
	default: return false;
	}
}

static bool has_route(const struct msg *m)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	while (msg_next(&it, &opt))
		if (is_route(opt.number))
			return true;
	return false;
}

/*
 * An outer option is left when it is outer by definition (RFC 8613 §8.2 step 1 discards the others), not inside as well, and not
 * used up: the options that sent the message here are.
 */
static bool is_left(const struct msg_option *opt, const struct msg *inside, bool route)
{
	struct msg_option other;

	if (opt->number == OPTION_OSCORE || oscore_class_of(opt->number) != OSCORE_OUTER)
		return false;
	if (is_route(opt->number) && (route || opt->number > OPTION_URI_PORT))
		return false;
	return !msg_find(inside, opt->number, &other);
}

/* What is inside, as the receiver shall see it. */
struct view {
	const struct msg *inside;
	struct bytes our_echo; /* this value is ours, and nobody else's business */
	struct bytes observe;  /* in the place of an empty one; ptr NULL: as it is */
};

static void put_inner(struct msgbuf *b, const struct view *v, const struct msg_option *opt)
{
	if (opt->number == OPTION_ECHO && bytes_equal(opt->value, v->our_echo))
		return;
	msgbuf_option(b, opt->number, opt->number == OPTION_OBSERVE && v->observe.ptr ? v->observe : opt->value);
}

static bool next_left(struct msg_iter *it, const struct msg *inside, bool route, struct msg_option *opt)
{
	while (msg_next(it, opt))
		if (is_left(opt, inside, route))
			return true;
	return false;
}

static bool merge(const struct msg *in, const struct view *v, struct oscore_room *room, struct msg *out)
{
	struct msg_iter outside = msg_options(in), inside = msg_options(v->inside);
	bool route = has_route(v->inside), has_left, has_inner;
	struct msg_option left, inner;
	struct msgbuf b;

	msgbuf_begin(&b, room->at, sizeof room->at, in->type, v->inside->code, in->mid, in->token);
	has_left = next_left(&outside, v->inside, route, &left);
	has_inner = msg_next(&inside, &inner);
	while (has_left || has_inner) {
		if (has_left && (!has_inner || left.number < inner.number)) {
			msgbuf_option(&b, left.number, left.value);
			has_left = next_left(&outside, v->inside, route, &left);
		} else {
			put_inner(&b, v, &inner);
			has_inner = msg_next(&inside, &inner);
		}
	}
	msgbuf_payload(&b, v->inside->payload);
	return msg_parse(out, msgbuf_end(&b)) == MSG_OK;
}

/* The window decides, or the Echo that this lifetime gave out (RFC 8613 B.1.2). */
static enum oscore_result strike_out(struct oscore_context *c, const struct msg *inside, uint64_t number)
{
	struct msg_option echo;

	if (c->synced) {
		if (replay_accept(&c->window, number))
			return OSCORE_OK;
		c->counters.replayed++;
		return OSCORE_REPLAYED;
	}
	if (!msg_find(inside, OPTION_ECHO, &echo) ||
	    !bytes_equal(echo.value, bytes_of(c->challenge, OSCORE_CHALLENGE))) {
		c->counters.unsynced++;
		return OSCORE_UNSYNCED;
	}
	replay_resume(&c->window, number);
	c->synced = true;
	return OSCORE_OK;
}

static void note_request(struct oscore_request *rq, const struct msg *in, const struct oscore_option *opt)
{
	*rq = (struct oscore_request){ .fetch = in->code == MSG_FETCH, .piv_len = (uint8_t)opt->piv.len };
	memcpy(rq->piv, opt->piv.ptr, opt->piv.len);
}

enum oscore_result oscore_unprotect_request(struct oscore_context *c, const struct msg *in,
					    const struct oscore_option *opt, struct oscore_room *room, struct msg *out,
					    struct oscore_request *rq)
{
	uint64_t number = oscore_option_number(opt->piv);
	uint8_t plain[DGRAM_MAX];
	struct msg inside;
	struct view v = { .inside = &inside, .our_echo = bytes_of(c->challenge, OSCORE_CHALLENGE) };
	enum oscore_result r;

	note_request(rq, in, opt);
	if (!open(c, in, recipient_id(c), opt->piv, &c->received, opt->piv, plain, &inside))
		return OSCORE_INVALID;
	r = strike_out(c, &inside, number);
	if (r == OSCORE_REPLAYED)
		return r;
	if (!msg_is_request(&inside))
		return OSCORE_INVALID;
	/* only a number out of a whole window was never answered before (RFC 8613 §8.3) */
	rq->nonce_free = r == OSCORE_OK;
	if (!merge(in, &v, room, out))
		return OSCORE_TOO_LARGE;
	return r;
}

/* A response without a Partial IV comes once, and is the oldest; of the others each is younger than the last. */
static bool is_younger(const struct oscore_request *rq, struct bytes piv)
{
	return piv.ptr ? oscore_option_number(piv) + 1 > rq->notified : rq->nonce_free;
}

static struct bytes observe_value(struct bytes piv)
{
	size_t skip = piv.len > 3 ? piv.len - 3 : 0;

	while (skip < piv.len && piv.ptr[skip] == 0)
		skip++;
	return piv.ptr ? bytes_of(piv.ptr + skip, piv.len - skip) : bytes_of(NULL, 0);
}

enum oscore_result oscore_unprotect_response(struct oscore_context *c, const struct msg *in,
					     const struct oscore_option *opt, struct oscore_request *rq,
					     struct oscore_room *room, struct msg *out)
{
	uint8_t plain[DGRAM_MAX];
	struct msg inside;
	struct view v = { .inside = &inside, .observe = observe_value(opt->piv) };
	struct bytes id = opt->piv.ptr ? recipient_id(c) : sender_id(c);

	if (!is_younger(rq, opt->piv)) {
		c->counters.replayed++;
		return OSCORE_REPLAYED;
	}
	if (!open(c, in, id, opt->piv.ptr ? opt->piv : request_piv(rq), &c->sent, request_piv(rq), plain, &inside) ||
	    !msg_is_response(&inside))
		return OSCORE_INVALID;
	rq->nonce_free = false;
	if (opt->piv.ptr)
		rq->notified = oscore_option_number(opt->piv) + 1;
	return merge(in, &v, room, out) ? OSCORE_OK : OSCORE_TOO_LARGE;
}

#include "fuzz_layer.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "fuzz_target.h"
#include <stdlib.h>

#define PLENTY (1ULL << 32) /* sequence numbers */
#define TOKEN  6
#define MARK   0xa5

struct oscore_setup fuzz_layer_setup(uint8_t context)
{
	struct oscore_setup s = { .window = 32,
				  .sender_id = { 1, { (uint8_t)(0x50 + context) } },
				  .recipient_id = { 1, { (uint8_t)(0x20 + context) } } };

	if (context == FUZZ_INNER)
		s.id_context.len = 3;
	return s;
}

struct bytes fuzz_layer_secret(uint8_t context)
{
	static const char *const secrets[FUZZ_CONTEXTS] = { "of the front", "of the inner", "of one host",
							    "of the next" };

	return bytes_of(secrets[context], 11);
}

void fuzz_layer_open(struct fuzz_ends *e, struct rng *rng, struct fuzz_ledger *ledger)
{
	struct oscore_state fresh = { .synced = true };

	*e = (struct fuzz_ends){ .rng = rng, .ledger = ledger };
	replay_init(&fresh.window, 32);
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++) {
		struct oscore_setup ours = fuzz_layer_setup(i), s = ours;

		s.sender_id = ours.recipient_id;
		s.recipient_id = ours.sender_id;
		if (!oscore_context_init(&e->at[i], &s, fuzz_layer_secret(i), &fresh, rng))
			abort();
		oscore_context_allow(&e->at[i], PLENTY);
	}
}

void fuzz_layer_close(struct fuzz_ends *e)
{
	for (unsigned i = 0; i < FUZZ_CONTEXTS; i++)
		oscore_context_wipe(&e->at[i]);
}

static size_t put_back(uint8_t *buf, const struct oscore_room *room, const struct msg *m)
{
	size_t len = (size_t)(m->payload.ptr + m->payload.len - room->at);

	memcpy(buf, room->at, len);
	return len;
}

static size_t put_on(struct fuzz_ends *e, uint8_t context, uint8_t *buf, size_t len, struct oscore_request *asked)
{
	struct oscore_room room;
	struct msg in, out;

	if (msg_parse(&in, bytes_of(buf, len)) != MSG_OK ||
	    oscore_protect_request(&e->at[context], &in, OSCORE_NEXT_HOP, &room, &out, asked) != OSCORE_OK)
		return 0;
	return put_back(buf, &room, &out);
}

static size_t name(struct fuzz_ends *e, uint8_t *buf, size_t len)
{
	uint8_t token[TOKEN] = { MARK,
				 (uint8_t)(++e->serial % FUZZ_TALKS),
				 (uint8_t)(e->serial >> 24),
				 (uint8_t)(e->serial >> 16),
				 (uint8_t)(e->serial >> 8),
				 (uint8_t)e->serial };
	uint8_t copy[DGRAM_MAX];
	struct msg_option opt;
	struct msg_iter it;
	struct msgbuf b;
	struct msg m;

	if (msg_parse(&m, bytes_of(buf, len)) != MSG_OK || !msg_is_request(&m))
		return 0;
	memcpy(copy, buf, len);
	msg_parse(&m, bytes_of(copy, len));
	msgbuf_begin(&b, buf, DGRAM_MAX, m.type, m.code, m.mid, bytes_of(token, sizeof token));
	for (it = msg_options(&m); msg_next(&it, &opt);)
		msgbuf_option(&b, opt.number, opt.value);
	msgbuf_payload(&b, m.payload);
	return msgbuf_end(&b).len;
}

size_t fuzz_layer_request(struct fuzz_input *in, struct fuzz_ends *e, uint8_t *buf, size_t len)
{
	static const uint8_t often[] = { 1, 1, 1, 1, 2, 2, 2, 3 };
	struct fuzz_talk *t;
	uint8_t which = fuzz_byte(in);

	len = name(e, buf, len);
	t = &e->talks[e->serial % FUZZ_TALKS];
	*t = (struct fuzz_talk){ .serial = e->serial, .n = often[which % 8] };
	for (unsigned i = t->n; i-- > 0 && len;) {
		t->contexts[i] = (uint8_t)((which >> (3 + 2 * i)) % FUZZ_CONTEXTS);
		len = put_on(e, t->contexts[i], buf, len, &t->asked[i]);
	}
	return len <= 1280 ? len : 0;
}

bool fuzz_layer_is_talk(const struct msg *m)
{
	return m->token.len == TOKEN && m->token.ptr[0] == MARK;
}

struct fuzz_talk *fuzz_layer_talk(struct fuzz_ends *e, const struct msg *m)
{
	const uint8_t *t = m->token.ptr;
	struct fuzz_talk *talk;
	uint32_t serial;

	if (!fuzz_layer_is_talk(m))
		return NULL;
	serial = (uint32_t)t[2] << 24 | (uint32_t)t[3] << 16 | (uint32_t)t[4] << 8 | t[5];
	talk = &e->talks[t[1] % FUZZ_TALKS];
	return serial && talk->serial == serial ? talk : NULL;
}

/* Only what is authentic: another sender may say anything. */
static void note_nonce(struct fuzz_ends *e, uint8_t context, struct bytes own, struct bytes request, struct bytes text)
{
	const char *wrong = fuzz_ledger_nonce(e->ledger, context, own.ptr != NULL,
					      oscore_option_number(own.ptr ? own : request), text);

	if (wrong)
		fuzz_fail(wrong, __FILE__, __LINE__);
}

unsigned fuzz_layer_read(struct fuzz_ends *e, struct fuzz_talk *t, struct msg *m, struct oscore_room rooms[2])
{
	unsigned n = 0;

	while (n < t->n) {
		struct oscore_option o;
		struct msg_option value;
		enum oscore_result r;
		struct msg out;

		if (!msg_find(m, OPTION_OSCORE, &value) || oscore_option_parse(&o, value.value) != OSCORE_OPTION_OK)
			break;
		r = oscore_unprotect_response(&e->at[t->contexts[n]], m, &o, &t->asked[n], &rooms[n & 1], &out);
		if (r == OSCORE_REPLAYED) /* a retransmission */
			return n + 1;
		if (r != OSCORE_OK)
			break;
		note_nonce(e, t->contexts[n], o.piv, bytes_of(t->asked[n].piv, t->asked[n].piv_len), m->payload);
		*m = out;
		n++;
	}
	return n;
}

/* Block1 around the layer (RFC 8613 §4.1.3.4.2). True: it is all there, and in *whole. */
static bool gather(struct fuzz_ends *e, const struct msg *m, struct fuzz_asked *a, uint8_t *buf, struct msg *whole)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	struct msgbuf b;

	a->piece = a->last = false;
	if (!msg_find(m, OPTION_BLOCK1, &opt) || !block_parse(opt.value, &a->outer)) {
		*whole = *m;
		return true;
	}
	e->n_gathered = a->outer.num ? e->n_gathered : 0;
	a->piece = a->outer.more;
	a->last = !a->piece;
	if (e->n_gathered + m->payload.len > sizeof e->gathered)
		return false;
	memcpy(e->gathered + e->n_gathered, m->payload.ptr, m->payload.len);
	e->n_gathered += m->payload.len;
	msgbuf_begin(&b, buf, DGRAM_MAX, m->type, m->code, m->mid, m->token);
	while (msg_next(&it, &opt))
		if (opt.number != OPTION_BLOCK1 && opt.number != OPTION_SIZE1 && opt.number != OPTION_REQUEST_TAG)
			msgbuf_option(&b, opt.number, opt.value);
	msgbuf_payload(&b, bytes_of(e->gathered, e->n_gathered));
	return !a->piece && msg_parse(whole, msgbuf_end(&b)) == MSG_OK;
}

bool fuzz_layer_heard(struct fuzz_ends *e, const struct msg *m, struct fuzz_asked *a)
{
	uint8_t buf[DGRAM_MAX];
	struct oscore_room room;
	struct oscore_option o;
	struct msg_option value;
	enum oscore_result r;
	struct msg whole, out;

	if (!msg_find(m, OPTION_OSCORE, &value) || oscore_option_parse(&o, value.value) != OSCORE_OPTION_OK ||
	    !o.piv.ptr || !bytes_equal(o.kid, oscore_id_bytes(&e->at[FUZZ_NEXT].setup.recipient_id)))
		return false;
	if (!gather(e, m, a, buf, &whole))
		return true;
	r = oscore_unprotect_request(&e->at[FUZZ_NEXT], &whole, &o, &room, &out, &a->layer);
	if (r == OSCORE_OK) {
		note_nonce(e, FUZZ_NEXT, o.piv, o.piv, whole.payload);
		fuzz_note_asked(a, &out);
	}
	return r == OSCORE_OK || r == OSCORE_REPLAYED || a->last; /* sent again, or pieces of two */
}

/* What a server says to the last piece, too. */
static size_t add_block1(const struct block *outer, uint8_t *buf, size_t len)
{
	uint8_t copy[DGRAM_MAX];
	struct msg_option opt;
	struct msg_iter it;
	struct msgbuf b;
	struct msg m;

	memcpy(copy, buf, len);
	if (msg_parse(&m, bytes_of(copy, len)) != MSG_OK)
		return len;
	msgbuf_begin(&b, buf, DGRAM_MAX, m.type, m.code, m.mid, m.token);
	for (it = msg_options(&m); msg_next(&it, &opt) && opt.number < OPTION_BLOCK1;)
		msgbuf_option(&b, opt.number, opt.value);
	msgbuf_option_uint(&b, OPTION_BLOCK1, block_value(*outer));
	msgbuf_payload(&b, m.payload);
	return msgbuf_end(&b).len;
}

size_t fuzz_layer_response(struct fuzz_ends *e, struct fuzz_asked *a, uint8_t *buf, size_t len)
{
	struct oscore_room room;
	struct msg in, out;

	if (msg_parse(&in, bytes_of(buf, len)) != MSG_OK || !msg_is_response(&in) ||
	    oscore_protect_response(&e->at[FUZZ_NEXT], &in, &a->layer, &room, &out) != OSCORE_OK)
		return 0;
	len = put_back(buf, &room, &out);
	return a->last ? add_block1(&a->outer, buf, len) : len;
}

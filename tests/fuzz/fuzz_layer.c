#include "fuzz_layer.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
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

void fuzz_layer_open(struct fuzz_ends *e, struct rng *rng)
{
	struct oscore_state fresh = { .synced = true };

	*e = (struct fuzz_ends){ .rng = rng };
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

struct fuzz_talk *fuzz_layer_talk(struct fuzz_ends *e, const struct msg *m)
{
	const uint8_t *t = m->token.ptr;
	struct fuzz_talk *talk;
	uint32_t serial;

	if (m->token.len != TOKEN || t[0] != MARK)
		return NULL;
	serial = (uint32_t)t[2] << 24 | (uint32_t)t[3] << 16 | (uint32_t)t[4] << 8 | t[5];
	talk = &e->talks[t[1] % FUZZ_TALKS];
	return serial && talk->serial == serial ? talk : NULL;
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
		*m = out;
		n++;
	}
	return n;
}

bool fuzz_layer_heard(struct fuzz_ends *e, const struct msg *m, struct oscore_request *rq)
{
	struct oscore_room room;
	struct oscore_option o;
	struct msg_option value;
	enum oscore_result r;
	struct msg out;

	if (!msg_find(m, OPTION_OSCORE, &value) || oscore_option_parse(&o, value.value) != OSCORE_OPTION_OK ||
	    !o.piv.ptr || !bytes_equal(o.kid, oscore_id_bytes(&e->at[FUZZ_NEXT].setup.recipient_id)))
		return false;
	r = oscore_unprotect_request(&e->at[FUZZ_NEXT], m, &o, &room, &out, rq);
	return r == OSCORE_OK || r == OSCORE_REPLAYED; /* sent again */
}

size_t fuzz_layer_response(struct fuzz_ends *e, struct oscore_request *rq, uint8_t *buf, size_t len)
{
	struct oscore_room room;
	struct msg in, out;

	if (msg_parse(&in, bytes_of(buf, len)) != MSG_OK || !msg_is_response(&in) ||
	    oscore_protect_response(&e->at[FUZZ_NEXT], &in, rq, &room, &out) != OSCORE_OK)
		return 0;
	return put_back(buf, &room, &out);
}

/*
 * fuzz_oscore: what the holder of a context may do with it. First byte: which of four things the rest is.
 *
 *   the value of an OSCORE option: what is read of it is written as it was
 *   the plaintext of a request, or of a response, that somebody with the key has sealed, and the options around it
 *   a message out of fuzz_message: it comes out of a layer as it went in
 */
#include "fuzz_target.h"
#include "fuzz_message.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "oscore/oscore_class.h"

#define PLENTY (1ULL << 32)

static const uint8_t secret[] = "a secret that everybody knows";

/* Two ends of a context, the second one with its keys apart. */
struct ends {
	struct oscore_context guard, peer;
};

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 0x5a, len);
}

static void open_end(struct oscore_context *c, const struct oscore_setup *s)
{
	static struct rng rng = { fill };
	struct oscore_state fresh = { .synced = true };

	*c = (struct oscore_context){ .generation = 0 };
	replay_init(&fresh.window, s->window);
	FUZZ_MUST(oscore_context_init(c, s, bytes_of(secret, sizeof secret - 1), &fresh, &rng));
	oscore_context_allow(c, PLENTY);
}

static void open_ends(struct ends *e, uint8_t how)
{
	struct oscore_setup s = { .aead = how % AEAD_COUNT,
				  .window = 32,
				  .sender_id = { 1, { 0x50 } },
				  .recipient_id = { (uint8_t)(how >> 2 & 3), { 0x20, 0x21, 0x22 } } },
			    other;

	s.id_context.len = how >> 4 & 3;
	open_end(&e->guard, &s);
	other = s;
	other.sender_id = s.recipient_id;
	other.recipient_id = s.sender_id;
	open_end(&e->peer, &other);
	e->guard.synced = !(how & 0x40);
}

static void close_ends(struct ends *e)
{
	oscore_context_wipe(&e->guard);
	oscore_context_wipe(&e->peer);
}

/* --- the option */

static void check_option(struct bytes value)
{
	uint8_t again[OSCORE_OPTION_LEN], piv[OSCORE_PIV];
	struct oscore_option o;
	size_t len;

	if (oscore_option_parse(&o, value) != OSCORE_OPTION_OK) {
		FUZZ_MUST(!o.piv.ptr && !o.kid.ptr && !o.kid_context.ptr);
		return;
	}
	FUZZ_MUST(o.piv.len <= OSCORE_PIV && !o.piv.ptr == !o.piv.len);
	if (o.piv.ptr) {
		FUZZ_MUST(oscore_option_number(o.piv) <= OSCORE_PIV_MAX);
		len = oscore_option_piv(oscore_option_number(o.piv), piv);
		FUZZ_MUST(len <= o.piv.len && oscore_option_number(bytes_of(piv, len)) == oscore_option_number(o.piv));
	}
	len = oscore_option_write(&o, again);
	if (value.len <= sizeof again && !o.group)
		FUZZ_MUST(bytes_equal(value, bytes_of(again, len)));
}

/* --- hostile plaintext */

/* outside: options of the outer message, as they come off the wire; what does not parse is left out. */
static size_t write_outer(uint8_t *buf, size_t cap, uint8_t code, struct bytes outside, struct bytes value,
			  struct bytes sealed)
{
	uint8_t head[512] = { 0x40, MSG_POST, 0, 0 };
	struct msg m = { .code = 0 };
	struct msg_option opt;
	struct msg_iter it;
	bool written = false;
	struct msgbuf b;

	outside.len = outside.len < 256 ? outside.len : 256;
	memcpy(head + 4, outside.ptr, outside.len);
	if (msg_parse(&m, bytes_of(head, 4 + outside.len)) != MSG_OK)
		m = (struct msg){ .code = 0 };
	msgbuf_begin(&b, buf, cap, MSG_CON, code, 0x1234, bytes_of("tok", 3));
	for (it = msg_options(&m); msg_next(&it, &opt);) {
		if (!written && opt.number > OPTION_OSCORE) {
			msgbuf_option(&b, OPTION_OSCORE, value);
			written = true;
		}
		if (opt.number != OPTION_OSCORE)
			msgbuf_option(&b, opt.number, opt.value);
	}
	if (!written)
		msgbuf_option(&b, OPTION_OSCORE, value);
	msgbuf_payload(&b, sealed);
	return msgbuf_end(&b).len;
}

static struct bytes seal(struct oscore_context *c, struct bytes id, const struct oscore_aad *with, struct bytes piv,
			 struct bytes plain, uint8_t *out)
{
	uint8_t aad[OSCORE_AAD_MAX], nonce[AEAD_NONCE];

	oscore_context_nonce(c, id, piv, nonce);
	FUZZ_MUST(aead_seal(c->sealer, nonce, bytes_of(aad, oscore_aad_finish(with, piv, aad)), plain, out));
	return bytes_of(out, plain.len + aead_info((enum aead_algorithm)c->setup.aead)->tag_len);
}

static unsigned count(const struct msg *m, uint16_t number)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	unsigned n = 0;

	while (msg_next(&it, &opt))
		n += opt.number == number;
	return n;
}

/* Every option but the OSCORE option is from outside, and outer, or from inside. */
static void check_merged(const struct msg *in, const struct msg *out, struct bytes plain)
{
	uint8_t inner[DGRAM_MAX] = { 0x40, plain.ptr[0], 0, 0 };
	struct msg_iter it = msg_options(out);
	struct msg_option opt, other;
	struct msg inside;

	memcpy(inner + 4, plain.ptr + 1, plain.len - 1);
	FUZZ_MUST(msg_parse(&inside, bytes_of(inner, 3 + plain.len)) == MSG_OK);
	FUZZ_MUST(out->code == inside.code && out->mid == in->mid && out->type == in->type);
	FUZZ_MUST(bytes_equal(out->token, in->token) && bytes_equal(out->payload, inside.payload));
	while (msg_next(&it, &opt))
		if (msg_find(&inside, opt.number, &other)) {
			FUZZ_MUST(count(out, opt.number) <= count(&inside, opt.number));
		} else {
			FUZZ_MUST(msg_find(in, opt.number, &other));
			FUZZ_MUST(oscore_class_of(opt.number) == OSCORE_OUTER);
		}
}

/* One datagram: the first byte of `in` says how long the plaintext is, in eighths. */
static void split(struct bytes in, struct bytes *plain, struct bytes *outside)
{
	size_t n = in.len > 1 ? (in.len - 1) * (8 - (in.ptr[0] & 7)) / 8 : 0;

	*plain = bytes_of(in.ptr + (in.len > 0), n > 1000 ? 1000 : n);
	*outside = bytes_of(plain->ptr + plain->len, in.len ? in.len - 1 - plain->len : 0);
}

static void check_request(struct ends *e, struct bytes in)
{
	uint8_t sealed[DGRAM_MAX], wire[DGRAM_MAX], value[OSCORE_OPTION_LEN];
	struct oscore_option o = { .piv = bytes_of("\x07", 1),
				   .kid = oscore_id_bytes(&e->peer.setup.sender_id),
				   .kid_context = oscore_setup_id_context(&e->peer.setup) };
	struct bytes plain, outside, text;
	struct oscore_room room;
	struct oscore_request rq;
	struct msg m, out;
	enum oscore_result r;
	size_t len;

	split(in, &plain, &outside);
	text = seal(&e->peer, o.kid, &e->peer.sent, o.piv, plain, sealed);
	len = write_outer(wire, sizeof wire, MSG_POST, outside, bytes_of(value, oscore_option_write(&o, value)), text);
	if (len == 0 || msg_parse(&m, bytes_of(wire, len)) != MSG_OK)
		return;
	r = oscore_unprotect_request(&e->guard, &m, &o, &room, &out, &rq);
	if (r == OSCORE_OK || r == OSCORE_UNSYNCED) {
		FUZZ_MUST(msg_is_request(&out));
		check_merged(&m, &out, plain);
	}
	FUZZ_MUST(r != OSCORE_OK || e->guard.synced);
	if (r == OSCORE_OK) /* once is enough */
		FUZZ_MUST(oscore_unprotect_request(&e->guard, &m, &o, &room, &out, &rq) == OSCORE_REPLAYED);
	wire[len - 1] ^= 1;
	FUZZ_MUST(oscore_unprotect_request(&e->guard, &m, &o, &room, &out, &rq) != OSCORE_OK);
}

static size_t ask(struct ends *e, struct oscore_request *rq)
{
	uint8_t plain[64];
	struct oscore_room room;
	struct msg in, out;
	struct msgbuf b;

	msgbuf_begin(&b, plain, sizeof plain, MSG_CON, MSG_GET, 0x1234, bytes_of("tok", 3));
	msgbuf_option_uint(&b, OPTION_OBSERVE, 0);
	FUZZ_MUST(msg_parse(&in, msgbuf_end(&b)) == MSG_OK);
	FUZZ_MUST(oscore_protect_request(&e->guard, &in, OSCORE_NEXT_HOP, &room, &out, rq) == OSCORE_OK);
	return out.payload.len;
}

static void check_response(struct ends *e, struct bytes in)
{
	uint8_t sealed[DGRAM_MAX], wire[DGRAM_MAX], value[OSCORE_OPTION_LEN], aad[OSCORE_AAD_MAX], nonce[AEAD_NONCE];
	struct oscore_option o = { .piv = bytes_of("\x09", in.len % 2) };
	struct bytes plain, outside, asked, text;
	struct oscore_room room;
	struct oscore_request rq;
	struct msg m, out;
	size_t len;

	ask(e, &rq);
	if (!o.piv.len)
		o.piv.ptr = NULL;
	asked = bytes_of(rq.piv, rq.piv_len);
	split(in, &plain, &outside);
	oscore_context_nonce(&e->peer,
			     oscore_id_bytes(o.piv.ptr ? &e->peer.setup.sender_id : &e->guard.setup.sender_id),
			     o.piv.ptr ? o.piv : asked, nonce);
	FUZZ_MUST(aead_seal(e->peer.sealer, nonce, bytes_of(aad, oscore_aad_finish(&e->guard.sent, asked, aad)), plain,
			    sealed));
	text = bytes_of(sealed, plain.len + aead_info((enum aead_algorithm)e->peer.setup.aead)->tag_len);
	len = write_outer(wire, sizeof wire, MSG_CONTENT, outside, bytes_of(value, oscore_option_write(&o, value)),
			  text);
	if (len == 0 || msg_parse(&m, bytes_of(wire, len)) != MSG_OK)
		return;
	if (oscore_unprotect_response(&e->guard, &m, &o, &rq, &room, &out) != OSCORE_OK)
		return;
	FUZZ_MUST(msg_is_response(&out));
	check_merged(&m, &out, plain);
	FUZZ_MUST(oscore_unprotect_response(&e->guard, &m, &o, &rq, &room, &out) == OSCORE_REPLAYED);
}

/* --- there and back */

static bool is_same_option(const struct msg_option *a, const struct msg_option *b, bool response)
{
	return a->number == b->number && (bytes_equal(a->value, b->value) || (response && a->number == OPTION_OBSERVE));
}

static void check_same(const struct msg *a, const struct msg *b)
{
	struct msg_iter x = msg_options(a), y = msg_options(b);
	struct msg_option ox, oy;

	FUZZ_MUST(a->code == b->code && a->type == b->type && a->mid == b->mid && bytes_equal(a->token, b->token));
	FUZZ_MUST(bytes_equal(a->payload, b->payload) && a->n_options == b->n_options);
	while (msg_next(&x, &ox))
		FUZZ_MUST(msg_next(&y, &oy) && is_same_option(&ox, &oy, msg_is_response(a)));
}

static bool read_option(const struct msg *m, struct oscore_option *o)
{
	struct msg_option value;

	return msg_find(m, OPTION_OSCORE, &value) && oscore_option_parse(o, value.value) == OSCORE_OPTION_OK;
}

/* Uri-Host beside Proxy-Uri means nothing (RFC 7252 §5.10.2), and stays behind. */
static bool is_overridden(const struct msg *m)
{
	struct msg_option opt;

	return msg_find(m, OPTION_URI_HOST, &opt) && msg_find(m, OPTION_PROXY_URI, &opt);
}

/* The layer's option is the first one that says OSCORE; one that was there before went inside. */
static void check_round(struct ends *e, struct fuzz_input *in)
{
	static struct fuzz_peer from;
	struct fuzz_asked asked = { .token = "12345678" };
	uint8_t buf[DGRAM_MAX];
	uint32_t piv = 1;
	uint16_t mid = 7;
	struct oscore_room room, back;
	struct oscore_request here, there;
	struct oscore_option o;
	struct msg plain, layered, out;

	from.echo_len = 0;
	e->guard.synced = true;
	if (msg_parse(&plain, bytes_of(buf, fuzz_request(in, &from, &piv, buf, 1200))) != MSG_OK ||
	    !msg_is_request(&plain) || is_overridden(&plain) ||
	    oscore_protect_request(&e->peer, &plain, OSCORE_NEXT_HOP, &room, &layered, &here) != OSCORE_OK)
		return;
	FUZZ_MUST(read_option(&layered, &o));
	FUZZ_MUST(oscore_unprotect_request(&e->guard, &layered, &o, &back, &out, &there) == OSCORE_OK);
	check_same(&plain, &out);
	if (msg_parse(&plain, bytes_of(buf, fuzz_response(in, &asked, &mid, buf, 1200))) != MSG_OK ||
	    !msg_is_response(&plain) ||
	    oscore_protect_response(&e->guard, &plain, &there, &room, &layered) != OSCORE_OK)
		return;
	FUZZ_MUST(read_option(&layered, &o));
	FUZZ_MUST(oscore_unprotect_response(&e->peer, &layered, &o, &here, &back, &out) == OSCORE_OK);
	check_same(&plain, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ends e;
	struct fuzz_input in = { data + 2, data + size, 0, 0 };
	struct bytes rest = bytes_of(data + 2, size - 2);

	if (size < 4)
		return 0;
	if (data[0] % 4 == 0) {
		check_option(rest);
		return 0;
	}
	open_ends(&e, data[1]);
	switch (data[0] % 4) {
	case 1: check_request(&e, rest); break;
	case 2: check_response(&e, rest); break;
	default: check_round(&e, &in); break;
	}
	close_ends(&e);
	return 0;
}

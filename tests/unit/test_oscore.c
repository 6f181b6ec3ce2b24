/* oscore: one layer on, one layer off: RFC 8613 Appendix C and every layer of the nested examples, byte for byte; and whatever a
 * stranger may make of them. */
#include "oscore/oscore.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "msgtext.h"
#include "nested.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 0xa5, len);
}

static struct rng constant = { fill };

static void assert_same(struct bytes a, struct bytes b, const char *what)
{
	char left[MSGTEXT_MAX], right[MSGTEXT_MAX];

	if (!bytes_equal(a, b)) {
		msgtext_hex(a, left);
		msgtext_hex(b, right);
		fail_msg("%s:\n  %s instead of\n  %s", what, left, right);
	}
}

static struct bytes whole(const struct oscore_room *room, const struct msg *m)
{
	return bytes_of(room->at, (size_t)(m->payload.len ? m->payload.ptr + m->payload.len - room->at
							  : m->options.ptr + m->options.len - room->at));
}

static struct oscore_option option_of(const struct msg *m)
{
	struct oscore_option o;
	struct msg_option value;

	assert_true(msg_find(m, OPTION_OSCORE, &value));
	assert_int_equal(oscore_option_parse(&o, value.value), OSCORE_OPTION_OK);
	return o;
}

/* --- RFC 8613 Appendix C ------------------------------------------------------------------------------------------- */

static void rfc_context(struct oscore_context *c, const char *v, const char *id_context, uint64_t next)
{
	struct oscore_setup s = { .aead = AEAD_AES_CCM_16_64_128, .hkdf = HKDF_SHA_256, .window = 32 };
	struct oscore_state state = { .next = next, .synced = true };
	uint8_t secret[16];

	s.sender_id.len = (uint8_t)vectors_bytes(v, "Sender ID", s.sender_id.at, 7).len;
	s.recipient_id.len = (uint8_t)vectors_bytes(v, "Recipient ID", s.recipient_id.at, 7).len;
	s.salt.len = (uint8_t)vectors_bytes(v, "Master Salt", s.salt.at, 64).len;
	s.id_context.len = (uint8_t)msgtext_unhex(id_context, strlen(id_context), s.id_context.at, 32);
	assert_int_equal(vectors_bytes(v, "Master Secret", secret, 16).len, 16);
	replay_init(&state.window, 32);
	assert_true(oscore_context_init(c, &s, bytes_of(secret, 16), &state, &constant));
	oscore_context_allow(c, next + 100);
}

static void test_rfc8613(void **state)
{
	static const struct {
		const char *client, *server, *request, *response, *id_context;
	} rows[] = {
		{ "C.1.1", "C.1.2", "C.4", "C.7", "" },
		{ "C.1.1", "C.1.2", "C.4", "C.8", "" },
		{ "C.2.1", "C.2.2", "C.5", NULL, "" },
		{ "C.3.1", "C.3.2", "C.6", NULL, "37cbf3210017a2d3" },
	};
	char *json = vectors_load("rfc8613_appendix_c.json");
	const char *all = vectors_member(json, "vectors");

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oscore_context client = { .next = 0 }, server = { .next = 0 };
		const char *request = vectors_member(all, rows[i].request), *response;
		uint8_t plain[128], sealed[128];
		struct oscore_request asked, heard;
		struct oscore_room room, back;
		struct oscore_option o;
		struct msg in, out, inside;

		rfc_context(&client, vectors_member(all, rows[i].client), rows[i].id_context, 20);
		rfc_context(&server, vectors_member(all, rows[i].server), rows[i].id_context, 0);
		assert_int_equal(msg_parse(&in, vectors_bytes(request, "Unprotected CoAP request", plain, 128)),
				 MSG_OK);
		assert_int_equal(oscore_protect_request(&client, &in, OSCORE_BEYOND, &room, &out, &asked), OSCORE_OK);
		assert_same(whole(&room, &out),
			    vectors_bytes(request, "Protected CoAP request (OSCORE message)", sealed, 128),
			    rows[i].request);
		o = option_of(&out);
		assert_int_equal(oscore_unprotect_request(&server, &out, &o, &back, &inside, &heard), OSCORE_OK);
		assert_same(whole(&back, &inside), bytes_of(plain, whole(&back, &inside).len), "back again");
		if (rows[i].response) {
			response = vectors_member(all, rows[i].response);
			heard.nonce_free = strcmp(rows[i].response, "C.7") == 0;
			msg_parse(&in, vectors_bytes(response, "Unprotected CoAP response", plain, 128));
			assert_int_equal(oscore_protect_response(&server, &in, &heard, &room, &out), OSCORE_OK);
			assert_same(whole(&room, &out),
				    vectors_bytes(response, "Protected CoAP response (OSCORE message)", sealed, 128),
				    rows[i].response);
			o = option_of(&out);
			assert_int_equal(oscore_unprotect_response(&client, &out, &o, &asked, &back, &inside),
					 OSCORE_OK);
			assert_same(whole(&back, &inside), bytes_of(plain, whole(&back, &inside).len), "back again");
		}
		oscore_context_wipe(&client);
		oscore_context_wipe(&server);
	}
	free(json);
}

/* --- the nested examples ------------------------------------------------------------------------------------------- */

static uint64_t number_of(struct bytes piv)
{
	return oscore_option_number(piv);
}

/* The sender is whoever knows the request's kid as its own, or the other side of it. */
static unsigned check_layer(const char *contexts, const char *event)
{
	char name[32], kid[16], other[16], code[8];
	uint8_t value[64], piv_raw[8];
	bool request;
	struct oscore_context sender = { .next = 0 }, receiver = { .next = 0 };
	struct nested_message before, after;
	struct oscore_request rq = { .nonce_free = true }, heard = { .nonce_free = true };
	struct oscore_room room, back;
	struct oscore_option option;
	struct bytes piv;
	struct msg in, out, inside;

	vectors_text(event, "ctx", name, sizeof name);
	vectors_text(event, "request_kid", kid, sizeof kid);
	vectors_text(vectors_member(event, "message_before"), "code", code, sizeof code);
	request = code[0] == '0';
	piv = vectors_bytes(event, "request_piv", piv_raw, sizeof piv_raw);
	assert_int_equal(oscore_option_parse(&option, vectors_bytes(event, "oscore_option", value, sizeof value)),
			 OSCORE_OPTION_OK);
	nested_context(&sender, contexts, name, request ? kid : nested_other(contexts, name, kid, other),
		       option.piv.ptr ? number_of(option.piv) : 0);
	nested_context(&receiver, contexts, name, request ? nested_other(contexts, name, kid, other) : kid, 0);
	nested_build(vectors_member(event, "message_before"), MSG_CON, 0x1234, bytes_of("tk", 2), &before);
	nested_build(vectors_member(event, "message_after"), MSG_CON, 0x1234, bytes_of("tk", 2), &after);
	assert_int_equal(msg_parse(&in, before.wire), MSG_OK);
	memcpy(rq.piv, piv.ptr, piv.len);
	rq.piv_len = (uint8_t)piv.len;
	if (request) {
		/* who protects for the next hop hides what is for it; who protects for one behind it does not */
		bool beyond = nested_is(event, "at", "C") && strcmp(name, "CTX_C_S") == 0;

		assert_int_equal(oscore_protect_request(&sender, &in, beyond ? OSCORE_BEYOND : OSCORE_NEXT_HOP, &room,
							&out, &rq),
				 OSCORE_OK);
	} else {
		rq.nonce_free = !option.piv.ptr;
		rq.fetch = nested_is(event, "outer_code", "2.05");
		heard = rq;
		heard.nonce_free = true;
		assert_int_equal(oscore_protect_response(&sender, &in, &rq, &room, &out), OSCORE_OK);
	}
	assert_same(whole(&room, &out), after.wire, name);
	option = option_of(&out);
	if (request)
		assert_int_equal(oscore_unprotect_request(&receiver, &out, &option, &back, &inside, &heard), OSCORE_OK);
	else
		assert_int_equal(oscore_unprotect_response(&receiver, &out, &option, &heard, &back, &inside),
				 OSCORE_OK);
	/* the Observe value of a notification is not carried, but told from its Partial IV */
	if (request || !msg_find(&in, OPTION_OBSERVE, &(struct msg_option){ .number = 0 }))
		assert_same(whole(&back, &inside), before.wire, "back again");
	oscore_context_wipe(&sender);
	oscore_context_wipe(&receiver);
	return 1;
}

static const char *const examples[] = {
	"B.1 forward-proxy C-S,C-P",
	"B.2 forward-proxy C-S,P-S",
	"B.3 forward-proxy C-S,C-P,P-S",
	"B.4 forward-proxy + EDHOC C-S,C-P",
	"B.5 forward-proxy + EDHOC optimized C-S,C-P",
	"B.6 two forward-proxies C-S,C-P1,P1-P2,P2-S",
	"B.7 reverse-proxy C-P,P-S",
	"B.8 reverse-proxy C-S,C-P,P-S",
	"X.1 observe through OSCORE-capable forward-proxy C-S,C-P (own)",
	"X.2 onion three layers (own)",
	"X.3 error responses at the proxy (own)",
	"X.4 Hop-Limit Class U with escalation (own)",
};

static void test_nested(void **state)
{
	char *json = vectors_load("oscore_capable_proxies_nested.json");
	const char *all = vectors_member(json, "examples");
	unsigned layers = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof examples / sizeof *examples; i++) {
		const char *x = vectors_member(all, examples[i]), *contexts;

		assert_non_null(x);
		contexts = vectors_member(x, "contexts");
		for (const char *e = vectors_first(vectors_member(x, "events")); e; e = vectors_next(e))
			if (nested_is(e, "step", "protect"))
				layers += check_layer(contexts, e);
	}
	assert_int_equal(layers, 63);
	free(json);
}

/* --- what must not happen ------------------------------------------------------------------------------------------ */

struct pair {
	struct oscore_context client, server;
};

static void open_pair(struct pair *p, enum aead_algorithm a, enum hkdf_hash h)
{
	struct oscore_setup s = { .aead = (uint8_t)a, .hkdf = (uint8_t)h, .window = 32 }, t;
	struct oscore_state state = { .next = 0, .synced = true };
	struct bytes secret = bytes_of("sixteen bytes of", 16);

	memset(p, 0, sizeof *p);
	s.sender_id = (struct oscore_id){ 1, { 1 } };
	s.recipient_id = (struct oscore_id){ 0, { 0 } };
	t = s;
	t.sender_id = s.recipient_id;
	t.recipient_id = s.sender_id;
	replay_init(&state.window, 32);
	assert_true(oscore_context_init(&p->client, &s, secret, &state, &constant));
	assert_true(oscore_context_init(&p->server, &t, secret, &state, &constant));
	oscore_context_allow(&p->client, 1000);
	oscore_context_allow(&p->server, 1000);
}

static void close_pair(struct pair *p)
{
	oscore_context_wipe(&p->client);
	oscore_context_wipe(&p->server);
}

static struct bytes request_wire(struct pair *p, const char *text, uint8_t out[DGRAM_MAX], struct oscore_request *rq)
{
	uint8_t plain[512];
	struct oscore_room room;
	struct msg in, sealed;
	struct bytes w;

	assert_int_equal(msg_parse(&in, msgtext_write(text, plain, sizeof plain)), MSG_OK);
	assert_int_equal(oscore_protect_request(&p->client, &in, OSCORE_NEXT_HOP, &room, &sealed, rq), OSCORE_OK);
	w = whole(&room, &sealed);
	memcpy(out, w.ptr, w.len);
	return bytes_of(out, w.len);
}

static enum oscore_result take(struct pair *p, struct bytes wire, struct oscore_room *room, struct msg *out,
			       struct oscore_request *rq)
{
	struct msg_option value;
	struct oscore_option o;
	struct msg m;

	if (msg_parse(&m, wire) != MSG_OK || !msg_find(&m, OPTION_OSCORE, &value) ||
	    oscore_option_parse(&o, value.value) != OSCORE_OPTION_OK || o.group || !o.piv.ptr ||
	    !bytes_equal(o.kid, bytes_of("\1", 1))) /* no context of that name */
		return OSCORE_INVALID;
	return oscore_unprotect_request(&p->server, &m, &o, room, out, rq);
}

/* Each algorithm and hash, there and back. */
static void test_suites(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++)
		for (unsigned h = 0; h < 2; h++) {
			struct pair p;
			uint8_t wire[DGRAM_MAX], plain[64], sealed[DGRAM_MAX];
			struct oscore_request asked, heard;
			struct oscore_room room, back;
			struct oscore_option o;
			struct msg in, out, inside, reply;
			struct bytes w;

			open_pair(&p, (enum aead_algorithm)a, (enum hkdf_hash)h);
			w = request_wire(&p, "CON 0.01 0001 #20 Uri-Path:t", wire, &asked);
			assert_int_equal(take(&p, w, &room, &inside, &heard), OSCORE_OK);
			assert_int_equal(inside.code, MSG_GET);
			msg_parse(&in, msgtext_write("ACK 2.05 0001 #20 !on", plain, sizeof plain));
			for (unsigned n = 0; n < 3; n++) { /* the first with the request's nonce */
				assert_int_equal(oscore_protect_response(&p.server, &in, &heard, &room, &out),
						 OSCORE_OK);
				w = whole(&room, &out);
				memcpy(sealed, w.ptr, w.len);
				msg_parse(&out, bytes_of(sealed, w.len));
				o = option_of(&out);
				assert_int_equal(o.piv.ptr != NULL, n > 0);
				assert_int_equal(oscore_unprotect_response(&p.client, &out, &o, &asked, &back, &reply),
						 OSCORE_OK);
				assert_true(bytes_are(reply.payload, "on"));
				/* the same again is not taken twice */
				assert_int_equal(oscore_unprotect_response(&p.client, &out, &o, &asked, &back, &reply),
						 OSCORE_REPLAYED);
			}
			close_pair(&p);
		}
}

/* Every bit of every byte: never authentic, never anything changed but the count of failures. */
static void test_corruption(void **state)
{
	struct pair p;
	uint8_t wire[DGRAM_MAX], bad[DGRAM_MAX];
	struct oscore_request asked, heard;
	struct oscore_room room;
	struct msg out;
	struct bytes w;
	struct replay before;

	(void)state;
	open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
	w = request_wire(&p, "CON 0.03 0001 #20 Observe= Uri-Path:a Content-Format=3c !payload", wire, &asked);
	before = p.server.window;
	for (size_t at = 0; at < w.len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct msg m;
			bool header;

			memcpy(bad, wire, w.len);
			bad[at] ^= (uint8_t)(1U << bit);
			/* type, code, Message ID, token and Observe are not protected, by design */
			header = msg_parse(&m, bytes_of(bad, w.len)) == MSG_OK && at < 7;
			if (header)
				continue;
			if (take(&p, bytes_of(bad, w.len), &room, &out, &heard) == OSCORE_OK)
				fail_msg("byte %zu, bit %u", at, bit);
			assert_memory_equal(&before, &p.server.window, sizeof before);
		}
	for (size_t len = 0; len < w.len; len++)
		assert_int_not_equal(take(&p, bytes_of(wire, len), &room, &out, &heard), OSCORE_OK);
	assert_int_equal(take(&p, w, &room, &out, &heard), OSCORE_OK);
	assert_int_equal(take(&p, w, &room, &out, &heard), OSCORE_REPLAYED);
	close_pair(&p);
}

/* Authentic, but no message, or the wrong kind of it, inside. */
static void test_inside(void **state)
{
	static const char *const plains[] = { "",     "00", "45",   "01ff", "01f0",  "01d1",
					      "010f", "e1", "0161", "80",   "01bfff" };
	struct pair p;

	(void)state;
	open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
	for (unsigned i = 0; i < sizeof plains / sizeof *plains; i++) {
		uint8_t plain[16], wire[64] = { 0x40, 2, 0, 1, 0x93, 0x09, (uint8_t)i, 0x01, 0xff }, nonce[AEAD_NONCE];
		static const uint8_t aad_head[] = { 0x83, 0x68, 'E',  'n',  'c',  'r',  'y',  'p',  't', '0',
						    0x40, 0x49, 0x85, 0x01, 0x81, 0x0a, 0x41, 0x01, 0x41 };
		uint8_t aad[sizeof aad_head + 2];
		size_t n = msgtext_unhex(plains[i], strlen(plains[i]), plain, sizeof plain);
		struct oscore_request rq;
		struct oscore_room room;
		struct msg out;

		memcpy(aad, aad_head, sizeof aad_head);
		aad[sizeof aad_head] = (uint8_t)i;
		aad[sizeof aad_head + 1] = 0x40;
		oscore_context_nonce(&p.client, bytes_of("\1", 1), bytes_of(wire + 6, 1), nonce);
		assert_true(aead_seal(p.client.sealer, nonce, bytes_of(aad, sizeof aad), bytes_of(plain, n), wire + 9));
		assert_int_equal(take(&p, bytes_of(wire, 9 + n + 8), &room, &out, &rq), OSCORE_INVALID);
		assert_int_equal(p.server.counters.failed,
				 0); /* they are authentic, but for the empty one, which is no ciphertext */
		assert_int_equal(p.server.counters.opened, i);
	}
	close_pair(&p);
}

/* What is inside replaces what stands outside, and nothing is merged. */
static void test_leftovers(void **state)
{
	static const struct {
		const char *inside, *outside, *seen;
	} rows[] = {
		{ "CON 0.01 0001 #20 Uri-Path:t", "", "CON 0.01 0001 #20 Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Uri-Host:x", "CON 0.01 0001 #20 Uri-Host:x Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Host:in Uri-Path:t Proxy-Scheme:coap", "Uri-Host:x Uri-Port=1633",
		  "CON 0.01 0001 #20 Uri-Host:in Uri-Path:t Proxy-Scheme:coap" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Proxy-Scheme:coap", "CON 0.01 0001 #20 Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Proxy-Uri:coap://elsewhere/", "CON 0.01 0001 #20 Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Uri-Path:evil Max-Age=05 Uri-Query:q",
		  "CON 0.01 0001 #20 Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Hop-Limit=09", "CON 0.01 0001 #20 Uri-Path:t Hop-Limit=09" },
		{ "CON 0.01 0001 #20 Uri-Path:t Hop-Limit=03", "Hop-Limit=09",
		  "CON 0.01 0001 #20 Uri-Path:t Hop-Limit=03" },
		/* the inner Observe counts, whatever somebody on the way did to the outer one (RFC 8613 §4.1.3.5.1) */
		{ "CON 0.01 0001 #20 Observe= Uri-Path:t", "", "CON 0.01 0001 #20 Observe= Uri-Path:t" },
		{ "CON 0.01 0001 #20 Observe= Uri-Path:t", "Observe=", "CON 0.01 0001 #20 Observe= Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Observe=", "CON 0.01 0001 #20 Uri-Path:t" },
		{ "CON 0.01 0001 #20 Uri-Path:t", "Echo=a5", "CON 0.01 0001 #20 Uri-Path:t" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t wire[DGRAM_MAX], other[256], both[DGRAM_MAX], expected[256];
		char line[256], seen[MSGTEXT_MAX];
		struct pair p;
		struct oscore_request asked, heard;
		struct oscore_room room;
		struct msg sealed, around, out;
		struct msg_option value, opt;
		struct msgbuf b;
		struct msg_iter it;
		bool written = false;

		open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
		msg_parse(&sealed, request_wire(&p, rows[i].inside, wire, &asked));
		assert_true(msg_find(&sealed, OPTION_OSCORE, &value));
		snprintf(line, sizeof line, "CON 0.02 0001 #20 %s", rows[i].outside);
		msg_parse(&around, msgtext_write(line, other, sizeof other));
		msgbuf_begin(&b, both, sizeof both, MSG_CON, sealed.code, 1, sealed.token);
		for (it = msg_options(&around); msg_next(&it, &opt);) {
			if (!written && opt.number > OPTION_OSCORE) {
				msgbuf_option(&b, OPTION_OSCORE, value.value);
				written = true;
			}
			msgbuf_option(&b, opt.number, opt.value);
		}
		if (!written)
			msgbuf_option(&b, OPTION_OSCORE, value.value);
		msgbuf_payload(&b, sealed.payload);
		assert_int_equal(take(&p, msgbuf_end(&b), &room, &out, &heard), OSCORE_OK);
		msgtext_format(whole(&room, &out), seen);
		assert_same(whole(&room, &out), msgtext_write(rows[i].seen, expected, sizeof expected), seen);
		close_pair(&p);
	}
}

/* After a restart: nothing is protected before the disk says so, and only an Echo of this lifetime opens the window. */
static void test_recovery(void **state)
{
	struct oscore_state lost = { .next = 500, .synced = false };
	struct bytes secret = bytes_of("sixteen bytes of", 16);
	uint8_t wire[DGRAM_MAX], older[DGRAM_MAX], echoed[DGRAM_MAX], plain[64];
	struct oscore_request asked, heard;
	struct oscore_room room, reply;
	struct bytes w, old, again;
	struct msg in, out, inside;
	struct pair p;
	char line[128];

	(void)state;
	open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
	old = request_wire(&p, "CON 0.01 0001 #20 Uri-Path:t", older, &asked);
	w = request_wire(&p, "CON 0.01 0002 #21 Uri-Path:t", wire, &asked);
	assert_true(oscore_context_init(
		&p.server, &(struct oscore_setup){ .aead = 0, .hkdf = 0, .window = 32, .recipient_id = { 1, { 1 } } },
		secret, &lost, &constant));
	assert_int_equal(take(&p, w, &room, &inside, &heard), OSCORE_UNSYNCED);
	assert_false(heard.nonce_free);
	msg_parse(&in, msgtext_write("ACK 4.01 0002 #21 Echo=a5a5a5a5a5a5a5a5", plain, sizeof plain));
	assert_int_equal(oscore_protect_response(&p.server, &in, &heard, &reply, &out), OSCORE_EXHAUSTED);
	assert_int_equal(oscore_context_wanted(&p.server, 64), 564);
	oscore_context_allow(&p.server, 564);
	assert_int_equal(oscore_context_wanted(&p.server, 64), 0);
	assert_int_equal(oscore_protect_response(&p.server, &in, &heard, &reply, &out), OSCORE_OK);
	assert_true(bytes_equal(option_of(&out).piv, bytes_of("\x01\xf4", 2))); /* 500: a number of its own */
	assert_int_equal(take(&p, w, &room, &inside, &heard), OSCORE_UNSYNCED);
	/* another Echo is none */
	again = request_wire(&p, "CON 0.01 0003 #22 Uri-Path:t Echo=a5a5a5a5a5a5a5a4", echoed, &asked);
	assert_int_equal(take(&p, again, &room, &inside, &heard), OSCORE_UNSYNCED);
	snprintf(line, sizeof line, "CON 0.01 0004 #23 Uri-Path:t Echo=a5a5a5a5a5a5a5a5");
	again = request_wire(&p, line, echoed, &asked);
	assert_int_equal(take(&p, again, &room, &inside, &heard), OSCORE_OK);
	assert_true(heard.nonce_free);
	assert_false(msg_find(&inside, OPTION_ECHO, &(struct msg_option){ .number = 0 })); /* ours, and nobody else's */
	assert_int_equal(take(&p, again, &room, &inside, &heard), OSCORE_REPLAYED);
	assert_int_equal(take(&p, w, &room, &inside, &heard), OSCORE_REPLAYED); /* below the edge */
	assert_int_equal(take(&p, old, &room, &inside, &heard), OSCORE_REPLAYED);
	close_pair(&p);
}

/* 2^40 numbers, and not one more. */
static void test_exhaustion(void **state)
{
	uint8_t plain[64];
	struct oscore_request rq;
	struct oscore_room room;
	struct msg in, out;
	struct pair p;

	(void)state;
	open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
	p.client.next = OSCORE_PIV_MAX - 1;
	p.client.limit = OSCORE_PIV_MAX - 1;
	assert_int_equal(oscore_context_wanted(&p.client, 64), OSCORE_PIV_MAX + 1);
	oscore_context_allow(&p.client, OSCORE_PIV_MAX + 1);
	msg_parse(&in, msgtext_write("CON 0.01 0001 #20 Uri-Path:t", plain, sizeof plain));
	assert_int_equal(oscore_protect_request(&p.client, &in, OSCORE_NEXT_HOP, &room, &out, &rq), OSCORE_OK);
	assert_int_equal(oscore_protect_request(&p.client, &in, OSCORE_NEXT_HOP, &room, &out, &rq), OSCORE_OK);
	assert_int_equal(rq.piv_len, 5);
	assert_int_equal(oscore_protect_request(&p.client, &in, OSCORE_NEXT_HOP, &room, &out, &rq), OSCORE_EXHAUSTED);
	assert_int_equal(oscore_context_wanted(&p.client, 64), 0);
	assert_int_equal(p.client.counters.exhausted, 1);
	close_pair(&p);
}

/* Who puts a layer on must know every option; and what no longer fits is not cut. */
static void test_unprotectable(void **state)
{
	uint8_t plain[DGRAM_MAX];
	struct oscore_request rq;
	struct oscore_room room;
	struct msgbuf b;
	struct msg in, out;
	struct pair p;

	(void)state;
	open_pair(&p, AEAD_AES_CCM_16_64_128, HKDF_SHA_256);
	msgbuf_begin(&b, plain, sizeof plain, MSG_CON, MSG_GET, 1, bytes_of("", 0));
	msgbuf_option(&b, 2048, bytes_of("?", 1));
	msg_parse(&in, msgbuf_end(&b));
	assert_int_equal(oscore_protect_request(&p.client, &in, OSCORE_NEXT_HOP, &room, &out, &rq), OSCORE_UNKNOWN);
	for (size_t n = DGRAM_MAX - 40; n < DGRAM_MAX - 5; n++) {
		static const uint8_t body[DGRAM_MAX];
		enum oscore_result r;

		msgbuf_begin(&b, plain, sizeof plain, MSG_CON, MSG_POST, 1, bytes_of("", 0));
		msgbuf_payload(&b, bytes_of(body, n));
		msg_parse(&in, msgbuf_end(&b));
		r = oscore_protect_request(&p.client, &in, OSCORE_NEXT_HOP, &room, &out, &rq);
		assert_int_equal(r, n + 4 + 4 + 1 + 1 + 1 + 8 <= DGRAM_MAX ? OSCORE_OK : OSCORE_TOO_LARGE);
	}
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8613),       cmocka_unit_test(test_nested),
		cmocka_unit_test(test_suites),        cmocka_unit_test(test_corruption),
		cmocka_unit_test(test_inside),        cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_recovery),      cmocka_unit_test(test_exhaustion),
		cmocka_unit_test(test_unprotectable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

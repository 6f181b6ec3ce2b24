#include "session_message.h"
#include "session_impl.h"
#include "coap/msgbuf.h"
#include "coap/option.h"

_Static_assert((int)MSG_CON == (int)COAP_MESSAGE_CON && (int)MSG_NON == (int)COAP_MESSAGE_NON,
	       "one numbering of types, RFC 7252 §3");

#define KEEPS_ROOM_SINCE 4003002

/*
 * What one takes after the Message ID. A PDU that has room for no more is one that libcoap leaves alone: to 5.08 it would add its
 * address, and until 4.3.1 a byte past the end (CVE-2023-30362). Since then it drops one that has no room for that byte.
 */
static size_t body_length(const struct msg *m)
{
	size_t len = m->token.len + m->options.len + (m->payload.len ? m->payload.len + 1 : 0);

	if (m->code == MSG_HOP_LIMIT && session_version() >= KEEPS_ROOM_SINCE)
		len++;
	return len > 0 ? len : 1; /* 0 would be any */
}

static bool fill(coap_pdu_t *pdu, const struct msg *m)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	if (!coap_add_token(pdu, m->token.len, m->token.ptr))
		return false;
	while (msg_next(&it, &opt)) {
		if (!coap_add_option(pdu, opt.number, opt.value.len, opt.value.ptr))
			return false;
	}
	return m->payload.len == 0 || coap_add_data(pdu, m->payload.len, m->payload.ptr);
}

/* To a request with Proxy-Uri or Proxy-Scheme libcoap would add a Hop-Limit: it is told last what it is. */
coap_pdu_t *session_message_to_pdu(const struct msg *m, uint8_t type, uint16_t mid)
{
	coap_pdu_t *pdu = coap_pdu_init((coap_pdu_type_t)type, COAP_RESPONSE_CODE_CONTENT, mid, body_length(m));

	if (!pdu)
		return NULL;
	if (!fill(pdu, m)) {
		coap_delete_pdu(pdu);
		return NULL;
	}
	coap_pdu_set_code(pdu, (coap_pdu_code_t)m->code);
	return pdu;
}

static void begin(struct msgbuf *b, const coap_pdu_t *pdu, uint8_t type, uint16_t mid, uint8_t code, uint8_t *buf,
		  size_t cap)
{
	coap_bin_const_t token = coap_pdu_get_token(pdu);

	msgbuf_begin(b, buf, cap, type, code, mid, bytes_of(token.s, token.length));
}

static void put_option(struct msgbuf *b, uint16_t number, struct bytes value, const uint32_t *observe)
{
	if (number == OPTION_OBSERVE && observe)
		msgbuf_option_uint(b, number, *observe & 0xffffff);
	else
		msgbuf_option(b, number, value);
}

struct bytes session_message_from_pdu(const coap_pdu_t *pdu, uint8_t type, uint16_t mid, const uint32_t *observe,
				      uint8_t *buf, size_t cap)
{
	coap_opt_iterator_t it;
	const coap_opt_t *opt;
	const uint8_t *data;
	struct msgbuf b;
	size_t len;

	begin(&b, pdu, type, mid, (uint8_t)coap_pdu_get_code(pdu), buf, cap);
	if (coap_option_iterator_init(pdu, &it, COAP_OPT_ALL)) {
		while ((opt = coap_option_next(&it)))
			put_option(&b, it.number, bytes_of(coap_opt_value(opt), coap_opt_length(opt)), observe);
	}
	if (coap_get_data(pdu, &len, &data))
		msgbuf_payload(&b, bytes_of(data, len));
	return msgbuf_end(&b);
}

struct bytes session_message_refusal(const coap_pdu_t *pdu, uint8_t type, uint16_t mid, uint8_t code, uint8_t *buf,
				     size_t cap)
{
	struct msgbuf b;

	begin(&b, pdu, type, mid, code, buf, cap);
	return msgbuf_end(&b);
}

struct bytes session_message_empty(uint8_t type, uint16_t mid, uint8_t buf[4])
{
	struct msgbuf b;

	msgbuf_begin(&b, buf, 4, type, MSG_EMPTY, mid, bytes_of(NULL, 0));
	return msgbuf_end(&b);
}

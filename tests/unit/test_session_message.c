#include "session_message.h"
#include <coap3/coap.h>
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* What the engine sends, and what of it libcoap has; then back again, with another type and Message ID. */
static const struct {
	const char *datagram, *back;
	uint8_t code;
	unsigned options;
	size_t payload;
} rows[] = {
	{ "CON 0.01 7d34 #20 Uri-Path:temperature", "NON 0.01 0001 #20 Uri-Path:temperature", 0x01, 1, 0 },
	{ "NON 0.02 7d34 #0102030405060708 Uri-Path:a Uri-Path:b !x",
	  "NON 0.02 0001 #0102030405060708 Uri-Path:a Uri-Path:b !x", 0x02, 2, 1 },
	{ "ACK 2.05 7d34 #20 Observe=0102 Max-Age=3c !22.3 C", "NON 2.05 0001 #20 Observe=abcdef Max-Age=3c !22.3 C",
	  0x45, 2, 6 },
	{ "ACK 2.05 7d34 #20 Observe= !22.3 C", "NON 2.05 0001 #20 Observe=abcdef !22.3 C", 0x45, 1, 6 },
	{ "CON 2.04 7d34 #", "NON 2.04 0001 #", 0x44, 0, 0 },
	{ "CON 0.02 0000 #ff OSCORE=0914 !=00ff00", "NON 0.02 0001 #ff OSCORE=0914 !=00ff00", 0x02, 1, 3 },
	{ "ACK 5.08 7d34 #20 !far-guard", "NON 5.08 0001 #20 !far-guard", 0xa8, 0, 9 },
};

static struct coap_pdu_t *pdu_of(struct bytes datagram, struct msg *m)
{
	struct coap_pdu_t *pdu;

	assert_int_equal(msg_parse(m, datagram), MSG_OK);
	pdu = session_message_to_pdu(m, COAP_MESSAGE_CON, 0x1234);
	assert_non_null(pdu);
	return pdu;
}

static void translates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t buf[256], out[256];
		uint32_t observe = 0xffabcdef;
		char text[MSGTEXT_MAX];
		coap_opt_iterator_t it;
		struct msg m;
		coap_pdu_t *pdu = pdu_of(msgtext_write(rows[i].datagram, buf, sizeof buf), &m);
		const uint8_t *data;
		unsigned options = 0;
		size_t len = 0;

		assert_int_equal(coap_pdu_get_type(pdu), COAP_MESSAGE_CON);
		assert_int_equal(coap_pdu_get_mid(pdu), 0x1234);
		assert_int_equal(coap_pdu_get_code(pdu), rows[i].code);
		assert_int_equal(coap_pdu_get_token(pdu).length, m.token.len);
		if (coap_option_iterator_init(pdu, &it, COAP_OPT_ALL))
			while (coap_option_next(&it))
				options++;
		assert_int_equal(options, rows[i].options);
		assert_int_equal(coap_get_data(pdu, &len, &data), rows[i].payload > 0);
		assert_int_equal(len, rows[i].payload);
		msgtext_format(session_message_from_pdu(pdu, MSG_NON, 1, &observe, out, sizeof out), text);
		assert_string_equal(text, rows[i].back);
		coap_delete_pdu(pdu);
	}
}

/* A message of any shape: what comes back is what went, byte by byte. */
static struct bytes random_message(uint8_t *buf, size_t cap)
{
	static const uint16_t numbers[] = { 1,  3,  4,  6,  7,  8,  9,  11,  12,  14,  15,
					    17, 20, 23, 27, 35, 39, 60, 252, 292, 2048 };
	uint8_t value[300], token[8];
	struct msgbuf b;

	for (unsigned i = 0; i < sizeof value; i++)
		value[i] = (uint8_t)draw(256);
	memcpy(token, value, sizeof token);
	msgbuf_begin(&b, buf, cap, (uint8_t)draw(3), (uint8_t)(draw(2) ? 1 + draw(7) : 0x40 + draw(32)),
		     (uint16_t)draw(0x10000), bytes_of(token, draw(9)));
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (draw(3) == 0)
			msgbuf_option(&b, numbers[i], bytes_of(value, draw(20) ? draw(9) : draw(270)));
	}
	msgbuf_payload(&b, bytes_of(value, draw(2) ? 0 : draw(sizeof value)));
	return msgbuf_end(&b);
}

static void brings_back_what_went(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t buf[4096], out[4096];
		struct bytes went = random_message(buf, sizeof buf), came;
		struct msg m;
		coap_pdu_t *pdu;

		assert_true(went.len > 0);
		assert_int_equal(msg_parse(&m, went), MSG_OK);
		pdu = session_message_to_pdu(&m, m.type, m.mid);
		assert_non_null(pdu);
		came = session_message_from_pdu(pdu, m.type, m.mid, NULL, out, sizeof out);
		if (!bytes_equal(went, came))
			fail_msg("message %u came back as another", i);
		/* no room, no message */
		assert_int_equal(session_message_from_pdu(pdu, m.type, m.mid, NULL, out, went.len - 1).len, 0);
		coap_delete_pdu(pdu);
	}
}

static void refuses(void **state)
{
	uint8_t buf[64], out[64];
	char text[MSGTEXT_MAX];
	struct msg m;
	coap_pdu_t *pdu = pdu_of(msgtext_write("CON 2.05 7d34 #2021 Max-Age=3c !long", buf, sizeof buf), &m);

	(void)state;
	msgtext_format(session_message_refusal(pdu, MSG_NON, 7, MSG_BAD_GATEWAY, out, sizeof out), text);
	assert_string_equal(text, "NON 5.02 0007 #2021");
	msgtext_format(session_message_empty(MSG_RESET, 0x1234, out), text);
	assert_string_equal(text, "RST 0.00 1234 #");
	coap_delete_pdu(pdu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translates),
		cmocka_unit_test(brings_back_what_went),
		cmocka_unit_test(refuses),
	};

	coap_startup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "nested.h"
#include "coap/msgbuf.h"
#include "msgtext.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

bool nested_is(const char *event, const char *name, const char *text)
{
	char value[128];

	return vectors_text(event, name, value, sizeof value) && strcmp(value, text) == 0;
}

/* "0.02" */
static uint8_t code_of(const char *object)
{
	char text[8];

	assert_non_null(vectors_text(object, "code", text, sizeof text));
	return MSG_CODE((uint8_t)atoi(text), (uint8_t)atoi(text + 2));
}

/* ["Uri-Path", 11, "616c"] */
static void put_option(struct msgbuf *b, const char *option)
{
	const char *number = vectors_next(vectors_first(option)), *value = vectors_next(number);
	uint8_t raw[512];
	size_t digits = strcspn(value + 1, "\"");

	msgbuf_option(b, (uint16_t)strtoul(number, NULL, 10),
		      bytes_of(raw, msgtext_unhex(value + 1, digits, raw, sizeof raw)));
}

void nested_build(const char *object, uint8_t type, uint16_t mid, struct bytes token, struct nested_message *out)
{
	uint8_t payload[NESTED_MAX];
	struct msgbuf b;

	msgbuf_begin(&b, out->buf, sizeof out->buf, type, code_of(object), mid, token);
	for (const char *o = vectors_first(vectors_member(object, "options")); o; o = vectors_next(o))
		put_option(&b, o);
	msgbuf_payload(&b, vectors_bytes(object, "payload", payload, sizeof payload));
	out->wire = msgbuf_end(&b);
	assert_true(out->wire.len > 0);
}

const char *nested_other(const char *contexts, const char *name, const char *sender, char out[16])
{
	const char *c = vectors_member(contexts, name);

	assert_non_null(c);
	return vectors_text(c, nested_is(c, "a_sender_id", sender) ? "b_sender_id" : "a_sender_id", out, 16);
}

static struct oscore_id id(const char *hex)
{
	struct oscore_id i = { .len = 0 };

	i.len = (uint8_t)msgtext_unhex(hex, strlen(hex), i.at, sizeof i.at);
	return i;
}

struct oscore_setup nested_setup(const char *contexts, const char *name, const char *sender, uint8_t secret[16])
{
	const char *c = vectors_member(contexts, name);
	struct oscore_setup s = { .aead = AEAD_AES_CCM_16_64_128, .hkdf = HKDF_SHA_256, .window = 32 };
	char other[16];

	assert_int_equal(vectors_bytes(c, "master_secret", secret, 16).len, 16);
	s.salt.len = (uint8_t)vectors_bytes(c, "master_salt", s.salt.at, sizeof s.salt.at).len;
	s.sender_id = id(sender);
	s.recipient_id = id(nested_other(contexts, name, sender, other));
	return s;
}

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 0x5a, len);
}

void nested_context(struct oscore_context *c, const char *contexts, const char *name, const char *sender, uint64_t next)
{
	struct oscore_state state = { .next = next, .synced = true };
	struct rng rng = { fill };
	uint8_t secret[16];
	struct oscore_setup setup = nested_setup(contexts, name, sender, secret);

	replay_init(&state.window, setup.window);
	assert_true(oscore_context_init(c, &setup, bytes_of(secret, sizeof secret), &state, &rng));
	oscore_context_allow(c, next + 1000);
}

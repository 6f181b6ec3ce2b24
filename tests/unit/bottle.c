#include "bottle.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define PLENTY (1ULL << 32) /* sequence numbers */

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 0x77, len);
}

struct bottle bottle_of(struct proxy_config cfg)
{
	struct bottle b = { .cfg = cfg, .rng = { fill } };

	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		b.cfg.contexts[i].next_hop = PROXY_NO_SERVER;
	return b;
}

static struct oscore_id id(uint8_t value)
{
	return (struct oscore_id){ 1, { value } };
}

uint8_t bottle_context(struct bottle *b, const char *name, uint64_t servers, uint8_t next_hop)
{
	uint8_t place = (uint8_t)b->n++;
	struct proxy_context *c = &b->cfg.contexts[place];

	assert_true(b->n <= BOTTLE_CONTEXTS);
	strcpy(c->name, name);
	c->servers = servers;
	c->next_hop = next_hop;
	c->setup.window = 32;
	c->setup.sender_id = id((uint8_t)(0x50 + place));
	c->setup.recipient_id = id((uint8_t)(0x20 + place));
	return place;
}

struct oscore_state bottle_fresh(uint64_t next, bool synced)
{
	struct oscore_state s = { .next = next, .synced = synced };

	replay_init(&s.window, 32);
	return s;
}

static struct bytes secret(uint8_t place, uint8_t out[16])
{
	memset(out, 1 + place, 16);
	return bytes_of(out, 16);
}

void bottle_install(struct bottle *b, uint8_t place, const struct oscore_state *state, uint64_t limit)
{
	uint8_t raw[16];

	assert_true(proxy_context_install(b->e->proxy, place, secret(place, raw), state));
	if (limit)
		proxy_context_allow(b->e->proxy, place, limit);
}

void bottle_start_off(struct bottle *b)
{
	struct oscore_state fresh = bottle_fresh(0, true);
	uint8_t raw[16];

	b->e = engine_start(&b->cfg);
	for (uint8_t i = 0; i < b->n; i++) {
		struct oscore_setup s = b->cfg.contexts[i].setup;

		s.sender_id = b->cfg.contexts[i].setup.recipient_id;
		s.recipient_id = b->cfg.contexts[i].setup.sender_id;
		assert_true(oscore_context_init(&b->ends[i], &s, secret(i, raw), &fresh, &b->rng));
		oscore_context_allow(&b->ends[i], PLENTY);
	}
}

void bottle_start(struct bottle *b)
{
	struct oscore_state fresh = bottle_fresh(0, true);

	bottle_start_off(b);
	for (uint8_t i = 0; i < b->n; i++)
		bottle_install(b, i, &fresh, PLENTY);
}

void bottle_stop(struct bottle *b)
{
	engine_stop(b->e);
	for (unsigned i = 0; i < b->n; i++)
		oscore_context_wipe(&b->ends[i]);
}

/* --- words -------------------------------------------------------------------------------------------------------- */

static void expand(const struct bottle_talk *t, const char *line, char *out)
{
	struct bytes word;

	for (*out = '\0'; (word = msgtext_word(&line)).len; out += strlen(out)) {
		if (bytes_are(word, "$"))
			sprintf(out, "%s ", t->mid);
		else if (bytes_are(word, "#$"))
			sprintf(out, "#%s ", t->token);
		else if (bytes_are(word, "Echo=$"))
			sprintf(out, "Echo=%s ", t->echo);
		else
			sprintf(out, "%.*s ", (int)word.len, (const char *)word.ptr);
	}
	if (out[-1] == ' ')
		out[-1] = '\0';
}

static bool word_matches(struct bytes expected, struct bytes seen)
{
	if (bytes_are(expected, "*") || bytes_are(expected, "#*"))
		return true;
	if (bytes_are(expected, "Echo=*"))
		return seen.len > 5 && memcmp(seen.ptr, "Echo=", 5) == 0;
	if (bytes_are(expected, "Observe=*"))
		return seen.len >= 8 && memcmp(seen.ptr, "Observe=", 8) == 0;
	return bytes_equal(expected, seen);
}

static void assert_message(struct bottle_talk *t, struct bytes got, const char *expected)
{
	char wanted[MSGTEXT_MAX], seen[MSGTEXT_MAX];
	const char *x = wanted, *y = seen;
	struct bytes a, b;

	expand(t, expected, wanted);
	msgtext_format(got, seen);
	do {
		a = msgtext_word(&x);
		b = msgtext_word(&y);
		if ((a.len == 0) != (b.len == 0) || (a.len && !word_matches(a, b)))
			fail_msg("\n  %s\ninstead of\n  %s", seen, wanted);
	} while (a.len);
}

static void remember(struct bottle_talk *t, struct bytes message)
{
	struct msg_option echo;
	struct msg m;

	assert_int_equal(msg_parse(&m, message), MSG_OK);
	snprintf(t->mid, sizeof t->mid, "%04x", m.mid);
	assert_true(m.token.len * 2 < sizeof t->token);
	msgtext_hex(m.token, t->token);
	if (msg_find(&m, OPTION_ECHO, &echo))
		msgtext_hex(echo.value, t->echo);
}

/* --- layers ------------------------------------------------------------------------------------------------------- */

static struct bytes whole(const struct oscore_room *room, const struct msg *m)
{
	const struct bytes *last = m->payload.len ? &m->payload : &m->options;

	return bytes_of(room->at, (size_t)(last->ptr + last->len - room->at));
}

static void set_wire(struct bottle_talk *t, struct bytes wire)
{
	assert_true(wire.len <= sizeof t->wire);
	memmove(t->wire, wire.ptr, wire.len);
	t->len = wire.len;
}

static void put_on(struct bottle *b, struct bottle_talk *t, uint8_t place, struct oscore_request *asked)
{
	struct oscore_room room;
	struct msg in, out;

	assert_true(place < b->n);
	assert_int_equal(msg_parse(&in, bytes_of(t->wire, t->len)), MSG_OK);
	assert_int_equal(oscore_protect_request(&b->ends[place], &in, OSCORE_NEXT_HOP, &room, &out, asked), OSCORE_OK);
	set_wire(t, whole(&room, &out));
}

static void add_outside(struct bottle_talk *t, const char *outside)
{
	uint8_t text[1500], both[1500];
	char line[MSGTEXT_MAX];
	struct msg_option left, right;
	struct msg_iter x, y;
	struct msg around, m;
	struct msgbuf b;
	bool has_left, has_right;

	snprintf(line, sizeof line, "CON 0.01 0000 # %s", outside);
	assert_int_equal(msg_parse(&around, msgtext_write(line, text, sizeof text)), MSG_OK);
	assert_int_equal(msg_parse(&m, bytes_of(t->wire, t->len)), MSG_OK);
	msgbuf_begin(&b, both, sizeof both, m.type, m.code, m.mid, m.token);
	x = msg_options(&around);
	y = msg_options(&m);
	has_left = msg_next(&x, &left);
	has_right = msg_next(&y, &right);
	while (has_left || has_right) {
		bool first = has_left && (!has_right || left.number <= right.number);
		const struct msg_option *o = first ? &left : &right;

		msgbuf_option(&b, o->number, o->value);
		if (first)
			has_left = msg_next(&x, &left);
		else
			has_right = msg_next(&y, &right);
	}
	msgbuf_payload(&b, m.payload);
	set_wire(t, msgbuf_end(&b));
}

void bottle_wrap(struct bottle *b, struct bottle_talk *t, const char *layers, const char *outside, const char *line)
{
	struct oscore_request deep;
	char text[MSGTEXT_MAX];
	uint8_t plain[1500];

	expand(t, line, text);
	set_wire(t, msgtext_write(text, plain, sizeof plain));
	for (size_t i = strlen(layers); i-- > 0;)
		put_on(b, t, (uint8_t)(layers[i] - '0'), i < BOTTLE_DEPTH ? &t->asked[i] : &deep);
	snprintf(t->layers, sizeof t->layers, "%.*s", BOTTLE_DEPTH, layers);
	if (outside && *outside)
		add_outside(t, outside);
}

void bottle_send(struct bottle *b, struct bottle_talk *t, const char *who)
{
	engine_receive(b->e, &engine_peer(b->e, who)->path, bytes_of(t->wire, t->len));
}

void bottle_ask(struct bottle *b, struct bottle_talk *t, const char *who, const char *layers, const char *line)
{
	bottle_wrap(b, t, layers, NULL, line);
	bottle_send(b, t, who);
}

static void note_option(struct bottle_talk *t, const struct msg *m, struct oscore_option *o)
{
	struct msg_option value;

	if (!msg_find(m, OPTION_OSCORE, &value))
		fail_msg("a layer is missing");
	assert_int_equal(oscore_option_parse(o, value.value), OSCORE_OPTION_OK);
	t->piv = o->piv.ptr ? oscore_option_number(o->piv) : BOTTLE_NO_PIV;
}

bool bottle_keep(struct bottle *b, struct bottle_talk *t, const char *who)
{
	const struct engine_sent *s = engine_take(b->e, who);

	if (s)
		set_wire(t, bytes_of(s->buf, s->len));
	return s != NULL;
}

void bottle_hear(struct bottle *b, struct bottle_talk *t, const char *who, unsigned layers, const char *expected)
{
	struct oscore_room rooms[2];
	struct oscore_option o;
	struct bytes at;
	struct msg in, out;
	uint64_t piv;

	if (!bottle_keep(b, t, who))
		fail_msg("nothing came instead of\n  %s", expected);
	t->piv = piv = BOTTLE_NO_PIV;
	at = bytes_of(t->wire, t->len);
	assert_true(layers <= strlen(t->layers));
	for (unsigned i = 0; i < layers; i++) {
		assert_int_equal(msg_parse(&in, at), MSG_OK);
		note_option(t, &in, &o);
		piv = i == 0 ? t->piv : piv;
		assert_int_equal(oscore_unprotect_response(&b->ends[t->layers[i] - '0'], &in, &o, &t->asked[i],
							   &rooms[i & 1], &out),
				 OSCORE_OK);
		at = whole(&rooms[i & 1], &out);
	}
	t->piv = piv;
	assert_message(t, at, expected);
	remember(t, at);
}

void bottle_get(struct bottle *b, struct bottle_talk *t, const char *server, uint8_t place, const char *expected)
{
	const struct engine_sent *s = engine_take(b->e, server);
	struct oscore_option o;
	struct oscore_room room;
	struct msg in, out;

	if (!s)
		fail_msg("%s got nothing instead of\n  %s", server, expected);
	engine_peer(b->e, server)->path.local = s->to.local; /* it answers where it was asked */
	set_wire(t, bytes_of(s->buf, s->len));
	assert_int_equal(msg_parse(&in, bytes_of(t->wire, t->len)), MSG_OK);
	note_option(t, &in, &o);
	assert_true(bytes_equal(o.kid, bytes_of((uint8_t[]){ (uint8_t)(0x50 + place) }, 1)));
	assert_int_equal(oscore_unprotect_request(&b->ends[place], &in, &o, &room, &out, &t->asked[0]), OSCORE_OK);
	snprintf(t->layers, sizeof t->layers, "%c", '0' + place);
	assert_message(t, whole(&room, &out), expected);
	remember(t, whole(&room, &out));
}

void bottle_seal(struct bottle *b, struct bottle_talk *t, const char *line)
{
	char text[MSGTEXT_MAX];
	uint8_t plain[1500];
	struct oscore_room room;
	struct msg in, out;

	expand(t, line, text);
	assert_int_equal(msg_parse(&in, msgtext_write(text, plain, sizeof plain)), MSG_OK);
	assert_int_equal(oscore_protect_response(&b->ends[t->layers[0] - '0'], &in, &t->asked[0], &room, &out),
			 OSCORE_OK);
	set_wire(t, whole(&room, &out));
}

void bottle_answer(struct bottle *b, struct bottle_talk *t, const char *server, const char *line)
{
	bottle_seal(b, t, line);
	bottle_send(b, t, server);
}

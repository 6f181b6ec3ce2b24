/* layers: the nested examples through a whole proxy: each hop's messages, byte for byte. What may go wrong is in test_unwrap.c. */
#include "proxy/layers.h"
#include "coap/msgbuf.h"
#include "engine.h"
#include "msgtext.h"
#include "nested.h"
#include "vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* One proxy of one example. Its server is what it sends to. */
struct row {
	const char *example, *proxy, *uri_host, *uri_path;
	bool next_proxy, open, nobody, layer;
};

static const struct row rows[] = {
	{ .example = "B.1 forward-proxy C-S,C-P", .proxy = "P", .uri_host = "example.com" },
	{ .example = "B.2 forward-proxy C-S,P-S", .proxy = "P", .uri_host = "example.com", .open = true },
	{ .example = "B.3 forward-proxy C-S,C-P,P-S", .proxy = "P", .uri_host = "example.com" },
	{ .example = "B.4 forward-proxy + EDHOC C-S,C-P", .proxy = "P", .uri_host = "example.com" },
	{ .example = "B.5 forward-proxy + EDHOC optimized C-S,C-P", .proxy = "P", .uri_host = "example.com" },
	{ .example = "B.6 two forward-proxies C-S,C-P1,P1-P2,P2-S", .proxy = "P1", .next_proxy = true },
	{ .example = "B.6 two forward-proxies C-S,C-P1,P1-P2,P2-S", .proxy = "P2", .uri_host = "example.com" },
	{ .example = "B.7 reverse-proxy C-P,P-S", .proxy = "P", .uri_host = "dev.example", .layer = true },
	{ .example = "B.8 reverse-proxy C-S,C-P,P-S", .proxy = "P", .uri_path = "dev1" },
	{ .example = "X.1 observe through OSCORE-capable forward-proxy C-S,C-P (own)",
	  .proxy = "P",
	  .uri_host = "example.com" },
	{ .example = "X.2 onion three layers (own)", .proxy = "P1", .uri_host = "p2.example" },
	{ .example = "X.2 onion three layers (own)", .proxy = "P2", .uri_host = "s.example" },
	{ .example = "X.3 error responses at the proxy (own)",
	  .proxy = "P",
	  .uri_host = "example.com",
	  .nobody = true },
	{ .example = "X.4 Hop-Limit Class U with escalation (own)", .proxy = "P", .uri_host = "example.com" },
};

static struct proxy_config configure(const struct row *r)
{
	struct proxy_config c = engine_roomy();

	c.policy.servers[1].present = c.policy.servers[2].present = false;
	strcpy(c.servers[0].name, "next");
	strcpy(c.servers[0].uri_path, r->uri_path ? r->uri_path : "");
	strcpy(c.servers[0].uri_host, r->uri_host ? r->uri_host : "");
	c.servers[0].proxy = r->next_proxy;
	c.servers[0].forward = r->open;
	c.servers[0].require_layer = r->layer; /* its name stands outside the layer */
	c.policy.servers[0].mode = r->open ? MODE_OPEN : MODE_EXEMPTIONS;
	c.hop_limit = 0; /* the examples have none but where it matters */
	c.precise_errors = true;
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		c.contexts[i].next_hop = PROXY_NO_SERVER;
	return c;
}

/* The proxy is the first-named endpoint of contexts towards its next hop, the second of those with its clients. */
static bool is_towards_next(const struct row *r, const char *name)
{
	char prefix[16];

	snprintf(prefix, sizeof prefix, "CTX_%s_", r->proxy);
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The first number of its own that the proxy uses under a context. */
static uint64_t first_number(const char *events, const struct row *r, const char *name)
{
	for (const char *e = vectors_first(events); e; e = vectors_next(e)) {
		uint8_t raw[16];
		struct oscore_option o;

		if (!nested_is(e, "at", r->proxy) || !nested_is(e, "ctx", name) || !nested_is(e, "step", "protect"))
			continue;
		oscore_option_parse(&o, vectors_bytes(e, "oscore_option", raw, sizeof raw));
		if (o.piv.ptr)
			return oscore_option_number(o.piv);
	}
	return 0;
}

static uint8_t place_of(struct proxy_config *c, const char *name)
{
	uint8_t i = 0;

	while (c->contexts[i].name[0] && strcmp(c->contexts[i].name, name) != 0)
		i++;
	return i;
}

/* Every context the proxy has a hand in. */
static unsigned find_contexts(struct proxy_config *c, const char *x, const struct row *r)
{
	unsigned n = 0;

	for (const char *e = vectors_first(vectors_member(x, "events")); e; e = vectors_next(e)) {
		char name[PROXY_NAME], sender[16];
		const char *keys;
		uint8_t place, secret[16];

		if (!nested_is(e, "at", r->proxy) || !vectors_text(e, "ctx", name, sizeof name))
			continue;
		place = place_of(c, name);
		if (c->contexts[place].name[0])
			continue;
		keys = vectors_member(vectors_member(x, "contexts"), name);
		vectors_text(keys, is_towards_next(r, name) ? "a_sender_id" : "b_sender_id", sender, sizeof sender);
		strcpy(c->contexts[place].name, name);
		c->contexts[place].setup = nested_setup(vectors_member(x, "contexts"), name, sender, secret);
		c->contexts[place].next_hop = is_towards_next(r, name) ? 0 : PROXY_NO_SERVER;
		c->contexts[place].servers = !is_towards_next(r, name) && !r->nobody;
		n++;
	}
	return n;
}

static void install(struct engine *e, const struct proxy_config *c, const char *x, const struct row *r, unsigned n,
		    uint64_t received)
{
	for (uint8_t i = 0; i < n; i++) {
		struct oscore_state state = { .synced = true };
		char sender[16];
		uint8_t secret[16];

		state.next = first_number(vectors_member(x, "events"), r, c->contexts[i].name);
		replay_init(&state.window, 32);
		for (uint64_t number = 0; number < received; number++)
			replay_accept(&state.window, number);
		vectors_text(vectors_member(vectors_member(x, "contexts"), c->contexts[i].name), "a_sender_id", sender,
			     sizeof sender);
		nested_setup(vectors_member(x, "contexts"), c->contexts[i].name, sender, secret);
		assert_true(proxy_context_install(e->proxy, i, bytes_of(secret, 16), &state));
		proxy_context_allow(e->proxy, i, state.next + 100);
	}
}

struct talk {
	struct engine *e;
	uint8_t up_token[8]; /* the engine's own, under which it asked last */
	uint16_t up_mid, down_mid;
};

static void assert_wire(struct bytes got, struct bytes expected, const char *what)
{
	char a[MSGTEXT_MAX], b[MSGTEXT_MAX];

	if (bytes_equal(got, expected))
		return;
	msgtext_hex(got, a);
	msgtext_hex(expected, b);
	fail_msg("%s:\n  %s\ninstead of\n  %s", what, a, b);
}

static bool is_request(const char *send)
{
	return strncmp(vectors_member(vectors_member(send, "outer"), "code"), "\"0.", 3) == 0;
}

static uint8_t type_of(const char *send)
{
	return nested_is(send, "type", "CON") ? MSG_CON : nested_is(send, "type", "NON") ? MSG_NON : MSG_ACK;
}

static void feed(struct talk *t, const char *send)
{
	struct nested_message m;
	uint8_t wire[1024];

	if (is_request(send)) {
		engine_receive(t->e, &engine_peer(t->e, "a")->path, vectors_bytes(send, "wire", wire, sizeof wire));
		return;
	}
	nested_build(vectors_member(send, "outer"), type_of(send), type_of(send) == MSG_ACK ? t->up_mid : t->down_mid++,
		     bytes_of(t->up_token, 8), &m);
	engine_receive(t->e, &engine_peer(t->e, "next")->path, m.wire);
}

static void expect(struct talk *t, const char *send, const char *what)
{
	const struct engine_sent *s = engine_take(t->e, is_request(send) ? "next" : "a");
	struct nested_message m;
	uint8_t wire[1024], token[8];
	struct bytes expected = vectors_bytes(send, "wire", wire, sizeof wire);

	if (!s)
		fail_msg("%s: nothing was sent", what);
	if (is_request(send)) { /* under a token and a Message ID of the engine's */
		t->up_mid = (uint16_t)(s->buf[2] << 8 | s->buf[3]);
		memcpy(t->up_token, s->buf + 4, 8);
		nested_build(vectors_member(send, "outer"), type_of(send), t->up_mid, bytes_of(t->up_token, 8), &m);
		expected = m.wire;
	} else if (type_of(send) == MSG_NON) {
		nested_build(vectors_member(send, "outer"), MSG_NON, (uint16_t)(s->buf[2] << 8 | s->buf[3]),
			     vectors_bytes(send, "token", token, sizeof token), &m);
		expected = m.wire;
	}
	assert_wire(bytes_of(s->buf, s->len), expected, what);
}

/* EDHOC with the proxy itself is not built: its messages, and what bears the EDHOC option towards it, are left out. */
static bool is_edhoc(const char *send, const char *previous)
{
	uint8_t raw[1024];
	struct msg_option opt;
	struct msg m;

	assert_int_equal(msg_parse(&m, vectors_bytes(send, "wire", raw, sizeof raw)), MSG_OK);
	if (msg_is_request(&m))
		return msg_find(&m, 21, &opt) || !msg_find(&m, 9, &opt);
	return previous && is_edhoc(previous, NULL);
}

static unsigned play(const struct row *r, const char *x)
{
	const char *events = vectors_member(x, "events"), *last = NULL;
	bool edhoc = strstr(r->example, "EDHOC") != NULL, skipping = false;
	struct proxy_config c = configure(r);
	struct talk t = { .down_mid = 0x7000 };
	unsigned n = find_contexts(&c, x, r), wires = 0;

	t.e = engine_start(&c);
	install(t.e, &c, x, r, n, 0);
	engine_prove(t.e, "a");
	for (const char *e = vectors_first(events); e; e = vectors_next(e)) {
		bool in = nested_is(e, "to", r->proxy), out = nested_is(e, "from", r->proxy);

		if (!nested_is(e, "step", "send") || (!in && !out))
			continue;
		if (edhoc && in && is_request(e))
			skipping = is_edhoc(e, NULL);
		last = e;
		if (skipping)
			continue;
		if (in)
			feed(&t, e);
		else
			expect(&t, e, r->example);
		wires += out;
	}
	(void)last;
	engine_play_lines(t.e, (const char *const[]){ "quiet" }, 1, __FILE__, __LINE__);
	engine_stop(t.e);
	return wires;
}

static void test_examples(void **state)
{
	char *json = vectors_load("oscore_capable_proxies_nested.json");
	const char *all = vectors_member(json, "examples");
	unsigned wires = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		wires += play(&rows[i], vectors_member(all, rows[i].example));
	assert_int_equal(wires, 31);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

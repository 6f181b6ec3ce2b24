/* bugs: what went wrong in others' programs (the catalogue's V), where a test of one room would not show it. */
#include "lab.h"
#include "scene.h"
#include "../unit/bottle.h"
#include "../unit/msgtext.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- V4: numbers out of order ------------------------------------------------------------------------------------ */

/* What is sent again is a replay: the same bytes with another Message ID. */
static bool is_served(struct bottle *b, struct bottle_talk sent[64], uint64_t number, uint8_t mid)
{
	struct bottle_talk *t = &sent[number];
	uint64_t before = b->e->to_device;

	if (t->len == 0) {
		b->ends[0].next = number;
		bottle_wrap(b, t, "0", NULL, "NON 0.01 0001 #20 Uri-Path:lamp");
	}
	t->wire[3] = mid;
	bottle_send(b, t, "a");
	b->e->n_out = 0;
	engine_wait(b->e, 10 * TSTAMP_MIN);
	b->e->n_out = 0;
	return b->e->to_device > before;
}

/* 10, 7, 10 was taken, 3, 5, 4 was not. */
static void out_of_order(struct lab *l)
{
	static const struct {
		uint64_t number;
		bool fresh;
	} rows[] = { { 3, true },  { 5, true },  { 4, true },  { 5, false }, { 10, true },  { 7, true },  { 10, false },
		     { 7, false }, { 42, true }, { 41, true }, { 11, true }, { 10, false }, { 42, false } };
	struct bottle b = bottle_of(engine_roomy());
	struct bottle_talk *sent = calloc(64, sizeof *sent);
	unsigned wrong = 0;

	assert(sent);
	bottle_context(&b, "phone", 7, PROXY_NO_SERVER);
	bottle_start(&b);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		wrong += is_served(&b, sent, rows[i].number, (uint8_t)i) != rows[i].fresh;
	lab_tell(l, "requests with numbers out of order", sizeof rows / sizeof *rows);
	lab_at_most(l, "taken or refused wrongly", wrong, 0);
	free(sent);
	bottle_stop(&b);
}

/* --- V9: blocks ------------------------------------------------------------------------------------------------- */

/* What libcoap's issue 1642 is about, and each Block1 and Block2 there is in up to three bytes, from a proven client and from a stranger. */
static void block_options(struct lab *l)
{
	static const char *const rows[] = {
		"CON 0.03 25b9 #bc306ac4 Uri-Path:test-bug-trigger Block1=000008 !0123456789abcdef",
		"CON 0.03 25ba #bc306ac4 Uri-Path:lamp Block1=000008 !0123456789abcdef",
		"CON 0.03 25bb #bc306ac4 Uri-Path:lamp Block1=00000008 !0123456789abcdef",
		"CON 0.03 25bc #bc306ac4 Uri-Path:lamp Block1= Block1=08 !0123456789abcdef",
	};
	struct proxy_config c = engine_roomy();
	struct scene_device device = { .code = MSG_CHANGED, .payload = 1024 };
	struct engine *e = engine_start(&c);
	unsigned long n = 0, step = l->scale < 1 ? 977 : 37;

	engine_prove(e, "a");
	scene_attend(e, &device);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++, n++) {
		engine_line(e, "a> %s", rows[i]);
		scene_answer(e);
	}
	for (uint32_t value = 0; value < 1U << 24; value += value < 256 ? 1 : (uint32_t)step, n++) {
		uint8_t wire[128];
		struct msgbuf b;

		msgbuf_begin(&b, wire, sizeof wire, MSG_CON, MSG_PUT, (uint16_t)n, bytes_of(&value, sizeof value));
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of("lamp", 4));
		msgbuf_option_uint(&b, n & 1 ? 23 : 27, value);
		msgbuf_payload(&b, bytes_of("0123456789abcdef", n & 2 ? 16 : 0));
		engine_receive(e, &engine_peer(e, n & 4 ? "a" : "x")->path, msgbuf_end(&b));
		scene_answer(e);
		if (n % 16 == 0)
			engine_wait(e, 20 * TSTAMP_MS);
	}
	lab_tell(l, "messages with Block1 and Block2, without a mishap", (double)n);
	lab_at_least(l, "of them answered by the device", (double)device.requests, 100);
	engine_stop(e);
}

/* --- V12: leaks ------------------------------------------------------------------------------------------------- */

static void random_message(struct engine *e, char line[256])
{
	static const char *const kinds[] = {
		"CON 0.01 %04x #%06x Uri-Path:lamp",
		"NON 0.01 %04x #%06x Uri-Path:lamp",
		"CON 0.03 %04x #%06x Uri-Path:lamp Uri-Path:x !value",
		"CON 0.01 %04x #%06x Observe= Uri-Path:lamp",
		"CON 0.01 %04x #%06x Observe=01 Uri-Path:lamp",
		"CON 0.02 %04x #%06x OSCORE=090925 Uri-Path:lamp !=00112233445566",
		"CON 0.02 %1$04x #%2$06x OSCORE=0a%1$04x25 Uri-Path:lamp !=00112233445566",
		"CON 0.01 %04x #%06x Proxy-Uri:coap://[fd00:db8::18]/x",
		"CON 0.01 %04x #%06x Uri-Path:nowhere",
		"CON 0.03 %04x #%06x Uri-Path:lamp Block1=08 !0123456789abcdef",
		"RST 0.00 %04x #",
		"ACK 0.00 %04x #",
		"CON 0.00 %04x #",
		"CON 2.05 %04x #%06x !x",
		"CON 0.01 %04x #%06x Uri-Path:lamp Hop-Limit=01",
	};
	uint64_t r = engine_random(e);

	snprintf(line, 256, kinds[r % (sizeof kinds / sizeof *kinds)], (unsigned)(r >> 8 & 0xfff),
		 (unsigned)(r >> 24 & 0xffffff));
}

/* The device is silent now and then, resets, notifies, refuses; addresses are proven, or not. */
static void mixture(struct engine *e, struct scene_device *d, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		uint64_t r = engine_random(e);
		char line[256];

		random_message(e, line);
		/* who has a key may be answered in full wherever he is */
		engine_line(e, "%c> %s", (strstr(line, "OSCORE") ? "aabcdeab" : "aabcdexy")[r & 7], line);
		d->refuses = (r >> 3 & 7) == 0;
		d->code = r >> 6 & 1 ? MSG_CONTENT : MSG_CHANGED;
		d->payload = r >> 7 & 3 ? 4 : 1024;
		if (r >> 9 & 7)
			scene_answer(e);
		else
			d->n = 0; /* silence */
		if ((r >> 12 & 63) == 0)
			engine_prove(e, "a");
		engine_wait(e, (r >> 18) % (200 * TSTAMP_MS));
	}
}

static void leaks(struct lab *l)
{
	struct proxy_config c = engine_roomy();
	unsigned long n = lab_scaled(l, 100000, 20000);
	struct scene_device device = { .observes = true, .oscore = true };
	struct engine *e;
	double heap = 0;

	for (unsigned life = 0; life < 2; life++) { /* the first one brings what the libraries keep */
		heap = lab_heap();
		e = engine_start(&c);
		scene_attend(e, &device);
		mixture(e, &device, life ? n : 1000);
		engine_stop(e); /* asserts that no exchange, packet or ticket is left */
	}
	lab_tell(l, "mixed messages", (double)n);
	lab_at_least(l, "exchanges with the device", (double)device.requests, (double)n / 10);
	/* the C library counts what lies in its cache as in use; LeakSanitizer counts to the byte, where the lab is built with it */
	lab_at_most(l, "bytes of heap left over", lab_heap() - heap, 4096);
}

/* --- V17, V39: Message IDs and tokens --------------------------------------------------------------------------- */

struct numbers {
	struct scene_device device; /* first member */
	tstamp used[1 << 16];
	unsigned long again, sent, shorter;
	uint64_t *tokens;
};

static void note_numbers(struct engine *e, const struct engine_sent *sent)
{
	struct numbers *n = e->sink_arg;
	unsigned mid = (unsigned)(sent->buf[2] << 8 | sent->buf[3]);
	struct msg m;

	if (msg_parse(&m, bytes_of(sent->buf, sent->len)) != MSG_OK || !msg_is_request(&m))
		return;
	n->again += n->used[mid] && sent->at - n->used[mid] < 247 * TSTAMP_S;
	n->used[mid] = sent->at;
	n->shorter += m.token.len < 8;
	memcpy(&n->tokens[n->sent++], m.token.ptr, m.token.len < 8 ? m.token.len : 8);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static unsigned long repeated(uint64_t *tokens, unsigned long n)
{
	unsigned long same = 0;

	qsort(tokens, n, sizeof *tokens, ascending);
	for (unsigned long i = 1; i < n; i++)
		same += tokens[i] == tokens[i - 1];
	return same;
}

/* Mode open, where nothing but Message IDs themselves is a limit. */
static struct numbers *ask_often(unsigned long n, uint64_t pause)
{
	struct proxy_config c = engine_open();
	struct numbers *seen = calloc(1, sizeof *seen);
	struct engine *e = engine_start(&c);

	assert(seen && (seen->tokens = calloc(n, sizeof *seen->tokens)));
	seen->device = (struct scene_device){ .code = MSG_CONTENT, .to_device = note_numbers };
	scene_attend(e, &seen->device);
	for (unsigned long i = 0; i < n; i++) {
		struct path from = engine_path("[2001:db8:77::1]:40000");
		uint8_t wire[] = { 0x54,
				   1,
				   (uint8_t)(i >> 8),
				   (uint8_t)i,
				   (uint8_t)(i >> 16),
				   (uint8_t)(i >> 8),
				   (uint8_t)i,
				   0,
				   0xb4,
				   'l',
				   'a',
				   'm',
				   'p' };

		from.remote.ip[7] = (uint8_t)(i & 127); /* a client may have a quarter of the table */
		from.remote.ip[15] = (uint8_t)(i >> 16);
		engine_receive(e, &from, bytes_of(wire, sizeof wire));
		scene_answer(e);
		engine_wait(e, pause);
	}
	engine_stop(e);
	return seen;
}

static void message_ids(struct lab *l)
{
	unsigned long n = lab_scaled(l, 700000, 140000);
	struct numbers *seen = ask_often(n, TSTAMP_MS);

	lab_tell(l, "requests for one device, 1000 a second", (double)n);
	lab_tell(l, "sent to it", (double)seen->sent);
	lab_at_most(l, "Message IDs used again within 247 s", (double)seen->again, 0);
	free(seen->tokens);
	free(seen);
}

static void tokens(struct lab *l)
{
	unsigned long n = lab_scaled(l, 100000, 20000);
	struct numbers *seen = ask_often(n, 200 * TSTAMP_MS);

	lab_at_least(l, "requests sent to one device", (double)seen->sent, (double)n / 10);
	lab_at_most(l, "tokens shorter than 8 bytes", (double)seen->shorter, 0);
	lab_at_most(l, "tokens used again", (double)repeated(seen->tokens, seen->sent), 0);
	free(seen->tokens);
	free(seen);
}

const struct attack bug_attacks[] = {
	{ "V4", out_of_order }, { "V9", block_options }, { "V12", leaks },
	{ "V17", message_ids }, { "V39", tokens },       { NULL, NULL },
};

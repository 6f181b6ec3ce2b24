/*
 * pieces: any body either way over any link, against a server made of RFC 7959: what it puts together is what was sent, what a client
 * puts together is the representation, and no datagram on the link is larger than the link allows.
 */
#include "proxy/pieces.h"
#include "msgtext.h"
#include "coap/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a)  (sizeof(a) / sizeof(a)[0])
#define BODY_MAX 4096

static uint64_t seed = 11;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* --- a server ------------------------------------------------------------------------------------------------------- */

struct server {
	uint8_t szx1, szx2;       /* what it likes best */
	bool refuses, knows_none; /* larger blocks with 4.13, not 2.31; blocks at all */
	bool etags;
	unsigned changes,
		garbles; /* its answer to the n-th request for a later block has another ETag, or another place; 0: none */
	uint8_t representation[BODY_MAX], body[BODY_MAX];
	size_t len, got;
	unsigned requests, later;
	size_t largest; /* payload that came or went */
	uint8_t tag[8];
	size_t tag_len;
	struct dgram answer;
};

static bool block_of(const struct msg *m, uint16_t number, struct block *b)
{
	struct msg_option opt;

	return msg_find(m, number, &opt) && block_parse(opt.value, b);
}

static uint8_t smaller(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static void begin(struct server *s, const struct msg *m, uint8_t code, struct msgbuf *b)
{
	msgbuf_begin(b, s->answer.buf, DGRAM_MAX, MSG_ACK, code, 1, m->token);
}

static void end(struct server *s, const struct msgbuf *b)
{
	s->answer.len = (uint16_t)msgbuf_end(b).len;
	assert_true(s->answer.len > 0);
}

static void refuse(struct server *s, const struct msg *m, uint8_t code, const struct block *b1)
{
	struct msgbuf b;

	begin(s, m, code, &b);
	if (b1)
		msgbuf_option_uint(&b, OPTION_BLOCK1,
				   block_value((struct block){ b1->num, smaller(b1->szx, s->szx1), b1->more }));
	end(s, &b);
}

/* True: the body is complete. */
static bool take_body(struct server *s, const struct msg *m, const struct block *b1)
{
	if (!b1 || b1->num == 0)
		s->got = 0;
	if (b1 && s->refuses && b1->num == 0 && b1->szx > s->szx1) {
		refuse(s, m, MSG_TOO_LARGE, b1);
		return false;
	}
	if (b1 && block_offset(*b1) != s->got) {
		refuse(s, m, MSG_INCOMPLETE, b1);
		return false;
	}
	assert_true(!b1 || m->payload.len <= block_size(b1->szx));
	assert_true(!b1 || !b1->more || m->payload.len == block_size(b1->szx));
	assert_true(s->got + m->payload.len <= BODY_MAX);
	if (m->payload.len)
		memcpy(s->body + s->got, m->payload.ptr, m->payload.len);
	s->got += m->payload.len;
	if (b1 && b1->more)
		refuse(s, m, MSG_CONTINUE, b1);
	return !b1 || !b1->more;
}

static void respond(struct server *s, const struct msg *m, const struct block *b1, const struct block *b2)
{
	uint8_t szx = b2 ? smaller(b2->szx, s->szx2) : s->szx2;
	size_t from = b2 ? block_offset(*b2) : 0, left = s->len - from, n = block_size(szx);
	bool blocks = !s->knows_none && (b2 || s->len > n), garbled = from > 0 && ++s->later == s->garbles;
	struct block out;
	struct msgbuf b;

	assert_true(from < s->len || from == 0);
	begin(s, m, MSG_CONTENT, &b);
	if (s->etags)
		msgbuf_option(&b, OPTION_ETAG, bytes_of(from > 0 && s->later == s->changes ? "new" : "old", 3));
	n = blocks && left > n ? n : left;
	assert_true(block_at((uint32_t)(garbled ? from + block_size(szx) : from), szx, n < left, &out));
	if (blocks)
		msgbuf_option_uint(&b, OPTION_BLOCK2, block_value(out));
	if (b1)
		msgbuf_option_uint(&b, OPTION_BLOCK1, block_value(*b1));
	msgbuf_payload(&b, bytes_of(s->representation + from, n));
	end(s, &b);
	s->largest = n > s->largest ? n : s->largest;
}

/* One tag for all pieces of a message. */
static void watch(struct server *s, const struct msg *m)
{
	struct msg_option tag;

	if (!msg_find(m, OPTION_REQUEST_TAG, &tag))
		tag.value = bytes_of(NULL, 0);
	assert_true(tag.value.len <= sizeof s->tag);
	if (s->requests++ && !s->knows_none)
		assert_true(bytes_equal(tag.value, bytes_of(s->tag, s->tag_len)));
	s->tag_len = tag.value.len;
	if (tag.value.len)
		memcpy(s->tag, tag.value.ptr, tag.value.len);
	s->largest = m->payload.len > s->largest ? m->payload.len : s->largest;
}

static const struct msg *serve(struct server *s, const struct dgram *d)
{
	static struct msg answer;
	struct block b1, b2;
	bool has1, has2;
	struct msg m;

	assert_int_equal(msg_parse(&m, dgram_bytes(d)), MSG_OK);
	watch(s, &m);
	has1 = block_of(&m, OPTION_BLOCK1, &b1);
	has2 = block_of(&m, OPTION_BLOCK2, &b2);
	if (s->knows_none && (has1 || has2))
		refuse(s, &m, MSG_BAD_OPTION, NULL);
	else if ((has2 && b2.num > 0) || take_body(s, &m, has1 ? &b1 : NULL))
		respond(s, &m, has1 ? &b1 : NULL, has2 ? &b2 : NULL);
	assert_int_equal(msg_parse(&answer, dgram_bytes(&s->answer)), MSG_OK);
	return &answer;
}

/* --- a client behind the guard ---------------------------------------------------------------------------------------- */

struct asked {
	struct dgram whole, gathered;
	uint8_t beyond[1024];  /* stays as it is: what is put together fits in a datagram */
	struct dgram up, seen; /* seen: by the client */
	struct pieces ps;
	struct msg m;
	bool broken;
};

static void see(struct asked *a, const struct msg *answer)
{
	struct edits e = { .n = 0 };
	struct msgbuf b;

	msgbuf_begin(&b, a->seen.buf, DGRAM_MAX, MSG_ACK, answer->code, 1, bytes_of("t", 1));
	pieces_present(&a->ps, answer, &e);
	edits_write(&e, answer, &b);
	msgbuf_payload(&b, answer->payload);
	a->seen.len = (uint16_t)msgbuf_end(&b).len;
	assert_int_equal(msg_parse(&a->m, dgram_bytes(&a->seen)), MSG_OK);
}

static const struct bytes token = { (const uint8_t *)"ourtoken", 8 };

/* As upstream and errand do it. */
static void ask(struct asked *a, struct server *s, const struct msg *request, uint8_t szx)
{
	const struct msg *answer;
	enum pieces_result r;
	struct msg whole;

	a->broken = false;
	s->requests = 0;
	pieces_begin(&a->ps, &a->whole, request, szx);
	assert_true(pieces_write(&a->ps, true, token, &a->up));
	answer = serve(s, &a->up);
	while (true) {
		if (s->knows_none && answer->code == MSG_BAD_OPTION && !a->ps.joined)
			pieces_join(&a->ps);
		else if (!pieces_continue(&a->ps, answer))
			break;
		assert_true(pieces_write(&a->ps, true, token, &a->up));
		answer = serve(s, &a->up);
	}
	r = pieces_gather(&a->ps, answer, &a->gathered);
	assert_true(r != PIECES_BROKEN);
	while (r == PIECES_PARTLY) {
		assert_true(pieces_write_rest(&a->ps, true, token, &a->up));
		r = pieces_add(&a->ps, serve(s, &a->up));
	}
	for (size_t i = 0; i < sizeof a->beyond; i++)
		assert_int_equal(a->beyond[i], 0);
	if (r == PIECES_BROKEN) {
		a->broken = true;
		return;
	}
	if (a->ps.gathered) {
		assert_int_equal(msg_parse(&whole, dgram_bytes(a->ps.gathered)), MSG_OK);
		answer = &whole;
	}
	see(a, answer);
}

struct client {
	bool cuts, sizes; /* its body, into blocks of szx1; responses, into blocks of szx2 */
	uint8_t szx1, szx2;
	uint8_t body[BODY_MAX], got[BODY_MAX];
	size_t len, n;
	bool opaque;
};

static void request(struct asked *a, struct server *s, const struct client *c, uint8_t code, struct bytes payload,
		    const struct block *b1, const struct block *b2, uint8_t link)
{
	uint8_t buf[DGRAM_MAX];
	struct msgbuf b;
	struct msg m;

	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, code, 1, bytes_of("t", 1));
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of("x", 1));
	msgbuf_payload(&b, payload);
	assert_int_equal(msg_parse(&m, msgbuf_end(&b)), MSG_OK);
	a->ps = (struct pieces){ .has_ask1 = b1, .has_ask2 = b2, .opaque = c->opaque, .tag = { 1, 2 } };
	if (b1)
		a->ps.ask1 = *b1;
	if (b2)
		a->ps.ask2 = *b2;
	ask(a, s, &m, link);
}

/* As the server, or the guard in its place, wants its blocks from now on. */
static size_t next_piece(struct client *c, const struct msg *answer, const struct block *b1, size_t n)
{
	struct block back;

	assert_true(block_of(answer, OPTION_BLOCK1, &back));
	assert_int_equal(back.num, b1->num);
	assert_true(back.more == b1->more);
	c->szx1 = smaller(c->szx1, back.szx);
	if (answer->code == MSG_TOO_LARGE) {
		assert_true(back.szx < b1->szx);
		return 0;
	}
	assert_int_equal(answer->code, MSG_CONTINUE);
	return block_offset(*b1) + n;
}

static void send_body(struct asked *a, struct server *s, struct client *c, uint8_t code, uint8_t link)
{
	const struct block first2 = { 0, c->szx2, false };
	struct block b1;
	size_t n = 0;

	for (size_t sent = 0; sent < c->len || c->len == 0; sent = next_piece(c, &a->m, &b1, n)) {
		size_t size = c->cuts ? block_size(c->szx1) : c->len;

		n = c->len - sent < size ? c->len - sent : size;
		block_at((uint32_t)sent, c->szx1, sent + n < c->len, &b1);
		request(a, s, c, code, bytes_of(c->body + sent, n), c->cuts ? &b1 : NULL, c->sizes ? &first2 : NULL,
			link);
		if (a->broken || (!b1.more && a->m.code != MSG_TOO_LARGE))
			return;
		if (!c->cuts)
			return;
	}
}

/* The rest of a response, whose beginning is in a->m. */
static void receive(struct asked *a, struct server *s, struct client *c, uint8_t code, uint8_t link)
{
	for (c->n = 0;;) {
		struct block b = { 0, BLOCK_SZX_MAX, false }, next;
		bool blocks = block_of(&a->m, OPTION_BLOCK2, &b);

		assert_int_equal(a->m.code, MSG_CONTENT);
		assert_int_equal(block_offset(b), c->n);
		assert_true(c->n + a->m.payload.len <= BODY_MAX);
		if (c->sizes && blocks)
			assert_true(a->m.payload.len <= block_size(c->szx2));
		if (b.more)
			assert_int_equal(a->m.payload.len, block_size(b.szx));
		if (a->m.payload.len)
			memcpy(c->got + c->n, a->m.payload.ptr, a->m.payload.len);
		c->n += a->m.payload.len;
		if (!b.more)
			return;
		if (c->sizes && c->szx2 < b.szx)
			b.szx = c->szx2;
		assert_true(block_at((uint32_t)c->n, b.szx, false, &next));
		request(a, s, c, code, code == MSG_FETCH ? bytes_of(c->body, c->len) : bytes_of(NULL, 0), NULL, &next,
			link);
		if (a->broken)
			return;
	}
}

static void fill(uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)draw(256);
}

static struct server *new_server(size_t len)
{
	struct server *s = calloc(1, sizeof *s);

	assert_non_null(s);
	fill(s->representation, s->len = len);
	s->szx1 = (uint8_t)draw(7);
	s->szx2 = (uint8_t)draw(7);
	s->refuses = draw(2);
	s->etags = draw(2);
	return s;
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

/* Any sizes on either leg. */
static void test_any(void **state)
{
	static const uint8_t codes[] = { MSG_GET, MSG_FETCH, MSG_POST, MSG_PUT };
	static struct asked a;
	static struct client c;
	unsigned gathered = 0, cut = 0, asked_again = 0;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		uint8_t link = (uint8_t)draw(7), code = codes[draw(4)];
		struct server *s = new_server(draw(8) ? draw(1281) : draw(BODY_MAX));

		c = (struct client){ .cuts = draw(2), .sizes = draw(2) };
		c.szx1 = (uint8_t)draw(7);
		c.szx2 = (uint8_t)draw(7);
		c.len = code == MSG_GET ? 0 : c.cuts && code != MSG_FETCH ? draw(3000) : draw(1201);
		c.cuts &= c.len > 0 && code != MSG_FETCH;
		fill(c.body, c.len);
		send_body(&a, s, &c, code, link);
		assert_int_equal(s->got, c.len);
		assert_memory_equal(s->body, c.body, c.len);
		cut += a.ps.cut;
		gathered += a.ps.gathered != NULL;
		receive(&a, s, &c, code, link);
		asked_again += a.ps.has_ask2 && a.ps.ask2.num > 0;
		assert_int_equal(c.n, s->len);
		assert_memory_equal(c.got, s->representation, s->len);
		assert_true(s->largest <= block_size(link));
		free(s);
	}
	assert_true(gathered > 2000 && cut > 2000 && asked_again > 2000);
}

/* A client that knows of no blocks gets all that a datagram holds, if its message is opaque: else no more than 1024. */
static void test_opaque(void **state)
{
	static struct asked a;
	static struct client c;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		struct server *s = new_server(draw(4) ? draw(1281) : 2000 + draw(1000));
		uint8_t link = (uint8_t)draw(7);
		struct block b;
		size_t all = s->len;

		c = (struct client){ .opaque = draw(2), .len = 1 + draw(1200) };
		fill(c.body, c.len);
		send_body(&a, s, &c, MSG_POST, link);
		assert_memory_equal(s->body, c.body, c.len);
		assert_true(s->largest <= block_size(link));
		assert_int_equal(a.m.payload.len, (c.opaque && all <= 1280) || all < 1024 ? all : 1024);
		assert_true(block_of(&a.m, OPTION_BLOCK2, &b) == (a.m.payload.len < all));
		assert_memory_equal(a.m.payload.ptr, s->representation, a.m.payload.len);
		free(s);
	}
}

/* A server that knows no blocks gets the whole, and its answer is passed on. */
static void test_none(void **state)
{
	static struct asked a;
	static struct client c;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		struct server *s = new_server(draw(1100));

		s->knows_none = true;
		c = (struct client){ .len = draw(1101) };
		fill(c.body, c.len);
		send_body(&a, s, &c, MSG_POST, (uint8_t)draw(7));
		assert_int_equal(s->got, c.len);
		assert_memory_equal(s->body, c.body, c.len);
		assert_int_equal(a.m.payload.len, s->len);
		assert_memory_equal(a.m.payload.ptr, s->representation, s->len);
		free(s);
	}
}

/* Another ETag, or another place, in the middle: nothing is put together of two representations. */
static void test_broken(void **state)
{
	static struct asked a;
	static struct client c;
	unsigned broken = 0;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		struct server *s = new_server(200 + draw(800));
		unsigned blocks, when = 1 + draw(20);

		s->szx1 = s->szx2 = 2; /* 64 */
		blocks = (unsigned)(s->len + 63) / 64;
		*(draw(2) ? &s->changes : &s->garbles) = when;
		s->etags |= s->changes > 0;
		c = (struct client){ .len = 0 };
		send_body(&a, s, &c, MSG_GET, (uint8_t)(2 + draw(4)));
		assert_true(a.broken == (when <= blocks - 1));
		broken += a.broken;
		free(s);
	}
	assert_true(broken > 500);
}

/* Answers that do not join on, one by one; what was gathered is 64 bytes of ETag aa. */
static void test_rows(void **state)
{
#define FULL "!0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	static const struct {
		const char *line;
		enum pieces_result r;
	} rows[] = {
		{ "ACK 2.05 0001 # ETag=aa Block2=1a " FULL, PIECES_PARTLY },
		{ "ACK 2.05 0001 # ETag=aa Block2=12 !x", PIECES_WHOLE },
		{ "ACK 2.05 0001 # ETag=aa Block2=29 !0123456789abcdef0123456789abcdef", PIECES_PARTLY },
		{ "ACK 2.05 0001 # ETag=aa Block2=12", PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=1a !x", PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=12 " FULL "x", PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=0a " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=2a " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=0b " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa Block2=1f " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=ab Block2=1a " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # Block2=1a " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa " FULL, PIECES_BROKEN },
		{ "ACK 4.04 0001 # ETag=aa Block2=1a " FULL, PIECES_BROKEN },
		{ "ACK 2.05 0001 # ETag=aa OSCORE=0101 Block2=1a " FULL, PIECES_BROKEN },
		{ "ACK 4.02 0001 #", PIECES_BROKEN },
		{ "ACK 2.03 0001 # ETag=aa", PIECES_BROKEN },
	};
	uint8_t buf[DGRAM_MAX];
	struct msg m;

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct dgram whole, gathered;
		struct pieces ps = { .has_ask1 = false };

		msg_parse(&m, msgtext_write("CON 0.01 0001 # Uri-Path:x", buf, sizeof buf));
		pieces_begin(&ps, &whole, &m, 2);
		msg_parse(&m, msgtext_write("ACK 2.05 0001 # ETag=aa Block2=0a " FULL, buf, sizeof buf));
		assert_int_equal(pieces_gather(&ps, &m, &gathered), PIECES_PARTLY);
		msg_parse(&m, msgtext_write(rows[i].line, buf, sizeof buf));
		if (pieces_add(&ps, &m) != rows[i].r)
			fail_msg("%s", rows[i].line);
	}
}

/* Blocks of one notification have one Partial IV; without an ETag, and where no OSCORE is, they join on, too. */
static void test_one_body(void **state)
{
	static const struct {
		const char *first, *next;
		enum pieces_result r;
	} rows[] = {
		{ "ACK 2.05 0001 # Block2=0a " FULL, "ACK 2.05 0002 # Block2=12 !x", PIECES_WHOLE },
		{ "ACK 2.05 0001 # OSCORE=0107 Block2=0a " FULL, "ACK 2.05 0002 # OSCORE=0107 Block2=12 !x",
		  PIECES_WHOLE },
		{ "ACK 2.05 0001 # OSCORE= Block2=0a " FULL, "ACK 2.05 0002 # OSCORE= Block2=12 !x", PIECES_WHOLE },
		{ "ACK 2.05 0001 # OSCORE=0107 Block2=0a " FULL, "ACK 2.05 0002 # OSCORE=0108 Block2=12 !x",
		  PIECES_BROKEN },
		{ "ACK 2.05 0001 # OSCORE= Block2=0a " FULL, "ACK 2.05 0002 # OSCORE=0108 Block2=12 !x",
		  PIECES_BROKEN },
	};
	uint8_t buf[DGRAM_MAX];
	struct msg m;

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct pieces ps = { .opaque = true };
		struct dgram whole, gathered;

		msg_parse(&m, msgtext_write("CON 0.05 0001 # Uri-Path:x", buf, sizeof buf));
		pieces_begin(&ps, &whole, &m, 2);
		msg_parse(&m, msgtext_write(rows[i].first, buf, sizeof buf));
		assert_int_equal(pieces_gather(&ps, &m, &gathered), PIECES_PARTLY);
		msg_parse(&m, msgtext_write(rows[i].next, buf, sizeof buf));
		if (pieces_add(&ps, &m) != rows[i].r)
			fail_msg("%s", rows[i].next);
	}
}

/* The client cannot wait: of 192 bytes it gets 128, unless it knows of no blocks, or has begun with others. */
static void test_stop(void **state)
{
	static const char *const later[] = { "ACK 2.05 0002 # Block2=1a " FULL, "ACK 2.05 0003 # Block2=2a " FULL };
	uint8_t buf[DGRAM_MAX];
	struct msg m;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct pieces ps = { .opaque = i == 1, .has_ask2 = i == 2, .ask2 = { .num = i == 2, .szx = 6 } };
		struct asked a;

		msg_parse(&m, msgtext_write("CON 0.01 0001 # Uri-Path:x", buf, sizeof buf));
		pieces_begin(&ps, &a.whole, &m, 2);
		assert_false(pieces_stop(&ps));
		msg_parse(&m, msgtext_write(i == 2 ? "ACK 2.05 0001 # Block2=010a " FULL
						   : "ACK 2.05 0001 # Block2=0a " FULL,
					    buf, sizeof buf));
		assert_int_equal(pieces_gather(&ps, &m, &a.gathered), PIECES_PARTLY);
		for (unsigned n = 0; i < 2 && n < 2; n++) {
			msg_parse(&m, msgtext_write(later[n], buf, sizeof buf));
			assert_int_equal(pieces_add(&ps, &m), PIECES_PARTLY);
		}
		assert_int_equal(pieces_stop(&ps), i == 0);
		if (i == 0) {
			a.ps = ps;
			msg_parse(&m, dgram_bytes(&a.gathered));
			see(&a, &m);
			assert_int_equal(a.m.payload.len, 128);
			assert_true(block_of(&a.m, OPTION_BLOCK2, &(struct block){ 0 }));
			assert_int_equal(a.seen.buf[a.seen.len - 128 - 2], 0x0b); /* the first of more of 128 */
		}
	}
}

static const char *text_of(const struct dgram *d)
{
	static char text[MSGTEXT_MAX];

	return msgtext_format(dgram_bytes(d), text);
}

/* What pieces look like on the wire: Size1 with the first, Observe with the last, the block of the response is named with the last. */
static void test_wire(void **state)
{
	struct dgram whole, up;
	struct pieces ps = { .tag = { 0xab, 0xcd } };
	uint8_t buf[DGRAM_MAX];
	struct msg m;

	(void)state;
	msg_parse(&m, msgtext_write("CON 0.05 0001 # Observe= Uri-Path:x " FULL "0123456789", buf, sizeof buf));
	pieces_begin(&ps, &whole, &m, 2);
	assert_true(pieces_write(&ps, true, bytes_of("t", 1), &up));
	assert_string_equal(text_of(&up), "CON 0.05 0000 #74 Uri-Path:x Block1=0a Size1=4a Request-Tag=abcd " FULL);
	msg_parse(&m, msgtext_write("ACK 2.31 0001 # Block1=09", buf, sizeof buf));
	assert_true(pieces_continue(&ps, &m)); /* half of that, please */
	assert_true(pieces_write(&ps, false, bytes_of("u", 1), &up));
	assert_string_equal(text_of(&up),
			    "NON 0.05 0000 #75 Observe= Uri-Path:x Block2=02 Block1=21 Request-Tag=abcd !0123456789");
	assert_false(pieces_continue(&ps, &m)); /* nothing is left */
	/* 4.13 to the first: smaller ones; to a later one, or without a smaller size: that is the answer */
	pieces_begin(&ps, &whole, &m, 2);
	msg_parse(&m, msgtext_write("CON 0.03 0001 # Uri-Path:x " FULL "0123456789", buf, sizeof buf));
	pieces_begin(&ps, &whole, &m, 2);
	msg_parse(&m, msgtext_write("ACK 4.13 0001 # Block1=08", buf, sizeof buf));
	assert_true(pieces_continue(&ps, &m));
	assert_false(pieces_continue(&ps, &m));
	assert_true(pieces_write(&ps, true, bytes_of("t", 1), &up));
	assert_string_equal(text_of(&up),
			    "CON 0.03 0000 #74 Uri-Path:x Block1=08 Size1=4a Request-Tag=abcd !0123456789abcdef");
	/* small enough for the link: nothing changes but that blocks of it are asked for */
	msg_parse(&m, msgtext_write("CON 0.01 0001 # Observe= Uri-Path:x", buf, sizeof buf));
	pieces_begin(&ps, &whole, &m, 2);
	assert_true(pieces_write(&ps, true, bytes_of("t", 1), &up));
	assert_string_equal(text_of(&up), "CON 0.01 0000 #74 Observe= Uri-Path:x Block2=02");
	/* a link without limit: nothing at all */
	pieces_begin(&ps, &whole, &m, BLOCK_SZX_MAX);
	assert_true(pieces_write(&ps, true, bytes_of("t", 1), &up));
	assert_string_equal(text_of(&up), "CON 0.01 0000 #74 Observe= Uri-Path:x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any),    cmocka_unit_test(test_opaque), cmocka_unit_test(test_none),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_rows),   cmocka_unit_test(test_one_body),
		cmocka_unit_test(test_stop),   cmocka_unit_test(test_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

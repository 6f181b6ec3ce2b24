#include "fuzz_message.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <string.h>

#define FORGED 0x66 /* first byte of what nobody with a key has made */

static const uint8_t filling[FUZZ_TOKEN] = { 0x61, 0x62, 0x63, 0xff }, forgery[FUZZ_TOKEN] = { FORGED };

/* Mostly small, now and then as large as it gets. */
static size_t length(struct fuzz_input *in)
{
	static const uint16_t lengths[] = { 1, 5, 20, 60, 150, 500, 1000, 1180 };

	return lengths[fuzz_below(in, 8)];
}

size_t fuzz_empty(uint8_t type, uint16_t mid, uint8_t *buf)
{
	buf[0] = (uint8_t)(0x40 | type << 4);
	buf[1] = 0;
	buf[2] = (uint8_t)(mid >> 8);
	buf[3] = (uint8_t)mid;
	return 4;
}

/* What decides about a request, in bits that one byte sets. */
enum {
	WANTS_OSCORE = 0x01,
	WANTS_OBSERVE = 0x02,
	WANTS_ECHO = 0x04,
	WANTS_PAYLOAD = 0x08,
	WANTS_FORWARD = 0x10,
	WANTS_ODD = 0x20,
	WANTS_BLOCKS = 0x40,
	WANTS_COMMON = 0x80 /* what others ask, too */
};

static void add_path(struct fuzz_input *in, struct msgbuf *b)
{
	static const char *const first[] = { "lamp", "house", "hall", "open", "slow", "new", "nowhere", ".well-known" };
	static const char *const second[] = { "door", "edhoc", "authz-info", "t" };
	const char *one = first[fuzz_below(in, 8)], *two = second[fuzz_below(in, 4)];

	msgbuf_option(b, OPTION_URI_PATH, bytes_of(one, strlen(one)));
	msgbuf_option(b, OPTION_URI_PATH, bytes_of(two, strlen(two)));
}

/* A few kids with numbers that mostly rise: so that some become relations in good standing. */
static void add_oscore(struct fuzz_input *in, struct msgbuf *b, uint32_t *piv)
{
	uint8_t value[16], kid = (uint8_t)fuzz_below(in, 4), how = fuzz_byte(in);
	size_t n = 0;

	uint32_t number = *piv += how % 8 != 7;
	if (how % 16 == 14)
		number += 1000; /* far */
	value[n++] = how >= 0xf0 ? how : (uint8_t)(0x0a | ((how & 0x70) == 0x70 ? 0x10 : 0));
	value[n++] = (uint8_t)(number >> 8);
	value[n++] = (uint8_t)number;
	if (value[0] & 0x10) {
		value[n++] = 1;
		value[n++] = how & 1;
	}
	value[n++] = kid;
	msgbuf_option(b, OPTION_OSCORE, bytes_of(value, n));
}

static void add_proxy(struct fuzz_input *in, struct msgbuf *b)
{
	static const char *const uris[] = {
		"coap://[fd00:db8::18]/t?q=1",
		"coap://hall.example:61616/a/b%2fc?x&y",
		"coap://[2001:db8::53]/lamp/t",
		"coap://[2001:db8::53]/house/door",
		"coap://elsewhere/",
		"http://hall.example/",
		"coap://[fd00:db8::18",
		"",
	};
	unsigned which = fuzz_below(in, 9);

	if (which == 8)
		msgbuf_option(b, OPTION_PROXY_SCHEME, bytes_of("coap", 4));
	else
		msgbuf_option(b, OPTION_PROXY_URI, bytes_of(uris[which], strlen(uris[which])));
}

/* Options seldom seen, by ascending numbers: above the path and below Echo. */
static void add_odd(struct fuzz_input *in, struct msgbuf *b)
{
	static const uint8_t block2 = 0x16;
	uint8_t which = fuzz_byte(in);

	if (which & 1)
		msgbuf_option_uint(b, OPTION_HOP_LIMIT, fuzz_below(in, 3));
	if (which & 2)
		msgbuf_option(b, OPTION_EDHOC, bytes_of(NULL, 0));
	if (which & 4)
		msgbuf_option(b, OPTION_BLOCK2, bytes_of(&block2, 1));
	if (which & 8)
		msgbuf_option_uint(b, OPTION_Q_BLOCK2, 1);
}

/* How a body goes on, or anything. */
static uint32_t pick_block(struct fuzz_input *in, struct block next)
{
	uint8_t how = fuzz_byte(in);

	if (how & 1)
		next.num = how >> 4;
	if (how & 2)
		next.szx = how >> 5;
	if (how & 4)
		next.more = how & 8;
	return block_value(next);
}

/* By ascending numbers: above EDHOC and below Proxy-Uri. */
static void add_blocks(struct fuzz_input *in, struct msgbuf *b, struct fuzz_peer *from)
{
	uint8_t which = fuzz_byte(in);
	struct block next = from->down;

	next.num++;
	next.more = false;
	if (which & 1)
		msgbuf_option_uint(b, OPTION_BLOCK2, pick_block(in, next));
	if (which & 2) {
		msgbuf_option_uint(b, OPTION_BLOCK1, pick_block(in, from->up));
		from->up.num = which & 4 ? 0 : from->up.num + 1;
		from->up.more = which & 8;
		from->up.szx = which >> 4 & 7;
	}
	if (which & 0x80)
		msgbuf_option_uint(b, OPTION_SIZE2, 0);
}

static void add_etag(struct fuzz_input *in, struct msgbuf *b, const struct fuzz_peer *from)
{
	uint8_t how = fuzz_byte(in);

	if (how & 1 && from->etag_len)
		msgbuf_option(b, OPTION_ETAG, bytes_of(from->etag, from->etag_len));
	if (how & 0x10)
		msgbuf_option(b, OPTION_ETAG, bytes_of("another1", how >> 5));
}

/* What many want at once: the same thing, asked in few ways. */
static size_t common_request(struct fuzz_input *in, struct fuzz_peer *from, uint8_t *buf, size_t cap)
{
	static const char *const paths[] = { "lamp", "hall", "open", "new" };
	uint8_t how = fuzz_byte(in), token = how & 3;
	struct block next = from->down;
	struct msgbuf b;

	next.num++;
	next.more = false;
	msgbuf_begin(&b, buf, cap, how & 4 ? MSG_NON : MSG_CON, MSG_GET, ++from->next_mid, bytes_of(&token, 1));
	if (how & 8 && from->etag_len)
		msgbuf_option(&b, OPTION_ETAG, bytes_of(from->etag, from->etag_len));
	if (how & 0x10)
		msgbuf_option_uint(&b, OPTION_OBSERVE, how >> 7);
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of(paths[how >> 5 & 3], strlen(paths[how >> 5 & 3])));
	msgbuf_option(&b, OPTION_URI_PATH, bytes_of("t", 1));
	if (fuzz_chance(in, 4))
		msgbuf_option_uint(&b, OPTION_ACCEPT, fuzz_below(in, 2) * 60);
	if (fuzz_chance(in, 4))
		msgbuf_option_uint(&b, OPTION_BLOCK2, block_value(next));
	if (from->echo_len)
		msgbuf_option(&b, OPTION_ECHO, bytes_of(from->echo, from->echo_len));
	return msgbuf_end(&b).len;
}

static size_t token_length(struct fuzz_input *in)
{
	static const uint16_t lengths[] = { 1, 0, 2, 4, 8, 8, 12, 13, 32, 33, 40, 269, 300, 700, 1000, 1190 };

	return lengths[fuzz_below(in, fuzz_chance(in, 8) ? 16 : 8)];
}

size_t fuzz_request(struct fuzz_input *in, struct fuzz_peer *from, uint32_t *piv, uint8_t *buf, size_t cap)
{
	uint8_t token[FUZZ_TOKEN] = { fuzz_byte(in) & 3 }, wants = fuzz_byte(in), how = fuzz_byte(in);
	uint16_t mid = how & 0x80 && how & 0x40 ? from->next_mid : ++from->next_mid;
	uint8_t code = wants & WANTS_OSCORE ? (wants & WANTS_OBSERVE ? MSG_FETCH : MSG_POST) : (uint8_t)(1 + how % 7);
	struct msgbuf b;

	if (wants & WANTS_COMMON && wants & WANTS_BLOCKS)
		return common_request(in, from, buf, cap);
	msgbuf_begin(&b, buf, cap, how & 0x20 ? MSG_NON : MSG_CON, code, mid, bytes_of(token, token_length(in)));
	if (fuzz_chance(in, 8))
		msgbuf_option(&b, OPTION_URI_HOST, bytes_of("Hall.example", 12));
	if (wants & WANTS_BLOCKS)
		add_etag(in, &b, from);
	if (wants & WANTS_OBSERVE)
		msgbuf_option_uint(&b, OPTION_OBSERVE, how & 0x10 && how & 0x08);
	if (wants & WANTS_OSCORE)
		add_oscore(in, &b, piv);
	add_path(in, &b);
	if (wants & WANTS_BLOCKS && how & 0x08)
		msgbuf_option_uint(&b, OPTION_CONTENT_FORMAT, how & 0x10 ? 60 : 0);
	if (wants & WANTS_BLOCKS)
		add_blocks(in, &b, from);
	else if (wants & WANTS_ODD)
		add_odd(in, &b);
	if (wants & WANTS_FORWARD && how & 0x01)
		add_proxy(in, &b);
	if (wants & WANTS_ECHO && from->echo_len)
		msgbuf_option(&b, OPTION_ECHO, bytes_of(from->echo, from->echo_len));
	if (wants & WANTS_ODD && how & 0x02)
		msgbuf_option_uint(&b, OPTION_NO_RESPONSE, 26);
	if (wants & WANTS_BLOCKS && how & 0x40)
		msgbuf_option(&b, OPTION_REQUEST_TAG, bytes_of("tags", how >> 7));
	if (wants & WANTS_ODD && how & 0x04)
		msgbuf_option(&b, OPTION_REQUEST_HASH, bytes_of("hash", 4));
	if (wants & (WANTS_PAYLOAD | WANTS_OSCORE))
		msgbuf_payload(&b, bytes_of(from->spoofed ? forgery : filling, length(in)));
	return msgbuf_end(&b).len;
}

static uint8_t response_code(struct fuzz_input *in)
{
	static const uint8_t codes[] = {
		MSG_CHANGED,  MSG_CONTENT,     MSG_CONTENT,      MSG_CHANGED,     MSG_CONTENT,
		MSG_CONTENT,  MSG_CODE(4, 3),  MSG_UNAUTHORIZED, MSG_BAD_REQUEST, MSG_BAD_OPTION,
		MSG_INTERNAL, MSG_CODE(5, 31), MSG_CONTINUE,     MSG_INCOMPLETE,  MSG_TOO_LARGE,
		MSG_VALID,    MSG_CODE(7, 1),  MSG_GET,          MSG_CODE(3, 0),  MSG_UNAVAILABLE,
	};

	return codes[fuzz_below(in, 20)];
}

/* What a device says that cannot decrypt it (RFC 8613 §8.2), or nothing. */
static size_t refuse(struct fuzz_input *in, const struct fuzz_asked *a, uint16_t *mid, uint8_t *buf, size_t cap)
{
	static const uint8_t codes[] = { MSG_UNAUTHORIZED, MSG_BAD_REQUEST, MSG_BAD_OPTION, MSG_UNAUTHORIZED };
	uint8_t how = fuzz_byte(in), type = a->type == MSG_CON ? MSG_ACK : MSG_NON;
	struct msgbuf b;

	if (how & 0x80)
		return fuzz_empty(how & 0x40 ? MSG_RESET : MSG_ACK, a->mid, buf);
	msgbuf_begin(&b, buf, cap, type, codes[how & 3], type == MSG_ACK ? a->mid : ++*mid,
		     bytes_of(a->token, sizeof a->token));
	msgbuf_payload(&b, bytes_of("no such context", how & 4 ? 15 : 0));
	return msgbuf_end(&b).len;
}

size_t fuzz_response(struct fuzz_input *in, const struct fuzz_asked *a, uint16_t *mid, uint8_t *buf, size_t cap)
{
	uint8_t how = fuzz_byte(in), what = fuzz_byte(in), type = how & 3;
	bool oscore = a->oscore != (what % 8 == 7), observe = a->observe != ((what >> 3 & 7) == 7);
	uint16_t number = type == MSG_ACK || type == MSG_RESET ? a->mid : how & 0x08 && how & 0x10 ? *mid : ++*mid;
	struct msgbuf b;

	if (a->forged && a->oscore)
		return refuse(in, a, mid, buf, cap);
	if (type == MSG_RESET || how >= 0xe0)
		return fuzz_empty(type, how >= 0xf8 ? (uint16_t)(number + 1) : number, buf);
	msgbuf_begin(&b, buf, cap, type, response_code(in), number, bytes_of(a->token, sizeof a->token));
	if (observe)
		msgbuf_option_uint(&b, OPTION_OBSERVE, *mid);
	if (oscore)
		msgbuf_option(&b, OPTION_OSCORE, bytes_of("\x01\x05", how & 0x20 ? 2 : 0));
	if (what == 0xc0)
		msgbuf_option_uint(&b, 18, 1); /* unsafe */
	if (what % 8 == 6)
		msgbuf_option_uint(&b, OPTION_BLOCK2, fuzz_byte(in));
	if (what % 8 == 5)
		msgbuf_option_uint(&b, OPTION_BLOCK1, fuzz_byte(in));
	if (what == 0xc1)
		msgbuf_option(&b, OPTION_ECHO, bytes_of("device", 6));
	if (what & 0x40 || oscore)
		msgbuf_payload(&b, bytes_of(filling, length(in)));
	return msgbuf_end(&b).len;
}

/* --- a device as it should be */

void fuzz_note_asked(struct fuzz_asked *a, const struct msg *m)
{
	struct msg_option opt;

	a->code = m->code;
	a->forged = m->payload.len && m->payload.ptr[0] == FORGED;
	a->observe = msg_find(m, OPTION_OBSERVE, &opt);
	a->has_block1 = msg_find(m, OPTION_BLOCK1, &opt) && block_parse(opt.value, &a->block1);
	a->has_block2 = msg_find(m, OPTION_BLOCK2, &opt) && block_parse(opt.value, &a->block2);
	a->etag_len = 0;
	if (msg_find(m, OPTION_ETAG, &opt) && opt.value.len <= sizeof a->etag) {
		memcpy(a->etag, opt.value.ptr, opt.value.len);
		a->etag_len = (uint8_t)opt.value.len;
	}
}

void fuzz_note_got(struct fuzz_peer *c, const struct msg *m)
{
	struct msg_option opt;

	if (msg_find(m, OPTION_ECHO, &opt) && opt.value.len <= sizeof c->echo) {
		memcpy(c->echo, opt.value.ptr, opt.value.len);
		c->echo_len = opt.value.len;
	}
	if (msg_find(m, OPTION_ETAG, &opt) && opt.value.len <= sizeof c->etag) {
		memcpy(c->etag, opt.value.ptr, opt.value.len);
		c->etag_len = opt.value.len;
	}
	if (msg_find(m, OPTION_BLOCK2, &opt))
		block_parse(opt.value, &c->down);
}

/* Of a body that is as long as the thing says. False: there is no such block. */
static bool cut_body(const struct fuzz_asked *a, const struct fuzz_thing *t, struct block *out, size_t *len)
{
	uint8_t szx = a->has_block2 && a->block2.szx < t->szx ? a->block2.szx : t->szx;
	uint32_t at = a->has_block2 ? block_offset(a->block2) : 0;

	if (at > t->len || (at == t->len && at > 0) || !block_at(at, szx, false, out))
		return false;
	*len = t->len - at < block_size(szx) ? t->len - at : block_size(szx);
	out->more = at + *len < t->len;
	return true;
}

static void write_content(struct fuzz_input *in, const struct fuzz_asked *a, const struct fuzz_thing *t,
			  uint32_t number, struct msgbuf *b)
{
	static const uint32_t ages[] = { 60, 60, 5, 0, 1, 3600, UINT32_MAX, 60 };
	static uint8_t body[1024];
	uint8_t how = fuzz_byte(in);
	struct block block;
	size_t len;

	if (!cut_body(a, t, &block, &len)) {
		b->buf[1] = MSG_BAD_REQUEST;
		return;
	}
	memset(body, t->version, len);
	if (!(how & 8))
		msgbuf_option(b, OPTION_ETAG, bytes_of(&t->version, 1));
	if (a->observe)
		msgbuf_option_uint(b, OPTION_OBSERVE, number);
	if (how & 0x10)
		msgbuf_option_uint(b, OPTION_CONTENT_FORMAT, how & 0x20 ? 60 : 0);
	if (!(how & 0x40))
		msgbuf_option_uint(b, OPTION_MAX_AGE, ages[how & 7]);
	if (a->has_block2 || block.more || block.num)
		msgbuf_option_uint(b, OPTION_BLOCK2, block_value(block));
	if (a->has_block1)
		msgbuf_option_uint(b, OPTION_BLOCK1, block_value(a->block1));
	if (how & 0x80)
		msgbuf_option_uint(b, OPTION_SIZE2, t->len);
	msgbuf_payload(b, bytes_of(body, len));
}

static uint8_t answer_code(const struct fuzz_asked *a, const struct fuzz_thing *t)
{
	if (a->has_block1 && a->block1.more)
		return MSG_CONTINUE;
	if (a->code == MSG_POST)
		return MSG_CREATED;
	if (a->code != MSG_GET && a->code != MSG_FETCH)
		return MSG_CHANGED;
	return a->etag_len == 1 && a->etag[0] == t->version ? MSG_VALID : MSG_CONTENT;
}

size_t fuzz_answer(struct fuzz_input *in, const struct fuzz_asked *a, const struct fuzz_thing *t, uint16_t *mid,
		   uint8_t *buf, size_t cap)
{
	uint8_t how = fuzz_byte(in), code = answer_code(a, t), type = a->type == MSG_CON ? MSG_ACK : MSG_NON;
	struct msgbuf b;

	if (how & 1)
		type = how & 2 ? MSG_CON : MSG_NON;
	++*mid;
	msgbuf_begin(&b, buf, cap, type, code, type == MSG_ACK ? a->mid : *mid, bytes_of(a->token, sizeof a->token));
	if (code == MSG_CONTENT) {
		write_content(in, a, t, *mid, &b);
		return msgbuf_end(&b).len;
	}
	if (code == MSG_VALID) {
		msgbuf_option(&b, OPTION_ETAG, bytes_of(&t->version, 1));
		if (a->observe)
			msgbuf_option_uint(&b, OPTION_OBSERVE, *mid);
		if (how & 0x08)
			msgbuf_option_uint(&b, OPTION_CONTENT_FORMAT, how >> 6);
		msgbuf_option_uint(&b, OPTION_MAX_AGE, how);
		for (unsigned i = 0; i < (how >> 4 & 3U); i++)
			msgbuf_option(&b, OPTION_LOCATION_QUERY, bytes_of(filling, how));
	}
	for (unsigned i = 0; code == MSG_CREATED && i < (how >> 4 & 7U); i++)
		msgbuf_option(&b, OPTION_LOCATION_PATH, bytes_of(filling, i < 2 ? how : i));
	if (a->has_block1)
		msgbuf_option_uint(&b, OPTION_BLOCK1, block_value(a->block1) & (how & 4 ? ~7U : ~0U));
	if (code == MSG_CHANGED || code == MSG_CREATED)
		msgbuf_payload(&b, bytes_of(filling, how >> 3));
	return msgbuf_end(&b).len;
}

size_t fuzz_damage(struct fuzz_input *in, uint8_t *buf, size_t len, size_t cap)
{
	unsigned how = fuzz_below(in, 3), n = 1 + fuzz_below(in, 4);

	if (how == 0)
		return len > n ? len - n : 0;
	for (unsigned i = 0; how == 1 && len && i < n; i++)
		buf[fuzz_byte(in) % len] = fuzz_byte(in);
	for (unsigned i = 0; how == 2 && len < cap && i < n; i++)
		buf[len++] = fuzz_byte(in);
	return len;
}

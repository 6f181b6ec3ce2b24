#include "proxy/representation.h"
#include "coap/edits.h"
#include "coap/option.h"

#define DEFAULT_MAX_AGE 60 /* RFC 7252 §5.10.5: not written */

static uint32_t number_of(const struct msg *m, uint16_t option, uint32_t missing)
{
	struct msg_option opt;
	uint32_t n = missing;

	if (msg_find(m, option, &opt))
		option_uint(opt.value, &n);
	return n;
}

/* What changes with who is told, and when, is not kept. */
static struct bytes kept_options(const struct msg *m, uint8_t room[CACHE_OPTIONS])
{
	static const uint16_t dropped[] = { OPTION_ETAG,   OPTION_OBSERVE, OPTION_MAX_AGE,
					    OPTION_BLOCK2, OPTION_BLOCK1,  OPTION_SIZE2 };
	struct edits e = { .n = 0 };
	struct msgbuf b;

	for (unsigned i = 0; i < sizeof dropped / sizeof *dropped; i++)
		edits_drop(&e, dropped[i]);
	msgbuf_bare(&b, room, CACHE_OPTIONS);
	edits_write(&e, m, &b);
	return b.failed ? bytes_of(NULL, 0) : bytes_of(room, b.len);
}

bool representation_read(const struct msg *m, uint8_t room[CACHE_OPTIONS], struct representation *out)
{
	struct msg_option opt;
	struct block b = { 0, 0, false };

	*out = (struct representation){ .payload = m->payload };
	out->head = (struct cache_head){
		.code = m->code,
		.max_age = number_of(m, OPTION_MAX_AGE, DEFAULT_MAX_AGE),
		.content_format = number_of(m, OPTION_CONTENT_FORMAT, CACHE_ANY),
		.options = kept_options(m, room),
	};
	if (msg_find(m, OPTION_ETAG, &opt))
		out->head.etag = opt.value;
	if (msg_find(m, OPTION_BLOCK2, &opt) && !block_parse(opt.value, &b))
		return false;
	out->offset = block_offset(b);
	out->more = b.more;
	return out->head.options.ptr && out->head.etag.len <= CACHE_ETAG;
}

/* What is safe to forward, and says something of the representation: not of this request, nor of how it was carried. */
static bool is_renewed(uint16_t number)
{
	switch (number) {
	case OPTION_ETAG:
	case OPTION_SIZE2:
	case OPTION_ECHO: return false;
	default: return !option_is_unsafe(number);
	}
}

bool representation_read_valid(const struct msg *m, uint8_t room[DGRAM_MAX], struct cache_head *out)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	struct msgbuf b;

	if (msg_find(m, OPTION_OSCORE, &opt) || !msg_find(m, OPTION_ETAG, &opt)) /* whose code is not what it seems */
		return false;
	*out = (struct cache_head){
		.code = m->code,
		.max_age = number_of(m, OPTION_MAX_AGE, DEFAULT_MAX_AGE),
		.content_format = number_of(m, OPTION_CONTENT_FORMAT, CACHE_ANY),
		.etag = opt.value,
	};
	msgbuf_bare(&b, room, DGRAM_MAX);
	while (msg_next(&it, &opt))
		if (is_renewed(opt.number))
			msgbuf_option(&b, opt.number, opt.value);
	out->options = bytes_of(room, b.len);
	return !b.failed;
}

/* The block that is written, and whether it is one at all: what fits as a whole is none. */
static bool choose_block(const struct representation *r, const struct block *ask, struct block *out,
			 struct bytes *payload)
{
	uint8_t szx = ask ? ask->szx : BLOCK_SZX_MAX;
	size_t from = ask ? block_offset(*ask) - r->offset : 0, left = r->payload.len - from;

	if (r->more && left < block_size(szx)) /* no whole block of that size is here */
		szx = block_szx((uint32_t)left);
	*payload = bytes_part(r->payload, from, block_size(szx));
	block_at((uint32_t)(r->offset + from), szx, r->more || payload->len < left, out);
	return out->more || out->num > 0;
}

static void write_head(const struct representation *r, uint32_t max_age, struct edits *e)
{
	if (r->head.etag.ptr)
		edits_set(e, OPTION_ETAG, r->head.etag);
	if (max_age != DEFAULT_MAX_AGE)
		edits_set_uint(e, OPTION_MAX_AGE, max_age);
}

void representation_write(const struct representation *r, const struct block *ask, uint32_t observe, uint32_t max_age,
			  struct msgbuf *out)
{
	const struct msg kept = { .options = r->head.options };
	struct edits e = { .n = 0 };
	struct bytes payload;
	struct block b;

	write_head(r, max_age, &e);
	if (observe != REPRESENTATION_UNOBSERVED)
		edits_set_uint(&e, OPTION_OBSERVE, observe);
	if (choose_block(r, ask, &b, &payload))
		edits_set_uint(&e, OPTION_BLOCK2, block_value(b));
	edits_write(&e, &kept, out);
	msgbuf_payload(out, payload);
}

void representation_keep(const struct representation *r, struct msgbuf *out)
{
	const struct msg kept = { .options = r->head.options };
	struct edits e = { .n = 0 };

	write_head(r, r->head.max_age, &e);
	if (r->more)
		edits_set_uint(&e, OPTION_BLOCK2, block_value((struct block){ 0, 0, true }));
	edits_write(&e, &kept, out);
	msgbuf_payload(out, r->payload);
}

void representation_confirm(const struct representation *r, uint32_t max_age, struct msgbuf *out)
{
	const struct msg nothing = { .options = bytes_of(NULL, 0) };
	struct edits e = { .n = 0 };

	write_head(r, max_age, &e);
	edits_write(&e, &nothing, out);
}

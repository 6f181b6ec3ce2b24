#include "proxy/pieces.h"
#include "coap/option.h"

#define ROOM_LEFT 64 /* of a datagram: for the client's token and what an OSCORE layer adds */

static bool find_block(const struct msg *m, uint16_t number, struct block *out)
{
	struct msg_option opt;

	return msg_find(m, number, &opt) && block_parse(opt.value, out);
}

static struct msg parsed(const struct dgram *d)
{
	struct msg m;

	(void)msg_parse(&m, dgram_bytes(d)); /* of our own making */
	return m;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Where in the body the request's payload begins, and the response's. */
static uint32_t start1(const struct pieces *ps)
{
	return ps->has_ask1 ? block_offset(ps->ask1) : 0;
}

static uint32_t start2(const struct pieces *ps)
{
	return ps->has_ask2 ? block_offset(ps->ask2) : 0;
}

static void copy_whole(struct dgram *whole, const struct msg *m)
{
	struct msgbuf b;

	msgbuf_begin(&b, whole->buf, DGRAM_MAX, m->type, m->code, 0, bytes_of(NULL, 0));
	msgbuf_rest(&b, m);
	whole->len = (uint16_t)msgbuf_end(&b).len;
}

void pieces_begin(struct pieces *ps, struct dgram *whole, const struct msg *m, uint8_t szx)
{
	ps->whole = whole;
	ps->gathered = NULL;
	ps->szx1 = ps->szx2 = szx;
	ps->sent = 0;
	ps->more = false;
	ps->cut = m->payload.len > block_size(szx);
	if (ps->has_ask2 && ps->ask2.szx < szx)
		ps->szx2 = ps->ask2.szx;
	ps->limit = (uint16_t)block_size(ps->has_ask2 ? ps->ask2.szx : BLOCK_SZX_MAX);
	copy_whole(whole, m);
}

void pieces_join(struct pieces *ps)
{
	ps->joined = true;
	ps->cut = ps->tagged = false;
	ps->sent = 0;
	ps->szx2 = ps->has_ask2 ? ps->ask2.szx : BLOCK_SZX_MAX;
}

/* What of the request's payload is in the piece that is due. */
static struct bytes piece(const struct pieces *ps, const struct msg *whole, bool *last)
{
	size_t left = whole->payload.len - ps->sent, n = ps->cut ? least(left, block_size(ps->szx1)) : left;

	*last = n == left;
	return bytes_part(whole->payload, ps->sent, n);
}

/* Block1 of the piece that is due; false: it has none. */
static bool block1(const struct pieces *ps, bool last, struct block *out)
{
	if (!ps->cut)
		*out = ps->ask1;
	else
		block_at(start1(ps) + ps->sent, ps->szx1, !last || (ps->has_ask1 && ps->ask1.more), out);
	return ps->cut || ps->has_ask1;
}

static bool is_tagged(const struct pieces *ps)
{
	return ps->tagged || ps->cut || ps->has_ask1;
}

/* The block of the response to begin with is named early, so that the server's first answer fits (RFC 7959 §2.4). */
static void ask_early(const struct pieces *ps, struct edits *e)
{
	struct block b;

	if (block_at(start2(ps), ps->szx2, false, &b) && (ps->szx2 < BLOCK_SZX_MAX || ps->has_ask2))
		edits_set_uint(e, OPTION_BLOCK2, block_value(b));
}

/* What is different in the piece that is due, which is the last one of the payload or not. */
static void edit_piece(const struct pieces *ps, size_t whole, bool last, struct edits *e)
{
	bool ends = last && !(ps->has_ask1 && ps->ask1.more);
	struct block b;

	if (block1(ps, last, &b))
		edits_set_uint(e, OPTION_BLOCK1, block_value(b));
	if (ps->cut && !ps->has_ask1 && ps->sent == 0)
		edits_set_uint(e, OPTION_SIZE1, (uint32_t)whole);
	else if (ps->sent > 0)
		edits_drop(e, OPTION_SIZE1);
	if (ends || (ps->has_ask2 && !ps->cut))
		ask_early(ps, e);
	if (!ends)
		edits_drop(e, OPTION_OBSERVE); /* it is the last piece that registers */
	if (is_tagged(ps))
		edits_add(e, OPTION_REQUEST_TAG, bytes_of(ps->tag, sizeof ps->tag));
}

static bool write_edited(const struct msg *m, const struct edits *e, struct bytes payload, bool confirmable,
			 struct bytes token, struct dgram *out)
{
	struct msgbuf b;

	msgbuf_begin(&b, out->buf, DGRAM_MAX, confirmable ? MSG_CON : MSG_NON, m->code, 0, token);
	edits_write(e, m, &b);
	msgbuf_payload(&b, payload);
	out->len = (uint16_t)msgbuf_end(&b).len;
	return out->len > 0;
}

bool pieces_write(const struct pieces *ps, bool confirmable, struct bytes token, struct dgram *out)
{
	struct msg whole = parsed(ps->whole);
	struct edits e = { .n = 0 };
	bool last;
	struct bytes payload = piece(ps, &whole, &last);

	edit_piece(ps, whole.payload.len, last, &e);
	return write_edited(&whole, &e, payload, confirmable, token, out);
}

bool pieces_write_rest(const struct pieces *ps, bool confirmable, struct bytes token, struct dgram *out)
{
	struct msg whole = parsed(ps->whole), gathered = parsed(ps->gathered);
	/* the payload of FETCH says what is asked for (RFC 8132 §2); a body that came in blocks is the server's already */
	bool says = whole.code == MSG_FETCH && !ps->cut && !ps->has_ask1;
	struct edits e = { .n = 0 };
	struct block b;

	if (!block_at(start2(ps) + (uint32_t)gathered.payload.len, ps->szx2, false, &b))
		return false;
	edits_drop(&e, OPTION_OBSERVE);
	edits_drop(&e, OPTION_SIZE1);
	edits_set_uint(&e, OPTION_BLOCK2, block_value(b));
	if (is_tagged(ps))
		edits_add(&e, OPTION_REQUEST_TAG, bytes_of(ps->tag, sizeof ps->tag));
	return write_edited(&whole, &e, says ? whole.payload : bytes_of(NULL, 0), confirmable, token, out);
}

bool pieces_continue(struct pieces *ps, const struct msg *answer)
{
	struct msg whole = parsed(ps->whole);
	struct block b = { .szx = ps->szx1 };
	bool last;
	struct bytes payload;

	if (!ps->cut)
		return false;
	payload = piece(ps, &whole, &last);
	find_block(answer, OPTION_BLOCK1, &b);
	if (answer->code == MSG_TOO_LARGE && ps->sent == 0 && b.szx < ps->szx1) { /* a smaller one, please (§2.9.3) */
		ps->szx1 = b.szx;
		return true;
	}
	if (last || answer->code != MSG_CONTINUE)
		return false;
	ps->sent = (uint16_t)(ps->sent + payload.len);
	if (b.szx < ps->szx1)
		ps->szx1 = b.szx;
	return true;
}

/* How much the client gets at once: its own block, or what there is room for. */
static uint16_t room_for(const struct pieces *ps, const struct msg *answer)
{
	size_t head = 4 + answer->options.len + 1 + ROOM_LEFT, room = head < DGRAM_MAX ? DGRAM_MAX - head : 0;

	if (ps->opaque && !ps->has_ask2)
		return (uint16_t)room;
	return (uint16_t)(ps->limit <= room ? ps->limit : block_size(block_szx((uint32_t)room)));
}

enum pieces_result pieces_gather(struct pieces *ps, const struct msg *answer, struct dgram *room)
{
	struct block b;

	if (!find_block(answer, OPTION_BLOCK2, &b) || !b.more)
		return PIECES_WHOLE;
	if (block_offset(b) != start2(ps) || answer->payload.len != block_size(b.szx))
		return PIECES_WHOLE; /* whatever it is, it is the client's to understand */
	ps->limit = room_for(ps, answer);
	if (answer->payload.len >= ps->limit || !room)
		return PIECES_WHOLE;
	ps->gathered = room;
	ps->szx2 = b.szx;
	copy_whole(room, answer);
	return PIECES_PARTLY;
}

static bool same_value(const struct msg *a, const struct msg *b, uint16_t number)
{
	struct msg_option x, y;
	bool has_x = msg_find(a, number, &x), has_y = msg_find(b, number, &y);

	return has_x == has_y && (!has_x || bytes_equal(x.value, y.value));
}

/* OSCORE has no ETag outside; but each notification has its own Partial IV, and each of its blocks repeats it. */
static bool same_body(const struct msg *a, const struct msg *b)
{
	return a->code == b->code && same_value(a, b, OPTION_ETAG) && same_value(a, b, OPTION_OSCORE);
}

/* The end that does not make a whole block of the client's is given back: it will ask for it. */
static void stop(struct pieces *ps, size_t had)
{
	size_t keep = block_size(block_szx(ps->limit));

	ps->more = true;
	if (had > keep)
		ps->gathered->len = (uint16_t)(ps->gathered->len - (had - keep));
}

enum pieces_result pieces_add(struct pieces *ps, const struct msg *answer)
{
	struct dgram *d = ps->gathered;
	struct msg so_far = parsed(d);
	size_t had = so_far.payload.len;
	struct block b;

	if (!same_body(answer, &so_far) || !find_block(answer, OPTION_BLOCK2, &b))
		return PIECES_BROKEN;
	if (b.szx > ps->szx2 || block_offset(b) != start2(ps) + had || answer->payload.len > block_size(b.szx))
		return PIECES_BROKEN;
	if (b.more ? answer->payload.len < block_size(b.szx) : answer->payload.len == 0)
		return PIECES_BROKEN;
	if (had + answer->payload.len > ps->limit) {
		stop(ps, had);
		return PIECES_WHOLE;
	}
	memcpy(d->buf + d->len, answer->payload.ptr, answer->payload.len);
	d->len = (uint16_t)(d->len + answer->payload.len);
	had += answer->payload.len;
	ps->szx2 = b.szx;
	ps->more = b.more;
	if (!b.more)
		return PIECES_WHOLE;
	if (had < ps->limit)
		return PIECES_PARTLY;
	stop(ps, had);
	return PIECES_WHOLE;
}

bool pieces_stop(struct pieces *ps)
{
	size_t had = ps->gathered ? parsed(ps->gathered).payload.len : 0;

	if (had == 0 || start2(ps) > 0 || (ps->opaque && !ps->has_ask2))
		return false;
	ps->limit = (uint16_t)block_size(block_szx((uint32_t)had));
	stop(ps, had);
	return true;
}

static void present_block1(const struct pieces *ps, const struct msg *m, struct edits *e)
{
	struct block b;

	if (!ps->cut || !find_block(m, OPTION_BLOCK1, &b))
		return;
	if (ps->has_ask1)
		edits_set_uint(e, OPTION_BLOCK1, block_value((struct block){ ps->ask1.num, ps->ask1.szx, b.more }));
	else
		edits_drop(e, OPTION_BLOCK1);
}

static void present_block2(const struct pieces *ps, const struct msg *m, struct edits *e)
{
	struct block b, seen;
	bool gathered = ps->gathered != NULL;

	if (!find_block(m, OPTION_BLOCK2, &b) || (!gathered && (b.more || block_offset(b) != start2(ps))))
		return;
	if (!ps->more && start2(ps) == 0 && !ps->has_ask2)
		edits_drop(e, OPTION_BLOCK2);
	else if (block_at(start2(ps), block_szx(ps->limit), ps->more, &seen))
		edits_set_uint(e, OPTION_BLOCK2, block_value(seen));
}

void pieces_present(const struct pieces *ps, const struct msg *m, struct edits *e)
{
	if (!ps->whole)
		return;
	present_block1(ps, m, e);
	present_block2(ps, m, e);
}

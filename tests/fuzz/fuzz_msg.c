/*
 * fuzz_msg: the input is a datagram. What msg says of it is what a second, slower reader says, and what is good is the same
 * when it is written again.
 */
#include "fuzz_target.h"
#include "coap/msgbuf.h"

#define OPTIONS 65536

/* RFC 7252 §3 once more, by positions. */
struct reading {
	enum msg_error error;
	struct bytes token, payload;
	unsigned n;
	struct msg_option options[OPTIONS];
};

static size_t left(struct bytes d, size_t at)
{
	return at < d.len ? d.len - at : 0;
}

/* A nibble and what extends it; false: 15, or past the end. */
static bool read_nibble(struct bytes d, size_t *at, unsigned nibble, uint32_t *out)
{
	size_t more = nibble < 13 ? 0 : nibble - 12;

	*out = nibble;
	if (nibble == 15 || left(d, *at) < more)
		return false;
	if (nibble == 13)
		*out = 13U + d.ptr[*at];
	if (nibble == 14)
		*out = 269U + 256U * d.ptr[*at] + d.ptr[*at + 1];
	*at += more;
	return true;
}

static bool read_option(struct reading *r, struct bytes d, size_t *at, uint32_t *number)
{
	uint8_t first = d.ptr[(*at)++];
	uint32_t delta, len;

	if (!read_nibble(d, at, first >> 4, &delta) || !read_nibble(d, at, first & 15, &len) || left(d, *at) < len)
		return false;
	*number += delta;
	if (*number > UINT16_MAX || r->n == OPTIONS)
		return false;
	r->options[r->n++] = (struct msg_option){ (uint16_t)*number, bytes_of(d.ptr + *at, len) };
	*at += len;
	return true;
}

static enum msg_error read_message(struct reading *r, struct bytes d)
{
	uint32_t number = 0, len;
	size_t at = 4;

	if (d.len < 4)
		return MSG_SHORT;
	if ((d.ptr[0] & 0xc0) != 0x40)
		return MSG_VERSION;
	if (d.ptr[1] == 0)
		return d.len == 4 && d.ptr[0] % 16 == 0 ? MSG_OK : MSG_STUFFED;
	if (d.ptr[0] % 16 == 15)
		return MSG_TOKEN;
	if (!read_nibble(d, &at, d.ptr[0] & 15, &len) || left(d, at) < len)
		return MSG_SHORT;
	r->token = bytes_of(d.ptr + at, len);
	for (at += len; at < d.len && d.ptr[at] != 0xff;)
		if (!read_option(r, d, &at, &number))
			return MSG_OPTION;
	if (left(d, at) == 1)
		return MSG_MARKER;
	r->payload = at < d.len ? bytes_of(d.ptr + at + 1, d.len - at - 1) : bytes_of(NULL, 0);
	return MSG_OK;
}

static bool same(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || a.ptr == b.ptr);
}

static void compare(const struct msg *m, const struct reading *r, struct bytes d)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt, first;

	FUZZ_MUST(m->type == (d.ptr[0] >> 4 & 3) && m->code == d.ptr[1] && m->mid == d.ptr[2] * 256 + d.ptr[3]);
	FUZZ_MUST(same(m->token, r->token) && same(m->payload, r->payload) && m->n_options == r->n);
	for (unsigned i = 0; i < r->n; i++) {
		FUZZ_MUST(msg_next(&it, &opt));
		FUZZ_MUST(opt.number == r->options[i].number && same(opt.value, r->options[i].value));
		if (i < 64 && (i == 0 || r->options[i - 1].number != opt.number)) /* the first of its number */
			FUZZ_MUST(msg_find(m, opt.number, &first) && same(first.value, opt.value));
	}
	FUZZ_MUST(!msg_next(&it, &opt));
}

static struct bytes write_again(const struct msg *m, uint8_t *buf, size_t cap)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	struct msgbuf b;

	msgbuf_begin(&b, buf, cap, m->type, m->code, m->mid, m->token);
	while (msg_next(&it, &opt))
		msgbuf_option(&b, opt.number, opt.value);
	msgbuf_payload(&b, m->payload);
	return msgbuf_end(&b);
}

/* Never longer: msgbuf writes the shortest form. It fits into as many bytes as it has, and into no fewer. */
static void check_written(const struct msg *m, struct bytes d)
{
	uint8_t *roomy = fuzz_room(d.len), *tight;
	struct bytes again = write_again(m, roomy, d.len);
	struct msg second;

	FUZZ_MUST(again.len >= 4 && again.len <= d.len);
	FUZZ_MUST(msg_parse(&second, again) == MSG_OK);
	FUZZ_MUST(bytes_equal(second.token, m->token) && bytes_equal(second.payload, m->payload));
	FUZZ_MUST(second.n_options == m->n_options);
	tight = fuzz_room(again.len);
	FUZZ_MUST(bytes_equal(write_again(&second, tight, again.len), again));
	FUZZ_MUST(write_again(&second, tight, again.len - 1).len == 0);
	free(tight);
	free(roomy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reading r;
	struct bytes d = bytes_of(data, size);
	struct msg m;
	enum msg_error e = msg_parse(&m, d);

	if (size > UINT16_MAX)
		return 0;
	r.n = 0;
	r.token = r.payload = bytes_of(NULL, 0);
	r.error = read_message(&r, d);
	FUZZ_MUST(e == r.error && *msg_error_text(e));
	if (e != MSG_OK)
		return 0;
	compare(&m, &r, d);
	check_written(&m, d);
	return 0;
}

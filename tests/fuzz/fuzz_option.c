/*
 * fuzz_option: the input says which options a request has, and what is in them: those of the table with lengths around their
 * bounds, and others. What is read of them is what was put in; what classify says of them follows from the table; and what the next hop gets is
 * what it must see, no more and no less.
 */
#include "fuzz_target.h"
#include "fuzz_input.h"
#include "base/dgram.h"
#include "coap/option.h"
#include "proxy/target.h"

#define OPTIONS 40
#define VALUES  2048

/* What was put in, by ascending numbers. */
struct wanted {
	unsigned n;
	struct msg_option options[OPTIONS];
	uint8_t values[VALUES];
	size_t used;
};

/* --- a request */

static const uint16_t known[] = { OPTION_IF_MATCH,       OPTION_URI_HOST,  OPTION_ETAG,           OPTION_IF_NONE_MATCH,
				  OPTION_OBSERVE,        OPTION_URI_PORT,  OPTION_LOCATION_PATH,  OPTION_OSCORE,
				  OPTION_URI_PATH,       OPTION_URI_PATH,  OPTION_CONTENT_FORMAT, OPTION_MAX_AGE,
				  OPTION_URI_QUERY,      OPTION_HOP_LIMIT, OPTION_ACCEPT,         OPTION_Q_BLOCK1,
				  OPTION_LOCATION_QUERY, OPTION_EDHOC,     OPTION_BLOCK2,         OPTION_BLOCK1,
				  OPTION_SIZE2,          OPTION_Q_BLOCK2,  OPTION_PROXY_URI,      OPTION_PROXY_SCHEME,
				  OPTION_SIZE1,          OPTION_ECHO,      OPTION_NO_RESPONSE,    OPTION_REQUEST_TAG,
				  OPTION_REQUEST_HASH,   OPTION_PROXY_CRI, OPTION_URI_PATH_ABBREV };

static const char *const words[] = { "lamp",
				     "house",
				     "door",
				     "hall.example",
				     "Hall.Example",
				     "coap",
				     "COAP",
				     "http",
				     "coap://[fd00:db8::18]/t?q=1",
				     "coap://hall.example:61616/a/b%2fc?x&y",
				     "coap://[2001:db8::53]/house/door/a//?",
				     "coap://[2001:db8::53]/lamp",
				     "coap://elsewhere/",
				     "[2001:db8::53]",
				     "fd00:db8::18",
				     "" };

static uint16_t pick_number(struct fuzz_input *in)
{
	uint8_t which = fuzz_byte(in);

	if (which < 0xf0)
		return known[which % (sizeof known / sizeof known[0])];
	return (uint16_t)(fuzz_byte(in) << (which & 7) | fuzz_byte(in));
}

/* Its shortest, its longest, one less or more, or what a word has. */
static size_t pick_length(struct fuzz_input *in, uint16_t number, uint8_t how)
{
	const struct option_info *info = option_find(number);
	size_t min = info ? info->min : 0, max = info && info->max < 300 ? info->max : 300;

	switch (how % 8) {
	case 0: return min;
	case 1: return max;
	case 2: return min ? min - 1 : 0;
	case 3: return max + 1;
	default: return fuzz_below(in, 9);
	}
}

static struct bytes pick_value(struct fuzz_input *in, struct wanted *w, uint16_t number)
{
	uint8_t how = fuzz_byte(in), *at = w->values + w->used;
	const char *word = words[how / 16];
	size_t len = how % 2 ? strlen(word) : pick_length(in, number, how / 2);

	if (w->used + len > VALUES)
		return bytes_of(at, 0);
	for (size_t i = 0; i < len; i++)
		at[i] = how % 2 ? (uint8_t)word[i] : fuzz_byte(in);
	w->used += len;
	return bytes_of(at, len);
}

/* Behind those of its number, as a sender would. */
static void insert(struct wanted *w, struct msg_option opt)
{
	unsigned i = w->n++;

	for (; i > 0 && w->options[i - 1].number > opt.number; i--)
		w->options[i] = w->options[i - 1];
	w->options[i] = opt;
}

static struct bytes build(struct fuzz_input *in, struct wanted *w, uint8_t *buf, size_t cap)
{
	uint8_t code = (uint8_t)(1 + fuzz_below(in, 7)), n = (uint8_t)fuzz_below(in, OPTIONS);
	struct msgbuf b;

	w->n = 0;
	w->used = 0;
	while (n-- > 0 && !fuzz_ended(in)) {
		uint16_t number = pick_number(in);

		insert(w, (struct msg_option){ number, pick_value(in, w, number) });
	}
	msgbuf_begin(&b, buf, cap, MSG_CON, code, 0x1234, bytes_of("tk", 2));
	for (unsigned i = 0; i < w->n; i++)
		msgbuf_option(&b, w->options[i].number, w->options[i].value);
	msgbuf_payload(&b, bytes_of("payload", fuzz_below(in, 8)));
	return msgbuf_end(&b);
}

/* --- what is read of it */

static void check_read(const struct msg *m, const struct wanted *w)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	bool all_known = true;

	FUZZ_MUST(m->n_options == w->n);
	for (unsigned i = 0; i < w->n; i++) {
		FUZZ_MUST(msg_next(&it, &opt) && opt.number == w->options[i].number);
		FUZZ_MUST(bytes_equal(opt.value, w->options[i].value));
		all_known &= option_find(opt.number) != NULL;
	}
	FUZZ_MUST(option_knows_all(m) == all_known);
}

/* RFC 7252 §5.4.3, §5.4.5 */
static bool is_malformed(const struct wanted *w, unsigned i)
{
	const struct msg_option *opt = &w->options[i];
	const struct option_info *info = option_find(opt->number);

	return info && (opt->value.len < info->min || opt->value.len > info->max ||
			(i > 0 && w->options[i - 1].number == opt->number && !info->repeatable));
}

/* RFC 7252 §5.7.1: what the proxy may not pass on, or not understand. */
static bool is_refused(const struct wanted *w, unsigned i)
{
	uint16_t number = w->options[i].number;
	const struct option_info *info = option_find(number);

	if (number & 2 && !(info && info->handled))
		return true;
	return is_malformed(w, i) && (number & 3);
}

static void check_uint(const struct msg_option *opt)
{
	uint32_t n = 7, expected = 0;

	for (size_t i = 0; i < opt->value.len && i < 4; i++)
		expected = expected * 256 + opt->value.ptr[i];
	FUZZ_MUST(option_uint(opt->value, &n) == (opt->value.len <= 4));
	FUZZ_MUST(n == (opt->value.len <= 4 ? expected : 7));
}

static void check_class(const struct request_view *v, const struct wanted *w)
{
	bool refused = false;
	unsigned paths = 0;

	for (unsigned i = 0; i < w->n; i++) {
		const struct msg_option *opt = &w->options[i];

		check_uint(opt);
		refused |= is_refused(w, i);
		paths += opt->number == OPTION_URI_PATH && !is_malformed(w, i);
	}
	FUZZ_MUST(!refused || v->defect == DEFECT_BAD_OPTION || v->defect == DEFECT_BAD_REQUEST);
	FUZZ_MUST(v->n_path == paths);
	FUZZ_MUST(!v->observe || !v->deregister);
}

static void check_oscore(const struct request_view *v)
{
	struct bytes kid, kid_context;
	struct oscore_option o;
	uint64_t piv = 0;
	bool good = v->oscore.ptr && oscore_option_parse(&o, v->oscore) == OSCORE_OPTION_OK && o.piv.ptr && o.kid.ptr;

	FUZZ_MUST(classify_oscore(v, &kid, &kid_context, &piv) == good);
	FUZZ_MUST(!good || (piv <= OSCORE_PIV_MAX && bytes_equal(kid, o.kid)));
}

/* --- what the next hop gets */

static void put_server(struct proxy_config *c, unsigned i, const char *address, const char *path, const char *host)
{
	struct proxy_server *s = &c->servers[i];

	snprintf(s->name, sizeof s->name, "s%u", i);
	snprintf(s->uri_path, sizeof s->uri_path, "%s", path);
	snprintf(s->uri_host, sizeof s->uri_host, "%s", host);
	FUZZ_MUST(addr_parse(&s->address, address, 5683));
	s->forward = i != 0;
	s->proxy = i == 4;
	c->policy.servers[i].present = true;
}

static void configure(struct proxy_config *c)
{
	snprintf(c->listens[0].name, sizeof c->listens[0].name, "front");
	FUZZ_MUST(addr_parse(&c->listens[0].bind, "[2001:db8::53]:5683", 0));
	c->listens[0].server = PROXY_NO_SERVER;
	put_server(c, 0, "[fd00:db8::17]:5683", "lamp", "");
	put_server(c, 1, "[fd00:db8::18]:5683", "house/door", "");
	put_server(c, 2, "[fd00:db8::19]:61616", "", "hall.example");
	put_server(c, 3, "[fd00:db8::20]:5683", "house", "");
}

/* Where to and how to write it anew are the target's business; everything else stays as it is. */
static bool is_rewritten(uint16_t number)
{
	return number == OPTION_URI_HOST || number == OPTION_URI_PORT || number == OPTION_URI_PATH ||
	       number == OPTION_URI_QUERY || number == OPTION_HOP_LIMIT || number == OPTION_PROXY_URI ||
	       number == OPTION_PROXY_SCHEME;
}

static bool is_dropped(const struct target_edits *e, uint16_t number)
{
	return (number == OPTION_ECHO && e->drop_echo) || (number == OPTION_OBSERVE && e->drop_observe);
}

static bool next_kept(struct msg_iter *it, const struct target_edits *e, struct msg_option *opt)
{
	while (msg_next(it, opt))
		if (!is_rewritten(opt->number) && !is_dropped(e, opt->number))
			return true;
	return false;
}

static void check_kept(const struct msg *in, const struct msg *out, const struct target_edits *e)
{
	struct msg_iter a = msg_options(in), b = msg_options(out);
	struct msg_option x, y;

	while (next_kept(&a, e, &x))
		FUZZ_MUST(next_kept(&b, e, &y) && x.number == y.number && bytes_equal(x.value, y.value));
	FUZZ_MUST(!next_kept(&b, e, &y));
	FUZZ_MUST(bytes_equal(in->payload, out->payload));
	for (b = msg_options(out); msg_next(&b, &y);)
		FUZZ_MUST(!is_dropped(e, y.number));
}

/* "a/b" out of the message; false: not to be said so. */
static bool join_path(const struct msg *m, char *out, size_t size)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	size_t len = 0;

	while (msg_next(&it, &opt)) {
		if (opt.number != OPTION_URI_PATH)
			continue;
		if (opt.value.len == 0 || len + opt.value.len + 2 > size || memchr(opt.value.ptr, '/', opt.value.len) ||
		    memchr(opt.value.ptr, '\0', opt.value.len))
			return false;
		if (len)
			out[len++] = '/';
		memcpy(out + len, opt.value.ptr, opt.value.len);
		len += opt.value.len;
	}
	out[len] = '\0';
	return len > 0;
}

static void check_target(const struct proxy_config *c, const struct target *t, const struct request_view *v,
			 const struct target_edits *e)
{
	uint8_t buf[DGRAM_MAX];
	char path[128];
	struct msg_option opt;
	struct msgbuf b;
	struct msg out;

	FUZZ_MUST(t->server < 5 && c->policy.servers[t->server].present);
	msgbuf_begin(&b, buf, sizeof buf, MSG_CON, v->msg->code, 1, bytes_of("12345678", 8));
	target_rewrite(t, v, e, &b);
	if (msgbuf_end(&b).len == 0) /* too long */
		return;
	FUZZ_MUST(msg_parse(&out, msgbuf_end(&b)) == MSG_OK);
	check_kept(v->msg, &out, e);
	FUZZ_MUST(msg_find(&out, OPTION_HOP_LIMIT, &opt) == (e->hop_limit != 0));
	FUZZ_MUST(!e->hop_limit || (opt.value.len == 1 && opt.value.ptr[0] == e->hop_limit));
	if (!t->as_it_is) {
		FUZZ_MUST(!msg_find(&out, OPTION_PROXY_URI, &opt) && !msg_find(&out, OPTION_PROXY_SCHEME, &opt));
		FUZZ_MUST(!msg_find(&out, OPTION_URI_PORT, &opt));
		FUZZ_MUST(msg_find(&out, OPTION_URI_HOST, &opt) == (t->host.len > 0));
		if (join_path(&out, path, sizeof path))
			FUZZ_MUST(target_path_is(t, v, path));
	}
}

static void check_way(struct request_view *v, uint8_t how)
{
	struct proxy_config c = { .name = "x" };
	const struct target_edits e = { .drop_echo = how & 1, .drop_observe = how & 2, .hop_limit = how >> 2 & 15 };
	struct target t;

	configure(&c);
	if (how & 0x40)
		put_server(&c, 4, "[fd00:db8::21]:5683", "", "");
	if (how & 0x80)
		c.listens[0].server = 3;
	for (unsigned authenticated = 0; authenticated < 2; authenticated++) {
		t = target_resolve(&c, v, &c.listens[0], &c.listens[0].bind, authenticated);
		if (t.server != PROXY_NO_SERVER)
			check_target(&c, &t, v, &e);
		else
			FUZZ_MUST(MSG_CLASS(t.code) >= 4);
	}
}

static void check_response(const struct msg *m)
{
	struct msg_iter it = msg_options(m);
	struct msg as_response = *m;
	struct msg_option opt;
	bool passes = true, observe, observed = false;

	while (msg_next(&it, &opt)) {
		const struct option_info *info = option_find(opt.number);

		passes &= !(opt.number & 2) || (info && info->handled);
		observed |= opt.number == OPTION_OBSERVE;
	}
	as_response.code = MSG_CONTENT;
	FUZZ_MUST(classify_response_forwardable(&as_response, &observe) == passes);
	FUZZ_MUST(!passes || observe == observed);
	for (unsigned oscore = 0; oscore < 2; oscore++)
		FUZZ_MUST(classify_response(&as_response, oscore) <= OUTCOME_NEUTRAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wanted w;
	struct fuzz_input in = { data + 1, data + size, 0, 0 };
	uint8_t buf[DGRAM_MAX];
	struct request_view v;
	struct bytes d;
	struct msg m;

	if (size < 4)
		return 0;
	d = build(&in, &w, buf, sizeof buf);
	if (d.len == 0)
		return 0;
	FUZZ_MUST(msg_parse(&m, d) == MSG_OK);
	check_read(&m, &w);
	check_response(&m);
	classify_request(&v, &m);
	check_class(&v, &w);
	check_oscore(&v);
	if (v.defect == DEFECT_NONE)
		check_way(&v, data[0]);
	return 0;
}

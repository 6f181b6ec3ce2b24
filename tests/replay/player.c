#include "player.h"
#include "base/siphash.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "config.h"
#include "proxy/proxy.h"
#include "value.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_ 4096
#define PAIRS     65536
#define LIFE      (20 * 366 * TSTAMP_DAY) /* of a trace: what claims more is damaged */

/* What the engine chose then, and what it chose now, in a datagram to the same peer. */
struct pair {
	struct addr peer;
	uint16_t mid[2];
	uint8_t token[2][8], echo[2][40];
	size_t token_len[2], echo_len[2];
	bool seen[2];
};

/* One use of a key. */
struct layer {
	char context[PROXY_NAME];
	enum aead_use use;
	bool ok, used;
	size_t len;
	uint8_t *bytes;
};

/* Stands in the place of the keys of one context. */
struct player {
	struct replayer *replay;
	const char *context;
	struct aead_player aead;
};

struct replayer {
	const struct player_options *options;
	struct player_result *result;
	jmp_buf broken; /* where a trace that is none ends */
	FILE *in;
	struct config config;
	struct config_errors errors;
	struct proxy *proxy;
	struct rng rng;
	uint64_t rng_state;
	tstamp began, now;
	struct pair *pairs;
	unsigned n_pairs, room;
	struct layer *layers; /* what the keys made of bytes then, in order */
	unsigned n_layers;
	struct player players[PROXY_CONTEXTS];
	char said[256]; /* verdict of the last input; empty: none */
};

static void fill(struct rng *rng, void *out, size_t len)
{
	struct replayer *r = (struct replayer *)(void *)((char *)rng - offsetof(struct replayer, rng));
	const struct siphash_key key = { 1, 2 };

	for (uint8_t *at = out; len--; at++)
		*at = (uint8_t)siphash(&key, &(uint64_t){ r->rng_state++ }, 8);
}

static void on_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		       const char *reason, tstamp now)
{
	struct replayer *r = arg;
	char client[ADDR_TEXT];

	(void)now;
	snprintf(r->said, sizeof r->said, "%s %s %s %s %s", addr_format(&from->remote, client), server, lane, action,
		 reason);
}

_Noreturn static void broken(const struct replayer *r, const char *what)
{
	struct replayer *self = (struct replayer *)(uintptr_t)r;

	snprintf(r->result->why, PLAYER_WHY, "%s", what);
	longjmp(self->broken, 1);
}

/* The "conf" lines at the head, as a file. */
static bool copy_config(struct replayer *r, FILE *to)
{
	char line[LINE_MAX_];
	long at = 0;

	while (fgets(line, sizeof line, r->in) && strncmp(line, "conf", 4) == 0) {
		fputs(line[4] == ' ' ? line + 5 : line + 4, to);
		at = ftell(r->in);
		r->result->line++;
	}
	fseek(r->in, at, SEEK_SET);
	return fclose(to) == 0;
}

static void load_config(struct replayer *r)
{
	char path[] = "/tmp/replay-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool good = f && copy_config(r, f);

	if (good)
		good = config_load(&r->config, NULL, path, &r->errors);
	if (fd >= 0)
		unlink(path);
	if (!good)
		broken(r, r->errors.count ? r->errors.list[0].text : "no configuration");
	if (r->options->memory && proxy_memory(&r->config.proxy) > r->options->memory)
		broken(r, "its tables need too much memory");
}

/* Up to the first thing that is no digit. */
static size_t read_hex(const struct replayer *r, const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (; value_hex_digit(hex[0]) >= 0 && value_hex_digit(hex[1]) >= 0; hex += 2) {
		if (n == cap)
			broken(r, "datagram too long");
		out[n++] = (uint8_t)(value_hex_digit(hex[0]) << 4 | value_hex_digit(hex[1]));
	}
	return n;
}

/* --- layers: no key is known, so what each use of one gave then is given again ----------------------------------- */

/* The next use of that context in that direction; one of another length means that the stories have parted. */
static bool play(void *arg, enum aead_use use, uint8_t *out, size_t len)
{
	const struct player *p = arg;

	for (unsigned i = 0; i < p->replay->n_layers; i++) {
		struct layer *l = &p->replay->layers[i];

		if (l->used || l->use != use || strcmp(l->context, p->context) != 0)
			continue;
		if (l->ok && l->len != len)
			return false;
		l->used = true;
		if (l->ok && len)
			memcpy(out, l->bytes, len);
		return l->ok;
	}
	return false;
}

static int place_of(const struct replayer *r, const char *name)
{
	for (int i = 0; i < PROXY_CONTEXTS; i++)
		if (strcmp(r->config.proxy.contexts[i].name, name) == 0)
			return i;
	return -1;
}

/* <name> <next> <limit> <pending|used> <whole|lost> <window> <challenge> */
static void take_context(struct replayer *r, const char *text)
{
	struct proxy_context_view v = { .limit = 0 };
	char name[64], pending[16], synced[16], challenge[32];
	uint64_t next, seen;
	unsigned size;
	int place;

	if (sscanf(text, "%63s %" SCNu64 " %" SCNu64 " %15s %15s %" SCNu64 ":%" SCNx64 ":%u %31s", name, &v.state.next,
		   &v.limit, pending, synced, &next, &seen, &size, challenge) != 9 ||
	    (place = place_of(r, name)) < 0)
		broken(r, "expected a context of the configuration");
	if (v.state.next > OSCORE_PIV_MAX + 1 || v.limit > OSCORE_PIV_MAX + 1 || next > OSCORE_PIV_MAX + 1 ||
	    size == 0 || size > REPLAY_MAX)
		broken(r, "expected numbers of a context");
	v.state.synced = strcmp(synced, "whole") == 0;
	v.state.window = (struct replay){ next, seen, (uint8_t)size };
	v.pending = strcmp(pending, "pending") == 0;
	read_hex(r, challenge, v.challenge, sizeof v.challenge);
	r->players[place] = (struct player){ r, r->config.proxy.contexts[place].name, { play, &r->players[place] } };
	if (!proxy_context_play(r->proxy, (uint8_t)place, &r->players[place].aead, &v))
		broken(r, "the context cannot be played");
}

static void take_allowed(struct replayer *r, const char *text)
{
	uint64_t limit;
	char name[64];
	int place;

	if (sscanf(text, "%63s %" SCNu64, name, &limit) != 2 || (place = place_of(r, name)) < 0 ||
	    !proxy_context_works(r->proxy, (uint8_t)place) || limit > OSCORE_PIV_MAX + 1)
		broken(r, "expected a context at work, and a number");
	proxy_context_allow(r->proxy, (uint8_t)place, limit);
}

static struct layer *add_layer(struct replayer *r)
{
	struct layer *more = realloc(r->layers, (r->n_layers + 1) * sizeof *more);

	if (!more)
		broken(r, "out of memory");
	r->layers = more;
	r->layers[r->n_layers] = (struct layer){ .used = false };
	return &r->layers[r->n_layers++];
}

/* All of them, before the first line is taken: they stand behind the input that they belong to. */
static void read_layers(struct replayer *r)
{
	char line[LINE_MAX_], context[64], use[8], hex[LINE_MAX_];
	long at = ftell(r->in);

	while (fgets(line, sizeof line, r->in)) {
		struct layer *l;

		if (sscanf(line, "%*s layer %63s %7s %4095s", context, use, hex) != 3)
			continue;
		l = add_layer(r);
		l->use = strcmp(use, "seal") == 0 ? AEAD_SEAL : AEAD_OPEN;
		l->ok = hex[0] != '-';
		snprintf(l->context, sizeof l->context, "%.31s", context);
		l->bytes = malloc(strlen(hex) / 2 + 1);
		if (!l->bytes)
			broken(r, "out of memory");
		l->len = l->ok ? read_hex(r, hex, l->bytes, strlen(hex) / 2) : 0;
	}
	fseek(r->in, at, SEEK_SET);
}

static void free_layers(struct replayer *r)
{
	for (unsigned i = 0; i < r->n_layers; i++)
		free(r->layers[i].bytes);
	free(r->layers);
}

/* --- translation ----------------------------------------------------------------------------------------------- */

static bool grow(struct replayer *r)
{
	unsigned room = r->room ? 2 * r->room : 64;
	struct pair *more = room > PAIRS ? NULL : realloc(r->pairs, room * sizeof *more);

	if (!more)
		return false;
	memset(more + r->room, 0, (room - r->room) * sizeof *more);
	r->pairs = more;
	r->room = room;
	return true;
}

static struct pair *next_pair(struct replayer *r, const struct addr *peer, unsigned side)
{
	for (unsigned i = 0; i < r->n_pairs; i++)
		if (!r->pairs[i].seen[side] && addr_equal(&r->pairs[i].peer, peer))
			return &r->pairs[i];
	if (r->n_pairs == r->room && !grow(r))
		broken(r, "too many datagrams");
	r->pairs[r->n_pairs].peer = *peer;
	return &r->pairs[r->n_pairs++];
}

static void remember(struct replayer *r, const struct addr *peer, struct bytes datagram, unsigned side)
{
	struct pair *p = next_pair(r, peer, side);
	struct msg_option echo;
	struct msg m;

	if (msg_parse(&m, datagram) != MSG_OK)
		return;
	p->seen[side] = true;
	p->mid[side] = m.mid;
	p->token_len[side] = m.token.len < 8 ? m.token.len : 8;
	if (m.token.len)
		memcpy(p->token[side], m.token.ptr, p->token_len[side]);
	if (msg_find(&m, OPTION_ECHO, &echo) && echo.value.len <= sizeof p->echo[side]) {
		memcpy(p->echo[side], echo.value.ptr, echo.value.len);
		p->echo_len[side] = echo.value.len;
	}
}

static bool is_answer(const struct msg *m)
{
	return m->type == MSG_ACK || m->type == MSG_RESET;
}

/* The Message ID of an ACK or RST, the token of a response, an Echo: each as the engine knows it now. */
static struct bytes translate(struct replayer *r, const struct path *from, const struct msg *m, uint8_t *buf,
			      size_t cap)
{
	struct bytes token = m->token, echo = { NULL, 0 };
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	uint16_t mid = m->mid;
	struct msgbuf b;

	for (unsigned i = r->n_pairs; i-- > 0;) {
		const struct pair *p = &r->pairs[i];

		if (!p->seen[0] || !p->seen[1] || !addr_equal(&p->peer, &from->remote))
			continue;
		if (is_answer(m) && mid == m->mid && p->mid[0] == m->mid)
			mid = p->mid[1];
		if (from->leg == LEG_DEVICE && token.ptr == m->token.ptr && m->token.len &&
		    bytes_equal(m->token, bytes_of(p->token[0], p->token_len[0])))
			token = bytes_of(p->token[1], p->token_len[1]);
		if (!echo.ptr && p->echo_len[0] && msg_find(m, OPTION_ECHO, &opt) &&
		    bytes_equal(opt.value, bytes_of(p->echo[0], p->echo_len[0])))
			echo = bytes_of(p->echo[1], p->echo_len[1]);
	}
	msgbuf_begin(&b, buf, cap, m->type, m->code, mid, token);
	while (msg_next(&it, &opt))
		msgbuf_option(&b, opt.number, opt.number == OPTION_ECHO && echo.ptr ? echo : opt.value);
	if (m->code != MSG_EMPTY)
		msgbuf_payload(&b, m->payload);
	return msgbuf_end(&b);
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static void pump(struct replayer *r)
{
	struct path to;
	struct bytes d;

	while ((d = proxy_transmit(r->proxy, &to, r->now)).len)
		remember(r, &to.remote, d, 1);
}

static void pass_time(struct replayer *r, tstamp until)
{
	tstamp next;

	while ((next = proxy_next_expiry(r->proxy, r->now)) <= until) {
		r->now = next > r->now ? next : r->now;
		proxy_expire(r->proxy, r->now);
		pump(r);
	}
	if (until > r->now)
		r->now = until;
}

static void start(struct replayer *r, tstamp now)
{
	static const struct proxy_tap none = { .verdict = NULL };
	struct proxy_tap tap = none;
	uint8_t secret[32];

	r->began = r->now = now;
	r->rng.fill = fill;
	fill(&r->rng, secret, sizeof secret);
	r->proxy = proxy_create(&r->config.proxy, secret, &r->rng, now);
	if (!r->proxy)
		broken(r, "no memory");
	tap.verdict = on_verdict;
	tap.arg = r;
	proxy_tap(r->proxy, &tap);
}

/* --- lines ----------------------------------------------------------------------------------------------------- */

static tstamp read_time(const struct replayer *r, const char *word)
{
	uint64_t s, ns;

	if (sscanf(word, "%" SCNu64 ".%9" SCNu64, &s, &ns) != 2 || s > UINT32_MAX)
		broken(r, "expected a time");
	return s * TSTAMP_S + ns;
}

static struct path read_path(const struct replayer *r, const char *leg, const char *local, const char *remote)
{
	struct path p = { .leg = strcmp(leg, "device") == 0 ? LEG_DEVICE : LEG_CLIENT };

	if (!addr_parse(&p.local, local, 0) || !addr_parse(&p.remote, remote, 0))
		broken(r, "expected two addresses");
	return p;
}

static void take_input(struct replayer *r, const struct path *from, const char *hex)
{
	uint8_t raw[2048], buf[2048];
	struct bytes d = bytes_of(raw, read_hex(r, hex, raw, sizeof raw));
	struct msg m;

	if (msg_parse(&m, d) == MSG_OK) {
		struct bytes translated = translate(r, from, &m, buf, sizeof buf);

		d = translated.len ? translated : d;
	}
	r->said[0] = '\0';
	proxy_receive(r->proxy, from, d, r->now);
	proxy_expire(r->proxy, r->now);
	pump(r);
}

static void take_verdict(struct replayer *r, const char *recorded)
{
	bool shown = r->options->verbose || r->result->differences < 10;

	r->result->verdicts++;
	if (strcmp(r->said, recorded) == 0)
		return;
	r->result->differences++;
	if (shown && !r->options->quiet)
		printf("%s:%u: %.3f s\n- %s\n+ %s\n", r->options->name, r->result->line,
		       (double)r->now / (double)TSTAMP_S, recorded, r->said[0] ? r->said : "(no verdict)");
}

/* What is about keys. False: it is something else. */
static bool take_rest(struct replayer *r, const char *what, const char *rest)
{
	if (strcmp(what, "verdict") == 0)
		take_verdict(r, rest);
	else if (strcmp(what, "context") == 0)
		take_context(r, rest);
	else if (strcmp(what, "allowed") == 0)
		take_allowed(r, rest);
	else
		return strcmp(what, "layer") == 0;
	return true;
}

static void take_datagram(struct replayer *r, const char *what, const struct path *path, const char *hex)
{
	uint8_t raw[2048];

	if (strcmp(what, "in") == 0 && hex) {
		take_input(r, path, hex);
	} else if (strcmp(what, "out") == 0 && hex) {
		remember(r, &path->remote, bytes_of(raw, read_hex(r, hex, raw, sizeof raw)), 0);
	} else if (strcmp(what, "unreachable") == 0) {
		proxy_unreachable(r->proxy, path, r->now);
		pump(r);
	}
}

/* Cuts the next word off. It is "" at the end. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \n");

	*rest = word + strcspn(word, " \n");
	if (**rest)
		*(*rest)++ = '\0';
	return word;
}

static void take_line(struct replayer *r, char *line)
{
	const char *time = next_word(&line), *what = next_word(&line), *leg, *local, *remote;
	struct path path;
	tstamp now;

	if (!*what)
		return;
	now = read_time(r, time);
	if (!r->proxy)
		start(r, now);
	line[strcspn(line, "\n")] = '\0';
	if (take_rest(r, what, line))
		return;
	if (now > r->began + LIFE)
		broken(r, "a time much later than the first one");
	pass_time(r, now);
	leg = next_word(&line);
	local = next_word(&line);
	remote = next_word(&line);
	path = read_path(r, leg, local, remote);
	take_datagram(r, what, &path, *line ? next_word(&line) : NULL);
}

static void play_all(struct replayer *r)
{
	char line[LINE_MAX_];

	load_config(r);
	read_layers(r);
	while (fgets(line, sizeof line, r->in)) {
		r->result->line++;
		take_line(r, line);
	}
}

bool player_play(FILE *in, const struct player_options *o, struct player_result *out)
{
	struct replayer *r = calloc(1, sizeof *r);

	*out = (struct player_result){ .why = "" };
	if (!r) {
		snprintf(out->why, sizeof out->why, "out of memory");
		return false;
	}
	r->in = in;
	r->options = o;
	r->result = out;
	if (setjmp(r->broken) == 0)
		play_all(r);
	proxy_free(r->proxy);
	free_layers(r);
	free(r->pairs);
	free(r);
	return out->why[0] == '\0';
}

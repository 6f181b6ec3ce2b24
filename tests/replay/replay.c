/*
 * replay: feeds recorded traces through the engine again and compares every verdict.
 *
 *   replay [-v] FILE.trace ...
 *
 * Inputs go in at their recorded times; timers run in between as they would have. What the engine draws at random
 * (tokens, Message IDs, Echo values) differs from the recording, so the n-th datagram sent to a peer now stands for
 * the n-th one sent to it then, and what the peer sent back is translated accordingly. The first differing verdict of a
 * file is shown with both readings; exit code 1.
 */
#include "base/siphash.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "config.h"
#include "proxy/proxy.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_ 4096
#define PAIRS     65536

/* What the engine chose then, and what it chose now, in a datagram to the same peer. */
struct pair {
	struct addr peer;
	uint16_t mid[2];
	uint8_t token[2][8], echo[2][40];
	size_t token_len[2], echo_len[2];
	bool seen[2];
};

struct replay {
	const char *file;
	unsigned line;
	FILE *in;
	struct config config;
	struct config_errors errors;
	struct proxy *proxy;
	struct rng rng;
	uint64_t rng_state;
	tstamp now;
	struct pair *pairs;
	unsigned n_pairs;
	char said[256]; /* verdict of the last input; empty: none */
	unsigned verdicts, differences;
	bool verbose;
};

static void fill(struct rng *rng, void *out, size_t len)
{
	struct replay *r = (struct replay *)(void *)((char *)rng - offsetof(struct replay, rng));
	const struct siphash_key key = { 1, 2 };

	for (uint8_t *at = out; len--; at++)
		*at = (uint8_t)siphash(&key, &(uint64_t){ r->rng_state++ }, 8);
}

static void on_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		       const char *reason, tstamp now)
{
	struct replay *r = arg;
	char client[ADDR_TEXT];

	(void)now;
	snprintf(r->said, sizeof r->said, "%s %s %s %s %s", addr_format(&from->remote, client), server, lane, action,
		 reason);
}

static void broken(const struct replay *r, const char *what)
{
	fprintf(stderr, "%s:%u: %s\n", r->file, r->line, what);
	exit(2);
}

/* The "conf" lines at the head, as a file. */
static void load_config(struct replay *r)
{
	char path[] = "/tmp/replay-XXXXXX", line[LINE_MAX_];
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	long at = 0;

	if (!f)
		broken(r, "no temporary file");
	while (fgets(line, sizeof line, r->in) && strncmp(line, "conf", 4) == 0) {
		fputs(line[4] == ' ' ? line + 5 : line + 4, f);
		at = ftell(r->in);
		r->line++;
	}
	fseek(r->in, at, SEEK_SET);
	fclose(f);
	if (!config_load(&r->config, NULL, path, &r->errors))
		broken(r, r->errors.count ? r->errors.list[0].text : "no configuration");
	unlink(path);
}

/* --- translation ----------------------------------------------------------------------------------------------- */

static struct pair *next_pair(struct replay *r, const struct addr *peer, unsigned side)
{
	for (unsigned i = 0; i < r->n_pairs; i++)
		if (!r->pairs[i].seen[side] && addr_equal(&r->pairs[i].peer, peer))
			return &r->pairs[i];
	if (r->n_pairs == PAIRS)
		broken(r, "too many datagrams");
	r->pairs[r->n_pairs].peer = *peer;
	return &r->pairs[r->n_pairs++];
}

static void remember(struct replay *r, const struct addr *peer, struct bytes datagram, unsigned side)
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
static struct bytes translate(struct replay *r, const struct path *from, const struct msg *m, uint8_t *buf, size_t cap)
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

static void pump(struct replay *r)
{
	struct path to;
	struct bytes d;

	while ((d = proxy_transmit(r->proxy, &to, r->now)).len)
		remember(r, &to.remote, d, 1);
}

static void pass_time(struct replay *r, tstamp until)
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

static void start(struct replay *r, tstamp now)
{
	static const struct proxy_tap none = { .verdict = NULL };
	struct proxy_tap tap = none;
	uint8_t secret[32];

	r->now = now;
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

static tstamp read_time(const struct replay *r, const char *word)
{
	unsigned long long s, ns;

	if (sscanf(word, "%llu.%9llu", &s, &ns) != 2)
		broken(r, "expected a time");
	return s * TSTAMP_S + ns;
}

static size_t read_hex(const struct replay *r, const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		if (n == cap)
			broken(r, "datagram too long");
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static struct path read_path(const struct replay *r, const char *leg, const char *local, const char *remote)
{
	struct path p = { .leg = strcmp(leg, "device") == 0 ? LEG_DEVICE : LEG_CLIENT };

	if (!addr_parse(&p.local, local, 0) || !addr_parse(&p.remote, remote, 0))
		broken(r, "expected two addresses");
	return p;
}

static void take_input(struct replay *r, const struct path *from, const char *hex)
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

static void take_verdict(struct replay *r, const char *recorded)
{
	r->verdicts++;
	if (strcmp(r->said, recorded) == 0)
		return;
	if (r->differences++ < 10 || r->verbose)
		printf("%s:%u: %.3f s\n- %s\n+ %s\n", r->file, r->line, (double)r->now / (double)TSTAMP_S, recorded,
		       r->said[0] ? r->said : "(no verdict)");
}

static void take_line(struct replay *r, char *line)
{
	char *time = strtok(line, " \n"), *what = strtok(NULL, " \n"), *leg, *local, *remote, *hex;
	struct path path;

	if (!time || !what)
		return;
	if (!r->proxy)
		start(r, read_time(r, time));
	if (strcmp(what, "verdict") == 0) {
		take_verdict(r, strtok(NULL, "\n"));
		return;
	}
	pass_time(r, read_time(r, time));
	leg = strtok(NULL, " \n");
	local = strtok(NULL, " \n");
	remote = strtok(NULL, " \n");
	hex = strtok(NULL, " \n");
	if (!leg || !local || !remote)
		broken(r, "expected LEG LOCAL REMOTE");
	path = read_path(r, leg, local, remote);
	if (strcmp(what, "in") == 0 && hex) {
		take_input(r, &path, hex);
	} else if (strcmp(what, "out") == 0 && hex) {
		uint8_t raw[2048];

		remember(r, &path.remote, bytes_of(raw, read_hex(r, hex, raw, sizeof raw)), 0);
	} else if (strcmp(what, "unreachable") == 0) {
		proxy_unreachable(r->proxy, &path, r->now);
		pump(r);
	}
}

static unsigned replay_file(const char *file, bool verbose)
{
	struct replay *r = calloc(1, sizeof *r);
	char line[LINE_MAX_];
	unsigned differences;

	if (!r || !(r->pairs = calloc(PAIRS, sizeof *r->pairs)))
		exit(2);
	r->file = file;
	r->verbose = verbose;
	r->in = fopen(file, "r");
	if (!r->in) {
		perror(file);
		exit(2);
	}
	load_config(r);
	while (fgets(line, sizeof line, r->in)) {
		r->line++;
		take_line(r, line);
	}
	printf("%s: %u verdicts, %u differ\n", file, r->verdicts, r->differences);
	differences = r->differences + (r->verdicts == 0);
	fclose(r->in);
	proxy_free(r->proxy);
	free(r->pairs);
	free(r);
	return differences;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	unsigned differences = 0;

	for (int i = 1 + verbose; i < argc; i++)
		differences += replay_file(argv[i], verbose);
	return differences != 0 || argc < 2;
}

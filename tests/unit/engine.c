#include "engine.h"
#include "msgtext.h"
#include "coap/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void fill(struct rng *rng, void *out, size_t len)
{
	struct engine *e = (struct engine *)(void *)rng; /* the first member */
	uint8_t *at = out;

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(engine_random(e) >> 24);
}

/* SplitMix64. */
uint64_t engine_random(struct engine *e)
{
	uint64_t x = e->seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void add_server(struct proxy_config *c, uint8_t i, const char *name, const char *address)
{
	struct proxy_server *s = &c->servers[i];

	strcpy(s->name, name);
	assert_true(addr_parse(&s->address, address, 5683));
	s->observe_max = 16;
	c->policy.servers[i] = (struct policy_server){
		.present = true,
		.mode = MODE_EXEMPTIONS,
		.plain = PLAIN_THROTTLE,
		.unknown_rate = { 6, TSTAMP_MIN },
		.unknown_budget = 600,
		.handshake_cost = 36,
		.trusted_rate = { 10, TSTAMP_S },
	};
}

struct proxy_config engine_careful(void)
{
	struct proxy_config c = { .name = "guard under test",
				  .max_datagram = 1280,
				  .max_options = 64,
				  .exchanges = 256,
				  .max_layers = 2,
				  .hop_limit = 16,
				  .ssn_reserve = 64 };

	strcpy(c.listens[0].name, "front");
	assert_true(addr_parse(&c.listens[0].bind, "[2001:db8::53]:5683", 5683));
	c.listens[0].server = PROXY_NO_SERVER;
	strcpy(c.links[0].name, "air");
	c.links[0].sched = (struct linksched_config){
		.rate = { 1250, TSTAMP_S }, .burst = 1024, .overhead = 48, .queue_length = 32, .share = { 80, 15, 5 }
	};
	c.links[0].retransmit = (struct retransmit_params){ 4 * TSTAMP_S, 4 };
	c.links[0].nstart = 1;
	c.links[0].queue_wait = 20 * TSTAMP_S;
	c.links[0].probing = (struct rate){ 1, TSTAMP_S };
	add_server(&c, 0, "lamp", "[fd00:db8::17]:5683");
	strcpy(c.servers[0].uri_path, "lamp");
	add_server(&c, 1, "door", "[fd00:db8::18]:5683");
	strcpy(c.servers[1].uri_path, "house/door");
	c.servers[1].forward = true;
	add_server(&c, 2, "hall", "[fd00:db8::19]:61616");
	strcpy(c.servers[2].uri_host, "hall.example");
	c.servers[2].forward = true;
	c.policy.throttle_rate = (struct rate){ 2, TSTAMP_S };
	c.policy.table_size = 4096;
	c.policy.reply_rate = (struct rate){ 20, TSTAMP_S };
	c.policy.reply_slip = 2;
	c.policy.relations = 64;
	c.policy.trusted_after = 8;
	c.policy.min_success = 50;
	c.policy.lifetime = TSTAMP_DAY;
	c.policy.roam_grace = 10 * TSTAMP_MIN;
	c.policy.echo_validity = TSTAMP_MIN;
	c.policy.echo_key_lifetime = TSTAMP_HOUR;
	c.policy.contexts = 128;
	c.policy.window = 64;
	c.policy.plausible_jump = 256;
	c.policy.sequence_idle = 7 * TSTAMP_DAY;
	return c;
}

struct proxy_config engine_roomy(void)
{
	struct proxy_config c = engine_careful();

	c.links[0].sched.rate = (struct rate){ 10000000, TSTAMP_S };
	c.links[0].sched.burst = 1000000;
	for (unsigned i = 0; i < 3; i++) {
		c.policy.servers[i].unknown_rate = (struct rate){ 1000, TSTAMP_S };
		c.policy.servers[i].unknown_budget = 1000000000;
		c.policy.servers[i].trusted_rate = (struct rate){ 1000, TSTAMP_S };
	}
	c.policy.throttle_rate = (struct rate){ 1000, TSTAMP_S };
	c.policy.reply_rate = (struct rate){ 1000, TSTAMP_S };
	return c;
}

struct proxy_config engine_open(void)
{
	struct proxy_config c = engine_roomy();

	for (unsigned i = 0; i < 3; i++)
		c.policy.servers[i].mode = MODE_OPEN;
	return c;
}

struct path engine_path(const char *address)
{
	struct path p = { .leg = LEG_CLIENT };

	assert_true(addr_parse(&p.local, "[2001:db8::53]:5683", 5683));
	if (!addr_parse(&p.remote, address, 5683))
		fail_msg("no address: %s", address);
	return p;
}

struct engine_peer *engine_client(struct engine *e, const char *name, const char *address)
{
	struct engine_peer *p = &e->peers[e->n_peers++];

	assert_true(e->n_peers <= ENGINE_PEERS && strlen(name) < sizeof p->name);
	strcpy(p->name, name);
	p->path = engine_path(address);
	return p;
}

struct engine_peer *engine_peer(struct engine *e, const char *name)
{
	for (unsigned i = 0; i < e->n_peers; i++)
		if (strcmp(e->peers[i].name, name) == 0)
			return &e->peers[i];
	fail_msg("no peer %s", name);
	return NULL;
}

static void add_peers(struct engine *e)
{
	char address[64];

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		struct engine_peer *p = &e->peers[e->n_peers];

		if (!e->cfg.policy.servers[i].present)
			continue;
		e->n_peers++;
		strcpy(p->name, e->cfg.servers[i].name);
		p->path = (struct path){ .leg = LEG_DEVICE, .remote = e->cfg.servers[i].address };
	}
	for (unsigned i = 0; i < 8; i++) {
		snprintf(address, sizeof address, "[2001:db8:%x::%x]:4000%u", i + 1, 10 + i, i + 1);
		engine_client(e, (const char[]){ (char)('a' + i), '\0' }, address);
	}
	engine_client(e, "x", "[2001:db8:bad::1]:40000");
	engine_client(e, "y", "[2001:db8:bad:1::1]:40000");
}

static void note_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
			 const char *reason, tstamp now)
{
	struct engine *e = arg;

	(void)from;
	(void)server;
	(void)now;
	e->verdicts++;
	snprintf(e->action, sizeof e->action, "%s", action);
	snprintf(e->reason, sizeof e->reason, "%s", reason);
	snprintf(e->lane, sizeof e->lane, "%s", lane);
}

static void note_layer(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes)
{
	struct engine *e = arg;

	(void)context;
	(void)bytes;
	e->seals += use == AEAD_SEAL;
	e->opens += use == AEAD_OPEN;
	e->failed_opens += use == AEAD_OPEN && !ok;
}

struct engine *engine_start(const struct proxy_config *cfg)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	struct engine *e = calloc(1, sizeof *e);
	struct proxy_tap tap = { .verdict = note_verdict, .layer = note_layer, .arg = e };

	assert_non_null(e);
	e->rng.fill = fill;
	e->seed = 42;
	e->cfg = *cfg;
	e->now = TSTAMP_HOUR;
	e->out = calloc(ENGINE_OUT, sizeof *e->out);
	e->peers = calloc(ENGINE_PEERS, sizeof *e->peers);
	e->accounts = calloc(ENGINE_ACCOUNTS, sizeof *e->accounts);
	assert_true(e->out && e->peers && e->accounts);
	for (unsigned i = 0; i < POLICY_LINKS; i++)
		e->level[i] = cfg->links[i].sched.burst;
	e->proxy = proxy_create(cfg, secret, &e->rng, e->now);
	assert_non_null(e->proxy);
	proxy_tap(e->proxy, &tap);
	add_peers(e);
	return e;
}

static void nothing(struct engine *e, const struct engine_sent *s)
{
	(void)e;
	(void)s;
}

void engine_stop(struct engine *e)
{
	struct guard_totals t;

	e->sink = nothing;
	engine_wait(e, 30 * TSTAMP_HOUR); /* the longest timer is an observation's, 25 h */
	guard_view_totals(e->proxy->guard, &t);
	assert_int_equal(e->proxy->exchanges.count, 0);
	assert_int_equal(e->proxy->holding, 0);
	assert_int_equal(t.inflight, 0);
	assert_int_equal(e->proxy->pool.used, e->proxy->last ? 1 : 0);
	proxy_free(e->proxy);
	free(e->out);
	free(e->peers);
	free(e->accounts);
	free(e);
}

static bool is_spoofed(const struct addr *a)
{
	static const uint8_t prefix[] = { 0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad };

	return memcmp(a->ip, prefix, sizeof prefix) == 0;
}

static struct engine_account *account(struct engine *e, const struct addr *who)
{
	uint32_t h = 0;

	for (unsigned i = 0; i < 16; i++)
		h = h * 31 + who->ip[i];
	for (h = h * 31 + who->port;; h++) {
		struct engine_account *a = &e->accounts[h % ENGINE_ACCOUNTS];

		if (a->in == 0)
			a->who = *who;
		if (addr_equal(&a->who, who))
			return a;
	}
}

/* I3: at most three bytes for each that came, repetitions included, and small. */
static void watch_spoofed(struct engine *e, const struct engine_sent *s)
{
	struct engine_account *a = account(e, &s->to.remote);
	struct msg m;

	assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
	a->out += s->len + PROXY_FRAME;
	if (a->out > 3 * a->in)
		fail_msg("I3: %llu bytes to an unproven address that sent %llu", (unsigned long long)a->out,
			 (unsigned long long)a->in);
	if (s->len > PROXY_UNPROVEN + m.token.len)
		fail_msg("I3: a datagram of %u bytes to an unproven address", s->len);
}

static uint8_t server_at(const struct engine *e, const struct addr *who)
{
	for (uint8_t i = 0; i < POLICY_SERVERS; i++)
		if (e->cfg.policy.servers[i].present && addr_equal(&e->cfg.servers[i].address, who))
			return i;
	fail_msg("a datagram to an address that is no server");
	return 0;
}

/* I4, as a bucket of our own. A datagram larger than the bucket may go when it is full. */
static void watch_link(struct engine *e, const struct engine_sent *s)
{
	const struct policy_server *server = &e->cfg.policy.servers[server_at(e, &s->to.remote)];
	const struct linksched_config *c = &e->cfg.links[server->link].sched;
	double *level = &e->level[server->link], cost = s->len + (double)c->overhead;
	double rate = (double)c->rate.count / (double)c->rate.period;

	if (server->mode == MODE_OPEN || e->cfg.policy.dry_run)
		return;
	*level += rate * (double)(e->now - e->level_at[server->link]);
	if (*level > c->burst)
		*level = c->burst;
	e->level_at[server->link] = e->now;
	if (*level + 0.001 < (cost < c->burst ? cost : c->burst))
		fail_msg("I4: %g bytes into a link that has room for %g", cost, *level);
	*level -= cost;
}

static void keep(struct engine *e, const struct engine_sent *s)
{
	assert_true(e->n_out < ENGINE_OUT);
	e->out[e->n_out++] = *s;
}

static void drain(struct engine *e)
{
	struct engine_sent s;
	struct bytes d;

	while ((d = proxy_transmit(e->proxy, &s.to, e->now)).len) {
		assert_true(d.len <= sizeof s.buf);
		memcpy(s.buf, d.ptr, d.len);
		s.len = (uint16_t)d.len;
		s.at = e->now;
		if (s.to.leg == LEG_DEVICE)
			watch_link(e, &s);
		else if (is_spoofed(&s.to.remote))
			watch_spoofed(e, &s);
		*(s.to.leg == LEG_DEVICE ? &e->to_device : &e->to_client) += 1;
		if (e->sink)
			e->sink(e, &s);
		else
			keep(e, &s);
	}
}

void engine_receive(struct engine *e, const struct path *from, struct bytes datagram)
{
	/* a copy that ends where it ends, so that reading past it is seen */
	uint8_t *copy = malloc(datagram.len ? datagram.len : 1);

	assert_non_null(copy);
	if (datagram.len)
		memcpy(copy, datagram.ptr, datagram.len);
	if (from->leg == LEG_CLIENT && is_spoofed(&from->remote))
		account(e, &from->remote)->in += datagram.len + PROXY_FRAME;
	proxy_receive(e->proxy, from, bytes_of(copy, datagram.len), e->now);
	free(copy);
	drain(e);
}

void engine_wait(struct engine *e, uint64_t ns)
{
	tstamp end = tstamp_add(e->now, ns), next;
	unsigned still = 0;

	while ((next = proxy_next_expiry(e->proxy, e->now)) <= end) {
		still = next > e->now ? 0 : still + 1;
		if (still > 10000)
			fail_msg("time stands still: an expiry is due, and nothing happens");
		if (next > e->now)
			e->now = next;
		proxy_expire(e->proxy, e->now);
		drain(e);
	}
	e->now = end;
	drain(e);
}

void engine_prove(struct engine *e, const char *name)
{
	const struct path *from = &engine_peer(e, name)->path;

	for (unsigned i = 0; i < 2; i++) {
		uint16_t mid = guard_ping(e->proxy->guard, &from->remote, &from->local, e->now);

		engine_receive(e, from, bytes_of((uint8_t[]){ 0x70, 0, (uint8_t)(mid >> 8), (uint8_t)mid }, 4));
		engine_wait(e, 800 * TSTAMP_MS);
		e->n_out = 0;
	}
}

const struct engine_sent *engine_take(struct engine *e, const char *name)
{
	static struct engine_sent taken;
	const struct engine_peer *p = engine_peer(e, name);

	for (unsigned i = 0; i < e->n_out; i++) {
		const struct path *to = &e->out[i].to;

		if (to->leg != p->path.leg || !addr_equal(&to->remote, &p->path.remote))
			continue;
		if (to->leg == LEG_CLIENT)
			assert_true(addr_equal(&to->local, &p->path.local)); /* from where it asked */
		taken = e->out[i];
		memmove(&e->out[i], &e->out[i + 1], (--e->n_out - i) * sizeof *e->out);
		return &taken;
	}
	return NULL;
}

/* --- lines
 * --------------------------------------------------------------------------------------------------------
 */

struct place {
	const char *file;
	int line;
	size_t step;
	const char *text;
};

static void wrong(const struct place *at, const char *what, const char *seen)
{
	fail_msg("%s:%d, step %zu:\n    %s\n    %s %s", at->file, at->line, at->step + 1, at->text, what, seen);
}

/* $ and its kin become what they stand for. */
static void expand(struct engine *e, const struct engine_peer *p, const char *line, char *out)
{
	const char *start = out;
	struct bytes word;

	*out = '\0';
	while ((word = msgtext_word(&line)).len) {
		const char *w = (const char *)word.ptr;

		if (out > start)
			*out++ = ' ';
		if (bytes_are(word, "$"))
			strcpy(out, p->mid);
		else if (bytes_are(word, "#$"))
			sprintf(out, "#%s", p->token);
		else if (bytes_are(word, "Echo=$"))
			sprintf(out, "Echo=%s", p->echo);
		else if (word.len == 2 && w[0] == '$')
			strcpy(out, e->saved_mid[w[1] - 'a']);
		else if (word.len == 3 && w[0] == '#' && w[1] == '$')
			sprintf(out, "#%s", e->saved_token[w[2] - 'a']);
		else
			sprintf(out, "%.*s", (int)word.len, w);
		out += strlen(out);
	}
}

static bool word_matches(struct engine *e, struct bytes expected, struct bytes seen)
{
	const char *w = (const char *)expected.ptr;
	bool token = expected.len >= 2 && w[0] == '#' && w[1] == '*';

	if (bytes_are(expected, "Echo=*"))
		return seen.len > 5 && memcmp(seen.ptr, "Echo=", 5) == 0;
	if (bytes_are(expected, "Request-Tag=*"))
		return seen.len > 12 && memcmp(seen.ptr, "Request-Tag=", 12) == 0;
	if (expected.len > 2 && w[expected.len - 1] == '*' && w[expected.len - 2] == '=') /* empty, too */
		return seen.len >= expected.len - 1 && memcmp(seen.ptr, w, expected.len - 1) == 0;
	if (expected.len == 2 && w[0] == '*')
		snprintf(e->saved_mid[w[1] - 'a'], sizeof e->saved_mid[0], "%.*s", (int)seen.len,
			 (const char *)seen.ptr);
	else if (token && expected.len == 3)
		snprintf(e->saved_token[w[2] - 'a'], sizeof e->saved_token[0], "%.*s", (int)seen.len - 1,
			 (const char *)seen.ptr + 1);
	return w[0] == '*' || token || bytes_equal(expected, seen);
}

static bool line_matches(struct engine *e, const char *expected, const char *seen)
{
	struct bytes a, b;

	do {
		a = msgtext_word(&expected);
		b = msgtext_word(&seen);
		if ((a.len == 0) != (b.len == 0) || (a.len && !word_matches(e, a, b)))
			return false;
	} while (a.len);
	return true;
}

static void remember(struct engine_peer *p, const struct engine_sent *s)
{
	struct msg_option echo;
	struct msg m;

	if (msg_parse(&m, bytes_of(s->buf, s->len)) != MSG_OK)
		return;
	if (s->to.leg == LEG_DEVICE)
		p->path.local = s->to.local; /* the channel: it answers where it was asked */
	snprintf(p->mid, sizeof p->mid, "%04x", m.mid);
	if (m.token.len * 2 < sizeof p->token)
		msgtext_hex(m.token, p->token);
	if (msg_find(&m, OPTION_ECHO, &echo))
		msgtext_hex(echo.value, p->echo);
}

static void gets(struct engine *e, const struct place *at, struct engine_peer *p, const char *line)
{
	char expected[MSGTEXT_MAX], seen[MSGTEXT_MAX];
	const struct engine_sent *s = engine_take(e, p->name);

	expand(e, p, line, expected);
	if (!s)
		wrong(at, "but nothing came", "");
	msgtext_format(bytes_of(s->buf, s->len), seen);
	if (!line_matches(e, expected, seen))
		wrong(at, "but it got", seen);
	remember(p, s);
}

static void sends(struct engine *e, struct engine_peer *p, const char *line)
{
	char text[MSGTEXT_MAX];
	uint8_t buf[1500];

	expand(e, p, line, text);
	engine_receive(e, &p->path, msgtext_write(text, buf, sizeof buf));
}

static uint64_t duration(const char *text)
{
	char *unit;
	unsigned long long n = strtoull(text, &unit, 10);

	return n * (strcmp(unit, "ms") == 0    ? TSTAMP_MS
		    : strcmp(unit, "s") == 0   ? TSTAMP_S
		    : strcmp(unit, "min") == 0 ? TSTAMP_MIN
					       : TSTAMP_HOUR);
}

static void quiet(struct engine *e, const struct place *at, const char *name)
{
	const struct engine_peer *p = *name ? engine_peer(e, name) : NULL;
	char seen[MSGTEXT_MAX];

	for (unsigned i = 0; i < e->n_out; i++)
		if (!p || addr_equal(&p->path.remote, &e->out[i].to.remote))
			wrong(at, "but there was", msgtext_format(bytes_of(e->out[i].buf, e->out[i].len), seen));
}

static void play(struct engine *e, const struct place *at)
{
	const char *rest = at->text;
	struct bytes word = msgtext_word(&rest);
	char name[24] = "";

	rest += *rest == ' ';
	if (bytes_are(word, "wait")) {
		engine_wait(e, duration(rest));
	} else if (bytes_are(word, "quiet")) {
		quiet(e, at, rest);
	} else if (bytes_are(word, "prove")) {
		engine_prove(e, rest);
	} else if (bytes_are(word, "flush")) {
		e->n_out = 0;
	} else {
		assert_true(word.len >= 2 && word.len <= sizeof name);
		memcpy(name, word.ptr, word.len - 1);
		if (word.ptr[word.len - 1] == '>')
			sends(e, engine_peer(e, name), rest);
		else if (word.ptr[word.len - 1] == '<')
			gets(e, at, engine_peer(e, name), rest);
		else
			wrong(at, "is no line", "");
	}
}

void engine_play_lines(struct engine *e, const char *const *lines, size_t n, const char *file, int line)
{
	for (size_t i = 0; i < n; i++)
		play(e, &(struct place){ file, line, i, lines[i] });
}

void engine_line(struct engine *e, const char *format, ...)
{
	char text[MSGTEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	play(e, &(struct place){ "a line", 0, 0, text });
}

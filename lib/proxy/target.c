#include "proxy/target.h"
#include "coap/option.h"
#include "coap/uri.h"
#include <stdio.h>

#define DEFAULT_PORT 5683
#define HOST_MAX     255 /* RFC 7252 §5.10.1 */

static uint8_t places(const struct proxy_config *cfg)
{
	return cfg->places ? cfg->places : POLICY_SERVERS;
}

static struct target refuse(uint8_t code)
{
	return (struct target){ .server = PROXY_NO_SERVER, .code = code };
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_host_name(struct bytes host, const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || host.len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower((char)host.ptr[i]) != name[i])
			return false;
	return true;
}

/* An IP literal with or without brackets; false: it is a name. */
static bool host_literal(struct bytes host, bool bracketed, uint16_t port, struct addr *out)
{
	char text[HOST_MAX + 4];

	if (host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, '\0', host.len))
		return false;
	if (host.ptr[0] == '[')
		snprintf(text, sizeof text, "%.*s", (int)host.len, (const char *)host.ptr);
	else
		snprintf(text, sizeof text, bracketed || memchr(host.ptr, ':', host.len) ? "[%.*s]" : "%.*s",
			 (int)host.len, (const char *)host.ptr);
	return addr_parse(out, text, port) && out->port == port;
}

static bool is_own(const struct proxy_config *cfg, const struct addr *local, const struct addr *a)
{
	if (addr_equal(a, local))
		return true;
	for (unsigned i = 0; i < PROXY_LISTENS; i++)
		if (cfg->listens[i].name[0] && addr_equal(a, &cfg->listens[i].bind))
			return true;
	return false;
}

/* Where and on whose behalf a target is looked for. */
struct search {
	const struct proxy_config *cfg;
	const struct proxy_listen *at;
	const struct addr *local;
	bool authenticated;
};

static bool may_forward(const struct search *s, uint8_t server)
{
	return s->cfg->policy.servers[server].present && (s->cfg->servers[server].forward || s->authenticated);
}

/* What names no server of ours goes to the next proxy, if there is one. */
static struct target by_next_proxy(const struct search *s)
{
	for (uint8_t i = 0; i < places(s->cfg); i++)
		if (s->cfg->servers[i].proxy && may_forward(s, i))
			return (struct target){ .server = i, .as_it_is = true };
	return refuse(MSG_NO_PROXYING);
}

/* Forward: authority -> configured server. */
static struct target by_authority(const struct search *s, struct bytes host, bool bracketed, uint16_t port, bool *own)
{
	const struct proxy_config *cfg = s->cfg;
	struct addr literal;
	bool is_literal = host_literal(host, bracketed, port, &literal);

	*own = is_literal && is_own(cfg, s->local, &literal);
	for (uint8_t i = 0; !*own && i < places(cfg); i++) {
		const struct proxy_server *server = &cfg->servers[i];

		if (!may_forward(s, i))
			continue;
		if (is_literal && addr_equal(&literal, &server->address))
			return (struct target){ .server = i }; /* Uri-Host equals the destination: omitted */
		if (!is_literal && same_host_name(host, server->uri_host) && port == server->address.port)
			return (struct target){ .server = i, .host = host };
	}
	return by_next_proxy(s);
}

static uint8_t path_segments(const char *path)
{
	uint8_t n = path[0] != '\0';

	for (; *path; path++)
		n = (uint8_t)(n + (*path == '/'));
	return n;
}

/* The request's first segments are those of the server's prefix. */
static bool has_prefix(const struct request_view *v, const char *prefix)
{
	struct msg_iter it = msg_options(v->msg);
	struct msg_option opt;

	while (msg_next(&it, &opt) && opt.number <= OPTION_URI_PATH) {
		size_t n = strcspn(prefix, "/");

		if (opt.number != OPTION_URI_PATH)
			continue;
		if (!bytes_equal(opt.value, bytes_of(prefix, n)))
			return false;
		prefix += n;
		if (*prefix == '\0')
			return true;
		prefix++;
	}
	return false;
}

/* A place, or PROXY_NO_SERVER. */
static uint8_t by_host(const struct proxy_config *cfg, struct bytes host)
{
	for (uint8_t i = 0; i < places(cfg); i++)
		if (cfg->policy.servers[i].present && same_host_name(host, cfg->servers[i].uri_host))
			return i;
	return PROXY_NO_SERVER;
}

/* The longest prefix wins. */
static struct target by_path(const struct proxy_config *cfg, const struct request_view *v)
{
	struct target best = refuse(MSG_NOT_FOUND);

	for (uint8_t i = 0; v->n_path && i < places(cfg); i++) {
		const char *prefix = cfg->servers[i].uri_path;
		uint8_t n = path_segments(prefix);

		if (cfg->policy.servers[i].present && n > best.skip_path && has_prefix(v, prefix))
			best = (struct target){ .server = i, .skip_path = n, .by_path = true };
	}
	return best;
}

/* Reverse: by name, by path, or by the listener it came to. */
static struct target reverse(const struct search *s, const struct request_view *v)
{
	uint8_t named = v->uri_host.ptr ? by_host(s->cfg, v->uri_host) : PROXY_NO_SERVER, usual = s->at->server;
	struct target t;

	if (named != PROXY_NO_SERVER)
		return (struct target){ .server = named };
	t = by_path(s->cfg, v);
	if (t.server == PROXY_NO_SERVER && usual != PROXY_NO_SERVER && s->cfg->policy.servers[usual].present)
		t = (struct target){ .server = usual, .by_default = true };
	return t;
}

/* As has_prefix, for a path that is still percent-encoded; *rest is what follows the prefix. */
static bool uri_has_prefix(struct bytes path, const char *prefix, struct bytes *rest)
{
	uint8_t buf[PROXY_PATH];
	struct bytes segment;
	bool more = path.len > 1;

	path = more ? bytes_of(path.ptr + 1, path.len - 1) : path;
	while (more && *prefix) {
		size_t n = strcspn(prefix, "/");

		if (!uri_segment(&path, '/', &more, buf, sizeof buf, &segment) ||
		    !bytes_equal(segment, bytes_of(prefix, n)))
			return false;
		prefix += n + (prefix[n] == '/');
	}
	*rest = more ? bytes_of(path.ptr - 1, path.len + 1) : bytes_of(NULL, 0);
	return *prefix == '\0';
}

/* The server whose prefix the still encoded path begins with; what follows is its path. */
static struct target by_uri_path(const struct search *s, struct bytes path)
{
	const struct proxy_config *cfg = s->cfg;
	struct target best = refuse(MSG_NOT_FOUND);
	size_t longest = 0;

	best.path = path;
	if (s->at->server != PROXY_NO_SERVER && cfg->policy.servers[s->at->server].present) {
		best.server = s->at->server;
		best.by_default = true;
	}
	for (uint8_t i = 0; i < places(cfg); i++) {
		const char *prefix = cfg->servers[i].uri_path;
		size_t n = strlen(prefix);
		struct bytes rest;

		if (!cfg->policy.servers[i].present || n <= longest || !uri_has_prefix(path, prefix, &rest))
			continue;
		longest = n;
		best = (struct target){ .server = i, .path = rest, .by_path = true };
	}
	return best;
}

/* Schemes are compared without regard to case (RFC 3986 §3.1). */
static bool is_coap(struct bytes scheme)
{
	return same_host_name(scheme, "coap");
}

static struct target by_proxy_uri(const struct search *s, const struct request_view *v)
{
	struct uri u;
	struct target t;
	bool own;

	switch (uri_parse(&u, v->proxy_uri)) {
	case URI_OK: break;
	default: return refuse(MSG_BAD_OPTION);
	}
	if (!is_coap(u.scheme))
		return refuse(MSG_NO_PROXYING);
	t = by_authority(s, u.host, u.bracketed, u.port ? u.port : DEFAULT_PORT, &own);
	t.path = u.path;
	if (own)
		t = by_uri_path(s, u.path); /* our own authority: treated locally (RFC 7252 §5.7.2) */
	t.by_proxy_uri = true;
	t.query = u.query;
	t.has_query = u.has_query;
	return t;
}

static struct target by_proxy_scheme(const struct search *s, const struct request_view *v)
{
	uint16_t port = v->has_uri_port ? (uint16_t)v->uri_port : DEFAULT_PORT;
	struct target t;
	bool own;

	if (!is_coap(v->proxy_scheme))
		return refuse(MSG_NO_PROXYING);
	/* Without Uri-Host the authority is the address the request came to: ours (RFC 7252 §5.10.1). */
	if (!v->uri_host.ptr)
		return reverse(s, v);
	t = by_authority(s, v->uri_host, false, port, &own);
	if (own)
		t = reverse(s, v); /* our own authority: treated locally */
	t.by_proxy_scheme = true;
	return t;
}

struct target target_resolve(const struct proxy_config *cfg, const struct request_view *v,
			     const struct proxy_listen *at, const struct addr *local, bool authenticated)
{
	const struct search s = { cfg, at, local, authenticated };

	if (v->proxy_uri.ptr)
		return by_proxy_uri(&s, v);
	if (v->proxy_scheme.ptr)
		return by_proxy_scheme(&s, v);
	return reverse(&s, v);
}

/* Uri-Path and Uri-Query out of the percent-encoded URI (RFC 7252 §6.4 steps 8 and 9). */
static void write_segments(struct msgbuf *out, uint16_t number, struct bytes text, char separator)
{
	uint8_t buf[HOST_MAX];
	struct bytes segment;
	bool more = text.len > 0;

	while (more) {
		if (!uri_segment(&text, separator, &more, buf, sizeof buf, &segment)) {
			out->failed = true;
			return;
		}
		msgbuf_option(out, number, segment);
	}
}

static struct bytes uri_path(const struct target *t)
{
	/* "/" alone is no segment; otherwise the leading slash is dropped */
	return t->path.len <= 1 ? bytes_of(NULL, 0) : bytes_of(t->path.ptr + 1, t->path.len - 1);
}

/* A Proxy-Uri that ends here is taken apart. */
static bool writes_path(const struct target *t)
{
	return t->by_proxy_uri && !t->as_it_is;
}

/* What stands in for the options the target consumed, when their turn in the order comes. */
struct inserts {
	bool host, etag, path, query, hop_limit;
};

static void insert_before(struct inserts *done, uint32_t number, const struct target *t, const struct target_edits *e,
			  struct msgbuf *out)
{
	if (!done->host && number > OPTION_URI_HOST) {
		done->host = true;
		if (t->host.len)
			msgbuf_option(out, OPTION_URI_HOST, t->host);
	}
	if (!done->etag && number > OPTION_ETAG) {
		done->etag = true;
		if (e->etag.ptr)
			msgbuf_option(out, OPTION_ETAG, e->etag);
	}
	if (!done->path && number > OPTION_URI_PATH) {
		done->path = true;
		if (writes_path(t))
			write_segments(out, OPTION_URI_PATH, uri_path(t), '/');
	}
	if (!done->query && number > OPTION_URI_QUERY) {
		done->query = true;
		if (writes_path(t) && t->has_query)
			write_segments(out, OPTION_URI_QUERY, t->query, '&');
	}
	if (!done->hop_limit && number > OPTION_HOP_LIMIT) {
		done->hop_limit = true;
		if (e->hop_limit)
			msgbuf_option_uint(out, OPTION_HOP_LIMIT, e->hop_limit);
	}
}

/* Consumed here, or written anew from the target. */
static bool is_consumed(const struct target *t, const struct target_edits *e, uint16_t number)
{
	switch (number) {
	case OPTION_URI_HOST:
	case OPTION_URI_PORT:
	case OPTION_PROXY_URI:
	case OPTION_PROXY_SCHEME: return !t->as_it_is;
	case OPTION_HOP_LIMIT: return true;
	case OPTION_URI_PATH:
	case OPTION_URI_QUERY: return writes_path(t); /* Proxy-Uri overrides them (RFC 7252 §5.10.2) */
	case OPTION_ECHO: return e->drop_echo;
	case OPTION_OBSERVE: return e->drop_observe;
	case OPTION_BLOCK1:
	case OPTION_BLOCK2: return e->drop_blocks;
	case OPTION_ETAG: return e->drop_etag;
	default: return false;
	}
}

void target_rewrite(const struct target *t, const struct request_view *v, const struct target_edits *e,
		    struct msgbuf *out)
{
	struct msg_iter it = msg_options(v->msg);
	struct inserts done = { .host = false };
	struct msg_option opt;
	unsigned skip = t->skip_path;

	while (msg_next(&it, &opt)) {
		insert_before(&done, opt.number, t, e, out);
		if (is_consumed(t, e, opt.number))
			continue;
		if (opt.number == OPTION_URI_PATH && skip) {
			skip--;
			continue;
		}
		msgbuf_option(out, opt.number, opt.value);
	}
	insert_before(&done, UINT32_MAX, t, e, out);
	msgbuf_payload(out, v->msg->payload);
}

bool target_path_is(const struct target *t, const struct request_view *v, const char *path)
{
	struct msg_iter it = msg_options(v->msg);
	struct msg_option opt;
	unsigned skip = t->skip_path;
	struct bytes rest;

	if (t->by_proxy_uri)
		return uri_has_prefix(t->path, path, &rest) && rest.len == 0;
	while (msg_next(&it, &opt)) {
		size_t n = strcspn(path, "/");

		if (opt.number != OPTION_URI_PATH)
			continue;
		if (skip) {
			skip--;
			continue;
		}
		if (*path == '\0' || !bytes_equal(opt.value, bytes_of(path, n)))
			return false;
		path += n + (path[n] == '/');
	}
	return *path == '\0';
}

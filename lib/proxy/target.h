/*
 * target: which configured server a request is for, and what its next hop must see. Default deny: an address that is
 * not configured is not reached, and no name is ever looked up.
 */
#ifndef TARGET_H
#define TARGET_H
#include "coap/msgbuf.h"
#include "proxy/classify.h"
#include "proxy/proxy.h"

struct target {
	uint8_t server;    /* place, or PROXY_NO_SERVER: then `code` says why */
	uint8_t code;      /* 4.00, 4.04, 5.05, 5.02 */
	uint8_t skip_path; /* leading Uri-Path segments that named the server */
	bool by_proxy_uri, by_proxy_scheme;
	bool by_path;             /* the server's uri-path was what named it */
	bool by_default;          /* nothing in it names a server: its listener has one for that */
	bool as_it_is;            /* the server is a proxy: it gets the options that name the target */
	struct bytes host;        /* to be kept as Uri-Host; len 0: none */
	struct bytes path, query; /* of Proxy-Uri, percent-encoded */
	bool has_query;
};

/*
 * `local`: the address the request came to, which is ours whatever the listener is bound to. authenticated: one of our layers came
 * off, so forwarding is up to its context and not to the server's `forward`.
 */
struct target target_resolve(const struct proxy_config *cfg, const struct request_view *v,
			     const struct proxy_listen *at, const struct addr *local, bool authenticated);
/* The path the server will see is exactly "a/b". */
bool target_path_is(const struct target *t, const struct request_view *v, const char *path);

struct target_edits {
	bool drop_echo, drop_observe, drop_blocks, drop_etag;
	struct bytes etag; /* ptr not NULL: it is asked whether this one is still good */
	uint8_t hop_limit; /* 0: none is written */
};
/* Writes every option the next hop must see, in order, and the payload. */
void target_rewrite(const struct target *t, const struct request_view *v, const struct target_edits *e,
		    struct msgbuf *out);
#endif

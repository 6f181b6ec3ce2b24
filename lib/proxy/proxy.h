/*
 * proxy: the engine. Datagrams and time go in, datagrams and deadlines come out. It reads no clock, opens no socket,
 * logs nothing and allocates nothing after proxy_create.
 */
#ifndef PROXY_H
#define PROXY_H
#include "base/addr.h"
#include "base/bytes.h"
#include "base/path.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "coap/retransmit.h"
#include "guard/policy.h"
#include "oscore/oscore_context.h"

struct proxy;

#define PROXY_NAME      32 /* longest section name and NUL */
#define PROXY_LISTENS   16
#define PROXY_PATH      128
#define PROXY_NO_SERVER 0xff

#define PROXY_CONTEXTS   POLICY_PEERS
#define PROXY_NO_CONTEXT 0xff
#define PROXY_LAYERS     4 /* OSCORE layers of one message that can ever be taken off */

struct proxy_listen {
	char name[PROXY_NAME]; /* empty: place not used */
	struct addr bind;      /* one place per bound address; several places may bear one name */
	uint8_t server;        /* requests that name no server go to this one; PROXY_NO_SERVER: none */
	bool silent;           /* strangers who are refused get no reply at all */
};

struct proxy_link {
	char name[PROXY_NAME];
	struct linksched_config sched;
	struct retransmit_params retransmit;
	uint32_t nstart;     /* outstanding CONs of one client at one device */
	uint64_t queue_wait; /* longer waits are answered 5.03 */
	uint32_t block_size; /* of payload in one datagram, 16 to 1024; 0: messages go as they are (RFC 7959) */
	struct rate probing; /* bytes that go to a silent device (RFC 7252 §4.7) */
};

struct proxy_server {
	char name[PROXY_NAME];
	struct addr address;
	char uri_path[PROXY_PATH]; /* "a/b" without outer slashes; empty: not by path */
	char uri_host[PROXY_PATH]; /* lower case; empty: not by host */
	bool forward;              /* may be reached by Proxy-Uri and Proxy-Scheme */
	bool proxy; /* is a proxy, too: gets what names no other server, with Proxy-Scheme and Uri-Host as they are */
	bool require_layer; /* what its path or host names is not for it before one of our OSCORE layers came off */
	uint32_t observe_max;
};

/* OSCORE between the guard and one peer: a client, another guard, or a server. */
struct proxy_context {
	char name[PROXY_NAME]; /* empty: place not used */
	struct oscore_setup setup;
	uint64_t servers;     /* bit i: a request under this context may reach the server at place i */
	uint8_t next_hop;     /* what goes to this server gets a layer of this context; PROXY_NO_SERVER: none */
	bool refuse_unsynced; /* a lost replay window is not recovered by Echo: the context waits for a reset */
	struct addr source;   /* the only host it is good for, which then has no other contexts; unspecified: any */
};

struct proxy_config {
	char name[64]; /* shown in 5.08 diagnostics */
	uint32_t max_datagram, max_options;
	uint32_t max_layers;  /* OSCORE layers taken off one request, at most PROXY_LAYERS */
	uint32_t hop_limit;   /* put on forwarded requests that have none (RFC 8768 §3); 0: not */
	uint32_t ssn_reserve; /* sender sequence numbers asked for at a time */
	bool precise_errors;  /* OSCORE errors by their own codes (RFC 8613 §8.2), else 4.01 for all that is no good */
	uint32_t exchanges;   /* concurrent, observations included */
	size_t cache_size;    /* bytes of plain representations that are kept; 0: none */
	uint64_t stale_if_silent; /* ns: how long what is old may still be answered while its server is silent */
	struct proxy_listen listens[PROXY_LISTENS];
	struct proxy_link links[POLICY_LINKS];       /* by place: policy.servers[i].link */
	struct proxy_server servers[POLICY_SERVERS]; /* by place: policy.servers[i].present */
	struct proxy_context contexts[PROXY_CONTEXTS];
	struct policy policy;
	uint8_t places; /* servers stand below; proxy_create counts them, 0 is all */
};

/* Bytes that proxy_create will allocate, tables and all. */
size_t proxy_memory(const struct proxy_config *cfg);

/* cfg is copied. secret: 32 random bytes, the root of every hash key and proof. NULL: no memory. */
struct proxy *proxy_create(const struct proxy_config *cfg, const uint8_t secret[32], struct rng *rng, tstamp now);
void proxy_free(struct proxy *p);
/*
 * Takes a new configuration over without losing what is known or under way. Table sizes (exchanges, relations,
 * contexts, table_size, echo_key_lifetime) stay as created. A server keeps its place and name; what belongs
 * to a vanished server is answered 5.03 and forgotten.
 */
void proxy_reconfigure(struct proxy *p, const struct proxy_config *cfg, tstamp now);

/*
 * Contexts are configured by proxy_config and put to work one by one, since their secrets come from elsewhere. One that does not
 * work unprotects nothing, as if it were not there, and what needs its layer is answered 5.03. A reconfiguration that changes a
 * context's setup takes it out of work.
 */
/* secret is only read. False: the cryptographic library failed; the context does not work. */
bool proxy_context_install(struct proxy *p, uint8_t place, struct bytes secret, const struct oscore_state *state);
/* A context as a trace needs it, to go on from there without its key. */
struct proxy_context_view {
	struct oscore_state state;
	uint64_t limit;
	bool pending; /* the state is loaded, but the disk has not said that it is in use */
	uint8_t challenge[OSCORE_CHALLENGE];
};
bool proxy_context_view(const struct proxy *p, uint8_t place,
			struct proxy_context_view *out); /* false: it does not work */
/* Goes on from there, with what was recorded in the place of the key. */
bool proxy_context_play(struct proxy *p, uint8_t place, const struct aead_player *player,
			const struct proxy_context_view *from);
void proxy_context_withdraw(struct proxy *p, uint8_t place);
/* Of that name and with that key, if the secret is the same: it goes on over a reconfiguration. */
bool proxy_context_is_same(const struct proxy_context *a, const struct proxy_context *b);
bool proxy_context_works(const struct proxy *p, uint8_t place);
/* Why it does not work, or not for long: shown to people; "": all is well. Cut to 128 bytes. */
void proxy_context_explain(struct proxy *p, uint8_t place, const char *why);
/* The state that has to be on disk before the context may go on, or false: nothing needs to be written now. */
bool proxy_context_wanted(const struct proxy *p, uint8_t place, struct oscore_state *out);
/* Only when that is on disk. */
void proxy_context_allow(struct proxy *p, uint8_t place, uint64_t next);
/* The state for a clean end, window and all. */
struct oscore_state proxy_context_state(const struct proxy *p, uint8_t place);

/* Datagrams that came together, in order. Any n. */
struct proxy_input {
	struct path from;
	struct bytes datagram;
};
void proxy_receive_batch(struct proxy *p, const struct proxy_input *in, unsigned n, tstamp now);
void proxy_receive(struct proxy *p, const struct path *from, struct bytes datagram, tstamp now); /* a batch of one */
/* ICMP said that nobody listens at to->remote, or the connection with it is gone. */
void proxy_unreachable(struct proxy *p, const struct path *to, tstamp now);
/* The next datagram to send now, or length 0. Valid until the next call of any proxy_ function. Pull until empty. */
struct bytes proxy_transmit(struct proxy *p, struct path *to, tstamp now);
tstamp proxy_next_expiry(const struct proxy *p, tstamp now);
void proxy_expire(struct proxy *p, tstamp now);

/*
 * Called for each verdict while set; for traces and debug logs. server is the server's name or "-". action, reason and
 * lane are words of guard/verdict.h, or "drop" and the reason word of a refusal the message itself caused.
 */
struct proxy_tap {
	void (*verdict)(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
			const char *reason, tstamp now);
	/* What a context's key made of bytes: see struct aead_tap. NULL: nobody asks. */
	void (*layer)(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes);
	/* A context begins to work; also each one at work when the tap is set. And: the disk allowed numbers below. May be NULL. */
	void (*context)(void *arg, const char *context, const struct proxy_context_view *view);
	void (*allowed)(void *arg, const char *context, uint64_t limit);
	void *arg;
};
void proxy_tap(struct proxy *p, const struct proxy_tap *tap); /* NULL: off */
#endif

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

struct proxy;

#define PROXY_NAME      32 /* longest section name and NUL */
#define PROXY_LISTENS   16
#define PROXY_PATH      128
#define PROXY_NO_SERVER 0xff

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
};

struct proxy_server {
	char name[PROXY_NAME];
	struct addr address;
	char uri_path[PROXY_PATH]; /* "a/b" without outer slashes; empty: not by path */
	char uri_host[PROXY_PATH]; /* lower case; empty: not by host */
	bool forward;              /* may be reached by Proxy-Uri and Proxy-Scheme */
	uint32_t observe_max;
};

struct proxy_config {
	char name[64]; /* shown in 5.08 diagnostics */
	uint32_t max_datagram, max_options;
	uint32_t exchanges; /* concurrent, observations included */
	struct proxy_listen listens[PROXY_LISTENS];
	struct proxy_link links[POLICY_LINKS];       /* by place: policy.servers[i].link */
	struct proxy_server servers[POLICY_SERVERS]; /* by place: policy.servers[i].present */
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

/* Datagrams that came together, in order. Any n. */
struct proxy_input {
	struct path from;
	struct bytes datagram;
};
void proxy_receive_batch(struct proxy *p, const struct proxy_input *in, unsigned n, tstamp now);
void proxy_receive(struct proxy *p, const struct path *from, struct bytes datagram, tstamp now); /* a batch of one */
/* ICMP said that nobody listens at to->remote. */
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
	void *arg;
};
void proxy_tap(struct proxy *p, const struct proxy_tap *tap); /* NULL: off */
#endif

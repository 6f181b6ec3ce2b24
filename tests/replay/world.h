/*
 * world: the real engine between simulated clients and a simulated device, in virtual time. Everything that happens
 * can be recorded as a trace, exactly as the daemon records it.
 *
 *   clients --10 ms-- guard (engine, real) --20 ms-- device
 */
#ifndef WORLD_H
#define WORLD_H
#include "base/heap.h"
#include "base/rng.h"
#include "config.h"
#include "oscore/oscore.h"
#include "proxy/proxy.h"
#include "tracer.h"

#define WORLD_CLIENTS 32
#define WORLD_EVENTS  8192
#define WORLD_KIDS    256

struct world;

struct world_client {
	struct world *world;
	struct addr addr;
	bool oscore; /* else plain GETs of /dev/x */
	uint8_t kid;
	uint64_t piv; /* of the next request */
	bool answers_pings, uses_echo;
	uint64_t period; /* asks again this long after the last request began; 0: by hand */

	/* a layer for the guard around it all; sealer NULL: none */
	struct oscore_context key;
	struct oscore_request asking;
	uint8_t inside[40]; /* the Echo the guard wants inside that layer */
	size_t inside_len;
	unsigned recovered; /* asked for such an Echo */

	/* the request under way */
	bool busy, acked;
	uint8_t request[160], token[4], echo[40];
	size_t request_len, echo_len;
	uint16_t mid;
	unsigned sent; /* transmissions of it */
	uint64_t timeout;
	tstamp began;

	unsigned asked, answered, challenged, refused, failed, lost; /* answered: by the device, protected or 2.xx */
	uint64_t worst, total;                                       /* latency of the answered ones */
};

struct world_device {
	struct addr addr;
	bool knows[WORLD_KIDS];
	uint64_t highest[WORLD_KIDS]; /* accepted Partial IV + 1 */
	bool silent, forgot;          /* forgot: rebooted without its contexts, answers 4.01 */
	unsigned requests, strange;   /* datagrams with a request; those that no world_client made */
	unsigned refused;
};

enum world_event_kind {
	EVENT_FREE,
	EVENT_TO_GUARD,
	EVENT_TO_CLIENT,
	EVENT_TO_DEVICE,
	EVENT_RETRANSMIT,
	EVENT_ASK,
	EVENT_CALL
};

struct world_event {
	struct heap_node node; /* first member */
	enum world_event_kind kind;
	struct path path;
	struct world_client *client;
	unsigned serial; /* EVENT_RETRANSMIT: of which request */
	void (*call)(struct world *w, void *arg);
	void *arg;
	size_t len;
	uint8_t data[256];
};

struct world_rng {
	struct rng rng;
	uint64_t state;
};

struct world {
	struct config config;
	struct config_errors errors;
	struct proxy *proxy;
	struct world_rng engine_rng, rng; /* the engine draws from a stream of its own */
	struct tracer trace;
	struct proxy_tap tap;
	tstamp now;
	struct world_event events[WORLD_EVENTS];
	struct heap_node *slots[WORLD_EVENTS];
	struct heap timeline;
	struct world_client clients[WORLD_CLIENTS];
	unsigned n_clients;
	struct world_device device;
	struct addr listen;
	uint64_t stray_in, stray_out, worst_ratio; /* bytes from and to addresses of no client, in frames */
	unsigned largest_stray;                    /* bytes of CoAP */
	unsigned verdicts, refusals;
	/* sees all that the guard sends; may be NULL */
	void (*watch)(struct world *w, const struct path *to, struct bytes datagram);
	void *watch_arg;
};

/* The generator of tests: splitmix64. */
void world_seed(struct world_rng *r, uint64_t seed);

/* config: INI text with [server dev] at `device`. trace: a path to record to, or NULL. Asserts that all is well. */
struct world *world_open(const char *config, const char *trace, uint64_t seed);
void world_close(struct world *w);
/* Lets time pass, to this second since the start. */
void world_run(struct world *w, double until_s);
double world_seconds(const struct world *w);
void world_call(struct world *w, double at_s, void (*call)(struct world *w, void *arg), void *arg);

struct world_client *world_client(struct world *w, const char *addr, bool oscore, uint8_t kid);
void world_ask(struct world_client *c); /* one request, now; c must not be busy */
/* c asks every `period_s` from now on. */
void world_keep_asking(struct world_client *c, double period_s);

/*
 * The guard's context of that name comes to work, the disk being as quick as can be: sequence numbers from `next`, the window whole or lost. The
 * client, or NULL, holds the other end.
 */
void world_share_key(struct world *w, const char *name, struct world_client *c, uint64_t next, bool whole);

/* A datagram from anywhere, now. */
void world_inject(struct world *w, const struct addr *from, const uint8_t *data, size_t len);
/* An OSCORE request as forgers make them; returns its length. */
size_t world_forge(struct world *w, uint8_t kid, uint64_t piv, unsigned piv_len, uint8_t out[64]);
uint64_t world_random(struct world *w);
#endif

/* core: everything the engine holds, in one struct that its rooms share; nobody else includes it. */
#ifndef CORE_H
#define CORE_H
#include "coap/dedup.h"
#include "coap/mid.h"
#include "base/siphash.h"
#include "coap/msgbuf.h"
#include "guard/guard.h"
#include "guard/linksched.h"
#include "guard/pace.h"
#include "guard/peers.h"
#include "oscore/oscore_store.h"
#include "proxy/exchange.h"
#include "proxy/fault.h"
#include "proxy/proxy.h"

#define PROXY_FRAME       48                 /* IPv6 and UDP header: frames, not datagrams, are compared (I3) */
#define PROXY_UNPROVEN    136                /* bytes of CoAP that may go to an unproven address (RFC 9175 §2.4) */
#define PROXY_DOUBT       (10 * TSTAMP_S)    /* the true answer is soon there, if a false one was */
#define PROXY_PATIENCE    (93 * TSTAMP_S)    /* MAX_TRANSMIT_WAIT: no client waits longer for a first response */
#define PROXY_OBSERVATION (25 * TSTAMP_HOUR) /* a CON at least every 24 h (RFC 7641 §4.5) */
#define PROXY_ACK_DELAY   (1500 * TSTAMP_MS) /* before a client's ACK_TIMEOUT of 2 s */
#define PROXY_PING_GAP    (700 * TSTAMP_MS)  /* between the two pings of a proof */
#define PROXY_HOLDS       64                 /* requests that wait for the answer to a ping */
#define PROXY_HOLD        (3 * TSTAMP_S)     /* then the client's own retransmission has to do */
#define PROXY_REFUSALS    256                /* remembered; a power of two */
#define PROXY_PINGS       256                /* second pings under way */

/* A datagram of a known relation that waits for the answer to a ping. */
struct proxy_hold {
	uint64_t flow;
	struct path from;
	struct dgram *datagram; /* NULL: free */
	tstamp since;
};

/* What the device was spared by. */
#define SHARED_ANSWERS(X)                                                                                              \
	X(HIT, "hit", "answered from the cache")                                                                       \
	X(VALIDATED, "validated", "answered from the cache after the server confirmed it")                             \
	X(STALE, "stale", "answered from the cache with something old, since the server was silent")                   \
	X(JOINED, "joined", "answered by what another client had asked for already")

enum shared {
#define X(name, word, text) SHARED_##name,
	SHARED_ANSWERS(X)
#undef X
		SHARED_COUNT
};

struct proxy_ping {
	struct path to;
	tstamp at; /* 0: free */
};

/* Hears what a context's key makes of bytes, and says whose it is. */
struct proxy_ear {
	struct proxy *proxy;
	uint8_t context;
	struct aead_tap tap;
};

/* Who was refused for what his message is, or told that a server failed, or whose layer did not come off: for people who ask why. */
struct proxy_refusal {
	struct addr client;
	tstamp at; /* 0: none */
	uint8_t fault;
	uint8_t server; /* that failed, or got it as it was; PROXY_NO_SERVER: none */
};

struct proxy {
	struct proxy_config cfg;
	struct rng *rng;
	struct guard *guard;
	struct dedup *dedup;
	struct cache *cache; /* NULL: none */
	struct siphash_key share_keys[2];
	uint32_t observe_number; /* of notifications to followers: grows with each */
	uint64_t shared[SHARED_COUNT];
	tstamp whole_until[POLICY_SERVERS][CHANNELS]; /* the server knows no blocks there: it gets whole messages */
	struct dgram_pool pool;
	struct exchange_table exchanges;
	struct linksched *links[POLICY_LINKS];
	struct mid_space mids[POLICY_SERVERS];
	struct pace paces[POLICY_SERVERS];
	struct bucket wrong_resets[POLICY_SERVERS];
	struct list parked[POLICY_SERVERS]; /* what exchanges that are parked have for the device, oldest first */
	struct oscore_store *contexts;      /* by the places of cfg.contexts */
	uint8_t layers_of
		[POLICY_SERVERS]; /* the place of the context whose layer goes on what is sent there, or PROXY_NO_CONTEXT */
	bool has_contexts;        /* configured: we are an OSCORE endpoint */
	char troubles[PROXY_CONTEXTS][128];
	struct proxy_ear ears[PROXY_CONTEXTS];
	struct list outbox; /* may go at once: towards clients, and to devices of mode open */
	struct dgram *last; /* given out by proxy_transmit, free at the next call */
	struct proxy_ping pings[PROXY_PINGS];
	tstamp next_ping, next_hold; /* when the first of them is due, or earlier */
	tstamp next_probe;           /* of a silent device somebody is parked for; or earlier */
	struct proxy_hold holds[PROXY_HOLDS];
	uint16_t down_mids[1024]; /* by client flow */
	struct proxy_tap tap;
	uint64_t faults[FAULT_COUNT];
	struct proxy_refusal refusals[PROXY_REFUSALS]; /* the last ones, in a ring */
	uint32_t next_refusal;
	uint64_t received[2], sent[2], received_bytes[2], sent_bytes[2]; /* by leg */
	uint64_t answered[POLICY_SERVERS][3];                            /* responses to clients: 2.xx, 4.xx, 5.xx */
	uint32_t holding; /* exchanges whose response waits for a proof */
};

void core_count(struct proxy *p, enum fault f);
/* server: what failed or got it all the same, or PROXY_NO_SERVER. */
void core_remember(struct proxy *p, const struct addr *client, uint8_t server, enum fault f, tstamp now);
/* Where a datagram to `local` was taken, exactly or at every address. */
const struct proxy_listen *core_listen(const struct proxy *p, const struct addr *local);
/* The address of x's client is its own, beyond doubt: it acknowledged us there, or proved itself lately. */
bool core_is_reached(const struct proxy *p, const struct exchange *x, tstamp now);
/* When the device of x has had its time: no client waits longer. */
tstamp core_until(const struct exchange *x);
const struct proxy_link *core_link(const struct proxy *p, uint8_t server);
#endif

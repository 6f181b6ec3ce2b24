/* proxy_impl: what the rooms of the engine share; nobody else includes it. */
#ifndef PROXY_IMPL_H
#define PROXY_IMPL_H
#include "coap/dedup.h"
#include "coap/mid.h"
#include "coap/msgbuf.h"
#include "guard/guard.h"
#include "guard/linksched.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"

#define PROXY_FRAME     48               /* IPv6 and UDP header: frames, not datagrams, are compared (I3) */
#define PROXY_UNPROVEN  136              /* bytes of CoAP that may go to an unproven address (RFC 9175 §2.4) */
#define PROXY_PATIENCE  (93 * TSTAMP_S)  /* MAX_TRANSMIT_WAIT: no client waits longer for a first response */
#define PROXY_ACK_DELAY (1500 * TSTAMP_MS) /* before a client's ACK_TIMEOUT of 2 s */
#define PROXY_PING_GAP  (700 * TSTAMP_MS)  /* between the two pings of a proof */
#define PROXY_HOLDS     64               /* requests that wait for the answer to a ping */
#define PROXY_HOLD      (3 * TSTAMP_S)   /* then the client's own retransmission has to do */
#define PROXY_PINGS     256              /* second pings under way */

/* Why a message went no further; the guard's own reasons are in guard/verdict.h. */
#define PROXY_FAULTS(X)                                                               \
	X(SHORT, "short", "shorter than its header and token")                        \
	X(VERSION, "version", "not version 1 of CoAP")                                \
	X(TOKEN, "token", "reserved token length 15")                                 \
	X(OPTION, "option", "an option past the end, with a reserved nibble, or numbered over 65535") \
	X(MARKER, "marker", "payload marker without a payload")                       \
	X(STUFFED, "stuffed", "Empty message with something in it")                   \
	X(OPTIONS, "options", "more options than max-options")                        \
	X(LARGE, "large", "larger than max-datagram")                                 \
	X(CODE, "code", "reserved code class, or code and type do not fit")           \
	X(UNASKED, "unasked", "response or acknowledgement that matches no request")  \
	X(BAD_OPTION, "bad-option", "unsafe or malformed option: 4.02")               \
	X(NO_TARGET, "no-target", "no configured server is meant")                    \
	X(HOP_LIMIT, "hop-limit", "Hop-Limit ran out: 5.08")                          \
	X(NO_ROOM, "no-room", "exchange table, queue or packet pool full")            \
	X(DUPLICATE, "duplicate", "seen before; absorbed or answered again")          \
	X(DEVICE_RESET, "device-reset", "the device answered RST: 5.02")              \
	X(DEVICE_SILENT, "device-silent", "the device did not answer: 5.04")          \
	X(UNREACHABLE, "unreachable", "ICMP says nobody listens there: 5.02")         \
	X(LINK_WAIT, "link-wait", "waited longer than queue-wait for the link: 5.03") \
	X(MID_SPENT, "mid-spent", "no Message ID free towards the device: 5.03")      \
	X(UNFORWARDABLE, "unforwardable", "response with an unsafe option: 5.02")     \
	X(UNPROVEN, "unproven", "response too large for an unproven address: held")   \
	X(CLIENT_GONE, "client-gone", "the client reset or stopped acknowledging")

enum proxy_fault {
#define X(name, word, text) PROXY_FAULT_##name,
	PROXY_FAULTS(X)
#undef X
	PROXY_FAULT_COUNT
};

/* A datagram of a known relation that waits for the answer to a ping. */
struct proxy_hold {
	uint64_t flow;
	struct path from;
	struct dgram *datagram; /* NULL: free */
	tstamp since;
};

struct proxy_ping {
	struct path to;
	tstamp at; /* 0: free */
};

struct proxy {
	struct proxy_config cfg;
	struct rng *rng;
	struct guard *guard;
	struct dedup *dedup;
	struct dgram_pool pool;
	struct exchange_table exchanges;
	struct linksched *links[POLICY_LINKS];
	struct mid_space mids[POLICY_SERVERS];
	struct list outbox;  /* may go at once: towards clients, and to devices of mode open */
	struct dgram *last;  /* given out by proxy_transmit, free at the next call */
	struct proxy_ping pings[PROXY_PINGS];
	tstamp next_ping;
	struct proxy_hold holds[PROXY_HOLDS];
	uint16_t down_mids[1024]; /* by client flow */
	struct proxy_tap tap;
	uint64_t faults[PROXY_FAULT_COUNT];
	uint64_t received[2], sent[2], received_bytes[2], sent_bytes[2]; /* by leg */
	uint64_t answered[POLICY_SERVERS][3]; /* responses to clients: 2.xx, 4.xx, 5.xx */
	uint32_t holding; /* exchanges whose response waits for a proof */
};

const char *proxy_fault_word(enum proxy_fault f);
const char *proxy_fault_text(enum proxy_fault f);
void proxy_count(struct proxy *p, enum proxy_fault f);

/* Gives back everything x holds and closes it; `outcome` settles its ticket if that is still open. */
void proxy_drop(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now);
const struct proxy_listen *proxy_listen_of(const struct proxy *p, const struct addr *local);
const struct proxy_link *proxy_link_of(const struct proxy *p, uint8_t server);
#endif

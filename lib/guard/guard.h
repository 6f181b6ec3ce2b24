/*
 * guard: who may spend the constrained link. It knows no CoAP: it judges plain facts, returns a verdict with a reason,
 * and hears later what the device observably made of it. Others act.
 *
 *   guard_check   facts of a request  -> verdict (and a ticket)
 *   guard_admit   time                -> the next waiting newcomer whose turn it is
 *   guard_report  ticket, outcome     -> standing
 *   guard_pong    a RST that may answer a ping
 */
#ifndef GUARD_H
#define GUARD_H
#include "base/addr.h"
#include "base/bytes.h"
#include "base/tstamp.h"
#include "guard/echo.h"
#include "guard/policy.h"
#include "guard/reputation.h"
#include "guard/verdict.h"

struct guard;

/* All the guard ever learns of a request. Views are only read during the call. */
struct guard_request {
	struct addr client, listener;
	uint8_t server;      /* place in the policy */
	bool confirmable;    /* the client will send it again by itself */
	bool has_oscore;     /* carries an OSCORE option */
	bool trackable;      /* kid and Partial IV are readable (RFC 8613 §6.1) */
	bool handshake;      /* EDHOC or a token: costs the device a key exchange */
	bool continues;      /* with handshake: not its first message */
	bool follow_up;      /* asks for a later outer block (Block2, NUM > 0) of an OSCORE response */
	bool replayable;     /* Request-Hash: anybody who saw it can send it again */
	bool authenticated;  /* one of our own OSCORE layers came off, and its context may reach this server */
	bool layer_required; /* it is for nobody else */
	uint32_t peer;       /* authenticated: the place of that context */
	uint16_t units;      /* cost units of all that the device has to receive for it; 0 is 1 */
	struct bytes kid, kid_context; /* kid_context.ptr NULL: absent, which differs from empty */
	uint64_t piv;
	struct bytes echo;           /* outer Echo; ptr NULL: absent */
	uint64_t endpoint, relation; /* guard_identify's */
};

enum guard_outcome {
	OUTCOME_ACCEPTED,  /* the device observably unprotected the request (digest §2.9) */
	OUTCOME_OBSERVED,  /* accepted only if its Partial IV was never accepted before */
	OUTCOME_TENTATIVE, /* OSCORE response with a Partial IV of its own: earns nothing, costs nothing */
	OUTCOME_REFUSED,   /* unprotected 4.00, 4.01, 4.02, or what no OSCORE server sends */
	OUTCOME_NEUTRAL,   /* says nothing about the client */
	OUTCOME_SILENT,    /* nothing came */
	OUTCOME_CANCELLED  /* never reached the device */
};
const char *guard_outcome_word(enum guard_outcome o);

struct guard *guard_create(const struct policy *policy, uint32_t requests, const uint8_t secret[32], tstamp now);
void guard_free(struct guard *g);
size_t guard_memory(const struct policy *policy, uint32_t requests);
/* Takes new numbers over; what is known stays, but for servers that are no longer present. */
void guard_retune(struct guard *g, const struct policy *policy, tstamp now);

/*
 * Fills in the keyed hashes of endpoint and, if trackable, relation, and fetches the records they name, so that a batch of
 * requests waits for memory only once. rq->endpoint may be set to guard_flow(client) before; it is kept.
 */
void guard_identify(const struct guard *g, struct guard_request *rq);
/* An rq that guard_identify has not seen is looked up all the same. */
struct verdict guard_check(struct guard *g, const struct guard_request *rq, tstamp now);

/*
 * After a verdict QUEUE: waits under the name `ref`, below the `requests` of guard_create. False: no place (the ticket is closed). *evicted is the ref of a
 * request that lost its place to this one, or UINT32_MAX.
 */
bool guard_enqueue(struct guard *g, const struct verdict *v, uint32_t ref, uint32_t *evicted, tstamp now);
/* The next waiting request that may go now; false: none. Call until false. */
bool guard_admit(struct guard *g, uint32_t *ref, tstamp now);
tstamp guard_next_admission(const struct guard *g, tstamp now);
void guard_withdraw(struct guard *g, uint32_t ref); /* the waiting request is given up */

/* Settles a ticket. True: the device accepted the request, and its Partial IV was never accepted before. */
bool guard_report(struct guard *g, struct guard_ticket t, enum guard_outcome outcome, tstamp now);

/* A RST from a client that matches nothing else. True: it answers a ping. *again: send a second ping to be sure. */
bool guard_pong(struct guard *g, const struct addr *client, const struct addr *listener, uint16_t mid, bool *again,
		tstamp now);
/*
 * The client acknowledged a CON of ours whose Message ID was random: as good as an answered ping. False: its prefix has guessed
 * too often, and proves nothing for a while.
 */
bool guard_heard(struct guard *g, const struct addr *client, tstamp now);
/* So many wrong answers and resets came from its prefix within a minute that a right one may be a guess. */
bool guard_guesses(const struct guard *g, const struct addr *client, tstamp now);
/* An acknowledgement of nothing: a guess, perhaps. */
void guard_missed(struct guard *g, const struct addr *client, tstamp now);
uint16_t guard_ping(struct guard *g, const struct addr *client, const struct addr *listener, tstamp now);
void guard_echo(struct guard *g, const struct addr *client, const struct addr *listener, tstamp now,
		uint8_t out[ECHO_LEN]);
/*
 * Is a message that claims to come under our context `peer` worth a decryption? Of rq only client, listener, echo and endpoint
 * count. Where the context's holder was heard of it always is; *proven: its sender proved its address in this very message.
 */
bool guard_may_try(struct guard *g, const struct guard_request *rq, uint32_t peer, bool *proven, tstamp now);
/* It is authentic, but may be old: may its sender be asked for an Echo inside the layer? Who proved his address always may. */
bool guard_may_echo(struct guard *g, const struct guard_request *rq, uint32_t peer, tstamp now);
/*
 * The guard itself asks a server: to keep up what clients of that lane observe, or for the rest of what they asked for. Charged as a
 * request of theirs, as long as half of the day's budget is left. False: not now.
 */
bool guard_spend(struct guard *g, uint8_t server, enum lane lane, tstamp now);
/*
 * The device has to receive more units than were paid for: repeated, cut smaller, or the next block of a response. Who is served next
 * waits until that is paid. t: the ticket of the request it is for, which may be settled.
 */
void guard_owe(struct guard *g, struct guard_ticket t, uint8_t server, enum lane lane, uint32_t units, tstamp now);
/* These units of an open ticket will never be sent. Of a handshake's cost its floor is kept. */
void guard_unspent(struct guard *g, struct guard_ticket t, uint32_t units);
/* What came of it; authentic: and fresh beyond doubt. */
void guard_tried(struct guard *g, const struct guard_request *rq, uint32_t peer, bool authentic, tstamp now);
void guard_forget_peer(struct guard *g, uint32_t peer); /* the context has a new key */
/* How a value relates to this guard, without any effect. */
enum echo_result guard_echo_origin(const struct guard *g, const struct guard_request *rq, tstamp now);

/* flow: guard_flow(client), which who asks has at hand. Return-routability of an endpoint was shown within the Echo validity, or a relation lives there. */
bool guard_knows(const struct guard *g, const struct addr *client, uint64_t flow, tstamp now);
/* As guard_knows, but a relation counts only where return-routability was shown once: any amount may go there (I3). */
bool guard_reaches(const struct guard *g, const struct addr *client, uint64_t flow, tstamp now);
/* May one more reply go to the client's prefix? Charged. */
bool guard_may_reply(struct guard *g, const struct addr *client, tstamp now);
/* A keyed hash of an endpoint, for flows and indexes; never 0. */
uint64_t guard_flow(const struct guard *g, const struct addr *client);

unsigned guard_forget(struct guard *g, const struct addr *host, tstamp now);

/* For people. */
struct guard_client {
	struct addr endpoint;
	uint8_t server;
	enum standing standing;
	bool doubted;
	uint8_t kid_len, kid[RELATION_KID];
	uint64_t highest;          /* accepted Partial IV */
	unsigned settled, success; /* of the last 64; percent */
	uint64_t idle;             /* ns */
	unsigned fill;             /* of its bucket, permille */
};
/* Iterates: start with *place = 0; false at the end. */
bool guard_view_client(const struct guard *g, uint32_t *place, struct guard_client *out, tstamp now);

struct guard_server {
	uint32_t relations, waiting, unknown_left, reachable_left; /* of the day, units */
	uint64_t unknown_wait, reachable_wait;                     /* ns until the next request would pass */
	uint64_t verdicts[VERDICT_ACTION_COUNT][REASON_COUNT];
	uint64_t lanes[LANE_COUNT];
	uint64_t outcomes[OUTCOME_CANCELLED + 1];
};
void guard_view_server(const struct guard *g, uint8_t server, struct guard_server *out, tstamp now);

struct guard_totals {
	uint64_t pings, pongs, pongs_wrong, echoes_made, echoes_valid, echoes_stale, echoes_foreign, replies_suppressed;
	uint32_t relations, relations_capacity, contexts, inflight;
};
void guard_view_totals(const struct guard *g, struct guard_totals *out);

struct guard_incident {
	struct addr client;
	tstamp at;
	uint8_t server, action, reason, lane;
};
/* The youngest first; returns how many of at most `max` concern this host. */
unsigned guard_view_incidents(const struct guard *g, const struct addr *host, struct guard_incident *out, unsigned max);

struct guard_explanation {
	bool proven, wary, home;
	unsigned request_load, reply_load; /* permille of what its prefixes may */
	uint64_t reply_wait;
};
void guard_view_explanation(const struct guard *g, const struct addr *host, struct guard_explanation *out, tstamp now);
#endif

/*
 * inflight: requests the guard let through and has not settled yet. A ticket names one without a pointer. It also
 * reserves the Partial IV: the same number under another token is refused while the first is under way.
 */
#ifndef INFLIGHT_H
#define INFLIGHT_H
#include "base/addr.h"
#include "guard/budget.h"
#include "guard/reputation.h"
#include "guard/verdict.h"

struct inflight_request {
	struct addr client;
	uint64_t endpoint; /* keyed hash */
	uint64_t relation; /* keyed hash, 0: no OSCORE identity */
	uint64_t piv;
	tstamp since;
	uint32_t paid;  /* units that its lane's budget was charged; 0: none */
	uint16_t units; /* that the device has to receive */
	uint8_t server;
	uint8_t kind;    /* enum budget_kind */
	uint8_t lane;    /* enum lane: whose budget paid */
	bool proven;     /* return-routability was shown for this very request */
	bool echo;       /* by an Echo of its own: a spoofer's pings are answered by the true client */
	bool queued;     /* goes through the newcomers' queue */
	bool waiting;    /* still in it */
	bool probation;  /* let through although suspicious: its endpoint was made wary */
	bool continued;  /* follows the first message of a key exchange */
	bool replayable; /* Request-Hash: success earns nothing */
	bool follow_up;  /* a later outer block: books nothing */
	uint8_t kid_len, kid[RELATION_KID];
};

struct inflight;

struct inflight *inflight_create(uint32_t capacity); /* NULL: no memory */
void inflight_free(struct inflight *f);
size_t inflight_memory(uint32_t capacity);

/* Generation 0: the table is full. */
struct guard_ticket inflight_open(struct inflight *f, const struct inflight_request *rq);
struct inflight_request *inflight_get(struct inflight *f, struct guard_ticket t); /* NULL: settled already */
void inflight_close(struct inflight *f, struct guard_ticket t);
/* A request of this relation with this Partial IV is under way, from `endpoint`; 0: from any. */
bool inflight_has(const struct inflight *f, uint64_t relation, uint64_t piv, uint64_t endpoint);
/* What waited in the newcomers' queue goes to the device now. */
void inflight_launch(struct inflight *f, struct guard_ticket t);
/* The first message of a handshake with this server is under way; a waiting one does not count. */
bool inflight_handshake(const struct inflight *f, uint8_t server);
uint32_t inflight_count(const struct inflight *f);
#endif

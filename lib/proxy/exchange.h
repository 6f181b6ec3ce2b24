/*
 * exchange: one request on its way, with everything that has to be remembered until it is settled: who asked, under
 * which token it went up, which timers run. A fixed table; observations are exchanges that stay. Some are the guard's own:
 * an errand fetches the rest of a response for another one, and what a subject is told is told to all who follow it.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H
#include "base/dgram.h"
#include "base/heap.h"
#include "base/rng.h"
#include "coap/retransmit.h"
#include "guard/verdict.h"
#include "proxy/cache.h"
#include "proxy/layers.h"
#include "proxy/pieces.h"

enum exchange_state {
	EXCHANGE_FREE,
	EXCHANGE_WAITING,   /* in the newcomers' queue */
	EXCHANGE_FOLLOWING, /* a subject's answer is waited for */
	EXCHANGE_PARKED,    /* its client has NSTART messages outstanding already, or its device is silent */
	EXCHANGE_QUEUED,    /* in a lane of the link, never sent */
	EXCHANGE_DISPLACED, /* lost its place there */
	EXCHANGE_SENT,      /* sent, nothing came back */
	EXCHANGE_ACKED,     /* the device acknowledged; a separate response is due */
	EXCHANGE_GATHERING, /* an errand fetches the rest of the response */
	EXCHANGE_ANSWERED,  /* the response is held for proof, or sent as CON and not acknowledged */
	EXCHANGE_OBSERVING, /* notifications may come */
	EXCHANGE_STATES
};
const char *exchange_state_word(enum exchange_state s);

#define EXCHANGE_TOKEN  8  /* ours, random */
#define EXCHANGE_INLINE 32 /* longer client tokens live in a datagram buffer */
#define EXCHANGE_NONE   UINT32_MAX

struct exchange {
	struct heap_node timer;              /* first member: the heap hands nodes back */
	tstamp ack_at, device_at, client_at; /* what the timer is for: empty ACK, device leg, client leg */
	struct path client;
	uint64_t flow, dedup;
	struct dgram *up;         /* towards the device, until it acknowledged or answered */
	struct dgram *down;       /* towards the client: held for proof, or CON not yet acknowledged */
	struct dgram *long_token; /* a client token over EXCHANGE_INLINE bytes */
	struct dgram *bare;       /* what went up, as it was before our layer, until the next hop answered */
	struct dgram *last;       /* of a subject that observes: what it was told last, if all of it fits; at last_at */
	tstamp last_at;
	struct pieces pieces;  /* towards a link that has blocks */
	struct cache_key key;  /* of a plain request that others may ask, too: what it asks for */
	struct layers layers;  /* ours, off the request */
	struct layer up_layer; /* ours, on what goes up; if has_layer */
	struct guard_ticket ticket;
	struct retransmit up_timer, down_timer;
	uint32_t next_token, next_up_mid, next_flow, next_down_mid, next_subject; /* chains */
	uint32_t errand, parent;                    /* who fetches for it, for whom it fetches; EXCHANGE_NONE */
	uint32_t subject, followers, next_follower; /* whom it follows, who follows it; EXCHANGE_NONE */
	uint32_t bytes_in, bytes_out;               /* whole frames exchanged with a client that is not proven (I3) */
	tstamp opened;
	tstamp doubted;   /* when something came that was not of the next hop, though it seemed to be; 0: never */
	uint32_t max_age; /* of the 5.03 that says why */
	uint16_t client_mid, up_mid, down_mid, token_len;
	uint16_t prepaid; /* cost units that were charged for it, and have not been sent yet */
	uint8_t state, server, lane, client_type;
	uint8_t token[EXCHANGE_TOKEN];
	uint8_t client_token[EXCHANGE_INLINE];
	uint8_t notified; /* NON notifications since the last CON, which was at con_at */
	tstamp con_at;
	uint8_t method; /* of the request */
	bool up_is_con, retransmit, unscheduled, proven;
	bool acked;          /* the client got its empty ACK */
	bool unacknowledged; /* our last CON to the client */
	bool listening;      /* the client acknowledged our last CON: its address is its own */
	bool observe;        /* asked for notifications */
	bool has_oscore, no_response;
	bool by_path; /* its client found the server under the server's uri-path */
	bool has_layer;
	bool begun;    /* something of it went to the device */
	bool accepted; /* the device accepted it, or what it fetches the rest for, observably */
	bool echoed;   /* the next hop's Echo was given back once */
	uint8_t code;  /* of the response under way to the client */
	uint8_t why;   /* it cannot go up: enum fault */
	bool asked;    /* a subject whose followers were asked whether they are there */
	bool own;      /* the guard's: no client hears of it */
	bool renewing; /* a relation that is asked for anew */
	bool keyed;    /* it has a key */
	bool up_indexed, down_indexed, subject_indexed;
};

/* Its response waits for a proof of its client. */
static inline bool exchange_is_held(const struct exchange *x)
{
	return x->down && x->client_at == TSTAMP_NEVER;
}

/* A CON of ours that the client has not acknowledged: there is one at a time (NSTART), and what comes meanwhile is NON. */
static inline bool exchange_awaits_ack(const struct exchange *x)
{
	return x->down && x->client_at != TSTAMP_NEVER;
}

struct exchange_table {
	struct exchange *all;
	/* sets of heads: our token, our MID to the device, client flow, our MID to the client, subject */
	uint32_t *chains;
	struct heap_node **heap_slots;
	struct heap timers;
	uint32_t capacity, mask, count, free;
	uint32_t observing[256]; /* relations at the server at that place; followers cost it nothing */
	uint32_t followers;      /* who follow a subject */
	uint32_t following;      /* of them those that observe */
};

bool exchange_table_init(struct exchange_table *t, uint32_t capacity);
void exchange_table_free(struct exchange_table *t);
size_t exchange_memory(uint32_t capacity);

/* A fresh exchange with a random token; NULL: the table is full, or this flow holds a quarter of it. */
struct exchange *exchange_open(struct exchange_table *t, const struct path *client, uint64_t flow, struct rng *rng);
/* The caller has given back the datagrams. */
void exchange_close(struct exchange_table *t, struct exchange *x);
void exchange_set_state(struct exchange_table *t, struct exchange *x, enum exchange_state s);

uint32_t exchange_ref(const struct exchange_table *t, const struct exchange *x);
struct exchange *exchange_by_ref(const struct exchange_table *t, uint32_t ref); /* NULL: free or out of range */

/* By our token at the device that it was sent to. */
struct exchange *exchange_by_token(const struct exchange_table *t, uint8_t server, struct bytes token);
struct exchange *exchange_by_up_mid(const struct exchange_table *t, uint8_t server, uint16_t mid);
struct exchange *exchange_by_down_mid(const struct exchange_table *t, uint64_t flow, uint16_t mid);
/* Iterates the exchanges of a client: start with NULL. Closing the one returned ends the walk. */
struct exchange *exchange_of_flow(const struct exchange_table *t, uint64_t flow, const struct exchange *previous);
uint32_t exchange_flow_count(const struct exchange_table *t, uint64_t flow);

/* Takes the upstream token of `old` over, so that the device sees the same observation; old is to be closed. */
void exchange_adopt_token(struct exchange_table *t, struct exchange *x, struct exchange *old);
/* A token never used before, for the next piece. */
void exchange_renew_token(struct exchange_table *t, struct exchange *x, struct rng *rng);
void exchange_set_up_mid(struct exchange_table *t, struct exchange *x, uint16_t mid);
void exchange_set_down_mid(struct exchange_table *t, struct exchange *x, uint16_t mid);
/* Others may follow x, which asks for x->key. */
void exchange_share(struct exchange_table *t, struct exchange *x);
/* Iterates the subjects of a key: start with NULL. */
struct exchange *exchange_by_key(const struct exchange_table *t, const struct cache_key *k,
				 const struct exchange *previous);
void exchange_follow(struct exchange_table *t, struct exchange *x, struct exchange *subject);
void exchange_unfollow(struct exchange_table *t, struct exchange *x); /* harmless if it follows nobody */
struct bytes exchange_client_token(const struct exchange *x);

/* Sets the heap to the earliest of the three deadlines; call after changing any. */
void exchange_arm(struct exchange_table *t, struct exchange *x);
tstamp exchange_next_expiry(const struct exchange_table *t);
struct exchange *exchange_expired(struct exchange_table *t, tstamp now); /* NULL when done */
#endif

/* session_impl: what session.c (contexts in the event loop), session_peer.c (servers) and session_guest.c (clients) share. */
#ifndef SESSION_IMPL_H
#define SESSION_IMPL_H
#include "session.h"
#include <coap3/coap.h>
#include "base/dgram.h"
#include "config.h"
#include "psk.h"
#include "session_message.h"

/* One context of libcoap, watched. */
struct session_hub {
	struct session *session;
	coap_context_t *coap; /* NULL: not open */
	struct uv_poll_s *poll;
	struct gate *gate; /* NULL: the servers' */
	bool stirred;      /* something was sent: libcoap has to look at its timers */
};

#define PEER_QUEUE 8 /* requests that wait for a connection */

enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_CONNECTED, PEER_UP, PEER_LOST };

/* One server. */
struct peer {
	struct session *session;
	unsigned place;
	struct addr address;
	struct psk psk;
	struct retransmit_params retransmit;
	enum peer_state state;
	coap_session_t *coap;   /* NULL when down */
	const char *why;        /* it is lost */
	tstamp since, retry_at; /* the last attempt; not before */
	tstamp asked_at;        /* the first request it has said nothing after; never: none */
	bool probed;            /* and so a ping was sent */
	uint32_t observe;       /* of notifications */
	uint16_t mid;
	unsigned waiting;
	struct {
		uint16_t len;
		uint8_t data[DGRAM_MAX];
	} queue[PEER_QUEUE];
};

/* One client. */
struct guest {
	coap_session_t *coap; /* NULL: free */
	struct path path;
	uint8_t prefix[16];  /* of path.remote, masked */
	unsigned neighbours; /* with the same one, itself included */
	tstamp heard;
	size_t unread; /* bytes sent since it answered a ping */
	bool pinged, doomed;
	uint16_t mid;
};

/* Where clients come in: one place of [listen NAME]. */
struct gate {
	struct session_hub hub;
	struct addr bind;
	struct psk_list keys;
	coap_bin_const_t key; /* the one asked for last */
	struct guest *guests;
	unsigned max, capacity; /* at most max of capacity are in use */
	bool doomed;            /* some guest is */
};

struct session {
	struct uv_loop_s *loop;
	struct session_events events;
	struct session_hub servers;
	struct peer *peers[POLICY_SERVERS];
	struct gate *gates[PROXY_LISTENS];
	/* of a change, until it is committed */
	struct {
		struct peer *peers[POLICY_SERVERS];
		struct gate *gates[PROXY_LISTENS]; /* new ones, */
		struct gate *kept[PROXY_LISTENS];  /* and those that stay, maybe under another name */
		struct psk_list *keys[PROXY_LISTENS];
	} next;
	tstamp now;
	uint8_t message[DGRAM_MAX];
};

/* session.c's: */
unsigned session_version(void); /* of the libcoap that runs here, "4.3.1" as 4003001; 0: something else */
bool session_hub_open(struct session_hub *h, struct session *s);
void session_hub_close(struct session_hub *h);
/* One message as if it had come by UDP. */
void session_give(struct session *s, const struct path *from, struct bytes datagram);
void session_give_empty(struct session *s, const struct path *from, uint8_t type, uint16_t mid);
bool session_address(coap_address_t *out, const struct addr *a);
void session_address_of(struct addr *out, const coap_address_t *a, uint8_t carrier);
coap_proto_t session_protocol(uint8_t carrier);

/* session_peer.c's: */
struct peer *session_peer_create(struct session *s, const struct config *c, unsigned place, const char *config_path,
				 char *text, size_t size); /* NULL: text says why */
void session_peer_free(struct peer *p);
bool session_peer_is_same(const struct peer *a, const struct peer *b); /* the connection may go on */
void session_peer_send(struct peer *p, const struct msg *m, struct bytes datagram, tstamp now); /* m: the same */
void session_peer_settle(struct peer *p, tstamp now);
tstamp session_peer_due(const struct peer *p); /* when it is to be settled next */
void session_peer_event(coap_session_t *coap, coap_event_t event);
void session_peer_nack(coap_session_t *coap, coap_nack_reason_t reason, coap_mid_t mid);
void session_peer_pong(coap_session_t *coap);
void session_peer_response(coap_session_t *coap, const coap_pdu_t *pdu);

/* session_guest.c's: */
struct gate *session_gate_create(struct session *s, const struct config *c, unsigned place, const struct psk_list *keys,
				 char *text, size_t size); /* NULL: text says why */
void session_gate_free(struct gate *g);
void session_gate_limit(struct gate *g, unsigned max);
bool session_gate_send(struct gate *g, const struct path *to, const struct msg *m); /* false: no such guest */
void session_gate_settle(struct gate *g);
void session_gate_event(struct gate *g, coap_session_t *coap, coap_event_t event);
void session_gate_nack(struct gate *g, coap_session_t *coap, coap_nack_reason_t reason, coap_mid_t mid);
void session_gate_pong(struct gate *g, coap_session_t *coap);
#endif

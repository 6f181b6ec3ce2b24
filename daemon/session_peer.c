#include "session_impl.h"
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MAX (10 * TSTAMP_S)
#define RETRY_AFTER TSTAMP_S
#define SILENCE_MAX (60 * TSTAMP_S) /* after a request; then it is asked whether it is there */
#define ANSWER_MAX  (10 * TSTAMP_S)

static struct path path_of(const struct peer *p)
{
	return (struct path){ .leg = LEG_DEVICE, .remote = p->address };
}

/* Not from inside of libcoap: it goes on with the session afterwards. */
static void hang_up(struct peer *p)
{
	coap_session_t *coap = p->coap;

	p->coap = NULL;
	if (!coap)
		return;
	coap_session_set_app_data(coap, NULL);
	coap_session_disconnected(coap, COAP_NACK_NOT_DELIVERABLE);
	coap_session_release(coap);
}

static void lose(struct peer *p, const char *why, tstamp now)
{
	const struct path path = path_of(p);

	hang_up(p);
	p->state = PEER_DOWN;
	p->waiting = 0;
	p->asked_at = TSTAMP_NEVER;
	p->probed = false;
	p->retry_at = tstamp_add(now, RETRY_AFTER);
	p->session->events.failed(p->session->events.arg, p->place, why);
	p->session->events.unreachable(p->session->events.arg, &path);
}

/* The first reason is the true one. */
static void mark_lost(struct peer *p, const char *why)
{
	if (p->state != PEER_LOST)
		p->why = why;
	p->state = PEER_LOST;
}

/* It went away, or never let us in. */
static void mark_closed(struct peer *p, bool was_up)
{
	if (was_up)
		mark_lost(p, "it closed the connection");
	else if (p->psk.len > 0)
		mark_lost(p, "no handshake; is the key the right one?");
	else
		mark_lost(p, "it refused the connection");
}

static coap_fixed_point_t fixed_point(uint64_t ns)
{
	return (coap_fixed_point_t){ (uint16_t)(ns / TSTAMP_S), (uint16_t)(ns % TSTAMP_S / TSTAMP_MS) };
}

static coap_session_t *dial(struct peer *p)
{
	coap_dtls_cpsk_t psk = { .version = COAP_DTLS_CPSK_SETUP_VERSION };
	coap_context_t *coap = p->session->servers.coap;
	coap_proto_t protocol = session_protocol(p->address.carrier);
	coap_address_t to;

	if (!session_address(&to, &p->address))
		return NULL;
	if (p->psk.len == 0)
		return coap_new_client_session(coap, NULL, &to, protocol);
	psk.psk_info.identity.s = (const uint8_t *)p->psk.identity;
	psk.psk_info.identity.length = strlen(p->psk.identity);
	psk.psk_info.key.s = p->psk.key;
	psk.psk_info.key.length = p->psk.len;
	return coap_new_client_session_psk2(coap, NULL, &to, protocol, &psk);
}

static void connect_to(struct peer *p, tstamp now)
{
	p->state = PEER_CONNECTING;
	p->since = now;
	p->why = NULL;
	p->coap = dial(p);
	p->session->servers.stirred = true;
	if (!p->coap) {
		mark_lost(p, "it cannot be tried");
		return;
	}
	coap_session_set_app_data(p->coap, p);
	if (p->retransmit.max_retransmit > 0)
		coap_session_set_max_retransmit(p->coap, (uint16_t)p->retransmit.max_retransmit);
	coap_session_set_ack_timeout(p->coap, fixed_point(p->retransmit.ack_timeout));
}

/* False: libcoap would not take it. */
static bool transmit(struct peer *p, const struct msg *m)
{
	coap_pdu_t *pdu = session_message_to_pdu(m, m->type, m->mid);

	p->session->servers.stirred = true;
	return pdu && coap_send(p->coap, pdu) != COAP_INVALID_MID;
}

/* Given something to send before the connection is there, libcoap 4.3.4 would wait for it, and the whole daemon with it. */
static bool keep(struct peer *p, struct bytes datagram)
{
	if (p->waiting == PEER_QUEUE || datagram.len > sizeof p->queue[0].data)
		return false;
	p->queue[p->waiting].len = (uint16_t)datagram.len;
	memcpy(p->queue[p->waiting++].data, datagram.ptr, datagram.len);
	return true;
}

/* Empty messages are ours to swallow: a connection acknowledges by itself, and over TCP there are none. */
void session_peer_send(struct peer *p, const struct msg *m, struct bytes datagram, tstamp now)
{
	const struct path path = path_of(p);
	uint8_t type = m->type;
	uint16_t mid = m->mid;
	bool taken;

	if (m->code == MSG_EMPTY)
		return;
	if (p->state == PEER_DOWN && tstamp_reached(p->retry_at, now))
		connect_to(p, now);
	if (p->state == PEER_UP)
		taken = transmit(p, m);
	else
		taken = p->state != PEER_DOWN && keep(p, datagram);
	if (!taken) {
		session_give_empty(p->session, &path, MSG_RESET, mid);
		return;
	}
	if (p->asked_at == TSTAMP_NEVER)
		p->asked_at = now;
	if (type == MSG_CON)
		session_give_empty(p->session, &path, MSG_ACK, mid);
}

static void send_kept(struct peer *p)
{
	struct msg m;

	p->state = PEER_UP;
	for (unsigned i = 0; i < p->waiting && p->state == PEER_UP; i++) {
		if (msg_parse(&m, bytes_of(p->queue[i].data, p->queue[i].len)) == MSG_OK && !transmit(p, &m))
			mark_lost(p, "it does not take what it is sent");
	}
	p->waiting = 0;
}

/* A CoAP ping, of either kind (RFC 7252 §4.3, RFC 8323 §5.4): a server that lost its side of a DTLS session says nothing, ever. */
static void probe(struct peer *p)
{
	bool datagrams = p->address.carrier == ADDR_DTLS;
	coap_pdu_t *ping = coap_pdu_init(COAP_MESSAGE_CON, datagrams ? COAP_EMPTY_CODE : COAP_SIGNALING_CODE_PING,
					 coap_new_message_id(p->coap), 1);

	p->probed = true;
	p->session->servers.stirred = true;
	if (!ping || coap_send(p->coap, ping) == COAP_INVALID_MID)
		mark_lost(p, "it does not take what it is sent");
}

tstamp session_peer_due(const struct peer *p)
{
	if (p->state == PEER_CONNECTED || p->state == PEER_LOST)
		return p->since;
	if (p->state == PEER_CONNECTING)
		return tstamp_add(p->since, CONNECT_MAX);
	if (p->state == PEER_UP && p->asked_at != TSTAMP_NEVER)
		return tstamp_add(p->asked_at, SILENCE_MAX + (p->probed ? ANSWER_MAX : 0));
	return TSTAMP_NEVER;
}

void session_peer_settle(struct peer *p, tstamp now)
{
	if (p->state == PEER_CONNECTED)
		send_kept(p);
	else if (p->state == PEER_CONNECTING && tstamp_reached(session_peer_due(p), now))
		mark_lost(p, p->psk.len > 0 ? "no handshake within 10 s; is the key the right one?"
					    : "no connection within 10 s");
	else if (p->state == PEER_UP && p->probed && tstamp_reached(session_peer_due(p), now))
		mark_lost(p, "it is silent");
	else if (p->state == PEER_UP && tstamp_reached(session_peer_due(p), now))
		probe(p);
	if (p->state == PEER_LOST)
		lose(p, p->why, now);
}

static void hear(struct peer *p)
{
	p->asked_at = TSTAMP_NEVER;
	p->probed = false;
}

void session_peer_event(coap_session_t *coap, coap_event_t event)
{
	struct peer *p = coap_session_get_app_data(coap);
	bool up;

	if (!p)
		return;
	up = p->state == PEER_UP || p->state == PEER_CONNECTED;
	switch (event) {
	case COAP_EVENT_DTLS_CONNECTED:
		if (p->address.carrier == ADDR_DTLS && p->state == PEER_CONNECTING)
			p->state = PEER_CONNECTED;
		break;
	case COAP_EVENT_SESSION_CONNECTED:
		if (p->state == PEER_CONNECTING)
			p->state = PEER_CONNECTED;
		break;
	case COAP_EVENT_TCP_FAILED: mark_lost(p, "nobody listens there"); break;
	case COAP_EVENT_DTLS_ERROR:
	case COAP_EVENT_DTLS_CLOSED:
	case COAP_EVENT_TCP_CLOSED:
	case COAP_EVENT_SESSION_CLOSED:
	case COAP_EVENT_SESSION_FAILED: mark_closed(p, up); break;
	default: break;
	}
}

void session_peer_nack(coap_session_t *coap, coap_nack_reason_t reason, coap_mid_t mid)
{
	struct peer *p = coap_session_get_app_data(coap);
	struct path path;

	if (!p)
		return;
	path = path_of(p);
	switch (reason) {
	case COAP_NACK_RST:
		hear(p);
		session_give_empty(p->session, &path, MSG_RESET, (uint16_t)mid);
		break;
	case COAP_NACK_TOO_MANY_RETRIES: mark_lost(p, "it acknowledges nothing"); break;
	case COAP_NACK_ICMP_ISSUE: mark_lost(p, "nobody listens there"); break;
	default: mark_closed(p, p->state == PEER_UP); break;
	}
}

void session_peer_pong(coap_session_t *coap)
{
	struct peer *p = coap_session_get_app_data(coap);

	if (p)
		hear(p);
}

/* What comes is acknowledged, so the engine gets it as NON. */
void session_peer_response(coap_session_t *coap, const coap_pdu_t *pdu)
{
	struct peer *p = coap_session_get_app_data(coap);
	uint8_t buf[DGRAM_MAX];
	struct path path;
	struct bytes message;
	bool counts;

	if (!p)
		return;
	counts = p->address.carrier != ADDR_DTLS;
	path = path_of(p);
	hear(p);
	p->observe += counts;
	message = session_message_from_pdu(pdu, MSG_NON, p->mid, counts ? &p->observe : NULL, buf, sizeof buf);
	if (message.len == 0)
		message = session_message_refusal(pdu, MSG_NON, p->mid, MSG_BAD_GATEWAY, buf, sizeof buf);
	p->mid++;
	session_give(p->session, &path, message);
}

static bool read_key(struct peer *p, const struct config *c, const char *config_path, char *text, size_t size)
{
	const char *name = c->proxy.servers[p->place].name, *file = c->server_psk_files[p->place];
	char credential[PROXY_NAME + 16], why[256];

	if (!*file)
		return true;
	snprintf(credential, sizeof credential, "server-%s.psk", name);
	snprintf(p->psk.identity, sizeof p->psk.identity, "%s", c->server_identities[p->place]);
	p->psk.len = secrets_read(credential, file, config_path, p->psk.key, why, sizeof why);
	if (p->psk.len == 0)
		snprintf(text, size, "[server %s] psk-file: %s", name, why);
	return p->psk.len > 0;
}

struct peer *session_peer_create(struct session *s, const struct config *c, unsigned place, const char *config_path,
				 char *text, size_t size)
{
	struct peer *p = calloc(1, sizeof *p);

	if (!p) {
		snprintf(text, size, "out of memory");
		return NULL;
	}
	p->session = s;
	p->place = place;
	p->address = c->proxy.servers[place].address;
	p->retransmit = c->proxy.links[c->proxy.policy.servers[place].link].retransmit;
	p->asked_at = TSTAMP_NEVER;
	if (read_key(p, c, config_path, text, size))
		return p;
	session_peer_free(p);
	return NULL;
}

void session_peer_free(struct peer *p)
{
	if (!p)
		return;
	hang_up(p);
	explicit_bzero(&p->psk, sizeof p->psk);
	free(p);
}

bool session_peer_is_same(const struct peer *a, const struct peer *b)
{
	return addr_equal(&a->address, &b->address) && memcmp(&a->psk, &b->psk, sizeof a->psk) == 0 &&
	       a->retransmit.ack_timeout == b->retransmit.ack_timeout &&
	       a->retransmit.max_retransmit == b->retransmit.max_retransmit;
}

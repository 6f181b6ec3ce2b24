#include "session.h"
#include "session_impl.h"
#include "sockaddr.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define HAS_SERVERS_SINCE 4003001 /* 4.3.0 does not tell when a client comes or goes */
#define EATS_OSCORE_SINCE 4003002

unsigned session_version(void)
{
	unsigned major = 0, minor = 0, patch = 0;

	if (sscanf(coap_package_version(), "%*[^0-9]%u.%u.%u", &major, &minor, &patch) < 3 &&
	    sscanf(coap_package_version(), "%u.%u.%u", &major, &minor, &patch) < 3)
		return 0;
	return major * 1000000 + minor * 1000 + patch;
}

coap_proto_t session_protocol(uint8_t carrier)
{
	static const coap_proto_t protocols[] = { [ADDR_UDP] = COAP_PROTO_UDP,
						  [ADDR_DTLS] = COAP_PROTO_DTLS,
						  [ADDR_TCP] = COAP_PROTO_TCP,
						  [ADDR_TLS] = COAP_PROTO_TLS };

	return protocols[carrier];
}

bool session_address(coap_address_t *out, const struct addr *a)
{
	struct sockaddr_storage name;
	socklen_t len;

	coap_address_init(out);
	len = sockaddr_from(&name, a, addr_is_v4(a) ? AF_INET : AF_INET6);
	if (len > sizeof out->addr)
		return false;
	memcpy(&out->addr, &name, len);
	out->size = len;
	return true;
}

void session_address_of(struct addr *out, const coap_address_t *a, uint8_t carrier)
{
	struct sockaddr_storage name;

	memset(&name, 0, sizeof name);
	memcpy(&name, &a->addr, a->size < sizeof a->addr ? a->size : sizeof a->addr);
	memset(out, 0, sizeof *out);
	sockaddr_to(out, &name);
	out->carrier = carrier;
}

void session_give(struct session *s, const struct path *from, struct bytes datagram)
{
	const struct proxy_input in = { *from, datagram };

	if (datagram.len > 0)
		s->events.received(s->events.arg, &in, 1);
}

void session_give_empty(struct session *s, const struct path *from, uint8_t type, uint16_t mid)
{
	uint8_t buf[4];

	session_give(s, from, session_message_empty(type, mid, buf));
}

/* --- what libcoap calls ---------------------------------------------------------------------------------------- */

static struct session_hub *hub_of(const coap_session_t *coap)
{
	return coap_get_app_data(coap_session_get_context(coap));
}

static int on_event(coap_session_t *coap, const coap_event_t event)
{
	struct session_hub *h = hub_of(coap);

	if (h->gate)
		session_gate_event(h->gate, coap, event);
	else
		session_peer_event(coap, event);
	return 0;
}

static void on_nack(coap_session_t *coap, const coap_pdu_t *sent, const coap_nack_reason_t reason, const coap_mid_t mid)
{
	struct session_hub *h = hub_of(coap);

	(void)sent;
	if (h->gate)
		session_gate_nack(h->gate, coap, reason, mid);
	else
		session_peer_nack(coap, reason, mid);
}

static void on_pong(coap_session_t *coap, const coap_pdu_t *received, const coap_mid_t mid)
{
	struct session_hub *h = hub_of(coap);

	(void)received;
	(void)mid;
	if (h->gate)
		session_gate_pong(h->gate, coap);
	else
		session_peer_pong(coap);
}

static coap_response_t on_response(coap_session_t *coap, const coap_pdu_t *sent, const coap_pdu_t *received,
				   const coap_mid_t mid)
{
	(void)sent;
	(void)mid;
	if (!hub_of(coap)->gate)
		session_peer_response(coap, received);
	return COAP_RESPONSE_OK;
}

/* It would write to stderr. What matters comes as an event. */
static void say_nothing(coap_log_t level, const char *message)
{
	(void)level;
	(void)message;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct session_hub *h = poll->data;
	struct session *s = h->session;

	(void)status;
	(void)events;
	s->now = uv_hrtime();
	h->stirred = false;
	coap_io_process(h->coap, COAP_IO_NO_WAIT);
	s->events.received_all(s->events.arg);
}

static void on_closed(uv_handle_t *poll)
{
	free(poll);
}

static bool watch(struct session_hub *h)
{
	int fd = coap_context_get_coap_fd(h->coap);

	h->poll = fd < 0 ? NULL : calloc(1, sizeof *h->poll);
	if (!h->poll)
		return false;
	if (uv_poll_init(h->session->loop, h->poll, fd) != 0) {
		free(h->poll);
		h->poll = NULL;
		return false;
	}
	h->poll->data = h;
	return uv_poll_start(h->poll, UV_READABLE, on_readable) == 0;
}

bool session_hub_open(struct session_hub *h, struct session *s)
{
	h->session = s;
	h->coap = coap_new_context(NULL);
	if (!h->coap)
		return false;
	coap_set_app_data(h->coap, h);
	coap_register_event_handler(h->coap, on_event);
	coap_register_nack_handler(h->coap, on_nack);
	coap_register_pong_handler(h->coap, on_pong);
	coap_register_response_handler(h->coap, on_response);
	/* OSCORE is the others' business. Where libcoap makes it its own, a client hears 4.02 rather than nothing. */
	if (!h->gate || session_version() < EATS_OSCORE_SINCE)
		coap_register_option(h->coap, 9);
	coap_register_option(h->coap, 21); /* EDHOC (RFC 9668) */
#if LIBCOAP_VERSION >= HAS_SERVERS_SINCE
	coap_context_set_csm_max_message_size(h->coap, SESSION_MESSAGE_MAX);
#endif
	if (watch(h))
		return true;
	session_hub_close(h);
	return false;
}

void session_hub_close(struct session_hub *h)
{
	if (h->poll) {
		uv_poll_stop(h->poll);
		uv_close((uv_handle_t *)h->poll, on_closed);
	}
	if (h->coap)
		coap_free_context(h->coap);
	h->poll = NULL;
	h->coap = NULL;
}

/* --- what this libcoap can do ------------------------------------------------------------------------------------- */

static bool carries(uint8_t carrier)
{
	switch (carrier) {
	case ADDR_DTLS: return coap_dtls_is_supported();
	case ADDR_TCP: return coap_tcp_is_supported();
	case ADDR_TLS: return coap_tls_is_supported() && coap_tcp_is_supported();
	default: return true;
	}
}

static bool refuse(char *text, size_t size, const char *kind, const char *name, uint8_t carrier)
{
	static const char *const words[] = {
		[ADDR_UDP] = "UDP", [ADDR_DTLS] = "DTLS", [ADDR_TCP] = "TCP", [ADDR_TLS] = "TLS"
	};

	snprintf(text, size,
		 "[%s %s] needs %s, which this %s was built without: build coap-guardd with libcoap-3-openssl, "
		 "of Debian's libcoap3-dev or of a libcoap that was configured with OpenSSL",
		 kind, name, words[carrier], coap_package_version());
	return false;
}

static bool may_listen(const struct proxy_listen *l, char *text, size_t size)
{
	if (!addr_is_connected(&l->bind))
		return true;
	if (!carries(l->bind.carrier))
		return refuse(text, size, "listen", l->name, l->bind.carrier);
	if (LIBCOAP_VERSION >= HAS_SERVERS_SINCE && session_version() >= HAS_SERVERS_SINCE)
		return true;
	snprintf(text, size, "[listen %s] needs libcoap 4.3.1 or later for its transport; this is %s", l->name,
		 coap_package_version());
	return false;
}

bool session_fits(const struct config *c, char *text, size_t size)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (*c->proxy.listens[i].name && !may_listen(&c->proxy.listens[i], text, size))
			return false;
	}
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		const struct proxy_server *server = &c->proxy.servers[i];

		if (c->proxy.policy.servers[i].present && !carries(server->address.carrier))
			return refuse(text, size, "server", server->name, server->address.carrier);
	}
	return true;
}

const char *session_warning(const struct config *c)
{
	bool listens = false;

	for (unsigned i = 0; i < PROXY_LISTENS; i++)
		listens |= *c->proxy.listens[i].name && addr_is_connected(&c->proxy.listens[i].bind);
	if (!listens || session_version() < EATS_OSCORE_SINCE)
		return NULL;
	return "libcoap from 4.3.2 on lets no OSCORE through: clients that use it by DTLS, TCP or TLS hear 4.02";
}

const char *session_built_with(void)
{
	return LIBCOAP_PACKAGE_VERSION;
}

const char *session_runs_with(void)
{
	return coap_package_version();
}

/* --- a change of configuration -------------------------------------------------------------------------------------- */

static bool prepare_peers(struct session *s, const struct config *c, const char *config_path, char *text, size_t size)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (!c->proxy.policy.servers[i].present || !addr_is_connected(&c->proxy.servers[i].address))
			continue;
		s->next.peers[i] = session_peer_create(s, c, i, config_path, text, size);
		if (!s->next.peers[i])
			return false;
	}
	return true;
}

static bool read_keys(struct psk_list *keys, const struct config *c, unsigned place, const char *config_path,
		      char *text, size_t size)
{
	const struct proxy_listen *l = &c->proxy.listens[place];
	char name[PROXY_NAME + 16], why[256];

	if (!*c->listen_psk_files[place])
		return true;
	snprintf(name, sizeof name, "listen-%s.psk", l->name);
	if (psk_read(keys, name, c->listen_psk_files[place], config_path, why, sizeof why))
		return true;
	snprintf(text, size, "[listen %s] psk-file: %s", l->name, why);
	return false;
}

/* The one that listens there now, whatever its section is called. */
static struct gate *gate_at(const struct session *s, const struct addr *bind)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->gates[i] && addr_equal(&s->gates[i]->bind, bind))
			return s->gates[i];
	}
	return NULL;
}

static bool prepare_gate(struct session *s, const struct config *c, unsigned place, const char *config_path, char *text,
			 size_t size)
{
	s->next.keys[place] = calloc(1, sizeof *s->next.keys[place]);
	if (!s->next.keys[place]) {
		snprintf(text, size, "out of memory");
		return false;
	}
	if (!read_keys(s->next.keys[place], c, place, config_path, text, size))
		return false;
	s->next.kept[place] = gate_at(s, &c->proxy.listens[place].bind);
	if (s->next.kept[place])
		return true;
	s->next.gates[place] = session_gate_create(s, c, place, s->next.keys[place], text, size);
	return s->next.gates[place] != NULL;
}

static bool prepare_gates(struct session *s, const struct config *c, const char *config_path, char *text, size_t size)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		const struct proxy_listen *l = &c->proxy.listens[i];

		if (*l->name && addr_is_connected(&l->bind) && !prepare_gate(s, c, i, config_path, text, size))
			return false;
	}
	return true;
}

static bool needs_servers(const struct session *s)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (s->next.peers[i])
			return true;
	}
	return false;
}

bool session_prepare(struct session *s, const struct config *c, const char *config_path, char *text, size_t size)
{
	bool ok = prepare_peers(s, c, config_path, text, size) && prepare_gates(s, c, config_path, text, size);

	if (ok && needs_servers(s) && !s->servers.coap && !session_hub_open(&s->servers, s)) {
		snprintf(text, size, "%s cannot be started; does it lack epoll?", coap_package_version());
		ok = false;
	}
	if (!ok)
		session_abandon(s);
	return ok;
}

static void free_keys(struct session *s)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->next.keys[i])
			psk_wipe(s->next.keys[i]);
		free(s->next.keys[i]);
		s->next.keys[i] = NULL;
		s->next.kept[i] = NULL;
	}
}

void session_abandon(struct session *s)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		session_peer_free(s->next.peers[i]);
		s->next.peers[i] = NULL;
	}
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		session_gate_free(s->next.gates[i]);
		s->next.gates[i] = NULL;
	}
	free_keys(s);
}

static void commit_peer(struct session *s, unsigned i)
{
	struct peer *now = s->peers[i], *next = s->next.peers[i];

	s->next.peers[i] = NULL;
	if (now && next && session_peer_is_same(now, next)) {
		session_peer_free(next);
		return;
	}
	session_peer_free(now);
	s->peers[i] = next;
}

static bool is_kept(const struct session *s, const struct gate *g)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->next.kept[i] == g)
			return true;
	}
	return false;
}

static void commit_gates(struct session *s)
{
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->gates[i] && !is_kept(s, s->gates[i]))
			session_gate_free(s->gates[i]);
		s->gates[i] = NULL;
	}
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		s->gates[i] = s->next.kept[i] ? s->next.kept[i] : s->next.gates[i];
		s->next.gates[i] = NULL;
	}
}

/* Who is connected stays so: new keys are for new handshakes. */
static void renew_gate(struct session *s, const struct config *c, unsigned i)
{
	if (!s->gates[i])
		return;
	s->gates[i]->keys = *s->next.keys[i];
	session_gate_limit(s->gates[i], c->listen_sessions[i]);
}

void session_commit(struct session *s, const struct config *c)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		commit_peer(s, i);
	commit_gates(s);
	for (unsigned i = 0; i < PROXY_LISTENS; i++)
		renew_gate(s, c, i);
	free_keys(s);
}

/* --- traffic --------------------------------------------------------------------------------------------------------- */

static void send_to_server(struct session *s, const struct path *to, const struct msg *m, struct bytes datagram,
			   tstamp now)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (s->peers[i] && addr_equal(&s->peers[i]->address, &to->remote)) {
			session_peer_send(s->peers[i], m, datagram, now);
			return;
		}
	}
}

/* Who is gone wants nothing more, as a RST says; that ends observations, too (RFC 8323 §7.4). */
static void send_to_client(struct session *s, const struct path *to, const struct msg *m)
{
	bool wanted = m->type == MSG_CON || m->type == MSG_NON;

	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->gates[i] && s->gates[i]->bind.carrier == to->local.carrier &&
		    s->gates[i]->bind.port == to->local.port && session_gate_send(s->gates[i], to, m))
			return;
	}
	if (wanted && m->code != MSG_EMPTY)
		session_give_empty(s, to, MSG_RESET, m->mid);
}

/* A copy: to have an acknowledgement taken is a call of the engine, after which its datagram is no longer there. */
void session_send(struct session *s, const struct path *to, struct bytes datagram, tstamp now)
{
	const struct path path = *to;
	struct bytes copy = bytes_of(s->message, datagram.len);
	struct msg m;

	s->now = now;
	if (datagram.len > sizeof s->message)
		return;
	memcpy(s->message, datagram.ptr, datagram.len);
	if (msg_parse(&m, copy) != MSG_OK)
		return;
	if (path.leg == LEG_DEVICE)
		send_to_server(s, &path, &m, copy, now);
	else
		send_to_client(s, &path, &m);
}

/* Its timers run inside it; what was sent may have made a new one. */
static void calm(struct session_hub *h)
{
	if (!h->coap || !h->stirred)
		return;
	h->stirred = false;
	coap_io_process(h->coap, COAP_IO_NO_WAIT);
}

static tstamp next_due(const struct session *s)
{
	tstamp next = TSTAMP_NEVER;

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (s->peers[i])
			next = tstamp_min(next, session_peer_due(s->peers[i]));
	}
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (s->gates[i] && s->gates[i]->doomed)
			next = s->now;
	}
	return next;
}

tstamp session_settle(struct session *s, tstamp now)
{
	s->now = now;
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (s->peers[i])
			session_peer_settle(s->peers[i], now);
	}
	calm(&s->servers);
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (!s->gates[i])
			continue;
		session_gate_settle(s->gates[i]);
		calm(&s->gates[i]->hub);
	}
	return next_due(s);
}

int session_create(struct session **out, struct uv_loop_s *loop, const struct session_events *events)
{
	struct session *s = calloc(1, sizeof *s);

	*out = s;
	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->events = *events;
	coap_startup();
	coap_set_log_level((coap_log_t)0);
	coap_set_log_handler(say_nothing);
	return 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	session_abandon(s);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		session_peer_free(s->peers[i]);
		s->peers[i] = NULL;
	}
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		session_gate_free(s->gates[i]);
		s->gates[i] = NULL;
	}
	session_hub_close(&s->servers);
}

void session_free(struct session *s)
{
	free(s);
}

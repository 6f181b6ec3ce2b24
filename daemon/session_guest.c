#include "session_impl.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MAX_S  3600         /* observers may be silent for long */
#define UNREAD_PING (64 * 1024)  /* bytes after which a client must show that it reads what it is sent: */
#define UNREAD_MAX  (256 * 1024) /* libcoap keeps all it does not, */
#define UNREAD_EACH 128          /* with so many of its own */
#define PREFIX_V6   64
#define PREFIX_V4   120 /* /24 */

static bool is_stream(const struct gate *g)
{
	return g->bind.carrier != ADDR_DTLS;
}

static struct guest *guest_of(struct gate *g, const coap_session_t *coap)
{
	for (unsigned i = 0; i < g->capacity; i++) {
		if (g->guests[i].coap == coap)
			return &g->guests[i];
	}
	return NULL;
}

/* Counted as they come and go: to compare all with all for each that comes would be work that strangers order. */
static void count_in(struct gate *g, struct guest *of)
{
	struct addr a = of->path.remote;

	addr_mask(a.ip, addr_is_v4(&a) ? PREFIX_V4 : PREFIX_V6);
	memcpy(of->prefix, a.ip, sizeof of->prefix);
	of->neighbours = 1;
	for (unsigned i = 0; i < g->capacity; i++) {
		struct guest *x = &g->guests[i];

		if (x == of || !x->coap || memcmp(x->prefix, of->prefix, sizeof x->prefix) != 0)
			continue;
		x->neighbours++;
		of->neighbours++;
	}
}

static void leave(struct gate *g, struct guest *of)
{
	of->coap = NULL;
	for (unsigned i = 0; i < g->capacity; i++) {
		struct guest *x = &g->guests[i];

		if (x->coap && memcmp(x->prefix, of->prefix, sizeof x->prefix) == 0)
			x->neighbours--;
	}
}

static void show_out(struct gate *g, struct guest *x)
{
	coap_session_t *coap = x->coap;

	leave(g, x);
	coap_session_disconnected(coap, COAP_NACK_NOT_DELIVERABLE);
}

/* Of the prefix that has most, the one not heard of for longest: whoever opens many connections closes his own. */
static struct guest *least_wanted(struct gate *g)
{
	struct guest *least = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < g->capacity; i++) {
		struct guest *x = &g->guests[i];
		unsigned n = x->coap ? x->neighbours : 0;

		if (n > most || (n > 0 && n == most && x->heard < least->heard)) {
			least = x;
			most = n;
		}
	}
	return least;
}

static unsigned count_guests(const struct gate *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->capacity; i++)
		n += g->guests[i].coap != NULL;
	return n;
}

static void make_room(struct gate *g, unsigned max)
{
	while (count_guests(g) > max)
		show_out(g, least_wanted(g));
}

static void take_path(struct gate *g, struct guest *x)
{
	uint8_t carrier = g->bind.carrier;

	x->path.leg = LEG_CLIENT;
	session_address_of(&x->path.remote, coap_session_get_addr_remote(x->coap), carrier);
	session_address_of(&x->path.local, coap_session_get_addr_local(x->coap), carrier);
	if (addr_is_unspecified(&x->path.local))
		x->path.local = g->bind;
	x->path.local.port = g->bind.port;
}

static struct guest *welcome(struct gate *g, coap_session_t *coap)
{
	struct guest *x = guest_of(g, coap);

	if (x)
		return x;
	make_room(g, g->max - 1);
	x = guest_of(g, NULL);
	*x = (struct guest){ .coap = coap, .heard = g->hub.session->now };
	take_path(g, x);
	count_in(g, x);
	return x;
}

static void forget(struct gate *g, const coap_session_t *coap)
{
	struct guest *x = guest_of(g, coap);

	if (x)
		leave(g, x);
}

/* Over UDP anybody can say anything: only who completed the handshake is somebody. */
void session_gate_event(struct gate *g, coap_session_t *coap, coap_event_t event)
{
#if LIBCOAP_VERSION >= 4003001
	if (event == COAP_EVENT_SERVER_SESSION_DEL)
		forget(g, coap);
	else if (event == COAP_EVENT_SERVER_SESSION_NEW && is_stream(g))
		welcome(g, coap);
#endif
	switch (event) {
	case COAP_EVENT_DTLS_CONNECTED: welcome(g, coap); break;
	case COAP_EVENT_DTLS_CLOSED:
	case COAP_EVENT_DTLS_ERROR:
	case COAP_EVENT_TCP_CLOSED:
	case COAP_EVENT_SESSION_CLOSED:
	case COAP_EVENT_SESSION_FAILED: forget(g, coap); break;
	default: break;
	}
}

void session_gate_nack(struct gate *g, coap_session_t *coap, coap_nack_reason_t reason, coap_mid_t mid)
{
	struct guest *x = guest_of(g, coap);

	if (!x)
		return;
	if (reason == COAP_NACK_RST) {
		const struct path path = x->path;

		session_give_empty(g->hub.session, &path, MSG_RESET, (uint16_t)mid);
	} else {
		x->doomed = g->doomed = true;
	}
}

void session_gate_pong(struct gate *g, coap_session_t *coap)
{
	struct guest *x = guest_of(g, coap);

	if (!x)
		return;
	x->unread = 0;
	x->pinged = false;
}

/*
 * The answer is the engine's, and goes out later: an empty NON is what libcoap does not send, and so it does not acknowledge either. Over
 * TCP requests have no Message ID, and get one, so that what the engine remembers of them is told apart.
 */
static void on_request(coap_resource_t *resource, coap_session_t *coap, const coap_pdu_t *request,
		       const coap_string_t *query, coap_pdu_t *response)
{
	struct session_hub *h = coap_get_app_data(coap_session_get_context(coap));
	struct gate *g = h->gate;
	struct guest *x = welcome(g, coap);
	uint8_t buf[DGRAM_MAX];
	struct bytes message;
	struct path path;

	(void)resource;
	(void)query;
	x->heard = h->session->now;
	path = x->path;
	if (is_stream(g))
		message = session_message_from_pdu(request, MSG_CON, x->mid++, NULL, buf, sizeof buf);
	else
		message = session_message_from_pdu(request, (uint8_t)coap_pdu_get_type(request),
						   (uint16_t)coap_pdu_get_mid(request), NULL, buf, sizeof buf);
	if (message.len == 0) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_REQUEST_TOO_LARGE);
		return;
	}
	coap_pdu_set_type(response, COAP_MESSAGE_NON);
	session_give(h->session, &path, message);
}

/* A client that does not read must not make libcoap keep more and more. */
static void count_unread(struct guest *x, size_t len)
{
	coap_pdu_t *ping;

	x->unread += len;
	if (x->unread < UNREAD_PING || x->pinged)
		return;
	x->pinged = true;
	ping = coap_pdu_init(COAP_MESSAGE_CON, COAP_SIGNALING_CODE_PING, 0, 1);
	if (ping)
		coap_send(x->coap, ping);
}

static bool transmit(struct gate *g, struct guest *x, const struct msg *m)
{
	coap_pdu_t *pdu = is_stream(g) ? session_message_to_pdu(m, MSG_CON, coap_new_message_id(x->coap))
				       : session_message_to_pdu(m, m->type, m->mid);

	g->hub.stirred = true;
	return pdu && coap_send(x->coap, pdu) != COAP_INVALID_MID;
}

/* Over TCP nothing is acknowledged, and libcoap answers pings. */
static bool is_needless(const struct gate *g, const struct msg *m)
{
	return m->code == MSG_EMPTY && (is_stream(g) || m->type != MSG_ACK);
}

static struct guest *guest_at(struct gate *g, const struct addr *remote)
{
	for (unsigned i = 0; i < g->capacity; i++) {
		if (g->guests[i].coap && addr_equal(&g->guests[i].path.remote, remote))
			return &g->guests[i];
	}
	return NULL;
}

bool session_gate_send(struct gate *g, const struct path *to, const struct msg *m)
{
	struct guest *x = guest_at(g, &to->remote);
	uint16_t mid = m->mid;
	bool confirmable = m->type == MSG_CON;

	if (!x)
		return false;
	if (is_needless(g, m))
		return true;
	if (!transmit(g, x, m)) {
		x->doomed = g->doomed = true;
		return false;
	}
	if (is_stream(g))
		count_unread(x, UNREAD_EACH + m->token.len + m->options.len + m->payload.len);
	if (x->unread > UNREAD_MAX)
		x->doomed = g->doomed = true;
	if (confirmable)
		session_give_empty(g->hub.session, to, MSG_ACK, mid);
	return true;
}

void session_gate_settle(struct gate *g)
{
	if (!g->doomed)
		return;
	g->doomed = false;
	for (unsigned i = 0; i < g->capacity; i++) {
		if (g->guests[i].coap && g->guests[i].doomed)
			show_out(g, &g->guests[i]);
	}
	g->hub.stirred = true;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static const coap_bin_const_t *on_identity(coap_bin_const_t *identity, coap_session_t *coap, void *arg)
{
	struct gate *g = arg;
	const struct psk *p = psk_find(&g->keys, identity->s, identity->length);

	(void)coap;
	if (!p)
		return NULL;
	g->key = (coap_bin_const_t){ p->len, p->key };
	return &g->key;
}

static bool set_keys(struct gate *g)
{
	coap_dtls_spsk_t psk = { .version = COAP_DTLS_SPSK_SETUP_VERSION,
				 .validate_id_call_back = on_identity,
				 .id_call_back_arg = g };

	return g->bind.carrier == ADDR_TCP || coap_context_set_psk2(g->hub.coap, &psk);
}

#if LIBCOAP_VERSION >= 4003001
#define ON_METHOD coap_register_request_handler
#else
#define ON_METHOD coap_register_handler
#endif

static bool take_all(struct gate *g, coap_resource_t *r)
{
	if (!r)
		return false;
	for (int method = COAP_REQUEST_GET; method <= COAP_REQUEST_IPATCH; method++)
		ON_METHOD(r, (coap_request_t)method, on_request);
	coap_add_resource(g->hub.coap, r);
	return true;
}

/* Whatever is asked for. libcoap would answer for .well-known/core, and wants to know which proxied hosts it is itself: any. */
static bool add_resources(struct gate *g)
{
	const char *any = "";

	return take_all(g, coap_resource_unknown_init(on_request)) &&
	       take_all(g, coap_resource_proxy_uri_init(on_request, 1, &any)) &&
	       take_all(g, coap_resource_init(coap_make_str_const(".well-known/core"), 0));
}

static bool open_gate(struct gate *g, struct session *s)
{
	coap_address_t at;

	g->hub.gate = g;
	if (!session_hub_open(&g->hub, s))
		return false;
	coap_context_set_session_timeout(g->hub.coap, IDLE_MAX_S);
	errno = 0;
	return set_keys(g) && add_resources(g) && session_address(&at, &g->bind) &&
	       coap_new_endpoint(g->hub.coap, &at, session_protocol(g->bind.carrier)) != NULL;
}

/* A stream's port is one listener's; the old one keeps it until the new configuration is in force. */
static const char *advice(const struct session *s, const struct gate *g, int error)
{
	for (unsigned i = 0; i < PROXY_LISTENS && error == EADDRINUSE; i++) {
		if (s->gates[i] && is_stream(s->gates[i]) && s->gates[i]->bind.port == g->bind.port)
			return "; the running configuration has the port, so this needs a restart";
	}
	return "";
}

/* The table is as large as it can ever be: a reload allocates nothing for those who are connected. */
struct gate *session_gate_create(struct session *s, const struct config *c, unsigned place, const struct psk_list *keys,
				 char *text, size_t size)
{
	const struct proxy_listen *l = &c->proxy.listens[place];
	struct gate *g = calloc(1, sizeof *g);
	char address[ADDR_TEXT];
	int error;

	if (g)
		g->guests = calloc(CONFIG_SESSIONS, sizeof *g->guests);
	if (!g || !g->guests) {
		session_gate_free(g);
		snprintf(text, size, "out of memory");
		return NULL;
	}
	g->bind = l->bind;
	g->keys = *keys;
	g->capacity = CONFIG_SESSIONS;
	g->max = c->listen_sessions[place];
	if (open_gate(g, s))
		return g;
	error = errno;
	snprintf(text, size, "[listen %s] cannot listen on %s: %s%s", l->name, addr_format(&l->bind, address),
		 error ? strerror(error) : "libcoap refuses", advice(s, g, error));
	session_gate_free(g);
	return NULL;
}

void session_gate_free(struct gate *g)
{
	if (!g)
		return;
	session_hub_close(&g->hub);
	psk_wipe(&g->keys);
	free(g->guests);
	free(g);
}

void session_gate_limit(struct gate *g, unsigned max)
{
	g->max = max;
	make_room(g, max);
	g->hub.stirred = true;
}

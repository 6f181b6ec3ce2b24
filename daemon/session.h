/*
 * session: the legs that are not plain UDP: CoAP over DTLS, TCP and TLS, by libcoap's sessions. The engine goes on speaking datagrams:
 * what it sends to an address with a carrier is handed over, and what comes back looks like a datagram again. A connection retransmits
 * by itself, so what is handed over counts as acknowledged.
 */
#ifndef SESSION_H
#define SESSION_H
#include "base/bytes.h"
#include "base/path.h"
#include "base/tstamp.h"

struct config;
struct proxy_input;
struct session;
struct uv_loop_s;

struct session_events {
	void (*received)(void *arg, const struct proxy_input *in, unsigned n); /* as udp's, and so the next two */
	void (*received_all)(void *arg);
	void (*unreachable)(void *arg, const struct path *to);
	/* No connection with the server at that place, or no longer. */
	void (*failed)(void *arg, unsigned server, const char *why);
	void *arg;
};

/* Is all that it asks for in the libcoap that runs here? False: text says what is not, and who has it. */
bool session_fits(const struct config *c, char *text, size_t size);
/* What is there, but not all that one may think; NULL: nothing to say. */
const char *session_warning(const struct config *c);

/* Opens nothing. 0 or -errno. */
int session_create(struct session **out, struct uv_loop_s *loop, const struct session_events *events);
void session_close(struct session *s); /* NULL is harmless to both */
void session_free(struct session *s);  /* when the loop has turned once more */

/* As udp's: prepare reads keys and opens what is new; then commit or abandon. False: text says why, and nothing changed. */
bool session_prepare(struct session *s, const struct config *c, const char *config_path, char *text, size_t size);
void session_commit(struct session *s, const struct config *c);
void session_abandon(struct session *s);

void session_send(struct session *s, const struct path *to, struct bytes datagram, tstamp now);
/* Does what is due. Returns when it wants to be called again. */
tstamp session_settle(struct session *s, tstamp now);

const char *session_built_with(void); /* version of libcoap */
const char *session_runs_with(void);
#endif

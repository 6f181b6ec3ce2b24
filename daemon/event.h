/* event: what the daemon tells of. The one table of it: the journal's fields and the manual come from here. */
#ifndef EVENT_H
#define EVENT_H
#include <stddef.h>

/* name, word, MESSAGE_ID, meaning. An id never changes: people search for it (systemd.journal-fields(7)). */
#define EVENTS(X)                                                                                                      \
	X(STARTED, "started", "5752301599a9fbbc93854af6d6f14331", "it listens, and the service manager knows")         \
	X(STOPPED, "stopped", "80093a339bbf9819500e4ba2089be263", "a clean end")                                       \
	X(FAILED, "failed", "e1232b9795b75a755d7ea86369dbd655", "it cannot start or go on, and ends")                  \
	X(RELOADED, "reloaded", "5c1d1dce5f1fcdb4d88ac83d00cc82ac", "a new configuration is in force")                 \
	X(RELOAD_FAILED, "reload-failed", "2fb2b2b8e67ec9b90547d120e8d5aa4d",                                          \
	  "the new configuration is no good, and the old one stays in force")                                          \
	X(CONFIG_ERROR, "config-error", "5ec604181e5af20fa561a9f33ab1d6db", "one thing that is wrong with it")         \
	X(REFUSALS, "refusals", "6cb46b3fe7a96530fb3007087366f501",                                                    \
	  "how many requests a server was spared in 30 s; COAP_REASON is the most frequent one")                       \
	X(GUESSES, "guesses", "95f7343f36df45e1b8f306d368e6f6b9",                                                      \
	  "more than 100 responses a minute in the name of devices that nobody asked for: somebody may be guessing")   \
	X(VERDICT, "verdict", "3dc098590fcc347d2b1e7b137ee561a2", "one request, judged; with log-level debug only")    \
	X(FORGOTTEN, "forgotten", "5edc31d031f3bcb2673202a5cb732915",                                                  \
	  "somebody ordered that an address be forgotten (coap-guardctl forget)")                                      \
	X(CONTEXT_REFUSED, "context-refused", "3d0d452a97999a824e7450a0e86586e6",                                      \
	  "an OSCORE context does not work; the guard goes on without it")                                             \
	X(CONTEXT_RENEWED, "context-renewed", "1d22266676fa4b09223624a34db5d151",                                      \
	  "somebody ordered a context new or reset")                                                                   \
	X(STATE_UNWRITTEN, "state-unwritten", "83bebfa7c72e627389937ccdc5fe5e1c",                                      \
	  "what must survive a restart did not get to disk; it is tried again")                                        \
	X(STATE_WRITTEN, "state-written", "642b0c33795b36d983c8faa47633eddb", "and now it did")                        \
	X(CONTROL_LIMITED, "control-limited", "e5314822a49448f269114c4f271635f3",                                      \
	  "the control socket could not be given to its group")                                                        \
	X(SESSION_FAILED, "session-failed", "8c1f0e6d5b1a4c0f9d3e7a2b64f80c15",                                        \
	  "no connection, or no longer, with a server that is reached by DTLS, TCP or TLS; the next request tries "    \
	  "again")                                                                                                     \
	X(LISTEN_LIMITED, "listen-limited", "b7d2f94c3e0a45d18a6c51e02f7b93d4",                                        \
	  "a transport that libcoap offers not all of")                                                                \
	X(LINES_LOST, "lines-lost", "51c2d63acdac9becdee185f6a01250b7",                                                \
	  "more different messages at once than are told apart; so many were not written")

enum event_kind {
	EVENT_NONE, /* a line by itself */
#define X(name, word, id, text) EVENT_##name,
	EVENTS(X)
#undef X
		EVENT_COUNT
};

/* What or whom it is about. */
#define EVENT_FIELDS(X)                                                                                                \
	X(SERVER, "COAP_SERVER", "name of the [server NAME] section")                                                  \
	X(CONTEXT, "COAP_CONTEXT", "name of the [context NAME] section")                                               \
	X(PEER, "COAP_PEER", "address of a client")                                                                    \
	X(REASON, "COAP_REASON", "reason of the verdict, a word of the tables in docs/guard.md")

enum event_field {
#define X(name, key, text) FIELD_##name,
	EVENT_FIELDS(X)
#undef X
		FIELD_COUNT
};

struct event {
	enum event_kind kind;
	const char *fields[FIELD_COUNT]; /* NULL: it has none such */
};

/* A copy that needs nobody else's strings; longer ones are cut. */
struct event_copy {
	enum event_kind kind;
	char fields[FIELD_COUNT][64];
};

const char *event_word(enum event_kind k); /* "" for EVENT_NONE, and so the next two */
const char *event_id(enum event_kind k);
const char *event_text(enum event_kind k);
const char *event_field_key(enum event_field f);
const char *event_field_text(enum event_field f);

void event_copy(struct event_copy *out, const struct event *e);
/* e points into the copy. */
void event_view(struct event *e, const struct event_copy *copy);
#endif

/* verdict: what the guard found, and why. The one table of reasons: counters, logs, traces and manual come from it. */
#ifndef VERDICT_H
#define VERDICT_H
#include <stdbool.h>
#include <stdint.h>

/* Ways into a link, in order of priority. */
#define VERDICT_LANES(X)                                                                                               \
	X(CONTROL, "control", "the guard's own acknowledgements and resets")                                           \
	X(AUTHENTICATED, "authenticated", "one of our OSCORE layers came off")                                         \
	X(TRUSTED, "trusted", "relation in good standing")                                                             \
	X(MOVED, "moved", "known relation, not yet or no longer sure")                                                 \
	X(REACHABLE, "reachable", "stranger who proved return-routability")                                            \
	X(UNKNOWN, "unknown", "stranger, nothing proven")

enum lane {
#define X(name, word, text) LANE_##name,
	VERDICT_LANES(X)
#undef X
		LANE_COUNT
};

#define VERDICT_ACTIONS(X)                                                                                             \
	X(FORWARD, "forward")                                                                                          \
	X(QUEUE, "queue")                                                                                              \
	X(PING, "ping")                                                                                                \
	X(CHALLENGE, "challenge")                                                                                      \
	X(THROTTLE, "throttle")                                                                                        \
	X(REJECT, "reject")                                                                                            \
	X(DROP, "drop")

enum verdict_action {
#define X(name, word) VERDICT_##name,
	VERDICT_ACTIONS(X)
#undef X
		VERDICT_ACTION_COUNT
};

#define VERDICT_REASONS(X)                                                                                             \
	X(OPEN, "open", "the server's mode is open")                                                                   \
	X(SHARED, "shared", "the server's mode is throttle: one bucket for all")                                       \
	X(AUTHENTICATED, "authenticated", "unprotected by one of our own OSCORE contexts")                             \
	X(NOT_AUTHENTICATED, "not-authenticated", "this server wants a layer of one of our own OSCORE contexts")       \
	X(TRUSTED, "trusted", "relation in good standing")                                                             \
	X(TENTATIVE, "tentative", "relation the device has accepted, not often enough yet")                            \
	X(MOVED, "moved", "known relation at a new endpoint that proved return-routability")                           \
	X(REACHABLE, "reachable", "stranger who proved return-routability")                                            \
	X(UNKNOWN, "unknown", "stranger; the unknown budget had room")                                                 \
	X(PLAIN_ALLOWED, "plain-allowed", "plain request, which this server allows")                                   \
	X(FOLLOW_UP, "follow-up", "later outer block of an admitted request")                                          \
	X(BUDGET_SPENT, "budget-spent", "the server's unknown budget is spent")                                        \
	X(PREFIX_RATE, "prefix-rate", "the client's prefix is over its rate")                                          \
	X(RELATION_RATE, "relation-rate", "the relation is over its own rate")                                         \
	X(ECHO_STALE, "echo-stale", "the Echo value is stale or foreign")                                              \
	X(SEQ_FAR, "seq-far", "Partial IV implausibly far above the highest accepted")                                 \
	X(SEQ_REUSED, "seq-reused", "Partial IV seen before, with another token")                                      \
	X(DOUBTED, "doubted", "somebody spoofs this relation; each request needs a fresh proof")                       \
	X(NEIGHBOUR, "neighbour", "unknown kid at the endpoint of a relation being spoofed")                           \
	X(MOVED_UNPROVEN, "moved-unproven", "known relation at a new, unproven endpoint")                              \
	X(HANDSHAKE, "handshake", "follows the first message of a key exchange, and does not wait")                    \
	X(HANDSHAKE_BUSY, "handshake-busy", "one handshake at a time per server")                                      \
	X(PLAIN_DENIED, "plain-denied", "this server takes no request without OSCORE")                                 \
	X(QUEUE_FULL, "queue-full", "no place left in the newcomers' queue")

enum verdict_reason {
#define X(name, word, text) REASON_##name,
	VERDICT_REASONS(X)
#undef X
		REASON_COUNT
};

const char *verdict_lane_word(enum lane l);
const char *verdict_lane_text(enum lane l);
const char *verdict_action_word(enum verdict_action a);
const char *verdict_reason_word(enum verdict_reason r);
const char *verdict_reason_text(enum verdict_reason r);

struct guard_ticket {
	uint32_t slot, generation; /* names a table entry without a pointer; generation 0: no ticket */
};

struct verdict {
	enum verdict_action action;
	enum verdict_reason reason;
	enum lane lane;
	uint32_t retry_after_s;     /* Max-Age of a 4.29 */
	bool retransmit;            /* may be sent again towards the device */
	bool hold;                  /* with PING: keep the request, the answer proves it */
	bool unscheduled;           /* mode open: the link's bucket does not apply */
	bool proven;                /* the client's address is known to be its own */
	struct guard_ticket ticket; /* with FORWARD and QUEUE: guard_report settles it */
};
#endif

/*
 * engine: a whole proxy in a bottle: a seeded generator, virtual time, and two legs that end in the
 * test. Tests are scripts of lines (engine_play):
 *
 *   a> CON 0.01 7d34 #20 Uri-Path:lamp      client a sends (messages are those of msgtext.h)
 *   lamp< CON 0.01 * #*                     the device gets; * matches any Message ID, #* any token
 *   lamp> ACK 2.05 $ #$ !on                 $ and #$: those of the last datagram this peer got
 *   a< ACK 2.05 7d34 #20 !on
 *   wait 1500ms                             timers run (ms, s, min, h)
 *   quiet                                   nothing was sent that no line took
 *   quiet a                                 nothing to this one
 *   prove a                                 a answers two pings (nothing else is kept meanwhile)
 *   flush                                   what was sent is none of our business
 *
 * Observe=* is any number: what several clients observe has numbers of the guard's own. Request-Tag=* is any tag.
 *
 * *x and #*x keep what they match under a letter, $x and #$x are it again. Echo=* and Echo=$
 * likewise, per peer.
 *
 * Watched all the time: the link's budget (I4), and what goes to addresses that are not their
 * sender's (I3): those in 2001:db8:bad::/48, where nobody proves anything.
 */
#ifndef ENGINE_H
#define ENGINE_H
#include "proxy/core.h"

struct engine_sent {
	struct path to;
	tstamp at;
	uint16_t len;
	uint8_t buf[DGRAM_MAX];
};

struct engine_peer {
	char name[24];
	struct path path;
	char mid[8], token[2048], echo[96]; /* of the last datagram it got */
};

struct engine_account {
	struct addr who;
	uint64_t in, out; /* whole frames */
};

#define ENGINE_OUT      4096
#define ENGINE_PEERS    160
#define ENGINE_ACCOUNTS 8192

struct engine {
	struct rng rng;
	uint64_t seed;
	struct proxy *proxy;
	struct proxy_config cfg;
	tstamp now;
	struct engine_sent *out;
	unsigned n_out;
	void (*sink)(struct engine *e, const struct engine_sent *s); /* takes it all; NULL: kept for the lines */
	void *sink_arg;
	struct engine_peer *peers;
	unsigned n_peers;
	struct engine_account *accounts; /* of spoofed addresses */
	double level[POLICY_LINKS];      /* bytes in the model of each link's bucket */
	tstamp level_at[POLICY_LINKS];
	char saved_mid[26][8], saved_token[26][64];
	uint64_t to_device, to_client;
	char action[16], reason[24], lane[16]; /* the last verdict */
	uint64_t verdicts;
	uint64_t seals, opens, failed_opens; /* what the keys of our contexts did */
};

/*
 * Servers lamp, door (by path; door may be reached by Proxy-Uri) and hall (by host, and also
 * forward); one link, one listener [2001:db8::53]:5683. As careful as the daemon's defaults.
 */
struct proxy_config engine_careful(void);
/* The same with budgets and a link that no test exhausts by accident. */
struct proxy_config engine_roomy(void);
/* All servers in mode open: proven clients, retransmission, no link. */
struct proxy_config engine_open(void);

struct engine *engine_start(const struct proxy_config *cfg);
/* Lets everything time out first, and checks that nothing is left: exchanges, packets, tickets. */
void engine_stop(struct engine *e);

/* Clients a..h exist: [2001:db8:1::a]:40001, [2001:db8:2::b]:40002 and so on; x and y are spoofed: [2001:db8:bad::x]. */
struct engine_peer *engine_peer(struct engine *e, const char *name);
struct engine_peer *engine_client(struct engine *e, const char *name, const char *address);
struct path engine_path(const char *address); /* of a client */

void engine_play_lines(struct engine *e, const char *const *lines, size_t n, const char *file, int line);
#define ENGINE_PLAY(e, ...)                                                                                            \
	do {                                                                                                           \
		static const char *const lines_[] = { __VA_ARGS__ };                                                   \
		engine_play_lines(e, lines_, sizeof lines_ / sizeof *lines_, __FILE__, __LINE__);                      \
	} while (0)
/* One line, as by printf. */
void engine_line(struct engine *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

void engine_receive(struct engine *e, const struct path *from, struct bytes datagram);
/* The client answers two pings: proven. What was sent meanwhile is dropped. */
void engine_prove(struct engine *e, const char *peer);
void engine_wait(struct engine *e, uint64_t ns);
/* The oldest datagram to this peer that no line took; NULL: none. It is taken. */
const struct engine_sent *engine_take(struct engine *e, const char *peer);
uint64_t engine_random(struct engine *e);
#endif

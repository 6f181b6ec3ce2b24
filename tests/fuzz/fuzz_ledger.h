/*
 * fuzz_ledger: what the fuzzed engine has sent, counted once more by somebody else: bytes to addresses that are nobody's (I3), bytes into
 * each link (I4), what strangers made devices receive, and nonces under each key, over all lives of the guard.
 */
#ifndef FUZZ_LEDGER_H
#define FUZZ_LEDGER_H
#include "guard/state.h"
#include "proxy/proxy.h"

#define FUZZ_SPOOFED 4
#define FUZZ_LINKS   3
#define FUZZ_NONCES  16384
#define FUZZ_PLACES  6 /* of servers */

struct fuzz_ledger {
	struct {
		struct addr who;
		uint64_t in, out; /* whole frames */
	} spoofed[FUZZ_SPOOFED];
	struct {
		struct linksched_config cfg;
		double level; /* bytes in the bucket */
		tstamp at;
	} links[FUZZ_LINKS];
	struct {
		uint64_t charged, sent; /* units */
		struct {
			tstamp day;
			uint32_t used;
		} seen[BUDGETS];
	} strangers[FUZZ_PLACES];
	struct {
		uint64_t nonce, text; /* hashes; 0: free */
	} nonces[FUZZ_NONCES];
};

/* These addresses never prove anything. */
void fuzz_ledger_open(struct fuzz_ledger *l, const struct addr spoofed[FUZZ_SPOOFED]);
/* Each of the rest returns what is wrong, or NULL. */
const char *fuzz_ledger_in(struct fuzz_ledger *l, const struct addr *from, size_t len);
const char *fuzz_ledger_out(struct fuzz_ledger *l, const struct addr *to, struct bytes datagram);
/* A link that changes begins with a full bucket here: that is never less than it has. */
const char *fuzz_ledger_link(struct fuzz_ledger *l, uint8_t link, const struct linksched_config *cfg, size_t len,
			     tstamp now);
/* What strangers were charged so far. Call before and after whatever may charge or give back. */
void fuzz_ledger_charge(struct fuzz_ledger *l, uint8_t server, const struct guard_server_state *s);
/* A device received these units of a stranger whom it has not accepted. */
const char *fuzz_ledger_stranger(struct fuzz_ledger *l, uint8_t server, uint32_t units);
/* The guard has started anew. */
void fuzz_ledger_refill(struct fuzz_ledger *l);
/*
 * The guard sealed `text` in that context, under a number of its own or under that of the request. The same text again is a copy.
 */
const char *fuzz_ledger_nonce(struct fuzz_ledger *l, uint8_t context, bool own, uint64_t number, struct bytes text);
#endif

/* state: everything the guard knows, in one struct that its rooms share; nobody else includes it. */
#ifndef STATE_H
#define STATE_H
#include "guard/budget.h"
#include "guard/guard.h"
#include "guard/handshakes.h"
#include "guard/inflight.h"
#include "guard/newcomers.h"
#include "guard/peers.h"
#include "guard/ping.h"
#include "guard/ratelimit.h"
#include "guard/replies.h"
#include "guard/reach.h"
#include "guard/seqtrack.h"

#define GUARD_DOUBT    (60 * TSTAMP_S) /* how long a spoofed relation is doubted, a spoofed endpoint wary */
#define GUARD_PATIENCE (45 * TSTAMP_S) /* MAX_TRANSMIT_SPAN: how long a client repeats a CON by itself */
/* tries of moved relations at one server; a guesser of kids gets no more */
#define GUARD_MOVED     ((struct rate){ 1, TSTAMP_S })
#define GUARD_MOVED_MAX 10
#define GUARD_NEAR      4 /* Partial IVs this near the highest are the next ones */
#define GUARD_INCIDENTS 1024
#define GUARD_GUESSES   64 /* wrong answers to pings a prefix may give in a minute */
#define GUARD_FORGERIES 64 /* messages under our kids a prefix may have tried in vain in a minute */

enum guard_lane_budget { BUDGET_UNKNOWN, BUDGET_REACHABLE, BUDGETS };

struct guard_server_state {
	struct budget budgets[BUDGETS];
	struct bucket moved; /* requests of relations at endpoints that are not theirs yet */
	uint32_t moved_used; /* of unknown-budget, since moved_day */
	tstamp moved_day;
	struct budget_config cost;
	struct handshakes handshakes;
	uint64_t verdicts[VERDICT_ACTION_COUNT][REASON_COUNT];
	uint64_t lanes[LANE_COUNT];
	uint64_t outcomes[OUTCOME_CANCELLED + 1];
};

/* What pays for strangers in that lane. */
static inline struct budget *state_budget(struct guard_server_state *s, enum lane lane)
{
	return &s->budgets[lane == LANE_UNKNOWN ? BUDGET_UNKNOWN : BUDGET_REACHABLE];
}

/* Until a newcomer who proved himself may go, whatever his request costs. */
static inline uint64_t state_newcomer_wait(const struct guard_server_state *s, enum budget_kind k, tstamp now)
{
	return budget_borrow_wait(&s->budgets[BUDGET_REACHABLE], &s->cost, k, now);
}

struct guard {
	struct policy policy;
	struct siphash_key hash_key, ping_key;
	struct echo_key echo_key;
	struct reputation *reputation;
	struct seqtrack *seqtrack;
	struct reach *reach;
	struct inflight *inflight;
	struct newcomers *newcomers;
	struct ratelimit *requests; /* of unproven sources */
	struct replies replies;     /* to any prefix */
	struct ratelimit *guesses;  /* wrong answers to pings */
	/* messages under our kids that were not authentic; [1]: of proven addresses, which others can forge no more */
	struct ratelimit *forgeries[2];
	struct peers peers;
	struct guard_server_state servers[POLICY_SERVERS];
	struct guard_ticket *waiting; /* by ref: the ticket of a queued newcomer */
	uint32_t refs;
	struct guard_incident incidents[GUARD_INCIDENTS];
	uint32_t next_incident;
	uint8_t numbers[POLICY_SERVERS]; /* by which relations' hashes know the servers; each is there once */
	uint64_t changes;                /* of what guard_hint_next tells */
	uint64_t pings, pongs, pongs_wrong, echoes_made, echoes_valid, echoes_stale, echoes_foreign;
};

#endif

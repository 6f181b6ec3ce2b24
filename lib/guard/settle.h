/* settle: what an outcome does to standing, sequence record, proofs and budgets. Only the ticket's facts are used. */
#ifndef SETTLE_H
#define SETTLE_H
#include "guard/state.h"

/* True: accepted, and news. The ticket is closed by the caller. */
bool settle_outcome(struct guard *g, const struct inflight_request *in, enum guard_outcome outcome, tstamp now);
/* These units of what was charged are given back to who paid. */
void settle_refund(struct guard *g, const struct inflight_request *in, uint32_t units);
#endif

/*
 * budget: what strangers may cost one server. Counted in cost units, per rate and per day. Half of the rate belongs to
 * handshakes, half to all other requests; what one kind leaves over when its half is full, the other may take.
 */
#ifndef BUDGET_H
#define BUDGET_H
#include "base/bucket.h"

enum budget_kind { BUDGET_REQUEST, BUDGET_HANDSHAKE, BUDGET_KINDS };

struct budget_config {
	struct rate rate;        /* units, both kinds together */
	uint32_t per_day;        /* units */
	uint32_t handshake_cost; /* units; any other request costs 1 */
};

struct budget {
	struct bucket half[BUDGET_KINDS];
	tstamp day; /* start of the current one */
	uint32_t used;
};

uint32_t budget_cost(const struct budget_config *c, enum budget_kind k);
bool budget_take(struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now);
/* Nanoseconds until budget_take would succeed; 0: now. */
uint64_t budget_wait(const struct budget *b, const struct budget_config *c, enum budget_kind k, tstamp now);
void budget_refund(struct budget *b, const struct budget_config *c, enum budget_kind k);
/* Units left of the day. */
uint32_t budget_left(const struct budget *b, const struct budget_config *c, tstamp now);
#endif

#include "guard/pace.h"
#include <assert.h>
#include <string.h>

/*
 * A request that is never answered says something about itself; two of different clients say something about the device. So whoever
 * doubted waits himself, and so do lanes below his; of his own lane one other flow may try.
 */
static bool concerns(const struct pace_lane *l, unsigned lane, const struct pace_sender *s)
{
	return l->doubted && (lane < s->lane || l->confirmed || l->doubter == s->flow);
}

bool pace_heard(struct pace *p, tstamp now)
{
	bool doubted = false;

	p->heard = now;
	for (unsigned i = 0; i < LANE_COUNT; i++)
		doubted |= p->lanes[i].doubted;
	if (doubted)
		memset(p->lanes, 0, sizeof p->lanes);
	return doubted;
}

void pace_sent(struct pace *p, const struct pace_sender *s, uint64_t bytes, struct rate probing, tstamp now)
{
	struct pace_lane *l = &p->lanes[s->lane];

	assert(s->lane < LANE_COUNT);
	l->paid = tstamp_add(now, rate_duration(probing, bytes));
	l->confirmed |= l->doubted && l->doubter != s->flow;
}

void pace_unanswered(struct pace *p, const struct pace_sender *s, uint64_t waited, tstamp now)
{
	struct pace_lane *l = &p->lanes[s->lane];

	if (tstamp_since(p->heard, now) < waited)
		return;
	l->confirmed |= l->doubted && l->doubter != s->flow;
	if (!l->doubted)
		l->doubter = s->flow;
	l->doubted = true;
}

void pace_given_up(struct pace *p, const struct pace_sender *s, uint64_t waited, tstamp now)
{
	pace_unanswered(p, s, waited, now);
	p->lanes[s->lane].silent |= tstamp_since(p->heard, now) >= waited;
}

uint64_t pace_wait(const struct pace *p, const struct pace_sender *s, tstamp now)
{
	bool limited = false;
	tstamp paid = 0;

	for (unsigned i = 0; i <= s->lane; i++) {
		const struct pace_lane *l = &p->lanes[i];

		limited |= concerns(l, i, s) && (l->silent || !s->again);
		if (l->paid > paid)
			paid = l->paid;
	}
	return limited ? tstamp_since(now, paid) : 0;
}

bool pace_is_silent(const struct pace *p, const struct pace_sender *s)
{
	bool silent = false;

	for (unsigned i = 0; i <= s->lane; i++)
		silent |= concerns(&p->lanes[i], i, s) && p->lanes[i].silent;
	return silent;
}

enum pace_state pace_state(const struct pace *p)
{
	enum pace_state worst = p->heard ? PACE_ANSWERS : PACE_UNHEARD;

	for (unsigned i = 0; i < LANE_COUNT; i++)
		if (p->lanes[i].doubted && worst != PACE_SILENT)
			worst = p->lanes[i].silent ? PACE_SILENT : PACE_DOUBTED;
	return worst;
}

const char *pace_state_word(enum pace_state s)
{
	static const char *const words[PACE_STATES] = { "unheard", "answers", "doubted", "silent" };

	return words[s];
}

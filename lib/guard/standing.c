#include "guard/standing.h"

/* policy: standing x event -> standing. REFUSED_PROVEN from tentative ends the relation: its endpoint is reachable. */
static const struct standing_step steps[STANDINGS][STANDING_EVENTS] = {
	[STANDING_UNKNOWN] = {
		[EVENT_PROOF] = { STANDING_REACHABLE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_SILENT] = { STANDING_UNKNOWN, false, false },
	},
	[STANDING_REACHABLE] = {
		[EVENT_PROOF] = { STANDING_REACHABLE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_UNKNOWN, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_REACHABLE, false, false },
		[EVENT_SILENT] = { STANDING_REACHABLE, false, false },
	},
	[STANDING_TENTATIVE] = {
		[EVENT_PROOF] = { STANDING_TENTATIVE, false, false },
		[EVENT_ACCEPTED] = { STANDING_TRUSTED, false, true },
		[EVENT_REFUSED_PROVEN] = { STANDING_REACHABLE, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_TENTATIVE, true, false },
		[EVENT_SILENT] = { STANDING_TENTATIVE, false, false },
	},
	[STANDING_TRUSTED] = {
		[EVENT_PROOF] = { STANDING_TRUSTED, false, false },
		[EVENT_ACCEPTED] = { STANDING_TRUSTED, false, false },
		[EVENT_REFUSED_PROVEN] = { STANDING_TENTATIVE, false, false },
		[EVENT_REFUSED_UNPROVEN] = { STANDING_TRUSTED, true, false },
		[EVENT_SILENT] = { STANDING_TRUSTED, false, false },
	},
};

struct standing_step standing_step(enum standing from, enum standing_event e)
{
	return steps[from][e];
}

const char *standing_word(enum standing s)
{
	static const char *const words[] = { "unknown", "reachable", "tentative", "trusted" };

	return words[s];
}

const char *standing_event_word(enum standing_event e)
{
	static const char *const words[] = { "proof", "accepted", "refused with proof", "refused without proof",
					     "silent" };

	return words[e];
}

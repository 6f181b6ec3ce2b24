/* standing: how far an endpoint or a relation is trusted, and which event changes that. One table is the graph. */
#ifndef STANDING_H
#define STANDING_H
#include <stdbool.h>
#include <stdint.h>

/* unknown and reachable are standings of an endpoint (reach.h); tentative and trusted are a relation's. */
enum standing { STANDING_UNKNOWN, STANDING_REACHABLE, STANDING_TENTATIVE, STANDING_TRUSTED, STANDINGS };

enum standing_event {
	EVENT_PROOF,
	EVENT_ACCEPTED,
	EVENT_REFUSED_PROVEN,
	EVENT_REFUSED_UNPROVEN,
	EVENT_SILENT,
	STANDING_EVENTS
};

struct standing_step {
	uint8_t to;     /* enum standing */
	bool doubted;   /* from now on each request needs a fresh proof, for a while */
	bool after_run; /* only when enough of its requests were accepted */
};

/* The one table of the standings graph. */
struct standing_step standing_step(enum standing from, enum standing_event e);
const char *standing_word(enum standing s);
const char *standing_event_word(enum standing_event e);
#endif

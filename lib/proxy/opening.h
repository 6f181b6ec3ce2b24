/* opening: how an exchange begins: what is remembered of its request, and what of that goes up. */
#ifndef OPENING_H
#define OPENING_H
#include "proxy/request.h"

enum opening {
	OPENING_DONE,
	OPENING_NO_ROOM,   /* no place in a table */
	OPENING_NO_LAYER,  /* the next hop's context does not work */
	OPENING_BAD_OPTION /* an option that nobody who puts on a layer may let pass */
};

/* At once. The ticket is settled when it fails. */
enum opening opening_forward(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now);
/* In its turn, as one of the waiting newcomers. */
/* rq's client follows a subject that is there already. */
enum opening opening_join(struct proxy *p, const struct request *rq, struct exchange *subject, bool proven, tstamp now);
/* It observes no more what it follows under this token. Harmless if it follows nobody. */
void opening_leave(struct proxy *p, const struct request *rq, tstamp now);
enum opening opening_queue(struct proxy *p, const struct request *rq, const struct verdict *v, tstamp now);
/* A waiting newcomer whose turn has come. */
void opening_launch(struct proxy *p, struct exchange *x, tstamp now);
#endif

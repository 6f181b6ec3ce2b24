/*
 * location: where a server says that something is now, as those must ask for it who see the server under a path of the guard's own
 * (RFC 7252 §5.10.7).
 */
#ifndef LOCATION_H
#define LOCATION_H
#include "coap/edits.h"

/* A path, in plain, in an answer to what may have made or changed something. A query alone is of the path that was asked for. */
bool location_is_told(const struct msg *m);
/* The path behind the prefix "a/b". False, and nothing is done: nobody can ask for it. */
bool location_move(struct edits *e, const struct msg *m, const char *prefix);
/* Nothing is said of where. */
void location_drop(struct edits *e);
#endif

/* snapshot_contexts: what may be seen of the guard's own OSCORE contexts from outside; no key, and no byte of a message. */
#ifndef SNAPSHOT_CONTEXTS_H
#define SNAPSHOT_CONTEXTS_H
#include "proxy/snapshot.h"

void snapshot_contexts_metrics(const struct proxy *p, const struct snapshot_metrics *sink);
/* Sentences on contexts that are not well. */
void snapshot_contexts_why(const struct proxy *p, const struct snapshot_sink *sink);
#endif

/* snapshot_sharing: what may be seen of the cache, of answers shared, and of servers that are silent or know no blocks. */
#ifndef SNAPSHOT_SHARING_H
#define SNAPSHOT_SHARING_H
#include "proxy/snapshot.h"

void snapshot_sharing_metrics(const struct proxy *p, const struct snapshot_metrics *sink, tstamp now);
#endif

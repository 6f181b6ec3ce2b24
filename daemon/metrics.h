/* metrics: the Prometheus text exposition (version 0.0.4). */
#ifndef METRICS_H
#define METRICS_H
#include "answer.h"

struct daemon;

void metrics_write(const struct daemon *d, struct answer *out, tstamp now);
#endif

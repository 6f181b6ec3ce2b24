/* response: the device leg, step by step: to which request does it belong, what did the guard learn, who gets it. */
#ifndef RESPONSE_H
#define RESPONSE_H
#include "proxy/core.h"

void response_receive(struct proxy *p, const struct path *from, const struct msg *m, tstamp now);
#endif

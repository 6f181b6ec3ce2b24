/* response: the device leg, step by step: to which request does it belong, what did the guard learn, who gets it. */
#ifndef RESPONSE_H
#define RESPONSE_H
#include "proxy/core.h"

/* x's client is told this, in the place of what the device says; x ends if that was all. */
void response_deliver(struct proxy *p, struct exchange *x, const struct msg *m, bool observing, tstamp now);
/*
 * x's client is owed an acknowledgement: it gets what was gathered so far for it, if it can ask for the rest itself. False: it cannot. x may
 * have ended.
 */
bool response_hasten(struct proxy *p, struct exchange *x, tstamp now);
void response_receive(struct proxy *p, const struct path *from, const struct msg *m, tstamp now);
#endif

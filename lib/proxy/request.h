/* request: the client leg, step by step: known already? for whom? may it? then off it goes. */
#ifndef REQUEST_H
#define REQUEST_H
#include "proxy/core.h"

void request_receive(struct proxy *p, const struct path *from, struct bytes datagram, const struct msg *m, tstamp now);
/* The client answered a ping: the request that was kept for it is judged again. */
void request_resume(struct proxy *p, const struct path *from, tstamp now);
/* A waiting newcomer whose turn has come. */
void request_launch(struct proxy *p, struct exchange *x, tstamp now);
#endif

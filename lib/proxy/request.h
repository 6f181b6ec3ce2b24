/* request: the client leg, step by step: known already? for whom? may it? then off it goes. */
#ifndef REQUEST_H
#define REQUEST_H
#include "proxy/proxy_impl.h"

void request_receive(struct proxy *p, const struct path *from, struct bytes datagram, const struct msg *m, tstamp now);
/* The client answered a ping: the request that was kept for it is judged again. */
void request_resume(struct proxy *p, const struct path *from, tstamp now);
/* A waiting newcomer whose turn has come. */
void request_launch(struct proxy *p, struct exchange *x, tstamp now);
/* 5.03 to the client of x, and x is gone. */
void request_unavailable(struct proxy *p, struct exchange *x, enum proxy_fault why, tstamp now);
/* 5.04, and x is gone; the guard hears that the device was silent. */
void request_timed_out(struct proxy *p, struct exchange *x, tstamp now);
/* Any other failure of the device leg. */
void request_failed(struct proxy *p, struct exchange *x, uint8_t code, enum proxy_fault why, tstamp now);
#endif

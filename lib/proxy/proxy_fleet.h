/* proxy_fleet: Echo values that are good at every guard of one network. */
#ifndef PROXY_FLEET_H
#define PROXY_FLEET_H
#include "guard/echo.h"
#include "proxy/proxy.h"

#define PROXY_FLEET_SKEW ECHO_SKEW /* by so much the clocks of a fleet may differ */

/*
 * secret is only read. wall: ns since 1970, now; what decides later is the monotonic clock. The guards must agree on the secret, on the
 * lifetime of keys, and on the time. False: the cryptographic library failed, and nothing has changed.
 */
bool proxy_fleet_join(struct proxy *p, struct bytes secret, uint64_t wall, tstamp now);
/* Back to a key of our own, a new one. Values given out before are foreign now. */
void proxy_fleet_leave(struct proxy *p, tstamp now);
#endif

/* errand: fetches the rest of a response, block by block, for an exchange whose client is proven (RFC 7959 §2.4). */
#ifndef ERRAND_H
#define ERRAND_H
#include "proxy/core.h"

/* m is the beginning of x's response. True: there is more, and it is on its way. False: m is all that x gets. */
bool errand_begin(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now);
/* The device answered errand e. WHOLE and BROKEN: the errand is over; x->pieces has what was gathered. */
enum pieces_result errand_answered(struct proxy *p, struct exchange *e, const struct msg *m, tstamp now);
/* No more is fetched for x, and what was gathered is forgotten. Harmless if there is nothing. */
void errand_end(struct proxy *p, struct exchange *x, tstamp now);
#endif

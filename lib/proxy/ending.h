/* ending: how an exchange ends, well or not. The guard hears of it, the client gets a last word, nothing stays. */
#ifndef ENDING_H
#define ENDING_H
#include "proxy/core.h"

/* Settles x's ticket, if that is still open: what came of it, and what was never sent. As guard_report. */
bool ending_report(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now);
/* Gives back everything x holds and closes it; `outcome` settles its ticket if that is still open. */
void ending_drop(struct proxy *p, struct exchange *x, enum guard_outcome outcome, tstamp now);
/* 5.03 to the client of x: it never reached the device. */
void ending_unavailable(struct proxy *p, struct exchange *x, enum fault why, tstamp now);
/* The same, for the reason that upstream left in x, and with when to come again. */
void ending_refused(struct proxy *p, struct exchange *x, tstamp now);
/* 5.04: the device was silent. */
void ending_timed_out(struct proxy *p, struct exchange *x, tstamp now);
/* Any other failure of the device leg. */
void ending_failed(struct proxy *p, struct exchange *x, uint8_t code, enum fault why, tstamp now);
#endif

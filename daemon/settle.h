/* settle: from what the files say to a configuration: places for sections, values for keys,
 * defaults for the rest. */
#ifndef SETTLE_H
#define SETTLE_H
struct draft;

/* Fills *d->c. Complains of values, not yet of how they go together: that is rules.c. */
void settle_draft(struct draft *d);
#endif

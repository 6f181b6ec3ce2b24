/* settle: makes a configuration of a draft: places for sections, values or defaults for keys. */
#ifndef SETTLE_H
#define SETTLE_H
struct draft;

/* Fills *d->c. Complains of values, not yet of how they go together: that is rules.c. */
void settle_draft(struct draft *d);
#endif

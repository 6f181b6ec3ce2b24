/* completion: makes a configuration of a draft: places for sections, values or defaults for keys. */
#ifndef COMPLETION_H
#define COMPLETION_H
struct draft;

/* Fills *d->c. Complains of values, not yet of how they go together: that is rules.c. */
void completion_of(struct draft *d);
#endif

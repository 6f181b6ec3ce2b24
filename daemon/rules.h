/* rules: how the keys of a configuration must go together, and with the configuration in use. */
#ifndef RULES_H
#define RULES_H
struct draft;

void rules_check(struct draft *d);
#endif

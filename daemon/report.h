/* report: all that helps somebody else to understand a guard, on one page, and nothing he must not know. */
#ifndef REPORT_H
#define REPORT_H
#include <stdio.h>

/* path: of the control socket. 0, or an exit status; what can be said without the daemon is said all the same. */
int report_print(const char *path, FILE *out);
#endif

/* enquiry: asks a running daemon one thing over its control socket. */
#ifndef ENQUIRY_H
#define ENQUIRY_H
#include "table.h"

/*
 * The body of the answer, inside *reply, which the caller frees in any case. NULL: why was said on
 * stderr, and *code is the exit status: 1 the daemon refused, 69 it cannot be reached.
 */
char *enquiry_ask(const char *path, const char *request, char **reply, int *code);

/* The same for a table: 0, or the exit status. The caller frees *reply and the table in any case.
 */
int enquiry_table(const char *path, const char *request, char **reply, struct table *t);
#endif

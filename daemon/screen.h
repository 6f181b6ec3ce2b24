/* screen: all that matters about a running daemon on one screen. */
#ifndef SCREEN_H
#define SCREEN_H
#include <stdbool.h>
#include <stdio.h>

/* path: of the control socket. 0, or an exit status whose reason was said on stderr. */
int screen_print(const char *path, FILE *out, bool colour);
int screen_json(const char *path, FILE *out);
#endif

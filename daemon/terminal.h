/* terminal: a whole screen for a while, one key at a time; whatever ends the program gives the old screen back. */
#ifndef TERMINAL_H
#define TERMINAL_H
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct terminal {
	bool screen, keys; /* output is a terminal; input is, too */
	int signals;
	struct termios before;
};

/* SIGINT, SIGTERM and SIGHUP are kept for terminal_wait. False: no descriptors. */
bool terminal_open(struct terminal *t);
void terminal_close(struct terminal *t);

/* Shows the lines from the upper left corner on, as many and as much of them as there is room for. */
void terminal_show(const struct terminal *t, const char *text);
/* False: somebody wants to end it: q, Ctrl-C or a signal. */
bool terminal_wait(const struct terminal *t, unsigned seconds);

/* How many bytes of the line fit into so many columns; sequences that set colours take none. */
size_t terminal_clip(const char *line, size_t columns);
#endif

/* top: a running daemon in motion: links, servers, contexts and the busiest reasons, with rates since the last look. */
#ifndef TOP_H
#define TOP_H
#include <stdbool.h>

struct top_pace {
	unsigned count; /* looks; 0: until q or Ctrl-C */
	unsigned delay_s;
};

/* On a terminal it has the whole screen; else looks follow each other. 0, or an exit status whose reason was said on stderr. */
int top_run(const char *path, const struct top_pace *pace, bool colour);
#endif

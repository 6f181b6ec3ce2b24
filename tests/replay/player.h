/* player: a recorded trace fed through the engine again, and every verdict compared; see replay.c. */
#ifndef PLAYER_H
#define PLAYER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PLAYER_WHY 256

struct player_result {
	unsigned verdicts, differences;
	unsigned line;        /* of what is wrong */
	char why[PLAYER_WHY]; /* empty: all of it was played */
};

struct player_options {
	const char *name; /* of the trace, in what is printed */
	bool verbose;     /* all differences, not only the first ten */
	bool quiet;       /* none */
	size_t memory;    /* bytes that its configuration may ask for at most; 0: any */
};

/* Reads `in` to its end. False: it is no trace, and out->why says what is wrong; what was found until then counts. */
bool player_play(FILE *in, const struct player_options *o, struct player_result *out);
#endif

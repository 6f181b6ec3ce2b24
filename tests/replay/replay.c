/*
 * replay: feeds recorded traces through the engine again and compares every verdict.
 *
 *   replay [-v] FILE.trace ...
 *
 * Inputs go in at their recorded times; timers run in between as they would have. What the engine draws at random
 * (tokens, Message IDs, Echo values) differs from the recording, so the n-th datagram sent to a peer now stands for
 * the n-th one sent to it then, and what the peer sent back is translated accordingly. The first differing verdict of a
 * file is shown with both readings; exit code 1.
 */
#include "player.h"
#include <stdlib.h>
#include <string.h>

static unsigned replay_file(const char *file, bool verbose)
{
	const struct player_options options = { .name = file, .verbose = verbose };
	struct player_result result;
	FILE *in = fopen(file, "r");
	bool good;

	if (!in) {
		perror(file);
		exit(2);
	}
	good = player_play(in, &options, &result);
	fclose(in);
	if (!good) {
		fprintf(stderr, "%s:%u: %s\n", file, result.line, result.why);
		exit(2);
	}
	printf("%s: %u verdicts, %u differ\n", file, result.verdicts, result.differences);
	return result.differences + (result.verdicts == 0);
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	unsigned differences = 0;

	for (int i = 1 + verbose; i < argc; i++)
		differences += replay_file(argv[i], verbose);
	return differences != 0 || argc < 2;
}

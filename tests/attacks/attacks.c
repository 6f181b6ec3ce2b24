/* attacks: attacks [ID [SCALE]]: stages that one, or says which there are. Exit 1 if a figure is outside its limit. */
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	const struct attack *const families[] = { flood_attacks, standing_attacks, proof_attacks, layer_attacks,
						  wire_attacks,  store_attacks,    bug_attacks };

	setvbuf(stdout, NULL, _IONBF, 0); /* its buffer is no part of what is measured */
	for (unsigned f = 0; f < sizeof families / sizeof *families; f++)
		for (const struct attack *a = families[f]; a->id; a++) {
			struct lab l = { .id = a->id, .scale = argc > 2 ? atof(argv[2]) : 1 };

			if (argc < 2) {
				puts(a->id);
			} else if (strcmp(argv[1], a->id) == 0) {
				a->run(&l);
				return l.failed;
			}
		}
	if (argc < 2)
		return 0;
	fprintf(stderr, "attacks: no %s\n", argv[1]);
	return 64;
}

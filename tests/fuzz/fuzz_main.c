/* fuzz_main: plays the files of a corpus through a fuzz target when libFuzzer is not there. */
#include "fuzz_target.h"
#include <string.h>

/* A copy that ends where it ends, as libFuzzer's do. */
static int play_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_room(size);
	int failed;

	memcpy(copy, data, size);
	failed = LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return failed;
}

static int play(const char *path)
{
	static uint8_t data[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return 1;
	}
	n = fread(data, 1, sizeof data, f);
	fclose(f);
	fprintf(stderr, "%s: %zu bytes\n", path, n);
	return play_copy(data, n);
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	if (failed)
		fprintf(stderr, "usage: %s FILE...\n", argv[0]);
	for (int i = 1; i < argc; i++)
		failed |= play(argv[i]);
	return failed;
}

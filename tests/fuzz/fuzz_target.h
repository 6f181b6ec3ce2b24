/* fuzz_target: the one function a fuzz target is; libFuzzer or fuzz_main calls it. It aborts on what must not be. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* Never fails: a target has no use for a machine without memory. */
static inline void *fuzz_room(size_t size)
{
	void *room = malloc(size ? size : 1);

	if (!room)
		fuzz_fail("memory", __FILE__, __LINE__);
	return room;
}
#endif

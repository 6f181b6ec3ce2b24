/* fuzz_scratch: a directory of this process alone, for what a target must find on disk. It is gone at the end. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H
#include "base/bytes.h"

#define FUZZ_SCRATCH 64 /* longest path, but for what is in it */

/* In memory if the machine has such a place. The same at each call. */
const char *fuzz_scratch(void);
/* The path of something in it; good until the fourth call from now. */
const char *fuzz_scratch_at(const char *name);
void fuzz_scratch_put(const char *name, struct bytes content); /* a file, readable by its owner alone */
void fuzz_scratch_make(const char *name);                      /* a directory */
/* At most cap bytes of a file; length 0 with ptr NULL: there is none. */
struct bytes fuzz_scratch_get(const char *name, uint8_t *out, size_t cap);
/* All files of that directory, if it is there; not what is below it. */
void fuzz_scratch_empty(const char *name);
#endif

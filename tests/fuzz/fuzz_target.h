/* fuzz_target: the one function a fuzz target is; libFuzzer or fuzz_main calls it. It aborts on what must not be. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif

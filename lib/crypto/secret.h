/* secret: how bytes are treated that nobody else may learn. */
#ifndef SECRET_H
#define SECRET_H
#include <stdbool.h>
#include <stddef.h>

void secret_wipe(void *at, size_t len);                      /* not optimized away */
bool secret_equal(const void *a, const void *b, size_t len); /* in constant time */
#endif

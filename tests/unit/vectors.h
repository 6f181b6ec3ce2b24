/* vectors: a crude reader of the JSON under tests/vectors: named arrays of objects, and their
 * members as text. */
#ifndef VECTORS_H
#define VECTORS_H
#include "base/bytes.h"

/* The whole file, from $VECTORS or tests/vectors; the caller frees it. Fails the test when it
 * cannot be read. */
char *vectors_load(const char *file);
/* The place behind "name": of an object; NULL: no such member. Looks at that object's own members
 * only. */
const char *vectors_member(const char *object, const char *name);
/* The first element of an array (NULL: empty), and the one behind an element (NULL: the last). */
const char *vectors_first(const char *array);
const char *vectors_next(const char *element);
/* A string member, unescaped only as far as these files need; NULL: absent or null. out holds
 * `cap`. */
const char *vectors_text(const char *object, const char *name, char *out, size_t cap);
/* A string member in hex; length 0 with ptr NULL: absent or null. */
struct bytes vectors_bytes(const char *object, const char *name, uint8_t *out, size_t cap);
long vectors_number(const char *object, const char *name);
bool vectors_true(const char *object, const char *name);
#endif

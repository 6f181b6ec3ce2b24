/* near: which of the words that are known was meant by a mistyped one. */
#ifndef NEAR_H
#define NEAR_H

#define NEAR_MAX 24 /* longer words are never compared; where *nearest begins */

/* Keeps in *best what begins with `word`, or is about a third of its letters away from it, or less. */
void near_consider(const char *word, const char *known, const char **best, unsigned *nearest);
#endif

/* shells: what makes bash, zsh and fish complete the words of both programs. */
#ifndef SHELLS_H
#define SHELLS_H
#include <stdbool.h>
#include <stdio.h>

/* False: no such shell. */
bool shells_print(const char *shell, FILE *out);
#endif

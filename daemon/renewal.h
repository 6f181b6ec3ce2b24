/* renewal: what a person may order about a context's state: that it begins, or that it goes on as well as it can. */
#ifndef RENEWAL_H
#define RENEWAL_H
#include "contexts.h"

/* Begins the state of a key that has none. text: what happened, or why not. */
bool renewal_new(struct contexts *x, const char *name, tstamp now, char text[CONTEXTS_TEXT]);
/* Goes on with what is known of the key, or begins anew if that is nothing. text as above. */
bool renewal_reset(struct contexts *x, const char *name, tstamp now, char text[CONTEXTS_TEXT]);
#endif

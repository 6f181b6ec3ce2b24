/*
 * psk: who may shake hands with the guard: identities and their pre-shared keys, read from a file with a line for each. A line is an
 * identity, a blank, and the key in hexadecimal; "#" begins a comment.
 */
#ifndef PSK_H
#define PSK_H
#include "secrets.h"
#include <stdbool.h>

#define PSK_MAX      64 /* identities of one list */
#define PSK_IDENTITY 64 /* bytes, NUL included */

struct psk {
	char identity[PSK_IDENTITY];
	uint8_t key[SECRETS_MAX];
	size_t len;
};

struct psk_list {
	unsigned count;
	struct psk list[PSK_MAX];
};

/* As secrets_read. False: why says it, and *l is wiped. */
bool psk_read(struct psk_list *l, const char *name, const char *file, const char *config_path, char *why, size_t size);
/* What a file says. False: why begins with the number of a line, and *l is wiped. */
bool psk_parse(struct psk_list *l, const char *text, size_t len, char *why, size_t size);
/* NULL: nobody we know. */
const struct psk *psk_find(const struct psk_list *l, const uint8_t *identity, size_t len);
void psk_wipe(struct psk_list *l);
#endif

/* context_key: a context's Master Secret and what it is known by; as short as can be in memory. */
#ifndef CONTEXT_KEY_H
#define CONTEXT_KEY_H
#include "config.h"
#include "secrets.h"

struct context_key {
	uint8_t secret[SECRETS_MAX];
	size_t len;
	uint8_t print[OSCORE_PRINT];
	/* Of what protects our messages: two contexts with one would use its nonces twice (RFC 8613 §3.3). */
	uint8_t sender[OSCORE_PRINT];
};

/* Of the context at a place. False: why says it, and *k is wiped. */
bool context_key_read(struct context_key *k, const struct config *c, const char *config_path, unsigned place, char *why,
		      size_t size);
void context_key_wipe(struct context_key *k);
#endif

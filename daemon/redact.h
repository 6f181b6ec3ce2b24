/*
 * redact: texts that a stranger may read: addresses and identifiers become numbers, the same ones each time, so that who is who can still
 * be followed, and nothing else can be learnt.
 */
#ifndef REDACT_H
#define REDACT_H
#include <stdint.h>
#include <stdio.h>

#define REDACT_HOSTS 1024 /* what comes later is only said to be one */
#define REDACT_NAMES 256
#define REDACT_NAME  80

struct redact {
	unsigned hosts, nets, names, hidden;
	struct redact_host {
		uint8_t ip[16];
		unsigned net, number;
	} host[REDACT_HOSTS];
	char name[REDACT_NAMES][REDACT_NAME];
};

/* The text, every address in it replaced by <ip6-net1-host2> or <ip4-net3-host1>: net is a /64 or a /24. Loopback and "any" remain. */
void redact_text(struct redact *r, const char *text, FILE *out);
/* A word of a kind, such as "kid": <kid-3>. */
void redact_word(struct redact *r, const char *kind, const char *word, FILE *out);
/* A configuration as coap-guardd --dump-config prints it: addresses as above, identifiers, salts and host names gone. */
void redact_config(struct redact *r, const char *text, FILE *out);
#endif

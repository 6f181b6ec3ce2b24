/*
 * hintfile: what is known of clients, as a file.
 *
 *   coap-guard-hints 1
 *   saved 1763781000                       seconds since 1970
 *   key 000102...                          by which the hashes below were made
 *   server 0 lamp                          the number of a server, and its name
 *   client 0 9a07... 4f1c... 17 ffff 42 1 07 [2001:db8::1]:40001
 *                                          server, hash of the relation, of its endpoint; highest Partial IV the server accepted, those
 *                                          below it; seconds since it was heard of; length of its kid, the first bytes; its address
 *   end 0badc0de                           CRC-32 of all lines above
 *
 * Whoever can write it can make a few clients tentative. It names who talked to whom: its directory is private.
 */
#ifndef HINTFILE_H
#define HINTFILE_H
#include "proxy/proxy_hint.h"
#include <stdio.h>

#define HINTFILE_CLIENTS 16384 /* at most in one file */

struct hintfile_head {
	uint64_t saved;
	struct siphash_key key;
	char servers[POLICY_SERVERS][PROXY_NAME]; /* by number; empty: none */
};

struct hintfile {
	FILE *file;
	uint32_t crc;
	unsigned clients;
};

/* Errors are the stream's. In what is written and read, a hint's server is its number. */
void hintfile_begin(struct hintfile *h, FILE *file, const struct hintfile_head *head);
void hintfile_put(struct hintfile *h, const struct guard_hint *hint); /* what is too much is left out */
void hintfile_end(struct hintfile *h);

/*
 * Returns what is wrong with it, or NULL; client is called for each before that is known, so read twice: the first time with NULL. A file
 * that is not byte for byte as it is written here is bad.
 */
const char *hintfile_read(FILE *file, struct hintfile_head *head,
			  void (*client)(void *arg, const struct hintfile_head *head, const struct guard_hint *hint),
			  void *arg);
#endif

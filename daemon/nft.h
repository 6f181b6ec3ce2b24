/* nft: the nftables ruleset for what reaches the servers past the guard. */
#ifndef NFT_H
#define NFT_H
#include "config.h"

/*
 * Writes a ruleset for nft -f, one table that replaces itself as a whole. What `user`, a name or a number, sends is the
 * guard's own traffic.
 */
void nft_print(const struct config *c, const char *user, FILE *out);
#endif

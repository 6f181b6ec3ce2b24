/* identity: keyed hashes by which the guard's tables know endpoints and relations. Never 0. */
#ifndef IDENTITY_H
#define IDENTITY_H
#include "base/addr.h"
#include "base/bytes.h"
#include "base/siphash.h"

uint64_t identity_endpoint(const struct siphash_key *k, const struct addr *endpoint);
/* kid_context.ptr NULL: absent, which differs from empty (RFC 8613 §6.1). Ids of up to 255 bytes count. */
uint64_t identity_relation(const struct siphash_key *k, uint8_t server, struct bytes kid, struct bytes kid_context);
#endif

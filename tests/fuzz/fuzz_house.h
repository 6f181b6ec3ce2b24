/* fuzz_house: the configurations that the fuzzed engine runs with: small tables, three links, six servers, four contexts. */
#ifndef FUZZ_HOUSE_H
#define FUZZ_HOUSE_H
#include "fuzz_input.h"
#include "proxy/proxy.h"

#define FUZZ_SERVERS 6

/* strict: no server is left open, and what must not be sent is not sent: I3 and I4 hold. */
void fuzz_house_build(struct proxy_config *c, uint64_t seed, bool strict);
/* Something about a server, or something else, is changed. */
void fuzz_house_move(struct proxy_config *c, struct fuzz_input *in, bool strict);
void fuzz_house_tune(struct proxy_config *c, struct fuzz_input *in, bool strict);
/* What the daemon's rules let through of it: a link nobody uses may go, and one that is used is there. */
struct proxy_config fuzz_house_sound(const struct proxy_config *c);
#endif

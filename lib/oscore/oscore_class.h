/* oscore_class: which option is encrypted (RFC 8613 §4.1, and draft-ietf-core-oscore-capable-proxies-07 §2.2). */
#ifndef OSCORE_CLASS_H
#define OSCORE_CLASS_H
#include <stdbool.h>
#include <stdint.h>

enum oscore_class {
	OSCORE_INNER, /* class E: encrypted. Also every option nobody knows */
	OSCORE_OUTER, /* class U by definition: encrypted only where §2.2 of the draft says so */
	OSCORE_BOTH   /* E and U: the inner one counts, an outer one may stand beside it with a meaning of its own */
};
enum oscore_class oscore_class_of(uint16_t number);

/* What §2.2 asks about an outer option OPT of a message M when layer i for endpoint X is put on. */
struct oscore_class_facts {
	bool added;                     /* by this sender */
	bool consumer;                  /* X is a consumer of OPT */
	bool immediate;                 /* X is its immediately next consumer */
	bool next_hop;                  /* X is the sender's next hop */
	bool next_hop_is_next_consumer; /* the next hop is the immediately next consumer */
	bool needed_before;             /* X needs OPT before, or in order to remove, this layer */
	bool is_authority;              /* OPT is Uri-Host or Uri-Port */
	bool has_scheme;                /* M carries Proxy-Scheme or Proxy-Scheme-Number */
};
/* True: OPT is encrypted. The nine steps, as they stand. */
bool oscore_class_is_inner(const struct oscore_class_facts *f);
#endif

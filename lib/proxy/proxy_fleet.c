#include "proxy/proxy_fleet.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "guard/guard_fleet.h"
#include "proxy/core.h"

static const uint8_t label[] = "coap-guard echo 1";

bool proxy_fleet_join(struct proxy *p, struct bytes secret, uint64_t wall, tstamp now)
{
	uint8_t key[16];
	bool ok = hkdf_derive(HKDF_SHA_256, secret, bytes_of(NULL, 0), bytes_of(label, sizeof label - 1), key,
			      sizeof key);

	if (ok)
		guard_fleet_join(p->guard, key, wall, now);
	secret_wipe(key, sizeof key);
	return ok;
}

void proxy_fleet_leave(struct proxy *p, tstamp now)
{
	uint8_t key[16];

	p->rng->fill(p->rng, key, sizeof key);
	guard_fleet_leave(p->guard, key, now);
	secret_wipe(key, sizeof key);
}

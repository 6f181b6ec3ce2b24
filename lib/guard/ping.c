#include "guard/ping.h"

/* One hash holds the Message IDs of four consecutive slots: checking the last eight costs three
 * hashes at most. */
#define SLOTS_PER_HASH 4

static uint64_t hash_of(const struct siphash_key *k, const struct addr *client, const struct addr *listener,
			uint64_t group)
{
	struct {
		char label[8]; /* the key may serve other proofs as well */
		uint64_t group;
		uint8_t client[16], listener[16];
		uint32_t scope;
		uint16_t client_port, listener_port;
	} text = { "ping-id", group, { 0 }, { 0 }, client->scope, client->port, listener->port };

	memcpy(text.client, client->ip, sizeof text.client);
	memcpy(text.listener, listener->ip, sizeof text.listener);
	return siphash(k, &text, sizeof text);
}

static uint16_t pick(uint64_t hash, uint64_t slot)
{
	return (uint16_t)(hash >> 16 * (slot % SLOTS_PER_HASH));
}

uint16_t ping_mid(const struct siphash_key *k, const struct addr *client, const struct addr *listener, tstamp now)
{
	uint64_t slot = now / PING_SLOT;

	return pick(hash_of(k, client, listener, slot / SLOTS_PER_HASH), slot);
}

bool ping_check(const struct siphash_key *k, const struct addr *client, const struct addr *listener, uint16_t mid,
		tstamp now, uint64_t *slot)
{
	uint64_t newest = now / PING_SLOT;
	uint64_t hash = 0;

	for (uint64_t back = 0; back < PING_VALIDITY && back <= newest; back++) {
		uint64_t s = newest - back;

		if (back == 0 || s % SLOTS_PER_HASH == SLOTS_PER_HASH - 1)
			hash = hash_of(k, client, listener, s / SLOTS_PER_HASH);
		if (pick(hash, s) == mid) {
			*slot = s;
			return true;
		}
	}
	return false;
}

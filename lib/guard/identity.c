#include "guard/identity.h"
#include <string.h>

static uint64_t not_zero(uint64_t h)
{
	return h ? h : 1;
}

uint64_t identity_endpoint(const struct siphash_key *k, const struct addr *endpoint)
{
	uint64_t half[2];

	memcpy(half, endpoint->ip, sizeof half);
	return not_zero(
		siphash_brief(k, half[0], half[1],
			      (uint64_t)endpoint->carrier << 48 | (uint64_t)endpoint->scope << 16 | endpoint->port));
}

/* The usual kid is short and comes without a context: three words hold all of it. */
static uint64_t brief_relation(const struct siphash_key *k, uint8_t server, struct bytes kid)
{
	uint64_t word = 0;

	if (kid.len)
		memcpy(&word, kid.ptr, kid.len);
	return siphash_brief(k, server, kid.len, word);
}

uint64_t identity_relation(const struct siphash_key *k, uint8_t server, struct bytes kid, struct bytes kid_context)
{
	uint8_t data[3 + 255 + 255];
	size_t kid_len = kid.len < 255 ? kid.len : 255, context_len = kid_context.len < 255 ? kid_context.len : 255;

	if (!kid_context.ptr && kid.len <= sizeof(uint64_t))
		return not_zero(brief_relation(k, server, kid));
	data[0] = server;
	data[1] = (uint8_t)kid_len;
	data[2] = kid_context.ptr != NULL;
	if (kid_len)
		memcpy(data + 3, kid.ptr, kid_len);
	if (context_len)
		memcpy(data + 3 + kid_len, kid_context.ptr, context_len);
	return not_zero(siphash(k, data, 3 + kid_len + context_len));
}

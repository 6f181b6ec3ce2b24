#include "guard/identity.h"
#include <string.h>

uint64_t identity_endpoint(const struct siphash_key *k, const struct addr *endpoint)
{
	uint8_t data[22];
	uint64_t h;

	memcpy(data, endpoint->ip, 16);
	memcpy(data + 16, &endpoint->scope, 4);
	memcpy(data + 20, &endpoint->port, 2);
	h = siphash(k, data, sizeof data);
	return h ? h : 1;
}

uint64_t identity_relation(const struct siphash_key *k, uint8_t server, struct bytes kid, struct bytes kid_context)
{
	uint8_t data[3 + 255 + 255];
	size_t kid_len = kid.len < 255 ? kid.len : 255, context_len = kid_context.len < 255 ? kid_context.len : 255;
	uint64_t h;

	data[0] = server;
	data[1] = (uint8_t)kid_len;
	data[2] = kid_context.ptr != NULL;
	if (kid_len)
		memcpy(data + 3, kid.ptr, kid_len);
	if (context_len)
		memcpy(data + 3 + kid_len, kid_context.ptr, context_len);
	h = siphash(k, data, 3 + kid_len + context_len);
	return h ? h : 1;
}

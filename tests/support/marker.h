/*
 * marker: how the meters of the tests tell forged OSCORE requests from true ones. The last 4 of 17
 * payload bytes are a checksum of the first 13; to everybody else the payload looks as random as a
 * ciphertext.
 */
#ifndef MARKER_H
#define MARKER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKER_PAYLOAD 17

static inline uint32_t marker_sum(const uint8_t *payload)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < MARKER_PAYLOAD - 4; i++)
		h = (h ^ payload[i]) * 16777619u;
	return h;
}

static inline void marker_set(uint8_t *payload)
{
	uint32_t h = marker_sum(payload);

	for (size_t i = 0; i < 4; i++)
		payload[MARKER_PAYLOAD - 4 + i] = (uint8_t)(h >> (8 * i));
}

static inline bool marker_found(const uint8_t *payload, size_t len)
{
	uint32_t h, found = 0;

	if (len != MARKER_PAYLOAD)
		return false;
	h = marker_sum(payload);
	for (size_t i = 0; i < 4; i++)
		found |= (uint32_t)payload[MARKER_PAYLOAD - 4 + i] << (8 * i);
	return h == found;
}
#endif

#include "crc32.h"

uint32_t crc32_of(uint32_t before, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint32_t crc = ~before;

	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

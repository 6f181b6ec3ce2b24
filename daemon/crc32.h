/* crc32: the checksum of state files, IEEE 802.3. It finds every change of up to 32 bits on end, so every changed byte. */
#ifndef CRC32_H
#define CRC32_H
#include <stddef.h>
#include <stdint.h>

/* before: 0, or the sum of what stands in front. */
uint32_t crc32_of(uint32_t before, const void *data, size_t len);
#endif

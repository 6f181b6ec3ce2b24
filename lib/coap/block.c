#include "coap/block.h"
#include "coap/option.h"

bool block_parse(struct bytes value, struct block *out)
{
	uint32_t n;

	if (value.len > 3 || !option_uint(value, &n) || (n & 7) > BLOCK_SZX_MAX)
		return false;
	*out = (struct block){ n >> 4, n & 7, n >> 3 & 1 };
	return true;
}

uint32_t block_value(struct block b)
{
	return b.num << 4 | (uint32_t)b.more << 3 | b.szx;
}

uint8_t block_szx(uint32_t size)
{
	uint8_t szx = BLOCK_SZX_MAX;

	while (szx > 0 && block_size(szx) > size)
		szx--;
	return szx;
}

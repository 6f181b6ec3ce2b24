/* block: the value of Block1 and Block2 (RFC 7959 §2.2). */
#ifndef BLOCK_H
#define BLOCK_H
#include "base/bytes.h"

#define BLOCK_SZX_MAX 6 /* 1024 bytes; 7 is reserved on datagrams */
#define BLOCK_NUM_MAX 0xfffff

struct block {
	uint32_t num;
	uint8_t szx;
	bool more;
};

/* False: longer than three bytes, or the reserved size. */
bool block_parse(struct bytes value, struct block *out);
/* The option's value as a number, for msgbuf_option_uint. */
uint32_t block_value(struct block b);
/* The largest exponent whose size is at most `size`, which is 16 or more. */
uint8_t block_szx(uint32_t size);

static inline uint32_t block_size(uint8_t szx)
{
	return 16u << szx;
}

/* Of the block's first byte in the body. */
static inline uint32_t block_offset(struct block b)
{
	return b.num << (b.szx + 4);
}

/* The block of that size at that offset, a multiple of it. False: its number has more than 20 bits. */
static inline bool block_at(uint32_t offset, uint8_t szx, bool more, struct block *out)
{
	*out = (struct block){ offset >> (szx + 4), szx, more };
	return out->num <= BLOCK_NUM_MAX;
}
#endif

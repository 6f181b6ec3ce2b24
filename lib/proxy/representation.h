/* representation: a plain response apart from the message that brought it, so that many can be told (RFC 7252 §5.6, RFC 7641 §5). */
#ifndef REPRESENTATION_H
#define REPRESENTATION_H
#include "base/dgram.h"
#include "coap/block.h"
#include "coap/msgbuf.h"
#include "proxy/cache.h"

struct representation {
	struct cache_head head;
	struct bytes payload;
	size_t offset; /* of its first byte */
	bool more;     /* the payload is not the end */
};

/*
 * What m says. The payload is borrowed of m, the options are kept in `room`. False: too many options, or a block that makes no sense.
 */
bool representation_read(const struct msg *m, uint8_t room[CACHE_OPTIONS], struct representation *out);

/*
 * What a 2.03 says of what it confirms (RFC 7252 §5.9.1.3): until when, and which options have changed. ETag and code are as they were. Borrowed of
 * m and of `room`. False: it names nothing that is kept.
 */
bool representation_read_valid(const struct msg *m, uint8_t room[DGRAM_MAX], struct cache_head *out);

#define REPRESENTATION_UNOBSERVED UINT32_MAX

/*
 * Options and payload for a client that asked for block `ask` (NULL: for none in particular). What is written begins at the block asked for,
 * which must begin in r->payload or at its end. max_age: what is shown of it.
 */
void representation_write(const struct representation *r, const struct block *ask, uint32_t observe, uint32_t max_age,
			  struct msgbuf *out);
/* All of it, to be read again by representation_read. */
void representation_keep(const struct representation *r, struct msgbuf *out);
/* 2.03: what the client has is still good. */
void representation_confirm(const struct representation *r, uint32_t max_age, struct msgbuf *out);
#endif

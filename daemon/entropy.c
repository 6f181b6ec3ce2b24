#include "entropy.h"
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <openssl/rand.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without randomness every hash key and every proof could be guessed: better no guard than such a
 * guard. */
static void draw(uint8_t *out, size_t len)
{
	assert(len <= INT32_MAX);
	if (RAND_bytes(out, (int)len) == 1)
		return;
	fputs("<2>coap-guardd: the random generator failed, stopping\n", stderr);
	abort();
}

static void take(struct entropy *e, uint8_t *out, size_t len)
{
	uint8_t *from;

	if (e->left < len) {
		draw(e->block, sizeof e->block);
		e->left = sizeof e->block;
	}
	from = e->block + sizeof e->block - e->left;
	memcpy(out, from, len);
	OPENSSL_cleanse(from, len); /* what was handed out is nobody's to read again */
	e->left -= len;
}

static void fill(struct rng *rng, void *out, size_t len)
{
	struct entropy *e = (struct entropy *)rng;

	if (len > sizeof e->block)
		draw(out, len);
	else
		take(e, out, len);
}

void entropy_init(struct entropy *e)
{
	e->rng.fill = fill;
	e->left = 0;
}

void entropy_wipe(struct entropy *e)
{
	OPENSSL_cleanse(e->block, sizeof e->block);
	e->left = 0;
}

const char *entropy_built_with(void)
{
	return OPENSSL_VERSION_TEXT;
}

const char *entropy_runs_with(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

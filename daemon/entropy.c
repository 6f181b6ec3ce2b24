#include "entropy.h"
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <openssl/rand.h>
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define TRIES 2 /* memory may be short for a moment */

/* Where its set-up has failed for want of memory, OpenSSL 3.0 follows a NULL pointer when it is asked for random bytes. */
static bool is_set_up(void)
{
	return OPENSSL_init_crypto(0, NULL) == 1 && OSSL_LIB_CTX_get0_global_default();
}

/* Without randomness every hash key and every proof could be guessed: better no guard than such a
 * guard. */
static void draw(uint8_t *out, size_t len)
{
	assert(len <= INT32_MAX);
	for (unsigned i = 0; i < TRIES; i++)
		if (is_set_up() && RAND_bytes(out, (int)len) == 1)
			return;
	fputs("<2>coap-guardd: the random generator failed, or has no memory: stopping\n", stderr);
	_exit(EX_OSERR);
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

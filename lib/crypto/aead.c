#include "crypto/aead.h"
#include <assert.h>
#include <openssl/evp.h>
#include "base/memory.h"
#include "crypto/secret.h"

#define TEXT_MAX UINT16_MAX /* CCM with nonces of 13 bytes counts with two; and no datagram is longer */

static const struct algorithm {
	struct aead_info info;
	const char *cipher; /* the library's name */
	bool ccm;           /* one pass over a text whose length is said before */
} algorithms[AEAD_COUNT] = {
	/* draft-ietf-core-oscore-key-limits: with a tag of 8 bytes a forgery is likelier */
	[AEAD_AES_CCM_16_64_128] = { { "AES-CCM-16-64-128", 10, 16, 13, 8, 1U << 14 }, "AES-128-CCM", true },
	[AEAD_AES_CCM_16_128_128] = { { "AES-CCM-16-128-128", 30, 16, 13, 16, 1U << 20 }, "AES-128-CCM", true },
	[AEAD_AES_128_GCM] = { { "A128GCM", 1, 16, 12, 16, 1U << 20 }, "AES-128-GCM", false },
	[AEAD_CHACHA20_POLY1305] = { { "ChaCha20/Poly1305", 24, 32, 12, 16, 1U << 20 }, "ChaCha20-Poly1305", false },
};

struct aead {
	const struct algorithm *algorithm;
	enum aead_use use;
	EVP_CIPHER_CTX *ctx; /* NULL: played */
	struct aead_player player;
	const struct aead_tap *tap; /* NULL: nobody listens */
	struct witness *witness;    /* NULL: nobody watches the nonces */
};

const struct aead_info *aead_info(enum aead_algorithm a)
{
	return &algorithms[a].info;
}

#ifdef AEAD_WITNESS
/* Remembers the nonces sealed last: a nonce used twice gives the key away, and must not pass any test. */
#define WITNESS_BUCKETS 512
#define WITNESS_WAYS    8

struct witness {
	struct {
		uint8_t nonce[WITNESS_WAYS][AEAD_NONCE];
		uint32_t n; /* ever put here */
	} buckets[WITNESS_BUCKETS];
};

static void watch(struct witness *w, const uint8_t *nonce, size_t len)
{
	uint8_t padded[AEAD_NONCE] = { 0 };
	uint32_t hash = 2166136261, i;

	memcpy(padded, nonce, len);
	for (i = 0; i < len; i++) /* FNV-1a */
		hash = (hash ^ nonce[i]) * 16777619;
	hash = (hash ^ hash >> 16) % WITNESS_BUCKETS;
	for (i = 0; i < WITNESS_WAYS && i < w->buckets[hash].n; i++)
		assert(memcmp(w->buckets[hash].nonce[i], padded, AEAD_NONCE) != 0);
	memcpy(w->buckets[hash].nonce[w->buckets[hash].n++ % WITNESS_WAYS], padded, AEAD_NONCE);
}
#endif

/* The key schedule. Lengths come before the key. */
static bool set_up(EVP_CIPHER_CTX *ctx, const struct algorithm *al, const EVP_CIPHER *cipher, enum aead_use use,
		   const uint8_t *key)
{
	return EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, use == AEAD_SEAL, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, al->info.nonce_len, NULL) == 1 &&
	       (!al->ccm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, al->info.tag_len, NULL) == 1) &&
	       EVP_CipherInit_ex2(ctx, NULL, key, NULL, -1, NULL) == 1;
}

static EVP_CIPHER_CTX *ctx_create(const struct algorithm *al, enum aead_use use, const uint8_t *key)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, al->cipher, NULL);
	EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;

	if (ctx && !set_up(ctx, al, cipher, use, key)) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher);
	return ctx;
}

struct aead *aead_create(enum aead_algorithm algorithm, enum aead_use use, const uint8_t *key)
{
	struct aead *a = memory_create(1, sizeof *a);

	if (!a)
		return NULL;
	a->algorithm = &algorithms[algorithm];
	a->use = use;
	a->ctx = ctx_create(a->algorithm, use, key);
#ifdef AEAD_WITNESS
	a->witness = memory_create(1, sizeof *a->witness);
	assert(a->witness);
#endif
	if (a->ctx)
		return a;
	aead_free(a);
	return NULL;
}

struct aead *aead_create_played(enum aead_algorithm algorithm, enum aead_use use, const struct aead_player *player)
{
	struct aead *a = memory_create(1, sizeof *a);

	if (a)
		*a = (struct aead){ .algorithm = &algorithms[algorithm], .use = use, .player = *player };
	return a;
}

void aead_free(struct aead *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->ctx);
	memory_free(a->witness);
	memory_free(a);
}

void aead_tap(struct aead *a, const struct aead_tap *tap)
{
	a->tap = tap;
}

static bool update(struct aead *a, uint8_t *out, struct bytes in)
{
	int n;

	return EVP_CipherUpdate(a->ctx, out, &n, in.ptr, (int)in.len) == 1;
}

/* Everything that goes before the text. tag: the one expected, NULL when sealing. */
static bool begin(struct aead *a, const uint8_t *nonce, uint8_t *tag, struct bytes aad, size_t len)
{
	if (EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, -1, NULL) != 1)
		return false;
	if (tag && EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, a->algorithm->info.tag_len, tag) != 1)
		return false;
	if (a->algorithm->ccm && !update(a, NULL, bytes_of(NULL, len))) /* announces the length */
		return false;
	return aad.len == 0 || update(a, NULL, aad);
}

/*
 * The text, and the end of it. Empty texts, too, need somewhere to point to. EVP_CipherUpdate would put every forged
 * CCM text on the library's queue of errors, for which it allocates; EVP_Cipher does not.
 */
static bool finish(struct aead *a, struct bytes in, uint8_t *out)
{
	uint8_t none[1] = { 0 };
	int n;

	if (a->algorithm->ccm)
		return EVP_Cipher(a->ctx, in.len ? out : none, in.len ? in.ptr : none, (unsigned)in.len) == (int)in.len;
	return (in.len == 0 || update(a, out, in)) && EVP_CipherFinal_ex(a->ctx, none, &n) == 1;
}

static bool seal(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes plain, uint8_t *out)
{
	const int tag_len = a->algorithm->info.tag_len;

	return begin(a, nonce, NULL, aad, plain.len) && finish(a, plain, out) &&
	       EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, out + plain.len) == 1;
}

static bool unseal(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes text, const uint8_t *expected,
		   uint8_t *out)
{
	uint8_t tag[AEAD_TAG]; /* the library asks for one it could write to */

	memcpy(tag, expected, a->algorithm->info.tag_len);
	return begin(a, nonce, tag, aad, text.len) && finish(a, text, out);
}

static bool used(struct aead *a, bool ok, const uint8_t *out, size_t len)
{
	if (a->tap)
		a->tap->used(a->tap->arg, a->use, ok, ok ? bytes_of(out, len) : bytes_of(NULL, 0));
	return ok;
}

bool aead_seal(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes plain, uint8_t *out)
{
	const size_t len = plain.len + a->algorithm->info.tag_len;

	assert(a->use == AEAD_SEAL);
	if (plain.len > TEXT_MAX || aad.len > TEXT_MAX)
		return false;
	if (!a->ctx)
		return used(a, a->player.next(a->player.arg, AEAD_SEAL, out, len), out, len);
#ifdef AEAD_WITNESS
	watch(a->witness, nonce, a->algorithm->info.nonce_len);
#endif
	return used(a, seal(a, nonce, aad, plain, out), out, len);
}

bool aead_open(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes sealed, uint8_t *out)
{
	const size_t tag_len = a->algorithm->info.tag_len;
	struct bytes text;
	bool ok;

	assert(a->use == AEAD_OPEN);
	if (sealed.len < tag_len || sealed.len - tag_len > TEXT_MAX || aad.len > TEXT_MAX)
		return false;
	text = bytes_of(sealed.ptr, sealed.len - tag_len);
	if (a->ctx)
		ok = unseal(a, nonce, aad, text, sealed.ptr + text.len, out);
	else
		ok = a->player.next(a->player.arg, AEAD_OPEN, out, text.len);
	if (!ok && text.len)
		secret_wipe(out, text.len); /* GCM and ChaCha20 have written before they know */
	return used(a, ok, out, text.len);
}

/*
 * aead: authenticated encryption with one key in one direction (RFC 5116, COSE numbers of RFC 9053 §4). The key schedule is
 * set up once; sealing and opening fetch nothing and allocate nothing.
 */
#ifndef AEAD_H
#define AEAD_H
#include "base/bytes.h"

enum aead_algorithm {
	AEAD_AES_CCM_16_64_128,
	AEAD_AES_CCM_16_128_128,
	AEAD_AES_128_GCM,
	AEAD_CHACHA20_POLY1305,
	AEAD_COUNT
};

#define AEAD_KEY   32 /* the longest of the algorithms */
#define AEAD_NONCE 13
#define AEAD_TAG   16

struct aead_info {
	const char *name; /* as registered: "AES-CCM-16-64-128" */
	uint8_t cose;     /* its COSE number: 10, 30, 1, 24 */
	uint8_t key_len, nonce_len, tag_len;
	/* failed decryptions after which the key ought to be replaced (draft-ietf-core-oscore-key-limits) */
	uint32_t forgeries;
};
const struct aead_info *aead_info(enum aead_algorithm a);

enum aead_use { AEAD_SEAL, AEAD_OPEN };
struct aead;

/* key: key_len bytes, only read. NULL: no memory, or the algorithm is not available here. */
struct aead *aead_create(enum aead_algorithm a, enum aead_use use, const uint8_t *key);
void aead_free(struct aead *a); /* leaves nothing of the key behind; NULL is harmless */

/*
 * nonce: nonce_len bytes, never twice with one key. plain and aad: at most 65535 bytes.
 * out: plain.len + tag_len bytes; may be plain.ptr. False: the library failed, or a text is too long; out is worthless.
 */
bool aead_seal(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes plain, uint8_t *out);
/* out: sealed.len - tag_len bytes; may be sealed.ptr. False: not authentic, or too short; nothing of the text is in out. */
bool aead_open(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes sealed, uint8_t *out);

/*
 * What a trace needs to be played without the key: sees the result of every use. ok false: bytes is empty. Of AEAD_SEAL bytes is
 * the sealed text, of AEAD_OPEN the plain one. What is refused by its length alone uses no key: neither tap nor player hear of it.
 */
struct aead_tap {
	void (*used)(void *arg, enum aead_use use, bool ok, struct bytes bytes);
	void *arg;
};
void aead_tap(struct aead *a, const struct aead_tap *tap); /* NULL: off; tap must outlive its use */

/*
 * In the place of a key: `next` tells what the key made when the trace was recorded: out holds `len` bytes, the length it must
 * have. False: it failed then, or the trace knows nothing.
 */
struct aead_player {
	bool (*next)(void *arg, enum aead_use use, uint8_t *out, size_t len);
	void *arg;
};
/* player is copied. NULL: no memory. */
struct aead *aead_create_played(enum aead_algorithm a, enum aead_use use, const struct aead_player *player);
#endif

/* aead: published texts, what another library made, every bit turned over, and no allocation per message. */
#include "crypto/aead.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "crypto/secret.h"
#include "msgtext.h"
#include "vectors.h"

/* --- the library's allocator, watched */

static unsigned long allocations;
static const uint8_t *watched; /* a key: blocks given back while it is watched are searched for it */
static unsigned leftovers;

static bool holds(const uint8_t *block, size_t size, const uint8_t *key, size_t len)
{
	for (size_t i = 0; i + len <= size; i++)
		if (memcmp(block + i, key, len) == 0)
			return true;
	return false;
}

static void *counted_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	allocations++;
	return malloc(size);
}

static void *counted_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	allocations++;
	return realloc(block, size);
}

static void watched_free(void *block, const char *file, int line)
{
	(void)file, (void)line;
	if (block && watched)
		leftovers += holds(block, malloc_usable_size(block), watched, 16);
	free(block);
}

/* --- helpers */

static struct bytes unhex(const char *text, uint8_t *out, size_t cap)
{
	return bytes_of(out, msgtext_unhex(text, strlen(text), out, cap));
}

/* The bytes that the rows made elsewhere were made of. */
static void pattern(uint8_t *out, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(first + 7 * i);
}

struct pair {
	struct aead *seal, *open;
};

static struct pair pair_of(enum aead_algorithm a, const uint8_t *key)
{
	struct pair p = { aead_create(a, AEAD_SEAL, key), aead_create(a, AEAD_OPEN, key) };

	assert_true(p.seal && p.open);
	return p;
}

static void pair_free(struct pair *p)
{
	aead_free(p->seal);
	aead_free(p->open);
}

/* From a block of exactly that size into a block of exactly that size, and in place, too. */
static void check_open(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes sealed, struct bytes plain)
{
	uint8_t *from = malloc(sealed.len), *to = malloc(plain.len ? plain.len : 1);

	memcpy(from, sealed.ptr, sealed.len);
	assert_true(aead_open(a, nonce, aad, bytes_of(from, sealed.len), to));
	assert_true(bytes_equal(bytes_of(to, plain.len), plain));
	assert_memory_equal(from, sealed.ptr, sealed.len);
	assert_true(aead_open(a, nonce, aad, bytes_of(from, sealed.len), from));
	assert_true(bytes_equal(bytes_of(from, plain.len), plain));
	free(from);
	free(to);
}

static void check_seal(struct aead *a, const uint8_t *nonce, struct bytes aad, struct bytes plain, struct bytes sealed,
		       bool in_place)
{
	uint8_t *to = malloc(sealed.len);

	if (in_place && plain.len)
		memcpy(to, plain.ptr, plain.len);
	assert_true(aead_seal(a, nonce, aad, in_place ? bytes_of(to, plain.len) : plain, to));
	if (!bytes_equal(bytes_of(to, sealed.len), sealed))
		fail_msg("sealed otherwise");
	free(to);
}

/* A nonce seals once under a key: each way has a handle of its own. */
static void check(enum aead_algorithm a, const uint8_t *key, const uint8_t *nonce, struct bytes aad, struct bytes plain,
		  struct bytes sealed)
{
	assert_int_equal(sealed.len, plain.len + aead_info(a)->tag_len);
	for (int in_place = 0; in_place < 2; in_place++) {
		struct pair p = pair_of(a, key);

		check_seal(p.seal, nonce, aad, plain, sealed, in_place);
		check_open(p.open, nonce, aad, sealed, plain);
		pair_free(&p);
	}
}

/* --- tests */

static void test_algorithms(void **state)
{
	static const struct aead_info rows[AEAD_COUNT] = {
		{ "AES-CCM-16-64-128", 10, 16, 13, 8, 16384 },
		{ "AES-CCM-16-128-128", 30, 16, 13, 16, 1048576 },
		{ "A128GCM", 1, 16, 12, 16, 1048576 },
		{ "ChaCha20/Poly1305", 24, 32, 12, 16, 1048576 },
	};

	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		const struct aead_info *i = aead_info(a);

		assert_string_equal(i->name, rows[a].name);
		assert_int_equal(i->cose, rows[a].cose);
		assert_int_equal(i->key_len, rows[a].key_len);
		assert_int_equal(i->nonce_len, rows[a].nonce_len);
		assert_int_equal(i->tag_len, rows[a].tag_len);
		assert_int_equal(i->forgeries, rows[a].forgeries);
		assert_true(i->key_len <= AEAD_KEY && i->nonce_len <= AEAD_NONCE && i->tag_len <= AEAD_TAG);
	}
}

static void test_published(void **state)
{
	static const struct {
		enum aead_algorithm a;
		const char *key, *nonce, *aad, *plain, *sealed;
	} rows[] = {
		/* RFC 3610 §8, packet vector 1 */
		{ AEAD_AES_CCM_16_64_128, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5",
		  "0001020304050607", "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
		  "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0" },
		/* McGrew and Viega, The Galois/Counter Mode of Operation, test cases 1, 2 and 4 */
		{ AEAD_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "",
		  "58e2fccefa7e3061367f1d57a4e7455a" },
		{ AEAD_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "",
		  "00000000000000000000000000000000",
		  "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf" },
		{ AEAD_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
		  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16a"
		  "edf5"
		  "aa0de657ba637b39",
		  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba3"
		  "0b39"
		  "6a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47" },
		/* RFC 8439 §2.8.2 */
		{ AEAD_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
		  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
		  "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f75"
		  "6c64"
		  "206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20"
		  "776f"
		  "756c642062652069742e",
		  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71"
		  "de0a"
		  "9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b"
		  "7a9d"
		  "e576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t key[AEAD_KEY], nonce[AEAD_NONCE], aad[32], plain[128], sealed[144];

		unhex(rows[i].key, key, sizeof key);
		unhex(rows[i].nonce, nonce, sizeof nonce);
		check(rows[i].a, key, nonce, unhex(rows[i].aad, aad, sizeof aad),
		      unhex(rows[i].plain, plain, sizeof plain), unhex(rows[i].sealed, sealed, sizeof sealed));
	}
}

/* Of patterns, made with Python's cryptography: also without text, without additional data, and without both. */
static void test_made_elsewhere(void **state)
{
	static const struct {
		enum aead_algorithm a;
		size_t aad, plain;
		const char *sealed;
	} rows[] = {
		{ AEAD_AES_CCM_16_64_128, 0, 0, "583d6c85d1b7b7e8" },
		{ AEAD_AES_CCM_16_64_128, 0, 1, "0e63ce64d62ecdc84c" },
		{ AEAD_AES_CCM_16_64_128, 19, 0, "e98fb71e018ec31e" },
		{ AEAD_AES_CCM_16_64_128, 33, 16, "0ee67a81beea7ee1656c8870a10b013fbd76d5f43fb28a32" },
		{ AEAD_AES_CCM_16_64_128, 20, 70,
		  "0ee67a81beea7ee1656c8870a10b013fcf50336717f40a2673fa963d10aa850ba914a90cd4b1f68d9653eba23a28c140e1f4"
		  "fad6c9"
		  "3aaf1e430f6c5fd7c4aa8e4dd1cab16a56025e22a1a8242eb8" },
		{ AEAD_AES_CCM_16_128_128, 0, 0, "c58b8c1113a82af3f7f2919a74442b01" },
		{ AEAD_AES_CCM_16_128_128, 0, 1, "0e2c9b62c2c921b99a2416e5a2c211f534" },
		{ AEAD_AES_CCM_16_128_128, 19, 0, "646a4211d4c47796a20c82541cceb6fd" },
		{ AEAD_AES_CCM_16_128_128, 33, 16, "0ee67a81beea7ee1656c8870a10b013f6e41452ccc2fc53088ce074b8a8f9cf3" },
		{ AEAD_AES_CCM_16_128_128, 20, 70,
		  "0ee67a81beea7ee1656c8870a10b013fcf50336717f40a2673fa963d10aa850ba914a90cd4b1f68d9653eba23a28c140e1f4"
		  "fad6c9"
		  "3aaf1e430f6c5fd7c4aa8e4dd1cab16a569fd356a2f8ad383fca973b3e435cbf8e" },
		{ AEAD_AES_128_GCM, 0, 0, "ee702baf2caba880aea9b0af47bd1ca4" },
		{ AEAD_AES_128_GCM, 0, 1, "fb625962320f08dabb7ad5189bf2377d37" },
		{ AEAD_AES_128_GCM, 19, 0, "6b446d38dd66453dc6daf77961b9042a" },
		{ AEAD_AES_128_GCM, 33, 16, "fbde46449f9387338ed8fa80dfecce24a1b95dcbba24b6ba92080716c4a48f22" },
		{ AEAD_AES_128_GCM, 20, 70,
		  "fbde46449f9387338ed8fa80dfecce242ccb081e338089f0394820c5d9c1d33193310c019546e1358b15b4a3ee9c04ecab4d"
		  "5676e3"
		  "2200f06f6abeea9600f476e4ae766a8ecb0f939e465c3cf1f90d104fc26b8b7534" },
		{ AEAD_CHACHA20_POLY1305, 0, 0, "ca311ec699ddf13359f35fd7cc3eeb22" },
		{ AEAD_CHACHA20_POLY1305, 0, 1, "17272c713be61ad78d9bc4ddbfc4d4f609" },
		{ AEAD_CHACHA20_POLY1305, 19, 0, "af3b3e68e2ccc4b0c1105ceebb58d3ea" },
		{ AEAD_CHACHA20_POLY1305, 33, 16, "17db33b89c801650f7b632e4b6c41c71491359dec47146f2535b0fea9006fd00" },
		{ AEAD_CHACHA20_POLY1305, 20, 70,
		  "17db33b89c801650f7b632e4b6c41c7101b654d9c6f53d42417450fd5644b2756c232571439c3c971f0ec432300924dcbd67"
		  "40721f"
		  "6401b52d97f924cfb01c0854b27fa787d79afad5bf67eb7bee8fa9f3700238cc99" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t key[AEAD_KEY], nonce[AEAD_NONCE], aad[40], plain[80], sealed[100];

		pattern(key, sizeof key, 1);
		pattern(nonce, sizeof nonce, 2);
		pattern(aad, sizeof aad, 3);
		pattern(plain, sizeof plain, 4);
		check(rows[i].a, key, nonce, bytes_of(rows[i].aad ? aad : NULL, rows[i].aad),
		      bytes_of(rows[i].plain ? plain : NULL, rows[i].plain),
		      unhex(rows[i].sealed, sealed, sizeof sealed));
	}
}

static void check_vector(const char *c, const char *key_name, const char *aad_name)
{
	uint8_t key[AEAD_KEY], nonce[AEAD_NONCE], aad[64], plain[512], sealed[512];

	assert_int_equal(vectors_bytes(c, key_name, key, sizeof key).len, 16);
	assert_int_equal(vectors_bytes(c, "nonce", nonce, sizeof nonce).len, 13);
	check(AEAD_AES_CCM_16_64_128, key, nonce, vectors_bytes(c, aad_name, aad, sizeof aad),
	      vectors_bytes(c, "plaintext", plain, sizeof plain),
	      vectors_bytes(c, "ciphertext", sealed, sizeof sealed));
}

static void test_oscore(void **state)
{
	static const char *const names[] = { "C.4", "C.5", "C.6", "C.7", "C.8" };
	char *json = vectors_load("rfc8613_appendix_c.json");

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		check_vector(vectors_member(vectors_member(json, "vectors"), names[i]), "encryption key", "AAD");
	free(json);
}

/* A layer in a layer: sealed texts as texts. */
static void test_nested(void **state)
{
	static const char *const names[] = { "B.1 forward-proxy C-S,C-P", "B.3 forward-proxy C-S,C-P,P-S",
					     "X.2 onion three layers (own)" };
	char *json = vectors_load("oscore_capable_proxies_nested.json");
	const char *examples = vectors_member(json, "examples");
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (const char *e = vectors_first(vectors_member(vectors_member(examples, names[i]), "events")); e;
		     e = vectors_next(e))
			if (vectors_member(e, "ciphertext")) {
				check_vector(e, "key", "aad");
				n++;
			}
	assert_int_equal(n, 16);
	free(json);
}

/* One text of each algorithm, sealed. */
struct letter {
	uint8_t key[AEAD_KEY], nonce[AEAD_NONCE], aad[19], plain[21], sealed[21 + AEAD_TAG];
	size_t len, sealed_len;
	struct pair p;
};

static void write_letter(struct letter *l, enum aead_algorithm a, size_t len)
{
	pattern(l->key, sizeof l->key, 1);
	pattern(l->nonce, sizeof l->nonce, 2);
	pattern(l->aad, sizeof l->aad, 3);
	pattern(l->plain, sizeof l->plain, 4);
	l->len = len;
	l->sealed_len = len + aead_info(a)->tag_len;
	l->p = pair_of(a, l->key);
	assert_true(
		aead_seal(l->p.seal, l->nonce, bytes_of(l->aad, sizeof l->aad), bytes_of(l->plain, len), l->sealed));
}

static bool opens(struct letter *l, size_t aad_len, size_t sealed_len)
{
	uint8_t out[sizeof l->sealed];
	bool ok;

	memset(out, 0xee, sizeof out);
	ok = aead_open(l->p.open, l->nonce, bytes_of(l->aad, aad_len), bytes_of(l->sealed, sealed_len), out);
	if (ok && l->len)
		assert_memory_equal(out, l->plain, l->len);
	if (!ok && sealed_len == l->sealed_len && l->len >= 4) /* nothing of the text gets out */
		assert_memory_not_equal(out, l->plain, 4);
	return ok;
}

/* Each bit by itself; between the bits the true letter still opens. */
static void turn_bits(struct letter *l, uint8_t *at, size_t len)
{
	for (size_t bit = 0; bit < 8 * len; bit++) {
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(opens(l, sizeof l->aad, l->sealed_len));
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bit % 8 == 0)
			assert_true(opens(l, sizeof l->aad, l->sealed_len));
	}
}

static void turn_every_bit(enum aead_algorithm a, size_t len)
{
	struct letter l;

	write_letter(&l, a, len);
	assert_true(opens(&l, sizeof l.aad, l.sealed_len));
	turn_bits(&l, l.sealed, l.sealed_len);
	turn_bits(&l, l.nonce, aead_info(a)->nonce_len);
	turn_bits(&l, l.aad, sizeof l.aad);
	for (size_t cut = 0; cut < l.sealed_len; cut++)
		assert_false(opens(&l, sizeof l.aad, cut));
	for (size_t cut = 0; cut < sizeof l.aad; cut++)
		assert_false(opens(&l, cut, l.sealed_len));
	assert_true(opens(&l, sizeof l.aad, l.sealed_len));
	pair_free(&l.p);
}

static void test_every_bit(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		turn_every_bit(a, 0);
		turn_every_bit(a, 1);
		turn_every_bit(a, 21);
	}
}

/* Every bit of the key counts. */
static void test_other_key(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		struct letter l;

		write_letter(&l, a, sizeof l.plain);
		for (size_t bit = 0; bit < 8U * aead_info(a)->key_len; bit++) {
			l.key[bit / 8] ^= (uint8_t)(1 << bit % 8);
			aead_free(l.p.open);
			l.p.open = aead_create(a, AEAD_OPEN, l.key);
			assert_false(opens(&l, sizeof l.aad, l.sealed_len));
			l.key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		pair_free(&l.p);
	}
}

/* All lengths around the block, with and without additional data, on one pair of handles. */
static void test_lengths(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		uint8_t key[AEAD_KEY], nonce[AEAD_NONCE] = { 0 }, aad[40], plain[80], sealed[80 + AEAD_TAG];
		struct pair p;

		pattern(key, sizeof key, 5);
		pattern(aad, sizeof aad, 6);
		pattern(plain, sizeof plain, 7);
		p = pair_of(a, key);
		for (uint8_t aad_len = 0; aad_len <= 40; aad_len++)
			for (uint8_t len = 0; len <= 80; len++) {
				nonce[0] = aad_len;
				nonce[1] = len;
				assert_true(
					aead_seal(p.seal, nonce, bytes_of(aad, aad_len), bytes_of(plain, len), sealed));
				check_open(p.open, nonce, bytes_of(aad, aad_len),
					   bytes_of(sealed, len + aead_info(a)->tag_len), bytes_of(plain, len));
			}
		pair_free(&p);
	}
}

/* The longest datagram there is; one byte more is refused, not cut. The ends were made with Python's cryptography. */
static void test_longest(void **state)
{
	static const char *const ends[AEAD_COUNT] = {
		"752f6650ca48448dfe88dba058512b11",
		"752f6650ca48448dba59b9cab416ed469a4bdd4f39b04be0",
		"9386ba9539b08ee0d2e1f92a7fcdb20480bc27cf5acd6b4a",
		"d7d62bc5f5ea636a53bd9395f46ccb396bc74bbc98a6c7ae",
	};
	const size_t most = 65535;
	uint8_t *text = malloc(most + 1 + AEAD_TAG), key[AEAD_KEY], nonce[AEAD_NONCE], aad[40], end_at[24];

	(void)state;
	pattern(key, sizeof key, 1);
	pattern(nonce, sizeof nonce, 2);
	pattern(aad, sizeof aad, 3);
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		struct bytes end = unhex(ends[a], end_at, sizeof end_at), known = bytes_of(aad, sizeof aad);
		struct pair p = pair_of(a, key);

		pattern(text, most + 1, 4);
		assert_true(aead_seal(p.seal, nonce, known, bytes_of(text, most), text));
		assert_true(bytes_equal(bytes_of(text + most - 8, end.len), end));
		assert_false(aead_open(p.open, nonce, known, bytes_of(text, most + 1 + end.len - 8), text));
		assert_false(aead_open(p.open, nonce, bytes_of(text, most + 1), bytes_of(text, 20), text));
		assert_true(aead_open(p.open, nonce, known, bytes_of(text, most + end.len - 8), text));
		nonce[0]++;
		assert_false(aead_seal(p.seal, nonce, known, bytes_of(text, most + 1), text));
		assert_false(aead_seal(p.seal, nonce, bytes_of(text, most + 1), bytes_of(text, 1), text));
		nonce[0]--;
		pair_free(&p);
	}
	free(text);
}

/* Sealed, opened and forged texts: none costs memory, and no error piles up inside the library. */
static void test_no_allocation(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		uint8_t key[AEAD_KEY] = { 1 }, nonce[AEAD_NONCE] = { 0 }, text[64 + AEAD_TAG] = { 0 };
		struct pair p = pair_of(a, key);
		unsigned long before = allocations;
		unsigned refused = 0;

		for (unsigned i = 0; i < 1000; i++) {
			size_t len = i % 65, sealed_len = len + aead_info(a)->tag_len;
			struct bytes aad = bytes_of(key, i % 32);

			nonce[0] = (uint8_t)i;
			nonce[1] = (uint8_t)(i >> 8);
			assert_true(aead_seal(p.seal, nonce, aad, bytes_of(text, len), text));
			assert_true(aead_open(p.open, nonce, aad, bytes_of(text, sealed_len), text));
			text[len] ^= 1; /* of the tag, which opening leaves where it is */
			refused += !aead_open(p.open, nonce, aad, bytes_of(text, sealed_len), text);
		}
		assert_int_equal(refused, 1000);
		assert_int_equal(allocations - before, 0);
		assert_int_equal(ERR_peek_error(), 0);
		pair_free(&p);
		assert_true(allocations > 0);
	}
}

/* Searches what is given back for the first half of the key, which is what a schedule begins with. */
static void test_key_is_wiped(void **state)
{
	uint8_t key[AEAD_KEY], *left = OPENSSL_malloc(100);

	(void)state;
	pattern(key, sizeof key, 0x35);
	memcpy(left + 50, key, sizeof key);
	watched = key;
	leftovers = 0;
	OPENSSL_free(left);
	assert_int_equal(leftovers, 1); /* the search finds what there is */
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		uint8_t nonce[AEAD_NONCE] = { 0 }, text[32 + AEAD_TAG] = { 0 };
		struct pair p = pair_of(a, key);

		assert_true(aead_seal(p.seal, nonce, bytes_of(NULL, 0), bytes_of(text, 32), text));
		pair_free(&p);
		assert_int_equal(leftovers, 1);
	}
	watched = NULL;
	aead_free(NULL);
}

/* --- traces: what a tap wrote down is played without the key */

struct trace {
	struct entry {
		enum aead_use use;
		bool ok;
		size_t len;
		uint8_t bytes[64];
	} entries[64];
	unsigned n, at;
};

static void write_down(void *arg, enum aead_use use, bool ok, struct bytes b)
{
	struct trace *t = arg;
	struct entry *e = &t->entries[t->n++];

	assert_true(t->n <= 64 && b.len <= sizeof e->bytes);
	assert_true(ok || (b.ptr == NULL && b.len == 0));
	*e = (struct entry){ .use = use, .ok = ok, .len = b.len };
	if (b.len)
		memcpy(e->bytes, b.ptr, b.len);
}

static bool play(void *arg, enum aead_use use, uint8_t *out, size_t len)
{
	struct trace *t = arg;
	const struct entry *e = &t->entries[t->at++];

	assert_true(t->at <= t->n);
	assert_int_equal(e->use, use);
	if (!e->ok || e->len != len)
		return false;
	memcpy(out, e->bytes, len);
	return true;
}

/* Texts of several lengths, sealed, opened, opened again when they are no longer what they were, and cut too short. */
static void tell(struct pair *p, enum aead_algorithm a, uint8_t out[32][64], bool ok[32])
{
	const size_t tag_len = aead_info(a)->tag_len;

	for (uint8_t i = 0; i < 8; i++) {
		uint8_t nonce[AEAD_NONCE] = { i }, aad[5] = { i };
		uint8_t **at = (uint8_t *[]){ out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] };
		size_t len = i * 5U;

		pattern(at[0], len, i);
		ok[4 * i] = aead_seal(p->seal, nonce, bytes_of(aad, 5), bytes_of(at[0], len), at[0]);
		ok[4 * i + 1] = aead_open(p->open, nonce, bytes_of(aad, 5), bytes_of(at[0], len + tag_len), at[1]);
		ok[4 * i + 2] = aead_open(p->open, nonce, bytes_of(aad, 4), bytes_of(at[0], len + tag_len), at[2]);
		ok[4 * i + 3] = aead_open(p->open, nonce, bytes_of(aad, 5), bytes_of(at[0], tag_len - 1), at[3]);
	}
}

static void test_trace(void **state)
{
	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++) {
		static struct trace recorded, again;
		static uint8_t told[32][64], played[32][64];
		struct aead_tap tap = { write_down, &recorded }, second = { write_down, &again };
		struct aead_player player = { play, &recorded };
		uint8_t key[AEAD_KEY] = { 3 };
		bool told_ok[32], played_ok[32];
		struct pair p = pair_of(a, key);

		memset(&recorded, 0, sizeof recorded);
		memset(&again, 0, sizeof again);
		memset(told, 0, sizeof told);
		memset(played, 0, sizeof played);
		aead_tap(p.seal, &tap);
		aead_tap(p.open, &tap);
		tell(&p, a, told, told_ok);
		pair_free(&p);
		assert_int_equal(recorded.n, 24); /* what is too short uses no key */

		p = (struct pair){ aead_create_played(a, AEAD_SEAL, &player),
				   aead_create_played(a, AEAD_OPEN, &player) };
		player = (struct aead_player){ NULL, NULL }; /* was copied */
		aead_tap(p.seal, &second);
		aead_tap(p.open, &second);
		tell(&p, a, played, played_ok);
		pair_free(&p);
		assert_int_equal(recorded.at, 24);
		assert_memory_equal(told_ok, played_ok, sizeof told_ok);
		assert_memory_equal(told, played, sizeof told);
		assert_int_equal(again.n, 24);
		assert_memory_equal(&again.entries, &recorded.entries, sizeof again.entries);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(told_ok[i], i % 4 < 2);
	}
}

/* Without a tap, or with none any more, nobody is told. */
static void test_tap_off(void **state)
{
	static struct trace t;
	struct aead_tap tap = { write_down, &t };
	uint8_t key[AEAD_KEY] = { 4 }, nonce[AEAD_NONCE] = { 1 }, out[AEAD_TAG];
	struct pair p = pair_of(AEAD_AES_128_GCM, key);

	(void)state;
	aead_tap(p.seal, &tap);
	assert_true(aead_seal(p.seal, nonce, bytes_of(NULL, 0), bytes_of(NULL, 0), out));
	assert_int_equal(t.n, 1);
	aead_tap(p.seal, NULL);
	nonce[0]++;
	assert_true(aead_seal(p.seal, nonce, bytes_of(NULL, 0), bytes_of(NULL, 0), out));
	assert_int_equal(t.n, 1);
	pair_free(&p);
}

#ifdef AEAD_WITNESS
/* In a child, which is to die of it. */
static bool survives(enum aead_algorithm a, unsigned first, unsigned last, unsigned then)
{
	uint8_t key[AEAD_KEY] = { 9 }, nonce[AEAD_NONCE] = { 0 }, out[AEAD_TAG];
	pid_t child = fork();
	struct aead *s;
	int status;

	if (child) {
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
			    (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
		return WIFEXITED(status);
	}
	signal(SIGABRT, SIG_DFL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	s = aead_create(a, AEAD_SEAL, key);
	for (unsigned i = first; i <= last + 1; i++) {
		unsigned number = i <= last ? i : then;

		nonce[5] = (uint8_t)number;
		nonce[6] = (uint8_t)(number >> 8);
		if (!aead_seal(s, nonce, bytes_of(NULL, 0), bytes_of(NULL, 0), out))
			_exit(1);
	}
	_exit(0);
}

static void test_witness(void **state)
{
	static const struct {
		unsigned first, last, then;
		bool survives;
	} rows[] = {
		{ 0, 0, 1, true },      { 0, 0, 0, false },   { 7, 7, 7, false },       { 0, 999, 1000, true },
		{ 0, 999, 999, false }, { 0, 999, 0, false }, { 0, 9999, 10000, true }, { 0, 9999, 9999, false },
	};

	(void)state;
	for (unsigned a = 0; a < AEAD_COUNT; a++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			assert_int_equal(survives(a, rows[i].first, rows[i].last, rows[i].then), rows[i].survives);
}
#endif

static void test_secret(void **state)
{
	uint8_t a[40], b[40];

	(void)state;
	pattern(a, sizeof a, 1);
	pattern(b, sizeof b, 1);
	assert_true(secret_equal(a, b, sizeof a) && secret_equal(a, b, 0));
	for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(secret_equal(a, b, sizeof a));
		assert_true(secret_equal(a, b, bit / 8));
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	secret_wipe(a + 1, sizeof a - 2);
	assert_true(a[0] == b[0] && a[39] == b[39]);
	for (size_t i = 1; i < 39; i++)
		assert_int_equal(a[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_algorithms),     cmocka_unit_test(test_published),
		cmocka_unit_test(test_made_elsewhere), cmocka_unit_test(test_oscore),
		cmocka_unit_test(test_nested),         cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_other_key),      cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_longest),        cmocka_unit_test(test_no_allocation),
		cmocka_unit_test(test_key_is_wiped),   cmocka_unit_test(test_trace),
		cmocka_unit_test(test_tap_off),        cmocka_unit_test(test_secret),
#ifdef AEAD_WITNESS
		cmocka_unit_test(test_witness),
#endif
	};

	/* Only before the library's first own allocation. */
	if (!CRYPTO_set_mem_functions(counted_malloc, counted_realloc, watched_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

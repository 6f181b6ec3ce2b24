/* oscore_setup: how a context is set up, without its secret (RFC 8613 §3.2). */
#ifndef OSCORE_SETUP_H
#define OSCORE_SETUP_H
#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"

#define OSCORE_ID         7 /* longest Sender and Recipient ID: nonce length less 6; 6 bytes where the nonce has 12 */
#define OSCORE_ID_CONTEXT 32
#define OSCORE_SALT       64
#define OSCORE_SECRET     64 /* longest Master Secret taken */
#define OSCORE_PRINT      16

/* Byte strings of a configuration: length, then so many bytes. */
struct oscore_id {
	uint8_t len, at[OSCORE_ID];
};

struct oscore_setup {
	uint8_t aead; /* enum aead_algorithm */
	uint8_t hkdf; /* enum hkdf_hash */
	uint8_t window;
	struct oscore_id sender_id, recipient_id;
	struct {
		uint8_t len, at[OSCORE_ID_CONTEXT];
	} id_context; /* empty: none */
	struct {
		uint8_t len, at[OSCORE_SALT];
	} salt;
};

/* Two setups that differ make different keys. False: identifiers too long for the algorithm, or both the same. */
bool oscore_setup_is_sound(const struct oscore_setup *s);
/* Ties a state to its key, and tells nothing about it. False: the library failed. */
bool oscore_setup_print(const struct oscore_setup *s, struct bytes secret, uint8_t out[OSCORE_PRINT]);
/* The key (type "Key") or Common IV (type "IV") for an identifier, of `len` bytes (RFC 8613 §3.2.1). False: as above. */
bool oscore_setup_derive(const struct oscore_setup *s, struct bytes secret, struct bytes id, const char *type,
			 uint8_t *out, uint8_t len);
uint8_t oscore_setup_cose(const struct oscore_setup *s); /* the COSE number of its algorithm */

static inline struct bytes oscore_id_bytes(const struct oscore_id *id)
{
	return bytes_of(id->at, id->len);
}

/* Absent is another value than empty, and what is not configured is absent. */
static inline struct bytes oscore_setup_id_context(const struct oscore_setup *s)
{
	return bytes_of(s->id_context.len ? s->id_context.at : NULL, s->id_context.len);
}
#endif

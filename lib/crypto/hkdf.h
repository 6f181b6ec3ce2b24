/* hkdf: keys out of a secret (RFC 5869). Called when a context is set up, never per message. */
#ifndef HKDF_H
#define HKDF_H
#include "base/bytes.h"

enum hkdf_hash { HKDF_SHA_256, HKDF_SHA_512 };

/* Extract and expand. salt may be empty; len at most 255 hashes. False: the library failed. */
bool hkdf_derive(enum hkdf_hash hash, struct bytes secret, struct bytes salt, struct bytes info, uint8_t *out,
		 size_t len);
#endif

/* oscore_aad: the CBOR that OSCORE feeds to its algorithms: info of the key derivation, and additional authenticated data. */
#ifndef OSCORE_AAD_H
#define OSCORE_AAD_H
#include "base/bytes.h"

#define OSCORE_AAD_MAX  64
#define OSCORE_INFO_MAX 64

/* What is the same in every message: all in front of the Partial IV. */
struct oscore_aad {
	uint8_t at[OSCORE_AAD_MAX];
	uint8_t len;
};
void oscore_aad_init(struct oscore_aad *a, uint8_t cose, struct bytes request_kid);
/* The whole of it. Returns the length. */
size_t oscore_aad_finish(const struct oscore_aad *a, struct bytes request_piv, uint8_t out[OSCORE_AAD_MAX]);

/*
 * Both in one: AAD = ["Encrypt0", h'', bstr .cbor [1, [alg], request_kid, request_piv, h'']] (RFC 8613 §5.4): there is no class I option yet.
 * kid at most 7 bytes, piv at most 5. Returns the length.
 */
size_t oscore_aad_write(uint8_t cose, struct bytes request_kid, struct bytes request_piv, uint8_t out[OSCORE_AAD_MAX]);
/* info = [id, id_context / nil, alg, type, L] (RFC 8613 §3.2.1). type: "Key" or "IV". id_context at most 32 bytes, ptr NULL: nil. */
size_t oscore_aad_info(struct bytes id, struct bytes id_context, uint8_t cose, const char *type, uint8_t len,
		       uint8_t out[OSCORE_INFO_MAX]);
#endif

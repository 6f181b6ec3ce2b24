#include "crypto/hkdf.h"
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static const char *const digests[] = { [HKDF_SHA_256] = "SHA256", [HKDF_SHA_512] = "SHA512" };

/* The library has one type for parameters that are read and that are written; these are only read. */
static void *only_read(const void *at)
{
	return (void *)(uintptr_t)at;
}

static OSSL_PARAM octets(const char *name, struct bytes b)
{
	return OSSL_PARAM_construct_octet_string(name, only_read(b.ptr), b.len);
}

bool hkdf_derive(enum hkdf_hash hash, struct bytes secret, struct bytes salt, struct bytes info, uint8_t *out,
		 size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[5];
	size_t n = 0;
	bool ok;

	params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, only_read(digests[hash]), 0);
	params[n++] = octets(OSSL_KDF_PARAM_KEY, secret);
	/* Left out where empty: HMAC pads no salt with the zeros that RFC 5869 §2.2 asks for. */
	if (salt.len)
		params[n++] = octets(OSSL_KDF_PARAM_SALT, salt);
	if (info.len)
		params[n++] = octets(OSSL_KDF_PARAM_INFO, info);
	params[n] = OSSL_PARAM_construct_end();
	ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}

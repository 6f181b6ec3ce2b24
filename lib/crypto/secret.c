#include "crypto/secret.h"
#include <openssl/crypto.h>

void secret_wipe(void *at, size_t len)
{
	OPENSSL_cleanse(at, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

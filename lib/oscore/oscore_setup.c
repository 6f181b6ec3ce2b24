#include "oscore/oscore_setup.h"
#include "oscore/oscore_aad.h"
#include "oscore/replay.h"

uint8_t oscore_setup_cose(const struct oscore_setup *s)
{
	return aead_info((enum aead_algorithm)s->aead)->cose;
}

bool oscore_setup_is_sound(const struct oscore_setup *s)
{
	size_t longest;

	if (s->aead >= AEAD_COUNT || s->window < 1 || s->window > REPLAY_MAX)
		return false;
	longest = aead_info((enum aead_algorithm)s->aead)->nonce_len - 6U; /* RFC 8613 §5.2 */
	if (s->sender_id.len > longest || s->recipient_id.len > longest || s->id_context.len > OSCORE_ID_CONTEXT ||
	    s->salt.len > OSCORE_SALT)
		return false;
	return !bytes_equal(oscore_id_bytes(&s->sender_id), oscore_id_bytes(&s->recipient_id));
}

static size_t put(uint8_t *out, size_t at, const void *value, uint8_t len)
{
	out[at] = len;
	memcpy(out + at + 1, value, len);
	return at + 1U + len;
}

bool oscore_setup_print(const struct oscore_setup *s, struct bytes secret, uint8_t out[OSCORE_PRINT])
{
	uint8_t info[128] = "coap-guard state";
	size_t n = 16;

	info[n++] = oscore_setup_cose(s);
	info[n++] = s->hkdf;
	n = put(info, n, s->sender_id.at, s->sender_id.len);
	n = put(info, n, s->recipient_id.at, s->recipient_id.len);
	n = put(info, n, s->id_context.at, s->id_context.len);
	return hkdf_derive((enum hkdf_hash)s->hkdf, secret, bytes_of(s->salt.at, s->salt.len), bytes_of(info, n), out,
			   OSCORE_PRINT);
}

bool oscore_setup_derive(const struct oscore_setup *s, struct bytes secret, struct bytes id, const char *type,
			 uint8_t *out, uint8_t len)
{
	uint8_t info[OSCORE_INFO_MAX];
	size_t n = oscore_aad_info(id, oscore_setup_id_context(s), oscore_setup_cose(s), type, len, info);

	return hkdf_derive((enum hkdf_hash)s->hkdf, secret, bytes_of(s->salt.at, s->salt.len), bytes_of(info, n), out,
			   len);
}

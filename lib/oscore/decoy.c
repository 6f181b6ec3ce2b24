#include "oscore/decoy.h"
#include "crypto/secret.h"

static void begin(struct oscore_context *c, enum aead_algorithm algorithm, uint8_t kid_len, const uint8_t key[AEAD_KEY])
{
	*c = (struct oscore_context){ .setup = { .aead = (uint8_t)algorithm, .window = 32 }, .synced = true };
	c->setup.recipient_id.len = kid_len;
	oscore_aad_init(&c->received, oscore_setup_cose(&c->setup), oscore_id_bytes(&c->setup.recipient_id));
	replay_init(&c->window, c->setup.window);
	memcpy(c->common_iv, key, sizeof c->common_iv); /* as good as any other: what it makes is never seen */
}

bool decoy_init(struct decoy *d, enum aead_algorithm algorithm, const uint8_t key[AEAD_KEY])
{
	struct aead *opener = aead_create(algorithm, AEAD_OPEN, key);

	for (uint8_t i = 0; i <= OSCORE_ID; i++) {
		begin(&d->as[i], algorithm, i, key);
		d->as[i].opener = opener;
	}
	return opener != NULL;
}

void decoy_wipe(struct decoy *d)
{
	aead_free(d->as[0].opener);
	secret_wipe(d, sizeof *d);
}

struct oscore_context *decoy_for(struct decoy *d, struct bytes kid)
{
	return &d->as[kid.len < OSCORE_ID ? kid.len : OSCORE_ID];
}

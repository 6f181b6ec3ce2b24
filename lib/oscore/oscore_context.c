#include "oscore/oscore_context.h"
#include "crypto/secret.h"

static struct aead *prepare(const struct oscore_setup *s, struct bytes secret, const struct oscore_id *id,
			    enum aead_use use)
{
	uint8_t key[AEAD_KEY];
	struct aead *a = NULL;

	if (oscore_setup_derive(s, secret, oscore_id_bytes(id), "Key", key,
				aead_info((enum aead_algorithm)s->aead)->key_len))
		a = aead_create((enum aead_algorithm)s->aead, use, key);
	secret_wipe(key, sizeof key);
	return a;
}

/* A window as wide as it is now: where it did not reach before, everything counts as received. */
static struct replay widened(struct replay w, uint8_t size)
{
	if (w.size < size)
		w.seen |= w.size ? UINT64_MAX << w.size : UINT64_MAX;
	w.size = size;
	w.seen &= UINT64_MAX >> (64 - size);
	return w;
}

/* Everything but the keys. */
static void begin(struct oscore_context *c, const struct oscore_setup *setup, const struct oscore_state *state,
		  struct rng *rng)
{
	oscore_context_wipe(c);
	c->setup = *setup;
	oscore_aad_init(&c->sent, oscore_setup_cose(setup), oscore_id_bytes(&setup->sender_id));
	oscore_aad_init(&c->received, oscore_setup_cose(setup), oscore_id_bytes(&setup->recipient_id));
	c->next = c->limit = state->next;
	c->loaded = *state;
	c->loaded.window = widened(state->window, setup->window);
	c->synced = false;
	replay_init(&c->window, setup->window);
	c->counters = (struct oscore_counters){ 0 };
	rng->fill(rng, c->challenge, sizeof c->challenge);
	c->generation++;
}

bool oscore_context_init(struct oscore_context *c, const struct oscore_setup *setup, struct bytes secret,
			 const struct oscore_state *state, struct rng *rng)
{
	const struct aead_info *a = aead_info((enum aead_algorithm)setup->aead);

	begin(c, setup, state, rng);
	c->sealer = prepare(setup, secret, &setup->sender_id, AEAD_SEAL);
	c->opener = prepare(setup, secret, &setup->recipient_id, AEAD_OPEN);
	if (c->sealer && c->opener &&
	    oscore_setup_derive(setup, secret, bytes_of("", 0), "IV", c->common_iv, a->nonce_len))
		return true;
	oscore_context_wipe(c);
	return false;
}

bool oscore_context_init_played(struct oscore_context *c, const struct oscore_setup *setup,
				const struct aead_player *player, const struct oscore_state *state, struct rng *rng)
{
	begin(c, setup, state, rng);
	c->sealer = aead_create_played((enum aead_algorithm)setup->aead, AEAD_SEAL, player);
	c->opener = aead_create_played((enum aead_algorithm)setup->aead, AEAD_OPEN, player);
	if (c->sealer && c->opener)
		return true;
	oscore_context_wipe(c);
	return false;
}

void oscore_context_wipe(struct oscore_context *c)
{
	aead_free(c->sealer);
	aead_free(c->opener);
	c->sealer = c->opener = NULL;
	secret_wipe(c->common_iv, sizeof c->common_iv);
}

uint64_t oscore_context_wanted(const struct oscore_context *c, uint32_t reserve)
{
	uint64_t ahead = c->limit - c->next, limit = c->next + reserve;

	if (!oscore_context_works(c) || ahead > reserve / 2 || c->limit > OSCORE_PIV_MAX)
		return 0;
	return limit <= OSCORE_PIV_MAX ? limit : OSCORE_PIV_MAX + 1;
}

void oscore_context_allow(struct oscore_context *c, uint64_t limit)
{
	c->limit = limit;
	if (c->loaded.synced && !c->synced) {
		c->window = c->loaded.window;
		c->synced = true;
	}
	c->loaded.synced = false;
}

struct oscore_state oscore_context_state(const struct oscore_context *c)
{
	struct oscore_state s = { .next = c->next, .synced = c->synced, .window = c->window };

	return c->loaded.synced ? c->loaded : s; /* never came into use: as it was */
}

bool oscore_context_number(struct oscore_context *c, uint64_t *number)
{
	if (c->next >= c->limit || c->next > OSCORE_PIV_MAX) {
		c->counters.exhausted++;
		return false;
	}
	*number = c->next++;
	return true;
}

/*
 *   | length of ID | ID, left-padded | Partial IV, left-padded to 5 |  XOR Common IV
 */
void oscore_context_nonce(const struct oscore_context *c, struct bytes id, struct bytes piv, uint8_t out[AEAD_NONCE])
{
	size_t n = aead_info((enum aead_algorithm)c->setup.aead)->nonce_len;

	memcpy(out, c->common_iv, n);
	out[0] ^= (uint8_t)id.len;
	for (size_t i = 0; i < id.len; i++)
		out[n - OSCORE_PIV - id.len + i] ^= id.ptr[i];
	for (size_t i = 0; i < piv.len; i++)
		out[n - piv.len + i] ^= piv.ptr[i];
}

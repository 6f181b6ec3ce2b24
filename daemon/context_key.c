#include "context_key.h"
#include <string.h>

_Static_assert(SECRETS_MAX <= OSCORE_SECRET, "every secret can be taken");

/* The sender key does not depend on who receives. */
static bool take_prints(struct context_key *k, const struct oscore_setup *s)
{
	struct oscore_setup half = *s;
	struct bytes secret = bytes_of(k->secret, k->len);

	memset(&half.recipient_id, 0, sizeof half.recipient_id);
	return oscore_setup_print(s, secret, k->print) && oscore_setup_print(&half, secret, k->sender);
}

bool context_key_read(struct context_key *k, const struct config *c, const char *config_path, unsigned place, char *why,
		      size_t size)
{
	const struct proxy_context *x = &c->proxy.contexts[place];

	memset(k, 0, sizeof *k);
	k->len = secrets_read(x->name, c->secret_files[place], config_path, k->secret, why, size);
	if (k->len > 0 && take_prints(k, &x->setup))
		return true;
	if (k->len > 0)
		snprintf(why, size, "the cryptographic library failed");
	context_key_wipe(k);
	return false;
}

void context_key_wipe(struct context_key *k)
{
	explicit_bzero(k, sizeof *k);
}

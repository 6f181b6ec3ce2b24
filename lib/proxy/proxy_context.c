#include "proxy/proxy_context.h"
#include <stdio.h>

static struct oscore_context *at(const struct proxy *p, uint8_t place)
{
	return oscore_store_at(p->contexts, place);
}

static void heard(void *arg, enum aead_use use, bool ok, struct bytes bytes)
{
	const struct proxy_ear *ear = arg;
	const struct proxy *p = ear->proxy;

	p->tap.layer(p->tap.arg, p->cfg.contexts[ear->context].name, use, ok, bytes);
}

static void listen_to(struct proxy *p, uint8_t place)
{
	struct proxy_ear *ear = &p->ears[place];
	const struct aead_tap *tap = p->tap.layer ? &ear->tap : NULL;
	struct proxy_context_view view;

	*ear = (struct proxy_ear){ .proxy = p, .context = place, .tap = { heard, ear } };
	if (!oscore_context_works(at(p, place)))
		return;
	aead_tap(at(p, place)->sealer, tap);
	aead_tap(at(p, place)->opener, tap);
	if (p->tap.context && proxy_context_view(p, place, &view))
		p->tap.context(p->tap.arg, p->cfg.contexts[place].name, &view);
}

void proxy_context_note(struct proxy *p)
{
	memset(p->layers_of, PROXY_NO_CONTEXT, sizeof p->layers_of);
	p->has_contexts = false;
	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++) {
		const struct proxy_context *c = &p->cfg.contexts[i];

		if (!c->name[0])
			continue;
		p->has_contexts = true;
		if (c->next_hop != PROXY_NO_SERVER)
			p->layers_of[c->next_hop] = i;
	}
}

void proxy_context_listen(struct proxy *p)
{
	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++)
		listen_to(p, i);
}

/* Known to everybody from now on, or to nobody. */
static void publish(struct proxy *p, uint8_t place)
{
	at(p, place)->source = p->cfg.contexts[place].source;
	guard_forget_peer(p->guard, place);
	oscore_store_index(p->contexts);
	listen_to(p, place);
}

bool proxy_context_install(struct proxy *p, uint8_t place, struct bytes secret, const struct oscore_state *state)
{
	bool works = oscore_context_init(at(p, place), &p->cfg.contexts[place].setup, secret, state, p->rng);

	publish(p, place);
	return works;
}

bool proxy_context_view(const struct proxy *p, uint8_t place, struct proxy_context_view *out)
{
	const struct oscore_context *c = at(p, place);

	if (!oscore_context_works(c))
		return false;
	*out = (struct proxy_context_view){ oscore_context_state(c), c->limit, c->loaded.synced, { 0 } };
	memcpy(out->challenge, c->challenge, sizeof out->challenge);
	return true;
}

bool proxy_context_play(struct proxy *p, uint8_t place, const struct aead_player *player,
			const struct proxy_context_view *from)
{
	struct oscore_context *c = at(p, place);
	bool works = oscore_context_init_played(c, &p->cfg.contexts[place].setup, player, &from->state, p->rng);

	memcpy(c->challenge, from->challenge, sizeof c->challenge);
	if (works && !from->pending)
		oscore_context_allow(c, from->limit);
	publish(p, place);
	return works;
}

void proxy_context_withdraw(struct proxy *p, uint8_t place)
{
	oscore_context_wipe(at(p, place));
	publish(p, place);
}

bool proxy_context_works(const struct proxy *p, uint8_t place)
{
	return oscore_context_works(at(p, place));
}

void proxy_context_explain(struct proxy *p, uint8_t place, const char *why)
{
	snprintf(p->troubles[place], sizeof p->troubles[place], "%s", why);
}

bool proxy_context_wanted(const struct proxy *p, uint8_t place, struct oscore_state *out)
{
	const struct oscore_context *c = at(p, place);

	*out = (struct oscore_state){ .next = oscore_context_wanted(c, p->cfg.ssn_reserve), .window = c->window };
	return out->next > 0;
}

void proxy_context_allow(struct proxy *p, uint8_t place, uint64_t next)
{
	oscore_context_allow(at(p, place), next);
	if (p->tap.allowed)
		p->tap.allowed(p->tap.arg, p->cfg.contexts[place].name, next);
}

struct oscore_state proxy_context_state(const struct proxy *p, uint8_t place)
{
	return oscore_context_state(at(p, place));
}

bool proxy_context_is_same(const struct proxy_context *a, const struct proxy_context *b)
{
	return strcmp(a->name, b->name) == 0 && memcmp(&a->setup, &b->setup, sizeof a->setup) == 0;
}

void proxy_context_keep(struct proxy *p, const struct proxy_config *cfg)
{
	bool moved = false;

	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++) {
		const struct proxy_context *old = &p->cfg.contexts[i], *new = &cfg->contexts[i];

		if (!oscore_context_works(at(p, i)))
			continue;
		if (!proxy_context_is_same(old, new)) {
			oscore_context_wipe(at(p, i));
			guard_forget_peer(p->guard, i);
			p->troubles[i][0] = '\0';
		}
		moved |= !proxy_context_is_same(old, new) || !addr_same_host(&old->source, &new->source);
		at(p, i)->source = new->source;
	}
	if (moved)
		oscore_store_index(p->contexts);
}

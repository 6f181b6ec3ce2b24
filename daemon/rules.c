#include "rules.h"
#include "draft.h"
#include <assert.h>
#include <string.h>

static struct draft_section *section_at(struct draft *d, enum schema_section kind, unsigned place)
{
	struct draft_section *s = draft_section(d, kind, schema_name(d->c, kind, place));

	assert(s); /* what has a place has a section */
	return s;
}

/* Where a key was set, or its section. */
static struct config_origin origin_of(const struct draft *d, const struct draft_section *s, const char *key)
{
	const struct draft_entry *e = draft_find(d, s, key);

	return e ? e->origin : s->origin;
}

static void check_shares(struct draft *d, unsigned place)
{
	static const char *const keys[] = { "share-trusted", "share-reachable", "share-unknown" };
	const uint8_t *share = d->c->proxy.links[place].sched.share;
	struct draft_section *s = section_at(d, SECTION_LINK, place);
	const struct draft_entry *last = NULL;

	if (s->spoiled || share[0] + share[1] + share[2] == 100)
		return;
	for (unsigned i = 0; i < 3; i++) {
		const struct draft_entry *e = draft_find(d, s, keys[i]);

		if (e && (!last || e > last)) /* entries stand in the order read */
			last = e;
	}
	assert(last);
	draft_complain(d, s, last->key->key, last->origin,
		       "expected shares that sum to 100%%, got %u%% trusted, %u%% reachable, %u%% unknown", share[0],
		       share[1], share[2]);
}

/* A size that the block options can say (RFC 7959 §2.2). */
static void check_blocks(struct draft *d, unsigned place)
{
	uint32_t size = d->c->proxy.links[place].block_size;
	struct draft_section *s = section_at(d, SECTION_LINK, place);

	if (!s->spoiled && size && (size < 16 || (size & (size - 1))))
		draft_complain(d, s, "block-size", origin_of(d, s, "block-size"),
			       "expected 16B, 32B, 64B, 128B, 256B, 512B, 1024B, or 0B for none, got %uB", size);
}

static bool has_several_links(const struct config *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_LINKS; i++)
		n += *c->proxy.links[i].name != '\0';
	return n > 1;
}

static void check_needed(struct draft *d, struct draft_section *s)
{
	char names[SCHEMA_LIST];

	if (!draft_find(d, s, "address"))
		draft_complain(d, s, "address", s->origin,
			       "missing; expected a line like \"address = coap://[fd00:db8::17]\"");
	if (!draft_find(d, s, "link") && has_several_links(d->c))
		draft_complain(d, s, "link", s->origin, "missing, and there are several links: %s",
			       schema_names(d->c, SECTION_LINK, names));
}

/* Is a datagram sent to `to` one that the guard itself would receive at this place? */
static bool is_self(const struct proxy_listen *l, const struct addr *to)
{
	if (!*l->name || l->bind.port != to->port || l->bind.carrier != to->carrier)
		return false;
	if (addr_same_host(&l->bind, to))
		return true;
	/* [::] takes IPv4 too. */
	return addr_is_unspecified(&l->bind) && addr_is_loopback(to) && (!addr_is_v4(&l->bind) || addr_is_v4(to));
}

static void check_not_self(struct draft *d, unsigned place, struct draft_section *s)
{
	const struct addr *to = &d->c->proxy.servers[place].address;
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (!is_self(&d->c->proxy.listens[i], to))
			continue;
		draft_complain(d, s, "address", origin_of(d, s, "address"), "%s is the guard itself: [listen %s]",
			       addr_format(to, text), d->c->proxy.listens[i].name);
		return;
	}
}

static bool has_keys(const struct addr *a)
{
	return a->carrier == ADDR_DTLS || a->carrier == ADDR_TLS;
}

static void check_psk(struct draft *d, unsigned place, struct draft_section *s)
{
	bool needed = has_keys(&d->c->proxy.servers[place].address);
	const char *const values[] = { d->c->server_identities[place], d->c->server_psk_files[place] };
	static const char *const keys[] = { "psk-identity", "psk-file" };

	for (unsigned i = 0; i < 2; i++) {
		if (needed && !*values[i])
			draft_complain(d, s, keys[i], origin_of(d, s, keys[i]), "missing, and the address needs it");
		else if (!needed && *values[i])
			draft_complain(d, s, keys[i], origin_of(d, s, keys[i]),
				       "only an address with coaps:// or coaps+tcp:// needs it");
	}
}

/* Two servers may not claim the same requests. */
static void check_twin(struct draft *d, unsigned place, unsigned other)
{
	const struct proxy_server *a = &d->c->proxy.servers[place];
	const struct proxy_server *b = &d->c->proxy.servers[other];
	struct draft_section *s = section_at(d, SECTION_SERVER, place);
	char text[ADDR_TEXT];

	if (addr_equal(&a->address, &b->address))
		draft_complain(d, s, "address", origin_of(d, s, "address"), "%s is the address of [server %s] already",
			       addr_format(&a->address, text), b->name);
	if (*a->uri_path && strcmp(a->uri_path, b->uri_path) == 0)
		draft_complain(d, s, "uri-path", origin_of(d, s, "uri-path"),
			       "\"%s\" is the path of [server %s] already", a->uri_path, b->name);
	if (*a->uri_host && strcmp(a->uri_host, b->uri_host) == 0)
		draft_complain(d, s, "uri-host", origin_of(d, s, "uri-host"),
			       "\"%s\" is the host of [server %s] already", a->uri_host, b->name);
}

/* Compares each server with those before it in the files: the later one is complained of. */
static void check_twins(struct draft *d)
{
	for (unsigned i = 0; i < d->n_sections; i++) {
		struct draft_section *s = &d->sections[i];

		for (unsigned j = 0; s->kind == SECTION_SERVER && j < i; j++) {
			struct draft_section *o = &d->sections[j];

			if (o->kind != SECTION_SERVER || s->spoiled || o->spoiled)
				continue;
			check_twin(d, (unsigned)schema_place(d->c, s->kind, s->name),
				   (unsigned)schema_place(d->c, o->kind, o->name));
		}
	}
}

static void check_servers(struct draft *d)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		struct draft_section *s;

		if (!d->c->proxy.policy.servers[i].present)
			continue;
		s = section_at(d, SECTION_SERVER, i);
		if (!s->spoiled)
			check_needed(d, s);
		if (!s->spoiled)
			check_not_self(d, i, s);
		if (!s->spoiled)
			check_psk(d, i, s);
	}
	check_twins(d);
}

static bool is_reached(const struct config *c, unsigned server)
{
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (*c->proxy.contexts[i].name && c->proxy.contexts[i].servers >> server & 1)
			return true;
	}
	return false;
}

/* A context in which something is wrong may have been meant to reach it. */
static void check_full(struct draft *d, unsigned place)
{
	struct draft_section *s = section_at(d, SECTION_SERVER, place);

	for (unsigned i = 0; i < d->n_sections; i++) {
		if (d->sections[i].kind == SECTION_CONTEXT && d->sections[i].spoiled)
			return;
	}
	if (!s->spoiled && d->c->proxy.policy.servers[place].mode == MODE_FULL && !is_reached(d->c, place))
		draft_complain(d, s, "mode", origin_of(d, s, "mode"),
			       "nobody could reach it: expected a [context NAME] with \"servers = %s\"", s->name);
}

/* What names no other server can go to one only. The later one is complained of. */
static void check_one_proxy(struct draft *d)
{
	const struct draft_section *first = NULL;

	for (unsigned i = 0; i < d->n_sections; i++) {
		struct draft_section *s = &d->sections[i];

		if (s->kind != SECTION_SERVER || s->spoiled ||
		    !d->c->proxy.servers[schema_place(d->c, s->kind, s->name)].proxy)
			continue;
		if (first)
			draft_complain(d, s, "proxy", origin_of(d, s, "proxy"), "[server %s] is it already",
				       first->name);
		else
			first = s;
	}
}

static const struct proxy_context *context_of(const struct draft *d, const struct draft_section *s)
{
	return &d->c->proxy.contexts[schema_place(d->c, SECTION_CONTEXT, s->name)];
}

static bool is_same_id(const struct oscore_id *a, const struct oscore_id *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

static void check_id_length(struct draft *d, struct draft_section *s, const char *key, const struct oscore_id *id)
{
	const struct aead_info *aead = aead_info((enum aead_algorithm)context_of(d, s)->setup.aead);

	if (id->len > aead->nonce_len - 6) /* RFC 8613 §5.2 */
		draft_complain(d, s, key, origin_of(d, s, key), "expected at most %d bytes with %s, got %d",
			       aead->nonce_len - 6, aead->name, id->len);
}

static void check_ids(struct draft *d, struct draft_section *s)
{
	const struct oscore_setup *setup = &context_of(d, s)->setup;
	static const char *const needed[] = { "sender-id", "recipient-id" };

	for (unsigned i = 0; i < 2; i++) {
		if (!draft_find(d, s, needed[i]))
			draft_complain(d, s, needed[i], s->origin,
				       "missing; expected a line like \"%s = 0x01\"; nothing behind the sign is "
				       "the empty identifier",
				       needed[i]);
	}
	if (s->spoiled)
		return;
	check_id_length(d, s, "sender-id", &setup->sender_id);
	check_id_length(d, s, "recipient-id", &setup->recipient_id);
	if (is_same_id(&setup->sender_id, &setup->recipient_id))
		draft_complain(d, s, "recipient-id", origin_of(d, s, "recipient-id"),
			       "the same as sender-id, so that both ends would use one key");
	assert(s->spoiled || oscore_setup_is_sound(setup));
}

/* An incoming message belongs to one context, and an outgoing one gets one layer. */
static void check_context_twin(struct draft *d, struct draft_section *s, const struct draft_section *other)
{
	const struct proxy_context *a = context_of(d, s), *b = context_of(d, other);

	if (is_same_id(&a->setup.recipient_id, &b->setup.recipient_id) &&
	    memcmp(&a->setup.id_context, &b->setup.id_context, sizeof a->setup.id_context) == 0 &&
	    addr_same_host(&a->source, &b->source))
		draft_complain(d, s, "recipient-id", origin_of(d, s, "recipient-id"),
			       "[context %s] has it already, with the same id-context and source", b->name);
	if (a->next_hop != PROXY_NO_SERVER && a->next_hop == b->next_hop)
		draft_complain(d, s, "next-hop", origin_of(d, s, "next-hop"),
			       "\"%s\" has the layer of [context %s] already", d->c->proxy.servers[a->next_hop].name,
			       b->name);
}

static void check_state(struct draft *d, const struct draft_section *context)
{
	struct draft_section *s = draft_section(d, SECTION_STATE, "");

	if (s && !s->spoiled && !*d->c->state_directory)
		draft_complain(d, s, "directory", origin_of(d, s, "directory"), "empty, but [context %s] needs one",
			       context->name);
}

static void check_contexts(struct draft *d)
{
	for (unsigned i = 0; i < d->n_sections; i++) {
		struct draft_section *s = &d->sections[i];

		if (s->kind != SECTION_CONTEXT)
			continue;
		check_state(d, s);
		if (!s->spoiled)
			check_ids(d, s);
		for (unsigned j = 0; j < i && !s->spoiled; j++) {
			if (d->sections[j].kind == SECTION_CONTEXT && !d->sections[j].spoiled)
				check_context_twin(d, s, &d->sections[j]);
		}
	}
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (d->c->proxy.policy.servers[i].present)
			check_full(d, i);
	}
	check_one_proxy(d);
}

static struct config_origin bind_origin(struct draft *d, unsigned place)
{
	struct config_origin at = d->c->origins[place][schema_find(SECTION_LISTEN, "bind") - schema_keys];

	return at.file ? at : section_at(d, SECTION_LISTEN, place)->origin;
}

static bool is_later(struct config_origin a, struct config_origin b)
{
	return a.file != b.file ? a.file > b.file : a.line > b.line;
}

static void check_listen_twin(struct draft *d, unsigned place, unsigned other)
{
	const struct proxy_listen *a = &d->c->proxy.listens[place];
	const struct proxy_listen *b = &d->c->proxy.listens[other];
	struct draft_section *s = section_at(d, SECTION_LISTEN, place);
	char text[ADDR_TEXT];

	if (!s->spoiled && addr_equal(&a->bind, &b->bind) &&
	    strcmp(d->c->interfaces[place], d->c->interfaces[other]) == 0 &&
	    is_later(bind_origin(d, place), bind_origin(d, other)))
		draft_complain(d, s, "bind", bind_origin(d, place), "%s is listened at by [listen %s] already",
			       addr_format(&a->bind, text), b->name);
}

static void check_transport(struct draft *d, unsigned place)
{
	const struct addr *bind = &d->c->proxy.listens[place].bind;
	struct draft_section *s = section_at(d, SECTION_LISTEN, place);

	if (s->spoiled)
		return;
	if (has_keys(bind) && !*d->c->listen_psk_files[place])
		draft_complain(d, s, "psk-file", origin_of(d, s, "transport"), "missing, and its transport needs it");
	else if (!has_keys(bind) && *d->c->listen_psk_files[place])
		draft_complain(d, s, "psk-file", origin_of(d, s, "psk-file"),
			       "only \"transport = dtls\" and \"transport = tls\" need it");
	if (addr_is_connected(bind) && *d->c->interfaces[place])
		draft_complain(d, s, "interface", origin_of(d, s, "interface"), "only for \"transport = udp\"");
}

static void check_listens(struct draft *d)
{
	const struct proxy_listen *l = d->c->proxy.listens;

	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (*l[i].name)
			check_transport(d, i);
		for (unsigned j = 0; j < PROXY_LISTENS; j++) {
			if (*l[i].name && *l[j].name)
				check_listen_twin(d, i, j);
		}
	}
}

static void check_echo(struct draft *d)
{
	const struct policy *p = &d->c->proxy.policy;
	struct draft_section *s = draft_section(d, SECTION_ECHO, "");

	if (!s || s->spoiled || p->echo_validity <= p->echo_key_lifetime)
		return;
	draft_complain(d, s, "validity", origin_of(d, s, "validity"),
		       "longer than key-lifetime, after which no value can be checked");
}

static void check_metrics(struct draft *d)
{
	struct draft_section *s = draft_section(d, SECTION_METRICS, "");

	if (s && !s->spoiled && !*d->c->metrics_path)
		draft_complain(d, s, "path", origin_of(d, s, "path"), "empty; expected one like \"/metrics\"");
}

/* A key that returned to its default may have left with its section. */
static struct draft_section *section_for(struct draft *d, enum schema_section kind)
{
	static const struct config_origin whole_file = { .line = 0, .file = 1 };
	struct draft_section *s = draft_section(d, kind, "");

	return s ? s : draft_add(d, kind, "", whole_file);
}

static void check_key_kept(struct draft *d, const struct schema_key *k)
{
	struct config_origin at = d->c->origins[0][k - schema_keys];
	char now[VALUE_TEXT], old[VALUE_TEXT];
	struct draft_section *s;

	schema_get(k, d->c, 0, now);
	schema_get(k, d->previous, 0, old);
	if (strcmp(now, old) == 0)
		return;
	s = section_for(d, k->section);
	draft_complain(d, s, k->key, at.file ? at : s->origin, "changed from \"%s\" to \"%s\", which needs a restart",
		       old, now);
}

static void check_kept(struct draft *d)
{
	for (unsigned i = 0; i < schema_count; i++) {
		if (!schema_keys[i].reloadable)
			check_key_kept(d, &schema_keys[i]);
	}
}

void rules_check(struct draft *d)
{
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		if (!*d->c->proxy.links[i].name)
			continue;
		check_shares(d, i);
		check_blocks(d, i);
	}
	check_servers(d);
	check_listens(d);
	check_contexts(d);
	check_echo(d);
	check_metrics(d);
	/* A value that is wrong left its default behind, which need not be a change. */
	if (d->previous && d->errors->count == 0)
		check_kept(d);
}

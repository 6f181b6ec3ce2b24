#include "completion.h"
#include "draft.h"
#include <assert.h>
#include <string.h>

static const struct config_origin whole_file = { .line = 0, .file = 1 };

/* Without [link] there is one link, without [listen] one listener: both with every default. */
static void add_missing(struct draft *d)
{
	if (draft_count(d, SECTION_LINK) == 0)
		draft_add(d, SECTION_LINK, "default", whole_file);
	if (draft_count(d, SECTION_LISTEN) == 0)
		draft_add(d, SECTION_LISTEN, "default", whole_file);
}

/*
 * A place nobody has now. Better one that nobody had before either, so that a new section does not
 * look like an old one changed.
 */
static unsigned free_place(const struct draft *d, enum schema_section kind)
{
	unsigned places = schema_places(kind), reused = places;

	for (unsigned i = 0; i < places; i++) {
		if (*schema_name(d->c, kind, i))
			continue;
		if (!d->previous || !*schema_name(d->previous, kind, i))
			return i;
		if (reused == places)
			reused = i;
	}
	assert(reused < places); /* draft_open and the caller have counted */
	return reused;
}

static void set_defaults(struct config *c, enum schema_section kind, unsigned place)
{
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];
		bool set = true;

		if (k->section == kind && k->fallback)
			set = schema_set(k, c, place, k->fallback);
		assert(set); /* a default obeys its own rule */
		(void)set;
	}
}

static void take_place(struct config *c, const struct draft_section *s, unsigned place)
{
	struct proxy_server *server = &c->proxy.servers[place];

	switch (s->kind) {
	case SECTION_LISTEN: memcpy(c->proxy.listens[place].name, s->name, PROXY_NAME); break;
	case SECTION_LINK: memcpy(c->proxy.links[place].name, s->name, PROXY_NAME); break;
	case SECTION_CONTEXT:
		memcpy(c->proxy.contexts[place].name, s->name, PROXY_NAME);
		snprintf(c->secret_files[place], sizeof c->secret_files[place], "keys/%s", s->name);
		break;
	case SECTION_SERVER:
		memcpy(server->name, s->name, PROXY_NAME);
		memcpy(server->uri_path, s->name, PROXY_NAME);
		c->proxy.policy.servers[place].present = true;
		break;
	default: break;
	}
	set_defaults(c, s->kind, place);
}

/* First those who had a place before, so that the others can't take it. */
static void place_sections(struct draft *d, enum schema_section kind)
{
	for (unsigned i = 0; d->previous && i < d->n_sections; i++) {
		const struct draft_section *s = &d->sections[i];
		int place = schema_place(d->previous, kind, s->name);

		if (s->kind == kind && place >= 0)
			take_place(d->c, s, (unsigned)place);
	}
	for (unsigned i = 0; i < d->n_sections; i++) {
		const struct draft_section *s = &d->sections[i];

		if (s->kind == kind && schema_place(d->c, kind, s->name) < 0)
			take_place(d->c, s, free_place(d, kind));
	}
}

/* One address of one listen section. */
struct binding {
	const struct draft_section *section;
	struct addr bind;
	struct config_origin origin; /* file 0: the default */
	bool placed;
};

struct bindings {
	struct binding list[PROXY_LISTENS];
	unsigned count;
};

static void explain(struct draft *d, struct draft_section *s, const struct draft_entry *e)
{
	const char *plan = schema_planned(schema_word(s->kind), e->key->key, e->value);
	char expects[VALUE_EXPECTS], names[SCHEMA_LIST];

	if (plan)
		draft_complain(d, s, e->key->key, e->origin, "\"%s\" is not built yet: %s", e->value, plan);
	else if (e->key->rule.kind == VALUE_LINK)
		draft_complain(d, s, e->key->key, e->origin, "no section [link %s]; defined links: %s", e->value,
			       schema_names(d->c, SECTION_LINK, names));
	else if (e->key->rule.kind == VALUE_SERVERS)
		draft_complain(d, s, e->key->key, e->origin,
			       "expected names of servers, each once, got \"%s\"; defined servers: %s", e->value,
			       schema_names(d->c, SECTION_SERVER, names));
	else if (e->key->rule.kind == VALUE_SERVER)
		draft_complain(d, s, e->key->key, e->origin, "no section [server %s]; defined servers: %s", e->value,
			       schema_names(d->c, SECTION_SERVER, names));
	else
		draft_complain(d, s, e->key->key, e->origin, "expected %s, got \"%s\"",
			       value_expects(&e->key->rule, expects), e->value);
}

/* e NULL: the default. */
static void add_binding(struct draft *d, struct bindings *b, struct draft_section *s, const struct draft_entry *e)
{
	const struct schema_key *k = schema_find(SECTION_LISTEN, "bind");
	struct binding *binding;

	if (b->count == PROXY_LISTENS) {
		draft_complain(d, s, k->key, e ? e->origin : s->origin, "more than %d addresses to listen at",
			       PROXY_LISTENS);
		return;
	}
	binding = &b->list[b->count++];
	memset(binding, 0, sizeof *binding);
	binding->section = s;
	value_parse(&k->rule, k->fallback, &binding->bind);
	if (!e)
		return;
	binding->origin = e->origin;
	if (!value_parse(&k->rule, e->value, &binding->bind))
		explain(d, s, e);
}

static void collect_bindings(struct draft *d, struct bindings *b)
{
	b->count = 0;
	for (unsigned i = 0; i < d->n_sections; i++) {
		bool has_any = false;

		if (d->sections[i].kind != SECTION_LISTEN)
			continue;
		for (unsigned j = 0; j < d->n_entries; j++) {
			const struct draft_entry *e = &d->entries[j];

			if (e->section != i || e->key->rule.kind != VALUE_BIND)
				continue;
			add_binding(d, b, &d->sections[i], e);
			has_any = true;
		}
		if (!has_any)
			add_binding(d, b, &d->sections[i], NULL);
	}
}

static void place_binding(struct draft *d, struct binding *b, unsigned place)
{
	const struct schema_key *k = schema_find(SECTION_LISTEN, "bind");

	take_place(d->c, b->section, place);
	d->c->proxy.listens[place].bind = b->bind;
	d->c->origins[place][k - schema_keys] = b->origin;
	b->placed = true;
}

/* The free place where the same section listened at the same address before, or -1. */
static int previous_place(const struct draft *d, const struct binding *b)
{
	for (unsigned i = 0; d->previous && i < PROXY_LISTENS; i++) {
		const struct proxy_listen *old = &d->previous->proxy.listens[i];

		/* its transport is not known yet, and the same for all of the section */
		if (strcmp(old->name, b->section->name) == 0 && addr_same_host(&old->bind, &b->bind) &&
		    old->bind.port == b->bind.port && !*d->c->proxy.listens[i].name)
			return (int)i;
	}
	return -1;
}

static void place_listens(struct draft *d)
{
	struct bindings b;

	collect_bindings(d, &b);
	for (unsigned i = 0; i < b.count; i++) {
		int place = previous_place(d, &b.list[i]);

		if (place >= 0)
			place_binding(d, &b.list[i], (unsigned)place);
	}
	for (unsigned i = 0; i < b.count; i++) {
		if (!b.list[i].placed)
			place_binding(d, &b.list[i], free_place(d, SECTION_LISTEN));
	}
}

/* All addresses of a listen section share its keys. */
static void set_value(struct draft *d, const struct draft_entry *e)
{
	struct draft_section *s = &d->sections[e->section];
	unsigned places = schema_places(s->kind);

	for (unsigned i = 0; i < places; i++) {
		if (strcmp(schema_name(d->c, s->kind, i), s->name) != 0)
			continue;
		if (!schema_set(e->key, d->c, i, e->value)) {
			explain(d, s, e);
			return;
		}
		d->c->origins[i][e->key - schema_keys] = e->origin;
	}
}

static bool is_default(const struct config *c, unsigned place, enum schema_section s, const char *key)
{
	return c->origins[place][schema_find(s, key) - schema_keys].file == 0;
}

/* The defaults that depend on what else there is. */
static void set_dependent(struct config *c)
{
	unsigned only = PROXY_NO_SERVER, servers = 0;

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (!c->proxy.policy.servers[i].present)
			continue;
		only = servers++ == 0 ? i : PROXY_NO_SERVER;
		if (!is_default(c, i, SECTION_SERVER, "link"))
			continue;
		for (unsigned j = 0; j < POLICY_LINKS; j++) {
			if (*c->proxy.links[j].name)
				c->proxy.policy.servers[i].link = (uint8_t)j;
		}
	}
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		if (*c->proxy.listens[i].name && is_default(c, i, SECTION_LISTEN, "server"))
			c->proxy.listens[i].server = (uint8_t)only;
	}
}

void completion_of(struct draft *d)
{
	add_missing(d);
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		if (!schema_is_named((enum schema_section)s))
			set_defaults(d->c, (enum schema_section)s, 0);
	}
	place_sections(d, SECTION_LINK);
	place_sections(d, SECTION_SERVER);
	place_sections(d, SECTION_CONTEXT);
	place_listens(d);
	for (unsigned i = 0; i < d->n_entries; i++) {
		if (d->entries[i].key->rule.kind != VALUE_BIND)
			set_value(d, &d->entries[i]);
	}
	set_dependent(d->c);
}

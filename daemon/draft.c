#include "draft.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void draft_init(struct draft *d, struct config *c, const struct config *previous, struct config_errors *errors)
{
	memset(d, 0, sizeof *d);
	d->c = c;
	d->previous = previous;
	d->errors = errors;
}

void draft_free(struct draft *d)
{
	free(d->entries);
	d->entries = NULL;
}

const char *draft_file(const struct draft *d, struct config_origin at)
{
	return d->c->files[at.file > 0 ? at.file - 1 : 0];
}

void draft_complain(struct draft *d, struct draft_section *s, const char *key, struct config_origin at, const char *fmt,
		    ...)
{
	char text[CONFIG_ERROR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!s) {
		config_errors_add(d->errors, draft_file(d, at), at, "%s", text);
		return;
	}
	s->spoiled = true;
	config_errors_add(d->errors, draft_file(d, at), at, "[%s%s%s]%s%s: %s", schema_word(s->kind),
			  *s->name ? " " : "", s->name, key ? " " : "", key ? key : "", text);
}

unsigned draft_count(const struct draft *d, enum schema_section kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_sections; i++)
		n += d->sections[i].kind == kind;
	return n;
}

struct draft_section *draft_section(struct draft *d, enum schema_section kind, const char *name)
{
	for (unsigned i = 0; i < d->n_sections; i++) {
		if (d->sections[i].kind == kind && strcmp(d->sections[i].name, name) == 0)
			return &d->sections[i];
	}
	return NULL;
}

struct draft_section *draft_add(struct draft *d, enum schema_section kind, const char *name, struct config_origin at)
{
	struct draft_section *s;

	assert(d->n_sections < DRAFT_SECTIONS);
	s = &d->sections[d->n_sections++];
	memset(s, 0, sizeof *s);
	s->kind = kind;
	snprintf(s->name, sizeof s->name, "%s", name);
	s->origin = at;
	return s;
}

static void complain_of_word(struct draft *d, const char *word, struct config_origin at)
{
	const char *plan = schema_planned(word, NULL, NULL), *near = schema_near_section(word);
	enum schema_section kind;

	if (plan)
		draft_complain(d, NULL, NULL, at, "[%s]: not built yet: %s", word, plan);
	else if (near && schema_section(near, &kind))
		draft_complain(d, NULL, NULL, at, "[%s]: unknown section; did you mean \"[%s%s]\"?", word, near,
			       schema_is_named(kind) ? " NAME" : "");
	else
		draft_complain(d, NULL, NULL, at, "[%s]: unknown section", word);
}

struct draft_section *draft_open(struct draft *d, const char *word, const char *name, struct config_origin at)
{
	enum schema_section kind;
	struct draft_section *s;

	if (!schema_section(word, &kind)) {
		complain_of_word(d, word, at);
		return NULL;
	}
	if (schema_is_named(kind) && (!value_is_word(name) || strlen(name) >= PROXY_NAME)) {
		draft_complain(d, NULL, NULL, at,
			       "[%s%s%s]: expected \"[%s NAME]\", NAME a word of A-Z a-z 0-9 _ . -, "
			       "at most %d characters",
			       word, *name ? " " : "", name, word, PROXY_NAME - 1);
		return NULL;
	}
	if (!schema_is_named(kind) && *name) {
		draft_complain(d, NULL, NULL, at, "[%s %s]: expected \"[%s]\" without a name", word, name, word);
		return NULL;
	}
	s = draft_section(d, kind, name);
	if (s)
		return s;
	if (draft_count(d, kind) >= schema_places(kind)) {
		draft_complain(d, NULL, NULL, at, "[%s %s]: more than %u such sections", word, name,
			       schema_places(kind));
		return NULL;
	}
	return draft_add(d, kind, name, at);
}

static void complain_of_key(struct draft *d, struct draft_section *s, const char *key, struct config_origin at)
{
	const char *plan = schema_planned(schema_word(s->kind), key, NULL);
	const char *home = schema_other_home(s->kind, key), *near = schema_near_key(s->kind, key);
	enum schema_section kind;

	if (plan)
		draft_complain(d, s, key, at, "not built yet: %s", plan);
	else if (home && schema_section(home, &kind))
		draft_complain(d, s, key, at, "unknown key here; it belongs to \"[%s%s]\"", home,
			       schema_is_named(kind) ? " NAME" : "");
	else if (near)
		draft_complain(d, s, key, at, "unknown key; did you mean \"%s\"?", near);
	else
		draft_complain(d, s, key, at, "unknown key");
}

const struct draft_entry *draft_find(const struct draft *d, const struct draft_section *s, const char *key)
{
	unsigned section = (unsigned)(s - d->sections);

	for (unsigned i = d->n_entries; i > 0; i--) {
		const struct draft_entry *e = &d->entries[i - 1];

		if (e->section == section && strcmp(e->key->key, key) == 0)
			return e;
	}
	return NULL;
}

static struct draft_entry *new_entry(struct draft *d)
{
	unsigned size = d->entries_size ? 2 * d->entries_size : 64;
	struct draft_entry *grown;

	if (d->n_entries < d->entries_size)
		return &d->entries[d->n_entries++];
	if (d->n_entries >= DRAFT_ENTRIES)
		return NULL;
	grown = realloc(d->entries, size * sizeof *grown);
	if (!grown)
		return NULL;
	d->entries = grown;
	d->entries_size = size;
	return &d->entries[d->n_entries++];
}

void draft_put(struct draft *d, struct draft_section *s, const char *key, const char *value, struct config_origin at)
{
	const struct schema_key *k = schema_find(s->kind, key);
	const struct draft_entry *twin = draft_find(d, s, key);
	struct draft_entry *e;

	if (!k) {
		complain_of_key(d, s, key, at);
		return;
	}
	if (twin && !schema_is_repeatable(k)) {
		draft_complain(d, s, key, at, "already set at %s:%u", draft_file(d, twin->origin),
			       (unsigned)twin->origin.line);
		return;
	}
	e = new_entry(d);
	if (!e) {
		draft_complain(d, s, key, at,
			       d->n_entries < DRAFT_ENTRIES ? "out of memory" : "too many keys in all files");
		return;
	}
	e->section = (unsigned)(s - d->sections);
	e->key = k;
	e->origin = at;
	snprintf(e->value, sizeof e->value, "%s", value);
}

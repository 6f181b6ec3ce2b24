/* schema: the one table of sections and keys. Parser, dump and documentation follow it. */
#ifndef SCHEMA_H
#define SCHEMA_H
#include "value.h"

struct config;

enum schema_section {
	SECTION_GUARD,
	SECTION_LISTEN, /* [listen NAME], and so the next three */
	SECTION_LINK,
	SECTION_SERVER,
	SECTION_CONTEXT,
	SECTION_THROTTLE,
	SECTION_ALLOW_LIST,
	SECTION_ECHO,
	SECTION_SEQUENCE,
	SECTION_CACHE,
	SECTION_STATE,
	SECTION_CONTROL,
	SECTION_METRICS,
	SECTION_COUNT
};

struct schema_key {
	enum schema_section section;
	const char *key;
	size_t offset; /* of the value in struct config, for the section's first place */
	size_t stride; /* to the next place */
	struct value_rule rule;
	bool reloadable;
	const char *fallback; /* the default as written; NULL: see `text` */
	const char *text;     /* one sentence */
};

extern const struct schema_key schema_keys[];
extern const unsigned schema_count;

#define SCHEMA_LIST 160

const char *schema_word(enum schema_section s);
bool schema_is_named(enum schema_section s); /* [listen NAME] rather than [guard] */
/* How many sections of that kind there may be; for listen: how many addresses. */
unsigned schema_places(enum schema_section s);
/* False: no such section. */
bool schema_section(const char *word, enum schema_section *out);
/* The name at a place of a named section; empty: the place is free. */
const char *schema_name(const struct config *c, enum schema_section s, unsigned place);
/* The section's place, or -1. */
int schema_place(const struct config *c, enum schema_section s, const char *name);
/* All names of a section's kind, "a, b, c", or "none". Returns out. */
const char *schema_names(const struct config *c, enum schema_section s, char out[SCHEMA_LIST]);

const struct schema_key *schema_find(enum schema_section s, const char *key); /* NULL: none */
/* All that one key may have several of: addresses, and lists. */
bool schema_is_repeatable(const struct schema_key *k);
/*
 * False: not such a value; nothing was stored. A section referred to must have its place. A list adds to what is there.
 */
bool schema_set(const struct schema_key *k, struct config *c, unsigned place, const char *text);
/* The value as it would be written; a list that is too long ends with "...". Returns out. */
const char *schema_get(const struct schema_key *k, const struct config *c, unsigned place, char out[VALUE_TEXT]);

/*
 * What a section (key NULL), a key (value NULL) or a value that is planned but not built yet will
 * be; NULL: it is not planned.
 */
const char *schema_planned(const char *section, const char *key, const char *value);
/* The known section, or the known key of s, nearest to a mistyped one; NULL: none is near. */
const char *schema_near_section(const char *word);
const char *schema_near_key(enum schema_section s, const char *key);
/* Another section that has such a key: its word, or NULL. */
const char *schema_other_home(enum schema_section s, const char *key);
#endif

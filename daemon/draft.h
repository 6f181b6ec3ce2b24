/* draft: what the files of a configuration say, before it is settled what that means. */
#ifndef DRAFT_H
#define DRAFT_H
#include "config.h"
#include "schema.h"

#define DRAFT_SECTIONS (POLICY_SERVERS + POLICY_LINKS + PROXY_LISTENS + PROXY_CONTEXTS + SECTION_COUNT)
#define DRAFT_ENTRIES  8192 /* every context may name every server on a line of its own */
#define DRAFT_LINE     197  /* longest line: what inih's buffer of 200 holds beside CR, LF and NUL */

struct draft_section {
	enum schema_section kind;
	char name[PROXY_NAME]; /* empty: [guard] and the like */
	struct config_origin origin;
	bool spoiled; /* something in it is wrong already: nobody asks what it lacks */
};

struct draft_entry {
	unsigned section; /* index in sections */
	const struct schema_key *key;
	struct config_origin origin;
	char value[DRAFT_LINE + 1];
};

struct draft {
	struct config *c; /* what comes of it */
	const struct config *previous;
	struct config_errors *errors;
	struct draft_section sections[DRAFT_SECTIONS];
	unsigned n_sections;
	struct draft_entry *entries; /* the draft's */
	unsigned n_entries, entries_size;
};

void draft_init(struct draft *d, struct config *c, const struct config *previous, struct config_errors *errors);
void draft_free(struct draft *d);

/* Adds an error; section and key may be NULL. A section with an error is spoiled. */
void draft_complain(struct draft *d, struct draft_section *s, const char *key, struct config_origin at, const char *fmt,
		    ...) __attribute__((format(printf, 5, 6)));

/* The section of a header "[word name]", new or met before; NULL: complained of. */
struct draft_section *draft_open(struct draft *d, const char *word, const char *name, struct config_origin at);
void draft_put(struct draft *d, struct draft_section *s, const char *key, const char *value, struct config_origin at);
/* A section the files don't have. */
struct draft_section *draft_add(struct draft *d, enum schema_section kind, const char *name, struct config_origin at);
/* NULL: there is none. */
struct draft_section *draft_section(struct draft *d, enum schema_section kind, const char *name);
unsigned draft_count(const struct draft *d, enum schema_section kind);
/* The last entry for a key of a section, or NULL. */
const struct draft_entry *draft_find(const struct draft *d, const struct draft_section *s, const char *key);
/* The name of the file in `at`. */
const char *draft_file(const struct draft *d, struct config_origin at);
#endif

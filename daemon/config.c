#include "config.h"
#include "draft.h"
#include "rules.h"
#include "completion.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

/*
 * inih hands its handler no line number, cuts long lines and names, takes an indented line for more
 * of the value above, and goes on in the old section after a bad header. So it reads through this
 * reader, which counts lines, complains of whatever would be misread and hands on an empty line
 * instead.
 */
struct reader {
	struct draft *draft;
	FILE *file;
	struct config_origin at;
	struct draft_section *section; /* NULL: none yet, or one whose keys don't count */
	bool in_section;
	char text[DRAFT_LINE + 1];
	size_t len;
	bool is_long, has_nul;
};

static bool is_blank(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\v' || ch == '\f';
}

/* Reads one line without comment, end and the blanks before them. False: the file is at its end. */
static bool read_line(struct reader *r)
{
	bool comment = false, after_blank = true, any = false, only_blanks = true;
	int ch;

	r->len = 0;
	r->is_long = r->has_nul = false;
	while ((ch = getc(r->file)) != EOF && ch != '\n') {
		any = true;
		r->has_nul |= ch == '\0';
		comment |= (ch == ';' && after_blank) || (ch == '#' && only_blanks);
		after_blank = is_blank(ch);
		only_blanks &= after_blank;
		if (comment)
			continue;
		if (r->len < DRAFT_LINE)
			r->text[r->len++] = (char)ch;
		else
			r->is_long |= !after_blank;
	}
	while (r->len > 0 && is_blank((unsigned char)r->text[r->len - 1]))
		r->len--;
	r->text[r->len] = '\0';
	r->at.line++;
	return any || ch != EOF;
}

/* Some editors put one in front. */
static void skip_byte_order_mark(FILE *file)
{
	char start[3];

	if (fread(start, 1, 3, file) != 3 || memcmp(start, "\xef\xbb\xbf", 3) != 0)
		rewind(file);
}

/* The first byte that is neither printable ASCII nor a tab, or 0. */
static unsigned odd_byte(const struct reader *r)
{
	for (size_t i = 0; i < r->len; i++) {
		unsigned char ch = (unsigned char)r->text[i];

		if ((ch < ' ' && ch != '\t') || ch > '~')
			return ch;
	}
	return 0;
}

/* "[word]" or "[word name]", nothing more. */
static void open_section(struct reader *r)
{
	char word[DRAFT_LINE + 1], name[DRAFT_LINE + 1] = "";
	int end = -1;

	sscanf(r->text, "[%[^] \t[]]%n", word, &end);
	if (end < 0)
		sscanf(r->text, "[%[^] \t[]%*[ \t]%[^] \t[]]%n", word, name, &end);
	if (end < 0 || (size_t)end != r->len)
		draft_complain(r->draft, NULL, NULL, r->at, "expected \"[section]\" or \"[section NAME]\", got \"%s\"",
			       r->text);
	else
		r->section = draft_open(r->draft, word, name, r->at);
}

static bool is_assignment(const struct reader *r)
{
	size_t key = strcspn(r->text, "=:");

	return key > 0 && r->text[key] == '=';
}

/* Complains of what inih would misread. True: the line may be handed on. */
static bool check_line(struct reader *r)
{
	struct draft *d = r->draft;

	/* A header that can't be read begins a section all the same. */
	if (r->text[strspn(r->text, " \t")] == '[') {
		r->in_section = true;
		r->section = NULL;
	}
	if (r->has_nul)
		draft_complain(d, r->section, NULL, r->at, "a NUL byte");
	else if (r->is_long)
		draft_complain(d, r->section, NULL, r->at, "line longer than %d bytes", DRAFT_LINE);
	else if (odd_byte(r))
		draft_complain(d, r->section, NULL, r->at, "byte 0x%02x: expected printable ASCII outside of comments",
			       odd_byte(r));
	else if (r->len > 0 && is_blank((unsigned char)r->text[0]))
		draft_complain(d, r->section, NULL, r->at,
			       "the line begins with a blank: expected a key in the first column");
	else if (r->text[0] == '[')
		open_section(r);
	else if (r->len > 0 && !is_assignment(r))
		draft_complain(d, r->section, NULL, r->at, "expected \"key = value\", got \"%s\"", r->text);
	else
		return true;
	return false;
}

/* fgets for inih. All but assignments becomes an empty line: sections are followed here. */
static char *next_line(char *out, int size, void *arg)
{
	struct reader *r = arg;

	if (!read_line(r))
		return NULL;
	if (!check_line(r))
		r->len = 0;
	if (r->len + 2 > (size_t)size) {
		draft_complain(r->draft, r->section, NULL, r->at, "line too long");
		r->len = 0;
	}
	snprintf(out, (size_t)size, "%.*s\n", (int)r->len, r->text);
	return out;
}

static int take_assignment(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;

	(void)section;
	if (r->section)
		draft_put(r->draft, r->section, key, value, r->at);
	else if (!r->in_section)
		draft_complain(r->draft, NULL, NULL, r->at, "%s: a key before the first section", key);
	return 1;
}

/* NULL: complained. Opened without waiting, so that a FIFO can't stop the daemon. */
static FILE *open_file(struct draft *d, const char *path, struct config_origin at)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *file;

	if (fd < 0 || fstat(fd, &st) < 0) {
		draft_complain(d, NULL, NULL, at, "cannot be read: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (!S_ISREG(st.st_mode))
		draft_complain(d, NULL, NULL, at, "not a regular file");
	else if (st.st_size > FILE_MAX)
		draft_complain(d, NULL, NULL, at, "larger than 1 MiB");
	else if (st.st_mode & S_IWOTH)
		draft_complain(d, NULL, NULL, at, "everybody may write it; expected mode 0640 or less");
	else if ((file = fdopen(fd, "r")))
		return file;
	else /* half a configuration would be none that anybody wrote */
		draft_complain(d, NULL, NULL, at, "cannot be read: %s", strerror(errno));
	close(fd);
	return NULL;
}

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static void read_file(struct draft *d, const char *path)
{
	struct config *c = d->c;
	struct reader r = { .draft = d, .at = { .line = 0 } };

	/* Names are shown in logs and in the dump. */
	if (strlen(path) >= CONFIG_FILE_NAME || !is_printable(path) || c->n_files == CONFIG_FILES) {
		config_errors_add(d->errors, path, (struct config_origin){ 0, UINT8_MAX },
				  c->n_files == CONFIG_FILES ? "one file too many"
							     : "a longer or stranger name than "
							       "can be shown");
		return;
	}
	strcpy(c->files[c->n_files++], path);
	r.at.file = (uint8_t)c->n_files;
	r.file = open_file(d, path, r.at);
	if (!r.file)
		return;
	skip_byte_order_mark(r.file);
	if (ini_parse_stream(next_line, &r, take_assignment, &r) != 0 && d->errors->count == 0)
		draft_complain(d, NULL, NULL, r.at, "cannot be understood");
	if (ferror(r.file))
		draft_complain(d, NULL, NULL, r.at, "cannot be read: %s", strerror(errno));
	fclose(r.file);
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* Not alphasort, which follows the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_drop_ins(struct draft *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) + 1 : 0;
	char dir[CONFIG_FILE_NAME + 16], file[CONFIG_FILE_NAME + 16 + 256];
	struct dirent **entries;
	int n;

	snprintf(dir, sizeof dir, "%.*sconf.d", dir_len, path);
	n = scandir(dir, &entries, is_drop_in, by_bytes);
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		draft_complain(d, NULL, NULL, (struct config_origin){ 0, 1 }, "%s beside it cannot be read: %s", dir,
			       strerror(errno));
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, entries[i]->d_name);
		read_file(d, file);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

bool config_load(struct config *c, const struct config *previous, const char *path, struct config_errors *errors)
{
	struct draft *d = malloc(sizeof *d);

	assert(c != previous);
	memset(c, 0, sizeof *c);
	config_errors_clear(errors);
	if (!d) {
		config_errors_add(errors, path, (struct config_origin){ 0, 1 }, "out of memory");
		return false;
	}
	draft_init(d, c, previous, errors);
	read_file(d, path);
	if (c->n_files > 0)
		read_drop_ins(d, path);
	completion_of(d);
	rules_check(d);
	draft_free(d);
	free(d);
	return errors->count == 0;
}

static void dump_value(const struct config *c, const struct schema_key *k, unsigned place, const char *text, FILE *out)
{
	struct config_origin at = c->origins[place][k - schema_keys];
	int len = fprintf(out, "%s = %s", k->key, text);

	fprintf(out, "%*s ; ", len < 40 ? 40 - len : 0, "");
	if (at.file)
		fprintf(out, "%s:%u\n", c->files[at.file - 1], (unsigned)at.line);
	else
		fprintf(out, "default\n");
}

/* Of a list that goes on over several lines the last one is shown behind each name. */
static void dump_servers(const struct config *c, const struct schema_key *k, unsigned place, FILE *out)
{
	uint64_t servers = c->proxy.contexts[place].servers;

	if (!servers)
		dump_value(c, k, place, "", out);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (servers >> i & 1)
			dump_value(c, k, place, c->proxy.servers[i].name, out);
	}
}

static void dump_key(const struct config *c, const struct schema_key *k, unsigned place, FILE *out)
{
	char text[VALUE_TEXT];

	if (k->rule.kind == VALUE_SERVERS)
		dump_servers(c, k, place, out);
	else
		dump_value(c, k, place, schema_get(k, c, place, text), out);
}

/* The addresses of one listen section are at several places, which share all other keys. */
static void dump_section(const struct config *c, enum schema_section s, unsigned place, FILE *out)
{
	const char *name = schema_name(c, s, place);

	fprintf(out, "\n[%s%s%s]\n", schema_word(s), *name ? " " : "", name);
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];

		if (k->section != s)
			continue;
		dump_key(c, k, place, out);
		for (unsigned other = place + 1; schema_is_repeatable(k) && other < schema_places(s); other++) {
			if (strcmp(schema_name(c, s, other), name) == 0)
				dump_key(c, k, other, out);
		}
	}
}

void config_dump(const struct config *c, FILE *out)
{
	fprintf(out, "# The configuration in force. Behind each value: the line it is from.\n");
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		enum schema_section s = (enum schema_section)i;

		for (unsigned place = 0; place < schema_places(s); place++) {
			const char *name = schema_name(c, s, place);

			if (!schema_is_named(s) || schema_place(c, s, name) == (int)place)
				dump_section(c, s, place, out);
		}
	}
}

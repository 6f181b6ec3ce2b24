#include "shells.h"
#include "usage.h"
#include <string.h>

static const struct usage *const programs[] = { &usage_guardctl, &usage_guardd };

#define PROGRAMS 2
/* What names the contexts, be the daemon there or not. */
#define CONTEXTS "coap-guardctl --tsv contexts 2>/dev/null | tail -n +2 | cut -f 1"

/* "coap-guardctl" as part of the name of a function. */
static const char *function_name(const struct usage *u, char out[32])
{
	snprintf(out, 32, "_%s", u->name);
	for (char *p = out; *p; p++) {
		if (*p == '-')
			*p = '_';
	}
	return out;
}

static int first_word(const char *words)
{
	return (int)strcspn(words, " ");
}

static const char *second_word(const char *words)
{
	const char *blank = strchr(words, ' ');

	return blank ? blank + 1 : NULL;
}

/* Commands of two words stand together; the first of them with such a first word is its leader. */
static bool is_leader(const struct usage *u, const struct usage_command *c)
{
	return c == u->commands || first_word(c[-1].words) != first_word(c->words) ||
	       strncmp(c[-1].words, c->words, (size_t)first_word(c->words)) != 0;
}

static bool has_leader(const struct usage_command *c, const struct usage_command *leader)
{
	int len = first_word(leader->words);

	return c->words && first_word(c->words) == len && strncmp(c->words, leader->words, (size_t)len) == 0;
}

/* --- bash ---------------------------------------------------------------------------------------------------- */

static void bash_offer(enum usage_offer offer, FILE *out)
{
	if (usage_words(offer))
		fprintf(out, "mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")", usage_words(offer));
	else if (offer == OFFER_FILE)
		fputs("compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")", out);
	else if (offer == OFFER_CONTEXT)
		fputs("mapfile -t COMPREPLY < <(compgen -W \"$(" CONTEXTS ")\" -- \"$cur\")", out);
	else
		fputs(":", out);
}

static void bash_pattern(const struct usage_option *o, FILE *out)
{
	if (o->letter < USAGE_LONG)
		fprintf(out, "-%c | ", o->letter);
	fprintf(out, "--%s", o->name);
}

static void bash_arguments(const struct usage *u, FILE *out)
{
	fputs("\tcase $prev in\n", out);
	for (const struct usage_option *o = u->options; o->name; o++) {
		if (!o->argument.name || o->argument.optional)
			continue;
		fputc('\t', out);
		bash_pattern(o, out);
		fputs(") ", out);
		bash_offer(o->argument.offer, out);
		fputs("; return ;;\n", out);
	}
	fputs("\tesac\n", out);
}

static void bash_options(const struct usage *u, FILE *out)
{
	fputs("\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '", out);
	for (const struct usage_option *o = u->options; o->name; o++) {
		if (o->letter < USAGE_LONG)
			fprintf(out, "-%c ", o->letter);
		fprintf(out, "--%s%s", o->name, o[1].name ? " " : "");
	}
	fputs("' -- \"$cur\")\n\t\treturn\n\tfi\n", out);
}

/* Which words of the command are there already. */
static void bash_words(const struct usage *u, FILE *out)
{
	fputs("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n", out);
	for (const struct usage_option *o = u->options; o->name; o++) {
		if (!o->argument.name || o->argument.optional)
			continue;
		fputs("\t\t", out);
		bash_pattern(o, out);
		fputs(") ((i++)) ;;\n", out);
	}
	fputs("\t\t-*) ;;\n\t\t*) words+=\"${words:+ }${COMP_WORDS[i]}\" ;;\n\t\tesac\n\tdone\n", out);
}

static void bash_commands(const struct usage *u, FILE *out)
{
	fputs("\tcase $words in\n\t'') mapfile -t COMPREPLY < <(compgen -W '", out);
	for (const struct usage_command *c = u->commands; c->words; c++) {
		if (is_leader(u, c))
			fprintf(out, "%s%.*s", c == u->commands ? "" : " ", first_word(c->words), c->words);
	}
	fputs("' -- \"$cur\") ;;\n", out);
	for (const struct usage_command *c = u->commands; c->words; c++) {
		if (second_word(c->words) && is_leader(u, c)) {
			fprintf(out, "\t%.*s) mapfile -t COMPREPLY < <(compgen -W '", first_word(c->words), c->words);
			for (const struct usage_command *m = c; has_leader(m, c); m++)
				fprintf(out, "%s%s", m == c ? "" : " ", second_word(m->words));
			fputs("' -- \"$cur\") ;;\n", out);
		}
		if (c->argument.name) {
			fprintf(out, "\t'%s') ", c->words);
			bash_offer(c->argument.offer, out);
			fputs(" ;;\n", out);
		}
	}
	fputs("\tesac\n", out);
}

static void print_bash(FILE *out)
{
	char name[32];

	for (unsigned i = 0; i < PROGRAMS; i++) {
		const struct usage *u = programs[i];

		fprintf(out, "%s()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}%s\n",
			function_name(u, name), u->commands->words ? " words='' i" : "");
		fputs("\n\tCOMPREPLY=()\n", out);
		bash_arguments(u, out);
		bash_options(u, out);
		if (u->commands->words) {
			bash_words(u, out);
			bash_commands(u, out);
		}
		fprintf(out, "}\ncomplete -F %s %s\n", name, u->name);
	}
}

/* --- zsh ----------------------------------------------------------------------------------------------------- */

static void zsh_offer(const struct usage_argument *a, FILE *out)
{
	fprintf(out, ":%s:", a->name);
	if (usage_words(a->offer))
		fprintf(out, "(%s)", usage_words(a->offer));
	else if (a->offer == OFFER_FILE)
		fputs("_files", out);
}

static void zsh_option(const struct usage_option *o, FILE *out)
{
	const char *sign = !o->argument.name ? "" : o->argument.optional ? "=-" : "=";

	if (o->letter < USAGE_LONG)
		fprintf(out, "\t\t'(-%c --%s)'{-%c%s,--%s%s}'[%s]", o->letter, o->name, o->letter,
			!o->argument.name      ? ""
			: o->argument.optional ? "-"
					       : "+",
			o->name, sign, o->text);
	else
		fprintf(out, "\t\t'--%s%s[%s]", o->name, sign, o->text);
	if (o->argument.name && o->argument.optional)
		fputc(':', out);
	if (o->argument.name)
		zsh_offer(&o->argument, out);
	fputs("' \\\n", out);
}

/* Behind the first word: the second, or the argument. */
static void zsh_rest(const struct usage *u, const struct usage_command *c, FILE *out)
{
	if (second_word(c->words) && is_leader(u, c)) {
		fprintf(out, "\t'%.*s') _values command", first_word(c->words), c->words);
		for (const struct usage_command *m = c; has_leader(m, c); m++)
			fprintf(out, " '%s[%s]'", second_word(m->words), m->text);
		fputs(" ;;\n", out);
	}
	if (c->argument.name) {
		fprintf(out, "\t'%s') ", c->words);
		if (c->argument.offer == OFFER_FILE)
			fputs("_files", out);
		else if (c->argument.offer == OFFER_CONTEXT)
			fputs("compadd -- ${(f)\"$(" CONTEXTS ")\"}", out);
		else
			fprintf(out, "_message '%s'", c->argument.name);
		fputs(" ;;\n", out);
	}
}

static void zsh_commands(const struct usage *u, FILE *out)
{
	fputs("\t[[ $state == command ]] || return\n\tif ((CURRENT == 1)); then\n\t\t_values command", out);
	for (const struct usage_command *c = u->commands; c->words; c++) {
		if (is_leader(u, c))
			fprintf(out, " \\\n\t\t\t'%.*s[%s]'", first_word(c->words), c->words, c->text);
	}
	fputs("\n\t\treturn\n\tfi\n\tcase ${(j: :)words[1,CURRENT-1]} in\n", out);
	for (const struct usage_command *c = u->commands; c->words; c++)
		zsh_rest(u, c, out);
	fputs("\tesac\n", out);
}

static void print_zsh(FILE *out)
{
	char name[32];

	fprintf(out, "#compdef %s %s\n", programs[0]->name, programs[1]->name);
	for (unsigned i = 0; i < PROGRAMS; i++) {
		const struct usage *u = programs[i];

		fprintf(out, "%s()\n{\n\tlocal state line\n\n\t_arguments -s -C \\\n", function_name(u, name));
		for (const struct usage_option *o = u->options; o->name; o++)
			zsh_option(o, out);
		fputs(u->commands->words ? "\t\t'*:: :->command'\n" : "\t\t&& return\n", out);
		if (u->commands->words)
			zsh_commands(u, out);
		fputs("}\n", out);
	}
	fputs("case $service in\n", out);
	for (unsigned i = 0; i < PROGRAMS; i++)
		fprintf(out, "%s) %s \"$@\" ;;\n", programs[i]->name, function_name(programs[i], name));
	fputs("esac\n", out);
}

/* --- fish ---------------------------------------------------------------------------------------------------- */

static void fish_offer(enum usage_offer offer, FILE *out)
{
	if (usage_words(offer))
		fprintf(out, " -a '%s'", usage_words(offer));
	else if (offer == OFFER_FILE)
		fputs(" -F", out);
	else if (offer == OFFER_CONTEXT)
		fputs(" -a '(" CONTEXTS ")'", out);
}

static void fish_option(const struct usage *u, const struct usage_option *o, FILE *out)
{
	fprintf(out, "complete -c %s -l %s", u->name, o->name);
	if (o->letter < USAGE_LONG)
		fprintf(out, " -s %c", o->letter);
	if (o->argument.name && !o->argument.optional)
		fputs(o->argument.offer == OFFER_FILE ? " -r" : " -x", out);
	fish_offer(o->argument.offer, out);
	fprintf(out, " -d '%s'\n", o->text);
}

static void fish_seconds(const struct usage_command *leader, FILE *out)
{
	for (const struct usage_command *m = leader; has_leader(m, leader); m++)
		fprintf(out, " %s", second_word(m->words));
}

static void fish_command(const struct usage *u, const struct usage_command *c, FILE *out)
{
	const char *second = second_word(c->words);
	const struct usage_command *leader = c;
	int len = first_word(c->words);

	while (!is_leader(u, leader))
		leader--;
	if (leader == c)
		fprintf(out, "complete -c %s -n __fish_use_subcommand -a %.*s -d '%s'\n", u->name, len, c->words,
			c->text);
	if (second) {
		fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from",
			u->name, len, c->words);
		fish_seconds(leader, out);
		fprintf(out, "' -a %s -d '%s'\n", second, c->text);
	}
	if (c->argument.name && c->argument.offer != OFFER_NOTHING) {
		fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %.*s%s%s'", u->name, len, c->words,
			second ? "; and __fish_seen_subcommand_from " : "", second ? second : "");
		fish_offer(c->argument.offer, out);
		fputc('\n', out);
	}
}

static void print_fish(FILE *out)
{
	for (unsigned i = 0; i < PROGRAMS; i++) {
		const struct usage *u = programs[i];

		fprintf(out, "complete -c %s -f\n", u->name);
		for (const struct usage_option *o = u->options; o->name; o++)
			fish_option(u, o, out);
		for (const struct usage_command *c = u->commands; c->words; c++)
			fish_command(u, c, out);
	}
}

bool shells_print(const char *shell, FILE *out)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };

	for (unsigned i = 0; i < sizeof shells / sizeof shells[0]; i++) {
		if (strcmp(shells[i].name, shell) == 0) {
			/* zsh wants its own mark in the first line. */
			shells[i].print(out);
			fputs("# Made by coap-guardctl --completion.\n", out);
			return true;
		}
	}
	return false;
}

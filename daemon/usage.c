#include "usage.h"
#include "near.h"
#include <string.h>
#include <sysexits.h>

#define NAMED(what)                                                                                                    \
	{                                                                                                              \
		what, false, OFFER_NOTHING                                                                             \
	}
#define NOTHING                                                                                                        \
	{                                                                                                              \
		NULL, false, OFFER_NOTHING                                                                             \
	}
#define OFFERED(what, from)                                                                                            \
	{                                                                                                              \
		what, false, from                                                                                      \
	}

static const struct usage_option guardd_options[] = {
	{ 'c', "config", OFFERED("FILE", OFFER_FILE), "the configuration (" USAGE_CONFIG ")" },
	{ 'C', "check-config", NOTHING, "say all that is wrong with it and exit, with 0 if nothing is, else with 78" },
	{ 'D', "dump-config", NOTHING, "print every key in force and where it comes from, and exit" },
	{ 'N',
	  "print-nft",
	  { "USER", true, OFFER_NOTHING },
	  "print nftables rules for what reaches the servers past the guard, which runs as USER (" USAGE_USER
	  "), and exit" },
	{ 'l', "log-level", OFFERED("LEVEL", OFFER_LEVEL), "instead of the configured one" },
	{ 'V', "version", NOTHING, "print the versions of this and of its libraries, and exit" },
	{ 'h', "help", NOTHING, "print this, and exit" },
	{ 0, NULL, NOTHING, NULL },
};

static const struct usage_command no_commands[] = { { NULL, NOTHING, SHAPE_TEXT, NULL } };

const struct usage usage_guardd = {
	"coap-guardd",
	"[OPTION]...",
	"Guards constrained CoAP devices against the open network. Runs in the foreground.\n",
	"SIGHUP reads the configuration again; SIGTERM and SIGINT stop.\n"
	"See coap-guardctl(8) for a look inside.\n",
	guardd_options,
	no_commands,
};

static const struct usage_option guardctl_options[] = {
	{ 's', "socket", OFFERED("SOCKET", OFFER_FILE), "of the daemon (" USAGE_SOCKET ")" },
	{ 'j', "json", NOTHING, "for programs, of tables, sentences and status" },
	{ 't', "tsv", NOTHING, "for scripts, as the daemon sends it, columns apart by tabs" },
	{ 'n', "count", NAMED("N"), "with top, so many times, and end" },
	{ 'd', "delay", NAMED("SECONDS"), "with top, between two times (2)" },
	{ USAGE_LONG, "completion", OFFERED("SHELL", OFFER_SHELL), "print what makes a shell complete both programs" },
	{ 'V', "version", NOTHING, "print the version, and exit" },
	{ 'h', "help", NOTHING, "print this, and exit" },
	{ 0, NULL, NOTHING, NULL },
};

static const struct usage_command guardctl_commands[] = {
	{ "status", NOTHING, SHAPE_STATUS, "one screen" },
	{ "top", NOTHING, SHAPE_TOP, "the same in motion, with rates; q or Ctrl-C ends it" },
	{ "why", NAMED("ADDRESS"), SHAPE_SENTENCES, "what the guard thinks of an address, in sentences" },
	{ "links", NOTHING, SHAPE_TABLE, "the constrained links and their queues" },
	{ "servers", NOTHING, SHAPE_TABLE, "the protected servers" },
	{ "clients", NOTHING, SHAPE_TABLE, "who is known, and in which standing" },
	{ "contexts", NOTHING, SHAPE_TABLE, "the OSCORE contexts of the guard itself" },
	{ "sharing", NOTHING, SHAPE_TABLE, "what is kept of answers, and what the servers were spared" },
	{ "counters", NOTHING, SHAPE_TABLE, "every verdict and every refusal, counted" },
	{ "log", NOTHING, SHAPE_TABLE, "the last lines of the log" },
	{ "config", NOTHING, SHAPE_TEXT, "the configuration in force, and whence each value is" },
	{ "metrics", NOTHING, SHAPE_TEXT, "the numbers for Prometheus" },
	{ "report", NOTHING, SHAPE_REPORT, "all of it for somebody who helps, without secrets and addresses" },
	{ "reload", NOTHING, SHAPE_TEXT, "read the configuration again" },
	{ "forget", NAMED("ADDRESS"), SHAPE_TEXT, "drop all that is known of an address" },
	{ "context new", OFFERED("NAME", OFFER_CONTEXT), SHAPE_TEXT, "begin the state of a context whose key is new" },
	{ "context reset", OFFERED("NAME", OFFER_CONTEXT), SHAPE_TEXT,
	  "let it go on, or begin anew, after its state was lost" },
	{ "trace on", OFFERED("FILE", OFFER_FILE), SHAPE_TEXT, "write every datagram and verdict to a new file" },
	{ "trace off", NOTHING, SHAPE_TEXT, "and no more" },
	{ "version", NOTHING, SHAPE_TEXT, "the versions of the daemon and of its libraries" },
	{ NULL, NOTHING, SHAPE_TEXT, NULL },
};

const struct usage usage_guardctl = {
	"coap-guardctl",
	"[OPTION]... COMMAND",
	"",
	"Exit status: 0 good, 1 the daemon refused, 64 wrong usage, 69 the daemon cannot be\n"
	"reached, 74 output could not be written, 76 the daemon's answer is not understood.\n",
	guardctl_options,
	guardctl_commands,
};

void usage_getopt(const struct usage *u, struct usage_getopt *out)
{
	char *letter = out->letters;

	memset(out, 0, sizeof *out);
	for (unsigned i = 0; u->options[i].name && i < USAGE_OPTIONS; i++) {
		const struct usage_option *o = &u->options[i];
		int takes = !o->argument.name      ? no_argument
			    : o->argument.optional ? optional_argument
						   : required_argument;

		out->options[i] = (struct option){ o->name, takes, NULL, o->letter };
		if (o->letter >= USAGE_LONG)
			continue;
		*letter++ = (char)o->letter;
		for (int colons = takes; colons > 0; colons--)
			*letter++ = ':';
	}
}

#define COLUMN 26 /* where texts begin */
#define WIDTH  80

/* The text from COLUMN on, over as many lines as it takes. */
static void print_text(int column, const char *text, FILE *out)
{
	while (*text) {
		size_t len = strlen(text);

		if (len > WIDTH - COLUMN) {
			len = WIDTH - COLUMN;
			while (len > 0 && text[len] != ' ')
				len--;
		}
		if (column >= COLUMN)
			fputc('\n', out);
		fprintf(out, "%*s%.*s\n", column >= COLUMN ? COLUMN : COLUMN - column, "", (int)len, text);
		text += len + (text[len] == ' ');
		column = 0;
	}
}

static void print_option(const struct usage_option *o, FILE *out)
{
	int n = o->letter < USAGE_LONG ? fprintf(out, "  -%c, --%s", o->letter, o->name)
				       : fprintf(out, "      --%s", o->name);

	if (o->argument.name)
		n += fprintf(out, o->argument.optional ? "[=%s]" : " %s", o->argument.name);
	print_text(n, o->text, out);
}

static void print_command(const struct usage_command *c, FILE *out)
{
	int n = fprintf(out, "  %s%s%s", c->words, c->argument.name ? " " : "",
			c->argument.name ? c->argument.name : "");

	print_text(n, c->text, out);
}

int usage_print(const struct usage *u, FILE *out)
{
	fprintf(out, "Usage: %s %s\n%s\n", u->name, u->synopsis, u->intro);
	for (const struct usage_command *c = u->commands; c->words; c++)
		print_command(c, out);
	if (u->commands->words)
		fputc('\n', out);
	for (const struct usage_option *o = u->options; o->name; o++)
		print_option(o, out);
	fprintf(out, "\n%s", u->outro);
	return fflush(out) == 0 ? EX_OK : EX_IOERR;
}

const struct usage_command *usage_find(const struct usage *u, const char *line)
{
	for (const struct usage_command *c = u->commands; c->words; c++) {
		size_t len = strlen(c->words);

		if (strncmp(line, c->words, len) == 0 &&
		    (c->argument.name ? line[len] == ' ' && line[len + 1] : !line[len]))
			return c;
	}
	return NULL;
}

/* The command whose words these are, with something behind them or nothing. */
static const struct usage_command *find_words(const struct usage *u, const char *line)
{
	for (const struct usage_command *c = u->commands; c->words; c++) {
		size_t len = strlen(c->words);

		if (strncmp(line, c->words, len) == 0 && (line[len] == ' ' || !line[len]))
			return c;
	}
	return NULL;
}

/* "trace" alone: how it could go on. False: nothing begins so. */
static bool name_longer(const struct usage *u, const char *line, FILE *out)
{
	size_t len = strlen(line);
	unsigned n = 0;

	for (const struct usage_command *c = u->commands; c->words && len; c++) {
		if (strncmp(c->words, line, len) != 0 || c->words[len] != ' ')
			continue;
		if (n++ == 0)
			fprintf(out, "%s: %s is not all: %s", u->name, line, c->words);
		else
			fprintf(out, ", %s", c->words);
	}
	if (n)
		fputc('\n', out);
	return n > 0;
}

static void name_near(const struct usage *u, const char *line, FILE *out)
{
	const char *best = NULL;
	unsigned nearest = NEAR_MAX;

	for (const struct usage_command *c = u->commands; c->words; c++)
		near_consider(line, c->words, &best, &nearest);
	fprintf(out, "%s: unknown command: \"%s\"", u->name, line);
	if (best)
		fprintf(out, "; did you mean \"%s\"?", best);
	fputc('\n', out);
}

void usage_complain(const struct usage *u, const char *line, FILE *out)
{
	const struct usage_command *c = find_words(u, line);

	if (c && c->argument.name)
		fprintf(out, "%s: %s needs an argument: %s %s\n", u->name, c->words, c->words, c->argument.name);
	else if (c)
		fprintf(out, "%s: %s takes no argument\n", u->name, c->words);
	else if (!name_longer(u, line, out))
		name_near(u, line, out);
}

const char *usage_words(enum usage_offer offer)
{
	switch (offer) {
	case OFFER_SHELL: return "bash zsh fish";
	case OFFER_LEVEL: return "fatal error warn info debug";
	default: return NULL;
	}
}

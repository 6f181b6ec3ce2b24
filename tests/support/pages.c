/*
 * pages: fills in what a page of the manual takes from the tables of the code. Reads the page, writes it with every region between
 *
 *   .\" begin NAME [WORD]        <!-- begin NAME [WORD] -->
 *   .\" end                      <!-- end -->
 *
 * made anew: `make pages` does it in place, and tests/pages.sh compares.
 */
#include "event.h"
#include "guard/standing.h"
#include "guard/verdict.h"
#include "proxy/fault.h"
#include "schema.h"
#include "usage.h"
#include <stdlib.h>
#include <string.h>

#define WIDTH 78 /* mandoc wants lines of at most 80 */

/* --- mdoc ---------------------------------------------------------------------------------------------------- */

/* A text, wrapped; a new sentence begins on a new line. */
static void put_text(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");
		bool fits = column > 0 && column + 1 + len <= WIDTH;

		if (column > 0)
			putchar(fits ? ' ' : '\n');
		column = fits ? column + 1 : 0;
		if (column == 0 && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		for (size_t i = 0; i < len; i++)
			fputs(text[i] == '\\' ? "\\e" : (const char[]){ text[i], '\0' }, stdout);
		column += len;
		text += len;
		text += strspn(text, " ");
		if (len > 1 && strchr(".?!", text[-2]) && *text) {
			putchar('\n');
			column = 0;
		}
	}
	putchar('\n');
}

static void put_item(const char *word, const char *text)
{
	printf(".It Sy %s\n", word);
	put_text(text);
}

/* [guard], [server NAME]: what WORD says. */
static void put_keys(const char *section)
{
	char text[1024], expects[VALUE_EXPECTS];

	puts(".Bl -tag -width Ds");
	for (unsigned i = 0; i < schema_count; i++) {
		const struct schema_key *k = &schema_keys[i];

		if (strcmp(schema_word(k->section), section) != 0)
			continue;
		printf(".It Ic %s\n", k->key);
		put_text(k->text);
		snprintf(text, sizeof text, "Expects %s.", value_expects(&k->rule, expects));
		put_text(text);
		if (k->fallback && *k->fallback)
			printf("The default is\n.Ql %s .\n", k->fallback);
		else if (k->fallback)
			puts("The default is empty.");
		if (!k->reloadable)
			puts("A change needs a restart.");
	}
	puts(".El");
}

static void put_options(const char *program)
{
	const struct usage *u = strcmp(program, usage_guardd.name) == 0 ? &usage_guardd : &usage_guardctl;

	puts(".Bl -tag -width Ds");
	for (const struct usage_option *o = u->options; o->name; o++) {
		fputs(".It ", stdout);
		if (o->letter < USAGE_LONG)
			printf("Fl %c , ", o->letter);
		printf("Fl Fl %s", o->name);
		if (o->argument.name && o->argument.optional)
			printf(" Ns Op = Ns Ar %s", o->argument.name);
		else if (o->argument.name)
			printf(" Ar %s", o->argument.name);
		putchar('\n');
		put_text(o->text);
	}
	puts(".El");
}

static void put_commands(const char *word)
{
	(void)word;
	puts(".Bl -tag -width Ds");
	for (const struct usage_command *c = usage_guardctl.commands; c->words; c++) {
		printf(".It Cm %s", c->words);
		if (c->argument.name)
			printf(" Ar %s", c->argument.name);
		putchar('\n');
		put_text(c->text);
	}
	puts(".El");
}

static const char *step_text(const struct standing_step *s, char out[80])
{
	snprintf(out, 80, "%s%s%s", standing_word((enum standing)s->to), s->doubted ? ", doubted" : "",
		 s->after_run ? " after a run" : "");
	return out;
}

/* Each standing with the events that lead elsewhere; what is not named changes nothing. */
static void put_graph(const char *word)
{
	(void)word;
	puts(".Bd -literal -offset indent");
	for (unsigned from = 0; from < STANDINGS; from++) {
		for (unsigned e = 0; e < STANDING_EVENTS; e++) {
			struct standing_step s = standing_step((enum standing)from, (enum standing_event)e);
			char text[80];

			if (s.to != from || s.doubted)
				printf("%-10s -- %-21s --> %s\n", standing_word((enum standing)from),
				       standing_event_word((enum standing_event)e), step_text(&s, text));
		}
	}
	puts(".Ed");
}

static void put_lanes(const char *word)
{
	(void)word;
	puts(".Bl -tag -width authenticated");
	for (unsigned i = 0; i < LANE_COUNT; i++)
		put_item(verdict_lane_word((enum lane)i), verdict_lane_text((enum lane)i));
	puts(".El");
}

static void put_verdicts(const char *word)
{
	(void)word;
	puts(".Bl -tag -width not-authenticated");
	for (unsigned i = 0; i < REASON_COUNT; i++)
		put_item(verdict_reason_word((enum verdict_reason)i), verdict_reason_text((enum verdict_reason)i));
	puts(".El");
}

static void put_faults(const char *word)
{
	(void)word;
	puts(".Bl -tag -width not-authenticated");
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		put_item(fault_word((enum fault)i), fault_text((enum fault)i));
	puts(".El");
}

/* --- Markdown ------------------------------------------------------------------------------------------------ */

static void put_events(const char *word)
{
	(void)word;
	puts("| `COAP_GUARD_EVENT` | `MESSAGE_ID` | what happened |\n|---|---|---|");
	for (unsigned i = EVENT_NONE + 1; i < EVENT_COUNT; i++)
		printf("| `%s` | `%s` | %s |\n", event_word((enum event_kind)i), event_id((enum event_kind)i),
		       event_text((enum event_kind)i));
}

static void put_fields(const char *word)
{
	(void)word;
	puts("| field | what it holds |\n|---|---|");
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		printf("| `%s` | %s |\n", event_field_key((enum event_field)i), event_field_text((enum event_field)i));
}

/* --- regions ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*put)(const char *word);
} regions[] = {
	{ "keys", put_keys },     { "options", put_options }, { "commands", put_commands },
	{ "graph", put_graph },   { "lanes", put_lanes },     { "verdicts", put_verdicts },
	{ "faults", put_faults }, { "events", put_events },   { "fields", put_fields },
};

static void fill(const char *name, const char *word)
{
	for (unsigned i = 0; i < sizeof regions / sizeof regions[0]; i++) {
		if (strcmp(regions[i].name, name) == 0) {
			regions[i].put(word);
			return;
		}
	}
	fprintf(stderr, "pages: no region \"%s\"\n", name);
	exit(1);
}

int main(void)
{
	char line[1024], name[64], word[64];
	bool inside = false;

	while (fgets(line, sizeof line, stdin)) {
		const char *mark = strncmp(line, ".\\\" ", 4) == 0  ? line + 4
				   : strncmp(line, "<!-- ", 5) == 0 ? line + 5
								    : "";
		bool ends = strcmp(mark, "end\n") == 0 || strcmp(mark, "end -->\n") == 0;

		if (inside && !ends)
			continue;
		fputs(line, stdout);
		word[0] = '\0';
		inside = sscanf(mark, "begin %63s %63s", name, word) >= 1;
		if (inside)
			fill(name, word);
	}
	if (inside)
		fputs("pages: a region does not end\n", stderr);
	return inside;
}

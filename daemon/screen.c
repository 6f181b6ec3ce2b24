#include "screen.h"
#include "enquiry.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define TOP 5 /* refusals shown */

enum part { STATUS, SERVERS, CONTEXTS, LINKS, COUNTERS, PARTS };

static const char *const requests[PARTS] = {
	[STATUS] = "status", [SERVERS] = "servers", [CONTEXTS] = "contexts", [LINKS] = "links", [COUNTERS] = "counters",
};

struct view {
	char *replies[PARTS];
	struct table tables[PARTS];
};

/* 0 or an exit status; to be freed in any case. */
static int view_ask(struct view *v, const char *path)
{
	int code = EX_OK;

	memset(v, 0, sizeof *v);
	for (unsigned i = 0; i < PARTS && code == EX_OK; i++)
		code = enquiry_table(path, requests[i], &v->replies[i], &v->tables[i]);
	return code;
}

static void view_free(struct view *v)
{
	for (unsigned i = 0; i < PARTS; i++) {
		table_free(&v->tables[i]);
		free(v->replies[i]);
	}
}

static const char *age(const struct table *status, const char *name, char out[TABLE_HUMAN])
{
	return table_human(TABLE_SECONDS, table_find(status, 0, name), out);
}

static void print_head(const struct table *s, FILE *out, bool colour)
{
	char human[TABLE_HUMAN];

	fprintf(out, "%s%s%s: coap-guardd %s, up %s, process %s\n", colour ? "\033[1m" : "", table_find(s, 0, "name"),
		colour ? "\033[0m" : "", table_find(s, 0, "version"), age(s, "uptime", human), table_find(s, 0, "pid"));
	fprintf(out, "configuration: %s\n", table_find(s, 0, "config"));
}

static void print_reload(const struct table *s, FILE *out, bool colour)
{
	const char *result = table_find(s, 0, "reload");
	char human[TABLE_HUMAN];

	if (strcmp(result, "none") == 0)
		fputs("last reload: none since the start\n", out);
	else if (strcmp(result, "ok") == 0)
		fprintf(out, "last reload: ok, %s ago\n", age(s, "reload_age", human));
	else
		fprintf(out, "last reload: %sfailed%s, %s ago, the old configuration runs: %s\n",
			colour ? "\033[31m" : "", colour ? "\033[0m" : "", age(s, "reload_age", human),
			table_find(s, 0, "reload_message"));
}

static void print_facts(const struct table *s, FILE *out)
{
	fprintf(out,
		"datagrams: %s received, %s sent; lost: %s too long, %s before they were read, "
		"%s not sent\n",
		table_find(s, 0, "received"), table_find(s, 0, "sent"), table_find(s, 0, "truncated"),
		table_find(s, 0, "overflowed"), table_find(s, 0, "dropped"));
	fprintf(out, "clients known: %s\n", table_find(s, 0, "clients"));
	fprintf(out, "trace: %s\n", table_find(s, 0, "trace"));
}

static void print_part(const struct table *t, const char *title, FILE *out, bool colour)
{
	fprintf(out, "\n%s%s%s\n", colour ? "\033[1m" : "", title, t->rows ? "" : ": none");
	if (colour)
		fputs("\033[0m", out);
	if (t->rows)
		table_print(t, out, "  ", false);
}

/* What was passed on, or answered once already, is no loss to anybody. */
static bool is_refusal(const struct table *t, unsigned row)
{
	const char *action = table_find(t, row, "action");

	return strcmp(action, "forward") != 0 && strcmp(action, "queue") != 0 &&
	       strcmp(table_find(t, row, "reason"), "duplicate") != 0;
}

static unsigned long long count_of(const struct table *t, unsigned row)
{
	return strtoull(table_find(t, row, "count"), NULL, 10);
}

/* The row with the highest count below (count, row) `under`, or t->rows. */
static unsigned next_refusal(const struct table *t, unsigned under)
{
	unsigned best = t->rows;

	for (unsigned i = 0; i < t->rows; i++) {
		bool below = under == t->rows || count_of(t, i) < count_of(t, under) ||
			     (count_of(t, i) == count_of(t, under) && i > under);

		if (below && count_of(t, i) > 0 && is_refusal(t, i) &&
		    (best == t->rows || count_of(t, i) > count_of(t, best)))
			best = i;
	}
	return best;
}

static void print_refusals(const struct table *t, FILE *out, bool colour)
{
	unsigned row = next_refusal(t, t->rows);

	fprintf(out, "\n%smost frequent refusals%s%s\n", colour ? "\033[1m" : "", row == t->rows ? ": none" : "",
		colour ? "\033[0m" : "");
	for (unsigned i = 0; i < TOP && row < t->rows; i++) {
		fprintf(out, "  %10llu  %-10s %s: %s\n", count_of(t, row), table_find(t, row, "server"),
			table_find(t, row, "action"), table_find(t, row, "meaning"));
		row = next_refusal(t, row);
	}
}

int screen_print(const char *path, FILE *out, bool colour)
{
	struct view v;
	int code = view_ask(&v, path);

	if (code == EX_OK) {
		print_head(&v.tables[STATUS], out, colour);
		print_reload(&v.tables[STATUS], out, colour);
		print_facts(&v.tables[STATUS], out);
		print_part(&v.tables[SERVERS], "servers", out, colour);
		if (v.tables[CONTEXTS].rows > 0) /* most guards have none */
			print_part(&v.tables[CONTEXTS], "contexts", out, colour);
		print_part(&v.tables[LINKS], "links", out, colour);
		print_refusals(&v.tables[COUNTERS], out, colour);
	}
	view_free(&v);
	return code;
}

int screen_json(const char *path, FILE *out)
{
	struct view v;
	int code = view_ask(&v, path);

	if (code == EX_OK) {
		fputs("{\"status\": ", out);
		table_print_json_row(&v.tables[STATUS], 0, out);
		for (unsigned i = SERVERS; i < PARTS; i++) {
			fprintf(out, ",\n\"%s\": ", requests[i]);
			table_print_json(&v.tables[i], out);
		}
		fputs("}\n", out);
	}
	view_free(&v);
	return code;
}

#include "screen.h"
#include "paint.h"
#include "view.h"
#include <string.h>
#include <sysexits.h>

#define TOP 5 /* refusals shown */

static const char *age(const struct table *status, const char *name, char out[TABLE_HUMAN])
{
	return table_human(TABLE_SECONDS, table_find(status, 0, name), out);
}

static void print_head(const struct table *s, FILE *out, bool colour)
{
	char human[TABLE_HUMAN];

	fprintf(out, "%s%s%s: coap-guardd %s, up %s, process %s\n", paint_on(PAINT_HEAD, colour),
		table_find(s, 0, "name"), paint_off(PAINT_HEAD, colour), table_find(s, 0, "version"),
		age(s, "uptime", human), table_find(s, 0, "pid"));
	fprintf(out, "configuration: %s\n", table_find(s, 0, "config"));
	if (strcmp(table_find(s, 0, "dry_run"), "yes") == 0)
		fprintf(out, "%sdry-run%s: all is judged and counted, nothing is refused\n",
			paint_on(PAINT_BAD, colour), paint_off(PAINT_BAD, colour));
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
			paint_on(PAINT_BAD, colour), paint_off(PAINT_BAD, colour), age(s, "reload_age", human),
			table_find(s, 0, "reload_message"));
}

/* A number with a colour of its own. */
static void print_number(const struct table *s, const char *name, FILE *out, bool colour)
{
	const char *cell = table_find(s, 0, name);
	enum paint p = paint_of(name, cell);

	fprintf(out, "%s%s%s", paint_on(p, colour), cell, paint_off(p, colour));
}

static void print_facts(const struct table *s, FILE *out, bool colour)
{
	fprintf(out, "datagrams: %s received, %s sent; lost: ", table_find(s, 0, "received"), table_find(s, 0, "sent"));
	print_number(s, "truncated", out, colour);
	fputs(" too long, ", out);
	print_number(s, "overflowed", out, colour);
	fputs(" before they were read, ", out);
	print_number(s, "dropped", out, colour);
	fprintf(out, " not sent\nclients known: %s\n", table_find(s, 0, "clients"));
	fprintf(out, "trace: %s\n", table_find(s, 0, "trace"));
}

/* What the servers were spared, if anything is kept or shared. */
static void print_sharing(const struct table *t, FILE *out)
{
	if (view_count(t, 0, "cache-size") > 0)
		fprintf(out, "cache: %s of %s bytes; responses %s, hits %s, validated %s, stale %s\n",
			table_find(t, 0, "cache-bytes"), table_find(t, 0, "cache-size"), table_find(t, 0, "responses"),
			table_find(t, 0, "hit"), table_find(t, 0, "validated"), table_find(t, 0, "stale"));
	if (view_count(t, 0, "joined") > 0 || view_count(t, 0, "relations") > 0)
		fprintf(out, "shared: requests joined %s, observers %s, relations with servers %s\n",
			table_find(t, 0, "joined"), table_find(t, 0, "observers"), table_find(t, 0, "relations"));
}

static void print_part(const struct table *t, const char *title, FILE *out, bool colour)
{
	fprintf(out, "\n%s%s%s%s\n", paint_on(PAINT_HEAD, colour), title, paint_off(PAINT_HEAD, colour),
		t->rows ? "" : ": none");
	if (t->rows)
		table_print(t, out, "  ", colour);
}

/* The row with the highest count below (count, row) `under`, or t->rows. */
static unsigned next_refusal(const struct table *t, unsigned under)
{
	unsigned best = t->rows;

	for (unsigned i = 0; i < t->rows; i++) {
		bool below = under == t->rows || view_count(t, i, "count") < view_count(t, under, "count") ||
			     (view_count(t, i, "count") == view_count(t, under, "count") && i > under);

		if (below && view_count(t, i, "count") > 0 && view_is_refusal(t, i) &&
		    (best == t->rows || view_count(t, i, "count") > view_count(t, best, "count")))
			best = i;
	}
	return best;
}

static void print_refusals(const struct table *t, FILE *out, bool colour)
{
	unsigned row = next_refusal(t, t->rows);

	fprintf(out, "\n%smost frequent refusals%s%s\n", paint_on(PAINT_HEAD, colour), paint_off(PAINT_HEAD, colour),
		row == t->rows ? ": none" : "");
	for (unsigned i = 0; i < TOP && row < t->rows; i++) {
		fprintf(out, "  %10llu  %-10s %s: %s\n", (unsigned long long)view_count(t, row, "count"),
			table_find(t, row, "server"), table_find(t, row, "action"), table_find(t, row, "meaning"));
		row = next_refusal(t, row);
	}
}

int screen_print(const char *path, FILE *out, bool colour)
{
	struct view v;
	int code = view_ask(&v, path);

	if (code == EX_OK) {
		print_head(&v.tables[VIEW_STATUS], out, colour);
		print_reload(&v.tables[VIEW_STATUS], out, colour);
		print_facts(&v.tables[VIEW_STATUS], out, colour);
		print_sharing(&v.tables[VIEW_SHARING], out);
		print_part(&v.tables[VIEW_SERVERS], "servers", out, colour);
		if (v.tables[VIEW_CONTEXTS].rows > 0) /* most guards have none */
			print_part(&v.tables[VIEW_CONTEXTS], "contexts", out, colour);
		print_part(&v.tables[VIEW_LINKS], "links", out, colour);
		print_refusals(&v.tables[VIEW_COUNTERS], out, colour);
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
		table_print_json_row(&v.tables[VIEW_STATUS], 0, out);
		for (unsigned i = VIEW_SERVERS; i < VIEW_PARTS; i++) {
			fprintf(out, ",\n\"%s\": ", view_word((enum view_part)i));
			table_print_json(&v.tables[i], out);
		}
		fputs("}\n", out);
	}
	view_free(&v);
	return code;
}

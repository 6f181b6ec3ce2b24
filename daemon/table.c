#include "table.h"
#include "json.h"
#include "paint.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_words[] = {
	[TABLE_TEXT] = "text",
	[TABLE_COUNT] = "count",
	[TABLE_SECONDS] = "seconds",
	[TABLE_RATIO] = "ratio",
};

/* Ends the piece at `text` at the first of `ends`; returns what follows, or NULL at the end. */
static char *cut_at(char *text, char end)
{
	char *found = strchr(text, end);

	if (!found)
		return NULL;
	*found = '\0';
	return found + 1;
}

static bool parse_head(struct table *t, char *cell)
{
	char *kind = cut_at(cell, ':');

	for (unsigned i = 0; kind && t->columns < TABLE_COLUMNS && i < 4; i++) {
		if (strcmp(kind, kind_words[i]) == 0) {
			t->heads[t->columns].name = cell;
			t->heads[t->columns++].kind = (enum table_kind)i;
			return true;
		}
	}
	return false;
}

static bool parse_heads(struct table *t, char *line)
{
	while (line) {
		char *next = cut_at(line, '\t');

		if (!parse_head(t, line))
			return false;
		line = next;
	}
	return true;
}

static bool parse_row(struct table *t, char *line)
{
	const char **cells = t->cells + (size_t)t->rows * t->columns;

	for (unsigned i = 0; i < t->columns; i++) {
		if (!line)
			return false;
		cells[i] = line;
		line = cut_at(line, '\t');
	}
	t->rows++;
	return line == NULL;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

bool table_parse(struct table *t, char *text)
{
	char *next = cut_at(text, '\n');

	memset(t, 0, sizeof *t);
	if (!next || !parse_heads(t, text))
		return false;
	t->cells = calloc(count_lines(next) * t->columns, sizeof *t->cells);
	if (!t->cells)
		return false;
	while (next && *next) {
		char *line = next;

		next = cut_at(line, '\n');
		if (line[0] == '#' && next && !*next) {
			t->note = line;
		} else if (!parse_row(t, line)) {
			table_free(t);
			return false;
		}
	}
	return true;
}

void table_free(struct table *t)
{
	free(t->cells);
	memset(t, 0, sizeof *t);
}

const char *table_cell(const struct table *t, unsigned row, unsigned column)
{
	return row < t->rows && column < t->columns ? t->cells[(size_t)row * t->columns + column] : "";
}

const char *table_find(const struct table *t, unsigned row, const char *name)
{
	for (unsigned i = 0; i < t->columns; i++) {
		if (strcmp(t->heads[i].name, name) == 0)
			return table_cell(t, row, i);
	}
	return "";
}

/* The two largest units say enough. */
static void print_age(double seconds, char out[TABLE_HUMAN])
{
	static const struct {
		uint64_t length;
		const char *word;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	uint64_t s = (uint64_t)seconds;
	unsigned i = 0;

	if (seconds < 10) {
		snprintf(out, TABLE_HUMAN, "%.1f s", seconds);
		return;
	}
	while (s < units[i].length)
		i++;
	if (i == 3)
		snprintf(out, TABLE_HUMAN, "%u s", (unsigned)s);
	else
		snprintf(out, TABLE_HUMAN, "%llu %s %llu %s", (unsigned long long)(s / units[i].length), units[i].word,
			 (unsigned long long)(s % units[i].length / units[i + 1].length), units[i + 1].word);
}

const char *table_human(enum table_kind kind, const char *cell, char out[TABLE_HUMAN])
{
	if (kind == TABLE_SECONDS && strspn(cell, "0123456789.") == strlen(cell) && *cell)
		print_age(strtod(cell, NULL), out);
	else if (kind == TABLE_RATIO)
		snprintf(out, TABLE_HUMAN, "%.0f %%", 100 * strtod(cell, NULL));
	else
		snprintf(out, TABLE_HUMAN, "%s", cell);
	return out;
}

static int column_width(const struct table *t, unsigned column)
{
	char human[TABLE_HUMAN];
	size_t width = strlen(t->heads[column].name);

	for (unsigned row = 0; row < t->rows; row++) {
		size_t len = strlen(table_human(t->heads[column].kind, table_cell(t, row, column), human));

		width = len > width ? len : width;
	}
	return (int)width;
}

/* The last column gets no blanks behind it. */
static void print_cell(const struct table *t, unsigned column, const char *text, int width, enum paint paint, FILE *out)
{
	bool left = t->heads[column].kind == TABLE_TEXT;

	if (left && column + 1 == t->columns)
		width = 0;
	fprintf(out, "%s%s%*s%s", column ? "  " : "", paint_on(paint, true), left ? -width : width, text,
		paint_off(paint, true));
}

void table_print(const struct table *t, FILE *out, const char *indent, bool colour)
{
	int widths[TABLE_COLUMNS];
	char human[TABLE_HUMAN];

	fprintf(out, "%s%s", indent, paint_on(PAINT_HEAD, colour));
	for (unsigned i = 0; i < t->columns; i++) {
		widths[i] = column_width(t, i);
		print_cell(t, i, t->heads[i].name, widths[i], PAINT_NONE, out);
	}
	fprintf(out, "%s\n", paint_off(PAINT_HEAD, colour));
	for (unsigned row = 0; row < t->rows; row++) {
		fputs(indent, out);
		for (unsigned i = 0; i < t->columns; i++)
			print_cell(t, i, table_human(t->heads[i].kind, table_cell(t, row, i), human), widths[i],
				   colour ? paint_of(t->heads[i].name, table_cell(t, row, i)) : PAINT_NONE, out);
		putc('\n', out);
	}
	if (t->note)
		fprintf(out, "%s%s\n", indent, t->note);
}

void table_print_json_row(const struct table *t, unsigned row, FILE *out)
{
	putc('{', out);
	for (unsigned i = 0; i < t->columns; i++) {
		fputs(i ? ", " : "", out);
		json_string(out, t->heads[i].name);
		fputs(": ", out);
		if (t->heads[i].kind == TABLE_TEXT)
			json_string(out, table_cell(t, row, i));
		else
			json_number(out, table_cell(t, row, i));
	}
	putc('}', out);
}

void table_print_json(const struct table *t, FILE *out)
{
	putc('[', out);
	for (unsigned row = 0; row < t->rows; row++) {
		fputs(row ? ",\n " : "", out);
		table_print_json_row(t, row, out);
	}
	putc(']', out);
}

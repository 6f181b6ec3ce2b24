#include "answer.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

static const char cut_note[] = "# cut here: the reply is too long\n";

void answer_init(struct answer *a)
{
	memset(a, 0, sizeof *a);
}

void answer_free(struct answer *a)
{
	free(a->text);
	answer_init(a);
}

/* Room for `more` bytes, their NUL and the note; false: the answer has its full size, or there is
 * no memory. */
static bool make_room(struct answer *a, size_t more)
{
	size_t need = a->len + more + sizeof cut_note, capacity = a->capacity;
	char *text;

	if (need <= a->capacity)
		return true;
	if (need > ANSWER_MAX)
		return false;
	while (capacity < need)
		capacity = capacity ? 2 * capacity : FIRST_CAPACITY;
	text = realloc(a->text, capacity);
	if (!text)
		return false;
	a->text = text;
	a->capacity = capacity;
	return true;
}

/* Back to the end of the last whole line: half a row would be read as a wrong one. */
static void cut(struct answer *a)
{
	a->cut = true;
	if (!a->text)
		return;
	while (a->len > 0 && a->text[a->len - 1] != '\n')
		a->len--;
	memcpy(a->text + a->len, cut_note, sizeof cut_note);
	a->len += sizeof cut_note - 1;
}

void answer_print(struct answer *a, const char *format, ...)
{
	va_list args;
	int n;

	if (a->cut)
		return;
	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	if (!make_room(a, (size_t)n)) {
		cut(a);
		return;
	}
	va_start(args, format);
	vsnprintf(a->text + a->len, (size_t)n + 1, format, args);
	va_end(args);
	a->len += (size_t)n;
}

static void take_header(void *arg, const char *const *names, unsigned n)
{
	struct answer *a = arg;

	assert(n <= ANSWER_COLUMNS);
	a->columns = n;
	for (unsigned i = 0; i < n; i++)
		snprintf(a->names[i], sizeof a->names[i], "%s", names[i]);
}

static void put_header(struct answer *a, const struct snapshot_cell *cells)
{
	static const char *const kinds[] = {
		[CELL_TEXT] = "text",
		[CELL_COUNT] = "count",
		[CELL_SECONDS] = "seconds",
		[CELL_RATIO] = "ratio",
	};

	for (unsigned i = 0; i < a->columns; i++)
		answer_print(a, "%s%s:%s", i ? "\t" : "", a->names[i], kinds[cells ? cells[i].kind : CELL_TEXT]);
	answer_print(a, "\n");
	a->columns = 0;
}

/* Tabs and line ends belong to the table. */
static void put_text(struct answer *a, const char *text)
{
	size_t start = a->len;

	answer_print(a, "%s", text);
	for (size_t i = start; !a->cut && i < a->len; i++) {
		if ((unsigned char)a->text[i] < ' ' || a->text[i] == 0x7f)
			a->text[i] = ' ';
	}
}

static void put_cell(struct answer *a, const struct snapshot_cell *cell)
{
	switch (cell->kind) {
	case CELL_TEXT: put_text(a, cell->text); break;
	case CELL_COUNT: answer_print(a, "%" PRIu64, cell->count); break;
	case CELL_SECONDS:
		answer_print(a, "%llu.%03llu", cell->count / TSTAMP_S, cell->count % TSTAMP_S / TSTAMP_MS);
		break;
	case CELL_RATIO: answer_print(a, "%" PRIu64 ".%03" PRIu64, cell->count / 1000, cell->count % 1000); break;
	}
}

static void take_row(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	struct answer *a = arg;

	if (a->columns)
		put_header(a, cells);
	for (unsigned i = 0; i < n; i++) {
		if (i)
			answer_print(a, "\t");
		put_cell(a, &cells[i]);
	}
	answer_print(a, "\n");
}

struct snapshot_sink answer_table(struct answer *a)
{
	return (struct snapshot_sink){ .header = take_header, .row = take_row, .arg = a };
}

void answer_table_end(struct answer *a)
{
	if (a->columns) /* no row came: the kinds stay unknown */
		put_header(a, NULL);
}

/* table: a table of the control socket (a line of name:kind cells, then rows, cells apart by tabs),
 * read and rendered. */
#ifndef TABLE_H
#define TABLE_H
#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS 24

enum table_kind { TABLE_TEXT, TABLE_COUNT, TABLE_SECONDS, TABLE_RATIO };

struct table {
	unsigned columns, rows;
	struct {
		const char *name;
		enum table_kind kind;
	} heads[TABLE_COLUMNS];
	const char **cells; /* rows times columns of them, pointing into the text */
	const char *note;   /* a last line that is no row, or NULL */
};

/* Cuts `text` up in place; it must live as long as the table. False: it is no table, or no memory.
 */
bool table_parse(struct table *t, char *text);
void table_free(struct table *t);

const char *table_cell(const struct table *t, unsigned row, unsigned column);
/* The cell of a named column, "" when there is no such column or row. */
const char *table_find(const struct table *t, unsigned row, const char *name);

#define TABLE_HUMAN 256
/* The cell as people say it: "3 min 12 s", "40 %". Returns out. */
const char *table_human(enum table_kind kind, const char *cell, char out[TABLE_HUMAN]);

/* Columns aligned, numbers to the right. */
void table_print(const struct table *t, FILE *out, const char *indent, bool colour);
void table_print_json(const struct table *t, FILE *out);                   /* an array of objects */
void table_print_json_row(const struct table *t, unsigned row, FILE *out); /* one object */
#endif

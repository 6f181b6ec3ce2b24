/*
 * answer: the text of one reply on the control socket. It grows while it is made and never past
 * ANSWER_MAX: what does not fit is cut at the end of a line, and a last line says so.
 */
#ifndef ANSWER_H
#define ANSWER_H
#include "proxy/snapshot.h"
#include <stdbool.h>
#include <stddef.h>

#define ANSWER_MAX     ((size_t)1 << 20)
#define ANSWER_COLUMNS 24

struct answer {
	char *text; /* NULL while empty */
	size_t len, capacity;
	bool cut;
	char names[ANSWER_COLUMNS][32]; /* column names that wait for the kinds in the first row */
	unsigned columns;
};

void answer_init(struct answer *a);
void answer_free(struct answer *a);

__attribute__((format(printf, 2, 3))) void answer_print(struct answer *a, const char *format, ...);

/*
 * A sink that writes a table: a line of name:kind cells, then a line per row, cells apart by tabs.
 * A kind is text, count, seconds or ratio. Call answer_table_end when all rows are in.
 */
struct snapshot_sink answer_table(struct answer *a);
void answer_table_end(struct answer *a);
#endif

/* paint: colours of a terminal for what a table says: red wants somebody, yellow is to be watched, green is as it should be. */
#ifndef PAINT_H
#define PAINT_H
#include <stdbool.h>

enum paint { PAINT_NONE, PAINT_HEAD, PAINT_GOOD, PAINT_WATCH, PAINT_BAD };

/* column: its name; cell: as the daemon sent it. */
enum paint paint_of(const char *column, const char *cell);
/* Escape sequences; "" for PAINT_NONE, and everywhere unless `colour`. */
const char *paint_on(enum paint p, bool colour);
const char *paint_off(enum paint p, bool colour);
#endif

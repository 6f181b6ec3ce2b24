/* units: whole numbers with a unit written behind them: "500ms", "4KiB", "80%", "6/min". */
#ifndef UNITS_H
#define UNITS_H
#include <stdbool.h>
#include <stdint.h>

struct unit {
	const char *word;
	uint64_t factor;
};

#define UNITS_TEXT 40 /* room for the longest number, its unit and NUL */

/* Lists end with a NULL word; factors ascend. */
extern const struct unit units_plain[];    /* no unit at all */
extern const struct unit units_size[];     /* bytes */
extern const struct unit units_duration[]; /* nanoseconds */
extern const struct unit units_percent[];
extern const struct unit units_per_day[];
extern const struct unit units_per_time[]; /* the factor is the period in nanoseconds */
extern const struct unit units_bits[];     /* per second */

/*
 * Reads a number and its unit, which must follow at once. False: not a number, a unit missing or
 * unknown, or *count times the factor is more than 64 bits hold.
 */
bool units_parse(const struct unit *units, const char *text, uint64_t *count, const struct unit **unit);
/* Writes `value` in the largest unit that divides it, so that nothing is rounded. Returns out. */
const char *units_print(const struct unit *units, uint64_t value, char out[UNITS_TEXT]);
/* The unit with this factor, or NULL. */
const struct unit *units_of(const struct unit *units, uint64_t factor);
#endif

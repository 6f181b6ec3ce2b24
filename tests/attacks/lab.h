/*
 * lab: where attacks are staged against the real engine, and what is measured of them. One line per figure goes out, tab-separated:
 *
 *   A3   forgeries forwarded   104   <=   115   ok
 *
 * A figure without a limit is told only. tests/attacks/attacks.py reads the lines, and says what was asked for.
 */
#ifndef LAB_H
#define LAB_H
#include "base/bytes.h"

struct lab {
	const char *id;
	double scale; /* of every number and duration: 1 is what the catalogue asks for */
	bool failed;
};

struct attack {
	const char *id;
	void (*run)(struct lab *l);
};

/* So many of `full`, but never fewer than `least`. */
unsigned long lab_scaled(const struct lab *l, unsigned long full, unsigned long least);

void lab_tell(struct lab *l, const char *what, double value);
void lab_at_most(struct lab *l, const char *what, double value, double limit);
void lab_at_least(struct lab *l, const char *what, double value, double limit);
/* Times and memory mean nothing under a sanitizer: told there, and judged elsewhere. */
void lab_bare_at_most(struct lab *l, const char *what, double value, double limit);

double lab_cpu_ns(void);                                                /* of this thread */
double lab_percentile(double *values, unsigned long n, double percent); /* sorts them */
/* Bytes of memory resident; the heap's in use, where the C library tells (0 under a sanitizer). */
double lab_resident(void);
double lab_heap(void);

/* One family each, ended by an id of NULL. */
extern const struct attack flood_attacks[], standing_attacks[], proof_attacks[], layer_attacks[], wire_attacks[],
	store_attacks[], bug_attacks[];
#endif

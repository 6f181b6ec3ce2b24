#include "near.h"
#include <stdbool.h>
#include <string.h>

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters to insert, drop or change to make b of a (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAR_MAX + 1];
	size_t len = strlen(b);

	if (strlen(a) > NEAR_MAX || len > NEAR_MAX)
		return NEAR_MAX;
	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			unsigned above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[len];
}

/* "master-secret" of "master-secret-file". */
static bool is_beginning(const char *word, const char *known)
{
	size_t len = strlen(word);

	return len > 0 && strncmp(word, known, len) == 0 && known[len] == '-';
}

void near_consider(const char *word, const char *known, const char **best, unsigned *nearest)
{
	unsigned d = is_beginning(word, known) ? 1 : distance(word, known);

	if (d < *nearest && d * 3 <= strlen(known) + 2) {
		*nearest = d;
		*best = known;
	}
}

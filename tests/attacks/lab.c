#include "lab.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

unsigned long lab_scaled(const struct lab *l, unsigned long full, unsigned long least)
{
	unsigned long n = (unsigned long)(l->scale * (double)full);

	return n < least ? least : n;
}

static void line(struct lab *l, const char *what, double value, const char *relation, double limit, bool ok)
{
	printf("%s\t%s\t%.10g\t%s\t%.10g\t%s\n", l->id, what, value, relation, limit, ok ? "ok" : "FAILED");
	fflush(stdout);
	l->failed |= !ok;
}

void lab_tell(struct lab *l, const char *what, double value)
{
	line(l, what, value, "-", 0, true);
}

void lab_at_most(struct lab *l, const char *what, double value, double limit)
{
	line(l, what, value, "<=", limit, value <= limit);
}

void lab_at_least(struct lab *l, const char *what, double value, double limit)
{
	line(l, what, value, ">=", limit, value >= limit);
}

void lab_bare_at_most(struct lab *l, const char *what, double value, double limit)
{
	if (SANITIZED)
		lab_tell(l, what, value);
	else
		lab_at_most(l, what, value, limit);
}

double lab_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double lab_percentile(double *values, unsigned long n, double percent)
{
	unsigned long at = (unsigned long)((double)n * percent / 100);

	if (n == 0)
		return 0;
	qsort(values, n, sizeof *values, ascending);
	return values[at < n ? at : n - 1];
}

double lab_resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all = 0, resident = 0;

	if (f) {
		if (fscanf(f, "%lu %lu", &all, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

double lab_heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

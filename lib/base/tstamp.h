/* tstamp: monotonic nanoseconds. Always a parameter, never read from a clock inside lib/. */
#ifndef TSTAMP_H
#define TSTAMP_H
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t tstamp;

#define TSTAMP_NEVER UINT64_MAX /* "no deadline" */
#define TSTAMP_US    1000ULL
#define TSTAMP_MS    1000000ULL
#define TSTAMP_S     1000000000ULL
#define TSTAMP_MIN   (60 * TSTAMP_S)
#define TSTAMP_HOUR  (60 * TSTAMP_MIN)
#define TSTAMP_DAY   (24 * TSTAMP_HOUR)

/* t + ns; saturates at "never", and never plus anything is never. */
static inline tstamp tstamp_add(tstamp t, uint64_t ns)
{
	return ns > TSTAMP_NEVER - t ? TSTAMP_NEVER : t + ns;
}

/* now - t, or 0 when t lies in the future. */
static inline uint64_t tstamp_since(tstamp t, tstamp now)
{
	return now > t ? now - t : 0;
}

static inline bool tstamp_reached(tstamp deadline, tstamp now)
{
	return deadline <= now;
}

static inline tstamp tstamp_min(tstamp a, tstamp b)
{
	return a < b ? a : b;
}
#endif

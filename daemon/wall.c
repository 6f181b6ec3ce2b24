#include "wall.h"
#include "base/tstamp.h"
#include <stddef.h>
#include <time.h>

#define FIRST_OF_2024 (UINT64_C(1704067200) * TSTAMP_S)
#define FIRST_OF_2200 (UINT64_C(7258118400) * TSTAMP_S)

static uint64_t read_clock(void *arg)
{
	struct timespec t;

	(void)arg;
	if (clock_gettime(CLOCK_REALTIME, &t) != 0 || t.tv_sec < 0)
		return 0;
	return (uint64_t)t.tv_sec * TSTAMP_S + (uint64_t)t.tv_nsec;
}

const struct wall wall_clock = { read_clock, NULL };

bool wall_is_sane(uint64_t ns)
{
	return ns >= FIRST_OF_2024 && ns < FIRST_OF_2200;
}

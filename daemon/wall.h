/* wall: the time of day, for what must be told from before a restart, or be agreed upon with other machines. It decides nothing else. */
#ifndef WALL_H
#define WALL_H
#include <stdbool.h>
#include <stdint.h>

/* A struct, so that tests can bring a clock of their own. */
struct wall {
	uint64_t (*read)(void *arg); /* ns since 1970 */
	void *arg;
};

extern const struct wall wall_clock;

static inline uint64_t wall_now(const struct wall *w)
{
	return w->read(w->arg);
}

/* From 2024 on: a machine without a battery believes in 1970 until somebody tells it the time. */
bool wall_is_sane(uint64_t ns);
#endif

#include "paint.h"
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *column, *cell;
	enum paint paint;
} words[] = {
	{ "standing", "trusted", PAINT_GOOD }, { "doubted", "yes", PAINT_WATCH },   { "state", "ready", PAINT_GOOD },
	{ "state", "unsynced", PAINT_WATCH },  { "state", "worn", PAINT_WATCH },    { "state", "off", PAINT_BAD },
	{ "state", "refused", PAINT_BAD },     { "state", "mute", PAINT_BAD },      { "reload", "failed", PAINT_BAD },
	{ "mode", "open", PAINT_WATCH },       { "mode", "throttle", PAINT_WATCH }, { "action", "drop", PAINT_WATCH },
	{ "action", "throttle", PAINT_WATCH }, { "action", "reject", PAINT_WATCH }, { "level", "warn", PAINT_WATCH },
	{ "device", "doubted", PAINT_WATCH },  { "device", "silent", PAINT_WATCH }, { "level", "error", PAINT_BAD },
	{ "level", "fatal", PAINT_BAD },
};

/* Numbers up to `limit`, where little is bad, or from it on, where much is. */
static const struct {
	const char *column;
	bool from;
	double limit;
	enum paint paint;
} numbers[] = {
	{ "fill", false, 0.05, PAINT_BAD },      { "fill", false, 0.25, PAINT_WATCH },
	{ "success", false, 0.50, PAINT_WATCH }, { "unknown-left", false, 0, PAINT_WATCH },
	{ "forgeries", true, 1, PAINT_WATCH },   { "replays", true, 1, PAINT_WATCH },
	{ "waiting", true, 1, PAINT_WATCH },     { "truncated", true, 1, PAINT_WATCH },
	{ "overflowed", true, 1, PAINT_WATCH },  { "dropped", true, 1, PAINT_WATCH },
};

enum paint paint_of(const char *column, const char *cell)
{
	double number = strtod(cell, NULL);

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].column, column) == 0 && strcmp(words[i].cell, cell) == 0)
			return words[i].paint;
	}
	for (unsigned i = 0; *cell && i < sizeof numbers / sizeof numbers[0]; i++) {
		bool applies = numbers[i].from ? number >= numbers[i].limit : number <= numbers[i].limit;

		if (applies && strcmp(numbers[i].column, column) == 0)
			return numbers[i].paint;
	}
	return PAINT_NONE;
}

const char *paint_on(enum paint p, bool colour)
{
	static const char *const on[] = { "", "\033[1m", "\033[32m", "\033[33m", "\033[31m" };

	return colour ? on[p] : "";
}

const char *paint_off(enum paint p, bool colour)
{
	return colour && p != PAINT_NONE ? "\033[0m" : "";
}

#include "units.h"
#include "base/tstamp.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct unit units_plain[] = { { "", 1 }, { NULL, 0 } };
const struct unit units_size[] = { { "B", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { NULL, 0 } };
const struct unit units_duration[] = {
	{ "ms", TSTAMP_MS },  { "s", TSTAMP_S },   { "min", TSTAMP_MIN },
	{ "h", TSTAMP_HOUR }, { "d", TSTAMP_DAY }, { NULL, 0 },
};
const struct unit units_percent[] = { { "%", 1 }, { NULL, 0 } };
const struct unit units_per_day[] = { { "/day", 1 }, { NULL, 0 } };
const struct unit units_per_time[] = {
	{ "/s", TSTAMP_S }, { "/min", TSTAMP_MIN }, { "/h", TSTAMP_HOUR }, { "/day", TSTAMP_DAY }, { NULL, 0 },
};
const struct unit units_bits[] = { { "bit/s", 1 }, { "kbit/s", 1000 }, { "Mbit/s", 1000000 }, { NULL, 0 } };

bool units_parse(const struct unit *units, const char *text, uint64_t *count, const struct unit **unit)
{
	const char *p = text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (p - text >= 19) /* 19 digits always fit in 64 bits */
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	if (p == text)
		return false;
	for (; units->word; units++) {
		if (strcmp(p, units->word) != 0)
			continue;
		*count = n;
		*unit = units;
		return n <= UINT64_MAX / units->factor;
	}
	return false;
}

const char *units_print(const struct unit *units, uint64_t value, char out[UNITS_TEXT])
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->word && value > 0; u++) {
		if (value % u->factor == 0)
			best = u;
	}
	snprintf(out, UNITS_TEXT, "%" PRIu64 "%s", value / best->factor, best->word);
	return out;
}

const struct unit *units_of(const struct unit *units, uint64_t factor)
{
	for (; units->word; units++) {
		if (units->factor == factor)
			return units;
	}
	return NULL;
}

#include "view.h"
#include "enquiry.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

const char *view_word(enum view_part part)
{
	static const char *const words[VIEW_PARTS] = {
		[VIEW_STATUS] = "status",   [VIEW_SERVERS] = "servers", [VIEW_CONTEXTS] = "contexts",
		[VIEW_SHARING] = "sharing", [VIEW_LINKS] = "links",     [VIEW_COUNTERS] = "counters",
	};

	return words[part];
}

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int view_ask(struct view *v, const char *path)
{
	int code = EX_OK;

	memset(v, 0, sizeof *v);
	for (unsigned i = 0; i < VIEW_PARTS && code == EX_OK; i++)
		code = enquiry_table(path, view_word((enum view_part)i), &v->replies[i], &v->tables[i]);
	v->at = monotonic();
	return code;
}

void view_free(struct view *v)
{
	for (unsigned i = 0; i < VIEW_PARTS; i++) {
		table_free(&v->tables[i]);
		free(v->replies[i]);
	}
	memset(v, 0, sizeof *v);
}

bool view_is_refusal(const struct table *counters, unsigned row)
{
	const char *action = table_find(counters, row, "action");

	return strcmp(action, "forward") != 0 && strcmp(action, "queue") != 0 &&
	       strcmp(table_find(counters, row, "reason"), "duplicate") != 0;
}

uint64_t view_count(const struct table *t, unsigned row, const char *column)
{
	return strtoull(table_find(t, row, column), NULL, 10);
}

/* view: all that matters about a running daemon, asked for at once. */
#ifndef VIEW_H
#define VIEW_H
#include "table.h"
#include <stdint.h>

enum view_part { VIEW_STATUS, VIEW_SERVERS, VIEW_CONTEXTS, VIEW_SHARING, VIEW_LINKS, VIEW_COUNTERS, VIEW_PARTS };

struct view {
	uint64_t at; /* ns, monotonic */
	char *replies[VIEW_PARTS];
	struct table tables[VIEW_PARTS];
};

/* The command that a part is the answer to. */
const char *view_word(enum view_part part);
/* path: of the control socket. 0, or an exit status whose reason was said on stderr; to be freed in any case. */
int view_ask(struct view *v, const char *path);
void view_free(struct view *v);

/* What went no further, and was not answered once already. */
bool view_is_refusal(const struct table *counters, unsigned row);
uint64_t view_count(const struct table *t, unsigned row, const char *column);
#endif

#include "config_errors.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void config_errors_clear(struct config_errors *e)
{
	e->count = e->more = 0;
}

static bool is_after(struct config_origin a, struct config_origin b)
{
	return a.file != b.file ? a.file > b.file : a.line > b.line;
}

/* Makes room for an error at `at`, behind all that stand before it or at the same line. */
static unsigned open_place(struct config_errors *e, struct config_origin at)
{
	unsigned i = e->count++;

	for (; i > 0 && is_after(e->list[i - 1].at, at); i--)
		e->list[i] = e->list[i - 1];
	e->list[i].at = at;
	return i;
}

void config_errors_add(struct config_errors *e, const char *file, struct config_origin at, const char *fmt, ...)
{
	char *text;
	int len;
	va_list ap;

	if (e->count == CONFIG_ERRORS) {
		e->more++;
		return;
	}
	text = e->list[open_place(e, at)].text;
	if (at.line)
		len = snprintf(text, CONFIG_ERROR_TEXT, "%s:%" PRIu32 ": ", file, at.line);
	else
		len = snprintf(text, CONFIG_ERROR_TEXT, "%s: ", file);
	if (len < 0 || len >= CONFIG_ERROR_TEXT)
		return;
	va_start(ap, fmt);
	vsnprintf(text + len, CONFIG_ERROR_TEXT - (size_t)len, fmt, ap);
	va_end(ap);
}

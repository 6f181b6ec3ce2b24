#include "psk.h"
#include <stdio.h>
#include <string.h>

#define FILE_MAX 32768 /* every line as long as it may be, and comments */

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* Returns what is wrong, or NULL. */
static const char *take_line(struct psk_list *l, const char *line, size_t len)
{
	struct psk *p = &l->list[l->count];
	size_t name = 0;
	const char *wrong;

	while (name < len && !is_blank(line[name]))
		name++;
	if (name >= PSK_IDENTITY)
		return "an identity longer than 63 bytes";
	if (memchr(line, '\0', name))
		return "a NUL byte";
	if (psk_find(l, (const uint8_t *)line, name))
		return "an identity that was there before";
	if (l->count == PSK_MAX)
		return "one identity too many; 64 at most";
	memset(p, 0, sizeof *p);
	memcpy(p->identity, line, name);
	wrong = secrets_parse(line + name, len - name, p->key, &p->len);
	l->count += !wrong;
	return wrong;
}

bool psk_parse(struct psk_list *l, const char *text, size_t len, char *why, size_t size)
{
	unsigned number = 0;

	memset(l, 0, sizeof *l);
	while (len > 0) {
		const char *end = memchr(text, '\n', len), *wrong = NULL;
		size_t line = end ? (size_t)(end - text) : len, skip = 0;

		number++;
		while (skip < line && is_blank(text[skip]))
			skip++;
		if (skip < line && text[skip] != '#')
			wrong = take_line(l, text + skip, line - skip);
		if (wrong) {
			snprintf(why, size, "line %u: %s", number, wrong);
			psk_wipe(l);
			return false;
		}
		text += line + (end != NULL);
		len -= line + (end != NULL);
	}
	if (l->count == 0)
		snprintf(why, size, "line %u: the end, and no identity", number);
	return l->count > 0;
}

bool psk_read(struct psk_list *l, const char *name, const char *file, const char *config_path, char *why, size_t size)
{
	char text[FILE_MAX + 1], wrong[128];
	size_t len = secrets_text(name, file, config_path, text, FILE_MAX, why, size);
	bool ok = len > 0 && psk_parse(l, text, len, wrong, sizeof wrong);

	explicit_bzero(text, sizeof text);
	if (len > 0 && !ok)
		snprintf(why, size, "%s: %s", file, wrong);
	if (!ok)
		psk_wipe(l);
	return ok;
}

const struct psk *psk_find(const struct psk_list *l, const uint8_t *identity, size_t len)
{
	const struct psk *found = NULL;

	for (unsigned i = 0; i < l->count; i++) {
		const char *known = l->list[i].identity;

		if (strlen(known) == len && memcmp(known, identity, len) == 0)
			found = &l->list[i];
	}
	return found;
}

void psk_wipe(struct psk_list *l)
{
	explicit_bzero(l, sizeof *l);
}

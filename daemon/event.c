#include "event.h"
#include <stdio.h>

#define X(name, word, id, text) [EVENT_##name] = { word, id, text },
static const struct {
	const char *word, *id, *text;
} events[] = { [EVENT_NONE] = { "", "", "" }, EVENTS(X) };
#undef X

#define X(name, key, text) [FIELD_##name] = { key, text },
static const struct {
	const char *key, *text;
} fields[] = { EVENT_FIELDS(X) };
#undef X

const char *event_word(enum event_kind k)
{
	return events[k].word;
}

const char *event_id(enum event_kind k)
{
	return events[k].id;
}

const char *event_text(enum event_kind k)
{
	return events[k].text;
}

const char *event_field_key(enum event_field f)
{
	return fields[f].key;
}

const char *event_field_text(enum event_field f)
{
	return fields[f].text;
}

void event_copy(struct event_copy *out, const struct event *e)
{
	out->kind = e->kind;
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		snprintf(out->fields[i], sizeof out->fields[i], "%s", e->fields[i] ? e->fields[i] : "");
}

void event_view(struct event *e, const struct event_copy *copy)
{
	e->kind = copy->kind;
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		e->fields[i] = copy->fields[i][0] ? copy->fields[i] : NULL;
}

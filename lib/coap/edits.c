#include "coap/edits.h"
#include <assert.h>

/* Behind those of the same number. */
static struct edit *insert(struct edits *e, uint16_t number)
{
	unsigned at = e->n;

	assert(e->n < EDITS_MAX);
	for (; at > 0 && e->list[at - 1].number > number; at--)
		e->list[at] = e->list[at - 1];
	e->n++;
	e->list[at] = (struct edit){ .number = number };
	return &e->list[at];
}

void edits_drop(struct edits *e, uint16_t number)
{
	insert(e, number)->kind = EDIT_DROP;
}

static void note(struct edits *e, uint16_t number, enum edit_kind kind, struct bytes value)
{
	struct edit *edit = insert(e, number);

	edit->kind = kind;
	edit->value = value;
}

void edits_set(struct edits *e, uint16_t number, struct bytes value)
{
	note(e, number, EDIT_SET, value);
}

void edits_add(struct edits *e, uint16_t number, struct bytes value)
{
	note(e, number, EDIT_ADD, value);
}

void edits_lead(struct edits *e, uint16_t number, const char *path)
{
	e->lead = path;
	e->lead_number = number;
}

void edits_set_uint(struct edits *e, uint16_t number, uint32_t value)
{
	struct edit *edit = insert(e, number);

	edit->kind = EDIT_SET;
	for (int shift = 24; shift >= 0; shift -= 8)
		if (value >> shift)
			edit->own[edit->own_len++] = (uint8_t)(value >> shift);
}

static void write_edit(const struct edit *edit, struct msgbuf *out)
{
	if (edit->kind != EDIT_DROP)
		msgbuf_option(out, edit->number, edit->own_len ? bytes_of(edit->own, edit->own_len) : edit->value);
}

static void write_lead(const struct edits *e, struct msgbuf *out)
{
	const char *at = e->lead;
	size_t n;

	for (bool more = true; more; at += n + 1) {
		n = strcspn(at, "/");
		msgbuf_option(out, e->lead_number, bytes_of(at, n));
		more = at[n] != '\0';
	}
}

static bool is_copied(const struct edits *e, uint16_t number)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->list[i].number == number && e->list[i].kind != EDIT_ADD)
			return false;
	return true;
}

void edits_write(const struct edits *e, const struct msg *m, struct msgbuf *out)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	bool led = !e->lead;
	unsigned i = 0;

	while (msg_next(&it, &opt)) {
		for (; i < e->n && e->list[i].number < opt.number; i++)
			write_edit(&e->list[i], out);
		if (!led && opt.number == e->lead_number) {
			write_lead(e, out);
			led = true;
		}
		if (is_copied(e, opt.number))
			msgbuf_option(out, opt.number, opt.value);
	}
	for (; i < e->n; i++)
		write_edit(&e->list[i], out);
}

void edits_merge(const struct msg *m, const struct msg *by, struct msgbuf *out)
{
	struct msg_iter olds = msg_options(m), news = msg_options(by);
	struct msg_option old, new;
	bool has_old = msg_next(&olds, &old), has_new = msg_next(&news, &new);

	while (has_old || has_new) {
		if (!has_new || (has_old && old.number < new.number)) {
			msgbuf_option(out, old.number, old.value);
			has_old = msg_next(&olds, &old);
			continue;
		}
		while (has_old && old.number == new.number)
			has_old = msg_next(&olds, &old);
		msgbuf_option(out, new.number, new.value);
		has_new = msg_next(&news, &new);
	}
}

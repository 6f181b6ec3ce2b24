/* edits: the few options that change while all others of a message are copied. */
#ifndef EDITS_H
#define EDITS_H
#include "coap/msgbuf.h"

#define EDITS_MAX 12

enum edit_kind { EDIT_DROP, EDIT_SET, EDIT_ADD };

struct edit {
	uint16_t number;
	enum edit_kind kind;
	struct bytes value; /* borrowed; of a number: in `own` */
	uint8_t own[4], own_len;
};

/* In ascending order of numbers; at most EDITS_MAX, more are a mistake of the caller. */
struct edits {
	struct edit list[EDITS_MAX];
	unsigned n;
	const char *lead; /* "a/b", cut at '/', goes before what the message has of lead_number; NULL: nothing */
	uint16_t lead_number;
};

/* None of that number is copied. */
void edits_drop(struct edits *e, uint16_t number);
/* This one instead of all that the message has. */
void edits_set(struct edits *e, uint16_t number, struct bytes value);
void edits_set_uint(struct edits *e, uint16_t number, uint32_t value);
/* This one after those that the message has. */
void edits_add(struct edits *e, uint16_t number, struct bytes value);
/* The segments of "a/b" before those that the message has, if it has any; there is one lead, and no other edit of its number. */
void edits_lead(struct edits *e, uint16_t number, const char *path);

/* The options of m, in order and edited. Not the payload. */
void edits_write(const struct edits *e, const struct msg *m, struct msgbuf *out);
/* The options of m, but of each number that `by` has too those of `by` stand instead. Not the payload. */
void edits_merge(const struct msg *m, const struct msg *by, struct msgbuf *out);
#endif

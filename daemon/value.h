/* value: one configured value: its text form, its stored form, and the bounds in between. */
#ifndef VALUE_H
#define VALUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind {
	/* Stored as an unsigned number of 1, 2, 4 or 8 bytes. */
	VALUE_COUNT,
	VALUE_SIZE,     /* bytes */
	VALUE_DURATION, /* nanoseconds */
	VALUE_PERCENT,
	VALUE_PER_DAY,
	VALUE_OCTAL,  /* a file mode */
	VALUE_CHOICE, /* the place in `choices`, so also bool and enums */
	/* Stored as struct rate. Bounds hold for the written count, or for bit/s. */
	VALUE_RATE,
	VALUE_BITRATE,
	/* Stored as text of at most `width` bytes, NUL included. */
	VALUE_WORD,
	VALUE_PATH,
	VALUE_HOST,
	VALUE_INTERFACE,
	VALUE_FILE,
	VALUE_NEAR_FILE, /* absolute, or beside the configuration */
	VALUE_SOME_FILE, /* the same, or empty */
	VALUE_GROUP,
	VALUE_IDENTITY, /* of a pre-shared key; may be empty */
	/* Stored as struct addr. */
	VALUE_BIND,
	VALUE_TARGET,
	VALUE_SOURCE, /* port 0; unspecified when empty */
	VALUE_DOOR,   /* of a page for Prometheus; port 0 when off */
	/* Stored as its length (one byte), then so many bytes of the width that is left. */
	VALUE_HEX,
	/* Stored as the place (one byte) of the section with that name, by schema.c. */
	VALUE_LINK,
	VALUE_SERVER,
	VALUE_SERVERS, /* 64 bits, one for each place, by schema.c, too */
};

struct value_rule {
	enum value_kind kind;
	size_t width; /* bytes stored */
	uint64_t min, max;
	const char *choices; /* "throttle|deny|allow" */
};

#define VALUE_TEXT    160
#define VALUE_EXPECTS 192

/* False: the text is not such a value; nothing was stored. */
bool value_parse(const struct value_rule *r, const char *text, void *out);
/* The text form, from which value_parse makes the same value. Returns out. */
const char *value_print(const struct value_rule *r, const void *value, char out[VALUE_TEXT]);
/* What value_parse takes, in words fit for "expected ...". Returns out. */
const char *value_expects(const struct value_rule *r, char out[VALUE_EXPECTS]);
/* The bounds, "1 to 64", the choices, or "" when there are none. Returns out. */
const char *value_range(const struct value_rule *r, char out[VALUE_TEXT]);
int value_hex_digit(char ch); /* 0 to 15, or -1 */
/* Section names and other words: A-Z a-z 0-9 _ . - but not empty, not "." and not "..". */
bool value_is_word(const char *text);
#endif

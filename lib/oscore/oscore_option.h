/*
 * oscore_option: the value of the OSCORE option (RFC 8613 §6.1).
 *
 *   | 0 0 0 h k n n n | Partial IV, n bytes | length, kid context (if h) | kid (if k) |
 */
#ifndef OSCORE_OPTION_H
#define OSCORE_OPTION_H
#include "base/bytes.h"

#define OSCORE_PIV     5
#define OSCORE_PIV_MAX ((1ULL << 40) - 1)

struct oscore_option {
	struct bytes piv, kid, kid_context; /* views on the value; ptr NULL: absent, which differs from empty */
	bool group;                         /* Group OSCORE: flag bit 0x20 */
};

enum oscore_option_error {
	OSCORE_OPTION_OK,
	OSCORE_OPTION_MALFORMED, /* truncated, n of 6 or 7, a lone 00, bytes that no flag announces */
	OSCORE_OPTION_EXTENDED /* bits 0x40 or 0x80: what follows has another layout, and must not be read (KUDOS and others) */
};

/* Nothing is present in *o unless the value is good. */
enum oscore_option_error oscore_option_parse(struct oscore_option *o, struct bytes value);
/* At most 5 bytes, leading zeros allowed (not canonical, but the same number). */
uint64_t oscore_option_number(struct bytes piv);

#define OSCORE_OPTION_LEN 255
/* Writes the value, empty when nothing is present (RFC 8613 §2). Returns its length; 0 with anything present: too long. */
size_t oscore_option_write(const struct oscore_option *o, uint8_t out[OSCORE_OPTION_LEN]);
/* The shortest form of a number: 1 to 5 bytes (0 is 00). Returns the length. */
uint8_t oscore_option_piv(uint64_t number, uint8_t out[OSCORE_PIV]);
#endif

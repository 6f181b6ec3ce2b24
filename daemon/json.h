/* json: writing values; reading is nowhere needed. */
#ifndef JSON_H
#define JSON_H
#include <stdio.h>

/* A string with its quotes (RFC 8259 §7). Bytes that are no UTF-8 become U+FFFD. */
void json_string(FILE *out, const char *text);
/* A decimal number as it stands, or null when the text is none (RFC 8259 §6). */
void json_number(FILE *out, const char *text);
#endif

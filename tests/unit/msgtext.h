/*
 * msgtext: a CoAP message as one line, so that tests are tables one can read:
 *
 *   CON 0.01 7d34 #20 Uri-Path:temperature Observe=00 !22.3 C
 *   type code mid  token options, in order, as text or hex  payload to the end of the line (!= for
 * hex)
 */
#ifndef MSGTEXT_H
#define MSGTEXT_H
#include "base/bytes.h"

#define MSGTEXT_MAX 4096

/* Fails the test on a line that is none. */
struct bytes msgtext_write(const char *text, uint8_t *buf, size_t cap);
/* Empty, version and garbage included: "? hex". */
const char *msgtext_format(struct bytes datagram, char out[MSGTEXT_MAX]);
size_t msgtext_unhex(const char *hex, size_t digits, uint8_t *out, size_t cap);
void msgtext_hex(struct bytes b, char *out);
/* Cuts the next word, or the payload as one word, off *text. Empty at the end. */
struct bytes msgtext_word(const char **text);
#endif

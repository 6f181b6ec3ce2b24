/*
 * secrets: where Master Secrets of contexts and pre-shared keys are read from: $CREDENTIALS_DIRECTORY/NAME (systemd.exec(5)) if it is there, else a
 * file that nobody else may read. Hexadecimal text, with "0x" in front or not; white space does not count.
 */
#ifndef SECRETS_H
#define SECRETS_H
#include <stddef.h>
#include <stdint.h>

#define SECRETS_MIN 16 /* bytes; a shorter one can be guessed */
#define SECRETS_MAX 64

/*
 * name: of the credential. file: absolute, or beside config_path. Returns the length, or 0, and `why` says what is wrong and how to mend
 * it, but nothing of what was read. The caller wipes out.
 */
size_t secrets_read(const char *name, const char *file, const char *config_path, uint8_t out[SECRETS_MAX], char *why,
		    size_t size);
/* The same of a file that holds more than one; text has room for most + 1 bytes. */
size_t secrets_text(const char *name, const char *file, const char *config_path, char *text, size_t most, char *why,
		    size_t size);
/* One in hexadecimal. Returns what is wrong, or NULL, and *bytes is its length. */
const char *secrets_parse(const char *text, size_t len, uint8_t out[SECRETS_MAX], size_t *bytes);
#endif

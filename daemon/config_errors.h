/* config_errors: all that is wrong with a configuration, in the order of its files and lines. */
#ifndef CONFIG_ERRORS_H
#define CONFIG_ERRORS_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_ERRORS     64
#define CONFIG_ERROR_TEXT 640

/* Where a line stands. file 0: nowhere, a default. */
struct config_origin {
	uint32_t line; /* 0: the file as a whole */
	uint8_t file;  /* 1-based place in config.files */
};

struct config_errors {
	unsigned count; /* at most CONFIG_ERRORS */
	unsigned more;  /* found, but not kept */
	struct {
		struct config_origin at;
		char text[CONFIG_ERROR_TEXT]; /* "FILE:LINE: ..." without newline */
	} list[CONFIG_ERRORS];
};

void config_errors_clear(struct config_errors *e);
/* file: the name of at.file. */
void config_errors_add(struct config_errors *e, const char *file, struct config_origin at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#endif

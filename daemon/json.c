#include "json.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the UTF-8 character at p (RFC 3629 §4), 0: it is none. */
static size_t character_length(const unsigned char *p)
{
	static const struct {
		uint8_t first, last, low, high, len; /* lead byte, second byte, whole length */
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t n = 0, len = 0;

	if (p[0] < 0x80)
		return 1;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (p[0] >= rows[i].first && p[0] <= rows[i].last && p[1] >= rows[i].low && p[1] <= rows[i].high)
			len = rows[i].len;
	}
	for (n = 2; n < len; n++) {
		if ((p[n] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

void json_string(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	putc('"', out);
	while (*p) {
		size_t len = character_length(p);

		if (len == 0)
			fputs("\\ufffd", out);
		else if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < ' ' || *p == 0x7f)
			fprintf(out, "\\u%04x", *p);
		else
			fwrite(p, 1, len, out);
		p += len ? len : 1;
	}
	putc('"', out);
}

void json_number(FILE *out, const char *text)
{
	size_t whole = strspn(text, "0123456789"), fraction = 0;
	bool ok = whole > 0 && (whole == 1 || text[0] != '0');

	if (text[whole] == '.') {
		fraction = strspn(text + whole + 1, "0123456789");
		ok = ok && fraction > 0;
		fraction++;
	}
	ok = ok && text[whole + fraction] == '\0';
	fputs(ok ? text : "null", out);
}

#include "vectors.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

char *vectors_load(const char *file)
{
	const char *dir = getenv("VECTORS");
	char path[512], *text;
	FILE *f;
	long size;

	snprintf(path, sizeof path, "%s/%s", dir ? dir : "tests/vectors", file);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	assert_true(size > 0);
	rewind(f);
	text = malloc((size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)size, f), size);
	text[size] = '\0';
	fclose(f);
	return text;
}

static const char *blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *behind_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

/* Behind one value of any kind. */
static const char *behind(const char *p)
{
	unsigned depth = 0;

	do {
		if (*p == '"') {
			p = behind_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth || (*p != ',' && *p != '}' && *p != ']' && *p != '\0'));
	return p;
}

const char *vectors_first(const char *array)
{
	assert_true(array && *array == '[');
	array = blank(array + 1);
	return *array == ']' ? NULL : array;
}

const char *vectors_next(const char *element)
{
	element = blank(behind(element));
	return *element == ',' ? blank(element + 1) : NULL;
}

const char *vectors_member(const char *object, const char *name)
{
	const char *p = blank(object);
	size_t len = strlen(name);

	assert_true(*p == '{');
	for (p = blank(p + 1); *p == '"';) {
		const char *key = p + 1, *value = blank(behind_string(p));

		assert_true(*value == ':');
		value = blank(value + 1);
		if (strncmp(key, name, len) == 0 && key[len] == '"')
			return value;
		p = blank(behind(value));
		p = *p == ',' ? blank(p + 1) : p;
	}
	return NULL;
}

const char *vectors_text(const char *object, const char *name, char *out, size_t cap)
{
	const char *p = vectors_member(object, name);
	size_t n = 0;

	if (!p || *p != '"')
		return NULL;
	for (p++; *p != '"'; p++) {
		p += *p == '\\';
		assert_true(n + 1 < cap);
		out[n++] = *p;
	}
	out[n] = '\0';
	return out;
}

struct bytes vectors_bytes(const char *object, const char *name, uint8_t *out, size_t cap)
{
	char text[MSGTEXT_MAX];

	if (!vectors_text(object, name, text, sizeof text))
		return bytes_of(NULL, 0);
	return bytes_of(out, msgtext_unhex(text, strlen(text), out, cap));
}

long vectors_number(const char *object, const char *name)
{
	const char *p = vectors_member(object, name);

	assert_non_null(p);
	return strtol(p, NULL, 10);
}

bool vectors_true(const char *object, const char *name)
{
	const char *p = vectors_member(object, name);

	return p && strncmp(p, "true", 4) == 0;
}

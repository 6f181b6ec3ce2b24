#include "value.h"
#include "base/addr.h"
#include "base/bucket.h"
#include "units.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COAP_PORT  5683 /* RFC 7252 §6.1 */
#define COAPS_PORT 5684 /* RFC 7252 §6.2 */
#define DOOR_PORT  9568

/* By carrier; RFC 7252 §6, RFC 8323 §8. */
static const struct {
	const char *prefix;
	uint16_t port;
} schemes[] = {
	[ADDR_UDP] = { "coap://", COAP_PORT },
	[ADDR_DTLS] = { "coaps://", COAPS_PORT },
	[ADDR_TCP] = { "coap+tcp://", COAP_PORT },
	[ADDR_TLS] = { "coaps+tcp://", COAPS_PORT },
};

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* Only letters, digits and `also`. */
static bool is_made_of(const char *text, const char *also)
{
	for (text += strspn(text, letters); *text; text += strspn(text, letters)) {
		if (!strchr(also, *text++))
			return false;
	}
	return true;
}

bool value_is_word(const char *text)
{
	return *text && is_made_of(text, "_.-") && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* Segments, not percent-encoded. "." and ".." may not be Uri-Path (RFC 7252 §5.10.1). */
static bool is_path(const char *text)
{
	if (!is_made_of(text, "-._~!$&'()*+,=:@/"))
		return false;
	while (*text) {
		size_t len = strcspn(text, "/");

		if (len == 0 || (len == 1 && text[0] == '.') || (len == 2 && strncmp(text, "..", 2) == 0))
			return false;
		text += len;
		if (*text == '/' && *++text == '\0')
			return false;
	}
	return true;
}

static bool is_file(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && text[len - 1] != '/' && is_made_of(text, "-._~+,:@/");
}

static bool is_text(enum value_kind kind, const char *text)
{
	switch (kind) {
	case VALUE_WORD: return value_is_word(text);
	case VALUE_PATH: return is_path(text);
	case VALUE_HOST: return is_made_of(text, "-._");
	case VALUE_INTERFACE: return is_made_of(text, "-._:@");
	case VALUE_FILE: return !*text || (*text == '/' && text[1] && is_made_of(text, "-._~+,:@/"));
	case VALUE_NEAR_FILE: return is_file(text);
	case VALUE_SOME_FILE: return !*text || is_file(text);
	case VALUE_GROUP: return is_made_of(text, "-_.");
	case VALUE_IDENTITY: return is_made_of(text, "-._~:@+/");
	default: return false;
	}
}

static bool parse_text(const struct value_rule *r, const char *text, char *out)
{
	if (strlen(text) >= r->width || !is_text(r->kind, text))
		return false;
	memset(out, 0, r->width);
	memcpy(out, text, strlen(text));
	/* Uri-Host compares without regard to case (RFC 3986 §6.2.2.1). */
	for (; r->kind == VALUE_HOST && *out; out++)
		*out = (char)tolower((unsigned char)*out);
	return true;
}

static const struct unit *units_for(enum value_kind kind)
{
	switch (kind) {
	case VALUE_SIZE: return units_size;
	case VALUE_DURATION: return units_duration;
	case VALUE_PERCENT: return units_percent;
	case VALUE_PER_DAY: return units_per_day;
	case VALUE_RATE: return units_per_time;
	case VALUE_BITRATE: return units_bits;
	default: return units_plain;
	}
}

static void store_number(uint64_t n, size_t width, void *out)
{
	uint8_t n8 = (uint8_t)n;
	uint16_t n16 = (uint16_t)n;
	uint32_t n32 = (uint32_t)n;

	switch (width) {
	case 1: memcpy(out, &n8, 1); break;
	case 2: memcpy(out, &n16, 2); break;
	case 4: memcpy(out, &n32, 4); break;
	default: memcpy(out, &n, 8);
	}
}

static uint64_t load_number(const void *in, size_t width)
{
	uint64_t n = 0;
	uint32_t n32;
	uint16_t n16;

	switch (width) {
	case 1: return *(const uint8_t *)in;
	case 2: memcpy(&n16, in, 2); return n16;
	case 4: memcpy(&n32, in, 4); return n32;
	default: memcpy(&n, in, 8); return n;
	}
}

static bool parse_number(const struct value_rule *r, const char *text, void *out)
{
	const struct unit *unit;
	uint64_t n;

	if (!units_parse(units_for(r->kind), text, &n, &unit))
		return false;
	n *= unit->factor;
	if (n < r->min || n > r->max)
		return false;
	store_number(n, r->width, out);
	return true;
}

static bool parse_octal(const struct value_rule *r, const char *text, void *out)
{
	size_t len = strlen(text);
	uint64_t n = 0;

	if (text[0] != '0' || len < 2 || len > 5 || strspn(text, "01234567") != len)
		return false;
	for (; *text; text++)
		n = n * 8 + (uint64_t)(*text - '0');
	if (n < r->min || n > r->max)
		return false;
	store_number(n, r->width, out);
	return true;
}

/* The choice at *p as (start, length); moves *p to the next one. Length 0: there are no more. */
static const char *next_choice(const char **p, size_t *len)
{
	const char *word = *p;

	*len = strcspn(word, "|");
	*p = word + *len + (word[*len] == '|');
	return word;
}

static bool parse_choice(const struct value_rule *r, const char *text, void *out)
{
	const char *p = r->choices, *word;
	size_t len;

	for (uint64_t n = 0; word = next_choice(&p, &len), len > 0; n++) {
		if (strlen(text) != len || memcmp(text, word, len) != 0)
			continue;
		store_number(n, r->width, out);
		return true;
	}
	return false;
}

static const char *print_choice(const struct value_rule *r, uint64_t n, char out[VALUE_TEXT])
{
	const char *p = r->choices, *word;
	size_t len;

	do
		word = next_choice(&p, &len);
	while (n-- > 0);
	snprintf(out, VALUE_TEXT, "%.*s", (int)len, word);
	return out;
}

static bool parse_rate(const struct value_rule *r, const char *text, struct rate *out)
{
	const struct unit *unit;
	uint64_t n;

	if (!units_parse(units_for(r->kind), text, &n, &unit))
		return false;
	if (r->kind == VALUE_BITRATE)
		n *= unit->factor;
	if (n < r->min || n > r->max)
		return false;
	if (r->kind == VALUE_RATE)
		*out = (struct rate){ n, unit->factor };
	else if (n % 8 == 0)
		*out = (struct rate){ n / 8, TSTAMP_S };
	else
		*out = (struct rate){ n, 8 * TSTAMP_S }; /* so many bytes in eight seconds: exact */
	return true;
}

static const char *print_rate(const struct value_rule *r, const struct rate *rate, char out[VALUE_TEXT])
{
	const struct unit *unit = units_of(units_per_time, rate->period);

	if (r->kind == VALUE_BITRATE)
		units_print(units_bits, rate->period == TSTAMP_S ? rate->count * 8 : rate->count, out);
	else
		snprintf(out, VALUE_TEXT, "%" PRIu64 "%s", rate->count, unit ? unit->word : "/?");
	return out;
}

/* An address somebody can be at: link-local ones are ambiguous without a zone (RFC 4007 §6). */
static bool is_definite(const struct addr *a)
{
	if (a->port == 0 || addr_is_multicast(a))
		return false;
	return addr_is_v4(a) || !addr_is_link_local(a) || a->scope != 0;
}

static void store_addr(const struct addr *a, uint8_t carrier, struct addr *out)
{
	memcpy(out->ip, a->ip, sizeof out->ip);
	out->scope = a->scope;
	out->port = a->port;
	out->carrier = carrier;
}

/* What carries messages is said by a scheme or by a key of its own, never by the address. */
static bool parse_place(const char *text, uint16_t port, struct addr *a)
{
	memset(a, 0, sizeof *a);
	return addr_parse(a, text, port) && a->carrier == ADDR_UDP && is_definite(a);
}

static bool parse_bind(const char *text, struct addr *out)
{
	struct addr a;

	if (!parse_place(text, COAP_PORT, &a))
		return false;
	store_addr(&a, ADDR_UDP, out);
	return true;
}

static bool parse_target(const char *text, struct addr *out)
{
	uint8_t carrier = ADDR_UDP;
	struct addr a;

	while (carrier <= ADDR_TLS && strncasecmp(text, schemes[carrier].prefix, strlen(schemes[carrier].prefix)) != 0)
		carrier++;
	if (carrier > ADDR_TLS)
		return false;
	text += strlen(schemes[carrier].prefix);
	/* In a URI an IPv6 literal stands in brackets (RFC 3986 §3.2.2). */
	if (*text != '[' && strchr(text, ':') != strrchr(text, ':'))
		return false;
	if (!parse_place(text, schemes[carrier].port, &a) || addr_is_unspecified(&a))
		return false;
	store_addr(&a, carrier, out);
	return true;
}

static const char *print_addr(const struct value_rule *r, const struct addr *a, char out[VALUE_TEXT])
{
	struct addr place = *a;
	char text[ADDR_TEXT];

	place.carrier = ADDR_UDP;
	snprintf(out, VALUE_TEXT, "%s%s", r->kind == VALUE_TARGET ? schemes[a->carrier].prefix : "",
		 addr_format(&place, text));
	return out;
}

/* A host. A port would be a mistake: that of a client may be any. */
static bool parse_source(const char *text, struct addr *out)
{
	struct addr a, b;

	memset(out, 0, sizeof *out);
	if (!*text)
		return true;
	/* What differs with the default is a port that was not written. */
	if (!addr_parse(&a, text, 1) || !addr_parse(&b, text, 2) || a.port == b.port)
		return false;
	if (a.carrier != ADDR_UDP || !is_definite(&a) || addr_is_unspecified(&a))
		return false;
	memcpy(out->ip, a.ip, sizeof out->ip);
	out->scope = a.scope;
	return true;
}

static const char *print_source(const struct addr *a, char out[VALUE_TEXT])
{
	char text[ADDR_TEXT];

	snprintf(out, VALUE_TEXT, "%s", addr_is_unspecified(a) ? "" : addr_format_host(a, text));
	return out;
}

static bool parse_door(const char *text, struct addr *out)
{
	struct addr a = { .port = 0 };

	if (strcmp(text, "off") != 0 && !parse_place(text, DOOR_PORT, &a))
		return false;
	memset(out, 0, sizeof *out);
	memcpy(out->ip, a.ip, sizeof out->ip);
	out->scope = a.scope;
	out->port = a.port;
	return true;
}

static const char *print_door(const struct addr *a, char out[VALUE_TEXT])
{
	char text[ADDR_TEXT];

	snprintf(out, VALUE_TEXT, "%s", a->port ? addr_format(a, text) : "off");
	return out;
}

int value_hex_digit(char ch)
{
	const char digits[] = "0123456789abcdef", *at = ch ? strchr(digits, tolower((unsigned char)ch)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* "0x" and an even number of digits; or nothing, for no bytes. Without "0x" 10 could be meant for ten. */
static bool parse_hex(const struct value_rule *r, const char *text, uint8_t *out)
{
	const char *digits = text + (*text ? 2 : 0);
	size_t len = strlen(digits);
	uint8_t bytes[UINT8_MAX + 1] = { 0 };

	if ((*text && strncmp(text, "0x", 2) != 0) || len % 2 != 0 || len / 2 >= r->width)
		return false;
	bytes[0] = (uint8_t)(len / 2);
	for (size_t i = 0; i < len; i++) {
		int digit = value_hex_digit(digits[i]);

		if (digit < 0)
			return false;
		bytes[1 + i / 2] = (uint8_t)(bytes[1 + i / 2] << 4 | digit);
	}
	memcpy(out, bytes, r->width);
	return true;
}

static const char *print_hex(const uint8_t *value, char out[VALUE_TEXT])
{
	int len = snprintf(out, VALUE_TEXT, "%s", value[0] ? "0x" : "");

	for (unsigned i = 0; i < value[0]; i++)
		len += snprintf(out + len, VALUE_TEXT - (size_t)len, "%02x", value[1 + i]);
	return out;
}

bool value_parse(const struct value_rule *r, const char *text, void *out)
{
	switch (r->kind) {
	case VALUE_OCTAL: return parse_octal(r, text, out);
	case VALUE_CHOICE: return parse_choice(r, text, out);
	case VALUE_RATE:
	case VALUE_BITRATE: return parse_rate(r, text, out);
	case VALUE_BIND: return parse_bind(text, out);
	case VALUE_TARGET: return parse_target(text, out);
	case VALUE_SOURCE: return parse_source(text, out);
	case VALUE_DOOR: return parse_door(text, out);
	case VALUE_HEX: return parse_hex(r, text, out);
	case VALUE_WORD:
	case VALUE_PATH:
	case VALUE_HOST:
	case VALUE_INTERFACE:
	case VALUE_FILE:
	case VALUE_NEAR_FILE:
	case VALUE_SOME_FILE:
	case VALUE_IDENTITY:
	case VALUE_GROUP: return parse_text(r, text, out);
	case VALUE_LINK:
	case VALUE_SERVER:
	case VALUE_SERVERS: return false;
	default: return parse_number(r, text, out);
	}
}

const char *value_print(const struct value_rule *r, const void *value, char out[VALUE_TEXT])
{
	switch (r->kind) {
	case VALUE_OCTAL: snprintf(out, VALUE_TEXT, "%04" PRIo64, load_number(value, r->width)); return out;
	case VALUE_CHOICE: return print_choice(r, load_number(value, r->width), out);
	case VALUE_RATE:
	case VALUE_BITRATE: return print_rate(r, value, out);
	case VALUE_BIND:
	case VALUE_TARGET: return print_addr(r, value, out);
	case VALUE_SOURCE: return print_source(value, out);
	case VALUE_DOOR: return print_door(value, out);
	case VALUE_HEX: return print_hex(value, out);
	case VALUE_WORD:
	case VALUE_PATH:
	case VALUE_HOST:
	case VALUE_INTERFACE:
	case VALUE_FILE:
	case VALUE_NEAR_FILE:
	case VALUE_SOME_FILE:
	case VALUE_IDENTITY:
	case VALUE_GROUP: snprintf(out, VALUE_TEXT, "%s", (const char *)value); return out;
	case VALUE_LINK:
	case VALUE_SERVER:
	case VALUE_SERVERS: out[0] = '\0'; return out;
	default: return units_print(units_for(r->kind), load_number(value, r->width), out);
	}
}

const char *value_range(const struct value_rule *r, char out[VALUE_TEXT])
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	const struct unit *units = r->kind == VALUE_RATE ? units_plain : units_for(r->kind);

	out[0] = '\0';
	if (r->kind == VALUE_CHOICE)
		snprintf(out, VALUE_TEXT, "%s", r->choices);
	else if (r->kind == VALUE_OCTAL)
		snprintf(out, VALUE_TEXT, "%04" PRIo64 " to %04" PRIo64, r->min, r->max);
	else if (r->kind <= VALUE_BITRATE)
		snprintf(out, VALUE_TEXT, "%s to %s", units_print(units, r->min, low),
			 units_print(units, r->max, high));
	return out;
}

const char *value_expects(const struct value_rule *r, char out[VALUE_EXPECTS])
{
	static const char *const words[] = {
		[VALUE_COUNT] = "a whole number, ",
		[VALUE_SIZE] = "a size like \"512B\", \"4KiB\" or \"1MiB\", ",
		[VALUE_DURATION] = "a duration like \"500ms\", \"2s\" or \"10min\", ",
		[VALUE_PERCENT] = "a share like \"15%\", ",
		[VALUE_PER_DAY] = "a budget like \"600/day\", ",
		[VALUE_OCTAL] = "an octal file mode like \"0660\", ",
		[VALUE_CHOICE] = "one of ",
		[VALUE_RATE] = "a rate like \"10/min\" or \"2/s\", its number ",
		[VALUE_BITRATE] = "a bit rate like \"10kbit/s\", ",
		[VALUE_WORD] = "a word of A-Z a-z 0-9 _ . -",
		[VALUE_PATH] = "a path like \"lamp\" or \"floor/lamp\" without outer slashes",
		[VALUE_HOST] = "a host name",
		[VALUE_INTERFACE] = "the name of an interface",
		[VALUE_FILE] = "an absolute path",
		[VALUE_NEAR_FILE] = "a path, absolute or beside the configuration",
		[VALUE_SOME_FILE] = "a path, absolute or beside the configuration, or nothing",
		[VALUE_GROUP] = "the name of a group",
		[VALUE_IDENTITY] = "an identity of A-Z a-z 0-9 - . _ ~ : @ + /",
		[VALUE_BIND] = "an address like \"[::]:5683\" or \"192.0.2.1:5683\" "
			       "(not multicast; link-local with a zone: \"[fe80::1%3]\")",
		[VALUE_TARGET] = "an address like \"coap://[fd00:db8::17]\" or \"coap://192.0.2.1:5683\", or with "
				 "coaps, coap+tcp "
				 "or coaps+tcp (no names, not multicast; link-local with a zone: \"[fe80::1%3]\")",
		[VALUE_SOURCE] = "an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing",
		[VALUE_DOOR] = "\"off\", or an address like \"[::1]:9568\" (not multicast)",
		[VALUE_HEX] = "hexadecimal digits like \"0x01\", or nothing",
		[VALUE_LINK] = "the name of a [link NAME] section",
		[VALUE_SERVER] = "the name of a [server NAME] section",
		[VALUE_SERVERS] = "names of [server NAME] sections",
	};
	char range[VALUE_TEXT];

	if (r->kind > VALUE_BITRATE && r->kind < VALUE_BIND)
		snprintf(out, VALUE_EXPECTS, "%s, at most %zu characters", words[r->kind], r->width - 1);
	else if (r->kind == VALUE_HEX)
		snprintf(out, VALUE_EXPECTS, "%s, at most %zu bytes", words[r->kind], r->width - 1);
	else
		snprintf(out, VALUE_EXPECTS, "%s%s", words[r->kind], value_range(r, range));
	return out;
}

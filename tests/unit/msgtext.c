#include "msgtext.h"
#include "coap/msgbuf.h"
#include "coap/option.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const types[] = { "CON", "NON", "ACK", "RST" };

size_t msgtext_unhex(const char *hex, size_t digits, uint8_t *out, size_t cap)
{
	size_t n = digits / 2;

	assert_true(digits % 2 == 0 && n <= cap);
	for (size_t i = 0; i < n; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		assert_true(isxdigit((unsigned char)pair[0]) && isxdigit((unsigned char)pair[1]));
		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

void msgtext_hex(struct bytes b, char *out)
{
	*out = '\0';
	for (size_t i = 0; i < b.len; i++)
		out += sprintf(out, "%02x", b.ptr[i]);
}

struct bytes msgtext_word(const char **text)
{
	const char *start;

	while (**text == ' ')
		++*text;
	start = *text;
	if (*start == '!')
		*text += strlen(*text);
	else
		while (**text && **text != ' ')
			++*text;
	return bytes_of(start, (size_t)(*text - start));
}

static uint8_t read_type(struct bytes word)
{
	for (uint8_t i = 0; i < 4; i++)
		if (bytes_are(word, types[i]))
			return i;
	fail_msg("no message type: %.*s", (int)word.len, (const char *)word.ptr);
	return 0;
}

static uint16_t option_number(const char *name, size_t len)
{
	const struct option_info *info;

	if (isdigit((unsigned char)*name))
		return (uint16_t)strtoul(name, NULL, 10);
	for (uint16_t n = 0; n < 600; n++) {
		info = option_find(n);
		if (info && strlen(info->name) == len && memcmp(info->name, name, len) == 0)
			return n;
	}
	fail_msg("no option: %.*s", (int)len, name);
	return 0;
}

static void write_option(struct msgbuf *b, struct bytes word)
{
	const char *text = (const char *)word.ptr;
	size_t name = 0;
	uint8_t value[1100];

	while (name < word.len && text[name] != ':' && text[name] != '=')
		name++;
	assert_true(name < word.len);
	if (text[name] == ':')
		msgbuf_option(b, option_number(text, name), bytes_of(text + name + 1, word.len - name - 1));
	else
		msgbuf_option(
			b, option_number(text, name),
			bytes_of(value, msgtext_unhex(text + name + 1, word.len - name - 1, value, sizeof value)));
}

struct bytes msgtext_write(const char *text, uint8_t *buf, size_t cap)
{
	const char *line = text;
	uint8_t type = read_type(msgtext_word(&text)), code, token[1300], payload[1300];
	struct bytes word = msgtext_word(&text), end;
	struct msgbuf b;
	uint16_t mid;

	assert_true(word.len == 4);
	code = MSG_CODE(word.ptr[0] - '0', atoi((const char *)word.ptr + 2));
	mid = (uint16_t)strtoul((const char *)msgtext_word(&text).ptr, NULL, 16);
	word = msgtext_word(&text);
	assert_true(word.len && word.ptr[0] == '#');
	word = bytes_of(token, msgtext_unhex((const char *)word.ptr + 1, word.len - 1, token, sizeof token));
	msgbuf_begin(&b, buf, cap, type, code, mid, word);
	while ((word = msgtext_word(&text)).len) {
		if (word.ptr[0] != '!')
			write_option(&b, word);
		else if (word.len > 1 && word.ptr[1] == '=')
			msgbuf_payload(&b, bytes_of(payload, msgtext_unhex((const char *)word.ptr + 2, word.len - 2,
									   payload, sizeof payload)));
		else
			msgbuf_payload(&b, bytes_of(word.ptr + 1, word.len - 1));
	}
	end = msgbuf_end(&b);
	if (end.len == 0)
		fail_msg("cannot be written: %s", line);
	return end;
}

static bool is_text(struct bytes b, bool blanks)
{
	for (size_t i = 0; i < b.len; i++)
		if (!isgraph(b.ptr[i]) && !(blanks && b.ptr[i] == ' '))
			return false;
	return b.len == 0 || b.ptr[0] != '=';
}

static char *format_option(const struct msg_option *opt, char *at)
{
	const struct option_info *info = option_find(opt->number);

	at += info ? sprintf(at, " %s", info->name) : sprintf(at, " %u", opt->number);
	if (info && info->format == OPTION_STRING && is_text(opt->value, false))
		return at + sprintf(at, ":%.*s", (int)opt->value.len, (const char *)opt->value.ptr);
	*at++ = '=';
	msgtext_hex(opt->value, at);
	return at + strlen(at);
}

const char *msgtext_format(struct bytes datagram, char out[MSGTEXT_MAX])
{
	struct msg_option opt;
	struct msg_iter it;
	struct msg m;
	char *at = out;

	if (msg_parse(&m, datagram) != MSG_OK) {
		strcpy(out, "? ");
		msgtext_hex(datagram, out + 2);
		return out;
	}
	at += sprintf(at, "%s %u.%02u %04x #", types[m.type], m.code >> 5, m.code & 31, m.mid);
	msgtext_hex(m.token, at);
	at += strlen(at);
	for (it = msg_options(&m); msg_next(&it, &opt);)
		at = format_option(&opt, at);
	if (m.payload.len && is_text(m.payload, true)) {
		sprintf(at, " !%.*s", (int)m.payload.len, (const char *)m.payload.ptr);
	} else if (m.payload.len) {
		strcpy(at, " !=");
		msgtext_hex(m.payload, at + 3);
	}
	return out;
}

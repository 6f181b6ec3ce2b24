#include "redact.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

static bool is_v4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(ip, mapped, sizeof mapped) == 0;
}

/* Says nothing about anybody. */
static bool is_common(const uint8_t ip[16])
{
	static const uint8_t loopback[16] = { [15] = 1 }, any[16] = { 0 };
	static const uint8_t any_v4[4] = { 0 };

	if (is_v4(ip))
		return ip[12] == 127 || memcmp(ip + 12, any_v4, 4) == 0;
	return memcmp(ip, loopback, 16) == 0 || memcmp(ip, any, 16) == 0;
}

static bool parse(const char *text, uint8_t ip[16])
{
	if (inet_pton(AF_INET6, text, ip) == 1)
		return true;
	memset(ip, 0, 16);
	ip[10] = ip[11] = 0xff;
	return inet_pton(AF_INET, text, ip + 12) == 1;
}

static bool same_net(const uint8_t a[16], const uint8_t b[16])
{
	return memcmp(a, b, is_v4(a) ? 15 : 8) == 0;
}

/* NULL: there are too many. */
static const struct redact_host *host(struct redact *r, const uint8_t ip[16])
{
	struct redact_host *h = &r->host[r->hosts];
	unsigned net = 0, number = 1;

	for (unsigned i = 0; i < r->hosts; i++) {
		if (memcmp(r->host[i].ip, ip, 16) == 0)
			return &r->host[i];
		if (same_net(r->host[i].ip, ip)) {
			net = r->host[i].net;
			number++;
		}
	}
	if (r->hosts == REDACT_HOSTS)
		return NULL;
	memcpy(h->ip, ip, 16);
	h->net = net ? net : ++r->nets;
	h->number = number;
	r->hosts++;
	return h;
}

static void put_host(struct redact *r, const uint8_t ip[16], FILE *out)
{
	const struct redact_host *h = host(r, ip);
	int version = is_v4(ip) ? 4 : 6;

	if (h)
		fprintf(out, "<ip%d-net%u-host%u>", version, h->net, h->number);
	else
		fprintf(out, "<ip%d>", version);
}

#define LETTERS "0123456789abcdefABCDEF:."

/*
 * The length of the address that text begins with, 0: it does not. A run that is none as a whole may be one before a port, or before a colon
 * or a full stop of the sentence.
 */
static size_t address_at(const char *text, uint8_t ip[16])
{
	char word[64];
	size_t len = strspn(text, LETTERS);

	if (len < 2 || len >= sizeof word)
		return 0;
	memcpy(word, text, len);
	for (; len >= 2; len--) {
		word[len] = '\0';
		if ((strchr(word, ':') || strchr(word, '.')) && parse(word, ip))
			return len;
		while (len > 2 && !strchr(":.", word[len - 1]))
			len--;
	}
	return 0;
}

void redact_text(struct redact *r, const char *text, FILE *out)
{
	uint8_t ip[16];

	while (*text) {
		size_t len = address_at(text, ip);

		if (len > 0 && !is_common(ip)) {
			put_host(r, ip, out);
			text += len;
			continue;
		}
		if (len == 0) /* the run as a whole: no address begins in the middle of a word */
			len = strspn(text, LETTERS "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ");
		len += len == 0;
		fwrite(text, 1, len, out);
		text += len;
	}
}

void redact_word(struct redact *r, const char *kind, const char *word, FILE *out)
{
	char name[REDACT_NAME];
	unsigned i = 0, number = 1;

	snprintf(name, sizeof name, "%s %s", kind, word);
	while (i < r->names && strcmp(r->name[i], name) != 0) {
		number += strncmp(r->name[i], kind, strlen(kind)) == 0 && r->name[i][strlen(kind)] == ' ';
		i++;
	}
	if (i == REDACT_NAMES) {
		fprintf(out, "<%s>", kind);
		return;
	}
	if (i == r->names)
		memcpy(r->name[r->names++], name, sizeof name);
	fprintf(out, "<%s-%u>", kind, number);
}

static bool is_hidden(const char *key, size_t len)
{
	static const char *const keys[] = { "sender-id", "recipient-id", "id-context", "master-salt", "uri-host" };

	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (strlen(keys[i]) == len && memcmp(keys[i], key, len) == 0)
			return true;
	}
	return false;
}

static void redact_line(struct redact *r, const char *line, FILE *out)
{
	size_t key = strcspn(line, " ="), value = strcspn(line, "=");

	if (!line[value] || !is_hidden(line, key)) {
		redact_text(r, line, out);
		return;
	}
	value += 1 + strspn(line + value + 1, " ");
	if (line[value] == ';' || !line[value]) { /* there is nothing to hide */
		fputs(line, out);
		return;
	}
	r->hidden++;
	fprintf(out, "%.*s<hidden>%s", (int)value, line, line + value + strcspn(line + value, " "));
}

void redact_config(struct redact *r, const char *text, FILE *out)
{
	char line[512];

	while (*text) {
		size_t len = strcspn(text, "\n");

		snprintf(line, sizeof line, "%.*s", (int)len, text);
		redact_line(r, line, out);
		fputc('\n', out);
		text += len + (text[len] == '\n');
	}
}

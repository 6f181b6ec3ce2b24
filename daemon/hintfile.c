#include "hintfile.h"
#include "crc32.h"
#include "value.h"
#include <inttypes.h>
#include <stdlib.h>

#define MAGIC     "coap-guard-hints "
#define HEAD      MAGIC "1\n"
#define LINE      256
#define KID_TEXT  (2 * RELATION_KID + 1)
#define IDLE_MAX  (UINT64_C(10) * 366 * 86400) /* s */
#define NUMBER(n) ((uint8_t)(n))

/* --- one line each, as it is written */

static void format_kid(const struct guard_hint *h, char out[KID_TEXT])
{
	unsigned len = h->kid_len < RELATION_KID ? h->kid_len : RELATION_KID;

	snprintf(out, KID_TEXT, "-");
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", h->kid[i]);
}

static void format_client(const struct guard_hint *h, char out[LINE])
{
	char kid[KID_TEXT], address[ADDR_TEXT];

	format_kid(h, kid);
	snprintf(out, LINE, "client %u %016" PRIx64 " %016" PRIx64 " %" PRIu64 " %" PRIx64 " %" PRIu64 " %u %s %s\n",
		 h->server, h->relation, h->endpoint, h->highest, h->seen, (uint64_t)(h->idle / TSTAMP_S), h->kid_len,
		 kid, addr_format(&h->address, address));
}

static void format_server(unsigned number, const char *name, char out[LINE])
{
	snprintf(out, LINE, "server %u %s\n", number, name);
}

static void format_key(const struct siphash_key *k, char out[LINE])
{
	snprintf(out, LINE, "key %016" PRIx64 "%016" PRIx64 "\n", k->k0, k->k1);
}

static void format_saved(uint64_t saved, char out[LINE])
{
	snprintf(out, LINE, "saved %" PRIu64 "\n", saved);
}

/* --- writing */

static void put(struct hintfile *h, const char *line)
{
	h->crc = crc32_of(h->crc, line, strlen(line));
	fputs(line, h->file);
}

void hintfile_begin(struct hintfile *h, FILE *file, const struct hintfile_head *head)
{
	char line[LINE];

	*h = (struct hintfile){ .file = file };
	put(h, HEAD);
	format_saved(head->saved, line);
	put(h, line);
	format_key(&head->key, line);
	put(h, line);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (!*head->servers[i])
			continue;
		format_server(i, head->servers[i], line);
		put(h, line);
	}
}

void hintfile_put(struct hintfile *h, const struct guard_hint *hint)
{
	char line[LINE];

	if (h->clients == HINTFILE_CLIENTS)
		return;
	h->clients++;
	format_client(hint, line);
	put(h, line);
}

void hintfile_end(struct hintfile *h)
{
	fprintf(h->file, "end %08" PRIx32 "\n", h->crc);
}

/* --- reading: what is scanned leniently has to be the same when it is written again */

static bool scan_kid(const char *text, struct guard_hint *h)
{
	char again[KID_TEXT];

	for (unsigned i = 0; i < RELATION_KID && text[2 * i] && text[2 * i + 1]; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

		h->kid[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	format_kid(h, again);
	return strcmp(again, text) == 0;
}

static bool scan_client(const char *line, const struct hintfile_head *head, struct guard_hint *h)
{
	char kid[KID_TEXT], address[ADDR_TEXT], again[LINE];
	unsigned server, kid_len;
	uint64_t idle;

	*h = (struct guard_hint){ .relation = 0 };
	_Static_assert(KID_TEXT == 13 && ADDR_TEXT == 72, "widths below");
	if (sscanf(line,
		   "client %2u %16" SCNx64 " %16" SCNx64 " %13" SCNu64 " %16" SCNx64 " %9" SCNu64 " %3u %12s %71s",
		   &server, &h->relation, &h->endpoint, &h->highest, &h->seen, &idle, &kid_len, kid, address) != 9)
		return false;
	if (server >= POLICY_SERVERS || !*head->servers[server] || kid_len > UINT8_MAX || idle > IDLE_MAX ||
	    h->highest > OSCORE_PIV_MAX || !(h->seen & 1) || !h->relation || !h->endpoint)
		return false;
	h->server = NUMBER(server);
	h->kid_len = NUMBER(kid_len);
	h->idle = idle * TSTAMP_S;
	if (!addr_parse(&h->address, address, 0) || !scan_kid(kid, h))
		return false;
	format_client(h, again);
	return strcmp(again, line) == 0;
}

static bool scan_server(const char *line, struct hintfile_head *head)
{
	char name[PROXY_NAME] = "", again[LINE];
	unsigned number;

	_Static_assert(PROXY_NAME == 32, "width below");
	if (sscanf(line, "server %2u %31s", &number, name) != 2 || number >= POLICY_SERVERS || !value_is_word(name))
		return false;
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (strcmp(head->servers[i], name) == 0 || (i >= number && *head->servers[i]))
			return false; /* twice, or out of order */
	}
	memcpy(head->servers[number], name, sizeof name);
	format_server(number, name, again);
	return strcmp(again, line) == 0;
}

static bool scan_saved(const char *line, struct hintfile_head *head)
{
	char again[LINE];

	if (sscanf(line, "saved %12" SCNu64, &head->saved) != 1)
		return false;
	format_saved(head->saved, again);
	return strcmp(again, line) == 0;
}

static bool scan_key(const char *line, struct hintfile_head *head)
{
	char again[LINE];

	if (sscanf(line, "key %16" SCNx64 "%16" SCNx64, &head->key.k0, &head->key.k1) != 2)
		return false;
	format_key(&head->key, again);
	return strcmp(again, line) == 0;
}

struct reader {
	FILE *file;
	char line[LINE];
	uint32_t crc, before; /* before: without this line */
};

/* The next line with its end. False: there is none, or it is none. */
static bool next_line(struct reader *r)
{
	size_t len;

	memset(r->line, 0, sizeof r->line);
	if (!fgets(r->line, sizeof r->line, r->file))
		return false;
	len = strlen(r->line); /* a NUL in it makes it shorter, and the sum wrong */
	if (len == 0 || r->line[len - 1] != '\n')
		return false;
	r->before = r->crc;
	r->crc = crc32_of(r->crc, r->line, len);
	return true;
}

static bool is_end(const struct reader *r)
{
	char end[LINE];

	snprintf(end, sizeof end, "end %08" PRIx32 "\n", r->before);
	return strcmp(r->line, end) == 0;
}

static bool starts(const struct reader *r, const char *word)
{
	return strncmp(r->line, word, strlen(word)) == 0;
}

static const char *read_head(struct reader *r, struct hintfile_head *head)
{
	memset(head, 0, sizeof *head);
	if (!next_line(r))
		return "empty, or cut off";
	if (strcmp(r->line, HEAD) != 0)
		return starts(r, MAGIC) ? "of an unknown version" : "not such a file";
	if (!next_line(r) || !scan_saved(r->line, head) || !next_line(r) || !scan_key(r->line, head))
		return "damaged: its head";
	return NULL;
}

const char *hintfile_read(FILE *file, struct hintfile_head *head,
			  void (*client)(void *arg, const struct hintfile_head *head, const struct guard_hint *hint),
			  void *arg)
{
	struct reader r = { .file = file };
	const char *wrong = read_head(&r, head);
	struct guard_hint hint;
	bool more;

	if (wrong)
		return wrong;
	while ((more = next_line(&r)) && starts(&r, "server ")) {
		if (!scan_server(r.line, head))
			return "damaged: a server";
	}
	for (unsigned n = 0; more && starts(&r, "client "); more = next_line(&r)) {
		if (n++ == HINTFILE_CLIENTS)
			return "too many clients";
		if (!scan_client(r.line, head, &hint))
			return "damaged: a client";
		if (client)
			client(arg, head, &hint);
	}
	if (!more || !is_end(&r))
		return "damaged: cut off or bad checksum";
	return getc(file) == EOF ? NULL : "damaged: more behind its end";
}

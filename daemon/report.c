#include "report.h"
#include "enquiry.h"
#include "redact.h"
#include "version.h"
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sysexits.h>
#include <time.h>

/* The parts in order. Clients are the last, for they may be many. */
static const struct part {
	const char *request;
	enum { TEXT, CONFIG, TABLE } kind;
} parts[] = {
	{ "version", TEXT },  { "status", TABLE },   { "config", CONFIG }, { "links", TABLE },
	{ "servers", TABLE }, { "contexts", TABLE }, { "sharing", TABLE }, { "counters", TABLE },
	{ "log", TABLE },     { "metrics", TEXT },   { "clients", TABLE },
};

static void print_head(FILE *out)
{
	time_t now = time(NULL);
	struct utsname system = { 0 };
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	uname(&system);
	fprintf(out,
		"coap-guard support report, made %s by coap-guardctl " COAP_GUARD_VERSION "\non %s %s %s\n\n"
		"Addresses are numbered, <ip6-net1-host2> being the second host met in the first /64 (IPv4: /24);\n"
		"identifiers of OSCORE contexts, salts and host names are hidden or numbered. No key is ever read.\n"
		"Names of sections, paths and files are as they are: read it before you give it away.\n",
		when, system.sysname, system.release, system.machine);
}

/* The status is one row: a line for each of its cells. */
static void print_cells(struct redact *r, const struct table *t, FILE *out)
{
	for (unsigned i = 0; i < t->columns; i++) {
		fprintf(out, "%s: ", t->heads[i].name);
		redact_text(r, table_cell(t, 0, i), out);
		fputc('\n', out);
	}
}

static void print_rows(struct redact *r, const struct table *t, FILE *out)
{
	for (unsigned i = 0; i < t->columns; i++)
		fprintf(out, "%s%s", i ? "\t" : "", t->heads[i].name);
	fputc('\n', out);
	for (unsigned row = 0; row < t->rows; row++) {
		for (unsigned i = 0; i < t->columns; i++) {
			fputs(i ? "\t" : "", out);
			if (strcmp(t->heads[i].name, "kid") == 0)
				redact_word(r, "kid", table_cell(t, row, i), out);
			else
				redact_text(r, table_cell(t, row, i), out);
		}
		fputc('\n', out);
	}
	if (t->note)
		fprintf(out, "%s\n", t->note);
}

static void print_body(struct redact *r, const struct part *p, char *body, FILE *out)
{
	struct table t;

	if (p->kind == TEXT)
		redact_text(r, body, out);
	else if (p->kind == CONFIG)
		redact_config(r, body, out);
	else if (!table_parse(&t, body))
		fputs("not understood\n", out);
	else if (strcmp(p->request, "status") == 0)
		print_cells(r, &t, out);
	else
		print_rows(r, &t, out);
	if (p->kind == TABLE)
		table_free(&t);
}

int report_print(const char *path, FILE *out)
{
	struct redact *r = calloc(1, sizeof *r);
	int code = r ? EX_OK : EX_OSERR;

	print_head(out);
	for (unsigned i = 0; i < sizeof parts / sizeof parts[0] && code == EX_OK; i++) {
		char *reply, *body = enquiry_ask(path, parts[i].request, &reply, &code);

		fprintf(out, "\n== %s\n", parts[i].request);
		if (body)
			print_body(r, &parts[i], body, out);
		else
			fputs("the daemon did not answer\n", out);
		free(reply);
	}
	if (r)
		fprintf(out,
			"\n== redacted\n%u addresses in %u networks, %u identifiers of clients, %u values of the "
			"configuration\n",
			r->hosts, r->nets, r->names, r->hidden);
	free(r);
	return code;
}

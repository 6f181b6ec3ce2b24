#include "enquiry.h"
#include "report.h"
#include "screen.h"
#include "shells.h"
#include "top.h"
#include "usage.h"
#include "version.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define REQUEST_MAX 512

enum format { FORMAT_HUMAN, FORMAT_JSON, FORMAT_TSV };

struct options {
	const char *socket, *shell;
	enum format format;
	bool colour;
	struct top_pace pace;
	enum { ASK, COMPLETION, VERSION, HELP } what;
};

/* NO_COLOR: no-color.org. */
static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static bool read_number(const char *text, unsigned max, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n == 0 || n > max) {
		fprintf(stderr, "coap-guardctl: expected a number from 1 to %u, got \"%s\"\n", max, text);
		return false;
	}
	*out = (unsigned)n;
	return true;
}

/* False: said on stderr. */
static bool take_option(struct options *o, int option, const char *value)
{
	switch (option) {
	case 's': o->socket = value; return true;
	case 'j': o->format = FORMAT_JSON; return true;
	case 't': o->format = FORMAT_TSV; return true;
	case 'n': return read_number(value, 1000000, &o->pace.count);
	case 'd': return read_number(value, 3600, &o->pace.delay_s);
	case 'V': o->what = VERSION; return true;
	case 'h': o->what = HELP; return true;
	case USAGE_LONG: /* the only one without a letter */
		o->what = COMPLETION;
		o->shell = value;
		return true;
	default: return false;
	}
}

static bool read_options(struct options *o, int argc, char **argv)
{
	struct usage_getopt known;
	int option;

	usage_getopt(&usage_guardctl, &known);
	*o = (struct options){ .socket = USAGE_SOCKET, .colour = wants_colour(), .pace.delay_s = 2 };
	while ((option = getopt_long(argc, argv, known.letters, known.options, NULL)) != -1) {
		if (!take_option(o, option, optarg))
			return false;
	}
	return true;
}

static int print_text(const struct options *o, const char *request)
{
	int code = EX_OK;
	char *reply, *body = enquiry_ask(o->socket, request, &reply, &code);

	if (body)
		fputs(body, stdout);
	free(reply);
	return code;
}

static void show_table(const struct options *o, const struct table *t)
{
	table_print(t, stdout, "", o->colour);
}

/* Rows of topic and sentence. */
static void show_sentences(const struct options *o, const struct table *t)
{
	const char *bold = o->colour ? "\033[1m" : "", *plain = o->colour ? "\033[0m" : "";

	for (unsigned i = 0; i < t->rows; i++)
		printf("%s%-10s%s %s\n", bold, table_cell(t, i, 0), plain, table_cell(t, i, 1));
}

static int print_rows(const struct options *o, const char *request,
		      void (*show)(const struct options *o, const struct table *t))
{
	struct table t;
	char *reply;
	int code = enquiry_table(o->socket, request, &reply, &t);

	if (code == EX_OK && o->format == FORMAT_JSON) {
		table_print_json(&t, stdout);
		putchar('\n');
	} else if (code == EX_OK) {
		show(o, &t);
	}
	table_free(&t);
	free(reply);
	return code;
}

static int print_table(const struct options *o, const char *request)
{
	return print_rows(o, request, show_table);
}

static int print_sentences(const struct options *o, const char *request)
{
	return print_rows(o, request, show_sentences);
}

static int print_status(const struct options *o, const char *request)
{
	(void)request;
	return o->format == FORMAT_JSON ? screen_json(o->socket, stdout) : screen_print(o->socket, stdout, o->colour);
}

static int print_top(const struct options *o, const char *request)
{
	(void)request;
	return top_run(o->socket, &o->pace, o->colour);
}

static int print_report(const struct options *o, const char *request)
{
	(void)request;
	return report_print(o->socket, stdout);
}

static bool join(char *const *words, char request[REQUEST_MAX])
{
	size_t len = 0;

	for (; *words; words++) {
		int n = snprintf(request + len, REQUEST_MAX - len, "%s%s", len ? " " : "", *words);

		len += (size_t)n;
		if (len >= REQUEST_MAX - 1) /* the newline has to fit too */
			return false;
	}
	return len > 0 && !strpbrk(request, "\n\r");
}

static int run(const struct options *o, const char *request, const struct usage_command *c)
{
	static int (*const shapes[])(const struct options *, const char *) = {
		[SHAPE_TEXT] = print_text,     [SHAPE_TABLE] = print_table, [SHAPE_SENTENCES] = print_sentences,
		[SHAPE_STATUS] = print_status, [SHAPE_TOP] = print_top,     [SHAPE_REPORT] = print_report,
	};
	bool is_asked = c->shape < SHAPE_TOP;
	int code = is_asked && o->format == FORMAT_TSV ? print_text(o, request) : shapes[c->shape](o, request);

	if (fflush(stdout) != 0 && code == EX_OK)
		code = EX_IOERR;
	return code;
}

static int print_completion(const char *shell)
{
	if (shells_print(shell, stdout))
		return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
	fprintf(stderr, "coap-guardctl: no such shell: \"%s\"; expected one of %s\n", shell, usage_words(OFFER_SHELL));
	return EX_USAGE;
}

static int ask(const struct options *o, char *const *words)
{
	char request[REQUEST_MAX] = "";
	bool joined = join(words, request);
	const struct usage_command *c = joined ? usage_find(&usage_guardctl, request) : NULL;

	if (c)
		return run(o, request, c);
	if (!*words) {
		usage_print(&usage_guardctl, stderr);
		return EX_USAGE;
	}
	if (joined)
		usage_complain(&usage_guardctl, request, stderr);
	else
		fputs("coap-guardctl: these words are no command: too long, or of several lines\n", stderr);
	fputs("Try coap-guardctl --help\n", stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	struct options o;

	if (!read_options(&o, argc, argv))
		return EX_USAGE;
	switch (o.what) {
	case HELP: return usage_print(&usage_guardctl, stdout);
	case VERSION: return puts("coap-guardctl " COAP_GUARD_VERSION) < 0 ? EX_IOERR : EX_OK;
	case COMPLETION: return print_completion(o.shell);
	default: return ask(&o, argv + optind);
	}
}

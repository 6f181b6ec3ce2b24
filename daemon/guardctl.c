#include "enquiry.h"
#include "screen.h"
#include "version.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define SOCKET_DEFAULT "/run/coap-guard/control.sock"
#define REQUEST_MAX    512

enum format { FORMAT_HUMAN, FORMAT_JSON, FORMAT_TSV };

struct options {
	const char *socket;
	enum format format;
	bool colour;
	enum { ASK, VERSION, HELP } what;
};

static const char help[] = "Usage: coap-guardctl [-s SOCKET] [--json|--tsv] COMMAND\n"
			   "\n"
			   "  status            one screen\n"
			   "  links             the constrained links and their queues\n"
			   "  servers           the protected servers\n"
			   "  clients           who is known, and in which standing\n"
			   "  contexts          the guard's own OSCORE contexts\n"
			   "  context new NAME  begin the state of a context whose key is new\n"
			   "  context reset NAME\n"
			   "                    let it go on, or begin anew, after its state was lost\n"
			   "  counters          every verdict and every refusal, counted\n"
			   "  why ADDRESS       what the guard thinks of an address, in sentences\n"
			   "  forget ADDRESS    drop all that is known of it\n"
			   "  metrics           the same numbers for Prometheus\n"
			   "  reload            read the configuration again\n"
			   "  trace on FILE     write every datagram and verdict to a new file\n"
			   "  trace off\n"
			   "\n"
			   "  -s, --socket SOCKET   of the daemon (" SOCKET_DEFAULT ")\n"
			   "      --json, --tsv     for programs; of tables and of status\n"
			   "  -V, --version\n"
			   "  -h, --help\n"
			   "\n"
			   "Exit status: 0 good, 1 the daemon refused, 64 wrong usage, 69 the "
			   "daemon cannot be reached.\n";

/* False: said on stderr. */
static bool read_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "tsv", no_argument, NULL, 't' },          { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },         { 0 },
	};
	int option;

	*o = (struct options){ .socket = SOCKET_DEFAULT };
	o->colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	while ((option = getopt_long(argc, argv, "s:jtVh", options, NULL)) != -1) {
		switch (option) {
		case 's': o->socket = optarg; break;
		case 'j': o->format = FORMAT_JSON; break;
		case 't': o->format = FORMAT_TSV; break;
		case 'V': o->what = VERSION; break;
		case 'h': o->what = HELP; break;
		default: return false;
		}
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

enum shape { SHAPE_TEXT, SHAPE_TABLE, SHAPE_SENTENCES, SHAPE_STATUS };

static const struct command {
	const char *words;
	bool has_argument;
	enum shape shape;
} commands[] = {
	{ "status", false, SHAPE_STATUS },  { "links", false, SHAPE_TABLE },     { "servers", false, SHAPE_TABLE },
	{ "clients", false, SHAPE_TABLE },  { "counters", false, SHAPE_TABLE },  { "why", true, SHAPE_SENTENCES },
	{ "contexts", false, SHAPE_TABLE }, { "context new", true, SHAPE_TEXT }, { "context reset", true, SHAPE_TEXT },
	{ "metrics", false, SHAPE_TEXT },   { "reload", false, SHAPE_TEXT },     { "forget", true, SHAPE_TEXT },
	{ "trace on", true, SHAPE_TEXT },   { "trace off", false, SHAPE_TEXT },
};

/* NULL: the words are no command, or its argument is missing. */
static const struct command *find_command(const char *request)
{
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const struct command *c = &commands[i];
		size_t len = strlen(c->words);

		if (strncmp(request, c->words, len) == 0 &&
		    (c->has_argument ? request[len] == ' ' && request[len + 1] : !request[len]))
			return c;
	}
	return NULL;
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

static int run(const struct options *o, const char *request, const struct command *c)
{
	static int (*const shapes[])(const struct options *, const char *) = {
		[SHAPE_TEXT] = print_text,
		[SHAPE_TABLE] = print_table,
		[SHAPE_SENTENCES] = print_sentences,
		[SHAPE_STATUS] = print_status,
	};
	int code = o->format == FORMAT_TSV ? print_text(o, request) : shapes[c->shape](o, request);

	if (fflush(stdout) != 0 && code == EX_OK)
		code = EX_IOERR;
	return code;
}

int main(int argc, char **argv)
{
	const struct command *c = NULL;
	char request[REQUEST_MAX] = "";
	struct options o;

	if (!read_options(&o, argc, argv))
		return EX_USAGE;
	if (o.what == HELP)
		return fputs(help, stdout) < 0 ? EX_IOERR : EX_OK;
	if (o.what == VERSION)
		return puts("coap-guardctl " COAP_GUARD_VERSION) < 0 ? EX_IOERR : EX_OK;
	if (join(argv + optind, request))
		c = find_command(request);
	if (c)
		return run(&o, request, c);
	fputs(optind == argc ? help
			     : "coap-guardctl: unknown command, or its argument is missing\n"
			       "Try coap-guardctl --help\n",
	      stderr);
	return EX_USAGE;
}

#include "command.h"
#include "daemon.h"
#include "metrics.h"
#include "renewal.h"
#include "session.h"
#include "version.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK "ok\n"

static struct snapshot_sink begin_table(struct answer *out)
{
	answer_print(out, OK);
	return answer_table(out);
}

#define TABLE(name)                                                                                                    \
	static void run_##name(struct daemon *d, const char *argument, struct answer *out)                             \
	{                                                                                                              \
		struct snapshot_sink sink = begin_table(out);                                                          \
                                                                                                                       \
		(void)argument;                                                                                        \
		snapshot_##name(d->proxy, &sink, loop_now(d->loop));                                                   \
		answer_table_end(out);                                                                                 \
	}
TABLE(links)
TABLE(servers)
TABLE(contexts)
TABLE(sharing)
TABLE(clients)
TABLE(counters)
#undef TABLE

static void ignore_header(void *arg, const char *const *names, unsigned n)
{
	(void)arg;
	(void)names;
	(void)n;
}

static void count_row(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	uint64_t *rows = arg;

	(void)cells;
	(void)n;
	++*rows;
}

static uint64_t count_clients(const struct daemon *d)
{
	uint64_t rows = 0;
	struct snapshot_sink sink = { .header = ignore_header, .row = count_row, .arg = &rows };

	snapshot_clients(d->proxy, &sink, loop_now(d->loop));
	return rows;
}

static const char *reload_word(const struct daemon *d)
{
	static const char *const words[] = {
		[RELOAD_NONE] = "none",
		[RELOAD_OK] = "ok",
		[RELOAD_FAILED] = "failed",
	};

	return words[d->reload.result];
}

#define TEXT(t)                                                                                                        \
	{                                                                                                              \
		.kind = CELL_TEXT, .text = (t)                                                                         \
	}
#define COUNT(n)                                                                                                       \
	{                                                                                                              \
		.kind = CELL_COUNT, .count = (n)                                                                       \
	}
#define SECONDS(t)                                                                                                     \
	{                                                                                                              \
		.kind = CELL_SECONDS, .count = (t)                                                                     \
	}

/* One row; coap-guardctl makes a screen of it and of the tables. */
static void run_status(struct daemon *d, const char *argument, struct answer *out)
{
	static const char *const names[] = {
		"name",       "version",        "pid",        "uptime",   "config",           "reload",
		"reload_age", "reload_message", "clients",    "contexts", "contexts_working", "trace",
		"received",   "truncated",      "overflowed", "sent",     "dropped",          "dry_run",
	};
	tstamp now = loop_now(d->loop);
	tstamp reloaded = d->reload.result == RELOAD_NONE ? d->started : d->reload.at;
	struct udp_counters udp = udp_counters(d->udp);
	const struct snapshot_cell cells[] = {
		TEXT(d->config.proxy.name),
		TEXT(COAP_GUARD_VERSION),
		COUNT((uint64_t)getpid()),
		SECONDS(tstamp_since(d->started, now)),
		TEXT(d->config_path),
		TEXT(reload_word(d)),
		SECONDS(tstamp_since(reloaded, now)),
		TEXT(d->reload.text),
		COUNT(count_clients(d)),
		COUNT(contexts_count(&d->contexts)),
		COUNT(contexts_working(&d->contexts)),
		TEXT(d->tracer.state),
		COUNT(udp.received),
		COUNT(udp.truncated),
		COUNT(udp.overflowed),
		COUNT(udp.sent),
		COUNT(udp.unsent),
		TEXT(d->config.proxy.policy.dry_run ? "yes" : "no"),
	};
	struct snapshot_sink sink = begin_table(out);

	_Static_assert(sizeof names / sizeof names[0] == sizeof cells / sizeof cells[0], "a cell each");
	(void)argument;
	sink.header(sink.arg, names, sizeof names / sizeof names[0]);
	sink.row(sink.arg, cells, sizeof cells / sizeof cells[0]);
}

static bool read_address(const char *argument, struct addr *who, struct answer *out)
{
	if (addr_parse(who, argument, 0))
		return true;
	answer_print(out, "error not an address: \"%s\"; expected one like 2001:db8::5 or 192.0.2.1\n", argument);
	return false;
}

static void run_why(struct daemon *d, const char *argument, struct answer *out)
{
	struct snapshot_sink sink;
	struct addr who;

	if (!read_address(argument, &who, out))
		return;
	sink = begin_table(out);
	snapshot_why(d->proxy, &who, &sink, loop_now(d->loop));
	answer_table_end(out);
}

static void run_forget(struct daemon *d, const char *argument, struct answer *out)
{
	struct addr who;
	char text[ADDR_TEXT];
	unsigned n;

	if (!read_address(argument, &who, out))
		return;
	n = proxy_forget(d->proxy, &who, loop_now(d->loop));
	addr_format_host(&who, text);
	log_event(&d->log, LEVEL_INFO, &(struct event){ EVENT_FORGOTTEN, { [FIELD_PEER] = text } },
		  "forgot %u records of %s", n, text);
	answer_print(out, OK "%u record%s forgotten\n", n, n == 1 ? "" : "s");
}

static void run_metrics(struct daemon *d, const char *argument, struct answer *out)
{
	(void)argument;
	answer_print(out, OK);
	metrics_write(d, out, loop_now(d->loop));
}

static void run_reload(struct daemon *d, const char *argument, struct answer *out)
{
	char status[DAEMON_STATUS];

	(void)argument;
	if (daemon_reload(d, loop_now(d->loop))) {
		answer_print(out, OK "the configuration is in force: %s\n", daemon_status(d, status, sizeof status));
		return;
	}
	answer_print(out, "error reload failed, the old configuration runs: %s\n", d->reload.text);
	for (unsigned i = 1; i < d->errors.count; i++)
		answer_print(out, "%s\n", d->errors.list[i].text);
}

/* A trace holds the contexts as they were. */
static void renew(struct daemon *d, const char *name, struct answer *out,
		  bool (*order)(struct contexts *x, const char *name, tstamp now, char text[CONTEXTS_TEXT]))
{
	char text[CONTEXTS_TEXT];
	bool ok;

	daemon_trace_off(d, "a context changed");
	ok = order(&d->contexts, name, loop_now(d->loop), text);
	answer_print(out, "%s%s\n", ok ? OK : "error ", text);
}

static void run_context_new(struct daemon *d, const char *argument, struct answer *out)
{
	renew(d, argument, out, renewal_new);
}

static void run_context_reset(struct daemon *d, const char *argument, struct answer *out)
{
	renew(d, argument, out, renewal_reset);
}

static void run_trace_on(struct daemon *d, const char *argument, struct answer *out)
{
	int error = daemon_trace(d, argument);

	switch (error) {
	case 0: answer_print(out, OK "tracing to %s\n", argument); break;
	case -EINVAL: answer_print(out, "error the path must be absolute and short\n"); break;
	case -EBUSY: answer_print(out, "error tracing already: %s\n", d->tracer.state); break;
	default: answer_print(out, "error cannot create %s: %s\n", argument, strerror(-error));
	}
}

static void run_trace_off(struct daemon *d, const char *argument, struct answer *out)
{
	(void)argument;
	daemon_trace_off(d, "by request");
	answer_print(out, OK "trace: %s\n", d->tracer.state);
}

static void run_config(struct daemon *d, const char *argument, struct answer *out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	(void)argument;
	if (file)
		config_dump(&d->config, file);
	if (file && fclose(file) == 0)
		answer_print(out, OK "%s", text);
	else
		answer_print(out, "error out of memory\n");
	free(text);
}

static void run_version(struct daemon *d, const char *argument, struct answer *out)
{
	(void)d;
	(void)argument;
	answer_print(out, OK "coap-guardd %s\nlibuv %s (built with %s)\n%s (built with %s)\n%s (built with %s)\n",
		     COAP_GUARD_VERSION, loop_runs_with(), loop_built_with(), entropy_runs_with(), entropy_built_with(),
		     session_runs_with(), session_built_with());
}

/* The time is the wall clock's, in UTC. */
static void run_log(struct daemon *d, const char *argument, struct answer *out)
{
	static const char *const names[] = { "time", "level", "event", "message" };
	struct snapshot_sink sink = begin_table(out);
	const struct log_kept *k;
	char when[32] = "";
	struct tm tm;

	(void)argument;
	sink.header(sink.arg, names, 4);
	for (unsigned i = 0; (k = log_kept(&d->log, i)); i++) {
		if (gmtime_r(&k->at, &tm))
			strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
		const struct snapshot_cell cells[] = { TEXT(when), TEXT(log_level_word(k->level)),
						       TEXT(*event_word(k->event) ? event_word(k->event) : "-"),
						       TEXT(k->text) };

		sink.row(sink.arg, cells, 4);
	}
	answer_table_end(out);
}

static const struct command {
	const char *words;
	bool has_argument; /* the rest of the line */
	void (*run)(struct daemon *d, const char *argument, struct answer *out);
} commands[] = {
	{ "status", false, run_status },
	{ "links", false, run_links },
	{ "servers", false, run_servers },
	{ "contexts", false, run_contexts },
	{ "sharing", false, run_sharing },
	{ "context new", true, run_context_new },
	{ "context reset", true, run_context_reset },
	{ "clients", false, run_clients },
	{ "counters", false, run_counters },
	{ "why", true, run_why },
	{ "metrics", false, run_metrics },
	{ "log", false, run_log },
	{ "config", false, run_config },
	{ "version", false, run_version },
	{ "reload", false, run_reload },
	{ "forget", true, run_forget },
	{ "trace on", true, run_trace_on },
	{ "trace off", false, run_trace_off },
};

/* The argument, "" for a command without one, or NULL: the line is not this command. */
static const char *match(const struct command *c, const char *line)
{
	size_t len = strlen(c->words);

	if (strncmp(line, c->words, len) != 0)
		return NULL;
	if (!c->has_argument)
		return line[len] == '\0' ? "" : NULL;
	return line[len] == ' ' && line[len + 1] ? line + len + 1 : NULL;
}

void command_run(void *arg, const char *line, struct answer *out)
{
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const char *argument = match(&commands[i], line);

		if (argument) {
			commands[i].run(arg, argument, out);
			return;
		}
	}
	answer_print(out, "error unknown command, or its argument is missing: \"%s\"\n", line);
}

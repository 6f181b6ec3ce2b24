#include "top.h"
#include "paint.h"
#include "terminal.h"
#include "view.h"
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define REASONS 10 /* shown */
#define BAR     10

/* Two looks, and the seconds between; the first is measured against the start of the daemon. */
struct motion {
	const struct view *now, *before; /* before NULL: none yet */
	double seconds;
	FILE *out;
	bool colour;
};

/* The row of the same name, or the same server, action and reason. */
static unsigned row_before(const struct motion *m, enum view_part part, unsigned row)
{
	const struct table *now = &m->now->tables[part], *before = m->before ? &m->before->tables[part] : NULL;
	unsigned keys = part == VIEW_COUNTERS ? 3 : 1;

	for (unsigned i = 0; before && part != VIEW_STATUS && i < before->rows; i++) {
		unsigned same = 0;

		while (same < keys && strcmp(table_cell(now, row, same), table_cell(before, i, same)) == 0)
			same++;
		if (same == keys)
			return i;
	}
	return before && part == VIEW_STATUS ? 0 : UINT32_MAX;
}

/* How often in a second; a counter that went back began anew. */
static double rate(const struct motion *m, enum view_part part, unsigned row, const char *column)
{
	uint64_t now = view_count(&m->now->tables[part], row, column), before = 0;
	unsigned old = row_before(m, part, row);

	if (old != UINT32_MAX)
		before = view_count(&m->before->tables[part], old, column);
	return m->seconds > 0 ? (double)(now >= before ? now - before : now) / m->seconds : 0;
}

static void title(const struct motion *m, const char *text)
{
	fprintf(m->out, "\n%s%s%s\n", paint_on(PAINT_HEAD, m->colour), text, paint_off(PAINT_HEAD, m->colour));
}

static void cell(const struct motion *m, const char *column, const char *text, int width)
{
	enum paint p = paint_of(column, text);

	fprintf(m->out, "%s%*s%s", paint_on(p, m->colour), width, text, paint_off(p, m->colour));
}

static void head(const struct motion *m)
{
	const struct table *s = &m->now->tables[VIEW_STATUS];
	char human[TABLE_HUMAN];

	fprintf(m->out, "%s%s%s  up %s  %s clients  reload: ", paint_on(PAINT_HEAD, m->colour),
		table_find(s, 0, "name"), paint_off(PAINT_HEAD, m->colour),
		table_human(TABLE_SECONDS, table_find(s, 0, "uptime"), human), table_find(s, 0, "clients"));
	cell(m, "reload", table_find(s, 0, "reload"), 0);
	fprintf(m->out, "  (%s)\n", m->before ? "rates since the last look" : "rates since the start");
	fprintf(m->out, "datagrams/s: %.1f in, %.1f out, %.1f lost\n", rate(m, VIEW_STATUS, 0, "received"),
		rate(m, VIEW_STATUS, 0, "sent"),
		rate(m, VIEW_STATUS, 0, "truncated") + rate(m, VIEW_STATUS, 0, "overflowed") +
			rate(m, VIEW_STATUS, 0, "dropped"));
}

/* What is used of the link's rate. */
static void bar(const struct motion *m, double used)
{
	int full = (int)((used < 0 ? 0 : used > 1 ? 1 : used) * BAR + 0.5);
	enum paint p = used > 0.9 ? PAINT_BAD : used > 0.7 ? PAINT_WATCH : PAINT_GOOD;
	char text[BAR + 1];

	for (int i = 0; i < BAR; i++)
		text[i] = i < full ? '#' : '.';
	text[BAR] = '\0';
	fprintf(m->out, "%s%s%s %3.0f %%", paint_on(p, m->colour), text, paint_off(p, m->colour), 100 * used);
}

static void links(const struct motion *m)
{
	const struct table *t = &m->now->tables[VIEW_LINKS];

	title(m, "link            used of its rate   bytes/s  queued: trusted  reachable  unknown");
	for (unsigned i = 0; i < t->rows; i++) {
		double bytes = rate(m, VIEW_LINKS, i, "sent-bytes"),
		       limit = (double)view_count(t, i, "rate-bytes-per-s");

		fprintf(m->out, "%-14.14s  ", table_find(t, i, "link"));
		bar(m, limit > 0 ? bytes / limit : 0);
		fprintf(m->out, "  %8.1f  %15s  %9s  %7s\n", bytes, table_find(t, i, "queued-trusted"),
			table_find(t, i, "queued-reachable"), table_find(t, i, "queued-unknown"));
	}
}

static void servers(const struct motion *m)
{
	const struct table *t = &m->now->tables[VIEW_SERVERS];

	title(m, "server          mode        forwarded/s  refused/s  accepted/s  waiting  budget");
	for (unsigned i = 0; i < t->rows; i++) {
		fprintf(m->out, "%-14.14s  ", table_find(t, i, "server"));
		cell(m, "mode", table_find(t, i, "mode"), -10);
		fprintf(m->out, "  %11.1f  %9.1f  %10.1f  ", rate(m, VIEW_SERVERS, i, "forwarded"),
			rate(m, VIEW_SERVERS, i, "refused"), rate(m, VIEW_SERVERS, i, "accepted"));
		cell(m, "waiting", table_find(t, i, "waiting"), 7);
		fputs("  ", m->out);
		cell(m, "unknown-left", table_find(t, i, "unknown-left"), 6);
		fputc('\n', m->out);
	}
}

static void contexts(const struct motion *m)
{
	const struct table *t = &m->now->tables[VIEW_CONTEXTS];

	if (t->rows == 0) /* most guards have none */
		return;
	title(m, "context         state     opened/s  sealed/s  forgeries/s  replays/s  note");
	for (unsigned i = 0; i < t->rows; i++) {
		fprintf(m->out, "%-14.14s  ", table_find(t, i, "context"));
		cell(m, "state", table_find(t, i, "state"), -8);
		fprintf(m->out, "  %8.1f  %8.1f  %11.1f  %9.1f  %s\n", rate(m, VIEW_CONTEXTS, i, "opened"),
			rate(m, VIEW_CONTEXTS, i, "sealed"), rate(m, VIEW_CONTEXTS, i, "forgeries"),
			rate(m, VIEW_CONTEXTS, i, "replays"), table_find(t, i, "note"));
	}
}

struct busy {
	double rate;
	unsigned row;
};

/* The busiest first. */
static unsigned find_busiest(const struct motion *m, struct busy list[REASONS])
{
	const struct table *t = &m->now->tables[VIEW_COUNTERS];
	unsigned n = 0;

	for (unsigned i = 0; i < t->rows; i++) {
		struct busy b = { rate(m, VIEW_COUNTERS, i, "count"), i };
		unsigned at = n;

		if (b.rate <= 0)
			continue;
		for (; at > 0 && list[at - 1].rate < b.rate; at--)
			if (at < REASONS)
				list[at] = list[at - 1];
		if (at < REASONS)
			list[at] = b;
		n += n < REASONS;
	}
	return n;
}

static void reasons(const struct motion *m)
{
	const struct table *t = &m->now->tables[VIEW_COUNTERS];
	struct busy list[REASONS];
	unsigned n = find_busiest(m, list);

	title(m, "   times/s  server          verdict");
	for (unsigned i = 0; i < n; i++) {
		unsigned row = list[i].row;
		enum paint p = view_is_refusal(t, row) ? PAINT_WATCH : PAINT_GOOD;

		fprintf(m->out, "%10.1f  %-14.14s  %s%s%s: %s: %s\n", list[i].rate, table_find(t, row, "server"),
			paint_on(p, m->colour), table_find(t, row, "action"), paint_off(p, m->colour),
			table_find(t, row, "reason"), table_find(t, row, "meaning"));
	}
}

static double seconds_between(const struct view *now, const struct view *before)
{
	if (!before)
		return strtod(table_find(&now->tables[VIEW_STATUS], 0, "uptime"), NULL);
	return (double)(now->at - before->at) / 1e9;
}

static int show(const struct terminal *t, const struct view *now, const struct view *before, bool colour)
{
	char *text = NULL;
	size_t len = 0;
	struct motion m = { now, before, seconds_between(now, before), open_memstream(&text, &len), colour };

	if (!m.out)
		return EX_OSERR;
	head(&m);
	links(&m);
	servers(&m);
	contexts(&m);
	reasons(&m);
	if (fclose(m.out) == 0)
		terminal_show(t, text);
	free(text);
	return EX_OK;
}

/* A daemon that was started anew begins to count anew, too. */
static bool is_same_daemon(const struct view *a, const struct view *b)
{
	return strcmp(table_find(&a->tables[VIEW_STATUS], 0, "pid"), table_find(&b->tables[VIEW_STATUS], 0, "pid")) ==
	       0;
}

static int look(const struct terminal *t, const char *path, const struct top_pace *pace, bool colour)
{
	struct view now = { 0 }, before = { 0 };
	bool again = false, goes_on = true;
	int code = EX_OK;

	for (unsigned i = 0; goes_on && (pace->count == 0 || i < pace->count); i++) {
		if (i > 0 && !t->screen)
			puts("");
		code = view_ask(&now, path);
		if (code == EX_OK)
			code = show(t, &now, again && is_same_daemon(&now, &before) ? &before : NULL, colour);
		view_free(&before);
		before = now;
		again = true;
		goes_on = code == EX_OK && (i + 1 == pace->count || terminal_wait(t, pace->delay_s));
	}
	view_free(&before);
	return code;
}

int top_run(const char *path, const struct top_pace *pace, bool colour)
{
	struct terminal t = { .signals = -1 };
	bool once = pace->count == 1;
	int code;

	if (!once && !terminal_open(&t))
		return EX_OSERR;
	code = look(&t, path, pace, colour);
	if (!once)
		terminal_close(&t);
	return code;
}

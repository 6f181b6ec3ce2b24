#include "digest.h"
#include "proxy/fault.h"
#include "proxy/snapshot.h"
#include <stdio.h>
#include <string.h>

/* The rows of one server, as they pass by. */
struct tally {
	struct digest *digest;
	struct log *log;
	char server[PROXY_NAME], reason[32], why[80];
	uint64_t total, most;
};

enum { COLUMN_SERVER, COLUMN_ACTION, COLUMN_REASON, COLUMN_COUNT, COLUMN_MEANING };

static uint64_t hash(const struct snapshot_cell *cells)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (unsigned i = COLUMN_SERVER; i <= COLUMN_REASON; i++)
		for (const char *c = cells[i].text; *c; c++)
			h = (h ^ (unsigned char)*c) * 0x100000001b3ULL;
	return h | 1;
}

/* How much a counter has grown since the last digest. A full table tells no growth: it only says less. */
static uint64_t growth(struct digest *d, uint64_t key, uint64_t count)
{
	for (unsigned i = 0; i < DIGEST_ROWS; i++) {
		unsigned at = (unsigned)(key + i) % DIGEST_ROWS;
		uint64_t before = d->seen[at].count;

		if (d->seen[at].key && d->seen[at].key != key)
			continue;
		d->seen[at].key = key;
		d->seen[at].count = count;
		return count >= before ? count - before : count;
	}
	return 0;
}

static void say(struct tally *t)
{
	if (t->total)
		log_event(t->log, LEVEL_INFO,
			  &(struct event){ EVENT_REFUSALS, { [FIELD_SERVER] = t->server, [FIELD_REASON] = t->reason } },
			  "%s: %llu requests refused in the last %llu s or so, mostly %s", t->server,
			  (unsigned long long)t->total, (unsigned long long)(DIGEST_PERIOD / TSTAMP_S), t->why);
	t->total = t->most = 0;
}

/* Enough of them, and one would be believed (Kaminsky's attack on DNS). A few are of devices that answer late. */
static void warn(struct log *l, uint64_t unasked)
{
	if (unasked > DIGEST_GUESSES)
		log_event(l, LEVEL_WARN,
			  &(struct event){ EVENT_GUESSES, { [FIELD_REASON] = fault_word(FAULT_UNASKED) } },
			  "%llu responses that nobody asked for in the last %llu s or so: somebody may be guessing",
			  (unsigned long long)unasked, (unsigned long long)(DIGEST_PERIOD / TSTAMP_S));
}

static void header(void *arg, const char *const *names, unsigned n)
{
	(void)arg, (void)names, (void)n;
}

static bool is_refusal(const struct snapshot_cell *cells)
{
	return strcmp(cells[COLUMN_SERVER].text, "-") != 0 && strcmp(cells[COLUMN_ACTION].text, "forward") != 0 &&
	       strcmp(cells[COLUMN_ACTION].text, "queue") != 0;
}

static void row(void *arg, const struct snapshot_cell *cells, unsigned n)
{
	struct tally *t = arg;
	uint64_t more = growth(t->digest, hash(cells), cells[COLUMN_COUNT].count);

	(void)n;
	if (strcmp(cells[COLUMN_REASON].text, fault_word(FAULT_UNASKED)) == 0)
		warn(t->log, more);
	if (!is_refusal(cells))
		return;
	if (strcmp(t->server, cells[COLUMN_SERVER].text) != 0) {
		say(t);
		snprintf(t->server, sizeof t->server, "%s", cells[COLUMN_SERVER].text);
	}
	t->total += more;
	if (more > t->most) {
		t->most = more;
		snprintf(t->reason, sizeof t->reason, "%s", cells[COLUMN_REASON].text);
		snprintf(t->why, sizeof t->why, "%s", cells[COLUMN_MEANING].text);
	}
}

void digest_write(struct digest *d, const struct proxy *p, struct log *l, tstamp now)
{
	struct tally t = { .digest = d, .log = l };
	const struct snapshot_sink sink = { header, row, &t };

	if (!d->pending || !tstamp_reached(d->due, now))
		return;
	snapshot_counters(p, &sink, now);
	say(&t);
	d->pending = false;
	d->due = tstamp_add(now, DIGEST_PERIOD);
}

tstamp digest_next(const struct digest *d)
{
	return d->pending ? d->due : TSTAMP_NEVER;
}

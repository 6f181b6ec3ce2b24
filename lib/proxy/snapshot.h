/*
 * snapshot: what may be seen of the engine from outside: copies, never pointers. Each function calls row() once per
 * line; the consumer formats. Columns come from the tables below, so that JSON, TSV, tables and metrics agree.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H
#include "proxy/proxy.h"

/* One cell of a row. */
struct snapshot_cell {
	enum { CELL_TEXT, CELL_COUNT, CELL_SECONDS, CELL_RATIO } kind;
	const char *text; /* CELL_TEXT; valid during the call */
	uint64_t count;   /* CELL_COUNT; CELL_SECONDS in ns; CELL_RATIO in permille */
};

struct snapshot_sink {
	void (*header)(void *arg, const char *const *names, unsigned n);
	void (*row)(void *arg, const struct snapshot_cell *cells, unsigned n);
	void *arg;
};

void snapshot_links(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
void snapshot_servers(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
void snapshot_contexts(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
/* One row: what is kept of answers, and what the servers were spared. */
void snapshot_sharing(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
void snapshot_clients(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
/* name, count (and what it means): every counter of the engine that has a reason. */
void snapshot_counters(const struct proxy *p, const struct snapshot_sink *sink, tstamp now);
/* Sentences on one address: "lane", "standing", "last", "wait": rows of (topic, sentence). */
void snapshot_why(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink, tstamp now);

/*
 * Prometheus: one call per sample. labels is "" or like `server="lamp",reason="open"`. A family's samples follow each
 * other.
 */
struct snapshot_metrics {
	void (*sample)(void *arg, const char *name, const char *type, const char *help, const char *labels,
		       double value);
	void *arg;
};
void snapshot_metrics(const struct proxy *p, const struct snapshot_metrics *sink, tstamp now);

/* Forgets every relation, proof and waiting request of one address. Returns how many records went. */
unsigned proxy_forget(struct proxy *p, const struct addr *who, tstamp now);
#endif

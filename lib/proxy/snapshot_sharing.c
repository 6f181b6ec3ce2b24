#include "proxy/snapshot_sharing.h"
#include "proxy/core.h"
#include <stdio.h>

/* By server, and of all. Relations are the guard's with a server, observers are the clients they serve. */
struct observation_counts {
	uint32_t observers[POLICY_SERVERS], all_observers, all_relations;
};

static struct observation_counts count_observations(const struct proxy *p)
{
	struct observation_counts n = { .all_observers = 0 };

	for (uint32_t i = 0; i < p->exchanges.capacity; i++) {
		const struct exchange *x = &p->exchanges.all[i];

		if (x->state != EXCHANGE_OBSERVING)
			continue;
		n.observers[x->server] += !x->own;
		n.all_observers += !x->own;
		n.all_relations += x->subject == EXCHANGE_NONE;
	}
	return n;
}

static struct cache_view view_cache(const struct proxy *p)
{
	struct cache_view v = { .entries = 0 };

	if (p->cache)
		cache_view(p->cache, &v);
	return v;
}

static struct snapshot_cell count(uint64_t n)
{
	return (struct snapshot_cell){ CELL_COUNT, NULL, n };
}

#define X(name, word, text) word,
void snapshot_sharing(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	static const char *const names[] = {
		"cache-bytes", "cache-size", "responses", "evicted", SHARED_ANSWERS(X) "relations", "observers"
	};
	struct cache_view v = view_cache(p);
	struct observation_counts n = count_observations(p);
	struct snapshot_cell cells[sizeof names / sizeof *names] = { count(v.bytes), count(v.bytes_capacity),
								     count(v.entries), count(v.evicted) };

	(void)now;
	for (unsigned i = 0; i < SHARED_COUNT; i++)
		cells[4 + i] = count(p->shared[i]);
	cells[4 + SHARED_COUNT] = count(n.all_relations);
	cells[5 + SHARED_COUNT] = count(n.all_observers);
	sink->header(sink->arg, names, sizeof names / sizeof *names);
	sink->row(sink->arg, cells, sizeof cells / sizeof *cells);
}
#undef X

static void metrics_shared(const struct proxy *p, const struct snapshot_metrics *m)
{
	static const char *const words[] = {
#define X(name, word, text) word,
		SHARED_ANSWERS(X)
#undef X
	};
	char labels[32];

	for (unsigned i = 0; i < SHARED_COUNT; i++) {
		snprintf(labels, sizeof labels, "result=\"%s\"", words[i]);
		m->sample(m->arg, "coapguard_shared_requests_total", "counter", "What the servers were spared, by how.",
			  labels, (double)p->shared[i]);
	}
}

static void metrics_cache(const struct proxy *p, const struct snapshot_metrics *m)
{
	struct cache_view v = view_cache(p);
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{ "coapguard_cache_bytes", "gauge", "What is kept of responses.", (double)v.bytes },
		{ "coapguard_cache_size_bytes", "gauge", "What may be kept of responses.", (double)v.bytes_capacity },
		{ "coapguard_cache_entries", "gauge", "Responses that are kept.", v.entries },
		{ "coapguard_cache_stored_total", "counter", "Responses that were kept.", (double)v.stored },
		{ "coapguard_cache_evicted_total", "counter", "Responses that made room for others.",
		  (double)v.evicted },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		m->sample(m->arg, rows[i].name, rows[i].type, rows[i].help, "", rows[i].value);
}

static bool gets_whole_messages(const struct proxy *p, uint8_t server, tstamp now)
{
	for (unsigned c = 0; c < CHANNELS; c++)
		if (p->whole_until[server][c] > now)
			return true;
	return false;
}

/* Gauges of each server, one family after the other. */
static void metrics_servers(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	static const struct {
		const char *name, *help;
	} families[] = {
		{ "coapguard_server_observers", "Clients who are told of what they observe there." },
		{ "coapguard_server_silent", "Whether a request was given up, and nothing was heard since." },
		{ "coapguard_server_whole_messages",
		  "Whether it gets long messages whole, since it refused their blocks." },
	};
	struct observation_counts n = count_observations(p);
	char labels[PROXY_NAME + 16];

	for (unsigned f = 0; f < sizeof families / sizeof *families; f++)
		for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
			const double values[] = { n.observers[i], pace_state(&p->paces[i]) == PACE_SILENT,
						  gets_whole_messages(p, i, now) };

			if (!p->cfg.policy.servers[i].present)
				continue;
			snprintf(labels, sizeof labels, "server=\"%s\"", p->cfg.servers[i].name);
			m->sample(m->arg, families[f].name, "gauge", families[f].help, labels, values[f]);
		}
}

void snapshot_sharing_metrics(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	metrics_shared(p, m);
	metrics_cache(p, m);
	metrics_servers(p, m, now);
}

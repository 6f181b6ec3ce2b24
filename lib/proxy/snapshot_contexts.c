#include "proxy/snapshot_contexts.h"
#include "proxy/core.h"
#include <stdio.h>

/* In the order in which they matter: the first that applies is told. */
static const char *state_word(const struct proxy *p, uint8_t place)
{
	const struct oscore_context *c = oscore_store_at(p->contexts, place);

	if (!oscore_context_works(c))
		return "off";
	if (!c->synced && p->cfg.contexts[place].refuse_unsynced)
		return "refused";
	if (c->next >= c->limit)
		return "mute";
	if (!c->synced)
		return "unsynced";
	if (c->counters.sealed >= OSCORE_SEALS ||
	    c->counters.proven_failed >= aead_info((enum aead_algorithm)c->setup.aead)->forgeries)
		return "worn";
	return "ready";
}

static struct snapshot_cell text(const char *t)
{
	return (struct snapshot_cell){ CELL_TEXT, t, 0 };
}

static struct snapshot_cell count(uint64_t n)
{
	return (struct snapshot_cell){ CELL_COUNT, NULL, n };
}

/* The names of the servers in a bitmap, or "-". */
static const char *servers(const struct proxy *p, uint64_t bits, char *out, size_t size)
{
	size_t len = 0;

	snprintf(out, size, "-");
	for (uint8_t i = 0; i < POLICY_SERVERS; i++)
		if (bits >> i & 1 && p->cfg.policy.servers[i].present && len + PROXY_NAME + 1 < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "," : "", p->cfg.servers[i].name);
	return out;
}

void snapshot_contexts(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	static const char *const names[] = { "context", "state",     "servers", "next-hop", "number", "sealed",
					     "opened",  "forgeries", "replays", "unsynced", "mute",   "note" };

	(void)now;
	sink->header(sink->arg, names, sizeof names / sizeof *names);
	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++) {
		const struct proxy_context *cfg = &p->cfg.contexts[i];
		const struct oscore_context *c = oscore_store_at(p->contexts, i);
		char list[256];

		if (!cfg->name[0])
			continue;
		const struct snapshot_cell cells[] = {
			text(cfg->name),
			text(state_word(p, i)),
			text(servers(p, cfg->servers, list, sizeof list)),
			text(cfg->next_hop == PROXY_NO_SERVER ? "-" : p->cfg.servers[cfg->next_hop].name),
			count(c->next),
			count(c->counters.sealed),
			count(c->counters.opened),
			count(c->counters.failed),
			count(c->counters.replayed),
			count(c->counters.unsynced),
			count(c->counters.exhausted),
			text(p->troubles[i]),
		};
		sink->row(sink->arg, cells, sizeof cells / sizeof *cells);
	}
}

static double is_ready(const struct proxy *p, uint8_t place)
{
	const char *word = state_word(p, place);

	return strcmp(word, "ready") == 0 || strcmp(word, "worn") == 0;
}

/* One family after the other, each with a sample per context. */
void snapshot_contexts_metrics(const struct proxy *p, const struct snapshot_metrics *sink)
{
	static const struct {
		const char *name, *type, *help;
		size_t counter; /* offset in struct oscore_counters; SIZE_MAX: readiness */
	} families[] = {
		{ "coapguard_context_ready", "gauge", "Whether the OSCORE context protects and unprotects.", SIZE_MAX },
		{ "coapguard_context_sealed_total", "counter", "Messages protected.",
		  offsetof(struct oscore_counters, sealed) },
		{ "coapguard_context_opened_total", "counter", "Messages unprotected.",
		  offsetof(struct oscore_counters, opened) },
		{ "coapguard_context_forgeries_total", "counter", "Messages that were not authentic.",
		  offsetof(struct oscore_counters, failed) },
		{ "coapguard_context_proven_forgeries_total", "counter",
		  "The same, from sources that had proved their address.",
		  offsetof(struct oscore_counters, proven_failed) },
		{ "coapguard_context_replays_total", "counter", "Messages with a Partial IV seen before.",
		  offsetof(struct oscore_counters, replayed) },
		{ "coapguard_context_unsynced_total", "counter", "Messages asked for an Echo, the window being lost.",
		  offsetof(struct oscore_counters, unsynced) },
		{ "coapguard_context_mute_total", "counter",
		  "Messages not protected, no sequence number being safe to use.",
		  offsetof(struct oscore_counters, exhausted) },
	};

	for (unsigned f = 0; f < sizeof families / sizeof *families; f++)
		for (uint8_t i = 0; i < PROXY_CONTEXTS; i++) {
			const struct oscore_context *c = oscore_store_at(p->contexts, i);
			char labels[PROXY_NAME + 16];
			uint64_t n = 0;

			if (!p->cfg.contexts[i].name[0])
				continue;
			if (families[f].counter != SIZE_MAX)
				memcpy(&n, (const uint8_t *)&c->counters + families[f].counter, sizeof n);
			snprintf(labels, sizeof labels, "context=\"%s\"", p->cfg.contexts[i].name);
			sink->sample(sink->arg, families[f].name, families[f].type, families[f].help, labels,
				     families[f].counter == SIZE_MAX ? is_ready(p, i) : (double)n);
		}
}

static const char *const meanings[][2] = {
	{ "off", "does not work" },
	{ "refused", "has lost its replay window and waits for a reset" },
	{ "mute", "has no sequence number that is safe to use, so it cannot protect anything of its own" },
	{ "unsynced", "has lost its replay window and will ask its peer for an Echo" },
	{ "worn", "works, but its key has served too long and ought to be replaced" },
};

void snapshot_contexts_why(const struct proxy *p, const struct snapshot_sink *sink)
{
	char line[320];

	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++)
		for (unsigned m = 0; m < sizeof meanings / sizeof *meanings && p->cfg.contexts[i].name[0]; m++)
			if (strcmp(state_word(p, i), meanings[m][0]) == 0) {
				snprintf(line, sizeof line, "The context %s %s%s%s.", p->cfg.contexts[i].name,
					 meanings[m][1], p->troubles[i][0] ? ": " : "", p->troubles[i]);
				const struct snapshot_cell cells[] = { text("context"), text(line) };
				sink->row(sink->arg, cells, 2);
			}
}

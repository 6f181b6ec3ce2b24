#include "proxy/snapshot.h"
#include "proxy/core.h"
#include "proxy/snapshot_contexts.h"
#include <stdio.h>

static struct snapshot_cell text(const char *t)
{
	return (struct snapshot_cell){ CELL_TEXT, t, 0 };
}
static struct snapshot_cell count(uint64_t n)
{
	return (struct snapshot_cell){ CELL_COUNT, NULL, n };
}
static struct snapshot_cell span(uint64_t ns)
{
	return (struct snapshot_cell){ CELL_SECONDS, NULL, ns };
}
static struct snapshot_cell ratio(uint64_t permille)
{
	return (struct snapshot_cell){ CELL_RATIO, NULL, permille };
}

#define ROW(sink, ...)                                                                                                 \
	do {                                                                                                           \
		const struct snapshot_cell cells_[] = { __VA_ARGS__ };                                                 \
		(sink)->row((sink)->arg, cells_, sizeof cells_ / sizeof *cells_);                                      \
	} while (0)
#define HEADER(sink, ...)                                                                                              \
	do {                                                                                                           \
		static const char *const names_[] = { __VA_ARGS__ };                                                   \
		(sink)->header((sink)->arg, names_, sizeof names_ / sizeof *names_);                                   \
	} while (0)

static uint64_t sum(const uint64_t *v, unsigned n)
{
	uint64_t total = 0;

	while (n--)
		total += v[n];
	return total;
}

void snapshot_links(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	HEADER(sink, "link", "fill", "queued-trusted", "queued-reachable", "queued-unknown", "sent-datagrams",
	       "sent-bytes", "rate-bytes-per-s");
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		const struct proxy_link *l = &p->cfg.links[i];
		struct linksched_view v;

		if (!l->name[0])
			continue;
		linksched_view(p->links[i], now, &v);
		ROW(sink, text(l->name), ratio(v.fill_permille),
		    count(v.queued[LANE_CONTROL] + v.queued[LANE_AUTHENTICATED] + v.queued[LANE_TRUSTED] +
			  v.queued[LANE_MOVED]),
		    count(v.queued[LANE_REACHABLE]), count(v.queued[LANE_UNKNOWN]),
		    count(sum(v.sent_datagrams, LANE_COUNT)), count(sum(v.sent_bytes, LANE_COUNT)),
		    count(l->sched.rate.period ? l->sched.rate.count * TSTAMP_S / l->sched.rate.period : 0));
	}
}

static const char *mode_word(enum policy_mode m)
{
	static const char *const words[] = { "open", "throttle", "exemptions", "full" };

	return words[m];
}

/* Verdicts whose action is a refusal. */
static uint64_t refused(const struct guard_server *s)
{
	uint64_t n = 0;

	for (unsigned a = VERDICT_PING; a < VERDICT_ACTION_COUNT; a++)
		n += sum(s->verdicts[a], REASON_COUNT);
	return n;
}

void snapshot_servers(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	HEADER(sink, "server", "mode", "link", "address", "relations", "observing", "waiting", "forwarded", "refused",
	       "accepted", "unknown-left", "unknown-wait", "device");
	for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
		const struct policy_server *policy = &p->cfg.policy.servers[i];
		char address[ADDR_TEXT];
		struct guard_server s;

		if (!policy->present)
			continue;
		guard_view_server(p->guard, i, &s, now);
		ROW(sink, text(p->cfg.servers[i].name), text(mode_word(policy->mode)),
		    text(p->cfg.links[policy->link].name), text(addr_format(&p->cfg.servers[i].address, address)),
		    count(s.relations), count(p->exchanges.observing[i]), count(s.waiting),
		    count(sum(s.lanes, LANE_COUNT)), count(refused(&s)),
		    count(s.outcomes[OUTCOME_ACCEPTED] + s.outcomes[OUTCOME_OBSERVED]), count(s.unknown_left),
		    span(s.unknown_wait), text(pace_state_word(pace_state(&p->paces[i]))));
	}
}

static const char *hex(const uint8_t *data, size_t len, size_t kept, char *out)
{
	char *at = out;

	for (size_t i = 0; i < len && i < kept; i++)
		at += sprintf(at, "%02x", data[i]);
	strcpy(at, len > kept ? ".." : len ? "" : "(empty)");
	return out;
}

void snapshot_clients(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	struct guard_client c;

	HEADER(sink, "server", "endpoint", "kid", "standing", "doubted", "sequence", "settled", "success", "bucket",
	       "idle");
	for (uint32_t place = 0; guard_view_client(p->guard, &place, &c, now);) {
		char address[ADDR_TEXT], kid[2 * RELATION_KID + 8];

		ROW(sink, text(p->cfg.servers[c.server].name), text(addr_format(&c.endpoint, address)),
		    text(hex(c.kid, c.kid_len, RELATION_KID, kid)), text(standing_word(c.standing)),
		    text(c.doubted ? "yes" : "no"), count(c.highest), count(c.settled), ratio(c.success * 10ULL),
		    ratio(c.fill), span(c.idle));
	}
}

void snapshot_counters(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	struct guard_server s;

	HEADER(sink, "server", "action", "reason", "count", "meaning");
	for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
		if (!p->cfg.policy.servers[i].present)
			continue;
		guard_view_server(p->guard, i, &s, now);
		for (unsigned a = 0; a < VERDICT_ACTION_COUNT; a++)
			for (unsigned r = 0; r < REASON_COUNT; r++)
				if (s.verdicts[a][r])
					ROW(sink, text(p->cfg.servers[i].name),
					    text(verdict_action_word((enum verdict_action)a)),
					    text(verdict_reason_word((enum verdict_reason)r)), count(s.verdicts[a][r]),
					    text(verdict_reason_text((enum verdict_reason)r)));
	}
	for (unsigned f = 0; f < FAULT_COUNT; f++)
		if (p->faults[f])
			ROW(sink, text("-"), text("drop"), text(fault_word((enum fault)f)), count(p->faults[f]),
			    text(fault_text((enum fault)f)));
}

static void say(const struct snapshot_sink *sink, const char *topic, const char *sentence)
{
	ROW(sink, text(topic), text(sentence));
}

static void why_relations(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink, tstamp now)
{
	struct guard_client c;
	char line[256], address[ADDR_TEXT], kid[2 * RELATION_KID + 8];
	bool any = false;

	for (uint32_t place = 0; guard_view_client(p->guard, &place, &c, now);) {
		if (memcmp(c.endpoint.ip, who->ip, sizeof who->ip) != 0)
			continue;
		any = true;
		snprintf(line, sizeof line,
			 "The relation with kid %s at %s is %s%s towards %s: %u %% of its last %u settled requests "
			 "were accepted, its "
			 "bucket is %u %% full.",
			 hex(c.kid, c.kid_len, RELATION_KID, kid), addr_format(&c.endpoint, address),
			 standing_word(c.standing), c.doubted ? " but doubted (somebody spoofs it)" : "",
			 p->cfg.servers[c.server].name, c.success, c.settled, c.fill / 10);
		say(sink, "standing", line);
	}
	if (!any)
		say(sink, "standing",
		    "No relation is known at this address: its requests go in the lanes of strangers.");
}

static void why_proof(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink, tstamp now)
{
	struct guard_explanation e;
	char line[160];

	guard_view_explanation(p->guard, who, &e, now);
	say(sink, "proof",
	    e.proven ? "It has proved return-routability a short while ago."
		     : "It has not proved return-routability lately.");
	if (e.wary)
		say(sink, "proof", "Somebody seems to spoof it: for unusual requests only an Echo counts for now.");
	snprintf(line, sizeof line,
		 "Its prefix has used %u %% of what strangers there may ask and %u %% of the replies they get.",
		 e.request_load / 10, e.reply_load / 10);
	say(sink, "prefix", line);
	if (e.reply_wait) {
		snprintf(line, sizeof line, "Refusals to it are silent for %.1f s.", (double)e.reply_wait / 1e9);
		say(sink, "prefix", line);
	}
}

static void why_servers(const struct proxy *p, const struct snapshot_sink *sink, tstamp now)
{
	char line[200];

	for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
		struct guard_server s;

		if (!p->cfg.policy.servers[i].present || p->cfg.policy.servers[i].mode != MODE_EXEMPTIONS)
			continue;
		guard_view_server(p->guard, i, &s, now);
		if (s.unknown_wait == 0)
			snprintf(line, sizeof line, "At %s a stranger would be let through at once.",
				 p->cfg.servers[i].name);
		else
			snprintf(line, sizeof line,
				 "At %s the budget for strangers is spent for %.0f s (%u units left today); %u wait in "
				 "the newcomers' queue.",
				 p->cfg.servers[i].name, (double)s.unknown_wait / 1e9, s.unknown_left, s.waiting);
		say(sink, "wait", line);
	}
}

/* A reload may have taken it away meanwhile. */
static const char *server_name(const struct proxy *p, uint8_t server)
{
	return p->cfg.policy.servers[server].present ? p->cfg.servers[server].name : "a server gone since";
}

/* How many it told of. */
static unsigned why_incidents(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink,
			      tstamp now)
{
	struct guard_incident last[5];
	unsigned n = guard_view_incidents(p->guard, who, last, 5);
	char line[200];

	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof line, "%.1f s ago, port %u, for %s: %s (%s): %s.",
			 (double)tstamp_since(last[i].at, now) / 1e9, last[i].client.port,
			 server_name(p, last[i].server), verdict_action_word((enum verdict_action)last[i].action),
			 verdict_reason_word((enum verdict_reason)last[i].reason),
			 verdict_reason_text((enum verdict_reason)last[i].reason));
		say(sink, "refused", line);
	}
	return n;
}

static void say_refusal(const struct proxy *p, const struct proxy_refusal *r, const struct snapshot_sink *sink,
			tstamp now)
{
	const char *topic = "refused", *where = "", *server = "";
	char line[240];

	if (r->server != PROXY_NO_SERVER) {
		bool passed = r->fault == FAULT_REPLAY || r->fault == FAULT_NOT_AUTHENTIC;

		topic = passed ? "layer" : "failed";
		where = passed ? ": not taken off, so it was for " : ", at ";
		server = server_name(p, r->server);
	}
	snprintf(line, sizeof line, "%.1f s ago, port %u%s%s: %s: %s.", (double)tstamp_since(r->at, now) / 1e9,
		 r->client.port, where, server, fault_word((enum fault)r->fault), fault_text((enum fault)r->fault));
	say(sink, topic, line);
}

/* The same of those that no verdict was passed on. */
static unsigned why_refusals(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink,
			     tstamp now)
{
	unsigned told = 0;

	for (unsigned n = 0; n < PROXY_REFUSALS && told < 5; n++) {
		const struct proxy_refusal *r = &p->refusals[(p->next_refusal - 1 - n) % PROXY_REFUSALS];

		if (!r->at || !addr_same_host(&r->client, who))
			continue;
		say_refusal(p, r, sink, now);
		told++;
	}
	return told;
}

void snapshot_why(const struct proxy *p, const struct addr *who, const struct snapshot_sink *sink, tstamp now)
{
	unsigned told;

	HEADER(sink, "topic", "sentence");
	why_relations(p, who, sink, now);
	why_proof(p, who, sink, now);
	why_servers(p, sink, now);
	told = why_incidents(p, who, sink, now);
	told += why_refusals(p, who, sink, now);
	if (told == 0)
		say(sink, "refused", "None of the last refusals concerned it.");
	snapshot_contexts_why(p, sink);
}

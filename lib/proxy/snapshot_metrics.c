/* snapshot_metrics: the engine's numbers for Prometheus. Labels are names of the configuration and words of our own tables. */
#include "proxy/core.h"
#include "proxy/snapshot.h"
#include "proxy/snapshot_contexts.h"
#include "proxy/snapshot_sharing.h"
#include <stdio.h>

static void sample(const struct snapshot_metrics *m, const char *name, const char *type, const char *help,
		   const char *labels, double value)
{
	m->sample(m->arg, name, type, help, labels, value);
}

static void metrics_requests(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	char labels[160];
	struct guard_server s;

	for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
		if (!p->cfg.policy.servers[i].present)
			continue;
		guard_view_server(p->guard, i, &s, now);
		for (unsigned a = 0; a < VERDICT_ACTION_COUNT; a++)
			for (unsigned r = 0; r < REASON_COUNT; r++) {
				if (!s.verdicts[a][r])
					continue;
				snprintf(labels, sizeof labels, "server=\"%s\",action=\"%s\",reason=\"%s\"",
					 p->cfg.servers[i].name, verdict_action_word((enum verdict_action)a),
					 verdict_reason_word((enum verdict_reason)r));
				sample(m, "coapguard_requests_total", "counter", "Requests judged, by verdict.", labels,
				       (double)s.verdicts[a][r]);
			}
	}
}

static void metrics_outcomes(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	char labels[120];
	struct guard_server s;

	for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
		if (!p->cfg.policy.servers[i].present)
			continue;
		guard_view_server(p->guard, i, &s, now);
		for (unsigned o = 0; o <= OUTCOME_CANCELLED; o++) {
			snprintf(labels, sizeof labels, "server=\"%s\",outcome=\"%s\"", p->cfg.servers[i].name,
				 guard_outcome_word((enum guard_outcome)o));
			sample(m, "coapguard_outcomes_total", "counter",
			       "Settled requests, by what the device made of them.", labels, (double)s.outcomes[o]);
		}
	}
}

static void metrics_responses(const struct proxy *p, const struct snapshot_metrics *m)
{
	static const char *const classes[] = { "2xx", "4xx", "5xx" };
	char labels[120];

	for (uint8_t i = 0; i < POLICY_SERVERS; i++)
		for (unsigned c = 0; c < 3 && p->cfg.policy.servers[i].present; c++) {
			snprintf(labels, sizeof labels, "server=\"%s\",class=\"%s\"", p->cfg.servers[i].name,
				 classes[c]);
			sample(m, "coapguard_responses_total", "counter", "Responses sent to clients.", labels,
			       (double)p->answered[i][c]);
		}
}

/* A sample per link and lane. */
static void link_lanes(const struct proxy *p, const struct snapshot_metrics *m, const char *name, const char *type,
		       const char *help, bool queued, tstamp now)
{
	char labels[120];
	struct linksched_view v;

	for (unsigned i = 0; i < POLICY_LINKS; i++)
		for (unsigned l = 0; l < LANE_COUNT && p->cfg.links[i].name[0]; l++) {
			linksched_view(p->links[i], now, &v);
			snprintf(labels, sizeof labels, "link=\"%s\",lane=\"%s\"", p->cfg.links[i].name,
				 verdict_lane_word((enum lane)l));
			sample(m, name, type, help, labels, queued ? v.queued[l] : (double)v.sent_bytes[l]);
		}
}

static void metrics_links(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	char labels[120];
	struct linksched_view v;

	link_lanes(p, m, "coapguard_link_sent_bytes_total", "counter",
		   "Bytes sent into the link, UDP and IPv6 headers included.", false, now);
	link_lanes(p, m, "coapguard_link_queued_datagrams", "gauge", "Datagrams that wait for the link.", true, now);
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		if (!p->cfg.links[i].name[0])
			continue;
		linksched_view(p->links[i], now, &v);
		snprintf(labels, sizeof labels, "link=\"%s\"", p->cfg.links[i].name);
		sample(m, "coapguard_link_bucket_fill_ratio", "gauge", "How full the link's token bucket is.", labels,
		       v.fill_permille / 1000.0);
	}
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		const struct rate *r = &p->cfg.links[i].sched.rate;

		if (!p->cfg.links[i].name[0] || !r->period)
			continue;
		snprintf(labels, sizeof labels, "link=\"%s\"", p->cfg.links[i].name);
		sample(m, "coapguard_link_rate_bytes_per_second", "gauge", "What may be sent into the link on average.",
		       labels, (double)r->count * (double)TSTAMP_S / (double)r->period);
	}
}

/* Gauges of each server, one family after the other. */
static void metrics_servers(const struct proxy *p, const struct snapshot_metrics *m, tstamp now)
{
	static const struct {
		const char *name, *help;
	} families[] = {
		{ "coapguard_server_relations", "Clients that are remembered." },
		{ "coapguard_server_waiting_requests", "Requests in the newcomers' queue." },
		{ "coapguard_server_observations", "Observations that it serves." },
		{ "coapguard_server_unknown_budget_units", "Cost units that strangers may still spend today." },
	};
	char labels[120];
	struct guard_server s;

	for (unsigned f = 0; f < sizeof families / sizeof *families; f++)
		for (uint8_t i = 0; i < POLICY_SERVERS; i++) {
			if (!p->cfg.policy.servers[i].present)
				continue;
			guard_view_server(p->guard, i, &s, now);
			const double values[] = { s.relations, s.waiting, p->exchanges.observing[i], s.unknown_left };

			snprintf(labels, sizeof labels, "server=\"%s\"", p->cfg.servers[i].name);
			sample(m, families[f].name, "gauge", families[f].help, labels, values[f]);
		}
}

static void metrics_faults(const struct proxy *p, const struct snapshot_metrics *m)
{
	char labels[64];

	for (unsigned f = 0; f < FAULT_COUNT; f++) {
		snprintf(labels, sizeof labels, "reason=\"%s\"", fault_word((enum fault)f));
		sample(m, "coapguard_faults_total", "counter", "Messages that went no further, by what was wrong.",
		       labels, (double)p->faults[f]);
	}
}

static void metrics_totals(const struct proxy *p, const struct snapshot_metrics *m)
{
	struct guard_totals t;

	guard_view_totals(p->guard, &t);
	sample(m, "coapguard_pings_total", "counter", "CoAP pings sent to strangers.", "", (double)t.pings);
	sample(m, "coapguard_pongs_total", "counter", "Answers to pings.", "result=\"ok\"", (double)t.pongs);
	sample(m, "coapguard_pongs_total", "counter", "Answers to pings.", "result=\"wrong\"", (double)t.pongs_wrong);
	sample(m, "coapguard_echo_challenges_total", "counter", "Echo values sent.", "", (double)t.echoes_made);
	sample(m, "coapguard_echo_verifications_total", "counter", "Echo values received.", "result=\"ok\"",
	       (double)t.echoes_valid);
	sample(m, "coapguard_echo_verifications_total", "counter", "Echo values received.", "result=\"stale\"",
	       (double)t.echoes_stale);
	sample(m, "coapguard_echo_verifications_total", "counter", "Echo values received.", "result=\"foreign\"",
	       (double)t.echoes_foreign);
	sample(m, "coapguard_replies_suppressed_total", "counter", "Refusals not sent: the prefix had had its share.",
	       "", (double)t.replies_suppressed);
	sample(m, "coapguard_table_entries", "gauge", "Records in use.", "table=\"relations\"", t.relations);
	sample(m, "coapguard_table_entries", "gauge", "Records in use.", "table=\"contexts\"", t.contexts);
	sample(m, "coapguard_table_entries", "gauge", "Records in use.", "table=\"exchanges\"", p->exchanges.count);
	sample(m, "coapguard_table_entries", "gauge", "Records in use.", "table=\"packets\"", p->pool.used);
	sample(m, "coapguard_table_capacity", "gauge", "Records there is room for.", "table=\"relations\"",
	       t.relations_capacity);
	sample(m, "coapguard_table_capacity", "gauge", "Records there is room for.", "table=\"contexts\"",
	       p->cfg.policy.contexts);
	sample(m, "coapguard_table_capacity", "gauge", "Records there is room for.", "table=\"exchanges\"",
	       p->exchanges.capacity);
	sample(m, "coapguard_table_capacity", "gauge", "Records there is room for.", "table=\"packets\"",
	       p->pool.capacity);
}

static void metrics_legs(const struct proxy *p, const struct snapshot_metrics *m)
{
	static const char *const labels[] = { "leg=\"client\"", "leg=\"device\"" };

	for (unsigned l = 0; l < 2; l++)
		sample(m, "coapguard_received_datagrams_total", "counter",
		       "Datagrams received from clients, and from devices.", labels[l], (double)p->received[l]);
	for (unsigned l = 0; l < 2; l++)
		sample(m, "coapguard_received_bytes_total", "counter", "Bytes of CoAP received.", labels[l],
		       (double)p->received_bytes[l]);
	for (unsigned l = 0; l < 2; l++)
		sample(m, "coapguard_sent_datagrams_total", "counter", "Datagrams sent to clients, and to devices.",
		       labels[l], (double)p->sent[l]);
	for (unsigned l = 0; l < 2; l++)
		sample(m, "coapguard_sent_bytes_total", "counter", "Bytes of CoAP sent.", labels[l],
		       (double)p->sent_bytes[l]);
}

void snapshot_metrics(const struct proxy *p, const struct snapshot_metrics *sink, tstamp now)
{
	metrics_requests(p, sink, now);
	metrics_outcomes(p, sink, now);
	metrics_responses(p, sink);
	metrics_servers(p, sink, now);
	metrics_links(p, sink, now);
	metrics_faults(p, sink);
	snapshot_sharing_metrics(p, sink, now);
	snapshot_contexts_metrics(p, sink);
	metrics_totals(p, sink);
	metrics_legs(p, sink);
}

#include "metrics.h"
#include "daemon.h"
#include "version.h"
#include <string.h>
#include <unistd.h>

struct exposition {
	struct answer *out;
	char family[96]; /* whose HELP and TYPE are written */
};

/* A histogram's samples carry a suffix that is no part of the family's name. */
static int family_length(const char *name, const char *type)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
	size_t len = strlen(name);

	for (unsigned i = 0; strcmp(type, "histogram") == 0 && i < 3; i++) {
		size_t suffix = strlen(suffixes[i]);

		if (len > suffix && strcmp(name + len - suffix, suffixes[i]) == 0)
			return (int)(len - suffix);
	}
	return (int)len;
}

static void put_sample(void *arg, const char *name, const char *type, const char *help, const char *labels,
		       double value)
{
	struct exposition *e = arg;
	char family[sizeof e->family];

	snprintf(family, sizeof family, "%.*s", family_length(name, type), name);
	if (strcmp(family, e->family) != 0) {
		answer_print(e->out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type);
		memcpy(e->family, family, sizeof family);
	}
	if (labels[0])
		answer_print(e->out, "%s{%s} %.15g\n", name, labels, value);
	else
		answer_print(e->out, "%s %.15g\n", name, value);
}

static double resident_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!statm)
		return 0;
	if (fscanf(statm, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(statm);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void put_daemon(struct exposition *e, const struct daemon *d)
{
	put_sample(e, "coapguard_build_info", "gauge", "The version that runs.", "version=\"" COAP_GUARD_VERSION "\"",
		   1);
	put_sample(e, "coapguard_start_time_seconds", "gauge", "When it started, Unix time.", "",
		   (double)d->started_wall);
	put_sample(e, "coapguard_config_last_reload_successful", "gauge",
		   "0 while the last reload failed and the old configuration runs.", "",
		   d->reload.result != RELOAD_FAILED);
	put_sample(e, "coapguard_state_write_errors_total", "counter",
		   "States of OSCORE contexts that did not get to disk.", "", (double)d->contexts.write_errors);
	put_sample(e, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", "", resident_bytes());
}

static void put_datagrams(struct exposition *e, const struct udp_counters *c)
{
	const struct {
		const char *name, *help;
		uint64_t value;
	} rows[] = {
		{ "coapguard_datagrams_received_total", "Datagrams read.", c->received },
		{ "coapguard_datagrams_truncated_total", "Datagrams over max-datagram, not looked at.", c->truncated },
		{ "coapguard_datagrams_overflowed_total", "Datagrams the kernel's queue lost before they were read.",
		  c->overflowed },
		{ "coapguard_datagrams_sent_total", "Datagrams sent.", c->sent },
		{ "coapguard_datagrams_dropped_total", "Datagrams the kernel did not take.", c->unsent },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		put_sample(e, rows[i].name, "counter", rows[i].help, "", (double)rows[i].value);
}

void metrics_write(const struct daemon *d, struct answer *out, tstamp now)
{
	struct exposition e = { .out = out };
	struct snapshot_metrics sink = { .sample = put_sample, .arg = &e };
	struct udp_counters datagrams = udp_counters(d->udp);

	put_daemon(&e, d);
	put_datagrams(&e, &datagrams);
	snapshot_metrics(d->proxy, &sink, now);
}

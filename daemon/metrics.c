#include "metrics.h"
#include "daemon.h"
#include "version.h"
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
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

/* The number of the n-th field of a file of /proc, or 0. */
static double proc_field(const char *path, unsigned n)
{
	FILE *file = fopen(path, "re");
	unsigned long long value = 0;

	if (!file)
		return 0;
	while (n-- > 0 && fscanf(file, "%*s") == 0)
		;
	if (fscanf(file, "%llu", &value) != 1)
		value = 0;
	fclose(file);
	return (double)value;
}

static double open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = -3; /* ".", ".." and the directory itself */

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static double cpu_seconds(void)
{
	struct rusage use = { 0 };

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* The names that every exporter uses. */
static void put_process(struct exposition *e, const struct daemon *d)
{
	double page = (double)sysconf(_SC_PAGESIZE);
	struct rlimit files = { 0, 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	put_sample(e, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", "",
		   cpu_seconds());
	put_sample(e, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", "",
		   page * proc_field("/proc/self/statm", 1));
	put_sample(e, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", "",
		   page * proc_field("/proc/self/statm", 0));
	put_sample(e, "process_open_fds", "gauge", "Number of open file descriptors.", "", open_descriptors());
	put_sample(e, "process_max_fds", "gauge", "Maximum number of open file descriptors.", "",
		   (double)files.rlim_cur);
	put_sample(e, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.",
		   "", (double)d->started_wall);
}

static void put_daemon(struct exposition *e, const struct daemon *d)
{
	time_t loaded = d->reload.at_wall ? d->reload.at_wall : d->started_wall;

	put_sample(e, "coapguard_build_info", "gauge", "The version that runs.", "version=\"" COAP_GUARD_VERSION "\"",
		   1);
	put_sample(e, "coapguard_start_time_seconds", "gauge", "When it started, Unix time.", "",
		   (double)d->started_wall);
	put_sample(e, "coapguard_config_last_reload_successful", "gauge",
		   "0 while the last reload failed and the old configuration runs.", "",
		   d->reload.result != RELOAD_FAILED);
	put_sample(e, "coapguard_config_last_reload_success_timestamp_seconds", "gauge",
		   "Since when the configuration is in force, Unix time.", "", (double)loaded);
	put_sample(e, "coapguard_state_write_errors_total", "counter",
		   "States of OSCORE contexts that did not get to disk.", "", (double)d->contexts.write_errors);
}

static void put_datagrams(struct exposition *e, const struct udp_counters *c)
{
	const struct {
		const char *name, *help;
		uint64_t value;
	} rows[] = {
		{ "coapguard_udp_received_datagrams_total", "Datagrams read from the sockets.", c->received },
		{ "coapguard_udp_truncated_datagrams_total", "Datagrams over max-datagram, not looked at.",
		  c->truncated },
		{ "coapguard_udp_group_datagrams_total", "Datagrams for a group or for everybody, not looked at.",
		  c->for_many },
		{ "coapguard_udp_overflowed_datagrams_total",
		  "Datagrams that the kernel's queue lost before they were read.", c->overflowed },
		{ "coapguard_udp_sent_datagrams_total", "Datagrams handed to the kernel.", c->sent },
		{ "coapguard_udp_unsent_datagrams_total", "Datagrams that the kernel did not take.", c->unsent },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		put_sample(e, rows[i].name, "counter", rows[i].help, "", (double)rows[i].value);
}

void metrics_write(const struct daemon *d, struct answer *out, tstamp now)
{
	struct exposition e = { .out = out };
	struct snapshot_metrics sink = { .sample = put_sample, .arg = &e };
	struct udp_counters datagrams = udp_counters(d->udp);

	put_process(&e, d);
	put_daemon(&e, d);
	put_datagrams(&e, &datagrams);
	snapshot_metrics(d->proxy, &sink, now);
}

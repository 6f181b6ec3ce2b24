/* daemon: all there is, hanging from one struct in main: the engine, its sockets, and the people
 * who watch it. */
#ifndef DAEMON_H
#define DAEMON_H
#include "config.h"
#include "contexts.h"
#include "control.h"
#include "digest.h"
#include "entropy.h"
#include "fleet.h"
#include "hints.h"
#include "loop.h"
#include "metrics_http.h"
#include "session.h"
#include "systemd.h"
#include "tracer.h"
#include "udp.h"
#include <time.h>

struct daemon {
	const char *config_path;
	struct config config;
	struct config candidate; /* of a reload, until it is in force */
	struct config_errors errors;
	struct log log;
	bool level_given; /* on the command line: the configuration's level does not count */

	struct loop *loop;
	struct udp *udp;
	struct session *session;
	struct control *control;
	struct metrics_http *metrics;
	struct systemd systemd;
	struct tracer tracer;
	struct digest digest;
	struct proxy_tap tap; /* of verdicts, for the trace and the debug log */
	struct entropy entropy;
	struct proxy *proxy;
	struct contexts contexts;
	struct hints hints;
	struct fleet fleet;

	tstamp started;
	time_t started_wall; /* for people and Prometheus; decides nothing */
	struct {
		enum { RELOAD_NONE, RELOAD_OK, RELOAD_FAILED } result;
		tstamp at;
		time_t at_wall;               /* of the last one that was ok, else 0 */
		char text[CONFIG_ERROR_TEXT]; /* why it failed; the rest is in `errors` */
	} reload;
};

/* What no key alone can get wrong. False: text says what and how to mend it. */
bool daemon_config_fits(const struct config *c, char *text, size_t size);

/* Opens everything for d->config, in force already; 0 or an exit code of sysexits.h, said in the
 * log. */
int daemon_open(struct daemon *d);
int daemon_run(struct daemon *d);    /* until told to stop; as above */
void daemon_close(struct daemon *d); /* also after a daemon_open that failed */

/* A transaction: the new configuration as a whole, or the old one stays. False: d->reload.text says
 * why. */
bool daemon_reload(struct daemon *d, tstamp now);

#define DAEMON_STATUS 768

/* What it is doing, in one line, for the service manager, the log and people. Returns out. */
const char *daemon_status(const struct daemon *d, char *out, size_t size);

/* Begins a trace file. 0 or -errno. */
int daemon_trace(struct daemon *d, const char *path);
void daemon_trace_off(struct daemon *d, const char *why);
#endif

#include "daemon.h"
#include "command.h"
#include "metrics.h"
#include "version.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ROUNDS_MAX 8 /* of sending what sending itself has caused, in one turn */

/* In a trace a datagram is followed by its verdict. */
static void on_received(void *arg, const struct proxy_input *in, unsigned n)
{
	struct daemon *d = arg;
	tstamp now = loop_now(d->loop);
	unsigned together = tracer_on(&d->tracer) ? 1 : n;

	for (unsigned i = 0; i < n; i += together) {
		tracer_in(&d->tracer, &in[i].from, in[i].datagram, now);
		proxy_receive_batch(d->proxy, &in[i], together, now);
	}
}

static void on_unreachable(void *arg, const struct path *to)
{
	struct daemon *d = arg;
	tstamp now = loop_now(d->loop);

	tracer_unreachable(&d->tracer, to, now);
	proxy_unreachable(d->proxy, to, now);
}

static void on_failed(void *arg, unsigned server, const char *why)
{
	struct daemon *d = arg;
	const char *name = d->config.proxy.servers[server].name;
	char key[LOG_KEY];

	snprintf(key, sizeof key, "session of server %u", server);
	log_event_folded(&d->log, LEVEL_WARN,
			 &(struct event){ EVENT_SESSION_FAILED, { [FIELD_SERVER] = name, [FIELD_REASON] = why } }, key,
			 loop_now(d->loop), "[server %s] not connected: %s", name, why);
}

/* Returns how many datagrams the engine had. */
static unsigned pump(struct daemon *d, tstamp now)
{
	struct path to;
	struct bytes datagram;
	unsigned n = 0;

	while ((datagram = proxy_transmit(d->proxy, &to, now)).len > 0) {
		tracer_out(&d->tracer, &to, datagram, now);
		if (addr_is_connected(&to.remote))
			session_send(d->session, &to, datagram, now);
		else
			udp_send(d->udp, &to, datagram);
		n++;
	}
	return n;
}

static void on_received_all(void *arg)
{
	struct daemon *d = arg;

	digest_stir(&d->digest);
	pump(d, loop_now(d->loop));
}

/* What cannot be sent may give the engine something else to send. */
static tstamp on_settle(void *arg, tstamp now)
{
	struct daemon *d = arg;
	unsigned rounds = 0;
	tstamp kept, due;

	if (tstamp_reached(proxy_next_expiry(d->proxy, now), now))
		proxy_expire(d->proxy, now);
	kept = tstamp_min(contexts_settle(&d->contexts, now), hints_settle(&d->hints, now));
	kept = tstamp_min(kept, fleet_settle(&d->fleet, now));
	pump(d, now);
	do {
		udp_flush(d->udp);
		due = session_settle(d->session, now);
	} while (pump(d, now) > 0 && ++rounds < ROUNDS_MAX);
	udp_flush(d->udp);
	tracer_flush(&d->tracer);
	digest_write(&d->digest, d->proxy, &d->log, now);
	log_expire(&d->log, now);
	kept = tstamp_min(kept, due);
	return tstamp_min(tstamp_min(proxy_next_expiry(d->proxy, now), kept),
			  tstamp_min(log_next_expiry(&d->log), digest_next(&d->digest)));
}

bool daemon_config_fits(const struct config *c, char *text, size_t size)
{
	size_t need = proxy_memory(&c->proxy);

	if (!session_fits(c, text, size))
		return false;
	if (need <= c->memory_limit)
		return true;
	snprintf(text, size,
		 "the tables need %zu KiB, but [guard] memory-limit is %llu KiB: raise it, or make "
		 "table-size, relations, contexts or the cache smaller",
		 (need + 1023) / 1024, (unsigned long long)(c->memory_limit / 1024));
	return false;
}

struct places {
	struct udp_place list[UDP_PLACES];
	const char *names[UDP_PLACES]; /* of the sections */
	unsigned count;
};

static void places_from(struct places *out, const struct config *c)
{
	_Static_assert(UDP_PLACES >= PROXY_LISTENS, "a socket for every place");

	out->count = 0;
	for (unsigned i = 0; i < PROXY_LISTENS; i++) {
		const struct proxy_listen *l = &c->proxy.listens[i];
		struct udp_place *p = &out->list[out->count];

		if (!l->name[0] || addr_is_connected(&l->bind))
			continue;
		p->bind = l->bind;
		snprintf(p->interface, sizeof p->interface, "%s", c->interfaces[i]);
		out->names[out->count++] = l->name;
	}
}

/* 0 or -errno; text then says which place and why. */
static int prepare_places(struct daemon *d, const struct config *c, char *text, size_t size)
{
	struct places places;
	unsigned failed = 0;
	char address[ADDR_TEXT];
	int error;

	places_from(&places, c);
	error = udp_prepare(d->udp, places.list, places.count, &failed);
	if (error)
		snprintf(text, size, "[listen %s] cannot listen on %s%s%s: %s", places.names[failed],
			 addr_format(&places.list[failed].bind, address),
			 places.list[failed].interface[0] ? " at " : "", places.list[failed].interface,
			 strerror(-error));
	return error;
}

static int prepare_metrics(struct daemon *d, const struct config *c, char *text, size_t size)
{
	char address[ADDR_TEXT];
	int error = metrics_http_prepare(d->metrics, &c->metrics_listen);

	if (error)
		snprintf(text, size, "[metrics] cannot listen on %s: %s", addr_format(&c->metrics_listen, address),
			 strerror(-error));
	return error;
}

/* All that has to be opened for it, or nothing. */
static int prepare(struct daemon *d, const struct config *c, char *text, size_t size)
{
	int error = prepare_metrics(d, c, text, size);

	if (!error)
		error = prepare_places(d, c, text, size);
	if (!error && !session_prepare(d->session, c, d->config_path, text, size)) {
		udp_abandon(d->udp);
		error = -ENOTCONN;
	}
	if (error)
		metrics_http_abandon(d->metrics);
	return error;
}

static unsigned count_servers(const struct config *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		n += c->proxy.policy.servers[i].present;
	return n;
}

const char *daemon_status(const struct daemon *d, char *out, size_t size)
{
	const char *dry = d->config.proxy.policy.dry_run ? ", dry-run: nothing is refused" : "";
	unsigned n = count_servers(&d->config), contexts = contexts_count(&d->contexts);

	if (d->reload.result == RELOAD_FAILED)
		snprintf(out, size, "reload failed, running old configuration: %s", d->reload.text);
	else if (n == 0)
		snprintf(out, size, "no servers configured");
	else if (contexts > 0)
		snprintf(out, size, "%u server%s, %u of %u context%s at work%s", n, n == 1 ? "" : "s",
			 contexts_working(&d->contexts), contexts, contexts == 1 ? "" : "s", dry);
	else
		snprintf(out, size, "%u server%s%s", n, n == 1 ? "" : "s", dry);
	return out;
}

static void on_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		       const char *reason, tstamp now)
{
	struct daemon *d = arg;
	char client[ADDR_TEXT];

	tracer_verdict(&d->tracer, from, server, lane, action, reason, now);
	log_event(&d->log, LEVEL_DEBUG,
		  &(struct event){ EVENT_VERDICT,
				   { [FIELD_SERVER] = server, [FIELD_PEER] = client, [FIELD_REASON] = reason } },
		  "%s to %s: lane %s, %s: %s", addr_format(&from->remote, client), server, lane, action, reason);
}

static void on_layer(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes)
{
	struct daemon *d = arg;

	tracer_layer(&d->tracer, context, use, ok, bytes);
}

static void on_context(void *arg, const char *context, const struct proxy_context_view *view)
{
	struct daemon *d = arg;

	tracer_context(&d->tracer, context, view);
}

static void on_allowed(void *arg, const char *context, uint64_t limit)
{
	struct daemon *d = arg;

	tracer_allowed(&d->tracer, context, limit);
}

/* Only while somebody reads them: the engine is spared the calls otherwise. */
static void watch_verdicts(struct daemon *d)
{
	bool tracing = tracer_on(&d->tracer), wanted = tracing || d->log.level == LEVEL_DEBUG;

	d->tap = (struct proxy_tap){ .verdict = on_verdict, .arg = d };
	if (tracing) {
		d->tap.layer = on_layer;
		d->tap.context = on_context;
		d->tap.allowed = on_allowed;
	}
	proxy_tap(d->proxy, wanted ? &d->tap : NULL);
}

static void set_level(struct daemon *d)
{
	if (!d->level_given)
		log_set_level(&d->log, d->config.level);
	watch_verdicts(d);
}

/* The errors' first line is what a screen has room for; the log has all. */
static bool load_candidate(struct daemon *d, char *text, size_t size)
{
	static const struct event wrong = { .kind = EVENT_CONFIG_ERROR };

	memset(&d->candidate, 0, sizeof d->candidate);
	config_errors_clear(&d->errors);
	if (config_load(&d->candidate, &d->config, d->config_path, &d->errors))
		return daemon_config_fits(&d->candidate, text, size);
	for (unsigned i = 0; i < d->errors.count; i++)
		log_event(&d->log, LEVEL_ERROR, &wrong, "%s", d->errors.list[i].text);
	snprintf(text, size, "%s", d->errors.list[0].text);
	return false;
}

static void warn(struct daemon *d)
{
	static const struct event limited = { .kind = EVENT_LISTEN_LIMITED };
	const char *why = session_warning(&d->config);

	if (why)
		log_event(&d->log, LEVEL_WARN, &limited, "%s (this is %s)", why, session_runs_with());
}

static void take_over(struct daemon *d, tstamp now)
{
	daemon_trace_off(d, "the configuration changed"); /* a trace holds one */
	contexts_leave(&d->contexts, &d->candidate);
	proxy_reconfigure(d->proxy, &d->candidate.proxy, now);
	udp_commit(d->udp, d->candidate.proxy.max_datagram);
	session_commit(d->session, &d->candidate);
	metrics_http_commit(d->metrics, d->candidate.metrics_path);
	d->config = d->candidate;
	hints_yield(&d->hints);
	contexts_enter(&d->contexts, now);
	fleet_enter(&d->fleet, now);
	set_level(d);
	warn(d);
}

bool daemon_reload(struct daemon *d, tstamp now)
{
	static const struct event reloaded = { .kind = EVENT_RELOADED }, refused = { .kind = EVENT_RELOAD_FAILED };
	char status[DAEMON_STATUS], *text = d->reload.text;
	size_t size = sizeof d->reload.text;
	bool ok;

	systemd_reloading(&d->systemd, now);
	text[0] = '\0';
	ok = load_candidate(d, text, size) && prepare(d, &d->candidate, text, size) == 0;
	if (ok)
		take_over(d, now);
	d->reload.result = ok ? RELOAD_OK : RELOAD_FAILED;
	d->reload.at = now;
	if (ok)
		d->reload.at_wall = time(NULL);
	daemon_status(d, status, sizeof status);
	if (ok)
		log_event(&d->log, LEVEL_INFO, &reloaded, "reloaded: %s", status);
	else
		log_event(&d->log, LEVEL_ERROR, &refused, "%s", status);
	systemd_ready(&d->systemd, status);
	return ok;
}

int daemon_trace(struct daemon *d, const char *path)
{
	char *config = NULL;
	size_t len = 0;
	FILE *text = open_memstream(&config, &len);
	int error;

	if (!text)
		return -errno;
	config_dump(&d->config, text);
	error = fclose(text) == 0 ? tracer_start(&d->tracer, path, config) : -ENOMEM;
	free(config);
	d->tracer.now = loop_now(d->loop);
	watch_verdicts(d);
	return error;
}

void daemon_trace_off(struct daemon *d, const char *why)
{
	tracer_stop(&d->tracer, why);
	watch_verdicts(d);
}

static void on_reload(void *arg, tstamp now)
{
	daemon_reload(arg, now);
}

static void on_watchdog(void *arg)
{
	struct daemon *d = arg;

	systemd_ping(&d->systemd);
}

static const struct event failed = { .kind = EVENT_FAILED };

static int exit_code(int error)
{
	return error == -EACCES || error == -EPERM ? EX_NOPERM : EX_OSERR;
}

static int open_loop(struct daemon *d)
{
	struct loop_events events = { .settle = on_settle, .reload = on_reload, .watchdog = on_watchdog, .arg = d };

	d->loop = loop_create(&events);
	if (d->loop)
		return EX_OK;
	log_event(&d->log, LEVEL_ERROR, &failed, "cannot make the event loop: out of memory or descriptors");
	return EX_OSERR;
}

static int open_control(struct daemon *d)
{
	struct control_config cfg = { .path = d->config.control_socket,
				      .group = d->config.control_group,
				      .mode = d->config.control_mode,
				      .handle = command_run,
				      .arg = d };
	static const struct event limited = { .kind = EVENT_CONTROL_LIMITED };
	int error = cfg.path[0] ? control_create(&d->control, loop_uv(d->loop), &cfg) : 0;

	switch (error) {
	case 0: return EX_OK;
	case -ENOKEY:
	case -EPERM:
		if (!d->control)
			break;
		log_event(&d->log, LEVEL_WARN, &limited, "[control] group: %s \"%s\"; %s is for this user alone",
			  error == -ENOKEY ? "there is no group" : "may not give the socket to", cfg.group, cfg.path);
		return EX_OK;
	case -EADDRINUSE:
		log_event(&d->log, LEVEL_ERROR, &failed, "%s: another coap-guardd answers there", cfg.path);
		return EX_CANTCREAT;
	case -EEXIST:
		log_event(&d->log, LEVEL_ERROR, &failed, "%s: exists and is not a socket; remove it", cfg.path);
		return EX_CANTCREAT;
	default: break;
	}
	log_event(&d->log, LEVEL_ERROR, &failed, "[control] socket: cannot create %s: %s; %s", cfg.path,
		  strerror(-error),
		  error == -ENOENT || error == -ENOTDIR
			  ? "make its directory, or name another [control] socket"
			  : "let this user write its directory, or name another [control] socket");
	return error == -EACCES || error == -EPERM ? EX_NOPERM : EX_CANTCREAT;
}

static void write_page(void *arg, struct answer *out)
{
	struct daemon *d = arg;

	metrics_write(d, out, loop_now(d->loop));
}

static int open_metrics(struct daemon *d)
{
	const struct metrics_http_page page = { .write = write_page, .arg = d };

	d->metrics = metrics_http_create(loop_uv(d->loop), &page);
	if (d->metrics)
		return EX_OK;
	log_event(&d->log, LEVEL_ERROR, &failed, "out of memory");
	return EX_OSERR;
}

static int open_sessions(struct daemon *d)
{
	struct session_events events = { .received = on_received,
					 .received_all = on_received_all,
					 .unreachable = on_unreachable,
					 .failed = on_failed,
					 .arg = d };
	int error = session_create(&d->session, loop_uv(d->loop), &events);

	if (error)
		log_event(&d->log, LEVEL_ERROR, &failed, "out of memory");
	return error;
}

static int open_sockets(struct daemon *d)
{
	struct udp_events events = {
		.received = on_received, .received_all = on_received_all, .unreachable = on_unreachable, .arg = d
	};
	int error = udp_create(&d->udp, loop_uv(d->loop), &events);

	if (error) {
		log_event(&d->log, LEVEL_ERROR, &failed, "cannot open a socket towards the devices: %s",
			  strerror(-error));
		return exit_code(error);
	}
	error = open_sessions(d);
	if (error)
		return exit_code(error);
	error = prepare(d, &d->config, d->reload.text, sizeof d->reload.text);
	if (error) {
		log_event(&d->log, LEVEL_ERROR, &failed, "%s", d->reload.text);
		return exit_code(error);
	}
	udp_commit(d->udp, d->config.proxy.max_datagram);
	session_commit(d->session, &d->config);
	warn(d);
	metrics_http_commit(d->metrics, d->config.metrics_path);
	return EX_OK;
}

static int create_engine(struct daemon *d)
{
	uint8_t secret[32];

	d->entropy.rng.fill(&d->entropy.rng, secret, sizeof secret);
	d->proxy = proxy_create(&d->config.proxy, secret, &d->entropy.rng, loop_now(d->loop));
	explicit_bzero(secret, sizeof secret);
	if (d->proxy)
		return EX_OK;
	log_event(&d->log, LEVEL_ERROR, &failed, "not enough memory for the tables (%zu KiB)",
		  proxy_memory(&d->config.proxy) / 1024);
	return EX_OSERR;
}

int daemon_open(struct daemon *d)
{
	int code;

	tracer_init(&d->tracer);
	entropy_init(&d->entropy);
	systemd_open(&d->systemd);
	contexts_init(&d->contexts);
	hints_init(&d->hints);
	fleet_init(&d->fleet);
	code = open_loop(d);
	if (!code)
		code = open_control(d);
	if (!code)
		code = open_metrics(d);
	if (!code)
		code = open_sockets(d);
	if (!code)
		code = create_engine(d);
	if (!code)
		code = contexts_open(&d->contexts, d->proxy, &d->config, d->config_path, &d->log, loop_now(d->loop));
	if (code)
		return code;
	hints_open(&d->hints, d->proxy, &d->config, &d->contexts, &d->log, &wall_clock, loop_now(d->loop));
	fleet_open(&d->fleet, d->proxy, &d->config, d->config_path, &d->log, &wall_clock, loop_now(d->loop));
	watch_verdicts(d);
	d->started = loop_now(d->loop);
	d->started_wall = time(NULL);
	return EX_OK;
}

int daemon_run(struct daemon *d)
{
	static const struct event started = { .kind = EVENT_STARTED }, stopped = { .kind = EVENT_STOPPED };
	char status[DAEMON_STATUS];
	int error;

	daemon_status(d, status, sizeof status);
	log_event(&d->log, LEVEL_INFO, &started, "coap-guardd " COAP_GUARD_VERSION " started: %s", status);
	systemd_ready(&d->systemd, status);
	error = loop_run(d->loop, d->systemd.watchdog);
	systemd_stopping(&d->systemd);
	if (error) {
		log_event(&d->log, LEVEL_ERROR, &failed, "the event loop failed: %s", strerror(-error));
		return EX_OSERR;
	}
	log_event(&d->log, LEVEL_INFO, &stopped, "stopped");
	return EX_OK;
}

/* The loop's last turns let every handle close; only then its memory may go. */
void daemon_close(struct daemon *d)
{
	hints_close(&d->hints, d->loop ? loop_now(d->loop) : 0);
	log_expire(&d->log, TSTAMP_NEVER);
	tracer_stop(&d->tracer, "the daemon stopped");
	control_close(d->control);
	udp_close(d->udp);
	session_close(d->session);
	metrics_http_close(d->metrics);
	loop_free(d->loop);
	control_free(d->control);
	udp_free(d->udp);
	session_free(d->session);
	metrics_http_free(d->metrics);
	contexts_close(&d->contexts);
	proxy_free(d->proxy);
	entropy_wipe(&d->entropy);
	systemd_close(&d->systemd);
}

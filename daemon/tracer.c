#include "tracer.h"
#include "base/dgram.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

void tracer_init(struct tracer *t)
{
	memset(t, 0, sizeof *t);
	t->limit = TRACER_MAX;
	snprintf(t->state, sizeof t->state, "off");
}

void tracer_stop(struct tracer *t, const char *why)
{
	if (!t->file)
		return;
	fclose(t->file);
	t->file = NULL;
	snprintf(t->state, sizeof t->state, "off, %s stopped: %s", t->path, why);
}

static void stop_broken(struct tracer *t, int error)
{
	char why[96];

	snprintf(why, sizeof why, "cannot write: %s", strerror(error));
	tracer_stop(t, why);
}

__attribute__((format(printf, 2, 3))) static void put(struct tracer *t, const char *format, ...)
{
	va_list args;
	int n;

	if (!t->file)
		return;
	errno = 0;
	va_start(args, format);
	n = vfprintf(t->file, format, args);
	va_end(args);
	if (n < 0) {
		stop_broken(t, errno);
		return;
	}
	t->written += (uint64_t)n;
	if (t->written >= t->limit)
		tracer_stop(t, "the file is full");
}

static void put_config(struct tracer *t, const char *config)
{
	while (*config) {
		size_t len = strcspn(config, "\n");

		put(t, "conf %.*s\n", (int)len, config);
		config += len + (config[len] == '\n');
	}
}

/* O_EXCL and O_NOFOLLOW: whoever may steer the guard must not thereby write over the files of its
 * user. */
static int create(const char *path, FILE **file)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*file = fdopen(fd, "a");
	if (*file)
		return 0;
	close(fd);
	return -ENOMEM;
}

int tracer_start(struct tracer *t, const char *path, const char *config)
{
	int error;

	if (path[0] != '/' || strlen(path) >= sizeof t->path)
		return -EINVAL;
	if (t->file)
		return -EBUSY;
	error = create(path, &t->file);
	if (error)
		return error;
	snprintf(t->path, sizeof t->path, "%s", path);
	snprintf(t->state, sizeof t->state, "on, writing %s", path);
	t->written = 0;
	put_config(t, config);
	return 0;
}

void tracer_flush(struct tracer *t)
{
	if (t->file && fflush(t->file) != 0)
		stop_broken(t, errno);
}

static void put_time(struct tracer *t, tstamp now)
{
	t->now = now;
	put(t, "%llu.%09llu", now / TSTAMP_S, now % TSTAMP_S);
}

static void put_path(struct tracer *t, const char *what, const struct path *p)
{
	char local[ADDR_TEXT], remote[ADDR_TEXT];

	put(t, " %s %s %s %s", what, p->leg == LEG_CLIENT ? "client" : "device", addr_format(&p->local, local),
	    addr_format(&p->remote, remote));
}

static void put_hex(struct tracer *t, struct bytes b)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * DGRAM_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < b.len && i < DGRAM_MAX; i++) {
		hex[n++] = digits[b.ptr[i] >> 4];
		hex[n++] = digits[b.ptr[i] & 15];
	}
	hex[n] = '\0';
	put(t, " %s\n", b.ptr ? hex : "-");
}

static void put_input(struct tracer *t, const char *what, const struct path *p, struct bytes d, tstamp now)
{
	if (!t->file)
		return;
	put_time(t, now);
	put_path(t, what, p);
	put_hex(t, d);
}

void tracer_in(struct tracer *t, const struct path *from, struct bytes datagram, tstamp now)
{
	put_input(t, "in", from, datagram, now);
}

void tracer_out(struct tracer *t, const struct path *to, struct bytes datagram, tstamp now)
{
	put_input(t, "out", to, datagram, now);
}

void tracer_unreachable(struct tracer *t, const struct path *to, tstamp now)
{
	if (!t->file)
		return;
	put_time(t, now);
	put_path(t, "unreachable", to);
	put(t, "\n");
}

void tracer_context(void *arg, const char *context, const struct proxy_context_view *v)
{
	struct tracer *t = arg;

	if (!t->file)
		return;
	put_time(t, t->now);
	put(t, " context %s %llu %llu %s %s %llu:%llx:%u", context, (unsigned long long)v->state.next,
	    (unsigned long long)v->limit, v->pending ? "pending" : "used", v->state.synced ? "whole" : "lost",
	    (unsigned long long)v->state.window.next, (unsigned long long)v->state.window.seen, v->state.window.size);
	put_hex(t, bytes_of(v->challenge, sizeof v->challenge));
}

void tracer_allowed(void *arg, const char *context, uint64_t limit)
{
	struct tracer *t = arg;

	if (!t->file)
		return;
	put_time(t, t->now);
	put(t, " allowed %s %llu\n", context, (unsigned long long)limit);
}

void tracer_layer(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes)
{
	struct tracer *t = arg;

	if (!t->file)
		return;
	put_time(t, t->now);
	put(t, " layer %s %s", context, use == AEAD_SEAL ? "seal" : "open");
	put_hex(t, ok ? bytes : bytes_of(NULL, 0));
}

void tracer_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		    const char *reason, tstamp now)
{
	struct tracer *t = arg;
	char client[ADDR_TEXT];

	if (!t->file)
		return;
	put_time(t, now);
	put(t, " verdict %s %s %s %s %s\n", addr_format(&from->remote, client), server, lane, action, reason);
}

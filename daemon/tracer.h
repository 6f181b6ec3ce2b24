/*
 * tracer: every input, every output and every verdict as one line of text, so that what happened in
 * the field can be run again.
 *
 *   conf <line of the configuration>
 *   <seconds>.<nanoseconds> in client|device <local> <remote> <hex>
 *   <seconds>.<nanoseconds> out client|device <local> <remote> <hex>
 *   <seconds>.<nanoseconds> unreachable device <local> <remote>
 *   <seconds>.<nanoseconds> verdict <client> <server> <lane> <action> <reason>
 *   <seconds>.<nanoseconds> context <name> <next> <limit> <pending|used> <whole|lost> <window> <challenge>
 *   <seconds>.<nanoseconds> allowed <name> <limit>
 *   <seconds>.<nanoseconds> layer <context> seal|open <hex|->
 *
 * A trace holds no key: what the keys made of bytes is in it, so that the same can happen again without them. That is also what
 * the layers hid: whoever reads a trace reads what went through the guard's own layers.
 */
#ifndef TRACER_H
#define TRACER_H
#include "base/bytes.h"
#include "base/path.h"
#include "base/tstamp.h"
#include "proxy/proxy.h"
#include <stdio.h>

#define TRACER_MAX ((uint64_t)256 << 20) /* bytes of one file */

struct tracer {
	FILE *file;       /* NULL: off */
	uint64_t written; /* bytes */
	uint64_t limit;
	tstamp now; /* of the last line */
	char path[256];
	char state[384]; /* one line for a person: off, on, or why it stopped */
};

void tracer_init(struct tracer *t);
/*
 * Creates the file and begins; config is the whole configuration as text. 0 or -errno: -EINVAL when
 * path is not absolute, -EBUSY when a trace runs. A file that exists is never touched.
 */
int tracer_start(struct tracer *t, const char *path, const char *config);
void tracer_stop(struct tracer *t, const char *why);
void tracer_flush(struct tracer *t); /* once per turn */

static inline bool tracer_on(const struct tracer *t)
{
	return t->file != NULL;
}

/* These fit struct proxy_tap, as tracer_verdict does; their time is that of the last line. */
void tracer_context(void *arg, const char *context, const struct proxy_context_view *v);
void tracer_allowed(void *arg, const char *context, uint64_t limit);
void tracer_layer(void *arg, const char *context, enum aead_use use, bool ok, struct bytes bytes);

/* Each does nothing while the tracer is off. It stops itself when the file is full or cannot be
 * written. */
void tracer_in(struct tracer *t, const struct path *from, struct bytes datagram, tstamp now);
void tracer_out(struct tracer *t, const struct path *to, struct bytes datagram, tstamp now);
void tracer_unreachable(struct tracer *t, const struct path *to, tstamp now);
/* Fits struct proxy_tap; arg is the tracer. */
void tracer_verdict(void *arg, const struct path *from, const char *server, const char *lane, const char *action,
		    const char *reason, tstamp now);
#endif

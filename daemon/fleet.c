#include "fleet.h"
#include "proxy/proxy_fleet.h"
#include "secrets.h"
#include <string.h>

#define CREDENTIAL "echo-secret" /* under systemd it comes before the file */

/* A key of our own again, if it was not. */
static void stay_alone(struct fleet *f, tstamp now)
{
	if (f->state == FLEET_JOINED)
		proxy_fleet_leave(f->proxy, now);
	f->state = FLEET_ALONE;
	f->due = TSTAMP_NEVER;
}

static void wait_for_time(struct fleet *f, tstamp now)
{
	if (f->state != FLEET_WAITING)
		log_warn(f->log,
			 "[echo] secret-file: the clock of this machine is not set; until it is, other guards do "
			 "not take this one's Echo values");
	stay_alone(f, now);
	f->state = FLEET_WAITING;
	f->due = tstamp_add(now, FLEET_LOOK);
}

static void join(struct fleet *f, struct bytes secret, uint64_t wall, tstamp now)
{
	if (!proxy_fleet_join(f->proxy, secret, wall, now)) {
		log_error(f->log, "[echo] secret-file: the cryptographic library failed");
		stay_alone(f, now);
		return;
	}
	f->state = FLEET_JOINED;
	f->wall_then = wall;
	f->then = now;
	f->due = tstamp_add(now, FLEET_LOOK);
	f->stepped = false;
}

void fleet_enter(struct fleet *f, tstamp now)
{
	uint8_t secret[SECRETS_MAX];
	uint64_t wall = wall_now(f->wall);
	char why[512];
	size_t len;

	if (!*f->config->echo_secret_file) {
		stay_alone(f, now);
		return;
	}
	len = secrets_read(CREDENTIAL, f->config->echo_secret_file, f->config_path, secret, why, sizeof why);
	if (len == 0) {
		log_error(f->log, "[echo] secret-file: %s; Echo values are this guard's own", why);
		stay_alone(f, now);
	} else if (!wall_is_sane(wall)) {
		wait_for_time(f, now);
	} else {
		join(f, bytes_of(secret, len), wall, now);
	}
	explicit_bzero(secret, sizeof secret);
}

/* Seconds by which the clock is not where it ought to be. */
static long long step(const struct fleet *f, tstamp now)
{
	uint64_t ought = f->wall_then + tstamp_since(f->then, now), is = wall_now(f->wall);

	return is > ought ? (long long)((is - ought) / TSTAMP_S) : -(long long)((ought - is) / TSTAMP_S);
}

/* Told once. Whether the step is for the better a person has to say, or whoever sets the clock: by a reload. */
static void watch(struct fleet *f, tstamp now)
{
	long long s = step(f, now), limit = (long long)(PROXY_FLEET_SKEW / TSTAMP_S);
	bool stepped = s > limit || s < -limit;

	if (stepped && !f->stepped)
		log_warn(f->log, "the clock has stepped by %+lld s; Echo values go on by the old time until a reload",
			 s);
	f->stepped = stepped;
}

tstamp fleet_settle(struct fleet *f, tstamp now)
{
	if (!tstamp_reached(f->due, now))
		return f->due;
	f->due = tstamp_add(now, FLEET_LOOK);
	if (f->state == FLEET_JOINED)
		watch(f, now);
	else if (f->state == FLEET_WAITING && wall_is_sane(wall_now(f->wall)))
		fleet_enter(f, now);
	return f->due;
}

void fleet_init(struct fleet *f)
{
	*f = (struct fleet){ .state = FLEET_ALONE, .due = TSTAMP_NEVER };
}

void fleet_open(struct fleet *f, struct proxy *p, const struct config *c, const char *config_path, struct log *l,
		const struct wall *w, tstamp now)
{
	f->proxy = p;
	f->config = c;
	f->config_path = config_path;
	f->log = l;
	f->wall = w;
	fleet_enter(f, now);
}

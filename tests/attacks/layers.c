/* layers: attacks on the guard's own OSCORE contexts, by who holds no key of them, and by who holds one. */
#include "lab.h"
#include "scene.h"
#include "../unit/bottle.h"
#include "coap/option.h"
#include "guard/state.h"
#include <arpa/inet.h>
#include <assert.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LAMP, DOOR, HALL };

static void serve(struct bottle *b, unsigned mid)
{
	struct bottle_talk t = { .piv = 0 };
	char line[64];

	snprintf(line, sizeof line, "CON 0.01 %04x #20 Uri-Path:lamp", mid & 0xffff);
	bottle_ask(b, &t, "a", "0", line);
	ENGINE_PLAY(b->e, "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !on");
	snprintf(line, sizeof line, "ACK 2.05 %04x #20 !on", mid & 0xffff);
	bottle_hear(b, &t, "a", 1, line);
}

/* Under kid 0x20, or one that nobody has; as good as it looks, and names no server. */
static struct bytes forge(struct engine *e, uint8_t kid, uint8_t wire[24])
{
	uint64_t x = engine_random(e), y = engine_random(e);

	memcpy(wire,
	       (uint8_t[]){ 0x44, 0x02, 0, 0, 0, 0, 0, 0, 0x94, 0x0a, 0, 0, kid, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10 },
	       24);
	memcpy(wire + 2, &x, 6);
	memcpy(wire + 10, (uint8_t *)&x + 6, 2);
	memcpy(wire + 14, &y, 8);
	return bytes_of(wire, 24);
}

static void from_anywhere(struct engine *e, struct path *from)
{
	uint64_t x = engine_random(e);

	memcpy(from->remote.ip + 3, &x, 4);
	memcpy(from->remote.ip + 12, (uint8_t *)&x + 4, 4);
	from->remote.port = (uint16_t)(x >> 40 | 1024);
}

/* --- A19: the limit of failed decryptions ----------------------------------------------------------------------- */

static void keep_devices(struct engine *e, const struct engine_sent *s)
{
	if (s->to.leg == LEG_DEVICE || addr_equal(&s->to.remote, &engine_peer(e, "a")->path.remote))
		e->out[e->n_out++] = *s;
}

static void garbage(struct lab *l)
{
	struct bottle b = bottle_of(engine_careful());
	unsigned long n = lab_scaled(l, 1000000, 20000), asked = 0;
	const struct oscore_context *ours;
	struct path from = engine_path("[2001:db9:0:1::1]:1024");
	uint8_t wire[24];

	b.cfg.links[0].sched.rate.count = 10000;
	bottle_context(&b, "client", 7, PROXY_NO_SERVER);
	bottle_start(&b);
	b.e->sink = keep_devices;
	ours = oscore_store_at(b.e->proxy->contexts, 0);
	for (unsigned long i = 0; i < n; i++) {
		from_anywhere(b.e, &from);
		engine_receive(b.e, &from, forge(b.e, 0x20, wire));
		if (i % 10 == 9)
			engine_wait(b.e, TSTAMP_MS);
		if (i % 1000 == 999)
			serve(&b, (unsigned)asked++);
	}
	lab_tell(l, "forgeries under a known kid", (double)n);
	lab_at_most(l, "counted against the key", (double)ours->counters.proven_failed, (1 << 14) - 1);
	lab_tell(l, "decrypted", (double)ours->counters.failed);
	lab_at_least(l, "requests of the key's holder served, %",
		     100.0 * ((double)ours->counters.opened / (double)asked), 100);
	bottle_stop(&b);
}

/* --- A21: layers in layers in layers ---------------------------------------------------------------------------- */

static void bomb_of(struct lab *l, unsigned depth, const char *pattern)
{
	struct bottle b = bottle_of(engine_roomy());
	struct bottle_talk t = { .len = 0 };
	char layers[64] = "", text[96];
	double began, cost = 1e9;

	bottle_context(&b, "phone", 7, PROXY_NO_SERVER);
	bottle_context(&b, "tablet", 7, PROXY_NO_SERVER);
	bottle_start(&b);
	for (unsigned i = 0; i < depth; i++)
		layers[i] = pattern[i % strlen(pattern)];
	for (unsigned i = 0; i < 20; i++) {
		bottle_wrap(&b, &t, layers, NULL, "CON 0.01 0001 #20 Uri-Path:lamp");
		b.e->opens = b.e->seals = 0;
		t.wire[3] = (uint8_t)i;
		b.e->n_out = 0;
		began = lab_cpu_ns();
		bottle_send(&b, &t, "a");
		began = lab_cpu_ns() - began;
		cost = began < cost ? began : cost;
	}
	snprintf(text, sizeof text, "%u layers: AEAD operations", depth);
	lab_at_most(l, text, (double)(b.e->opens + b.e->seals), 4);
	snprintf(text, sizeof text, "%u layers: refused inside the last one taken off", depth);
	bottle_hear(&b, &t, "a", 2, "ACK 4.01 * #20");
	lab_at_least(l, text, 1, 1);
	snprintf(text, sizeof text, "%u layers: us of CPU", depth);
	lab_bare_at_most(l, text, cost / 1e3, 20);
	lab_at_most(l, "forwarded", (double)b.e->to_device, 0);
	b.e->n_out = 0;
	bottle_stop(&b);
}

static void nested(struct lab *l)
{
	bomb_of(l, 3, "0");
	bomb_of(l, 20, "0");
	bomb_of(l, 20, "01");
}

/* --- A22: which kids are there? --------------------------------------------------------------------------------- */

static void reflect_datagrams(int mirror)
{
	char byte = 0;

	for (struct sockaddr_in from;;) {
		socklen_t size = sizeof from;

		if (recvfrom(mirror, &byte, 1, 0, (struct sockaddr *)&from, &size) != 1 || byte)
			_exit(0);
		sendto(mirror, &byte, 1, 0, (struct sockaddr *)&from, size);
	}
}

static double round_trip(int client)
{
	struct timespec a, b;
	char byte = 0;

	clock_gettime(CLOCK_MONOTONIC, &a);
	assert(send(client, &byte, 1, 0) == 1 && recv(client, &byte, 1, 0) == 1);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return 1e9 * (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec);
}

/*
 * The standard deviation, ns, of a datagram's way there and back between two processes of one machine: nobody is nearer. By the quartiles,
 * since whoever measures leaves out what takes long for other reasons.
 */
static double network_jitter(unsigned long n)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof here;
	int mirror = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
	double *ns = calloc(n, sizeof *ns), quartiles[2];
	pid_t child;

	assert(ns && mirror >= 0 && client >= 0 && bind(mirror, (struct sockaddr *)&here, len) == 0);
	assert(getsockname(mirror, (struct sockaddr *)&here, &len) == 0 &&
	       connect(client, (struct sockaddr *)&here, len) == 0);
	child = fork();
	assert(child >= 0);
	if (child == 0)
		reflect_datagrams(mirror);
	for (unsigned long i = 0; i < n; i++)
		ns[i] = round_trip(client);
	assert(send(client, "\1", 1, 0) == 1);
	close(client);
	close(mirror);
	quartiles[0] = lab_percentile(ns, n, 25);
	quartiles[1] = lab_percentile(ns, n, 75);
	free(ns);
	return (quartiles[1] - quartiles[0]) / 1.349; /* of a normal distribution */
}

/* What is told apart by its reply: length and code. */
static unsigned reply_of(struct engine *e)
{
	unsigned seen = e->n_out ? 256U * e->out[0].len + e->out[0].buf[1] : 0;

	e->n_out = 0;
	return seen;
}

#define SLOW 4 /* times the median: something else came between */

/* The mean of what is not that slow. ns is put in order. */
static double mean_of(double *ns, unsigned long n)
{
	double most = SLOW * lab_percentile(ns, n, 50), sum = 0;
	unsigned long some = 0;

	while (some < n && ns[some] <= most)
		sum += ns[some++];
	return some ? sum / (double)some : 0;
}

/*
 * Unknown kid and failed tag, now one first and then the other, as fast as they are answered: which of the two gets the last try of a
 * minute must not depend on the kid. The difference has to be seen through a network, and whoever measures leaves out what takes long for
 * other reasons.
 */
static void tell_apart(struct lab *l, const char *numbers, uint64_t received, double jitter)
{
	struct bottle b = bottle_of(engine_careful());
	struct oscore_state state = bottle_fresh(0, true);
	unsigned long n = lab_scaled(l, 100000, 5000), different[2] = { 0, 0 };
	double *ns[2] = { calloc(n, sizeof **ns), calloc(n, sizeof **ns) };
	const struct path *from;
	unsigned seen[2];
	uint8_t wire[24];
	char text[96];

	assert(ns[0] && ns[1]);
	bottle_context(&b, "phone", 7, PROXY_NO_SERVER);
	bottle_start_off(&b);
	state.window.next = received;
	bottle_install(&b, 0, &state, 1 << 20);
	proxy_tap(b.e->proxy, NULL); /* a trace takes time, too */
	from = &engine_peer(b.e, "d")->path;
	for (unsigned long i = 0; i < n; i++) {
		for (unsigned turn = 0; turn < 2; turn++) {
			unsigned k = turn ^ (i & 1);
			struct bytes d = forge(b.e, k ? 0x20 : 0x77, wire);
			double began = lab_cpu_ns();

			engine_receive(b.e, from, d);
			ns[k][i] = lab_cpu_ns() - began;
			seen[k] = reply_of(b.e);
		}
		different[seen[0] > seen[1]] += seen[0] != seen[1];
		engine_wait(b.e, 100 * TSTAMP_MS);
	}
	snprintf(text, sizeof text, "%s numbers: pairs whose replies differ", numbers);
	lab_tell(l, text, (double)(different[0] + different[1]));
	lab_at_most(l, "of them more in one way than in the other", fabs((double)different[0] - (double)different[1]),
		    3 * sqrt((double)(different[0] + different[1])));
	lab_tell(l, "tags tried under the known kid",
		 (double)oscore_store_at(b.e->proxy->contexts, 0)->counters.failed);
	lab_bare_at_most(l, "difference of the means, ns, and three standard errors of it",
			 fabs(mean_of(ns[1], n) - mean_of(ns[0], n)), 3 * jitter * sqrt(2 / (double)n));
	free(ns[0]);
	free(ns[1]);
	bottle_stop(&b);
}

static void oracle(struct lab *l)
{
	double jitter = network_jitter(20000);

	lab_tell(l, "samples of either kind", (double)lab_scaled(l, 100000, 5000));
	lab_tell(l, "standard deviation of loopback, ns", jitter);
	tell_apart(l, "new", 0, jitter);
	tell_apart(l, "old", 1 << 20, jitter);
}

/* --- A29: errors that would have us throw a key away ------------------------------------------------------------ */

static void unprotected_errors(struct lab *l)
{
	static const struct {
		const char *type, *mid, *rest;
	} errors[] = {
		{ "ACK 4.01", NULL, "!Security context not found" },
		{ "ACK 4.01", NULL, "Echo=0011" },
		{ "ACK 4.00", NULL, "" },
		{ "NON 4.01", "7777", "" },
		{ "CON 4.02", "7778", "" },
	};
	struct bottle b = bottle_of(engine_roomy());
	unsigned long n = lab_scaled(l, 10000, 500), passed = 0;
	struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };
	char line[96];

	bottle_context(&b, "next", 7, LAMP);
	bottle_start(&b);
	engine_prove(b.e, "a");
	for (unsigned long i = 0; i < n; i++) {
		unsigned e = (unsigned)(i % (sizeof errors / sizeof *errors));

		snprintf(line, sizeof line, "CON 0.01 %04x #20 Uri-Path:lamp", (unsigned)i & 0xffff);
		bottle_ask(&b, &t, "a", "", line);
		bottle_get(&b, &up, "lamp", 0, "CON 0.01 * #*");
		engine_line(b.e, "lamp> %s %s #%s %s", errors[e].type, errors[e].mid ? errors[e].mid : up.mid, up.token,
			    errors[e].rest);
		passed += engine_take(b.e, "a") != NULL;
		bottle_answer(&b, &up, "lamp", "ACK 2.05 $ #$ !on");
		snprintf(line, sizeof line, "ACK 2.05 %04x #20 !on", (unsigned)i & 0xffff);
		bottle_hear(&b, &t, "a", 0, line); /* fails the scene otherwise */
		b.e->n_out = 0;
		engine_wait(b.e, TSTAMP_S);
		b.e->n_out = 0;
	}
	lab_tell(l, "unprotected errors in the next hop's name, on the way", (double)n);
	lab_at_most(l, "of them passed on, or taken for an answer", (double)passed, 0);
	lab_at_least(l, "numbers of the same key in use", (double)up.piv, (double)(n - 1));
	bottle_stop(&b);
}

const struct attack layer_attacks[] = {
	{ "A19", garbage }, { "A21", nested }, { "A22", oracle }, { "A29", unprotected_errors }, { NULL, NULL },
};

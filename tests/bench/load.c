/*
 * load: makes the bench's traffic, from spoofed loopback sources.
 *   drain  stops a process, fills its socket's queue, lets it go and reads the CPU time the queue
 * cost it ask    keeps --window requests outstanding (or sends --rate per second), prints how they
 * fared flood  --rate datagrams per second, nothing awaited
 */
#include "load.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct option options[] = {
	{ "to", required_argument, NULL, 't' },
	{ "port", required_argument, NULL, 'p' },
	{ "kind", required_argument, NULL, 'k' },
	{ "host", required_argument, NULL, 'h' },
	{ "sources", required_argument, NULL, 's' },
	{ "first", required_argument, NULL, 'f' },
	{ "tracked", no_argument, NULL, 'T' },
	{ "piv", required_argument, NULL, 'v' },
	{ "count", required_argument, NULL, 'c' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "pid", required_argument, NULL, 'P' },
	{ "window", required_argument, NULL, 'w' },
	{ "rate", required_argument, NULL, 'R' },
	{ "timeout", required_argument, NULL, 'o' },
	{ "seed", required_argument, NULL, 'S' },
	{ "each", no_argument, NULL, 'e' },
	{ NULL, 0, NULL, 0 },
};

static struct batch batch;

uint64_t load_random(struct load *l)
{
	/* xorshift64* */
	l->random ^= l->random >> 12;
	l->random ^= l->random << 25;
	l->random ^= l->random >> 27;
	return l->random * 0x2545f4914f6cdd1du;
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t load_clock(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void load_address(const struct load *l, struct batch *b, unsigned i, size_t len, uint32_t source)
{
	b->peer[i] = l->to;
	b->iov[i] = (struct iovec){ b->data[i], len };
	b->hdr[i].msg_hdr = (struct msghdr){
		.msg_name = &b->peer[i], .msg_namelen = sizeof(b->peer[i]), .msg_iov = &b->iov[i], .msg_iovlen = 1
	};
	batch_source(b, i, wire_source(source));
}

size_t load_fill(struct load *l, struct batch *b, unsigned i)
{
	uint32_t drawn = (uint32_t)((load_random(l) >> 32) * l->sources >> 32);
	uint32_t source = l->first + (l->each ? l->next++ % l->sources : drawn);
	uint64_t r = load_random(l);
	struct wire w = l->shape;
	size_t len;

	w.token = load_random(l);
	w.mid = (uint16_t)r;
	w.kid = l->tracked ? source : (uint32_t)(r >> 16 & 0xffffff);
	w.piv = l->tracked ? w.piv : (uint32_t)(r >> 40);
	len = wire_write(b->data[i], &w);
	load_address(l, b, i, len, source);
	return len;
}

static void sleep_until(uint64_t t)
{
	struct timespec at = { .tv_sec = (time_t)(t / 1000000000u), .tv_nsec = (long)(t % 1000000000u) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int flood_run(struct load *l)
{
	int fd = batch_socket(&l->local, false, 0);
	uint64_t start = load_clock(), cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID), sent = 0;

	while (sent < l->count) {
		if (l->rate)
			sleep_until(start + sent * 1000000000u / l->rate);
		batch.n = l->rate && l->rate < 10000 ? 1 : BATCH_SIZE;
		for (unsigned i = 0; i < batch.n; i++)
			load_fill(l, &batch, i);
		sent += batch_send(&batch, fd);
	}
	printf("{\"sent\": %llu, \"seconds\": %.3f, \"cpu_ns\": %llu}\n", (unsigned long long)sent,
	       (double)(load_clock() - start) / 1e9, (unsigned long long)(read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu));
	return 0;
}

static bool take(struct load *l, int c)
{
	uint32_t n = (uint32_t)strtoul(optarg ? optarg : "0", NULL, 0);

	switch (c) {
	case 't': l->to = batch_address(optarg); break;
	case 'p': l->local.sin_port = htons((uint16_t)n); break;
	case 'k': l->shape.kind = wire_kind(optarg); break;
	case 'h': l->shape.host = optarg; break;
	case 's': l->sources = n; break;
	case 'f': l->first = n; break;
	case 'T': l->tracked = true; break;
	case 'e': l->each = true; break;
	case 'v': l->shape.piv = n; break;
	case 'c': l->count = n; break;
	case 'r': l->rounds = n; break;
	case 'P': l->pid = (pid_t)n; break;
	case 'w': l->window = n; break;
	case 'R': l->rate = n; break;
	case 'o': l->timeout_ms = n; break;
	case 'S': l->random = (n + 1u) * 0x9e3779b97f4a7c15u; break;
	default: return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct load l = { .local.sin_family = AF_INET,
			  .shape.host = "dev",
			  .sources = 1,
			  .count = 1000,
			  .rounds = 1,
			  .window = 1,
			  .timeout_ms = 1000,
			  .random = 1 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take(&l, c))
			return 64;
	if (optind + 1 != argc || !l.to.sin_port || l.shape.kind == WIRE_KINDS || !l.sources ||
	    strlen(l.shape.host) > 12)
		return 64;
	if (!strcmp(argv[optind], "drain"))
		return drain_run(&l);
	if (!strcmp(argv[optind], "ask"))
		return asker_run(&l);
	return strcmp(argv[optind], "flood") ? 64 : flood_run(&l);
}

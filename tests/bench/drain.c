/* drain: what a full socket queue costs the process behind it. */
#include "load.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLY_QUEUE (64 << 20) /* bytes: replies wait here until the round is over */

struct queue {
	unsigned long waiting; /* bytes */
	unsigned long drops;   /* datagrams since the socket was opened */
};

struct round {
	uint64_t datagrams, bytes_in, replies, bytes_out, cpu_ns;
	uint64_t fill_ns; /* of ours, while filling the queue */
};

static struct batch batch;

static void add_sockets(const char *path, unsigned port, struct queue *q)
{
	FILE *f = fopen(path, "r");
	char line[256];
	unsigned p;
	unsigned long waiting, drops;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %*s %*x:%lx %*s %*s %*s %*s %*s %*s %*s %lu", &p, &waiting,
			   &drops) == 3 &&
		    p == port) {
			q->waiting += waiting;
			q->drops += drops;
		}
	if (f)
		fclose(f);
}

static struct queue look(const struct load *l)
{
	struct queue q = { 0, 0 };

	add_sockets("/proc/net/udp", ntohs(l->to.sin_port), &q);
	add_sockets("/proc/net/udp6", ntohs(l->to.sin_port), &q);
	return q;
}

static char state_of(pid_t pid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		exit(70); /* EX_SOFTWARE: the process is gone */
	fclose(f);
	return state;
}

static void rest(void)
{
	struct timespec t = { .tv_nsec = 2000000 };

	nanosleep(&t, NULL);
}

/* All threads, running or not, in ns. */
static uint64_t cpu_of(pid_t pid)
{
	struct timespec t = { 0 };
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) || clock_gettime(id, &t))
		exit(70);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void stop(pid_t pid)
{
	kill(pid, SIGSTOP);
	while (state_of(pid) != 'T')
		rest();
}

/* Until the queue is empty and the process sleeps over an idle moment. */
static void settle(const struct load *l)
{
	uint64_t before, after = cpu_of(l->pid);

	do {
		before = after;
		rest();
		after = cpu_of(l->pid);
	} while (after != before || state_of(l->pid) != 'S' || look(l).waiting);
}

static void fill(struct load *l, int fd, struct round *r)
{
	unsigned long drops = look(l).drops;
	uint64_t before = cpu_of(getpid());

	while (r->datagrams < l->count) {
		batch.n = 0;
		while (batch.n < BATCH_SIZE && r->datagrams + batch.n < l->count)
			r->bytes_in += load_fill(l, &batch, batch.n++);
		r->datagrams += batch_send(&batch, fd);
	}
	r->fill_ns = cpu_of(getpid()) - before;
	r->datagrams -= look(l).drops - drops;
}

static void collect(int fd, struct round *r)
{
	while (batch_receive(&batch, fd, false, MSG_DONTWAIT))
		for (unsigned i = 0; i < batch.n; i++, r->replies++)
			r->bytes_out += batch.iov[i].iov_len;
}

static struct round measure(struct load *l, int fd)
{
	struct round r = { 0 };
	uint64_t before;

	stop(l->pid);
	fill(l, fd, &r);
	before = cpu_of(l->pid);
	kill(l->pid, SIGCONT);
	settle(l);
	r.cpu_ns = cpu_of(l->pid) - before;
	collect(fd, &r);
	return r;
}

int drain_run(struct load *l)
{
	int fd = batch_socket(&l->local, false, REPLY_QUEUE);
	double *filled = calloc(l->rounds + 1, sizeof(*filled));
	struct round all = { 0 };

	if (!filled)
		return 71; /* EX_OSERR */
	printf("{\"ns\": [");
	for (uint32_t i = 0; i < l->rounds; i++) {
		struct round r = measure(l, fd);

		printf("%s%.2f", i ? ", " : "", r.datagrams ? (double)r.cpu_ns / (double)r.datagrams : 0);
		filled[i] = (double)r.fill_ns / (double)l->count;
		all.datagrams += r.datagrams;
		all.bytes_in += r.bytes_in;
		all.replies += r.replies;
		all.bytes_out += r.bytes_out;
		all.cpu_ns += r.cpu_ns;
	}
	printf("], \"fill_ns\": [");
	for (uint32_t i = 0; i < l->rounds; i++)
		printf("%s%.2f", i ? ", " : "", filled[i]);
	free(filled);
	printf("], \"datagrams\": %llu, \"bytes_in\": %llu, \"replies\": %llu, \"bytes_out\": "
	       "%llu}\n",
	       (unsigned long long)all.datagrams, (unsigned long long)all.bytes_in, (unsigned long long)all.replies,
	       (unsigned long long)all.bytes_out);
	return 0;
}

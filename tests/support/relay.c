/*
 * relay: a link between guard and device for tests: loses, delays and slows datagrams, and counts
 * what reaches the device, and how large it is. Endpoints on the guard's side get a socket each, so that the device sees
 * them apart.
 *
 * Each line read from standard input prints one line of JSON with the counts so far; a number on it
 * is what is lost from then on, in percent; end of input stops it. Forged OSCORE requests are known by their marker (marker.h), forged plain ones by a
 * string that they contain.
 */
#include "marker.h"
#include "tool.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS    64
#define RING     1024
#define DATAGRAM 1500
#define OVERHEAD 48 /* IPv6 and UDP headers, for the rate */
#define TIMES    64

enum { UP, DOWN }; /* to the device, to the guard */

struct packet {
	double due;
	unsigned peer;
	size_t len;
	uint8_t data[DATAGRAM];
};

struct ring {
	struct packet *packets;
	unsigned head, count;
};

struct peer {
	int fd;
	struct sockaddr_storage addr;
	socklen_t len;
};

struct counts {
	uint64_t datagrams[2], bytes[2], lost, overflow;
	uint64_t largest, largest_payload; /* bytes of CoAP, and of payload, that anybody tried to send */
	uint64_t forged_oscore, forged_plain, kids[256];
	double times[TIMES]; /* of forged datagrams with the watched kid */
	unsigned n_times;
};

struct relay {
	int fd;
	struct sockaddr_storage device;
	socklen_t device_len;
	double loss, delay, rate, free_at, start;
	unsigned queue, n_peers;
	int kid;
	const char *mark;
	uint64_t rng;
	struct peer peers[PEERS];
	struct ring rings[2];
	struct counts counts;
};

static _Noreturn void usage(void)
{
	fputs("usage: relay -l ADDRESS -p PORT -d DEVICE -P PORT [-L LOSS%] [-D DELAY-MS] [-r "
	      "BIT/S] [-q QUEUE]\n"
	      "             [-m STRING-IN-FORGED-PLAIN] [-k KID-WATCHED] [-S SEED]\n",
	      stderr);
	exit(64);
}

static double draw(struct relay *r) /* xorshift64*, 0 to 1 */
{
	r->rng ^= r->rng >> 12;
	r->rng ^= r->rng << 25;
	r->rng ^= r->rng >> 27;
	return (double)(r->rng * 0x2545f4914f6cdd1du >> 11) / 9007199254740992.0;
}

static socklen_t parse_address(const char *text, const char *port, struct sockaddr_storage *out)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
		memcpy(out, &in4, sizeof(in4));
		return sizeof(in4);
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	usage();
}

/* Meter */

static size_t extended(const uint8_t **p, const uint8_t *end, size_t nibble)
{
	size_t v = nibble;

	if (nibble == 13 && *p < end)
		v = 13u + *(*p)++;
	else if (nibble == 14 && end - *p >= 2) {
		v = 269u + (size_t)((*p)[0] << 8 | (*p)[1]);
		*p += 2;
	}
	return v;
}

/* The kid of a one-byte-kid OSCORE request, or -1; *payload is left where the payload starts. */
static int find_kid(const uint8_t *d, size_t len, const uint8_t **payload)
{
	const uint8_t *end = d + len, *p = d + 4 + (d[0] & 15);
	size_t number = 0, n;
	int kid = -1;

	while (p < end && *p != 0xff) {
		uint8_t head = *p++;

		number += extended(&p, end, head >> 4);
		n = extended(&p, end, head & 15);
		if (n > (size_t)(end - p))
			return -1;
		if (number == 9 && n >= 2 && (p[0] & 0x18) == 0x08 && n == 2u + (p[0] & 7))
			kid = p[n - 1];
		p += n;
	}
	*payload = p < end ? p + 1 : end;
	return kid;
}

static void count_forged(struct relay *r, const uint8_t *d, size_t len, double now)
{
	struct counts *c = &r->counts;
	const uint8_t *payload = d + len;
	int kid = len > 4 && (d[0] & 15) <= 8 ? find_kid(d, len, &payload) : -1;

	if (kid >= 0 && marker_found(payload, (size_t)(d + len - payload))) {
		c->forged_oscore++;
		c->kids[kid]++;
		if (kid == r->kid && c->n_times < TIMES)
			c->times[c->n_times++] = now - r->start;
	} else if (r->mark && memmem(d, len, r->mark, strlen(r->mark))) {
		c->forged_plain++;
	}
}

static void count_size(struct counts *c, const uint8_t *d, size_t len)
{
	const uint8_t *payload = d + len;

	if (len > 4 && (d[0] & 15) <= 8)
		find_kid(d, len, &payload);
	if (len > c->largest)
		c->largest = len;
	if ((size_t)(d + len - payload) > c->largest_payload)
		c->largest_payload = (size_t)(d + len - payload);
}

static void report(const struct relay *r)
{
	const struct counts *c = &r->counts;
	const char *separator = "";

	printf("{\"to_device\": %llu, \"to_device_bytes\": %llu, \"to_guard\": %llu, "
	       "\"to_guard_bytes\": %llu, \"largest\": %llu, \"largest_payload\": %llu, "
	       "\"lost\": %llu, \"overflow\": %llu, \"forged_oscore\": %llu, \"forged_plain\": "
	       "%llu, \"kids\": {",
	       (unsigned long long)c->datagrams[UP], (unsigned long long)c->bytes[UP],
	       (unsigned long long)c->datagrams[DOWN], (unsigned long long)c->bytes[DOWN],
	       (unsigned long long)c->largest, (unsigned long long)c->largest_payload, (unsigned long long)c->lost,
	       (unsigned long long)c->overflow, (unsigned long long)c->forged_oscore,
	       (unsigned long long)c->forged_plain);
	for (unsigned k = 0; k < 256; k++) {
		if (!c->kids[k])
			continue;
		printf("%s\"%u\": %llu", separator, k, (unsigned long long)c->kids[k]);
		separator = ", ";
	}
	printf("}, \"watched\": [");
	for (unsigned i = 0; i < c->n_times; i++)
		printf("%s%.3f", i ? ", " : "", c->times[i]);
	puts("]}");
	fflush(stdout);
}

/* Link */

static void deliver(struct relay *r, int way, const struct packet *k, double now)
{
	const struct peer *peer = &r->peers[k->peer];

	r->counts.datagrams[way]++;
	r->counts.bytes[way] += k->len;
	if (way == UP) {
		count_forged(r, k->data, k->len, now);
		send(peer->fd, k->data, k->len, MSG_DONTWAIT);
	} else {
		sendto(r->fd, k->data, k->len, MSG_DONTWAIT, (const struct sockaddr *)&peer->addr, peer->len);
	}
}

/* Half duplex: both ways share the air, each has its own queue with tail drop. */
static void accept_packet(struct relay *r, int way, unsigned peer, const uint8_t *data, size_t len, double now)
{
	struct ring *q = &r->rings[way];
	struct packet *k = &q->packets[(q->head + q->count) % RING];

	count_size(&r->counts, data, len);
	if (r->loss > 0 && draw(r) * 100 < r->loss) {
		r->counts.lost++;
		return;
	}
	if (q->count == (r->queue < RING ? r->queue : RING)) {
		r->counts.overflow++;
		return;
	}
	*k = (struct packet){ .peer = peer, .len = len, .due = now };
	memcpy(k->data, data, len);
	if (r->rate > 0) {
		r->free_at = (r->free_at > now ? r->free_at : now) + (double)(len + OVERHEAD) * 8 / r->rate;
		k->due = r->free_at;
	}
	k->due += r->delay;
	if (k->due <= now)
		deliver(r, way, k, now);
	else
		q->count++;
}

static double release_due(struct relay *r, double now)
{
	double next = now + 1;

	for (int way = UP; way <= DOWN; way++) {
		struct ring *q = &r->rings[way];

		while (q->count && q->packets[q->head].due <= now) {
			deliver(r, way, &q->packets[q->head], now);
			q->head = (q->head + 1) % RING;
			q->count--;
		}
		if (q->count && q->packets[q->head].due < next)
			next = q->packets[q->head].due;
	}
	return next;
}

static unsigned peer_of(struct relay *r, const struct sockaddr_storage *addr, socklen_t len)
{
	struct peer *p;

	for (unsigned i = 0; i < r->n_peers; i++)
		if (r->peers[i].len == len && !memcmp(&r->peers[i].addr, addr, len))
			return i;
	if (r->n_peers == PEERS)
		return PEERS - 1;
	p = &r->peers[r->n_peers];
	p->addr = *addr;
	p->len = len;
	p->fd = socket(r->device.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&r->device, r->device_len))
		die("device");
	return r->n_peers++;
}

static void receive(struct relay *r, int way, int fd, unsigned peer, double now)
{
	uint8_t data[DATAGRAM];

	for (unsigned i = 0; i < 64; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return; /* also ECONNREFUSED: the device is away */
		if (way == UP)
			peer = peer_of(r, &from, from_len);
		accept_packet(r, way, peer, data, (size_t)n, now);
	}
}

static bool serve_input(struct relay *r)
{
	char line[64] = "";
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (line[0] >= '0' && line[0] <= '9')
		r->loss = atof(line);
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			report(r);
	return n > 0;
}

static void run(struct relay *r)
{
	struct pollfd pfds[PEERS + 2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = r->fd, .events = POLLIN } };
	double now = seconds_now(), next;

	for (;;) {
		next = release_due(r, now);
		for (unsigned i = 0; i < r->n_peers; i++)
			pfds[i + 2] = (struct pollfd){ .fd = r->peers[i].fd, .events = POLLIN };
		struct timespec wait = { 0, (long)((next - now) * 1e9) };

		if (next - now >= 1)
			wait = (struct timespec){ 1, 0 };
		ppoll(pfds, r->n_peers + 2, &wait, NULL);
		now = seconds_now();
		if (pfds[0].revents && !serve_input(r))
			return;
		for (unsigned i = 0, n = r->n_peers; i < n; i++)
			if (pfds[i + 2].revents)
				receive(r, DOWN, r->peers[i].fd, i, now);
		if (pfds[1].revents)
			receive(r, UP, r->fd, 0, now);
	}
}

struct arguments {
	const char *listen, *port, *device, *device_port;
};

static void parse_arguments(struct relay *r, struct arguments *a, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "l:p:d:P:L:D:r:q:m:k:S:")) != -1) {
		switch (c) {
		case 'l': a->listen = optarg; break;
		case 'p': a->port = optarg; break;
		case 'd': a->device = optarg; break;
		case 'P': a->device_port = optarg; break;
		case 'L': r->loss = atof(optarg); break;
		case 'D': r->delay = atof(optarg) / 1000; break;
		case 'r': r->rate = atof(optarg); break;
		case 'q': r->queue = (unsigned)atoi(optarg); break;
		case 'm': r->mark = optarg; break;
		case 'k': r->kid = atoi(optarg); break;
		case 'S': r->rng = (uint64_t)atoll(optarg) | 1; break;
		default: usage();
		}
	}
	if (!a->port || !a->device_port)
		usage();
}

int main(int argc, char **argv)
{
	struct relay r = { .queue = RING, .kid = -1, .rng = 88172645463325252u, .start = seconds_now() };
	struct arguments a = { .listen = "127.0.0.1", .device = "127.0.0.1" };
	struct sockaddr_storage here;
	socklen_t len;
	int size = 4 << 20;

	parse_arguments(&r, &a, argc, argv);
	len = parse_address(a.listen, a.port, &here);
	r.device_len = parse_address(a.device, a.device_port, &r.device);
	r.rings[UP].packets = calloc(RING, sizeof(struct packet));
	r.rings[DOWN].packets = calloc(RING, sizeof(struct packet));
	r.fd = socket(here.ss_family, SOCK_DGRAM, 0);
	if (!r.rings[UP].packets || !r.rings[DOWN].packets || r.fd < 0 ||
	    bind(r.fd, (const struct sockaddr *)&here, len))
		die("listen");
	setsockopt(r.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	report(&r);
	run(&r);
	return 0;
}

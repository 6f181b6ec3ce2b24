/*
 * flood: a bounded flooder for tests. Sends a mix of garbage, valid GETs and OSCORE-looking
 * requests to one target, from many source addresses of a local prefix (chosen per datagram by
 * PKTINFO), or, as "victim", from somebody else's address and port (raw socket, as root). Counts
 * what comes back, per source, in whole IP frames. Stops itself.
 *
 * Prints one line of JSON. IPv6 prefixes must be local: ip -6 route add local fd00:aaaa::/32 dev lo
 */
#include "forge.h"
#include "rawip.h"
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

#define BATCH       64
#define MAX_RATE    200000
#define MAX_SECONDS 600
#define MAX_SOURCES 1000000
#define LATE_REPLY  0.5 /* seconds to listen on after the last datagram */

struct source {
	uint64_t key;            /* the first 8 bytes of an IPv6 address; an IPv4 address */
	uint64_t sent, received; /* bytes in whole frames */
};

struct totals {
	uint64_t sent, sent_bytes, replies, reply_bytes, unsent;
	size_t largest; /* CoAP bytes of one reply */
	double worst;   /* bytes received by a source per byte sent by it, at any moment */
	uint64_t codes[256];
};

struct flood {
	int family, fd;
	struct sockaddr_storage target, victim;
	socklen_t target_len;
	bool spoof;
	double rate, seconds;
	uint16_t port;
	uint64_t prefix;
	unsigned prefix_bits;
	struct forge forge;
	uint32_t n_sources, index_mask;
	struct source *sources;
	uint32_t *index; /* open addressing; place in sources plus 1 */
	struct totals totals;
};

static _Noreturn void usage(void)
{
	fputs("usage: flood -t ADDRESS -P PORT [-r RATE] [-s SECONDS] [-n SOURCES] [-p "
	      "PREFIX/BITS] [-l SOURCE-PORT]\n"
	      "             [-g PATH[?QUERY]] [-o OUTER-PATH] [-k KINDS] [-S SEED] [-V VICTIM -L "
	      "VICTIM-PORT]\n"
	      "KINDS: any of g (garbage), v (valid GET), o (OSCORE-looking), drawn with equal "
	      "chance; default gvo\n",
	      stderr);
	exit(64);
}

/* Addresses */

static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

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

static uint64_t load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t key_of4(struct in_addr a)
{
	return ntohl(a.s_addr);
}

static struct in6_addr address6(uint64_t key)
{
	struct in6_addr a = { 0 };

	for (size_t i = 0; i < 8; i++)
		a.s6_addr[i] = (uint8_t)(key >> (56 - 8 * i));
	a.s6_addr[15] = 1;
	return a;
}

static void parse_prefix(struct flood *f, char *text)
{
	char *slash = strchr(text, '/');
	struct sockaddr_storage a;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (!slash)
		usage();
	*slash = '\0';
	f->prefix_bits = (unsigned)atoi(slash + 1);
	parse_address(text, 0, &a);
	memcpy(&in4, &a, sizeof(in4));
	memcpy(&in6, &a, sizeof(in6));
	if (a.ss_family != f->family || f->prefix_bits < 8 || f->prefix_bits > (f->family == AF_INET ? 32 : 64))
		usage();
	f->prefix = f->family == AF_INET ? key_of4(in4.sin_addr) : load(in6.sin6_addr.s6_addr, 8);
}

/* Sources */

static uint32_t *slot_of(const struct flood *f, uint64_t key)
{
	uint32_t i = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 40) & f->index_mask;

	while (f->index[i] && f->sources[f->index[i] - 1].key != key)
		i = (i + 1) & f->index_mask;
	return &f->index[i];
}

/* Broadcast-like addresses and the first /16, where the true clients of the tests live, are left
 * out. */
static bool usable(const struct flood *f, uint64_t key)
{
	if (f->family == AF_INET6)
		return true;
	return (key & 0xff) != 0 && (key & 0xff) != 0xff && (key >> 16 & 0xff) != 0;
}

static void make_sources(struct flood *f)
{
	unsigned bits = (f->family == AF_INET ? 32 : 64) - f->prefix_bits;
	uint64_t host = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
	uint32_t size = 1024;

	while (size < 2 * f->n_sources)
		size *= 2;
	f->index_mask = size - 1;
	f->index = calloc(size, sizeof(*f->index));
	f->sources = calloc(f->n_sources, sizeof(*f->sources));
	if (!f->index || !f->sources || host < 8 * (uint64_t)f->n_sources)
		usage();
	for (uint32_t n = 0; n < f->n_sources;) {
		uint64_t key = (f->prefix & ~host) | (forge_draw(&f->forge) & host);
		uint32_t *slot = slot_of(f, key);

		if (*slot || !usable(f, key))
			continue;
		f->sources[n].key = key;
		*slot = ++n;
	}
}

/* Datagrams with a chosen source address */

static size_t frame(const struct flood *f, size_t payload)
{
	return payload + (f->family == AF_INET ? 28 : 48);
}

static void set_source(const struct flood *f, struct msghdr *h, void *control, uint64_t key)
{
	struct cmsghdr *c;

	h->msg_control = control;
	h->msg_controllen =
		f->family == AF_INET ? CMSG_SPACE(sizeof(struct in_pktinfo)) : CMSG_SPACE(sizeof(struct in6_pktinfo));
	c = CMSG_FIRSTHDR(h);
	if (f->family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl((uint32_t)key) };

		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_addr = address6(key) };

		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

static void send_batch(struct flood *f, unsigned n)
{
	static _Alignas(struct cmsghdr) uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	static uint8_t text[BATCH][FORGE_MESSAGE];
	struct source *from[BATCH];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int sent;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < n; i++) {
		from[i] = &f->sources[forge_draw(&f->forge) % f->n_sources];
		iov[i] = (struct iovec){ text[i], forge_message(&f->forge, text[i]) };
		m[i].msg_hdr = (struct msghdr){
			.msg_name = &f->target, .msg_namelen = f->target_len, .msg_iov = &iov[i], .msg_iovlen = 1
		};
		set_source(f, &m[i].msg_hdr, control[i], from[i]->key);
	}
	sent = sendmmsg(f->fd, m, n, 0);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED)
		die("sendmmsg");
	for (int i = 0; i < sent; i++) {
		size_t bytes = frame(f, iov[i].iov_len);

		from[i]->sent += bytes;
		f->totals.sent++;
		f->totals.sent_bytes += bytes;
	}
	f->totals.unsent += n - (unsigned)(sent > 0 ? sent : 0);
}

static uint64_t destination(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		struct in_pktinfo four;
		struct in6_pktinfo six;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			return key_of4(four.ipi_addr);
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			return load(six.ipi6_addr.s6_addr, 8);
		}
	}
	return 0;
}

static void count_reply(struct flood *f, uint64_t to, const uint8_t *reply, size_t len)
{
	struct totals *t = &f->totals;
	uint32_t place = *slot_of(f, to);
	double ratio;

	t->replies++;
	t->reply_bytes += frame(f, len);
	t->codes[len > 1 ? reply[1] : 0]++;
	if (len > t->largest)
		t->largest = len;
	if (!place)
		return;
	f->sources[place - 1].received += frame(f, len);
	ratio = (double)f->sources[place - 1].received /
		(double)(f->sources[place - 1].sent ? f->sources[place - 1].sent : 1);
	if (ratio > t->worst)
		t->worst = ratio;
}

static void receive_replies(struct flood *f)
{
	static _Alignas(struct cmsghdr) uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	static uint8_t text[BATCH][2048];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	do {
		memset(m, 0, sizeof(m));
		for (unsigned i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ text[i], sizeof(text[i]) };
			m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
							.msg_iovlen = 1,
							.msg_control = control[i],
							.msg_controllen = sizeof(control[i]) };
		}
		n = recvmmsg(f->fd, m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			count_reply(f, destination(&m[i].msg_hdr), text[i], m[i].msg_len);
	} while (n == BATCH);
}

static void open_socket(struct flood *f)
{
	int on = 1, size = 8 << 20;
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(f->port) };
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(f->port) };
	bool v4 = f->family == AF_INET;

	f->fd = socket(f->family, SOCK_DGRAM, 0);
	if (f->fd < 0)
		die("socket");
	setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (v4 && setsockopt(f->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)))
		die("IP_PKTINFO");
	if (!v4 && (setsockopt(f->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ||
		    setsockopt(f->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on))))
		die("IPV6_FREEBIND");
	if (v4 ? bind(f->fd, (const struct sockaddr *)&any4, sizeof(any4))
	       : bind(f->fd, (const struct sockaddr *)&any6, sizeof(any6)))
		die("bind");
}

/* Somebody else's address and port */

static size_t wrap(const struct flood *f, uint8_t *packet, size_t n)
{
	struct sockaddr_in from4, to4;
	struct sockaddr_in6 from6, to6;

	if (f->family == AF_INET) {
		memcpy(&from4, &f->victim, sizeof(from4));
		memcpy(&to4, &f->target, sizeof(to4));
		return rawip_wrap4(packet, &from4, &to4, n);
	}
	memcpy(&from6, &f->victim, sizeof(from6));
	memcpy(&to6, &f->target, sizeof(to6));
	return rawip_wrap6(packet, &from6, &to6, n);
}

/* A raw socket's address bears no port. */
static struct sockaddr_storage host_of(const struct sockaddr_storage *target)
{
	struct sockaddr_storage to = *target;
	struct sockaddr_in6 in6;

	if (to.ss_family == AF_INET6) {
		memcpy(&in6, &to, sizeof(in6));
		in6.sin6_port = 0;
		memcpy(&to, &in6, sizeof(in6));
	}
	return to;
}

static void send_spoofed(struct flood *f)
{
	uint8_t packet[48 + FORGE_MESSAGE];
	struct sockaddr_storage to = host_of(&f->target);
	size_t n;

	n = wrap(f, packet, forge_message(&f->forge, packet + frame(f, 0)));
	if (sendto(f->fd, packet, n, 0, (const struct sockaddr *)&to, f->target_len) < 0) {
		f->totals.unsent++;
		return;
	}
	f->totals.sent++;
	f->totals.sent_bytes += n;
}

static void open_raw(struct flood *f)
{
	f->fd = socket(f->family, SOCK_RAW, IPPROTO_RAW); /* implies that we bring the IP header */
	if (f->fd < 0)
		die("raw socket");
}

/* The run */

static void run(struct flood *f)
{
	double start = seconds_now(), now = start;
	uint64_t tried = 0;

	while (now - start < f->seconds) {
		uint64_t due = (uint64_t)((now - start) * f->rate);
		unsigned n = due - tried < BATCH ? (unsigned)(due - tried) : BATCH;

		if (f->spoof)
			for (unsigned i = 0; i < n; i++)
				send_spoofed(f);
		else if (n)
			send_batch(f, n);
		tried += n;
		if (!f->spoof)
			receive_replies(f);
		if (n < BATCH / 4)
			usleep(500);
		now = seconds_now();
	}
	f->seconds = now - start;
	for (double end = now + LATE_REPLY; !f->spoof && now < end; now = seconds_now()) {
		struct pollfd pfd = { .fd = f->fd, .events = POLLIN };

		if (poll(&pfd, 1, 100) > 0)
			receive_replies(f);
	}
}

static void report(const struct flood *f)
{
	const struct totals *t = &f->totals;
	const char *separator = "";

	printf("{\"sent\": %llu, \"sent_bytes\": %llu, \"unsent\": %llu, \"seconds\": %.3f, "
	       "\"sources\": %u, "
	       "\"replies\": %llu, \"reply_bytes\": %llu, \"largest_reply\": %zu, \"worst_ratio\": "
	       "%.3f, \"codes\": {",
	       (unsigned long long)t->sent, (unsigned long long)t->sent_bytes, (unsigned long long)t->unsent,
	       f->seconds, f->n_sources, (unsigned long long)t->replies, (unsigned long long)t->reply_bytes, t->largest,
	       t->worst);
	for (unsigned c = 0; c < 256; c++) {
		if (!t->codes[c])
			continue;
		printf("%s\"%u.%02u\": %llu", separator, c >> 5, c & 31, (unsigned long long)t->codes[c]);
		separator = ", ";
	}
	printf("}}\n");
}

struct arguments {
	const char *target, *victim;
	uint16_t port, victim_port;
	char *prefix;
};

static void parse_arguments(struct flood *f, struct arguments *a, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "t:P:r:s:n:p:l:g:o:k:S:V:L:")) != -1) {
		switch (c) {
		case 't': a->target = optarg; break;
		case 'P': a->port = (uint16_t)atoi(optarg); break;
		case 'r': f->rate = atof(optarg); break;
		case 's': f->seconds = atof(optarg); break;
		case 'n': f->n_sources = (uint32_t)atoi(optarg); break;
		case 'p': a->prefix = optarg; break;
		case 'l': f->port = (uint16_t)atoi(optarg); break;
		case 'g': f->forge.path = optarg; break;
		case 'o': f->forge.outer = optarg; break;
		case 'k': f->forge.kinds = optarg; break;
		case 'S': f->forge.rng = (uint64_t)atoll(optarg); break;
		case 'V': a->victim = optarg; break;
		case 'L': a->victim_port = (uint16_t)atoi(optarg); break;
		default: usage();
		}
	}
	if (!a->target || !forge_fits(&f->forge) || f->rate < 1 || f->rate > MAX_RATE || f->seconds > MAX_SECONDS ||
	    f->n_sources < 1 || f->n_sources > MAX_SOURCES)
		usage();
}

int main(int argc, char **argv)
{
	struct flood f = { .rate = 1000,
			   .seconds = 1,
			   .n_sources = 1000,
			   .port = 40000,
			   .forge = { .path = "hello", .kinds = "gvo", .rng = 1 } };
	char loopback[] = "127.0.0.0/8";
	struct arguments a = { .port = 5683, .prefix = loopback };

	parse_arguments(&f, &a, argc, argv);
	f.target_len = parse_address(a.target, a.port, &f.target);
	f.family = f.target.ss_family;
	f.spoof = f.forge.sweep = a.victim != NULL;
	if (f.spoof) {
		parse_address(a.victim, a.victim_port, &f.victim);
		f.n_sources = 1;
		open_raw(&f);
	} else {
		parse_prefix(&f, a.prefix);
		make_sources(&f);
		open_socket(&f);
	}
	run(&f);
	report(&f);
	return 0;
}

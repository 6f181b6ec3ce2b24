/*
 * radio: the constrained link between guard and device, in user space and real time. Two TUN interfaces, one in each network namespace;
 * between them IEEE 802.15.4 (O-QPSK, 250 kbit/s, unslotted CSMA/CA, half duplex) with 6LoWPAN, or a flat bit rate. Counts what the device's
 * radio spends, and what of it an attacker made.
 *
 * The air has a clock of its own: a late wake-up delays delivery, not the air. One line of JSON for each line on stdin.
 * Times and sizes: docs/experiment/README.md, "The link".
 */
#include "edhoc.h"
#include "../support/marker.h"
#include "../support/tool.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BYTE_US     32  /* 250 kbit/s */
#define PHY_BYTES   6   /* SHR and PHR */
#define MAC_BYTES   23  /* MHR, MIC, FCS */
#define FRAME_ROOM  104 /* bytes of payload */
#define COMPRESSED  27  /* IPv6 and UDP, 48 bytes, after RFC 6282 with one address inline */
#define HEADERS     48
#define FIRST_ROOM  100 /* of a fragmented datagram's first frame, behind FRAG1 (RFC 4944 §5.3) */
#define NEXT_ROOM   96  /* of the others, behind FRAGN: a multiple of 8 */
#define BACKOFF_US  320
#define CCA_US      128
#define TURN_US     192
#define ACK_US      352
#define ACK_WAIT_US 864
#define LIFS_US     640
#define SIFS_US     192
#define SHORT_MPDU  18
#define MIN_BE      3
#define MAX_BE      5
#define MAX_BUSY    4 /* macMaxCSMABackoffs */
#define RETRIES     3
#define LABEL       0xabcde /* flow label of attack packets; a guard writes packets of its own */
#define QUEUE_MAX   64
#define PACKET      1500

enum way { UP, DOWN }; /* to the device, from the device */

struct packet {
	size_t len;
	uint64_t came; /* µs */
	uint8_t data[PACKET];
};

struct side {
	int fd; /* where its packets come from */
	struct packet queue[QUEUE_MAX];
	unsigned head, count, room;
	unsigned be, busy, tries; /* of the frame under way */
	uint64_t cca_at;          /* when it listens for a free air; UINT64_MAX: nothing to send */
	uint64_t ready;           /* not before: the space between frames */
	size_t done;              /* bytes of the head's compressed form that are over */
};

struct counts {
	uint64_t offered[2], dropped[2], datagrams[2], bytes[2], frames[2], lost[2], abandoned[2];
	uint64_t collisions, busy_us;
	uint64_t device_rx_us, device_tx_us, device_frames; /* frames that the device received, intact or not */
	uint64_t attack_offered, attack_datagrams, attack_bytes, attack_us, kid_datagrams;
	uint64_t late_max_us, other;
};

struct radio {
	struct side sides[2];
	double fer;
	uint64_t flat; /* bit/s, or 0: 802.15.4 */
	int kid;       /* of an attacker whose requests are valid, or -1 */
	uint64_t rng, free_at, start;
	bool delivering;
	uint64_t deliver_at;
	enum way deliver_way;
	struct counts counts;
};

static _Noreturn void usage(void)
{
	fputs("usage: radio -g GUARD-NETNS -d DEVICE-NETNS [-f FER%] [-r FLAT-BIT/S] [-u QUEUE-UP] [-w QUEUE-DOWN] [-k "
	      "ATTACKER-KID] [-S SEED]\n",
	      stderr);
	exit(64);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t draw(struct radio *r) /* splitmix64 */
{
	uint64_t z = r->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool chance(struct radio *r, double p)
{
	return (double)(draw(r) >> 11) / 9007199254740992.0 < p;
}

/* Meter */

static size_t extended(const uint8_t **p, const uint8_t *end, size_t nibble)
{
	size_t v = nibble;

	if (nibble == 13 && *p < end) {
		v = 13u + *(*p)++;
	} else if (nibble == 14 && end - *p >= 2) {
		v = 269u + (size_t)((*p)[0] << 8 | (*p)[1]);
		*p += 2;
	}
	return v;
}

/* Where the payload starts; *kid: of an OSCORE request with a kid of one byte, else -1. */
static const uint8_t *payload_of(const uint8_t *d, size_t len, int *kid)
{
	const uint8_t *end = d + len, *p = d + 4 + (d[0] & 15);
	size_t number = 0, n;

	*kid = -1;
	while (p < end && *p != 0xff) {
		uint8_t head = *p++;

		number += extended(&p, end, head >> 4);
		n = extended(&p, end, head & 15);
		if (p > end || n > (size_t)(end - p))
			return end;
		if (number == 9 && n >= 2 && (p[0] & 0x18) == 0x08 && n == 2u + (p[0] & 7))
			*kid = p[n - 1];
		p += n;
	}
	return p < end ? p + 1 : end;
}

/* What forgers mark, a guard cannot see: a checksum in what should be ciphertext or a public key. */
static bool is_forged(const uint8_t *payload, size_t len)
{
	if (len == EDHOC_MESSAGE_1 && payload[0] == EDHOC_TRUE)
		return marker_found(payload + EDHOC_KEY_AT, MARKER_PAYLOAD);
	return marker_found(payload, len);
}

static bool is_attack(struct radio *r, const struct packet *k, bool count)
{
	uint32_t label = (uint32_t)(k->data[1] & 15) << 16 | (uint32_t)k->data[2] << 8 | k->data[3];
	const uint8_t *d = k->data + HEADERS, *payload;
	size_t len = k->len - HEADERS;
	bool forged;
	int kid;

	if (k->data[6] != 17 || k->len < HEADERS + 4u || (d[0] & 15) > 8)
		return label == LABEL;
	payload = payload_of(d, len, &kid);
	forged = label == LABEL || is_forged(payload, (size_t)(d + len - payload));
	if (!forged && kid >= 0 && kid == r->kid) {
		r->counts.kid_datagrams += count;
		forged = true;
	}
	return forged;
}

static void report(const struct radio *r)
{
	const struct counts *c = &r->counts;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "at_us", now_us() - r->start },
		{ "offered", c->offered[UP] },
		{ "dropped", c->dropped[UP] },
		{ "datagrams", c->datagrams[UP] },
		{ "bytes", c->bytes[UP] },
		{ "frames_up", c->frames[UP] },
		{ "lost_up", c->lost[UP] },
		{ "abandoned_up", c->abandoned[UP] },
		{ "answers_offered", c->offered[DOWN] },
		{ "answers_dropped", c->dropped[DOWN] },
		{ "answers", c->datagrams[DOWN] },
		{ "answer_bytes", c->bytes[DOWN] },
		{ "frames_down", c->frames[DOWN] },
		{ "abandoned_down", c->abandoned[DOWN] },
		{ "collisions", c->collisions },
		{ "busy_us", c->busy_us },
		{ "device_rx_us", c->device_rx_us },
		{ "device_tx_us", c->device_tx_us },
		{ "device_frames", c->device_frames },
		{ "attack_offered", c->attack_offered },
		{ "attack_datagrams", c->attack_datagrams },
		{ "attack_bytes", c->attack_bytes },
		{ "attack_us", c->attack_us },
		{ "kid_datagrams", c->kid_datagrams },
		{ "other", c->other },
		{ "late_max_us", c->late_max_us },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		printf("%s\"%s\": %llu", i ? ", " : "{", rows[i].name, (unsigned long long)rows[i].value);
	puts("}");
	fflush(stdout);
}

/* Queues */

static struct packet *head_of(struct side *s)
{
	return &s->queue[s->head];
}

/* 802.15.4 */

static size_t compressed(const struct packet *k)
{
	return k->len < HEADERS ? k->len : k->len - HEADERS + COMPRESSED;
}

/* Bytes of the datagram that the next frame carries, and of its payload. */
static size_t next_frame(const struct side *s, size_t *payload)
{
	size_t all = compressed(&s->queue[s->head]), left = all - s->done, n;

	if (all <= FRAME_ROOM) {
		*payload = all;
		return all;
	}
	n = s->done == 0 ? FIRST_ROOM : NEXT_ROOM;
	n = left < n ? left : n;
	*payload = n + (s->done == 0 ? 4 : 5);
	return n;
}

static uint64_t air_us(size_t payload)
{
	return (PHY_BYTES + MAC_BYTES + payload) * BYTE_US;
}

/* From `at` on this side draws when to listen for a free air; never when it has nothing to send. */
static void arm(struct radio *r, enum way way, uint64_t at)
{
	struct side *s = &r->sides[way];

	if (!s->count) {
		s->cca_at = UINT64_MAX;
		return;
	}
	at = at > s->ready ? at : s->ready;
	s->be = MIN_BE;
	s->busy = 0;
	s->cca_at = at + draw(r) % (1u << s->be) * BACKOFF_US;
}

static void drop_head(struct side *s)
{
	s->head = (s->head + 1) % QUEUE_MAX;
	s->count--;
	s->tries = 0;
	s->done = 0;
}

static void spend(struct radio *r, enum way way, uint64_t air, bool answered)
{
	if (way == UP) {
		r->counts.device_rx_us += air;
		r->counts.device_frames++;
		r->counts.device_tx_us += answered ? ACK_US : 0u;
	} else {
		r->counts.device_tx_us += air;
		r->counts.device_rx_us += answered ? ACK_US : ACK_WAIT_US;
	}
}

/* One more try for the frame, or none left: the datagram is lost. */
static void fail(struct radio *r, enum way way, uint64_t at)
{
	struct side *s = &r->sides[way];

	r->counts.lost[way]++;
	if (++s->tries > RETRIES) {
		r->counts.abandoned[way]++;
		drop_head(s);
	}
	arm(r, way, at);
}

static void charge_attack(struct radio *r, enum way way, uint64_t us)
{
	if (way == UP && is_attack(r, head_of(&r->sides[UP]), false))
		r->counts.attack_us += us;
}

/* A frame without a collision. */
static void transmit(struct radio *r, enum way way, uint64_t at)
{
	struct side *s = &r->sides[way];
	size_t payload, n = next_frame(s, &payload);
	uint64_t air = air_us(payload), arrives = at + CCA_US + TURN_US + air;
	bool intact = !chance(r, r->fer);

	r->counts.frames[way]++;
	charge_attack(r, way, air);
	spend(r, way, air, intact);
	r->free_at = arrives + (intact ? TURN_US + ACK_US : ACK_WAIT_US);
	if (!intact) {
		fail(r, way, r->free_at);
		return;
	}
	s->done += n;
	s->tries = 0;
	s->ready = r->free_at + (MAC_BYTES + payload <= SHORT_MPDU ? SIFS_US : LIFS_US);
	if (s->done < compressed(head_of(s))) {
		arm(r, way, s->ready);
		return;
	}
	s->cca_at = UINT64_MAX;
	r->delivering = true;
	r->deliver_at = arrives;
	r->deliver_way = way;
}

/* Both found the air free within one turnaround. */
static void collide(struct radio *r, uint64_t at)
{
	uint64_t longest = 0;

	r->counts.collisions++;
	for (enum way way = UP; way <= DOWN; way++) {
		size_t payload;
		uint64_t air;

		next_frame(&r->sides[way], &payload);
		air = air_us(payload);
		longest = air > longest ? air : longest;
		r->counts.frames[way]++;
		charge_attack(r, way, air);
		if (way == DOWN)
			spend(r, way, air, false);
	}
	r->free_at = at + CCA_US + TURN_US + longest + ACK_WAIT_US;
	for (enum way way = UP; way <= DOWN; way++)
		fail(r, way, r->free_at);
}

/* Whose backoff is over listens: a free air is taken, a busy one means another, longer backoff. */
static void listen_first(struct radio *r, enum way way)
{
	struct side *s = &r->sides[way], *other = &r->sides[!way];
	uint64_t at = s->cca_at;

	if (way == DOWN)
		r->counts.device_rx_us += CCA_US;
	if (at < r->free_at) {
		s->be += s->be < MAX_BE;
		s->cca_at = at + (1 + draw(r) % (1u << s->be)) * BACKOFF_US;
		if (++s->busy > MAX_BUSY)
			fail(r, way, at);
		return;
	}
	if (other->cca_at < at + CCA_US + TURN_US)
		collide(r, at);
	else
		transmit(r, way, at);
	r->counts.busy_us += r->free_at - at;
}

/* A link of nothing but a bit rate, shared by both ways: for its times. */
static void flat(struct radio *r, enum way way)
{
	uint64_t at = r->sides[way].cca_at, us = head_of(&r->sides[way])->len * 8 * 1000000 / r->flat;

	at = at > r->free_at ? at : r->free_at;
	r->counts.frames[way]++;
	charge_attack(r, way, us);
	spend(r, way, us, true);
	r->counts.busy_us += us;
	r->sides[way].cca_at = UINT64_MAX;
	r->free_at = r->deliver_at = at + us;
	r->delivering = true;
	r->deliver_way = way;
}

/* The run */

static void take_packet(struct radio *r, enum way way, const uint8_t *data, size_t len, uint64_t now)
{
	struct side *s = &r->sides[way];
	struct packet *k = &s->queue[(s->head + s->count) % QUEUE_MAX];

	if (len < 40 || data[0] >> 4 != 6 || data[24] == 0xff) { /* multicast of the stack itself */
		r->counts.other++;
		return;
	}
	r->counts.offered[way]++;
	if (s->count == s->room) {
		r->counts.dropped[way]++;
		return;
	}
	k->len = len;
	k->came = now;
	memcpy(k->data, data, len);
	if (s->count++ == 0)
		arm(r, way, now);
	r->counts.attack_offered += way == UP && is_attack(r, k, false);
}

static void deliver(struct radio *r, uint64_t now)
{
	enum way way = r->deliver_way;
	struct packet *k = head_of(&r->sides[way]);
	struct counts *c = &r->counts;

	if (now - r->deliver_at > c->late_max_us)
		c->late_max_us = now - r->deliver_at;
	c->datagrams[way]++;
	c->bytes[way] += k->len;
	if (way == UP && is_attack(r, k, true)) {
		c->attack_datagrams++;
		c->attack_bytes += k->len;
	}
	if (write(r->sides[!way].fd, k->data, k->len) < 0 && errno != EAGAIN && errno != EIO && errno != EINVAL)
		die("write");
	r->delivering = false;
	drop_head(&r->sides[way]);
	arm(r, way,
	    r->sides[way].ready > head_of(&r->sides[way])->came ? r->sides[way].ready : head_of(&r->sides[way])->came);
}

/* All that happened until now; returns when it must go on. */
static uint64_t advance(struct radio *r, uint64_t now)
{
	for (;;) {
		struct side *s = r->sides;
		enum way way = s[UP].cca_at <= s[DOWN].cca_at ? UP : DOWN;
		uint64_t next =
			r->delivering && (r->flat || r->deliver_at <= s[way].cca_at) ? r->deliver_at : s[way].cca_at;

		if (next > now)
			return next;
		if (next == r->deliver_at && r->delivering)
			deliver(r, now);
		else if (r->flat)
			flat(r, way);
		else
			listen_first(r, way);
	}
}

static void receive(struct radio *r, enum way way, uint64_t now)
{
	uint8_t data[PACKET];
	ssize_t n;

	while ((n = read(r->sides[way].fd, data, sizeof data)) > 0)
		take_packet(r, way, data, (size_t)n, now);
}

static void run(struct radio *r)
{
	struct pollfd pfds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				 { .fd = r->sides[UP].fd, .events = POLLIN },
				 { .fd = r->sides[DOWN].fd, .events = POLLIN } };
	char line[64];

	for (;;) {
		uint64_t now = now_us(), next = advance(r, now), left = next - now > 1000000 ? 1000000 : next - now;
		struct timespec wait = { (time_t)(left / 1000000), (long)(left % 1000000) * 1000 };

		ppoll(pfds, 3, &wait, NULL);
		now = now_us();
		for (enum way way = UP; way <= DOWN; way++)
			if (pfds[1 + way].revents)
				receive(r, way, now);
		if (!pfds[0].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof line) <= 0)
			return;
		report(r);
	}
}

static int open_tun(const char *netns)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(netns);
	close(ns);
	strcpy(ifr.ifr_name, "air0");
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("/dev/net/tun");
	return fd;
}

static unsigned queue_room(const char *text)
{
	int n = atoi(text);

	if (n < 1 || n > QUEUE_MAX)
		usage();
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	static struct radio r = { .fer = 0.05,
				  .kid = -1,
				  .rng = 1,
				  .sides = { { .room = 16, .cca_at = UINT64_MAX },
					     { .room = 8, .cca_at = UINT64_MAX } } };
	const char *guard = NULL, *device = NULL;
	struct sched_param urgent = { .sched_priority = 1 };
	int c;

	while ((c = getopt(argc, argv, "g:d:f:r:u:w:k:S:")) != -1) {
		switch (c) {
		case 'g': guard = optarg; break;
		case 'd': device = optarg; break;
		case 'f': r.fer = atof(optarg) / 100; break;
		case 'r': r.flat = (uint64_t)atoll(optarg); break;
		case 'u': r.sides[UP].room = queue_room(optarg); break;
		case 'w': r.sides[DOWN].room = queue_room(optarg); break;
		case 'k': r.kid = atoi(optarg); break;
		case 'S': r.rng = (uint64_t)atoll(optarg); break;
		default: usage();
		}
	}
	if (!guard || !device)
		usage();
	r.sides[UP].fd = open_tun(guard);
	r.sides[DOWN].fd = open_tun(device);
	sched_setscheduler(0, SCHED_FIFO, &urgent); /* of its own accord the machine may wake us late */
	r.start = now_us();
	report(&r);
	run(&r);
	return 0;
}

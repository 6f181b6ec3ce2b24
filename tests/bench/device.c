/*
 * device: the cheapest CoAP server that every party of the bench is content with. A request is
 * answered at once (CON: piggybacked): 2.04 with an empty OSCORE option if it bears one, else 2.05.
 * With --rate it takes only so many requests per second, one by one, from a short queue, as a
 * constrained device does.
 */
#include "batch.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_OF_A_SMALL_DEVICE 8192 /* bytes of socket buffer: about ten datagrams */

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "rate", required_argument, NULL, 'r' },
	{ "rcvbuf", required_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static struct batch batch;

/* True if option 9 is there. Options come in order, so the walk ends soon. */
static bool has_oscore(const uint8_t *p, const uint8_t *end)
{
	unsigned number = 0;

	while (p < end && *p != 0xff && number < 9) {
		unsigned delta = *p >> 4, len = *p & 15;

		if (delta > 12 || len > 12) /* nothing the bench sends before option 9 */
			return false;
		number += delta;
		p += 1 + len;
	}
	return number == 9;
}

/* Turns a request into its response in place. False: nothing to say. */
static bool respond(uint8_t *m, size_t *len)
{
	static const uint8_t oscore[] = { 0x90, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	static const uint8_t plain[] = { 0xff, '2', '1', '.', '5' };
	size_t tkl = m[0] & 15, head = 4 + tkl;
	unsigned type = m[0] >> 4 & 3;
	bool protected;

	if (*len < head || tkl > 8 || type > 1 || m[1] == 0 || m[1] >= 0x20)
		return false;
	protected = has_oscore(m + head, m + *len);
	m[0] = (uint8_t)(0x40 | (type == 0 ? 0x20 : 0x10) | tkl);
	m[1] = protected ? 0x44 : 0x45;
	memcpy(m + head, protected ? oscore : plain, protected ? sizeof(oscore) : sizeof(plain));
	*len = head + (protected ? sizeof(oscore) : sizeof(plain));
	return true;
}

static void serve(int fd)
{
	struct batch *b = &batch;
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct mmsghdr hdr = b->hdr[i];

		if (!respond(b->data[i], &b->iov[i].iov_len))
			continue;
		b->hdr[n++] = hdr;
	}
	b->n = n;
	batch_send(b, fd);
}

/* One request, then a rest. */
static void serve_slowly(int fd, long rest_ns)
{
	static struct mmsghdr one;
	struct timespec rest = { .tv_nsec = rest_ns };

	batch.iov[0] = (struct iovec){ batch.data[0], BATCH_DATAGRAM };
	one.msg_hdr = (struct msghdr){ .msg_name = &batch.peer[0],
				       .msg_namelen = sizeof(batch.peer[0]),
				       .msg_iov = &batch.iov[0],
				       .msg_iovlen = 1 };
	if (recvmmsg(fd, &one, 1, 0, NULL) != 1)
		return;
	batch.iov[0].iov_len = one.msg_len;
	batch.hdr[0] = one;
	batch.n = 1;
	serve(fd);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
}

int main(int argc, char **argv)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	int c, fd, rcvbuf = 0, rate = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': local = batch_address(optarg); break;
		case 'r': rate = atoi(optarg); break;
		case 'b': rcvbuf = atoi(optarg); break;
		default: return 64;
		}
	}
	fd = batch_socket(&local, false, rate ? QUEUE_OF_A_SMALL_DEVICE : rcvbuf);
	for (;;) {
		if (rate)
			serve_slowly(fd, 1000000000L / rate);
		else if (batch_receive(&batch, fd, false, MSG_WAITFORONE))
			serve(fd);
	}
}

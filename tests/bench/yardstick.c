/*
 * yardstick: the least a CoAP proxy can do, on libuv as the guard is: each request goes to one device
 * under a Message ID and a token of its own, each response goes back under the client's own. A fixed
 * table, no judgement, no timer, no retransmission. The measure for a forwarded request and for added
 * latency.
 */
#include "batch.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SLOTS 65536 /* one per Message ID */
#define TKL   8

struct slot {
	struct sockaddr_in client;
	struct in_addr local;
	uint8_t head[4 + TKL]; /* as the client sent it */
};

struct yardstick {
	int front, back;
	uv_poll_t front_poll, back_poll;
	struct slot slots[SLOTS];
	uint16_t next;
	struct batch in, out;
	struct iovec parts[BATCH_SIZE][2];
	uint8_t heads[BATCH_SIZE][4 + TKL];
};

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "device", required_argument, NULL, 'd' },
	{ "rcvbuf", required_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

/* Datagram n of y->out: the first `head` bytes of y->heads[n], then what follows the header of
 * datagram i of y->in. */
static struct msghdr *rewrite(struct yardstick *y, unsigned n, size_t head, unsigned i)
{
	size_t skip = 4 + (size_t)(y->in.data[i][0] & 15);

	y->parts[n][0] = (struct iovec){ y->heads[n], head };
	y->parts[n][1] = (struct iovec){ y->in.data[i] + skip, y->in.iov[i].iov_len - skip };
	y->out.hdr[n].msg_hdr = (struct msghdr){ .msg_iov = y->parts[n], .msg_iovlen = 2 };
	return &y->out.hdr[n].msg_hdr;
}

static bool is_sound(const struct yardstick *y, unsigned i)
{
	size_t tkl = y->in.data[i][0] & 15;

	return tkl <= TKL && y->in.iov[i].iov_len >= 4 + tkl && y->in.data[i][0] >> 6 == 1;
}

static void request(struct yardstick *y, unsigned i)
{
	const uint8_t *m = y->in.data[i];
	uint16_t mid = y->next++;
	struct slot *s = &y->slots[mid];
	uint8_t *head = y->heads[y->out.n];

	s->client = y->in.peer[i];
	s->local = batch_local(&y->in, i);
	memcpy(s->head, m, 4 + (size_t)(m[0] & 15));
	head[0] = (uint8_t)((m[0] & 0xf0) | TKL);
	head[1] = m[1];
	memcpy(head + 2, &mid, 2);
	memset(head + 4, 0x5a, TKL);
	memcpy(head + 4, &mid, 2);
	rewrite(y, y->out.n++, 4 + TKL, i);
}

static void response(struct yardstick *y, unsigned i)
{
	const uint8_t *m = y->in.data[i];
	uint8_t *head = y->heads[y->out.n];
	struct slot *s;
	struct msghdr *h;
	uint16_t mid;
	size_t len;

	if ((m[0] & 15) != TKL)
		return;
	memcpy(&mid, m + 4, 2);
	s = &y->slots[mid];
	len = 4 + (size_t)(s->head[0] & 15);
	memcpy(head, s->head, len);
	head[0] = (uint8_t)((m[0] & 0xf0) | (s->head[0] & 15));
	head[1] = m[1];
	h = rewrite(y, y->out.n, len, i);
	h->msg_name = &s->client;
	h->msg_namelen = sizeof(s->client);
	batch_source(&y->out, y->out.n++, s->local);
}

static void on_front(uv_poll_t *h, int status, int events)
{
	struct yardstick *y = h->data;

	if (status < 0 || !(events & UV_READABLE))
		return;
	while (batch_receive(&y->in, y->front, true, MSG_DONTWAIT)) {
		y->out.n = 0;
		for (unsigned i = 0; i < y->in.n; i++)
			if (is_sound(y, i))
				request(y, i);
		batch_send(&y->out, y->back);
		if (y->in.n < BATCH_SIZE)
			return;
	}
}

static void on_back(uv_poll_t *h, int status, int events)
{
	struct yardstick *y = h->data;

	if (status < 0 || !(events & UV_READABLE))
		return;
	while (batch_receive(&y->in, y->back, false, MSG_DONTWAIT)) {
		y->out.n = 0;
		for (unsigned i = 0; i < y->in.n; i++)
			if (is_sound(y, i))
				response(y, i);
		batch_send(&y->out, y->front);
		if (y->in.n < BATCH_SIZE)
			return;
	}
}

static int run(struct yardstick *y, uv_loop_t *loop)
{
	y->front_poll.data = y->back_poll.data = y;
	if (uv_poll_init(loop, &y->front_poll, y->front) || uv_poll_init(loop, &y->back_poll, y->back) ||
	    uv_poll_start(&y->front_poll, UV_READABLE, on_front) || uv_poll_start(&y->back_poll, UV_READABLE, on_back))
		return 71;
	return uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
	struct sockaddr_in local = { .sin_family = AF_INET }, any = local, device = local;
	struct yardstick *y = calloc(1, sizeof(*y));
	int c, rcvbuf = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': local = batch_address(optarg); break;
		case 'd': device = batch_address(optarg); break;
		case 'b': rcvbuf = atoi(optarg); break;
		default: return 64;
		}
	}
	if (!y)
		return 71;
	y->front = batch_socket(&local, true, rcvbuf);
	y->back = batch_socket(&any, false, rcvbuf);
	if (connect(y->back, (const struct sockaddr *)&device, sizeof(device)))
		return 71;
	return run(y, uv_default_loop());
}

/*
 * relay: the least a CoAP proxy can do, on libuv as the guard is: each request goes to one device
 * under a Message ID and a token of the relay's, each response goes back under the client's own. A
 * fixed table, no judgement, no timer, no retransmission. The yardstick for a forwarded request and
 * for added latency.
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

struct relay {
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

/* Datagram n of r->out: the first `head` bytes of r->heads[n], then what follows the header of
 * datagram i of r->in. */
static struct msghdr *rewrite(struct relay *r, unsigned n, size_t head, unsigned i)
{
	size_t skip = 4 + (size_t)(r->in.data[i][0] & 15);

	r->parts[n][0] = (struct iovec){ r->heads[n], head };
	r->parts[n][1] = (struct iovec){ r->in.data[i] + skip, r->in.iov[i].iov_len - skip };
	r->out.hdr[n].msg_hdr = (struct msghdr){ .msg_iov = r->parts[n], .msg_iovlen = 2 };
	return &r->out.hdr[n].msg_hdr;
}

static bool is_sound(const struct relay *r, unsigned i)
{
	size_t tkl = r->in.data[i][0] & 15;

	return tkl <= TKL && r->in.iov[i].iov_len >= 4 + tkl && r->in.data[i][0] >> 6 == 1;
}

static void request(struct relay *r, unsigned i)
{
	const uint8_t *m = r->in.data[i];
	uint16_t mid = r->next++;
	struct slot *s = &r->slots[mid];
	uint8_t *head = r->heads[r->out.n];

	s->client = r->in.peer[i];
	s->local = batch_local(&r->in, i);
	memcpy(s->head, m, 4 + (size_t)(m[0] & 15));
	head[0] = (uint8_t)((m[0] & 0xf0) | TKL);
	head[1] = m[1];
	memcpy(head + 2, &mid, 2);
	memset(head + 4, 0x5a, TKL);
	memcpy(head + 4, &mid, 2);
	rewrite(r, r->out.n++, 4 + TKL, i);
}

static void response(struct relay *r, unsigned i)
{
	const uint8_t *m = r->in.data[i];
	uint8_t *head = r->heads[r->out.n];
	struct slot *s;
	struct msghdr *h;
	uint16_t mid;
	size_t len;

	if ((m[0] & 15) != TKL)
		return;
	memcpy(&mid, m + 4, 2);
	s = &r->slots[mid];
	len = 4 + (size_t)(s->head[0] & 15);
	memcpy(head, s->head, len);
	head[0] = (uint8_t)((m[0] & 0xf0) | (s->head[0] & 15));
	head[1] = m[1];
	h = rewrite(r, r->out.n, len, i);
	h->msg_name = &s->client;
	h->msg_namelen = sizeof(s->client);
	batch_source(&r->out, r->out.n++, s->local);
}

static void on_front(uv_poll_t *h, int status, int events)
{
	struct relay *r = h->data;

	if (status < 0 || !(events & UV_READABLE))
		return;
	while (batch_receive(&r->in, r->front, true, MSG_DONTWAIT)) {
		r->out.n = 0;
		for (unsigned i = 0; i < r->in.n; i++)
			if (is_sound(r, i))
				request(r, i);
		batch_send(&r->out, r->back);
		if (r->in.n < BATCH_SIZE)
			return;
	}
}

static void on_back(uv_poll_t *h, int status, int events)
{
	struct relay *r = h->data;

	if (status < 0 || !(events & UV_READABLE))
		return;
	while (batch_receive(&r->in, r->back, false, MSG_DONTWAIT)) {
		r->out.n = 0;
		for (unsigned i = 0; i < r->in.n; i++)
			if (is_sound(r, i))
				response(r, i);
		batch_send(&r->out, r->front);
		if (r->in.n < BATCH_SIZE)
			return;
	}
}

static int run(struct relay *r, uv_loop_t *loop)
{
	r->front_poll.data = r->back_poll.data = r;
	if (uv_poll_init(loop, &r->front_poll, r->front) ||
	    uv_poll_init(loop, &r->back_poll, r->back) ||
	    uv_poll_start(&r->front_poll, UV_READABLE, on_front) ||
	    uv_poll_start(&r->back_poll, UV_READABLE, on_back))
		return 71;
	return uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
	struct sockaddr_in local = { .sin_family = AF_INET }, any = local, device = local;
	struct relay *r = calloc(1, sizeof(*r));
	int c, rcvbuf = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': local = batch_address(optarg); break;
		case 'd': device = batch_address(optarg); break;
		case 'b': rcvbuf = atoi(optarg); break;
		default: return 64;
		}
	}
	if (!r)
		return 71;
	r->front = batch_socket(&local, true, rcvbuf);
	r->back = batch_socket(&any, false, rcvbuf);
	if (connect(r->back, (const struct sockaddr *)&device, sizeof(device)))
		return 71;
	return run(r, uv_default_loop());
}

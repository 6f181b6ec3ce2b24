/*
 * bare: the least a UDP server can do: recvmmsg of 64 and, if asked, one sendmmsg of N-byte
 * replies. The yardstick for what the guard spends on a datagram it refuses.
 */
#include "batch.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "reply", required_argument, NULL, 'r' },
	{ "pktinfo", no_argument, NULL, 'p' },
	{ "rcvbuf", required_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static struct batch batch;

static void reply(int fd, size_t len)
{
	for (unsigned i = 0; i < batch.n; i++)
		batch.iov[i] = (struct iovec){ batch.data[i], len };
	batch_send(&batch, fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	size_t len = 0;
	bool pktinfo = false;
	int c, fd, rcvbuf = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': local = batch_address(optarg); break;
		case 'r': len = (size_t)atoi(optarg); break;
		case 'p': pktinfo = true; break;
		case 'b': rcvbuf = atoi(optarg); break;
		default: return 64;
		}
	}
	if (len > BATCH_DATAGRAM)
		return 64;
	fd = batch_socket(&local, pktinfo, rcvbuf);
	for (;;)
		if (batch_receive(&batch, fd, pktinfo, MSG_WAITFORONE) && len)
			reply(fd, len);
}

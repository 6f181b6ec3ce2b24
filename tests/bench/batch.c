#include "batch.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(71); /* EX_OSERR */
}

struct sockaddr_in batch_address(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	size_t len = colon ? (size_t)(colon - text) : sizeof(host);

	if (len < sizeof(host)) {
		memcpy(host, text, len);
		host[len] = 0;
		a.sin_port = htons((uint16_t)atoi(colon + 1));
		if (inet_pton(AF_INET, host, &a.sin_addr) == 1)
			return a;
	}
	fprintf(stderr, "%s: expected IPV4:PORT\n", text);
	exit(64); /* EX_USAGE */
}

int batch_socket(const struct sockaddr_in *local, bool pktinfo, int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		fail("socket");
	if (pktinfo && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)))
		fail("IP_PKTINFO");
	/* Force needs root; without it the system's limit (net.core.rmem_max) rules. */
	if (rcvbuf && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)))
		fail("SO_RCVBUF");
	if (bind(fd, (const struct sockaddr *)local, sizeof(*local)))
		fail("bind");
	return fd;
}

static void prepare(struct batch *b, unsigned i, bool pktinfo)
{
	b->iov[i] = (struct iovec){ b->data[i], BATCH_DATAGRAM };
	b->hdr[i].msg_hdr = (struct msghdr){
		.msg_name = &b->peer[i],
		.msg_namelen = sizeof(b->peer[i]),
		.msg_iov = &b->iov[i],
		.msg_iovlen = 1,
		.msg_control = pktinfo ? b->control[i].bytes : NULL,
		.msg_controllen = pktinfo ? sizeof(b->control[i].bytes) : 0,
	};
}

unsigned batch_receive(struct batch *b, int fd, bool pktinfo, int flags)
{
	int n;

	for (unsigned i = 0; i < BATCH_SIZE; i++)
		prepare(b, i, pktinfo);
	n = recvmmsg(fd, b->hdr, BATCH_SIZE, flags, NULL);
	b->n = n > 0 ? (unsigned)n : 0;
	for (unsigned i = 0; i < b->n; i++)
		b->iov[i].iov_len = b->hdr[i].msg_len;
	return b->n;
}

unsigned batch_send(struct batch *b, int fd)
{
	unsigned done = 0, sent = 0;

	while (done < b->n) {
		int n = sendmmsg(fd, b->hdr + done, b->n - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		sent += n > 0 ? (unsigned)n : 0;
		done += n > 0 ? (unsigned)n : 1;
	}
	return sent;
}

void batch_source(struct batch *b, unsigned i, struct in_addr source)
{
	struct msghdr *m = &b->hdr[i].msg_hdr;
	struct in_pktinfo info = { .ipi_spec_dst = source };
	struct cmsghdr *c;

	m->msg_control = b->control[i].bytes;
	m->msg_controllen = sizeof(b->control[i].bytes);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

struct in_addr batch_local(struct batch *b, unsigned i)
{
	struct msghdr *m = &b->hdr[i].msg_hdr;
	struct in_pktinfo info = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&info, CMSG_DATA(c), sizeof(info));
	return info.ipi_addr;
}

/* batch: up to 64 UDP datagrams (IPv4) that travel in one recvmmsg or sendmmsg, each with its own
 * local address. */
#ifndef BATCH_H
#define BATCH_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define BATCH_SIZE     64
#define BATCH_DATAGRAM 512

struct batch {
	struct mmsghdr hdr[BATCH_SIZE];
	struct iovec iov[BATCH_SIZE];
	struct sockaddr_in peer[BATCH_SIZE];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control[BATCH_SIZE];
	uint8_t data[BATCH_SIZE][BATCH_DATAGRAM];
	unsigned n;
};

/* "127.0.0.1:5683"; exits on anything else. */
struct sockaddr_in batch_address(const char *text);
/* A bound socket with local addresses reported (IP_PKTINFO) if asked for; rcvbuf 0: the system's.
 * Exits on failure. */
int batch_socket(const struct sockaddr_in *local, bool pktinfo, int rcvbuf);
/* Fills b with what waits. flags as of recvmmsg. Returns b->n, 0 when nothing waits. */
unsigned batch_receive(struct batch *b, int fd, bool pktinfo, int flags);
/* Sends the b->n datagrams; what the socket refuses is skipped. Returns how many went. */
unsigned batch_send(struct batch *b, int fd);
/* Sends datagram i from `source`. */
void batch_source(struct batch *b, unsigned i, struct in_addr source);
/* Where datagram i was sent to; INADDR_ANY without IP_PKTINFO. */
struct in_addr batch_local(struct batch *b, unsigned i);
#endif

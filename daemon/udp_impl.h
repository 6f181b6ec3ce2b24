/* udp_impl: what udp.c (datagrams) and udp_places.c (sockets) share; for nobody else. */
#ifndef UDP_IMPL_H
#define UDP_IMPL_H
#include "udp.h"
#include "base/dgram.h"
#include "sockaddr.h"
#include <uv.h>

#define UDP_BATCH   64
#define UDP_SOCKETS (2 * UDP_PLACES + 2) /* during a change the old and the new places, and the device leg */

enum socket_state { SOCKET_FREE, SOCKET_OPEN, SOCKET_CLOSING };

struct socket {
	uv_poll_t poll;
	struct udp *udp;
	enum socket_state state;
	int fd, family;
	enum leg leg;
	struct udp_place place;
	bool fresh, wanted; /* during a change of places */
	uint32_t lost;      /* as SO_RXQ_OVFL said last */
	unsigned waiting;   /* datagrams of the batch that leave here */
};

/* One datagram with all that recvmmsg and sendmmsg want. */
struct parcel {
	struct sockaddr_storage name;
	struct iovec iov;
	struct socket *from; /* it leaves here */
	_Alignas(struct cmsghdr) uint8_t control[SOCKADDR_CONTROL];
	uint8_t data[DGRAM_MAX];
};

struct udp {
	uv_loop_t *loop;
	struct udp_events events;
	struct udp_counters counters;
	size_t max_datagram;
	struct socket sockets[UDP_SOCKETS];
	struct socket *device[2]; /* IPv6, IPv4 */
	unsigned outgoing;
	struct mmsghdr in_headers[UDP_BATCH], out_headers[UDP_BATCH], sorted[UDP_BATCH];
	struct parcel in[UDP_BATCH], out[UDP_BATCH];
};

void udp_readable(uv_poll_t *poll, int status, int events); /* the uv_poll_cb of every socket */
#endif

/* udp_impl: what udp.c (datagrams) and udp_places.c (sockets) share; for nobody else. */
#ifndef UDP_IMPL_H
#define UDP_IMPL_H
#include "udp.h"
#include "base/dgram.h"
#include "proxy/proxy.h"
#include "sockaddr.h"

#define UDP_BATCH   64
#define UDP_SOCKETS (2 * UDP_PLACES + 2 * CHANNELS) /* during a change the old and the new places; the device leg */

enum socket_state { SOCKET_FREE, SOCKET_OPEN, SOCKET_CLOSING };

struct socket {
	struct udp *udp;
	enum socket_state state;
	int fd, family;
	enum leg leg;
	struct udp_place place;
	bool everywhere;    /* a listener at every address: each datagram tells its own */
	bool fresh, wanted; /* during a change of places */
	uint32_t lost;      /* as the kernel said last */
	unsigned waiting;   /* datagrams of the batch that leave here */
};

/* One datagram with all that recvmmsg and sendmmsg want. */
struct parcel {
	struct iovec iov;
	struct socket *from; /* it leaves here */
	struct sockaddr_storage name;
	_Alignas(struct cmsghdr) uint8_t control[SOCKADDR_CONTROL];
	uint8_t data[DGRAM_MAX];
};

struct udp {
	struct uv_loop_s *loop;
	struct udp_events events;
	struct udp_counters counters;
	struct socket sockets[UDP_SOCKETS];
	struct uv_poll_s *polls;            /* one for each socket, at the same place */
	struct socket *device[CHANNELS][2]; /* IPv6, IPv4 */
	unsigned outgoing;
	struct mmsghdr in_headers[UDP_BATCH], out_headers[UDP_BATCH], sorted[UDP_BATCH];
	struct parcel in[UDP_BATCH], out[UDP_BATCH];
	struct proxy_input inputs[UDP_BATCH];
};

/* udp.c's: the only file of the three that knows the event loop. */
int udp_watch(struct socket *s);                    /* 0 or -errno; then the socket is open */
void udp_unwatch(struct socket *s);                 /* and closes it */
void udp_read(struct socket *s);                    /* what waits in it, within bounds */
void udp_limit(struct udp *u, size_t max_datagram); /* what is longer is cut off, and so not taken */

/* udp_places.c's */
int udp_open_device_legs(struct udp *u); /* 0 or -errno */
#endif

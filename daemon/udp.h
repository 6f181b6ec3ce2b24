/*
 * udp: the sockets. Datagrams come in by recvmmsg and leave by sendmmsg, each with the local
 * address it came to or leaves from. Inside this door IPv4 is IPv4; outside it is ::ffff:a.b.c.d.
 */
#ifndef UDP_H
#define UDP_H
#include "base/bytes.h"
#include "base/path.h"
#include <net/if.h>

struct udp;
struct proxy_input;
struct uv_loop_s;

#define UDP_PLACES 16

/* Where clients are listened to. */
struct udp_place {
	struct addr bind;
	char interface[IFNAMSIZ]; /* empty: any */
};

/* Called while a socket is read. The bytes are gone after the call. */
struct udp_events {
	/* Once for each batch: what came together, in order. */
	void (*received)(void *arg, const struct proxy_input *in, unsigned n);
	void (*received_all)(void *arg); /* after some batches */
	/* ICMP, or our own host, says that to->remote cannot be reached; device leg only. */
	void (*unreachable)(void *arg, const struct path *to);
	void *arg;
};

struct udp_counters {
	uint64_t received;
	uint64_t truncated;  /* longer than max_datagram; not counted as received */
	uint64_t for_many;   /* for a group or everybody; not looked at */
	uint64_t overflowed; /* lost in the kernel's queue before we could read them */
	uint64_t sent;
	uint64_t unsent; /* given up: the kernel would not take them */
};

/*
 * Opens one random-port socket per address family towards the devices. 0 or -errno; in both cases
 * *out, unless NULL, has to be closed, and freed when the loop has turned once more.
 */
int udp_create(struct udp **out, struct uv_loop_s *loop, const struct udp_events *events);
void udp_close(struct udp *u); /* NULL is harmless to both */
void udp_free(struct udp *u);

/*
 * A change of places in two steps: udp_prepare opens what is new and touches nothing else; then
 * udp_commit closes what is no longer wanted, or udp_abandon closes what was opened. A place that
 * stays keeps its socket and what waits in it. 0 or -errno, and *failed is the number of the place
 * that could not be opened.
 */
int udp_prepare(struct udp *u, const struct udp_place *places, unsigned count, unsigned *failed);
void udp_commit(struct udp *u, size_t max_datagram);
void udp_abandon(struct udp *u);

/* Puts a copy into the batch; LEG_DEVICE ignores to->local. Sent at the latest by udp_flush. */
void udp_send(struct udp *u, const struct path *to, struct bytes datagram);
void udp_flush(struct udp *u);

struct udp_counters udp_counters(struct udp *u); /* asks the kernel what it lost */
#endif

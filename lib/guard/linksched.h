/*
 * linksched: one constrained link: a token bucket in bytes, a queue per lane, shares between the classes of lanes,
 * fairness inside a lane: between devices, and between the flows to one device. Bytes into the link never exceed the bucket, in any window (I4).
 */
#ifndef LINKSCHED_H
#define LINKSCHED_H
#include "base/bucket.h"
#include "base/dgram.h"
#include "guard/verdict.h"

struct linksched;

#define LINKSCHED_DEVICES 64 /* dgram.device is below */

struct linksched_config {
	struct rate rate;        /* bytes per period */
	uint32_t burst;          /* bytes; a larger datagram passes when the bucket is full (its debt is paid after) */
	uint32_t overhead;       /* bytes added to each datagram's length: UDP and IPv6 */
	uint32_t frame_size;     /* bytes of datagram and overhead that one frame carries; 0: it is not cut up */
	uint32_t frame_overhead; /* bytes added to each frame; if there is a frame_size */
	uint32_t queue_length;   /* datagrams per lane */
	uint8_t share[3];        /* percent: trusted classes (control..moved), reachable, unknown */
};

size_t linksched_memory(void);                                          /* bytes that linksched_create allocates */
struct linksched *linksched_create(const struct linksched_config *cfg); /* NULL: no memory */
void linksched_free(struct linksched *q);
void linksched_retune(struct linksched *q, const struct linksched_config *cfg); /* on reload; nothing queued is lost */

/*
 * Queues d in d->lane for d->device and flow d->flow. False: the lane is full and d is still yours. When the lane is full but another
 * device, or another flow to the same one, holds more of it than d's would, the last datagram of the greediest flow there is put
 * into *dropped (now yours) and d takes its place.
 */
bool linksched_push(struct linksched *q, struct dgram *d, struct dgram **dropped);
/* The next datagram that may go now, charged; it is yours. NULL: nothing waits, or the bucket is empty. */
struct dgram *linksched_pop(struct linksched *q, tstamp now);
void linksched_remove(struct linksched *q, struct dgram *d); /* takes a queued datagram out again */
/* A datagram that waits for this address, taken out; NULL: none. */
struct dgram *linksched_withdraw(struct linksched *q, const struct addr *to);
tstamp linksched_next(const struct linksched *q, tstamp now); /* when pop could succeed; NEVER: empty */
/* Nanoseconds that d, which is not queued, would wait if it were pushed now and nothing came after; to within a datagram. */
uint64_t linksched_estimate(const struct linksched *q, const struct dgram *d, tstamp now);

struct linksched_view {
	uint32_t queued[LANE_COUNT];
	uint64_t sent_datagrams[LANE_COUNT], sent_bytes[LANE_COUNT]; /* bytes as they leave */
	unsigned fill_permille;                                      /* of the link's bucket */
};
void linksched_view(const struct linksched *q, tstamp now, struct linksched_view *out);
#endif

/*
 * linksched: one constrained link: a token bucket in bytes, a queue per lane, shares between the classes of lanes,
 * fairness between flows inside a lane. Bytes into the link never exceed the bucket, in any window (I4).
 */
#ifndef LINKSCHED_H
#define LINKSCHED_H
#include "base/bucket.h"
#include "base/dgram.h"
#include "guard/verdict.h"

struct linksched;

struct linksched_config {
	struct rate rate;      /* bytes per period */
	uint32_t burst;        /* bytes; a larger datagram passes when the bucket is full (its debt is paid after) */
	uint32_t overhead;     /* bytes added to each datagram's length: UDP and IPv6 */
	uint32_t queue_length; /* datagrams per lane */
	uint8_t share[3];      /* percent: trusted classes (control..moved), reachable, unknown */
};

struct linksched *linksched_create(const struct linksched_config *cfg); /* NULL: no memory */
void linksched_free(struct linksched *q);
void linksched_retune(struct linksched *q, const struct linksched_config *cfg); /* on reload; nothing queued is lost */

/*
 * Queues d in d->lane for flow d->flow. False: the lane is full and d is still yours. When the lane is full but
 * another flow holds more of it than d's flow would, that flow's last datagram is put into *dropped (now yours)
 * and d takes its place.
 */
bool linksched_push(struct linksched *q, struct dgram *d, tstamp now, struct dgram **dropped);
/* The next datagram that may go now, charged; it is yours. NULL: nothing waits, or the bucket is empty. */
struct dgram *linksched_pop(struct linksched *q, tstamp now);
void linksched_remove(struct linksched *q, struct dgram *d); /* takes a queued datagram out again */
/* The oldest queued datagram that has waited longer than `wait`, taken out; NULL: none. */
struct dgram *linksched_overdue(struct linksched *q, uint64_t wait, tstamp now);
/* A datagram that waits for this address, taken out; NULL: none. */
struct dgram *linksched_withdraw(struct linksched *q, const struct addr *to);
tstamp linksched_next(const struct linksched *q, tstamp now); /* when pop could succeed; NEVER: empty */
/* Nanoseconds a datagram of `len` bytes pushed to `lane` now would wait, estimated from bytes queued before it. */
uint64_t linksched_estimate(const struct linksched *q, unsigned lane, size_t len, tstamp now);

struct linksched_view {
	uint32_t queued[LANE_COUNT];
	uint64_t sent_datagrams[LANE_COUNT], sent_bytes[LANE_COUNT]; /* bytes with overhead */
	unsigned fill_permille;                                      /* of the link's bucket */
};
void linksched_view(const struct linksched *q, tstamp now, struct linksched_view *out);
#endif

/*
 * share: one answer for many. What a plain request asks for may be in the cache, or somebody asked for it already; then the device is
 * not asked again. A subject is the exchange that asks, on behalf of all clients whose exchanges follow it (RFC 7252 §5.6 and §5.7,
 * RFC 7641 §5). OSCORE is never shared (RFC 8613 §10).
 */
#ifndef SHARE_H
#define SHARE_H
#include "proxy/request.h"
#include "proxy/representation.h"

#define SHARE_OBSERVERS_EACH 16 /* observations of one client, if others serve them */

/* Something known that answers a request. */
struct share_hit {
	struct representation what;
	uint32_t max_age; /* to be shown */
	bool confirmed;   /* the client has it already: 2.03 */
	uint8_t payload[1024], options[CACHE_OPTIONS], etag[CACHE_ETAG];
};

/* What is known and fresh. */
bool share_known(struct proxy *p, const struct request *rq, struct share_hit *out, tstamp now);
/* The subject whose answer, coming or come, is rq's answer, too; NULL: none. */
struct exchange *share_subject(const struct proxy *p, const struct request *rq, tstamp now);
/* rq, which is no follower, is to be asked on behalf of all who ask the same. */
bool share_wants_subject(struct proxy *p, const struct request *rq, tstamp now);
/* The entity-tag of what is kept, which the device may confirm; ptr NULL: none. */
struct bytes share_etag(struct proxy *p, const struct request *rq, tstamp now);
/* Is there room for one more follower? */
bool share_may_follow(const struct proxy *p, bool proven);
/* May this client observe so many things, the one that it is just beginning to observe included? */
bool share_may_observe(const struct proxy *p, uint64_t flow);

/* Nobody but x follows what it follows. */
bool share_is_alone(const struct proxy *p, const struct exchange *x);
/* A follower joined a subject that knows its answer: it is told at once. */
void share_join(struct proxy *p, struct exchange *subject, struct exchange *follower, tstamp now);
/* The device told a subject this. Ends the subject if that was all. */
void share_tell(struct proxy *p, struct exchange *subject, const struct msg *m, bool observing, tstamp now);
/* The device answered a client this, which was not asked on behalf of others. */
void share_keep(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now);
/* In the place of an error: what is kept, though old. */
bool share_stale(struct proxy *p, struct exchange *follower, tstamp now);
/*
 * What the subject was told last has grown old: it is asked for anew, under the same token (RFC 7641 §3.3.1). If nobody who follows it is known to
 * be there the relation ends, in silence.
 */
void share_renew(struct proxy *p, struct exchange *subject, tstamp now);
/* A follower has left; a subject that nobody follows any more is given up, unless it is under way. */
void share_left(struct proxy *p, uint32_t subject, tstamp now);
#endif

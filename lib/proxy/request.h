/*
 * request: the client leg, step by step: what is it? known already? for whom? may it? then off it goes. Two steps, so that
 * a batch of requests is looked at before the first is judged: the records they need are fetched meanwhile.
 */
#ifndef REQUEST_H
#define REQUEST_H
#include "proxy/classify.h"
#include "proxy/core.h"
#include "proxy/reply.h"
#include "proxy/target.h"

/* Everything known of a request while it is being judged. */
struct request {
	const struct path *from;
	const struct msg *msg;
	const struct proxy_listen *listen;
	struct request_view view;
	struct target target;
	struct guard_request facts;
	struct reply_to reply;
	struct layers layers; /* ours, taken off so far */
	struct bytes datagram;
	uint64_t flow, dedup;
	struct cache_key key; /* what it asks for, if others may be told the same */
	bool keyed;
};

/* Facts only: nothing is decided, nothing changed. *from, *m and the datagram must live until request_handle. */
void request_prepare(struct proxy *p, struct request *rq, const struct path *from, struct bytes datagram,
		     const struct msg *m);
void request_handle(struct proxy *p, struct request *rq, tstamp now);
/* The client answered a ping: the request that was kept for it is judged again. */
void request_resume(struct proxy *p, const struct path *from, tstamp now);
#endif

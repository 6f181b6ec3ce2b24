/* share_key: what a plain request asks for, as the server will see it, and so who else asks for the same (RFC 7252 §5.4.2, §5.6). */
#ifndef SHARE_KEY_H
#define SHARE_KEY_H
#include "proxy/request.h"

/* GET and FETCH: what is answered says something of the resource. */
static inline bool share_key_is_safe(uint8_t method)
{
	return method == MSG_GET || method == MSG_FETCH;
}

/* What may be told to others as it stands. */
static inline bool share_key_is_plain(const struct request *rq)
{
	return !rq->view.oscore.ptr && !rq->view.edhoc && !rq->view.silent_ok;
}

/* What a plain request asks for. False: it is no thing that several may ask for, and makes nothing old of what they were told. */
bool share_key_make(const struct proxy *p, const struct request *rq, struct cache_key *key);
/* The uri of a cache_key for what a response's Location-Path and Location-Query name at that server. */
uint64_t share_key_location(const struct proxy *p, uint8_t server, const struct msg *m);
#endif

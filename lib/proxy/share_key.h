/* share_key: what a plain request asks for, as the server will see it, and so who else asks for the same (RFC 7252 §5.4.2, §5.6). */
#ifndef SHARE_KEY_H
#define SHARE_KEY_H
#include "proxy/request.h"

/* GET and FETCH: what is answered says something of the resource. */
static inline bool share_key_is_safe(uint8_t method)
{
	return method == MSG_GET || method == MSG_FETCH;
}

/* Notes in rq what it asks for, if it is a thing that several may ask for, or one that makes old what they were told. */
void share_key_note(const struct proxy *p, struct request *rq);
/* The uri of a cache_key for what a response's Location-Path and Location-Query name at that server. */
uint64_t share_key_location(const struct proxy *p, uint8_t server, const struct msg *m);
#endif

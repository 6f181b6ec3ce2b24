/*
 * classify: what a message is, in the words of proxy and guard. A request's options are walked once; a response is
 * booked by what an observer without keys can tell (RFC 8613; digest §2.9).
 */
#ifndef CLASSIFY_H
#define CLASSIFY_H
#include "coap/block.h"
#include "coap/msg.h"
#include "guard/guard.h"
#include "oscore/oscore_option.h"

enum request_defect {
	DEFECT_NONE,
	DEFECT_BAD_OPTION,  /* 4.02: an unsafe option we do not know, or a known one of wrong length or repeated */
	DEFECT_BAD_REQUEST, /* 4.00 */
	DEFECT_HOP_LIMIT    /* 5.08 */
};

/* The options a proxy looks at; ptr NULL: absent. */
struct request_view {
	const struct msg *msg;
	struct bytes uri_host, proxy_uri, proxy_scheme, oscore, echo;
	struct oscore_option option;         /* what is in oscore */
	enum oscore_option_error unreadable; /* or why it is not known */
	uint32_t uri_port;                   /* 0: absent */
	uint8_t hop_limit;                   /* 0: absent */
	uint16_t n_path;
	struct block block1, block2; /* if has_... */
	uint32_t accept;             /* UINT32_MAX: absent */
	bool has_block1, has_block2, has_etag;
	bool has_uri_port, observe, deregister, edhoc, request_hash, follow_up, silent_ok;
	uint16_t content_format;
	enum request_defect defect;
};

/* The block of the response that is asked for; NULL: none in particular. */
static inline const struct block *classify_asked_block(const struct request_view *v)
{
	return v->has_block2 ? &v->block2 : NULL;
}

void classify_request(struct request_view *v, const struct msg *m);

/* Whose request it is, and which, by its OSCORE option (RFC 8613 §6.1). False: not readable; must be passed on, can't be tracked. */
bool classify_oscore(const struct request_view *v, struct bytes *kid, struct bytes *kid_context, uint64_t *piv);

enum guard_outcome classify_response(const struct msg *response, bool request_had_oscore);

/* An unsafe option we do not understand: 5.02 (RFC 7252 §5.7.1). */
bool classify_response_forwardable(const struct msg *response, bool *observe);
#endif

#include "proxy/facts.h"

/* application/edhoc+cbor-seq and application/cid-edhoc+cbor-seq (RFC 9528 §10.9) */
#define FORMAT_EDHOC     64
#define FORMAT_CID_EDHOC 65
#define EDHOC_FIRST      0xf5 /* CBOR true */

/* What makes the device compute a key exchange: EDHOC, alone or combined, and a token (RFC 9528 A.2, RFC 9200 §5.10). */
static bool is_handshake(const struct request *rq)
{
	const struct request_view *v = &rq->view;

	if (v->edhoc || v->content_format == FORMAT_EDHOC || v->content_format == FORMAT_CID_EDHOC)
		return true;
	return !v->oscore.ptr && rq->msg->code == MSG_POST &&
	       (target_path_is(&rq->target, v, ".well-known/edhoc") || target_path_is(&rq->target, v, "authz-info"));
}

/*
 * Message_3 of EDHOC, or message_2 where the client is the responder, alone or combined with a request: it begins with a connection identifier,
 * and the first message with `true` or not at all (RFC 9528 A.2, RFC 9668). Before what comes as edhoc+cbor-seq there is neither, so that may be
 * a first message. A token comes alone.
 */
static bool is_continued(const struct request *rq)
{
	const struct bytes *payload = &rq->msg->payload;

	if (rq->view.edhoc)
		return true;
	return payload->len > 0 && payload->ptr[0] != EDHOC_FIRST && rq->view.content_format != FORMAT_EDHOC &&
	       !target_path_is(&rq->target, &rq->view, "authz-info");
}

void facts_gather(const struct proxy *p, struct request *rq)
{
	const struct request_view *v = &rq->view;
	struct bytes kid = { 0 }, kid_context = { 0 };
	uint64_t piv = 0;
	bool has_oscore = v->oscore.ptr != NULL, authenticated = rq->layers.n > 0;
	bool trackable = has_oscore && classify_oscore(v, &kid, &kid_context, &piv);
	bool handshake = is_handshake(rq);

	rq->facts = (struct guard_request){
		.client = rq->from->remote,
		.listener = rq->from->local,
		.server = rq->target.server,
		.confirmable = rq->msg->type == MSG_CON,
		.has_oscore = has_oscore,
		.trackable = trackable,
		.handshake = handshake,
		.continues = handshake && is_continued(rq),
		.follow_up = has_oscore && v->follow_up,
		.replayable = v->request_hash,
		.authenticated = authenticated,
		.layer_required = p->cfg.servers[rq->target.server].require_layer,
		.peer = authenticated ? rq->layers.off[rq->layers.n - 1].context : 0,
		.kid = kid,
		.kid_context = kid_context,
		.piv = piv,
		.echo = v->echo,
		.endpoint = rq->flow,
	};
}

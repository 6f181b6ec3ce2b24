#include "proxy/classify.h"
#include "coap/option.h"
#include "oscore/oscore_option.h"

#define EDHOC_CONTENT_FORMAT 64
#define FLAG_KID_CONTEXT     0x10 /* in the first byte of the OSCORE option, whatever its layout */

/* Length out of bounds or repeated: as if it were not understood (RFC 7252 §5.4.3, §5.4.5). */
static bool is_malformed(const struct option_info *info, const struct msg_option *opt, uint16_t previous)
{
	if (opt->value.len < info->min || opt->value.len > info->max)
		return true;
	return opt->number == previous && !info->repeatable;
}

/* The reserved size is a bad request, not an unknown option (RFC 7959 §2.2). */
static bool note_block(struct request_view *v, struct bytes value, struct block *out)
{
	if (block_parse(value, out))
		return true;
	v->defect = DEFECT_BAD_REQUEST;
	return false;
}

static void note_observe(struct request_view *v, struct bytes value)
{
	uint32_t n = 2;

	if (!option_uint(value, &n))
		return;
	v->observe = n == 0;
	v->deregister = n == 1;
}

static void note_hop_limit(struct request_view *v, struct bytes value)
{
	if (value.len != 1 || value.ptr[0] == 0) { /* RFC 8768 §3 */
		v->defect = DEFECT_BAD_REQUEST;
		return;
	}
	v->hop_limit = value.ptr[0];
	if (v->hop_limit == 1 && v->defect == DEFECT_NONE)
		v->defect = DEFECT_HOP_LIMIT;
}

static void note(struct request_view *v, const struct msg_option *opt)
{
	uint32_t n = 0;

	switch (opt->number) {
	case OPTION_URI_HOST: v->uri_host = opt->value; break;
	case OPTION_URI_PORT:
		v->has_uri_port = true;
		option_uint(opt->value, &v->uri_port);
		break;
	case OPTION_OBSERVE: note_observe(v, opt->value); break;
	case OPTION_OSCORE:
		v->oscore = opt->value;
		v->unreadable = oscore_option_parse(&v->option, opt->value);
		break;
	case OPTION_URI_PATH: v->n_path++; break;
	case OPTION_CONTENT_FORMAT:
		option_uint(opt->value, &n);
		v->content_format = (uint16_t)n;
		break;
	case OPTION_HOP_LIMIT: note_hop_limit(v, opt->value); break;
	case OPTION_EDHOC: v->edhoc = true; break;
	case OPTION_BLOCK2:
		v->has_block2 = note_block(v, opt->value, &v->block2);
		v->follow_up = v->has_block2 && v->block2.num > 0;
		break;
	case OPTION_BLOCK1: v->has_block1 = note_block(v, opt->value, &v->block1); break;
	case OPTION_ETAG: v->has_etag = true; break;
	case OPTION_ACCEPT: option_uint(opt->value, &v->accept); break;
	case OPTION_PROXY_URI: v->proxy_uri = opt->value; break;
	case OPTION_PROXY_SCHEME: v->proxy_scheme = opt->value; break;
	case OPTION_ECHO: v->echo = opt->value; break;
	case OPTION_NO_RESPONSE: v->silent_ok = true; break;
	case OPTION_REQUEST_HASH: v->request_hash = true; break;
	default: break;
	}
}

void classify_request(struct request_view *v, const struct msg *m)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	uint16_t previous = 0;

	*v = (struct request_view){ .msg = m, .content_format = UINT16_MAX, .accept = UINT32_MAX };
	while (msg_next(&it, &opt)) {
		const struct option_info *info = option_find(opt.number);
		bool bad = info ? is_malformed(info, &opt, previous) : false;

		/* RFC 7252 §5.7.1: unsafe and not understood is 4.02; anything else may be passed on as it is. */
		if (option_is_unsafe(opt.number) && (!info || !info->handled || bad))
			v->defect = DEFECT_BAD_OPTION;
		else if (bad && option_is_critical(opt.number))
			v->defect = DEFECT_BAD_OPTION;
		else if (!bad || opt.number == OPTION_HOP_LIMIT)
			note(v, &opt);
		previous = opt.number;
	}
	/* A proxied empty OSCORE request: the option without a payload is malformed (RFC 8613 §2). */
	if (v->oscore.ptr && m->payload.len == 0 && v->defect == DEFECT_NONE)
		v->defect = DEFECT_BAD_OPTION;
}

bool classify_oscore(const struct request_view *v, struct bytes *kid, struct bytes *kid_context, uint64_t *piv)
{
	const struct oscore_option *o = &v->option;

	*kid = *kid_context = bytes_of(NULL, 0);
	if (!v->oscore.ptr || v->unreadable || !o->piv.ptr || !o->kid.ptr)
		return false;
	*kid = o->kid;
	*kid_context = o->kid_context;
	*piv = oscore_option_number(o->piv);
	return true;
}

/* Plain answers to an OSCORE request (RFC 8613 §8.2; hops may add others). */
static enum guard_outcome classify_unprotected(const struct msg *m)
{
	struct msg_option echo;

	switch (m->code) {
	case MSG_UNAUTHORIZED:
		/* asks for reachability in the outer layer: says nothing about keys */
		return msg_find(m, OPTION_ECHO, &echo) ? OUTCOME_NEUTRAL : OUTCOME_REFUSED;
	case MSG_BAD_REQUEST:
	case MSG_BAD_OPTION: return OUTCOME_REFUSED;
	case MSG_CONTINUE: return OUTCOME_NEUTRAL;
	default: return MSG_CLASS(m->code) == 2 ? OUTCOME_REFUSED : OUTCOME_NEUTRAL;
	}
}

/* A 4.00 in application/edhoc+cbor-seq: message_1 or message_3 was no good (RFC 9528 §A.2.1). */
static bool is_edhoc_error(const struct msg *m)
{
	struct msg_option format;
	uint32_t n;

	return m->code == MSG_BAD_REQUEST && msg_find(m, OPTION_CONTENT_FORMAT, &format) &&
	       option_uint(format.value, &n) && n == EDHOC_CONTENT_FORMAT;
}

enum guard_outcome classify_response(const struct msg *m, bool request_had_oscore)
{
	struct msg_option oscore, observe;

	if (!request_had_oscore)
		return is_edhoc_error(m) ? OUTCOME_REFUSED : OUTCOME_NEUTRAL;
	if (!msg_find(m, OPTION_OSCORE, &oscore))
		return classify_unprotected(m);
	if (m->payload.len == 0 || (m->code != MSG_CHANGED && m->code != MSG_CONTENT))
		return OUTCOME_REFUSED; /* what no OSCORE server sends (RFC 8613 §4.2) */
	if (oscore.value.len && oscore.value.ptr[0] & FLAG_KID_CONTEXT)
		return OUTCOME_TENTATIVE; /* Appendix B.2: wait for the next exchange */
	if (m->code == MSG_CONTENT)
		return msg_find(m, OPTION_OBSERVE, &observe) ? OUTCOME_OBSERVED : OUTCOME_NEUTRAL;
	return oscore.value.len == 0 ? OUTCOME_ACCEPTED : OUTCOME_TENTATIVE;
}

bool classify_response_forwardable(const struct msg *m, bool *observe)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	*observe = false;
	while (msg_next(&it, &opt)) {
		const struct option_info *info = option_find(opt.number);

		if (option_is_unsafe(opt.number) && (!info || !info->handled))
			return false;
		*observe |= opt.number == OPTION_OBSERVE;
	}
	return true;
}

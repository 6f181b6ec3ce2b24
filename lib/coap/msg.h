/* msg: a CoAP message as a view on its datagram (RFC 7252 §3, tokens of RFC 8974). Nothing is copied. */
#ifndef MSG_H
#define MSG_H
#include "base/bytes.h"

enum { MSG_CON, MSG_NON, MSG_ACK, MSG_RESET }; /* <sys/socket.h> has a MSG_RST */

#define MSG_CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))
#define MSG_CLASS(code)         ((code) >> 5)

enum {
	MSG_EMPTY = 0,
	MSG_GET = 1,
	MSG_POST,
	MSG_PUT,
	MSG_DELETE,
	MSG_FETCH,
	MSG_PATCH,
	MSG_IPATCH,
	MSG_CREATED = MSG_CODE(2, 1),
	MSG_DELETED = MSG_CODE(2, 2),
	MSG_VALID = MSG_CODE(2, 3),
	MSG_CHANGED = MSG_CODE(2, 4),
	MSG_CONTENT = MSG_CODE(2, 5),
	MSG_CONTINUE = MSG_CODE(2, 31),
	MSG_BAD_REQUEST = MSG_CODE(4, 0),
	MSG_UNAUTHORIZED = MSG_CODE(4, 1),
	MSG_BAD_OPTION = MSG_CODE(4, 2),
	MSG_NOT_FOUND = MSG_CODE(4, 4),
	MSG_INCOMPLETE = MSG_CODE(4, 8),
	MSG_TOO_LARGE = MSG_CODE(4, 13),
	MSG_TOO_MANY_REQUESTS = MSG_CODE(4, 29),
	MSG_INTERNAL = MSG_CODE(5, 0),
	MSG_BAD_GATEWAY = MSG_CODE(5, 2),
	MSG_UNAVAILABLE = MSG_CODE(5, 3),
	MSG_GATEWAY_TIMEOUT = MSG_CODE(5, 4),
	MSG_NO_PROXYING = MSG_CODE(5, 5),
	MSG_HOP_LIMIT = MSG_CODE(5, 8)
};

struct msg {
	uint8_t type, code;
	uint16_t mid, n_options;
	struct bytes token, options, payload; /* into the datagram; an absent payload has length 0 */
};

struct msg_option {
	uint16_t number;
	struct bytes value;
};

struct msg_iter {
	struct bytes rest;
	uint16_t number;
};

/* Each value but the first is a reason somebody counts. */
enum msg_error {
	MSG_OK,
	MSG_SHORT,   /* shorter than header and token */
	MSG_VERSION, /* not version 1: silence (RFC 7252 §3) */
	MSG_TOKEN,   /* token length 15 (RFC 8974 §2.1) */
	MSG_OPTION,  /* delta or length 15, past the end, or number over 65535 */
	MSG_MARKER,  /* payload marker without a payload */
	MSG_STUFFED, /* Empty message with anything after the Message ID */
	MSG_ERRORS
};
const char *msg_error_text(enum msg_error e);

/* Proves header, token and the whole option list, so that nothing that follows can fail. */
enum msg_error msg_parse(struct msg *m, struct bytes datagram);

struct msg_iter msg_options(const struct msg *m);
bool msg_next(struct msg_iter *it, struct msg_option *opt); /* false at the end */
/* The first option of that number. */
bool msg_find(const struct msg *m, uint16_t number, struct msg_option *opt);

static inline bool msg_is_request(const struct msg *m)
{
	return MSG_CLASS(m->code) == 0 && m->code != MSG_EMPTY;
}

static inline bool msg_is_response(const struct msg *m)
{
	return MSG_CLASS(m->code) == 2 || MSG_CLASS(m->code) == 4 || MSG_CLASS(m->code) == 5;
}
#endif

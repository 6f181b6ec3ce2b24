/*
 * pieces: one request towards a constrained link and its response, in blocks that fit the link (RFC 7959). Each leg has its own sizes:
 * what came in one piece may leave in many, and what comes back in many is put together for a client as far as one datagram holds it. No
 * body is ever held: a client's block is cut and answered before the next one comes.
 */
#ifndef PIECES_H
#define PIECES_H
#include "base/dgram.h"
#include "coap/block.h"
#include "coap/edits.h"

#define PIECES_TAG 2 /* bytes of Request-Tag */

struct pieces {
	/* the request as the server shall see it, uncut and without block options; NULL: in one piece */
	struct dgram *whole;
	struct dgram *gathered;  /* the response so far, with the first block's options */
	struct block ask1, ask2; /* what the client said itself, if it did */
	bool has_ask1, has_ask2;
	bool opaque;        /* OSCORE: its client knows of no blocks, and is given as much as a datagram holds */
	bool cut;           /* the request is larger than a block of the link */
	bool tagged;        /* Request-Tag goes with every piece (RFC 9175 §3) */
	bool joined;        /* sent again as a whole */
	bool more;          /* what was gathered is not the end */
	uint8_t szx1, szx2; /* of the link, as negotiated so far */
	uint8_t tag[PIECES_TAG];
	uint16_t sent;  /* bytes of the request's payload in earlier pieces */
	uint16_t limit; /* bytes of the response's payload that the client takes at once */
};

/* The block of the response that the client asked for; NULL: none in particular. */
static inline const struct block *pieces_asked(const struct pieces *ps)
{
	return ps->has_ask2 ? &ps->ask2 : NULL;
}

/*
 * m: the request, without block options, copied into `whole`, which is the caller's to give and to take back. The rest of *ps was set:
 * the client's own blocks, opaque and tag.
 */
void pieces_begin(struct pieces *ps, struct dgram *whole, const struct msg *m, uint8_t szx);
/* The whole request at once, and nothing said about the response: for a server that knows no blocks. */
void pieces_join(struct pieces *ps);

/* The piece that is due, into *out, confirmable or not, under a token. False: it does not fit. */
bool pieces_write(const struct pieces *ps, bool confirmable, struct bytes token, struct dgram *out);
/* Asks for the next block of the response. */
bool pieces_write_rest(const struct pieces *ps, bool confirmable, struct bytes token, struct dgram *out);

/* The server's answer to a piece. True: the next one is due. False: that is the response. */
bool pieces_continue(struct pieces *ps, const struct msg *answer);

enum pieces_result {
	PIECES_WHOLE,  /* as far as it shall be gathered, or in no blocks at all */
	PIECES_PARTLY, /* the rest has to be asked for */
	PIECES_BROKEN  /* does not join on */
};
/* The first answer that is no 2.31. PARTLY: `room` was taken, and keeps it. */
enum pieces_result pieces_gather(struct pieces *ps, const struct msg *answer, struct dgram *room);
/* An answer to pieces_write_rest. */
enum pieces_result pieces_add(struct pieces *ps, const struct msg *answer);
/*
 * What was gathered so far has to do, as a first block that is smaller. False: the client knows of no blocks, or of their size already, or
 * there is nothing.
 */
bool pieces_stop(struct pieces *ps);

/*
 * What the client sees of a response: its options with these edits, and its payload. m: the answer, or what was gathered.
 */
void pieces_present(const struct pieces *ps, const struct msg *m, struct edits *e);
#endif

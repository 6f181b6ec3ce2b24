/*
 * control: the local socket by which coap-guardctl asks. One line in, one answer out, then it
 * closes:
 *
 *   COMMAND [WORD...] newline      at most CONTROL_LINE bytes, within 5 s
 *   "ok" or "error TEXT" newline   then the body
 */
#ifndef CONTROL_H
#define CONTROL_H
#include "answer.h"

#define CONTROL_LINE  512
#define CONTROL_PEERS 8

struct control;
struct uv_loop_s;

struct control_config {
	const char *path;
	const char *group; /* empty: keep the process's */
	unsigned mode;
	/* Writes the whole answer to `line`, which is printable and has no newline. */
	void (*handle)(void *arg, const char *line, struct answer *out);
	void *arg;
};

/*
 * A socket file left behind by a dead daemon is replaced; -EADDRINUSE: somebody answers there;
 * -EEXIST: it is no socket; -ENOKEY: there is no such group, -EPERM: the socket may not be given to
 * it (in both cases *out works, for the owner alone). Else 0 or -errno, and *out is NULL.
 */
int control_create(struct control **out, struct uv_loop_s *loop, const struct control_config *cfg);
/* NULL is harmless to both; the loop must turn once more before control_free. Removes the socket
 * file. */
void control_close(struct control *c);
void control_free(struct control *c);
#endif

/*
 * metrics_http: one page for Prometheus over HTTP/1.1: GET and HEAD of one path, one request for each connection. Visitors are few,
 * get a few seconds, and never hold up the loop; when there are too many, who waits longest before it asks has to go.
 */
#ifndef METRICS_HTTP_H
#define METRICS_HTTP_H
#include "answer.h"
#include "base/addr.h"

#define METRICS_HTTP_VISITORS 16
#define METRICS_HTTP_PATH     64

struct metrics_http;
struct uv_loop_s;

struct metrics_http_page {
	void (*write)(void *arg, struct answer *out); /* the exposition */
	void *arg;
};

/* Listens nowhere yet. NULL: no memory. */
struct metrics_http *metrics_http_create(struct uv_loop_s *loop, const struct metrics_http_page *page);
/* NULL is harmless to both; the loop must turn once more before metrics_http_free. */
void metrics_http_close(struct metrics_http *m);
void metrics_http_free(struct metrics_http *m);

/*
 * A change of address in two steps: metrics_http_prepare opens the new one, if it is another one, and touches nothing else; then
 * metrics_http_commit closes the old one, or metrics_http_abandon the new one. Port 0: nowhere. 0 or -errno.
 */
int metrics_http_prepare(struct metrics_http *m, const struct addr *bind);
void metrics_http_commit(struct metrics_http *m, const char *path);
void metrics_http_abandon(struct metrics_http *m);
#endif

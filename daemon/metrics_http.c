#include "metrics_http.h"
#include "http.h"
#include "sockaddr.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PATIENCE_MS 5000 /* for the whole request, and again for the visitor to read the answer */
#define FAREWELL_MS 1000 /* for what it still sends; a reset could take the answer away from it (RFC 9112 §9.6) */

/* Where visitors knock. */
struct door {
	uv_tcp_t tcp;
	struct metrics_http *owner;
	struct addr bind;
	bool knocking; /* somebody waits for a free place */
};

enum visit { VISIT_FREE, VISIT_ASKING, VISIT_ANSWERED, VISIT_LEAVING, VISIT_CLOSING };

struct visitor {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	uv_shutdown_t farewell;
	struct metrics_http *owner;
	enum visit visit;
	unsigned open; /* handles whose close callback has not come yet */
	uint64_t number;
	struct answer body;
	size_t used;
	char head[256], text[HTTP_REQUEST_MAX];
};

struct metrics_http {
	uv_loop_t *loop;
	struct metrics_http_page page;
	char path[METRICS_HTTP_PATH];
	struct door *door, *next; /* NULL: none */
	bool changing;            /* between prepare and commit: next is what will be, be it none */
	uint64_t visits;
	struct visitor visitors[METRICS_HTTP_VISITORS];
};

static void accept_next(struct metrics_http *m);

static void on_visitor_closed(uv_handle_t *handle)
{
	struct visitor *v = handle->data;

	if (--v->open > 0)
		return;
	answer_free(&v->body);
	v->visit = VISIT_FREE;
	accept_next(v->owner);
}

static void close_visitor(struct visitor *v)
{
	if (v->visit == VISIT_FREE || v->visit == VISIT_CLOSING)
		return;
	v->visit = VISIT_CLOSING;
	uv_close((uv_handle_t *)&v->tcp, on_visitor_closed);
	uv_close((uv_handle_t *)&v->timer, on_visitor_closed);
}

static void on_patience_over(uv_timer_t *timer)
{
	close_visitor(timer->data);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct visitor *v = handle->data;

	(void)suggested;
	if (v->visit == VISIT_LEAVING) /* nobody reads it */
		v->used = 0;
	*buf = uv_buf_init(v->text + v->used, (unsigned)(sizeof v->text - v->used));
}

static void on_rest(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (n < 0)
		close_visitor(stream->data);
}

static void on_farewell(uv_shutdown_t *farewell, int status)
{
	struct visitor *v = farewell->data;

	if (v->visit == VISIT_ANSWERED && status == 0) {
		v->visit = VISIT_LEAVING;
		if (uv_timer_start(&v->timer, on_patience_over, FAREWELL_MS, 0) == 0 &&
		    uv_read_start((uv_stream_t *)&v->tcp, on_room, on_rest) == 0)
			return;
	}
	close_visitor(v);
}

static void on_written(uv_write_t *write, int status)
{
	struct visitor *v = write->data;

	v->farewell.data = v;
	if (v->visit != VISIT_ANSWERED || status != 0 ||
	    uv_shutdown(&v->farewell, (uv_stream_t *)&v->tcp, on_farewell) != 0)
		close_visitor(v);
}

static void send_answer(struct visitor *v, bool head_only)
{
	uv_buf_t bufs[] = { uv_buf_init(v->head, (unsigned)strlen(v->head)),
			    uv_buf_init(v->body.text, (unsigned)v->body.len) };

	v->visit = VISIT_ANSWERED;
	v->write.data = v;
	uv_read_stop((uv_stream_t *)&v->tcp);
	uv_timer_start(&v->timer, on_patience_over, PATIENCE_MS, 0);
	if (uv_write(&v->write, (uv_stream_t *)&v->tcp, bufs, head_only || !v->body.len ? 1 : 2, on_written) != 0)
		close_visitor(v);
}

static void answer_with(struct visitor *v, unsigned code, bool head_only)
{
	if (code == 200) {
		v->owner->page.write(v->owner->page.arg, &v->body);
		if (v->body.cut || !v->body.len) /* half of the numbers would be wrong ones */
			code = 500;
	}
	if (code != 200) {
		answer_free(&v->body);
		answer_print(&v->body, "%s\n", http_status(code));
	}
	snprintf(v->head, sizeof v->head,
		 "HTTP/1.1 %s\r\nContent-Type: text/plain; %scharset=utf-8\r\nContent-Length: %zu\r\n%s"
		 "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
		 http_status(code), code == 200 ? "version=0.0.4; " : "", v->body.len,
		 code == 405 ? "Allow: GET, HEAD\r\n" : "");
	send_answer(v, head_only);
}

static void answer_request(struct visitor *v, const struct http_request *request)
{
	unsigned code = request->method == HTTP_OTHER ? 405 : bytes_are(request->path, v->owner->path) ? 200 : 404;

	answer_with(v, code, request->method == HTTP_HEAD);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct visitor *v = stream->data;
	struct http_request request;

	(void)buf;
	if (n < 0) {
		close_visitor(v);
		return;
	}
	v->used += (size_t)n;
	switch (http_parse(bytes_of(v->text, v->used), &request)) {
	case HTTP_MORE: break;
	case HTTP_DONE: answer_request(v, &request); break;
	case HTTP_BAD: answer_with(v, 400, false); break;
	case HTTP_LARGE: answer_with(v, 431, false); break;
	case HTTP_VERSION: answer_with(v, 505, false); break;
	}
}

static void accept_visitor(struct metrics_http *m, struct door *door, struct visitor *v)
{
	memset(v, 0, sizeof *v);
	v->owner = m;
	v->number = m->visits++;
	uv_tcp_init(m->loop, &v->tcp);
	uv_timer_init(m->loop, &v->timer);
	v->tcp.data = v->timer.data = v;
	v->open = 2;
	v->visit = VISIT_ASKING;
	if (uv_accept((uv_stream_t *)&door->tcp, (uv_stream_t *)&v->tcp) != 0 ||
	    uv_timer_start(&v->timer, on_patience_over, PATIENCE_MS, 0) != 0 ||
	    uv_read_start((uv_stream_t *)&v->tcp, on_room, on_read) != 0)
		close_visitor(v);
}

static struct visitor *find_free(struct metrics_http *m)
{
	for (unsigned i = 0; i < METRICS_HTTP_VISITORS; i++) {
		if (m->visitors[i].visit == VISIT_FREE)
			return &m->visitors[i];
	}
	return NULL;
}

/* Who has said least in the longest time makes room. */
static void close_slowest(struct metrics_http *m)
{
	struct visitor *slowest = NULL;

	for (unsigned i = 0; i < METRICS_HTTP_VISITORS; i++) {
		struct visitor *v = &m->visitors[i];

		if (v->visit == VISIT_CLOSING)
			return;
		if ((v->visit == VISIT_ASKING || v->visit == VISIT_LEAVING) &&
		    (!slowest || v->number < slowest->number))
			slowest = v;
	}
	if (slowest)
		close_visitor(slowest);
}

/* Who is not accepted at once is when a place gets free: libuv stops listening until then. */
static void on_knock(uv_stream_t *listener, int status)
{
	struct door *door = listener->data;
	struct visitor *v = find_free(door->owner);

	door->knocking = false;
	if (status != 0 || uv_is_closing((uv_handle_t *)listener))
		return;
	if (v) {
		accept_visitor(door->owner, door, v);
		return;
	}
	door->knocking = true;
	close_slowest(door->owner);
}

static void accept_next(struct metrics_http *m)
{
	if (m->door && m->door->knocking)
		on_knock((uv_stream_t *)&m->door->tcp, 0);
}

static void on_door_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_door(struct door **door)
{
	if (*door)
		uv_close((uv_handle_t *)&(*door)->tcp, on_door_closed);
	*door = NULL;
}

static int open_door(struct metrics_http *m, const struct addr *bind)
{
	struct door *door = calloc(1, sizeof *door);
	struct sockaddr_storage name = { 0 };
	int error;

	if (!door)
		return -ENOMEM;
	door->owner = m;
	door->bind = *bind;
	uv_tcp_init(m->loop, &door->tcp);
	door->tcp.data = door;
	sockaddr_from(&name, bind, addr_is_v4(bind) ? AF_INET : AF_INET6);
	error = uv_tcp_bind(&door->tcp, (const struct sockaddr *)&name, 0);
	if (!error)
		error = uv_listen((uv_stream_t *)&door->tcp, METRICS_HTTP_VISITORS, on_knock);
	m->next = door;
	if (error)
		close_door(&m->next);
	return error;
}

int metrics_http_prepare(struct metrics_http *m, const struct addr *bind)
{
	int error = 0;

	metrics_http_abandon(m);
	if (m->door && addr_equal(&m->door->bind, bind))
		return 0;
	if (bind->port)
		error = open_door(m, bind);
	m->changing = !error;
	return error;
}

void metrics_http_commit(struct metrics_http *m, const char *path)
{
	snprintf(m->path, sizeof m->path, "%s", path);
	if (!m->changing)
		return;
	close_door(&m->door);
	m->door = m->next;
	m->next = NULL;
	m->changing = false;
}

void metrics_http_abandon(struct metrics_http *m)
{
	close_door(&m->next);
	m->changing = false;
}

struct metrics_http *metrics_http_create(struct uv_loop_s *loop, const struct metrics_http_page *page)
{
	struct metrics_http *m = calloc(1, sizeof *m);

	if (m) {
		m->loop = loop;
		m->page = *page;
	}
	return m;
}

void metrics_http_close(struct metrics_http *m)
{
	if (!m)
		return;
	close_door(&m->next);
	close_door(&m->door);
	for (unsigned i = 0; i < METRICS_HTTP_VISITORS; i++)
		close_visitor(&m->visitors[i]);
}

void metrics_http_free(struct metrics_http *m)
{
	free(m);
}

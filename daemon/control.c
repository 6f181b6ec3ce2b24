#include "control.h"
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define PATIENCE_MS 5000 /* for the request, and again for the peer to read the answer */

enum peer_state { PEER_FREE, PEER_ASKING, PEER_ANSWERED, PEER_CLOSING };

struct peer {
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	struct control *control;
	enum peer_state state;
	unsigned open; /* handles whose close callback has not come yet */
	struct answer answer;
	size_t used;
	char line[CONTROL_LINE];
};

struct control {
	uv_loop_t *loop;
	uv_pipe_t listener;
	struct control_config cfg;
	bool knocking; /* somebody waits for a free place */
	bool closing;
	struct sockaddr_un name;
	struct peer peers[CONTROL_PEERS];
};

static void accept_next(struct control *c);

static void on_peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	if (--p->open > 0)
		return;
	answer_free(&p->answer);
	p->state = PEER_FREE;
	accept_next(p->control);
}

static void close_peer(struct peer *p)
{
	if (p->state == PEER_FREE || p->state == PEER_CLOSING)
		return;
	p->state = PEER_CLOSING;
	uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
	uv_close((uv_handle_t *)&p->timer, on_peer_closed);
}

static void on_patience_over(uv_timer_t *timer)
{
	close_peer(timer->data);
}

static void on_written(uv_write_t *write, int status)
{
	(void)status;
	close_peer(write->data);
}

/* Nothing but printable ASCII reaches the commands, the log and the answer. */
static bool is_printable(const char *line)
{
	for (; *line; line++) {
		if (*line < ' ' || *line > '~')
			return false;
	}
	return true;
}

/* fault: why the request was not understood, or NULL. */
static void answer(struct peer *p, const char *fault)
{
	struct control *c = p->control;
	uv_buf_t buf;

	p->state = PEER_ANSWERED;
	uv_read_stop((uv_stream_t *)&p->pipe);
	if (!fault)
		c->cfg.handle(c->cfg.arg, p->line, &p->answer);
	else
		answer_print(&p->answer, "error %s\n", fault);
	buf = uv_buf_init(p->answer.text, (unsigned)p->answer.len);
	p->write.data = p;
	uv_timer_start(&p->timer, on_patience_over, PATIENCE_MS, 0);
	if (p->answer.len == 0 || uv_write(&p->write, (uv_stream_t *)&p->pipe, &buf, 1, on_written) != 0)
		close_peer(p);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct peer *p = handle->data;

	(void)suggested;
	*buf = uv_buf_init(p->line + p->used, (unsigned)(sizeof p->line - p->used));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;
	char *end;

	(void)buf;
	if (n == UV_ENOBUFS) { /* on_room had none to give */
		answer(p, "the request is too long");
		return;
	}
	if (n < 0) {
		close_peer(p);
		return;
	}
	p->used += (size_t)n;
	end = memchr(p->line, '\n', p->used);
	if (!end)
		return;
	*end = '\0';
	answer(p, is_printable(p->line) ? NULL : "the request is not plain text");
}

static void accept_peer(struct control *c, struct peer *p)
{
	memset(p, 0, sizeof *p);
	p->control = c;
	uv_pipe_init(c->loop, &p->pipe, 0);
	uv_timer_init(c->loop, &p->timer);
	p->pipe.data = p->timer.data = p;
	p->open = 2;
	p->state = PEER_ASKING;
	if (uv_accept((uv_stream_t *)&c->listener, (uv_stream_t *)&p->pipe) != 0 ||
	    uv_timer_start(&p->timer, on_patience_over, PATIENCE_MS, 0) != 0 ||
	    uv_read_start((uv_stream_t *)&p->pipe, on_room, on_read) != 0)
		close_peer(p);
}

/* When all places are taken nobody is accepted: libuv then stops listening until uv_accept is
 * called again. */
static void on_knock(uv_stream_t *listener, int status)
{
	struct control *c = listener->data;

	c->knocking = false;
	if (status != 0)
		return;
	for (unsigned i = 0; i < CONTROL_PEERS; i++) {
		if (c->peers[i].state == PEER_FREE) {
			accept_peer(c, &c->peers[i]);
			return;
		}
	}
	c->knocking = true;
}

static void accept_next(struct control *c)
{
	if (c->knocking && !c->closing)
		on_knock((uv_stream_t *)&c->listener, 0);
}

static int probe(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 ? 0 : errno;
	close(fd);
	return error;
}

static int remove_stale(const struct sockaddr_un *name)
{
	struct stat st;

	if (lstat(name->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	switch (probe(name)) {
	case ECONNREFUSED: return unlink(name->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
	case EACCES: return -EACCES;
	default: return -EADDRINUSE;
	}
}

/* Asked first: under a filter of system calls chown(2) may be forbidden even where it changes nothing. */
static bool belongs_to(const char *path, gid_t group)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_gid == group;
}

/* The group last: until then the socket is the owner's alone. */
static int set_access(const struct control_config *cfg)
{
	struct group *group = NULL;

	if (cfg->group[0]) {
		group = getgrnam(cfg->group);
		if (!group)
			return -ENOKEY;
		if (!belongs_to(cfg->path, group->gr_gid) && chown(cfg->path, (uid_t)-1, group->gr_gid) != 0)
			return -EPERM;
	}
	return chmod(cfg->path, cfg->mode) == 0 ? 0 : -errno;
}

static int bind_socket(const struct control *c, int *fd)
{
	int error = 0;

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (bind(*fd, (const struct sockaddr *)&c->name, sizeof c->name) != 0 || chmod(c->name.sun_path, 0600) != 0) {
		error = -errno;
		close(*fd);
	}
	return error;
}

static int open_socket(struct control *c, int *fd)
{
	int error;

	if (strlen(c->cfg.path) >= sizeof c->name.sun_path)
		return -ENAMETOOLONG;
	c->name.sun_family = AF_UNIX;
	snprintf(c->name.sun_path, sizeof c->name.sun_path, "%s", c->cfg.path);
	error = remove_stale(&c->name);
	return error ? error : bind_socket(c, fd);
}

static int start_listening(struct control *c, int fd)
{
	int error;

	uv_pipe_init(c->loop, &c->listener, 0);
	c->listener.data = c;
	error = uv_pipe_open(&c->listener, fd);
	if (!error)
		error = uv_listen((uv_stream_t *)&c->listener, CONTROL_PEERS, on_knock);
	return error;
}

static void on_stillborn_closed(uv_handle_t *listener)
{
	free(listener->data);
}

int control_create(struct control **out, struct uv_loop_s *loop, const struct control_config *cfg)
{
	struct control *c = calloc(1, sizeof *c);
	int fd, error;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->cfg = *cfg;
	error = open_socket(c, &fd);
	if (error) {
		free(c);
		return error;
	}
	error = start_listening(c, fd);
	if (error) {
		uv_close((uv_handle_t *)&c->listener, on_stillborn_closed);
		return error;
	}
	*out = c;
	return set_access(cfg);
}

void control_close(struct control *c)
{
	if (!c)
		return;
	c->closing = true;
	unlink(c->name.sun_path);
	uv_close((uv_handle_t *)&c->listener, NULL);
	for (unsigned i = 0; i < CONTROL_PEERS; i++)
		close_peer(&c->peers[i]);
}

void control_free(struct control *c)
{
	free(c);
}

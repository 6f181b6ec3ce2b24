/*
 * fuzz_control: a whole daemon in this process, and what people send to its doors: lines to the control socket, requests for the
 * page of numbers, in pieces, cut off, of any bytes. Between them its configuration changes on disk and datagrams come. What it
 * answers is plain text that says "ok" or what is wrong, or good HTTP.
 *
 *   00 n ...  n bytes to the control socket; @ stands for the scratch directory
 *   01 n ...  n bytes to the page         02 n ...  a datagram of n bytes to the engine
 *   03 i      another configuration       04 i ...  the i-th known command, and what follows as its argument
 */
#include "fuzz_target.h"
#include "fuzz_input.h"
#include "fuzz_scratch.h"
#include "daemon.h"
#include "http.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define VISITS 24
#define TEXT   1024
#define ANSWER (ANSWER_MAX + 8192)

enum door { DOOR_CONTROL, DOOR_PAGE };

/* One visitor at a time, in the daemon's own loop. */
struct visit {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} h;
	uv_connect_t connect;
	uv_write_t write;
	uv_shutdown_t end;
	enum door door;
	char text[TEXT];
	size_t len, sent, piece; /* piece: bytes at a time */
	char *answer;
	size_t got;
};

static struct daemon d;
static struct visit v;
static uint16_t port;

/* --- the daemon */

#define LAMP  "[server lamp]\naddress = coap://[fd00::17]\nuri-path = lamp\n"
#define DOOR  "[server door]\naddress = coap://[fd00::18]\nforward = yes\n"
#define PHONE "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\nmaster-secret-file = key\n"

/* The last two are wrong. */
static const char *const bodies[] = {
	LAMP, (LAMP DOOR), (LAMP PHONE), "[server lamp]\naddress = nowhere\n", (LAMP "[nonsense]\n"),
};

static void write_config(unsigned which)
{
	static char text[4096];
	const char *at = fuzz_scratch();
	int len = snprintf(text, sizeof text,
			   "[guard]\nexchanges = 16\n[allow-list]\nrelations = 64\n[throttle]\ntable-size = 1024\n"
			   "[listen here]\nbind = [::1]:%u\n[control]\nsocket = %s/control\ngroup =\n"
			   "[metrics]\nlisten = [::1]:%u\n[state]\ndirectory = %s/state\n%s",
			   port, at, port, at, bodies[which % (sizeof bodies / sizeof bodies[0])]);

	fuzz_scratch_put("guard.conf", bytes_of(text, (size_t)len));
}

/* One that is free now for both transports. */
static uint16_t find_port(void)
{
	struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof name;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	FUZZ_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
	FUZZ_MUST(getsockname(fd, (struct sockaddr *)&name, &len) == 0);
	close(fd);
	return ntohs(name.sin6_port);
}

static void close_daemon(void)
{
	daemon_close(&d);
	free(v.answer);
}

static void open_daemon(void)
{
	static char path[FUZZ_SCRATCH + 32];

	port = find_port();
	v.answer = fuzz_room(ANSWER);
	fuzz_scratch_make("state");
	fuzz_scratch_put("key", bytes_of("000102030405060708090a0b0c0d0e0f", 32));
	write_config(0);
	snprintf(path, sizeof path, "%s", fuzz_scratch_at("guard.conf"));
	d.config_path = path;
	FUZZ_MUST(config_load(&d.config, NULL, path, &d.errors));
	log_init(&d.log, open("/dev/null", O_WRONLY), LEVEL_INFO);
	FUZZ_MUST(daemon_open(&d) == 0);
	atexit(close_daemon);
}

/* --- one visit */

static void on_closed(uv_handle_t *handle)
{
	(void)handle;
	loop_stop(d.loop);
}

static void leave(void)
{
	if (!uv_is_closing(&v.h.handle))
		uv_close(&v.h.handle, on_closed);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(v.answer + v.got, (unsigned)(ANSWER - 1 - v.got));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)stream;
	(void)buf;
	if (n < 0)
		leave();
	else
		v.got += (size_t)n;
}

static void on_ended(uv_shutdown_t *end, int status)
{
	(void)end;
	if (status < 0)
		leave();
}

/* Piece by piece, and then no more: who has not said all by then gets no answer. */
static void on_written(uv_write_t *write, int status)
{
	size_t left = v.len - v.sent, n = left < v.piece ? left : v.piece;
	uv_buf_t buf = uv_buf_init(v.text + v.sent, (unsigned)n);

	(void)write;
	if (status < 0 || uv_is_closing(&v.h.handle))
		return; /* whoever hangs up has answered already: that is read */
	v.sent += n;
	if (n > 0 ? uv_write(&v.write, &v.h.stream, &buf, 1, on_written) != 0
		  : uv_shutdown(&v.end, &v.h.stream, on_ended) != 0)
		leave();
}

static void on_connected(uv_connect_t *connect, int status)
{
	(void)connect;
	FUZZ_MUST(status == 0);
	FUZZ_MUST(uv_read_start(&v.h.stream, on_room, on_read) == 0);
	on_written(&v.write, 0);
}

/* A reset instead of a farewell, so that no port waits for late segments. */
static void reset_at_end(void)
{
	const struct linger none = { .l_onoff = 1 };
	uv_os_fd_t fd;

	if (uv_fileno(&v.h.handle, &fd) == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static void connect_to(enum door door)
{
	const struct sockaddr_in6 page = { .sin6_family = AF_INET6,
					   .sin6_port = htons(port),
					   .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if (door == DOOR_CONTROL) {
		uv_pipe_init(loop_uv(d.loop), &v.h.pipe, 0);
		uv_pipe_connect(&v.connect, &v.h.pipe, fuzz_scratch_at("control"), on_connected);
		return;
	}
	uv_tcp_init(loop_uv(d.loop), &v.h.tcp);
	FUZZ_MUST(uv_tcp_connect(&v.connect, &v.h.tcp, (const struct sockaddr *)&page, on_connected) == 0);
	reset_at_end();
}

/* Lines of printable text; tables have tabs. */
static void check_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		FUZZ_MUST((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n' || text[i] == '\t');
	FUZZ_MUST(len == 0 || text[len - 1] == '\n');
}

static void check_control(void)
{
	v.answer[v.got] = '\0';
	FUZZ_MUST(v.got <= ANSWER_MAX + 256);
	check_text(v.answer, v.got);
	FUZZ_MUST(v.got == 0 || strncmp(v.answer, "ok\n", 3) == 0 || strncmp(v.answer, "error ", 6) == 0);
	if (memchr(v.text, '\n', v.len < CONTROL_LINE ? v.len : CONTROL_LINE)) /* who asks is answered */
		FUZZ_MUST(v.got > 0);
}

static void check_page(void)
{
	struct http_request request;
	unsigned code = 0;
	size_t head;
	char *end;

	v.answer[v.got] = '\0';
	if (v.got == 0) {
		FUZZ_MUST(http_parse(bytes_of(v.text, v.len), &request) == HTTP_MORE);
		return;
	}
	end = strstr(v.answer, "\r\n\r\n");
	FUZZ_MUST(end && sscanf(v.answer, "HTTP/1.1 %3u ", &code) == 1);
	head = (size_t)(end + 4 - v.answer);
	check_text(v.answer + head, v.got - head);
	FUZZ_MUST(code == 200 || code == 400 || code == 404 || code == 405 || code == 431 || code == 505);
}

static void visit(enum door door, size_t piece)
{
	v.door = door;
	v.sent = v.got = 0;
	v.piece = piece;
	connect_to(door);
	FUZZ_MUST(daemon_run(&d) == 0);
	if (door == DOOR_CONTROL)
		check_control();
	else
		check_page();
}

/* --- the story */

static void put(const char *word, size_t len)
{
	if (v.len + len > sizeof v.text)
		return;
	memcpy(v.text + v.len, word, len);
	v.len += len;
}

static void take_text(struct fuzz_input *in, unsigned n)
{
	while (n-- > 0 && !fuzz_ended(in)) {
		char ch = (char)fuzz_byte(in);

		if (ch == '@')
			put(fuzz_scratch(), strlen(fuzz_scratch()));
		else
			put(&ch, 1);
	}
}

/* A trace goes where we say, since it is a file. */
static bool is_harmless(void)
{
	static const char word[] = "trace on ";
	const char *at = fuzz_scratch();
	size_t n = strlen(at);

	if (v.len < strlen(word) || memcmp(v.text, word, strlen(word)) != 0)
		return true;
	return v.len > strlen(word) + n && memcmp(v.text + strlen(word), at, n) == 0 && !memmem(v.text, v.len, "..", 2);
}

static void command(struct fuzz_input *in)
{
	static const char *const words[] = { "status",
					     "links",
					     "servers",
					     "contexts",
					     "context new phone",
					     "context reset phone",
					     "clients",
					     "counters",
					     "why ::1",
					     "metrics",
					     "log",
					     "config",
					     "version",
					     "reload",
					     "forget ",
					     "trace on @",
					     "trace off",
					     "why ",
					     "context new " };
	const char *word = words[fuzz_below(in, sizeof words / sizeof words[0])];

	for (; *word; word++)
		if (*word == '@')
			put(fuzz_scratch_at("t"), strlen(fuzz_scratch_at("t")));
		else
			put(word, 1);
	take_text(in, fuzz_below(in, 32));
	put("\n", 1);
}

static void datagram(struct fuzz_input *in, unsigned n)
{
	struct path from = { .leg = LEG_CLIENT, .local = d.config.proxy.listens[0].bind };
	uint8_t buf[256];
	struct path to;

	FUZZ_MUST(addr_parse(&from.remote, "[2001:db8::1]:40001", 0));
	from.remote.ip[15] = fuzz_byte(in);
	for (unsigned i = 0; i < n; i++)
		buf[i] = fuzz_byte(in);
	tracer_in(&d.tracer, &from, bytes_of(buf, n), loop_now(d.loop));
	proxy_receive(d.proxy, &from, bytes_of(buf, n), loop_now(d.loop));
	while (proxy_transmit(d.proxy, &to, loop_now(d.loop)).len)
		; /* nobody is there */
}

static void play(struct fuzz_input *in)
{
	static const size_t pieces[] = { TEXT, TEXT, 1, 7, 100 };
	unsigned what = fuzz_byte(in), n;

	v.len = 0;
	switch (what % 5) {
	case 2: datagram(in, fuzz_byte(in)); return;
	case 3: write_config(fuzz_byte(in)); return;
	case 4: command(in); break;
	default: n = fuzz_byte(in); take_text(in, n);
	}
	if (is_harmless())
		visit(what % 5 == 1 ? DOOR_PAGE : DOOR_CONTROL, pieces[what / 5 % 5]);
}

/* The next input finds it as this one did. */
static void restore(void)
{
	daemon_trace_off(&d, "the end");
	write_config(0);
	FUZZ_MUST(daemon_reload(&d, loop_now(d.loop)));
	fuzz_scratch_empty("state");
	unlink(fuzz_scratch_at("t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size, 0, 0 };

	if (!d.loop)
		open_daemon();
	for (unsigned i = 0; i < VISITS && !fuzz_ended(&in); i++)
		play(&in);
	restore();
	return 0;
}

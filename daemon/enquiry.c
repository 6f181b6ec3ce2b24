#include "enquiry.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_S 10
#define REPLY_MAX  ((size_t)2 << 20) /* twice what the daemon sends */

static bool is_daemon(const char *pid)
{
	char path[64], name[32] = "";
	FILE *comm;

	if (pid[strspn(pid, "0123456789")] != '\0')
		return false;
	snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	comm = fopen(path, "re");
	if (!comm)
		return false;
	if (!fgets(name, sizeof name, comm))
		name[0] = '\0';
	fclose(comm);
	return strcmp(name, "coap-guardd\n") == 0;
}

static bool daemon_runs(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool runs = false;

	while (proc && !runs && (entry = readdir(proc)))
		runs = is_daemon(entry->d_name);
	if (proc)
		closedir(proc);
	return runs;
}

/* It was reached, and said nothing: it is there, and the socket is the right one. */
static void say_mute(const char *path, int error, pid_t pid)
{
	if (error == EAGAIN)
		fprintf(stderr, "coap-guardctl: no answer within %d s at %s\n", PATIENCE_S, path);
	else
		fprintf(stderr, "coap-guardctl: no answer at %s: %s\n", path, strerror(error));
	if (kill(pid, 0) == 0 || errno == EPERM)
		fprintf(stderr, "coap-guardctl: process %ld has the socket: it is stopped, stuck or ends just now\n",
			(long)pid);
	else
		fputs("coap-guardctl: coap-guardd has just ended\n", stderr);
}

static void say_unreachable(const char *path, int error)
{
	fprintf(stderr, "coap-guardctl: cannot reach the daemon at %s: %s\n", path, strerror(error));
	if (error == EACCES)
		fputs("coap-guardctl: the socket belongs to the group in [control] group; join it, "
		      "or become root\n",
		      stderr);
	else if (daemon_runs())
		fputs("coap-guardctl: coap-guardd runs; see [control] socket in its configuration, "
		      "and -s\n",
		      stderr);
	else
		fputs("coap-guardctl: coap-guardd does not run\n", stderr);
}

/* A descriptor or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int error = ENAMETOOLONG, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	if (strlen(path) < sizeof name.sun_path) {
		if (connect(fd, (const struct sockaddr *)&name, sizeof name) == 0)
			return fd;
		error = errno;
	}
	close(fd);
	return -error;
}

/* Who listens there; 0: a process that we cannot see. */
static pid_t listener_of(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

/* 0 or an errno. */
static int read_all(int fd, char *reply)
{
	size_t used = 0;

	while (used < REPLY_MAX - 1) {
		ssize_t n = read(fd, reply + used, REPLY_MAX - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	reply[used] = '\0';
	return used == 0 ? EPIPE : 0;
}

char *enquiry_ask(const char *path, const char *request, char **reply, int *code)
{
	int fd = connect_to(path), error = fd < 0 ? -fd : 0;
	pid_t listener = fd < 0 ? 0 : listener_of(fd);
	char *body;

	*reply = malloc(REPLY_MAX);
	if (!*reply)
		error = ENOMEM;
	if (!error && dprintf(fd, "%s\n", request) < 0)
		error = errno;
	if (!error)
		error = read_all(fd, *reply);
	if (fd >= 0)
		close(fd);
	if (error) {
		if (listener && error != ENOMEM)
			say_mute(path, error, listener);
		else
			say_unreachable(path, error);
		*code = EX_UNAVAILABLE;
		return NULL;
	}
	body = strchr(*reply, '\n');
	if (body)
		*body++ = '\0';
	if (body && strcmp(*reply, "ok") == 0)
		return body;
	fprintf(stderr, "coap-guardctl: %s\n%s", *reply, body ? body : "");
	*code = EXIT_FAILURE;
	return NULL;
}

int enquiry_table(const char *path, const char *request, char **reply, struct table *t)
{
	int code = EX_OK;
	char *body;

	memset(t, 0, sizeof *t);
	body = enquiry_ask(path, request, reply, &code);
	if (body && !table_parse(t, body)) {
		fputs("coap-guardctl: the daemon's answer is no table; is it of another version?\n", stderr);
		code = EX_PROTOCOL;
	}
	return code;
}

/*
 * dying: makes a process end in the middle of what it keeps on disk, as if the power had gone. Loaded by LD_PRELOAD it counts the
 * points before and after each write, fsync and rename in DYING_DIRECTORY, and half-way through each write; at point DYING_AT it
 * takes back what no fsync has made sure of, and ends the process with DYING_STATUS. Without these variables nothing happens.
 * One file is written at a time.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DYING_STATUS 111

/* What is preloaded has no other place for what it must remember. */
static unsigned long points;
static char unsure[PATH_MAX];                    /* written, and not sure to be on disk; "": none */
static char renamed[PATH_MAX], before[PATH_MAX]; /* a name that is not sure to be on disk; what had it before */

/* The function that would be called without us. ISO C has no cast from an object pointer to a function pointer. */
static void next(const char *name, void *function, size_t size)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(function, &symbol, size);
}

static int rename_really(const char *from, const char *to)
{
	int (*real)(const char *, const char *);

	next("rename", &real, sizeof real);
	return real(from, to);
}

static void lose(void)
{
	if (*unsure && truncate(unsure, 0) < 0)
		perror(unsure);
	if (*renamed && rename_really(before, renamed) < 0)
		unlink(renamed);
}

static void pass(void)
{
	const char *at = getenv("DYING_AT");

	if (!at || ++points != strtoul(at, NULL, 10))
		return;
	lose();
	_exit(DYING_STATUS);
}

static bool is_inside(const char *path)
{
	const char *directory = getenv("DYING_DIRECTORY");

	return directory && *directory && strncmp(path, directory, strlen(directory)) == 0;
}

static bool path_of(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return is_inside(path);
}

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t (*real)(int, const void *, size_t), n;
	char path[PATH_MAX];

	next("write", &real, sizeof real);
	if (!path_of(fd, path))
		return real(fd, data, len);
	pass();
	strcpy(unsure, path);
	n = real(fd, data, len / 2);
	if (n < 0)
		return n;
	pass();
	n = real(fd, (const char *)data + len / 2, len - len / 2);
	pass();
	return n < 0 ? n : (ssize_t)(len / 2) + n;
}

int fsync(int fd)
{
	int (*real)(int), result;
	char path[PATH_MAX];

	next("fsync", &real, sizeof real);
	if (!path_of(fd, path))
		return real(fd);
	pass();
	result = real(fd);
	if (result == 0 && strcmp(path, unsure) == 0)
		*unsure = '\0';
	if (result == 0 && *renamed && strncmp(path, renamed, strlen(path)) == 0 && renamed[strlen(path)] == '/') {
		unlink(before);
		*renamed = '\0';
	}
	pass();
	return result;
}

int rename(const char *from, const char *to)
{
	int result;

	if (!is_inside(from))
		return rename_really(from, to);
	pass();
	snprintf(renamed, sizeof renamed, "%s", to);
	if ((size_t)snprintf(before, sizeof before, "%s~", to) >= sizeof before)
		_exit(1);
	unlink(before);
	if (link(to, before) < 0)
		*before = '\0'; /* there was none */
	result = rename_really(from, to);
	if (result < 0)
		*renamed = '\0';
	else if (strcmp(unsure, from) == 0)
		strcpy(unsure, renamed);
	pass();
	return result;
}

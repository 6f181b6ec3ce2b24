/*
 * failing: makes calls of a process fail. Loaded by LD_PRELOAD:
 *
 *   FAILING_ALLOCATION=N     the N-th allocation fails, once
 *   FAILING_COUNT=FILE       how many allocations there were, written at the end
 *   FAILING_WHILE=FILE       while this file is there, and only then, what is named below fails
 *   FAILING_CALL=NAME        allocate, or write, fsync, rename, open in FAILING_DIRECTORY
 *   FAILING_ERRNO=NUMBER     how; a write fails half-way
 *
 * Without these variables nothing happens.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own, so that allocating needs no look-up, which allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static unsigned long allocations;
static bool in_names; /* in glibc's look-up of a group */

/* The function that would be called without us. ISO C has no cast from an object pointer to a function pointer. */
static void next(const char *name, void *function, size_t size)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(function, &symbol, size);
}

static bool is_called(const char *name)
{
	const char *call = getenv("FAILING_CALL"), *file = getenv("FAILING_WHILE");
	int saved = errno;
	bool now = call && file && strcmp(call, name) == 0 && access(file, F_OK) == 0;

	errno = saved;
	return now;
}

static bool has_failed(void)
{
	const char *at = getenv("FAILING_ALLOCATION");
	unsigned long n = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);

	if (!in_names && ((at && n == strtoul(at, NULL, 10)) || is_called("allocate"))) {
		errno = ENOMEM;
		return true;
	}
	return false;
}

void *malloc(size_t size)
{
	return has_failed() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return has_failed() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return has_failed() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return has_failed() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *found = has_failed() ? NULL : __libc_memalign(alignment, size);

	if (found)
		*out = found;
	return found ? 0 : ENOMEM;
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("FAILING_COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (f) {
		fprintf(f, "%lu\n", allocations);
		fclose(f);
	}
}

/* glibc 2.36 follows a NULL pointer, or asserts, where it cannot load its tables of names: nothing fails in there. */
struct group *getgrnam(const char *name)
{
	struct group *(*real)(const char *), *found;

	next("getgrnam", &real, sizeof real);
	in_names = true;
	found = real(name);
	in_names = false;
	return found;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static bool is_inside(const char *path)
{
	const char *directory = getenv("FAILING_DIRECTORY");

	return directory && *directory && strncmp(path, directory, strlen(directory)) == 0;
}

static bool is_file_inside(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return is_inside(path);
}

static int fail(void)
{
	const char *number = getenv("FAILING_ERRNO");

	errno = number ? atoi(number) : EIO;
	return -1;
}

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t (*real)(int, const void *, size_t);

	next("write", &real, sizeof real);
	if (!is_called("write") || !is_file_inside(fd))
		return real(fd, data, len);
	if (len > 1 && real(fd, data, len / 2) < 0)
		return -1;
	return fail();
}

int fsync(int fd)
{
	int (*real)(int);

	next("fsync", &real, sizeof real);
	return is_called("fsync") && is_file_inside(fd) ? fail() : real(fd);
}

int rename(const char *from, const char *to)
{
	int (*real)(const char *, const char *);

	next("rename", &real, sizeof real);
	return is_called("rename") && is_inside(from) ? fail() : real(from, to);
}

static int open_really(int at, const char *path, int flags, mode_t mode)
{
	int (*real)(int, const char *, int, ...);
	bool inside = is_inside(path) || (at != AT_FDCWD && is_file_inside(at));

	next("openat", &real, sizeof real);
	return is_called("open") && inside && (flags & (O_WRONLY | O_RDWR)) ? fail() : real(at, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	return open_really(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	return open_really(at, path, flags, mode);
}

#include "statedir.h"
#include "crc32.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD     "coap-guard-context "
#define VERSION  "1\n"
#define SUFFIX   ".context"
#define TEXT_MAX 512 /* of a file; what is written is shorter */
#define END_LEN  13  /* "end 0badc0de\n" */
#define NEXT_MAX (OSCORE_PIV_MAX + 1)
#define FILE_LEN (STATEDIR_PATH + PROXY_NAME + 16)

static int put_print(char *out, size_t size, const char *word, const uint8_t print[OSCORE_PRINT])
{
	int len = snprintf(out, size, "%s ", word);

	for (unsigned i = 0; i < OSCORE_PRINT; i++)
		len += snprintf(out + len, size - (size_t)len, "%02x", print[i]);
	return len + snprintf(out + len, size - (size_t)len, "\n");
}

static size_t format(const struct statedir_entry *e, char out[TEXT_MAX])
{
	const struct oscore_state *s = &e->state;
	int len = snprintf(out, TEXT_MAX, HEAD VERSION);

	len += put_print(out + len, TEXT_MAX - (size_t)len, "fingerprint", e->print);
	len += put_print(out + len, TEXT_MAX - (size_t)len, "sender", e->sender);
	len += snprintf(out + len, TEXT_MAX - (size_t)len, "next %" PRIu64 "\n", s->next);
	if (s->synced)
		len += snprintf(out + len, TEXT_MAX - (size_t)len, "window %u %" PRIu64 " %" PRIx64 "\n",
				s->window.size, s->window.next, s->window.seen);
	len += snprintf(out + len, TEXT_MAX - (size_t)len, "end %08" PRIx32 "\n", crc32_of(0, out, (size_t)len));
	return (size_t)len;
}

/* Each moves *p behind what it has taken; false: it is not there. */
static bool take_word(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool take_number(const char **p, int base, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(*p, &end, base);
	if (end == *p || errno != 0 || *out > max)
		return false;
	*p = end;
	return true;
}

static bool take_print(const char **p, const char *word, uint8_t out[OSCORE_PRINT])
{
	if (!take_word(p, word))
		return false;
	for (unsigned i = 0; i < OSCORE_PRINT; i++) {
		char digits[3] = { (*p)[0], (*p)[0] ? (*p)[1] : '\0', '\0' }, *end;

		out[i] = (uint8_t)strtoul(digits, &end, 16);
		if (end != digits + 2)
			return false;
		*p += 2;
	}
	return true;
}

static bool take_window(const char **p, struct replay *out)
{
	uint64_t size, next, seen;

	if (!take_number(p, 10, REPLAY_MAX, &size) || size == 0 || !take_word(p, " ") ||
	    !take_number(p, 10, NEXT_MAX, &next) || !take_word(p, " ") ||
	    !take_number(p, 16, UINT64_MAX >> (REPLAY_MAX - size), &seen))
		return false;
	*out = (struct replay){ .next = next, .seen = seen, .size = (uint8_t)size };
	return true;
}

/* Not yet strict: what is odd will not be the same when it is written again. */
static bool scan(const char *text, struct statedir_entry *e)
{
	const char *p = text;

	memset(e, 0, sizeof *e);
	if (!take_word(&p, HEAD VERSION) || !take_print(&p, "fingerprint ", e->print) ||
	    !take_print(&p, "\nsender ", e->sender) || !take_word(&p, "\nnext ") ||
	    !take_number(&p, 10, NEXT_MAX, &e->state.next))
		return false;
	e->state.synced = take_word(&p, "\nwindow ");
	return !e->state.synced || take_window(&p, &e->state.window);
}

/* Returns what is wrong, or NULL. text ends with a NUL behind its len bytes. */
static const char *parse(const char *text, size_t len, struct statedir_entry *e)
{
	static const char head[] = HEAD VERSION;
	char again[TEXT_MAX], end[END_LEN + 1];

	if (len == 0)
		return "empty";
	if (strncmp(text, HEAD, strlen(HEAD)) == 0 && len >= strlen(head) && strncmp(text, head, strlen(head)) != 0)
		return "of an unknown version";
	if (len < END_LEN)
		return "damaged: cut off";
	snprintf(end, sizeof end, "end %08" PRIx32 "\n", crc32_of(0, text, len - END_LEN));
	if (memcmp(text + len - END_LEN, end, END_LEN) != 0)
		return "damaged: cut off or bad checksum";
	if (!scan(text, e))
		return "damaged: a missing or wrong line";
	if (format(e, again) != len || memcmp(again, text, len) != 0)
		return "damaged: not as it was written";
	return NULL;
}

static const char *file_of(const struct statedir *s, const char *name, const char *suffix, char out[FILE_LEN])
{
	snprintf(out, FILE_LEN, "%s/%s%s", s->path, name, suffix);
	return out;
}

/* What can be read of an open file, at most size bytes; or -errno. */
static ssize_t read_all(int fd, char *out, size_t size)
{
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	while (len < size && (n = read(fd, out + len, size - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)len;
}

enum statedir_found statedir_read(const struct statedir *s, const char *name, struct statedir_entry *out, char *why,
				  size_t size)
{
	char text[TEXT_MAX + 1], file[FILE_LEN];
	int fd = open(file_of(s, name, SUFFIX, file), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t len = fd < 0 ? -errno : read_all(fd, text, TEXT_MAX);
	const char *wrong;

	if (fd >= 0)
		close(fd);
	else if (len == -ENOENT)
		return STATEDIR_NONE;
	text[len > 0 ? len : 0] = '\0';
	if (len < 0)
		wrong = len == -EINVAL ? "not a regular file" : strerror((int)-len);
	else
		wrong = parse(text, (size_t)len, out);
	if (!wrong)
		return STATEDIR_FOUND;
	snprintf(why, size, "%s", wrong);
	return len < 0 ? STATEDIR_UNREADABLE : STATEDIR_BAD;
}

/* 0 or -errno. The data is on disk, the name perhaps not yet. */
static int write_new(const char *file, const char *text, size_t len)
{
	int fd, error = 0;
	ssize_t n;

	if (unlink(file) < 0 && errno != ENOENT)
		return -errno;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		error = -errno;
	else if ((size_t)n != len)
		error = -ENOSPC;
	else if (fsync(fd) < 0)
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	return error;
}

/* The new one takes the old one's place for good, or goes. error: of writing it. Returns that, or its own. */
static int settle_new(const struct statedir *s, const char *fresh, const char *file, int error)
{
	if (!error && rename(fresh, file) < 0)
		error = -errno;
	if (error)
		unlink(fresh);
	else if (fsync(s->fd) < 0)
		error = -errno;
	return error;
}

int statedir_write(const struct statedir *s, const char *name, const struct statedir_entry *e)
{
	char text[TEXT_MAX], file[FILE_LEN], fresh[FILE_LEN];
	int error = write_new(file_of(s, name, SUFFIX ".new", fresh), text, format(e, text));

	return settle_new(s, fresh, file_of(s, name, SUFFIX, file), error);
}

FILE *statedir_open_file(const struct statedir *s, const char *name)
{
	char file[FILE_LEN];
	int fd = open(file_of(s, name, "", file), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (f = fdopen(fd, "r")))
		return f;
	close(fd);
	errno = EINVAL;
	return NULL;
}

FILE *statedir_begin(const struct statedir *s, const char *name)
{
	char fresh[FILE_LEN];
	int fd;
	FILE *f;

	if (unlink(file_of(s, name, ".new", fresh)) < 0 && errno != ENOENT)
		return NULL;
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f && fd >= 0)
		close(fd);
	return f;
}

int statedir_commit(const struct statedir *s, const char *name, FILE *f)
{
	char file[FILE_LEN], fresh[FILE_LEN];
	int error = 0;

	errno = 0;
	if (fflush(f) != 0 || ferror(f) || fsync(fileno(f)) < 0)
		error = errno ? -errno : -EIO;
	if (fclose(f) != 0 && !error)
		error = -errno;
	return settle_new(s, file_of(s, name, ".new", fresh), file_of(s, name, "", file), error);
}

/* Of "NAME.context"; false: it is no such name. */
static bool name_of(const char *file, char name[PROXY_NAME])
{
	size_t len = strlen(file), suffix = strlen(SUFFIX);

	if (len <= suffix || len - suffix >= PROXY_NAME || strcmp(file + len - suffix, SUFFIX) != 0)
		return false;
	snprintf(name, PROXY_NAME, "%.*s", (int)(len - suffix), file);
	return true;
}

bool statedir_find(const struct statedir *s, const uint8_t sender[OSCORE_PRINT], const char *but, char name[PROXY_NAME])
{
	DIR *dir = opendir(s->path);
	struct dirent *entry;
	struct statedir_entry e;
	char why[128];
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = name_of(entry->d_name, name) && strcmp(name, but) != 0 &&
			statedir_read(s, name, &e, why, sizeof why) == STATEDIR_FOUND &&
			memcmp(e.sender, sender, OSCORE_PRINT) == 0;
	if (dir)
		closedir(dir);
	return found;
}

/* Who may write here could make us use sequence numbers again. */
static bool is_ours(int fd, const char *path, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		snprintf(why, size, "%s: belongs to another user", path);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		snprintf(why, size, "%s: others may write there; chmod 0700 it", path);
	else
		return true;
	return false;
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

/* On a disk that can't be written the lock of an earlier start will do. */
static int open_lock(const struct statedir *s)
{
	char file[FILE_LEN];
	int fd = open(file_of(s, "lock", "", file), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EROFS)
		fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

void statedir_init(struct statedir *s)
{
	s->fd = s->lock = -1;
	s->path[0] = '\0';
}

bool statedir_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

int statedir_open(struct statedir *s, const char *path, char *why, size_t size)
{
	int error = 0;

	statedir_init(s);
	why[0] = '\0';
	snprintf(s->path, sizeof s->path, "%s", path);
	s->fd = open_directory(path);
	if (s->fd < 0)
		error = -errno;
	else if (!is_ours(s->fd, path, why, size))
		error = -EPERM;
	else if ((s->lock = open_lock(s)) < 0 || flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		error = -errno;
	if (error == -EWOULDBLOCK)
		snprintf(why, size, "%s: locked by another coap-guardd", path);
	else if (error && !*why)
		snprintf(why, size, "%s: %s", path, strerror(-error));
	if (error)
		statedir_close(s);
	return error;
}

void statedir_close(struct statedir *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock >= 0)
		close(s->lock);
	s->fd = s->lock = -1;
}

#include "secrets.h"
#include "value.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 1024 /* bytes of a file: digits and much white space */
#define PATH_LEN 512

/* Or -errno, and why says it. Opened without waiting, so that a FIFO can't stop the daemon. */
static int open_file(const char *path, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	int error = fd < 0 ? errno : 0;

	if (error == ELOOP)
		snprintf(why, size, "%s: a symbolic link; name the file itself", path);
	else if (error)
		snprintf(why, size, "%s: %s", path, strerror(error));
	return error ? -error : fd;
}

/* Of the descriptor, so that it is the file that is read. trusted: made by the service manager. */
static bool is_private(int fd, const char *path, bool trusted, size_t most, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		snprintf(why, size, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, size, "%s: not a regular file", path);
	else if (st.st_size > (off_t)most)
		snprintf(why, size, "%s: too large for %s", path, most > TEXT_MAX ? "keys" : "a key");
	else if (!trusted && st.st_uid != geteuid() && st.st_uid != 0)
		snprintf(why, size, "%s: belongs to another user; expected this one or root", path);
	else if (!trusted && st.st_mode & (S_IRWXG | S_IRWXO))
		snprintf(why, size, "%s: others may read or write it; chmod 0600 it", path);
	else
		return true;
	return false;
}

/* All there is, or -1: the system's error, or more than most. There is room for one byte more. */
static ssize_t read_all(int fd, char *text, size_t most)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, most + 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		len += (size_t)n;
		if (len > most) {
			errno = EFBIG;
			return -1;
		}
	}
	return (ssize_t)len;
}

static bool is_space(char ch)
{
	return ch != '\0' && strchr(" \t\r\n\v\f", ch) != NULL;
}

const char *secrets_parse(const char *text, size_t len, uint8_t out[SECRETS_MAX], size_t *bytes)
{
	size_t i = 0, digits = 0;

	while (i < len && is_space(text[i]))
		i++;
	if (len - i >= 2 && text[i] == '0' && (text[i + 1] == 'x' || text[i + 1] == 'X'))
		i += 2;
	for (; i < len; i++) {
		int value = value_hex_digit(text[i]);

		if (is_space(text[i]))
			continue;
		if (value < 0)
			return "not hexadecimal";
		if (digits == 2 * SECRETS_MAX)
			return "longer than 64 bytes";
		out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] | value : value << 4);
		digits++;
	}
	if (digits % 2 != 0)
		return "an odd number of digits";
	if (digits / 2 < SECRETS_MIN)
		return digits ? "shorter than 16 bytes, which can be guessed" : "empty";
	*bytes = digits / 2;
	return NULL;
}

/* False: no such credential. */
static bool open_credential(const char *name, char path[PATH_LEN], int *fd, char *why, size_t size)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	int len = directory && *directory == '/' ? snprintf(path, PATH_LEN, "%s/%s", directory, name) : 0;

	if (len <= 0 || len >= PATH_LEN)
		return false;
	*fd = open_file(path, why, size);
	return *fd != -ENOENT;
}

static void beside(const char *config_path, const char *file, char path[PATH_LEN])
{
	const char *slash = strrchr(config_path, '/');
	int dir = slash && *file != '/' ? (int)(slash - config_path) + 1 : 0;

	if (snprintf(path, PATH_LEN, "%.*s%s", dir, config_path, file) >= PATH_LEN)
		path[0] = '\0'; /* no other file must be read; "" is none */
}

/* Returns the length, or 0, and why says it; path: what was read. */
static size_t read_text(const char *name, const char *file, const char *config_path, char path[PATH_LEN], char *text,
			size_t most, char *why, size_t size)
{
	int fd = -1;
	bool credential = open_credential(name, path, &fd, why, size);
	ssize_t len = 0;

	if (!credential) {
		beside(config_path, file, path);
		fd = open_file(path, why, size);
	}
	if (fd < 0)
		return 0;
	if (is_private(fd, path, credential, most, why, size)) {
		len = read_all(fd, text, most);
		if (len <= 0)
			snprintf(why, size, "%s: %s", path, len < 0 ? strerror(errno) : "empty");
	}
	close(fd);
	return len > 0 ? (size_t)len : 0;
}

size_t secrets_text(const char *name, const char *file, const char *config_path, char *text, size_t most, char *why,
		    size_t size)
{
	char path[PATH_LEN];

	return read_text(name, file, config_path, path, text, most, why, size);
}

size_t secrets_read(const char *name, const char *file, const char *config_path, uint8_t out[SECRETS_MAX], char *why,
		    size_t size)
{
	char path[PATH_LEN], text[TEXT_MAX + 1];
	size_t bytes = 0, len = read_text(name, file, config_path, path, text, TEXT_MAX, why, size);
	const char *wrong = len > 0 ? secrets_parse(text, len, out, &bytes) : NULL;

	explicit_bzero(text, sizeof text);
	if (wrong)
		snprintf(why, size, "%s: %s", path, wrong);
	return bytes;
}

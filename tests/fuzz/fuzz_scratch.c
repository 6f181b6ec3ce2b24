#include "fuzz_scratch.h"
#include "fuzz_target.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[FUZZ_SCRATCH];

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static void leave(void)
{
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_scratch(void)
{
	if (root[0])
		return root;
	snprintf(root, sizeof root, "%s/fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_MUST(mkdtemp(root));
	atexit(leave);
	return root;
}

const char *fuzz_scratch_at(const char *name)
{
	static char paths[4][FUZZ_SCRATCH + 256];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof paths[turn], "%s/%s", fuzz_scratch(), name);
	return paths[turn];
}

void fuzz_scratch_put(const char *name, struct bytes content)
{
	int fd = open(fuzz_scratch_at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	FUZZ_MUST(fd >= 0);
	FUZZ_MUST(content.len == 0 || write(fd, content.ptr, content.len) == (ssize_t)content.len);
	close(fd);
}

void fuzz_scratch_make(const char *name)
{
	mkdir(fuzz_scratch_at(name), 0700);
}

struct bytes fuzz_scratch_get(const char *name, uint8_t *out, size_t cap)
{
	int fd = open(fuzz_scratch_at(name), O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return bytes_of(NULL, 0);
	len = read(fd, out, cap);
	close(fd);
	return bytes_of(out, len > 0 ? (size_t)len : 0);
}

void fuzz_scratch_empty(const char *name)
{
	DIR *dir = opendir(fuzz_scratch_at(name));
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0); /* fails on directories */
	if (dir)
		closedir(dir);
}

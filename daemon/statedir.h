/*
 * statedir: the state directory: what OSCORE contexts must not forget, one file each, other files, and one writer.
 *
 *   NAME.context         coap-guard-context 1
 *                        fingerprint 4f1c...  of the key and the identifiers (32 hexadecimal digits)
 *                        sender 9a07...       of the half that protects what we send
 *                        next 1024            no sequence number from here on was ever used
 *                        window 32 77 5f      its size, the number above all received, those seen; not there: it was lost
 *                        end 0badc0de         CRC-32 of all lines above
 *   NAME.context.new     the same while it is written
 *   hints                what is known of clients: hintfile.h
 *   lock                 held as long as the directory is open
 */
#ifndef STATEDIR_H
#define STATEDIR_H
#include "proxy/proxy.h"
#include <stdio.h>

#define STATEDIR_PATH 108

struct statedir {
	char path[STATEDIR_PATH];
	int fd, lock; /* -1: not open */
};

struct statedir_entry {
	uint8_t print[OSCORE_PRINT], sender[OSCORE_PRINT];
	struct oscore_state state; /* its window means something only when synced */
};

enum statedir_found {
	STATEDIR_FOUND,
	STATEDIR_NONE,      /* no such file */
	STATEDIR_BAD,       /* why says what is wrong with what it says */
	STATEDIR_UNREADABLE /* why says what the system said */
};

void statedir_init(struct statedir *s);
bool statedir_exists(const char *path); /* else errno says why not */
/* Makes the directory if only its last name is missing. 0, -EWOULDBLOCK: another process writes there; -errno; why says it. */
int statedir_open(struct statedir *s, const char *path, char *why, size_t size);
void statedir_close(struct statedir *s); /* harmless when it is not open */

static inline bool statedir_is_open(const struct statedir *s)
{
	return s->fd >= 0;
}

/* A file that is not byte for byte as statedir_write makes them is bad. */
enum statedir_found statedir_read(const struct statedir *s, const char *name, struct statedir_entry *out, char *why,
				  size_t size);
/* 0: it is on disk, whatever happens now. -errno: the old one or the new one will be found. */
int statedir_write(const struct statedir *s, const char *name, const struct statedir_entry *e);
/* Another file, from its beginning. NULL: errno says why. */
FILE *statedir_open_file(const struct statedir *s, const char *name);
/* A new one of that name, which is there for others only after statedir_commit. NULL: errno says why. */
FILE *statedir_begin(const struct statedir *s, const char *name);
/* Closes it. 0: it is on disk. -errno: the old one will be found, or perhaps, if only that failed, the new one. */
int statedir_commit(const struct statedir *s, const char *name, FILE *f);
/* The name of another context's file with this sender print. False: there is none. */
bool statedir_find(const struct statedir *s, const uint8_t sender[OSCORE_PRINT], const char *but,
		   char name[PROXY_NAME]);
#endif

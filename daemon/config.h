/*
 * config: the INI configuration, checked and complete: what the engine decides by, and the daemon's
 * own settings. The keys are the table in schema.c.
 */
#ifndef CONFIG_H
#define CONFIG_H
#include "config_errors.h"
#include "log.h"
#include "proxy/proxy.h"
#include <stdio.h>

#define CONFIG_FILES     32 /* the file named and its conf.d */
#define CONFIG_FILE_NAME 256
#define CONFIG_KEYS      96 /* of the schema, at most */
#define CONFIG_PLACES    POLICY_SERVERS
#define CONFIG_SESSIONS  1024 /* most of max-sessions */

struct config {
	struct proxy_config proxy;
	char interfaces[PROXY_LISTENS][16];        /* by place in proxy.listens; empty: any */
	char listen_psk_files[PROXY_LISTENS][128]; /* by place in proxy.listens, as secret_files; empty: none */
	uint32_t listen_sessions[PROXY_LISTENS];
	char server_identities[POLICY_SERVERS][64]; /* by place in proxy.servers; empty: none */
	char server_psk_files[POLICY_SERVERS][128];
	enum log_level level;
	char secret_files[PROXY_CONTEXTS]
			 [128]; /* by place in proxy.contexts; what is not absolute is beside the first file */
	char state_directory[108];
	char link_interfaces[POLICY_LINKS][16]; /* by place in proxy.links; empty: not told */
	/* Packets past the guard: of all senders, by place in proxy.servers, and of one. */
	struct rate bypass_rates[POLICY_SERVERS], bypass_source;
	bool save_hints;            /* what is known of clients, over a restart */
	char echo_secret_file[128]; /* as secret_files; empty: none */
	uint64_t memory_limit;      /* bytes; the daemon holds proxy_memory() against it */
	char control_socket[108];   /* empty: none */
	char control_group[32];     /* empty: the group the daemon runs in */
	uint32_t control_mode;
	struct addr metrics_listen; /* port 0: nowhere */
	char metrics_path[64];

	/* Where each value came from, by the place of its section and of its key in the schema. */
	unsigned n_files;
	char files[CONFIG_FILES][CONFIG_FILE_NAME];
	struct config_origin origins[CONFIG_PLACES][CONFIG_KEYS];
};

/*
 * Reads `path`, then conf.d/<name>.conf beside it in C-locale order, into *c. previous: the
 * configuration in use, or NULL at start. Servers, links, contexts and listening addresses keep the places
 * they have there, and a changed key that is not reloadable is an error. False: *errors says why,
 * all at once, and nothing in *c may be used.
 */
bool config_load(struct config *c, const struct config *previous, const char *path, struct config_errors *errors);
/* Every key in force, defaults included, and whence as a comment. It can be loaded again. */
void config_dump(const struct config *c, FILE *out);
#endif

#include "daemon.h"
#include "nft.h"
#include "usage.h"
#include "value.h"
#include "version.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct options {
	const char *config;
	enum { RUN, CHECK, DUMP, PRINT_NFT, VERSION, HELP } what;
	const char *nft_user;
	bool level_given;
	enum log_level level;
};

/* False: said on stderr. */
static bool read_options(struct options *o, int argc, char **argv)
{
	struct usage_getopt known;
	int option;

	usage_getopt(&usage_guardd, &known);
	*o = (struct options){ .config = USAGE_CONFIG, .level = LEVEL_INFO, .nft_user = USAGE_USER };
	while ((option = getopt_long(argc, argv, known.letters, known.options, NULL)) != -1) {
		switch (option) {
		case 'c': o->config = optarg; break;
		case 'C': o->what = CHECK; break;
		case 'D': o->what = DUMP; break;
		case 'N':
			o->what = PRINT_NFT;
			o->nft_user = optarg ? optarg : USAGE_USER;
			if (value_is_word(o->nft_user))
				break;
			fprintf(stderr, "coap-guardd: not the name of a user: \"%s\"\n", o->nft_user);
			return false;
		case 'V': o->what = VERSION; break;
		case 'h': o->what = HELP; break;
		case 'l':
			o->level_given = log_level_parse(optarg, &o->level);
			if (o->level_given)
				break;
			fprintf(stderr, "coap-guardd: no such log level: \"%s\"\n", optarg);
			return false;
		default: return false;
		}
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "coap-guardd: unexpected argument: \"%s\"\n", argv[optind]);
	return false;
}

static int print_version(void)
{
	printf("coap-guardd %s\n", COAP_GUARD_VERSION);
	printf("libuv %s (built with %s)\n", loop_runs_with(), loop_built_with());
	printf("%s (built with %s)\n", entropy_runs_with(), entropy_built_with());
	printf("%s (built with %s)\n", session_runs_with(), session_built_with());
	return EX_OK;
}

/* Errors are for the person who started this, all of them at once. */
static bool load(struct daemon *d)
{
	char text[512];

	if (!config_load(&d->config, NULL, d->config_path, &d->errors)) {
		for (unsigned i = 0; i < d->errors.count; i++)
			fprintf(stderr, "coap-guardd: %s\n", d->errors.list[i].text);
		if (d->errors.more)
			fprintf(stderr, "coap-guardd: and %u more\n", d->errors.more);
		return false;
	}
	if (daemon_config_fits(&d->config, text, sizeof text))
		return true;
	fprintf(stderr, "coap-guardd: %s: %s\n", d->config_path, text);
	return false;
}

/* A core holds the keys of every proof, and a group may not read what this writes. */
static void keep_secrets(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	umask(077);
}

static int run(struct daemon *d)
{
	int code;

	keep_secrets();
	code = daemon_open(d);
	if (code == EX_OK)
		code = daemon_run(d);
	daemon_close(d);
	return code;
}

int main(int argc, char **argv)
{
	struct daemon d = { 0 };
	struct options o;
	int code;

	if (!read_options(&o, argc, argv)) {
		fputs("Try coap-guardd --help\n", stderr);
		return EX_USAGE;
	}
	if (o.what == HELP)
		return usage_print(&usage_guardd, stdout);
	if (o.what == VERSION)
		return print_version();
	d.config_path = o.config;
	if (!load(&d))
		return EX_CONFIG;
	if (o.what == CHECK)
		return EX_OK;
	if (o.what == DUMP) {
		config_dump(&d.config, stdout);
		return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
	}
	if (o.what == PRINT_NFT) {
		nft_print(&d.config, o.nft_user, stdout);
		return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
	}
	d.level_given = o.level_given;
	if (!o.level_given)
		o.level = d.config.level;
	log_init(&d.log, STDERR_FILENO, o.level);
	code = run(&d);
	log_close(&d.log);
	return code;
}

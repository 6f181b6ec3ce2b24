#include "daemon.h"
#include "version.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/coap-guard/coap-guard.conf"

struct options {
	const char *config;
	enum { RUN, CHECK, DUMP, VERSION, HELP } what;
	bool level_given;
	enum log_level level;
};

static const char help[] = "Usage: coap-guardd [OPTION]...\n"
			   "Guards constrained CoAP devices against the open network. Runs in the foreground.\n"
			   "\n"
			   "  -c, --config FILE       the configuration (" CONFIG_DEFAULT ")\n"
			   "  -C, --check-config      say what is wrong with it and exit: 0 good, 78 not\n"
			   "  -D, --dump-config       print every key in force and where it comes from, and exit\n"
			   "  -l, --log-level LEVEL   instead of the configured one\n"
			   "  -V, --version           print the versions of this and of its libraries, and exit\n"
			   "  -h, --help              print this, and exit\n"
			   "\n"
			   "SIGHUP reads the configuration again; SIGTERM and SIGINT stop.\n"
			   "See coap-guardctl(8) for a look inside.\n";

/* False: said on stderr. */
static bool read_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "dump-config", no_argument, NULL, 'D' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*o = (struct options){ .config = CONFIG_DEFAULT, .level = LEVEL_INFO };
	while ((option = getopt_long(argc, argv, "c:CDl:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'c': o->config = optarg; break;
		case 'C': o->what = CHECK; break;
		case 'D': o->what = DUMP; break;
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

	if (!read_options(&o, argc, argv)) {
		fputs("Try coap-guardd --help\n", stderr);
		return EX_USAGE;
	}
	if (o.what == HELP)
		return fputs(help, stdout) < 0 ? EX_IOERR : EX_OK;
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
	d.level_given = o.level_given;
	if (!o.level_given)
		o.level = d.config.level;
	log_init(&d.log, STDERR_FILENO, o.level);
	return run(&d);
}

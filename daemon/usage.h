/* usage: the options and commands of both programs. Their parsers, --help, the completions of the shells and the manual come from it. */
#ifndef USAGE_H
#define USAGE_H
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#define USAGE_CONFIG "/etc/coap-guard/coap-guard.conf"
#ifndef USAGE_SOCKET /* OpenWrt has no /run */
#define USAGE_SOCKET "/run/coap-guard/control.sock"
#endif
#define USAGE_USER    "coap-guard"
#define USAGE_OPTIONS 16 /* of one program, at most */

/* What a shell may offer for an argument. */
enum usage_offer { OFFER_NOTHING, OFFER_FILE, OFFER_CONTEXT, OFFER_SHELL, OFFER_LEVEL };

struct usage_argument {
	const char *name; /* NULL: it takes none */
	bool optional;
	enum usage_offer offer;
};

/* No text has a quote, a bracket or a colon in it: shells would want them escaped, each in its own way. */
struct usage_option {
	int letter; /* USAGE_LONG and above: it has no short form */
	const char *name;
	struct usage_argument argument;
	const char *text;
};

#define USAGE_LONG 256

enum usage_shape { SHAPE_TEXT, SHAPE_TABLE, SHAPE_SENTENCES, SHAPE_STATUS, SHAPE_TOP, SHAPE_REPORT };

struct usage_command {
	const char *words;
	struct usage_argument argument;
	enum usage_shape shape;
	const char *text;
};

struct usage {
	const char *name, *synopsis;
	const char *intro, *outro; /* of the help, "" or paragraphs */
	const struct usage_option *options;
	const struct usage_command *commands; /* both end with a name, or words, of NULL */
};

extern const struct usage usage_guardd, usage_guardctl;

/* What getopt_long takes. */
struct usage_getopt {
	char letters[3 * USAGE_OPTIONS + 1];
	struct option options[USAGE_OPTIONS + 1];
};
void usage_getopt(const struct usage *u, struct usage_getopt *out);
/* --help; 0 or EX_IOERR. */
int usage_print(const struct usage *u, FILE *out);
/* The command that these words are, its argument behind them if it takes one; NULL: none. */
const struct usage_command *usage_find(const struct usage *u, const char *line);
/* What is wrong with words that are no command: one sentence, of what is missing, too much or mistyped. */
void usage_complain(const struct usage *u, const char *line, FILE *out);
/* The words that an offer consists of, apart by blanks, or NULL: it is no list. */
const char *usage_words(enum usage_offer offer);
#endif

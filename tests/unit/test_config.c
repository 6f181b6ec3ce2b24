#include "config.h"
#include "schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#ifndef TEST_ROOT
#define TEST_ROOT "." /* the root of the source tree */
#endif

/* Too large for some stacks, and nothing else uses them. */
static struct config config, second, third;
static struct config_errors errors;
static char directory[64], path[128];

#define LAMP "[server lamp]\naddress = coap://[fd00::17]\n"
#define FAN  "[server fan]\naddress = coap://[fd00::18]\n"
#define IDS  "sender-id = 0x01\nrecipient-id = 0x02\n"

static void write_bytes(const char *file, const void *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void write_text(const char *file, const char *text)
{
	write_bytes(file, text, strlen(text));
}

static bool load_text(struct config *c, const struct config *previous, const char *text)
{
	write_text(path, text);
	return config_load(c, previous, path, &errors);
}

/* All error lines without the name of the file: "LINE: ...". */
static const char *lines(void)
{
	static char text[CONFIG_ERRORS * CONFIG_ERROR_TEXT];

	text[0] = '\0';
	for (unsigned i = 0; i < errors.count; i++) {
		const char *line = errors.list[i].text;

		assert_memory_equal(line, path, strlen(path));
		line += strlen(path) + (line[strlen(path)] == ':');
		strcat(strcat(text, line), "\n");
	}
	return text;
}

static void must_load(struct config *c, const struct config *previous, const char *text)
{
	if (!load_text(c, previous, text))
		fail_msg("%s", lines());
}

/* A file that no disk has to hear of. */
static int open_memory_file(char name[128])
{
	int fd = memfd_create("test_config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	snprintf(name, 128, "/proc/self/fd/%d", fd);
	return fd;
}

static const char *get(const struct config *c, enum schema_section s, unsigned place, const char *key)
{
	static char text[VALUE_TEXT];

	return schema_get(schema_find(s, key), c, place, text);
}

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "%s/test_config.XXXXXX",
		 getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 32 ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/a.conf", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

/* Two sections and three keys are enough; no key at all is, too. */
static void test_defaults(void **state)
{
	const struct proxy_config *p = &config.proxy;
	const struct policy_server *s = &p->policy.servers[0];

	(void)state;
	must_load(&config, NULL, "");
	assert_string_equal(p->listens[0].name, "default");
	assert_string_equal(get(&config, SECTION_LISTEN, 0, "bind"), "[::]:5683");
	assert_int_equal(p->listens[0].server, PROXY_NO_SERVER);
	assert_string_equal(p->listens[1].name, "");
	assert_int_equal(p->listens[1].server, 0); /* a free place is all zero */
	assert_string_equal(p->links[0].name, "default");
	assert_string_equal(p->links[1].name, "");
	assert_int_equal(p->links[0].sched.rate.count, 1250);
	assert_int_equal(p->links[0].sched.rate.period, TSTAMP_S);
	assert_int_equal(p->links[0].sched.burst, 1024);
	assert_int_equal(p->links[0].sched.overhead, 48);
	assert_int_equal(p->links[0].sched.share[2], 5);
	assert_int_equal(p->links[0].queue_wait, 20 * TSTAMP_S);
	assert_int_equal(p->links[0].retransmit.ack_timeout, 4 * TSTAMP_S);
	assert_false(s->present);
	assert_int_equal(p->policy.table_size, 65536);
	assert_int_equal(p->policy.lifetime, 24 * TSTAMP_HOUR);
	assert_int_equal(config.level, LEVEL_INFO);
	assert_int_equal(config.control_mode, 0660);
	assert_int_equal(config.memory_limit, 24 << 20);
	assert_int_equal(p->max_layers, 2);
	assert_int_equal(p->hop_limit, 16);
	assert_int_equal(p->ssn_reserve, 128);
	assert_false(p->precise_errors);
	assert_string_equal(config.state_directory, "/var/lib/coap-guard");
	assert_string_equal(p->contexts[0].name, "");

	must_load(&config, NULL, LAMP);
	assert_true(s->present);
	assert_int_equal(s->mode, MODE_EXEMPTIONS);
	assert_int_equal(s->unknown_rate.count, 6);
	assert_int_equal(s->unknown_rate.period, TSTAMP_MIN);
	assert_int_equal(s->unknown_budget, 600);
	assert_string_equal(p->servers[0].uri_path, "lamp");
	assert_string_equal(p->servers[0].uri_host, "");
	assert_int_equal(p->servers[0].address.port, 5683);
	assert_int_equal(p->listens[0].server, 0); /* the only one there is */
}

#define HEX32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX64 HEX32 HEX32

/* What is written, and what one key of it then is. */
static void test_good(void **state)
{
	static const struct {
		const char *text;
		enum schema_section section;
		unsigned place;
		const char *key, *value;
	} rows[] = {
		/* clang-format off */
		/* ways to write a line */
		{ "[guard]\nname=a", SECTION_GUARD, 0, "name", "a" },
		{ "[guard]\r\nname = a\r\n", SECTION_GUARD, 0, "name", "a" },
		{ "\xef\xbb\xbf[guard]\nname = a\n", SECTION_GUARD, 0, "name", "a" },
		{ "\xef\xbb\xbf# gr\xc3\xbc\xc3\x9f\n[guard]\nname = a\n", SECTION_GUARD, 0, "name", "a" },
		{ "[guard] ; x\nname = a ; b = c\n", SECTION_GUARD, 0, "name", "a" },
		{ "# x\n; y\n   # z\n\t; z\n[guard]\n\n  \nname\t=\ta\t\n", SECTION_GUARD, 0, "name", "a" },
		{ "[guard]\nname = a\n[echo]\n[guard]\nmax-options = 32\n", SECTION_GUARD, 0, "name", "a" },
		/* kinds of values */
		{ "[guard]\nmemory-limit = 1024KiB", SECTION_GUARD, 0, "memory-limit", "1MiB" },
		{ "[guard]\nlog-level = debug", SECTION_GUARD, 0, "log-level", "debug" },
		{ "[guard]\ndry-run = yes", SECTION_GUARD, 0, "dry-run", "yes" },
		{ "[sequence]\nplausible-jump = 4294967296", SECTION_SEQUENCE, 0, "plausible-jump", "4294967296" },
		{ "[link a]\nrate = 250bit/s", SECTION_LINK, 0, "rate", "250bit/s" },
		{ "[link a]\nrate = 1001bit/s", SECTION_LINK, 0, "rate", "1001bit/s" },
		{ "[link a]\nrate = 1000Mbit/s", SECTION_LINK, 0, "rate", "1000Mbit/s" },
		{ "[link a]\nack-timeout = 1500ms", SECTION_LINK, 0, "ack-timeout", "1500ms" },
		{ "[throttle]\nunknown-rate = 100/h", SECTION_THROTTLE, 0, "unknown-rate", "100/h" },
		{ "[control]\nmode = 0600\ngroup =\nsocket =", SECTION_CONTROL, 0, "mode", "0600" },
		{ "[control]\nmode = 0600\ngroup =\nsocket =", SECTION_CONTROL, 0, "group", "" },
		{ "[control]\nmode = 0600\ngroup =\nsocket =", SECTION_CONTROL, 0, "socket", "" },
		{ "[metrics]", SECTION_METRICS, 0, "listen", "off" },
		{ "[metrics]\nlisten = [::1]\npath = /a/b", SECTION_METRICS, 0, "listen", "[::1]:9568" },
		{ "[metrics]\nlisten = [::1]\npath = /a/b", SECTION_METRICS, 0, "path", "/a/b" },
		{ "[metrics]\nlisten = 0.0.0.0:80", SECTION_METRICS, 0, "listen", "0.0.0.0:80" },
		/* addresses */
		{ "[server a]\naddress = coap://192.0.2.1", SECTION_SERVER, 0, "address", "coap://192.0.2.1:5683" },
		{ "[server a]\naddress = COAP://[::ffff:192.0.2.1]:7", SECTION_SERVER, 0, "address", "coap://192.0.2.1:7" },
		{ "[server a]\naddress = coap://[fe80::1%3]", SECTION_SERVER, 0, "address", "coap://[fe80::1%3]:5683" },
		{ "[server a]\naddress = coap://[::1]:5700", SECTION_SERVER, 0, "address", "coap://[::1]:5700" },
		{ "[server a]\naddress = coap+tcp://[::1]", SECTION_SERVER, 0, "address", "coap+tcp://[::1]:5683" },
		{ "[server a]\naddress = coaps://[::1]\npsk-identity = me\npsk-file = k", SECTION_SERVER, 0, "address", "coaps://[::1]:5684" },
		{ "[server a]\naddress = CoapS+TCP://192.0.2.1:1\npsk-identity = me\npsk-file = k", SECTION_SERVER, 0, "address", "coaps+tcp://192.0.2.1:1" },
		{ LAMP "[server b]\naddress = coap+tcp://[fd00::17]", SECTION_SERVER, 1, "address", "coap+tcp://[fd00::17]:5683" },
		{ LAMP "[listen a]\nbind = [::1]\n[listen b]\nbind = [::1]\ntransport = tcp", SECTION_LISTEN, 1, "bind", "[::1]:5683" },
		{ LAMP "[listen b]\nbind = [::1]\ntransport = tcp", SECTION_LISTEN, 0, "transport", "tcp" },
		{ "[listen a]\nbind = 192.0.2.1\n[server a]\naddress = coap+tcp://192.0.2.1", SECTION_SERVER, 0, "address", "coap+tcp://192.0.2.1:5683" },
		{ "[listen a]\nbind = 192.0.2.1\nbind = [2001:db8::1]:7", SECTION_LISTEN, 1, "bind", "[2001:db8::1]:7" },
		{ "[listen a]\nbind = 192.0.2.1\nbind = [2001:db8::1]:7\nsilent = yes", SECTION_LISTEN, 1, "silent", "yes" },
		{ "[listen a]\ninterface = wpan0", SECTION_LISTEN, 0, "interface", "wpan0" },
		{ "[listen a]\ninterface = a0\n[listen b]\ninterface = b0\n", SECTION_LISTEN, 1, "bind", "[::]:5683" },
		/* which server */
		{ LAMP "uri-path = a/b", SECTION_SERVER, 0, "uri-path", "a/b" },
		{ LAMP "uri-path =", SECTION_SERVER, 0, "uri-path", "" },
		{ LAMP "uri-host = Lamp.Example", SECTION_SERVER, 0, "uri-host", "lamp.example" },
		{ "[listen a]\nserver =\n" LAMP, SECTION_LISTEN, 0, "server", "" },
		{ LAMP "[server b]\naddress = coap://[::2]", SECTION_LISTEN, 0, "server", "" },
		{ "[listen a]\nserver = b\n" LAMP "[server b]\naddress = coap://[::2]", SECTION_LISTEN, 0, "server", "b" },
		{ LAMP "uri-path =\n[server b]\naddress = coap://[::2]\nuri-path =", SECTION_SERVER, 1, "uri-path", "" },
		{ LAMP "[server b]\naddress = coap://[fd00::17]:5684", SECTION_SERVER, 1, "address", "coap://[fd00::17]:5684" },
		/* which link */
		{ "[link a]\n" LAMP, SECTION_SERVER, 0, "link", "a" },
		{ "[link a]\n[link b]\n" LAMP "link = b", SECTION_SERVER, 0, "link", "b" },
		{ LAMP "link = default", SECTION_SERVER, 0, "link", "default" },
		/* how keys go together */
		{ "[link a]\nblock-size = 64B", SECTION_LINK, 0, "block-size", "64B" },
		{ "[link a]\nblock-size = 1KiB", SECTION_LINK, 0, "block-size", "1KiB" },
		{ "[cache]\nsize = 64KiB\nstale-if-silent = 1h", SECTION_CACHE, 0, "size", "64KiB" },
		{ "[cache]\nsize = 64KiB\nstale-if-silent = 1h", SECTION_CACHE, 0, "stale-if-silent", "1h" },
		{ "[link a]\nshare-trusted = 100%\nshare-reachable = 0%\nshare-unknown = 0%", SECTION_LINK, 0, "share-trusted", "100%" },
		{ "[echo]\nvalidity = 1h", SECTION_ECHO, 0, "validity", "1h" },
		{ "[listen a]\nbind = 192.0.2.1\n[server a]\naddress = coap://127.0.0.1", SECTION_SERVER, 0, "address", "coap://127.0.0.1:5683" },
		{ "[listen a]\nbind = 0.0.0.0\n[server a]\naddress = coap://[::1]", SECTION_SERVER, 0, "address", "coap://[::1]:5683" },
		/* contexts */
		{ "[guard]\nmax-oscore-layers = 4\nhop-limit = 0\noscore-errors = precise", SECTION_GUARD, 0, "oscore-errors", "precise" },
		{ "[state]\ndirectory =\nssn-reserve = 65536", SECTION_STATE, 0, "directory", "" },
		{ "[context a]\nsender-id = 0x01\nrecipient-id =", SECTION_CONTEXT, 0, "sender-id", "0x01" },
		{ "[context a]\nsender-id = 0x01\nrecipient-id =", SECTION_CONTEXT, 0, "recipient-id", "" },
		{ "[context a]\nsender-id = 0x\nrecipient-id = 0x00", SECTION_CONTEXT, 0, "sender-id", "" },
		{ "[context a]\nsender-id = 0x\nrecipient-id = 0x00", SECTION_CONTEXT, 0, "recipient-id", "0x00" },
		{ "[context a]\nsender-id = 0x01020304050607\nrecipient-id = 0xAaBbCc", SECTION_CONTEXT, 0, "recipient-id", "0xaabbcc" },
		{ "[context a]\nsender-id = 0x010203040506\nrecipient-id = 0x01\naead = A128GCM", SECTION_CONTEXT, 0, "sender-id", "0x010203040506" },
		{ "[context a]\n" IDS "aead = ChaCha20/Poly1305\nhkdf = SHA-512", SECTION_CONTEXT, 0, "aead", "ChaCha20/Poly1305" },
		{ "[context a]\n" IDS "hkdf = SHA-512", SECTION_CONTEXT, 0, "hkdf", "SHA-512" },
		{ "[context a]\n" IDS "master-salt = 0x9e7ca92223786340", SECTION_CONTEXT, 0, "master-salt", "0x9e7ca92223786340" },
		{ "[context a]\n" IDS "master-salt = 0x" HEX64, SECTION_CONTEXT, 0, "master-salt", "0x" HEX64 },
		{ "[context a]\n" IDS "id-context = 0x" HEX32, SECTION_CONTEXT, 0, "id-context", "0x" HEX32 },
		{ "[context a]\n" IDS, SECTION_CONTEXT, 0, "master-secret-file", "keys/a" },
		{ "[context a]\n" IDS "master-secret-file = /etc/b/c", SECTION_CONTEXT, 0, "master-secret-file", "/etc/b/c" },
		{ "[context a]\n" IDS "replay-window = 64\nrecovery = refuse", SECTION_CONTEXT, 0, "recovery", "refuse" },
		{ "[context a]\n" IDS "source = 2001:db8::5", SECTION_CONTEXT, 0, "source", "2001:db8::5" },
		{ "[context a]\n" IDS "source = ::ffff:192.0.2.1", SECTION_CONTEXT, 0, "source", "192.0.2.1" },
		{ "[context a]\n" IDS "source = fe80::1%3", SECTION_CONTEXT, 0, "source", "fe80::1%3" },
		{ "[context a]\n" IDS "source =", SECTION_CONTEXT, 0, "source", "" },
		{ LAMP FAN "[context a]\n" IDS "servers = fan,lamp", SECTION_CONTEXT, 0, "servers", "lamp, fan" },
		{ LAMP FAN "[context a]\n" IDS "servers = lamp\nservers = ,\nservers =  , fan ,", SECTION_CONTEXT, 0, "servers", "lamp, fan" },
		{ LAMP FAN "[context a]\n" IDS "servers = fan\n", SECTION_CONTEXT, 0, "servers", "fan" },
		{ LAMP FAN "[context a]\n" IDS, SECTION_CONTEXT, 0, "servers", "" },
		{ "[context a]\n" IDS "servers = fan\nnext-hop = fan\n" FAN, SECTION_CONTEXT, 0, "next-hop", "fan" },
		{ "[context a]\n" IDS "next-hop =", SECTION_CONTEXT, 0, "next-hop", "" },
		{ LAMP "mode = full\nproxy = yes\nrequire-layer = yes\n[context a]\n" IDS "servers = lamp", SECTION_SERVER, 0, "mode", "full" },
		{ LAMP "mode = full\nproxy = yes\nrequire-layer = yes\n[context a]\n" IDS "servers = lamp", SECTION_SERVER, 0, "proxy", "yes" },
		/* twins, but for one key */
		{ "[context a]\n" IDS "[context b]\n" IDS "id-context = 0x01", SECTION_CONTEXT, 1, "id-context", "0x01" },
		{ "[context a]\n" IDS "[context b]\n" IDS "source = ::2", SECTION_CONTEXT, 1, "source", "::2" },
		{ "[context a]\n" IDS "[context b]\nsender-id = 0x01\nrecipient-id = 0x0200\n", SECTION_CONTEXT, 1, "recipient-id", "0x0200" },
		{ LAMP FAN "[context a]\n" IDS "next-hop = lamp\n[context b]\nsender-id=0x02\nrecipient-id=0x01\nnext-hop = fan", SECTION_CONTEXT, 1, "next-hop", "fan" },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		must_load(&config, NULL, rows[i].text);
		assert_string_equal(get(&config, rows[i].section, rows[i].place, rows[i].key), rows[i].value);
	}
}

#define L10  "0123456789"
#define L100 L10 L10 L10 L10 L10 L10 L10 L10 L10 L10

static void test_bad(void **state)
{
	static const struct {
		const char *text, *lines;
	} rows[] = {
		/* clang-format off */
		/* lines that inih would misread */
		{ "[guard\nname = a", "1: expected \"[section]\" or \"[section NAME]\", got \"[guard\"\n" },
		{ "[guard]\nname = a\n  b\n", "3: [guard]: the line begins with a blank: expected a key in the first column\n" },
		{ "[guard]\n max-options = 5\n", "2: [guard]: the line begins with a blank: expected a key in the first column\n" },
		{ "[guard]\n\n" L100 L100 " = 1\nname = a", "3: [guard]: line longer than 197 bytes\n" },
		{ "[guard]\nname\n", "2: [guard]: expected \"key = value\", got \"name\"\n" },
		{ "[guard]\nname: a = b\n", "2: [guard]: expected \"key = value\", got \"name: a = b\"\n" },
		{ "[guard]\n= a\n", "2: [guard]: expected \"key = value\", got \"= a\"\n" },
		{ "[guard]\nname = \x1b[2J\n", "2: [guard]: byte 0x1b: expected printable ASCII outside of comments\n" },
		{ "[guard]\nname = gr\xc3\xbc\xc3\x9f\n", "2: [guard]: byte 0xc3: expected printable ASCII outside of comments\n" },
		{ "name = a", "1: name: a key before the first section\n" },
		{ "[guard] name = a", "1: expected \"[section]\" or \"[section NAME]\", got \"[guard] name = a\"\n" },
		{ "[]\nname = a", "1: expected \"[section]\" or \"[section NAME]\", got \"[]\"\n" },
		{ " [server b]\naddress = coap://[::2]", "1: the line begins with a blank: expected a key in the first column\n" },
		{ LAMP "[server \x01]\naddress = coap://[::2]", "3: byte 0x01: expected printable ASCII outside of comments\n" },
		/* sections */
		{ "[servers lamp]\nadress = x", "1: [servers]: unknown section; did you mean \"[server NAME]\"?\n" },
		{ "[guards]", "1: [guards]: unknown section; did you mean \"[guard]\"?\n" },
		{ "[banana]", "1: [banana]: unknown section\n" },
		{ "[guard a]", "1: [guard a]: expected \"[guard]\" without a name\n" },
		{ "[server]", "1: [server]: expected \"[server NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[server a/b]", "1: [server a/b]: expected \"[server NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[server ..]", "1: [server ..]: expected \"[server NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[link " L10 L10 L10 "12]", "1: [link " L10 L10 L10 "12]: expected \"[link NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[egress]", "1: [egress]: not built yet: what inside clients may reach by forward proxying\n" },
		/* keys */
		{ LAMP "adress = x", "3: [server lamp] adress: unknown key; did you mean \"address\"?\n" },
		{ LAMP "colour = red", "3: [server lamp] colour: unknown key\n" },
		{ LAMP "burst = 1KiB", "3: [server lamp] burst: unknown key here; it belongs to \"[link NAME]\"\n" },
		{ "[server lamp]\nmode = open", "1: [server lamp] address: missing; expected a line like \"address = coap://[fd00:db8::17]\"\n" },
		{ "[server a]\ncolour = red", "2: [server a] colour: unknown key\n" }, /* and not also: no address */
		{ "[server a]\ncolour = red\naddress = coap://[::1]", "2: [server a] colour: unknown key\n" },
		{ LAMP "mode = open\nmode = open", "4: [server lamp] mode: already set at PATH:3\n" },
		{ "[listen a]\nside = inside", "2: [listen a] side: not built yet: listeners for clients inside\n" },
		{ "[link a]\nblock-size = 100B",
		  "2: [link a] block-size: expected 16B, 32B, 64B, 128B, 256B, 512B, 1024B, or 0B for none, got 100B\n" },
		{ "[link a]\nblock-size = 8B",
		  "2: [link a] block-size: expected 16B, 32B, 64B, 128B, 256B, 512B, 1024B, or 0B for none, got 8B\n" },
		{ "[throttle]\nexempt =", "2: [throttle] exempt: not built yet: addresses that are never throttled\n" },
		{ "[allow-list]\nsave = maybe", "2: [allow-list] save: expected one of no|yes, got \"maybe\"\n" },
		{ "[echo]\nsecret-file = a b", "2: [echo] secret-file: expected a path, absolute or beside the configuration, or nothing, at most 127 characters, got \"a b\"\n" },
		/* values */
		{ "[throttle]\nunknown-rate = 10/fortnight", "2: [throttle] unknown-rate: expected a rate like \"10/min\" or \"2/s\", its number 1 to 1000000, got \"10/fortnight\"\n" },
		{ "[throttle]\nunknown-rate = 0/s", "2: [throttle] unknown-rate: expected a rate like \"10/min\" or \"2/s\", its number 1 to 1000000, got \"0/s\"\n" },
		{ "[throttle]\nreply-slip = 101", "2: [throttle] reply-slip: expected a whole number, 0 to 100, got \"101\"\n" },
		{ "[link a]\nrate = 10", "2: [link a] rate: expected a bit rate like \"10kbit/s\", 100bit/s to 1000Mbit/s, got \"10\"\n" },
		{ "[link a]\nburst = 1k", "2: [link a] burst: expected a size like \"512B\", \"4KiB\" or \"1MiB\", 64B to 16MiB, got \"1k\"\n" },
		{ "[link a]\nqueue-wait = 20 s", "2: [link a] queue-wait: expected a duration like \"500ms\", \"2s\" or \"10min\", 100ms to 5min, got \"20 s\"\n" },
		{ "[link a]\nshare-unknown = 5", "2: [link a] share-unknown: expected a share like \"15%\", 0% to 99%, got \"5\"\n" },
		{ "[control]\nmode = 660", "2: [control] mode: expected an octal file mode like \"0660\", 0000 to 0777, got \"660\"\n" },
		{ "[control]\nmode = 01777", "2: [control] mode: expected an octal file mode like \"0660\", 0000 to 0777, got \"01777\"\n" },
		{ "[control]\nsocket = run/x", "2: [control] socket: expected an absolute path, at most 107 characters, got \"run/x\"\n" },
		{ "[guard]\ndry-run = true", "2: [guard] dry-run: expected one of no|yes, got \"true\"\n" },
		{ "[guard]\nname = a # b", "2: [guard] name: expected a word of A-Z a-z 0-9 _ . -, at most 63 characters, got \"a # b\"\n" },
		{ "[guard]\nname =", "2: [guard] name: expected a word of A-Z a-z 0-9 _ . -, at most 63 characters, got \"\"\n" },
		{ "[listen a]\ninterface = a-very-long-name", "2: [listen a] interface: expected the name of an interface, at most 15 characters, got \"a-very-long-name\"\n" },
		{ LAMP "unknown-budget = 600/h", "3: [server lamp] unknown-budget: expected a budget like \"600/day\", 0/day to 1000000000/day, got \"600/h\"\n" },
		{ LAMP "uri-path = /a", "3: [server lamp] uri-path: expected a path like \"lamp\" or \"floor/lamp\" without outer slashes, at most 127 characters, got \"/a\"\n" },
		{ LAMP "uri-path = a/\nuri-host = a b", "3: [server lamp] uri-path: expected a path like \"lamp\" or \"floor/lamp\" without outer slashes, at most 127 characters, got \"a/\"\n4: [server lamp] uri-host: expected a host name, at most 127 characters, got \"a b\"\n" },
		{ LAMP "uri-path = a/../b", "3: [server lamp] uri-path: expected a path like \"lamp\" or \"floor/lamp\" without outer slashes, at most 127 characters, got \"a/../b\"\n" },
		{ LAMP "uri-path = ./b", "3: [server lamp] uri-path: expected a path like \"lamp\" or \"floor/lamp\" without outer slashes, at most 127 characters, got \"./b\"\n" },
		{ LAMP "link = lowpan", "3: [server lamp] link: no section [link lowpan]; defined links: default\n" },
		{ "[listen a]\nserver = x", "2: [listen a] server: no section [server x]; defined servers: none\n" },
		{ "[context a]\nsender-id = 1", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"1\"\n" },
		{ "[context a]\nsender-id = 01", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"01\"\n" },
		{ "[context a]\nsender-id = 0x1", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"0x1\"\n" },
		{ "[context a]\nsender-id = 0x0g", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"0x0g\"\n" },
		{ "[context a]\nsender-id = 0X01", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"0X01\"\n" },
		{ "[context a]\nsender-id = 0x 01", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"0x 01\"\n" },
		{ "[context a]\nsender-id = -0x1", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"-0x1\"\n" },
		{ "[context a]\nsender-id = 0x0001020304050607", "2: [context a] sender-id: expected hexadecimal digits like \"0x01\", or nothing, at most 7 bytes, got \"0x0001020304050607\"\n" },
		{ "[context a]\nmaster-salt = 0x" HEX64 "00", "2: [context a] master-salt: expected hexadecimal digits like \"0x01\", or nothing, at most 64 bytes, got \"0x" HEX64 "00\"\n" },
		{ "[context a]\nid-context = 0x" HEX32 "00", "2: [context a] id-context: expected hexadecimal digits like \"0x01\", or nothing, at most 32 bytes, got \"0x" HEX32 "00\"\n" },
		{ "[context a]\nsource = 192.0.2.1:5683", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"192.0.2.1:5683\"\n" },
		{ "[context a]\nsource = 192.0.2.1:1", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"192.0.2.1:1\"\n" },
		{ "[context a]\nsource = 192.0.2.1:2", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"192.0.2.1:2\"\n" },
		{ "[context a]\nsource = [::1]:5683", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"[::1]:5683\"\n" },
		{ "[context a]\nsource = fe80::1", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"fe80::1\"\n" },
		{ "[context a]\nsource = ::", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"::\"\n" },
		{ "[context a]\nsource = 0.0.0.0", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"0.0.0.0\"\n" },
		{ "[context a]\nsource = ff02::1", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"ff02::1\"\n" },
		{ "[context a]\nsource = phone.example", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"phone.example\"\n" },
		{ "[context a]\nsource = 192.0.2.0/24", "2: [context a] source: expected an address like \"2001:db8::5\" or \"192.0.2.1\", without a port, or nothing, got \"192.0.2.0/24\"\n" },
		{ "[context a]\nmaster-secret-file = ", "2: [context a] master-secret-file: expected a path, absolute or beside the configuration, at most 127 characters, got \"\"\n" },
		{ "[context a]\nmaster-secret-file = keys/", "2: [context a] master-secret-file: expected a path, absolute or beside the configuration, at most 127 characters, got \"keys/\"\n" },
		{ "[context a]\nmaster-secret-file = a b", "2: [context a] master-secret-file: expected a path, absolute or beside the configuration, at most 127 characters, got \"a b\"\n" },
		{ "[context a]\nmaster-secret-file = " L100 L10 L10 "01234567", "2: [context a] master-secret-file: expected a path, absolute or beside the configuration, at most 127 characters, got \"" L100 L10 L10 "01234567\"\n" },
		{ LAMP FAN "[context a]\nservers = lamp lamp", "6: [context a] servers: expected names of servers, each once, got \"lamp lamp\"; defined servers: lamp, fan\n" },
		{ LAMP FAN "[context a]\nservers = lam", "6: [context a] servers: expected names of servers, each once, got \"lam\"; defined servers: lamp, fan\n" },
		{ LAMP FAN "[context a]\nservers = lamp;fan", "6: [context a] servers: expected names of servers, each once, got \"lamp;fan\"; defined servers: lamp, fan\n" },
		{ LAMP FAN "[context a]\nservers = lamp, door", "6: [context a] servers: expected names of servers, each once, got \"lamp, door\"; defined servers: lamp, fan\n" },
		{ LAMP FAN "[context a]\nservers = " L100 "", "6: [context a] servers: expected names of servers, each once, got \"" L100 "\"; defined servers: lamp, fan\n" },
		{ LAMP FAN "[context a]\nservers = fan\nservers = lamp, fan", "7: [context a] servers: expected names of servers, each once, got \"lamp, fan\"; defined servers: lamp, fan\n" },
		{ "[context a]\nservers = lamp", "2: [context a] servers: expected names of servers, each once, got \"lamp\"; defined servers: none\n" },
		{ "[context a]\nnext-hop = lamp", "2: [context a] next-hop: no section [server lamp]; defined servers: none\n" },
		{ "[context a]\naead = AES-CCM", "2: [context a] aead: expected one of AES-CCM-16-64-128|AES-CCM-16-128-128|A128GCM|ChaCha20/Poly1305, got \"AES-CCM\"\n" },
		{ "[context a]\nhkdf = SHA-1", "2: [context a] hkdf: expected one of SHA-256|SHA-512, got \"SHA-1\"\n" },
		{ "[context a]\nreplay-window = 65", "2: [context a] replay-window: expected a whole number, 1 to 64, got \"65\"\n" },
		{ "[context a]\nrecovery = none", "2: [context a] recovery: expected one of echo|refuse, got \"none\"\n" },
		{ "[context a]\n" IDS "sender-id = 0x03", "4: [context a] sender-id: already set at PATH:2\n" },
		{ "[context a]\n" IDS "master-secret = 0x00", "4: [context a] master-secret: unknown key; did you mean \"master-secret-file\"?\n" },
		{ "[context]", "1: [context]: expected \"[context NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[context ../a]", "1: [context ../a]: expected \"[context NAME]\", NAME a word of A-Z a-z 0-9 _ . -, at most 31 characters\n" },
		{ "[metrics]\nlisten =", "2: [metrics] listen: expected \"off\", or an address like \"[::1]:9568\" (not multicast), got \"\"\n" },
		{ "[metrics]\nlisten = on", "2: [metrics] listen: expected \"off\", or an address like \"[::1]:9568\" (not multicast), got \"on\"\n" },
		{ "[metrics]\nlisten = 9568", "2: [metrics] listen: expected \"off\", or an address like \"[::1]:9568\" (not multicast), got \"9568\"\n" },
		{ "[metrics]\nlisten = [::1]:0", "2: [metrics] listen: expected \"off\", or an address like \"[::1]:9568\" (not multicast), got \"[::1]:0\"\n" },
		{ "[metrics]\npath = metrics", "2: [metrics] path: expected an absolute path, at most 63 characters, got \"metrics\"\n" },
		{ "[metrics]\nlisten = [::1]\npath =", "3: [metrics] path: empty; expected one like \"/metrics\"\n" },
		{ "[state]\ndirectory = var", "2: [state] directory: expected an absolute path, at most 107 characters, got \"var\"\n" },
		{ "[state]\nssn-reserve = 15", "2: [state] ssn-reserve: expected a whole number, 16 to 65536, got \"15\"\n" },
		{ "[guard]\nmax-oscore-layers = 0\nhop-limit = 256\noscore-errors = all", "2: [guard] max-oscore-layers: expected a whole number, 1 to 4, got \"0\"\n3: [guard] hop-limit: expected a whole number, 0 to 255, got \"256\"\n4: [guard] oscore-errors: expected one of uniform|precise, got \"all\"\n" },
		/* several at once, in the order of the lines */
		{ "[server lamp]\n[link a]\nshare-unknown = 6%\nrate = 1\n[banana]",
		  "1: [server lamp] address: missing; expected a line like \"address = coap://[fd00:db8::17]\"\n4: [link a] rate: expected a bit rate like \"10kbit/s\", 100bit/s to 1000Mbit/s, got \"1\"\n5: [banana]: unknown section\n" },
		/* how keys go together */
		{ "[link a]\nshare-unknown = 6%", "2: [link a] share-unknown: expected shares that sum to 100%, got 80% trusted, 15% reachable, 6% unknown\n" },
		{ "[link a]\nshare-unknown = 6%\nshare-trusted = 81%", "3: [link a] share-trusted: expected shares that sum to 100%, got 81% trusted, 15% reachable, 6% unknown\n" },
		{ "[link a]\n[link b]\n" LAMP, "3: [server lamp] link: missing, and there are several links: a, b\n" },
		{ LAMP "colour = red\n[server b]\naddress = coap://[fd00::17]", "3: [server lamp] colour: unknown key\n" },
		{ LAMP "[server b]\naddress = coap://[fd00::0:17]:5683", "4: [server b] address: [fd00::17]:5683 is the address of [server lamp] already\n" },
		{ "[server a]\naddress = coaps://[::1]", "1: [server a] psk-identity: missing, and the address needs it\n1: [server a] psk-file: missing, and the address needs it\n" },
		{ LAMP "psk-identity = me", "3: [server lamp] psk-identity: only an address with coaps:// or coaps+tcp:// needs it\n" },
		{ LAMP "[listen a]\ntransport = tls", "4: [listen a] psk-file: missing, and its transport needs it\n" },
		{ LAMP "[listen a]\ntransport = tcp\npsk-file = k", "5: [listen a] psk-file: only \"transport = dtls\" and \"transport = tls\" need it\n" },
		{ LAMP "[listen a]\ntransport = tcp\ninterface = lo", "5: [listen a] interface: only for \"transport = udp\"\n" },
		{ "[listen a]\nbind = 192.0.2.1\ntransport = tcp\n[server a]\naddress = coap+tcp://192.0.2.1", "5: [server a] address: 192.0.2.1:5683/tcp is the guard itself: [listen a]\n" },
		{ LAMP "[server b]\naddress = coap://[::2]\nuri-path = lamp", "5: [server b] uri-path: \"lamp\" is the path of [server lamp] already\n" },
		{ LAMP "uri-path = b\n[server b]\naddress = coap://[::2]", "4: [server b] uri-path: \"b\" is the path of [server lamp] already\n" },
		{ LAMP "uri-host = A\n[server b]\naddress = coap://[::2]\nuri-host = a", "6: [server b] uri-host: \"a\" is the host of [server lamp] already\n" },
		{ "[listen a]\nbind = 192.0.2.1:7\n[server b]\naddress = coap://192.0.2.1:7", "4: [server b] address: 192.0.2.1:7 is the guard itself: [listen a]\n" },
		{ "[server b]\naddress = coap://[::1]", "2: [server b] address: [::1]:5683 is the guard itself: [listen default]\n" },
		{ "[server b]\naddress = coap://127.0.0.7", "2: [server b] address: 127.0.0.7:5683 is the guard itself: [listen default]\n" },
		{ "[listen a]\nbind = 0.0.0.0:7\n[server b]\naddress = coap://127.0.0.1:7", "4: [server b] address: 127.0.0.1:7 is the guard itself: [listen a]\n" },
		{ "[listen a]\nbind = ::1\n[listen b]\nbind = [::1]:5683", "4: [listen b] bind: [::1]:5683 is listened at by [listen a] already\n" },
		{ "[listen a]\n[listen b]\n", "2: [listen b] bind: [::]:5683 is listened at by [listen a] already\n" },
		/* contexts */
		{ "[context a]", "1: [context a] sender-id: missing; expected a line like \"sender-id = 0x01\"; nothing behind the sign is the empty identifier\n1: [context a] recipient-id: missing; expected a line like \"recipient-id = 0x01\"; nothing behind the sign is the empty identifier\n" },
		{ "[context a]\nrecipient-id =", "1: [context a] sender-id: missing; expected a line like \"sender-id = 0x01\"; nothing behind the sign is the empty identifier\n" },
		{ "[context a]\nsender-id = 0x01\nrecipient-id = 0x01", "3: [context a] recipient-id: the same as sender-id, so that both ends would use one key\n" },
		{ "[context a]\nsender-id =\nrecipient-id = 0x", "3: [context a] recipient-id: the same as sender-id, so that both ends would use one key\n" },
		{ "[context a]\nsender-id = 0x01020304050607\nrecipient-id =\naead = A128GCM", "2: [context a] sender-id: expected at most 6 bytes with A128GCM, got 7\n" },
		{ "[context a]\nsender-id =\nrecipient-id = 0x01020304050607\naead = ChaCha20/Poly1305", "3: [context a] recipient-id: expected at most 6 bytes with ChaCha20/Poly1305, got 7\n" },
		{ "[context a]\n" IDS "[context b]\nsender-id =\nrecipient-id = 0x02", "6: [context b] recipient-id: [context a] has it already, with the same id-context and source\n" },
		{ "[context a]\n" IDS "source = 192.0.2.1\n[context b]\n" IDS "source = ::ffff:192.0.2.1", "7: [context b] recipient-id: [context a] has it already, with the same id-context and source\n" },
		{ "[context a]\n" IDS "id-context=0x01\n[context b]\n" IDS "id-context=0x01", "7: [context b] recipient-id: [context a] has it already, with the same id-context and source\n" },
		{ LAMP "[context a]\n" IDS "next-hop = lamp\n[context b]\nsender-id = 0x02\nrecipient-id = 0x01\nnext-hop = lamp", "10: [context b] next-hop: \"lamp\" has the layer of [context a] already\n" },
		{ LAMP "proxy = yes\n" FAN "proxy = yes", "6: [server fan] proxy: [server lamp] is it already\n" },
		{ LAMP "mode = full", "3: [server lamp] mode: nobody could reach it: expected a [context NAME] with \"servers = lamp\"\n" },
		{ LAMP "mode = full\n" FAN "[context a]\n" IDS "servers = fan\nnext-hop = lamp", "3: [server lamp] mode: nobody could reach it: expected a [context NAME] with \"servers = lamp\"\n" },
		{ LAMP "mode = full\n[context a]\nservers = lam", "5: [context a] servers: expected names of servers, each once, got \"lam\"; defined servers: lamp\n" },
		{ "[state]\ndirectory =\n[context a]\n" IDS, "2: [state] directory: empty, but [context a] needs one\n" },
		{ "[echo]\nkey-lifetime = 1min\nvalidity = 61s", "3: [echo] validity: longer than key-lifetime, after which no value can be checked\n" },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char expected[1024];
		const char *mark = strstr(rows[i].lines, "PATH");

		if (mark)
			snprintf(expected, sizeof expected, "%.*s%s%s", (int)(mark - rows[i].lines), rows[i].lines,
				 path, mark + 4);
		else
			snprintf(expected, sizeof expected, "%s", rows[i].lines);
		assert_false(load_text(&config, NULL, rows[i].text));
		assert_string_equal(lines(), expected);
	}
}

/* Each of these is refused as an address with one sentence. */
static void test_bad_addresses(void **state)
{
	static const char *const targets[] = {
		"coap://lamp.example",
		"coap+ws://[fd00::17]",
		"fd00::17",
		"coap://fd00::17",
		"coap://[fd00::17",
		"coap://[fd00::17]/",
		"coap://[fd00::17]:0",
		"coap://[fd00::17]:65536",
		"coap://user@192.0.2.1",
		"coap://[ff02::fd]",
		"coap://224.0.1.187",
		"coap://[::]",
		"coap://0.0.0.0",
		"coap://[::ffff:0.0.0.0]",
		"coap://[::ffff:224.0.0.1]",
		"coap://[fe80::1]",
		"coap://[fe80::1%lo]",
		"coap://",
		"",
	};
	static const char *const binds[] = {
		"[ff02::fd]:5683", "224.0.1.187", "*:5683", "localhost", "[::]:0", "fe80::1", "", "5683",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		snprintf(text, sizeof text, "[server a]\naddress = %s\n", targets[i]);
		assert_false(load_text(&config, NULL, text));
		snprintf(text, sizeof text,
			 "2: [server a] address: expected an address like "
			 "\"coap://[fd00:db8::17]\" or "
			 "\"coap://192.0.2.1:5683\", or with coaps, coap+tcp or coaps+tcp (no names, not multicast; "
			 "link-local with a "
			 "zone: "
			 "\"[fe80::1%%3]\"), got \"%s\"\n",
			 targets[i]);
		assert_string_equal(lines(), text);
	}
	for (size_t i = 0; i < sizeof binds / sizeof *binds; i++) {
		snprintf(text, sizeof text, "[listen a]\nbind = %s\n", binds[i]);
		assert_false(load_text(&config, NULL, text));
		snprintf(text, sizeof text,
			 "2: [listen a] bind: expected an address like \"[::]:5683\" or "
			 "\"192.0.2.1:5683\" "
			 "(not multicast; link-local with a zone: \"[fe80::1%%3]\"), got \"%s\"\n",
			 binds[i]);
		assert_string_equal(lines(), text);
	}
}

static void test_long_lines(void **state)
{
	char text[1024];
	int len;

	(void)state;
	/* 197 bytes are a line, 198 are not; comments and blanks don't count. */
	for (int bytes = 197; bytes <= 198; bytes++) {
		len = snprintf(text, sizeof text, "[server a]\naddress = coap://[::2]\nuri-path = ");
		memset(text + len, 'x', 600);
		strcpy(text + len + bytes - 11, " ; " L100 L100 "\r\n");
		assert_false(load_text(&config, NULL, text));
		assert_non_null(strstr(lines(), bytes == 197 ? "at most 127 characters, got"
							     : "3: [server a]: line longer than 197 bytes"));
	}
	snprintf(text, sizeof text, "# %s\n[guard]%250s\nname = a%250s; %s\n", L100 L100, "", "", L100 L100);
	must_load(&config, NULL, text);
	assert_string_equal(config.proxy.name, "a");
}

static void test_nul(void **state)
{
	static const char text[] = "[guard]\nname = a\0b\n# c\0\nmax-options = 32\n";

	(void)state;
	write_bytes(path, text, sizeof text - 1);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), "2: [guard]: a NUL byte\n3: [guard]: a NUL byte\n");
}

static void test_unreadable(void **state)
{
	char *large = calloc(1, (1 << 20) + 1);

	(void)state;
	unlink(path);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), " cannot be read: No such file or directory\n");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), " not a regular file\n");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), " not a regular file\n");
	unlink(path);
	write_text(path, LAMP);
	assert_int_equal(chmod(path, 0602), 0);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), " everybody may write it; expected mode 0640 or less\n");
	unlink(path);

	assert_non_null(large);
	memset(large, '\n', (1 << 20) + 1);
	write_bytes(path, large, 1 << 20);
	assert_true(config_load(&config, NULL, path, &errors));
	write_bytes(path, large, (1 << 20) + 1);
	assert_false(config_load(&config, NULL, path, &errors));
	assert_string_equal(lines(), " larger than 1 MiB\n");
	free(large);

	large = calloc(1, CONFIG_FILE_NAME + 1);
	assert_non_null(large);
	memset(large, 'x', CONFIG_FILE_NAME);
	assert_false(config_load(&config, NULL, large, &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(strchr(errors.list[0].text, ':'), ": a longer or stranger name than can be shown");
	assert_false(config_load(&config, NULL, "a\nb", &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.list[0].text, "a\nb: a longer or stranger name than can be shown");
	free(large);
}

static void test_drop_ins(void **state)
{
	char dir[96], file[128], text[512];
	/* In C-locale order, so B comes before a. */
	static const char *const names[] = { "B.conf", "a.conf", ".c.conf", "d.conf~" };
	static const char *const texts[] = {
		"[guard]\nname = first\n[server two]\naddress = coap://[::2]\n",
		"[guard]\nname = again\nadress = x\n",
		"[banana]\n",
		"[banana]\n",
	};

	(void)state;
	snprintf(dir, sizeof dir, "%s/conf.d", directory);
	assert_int_equal(mkdir(dir, 0700), 0);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, names[i]);
		write_text(file, texts[i]);
	}
	assert_false(load_text(&config, NULL, LAMP "adress = x\n"));
	assert_int_equal(errors.count, 3);
	snprintf(text, sizeof text, "%s:3: [server lamp] adress: unknown key; did you mean \"address\"?", path);
	assert_string_equal(errors.list[0].text, text);
	snprintf(text, sizeof text, "%s/a.conf:2: [guard] name: already set at %s/B.conf:2", dir, dir);
	assert_string_equal(errors.list[1].text, text);
	snprintf(text, sizeof text, "%s/a.conf:3: [guard] adress: unknown key", dir);
	assert_string_equal(errors.list[2].text, text);

	/* A later file may add to an earlier one's section. */
	snprintf(file, sizeof file, "%s/a.conf", dir);
	write_text(file, "[server lamp]\nmode = open\n");
	must_load(&config, NULL, LAMP);
	assert_string_equal(config.proxy.name, "first");
	assert_string_equal(config.proxy.servers[1].name, "two");
	assert_int_equal(config.proxy.policy.servers[0].mode, MODE_OPEN);
	assert_int_equal(config.n_files, 3);

	/* A drop-in that is no file is an error, as the file itself would be. */
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_false(load_text(&config, NULL, LAMP));
	snprintf(text, sizeof text, "%s: not a regular file", file);
	assert_string_equal(errors.list[0].text, text);
	rmdir(file);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, names[i]);
		unlink(file);
	}

	for (unsigned i = 0; i < CONFIG_FILES; i++) {
		snprintf(file, sizeof file, "%s/%u.conf", dir, i);
		write_text(file, "");
	}
	assert_false(load_text(&config, NULL, LAMP));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.list[0].text, "/9.conf: one file too many"));
	for (unsigned i = 0; i < CONFIG_FILES; i++) {
		snprintf(file, sizeof file, "%s/%u.conf", dir, i);
		unlink(file);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void dump_to_file(const struct config *c)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	config_dump(c, f);
	assert_int_equal(fclose(f), 0);
}

/* A dump is a configuration, and the same one. */
static void must_survive_dump(const struct config *c, const struct config *previous)
{
	dump_to_file(c);
	if (!config_load(&third, previous, path, &errors))
		fail_msg("%s", lines());
	assert_memory_equal(&third.proxy, &c->proxy, sizeof c->proxy);
	assert_memory_equal(third.interfaces, c->interfaces, sizeof c->interfaces);
	assert_string_equal(third.control_socket, c->control_socket);
	assert_string_equal(third.control_group, c->control_group);
	assert_int_equal(third.control_mode, c->control_mode);
	assert_int_equal(third.memory_limit, c->memory_limit);
	assert_int_equal(third.level, c->level);
	assert_memory_equal(third.secret_files, c->secret_files, sizeof c->secret_files);
	assert_string_equal(third.state_directory, c->state_directory);
}

static void test_many(void **state)
{
	static char text[1 << 20];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		len += (size_t)sprintf(text + len, "[server s%u]\naddress = coap://[fd00::%x]\n", i, i + 1);
	must_load(&config, NULL, text);
	assert_string_equal(config.proxy.servers[63].name, "s63");
	sprintf(text + len, "[server x]\naddress = coap://[fd00::100]\n");
	assert_false(load_text(&config, NULL, text));
	assert_string_equal(lines(), "129: [server x]: more than 64 such sections\n");

	/* Every context may reach every server, which is more than a line holds, and can be dumped. */
	for (unsigned i = 0; i < 64; i++) {
		len += (size_t)sprintf(text + len, "[context c%u]\nsender-id = 0x%02x\nrecipient-id = 0xff%02x\n", i, i,
				       i);
		for (unsigned j = 0; j < 64; j++)
			len += (size_t)sprintf(text + len, "servers = s%u\n", (i + j) % 64);
	}
	must_load(&config, NULL, text);
	for (unsigned i = 0; i < 64; i++)
		assert_true(config.proxy.contexts[i].servers == UINT64_MAX);
	assert_non_null(strstr(get(&config, SECTION_CONTEXT, 0, "servers"), "s1, s2, s3, "));
	assert_non_null(strstr(get(&config, SECTION_CONTEXT, 0, "servers"), ", ..."));
	must_survive_dump(&config, NULL);
	sprintf(text + len, "[context x]\n");
	assert_false(load_text(&config, NULL, text));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(lines(), "[context x]: more than 64 such sections\n"));

	len = (size_t)sprintf(text, "[listen a]\n");
	for (unsigned i = 0; i < 16; i++)
		len += (size_t)sprintf(text + len, "bind = [::1]:%u\n", i + 1);
	must_load(&config, NULL, text);
	sprintf(text + len, "[listen b]\n");
	assert_false(load_text(&config, NULL, text));
	assert_string_equal(lines(), "18: [listen b] bind: more than 16 addresses to listen at\n");

	len = (size_t)sprintf(text, "[listen a]\n");
	for (unsigned i = 0; i < 2049; i++)
		len += (size_t)sprintf(text + len, "bind = x\n");
	assert_false(load_text(&config, NULL, text));
	assert_int_equal(errors.count, CONFIG_ERRORS);

	/* What does not fit is counted. */
	len = 0;
	for (unsigned i = 0; i < 100; i++)
		len += (size_t)sprintf(text + len, "[banana]\n");
	assert_false(load_text(&config, NULL, text));
	assert_int_equal(errors.count, 64);
	assert_int_equal(errors.more, 36);
}

/* A section keeps its place over reloads, whatever is put before it. */
static void test_places(void **state)
{
	(void)state;
	must_load(&config, NULL,
		  "[listen a]\nbind = ::1\nbind = 192.0.2.1\n[link l]\n[link m]\n"
		  "[server a]\naddress = coap://[::2]\nlink = l\n"
		  "[server b]\naddress = coap://[::3]\nlink = m\n");
	must_load(&second, &config,
		  "[listen n]\nbind = 192.0.2.2\nserver = c\n[listen a]\nbind = 192.0.2.1\n[link "
		  "k]\n[link m]\n"
		  "[server c]\naddress = coap://[::4]\nlink = k\n"
		  "[server b]\naddress = coap://[::5]\nlink = m\n");
	assert_string_equal(second.proxy.servers[0].name, ""); /* a's, and not at once another's */
	assert_false(second.proxy.policy.servers[0].present);
	assert_string_equal(second.proxy.servers[1].name, "b");
	assert_string_equal(second.proxy.servers[2].name, "c");
	assert_string_equal(get(&second, SECTION_SERVER, 1, "address"), "coap://[::5]:5683");
	assert_string_equal(second.proxy.links[0].name, "");
	assert_string_equal(second.proxy.links[1].name, "m");
	assert_string_equal(second.proxy.links[2].name, "k");
	assert_int_equal(second.proxy.policy.servers[1].link, 1);
	assert_int_equal(second.proxy.policy.servers[2].link, 2);
	assert_string_equal(second.proxy.listens[0].name, "");
	assert_string_equal(get(&second, SECTION_LISTEN, 1, "bind"), "192.0.2.1:5683");
	assert_string_equal(get(&second, SECTION_LISTEN, 2, "bind"), "192.0.2.2:5683");
	assert_int_equal(second.proxy.listens[2].server, 2);
	/* The place it had can be had once only. */
	assert_false(load_text(&third, &second, "[listen n]\nbind = 192.0.2.2\nbind = 192.0.2.2\n"));
	assert_string_equal(lines(), "3: [listen n] bind: 192.0.2.2:5683 is listened at by [listen n] already\n");
	/* Once gone, it may be had. */
	must_load(&third, &second, "[server d]\naddress = coap://[::2]\n");
	assert_string_equal(third.proxy.servers[0].name, "d");
}

/* Contexts, too; and the bits of their servers follow the servers, not the places. */
static void test_places_of_contexts(void **state)
{
	(void)state;
	must_load(&config, NULL,
		  LAMP FAN "[context a]\n" IDS "servers = lamp\n[context b]\nsender-id =\nrecipient-id = 0x03\n"
			   "servers = lamp fan\nnext-hop = fan\n");
	assert_int_equal(config.proxy.contexts[1].servers, 3);
	must_load(&second, &config,
		  "[server door]\naddress = coap://[fd00::19]\n" FAN
		  "[context c]\nsender-id =\nrecipient-id = 0x04\nservers = door\n"
		  "[context b]\nsender-id =\nrecipient-id = 0x03\nservers = fan\nnext-hop = door\n");
	assert_string_equal(second.proxy.contexts[0].name, "");
	assert_int_equal(second.proxy.contexts[0].servers, 0);
	assert_string_equal(second.proxy.contexts[1].name, "b");
	assert_string_equal(second.proxy.contexts[2].name, "c");
	assert_string_equal(second.secret_files[2], "keys/c");
	assert_int_equal(second.proxy.contexts[1].servers, 1U << 1);
	assert_int_equal(second.proxy.contexts[1].next_hop, 2);
	assert_int_equal(second.proxy.contexts[2].servers, 1U << 2);
	/* A server that has gone is nobody's. */
	assert_false(
		load_text(&third, &config, LAMP "[context b]\nsender-id =\nrecipient-id = 0x03\nservers = lamp fan\n"));
	assert_string_equal(lines(), "6: [context b] servers: expected names of servers, each once, got \"lamp fan\"; "
				     "defined servers: lamp\n");
}

/* All places taken before: then a vanished one's is used at once. */
static void test_places_full(void **state)
{
	char text[64 * 64];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		len += (size_t)sprintf(text + len, "[server s%02u]\naddress = coap://[fd00::%x]\n", i, i + 1);
	must_load(&config, NULL, text);
	*strstr(text, "s40") = 'x';
	must_load(&second, &config, text);
	assert_string_equal(second.proxy.servers[40].name, "x40");
	assert_string_equal(second.proxy.servers[63].name, "s63");
}

static void test_restart(void **state)
{
	(void)state;
	must_load(&config, NULL, LAMP "[throttle]\ntable-size = 2048\n[control]\nmode = 0600\n");
	must_load(&second, &config, LAMP "mode = open\n[throttle]\ntable-size = 2048\n[control]\nmode = 0600\n");
	assert_false(load_text(&second, &config, LAMP "[throttle]\ntable-size = 4096\n"));
	assert_string_equal(lines(), " [control] mode: changed from \"0600\" to \"0660\", which needs a restart\n"
				     "4: [throttle] table-size: changed from \"2048\" to \"4096\", which needs a "
				     "restart\n");
	/* What is wrong is said first, and only that. */
	assert_false(load_text(&second, &config, LAMP "[throttle]\ntable-size = few\n"));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.list[0].text, "expected a whole number"));
}

static void test_dump(void **state)
{
	static const char *const files[] = { "conf/coap-guard.conf",
					     "conf/examples/reverse-proxy.conf",
					     "conf/examples/forward-proxy.conf",
					     "conf/examples/two-links.conf",
					     "conf/examples/demo.conf",
					     "conf/examples/oscore.conf",
					     "conf/examples/sleepy-sensor.conf" };
	char file[256];

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(file, sizeof file, "%s/%s", TEST_ROOT, files[i]);
		if (!config_load(&config, NULL, file, &errors))
			fail_msg("%s", errors.list[0].text);
		must_survive_dump(&config, NULL);
	}
	/* With free places in between it is the same one only for who knows the places. */
	must_load(&config, NULL, "[server a]\naddress = coap://[::2]\n[server b]\naddress = coap://[::3]\n");
	must_load(&second, &config, "[server c]\naddress = coap://[::4]\n[server b]\naddress = coap://[::3]\n");
	must_survive_dump(&second, &second);
}

static void test_dump_origins(void **state)
{
	char text[65536], line[512];
	FILE *f;

	(void)state;
	must_load(&config, NULL, "[listen a]\nbind = ::1\nbind = 192.0.2.1\n\n" LAMP);
	f = fmemopen(text, sizeof text, "w");
	assert_non_null(f);
	config_dump(&config, f);
	fclose(f);
	snprintf(line, sizeof line,
		 "\n[listen a]\n"
		 "bind = [::1]:5683                        ; %s:2\n"
		 "bind = 192.0.2.1:5683                    ; %s:3\n"
		 "interface =                              ; default\n"
		 "server = lamp                            ; default\n",
		 path, path);
	assert_non_null(strstr(text, line));
	snprintf(line, sizeof line,
		 "\n[server lamp]\n"
		 "address = coap://[fd00::17]:5683         ; %s:6\n"
		 "link = default                           ; default\n"
		 "uri-path = lamp                          ; default\n",
		 path);
	assert_non_null(strstr(text, line));
}

/* The shipped file with every key uncommented means what an empty one means. */
static void test_shipped_values(void **state)
{
	char text[65536], *out = text;
	FILE *f = fopen(TEST_ROOT "/conf/coap-guard.conf", "r");
	bool at_start = true;
	int ch;

	(void)state;
	assert_non_null(f);
	while ((ch = getc(f)) != EOF && out < text + sizeof text - 1) {
		if (!at_start || ch != ';')
			*out++ = (char)ch;
		at_start = ch == '\n';
	}
	*out = '\0';
	fclose(f);
	must_load(&config, NULL,
		  "[listen outside]\n[link default]\n[server lamp]\naddress = "
		  "coap://[fd00:db8::17]\n[context phone]\n" IDS);
	must_load(&second, NULL, text);
	assert_memory_equal(&second.proxy, &config.proxy, sizeof config.proxy);
	assert_string_equal(second.control_socket, config.control_socket);
	assert_string_equal(second.control_group, config.control_group);
	assert_int_equal(second.control_mode, config.control_mode);
	assert_int_equal(second.memory_limit, config.memory_limit);
	assert_int_equal(second.level, config.level);
	for (unsigned i = 0; i < schema_count; i++)
		assert_int_equal(second.origins[0][i].file, 1); /* really uncommented */
}

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static size_t drop(char *text, size_t len, size_t at, size_t run)
{
	if (run > len - at)
		run = len - at;
	memmove(text + at, text + at + run, len - at - run);
	return len - run;
}

static size_t repeat(char *text, size_t len, size_t cap, size_t at, size_t run)
{
	if (run > len - at || run > cap - len)
		return len;
	memmove(text + at + run, text + at, len - at);
	return len + run;
}

/* Damages the text once: some bytes, or a whole line, or only a digit. Returns its new length. */
static size_t mutate(char *text, size_t len, size_t cap)
{
	static const char bytes[] = "[]=;#:/%. \t\n\r\\\"0159aszB\xff\xc3";
	char ch = draw(8) ? bytes[draw(sizeof bytes)] : (char)draw(256);
	size_t at = draw((uint32_t)len), run = 1 + draw(8), digit;
	char *line = memchr(text + at, '\n', len - at);
	size_t start = line ? (size_t)(line - text) + 1 : 0;
	char *end = memchr(text + start, '\n', len - start);
	size_t line_len = end ? (size_t)(end - text) + 1 - start : len - start;

	switch (draw(7)) {
	case 0: text[at] = ch; return len;
	case 1: return drop(text, len, at, run);
	case 2: return repeat(text, len, cap, at, run);
	case 3:
		len = repeat(text, len, cap, at, 1);
		text[at] = ch;
		return len;
	case 4: return drop(text, len, start, line_len);
	case 5: return repeat(text, len, cap, start, line_len);
	default:
		digit = at + strcspn(text + at, "0123456789");
		if (digit < len)
			text[digit] = (char)('0' + draw(10));
		return len;
	}
}

static void test_mutations(void **state)
{
	static const char *const texts[] = {
		"[guard]\nname = a\nmax-datagram = 1KiB\n[listen a]\nbind = [::1]:5683\nbind = "
		"10.0.0.1:99\n"
		"interface = eth0\nserver = b\n[link l]\nrate = 250bit/s\nburst = "
		"128B\nshare-trusted = 70%\n"
		"share-reachable = 20%\nshare-unknown = 10%\n[server a]\naddress = "
		"coap://[fe80::1%3]\n"
		"[server b]\naddress = coap://10.0.0.2:77\nuri-path = a/b ; c\nmode = throttle\n",
		"[server lamp]\naddress = coap://[fd00::17]\nunknown-rate = 6/min\nplain = "
		"deny\nuri-host = A.b\n"
		"[throttle]\nunknown-rate = 10/h\nreply-slip = 0\n[echo]\nvalidity = "
		"90s\n[control]\nmode = 0600\n"
		"socket = /tmp/x\ngroup =\n",
		LAMP "mode = full\nproxy = yes\n[context a]\n" IDS
		     "id-context = 0x0102\nservers = lamp\nsource = 10.0.0.1\n"
		     "[context b]\nsender-id = 0x02\nrecipient-id =\nmaster-salt = 0x9e7ca922\naead = A128GCM\n"
		     "next-hop = lamp\nmaster-secret-file = /etc/b\nreplay-window = 64\n[state]\nssn-reserve = 64\n",
	};
	char text[1024], on_disk[sizeof path];
	unsigned good = 0;
	int fd;

	(void)state;
	strcpy(on_disk, path);
	fd = open_memory_file(path);
	for (unsigned i = 0; i < 30000; i++) {
		const char *from = texts[i % 3];
		size_t len = strlen(from);

		memcpy(text, from, len + 1);
		for (unsigned n = 1 + draw(3); n > 0 && len > 0; n--) {
			len = mutate(text, len, sizeof text - 1);
			text[len] = '\0';
		}
		write_bytes(path, text, len);
		if (config_load(&config, NULL, path, &errors)) {
			assert_int_equal(errors.count, 0);
			must_survive_dump(&config, NULL);
			good++;
		} else {
			assert_in_range(errors.count, 1, CONFIG_ERRORS);
		}
	}
	close(fd);
	strcpy(path, on_disk);
	/* Neither all nor nothing is let through, or this shows little. */
	assert_in_range(good, 3000, 27000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_drop_ins),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_places_of_contexts),
		cmocka_unit_test(test_places_full),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_dump_origins),
		cmocka_unit_test(test_shipped_values),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

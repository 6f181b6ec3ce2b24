/*
 * fuzz_statedir: the input is what lies in the state directory for a context. A good file is byte for byte what is written of what
 * was read; a context that begins with it never goes back behind its numbers; and what is bad keeps it out of work.
 * The first byte: 1 closes the text with its right sum, 2 puts the right fingerprints in, so that the rest of the reader is reached.
 */
#include "fuzz_target.h"
#include "fuzz_scratch.h"
#include "contexts.h"
#include "crc32.h"
#include "entropy.h"
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define TEXT_MAX 2048
#define NOW      (1000 * TSTAMP_S)

static const char configuration[] =
	"[guard]\nexchanges = 16\n[allow-list]\nrelations = 64\n[throttle]\ntable-size = 1024\n"
	"[server lamp]\naddress = coap://[fd00::17]\n"
	"[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = lamp\n"
	"master-secret-file = key\n[state]\ndirectory = %s\n";

struct guard_life {
	struct config config;
	struct log log;
	struct entropy entropy;
	struct contexts contexts;
	struct proxy *proxy;
	struct context_key key;
	char path[FUZZ_SCRATCH + 32];
};

static void configure(struct guard_life *g)
{
	static struct config_errors errors;
	char text[1024];
	int len = snprintf(text, sizeof text, configuration, fuzz_scratch_at("state"));

	fuzz_scratch_make("state");
	fuzz_scratch_put("guard.conf", bytes_of(text, (size_t)len));
	fuzz_scratch_put("key", bytes_of("000102030405060708090a0b0c0d0e0f", 32));
	snprintf(g->path, sizeof g->path, "%s", fuzz_scratch_at("guard.conf"));
	FUZZ_MUST(config_load(&g->config, NULL, g->path, &errors));
	FUZZ_MUST(context_key_read(&g->key, &g->config, g->path, 0, text, sizeof text));
}

static size_t put_print(char *out, const char *word, const uint8_t print[OSCORE_PRINT])
{
	size_t len = (size_t)sprintf(out, "%s ", word);

	for (unsigned i = 0; i < OSCORE_PRINT; i++)
		len += (size_t)sprintf(out + len, "%02x", print[i]);
	return len + (size_t)sprintf(out + len, "\n");
}

static struct bytes take_text(const struct guard_life *g, const uint8_t *data, size_t size, char out[TEXT_MAX])
{
	size_t len = 0, n = size - 1 < TEXT_MAX - 256 ? size - 1 : TEXT_MAX - 256;

	if (data[0] & 2) {
		len += (size_t)sprintf(out, "coap-guard-context 1\n");
		len += put_print(out + len, "fingerprint", g->key.print);
		len += put_print(out + len, "sender", g->key.sender);
	}
	memcpy(out + len, data + 1, n);
	len += n;
	if (data[0] & 1)
		len += (size_t)sprintf(out + len, "end %08" PRIx32 "\n", crc32_of(0, out, len));
	return bytes_of(out, len);
}

/* Returns the entry when the file is good. */
static bool check_reader(const struct statedir *s, struct bytes text, struct statedir_entry *e)
{
	uint8_t again[TEXT_MAX];
	char why[128] = "";
	enum statedir_found found = statedir_read(s, "phone", e, why, sizeof why);

	FUZZ_MUST(found == STATEDIR_FOUND || (found == STATEDIR_BAD && *why));
	if (found != STATEDIR_FOUND)
		return false;
	FUZZ_MUST(e->state.next <= OSCORE_PIV_MAX + 1);
	FUZZ_MUST(!e->state.synced || (e->state.window.size > 0 && e->state.window.size <= REPLAY_MAX));
	FUZZ_MUST(statedir_write(s, "phone", e) == 0);
	FUZZ_MUST(bytes_equal(fuzz_scratch_get("state/phone.context", again, sizeof again), text));
	return true;
}

static void begin(struct guard_life *g)
{
	static const uint8_t secret[32] = { 5 };

	log_init(&g->log, open("/dev/null", O_WRONLY), LEVEL_INFO);
	entropy_init(&g->entropy);
	g->proxy = proxy_create(&g->config.proxy, secret, &g->entropy.rng, NOW);
	FUZZ_MUST(g->proxy);
	contexts_init(&g->contexts);
	FUZZ_MUST(contexts_open(&g->contexts, g->proxy, &g->config, g->path, &g->log, NOW) == 0);
}

static void end(struct guard_life *g)
{
	contexts_close(&g->contexts);
	proxy_free(g->proxy);
	entropy_wipe(&g->entropy);
	close(g->log.fd);
	log_close(&g->log);
}

/* What the guard wrote meanwhile can be read, and goes on from there. */
static void check_life(struct guard_life *g, const struct statedir_entry *e, bool good)
{
	bool is_its = good && memcmp(e->print, g->key.print, OSCORE_PRINT) == 0 && e->state.next <= OSCORE_PIV_MAX;
	struct statedir_entry after;
	char why[128];

	begin(g);
	FUZZ_MUST(proxy_context_works(g->proxy, 0) == is_its);
	contexts_settle(&g->contexts, NOW);
	if (is_its) {
		FUZZ_MUST(statedir_read(&g->contexts.dir, "phone", &after, why, sizeof why) == STATEDIR_FOUND);
		FUZZ_MUST(after.state.next >= e->state.next);
		FUZZ_MUST(proxy_context_state(g->proxy, 0).next >= e->state.next);
	}
	end(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guard_life g;
	static char text[TEXT_MAX];
	struct statedir_entry e;
	struct statedir dir;
	char why[256];
	struct bytes taken;
	bool good;

	if (size < 2)
		return 0;
	if (!g.path[0])
		configure(&g);
	taken = take_text(&g, data, size, text);
	fuzz_scratch_put("state/phone.context", taken);
	FUZZ_MUST(statedir_open(&dir, fuzz_scratch_at("state"), why, sizeof why) == 0);
	good = check_reader(&dir, taken, &e);
	statedir_close(&dir);
	check_life(&g, &e, good);
	return 0;
}

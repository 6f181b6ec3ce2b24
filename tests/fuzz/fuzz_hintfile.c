/*
 * fuzz_hintfile: the input is what lies in the state directory as `hints`. A good file is byte for byte what is written of what
 * was read; a guard that takes it in leaves a good one behind; and one that cannot, says so and starts.
 * The first byte: 1 closes the text with its right sum, so that the rest of the reader is reached.
 */
#include "fuzz_target.h"
#include "fuzz_scratch.h"
#include "crc32.h"
#include "entropy.h"
#include "hintfile.h"
#include "hints.h"
#include "wall.h"
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define TEXT_MAX 8192
#define NOW      (1000 * TSTAMP_S)
#define TODAY    (UINT64_C(1763781000) * TSTAMP_S)

static const char configuration[] = "[guard]\nmemory-limit = 8MiB\nexchanges = 16\n"
				    "[allow-list]\nrelations = 64\n[throttle]\ntable-size = 1024\n"
				    "[server lamp]\naddress = coap://[fd00::17]\n"
				    "[server fan]\naddress = coap://[fd00::18]\n"
				    "[state]\ndirectory = %s\n";

static uint64_t read_today(void *arg)
{
	(void)arg;
	return TODAY;
}

static struct bytes take_text(const uint8_t *data, size_t size, char out[TEXT_MAX])
{
	size_t len = size - 1 < TEXT_MAX - 32 ? size - 1 : TEXT_MAX - 32;

	memcpy(out, data + 1, len);
	if (data[0] & 1)
		len += (size_t)sprintf(out + len, "end %08" PRIx32 "\n", crc32_of(0, out, len));
	return bytes_of(out, len);
}

/* --- the reader alone */

static void put_client(void *arg, const struct hintfile_head *head, const struct guard_hint *hint)
{
	struct hintfile *again = arg;

	FUZZ_MUST(hint->server < POLICY_SERVERS && *head->servers[hint->server]);
	hintfile_put(again, hint);
}

static const char *read_text(struct bytes text, struct hintfile_head *head, struct hintfile *again)
{
	FILE *file = fmemopen((void *)(uintptr_t)text.ptr, text.len, "r");
	const char *wrong;

	FUZZ_MUST(file);
	wrong = hintfile_read(file, head, again ? put_client : NULL, again);
	fclose(file);
	return wrong;
}

static bool check_reader(struct bytes text)
{
	struct hintfile_head head;
	struct hintfile again;
	char *written = NULL;
	size_t len = 0;
	const char *wrong = read_text(text, &head, NULL);
	FILE *out;

	FUZZ_MUST(!wrong || *wrong);
	if (wrong)
		return false;
	out = open_memstream(&written, &len);
	FUZZ_MUST(out);
	hintfile_begin(&again, out, &head);
	FUZZ_MUST(!read_text(text, &head, &again));
	hintfile_end(&again);
	fclose(out);
	FUZZ_MUST(bytes_equal(text, bytes_of(written, len)));
	free(written);
	return true;
}

/* --- a guard that starts with it, and ends */

struct guard_life {
	struct config config;
	struct log log;
	struct entropy entropy;
	struct contexts contexts;
	struct hints hints;
	struct proxy *proxy;
};

static void configure(struct config *c)
{
	static struct config_errors errors;
	char text[1024];
	int len = snprintf(text, sizeof text, configuration, fuzz_scratch_at("state"));

	fuzz_scratch_make("state");
	fuzz_scratch_put("guard.conf", bytes_of(text, (size_t)len));
	FUZZ_MUST(config_load(c, NULL, fuzz_scratch_at("guard.conf"), &errors));
}

static void begin(struct guard_life *g)
{
	static const struct wall wall = { read_today, NULL };
	static const uint8_t secret[32] = { 5 };

	log_init(&g->log, open("/dev/null", O_WRONLY), LEVEL_INFO);
	entropy_init(&g->entropy);
	g->proxy = proxy_create(&g->config.proxy, secret, &g->entropy.rng, NOW);
	FUZZ_MUST(g->proxy);
	contexts_init(&g->contexts);
	hints_init(&g->hints);
	contexts_open(&g->contexts, g->proxy, &g->config, "guard.conf", &g->log, NOW);
	hints_open(&g->hints, g->proxy, &g->config, &g->contexts, &g->log, &wall, NOW);
}

static void end(struct guard_life *g, tstamp now)
{
	hints_close(&g->hints, now);
	contexts_close(&g->contexts);
	proxy_free(g->proxy);
	entropy_wipe(&g->entropy);
	close(g->log.fd);
	log_close(&g->log);
}

static unsigned count_known(const struct guard_life *g, tstamp now)
{
	struct guard_hint hint;
	unsigned n = 0;

	for (uint32_t place = 0; proxy_hint_next(g->proxy, &place, &hint, now); n++)
		FUZZ_MUST(!hint.trusted); /* nobody is in good standing because a file says so */
	return n;
}

static void check_guard(struct bytes text, bool good)
{
	static struct guard_life g;
	static uint8_t left[TEXT_MAX];
	struct bytes after;
	unsigned known;

	if (!g.config.memory_limit)
		configure(&g.config);
	fuzz_scratch_put("state/hints", text);
	begin(&g);
	known = count_known(&g, NOW);
	FUZZ_MUST(good || known == 0);
	hints_settle(&g.hints, NOW + HINTS_PERIOD);
	end(&g, NOW + HINTS_PERIOD);
	after = fuzz_scratch_get("state/hints", left, sizeof left);
	FUZZ_MUST(bytes_equal(after, text) || (after.len < sizeof left && check_reader(after)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX];
	struct bytes taken;

	if (size < 2)
		return 0;
	taken = take_text(data, size, text);
	check_guard(taken, check_reader(taken));
	return 0;
}

/*
 * fuzz_config: the input is a configuration: files, and those of a reload. What is good can be dumped and loaded again and is the
 * same; what is not is explained in plain text; a reload keeps the places of servers and what needs a restart.
 *
 *   80 i   line of the i-th key of the schema, with a value that it takes
 *   81 i   header of the i-th kind of section       82 i   a value seen elsewhere
 *   83     the next file                            84 b   the byte b with its highest bit set
 */
#include "fuzz_target.h"
#include "fuzz_scratch.h"
#include "config.h"
#include "nft.h"
#include "schema.h"

#define TEXT_MAX  32768
#define SMALL     ((size_t)4 << 20)
#define FILES     4
#define DUMP_NAME "dumped.conf"

/* guard.conf and a drop-in; the same after a while. */
static const char *const names[FILES] = { "guard.conf", "conf.d/10.conf", "guard.conf", "conf.d/10.conf" };

static struct config first, second, again;
static struct config_errors errors;

struct text {
	char at[TEXT_MAX];
	size_t len;
};

static void put(struct text *t, const char *word)
{
	size_t n = strlen(word);

	if (t->len + n >= TEXT_MAX)
		return;
	memcpy(t->at + t->len, word, n);
	t->len += n;
}

/* Its default, or the first of its choices, or what is good for its kind. */
static const char *sample(const struct schema_key *k, char out[VALUE_TEXT])
{
	if (k->rule.choices) {
		snprintf(out, VALUE_TEXT, "%.*s", (int)strcspn(k->rule.choices, "|"), k->rule.choices);
		return out;
	}
	switch (k->rule.kind) {
	case VALUE_TARGET: return "coap://[fd00::17]";
	case VALUE_SERVER:
	case VALUE_SERVERS: return "lamp";
	case VALUE_HEX: return "0x0102";
	default: return k->fallback && *k->fallback ? k->fallback : "1";
	}
}

static void put_key(struct text *t, uint8_t which)
{
	char value[VALUE_TEXT];
	const struct schema_key *k = &schema_keys[which % schema_count];

	put(t, "\n");
	put(t, k->key);
	put(t, " = ");
	put(t, sample(k, value));
}

static void put_header(struct text *t, uint8_t which)
{
	static const char *const sections[] = { "lamp", "fan", "default", "x" };
	enum schema_section s = (enum schema_section)(which % SECTION_COUNT);

	put(t, "\n[");
	put(t, schema_word(s));
	if (schema_is_named(s)) {
		put(t, " ");
		put(t, sections[which / SECTION_COUNT % 4]);
	}
	put(t, "]\n");
}

static void put_value(struct text *t, uint8_t which)
{
	static const char *const values[] = { "lamp",
					      "fan",
					      "default",
					      "x",
					      "yes",
					      "no",
					      "0",
					      "1",
					      "65535",
					      "4294967296",
					      "100%",
					      "1/s",
					      "6/min",
					      "7d",
					      "1500ms",
					      "64KiB",
					      "10kbit/s",
					      "0x00",
					      "full",
					      "exemptions",
					      "[::1]:5683",
					      "192.0.2.1",
					      "off",
					      "/a/b",
					      "coap://[fd00::18]:61616",
					      "guard.example",
					      "fe80::1%eth",
					      ";",
					      "#",
					      "\\" };

	put(t, " ");
	put(t, values[which % (sizeof values / sizeof values[0])]);
}

/* Returns how many bytes of the input it took. */
static size_t put_item(struct text *t, const uint8_t *at, size_t left)
{
	char one[2] = { (char)at[0], '\0' };
	uint8_t more = left > 1 ? at[1] : 0;

	switch (at[0]) {
	case 0x80: put_key(t, more); return 2;
	case 0x81: put_header(t, more); return 2;
	case 0x82: put_value(t, more); return 2;
	case 0x84:
		one[0] = (char)(more | 0x80);
		put(t, one);
		return 2;
	default:
		if (t->len + 1 < TEXT_MAX)
			t->at[t->len++] = one[0];
		return 1;
	}
}

/* Writes one file. Returns where the next one begins in the input. */
static size_t write_file(const char *name, const uint8_t *data, size_t size)
{
	static struct text t;
	size_t at = 0;

	for (t.len = 0; at < size && data[at] != 0x83;)
		at += put_item(&t, data + at, size - at);
	fuzz_scratch_put(name, bytes_of(t.at, t.len));
	return at < size ? at + 1 : size;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (((uint8_t)*text < ' ' && *text != '\t') || (uint8_t)*text == 0x7f)
			return false;
	return true;
}

static bool load(struct config *c, const struct config *previous, const char *name)
{
	bool good = config_load(c, previous, fuzz_scratch_at(name), &errors);

	FUZZ_MUST(good == (errors.count == 0) && errors.count <= CONFIG_ERRORS);
	for (unsigned i = 0; i < errors.count; i++)
		FUZZ_MUST(*errors.list[i].text && is_plain(errors.list[i].text));
	return good;
}

static char *dump(const struct config *c, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	FUZZ_MUST(out);
	config_dump(c, out);
	FUZZ_MUST(fclose(out) == 0);
	return text;
}

/* Without where the values are from: behind the last semicolon. */
static void cut_origins(char *text)
{
	char *to = text;

	while (*text) {
		char *end = text + strcspn(text, "\n"), *cut = NULL;

		for (char *p = text; p + 2 < end; p++)
			if (memcmp(p, " ; ", 3) == 0)
				cut = p;
		memmove(to, text, (size_t)((cut ? cut : end) - text));
		to += (cut ? cut : end) - text;
		*to++ = '\n';
		text = end + (*end == '\n');
	}
	*to = '\0';
}

static void check_dump(const struct config *c)
{
	size_t len, len_again;
	char *text = dump(c, &len), *text_again;

	fuzz_scratch_put(DUMP_NAME, bytes_of(text, len));
	fuzz_scratch_empty("conf.d");
	FUZZ_MUST(load(&again, NULL, DUMP_NAME));
	text_again = dump(&again, &len_again);
	cut_origins(text);
	cut_origins(text_again);
	FUZZ_MUST(strcmp(text, text_again) == 0);
	free(text);
	free(text_again);
}

static void check_kept(const struct config *before, const struct config *after)
{
	char a[VALUE_TEXT], b[VALUE_TEXT];

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		const char *name = schema_name(before, SECTION_SERVER, i);
		int place = *name ? schema_place(after, SECTION_SERVER, name) : -1;

		FUZZ_MUST(place < 0 || place == (int)i);
	}
	for (unsigned i = 0; i < schema_count; i++)
		if (!schema_keys[i].reloadable && !schema_is_named(schema_keys[i].section))
			FUZZ_MUST(strcmp(schema_get(&schema_keys[i], before, 0, a),
					 schema_get(&schema_keys[i], after, 0, b)) == 0);
}

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 0x5a, len);
}

/* An engine takes what the daemon's rules let through. */
static void check_engine(const struct config *a, const struct config *b)
{
	static const uint8_t secret[32] = { 3 };
	struct rng rng = { fill };
	struct proxy *p;

	if (proxy_memory(&a->proxy) > SMALL)
		return;
	p = proxy_create(&a->proxy, secret, &rng, TSTAMP_HOUR);
	FUZZ_MUST(p);
	if (b)
		proxy_reconfigure(p, &b->proxy, TSTAMP_HOUR);
	FUZZ_MUST(proxy_next_expiry(p, TSTAMP_HOUR) > TSTAMP_HOUR);
	proxy_free(p);
}

static void check_nft(const struct config *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	FUZZ_MUST(out);
	nft_print(c, "coap-guard", out);
	FUZZ_MUST(fclose(out) == 0 && len > 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool good, reloaded;
	size_t at = 0;

	fuzz_scratch_make("conf.d");
	fuzz_scratch_empty("conf.d");
	for (unsigned i = 0; i < 2; i++)
		at += write_file(names[i], data + at, size - at);
	good = load(&first, NULL, names[0]);
	if (good) {
		check_nft(&first);
		check_dump(&first);
	}
	if (at == size || !good)
		return 0;
	for (unsigned i = 2; i < FILES; i++)
		at += write_file(names[i], data + at, size - at);
	reloaded = load(&second, &first, names[2]);
	if (reloaded)
		check_kept(&first, &second);
	check_engine(&first, reloaded ? &second : NULL);
	return 0;
}

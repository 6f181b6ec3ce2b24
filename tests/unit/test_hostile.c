/*
 * hostile: msg against everything the vectors and we can think of. Datagrams end where a page
 * nobody may read begins, so that reading past one crashes inside the codec library too, which no
 * sanitizer instruments.
 */
#include "coap/msg.h"
#include "coap/msgbuf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WALL_ROOM (1u << 17)

static const char *vectors_dir = "tests/vectors";

/* A room whose end is a wall. */
struct wall {
	uint8_t *room, *end;
};

static struct wall wall_build(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *room = mmap(NULL, WALL_ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(room != MAP_FAILED);
	assert_int_equal(mprotect(room + WALL_ROOM, page, PROT_NONE), 0);
	return (struct wall){ room, room + WALL_ROOM };
}

static void wall_drop(const struct wall *w)
{
	munmap(w->room, WALL_ROOM + (size_t)sysconf(_SC_PAGESIZE));
}

static bool is_inside(struct bytes part, struct bytes whole)
{
	return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What was accepted can be walked without a mishap; its options come in order and lie inside. */
static void copy_options(const struct msg *m, struct bytes datagram, struct msgbuf *b)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt, found;
	unsigned n = 0, last = 0;

	for (; msg_next(&it, &opt); n++) {
		assert_true(opt.number >= last);
		assert_true(is_inside(opt.value, datagram));
		if (n < 16 && (n == 0 || opt.number != last))
			assert_true(msg_find(m, opt.number, &found) && found.value.ptr == opt.value.ptr);
		msgbuf_option(b, opt.number, opt.value);
		last = opt.number;
	}
	assert_true(n == m->n_options);
}

static void same_options(const struct msg *a, const struct msg *b)
{
	struct msg_iter x = msg_options(a), y = msg_options(b);
	struct msg_option ox, oy;

	while (msg_next(&x, &ox)) {
		assert_true(msg_next(&y, &oy));
		assert_true(ox.number == oy.number);
		assert_true(bytes_equal(ox.value, oy.value));
	}
	assert_false(msg_next(&y, &oy));
}

/*
 * Parses; what is accepted is written anew and must read the same. The new message is never longer:
 * msgbuf writes the shortest form. Returns the finding.
 */
static enum msg_error probe(struct bytes datagram)
{
	static uint8_t buf[WALL_ROOM];
	struct msg m, again;
	struct msgbuf b;
	enum msg_error e = msg_parse(&m, datagram);

	assert_true(e < MSG_ERRORS);
	if (e != MSG_OK)
		return e;
	assert_true(is_inside(m.token, datagram) && is_inside(m.options, datagram) && is_inside(m.payload, datagram));
	msgbuf_begin(&b, buf, datagram.len, m.type, m.code, m.mid, m.token);
	copy_options(&m, datagram, &b);
	msgbuf_payload(&b, m.payload);
	assert_true(msg_parse(&again, msgbuf_end(&b)) == MSG_OK);
	assert_true(m.type == again.type && m.code == again.code && m.mid == again.mid);
	assert_true(bytes_equal(m.token, again.token));
	assert_true(bytes_equal(m.payload, again.payload));
	same_options(&m, &again);
	return e;
}

static enum msg_error probe_at(const struct wall *w, struct bytes datagram)
{
	uint8_t *at = w->end - datagram.len;

	if (datagram.len)
		memcpy(at, datagram.ptr, datagram.len);
	return probe(bytes_of(at, datagram.len));
}

struct tally {
	unsigned datagrams, probes, accepted;
};

static void truncate_and_corrupt(const struct wall *w, struct bytes wire, struct tally *t)
{
	uint8_t *at = w->end - wire.len;

	for (size_t len = 0; len <= wire.len; len++) {
		t->accepted += probe_at(w, bytes_of(wire.ptr, len)) == MSG_OK;
		t->probes++;
	}
	for (size_t i = 0; i < wire.len; i++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			at[i] = (uint8_t)(wire.ptr[i] ^ flip);
			t->accepted += probe(bytes_of(at, wire.len)) == MSG_OK;
			t->probes++;
		}
		at[i] = wire.ptr[i];
	}
	t->datagrams++;
}

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* An even number of hex digits, eight at least, up to the closing quote: its bytes, else length 0.
 */
static struct bytes take_hex(const char *text, uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (n < cap && hex_value(text[2 * n]) >= 0 && hex_value(text[2 * n + 1]) >= 0) {
		out[n] = (uint8_t)(hex_value(text[2 * n]) << 4 | hex_value(text[2 * n + 1]));
		n++;
	}
	return bytes_of(out, text[2 * n] == '"' && n >= 4 ? n : 0);
}

static void read_file(const char *path, char *text, size_t cap)
{
	FILE *f = fopen(path, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, cap, f);
	assert_true(len > 0 && len < cap);
	text[len] = '\0';
	fclose(f);
}

enum { SEEN = 4096 };

/* The same values stand in several files; each is worth one look. */
static bool is_new(struct bytes wire, uint64_t *seen)
{
	uint64_t hash = 0xcbf29ce484222325;
	size_t i = 0;

	for (; i < wire.len; i++)
		hash = (hash ^ wire.ptr[i]) * 0x100000001b3;
	for (i = 0; seen[i]; i++)
		if (seen[i] == hash)
			return false;
	assert_true(i < SEEN - 1);
	seen[i] = hash;
	return true;
}

static void vectors_truncated_and_corrupted(void **state)
{
	static uint64_t seen[SEEN];
	static char text[1 << 20];
	struct wall w = wall_build();
	struct tally t = { 0 };
	char pattern[4096];
	glob_t files;

	(void)state;
	snprintf(pattern, sizeof pattern, "%s/*.json", vectors_dir);
	if (glob(pattern, 0, NULL, &files) != 0)
		fail_msg("no vectors in %s", vectors_dir);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		read_file(files.gl_pathv[i], text, sizeof text);
		for (char *quote = strchr(text, '"'); quote; quote = strchr(quote + 1, '"')) {
			uint8_t buf[2048];
			struct bytes wire = take_hex(quote + 1, buf, sizeof buf);

			if (wire.len && is_new(wire, seen))
				truncate_and_corrupt(&w, wire, &t);
		}
	}
	globfree(&files);
	wall_drop(&w);
	print_message("%u datagrams, %u variants, %u accepted\n", t.datagrams, t.probes, t.accepted);
	/* Were the vectors gone or unreadable, nothing above would have been tried. */
	assert_true(t.datagrams > 100 && t.accepted > 10000 && t.probes - t.accepted > 10000);
}

static size_t start(uint8_t *wire, uint8_t tkl)
{
	memcpy(wire, (uint8_t[]){ (uint8_t)(0x40 | tkl), MSG_GET, 0x12, 0x34 }, 4);
	return 4;
}

/* Token lengths 0 to 15 with every length the extension can say, cut at each byte of the head and
 * near each end. */
static void tokens_of_every_length(void **state)
{
	static const unsigned said[] = { 0, 1, 2, 12, 13, 255, 256, 268, 269, 1000, 65535 };
	static uint8_t wire[WALL_ROOM];
	struct wall w = wall_build();

	(void)state;
	for (uint8_t tkl = 0; tkl < 16; tkl++)
		for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
			size_t len = start(wire, tkl), token = tkl;

			if (tkl == 13) {
				wire[len++] = (uint8_t)said[i];
				token = 13 + (said[i] & 0xff);
			} else if (tkl == 14) {
				wire[len++] = (uint8_t)(said[i] >> 8);
				wire[len++] = (uint8_t)said[i];
				token = 269 + said[i];
			}
			memset(wire + len, 0xff, token + 2);
			len += token;
			for (size_t cut = 0; cut < len; cut += cut < 600 || cut + 4 > len ? 1 : 97)
				assert_int_equal(probe_at(&w, bytes_of(wire, cut)),
						 tkl == 15 && cut >= 4 ? MSG_TOKEN : MSG_SHORT);
			assert_int_equal(probe_at(&w, bytes_of(wire, len)), tkl == 15 ? MSG_TOKEN : MSG_OK);
			assert_int_equal(probe_at(&w, bytes_of(wire, len + 1)), tkl == 15 ? MSG_TOKEN : MSG_MARKER);
			assert_int_equal(probe_at(&w, bytes_of(wire, len + 2)), tkl == 15 ? MSG_TOKEN : MSG_OK);
		}
	wall_drop(&w);
}

/* One datagram full of options of each smallest kind, and of each kind that lies about its length.
 */
static void option_bombs(void **state)
{
	static const struct {
		const char *unit;
		size_t len;
		enum msg_error error;
	} bombs[] = {
		{ "\x00", 1, MSG_OK },     /* option 0 over and over */
		{ "\xb0", 1, MSG_OK },     /* 11 further each time: 1276 options end at 14036 */
		{ "\x01\xff", 2, MSG_OK }, /* values that look like markers */
		{ "\x0d\x00xxxxxxxxxxxxx", 15, MSG_OK },
		{ "\xd0\x00", 2, MSG_OK },
		{ "\xd0\xff", 2, MSG_OPTION },     /* 268 further each time: past 65535 after 244 */
		{ "\xe0\x01\x00", 3, MSG_OPTION }, /* 525 further */
		{ "\xe0\xfe\xf3", 3, MSG_OPTION }, /* what the codec reads as no step at all */
		{ "\x0e\xff\xff", 3, MSG_OPTION },
		{ "\x0f", 1, MSG_OPTION },
		{ "\xf0", 1, MSG_OPTION },
	};
	enum { LARGEST = 1280 };
	struct wall w = wall_build();

	(void)state;
	for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
		uint8_t wire[LARGEST];
		size_t len = start(wire, 0), n = 0;
		struct msg m;

		for (; len + bombs[i].len <= LARGEST; len += bombs[i].len, n++)
			memcpy(wire + len, bombs[i].unit, bombs[i].len);
		assert_int_equal(probe_at(&w, bytes_of(wire, len)), bombs[i].error);
		for (size_t cut = 0; cut < len; cut++)
			probe_at(&w, bytes_of(wire, cut));
		if (bombs[i].error == MSG_OK) {
			assert_int_equal(msg_parse(&m, bytes_of(wire, len)), MSG_OK);
			assert_int_equal(m.n_options, n);
		}
	}
	wall_drop(&w);
}

static size_t put_delta(uint8_t *out, uint32_t delta)
{
	if (delta < 13) {
		out[0] = (uint8_t)(delta << 4);
		return 1;
	}
	if (delta < 269) {
		memcpy(out, (uint8_t[]){ 0xd0, (uint8_t)(delta - 13) }, 2);
		return 2;
	}
	memcpy(out, (uint8_t[]){ 0xe0, (uint8_t)((delta - 269) >> 8), (uint8_t)(delta - 269) }, 3);
	return 3;
}

/* Every way to reach a sum near 65536 and 131072 in up to three steps: numbers above 65535 do not
 * exist. */
static void deltas_that_wrap(void **state)
{
	static const uint32_t steps[] = { 0,     1,     12,    13,    255,   256,   268,   269,
					  270,   524,   32767, 32768, 32769, 65266, 65267, 65279,
					  65280, 65534, 65535, 65536, 65537, 65548, 65792, 65804 };
	enum { STEPS = sizeof steps / sizeof steps[0] };
	struct wall w = wall_build();
	unsigned at[4] = { 0 };

	(void)state;
	for (int i = 0; i < STEPS * STEPS * STEPS; i++) {
		uint32_t a = steps[i % STEPS], b = steps[i / STEPS % STEPS], c = steps[i / STEPS / STEPS];
		uint32_t sum = a + b + c;
		uint8_t wire[16];
		size_t len = start(wire, 0);

		len += put_delta(wire + len, a);
		len += put_delta(wire + len, b);
		len += put_delta(wire + len, c);
		assert_int_equal(probe_at(&w, bytes_of(wire, len)), sum > 65535 ? MSG_OPTION : MSG_OK);
		at[0] += sum == 65535;
		at[1] += sum == 65536;
		at[2] += sum == 131072;
		at[3] += sum > 131072;
	}
	for (int i = 0; i < 4; i++)
		assert_true(at[i] > 0);
	wall_drop(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_truncated_and_corrupted),
		cmocka_unit_test(tokens_of_every_length),
		cmocka_unit_test(option_bombs),
		cmocka_unit_test(deltas_that_wrap),
	};

	if (getenv("VECTORS"))
		vectors_dir = getenv("VECTORS");
	if (argc > 1)
		vectors_dir = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

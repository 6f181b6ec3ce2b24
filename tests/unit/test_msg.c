#include "coap/msg.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static uint64_t seed = 5;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static struct bytes unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[2 * n]; n++) {
		char two[3] = { hex[2 * n], hex[2 * n + 1], '\0' };

		out[n] = (uint8_t)strtoul(two, NULL, 16);
	}
	return bytes_of(out, n);
}

/* rfc7252_messages.json, appendix_A: RFC 7252 figures 16 to 23, verbatim. */
static const struct {
	unsigned figure;
	const char *wire;
	size_t len; /* 0: not listed */
	uint8_t type, code;
	uint16_t mid;
	const char *token, *path, *payload;
} figures[] = {
	{ 16, "40017d34bb74656d7065726174757265", 16, MSG_CON, MSG_GET, 0x7d34, "", "temperature", "" },
	{ 16, "60457d34ff32322e332043", 11, MSG_ACK, MSG_CONTENT, 0x7d34, "", "", "22.3 C" },
	{ 17, "41017d3520bb74656d7065726174757265", 17, MSG_CON, MSG_GET, 0x7d35, "\x20", "temperature", "" },
	{ 17, "61457d3520ff32322e332043", 12, MSG_ACK, MSG_CONTENT, 0x7d35, "\x20", "", "22.3 C" },
	{ 18, "41017d3631bb74656d7065726174757265", 0, MSG_CON, MSG_GET, 0x7d36, "1", "temperature", "" },
	{ 18, "61457d3631ff32322e332043", 0, MSG_ACK, MSG_CONTENT, 0x7d36, "1", "", "22.3 C" },
	{ 19, "41017d3742bb74656d7065726174757265", 0, MSG_CON, MSG_GET, 0x7d37, "B", "temperature", "" },
	{ 19, "61457d3742ff32322e332043", 0, MSG_ACK, MSG_CONTENT, 0x7d37, "B", "", "22.3 C" },
	{ 20, "41017d3853bb74656d7065726174757265", 0, MSG_CON, MSG_GET, 0x7d38, "S", "temperature", "" },
	{ 20, "60007d38", 0, MSG_ACK, MSG_EMPTY, 0x7d38, "", "", "" },
	{ 20, "4145ad7b53ff32322e332043", 0, MSG_CON, MSG_CONTENT, 0xad7b, "S", "", "22.3 C" },
	{ 20, "6000ad7b", 0, MSG_ACK, MSG_EMPTY, 0xad7b, "", "", "" },
	{ 21, "41017d3964bb74656d7065726174757265", 0, MSG_CON, MSG_GET, 0x7d39, "d", "temperature", "" },
	{ 21, "60007d39", 0, MSG_ACK, MSG_EMPTY, 0x7d39, "", "", "" },
	{ 21, "4145ad7c64ff32322e332043", 0, MSG_CON, MSG_CONTENT, 0xad7c, "d", "", "22.3 C" },
	{ 21, "7000ad7c", 0, MSG_RESET, MSG_EMPTY, 0xad7c, "", "", "" },
	{ 22, "51017d4075bb74656d7065726174757265", 0, MSG_NON, MSG_GET, 0x7d40, "u", "temperature", "" },
	{ 22, "5145ad7d75ff32322e332043", 0, MSG_NON, MSG_CONTENT, 0xad7d, "u", "", "22.3 C" },
	{ 23, "51017d4186bb74656d7065726174757265", 0, MSG_NON, MSG_GET, 0x7d41, "\x86", "temperature", "" },
	{ 23, "514560b186ff32322e332043", 0, MSG_NON, MSG_CONTENT, 0x60b1, "\x86", "", "22.3 C" },
	{ 23, "514501a086ff32302e392043", 0, MSG_NON, MSG_CONTENT, 0x01a0, "\x86", "", "20.9 C" },
	{ 23, "5184952a86", 0, MSG_NON, MSG_NOT_FOUND, 0x952a, "\x86", "", "" },
};

static void reads_the_figures(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		uint8_t buf[64];
		struct bytes wire = unhex(figures[i].wire, buf);
		struct msg_option opt;
		struct msg m;

		if (figures[i].len)
			assert_int_equal(wire.len, figures[i].len);
		assert_int_equal(msg_parse(&m, wire), MSG_OK);
		assert_int_equal(m.type, figures[i].type);
		assert_int_equal(m.code, figures[i].code);
		assert_int_equal(m.mid, figures[i].mid);
		assert_true(bytes_are(m.token, figures[i].token));
		assert_true(bytes_are(m.payload, figures[i].payload));
		assert_int_equal(m.n_options, figures[i].path[0] != '\0');
		assert_int_equal(msg_find(&m, 11, &opt), m.n_options);
		assert_true(m.n_options == 0 || bytes_are(opt.value, figures[i].path));
		assert_int_equal(msg_is_request(&m), figures[i].code == MSG_GET);
		assert_int_equal(msg_is_response(&m), figures[i].code > 31);
	}
}

static const struct {
	const char *wire;
	enum msg_error error;
} finds[] = {
	/* rfc7252_messages.json, malformed_own, verbatim; whether a code or type may be is the
	   caller's to say. */
	{ "40000001ff", MSG_STUFFED },
	{ "4001", MSG_SHORT },
	{ "80010001", MSG_VERSION },
	{ "49010001a0a1a2a3a4a5a6a7a8", MSG_OK },
	{ "4f010001", MSG_TOKEN },
	{ "40010001f0", MSG_OPTION },
	{ "400100010f", MSG_OPTION },
	{ "40010001ff", MSG_MARKER },
	{ "40200001", MSG_OK },
	{ "70010001", MSG_OK },
	{ "60010001", MSG_OK },

	{ "", MSG_SHORT },
	{ "400100", MSG_SHORT },
	{ "00010001", MSG_VERSION },
	{ "c0010001", MSG_VERSION },
	{ "4f010001ffffffffffffffffffffffffffffffff", MSG_TOKEN },
	{ "41010001", MSG_SHORT },
	{ "4801000101020304050607", MSG_SHORT },
	/* Empty is exactly four bytes (RFC 7252 §4.1). */
	{ "40000001", MSG_OK },
	{ "70000001", MSG_OK },
	{ "41000001", MSG_STUFFED },
	{ "4100000101", MSG_STUFFED },
	{ "4000000100", MSG_STUFFED },
	{ "4d000001", MSG_STUFFED },
	{ "4f000001", MSG_STUFFED },
	{ "40000001ff61", MSG_STUFFED },
	/* Options cut off or reserved. */
	{ "400100010161", MSG_OK },
	{ "4001000101", MSG_OPTION },
	{ "4001000102ff", MSG_OPTION },
	{ "40010001d0", MSG_OPTION },
	{ "40010001d000", MSG_OK },
	{ "40010001e000", MSG_OPTION },
	{ "40010001e00000", MSG_OK },
	{ "400100010d", MSG_OPTION },
	{ "400100010d00", MSG_OPTION },
	{ "400100010d00414141414141414141414141", MSG_OPTION },
	{ "400100010d0041414141414141414141414141", MSG_OK },
	{ "400100010e0000", MSG_OPTION },
	{ "400100010effff", MSG_OPTION },
	{ "40010001ef0000", MSG_OPTION },
	{ "40010001fe0000", MSG_OPTION },
	{ "40010001ff00", MSG_OK },
	{ "40010001ffff", MSG_OK },
	{ "40010001b161ff", MSG_MARKER },
	{ "40010001b161ff00", MSG_OK },
	/* Numbers up to 65535 = 269 + 0xfef2; the codec adds in 16 bits and calls 65536 and more
	   small. */
	{ "40010001e0fef2", MSG_OK },
	{ "40010001e0fef3", MSG_OPTION },
	{ "40010001e0ffff", MSG_OPTION },
	{ "40010001e0fef200", MSG_OK },
	{ "40010001e0fef210", MSG_OPTION },
	{ "4001000110e0fef2", MSG_OPTION },
	{ "4001000110e0fef1", MSG_OK },
	{ "40010001e07ef2e07ef3", MSG_OK },     /* 32767 + 32768 */
	{ "40010001e07ef3e07ef3", MSG_OPTION }, /* 32768 + 32768 */
	{ "40010001e0fef2e0fef2", MSG_OPTION },
	{ "40010001e0fef3e0fef3", MSG_OPTION }, /* 131072 */
	{ "40010001e07ef3e07ef3e07ef3e07ef3", MSG_OPTION },
	{ "40010001e0fef2d0f2", MSG_OPTION },
	{ "40010001e0fde6d0ff", MSG_OK }, /* 65267 + 268 */
};

/* Each datagram ends where the allocation does, so that a sanitizer sees the first byte read too
 * far. */
static enum msg_error parse_exact(struct msg *m, struct bytes datagram, uint8_t **copy)
{
	*copy = malloc(datagram.len ? datagram.len : 1);
	assert_non_null(*copy);
	memcpy(*copy, datagram.ptr, datagram.len);
	return msg_parse(m, bytes_of(*copy, datagram.len));
}

static void finds_what_is_wrong(void **state)
{
	bool seen[MSG_ERRORS] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
		uint8_t buf[64], *copy;
		struct msg m;
		enum msg_error e = parse_exact(&m, unhex(finds[i].wire, buf), &copy);

		if (e != finds[i].error)
			fail_msg("%s: %s", finds[i].wire, msg_error_text(e));
		seen[e] = true;
		/* A Reset can be made of what has a header. */
		if (e != MSG_OK && e != MSG_SHORT && e != MSG_VERSION)
			assert_int_equal(m.mid, 1);
		free(copy);
	}
	for (unsigned e = 0; e < MSG_ERRORS; e++) {
		assert_true(seen[e]);
		assert_true(strlen(msg_error_text(e)) > 0);
	}
}

/* rfc7252_messages.json, rfc8974_tkl, verbatim, each with and without the last byte of its token.
 */
static const struct {
	size_t len;
	const char *tkl, *ext;
} tokens[] = {
	{ 0, "40", "" },    { 8, "48", "" },     { 9, "49", "" },       { 12, "4c", "" },        { 13, "4d", "00" },
	{ 32, "4d", "13" }, { 268, "4d", "ff" }, { 269, "4e", "0000" }, { 65804, "4e", "ffff" },
};

static void reads_long_tokens(void **state)
{
	static uint8_t wire[4 + 2 + 65804 + 3], token[65804];

	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
		struct bytes ext = unhex(tokens[i].ext, wire + 4);
		size_t end = 4 + ext.len + tokens[i].len;
		struct msg m;

		unhex(tokens[i].tkl, wire);
		wire[1] = MSG_GET;
		memset(token, 0xa5, sizeof token);
		memcpy(wire + 4 + ext.len, token, tokens[i].len);
		memcpy(wire + end, "\xb1\x61", 2);
		assert_int_equal(msg_parse(&m, bytes_of(wire, end + 2)), MSG_OK);
		assert_true(bytes_equal(m.token, bytes_of(token, tokens[i].len)));
		assert_int_equal(m.n_options, 1);
		assert_int_equal(m.options.len, 2);
		assert_int_equal(msg_parse(&m, bytes_of(wire, end)), MSG_OK);
		for (size_t cut = 4; cut < end && cut < 600; cut++)
			assert_int_equal(msg_parse(&m, bytes_of(wire, cut)), MSG_SHORT);
		if (end > 4)
			assert_int_equal(msg_parse(&m, bytes_of(wire, end - 1)), MSG_SHORT);
	}
}

/* rfc7252_messages.json, proxy_forms_own, verbatim: options by number, repeated ones once each. */
static const struct {
	const char *wire;
	struct {
		uint16_t number;
		const char *value;
	} options[6];
} forms[] = {
	{ "4101000101dd160b636f61703a2f2f6578616d706c652e6e65742f743f783d31", { { 35, "coap://example.net/t?x=1" } } },
	{ "41010001013b6578616d706c652e6e6574817443783d31d40b636f6170",
	  { { 3, "example.net" }, { 11, "t" }, { 15, "x=1" }, { 39, "coap" } } },
	{ "48010002a1b2c3d4e5f607083b6578616d706c652e6e6574817443783d31",
	  { { 3, "example.net" }, { 11, "t" }, { 15, "x=1" } } },
	{ "4101000302b174d40f636f6170e1fcb67a", { { 11, "t" }, { 39, "coap" }, { 65002, "z" } } },
	{ "4101000403b174d40f636f6170e1fcb57a", { { 11, "t" }, { 39, "coap" }, { 65001, "z" } } },
	{ "4101000504b174d40f636f6170e1fcb87a", { { 11, "t" }, { 39, "coap" }, { 65004, "z" } } },
	{ "4101000605b174d40f636f6170e1fcc87a", { { 11, "t" }, { 39, "coap" }, { 65020, "z" } } },
	{ "40010001b161b0b162000161", { { 11, "a" }, { 22, "" }, { 33, "b" }, { 33, "" }, { 33, "a" } } },
};

static void walks_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct msg_option opt, first;
		struct msg_iter it;
		uint8_t buf[64];
		struct msg m;
		unsigned n = 0;

		assert_int_equal(msg_parse(&m, unhex(forms[i].wire, buf)), MSG_OK);
		it = msg_options(&m);
		for (; msg_next(&it, &opt); n++) {
			assert_int_equal(opt.number, forms[i].options[n].number);
			assert_true(bytes_are(opt.value, forms[i].options[n].value));
			assert_true(msg_find(&m, opt.number, &first));
			assert_true(first.value.ptr <= opt.value.ptr);
			if (n == 0 || forms[i].options[n - 1].number != opt.number)
				assert_ptr_equal(first.value.ptr, opt.value.ptr);
		}
		assert_false(msg_next(&it, &opt));
		assert_int_equal(m.n_options, n);
		assert_true(n == 6 || forms[i].options[n].number == 0);
		assert_false(msg_find(&m, 1, &opt));
		assert_false(msg_find(&m, 12, &opt));
		assert_false(msg_find(&m, 65535, &opt));
	}
}

static void counts_to_the_end(void **state)
{
	static uint8_t wire[4 + 65537];
	struct msg m;

	(void)state;
	wire[0] = 0x40;
	wire[1] = MSG_GET;
	assert_int_equal(msg_parse(&m, bytes_of(wire, 4 + 65535)), MSG_OK);
	assert_int_equal(m.n_options, 65535);
	assert_int_equal(msg_parse(&m, bytes_of(wire, 4 + 65536)), MSG_OPTION);
}

/* The same grammar once more, as plainly as can be: one byte after another, everything in 64 bits.
 */
struct naive {
	const uint8_t *p;
	size_t left;
	bool ok;
};

static uint64_t naive_byte(struct naive *n)
{
	if (n->left == 0) {
		n->ok = false;
		return 0;
	}
	n->left--;
	return *n->p++;
}

static uint64_t naive_extended(struct naive *n, uint64_t nibble)
{
	if (nibble == 13)
		return 13 + naive_byte(n);
	if (nibble == 14) {
		uint64_t high = naive_byte(n);

		return 269 + high * 256 + naive_byte(n);
	}
	n->ok = n->ok && nibble != 15;
	return nibble;
}

static enum msg_error naive_parse(struct bytes datagram, unsigned *options, uint64_t *sum, size_t *payload)
{
	struct naive n = { datagram.ptr, datagram.len, true };
	uint64_t first, code, number = 0, skip;

	*options = 0;
	*sum = *payload = 0;
	if (n.left < 4)
		return MSG_SHORT;
	first = naive_byte(&n);
	code = naive_byte(&n);
	naive_byte(&n);
	naive_byte(&n);
	if (first / 64 != 1)
		return MSG_VERSION;
	if (code == 0)
		return n.left || first % 16 ? MSG_STUFFED : MSG_OK;
	if (first % 16 == 15)
		return MSG_TOKEN;
	for (skip = naive_extended(&n, first % 16); skip > 0 && n.ok; skip--)
		naive_byte(&n);
	if (!n.ok)
		return MSG_SHORT;
	while (n.left > 0) {
		uint64_t head = naive_byte(&n);

		if (head == 0xff) {
			*payload = n.left;
			return n.left ? MSG_OK : MSG_MARKER;
		}
		number += naive_extended(&n, head / 16);
		for (skip = naive_extended(&n, head % 16); skip > 0 && n.ok; skip--)
			*sum = *sum * 31 + naive_byte(&n);
		*sum = *sum * 31 + number;
		if (!n.ok || number > 65535)
			return MSG_OPTION;
		++*options;
	}
	return MSG_OK;
}

/* Random, but of the shapes that matter: small options, extended ones, big deltas. */
static size_t random_datagram(uint8_t *buf)
{
	static const uint8_t heads[] = { 0x00, 0x01, 0xd0, 0xe0, 0x0d, 0x0e, 0xdd, 0xee, 0xf0, 0x0f, 0xff };
	static const uint8_t tails[] = { 0x00, 0x01, 0xff, 0xfe, 0xf2, 0xf3 };
	size_t len = draw(48);

	for (size_t i = 0; i < len; i++) {
		switch (draw(4)) {
		case 0: buf[i] = heads[draw(sizeof heads)]; break;
		case 1: buf[i] = tails[draw(sizeof tails)]; break;
		case 2: buf[i] = (uint8_t)(draw(14) << 4 | draw(4)); break;
		default: buf[i] = (uint8_t)draw(256); break;
		}
	}
	if (len > 1 && draw(20)) {
		buf[0] = (uint8_t)(0x40 | draw(4) << 4 | (draw(3) ? draw(4) : draw(16)));
		buf[1] = draw(20) ? (uint8_t)(1 + draw(255)) : 0;
	}
	return len;
}

static void agrees_with_a_naive_reader(void **state)
{
	unsigned counts[MSG_ERRORS] = { 0 };

	(void)state;
	for (int round = 0; round < 300000; round++) {
		uint8_t buf[48];
		struct bytes datagram = bytes_of(buf, random_datagram(buf));
		uint64_t sum, naive_sum;
		unsigned options;
		size_t payload;
		struct msg m;
		enum msg_error e = naive_parse(datagram, &options, &naive_sum, &payload);

		assert_int_equal(msg_parse(&m, datagram), e);
		counts[e]++;
		if (e != MSG_OK)
			continue;
		assert_int_equal(m.n_options, options);
		assert_int_equal(m.payload.len, payload);
		sum = 0;
		struct msg_option opt;
		for (struct msg_iter it = msg_options(&m); msg_next(&it, &opt); sum = sum * 31 + opt.number)
			for (size_t i = 0; i < opt.value.len; i++)
				sum = sum * 31 + opt.value.ptr[i];
		assert_true(sum == naive_sum);
	}
	for (unsigned e = 0; e < MSG_ERRORS; e++)
		assert_true(counts[e] > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_figures), cmocka_unit_test(finds_what_is_wrong),
		cmocka_unit_test(reads_long_tokens), cmocka_unit_test(walks_options),
		cmocka_unit_test(counts_to_the_end), cmocka_unit_test(agrees_with_a_naive_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

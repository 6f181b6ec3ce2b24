#include "base/addr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* What is read, and how it is written again; port 7 stands for "the default". */
static const struct {
	const char *text, *full, *host;
} good[] = {
	{ "192.0.2.1", "192.0.2.1:7", "192.0.2.1" },
	{ "192.0.2.1:5683", "192.0.2.1:5683", "192.0.2.1" },
	{ "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0" },
	{ "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255" },
	{ "::", "[::]:7", "::" },
	{ "::1", "[::1]:7", "::1" },
	{ "[::1]", "[::1]:7", "::1" },
	{ "[::1]:5683", "[::1]:5683", "::1" },
	{ "2001:DB8:0:0:0:0:0:17", "[2001:db8::17]:7", "2001:db8::17" },
	{ "2001:db8::2:1", "[2001:db8::2:1]:7", "2001:db8::2:1" },
	{ "::ffff:192.0.2.1", "192.0.2.1:7", "192.0.2.1" },
	{ "[::ffff:c000:201]:1", "192.0.2.1:1", "192.0.2.1" },
	{ "192.0.2.1/tcp", "192.0.2.1:7/tcp", "192.0.2.1" },
	{ "192.0.2.1:5684/dtls", "192.0.2.1:5684/dtls", "192.0.2.1" },
	{ "[::1]:5684/tls", "[::1]:5684/tls", "::1" },
	{ "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535/dtls",
	  "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535/dtls",
	  "febf:1111:2222:3333:4444:5555:6666:7777%4294967295" },
	{ "fe80::1%3", "[fe80::1%3]:7", "fe80::1%3" },
	{ "[fe80::1%3]:5683", "[fe80::1%3]:5683", "fe80::1%3" },
	{ "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535",
	  "[febf:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535",
	  "febf:1111:2222:3333:4444:5555:6666:7777%4294967295" },
};

static const char *const bad[] = {
	"",
	":",
	"::1:",
	"x",
	"localhost",
	"192.0.2",
	"192.0.2.1.1",
	"192.0.2.256",
	"192.0.2.1:",
	"192.0.2.1:65536",
	"192.0.2.1:-1",
	"192.0.2.1: 1",
	"192.0.2.1:+1",
	"192.0.2.1:1x",
	"192.0.2.1:000000000080",
	"192.0.2.1%1",
	" 192.0.2.1",
	"192.0.2.1 ",
	"[192.0.2.1]",
	"[]",
	"[::1",
	"::1]",
	"[::1]x",
	"[::1]:",
	"[::1]:65536",
	"[::1]:1 ",
	"[[::1]]",
	"1::2::3",
	"192.0.2.1/",
	"192.0.2.1/udp",
	"192.0.2.1/tcp/tcp",
	"192.0.2.1/TCP",
	"/tcp",
	"12345::",
	"::1%1",
	"fe80::1%",
	"fe80::1%0",
	"fe80::1%eth0",
	"fe80::1%4294967296",
	"fe80::1%-1",
	"fe80::1%1%2",
	"[fe80::1]%1",
	"::ffff:169.254.0.1%1",
	"1111:2222:3333:4444:5555:6666:7777:8888:9999",
	"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
};

static void reads_and_writes(void **state)
{
	struct addr a, b;
	char text[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(addr_parse(&a, good[i].text, 7));
		assert_string_equal(addr_format(&a, text), good[i].full);
		assert_true(addr_parse(&b, text, 9));
		assert_true(addr_equal(&a, &b));
		assert_string_equal(addr_format_host(&a, text), good[i].host);
	}
}

static void refuses(void **state)
{
	static const uint8_t zero[16];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memset(&a, 0x5a, sizeof a);
		if (addr_parse(&a, bad[i], 7))
			fail_msg("accepted \"%s\"", bad[i]);
		assert_memory_equal(a.ip, zero, 16);
		assert_true(addr_is_unspecified(&a));
		assert_int_equal(a.port, 0);
		assert_int_equal(a.scope, 0);
	}
}

enum { V4 = 1, NONE = 2, LOOP = 4, LINK = 8, MULTI = 16 };

static const struct {
	const char *text;
	unsigned is;
} kinds[] = {
	{ "::", NONE },
	{ "0.0.0.0", V4 | NONE },
	{ "::1", LOOP },
	{ "::2", 0 },
	{ "1::1", 0 },
	{ "127.0.0.1", V4 | LOOP },
	{ "127.255.255.255", V4 | LOOP },
	{ "126.255.255.255", V4 },
	{ "128.0.0.0", V4 },
	{ "fe80::", LINK },
	{ "febf::1", LINK },
	{ "fec0::1", 0 },
	{ "fe7f::1", 0 },
	{ "169.254.0.1", V4 | LINK },
	{ "169.253.0.1", V4 },
	{ "168.254.0.1", V4 },
	{ "ff02::fd", MULTI },
	{ "ff00::", MULTI },
	{ "feff::", 0 },
	{ "224.0.1.187", V4 | MULTI },
	{ "239.255.255.255", V4 | MULTI },
	{ "240.0.0.0", V4 },
	{ "223.255.255.255", V4 },
	{ "255.255.255.255", V4 | MULTI },
	{ "255.255.255.254", V4 },
	{ "::fffe:127.0.0.1", 0 },
	{ "1::ffff:127.0.0.1", 0 },
	{ "::127.0.0.1", 0 },
};

static void knows_its_kind(void **state)
{
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		unsigned is;

		assert_true(addr_parse(&a, kinds[i].text, 1));
		is = (addr_is_v4(&a) ? V4 : 0u) | (addr_is_unspecified(&a) ? NONE : 0u) |
		     (addr_is_loopback(&a) ? LOOP : 0u) | (addr_is_link_local(&a) ? LINK : 0u) |
		     (addr_is_multicast(&a) ? MULTI : 0u);
		if (is != kinds[i].is)
			fail_msg("%s: %u instead of %u", kinds[i].text, is, kinds[i].is);
	}
}

static void masks(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits <= 140; bits++) {
		uint8_t ip[16], naive[16];

		for (unsigned i = 0; i < 16; i++)
			ip[i] = naive[i] = (uint8_t)draw(256);
		for (unsigned bit = bits; bit < 128; bit++)
			naive[bit / 8] = (uint8_t)(naive[bit / 8] & ~(0x80u >> bit % 8));
		addr_mask(ip, bits);
		assert_memory_equal(ip, naive, 16);
	}
}

static void compares(void **state)
{
	struct addr a, b;

	(void)state;
	assert_true(addr_parse(&a, "[fe80::1%1]:5683", 0));
	b = a;
	assert_true(addr_equal(&a, &b));
	b.port++;
	assert_true(addr_same_host(&a, &b));
	assert_false(addr_equal(&a, &b));
	b = a;
	b.carrier = ADDR_TCP;
	assert_true(addr_same_host(&a, &b));
	assert_false(addr_equal(&a, &b));
	assert_true(addr_is_connected(&b) && !addr_is_connected(&a));
	b = a;
	b.scope++;
	assert_false(addr_same_host(&a, &b));
	b = a;
	b.ip[15]++;
	assert_false(addr_same_host(&a, &b));
}

/* Whatever an address is, its text reads back as the same address. */
static void round_trips(void **state)
{
	struct addr a, b;
	char text[ADDR_TEXT];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint32_t zeros = draw(3) ? draw(0x10000) : 0;

		memset(&a, 0, sizeof a);
		for (unsigned i = 0; i < 16; i++)
			a.ip[i] = zeros & 1u << i ? 0 : (uint8_t)draw(256);
		if (draw(4) == 0)
			memcpy(a.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		if (draw(4) == 0)
			memcpy(a.ip, "\xfe\x80", 2);
		if (addr_is_link_local(&a) && !addr_is_v4(&a))
			a.scope = draw(UINT32_MAX);
		a.port = (uint16_t)draw(0x10000);
		a.carrier = (uint8_t)draw(4);
		assert_true(addr_parse(&b, addr_format(&a, text), 1));
		assert_true(addr_equal(&a, &b));
		b.port = a.port;
		assert_true(addr_parse(&b, addr_format_host(&a, text), a.port));
		b.carrier = a.carrier;
		assert_true(addr_equal(&a, &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes), cmocka_unit_test(refuses),
		cmocka_unit_test(knows_its_kind),   cmocka_unit_test(masks),
		cmocka_unit_test(compares),         cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

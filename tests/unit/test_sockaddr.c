#include "sockaddr.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(&a, text, 0));
	return a;
}

static const struct {
	const char *text;
	int family;
	socklen_t len;
} rows[] = {
	{ "192.0.2.1:5683", AF_INET, sizeof(struct sockaddr_in) },
	{ "192.0.2.1:5683", AF_INET6, sizeof(struct sockaddr_in6) }, /* a dual-stack socket */
	{ "[2001:db8::1]:65535", AF_INET6, sizeof(struct sockaddr_in6) },
	{ "[fe80::1%3]:1", AF_INET6, sizeof(struct sockaddr_in6) },
	{ "[::]:0", AF_INET6, sizeof(struct sockaddr_in6) },
	{ "0.0.0.0:5683", AF_INET, sizeof(struct sockaddr_in) },
};

static void test_there_and_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct addr a = address(rows[i].text), b;
		struct sockaddr_storage name;

		assert_int_equal(sockaddr_from(&name, &a, rows[i].family), rows[i].len);
		assert_int_equal(name.ss_family, rows[i].family);
		sockaddr_to(&b, &name);
		assert_true(addr_equal(&a, &b));
	}
}

static void test_scope_only_of_link_local(void **state)
{
	struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_scope_id = 7 };
	struct sockaddr_storage storage = { 0 };
	struct addr a;

	(void)state;
	inet_pton(AF_INET6, "2001:db8::1", &name.sin6_addr);
	memcpy(&storage, &name, sizeof name);
	sockaddr_to(&a, &storage);
	assert_int_equal(a.scope, 0);
	inet_pton(AF_INET6, "fe80::1", &name.sin6_addr);
	memcpy(&storage, &name, sizeof name);
	sockaddr_to(&a, &storage);
	assert_int_equal(a.scope, 7);
}

/* What is written for sending is laid out as what the kernel hands over on receiving. */
static void test_local_address(void **state)
{
	_Alignas(struct cmsghdr) uint8_t control[SOCKADDR_CONTROL];

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct addr local = address(rows[i].text), read = { .port = local.port };
		struct msghdr m = { 0 };

		sockaddr_write_local(&m, control, &local, rows[i].family);
		if (addr_is_unspecified(&local)) {
			assert_int_equal(m.msg_controllen, 0);
			assert_false(sockaddr_read_local(&m, &read));
			continue;
		}
		assert_int_equal(m.msg_controllen, CMSG_SPACE(rows[i].family == AF_INET ? 12 : 20));
		if (rows[i].family == AF_INET) /* the kernel tells the destination in ipi_addr */
			memcpy(CMSG_DATA((struct cmsghdr *)control) + 8, CMSG_DATA((struct cmsghdr *)control) + 4, 4);
		assert_true(sockaddr_read_local(&m, &read));
		assert_true(addr_equal(&local, &read));
	}
}

static void test_no_multicast_source(void **state)
{
	static const char *const groups[] = { "[ff02::fd]:5683", "224.0.1.187:5683" };
	_Alignas(struct cmsghdr) uint8_t control[SOCKADDR_CONTROL];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct addr group = address(groups[i]);
		struct msghdr m = { .msg_controllen = 1 };

		sockaddr_write_local(&m, control, &group, i ? AF_INET : AF_INET6);
		assert_int_equal(m.msg_controllen, 0);
	}
}

/* As the kernel tells it: the destination, and our own address that it came to. */
static void test_for_many(void **state)
{
	static const struct {
		const char *destination, *ours;
		bool for_many;
	} four[] = { { "192.0.2.1", "192.0.2.1", false },      { "127.0.0.9", "127.0.0.9", false },
		     { "192.0.2.255", "192.0.2.1", true },     { "127.255.255.255", "127.0.0.1", true },
		     { "255.255.255.255", "192.0.2.1", true }, { "224.0.1.187", "192.0.2.1", true } };
	static const struct {
		const char *destination;
		bool for_many;
	} six[] = { { "[2001:db8::1]:1", false },
		    { "[ff02::fd]:1", true },
		    { "[::ffff:224.0.1.187]:1", true },
		    { "[::1]:1", false } };
	_Alignas(struct cmsghdr) uint8_t control[SOCKADDR_CONTROL] = { 0 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	struct msghdr m = { .msg_control = control };

	(void)state;
	for (unsigned i = 0; i < sizeof four / sizeof *four; i++) {
		struct addr to = address(four[i].destination), ours = address(four[i].ours);
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_addr, to.ip + 12, 4);
		memcpy(&info.ipi_spec_dst, ours.ip + 12, 4);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof info),
				       .cmsg_level = IPPROTO_IP,
				       .cmsg_type = IP_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof info);
		m.msg_controllen = CMSG_SPACE(sizeof info);
		assert_int_equal(sockaddr_is_for_many(&m), four[i].for_many);
	}
	for (unsigned i = 0; i < sizeof six / sizeof *six; i++) {
		struct addr to = address(six[i].destination);
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, to.ip, 16);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof info),
				       .cmsg_level = IPPROTO_IPV6,
				       .cmsg_type = IPV6_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof info);
		m.msg_controllen = CMSG_SPACE(sizeof info);
		assert_int_equal(sockaddr_is_for_many(&m), six[i].for_many);
	}
	m.msg_controllen = 0;
	assert_false(sockaddr_is_for_many(&m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_scope_only_of_link_local),
		cmocka_unit_test(test_local_address),  cmocka_unit_test(test_no_multicast_source),
		cmocka_unit_test(test_for_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

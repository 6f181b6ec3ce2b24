#include "sockaddr.h"
#include <assert.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

socklen_t sockaddr_from(struct sockaddr_storage *out, const struct addr *a, int family)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	if (family == AF_INET) {
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&v4->sin_addr, a->ip + 12, 4);
		return sizeof *v4;
	}
	*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope };
	memcpy(&v6->sin6_addr, a->ip, 16);
	return sizeof *v6;
}

static void set_v4(struct addr *a, const struct in_addr *ip)
{
	memcpy(a->ip, v4_prefix, sizeof v4_prefix);
	memcpy(a->ip + 12, ip, 4);
	a->scope = 0;
}

/* A scope means something only with a link-local address, and then it is the interface. */
static void set_v6(struct addr *a, const struct in6_addr *ip, unsigned scope)
{
	memcpy(a->ip, ip, 16);
	a->scope = IN6_IS_ADDR_LINKLOCAL(ip) ? scope : 0;
}

void sockaddr_to(struct addr *a, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	memset(a, 0, sizeof *a);
	if (from->ss_family == AF_INET) {
		set_v4(a, &v4->sin_addr);
		a->port = ntohs(v4->sin_port);
	} else if (from->ss_family == AF_INET6) {
		set_v6(a, &v6->sin6_addr, v6->sin6_scope_id);
		a->port = ntohs(v6->sin6_port);
	}
}

/* On a dual-stack socket IPV6_PKTINFO comes also with an IPv4 datagram, in mapped form. */
static bool read_pktinfo(struct cmsghdr *c, struct addr *local)
{
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&v6, CMSG_DATA(c), sizeof v6);
		set_v6(local, &v6.ipi6_addr, v6.ipi6_ifindex);
		return true;
	}
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&v4, CMSG_DATA(c), sizeof v4);
		set_v4(local, &v4.ipi_addr);
		return true;
	}
	return false;
}

bool sockaddr_read_local(struct msghdr *m, struct addr *local)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	while (c && !read_pktinfo(c, local))
		c = CMSG_NXTHDR(m, c);
	return c != NULL;
}

/* The kernel puts a broadcast's own address into ipi_spec_dst, as it does with a group's: of a unicast datagram both are one. */
static bool is_broadcast(const struct cmsghdr *c)
{
	struct in_pktinfo v4;

	if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
		return false;
	memcpy(&v4, CMSG_DATA(c), sizeof v4);
	return v4.ipi_addr.s_addr != v4.ipi_spec_dst.s_addr;
}

bool sockaddr_is_for_many(struct msghdr *m)
{
	struct addr local;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (read_pktinfo(c, &local) && (addr_is_multicast(&local) || is_broadcast(c)))
			return true;
	return false;
}

static void append(struct msghdr *m, void *control, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c;

	assert(CMSG_SPACE(len) <= SOCKADDR_CONTROL);
	memset(control, 0, CMSG_SPACE(len));
	m->msg_control = control;
	m->msg_controllen = CMSG_SPACE(len);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
}

void sockaddr_write_local(struct msghdr *m, void *control, const struct addr *local, int family)
{
	struct in6_pktinfo v6 = { .ipi6_ifindex = local->scope };
	struct in_pktinfo v4 = { 0 };

	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (addr_is_unspecified(local) || addr_is_multicast(local))
		return;
	if (family == AF_INET) {
		memcpy(&v4.ipi_spec_dst, local->ip + 12, 4);
		append(m, control, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
	} else {
		memcpy(&v6.ipi6_addr, local->ip, 16);
		append(m, control, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
	}
}

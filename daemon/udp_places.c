#include "udp.h"
#include "udp_impl.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_BYTES (1 << 20)

static int set_flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/* A listener on [::] takes IPv4 too; whoever speaks to devices has one socket for each. */
static int set_family_options(const struct socket *s)
{
	bool v4 = s->family == AF_INET;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, error = 0;

	if (!v4)
		error = set_flag(s->fd, level, IPV6_V6ONLY, s->leg == LEG_DEVICE);
	if (!error && s->leg == LEG_DEVICE)
		error = set_flag(s->fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
	if (!error && s->everywhere)
		error = set_flag(s->fd, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
	return error;
}

static int set_options(const struct socket *s, bool share)
{
	const char *interface = s->place.interface;
	int error = set_family_options(s);

	if (!error && interface[0] &&
	    setsockopt(s->fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) != 0)
		error = -errno;
	if (!error && share)
		error = set_flag(s->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* The kernel may give less; less is no reason to stop. */
	set_flag(s->fd, SOL_SOCKET, SO_RCVBUF, QUEUE_BYTES);
	return error;
}

static int bind_socket(const struct socket *s)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_from(&name, &s->place.bind, s->family);

	return bind(s->fd, (struct sockaddr *)&name, len) == 0 ? 0 : -errno;
}

static struct socket *free_slot(struct udp *u)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		if (u->sockets[i].state == SOCKET_FREE)
			return &u->sockets[i];
	}
	return NULL;
}

/* share: another socket of ours, soon to be closed, may hold the same address. */
static int open_socket(struct udp *u, enum leg leg, int family, const struct udp_place *place, bool share,
		       struct socket **opened)
{
	struct socket *s = free_slot(u);
	int error;

	if (!s)
		return -ENOBUFS;
	*s = (struct socket){ .udp = u, .family = family, .leg = leg, .place = *place };
	s->everywhere = leg == LEG_CLIENT && addr_is_unspecified(&place->bind);
	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	error = set_options(s, share);
	if (!error)
		error = bind_socket(s);
	if (!error)
		error = udp_watch(s);
	if (error && s->state == SOCKET_FREE)
		close(s->fd);
	s->fresh = s->wanted = !error;
	*opened = s;
	return error;
}

static bool is_listener(const struct socket *s)
{
	return s->state == SOCKET_OPEN && s->leg == LEG_CLIENT;
}

static bool same_place(const struct udp_place *a, const struct udp_place *b)
{
	return addr_equal(&a->bind, &b->bind) && strcmp(a->interface, b->interface) == 0;
}

static struct socket *find_place(struct udp *u, const struct udp_place *place)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		struct socket *s = &u->sockets[i];

		if (is_listener(s) && same_place(&s->place, place))
			return s;
	}
	return NULL;
}

/*
 * An old and a new place may overlap ([::]:5683 and [::1]:5683) while both are open. SO_REUSEADDR
 * lets them, and is off otherwise: with it a second daemon could take our datagrams away.
 */
static void share_addresses(struct udp *u, bool share)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		struct socket *s = &u->sockets[i];

		if (is_listener(s))
			set_flag(s->fd, SOL_SOCKET, SO_REUSEADDR, share && !s->wanted);
	}
}

static int open_places(struct udp *u, const struct udp_place *places, unsigned count, unsigned *failed)
{
	struct socket *s;
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		*failed = i;
		if (!find_place(u, &places[i]))
			error = open_socket(u, LEG_CLIENT, addr_is_v4(&places[i].bind) ? AF_INET : AF_INET6, &places[i],
					    true, &s);
		/* With the sharing off again, two new places that overlap are an error. */
		if (!error)
			set_flag(find_place(u, &places[i])->fd, SOL_SOCKET, SO_REUSEADDR, 0);
	}
	return error;
}

int udp_prepare(struct udp *u, const struct udp_place *places, unsigned count, unsigned *failed)
{
	int error;

	assert(count <= UDP_PLACES);
	for (unsigned i = 0; i < UDP_SOCKETS; i++)
		u->sockets[i].fresh = u->sockets[i].wanted = false;
	for (unsigned i = 0; i < count; i++) {
		struct socket *s = find_place(u, &places[i]);

		if (s)
			s->wanted = true;
	}
	share_addresses(u, true);
	error = open_places(u, places, count, failed);
	if (error)
		udp_abandon(u);
	return error;
}

void udp_commit(struct udp *u, size_t max_datagram)
{
	share_addresses(u, false);
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		struct socket *s = &u->sockets[i];

		if (!is_listener(s) || s->wanted)
			continue;
		udp_read(s); /* what came before the change */
		udp_unwatch(s);
	}
	udp_limit(u, max_datagram);
}

void udp_abandon(struct udp *u)
{
	share_addresses(u, false);
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		if (is_listener(&u->sockets[i]) && u->sockets[i].fresh)
			udp_unwatch(&u->sockets[i]);
	}
}

static int open_channel(struct udp *u, enum path_channel channel)
{
	static const int families[] = { AF_INET6, AF_INET };
	struct udp_place any = { .bind = { .port = 0 } }; /* random port, every address */

	for (unsigned i = 0; i < 2; i++) {
		struct socket **s = &u->device[channel][i];
		int error = open_socket(u, LEG_DEVICE, families[i], &any, false, s);

		if (error && error != -EAFNOSUPPORT)
			return error;
		if (error) /* a host without IPv6, or without IPv4 */
			*s = NULL;
		else
			(*s)->place.bind.port = (uint16_t)channel; /* what datagrams from here are marked with */
	}
	return u->device[channel][0] || u->device[channel][1] ? 0 : -EAFNOSUPPORT;
}

int udp_open_device_legs(struct udp *u)
{
	int error = open_channel(u, CHANNEL_PLAIN);

	return error ? error : open_channel(u, CHANNEL_OSCORE);
}

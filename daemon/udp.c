#include "udp.h"
#include "udp_impl.h"
#include <errno.h>
#include <time.h> /* linux/errqueue.h needs it */
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define TURN_MAX 4 /* batches read from one socket before the others get their turn */

/* What was received is the engine's business; how it was addressed is ours. */
static bool unpack(struct socket *s, unsigned i, struct proxy_input *in)
{
	struct udp *u = s->udp;
	struct msghdr *m = &u->in_headers[i].msg_hdr;

	if (m->msg_flags & MSG_TRUNC) {
		u->counters.truncated++;
		return false;
	}
	/* the guard is in no group, and an answer would amplify (RFC 7252 §8.2) */
	if (s->everywhere && sockaddr_is_for_many(m)) {
		u->counters.for_many++;
		return false;
	}
	in->from.leg = s->leg;
	in->from.local = s->place.bind;
	if (s->everywhere)
		sockaddr_read_local(m, &in->from.local);
	sockaddr_to(&in->from.remote, m->msg_name);
	in->datagram = bytes_of(u->in[i].data, u->in_headers[i].msg_len);
	return true;
}

/* All that the kernel has written into a header. */
static void renew(struct msghdr *m)
{
	m->msg_namelen = sizeof(struct sockaddr_storage);
	m->msg_controllen = SOCKADDR_CONTROL;
}

void udp_limit(struct udp *u, size_t max_datagram)
{
	for (unsigned i = 0; i < UDP_BATCH; i++)
		u->in[i].iov.iov_len = max_datagram < DGRAM_MAX ? max_datagram : DGRAM_MAX;
}

static int read_batch(struct socket *s)
{
	struct udp *u = s->udp;
	unsigned taken = 0;
	int n = recvmmsg(s->fd, u->in_headers, UDP_BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++) {
		taken += unpack(s, (unsigned)i, &u->inputs[taken]);
		renew(&u->in_headers[i].msg_hdr);
	}
	u->counters.received += taken;
	if (taken > 0)
		u->events.received(u->events.arg, u->inputs, taken);
	return n;
}

static bool is_unreachable(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH;
}

static void report_unreachable(struct socket *s, const struct sockaddr_storage *name)
{
	struct path to = { .leg = LEG_DEVICE };

	if (s->leg != LEG_DEVICE)
		return;
	sockaddr_to(&to.remote, name);
	s->udp->events.unreachable(s->udp->events.arg, &to);
}

/* What this host itself could not send is known from sendmmsg already. */
static bool is_icmp_unreachable(struct msghdr *m)
{
	struct sock_extended_err e;
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	while (c && !(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
	       !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
		c = CMSG_NXTHDR(m, c);
	if (!c)
		return false;
	memcpy(&e, CMSG_DATA(c), sizeof e);
	return (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6) &&
	       is_unreachable((int)e.ee_errno);
}

/* Empties the error queue; a client's ICMP errors are nobody's business (anybody can forge them).
 */
static void drain_errors(struct socket *s)
{
	_Alignas(struct cmsghdr) uint8_t control[512];
	struct sockaddr_storage name;
	int error;
	socklen_t len = sizeof error;

	for (unsigned i = 0; i < UDP_BATCH; i++) {
		struct msghdr m = { .msg_name = &name,
				    .msg_namelen = sizeof name,
				    .msg_control = control,
				    .msg_controllen = sizeof control };

		if (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
		if (m.msg_namelen > 0 && is_icmp_unreachable(&m))
			report_unreachable(s, &name);
	}
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len); /* reading clears it */
}

/* The kernel counts in 32 bits, so now and then it has to be asked. */
static void count_lost(struct socket *s)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof info;

	if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
		return;
	s->udp->counters.overflowed += info[SK_MEMINFO_DROPS] - s->lost;
	s->lost = info[SK_MEMINFO_DROPS];
}

void udp_read(struct socket *s)
{
	struct udp *u = s->udp;
	int n = UDP_BATCH;

	for (unsigned i = 0; i < TURN_MAX && n == UDP_BATCH; i++)
		n = read_batch(s);
	if (n == UDP_BATCH) /* only who falls behind loses anything */
		count_lost(s);
	u->events.received_all(u->events.arg);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	if (status < 0) { /* libuv's word for POLLERR, and it has stopped polling */
		drain_errors(poll->data);
		uv_poll_start(poll, UV_READABLE, on_readable);
	}
	udp_read(poll->data);
}

static uv_poll_t *poll_of(const struct socket *s)
{
	return &s->udp->polls[s - s->udp->sockets];
}

int udp_watch(struct socket *s)
{
	uv_poll_t *poll = poll_of(s);
	int error = uv_poll_init(s->udp->loop, poll, s->fd);

	if (error)
		return error;
	poll->data = s;
	s->state = SOCKET_OPEN;
	return uv_poll_start(poll, UV_READABLE, on_readable);
}

static void on_closed(uv_handle_t *poll)
{
	struct socket *s = poll->data;

	s->state = SOCKET_FREE;
}

void udp_unwatch(struct socket *s)
{
	udp_flush(s->udp); /* the batch may hold datagrams for it */
	count_lost(s);
	uv_close((uv_handle_t *)poll_of(s), on_closed);
	close(s->fd); /* at once: from now on the address is the new sockets' */
	s->state = SOCKET_CLOSING;
}

/* The exact place, or the one that listens to every address at that port. */
static struct socket *socket_for(struct udp *u, const struct path *to)
{
	bool v4 = addr_is_v4(&to->remote);
	struct socket *wildcard = NULL;

	if (to->leg == LEG_DEVICE)
		return u->device[to->local.port == CHANNEL_OSCORE][v4];
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		struct socket *s = &u->sockets[i];

		if (s->state != SOCKET_OPEN || s->leg != LEG_CLIENT || s->place.bind.port != to->local.port)
			continue;
		if (addr_equal(&s->place.bind, &to->local))
			return s;
		if (addr_is_unspecified(&s->place.bind) && (v4 || s->family == AF_INET6))
			wildcard = s;
	}
	return wildcard;
}

/* False: the kernel would not take the rest of the batch either. */
static bool may_go_on(int error)
{
	return error != EAGAIN && error != EWOULDBLOCK && error != ENOBUFS;
}

/*
 * An error is either this datagram's own or one that ICMP brought for an earlier one: after the
 * queue of errors is emptied a second try tells.
 */
static void send_all(struct udp *u, struct socket *s, struct mmsghdr *m, unsigned count)
{
	unsigned done = 0, tried = UDP_BATCH;

	while (done < count) {
		int n = sendmmsg(s->fd, m + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			u->counters.sent += (unsigned)n;
			done += (unsigned)n;
		} else if (!may_go_on(errno)) {
			u->counters.unsent += count - done;
			done = count;
		} else if (tried != done) {
			tried = done;
			drain_errors(s);
		} else {
			if (is_unreachable(errno))
				report_unreachable(s, m[done].msg_hdr.msg_name);
			u->counters.unsent++;
			done++;
		}
	}
}

static void flush_socket(struct udp *u, struct socket *s)
{
	unsigned n = 0;

	if (s->waiting == u->outgoing) {
		s->waiting = 0;
		send_all(u, s, u->out_headers, u->outgoing);
		return;
	}
	for (unsigned i = 0; i < u->outgoing && n < s->waiting; i++) {
		if (u->out[i].from == s)
			u->sorted[n++] = u->out_headers[i];
	}
	s->waiting = 0;
	send_all(u, s, u->sorted, n);
}

void udp_flush(struct udp *u)
{
	for (unsigned i = 0; i < u->outgoing; i++) {
		if (u->out[i].from->waiting > 0)
			flush_socket(u, u->out[i].from);
	}
	u->outgoing = 0;
}

static void pack(struct parcel *p, struct msghdr *m, const struct path *to, struct bytes datagram)
{
	const struct socket *s = p->from;

	memcpy(p->data, datagram.ptr, datagram.len);
	p->iov.iov_len = datagram.len;
	m->msg_namelen = sockaddr_from(&p->name, &to->remote, s->family);
	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (s->everywhere)
		sockaddr_write_local(m, p->control, &to->local, s->family);
}

void udp_send(struct udp *u, const struct path *to, struct bytes datagram)
{
	struct socket *s = socket_for(u, to);

	if (!s || datagram.len > DGRAM_MAX) {
		u->counters.unsent++;
		return;
	}
	if (u->outgoing == UDP_BATCH)
		udp_flush(u);
	u->out[u->outgoing].from = s;
	s->waiting++;
	pack(&u->out[u->outgoing], &u->out_headers[u->outgoing].msg_hdr, to, datagram);
	u->outgoing++;
}

struct udp_counters udp_counters(struct udp *u)
{
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		if (u->sockets[i].state == SOCKET_OPEN)
			count_lost(&u->sockets[i]);
	}
	return u->counters;
}

/* Each header points at its parcel for good. */
static void address_header(struct msghdr *m, struct parcel *p)
{
	p->iov.iov_base = p->data;
	m->msg_name = &p->name;
	m->msg_iov = &p->iov;
	m->msg_iovlen = 1;
	m->msg_control = p->control;
}

static void address_headers(struct udp *u)
{
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		address_header(&u->in_headers[i].msg_hdr, &u->in[i]);
		address_header(&u->out_headers[i].msg_hdr, &u->out[i]);
		renew(&u->in_headers[i].msg_hdr);
	}
}

int udp_create(struct udp **out, struct uv_loop_s *loop, const struct udp_events *events)
{
	struct udp *u = calloc(1, sizeof *u);

	*out = u;
	if (!u)
		return -ENOMEM;
	u->polls = calloc(UDP_SOCKETS, sizeof *u->polls);
	if (!u->polls)
		return -ENOMEM;
	u->loop = loop;
	u->events = *events;
	address_headers(u);
	udp_limit(u, DGRAM_MAX);
	return udp_open_device_legs(u);
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < UDP_SOCKETS; i++) {
		if (u->sockets[i].state == SOCKET_OPEN)
			udp_unwatch(&u->sockets[i]);
	}
}

void udp_free(struct udp *u)
{
	if (u)
		free(u->polls);
	free(u);
}

/* sockaddr: between struct addr and what the kernel takes: addresses, and the control message with
 * the local address. */
#ifndef SOCKADDR_H
#define SOCKADDR_H
#include "base/addr.h"
#include <netinet/in.h>
#include <sys/socket.h>

#define SOCKADDR_CONTROL 128 /* bytes of control messages of one datagram */

/* family: AF_INET or AF_INET6, the socket's. Returns the length; what lies behind stays as it was.
 */
socklen_t sockaddr_from(struct sockaddr_storage *out, const struct addr *a, int family);
void sockaddr_to(struct addr *a, const struct sockaddr_storage *from);

/* The local address a received datagram was sent to; the port stays as it is. False: the kernel did
 * not say. */
bool sockaddr_read_local(struct msghdr *m, struct addr *local);
/* A datagram for a group or for everybody (IPv4 broadcast, of a subnet, too, where the kernel says so). */
bool sockaddr_is_for_many(struct msghdr *m);
/* Lets the datagram leave from `local`; control has SOCKADDR_CONTROL bytes. Unspecified and
 * multicast: kernel's choice. */
void sockaddr_write_local(struct msghdr *m, void *control, const struct addr *local, int family);
#endif

/* rawip: IP and UDP headers of our own around a payload, for datagrams in somebody else's name. */
#ifndef RAWIP_H
#define RAWIP_H
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static inline uint32_t rawip_sum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	return n % 2 ? sum + (uint32_t)(p[n - 1] << 8) : sum;
}

static inline void rawip_put(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline size_t rawip_udp(uint8_t *udp, const uint8_t *addresses, size_t addresses_len, uint16_t from, uint16_t to,
			       size_t n)
{
	size_t len = n + 8;
	uint32_t sum;

	rawip_put(udp, from);
	rawip_put(udp + 2, to);
	rawip_put(udp + 4, len);
	rawip_put(udp + 6, 0);
	sum = rawip_sum((uint32_t)len + IPPROTO_UDP, addresses, addresses_len);
	sum = rawip_sum(sum, udp, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	rawip_put(udp + 6, sum == 0xffff ? 0xffff : ~sum & 0xffff);
	return len;
}

/* The payload of n bytes stands in `packet` already, behind the room for both headers. Returns the
 * whole length. */
static inline size_t rawip_wrap4(uint8_t *packet, const struct sockaddr_in *from, const struct sockaddr_in *to,
				 size_t n)
{
	memset(packet, 0, 20);
	packet[0] = 0x45;
	packet[8] = 64;
	packet[9] = IPPROTO_UDP;
	memcpy(packet + 12, &from->sin_addr, 4);
	memcpy(packet + 16, &to->sin_addr, 4);
	n = rawip_udp(packet + 20, packet + 12, 8, ntohs(from->sin_port), ntohs(to->sin_port), n);
	rawip_put(packet + 2, n + 20); /* the kernel fills the header checksum in */
	return n + 20;
}

static inline size_t rawip_wrap6(uint8_t *packet, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to,
				 size_t n)
{
	memset(packet, 0, 40);
	packet[0] = 0x60;
	packet[6] = IPPROTO_UDP;
	packet[7] = 64;
	memcpy(packet + 8, &from->sin6_addr, 16);
	memcpy(packet + 24, &to->sin6_addr, 16);
	n = rawip_udp(packet + 40, packet + 8, 32, ntohs(from->sin6_port), ntohs(to->sin6_port), n);
	rawip_put(packet + 4, n);
	return n + 40;
}
#endif

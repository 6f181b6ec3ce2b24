#include "guard/echo.h"

#include <assert.h>

#define TICK     (250 * TSTAMP_MS) /* of the age field */
#define TAG_AT   4
#define LIFE_MAX ((UINT64_C(1) << 22) * TSTAMP_S) /* 2^24 ticks: what the age field holds */

static_assert(ECHO_LEN - TAG_AT == sizeof(uint64_t), "the tag is one SipHash");

static void put_be(uint8_t *out, uint64_t value, size_t len)
{
	for (size_t i = len; i-- > 0; value >>= 8)
		out[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *in, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | in[i];
	return value;
}

/* No early exit: how long it takes tells nothing about how much of a guess was right. */
static bool equal_in_constant_time(const uint8_t *a, const uint8_t *b, size_t len)
{
	volatile uint8_t difference = 0;

	for (size_t i = 0; i < len; i++)
		difference = (uint8_t)(difference | (a[i] ^ b[i]));
	return difference == 0;
}

/* Keyed by the full number of the epoch, of which the wire shows one byte: no value lives again 256
 * epochs later. */
static struct siphash_key key_of_epoch(const struct echo_key *k, uint64_t epoch)
{
	uint8_t label[16] = "echo-k0";
	struct siphash_key key;

	put_be(label + 8, epoch, 8);
	key.k0 = siphash(&k->master, label, sizeof label);
	label[6] = '1';
	key.k1 = siphash(&k->master, label, sizeof label);
	return key;
}

static uint8_t *put_endpoint(uint8_t *out, const struct addr *a)
{
	memcpy(out, a->ip, 16);
	put_be(out + 16, a->scope, 4);
	put_be(out + 20, a->port, 2);
	return out + 22;
}

/*
 * The listener without its scope: a reply leaves by the address and port the request came to. The guards of a fleet have different
 * addresses; what the value proves is that the client receives at its own.
 */
static void make_tag(const struct echo_key *k, uint64_t epoch, const uint8_t head[TAG_AT], const struct addr *client,
		     const struct addr *listener, uint8_t tag[8])
{
	struct siphash_key key = key_of_epoch(k, epoch);
	static const uint8_t nowhere[16];
	uint8_t text[TAG_AT + 22 + 18], *end = text;

	memcpy(end, head, TAG_AT);
	end = put_endpoint(end + TAG_AT, client);
	memcpy(end, k->shared ? nowhere : listener->ip, 16);
	put_be(end + 16, listener->port, 2);
	put_be(tag, siphash(&key, text, sizeof text), 8);
}

static uint64_t clock_at(const struct echo_key *k, tstamp now)
{
	return k->clock + tstamp_since(k->start, now);
}

/* The first byte of a value names the current or the previous epoch, or none we know; another guard may be in the next one. */
static bool find_epoch(const struct echo_key *k, uint8_t shown, uint64_t current, uint64_t *epoch)
{
	uint8_t behind = (uint8_t)((uint8_t)current - shown);

	if (k->shared && behind == UINT8_MAX) {
		*epoch = current + 1;
		return true;
	}
	if (behind > 1 || behind > current)
		return false;
	*epoch = current - behind;
	return true;
}

void echo_init(struct echo_key *k, const uint8_t secret[16], uint64_t lifetime, tstamp now)
{
	echo_init_shared(k, secret, lifetime, 0, now);
	k->shared = false;
}

void echo_init_shared(struct echo_key *k, const uint8_t secret[16], uint64_t lifetime, uint64_t wall, tstamp now)
{
	assert(lifetime > 0 && lifetime <= LIFE_MAX);
	*k = (struct echo_key){ siphash_key_from(secret), lifetime, now, wall, true };
}

void echo_make(const struct echo_key *k, const struct addr *client, const struct addr *listener, tstamp now,
	       uint8_t out[ECHO_LEN])
{
	uint64_t clock = clock_at(k, now), epoch = clock / k->lifetime, age = clock % k->lifetime;

	out[0] = (uint8_t)epoch;
	put_be(out + 1, age / TICK, TAG_AT - 1);
	make_tag(k, epoch, out, client, listener, out + TAG_AT);
}

/* By so much another guard's clock may be ahead of ours. */
static uint64_t skew_of(const struct echo_key *k, uint64_t validity)
{
	if (!k->shared)
		return 0;
	return validity < ECHO_SKEW ? validity : ECHO_SKEW;
}

/*
 * The time in a value is rounded down to a tick, so a value may grow stale a tick early, and is
 * never taken late.
 */
enum echo_result echo_check(const struct echo_key *k, const struct addr *client, const struct addr *listener,
			    struct bytes value, uint64_t validity, tstamp now)
{
	uint64_t clock = clock_at(k, now), epoch, made;
	uint8_t tag[ECHO_LEN - TAG_AT];

	if (value.len != ECHO_LEN || !find_epoch(k, value.ptr[0], clock / k->lifetime, &epoch))
		return ECHO_FOREIGN;
	make_tag(k, epoch, value.ptr, client, listener, tag);
	if (!equal_in_constant_time(tag, value.ptr + TAG_AT, sizeof tag))
		return ECHO_FOREIGN;
	made = epoch * k->lifetime + get_be(value.ptr + 1, TAG_AT - 1) * TICK;
	if (made > clock + skew_of(k, validity))
		return ECHO_FOREIGN;
	return tstamp_since(made, clock) <= validity ? ECHO_VALID : ECHO_STALE;
}

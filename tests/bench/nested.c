/*
 * nested: what one of the guard's own OSCORE layers costs: in one process, without sockets, in turn. Prints one line of JSON per round:
 * nanoseconds per operation, and allocations during each.
 */
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "oscore/oscore.h"
#include "oscore/oscore_store.h"
#include "proxy/core.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REQUESTS 2000
#define INSIDE   64 /* bytes of the end-to-end ciphertext inside, and of the raw operations */

/* --- every allocation is counted: ours, and the cryptographic library's ------------------------------------------- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *at, size_t size);

static unsigned long allocations;

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *at, size_t size)
{
	allocations++;
	return __libc_realloc(at, size);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

struct clock {
	struct timespec began;
	unsigned long allocations;
};

static struct clock start(void)
{
	struct clock c = { .allocations = allocations };

	clock_gettime(CLOCK_MONOTONIC, &c.began);
	return c;
}

static void report(const struct clock *c, const char *what, unsigned n)
{
	struct timespec now;
	double ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (double)(now.tv_sec - c->began.tv_sec) * 1e9 + (double)(now.tv_nsec - c->began.tv_nsec);
	printf("\"%s\": %.1f, \"%s_allocations\": %lu, ", what, ns / n, what, allocations - c->allocations);
}

/* --- the two ends ------------------------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static void fill(struct rng *rng, void *out, size_t len)
{
	uint8_t *at = out;

	(void)rng;
	while (len--)
		*at++ = (uint8_t)((seed = seed * 6364136223846793005ULL + 1442695040888963407ULL) >> 56);
}

static struct rng generator = { fill };

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "nested: %s\n", what);
		exit(1);
	}
}

static const struct oscore_setup guard_setup = {
	.aead = AEAD_AES_CCM_16_64_128, .window = 32, .sender_id = { 1, { 1 } }, .recipient_id = { 1, { 2 } }
};

static struct oscore_context open_client(void)
{
	struct oscore_context c = { .next = 0 };
	struct oscore_state state = { .synced = true };
	struct oscore_setup s = guard_setup;

	s.sender_id = guard_setup.recipient_id;
	s.recipient_id = guard_setup.sender_id;
	replay_init(&state.window, 32);
	must(oscore_context_init(&c, &s, bytes_of("sixteen bytes of", 16), &state, &generator), "no client");
	oscore_context_allow(&c, OSCORE_PIV_MAX);
	return c;
}

static struct proxy *open_guard(struct proxy_config *cfg, tstamp now)
{
	static const uint8_t secret[32] = { 7 };
	struct oscore_state state = { .synced = true };
	struct proxy *p;

	*cfg = (struct proxy_config){
		.max_datagram = 1280, .max_options = 64, .exchanges = 256, .max_layers = 2, .ssn_reserve = 1000000
	};
	snprintf(cfg->listens[0].name, PROXY_NAME, "front");
	must(addr_parse(&cfg->listens[0].bind, "[2001:db8::53]:5683", 5683), "address");
	snprintf(cfg->links[0].name, PROXY_NAME, "air");
	cfg->links[0].sched = (struct linksched_config){ .rate = { 1 << 20, TSTAMP_S },
							 .burst = 1 << 20,
							 .overhead = 48,
							 .queue_length = 32,
							 .share = { 80, 15, 5 } };
	cfg->links[0].retransmit = (struct retransmit_params){ 4 * TSTAMP_S, 4 };
	cfg->links[0].nstart = 16;
	cfg->links[0].queue_wait = 20 * TSTAMP_S;
	cfg->links[0].probing = (struct rate){ 1, TSTAMP_S };
	snprintf(cfg->servers[0].name, PROXY_NAME, "dev");
	must(addr_parse(&cfg->servers[0].address, "[fd00:db8::17]:5683", 5683), "address");
	cfg->policy.servers[0] = (struct policy_server){ .present = true,
							 .mode = MODE_OPEN,
							 .trusted_rate = { 10, TSTAMP_S },
							 .unknown_rate = { 6, TSTAMP_MIN },
							 .handshake_cost = 36 };
	cfg->policy.throttle_rate = (struct rate){ 2, TSTAMP_S };
	cfg->policy.reply_rate = (struct rate){ 1000000, TSTAMP_S };
	cfg->policy.table_size = 65536;
	cfg->policy.relations = 4096;
	cfg->policy.trusted_after = 8;
	cfg->policy.lifetime = TSTAMP_DAY;
	cfg->policy.echo_validity = TSTAMP_MIN;
	cfg->policy.echo_key_lifetime = TSTAMP_HOUR;
	cfg->policy.contexts = 8192;
	cfg->policy.window = 64;
	cfg->policy.plausible_jump = 256;
	cfg->policy.sequence_idle = 7 * TSTAMP_DAY;
	snprintf(cfg->contexts[0].name, PROXY_NAME, "phone");
	cfg->contexts[0].setup = guard_setup;
	cfg->contexts[0].servers = 1;
	cfg->contexts[0].next_hop = PROXY_NO_SERVER;
	p = proxy_create(cfg, secret, &generator, now);
	must(p != NULL, "no guard");
	replay_init(&state.window, 32);
	must(proxy_context_install(p, 0, bytes_of("sixteen bytes of", 16), &state), "no context");
	proxy_context_allow(p, 0, OSCORE_PIV_MAX);
	return p;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

struct wire {
	uint8_t at[256];
	size_t len;
};

/* As a client of the device makes it: opaque to the guard. */
static struct wire plain_request(unsigned n)
{
	static const uint8_t inside[INSIDE];
	uint8_t option[] = { 0x0a, (uint8_t)(n >> 8), (uint8_t)n, 0x77 }, token[] = { (uint8_t)(n >> 8), (uint8_t)n };
	struct wire w;
	struct msgbuf b;

	msgbuf_begin(&b, w.at, sizeof w.at, MSG_CON, MSG_POST, (uint16_t)n, bytes_of(token, 2));
	msgbuf_option(&b, OPTION_OSCORE, bytes_of(option, sizeof option));
	msgbuf_payload(&b, bytes_of(inside, sizeof inside));
	w.len = msgbuf_end(&b).len;
	must(w.len > 0, "no request");
	return w;
}

static struct wire nested_request(struct oscore_context *c, unsigned n)
{
	struct wire plain = plain_request(n);
	struct oscore_request rq;
	struct oscore_room room;
	struct msg m, out;

	must(msg_parse(&m, bytes_of(plain.at, plain.len)) == MSG_OK &&
		     oscore_protect_request(c, &m, OSCORE_NEXT_HOP, &room, &out, &rq) == OSCORE_OK,
	     "no layer");
	plain.len = (size_t)(out.payload.ptr + out.payload.len - room.at);
	memcpy(plain.at, room.at, plain.len);
	return plain;
}

/* The device answers at once: a piggybacked 2.04 with an OSCORE payload. */
static struct wire answer(struct bytes request)
{
	struct wire w = { .len = 0 };
	struct msgbuf b;
	struct msg m;

	must(msg_parse(&m, request) == MSG_OK, "not a request");
	msgbuf_begin(&b, w.at, sizeof w.at, MSG_ACK, MSG_CHANGED, m.mid, m.token);
	msgbuf_option(&b, OPTION_OSCORE, bytes_of("", 0));
	msgbuf_payload(&b, bytes_of(w.at, 40));
	w.len = msgbuf_end(&b).len;
	return w;
}

static const char *const client_address = "[2001:db8:1::a]:40001";

/* Through the guard and back; how many came back. */
static unsigned converse(struct proxy *p, const struct wire *requests, tstamp *now)
{
	struct path client = { .leg = LEG_CLIENT }, to;
	unsigned back = 0;

	addr_parse(&client.remote, client_address, 0);
	client.local = p->cfg.listens[0].bind;
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct bytes d;

		*now += 10 * TSTAMP_MS;
		proxy_receive(p, &client, bytes_of(requests[i].at, requests[i].len), *now);
		while ((d = proxy_transmit(p, &to, *now)).len) {
			struct wire w;

			if (to.leg == LEG_CLIENT) {
				back++;
				continue;
			}
			w = answer(d);
			proxy_receive(p, &to, bytes_of(w.at, w.len), *now);
		}
		proxy_expire(p, *now);
	}
	return back;
}

/* --- the raw operations, and the store ---------------------------------------------------------------------------- */

static void raw(struct oscore_context *c, unsigned n)
{
	uint8_t text[INSIDE + 24] = { 0 }, sealed[sizeof text + 8], nonce[AEAD_NONCE] = { 0 }, aad[24] = { 0 };
	struct aead *opener = aead_create(AEAD_AES_CCM_16_64_128, AEAD_OPEN, (const uint8_t *)"sixteen bytes of");
	struct aead *sealer = aead_create(AEAD_AES_CCM_16_64_128, AEAD_SEAL, (const uint8_t *)"sixteen bytes of");
	struct clock t;

	(void)c;
	must(opener && sealer && aead_seal(sealer, nonce, bytes_of(aad, 24), bytes_of(text, sizeof text), sealed),
	     "seal");
	t = start();
	for (unsigned i = 0; i < n; i++)
		aead_open(opener, nonce, bytes_of(aad, 24), bytes_of(sealed, sizeof sealed), text);
	report(&t, "raw_open", n);
	t = start();
	for (unsigned i = 0; i < n; i++) {
		memcpy(nonce + 5, &i, sizeof i);
		aead_seal(sealer, nonce, bytes_of(aad, 24), bytes_of(text, sizeof text), sealed);
	}
	report(&t, "raw_seal", n);
	aead_free(opener);
	aead_free(sealer);
}

static bool never(void *arg, enum aead_use use, uint8_t *out, size_t len)
{
	(void)arg;
	(void)use;
	(void)out;
	(void)len;
	return false;
}

static struct oscore_store *fill_store(uint32_t n)
{
	static const struct siphash_key key = { 1, 2 };
	static const struct aead_player player = { never, NULL };
	struct oscore_store *s = oscore_store_create(n, &key);
	struct oscore_state state = { .synced = true };

	must(s != NULL, "no store");
	for (uint32_t i = 0; i < n; i++) {
		struct oscore_setup setup = guard_setup;

		setup.recipient_id = (struct oscore_id){ 4, { 9, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
		must(oscore_context_init_played(oscore_store_at(s, i), &setup, &player, &state, &generator),
		     "no memory");
	}
	oscore_store_index(s);
	return s;
}

/* In batches of 16, each announced before, as datagrams come. */
static void look_up(struct oscore_store *s, uint32_t n, const char *what, unsigned times)
{
	struct addr source;
	struct clock t;
	unsigned found = 0;

	addr_parse(&source, client_address, 0);
	t = start();
	for (unsigned i = 0; i < times / 16; i++) {
		uint8_t kids[16][4];

		for (unsigned k = 0; k < 16; k++) {
			uint32_t r = (uint32_t)((seed = seed * 6364136223846793005ULL + 1) >> 33) % n;

			kids[k][0] = 9;
			kids[k][1] = (uint8_t)(r >> 16);
			kids[k][2] = (uint8_t)(r >> 8);
			kids[k][3] = (uint8_t)r;
			oscore_store_prefetch(s, &source, bytes_of(kids[k], 4), bytes_of(NULL, 0));
		}
		for (unsigned k = 0; k < 16; k++)
			found += oscore_store_claim(s, &source, bytes_of(kids[k], 4), bytes_of(NULL, 0)).place !=
				 OSCORE_NOWHERE;
	}
	report(&t, what, times / 16 * 16);
	must(found == times / 16 * 16, "a context is not found");
}

/* A request of the context's holder, but for one bit of its kid, or of its tag. */
static struct wire forged(struct oscore_context *c, unsigned n, bool kid)
{
	struct wire w = nested_request(c, n);
	struct msg_option option;
	struct msg m;

	must(msg_parse(&m, bytes_of(w.at, w.len)) == MSG_OK && msg_find(&m, OPTION_OSCORE, &option), "no layer");
	if (kid)
		w.at[(size_t)(option.value.ptr - w.at) + option.value.len - 1] ^= 1;
	else
		w.at[w.len - 1] ^= 1;
	return w;
}

/* Datagrams that claim to be ours, from somebody who proves nothing: no kid of ours, or a forged tag. */
static void forgeries(struct proxy *p, struct oscore_context *c, unsigned round, tstamp *now)
{
	static struct wire wires[2][REQUESTS];
	static const char *const names[] = { "unknown_kid", "forged" };
	struct path from = { .leg = LEG_CLIENT }, to;

	addr_parse(&from.remote, "[2001:db8:bad::1]:40001", 0);
	from.local = p->cfg.listens[0].bind;
	for (unsigned i = 0; i < REQUESTS; i++) {
		wires[0][i] = forged(c, i, true);
		wires[1][i] = forged(c, REQUESTS + i, false); /* no duplicate of it */
	}
	for (unsigned turn = 0; turn < 2; turn++) {
		unsigned kind = (turn + round) & 1; /* whoever comes second finds all in the cache */
		uint64_t before = oscore_store_at(p->contexts, 0)->counters.failed;
		struct clock t = start();

		for (unsigned i = 0; i < REQUESTS; i++) {
			*now += TSTAMP_MS;
			from.remote.ip[1] = (uint8_t)kind; /* what a prefix may try is no other's */
			from.remote.ip[10] = (uint8_t)(i >> 8);
			from.remote.ip[11] = (uint8_t)i;
			proxy_receive(p, &from, bytes_of(wires[kind][i].at, wires[kind][i].len), *now);
			while (proxy_transmit(p, &to, *now).len)
				;
		}
		report(&t, names[kind], REQUESTS);
		printf("\"%s_opened\": %llu, ", names[kind],
		       (unsigned long long)(oscore_store_at(p->contexts, 0)->counters.failed - before));
	}
}

int main(int argc, char **argv)
{
	static struct wire plain[REQUESTS], nested[REQUESTS];
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	struct oscore_context client = open_client();
	struct proxy_config cfg, local;
	tstamp now = TSTAMP_HOUR;
	struct proxy *p = open_guard(&cfg, now), *q;
	struct oscore_store *few = fill_store(10), *many = fill_store(100000);

	local = cfg;
	(void)local;
	p->cfg.listens[0].server = 0;
	q = open_guard(&cfg, now); /* no server but by its contexts */
	q->cfg.listens[0].server = PROXY_NO_SERVER;
	for (unsigned r = 0; r < rounds; r++) {
		struct clock t;
		unsigned a, b;

		for (unsigned i = 0; i < REQUESTS; i++) {
			plain[i] = plain_request(i + r * REQUESTS);
			nested[i] = nested_request(&client, i + r * REQUESTS);
		}
		printf("{ ");
		raw(&client, 10 * REQUESTS);
		t = start();
		a = converse(p, plain, &now);
		report(&t, "plain", REQUESTS);
		now += 400 * TSTAMP_S;
		proxy_expire(p, now);
		t = start();
		b = converse(p, nested, &now);
		report(&t, "nested", REQUESTS);
		now += 400 * TSTAMP_S;
		proxy_expire(p, now);
		must(a == REQUESTS && b == REQUESTS, "a request was lost");
		look_up(few, 10, "find_10", 100000);
		look_up(many, 100000, "find_100000", 100000);
		forgeries(q, &client, r, &now);
		printf("\"round\": %u }\n", r);
	}
	proxy_free(p);
	proxy_free(q);
	oscore_context_wipe(&client);
	oscore_store_free(few);
	oscore_store_free(many);
	return 0;
}

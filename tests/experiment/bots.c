/*
 * bots: how long newcomers wait while 10^2 to 10^6 bots want the same device, in virtual time, through the real engine. Bots sit in /64s of
 * /48s of /32s (Zipf 1.1), take Echo, answer pings, come again 2 s after a ping, never wait for Max-Age and are never accepted. Newcomers come
 * when the attack has gone on for a while: a third each from a /32 without bots, from a /48 without bots of a /32 with some, and from a /48
 * with bots. They are clients of RFC 7252 and 8516, who begin anew when they gave up.
 *
 *   bots [-b BOTS] [-a ADDRESSES-OF-EACH] [-g BOTS-OF-ONE-/32] [-k o|e] [-i] [-u UNITS-A-MINUTE] [-r REQUESTS-A-SECOND]
 *        [-w MINUTES-BEFORE] [-m MINUTES] [-n SECONDS-BETWEEN-NEWCOMERS] [-S SEED]
 *
 * -k e: all make a key exchange (EDHOC message_1), one at a time, else OSCORE requests. -i: newcomers do not wait for Max-Age if there is an
 * Echo beside it. One line of JSON.
 */
#include "coap/msgbuf.h"
#include "coap/option.h"
#include "edhoc.h"
#include "../replay/world.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGIONS      16384 /* /32s that may hold bots */
#define ZIPF         1.1
#define BOT_PORT     40000
#define NEW_PORT     41000
#define MOST_RATE    2000 /* requests of all bots a second */
#define BOT_PAUSE    10   /* s between two tries of one bot, if that is not more */
#define ECHO_MAX     40
#define ECHO_LIFE    (50 * TSTAMP_S)
#define NEWCOMERS    8192
#define ANSWERS      4096
#define ANSWER_DELAY (25 * TSTAMP_MS)
#define EDHOC_US     646000          /* message_1 on an nRF52840: energy.py */
#define PATIENCE     (93 * TSTAMP_S) /* MAX_TRANSMIT_WAIT */
#define HASTE        2               /* s that a hasty newcomer waits at most when it was given an Echo */
#define SOON         60
#define OUTBOX       64
#define AGAINS       65536
#define AGAIN_DELAY  (2 * TSTAMP_S)

enum origin { UNTOUCHED, SAME_32, SAME_48, ORIGINS };

struct bot {
	uint32_t region;
	uint16_t site, host;
	uint8_t echo_len, echo[12];
	uint32_t echo_at; /* ms */
};

struct newcomer {
	struct heap_node timer; /* first member */
	struct addr addr;
	enum origin origin;
	tstamp came, began, done;
	uint8_t token[4], echo[ECHO_MAX];
	size_t echo_len;
	uint16_t mid;
	unsigned sends;
	uint64_t timeout;
	bool busy, heard;
	uint32_t piv;
};

/* What the device will say, in order. */
struct answer {
	tstamp at;
	struct path path;
	uint8_t data[96];
	size_t len;
};

/* A bot that was pinged asks once more, as a client that retransmits does. */
struct again {
	tstamp at;
	uint32_t bot;
};

struct mail {
	struct path path;
	uint8_t data[160];
	size_t len;
};

struct scene {
	struct world *world;
	struct bot *bots;
	uint32_t n_bots, addresses, rogue, turn;
	bool edhoc, hasty;
	double units, most_rate;
	uint64_t *sites; /* sorted region << 16 | site with bots */
	uint32_t n_sites, n_regions;
	struct newcomer *newcomers;
	uint32_t n_newcomers;
	struct heap timers;
	struct heap_node *slots[NEWCOMERS];
	struct answer answers[ANSWERS];
	uint32_t first_answer, n_answers;
	tstamp device_free;
	struct again again[AGAINS];
	uint32_t first_again, n_again;
	struct mail outbox[OUTBOX];
	unsigned n_out;
	uint64_t sent, admitted, accepted, lost_answers;
};

static double fraction(struct scene *s)
{
	return (double)(world_random(s->world) >> 11) / 9007199254740992.0;
}

/* Who is where */

static struct addr bot_addr(const struct scene *s, uint32_t i)
{
	const struct bot *b = &s->bots[i];
	struct addr a = { .port = BOT_PORT };

	a.ip[0] = (uint8_t)(0x20 | b->region >> 24);
	a.ip[1] = (uint8_t)(b->region >> 16);
	a.ip[2] = (uint8_t)(b->region >> 8);
	a.ip[3] = (uint8_t)b->region;
	a.ip[4] = (uint8_t)(b->site >> 8);
	a.ip[5] = (uint8_t)b->site;
	a.ip[6] = (uint8_t)(b->host >> 8);
	a.ip[7] = (uint8_t)b->host;
	for (unsigned k = 0; k < 4; k++)
		a.ip[12 + k] = (uint8_t)(i >> (24 - 8 * k));
	return a;
}

static void zipf(double *cumulated)
{
	double sum = 0;

	for (uint32_t k = 0; k < REGIONS; k++)
		cumulated[k] = sum += pow(k + 1, -ZIPF);
	for (uint32_t k = 0; k < REGIONS; k++)
		cumulated[k] /= sum;
}

static uint32_t pick_region(struct scene *s, const double *cumulated)
{
	double at = fraction(s);
	uint32_t low = 0, high = REGIONS - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (cumulated[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Each machine is `addresses` bots in one /48; the rogue ones have a /32 and a /48 each of their own. */
static void place_bots(struct scene *s)
{
	static double cumulated[REGIONS];
	uint32_t n = s->n_bots - s->rogue;

	zipf(cumulated);
	for (uint32_t i = 0; i < s->n_bots; i++) {
		struct bot *b = &s->bots[i];

		if (i >= n) {
			*b = (struct bot){ .region = REGIONS, .site = (uint16_t)(i - n), .host = 1 };
		} else if (i % s->addresses) {
			*b = s->bots[i - 1];
			b->host++;
		} else {
			*b = (struct bot){ .region = pick_region(s, cumulated),
					   .site = (uint16_t)world_random(s->world),
					   .host = (uint16_t)world_random(s->world) };
		}
		s->sites[i] = (uint64_t)b->region << 16 | b->site;
	}
	qsort(s->sites, s->n_bots, sizeof *s->sites, by_number);
	for (uint32_t i = 0; i < s->n_bots; i++) {
		if (i && s->sites[i] == s->sites[i - 1])
			continue;
		s->n_regions += !i || s->sites[i] >> 16 != s->sites[s->n_sites - 1] >> 16;
		s->sites[s->n_sites++] = s->sites[i];
	}
}

static bool has_bots(const struct scene *s, uint64_t site)
{
	return bsearch(&site, s->sites, s->n_sites, sizeof site, by_number) != NULL;
}

static struct addr newcomer_addr(struct scene *s, enum origin origin, uint32_t i)
{
	struct addr a = { .port = NEW_PORT };
	uint64_t site = s->sites[world_random(s->world) % s->n_sites];

	if (origin == UNTOUCHED)
		site = (uint64_t)(0x01000000u + i) << 16 | 1;
	/* some /32s are full of bots: another one then */
	while (origin == SAME_32 && has_bots(s, site))
		site = (s->sites[world_random(s->world) % s->n_sites] & ~UINT64_C(0xffff)) |
		       (world_random(s->world) & 0xffff);
	for (unsigned k = 0; k < 6; k++)
		a.ip[k] = (uint8_t)(site >> (40 - 8 * k));
	a.ip[0] = (uint8_t)(a.ip[0] | 0x20);
	a.ip[6] = 0xee;
	a.ip[7] = (uint8_t)(i & 0xff);
	for (unsigned k = 0; k < 4; k++)
		a.ip[12 + k] = (uint8_t)(i >> (24 - 8 * k));
	return a;
}

/* Messages */

static struct bytes compose(struct scene *s, uint8_t *buf, size_t cap, uint16_t mid, struct bytes token,
			    struct bytes kid, uint32_t piv, struct bytes echo)
{
	struct world *w = s->world;
	uint8_t option[12] = { 0 }, payload[EDHOC_MESSAGE_1];
	struct msgbuf b;

	w->rng.rng.fill(&w->rng.rng, payload, sizeof payload);
	msgbuf_begin(&b, buf, cap, MSG_CON, MSG_POST, mid, token);
	if (s->edhoc) {
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of(EDHOC_PATH_1, strlen(EDHOC_PATH_1)));
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of(EDHOC_PATH_2, strlen(EDHOC_PATH_2)));
		msgbuf_option_uint(&b, OPTION_CONTENT_FORMAT, EDHOC_FORMAT);
		memcpy(payload, (const uint8_t[]){ EDHOC_TRUE, 3, 2, 0x58, EDHOC_KEY }, EDHOC_KEY_AT);
	} else {
		option[0] = 0x08 | 2;
		option[1] = (uint8_t)(piv >> 8);
		option[2] = (uint8_t)piv;
		memcpy(option + 3, kid.ptr, kid.len);
		msgbuf_option(&b, OPTION_OSCORE, bytes_of(option, 3 + kid.len));
	}
	if (echo.len)
		msgbuf_option(&b, OPTION_ECHO, echo);
	msgbuf_payload(&b, bytes_of(payload, s->edhoc ? EDHOC_MESSAGE_1 : 17));
	return msgbuf_end(&b);
}

/* Bots */

static uint32_t now_ms(const struct scene *s)
{
	return (uint32_t)(s->world->now / TSTAMP_MS);
}

static void bot_ask(struct scene *s, uint32_t i)
{
	struct bot *b = &s->bots[i];
	uint64_t r = world_random(s->world);
	struct path p = { LEG_CLIENT, s->world->listen, bot_addr(s, i) };
	uint8_t buf[160], kid[5] = { 0xb0 };
	bool fresh = b->echo_len && now_ms(s) - b->echo_at < ECHO_LIFE / TSTAMP_MS;

	memcpy(kid + 1, p.remote.ip + 12, 4);
	s->sent++;
	proxy_receive(s->world->proxy, &p,
		      compose(s, buf, sizeof buf, (uint16_t)r, bytes_of((const uint8_t *)&r + 2, 4),
			      bytes_of(kid, sizeof kid), (uint32_t)(r >> 50),
			      bytes_of(b->echo, fresh ? b->echo_len : 0)),
		      s->world->now);
}

/* A new Echo is used at once, but once a turn only. */
static bool bot_take(struct scene *s, uint32_t i, const struct msg *m)
{
	struct bot *b = &s->bots[i];
	struct msg_option echo;
	bool had = b->echo_len && now_ms(s) - b->echo_at < ECHO_LIFE / TSTAMP_MS;

	if (!msg_find(m, OPTION_ECHO, &echo) || echo.value.len > sizeof b->echo)
		return false;
	memcpy(b->echo, echo.value.ptr, echo.value.len);
	b->echo_len = (uint8_t)echo.value.len;
	b->echo_at = now_ms(s);
	return !had;
}

static void bot_again(struct scene *s, uint32_t i)
{
	if (s->n_again == AGAINS)
		return;
	s->again[(s->first_again + s->n_again++) % AGAINS] = (struct again){ s->world->now + AGAIN_DELAY, i };
}

static void bot_returns(struct scene *s)
{
	uint32_t i = s->again[s->first_again].bot;

	s->first_again = (s->first_again + 1) % AGAINS;
	s->n_again--;
	bot_ask(s, i);
}

/* Newcomers */

static void newcomer_send(struct scene *s, struct newcomer *n)
{
	struct path p = { LEG_CLIENT, s->world->listen, n->addr };
	uint32_t i = (uint32_t)(n - s->newcomers);
	uint8_t buf[160], kid[3] = { 0x80, (uint8_t)(i >> 8), (uint8_t)i };

	n->sends++;
	heap_set(&s->timers, &n->timer, s->world->now + n->timeout);
	n->timeout *= 2;
	proxy_receive(s->world->proxy, &p,
		      compose(s, buf, sizeof buf, n->mid, bytes_of(n->token, 4), bytes_of(kid, sizeof kid), n->piv,
			      bytes_of(n->echo, n->echo_len)),
		      s->world->now);
}

static void newcomer_begin(struct scene *s, struct newcomer *n)
{
	uint64_t r = world_random(s->world);

	memcpy(n->token, &r, 4);
	n->mid = (uint16_t)(r >> 32);
	n->piv++;
	n->sends = 0;
	n->busy = true;
	n->heard = false;
	n->began = s->world->now;
	n->timeout = 2 * TSTAMP_S + world_random(s->world) % TSTAMP_S;
	newcomer_send(s, n);
}

static void newcomer_timer(struct scene *s, struct newcomer *n)
{
	heap_remove(&s->timers, &n->timer);
	if (!n->busy || s->world->now - n->began >= PATIENCE) {
		newcomer_begin(s, n);
	} else if (n->heard || n->sends > 4) {
		heap_set(&s->timers, &n->timer, n->began + PATIENCE);
	} else {
		newcomer_send(s, n);
	}
}

static void newcomer_take(struct scene *s, struct newcomer *n, const struct msg *m)
{
	struct msg_option found;
	uint32_t age = 60;

	if (m->code == MSG_EMPTY) {
		n->heard |= m->type == MSG_ACK && m->mid == n->mid;
		return;
	}
	if (!n->busy || !bytes_equal(m->token, bytes_of(n->token, 4)))
		return;
	if (MSG_CLASS(m->code) == 2) {
		n->done = s->world->now;
		n->busy = false;
		heap_remove(&s->timers, &n->timer);
		return;
	}
	n->busy = false;
	if (msg_find(m, OPTION_MAX_AGE, &found))
		option_uint(found.value, &age);
	if (msg_find(m, OPTION_ECHO, &found) && found.value.len <= ECHO_MAX) {
		memcpy(n->echo, found.value.ptr, found.value.len);
		n->echo_len = found.value.len;
		age = m->code == MSG_UNAUTHORIZED ? 0 : s->hasty && age > HASTE ? HASTE : age;
	}
	heap_set(&s->timers, &n->timer, s->world->now + age * TSTAMP_S + 1);
}

static void newcomer_arrives(struct scene *s)
{
	struct newcomer *n = &s->newcomers[s->n_newcomers];

	*n = (struct newcomer){ .origin = s->n_newcomers % ORIGINS, .came = s->world->now };
	n->addr = newcomer_addr(s, n->origin, s->n_newcomers++);
	newcomer_begin(s, n);
}

/* The device: serves one after the other. */

static void device_take(struct scene *s, const struct path *from, const struct msg *m)
{
	struct answer *a = &s->answers[(s->first_answer + s->n_answers) % ANSWERS];
	uint64_t takes = s->edhoc ? EDHOC_US * TSTAMP_MS / 1000 : 0;
	struct msg_option oscore;
	struct msgbuf b;
	bool known;

	if (m->code == MSG_EMPTY)
		return;
	s->admitted++;
	if (s->n_answers == ANSWERS) {
		s->lost_answers++;
		return;
	}
	known = msg_find(m, OPTION_OSCORE, &oscore) && oscore.value.len > 3 && oscore.value.ptr[3] == 0x80;
	s->accepted += known;
	s->device_free = (s->device_free > s->world->now ? s->device_free : s->world->now) + takes;
	*a = (struct answer){ .at = s->device_free + ANSWER_DELAY,
			      .path = { LEG_DEVICE, from->local, s->world->device.addr } };
	msgbuf_begin(&b, a->data, sizeof a->data, m->type == MSG_CON ? MSG_ACK : MSG_NON,
		     s->edhoc || known ? MSG_CHANGED : MSG_UNAUTHORIZED, m->mid, m->token);
	if (known)
		msgbuf_option(&b, OPTION_OSCORE, bytes_of(NULL, 0));
	msgbuf_payload(&b, bytes_of("\x58 some answer of a device", 25));
	a->len = msgbuf_end(&b).len;
	s->n_answers++;
}

/* The world goes on */

static void mail(struct scene *s, const struct path *to, const uint8_t *data, size_t len)
{
	struct mail *m = &s->outbox[s->n_out];

	if (s->n_out == OUTBOX)
		return;
	m->path = *to;
	m->len = len;
	memcpy(m->data, data, len);
	s->n_out++;
}

static bool empty_for(struct scene *s, const struct path *p, const struct msg *m)
{
	uint8_t reply[4] = { m->code == MSG_EMPTY ? 0x70 : 0x60, 0, (uint8_t)(m->mid >> 8), (uint8_t)m->mid };

	if (m->type != MSG_CON)
		return false;
	mail(s, p, reply, sizeof reply); /* RST to a ping, ACK to a response */
	return m->code == MSG_EMPTY;
}

static void client_take(struct scene *s, const struct path *p, const struct msg *m)
{
	uint32_t i = 0;

	for (unsigned k = 0; k < 4; k++)
		i = i << 8 | p->remote.ip[12 + k];
	if (empty_for(s, p, m)) {
		if (p->remote.port == BOT_PORT)
			bot_again(s, i);
		return;
	}
	if (p->remote.port == NEW_PORT)
		newcomer_take(s, &s->newcomers[i], m);
	else if (m->code != MSG_EMPTY && bot_take(s, i, m))
		bot_ask(s, i);
}

static void pump(struct scene *s)
{
	struct world *w = s->world;

	for (bool more = true; more;) {
		struct path to;
		struct bytes d;

		more = false;
		while ((d = proxy_transmit(w->proxy, &to, w->now)).len) {
			uint8_t copy[1280];
			struct msg m;

			memcpy(copy, d.ptr, d.len);
			more = true;
			if (msg_parse(&m, bytes_of(copy, d.len)) != MSG_OK)
				continue;
			if (to.leg == LEG_DEVICE)
				device_take(s, &to, &m);
			else
				client_take(s, &to, &m);
		}
		for (unsigned i = 0; i < s->n_out; i++)
			proxy_receive(w->proxy, &s->outbox[i].path, bytes_of(s->outbox[i].data, s->outbox[i].len),
				      w->now);
		more |= s->n_out > 0;
		s->n_out = 0;
	}
}

static void answer_one(struct scene *s)
{
	struct answer *a = &s->answers[s->first_answer];

	s->first_answer = (s->first_answer + 1) % ANSWERS;
	s->n_answers--;
	proxy_receive(s->world->proxy, &a->path, bytes_of(a->data, a->len), s->world->now);
}

static void run(struct scene *s, double before, double minutes, double between)
{
	struct world *w = s->world;
	double rate = s->n_bots / (double)BOT_PAUSE > s->most_rate ? s->most_rate : s->n_bots / (double)BOT_PAUSE;
	tstamp arrival = w->now + (tstamp)(before * 60 * (double)TSTAMP_S),
	       end = arrival + (tstamp)(minutes * 60 * (double)TSTAMP_S);
	tstamp bot_at = w->now;

	while (w->now < end) {
		struct heap_node *top = heap_top(&s->timers);
		tstamp next = tstamp_min(bot_at, arrival);

		next = tstamp_min(next, top ? top->at : TSTAMP_NEVER);
		next = tstamp_min(next, s->n_answers ? s->answers[s->first_answer].at : TSTAMP_NEVER);
		next = tstamp_min(next, s->n_again ? s->again[s->first_again].at : TSTAMP_NEVER);
		next = tstamp_min(next, proxy_next_expiry(w->proxy, w->now));
		w->now = next > w->now ? next : w->now;
		if (w->now >= bot_at) {
			bot_ask(s, s->turn++ % s->n_bots);
			bot_at += (tstamp)((double)TSTAMP_S / rate * (0.5 + fraction(s)));
		}
		if (w->now >= arrival && s->n_newcomers < NEWCOMERS) {
			newcomer_arrives(s);
			arrival += (tstamp)(-log(1 - fraction(s)) * between * (double)TSTAMP_S) + 1;
		}
		if (s->n_again && s->again[s->first_again].at <= w->now)
			bot_returns(s);
		if (top && top->at <= w->now)
			newcomer_timer(s, (struct newcomer *)(void *)top);
		if (s->n_answers && s->answers[s->first_answer].at <= w->now)
			answer_one(s);
		proxy_expire(w->proxy, w->now);
		pump(s);
	}
}

/* What came of it */

static int by_wait(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of those of one origin that came a time before the end: share served soon, and the median of all (who still waits counts as infinite). */
static void report_origin(const struct scene *s, enum origin origin, const char *name)
{
	static double waits[NEWCOMERS];
	uint32_t n = 0, soon = 0;

	for (uint32_t i = 0; i < s->n_newcomers; i++) {
		const struct newcomer *c = &s->newcomers[i];
		tstamp until = c->done ? c->done : TSTAMP_NEVER;

		if ((origin != ORIGINS && c->origin != origin) || s->world->now - c->came < SOON * TSTAMP_S)
			continue;
		waits[n] = c->done ? (double)(until - c->came) / (double)TSTAMP_S : INFINITY;
		soon += waits[n++] <= SOON;
	}
	qsort(waits, n, sizeof *waits, by_wait);
	printf(", \"%s\": {\"asked\": %u, \"within_60s\": %u", name, n, soon);
	for (unsigned p = 50; n && p <= 99; p += p == 50 ? 40 : 9) {
		double w = waits[(size_t)n * p / 100];

		if (isinf(w))
			printf(", \"p%u\": null", p);
		else
			printf(", \"p%u\": %.2f", p, w);
	}
	putchar('}');
}

static void report(const struct scene *s, double minutes)
{
	printf("{\"bots\": %u, \"addresses\": %u, \"rogue\": %u, \"kind\": \"%s\", \"units_per_min\": "
	       "%g, \"minutes\": "
	       "%g, \"regions\": %u, \"sites\": %u, "
	       "\"sent\": %llu, \"at_device\": %llu, \"accepted\": %llu",
	       s->n_bots, s->addresses, s->rogue, s->edhoc ? "edhoc" : "oscore", s->units, minutes, s->n_regions,
	       s->n_sites, (unsigned long long)s->sent, (unsigned long long)s->admitted,
	       (unsigned long long)s->accepted);
	report_origin(s, UNTOUCHED, "untouched");
	report_origin(s, SAME_32, "same_32");
	report_origin(s, SAME_48, "same_48");
	report_origin(s, ORIGINS, "all");
	puts("}");
}

static struct world *open_world(double units, uint64_t seed)
{
	char config[1024];

	snprintf(config, sizeof config,
		 "[guard]\nexchanges = 4096\nmemory-limit = 256MiB\n[link air]\nrate = 1Mbit/s\nburst = 16KiB\n[server "
		 "dev]\naddress = coap://[2001:db8:6::17]\n"
		 "unknown-rate = %.0f/h\nunknown-budget = 1000000000/day\n[allow-list]\nsave = no\n",
		 units * 60);
	return world_open(config, NULL, seed);
}

int main(int argc, char **argv)
{
	static struct scene s = { .n_bots = 100, .addresses = 1, .units = 60, .most_rate = MOST_RATE };
	double before = 60, minutes = 60, between = 10;
	uint64_t seed = 1;
	int c;

	while ((c = getopt(argc, argv, "b:a:g:k:u:r:w:m:n:S:i")) != -1) {
		switch (c) {
		case 'b': s.n_bots = (uint32_t)atol(optarg); break;
		case 'a': s.addresses = (uint32_t)atol(optarg); break;
		case 'g': s.rogue = (uint32_t)atol(optarg); break;
		case 'k': s.edhoc = *optarg == 'e'; break;
		case 'u': s.units = atof(optarg); break;
		case 'r': s.most_rate = atof(optarg); break;
		case 'w': before = atof(optarg); break;
		case 'i': s.hasty = true; break;
		case 'm': minutes = atof(optarg); break;
		case 'n': between = atof(optarg); break;
		case 'S': seed = (uint64_t)atoll(optarg); break;
		default: return 64;
		}
	}
	s.n_bots = s.n_bots * s.addresses + s.rogue;
	s.bots = calloc(s.n_bots, sizeof *s.bots);
	s.sites = calloc(s.n_bots, sizeof *s.sites);
	s.newcomers = calloc(NEWCOMERS, sizeof *s.newcomers);
	if (!s.bots || !s.sites || !s.newcomers)
		return 1;
	heap_init(&s.timers, s.slots, NEWCOMERS);
	s.world = open_world(s.units, seed);
	place_bots(&s);
	run(&s, before, minutes, between);
	report(&s, minutes);
	world_close(s.world);
	free(s.bots);
	free(s.sites);
	free(s.newcomers);
	return 0;
}

/*
 * asker: an honest crowd. Client i asks from wire_source(first + i) with kid first + i and rising
 * Partial IVs; the requests go round the clients, so that no client has two outstanding while
 * window <= sources.
 */
#include "load.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 1024

struct asked {
	uint64_t number, since; /* since 0: free */
};

struct asker {
	struct load *load;
	int fd;
	struct asked slots[WINDOW];
	uint16_t free[WINDOW];
	uint32_t n_free;
	uint64_t asked, answered, lost, pings, start;
	uint64_t codes[256];
	uint32_t *latency; /* ns, of each answered request */
	struct batch in, out;
};

static void ask(struct asker *a, uint64_t now)
{
	const struct load *l = a->load;
	uint16_t slot = a->free[--a->n_free];
	uint32_t client = l->first + (uint32_t)(a->asked % l->sources);
	struct wire w = l->shape;
	unsigned i = a->out.n++;

	a->slots[slot] = (struct asked){ a->asked, now };
	w.kid = client;
	w.piv += (uint32_t)(a->asked / l->sources);
	w.token = (uint64_t)slot << 48 | a->asked;
	w.mid = (uint16_t)(w.piv + client * 7919); /* no client repeats one while piv rises */
	load_address(l, &a->out, i, wire_write(a->out.data[i], &w), client);
	a->asked++;
}

static void release(struct asker *a, uint16_t slot)
{
	a->slots[slot].since = 0;
	a->free[a->n_free++] = slot;
}

/* An empty reply: RST to a ping, ACK to a separate response. */
static void settle(struct asker *a, unsigned i, uint8_t first_byte)
{
	uint8_t m[4] = { first_byte, 0, a->in.data[i][2], a->in.data[i][3] };
	struct in_addr local = batch_local(&a->in, i);
	struct batch *b = &a->out;

	if (b->n == BATCH_SIZE) {
		batch_send(b, a->fd);
		b->n = 0;
	}
	memcpy(b->data[b->n], m, sizeof(m));
	load_address(a->load, b, b->n, sizeof(m), 0);
	b->peer[b->n] = a->in.peer[i];
	batch_source(b, b->n++, local);
}

static void hear(struct asker *a, unsigned i, uint64_t now)
{
	const uint8_t *m = a->in.data[i];
	uint64_t token;
	uint16_t slot;

	if (a->in.iov[i].iov_len >= 4 && m[0] == 0x40 && m[1] == 0) {
		a->pings++;
		settle(a, i, 0x70);
		return;
	}
	if (a->in.iov[i].iov_len < 12 || (m[0] & 0xcf) != 0x48)
		return;
	if ((m[0] & 0x30) == 0)
		settle(a, i, 0x60);
	memcpy(&token, m + 4, 8);
	slot = (uint16_t)(token >> 48);
	if (slot >= WINDOW || !a->slots[slot].since || a->slots[slot].number != (token & 0xffffffffffff))
		return;
	a->latency[a->answered++] = (uint32_t)(now - a->slots[slot].since);
	a->codes[m[1]]++;
	release(a, slot);
}

static void give_up(struct asker *a, uint64_t now)
{
	uint64_t patience = (uint64_t)a->load->timeout_ms * 1000000;

	for (uint16_t s = 0; s < WINDOW; s++)
		if (a->slots[s].since && now - a->slots[s].since > patience) {
			a->lost++;
			release(a, s);
		}
}

/* With --rate, request number n is due n periods after the start. */
static bool is_due(const struct asker *a, uint64_t now)
{
	const struct load *l = a->load;

	return a->asked < l->count && a->n_free > WINDOW - l->window && a->out.n < BATCH_SIZE &&
	       (!l->rate || now - a->start >= a->asked * 1000000000u / l->rate);
}

static void turn(struct asker *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };
	uint64_t now = load_clock();

	a->out.n = 0;
	while (is_due(a, now))
		ask(a, now);
	if (a->out.n)
		batch_send(&a->out, a->fd);
	a->out.n = 0;
	poll(&p, 1, a->load->rate ? 1 : 100);
	batch_receive(&a->in, a->fd, true, MSG_DONTWAIT);
	now = load_clock();
	for (unsigned i = 0; i < a->in.n; i++)
		hear(a, i, now);
	if (a->out.n)
		batch_send(&a->out, a->fd);
	if (!a->in.n)
		give_up(a, now);
}

static int compare(const void *x, const void *y)
{
	uint32_t a, b;

	memcpy(&a, x, sizeof(a));
	memcpy(&b, y, sizeof(b));
	return (a > b) - (a < b);
}

static void print(struct asker *a)
{
	static const unsigned permille[] = { 500, 900, 990, 999 };
	const char *comma = "";

	qsort(a->latency, a->answered, sizeof(*a->latency), compare);
	printf("{\"asked\": %llu, \"answered\": %llu, \"lost\": %llu, \"pings\": %llu, "
	       "\"seconds\": %.4f",
	       (unsigned long long)a->asked, (unsigned long long)a->answered, (unsigned long long)a->lost,
	       (unsigned long long)a->pings, (double)(load_clock() - a->start) / 1e9);
	for (unsigned i = 0; i < sizeof(permille) / sizeof(*permille) && a->answered; i++)
		printf(", \"p%u\": %.1f", permille[i], a->latency[(a->answered - 1) * permille[i] / 1000] / 1000.0);
	printf(", \"codes\": {");
	for (unsigned c = 0; c < 256; c++)
		if (a->codes[c]) {
			printf("%s\"%u.%02u\": %llu", comma, c >> 5, c & 31, (unsigned long long)a->codes[c]);
			comma = ", ";
		}
	printf("}}\n");
}

int asker_run(struct load *l)
{
	struct asker *a = calloc(1, sizeof(*a));

	if (!a || l->window < 1 || l->window > WINDOW)
		return 64;
	a->latency = calloc(l->count, sizeof(*a->latency));
	if (!a->latency)
		return 71;
	a->load = l;
	a->fd = batch_socket(&l->local, true, 1 << 22);
	while (a->n_free < WINDOW) {
		a->free[a->n_free] = (uint16_t)(WINDOW - 1 - a->n_free);
		a->n_free++;
	}
	a->start = load_clock();
	while (a->answered + a->lost < l->count)
		turn(a);
	print(a);
	return 0;
}

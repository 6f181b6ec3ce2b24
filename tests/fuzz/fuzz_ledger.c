#include "fuzz_ledger.h"
#include "base/siphash.h"
#include "coap/msg.h"
#include "proxy/core.h"

void fuzz_ledger_open(struct fuzz_ledger *l, const struct addr spoofed[FUZZ_SPOOFED])
{
	memset(l, 0, sizeof *l);
	for (unsigned i = 0; i < FUZZ_SPOOFED; i++)
		l->spoofed[i].who = spoofed[i];
}

const char *fuzz_ledger_in(struct fuzz_ledger *l, const struct addr *from, size_t len)
{
	for (unsigned i = 0; i < FUZZ_SPOOFED; i++)
		if (addr_equal(&l->spoofed[i].who, from))
			l->spoofed[i].in += len + PROXY_FRAME;
	return NULL;
}

const char *fuzz_ledger_out(struct fuzz_ledger *l, const struct addr *to, struct bytes datagram)
{
	struct msg m;

	if (msg_parse(&m, datagram) != MSG_OK)
		return "not a message";
	for (unsigned i = 0; i < FUZZ_SPOOFED; i++) {
		if (!addr_equal(&l->spoofed[i].who, to))
			continue;
		l->spoofed[i].out += datagram.len + PROXY_FRAME;
		if (l->spoofed[i].out > 3 * l->spoofed[i].in)
			return "more than three bytes for each that came from an unproven address";
		if (datagram.len > PROXY_UNPROVEN + m.token.len)
			return "a long datagram to an unproven address";
	}
	return NULL;
}

static double cost(const struct linksched_config *c, size_t len)
{
	size_t all = len + c->overhead;

	return (double)(all + (c->frame_size ? (all + c->frame_size - 1) / c->frame_size * c->frame_overhead : 0));
}

static bool is_same_link(const struct linksched_config *a, const struct linksched_config *b)
{
	return a->rate.count == b->rate.count && a->rate.period == b->rate.period && a->burst == b->burst &&
	       a->overhead == b->overhead && a->frame_size == b->frame_size && a->frame_overhead == b->frame_overhead;
}

/* What is larger than the bucket may go when it is full; its debt is paid after. */
const char *fuzz_ledger_link(struct fuzz_ledger *l, uint8_t link, const struct linksched_config *cfg, size_t len,
			     tstamp now)
{
	double *level = &l->links[link].level, due = cost(cfg, len);

	if (!is_same_link(&l->links[link].cfg, cfg)) {
		l->links[link].cfg = *cfg;
		*level = (double)cfg->burst;
	}
	*level += (double)cfg->rate.count / (double)cfg->rate.period * (double)(now - l->links[link].at);
	l->links[link].at = now;
	if (*level > (double)cfg->burst)
		*level = (double)cfg->burst;
	if (*level + 0.01 < (due < (double)cfg->burst ? due : (double)cfg->burst))
		return "more bytes than the link has room for";
	*level -= due;
	return NULL;
}

/* What was given back stays counted. */
void fuzz_ledger_charge(struct fuzz_ledger *l, uint8_t server, const struct guard_server_state *s)
{
	for (unsigned i = 0; i < BUDGETS; i++) {
		const struct budget *b = &s->budgets[i];
		uint32_t before = l->strangers[server].seen[i].day == b->day ? l->strangers[server].seen[i].used : 0;

		if (b->used > before)
			l->strangers[server].charged += b->used - before;
		l->strangers[server].seen[i].day = b->day;
		l->strangers[server].seen[i].used = b->used;
	}
}

const char *fuzz_ledger_stranger(struct fuzz_ledger *l, uint8_t server, uint32_t units)
{
	l->strangers[server].sent += units;
	return l->strangers[server].sent > l->strangers[server].charged ? "more for strangers than they were charged"
									: NULL;
}

void fuzz_ledger_refill(struct fuzz_ledger *l)
{
	for (unsigned i = 0; i < FUZZ_LINKS; i++)
		l->links[i].cfg = (struct linksched_config){ .burst = 0 };
}

static uint64_t hash(const void *at, size_t len)
{
	static const struct siphash_key key = { 1, 2 };
	uint64_t sum = siphash(&key, at, len);

	return sum ? sum : 1;
}

const char *fuzz_ledger_nonce(struct fuzz_ledger *l, uint8_t context, bool own, uint64_t number, struct bytes text)
{
	const uint64_t name[3] = { context, own, number };
	uint64_t nonce = hash(name, sizeof name), sealed = hash(text.ptr, text.len);

	for (uint64_t i = nonce, tries = 0; tries < FUZZ_NONCES; i++, tries++) {
		if (l->nonces[i % FUZZ_NONCES].nonce == 0) {
			l->nonces[i % FUZZ_NONCES].nonce = nonce;
			l->nonces[i % FUZZ_NONCES].text = sealed;
			return NULL;
		}
		if (l->nonces[i % FUZZ_NONCES].nonce == nonce)
			return l->nonces[i % FUZZ_NONCES].text == sealed ? NULL : "two texts under one nonce";
	}
	return NULL; /* full: a story is not that long */
}

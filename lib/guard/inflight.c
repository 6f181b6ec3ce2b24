#include "guard/inflight.h"
#include "guard/policy.h"
#include "base/memory.h"

#define NONE UINT32_MAX

struct place {
	struct inflight_request rq;
	uint32_t generation, next; /* next: in its chain, or in the free list */
	bool used;
};

struct inflight {
	struct place *places;
	uint32_t *chains; /* heads, by relation and Partial IV */
	uint32_t capacity, count, free, mask;
	uint16_t handshakes[POLICY_SERVERS];
};

size_t inflight_memory(uint32_t capacity)
{
	return sizeof(struct inflight) + capacity * sizeof(struct place) +
	       memory_buckets(capacity, 1) * sizeof(uint32_t);
}

struct inflight *inflight_create(uint32_t capacity)
{
	struct inflight *f = memory_create(1, sizeof *f);

	if (!f)
		return NULL;
	f->capacity = capacity;
	f->mask = memory_buckets(capacity, 1) - 1;
	f->places = memory_create(capacity, sizeof *f->places);
	f->chains = memory_create((size_t)f->mask + 1, sizeof *f->chains);
	if (!f->places || !f->chains) {
		inflight_free(f);
		return NULL;
	}
	for (uint32_t i = 0; i < capacity; i++)
		f->places[i].next = i + 1 < capacity ? i + 1 : NONE;
	memset(f->chains, 0xff, ((size_t)f->mask + 1) * sizeof *f->chains);
	return f;
}

void inflight_free(struct inflight *f)
{
	if (f) {
		memory_free(f->places);
		memory_free(f->chains);
	}
	memory_free(f);
}

static uint32_t *chain(const struct inflight *f, uint64_t relation, uint64_t piv)
{
	return &f->chains[(relation ^ piv * 0x9e3779b97f4a7c15ULL) >> 7 & f->mask];
}

static void count_handshake(struct inflight *f, const struct inflight_request *rq, int step)
{
	if (rq->kind == BUDGET_HANDSHAKE && !rq->waiting && !rq->continued)
		f->handshakes[rq->server] = (uint16_t)(f->handshakes[rq->server] + step);
}

struct guard_ticket inflight_open(struct inflight *f, const struct inflight_request *rq)
{
	uint32_t slot = f->free, *head;
	struct place *p;

	if (slot == NONE)
		return (struct guard_ticket){ 0, 0 };
	p = &f->places[slot];
	f->free = p->next;
	p->rq = *rq;
	p->used = true;
	p->generation += p->generation == UINT32_MAX ? 2 : 1;
	p->next = NONE;
	if (rq->relation) {
		head = chain(f, rq->relation, rq->piv);
		p->next = *head;
		*head = slot;
	}
	count_handshake(f, rq, 1);
	f->count++;
	return (struct guard_ticket){ slot, p->generation };
}

struct inflight_request *inflight_get(struct inflight *f, struct guard_ticket t)
{
	struct place *p = t.slot < f->capacity ? &f->places[t.slot] : NULL;

	return t.generation && p && p->used && p->generation == t.generation ? &p->rq : NULL;
}

void inflight_launch(struct inflight *f, struct guard_ticket t)
{
	struct inflight_request *rq = inflight_get(f, t);

	if (rq && rq->waiting) {
		rq->waiting = false;
		count_handshake(f, rq, 1);
	}
}

static void unchain(struct inflight *f, uint32_t slot)
{
	const struct inflight_request *rq = &f->places[slot].rq;
	uint32_t *at = chain(f, rq->relation, rq->piv);

	while (*at != NONE && *at != slot)
		at = &f->places[*at].next;
	if (*at == slot)
		*at = f->places[slot].next;
}

void inflight_close(struct inflight *f, struct guard_ticket t)
{
	const struct inflight_request *rq = inflight_get(f, t);
	struct place *p = rq ? &f->places[t.slot] : NULL;

	if (!p)
		return;
	if (rq->relation)
		unchain(f, t.slot);
	count_handshake(f, rq, -1);
	p->used = false;
	p->next = f->free;
	f->free = t.slot;
	f->count--;
}

bool inflight_has(const struct inflight *f, uint64_t relation, uint64_t piv, uint64_t endpoint)
{
	for (uint32_t i = *chain(f, relation, piv); i != NONE; i = f->places[i].next) {
		const struct inflight_request *rq = &f->places[i].rq;

		if (rq->relation == relation && rq->piv == piv && (!endpoint || rq->endpoint == endpoint))
			return true;
	}
	return false;
}

bool inflight_handshake(const struct inflight *f, uint8_t server)
{
	return f->handshakes[server] > 0;
}

uint32_t inflight_count(const struct inflight *f)
{
	return f->count;
}

#include "proxy/exchange.h"
#include "base/memory.h"

enum { BY_TOKEN, BY_UP_MID, BY_FLOW, BY_DOWN_MID, BY_SUBJECT, INDEXES };

const char *exchange_state_word(enum exchange_state s)
{
	static const char *const words[] = {
		"free", "waiting",      "following", "parked",   "queued",    "displaced",
		"sent", "acknowledged", "gathering", "answered", "observing",
	};

	return words[s];
}

size_t exchange_memory(uint32_t capacity)
{
	return capacity * (sizeof(struct exchange) + sizeof(struct heap_node *)) +
	       memory_buckets(capacity, 1) * sizeof(uint32_t[INDEXES]);
}

bool exchange_table_init(struct exchange_table *t, uint32_t capacity)
{
	uint32_t n = memory_buckets(capacity, 1);

	*t = (struct exchange_table){ .capacity = capacity, .mask = n - 1 };
	t->all = memory_create(capacity, sizeof *t->all);
	t->chains = memory_create(1, n * sizeof(uint32_t[INDEXES]));
	t->heap_slots = memory_create(capacity, sizeof *t->heap_slots);
	if (!t->all || !t->chains || !t->heap_slots) {
		exchange_table_free(t);
		return false;
	}
	memset(t->chains, 0xff, n * sizeof(uint32_t[INDEXES]));
	heap_init(&t->timers, t->heap_slots, capacity);
	for (uint32_t i = 0; i < capacity; i++)
		t->all[i].next_token = i + 1 < capacity ? i + 1 : EXCHANGE_NONE;
	return true;
}

void exchange_table_free(struct exchange_table *t)
{
	memory_free(t->all);
	memory_free(t->chains);
	memory_free(t->heap_slots);
	*t = (struct exchange_table){ .all = NULL };
}

static uint64_t token_hash(struct bytes token)
{
	uint64_t h = 0;

	memcpy(&h, token.ptr, token.len < sizeof h ? token.len : sizeof h); /* random bytes: any slice is a hash */
	return h;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	return (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL >> 20;
}

static uint32_t *head(const struct exchange_table *t, unsigned index, uint64_t hash)
{
	return &t->chains[index * (t->mask + 1) + (hash & t->mask)];
}

static uint32_t *head_of(const struct exchange_table *t, unsigned index, const struct exchange *x)
{
	switch (index) {
	case BY_TOKEN: return head(t, index, token_hash(bytes_of(x->token, sizeof x->token)));
	case BY_UP_MID: return head(t, index, mix(x->server, x->up_mid));
	case BY_FLOW: return head(t, index, x->flow >> 8);
	case BY_SUBJECT: return head(t, index, x->key.request);
	default: return head(t, index, mix(x->flow, x->down_mid));
	}
}

static uint32_t *next_of(struct exchange *x, unsigned index)
{
	uint32_t *const next[INDEXES] = { &x->next_token, &x->next_up_mid, &x->next_flow, &x->next_down_mid,
					  &x->next_subject };

	return next[index];
}

static void enter(struct exchange_table *t, unsigned index, struct exchange *x)
{
	uint32_t *h = head_of(t, index, x);

	*next_of(x, index) = *h;
	*h = exchange_ref(t, x);
}

static void leave(struct exchange_table *t, unsigned index, struct exchange *x)
{
	uint32_t self = exchange_ref(t, x), *at = head_of(t, index, x);

	while (*at != EXCHANGE_NONE && *at != self)
		at = next_of(&t->all[*at], index);
	if (*at == self)
		*at = *next_of(x, index);
}

uint32_t exchange_ref(const struct exchange_table *t, const struct exchange *x)
{
	return (uint32_t)(x - t->all);
}

struct exchange *exchange_by_ref(const struct exchange_table *t, uint32_t ref)
{
	return ref < t->capacity && t->all[ref].state != EXCHANGE_FREE ? &t->all[ref] : NULL;
}

uint32_t exchange_flow_count(const struct exchange_table *t, uint64_t flow)
{
	uint32_t n = 0;

	for (const struct exchange *x = NULL; (x = exchange_of_flow(t, flow, x));)
		n++;
	return n;
}

struct exchange *exchange_open(struct exchange_table *t, const struct path *client, uint64_t flow, struct rng *rng)
{
	uint32_t ref = t->free;
	struct exchange *x;

	if (ref == EXCHANGE_NONE || exchange_flow_count(t, flow) >= t->capacity / 4)
		return NULL;
	x = &t->all[ref];
	t->free = x->next_token;
	*x = (struct exchange){ .client = *client,
				.flow = flow,
				.state = EXCHANGE_QUEUED,
				.errand = EXCHANGE_NONE,
				.parent = EXCHANGE_NONE,
				.subject = EXCHANGE_NONE,
				.followers = EXCHANGE_NONE,
				.ack_at = TSTAMP_NEVER,
				.device_at = TSTAMP_NEVER,
				.client_at = TSTAMP_NEVER };
	rng->fill(rng, x->token, sizeof x->token);
	enter(t, BY_TOKEN, x);
	enter(t, BY_FLOW, x);
	t->count++;
	return x;
}

/* While it is renewed it is not the less a relation. */
static bool is_relation(const struct exchange *x)
{
	return x->state == EXCHANGE_OBSERVING || x->renewing;
}

void exchange_set_state(struct exchange_table *t, struct exchange *x, enum exchange_state s)
{
	uint32_t *count = x->subject == EXCHANGE_NONE ? &t->observing[x->server] : &t->following;

	*count -= is_relation(x);
	x->state = (uint8_t)s;
	x->renewing &= s != EXCHANGE_OBSERVING && s != EXCHANGE_FREE;
	*count += is_relation(x);
}

void exchange_close(struct exchange_table *t, struct exchange *x)
{
	heap_remove(&t->timers, &x->timer);
	leave(t, BY_TOKEN, x);
	leave(t, BY_FLOW, x);
	if (x->up_indexed)
		leave(t, BY_UP_MID, x);
	if (x->down_indexed)
		leave(t, BY_DOWN_MID, x);
	if (x->subject_indexed)
		leave(t, BY_SUBJECT, x);
	exchange_set_state(t, x, EXCHANGE_FREE);
	exchange_unfollow(t, x);
	x->next_token = t->free;
	t->free = exchange_ref(t, x);
	t->count--;
}

struct exchange *exchange_by_token(const struct exchange_table *t, uint8_t server, struct bytes token)
{
	uint32_t i;

	if (token.len != EXCHANGE_TOKEN)
		return NULL;
	for (i = *head(t, BY_TOKEN, token_hash(token)); i != EXCHANGE_NONE; i = t->all[i].next_token)
		if (t->all[i].server == server && memcmp(t->all[i].token, token.ptr, EXCHANGE_TOKEN) == 0)
			return &t->all[i];
	return NULL;
}

struct exchange *exchange_by_up_mid(const struct exchange_table *t, uint8_t server, uint16_t mid)
{
	for (uint32_t i = *head(t, BY_UP_MID, mix(server, mid)); i != EXCHANGE_NONE; i = t->all[i].next_up_mid)
		if (t->all[i].server == server && t->all[i].up_mid == mid)
			return &t->all[i];
	return NULL;
}

struct exchange *exchange_by_down_mid(const struct exchange_table *t, uint64_t flow, uint16_t mid)
{
	for (uint32_t i = *head(t, BY_DOWN_MID, mix(flow, mid)); i != EXCHANGE_NONE; i = t->all[i].next_down_mid)
		if (t->all[i].flow == flow && t->all[i].down_mid == mid)
			return &t->all[i];
	return NULL;
}

struct exchange *exchange_of_flow(const struct exchange_table *t, uint64_t flow, const struct exchange *previous)
{
	uint32_t i = previous ? previous->next_flow : *head(t, BY_FLOW, flow >> 8);

	while (i != EXCHANGE_NONE && t->all[i].flow != flow)
		i = t->all[i].next_flow;
	return i == EXCHANGE_NONE ? NULL : &t->all[i];
}

void exchange_adopt_token(struct exchange_table *t, struct exchange *x, struct exchange *old)
{
	leave(t, BY_TOKEN, x);
	leave(t, BY_TOKEN, old);
	for (unsigned i = 0; i < EXCHANGE_TOKEN; i++) { /* old keeps the unused one until it is closed */
		uint8_t swap = x->token[i];

		x->token[i] = old->token[i];
		old->token[i] = swap;
	}
	enter(t, BY_TOKEN, x);
	enter(t, BY_TOKEN, old);
}

void exchange_renew_token(struct exchange_table *t, struct exchange *x, struct rng *rng)
{
	leave(t, BY_TOKEN, x);
	rng->fill(rng, x->token, sizeof x->token);
	enter(t, BY_TOKEN, x);
}

void exchange_set_up_mid(struct exchange_table *t, struct exchange *x, uint16_t mid)
{
	if (x->up_indexed)
		leave(t, BY_UP_MID, x);
	x->up_mid = mid;
	x->up_indexed = true;
	enter(t, BY_UP_MID, x);
}

void exchange_set_down_mid(struct exchange_table *t, struct exchange *x, uint16_t mid)
{
	if (x->down_indexed)
		leave(t, BY_DOWN_MID, x);
	x->down_mid = mid;
	x->down_indexed = true;
	enter(t, BY_DOWN_MID, x);
}

void exchange_share(struct exchange_table *t, struct exchange *x)
{
	x->subject_indexed = true;
	enter(t, BY_SUBJECT, x);
}

static bool same_key(const struct cache_key *a, const struct cache_key *b)
{
	return a->request == b->request && a->uri == b->uri && a->accept == b->accept;
}

struct exchange *exchange_by_key(const struct exchange_table *t, const struct cache_key *k,
				 const struct exchange *previous)
{
	uint32_t i = previous ? previous->next_subject : *head(t, BY_SUBJECT, k->request);

	while (i != EXCHANGE_NONE && !same_key(&t->all[i].key, k))
		i = t->all[i].next_subject;
	return i == EXCHANGE_NONE ? NULL : &t->all[i];
}

void exchange_follow(struct exchange_table *t, struct exchange *x, struct exchange *subject)
{
	if (x->state == EXCHANGE_OBSERVING) {
		t->observing[x->server]--;
		t->following++;
	}
	x->subject = exchange_ref(t, subject);
	x->next_follower = subject->followers;
	subject->followers = exchange_ref(t, x);
	t->followers++;
}

void exchange_unfollow(struct exchange_table *t, struct exchange *x)
{
	uint32_t self = exchange_ref(t, x), *at;

	if (x->subject == EXCHANGE_NONE)
		return;
	at = &t->all[x->subject].followers;
	while (*at != self)
		at = &t->all[*at].next_follower;
	*at = x->next_follower;
	if (x->state == EXCHANGE_OBSERVING) {
		t->following--;
		t->observing[x->server]++;
	}
	x->subject = EXCHANGE_NONE;
	t->followers--;
}

struct bytes exchange_client_token(const struct exchange *x)
{
	return bytes_of(x->long_token ? x->long_token->buf : x->client_token, x->token_len);
}

void exchange_arm(struct exchange_table *t, struct exchange *x)
{
	heap_set(&t->timers, &x->timer, tstamp_min(x->ack_at, tstamp_min(x->device_at, x->client_at)));
}

tstamp exchange_next_expiry(const struct exchange_table *t)
{
	const struct heap_node *n = heap_top(&t->timers);

	return n ? n->at : TSTAMP_NEVER;
}

struct exchange *exchange_expired(struct exchange_table *t, tstamp now)
{
	struct heap_node *n = heap_top(&t->timers);

	return n && tstamp_reached(n->at, now) ? (struct exchange *)(void *)n : NULL;
}

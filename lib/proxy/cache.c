#include "proxy/cache.h"
#include <assert.h>
#include "base/chunks.h"
#include "base/list.h"
#include "base/memory.h"
#include "coap/edits.h"

#define CHUNKS_MAX  (1u << 24)
#define ENTRY_BYTES 256 /* of the arena, for each entry there may be */
#define ENTRIES_MIN 16
#define ENTRIES_MAX 65535
#define MARKS_MIN   1024

struct entry {
	struct list lru;    /* in use, least recently used first, or free */
	struct entry *next; /* in its chain */
	uint64_t uri, request;
	uint64_t serial; /* no invalidation up to this one concerns it */
	uint64_t used;   /* when: a count of uses */
	tstamp since, expires;
	struct run run;     /* the options that it came with, then payload */
	struct run renewed; /* the options that took their place, if there are any: the payload stays where it is */
	uint32_t accept, content_format, max_age;
	uint16_t options; /* bytes */
	uint16_t skip;    /* in the run, before the payload */
	uint8_t code, etag_len;
	bool complete;
	uint8_t etag[CACHE_ETAG];
};

struct cache {
	struct chunks chunks;
	struct entry *entries, **chains; /* chains: by request */
	struct list lru, free;
	uint32_t entries_capacity, entries_used, chains_mask;
	uint64_t *marks; /* by URI: the serial of its last invalidation */
	uint32_t marks_mask;
	uint64_t serial, uses;
	uint64_t stored, evicted, refused;
	uint8_t options[CACHE_OPTIONS]; /* of what was found last, in one piece */
};

static uint32_t chunks_of(size_t bytes)
{
	return bytes / CHUNK < CHUNKS_MAX ? (uint32_t)(bytes / CHUNK) : CHUNKS_MAX;
}

static uint32_t entries_of(size_t bytes)
{
	size_t n = bytes / ENTRY_BYTES;

	return n < ENTRIES_MIN ? ENTRIES_MIN : n > ENTRIES_MAX ? ENTRIES_MAX : (uint32_t)n;
}

static uint32_t chains_of(size_t bytes)
{
	return memory_buckets(entries_of(bytes), 1);
}

static uint32_t marks_of(size_t bytes)
{
	uint32_t n = chains_of(bytes);

	return n < MARKS_MIN ? MARKS_MIN : n;
}

size_t cache_memory(size_t bytes)
{
	return sizeof(struct cache) + chunks_memory(chunks_of(bytes)) + entries_of(bytes) * sizeof(struct entry) +
	       chains_of(bytes) * sizeof(struct entry *) + marks_of(bytes) * sizeof(uint64_t);
}

static void init_lists(struct cache *c)
{
	list_init(&c->lru);
	list_init(&c->free);
	for (uint32_t i = 0; i < c->entries_capacity; i++)
		list_append(&c->free, &c->entries[i].lru);
}

struct cache *cache_create(size_t bytes)
{
	struct cache *c = memory_create(1, sizeof *c);

	if (!c)
		return NULL;
	c->entries_capacity = entries_of(bytes);
	c->chains_mask = chains_of(bytes) - 1;
	c->marks_mask = marks_of(bytes) - 1;
	c->entries = memory_create(c->entries_capacity, sizeof *c->entries);
	c->chains = memory_create((size_t)c->chains_mask + 1, sizeof(struct entry *));
	c->marks = memory_create((size_t)c->marks_mask + 1, sizeof *c->marks);
	if (!chunks_init(&c->chunks, chunks_of(bytes)) || !c->entries || !c->chains || !c->marks) {
		cache_free(c);
		return NULL;
	}
	init_lists(c);
	return c;
}

void cache_free(struct cache *c)
{
	if (c) {
		chunks_free(&c->chunks);
		memory_free(c->entries);
		memory_free(c->chains);
		memory_free(c->marks);
	}
	memory_free(c);
}

static struct entry **chain(const struct cache *c, uint64_t request)
{
	return &c->chains[request & c->chains_mask];
}

static struct bytes etag_of(const struct entry *e)
{
	return bytes_of(e->etag_len ? e->etag : NULL, e->etag_len);
}

static size_t payload_len(const struct entry *e)
{
	return e->run.size - e->skip;
}

static bool is_outdated(const struct cache *c, const struct entry *e)
{
	return c->marks[e->uri & c->marks_mask] > e->serial;
}

/* What clients are shown: never more than the server said, minus the age. */
static uint32_t time_left(const struct cache *c, const struct entry *e, tstamp now)
{
	uint64_t s = tstamp_since(now, e->expires) / TSTAMP_S;

	if (is_outdated(c, e))
		return 0;
	return s < e->max_age ? (uint32_t)s : e->max_age;
}

static uint32_t age(const struct entry *e, tstamp now)
{
	uint64_t ns = tstamp_since(e->since, now), s = ns / TSTAMP_S + (ns % TSTAMP_S != 0);

	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static bool is_variant(const struct entry *e, const struct cache_key *k)
{
	return e->request == k->request && e->uri == k->uri;
}

/*
 * Which representation comes of no Accept is the server's choice, and an error says nothing about other formats: 4.06 to one Accept
 * may be 2.05 to another.
 */
static bool serves(const struct entry *e, const struct cache_key *k)
{
	if (!is_variant(e, k))
		return false;
	return e->accept == k->accept ||
	       (k->accept != CACHE_ANY && e->content_format == k->accept && e->code >> 5 == 2);
}

static struct entry *serving(struct entry *e, const struct cache_key *k)
{
	while (e && !serves(e, k))
		e = e->next;
	return e;
}

static void use(struct cache *c, struct entry *e)
{
	list_remove(&e->lru);
	list_append(&c->lru, &e->lru);
	e->used = ++c->uses;
}

static void drop(struct cache *c, struct entry *e)
{
	struct entry **at = chain(c, e->request);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	chunks_release(&c->chunks, &e->run);
	chunks_release(&c->chunks, &e->renewed);
	e->options = e->skip = 0; /* nothing is there to be read */
	list_remove(&e->lru);
	list_append(&c->free, &e->lru);
	c->entries_used--;
}

static void evict(struct cache *c, struct entry *e)
{
	drop(c, e);
	c->evicted++;
}

static struct entry *least_used(struct cache *c)
{
	return LIST_ENTRY(c->lru.next, struct entry, lru);
}

/* Whose the chunks are, was used last. It has half of them at most, so it is never reached itself. */
static void make_room(struct cache *c, uint32_t chunks)
{
	assert(chunks <= c->chunks.capacity / 2);
	while (c->chunks.capacity - c->chunks.used < chunks)
		evict(c, least_used(c));
}

static bool fits(const struct cache *c, size_t options, size_t payload)
{
	size_t half = c->chunks.capacity / 2 * (size_t)CHUNK;

	return options <= half && payload <= half - options;
}

static size_t whole_chunks(size_t bytes)
{
	return chunks_for(bytes) * (size_t)CHUNK;
}

/* Who asks for one thing with ever new Accepts gets no long chain. */
static void limit_variants(struct cache *c, const struct cache_key *k)
{
	struct entry *stalest = NULL;
	unsigned n = 0;

	for (struct entry *e = *chain(c, k->request); e; e = e->next) {
		if (!is_variant(e, k))
			continue;
		n++;
		if (!stalest || e->used < stalest->used)
			stalest = e;
	}
	if (n >= CACHE_VARIANTS)
		evict(c, stalest);
}

static struct entry *claim(struct cache *c, const struct cache_key *k)
{
	struct entry *e, **head = chain(c, k->request);

	limit_variants(c, k);
	if (list_empty(&c->free))
		evict(c, least_used(c));
	e = LIST_ENTRY(c->free.next, struct entry, lru);
	e->uri = k->uri;
	e->request = k->request;
	e->accept = k->accept;
	e->next = *head;
	*head = e;
	c->entries_used++;
	use(c, e);
	return e;
}

static void renew(struct cache *c, struct entry *e, uint32_t max_age, tstamp now)
{
	e->serial = c->serial;
	e->since = now;
	e->max_age = max_age;
	e->expires = tstamp_add(now, max_age * TSTAMP_S);
}

static void write_head(struct entry *e, const struct cache_head *head)
{
	e->code = head->code;
	e->content_format = head->content_format;
	e->options = e->skip = (uint16_t)head->options.len;
	e->etag_len = (uint8_t)head->etag.len;
	if (e->etag_len)
		memcpy(e->etag, head->etag.ptr, e->etag_len);
}

static struct entry *exact(const struct cache *c, const struct cache_key *k)
{
	struct entry *e = *chain(c, k->request);

	while (e && !(is_variant(e, k) && e->accept == k->accept))
		e = e->next;
	return e;
}

static bool begin(struct cache *c, const struct cache_key *k, const struct cache_head *head, struct bytes payload,
		  bool complete, tstamp now)
{
	struct entry *e = exact(c, k);

	if (e)
		drop(c, e);
	if (head->etag.len > CACHE_ETAG || head->options.len > CACHE_OPTIONS ||
	    !fits(c, head->options.len, payload.len))
		return false;
	e = claim(c, k);
	make_room(c, chunks_for(head->options.len + payload.len));
	write_head(e, head);
	chunks_append(&c->chunks, &e->run, head->options);
	chunks_append(&c->chunks, &e->run, payload);
	e->complete = complete;
	renew(c, e, head->max_age, now);
	c->stored++;
	return true;
}

/* What the head goes on with. What it contradicts is gone: the server has another representation now. */
static struct entry *continued(struct cache *c, const struct cache_key *k, const struct cache_head *head)
{
	struct entry *found = NULL, *next;

	for (struct entry *e = serving(*chain(c, k->request), k); e; e = next) {
		next = serving(e->next, k);
		if (e->code != head->code || !bytes_equal(etag_of(e), head->etag))
			drop(c, e);
		else if (!found || e->accept == k->accept)
			found = e;
	}
	return head->etag.len ? found : NULL;
}

static bool follow(struct cache *c, const struct cache_key *k, const struct cache_head *head, size_t offset,
		   struct bytes payload, bool complete, tstamp now)
{
	struct entry *e = continued(c, k, head);
	size_t end = offset + payload.len, len = e ? payload_len(e) : 0;

	if (!e || offset > len)
		return false;
	if ((complete && end < len) || (e->complete && end > len)) {
		drop(c, e);
		return false;
	}
	if (!fits(c, e->skip + whole_chunks(e->renewed.size), end))
		return false;
	use(c, e);
	if (end > len) {
		make_room(c, chunks_missing(&e->run, e->skip + end));
		chunks_append(&c->chunks, &e->run, bytes_of(payload.ptr + (len - offset), end - len));
	}
	e->complete = e->complete || complete;
	e->expires = tstamp_min(e->expires, tstamp_add(now, head->max_age * TSTAMP_S));
	return true;
}

/* Into c->options, in one piece. */
static struct bytes options_of(struct cache *c, const struct entry *e)
{
	chunks_read(&c->chunks, e->renewed.size ? &e->renewed : &e->run, 0, c->options, e->options);
	return bytes_of(c->options, e->options);
}

static void describe(struct cache *c, const struct entry *e, tstamp now, struct cache_entry *out)
{
	*out = (struct cache_entry){
		.head = { .code = e->code,
			  .max_age = e->max_age,
			  .content_format = e->content_format,
			  .etag = etag_of(e),
			  .options = options_of(c, e) },
		.place = (uint32_t)(e - c->entries),
		.len = payload_len(e),
		.complete = e->complete,
		.outdated = is_outdated(c, e),
		.age = age(e, now),
		.max_age = time_left(c, e, now),
	};
}

bool cache_find(struct cache *c, const struct cache_key *k, tstamp now, struct cache_entry *out)
{
	struct entry *best = NULL;
	unsigned highest = 0;

	for (struct entry *e = serving(*chain(c, k->request), k); e; e = serving(e->next, k)) {
		unsigned rank = 1 + (time_left(c, e, now) > 0 ? 2u : 0u) + (e->accept == k->accept);

		if (rank > highest) {
			highest = rank;
			best = e;
		}
	}
	if (!best)
		return false;
	use(c, best);
	describe(c, best, now, out);
	return true;
}

size_t cache_read(const struct cache *c, uint32_t place, size_t offset, uint8_t *out, size_t n)
{
	const struct entry *e = place < c->entries_capacity ? &c->entries[place] : NULL;
	size_t len = e ? payload_len(e) : 0;

	if (offset >= len)
		return 0;
	n = n < len - offset ? n : len - offset;
	chunks_read(&c->chunks, &e->run, e->skip + offset, out, n);
	return n;
}

bool cache_put(struct cache *c, const struct cache_key *k, const struct cache_head *head, size_t offset,
	       struct bytes payload, bool complete, tstamp now)
{
	bool kept =
		offset ? follow(c, k, head, offset, payload, complete, now) : begin(c, k, head, payload, complete, now);

	c->refused += !kept;
	return kept;
}

/* False: they are too many. Whose they are, was used last. */
static bool set_options(struct cache *c, struct entry *e, struct bytes options)
{
	chunks_release(&c->chunks, &e->renewed);
	if (!fits(c, whole_chunks(options.len), e->run.size))
		return false;
	make_room(c, chunks_for(options.len));
	chunks_append(&c->chunks, &e->renewed, options);
	e->options = (uint16_t)options.len;
	return true;
}

/* "For each type of Safe-to-Forward option present in the response": the others stay. */
static bool replace_options(struct cache *c, struct entry *e, const struct cache_head *said)
{
	const struct msg old = { .options = options_of(c, e) }, new = { .options = said->options };
	uint8_t room[CACHE_OPTIONS];
	struct msgbuf b;

	if (said->content_format != CACHE_ANY)
		e->content_format = said->content_format;
	msgbuf_bare(&b, room, sizeof room);
	edits_merge(&old, &new, &b);
	if (b.failed)
		return false;
	return bytes_equal(old.options, bytes_of(room, b.len)) || set_options(c, e, bytes_of(room, b.len));
}

static bool refresh(struct cache *c, struct entry *e, const struct cache_head *said, tstamp now)
{
	use(c, e);
	if (!replace_options(c, e, said))
		return false;
	renew(c, e, said->max_age, now);
	return true;
}

bool cache_refresh(struct cache *c, const struct cache_key *k, const struct cache_head *said, tstamp now)
{
	struct entry *next;
	bool found = false;

	for (struct entry *e = serving(*chain(c, k->request), k); e && said->etag.len; e = next) {
		bool meant = bytes_equal(etag_of(e), said->etag), kept = meant && refresh(c, e, said, now);

		next = serving(e->next, k); /* who had to make room is gone from the chain by now */
		if (meant && !kept)
			drop(c, e);
		found |= kept;
	}
	return found;
}

void cache_invalidate(struct cache *c, uint64_t uri)
{
	c->marks[uri & c->marks_mask] = ++c->serial;
}

void cache_clear(struct cache *c)
{
	while (!list_empty(&c->lru))
		drop(c, least_used(c));
}

void cache_view(const struct cache *c, struct cache_view *out)
{
	*out = (struct cache_view){ .entries = c->entries_used,
				    .entries_capacity = c->entries_capacity,
				    .bytes = (size_t)c->chunks.used * CHUNK,
				    .bytes_capacity = (size_t)c->chunks.capacity * CHUNK,
				    .stored = c->stored,
				    .evicted = c->evicted,
				    .refused = c->refused };
}

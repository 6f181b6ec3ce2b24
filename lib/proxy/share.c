#include "proxy/share.h"
#include "coap/option.h"
#include "proxy/ending.h"
#include "proxy/reply.h"
#include "proxy/response.h"
#include "proxy/share_key.h"
#include "proxy/upstream.h"

/* s: more often no relation is renewed; clients are to wait so long after Max-Age (RFC 7641 §3.3.1) */
#define RENEW_LEAST 5
#define RENEW_LATER (60 * TSTAMP_S)

static bool may_share(const struct request *rq)
{
	return rq->keyed && share_key_is_safe(rq->msg->code) && !rq->view.has_block1;
}

/* --- what is known -------------------------------------------------------------------------------------------------- */

static bool has_etag(const struct request *rq, struct bytes etag)
{
	struct msg_iter it = msg_options(rq->msg);
	struct msg_option opt;

	while (etag.ptr && msg_next(&it, &opt))
		if (opt.number == OPTION_ETAG && bytes_equal(opt.value, etag))
			return true;
	return false;
}

static struct bytes take(struct bytes from, uint8_t *to)
{
	if (from.len)
		memcpy(to, from.ptr, from.len);
	return bytes_of(from.ptr ? to : NULL, from.len);
}

/* Nothing of it is the cache's any more. */
static struct cache_head take_head(const struct cache_head *h, struct share_hit *out)
{
	struct cache_head own = *h;

	own.etag = take(h->etag, out->etag);
	own.options = take(h->options, out->options);
	return own;
}

/* The part of an entry that a client asks for. False: it is not here. */
static bool load(const struct proxy *p, const struct cache_entry *e, const struct block *ask, struct share_hit *out)
{
	uint32_t offset = ask ? block_offset(*ask) : 0;
	size_t size = ask ? block_size(ask->szx) : sizeof out->payload, n;

	if (offset > 0 && offset >= e->len)
		return false;
	n = cache_read(p->cache, e->place, offset, out->payload, size);
	out->what = (struct representation){
		.head = take_head(&e->head, out),
		.payload = bytes_of(out->payload, n),
		.offset = offset,
		.more = offset + n < e->len || !e->complete,
	};
	return !out->what.more || n == size || (!ask && n > 0);
}

bool share_known(struct proxy *p, const struct request *rq, struct share_hit *out, tstamp now)
{
	struct cache_entry e;

	if (!p->cache || !may_share(rq) || rq->view.observe || !cache_find(p->cache, &rq->key, now, &e))
		return false;
	if (e.max_age == 0 || !load(p, &e, classify_asked_block(&rq->view), out))
		return false;
	out->max_age = e.max_age;
	out->confirmed = e.head.code == MSG_CONTENT && has_etag(rq, e.head.etag);
	p->shared[SHARED_HIT]++;
	return true;
}

struct bytes share_etag(struct proxy *p, const struct request *rq, tstamp now)
{
	struct cache_entry e;

	if (!p->cache || !may_share(rq) || !cache_find(p->cache, &rq->key, now, &e) || e.head.code != MSG_CONTENT)
		return bytes_of(NULL, 0);
	return e.head.etag;
}

/* --- who follows whom ------------------------------------------------------------------------------------------------ */

/* The first block comes for everybody; who wants a later one asks alone. */
static bool wants_beginning(const struct request *rq)
{
	return !rq->view.has_block2 || rq->view.block2.num == 0;
}

/* What a subject was told last, whatever it is being told now. False: nothing is kept of it. */
static bool read_last(const struct exchange *subject, uint8_t room[CACHE_OPTIONS], struct representation *r)
{
	struct msg m;

	return subject->last && msg_parse(&m, dgram_bytes(subject->last)) == MSG_OK && representation_read(&m, room, r);
}

static bool is_fresh(const struct exchange *subject, tstamp now)
{
	struct representation r;
	uint8_t room[CACHE_OPTIONS];

	return read_last(subject, room, &r) && tstamp_since(subject->last_at, now) < r.head.max_age * TSTAMP_S;
}

/* Its answer is on its way, or was given and holds. */
static bool serves(const struct exchange *subject, bool observe, tstamp now)
{
	if (observe)
		return subject->observe && (subject->state != EXCHANGE_OBSERVING || is_fresh(subject, now));
	return subject->state != EXCHANGE_OBSERVING;
}

struct exchange *share_subject(const struct proxy *p, const struct request *rq, tstamp now)
{
	if (!may_share(rq) || !wants_beginning(rq) || !(p->cache || rq->view.observe))
		return NULL;
	for (struct exchange *s = NULL; (s = exchange_by_key(&p->exchanges, &rq->key, s));)
		if (serves(s, rq->view.observe, now))
			return s;
	return NULL;
}

bool share_wants_subject(struct proxy *p, const struct request *rq, tstamp now)
{
	if (!may_share(rq) || !wants_beginning(rq) || rq->view.deregister)
		return false;
	return rq->view.observe || (p->cache && (!rq->view.has_etag || share_etag(p, rq, now).ptr));
}

/* Who proved nothing costs nothing here but his place: of those there are few for him. */
bool share_may_follow(const struct proxy *p, bool proven)
{
	return p->exchanges.followers < p->exchanges.capacity / (proven ? 2 : 8);
}

bool share_may_observe(const struct proxy *p, uint64_t flow)
{
	uint32_t each = 0;

	for (const struct exchange *x = NULL; (x = exchange_of_flow(&p->exchanges, flow, x));)
		each += !x->own && x->observe;
	return each <= SHARE_OBSERVERS_EACH;
}

bool share_is_alone(const struct proxy *p, const struct exchange *x)
{
	const struct exchange *subject = exchange_by_ref(&p->exchanges, x->subject);

	return subject->followers == exchange_ref(&p->exchanges, x) && x->next_follower == EXCHANGE_NONE;
}

/* --- telling --------------------------------------------------------------------------------------------------------- */

/* One response, made for this follower. */
static void tell(struct proxy *p, struct exchange *x, const struct representation *r, uint32_t max_age, bool observing,
		 bool con, tstamp now)
{
	uint32_t observe = observing && x->observe ? p->observe_number : REPRESENTATION_UNOBSERVED;
	const struct block *ask = pieces_asked(&x->pieces);
	uint8_t buf[DGRAM_MAX];
	struct msgbuf b;
	struct msg m;

	msgbuf_begin(&b, buf, sizeof buf, con ? MSG_CON : MSG_NON, r->head.code, 0, bytes_of(NULL, 0));
	representation_write(r, ask, observe, max_age, &b);
	if (msg_parse(&m, msgbuf_end(&b)) == MSG_OK)
		response_deliver(p, x, &m, observing && x->observe, now);
}

static uint32_t next_observe(struct proxy *p)
{
	return p->observe_number = (p->observe_number + 1) & 0xffffff; /* 24 bits (RFC 7641 §4.4) */
}

/* Each one is told once; who leaves or closes meanwhile does so by himself only. */
static void tell_all(struct proxy *p, uint32_t subject, const struct representation *r, bool observing, bool con,
		     tstamp now)
{
	struct exchange *s = exchange_by_ref(&p->exchanges, subject);
	uint32_t ref = s->followers, next;

	next_observe(p);
	for (; ref != EXCHANGE_NONE; ref = next) {
		struct exchange *x = exchange_by_ref(&p->exchanges, ref);

		next = x->next_follower;
		tell(p, x, r, r->head.max_age, observing, con, now);
	}
}

/* What the message says, with all that was gathered of it. */
static bool read_answer(const struct exchange *x, const struct msg *m, uint8_t room[CACHE_OPTIONS],
			struct representation *r)
{
	if (!representation_read(m, room, r))
		return false;
	if (x->pieces.gathered)
		r->more = x->pieces.more;
	return true;
}

/* Of what was asked for from the beginning. */
static bool read_beginning(const struct exchange *x, const struct msg *m, uint8_t room[CACHE_OPTIONS],
			   struct representation *r)
{
	return read_answer(x, m, room, r) && r->offset == 0;
}

/* Answers that say something of the resource, and not of this request (RFC 7252 §5.6, §5.9; RFC 8516; RFC 9175). */
static bool is_cacheable(const struct msg *m)
{
	struct msg_option opt;

	switch (m->code) {
	case MSG_CONTENT: break;
	case MSG_UNAUTHORIZED:
	case MSG_BAD_OPTION:
	case MSG_INCOMPLETE:
	case MSG_TOO_LARGE:
	case MSG_TOO_MANY_REQUESTS: return false;
	default:
		if (MSG_CLASS(m->code) == 2)
			return false;
	}
	return !msg_find(m, OPTION_ECHO, &opt) && !msg_find(m, OPTION_OSCORE, &opt); /* RFC 8613 §10 */
}

static void keep(struct proxy *p, struct exchange *x, const struct msg *m, const struct representation *r, tstamp now)
{
	if (p->cache && is_cacheable(m))
		cache_put(p->cache, &x->key, &r->head, r->offset, r->payload, !r->more, now);
}

/* What was kept is still good: everybody is told the whole of it. False: it is gone, or would have too many options now. */
static bool validate(struct proxy *p, const struct exchange *subject, const struct msg *m, struct share_hit *hit,
		     tstamp now)
{
	uint8_t room[DGRAM_MAX];
	struct cache_head said;
	struct cache_entry e;

	if (!p->cache || !representation_read_valid(m, room, &said))
		return false;
	if (!cache_refresh(p->cache, &subject->key, &said, now) || !cache_find(p->cache, &subject->key, now, &e) ||
	    !bytes_equal(e.head.etag, said.etag) || !load(p, &e, NULL, hit))
		return false;
	hit->what.head.max_age = said.max_age;
	p->shared[SHARED_VALIDATED]++;
	return true;
}

/* So that who joins later knows it, too. */
static void remember(struct proxy *p, struct exchange *subject, const struct representation *r, tstamp now)
{
	struct dgram *d = subject->last ? subject->last : dgram_take(&p->pool);
	struct msgbuf b;

	if (!d)
		return;
	msgbuf_begin(&b, d->buf, DGRAM_MAX, MSG_NON, r->head.code, 0, bytes_of(NULL, 0));
	representation_keep(r, &b);
	d->len = (uint16_t)msgbuf_end(&b).len;
	subject->last = d;
	subject->last_at = now;
}

/* A relation is renewed when what was told last has grown old (RFC 7641 §3.3.1). */
static void await_next(struct proxy *p, struct exchange *subject, const struct representation *r, tstamp now)
{
	subject->asked = false;
	exchange_set_state(&p->exchanges, subject, EXCHANGE_OBSERVING);
	subject->device_at =
		tstamp_add(now, r->head.max_age > RENEW_LEAST ? r->head.max_age * TSTAMP_S : RENEW_LEAST * TSTAMP_S);
	exchange_arm(&p->exchanges, subject);
}

void share_tell(struct proxy *p, struct exchange *subject, const struct msg *m, bool observing, tstamp now)
{
	uint32_t self = exchange_ref(&p->exchanges, subject);
	bool stays = observing && subject->observe && MSG_CLASS(m->code) == 2;
	uint8_t room[CACHE_OPTIONS];
	struct representation r;
	struct share_hit hit;

	if (!(m->code == MSG_VALID ? validate(p, subject, m, &hit, now) : read_beginning(subject, m, room, &r))) {
		ending_failed(p, subject, MSG_BAD_GATEWAY, FAULT_UNFORWARDABLE, now);
		return;
	}
	if (m->code == MSG_VALID)
		r = hit.what;
	if (stays) {
		await_next(p, subject, &r, now);
		remember(p, subject, &r, now);
	}
	keep(p, subject, m, &r, now);
	tell_all(p, self, &r, stays, m->type == MSG_CON, now);
	subject = exchange_by_ref(&p->exchanges, self);
	if (subject &&
	    (!stays || subject->followers == EXCHANGE_NONE)) /* who asked may have left before the answer came */
		ending_drop(p, subject, OUTCOME_NEUTRAL, now);
}

void share_join(struct proxy *p, struct exchange *subject, struct exchange *follower, tstamp now)
{
	uint64_t age = (tstamp_since(subject->last_at, now) + TSTAMP_S - 1) / TSTAMP_S;
	uint8_t room[CACHE_OPTIONS];
	struct representation r;

	if (subject->state == EXCHANGE_OBSERVING && read_last(subject, room, &r))
		tell(p, follower, &r, r.head.max_age > age ? r.head.max_age - (uint32_t)age : 0, true, false, now);
}

/* What was asked to change, and what came to be of it (RFC 7252 §5.9.1.1). */
static void make_old(struct proxy *p, const struct exchange *x, const struct msg *m)
{
	struct msg_option location;

	if (!p->cache || (m->code != MSG_CREATED && m->code != MSG_DELETED && m->code != MSG_CHANGED))
		return;
	cache_invalidate(p->cache, x->key.uri);
	if (msg_find(m, OPTION_LOCATION_PATH, &location) || msg_find(m, OPTION_LOCATION_QUERY, &location))
		cache_invalidate(p->cache, share_key_location(p, x->server, m));
}

static void refresh(struct proxy *p, const struct exchange *x, const struct msg *m, tstamp now)
{
	uint8_t room[DGRAM_MAX];
	struct cache_head said;

	if (representation_read_valid(m, room, &said))
		cache_refresh(p->cache, &x->key, &said, now);
}

void share_keep(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now)
{
	uint8_t room[CACHE_OPTIONS];
	struct representation r;

	if (!share_key_is_safe(x->method))
		make_old(p, x, m);
	else if (p->cache && m->code == MSG_VALID)
		refresh(p, x, m, now);
	else if (p->cache && read_answer(x, m, room, &r))
		keep(p, x, m, &r, now);
}

bool share_stale(struct proxy *p, struct exchange *x, tstamp now)
{
	struct share_hit hit;
	struct cache_entry e;

	if (!p->cache || !x->keyed || x->observe || !cache_find(p->cache, &x->key, now, &e))
		return false;
	if (e.outdated || e.head.code != MSG_CONTENT || e.age > e.head.max_age + p->cfg.stale_if_silent / TSTAMP_S)
		return false;
	if (!load(p, &e, pieces_asked(&x->pieces), &hit))
		return false;
	p->shared[SHARED_STALE]++;
	tell(p, x, &hit.what, 0, false, false, now);
	return true;
}

static bool is_worth_it(const struct proxy *p, const struct exchange *x, tstamp now)
{
	return x->observe && !exchange_is_held(x) && (x->layers.n || core_is_reached(p, x, now));
}

static bool is_wanted(const struct proxy *p, const struct exchange *subject, tstamp now)
{
	const struct exchange *x;

	for (uint32_t ref = subject->followers; ref != EXCHANGE_NONE; ref = x->next_follower) {
		x = exchange_by_ref(&p->exchanges, ref);
		if (is_worth_it(p, x, now))
			return true;
	}
	return false;
}

static void lapse(struct proxy *p, struct exchange *subject, tstamp now)
{
	while (subject->followers != EXCHANGE_NONE) {
		struct exchange *x = exchange_by_ref(&p->exchanges, subject->followers);

		exchange_unfollow(&p->exchanges, x);
		ending_drop(p, x, OUTCOME_NEUTRAL, now);
	}
	ending_drop(p, subject, OUTCOME_NEUTRAL, now);
}

/* They are told once more, as CON: who acknowledges is there, and clients that know no ping know that. */
static void ask_followers(struct proxy *p, struct exchange *subject, tstamp now)
{
	uint32_t ref = subject->followers, next;
	uint8_t room[CACHE_OPTIONS];
	struct representation r;

	subject->asked = true;
	subject->device_at = tstamp_add(now, RENEW_LEAST * TSTAMP_S);
	exchange_arm(&p->exchanges, subject);
	if (!read_last(subject, room, &r))
		return;
	next_observe(p);
	for (; ref != EXCHANGE_NONE; ref = next) {
		struct exchange *x = exchange_by_ref(&p->exchanges, ref);

		next = x->next_follower;
		if (x->observe && !exchange_is_held(x)) /* else it was asked already */
			tell(p, x, &r, 0, true, true, now);
	}
}

void share_renew(struct proxy *p, struct exchange *subject, tstamp now)
{
	bool wanted = is_wanted(p, subject, now);

	if (!wanted && !subject->asked) {
		ask_followers(p, subject, now);
	} else if (!wanted) {
		lapse(p, subject, now);
	} else if (!guard_spend(p->guard, subject->server, subject->lane, now)) {
		subject->device_at = tstamp_add(now, RENEW_LATER); /* what the device tells by itself still comes */
		exchange_arm(&p->exchanges, subject);
	} else {
		subject->prepaid = 1;
		if (!upstream_renew(p, subject, now))
			ending_refused(p, subject, now);
	}
}

void share_left(struct proxy *p, uint32_t subject, tstamp now)
{
	struct exchange *s = exchange_by_ref(&p->exchanges, subject);

	if (!s || s->followers != EXCHANGE_NONE)
		return;
	if (s->state == EXCHANGE_SENT || s->state == EXCHANGE_ACKED || s->state == EXCHANGE_GATHERING)
		return; /* the answer may be of use to the cache; who observed hears no more */
	if (s->state == EXCHANGE_WAITING)
		guard_withdraw(p->guard, subject);
	ending_drop(p, s, OUTCOME_CANCELLED, now);
}

#include "contexts.h"
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#define PAUSE_MIN TSTAMP_S
#define PAUSE_MAX (60 * TSTAMP_S)

#define NEW_KEY "new key at both ends, then coap-guardctl context reset"

static void retry_later(struct contexts_retry *r, tstamp now)
{
	uint64_t twice = r->pause ? 2 * r->pause : PAUSE_MIN;

	r->pause = twice < PAUSE_MAX ? twice : PAUSE_MAX;
	r->due = tstamp_add(now, r->pause);
}

static const char *name_at(const struct contexts *x, unsigned place)
{
	return x->config->proxy.contexts[place].name;
}

#define ABOUT(x, place, what)                                                                                          \
	&(struct event)                                                                                                \
	{                                                                                                              \
		what,                                                                                                  \
		{                                                                                                      \
			[FIELD_CONTEXT] = name_at(x, place)                                                            \
		}                                                                                                      \
	}

static bool works(const struct contexts *x, unsigned place)
{
	return proxy_context_works(x->proxy, (uint8_t)place);
}

static void refuse(struct contexts *x, unsigned place, const char *why)
{
	proxy_context_explain(x->proxy, (uint8_t)place, why);
	log_event(x->log, LEVEL_ERROR, ABOUT(x, place, EVENT_CONTEXT_REFUSED), "[context %s] refused: %s",
		  name_at(x, place), why);
}

const char *contexts_twin(const struct contexts *x, unsigned place, const struct context_key *k)
{
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (i != place && works(x, i) && memcmp(x->places[i].sender, k->sender, OSCORE_PRINT) == 0)
			return name_at(x, i);
	}
	return NULL;
}

/* The prints are those of the key at work, unless a new one is given. */
static int write_state(struct contexts *x, unsigned place, const struct context_key *k,
		       const struct oscore_state *state)
{
	struct statedir_entry e = { .state = *state };
	int error;

	memcpy(e.print, k ? k->print : x->places[place].print, OSCORE_PRINT);
	memcpy(e.sender, k ? k->sender : x->places[place].sender, OSCORE_PRINT);
	error = statedir_write(&x->dir, name_at(x, place), &e);
	x->write_errors += error != 0;
	return error;
}

static void explain_write(struct contexts *x, unsigned place, int error, tstamp now)
{
	char why[256], key[LOG_KEY];

	snprintf(why, sizeof why, "its state was not written: %s; %s", strerror(-error),
		 x->places[place].written ? "it stops when its sequence numbers run out" : "it waits for that");
	snprintf(key, sizeof key, "state of context %u", place);
	proxy_context_explain(x->proxy, (uint8_t)place, why);
	log_event_folded(x->log, LEVEL_ERROR, ABOUT(x, place, EVENT_STATE_UNWRITTEN), key, now, "[context %s] %s",
			 name_at(x, place), why);
}

/* Writes what the engine wants to be on disk before it goes on. Returns when to try again. */
static tstamp keep(struct contexts *x, unsigned place, tstamp now)
{
	struct contexts_place *c = &x->places[place];
	struct oscore_state state;
	int error;

	if (!proxy_context_wanted(x->proxy, (uint8_t)place, &state))
		return TSTAMP_NEVER;
	if (!tstamp_reached(c->writing.due, now))
		return c->writing.due;
	error = write_state(x, place, NULL, &state);
	if (error) {
		retry_later(&c->writing, now);
		explain_write(x, place, error, now);
		return c->writing.due;
	}
	proxy_context_allow(x->proxy, (uint8_t)place, state.next);
	if (c->writing.pause) {
		proxy_context_explain(x->proxy, (uint8_t)place, "");
		log_event(x->log, LEVEL_INFO, ABOUT(x, place, EVENT_STATE_WRITTEN),
			  "[context %s] its state is on disk again", name_at(x, place));
	}
	c->writing = (struct contexts_retry){ 0 };
	c->written = true;
	return TSTAMP_NEVER;
}

/* False: why was said. */
static bool install(struct contexts *x, unsigned place, const struct context_key *k, const struct oscore_state *state,
		    tstamp now)
{
	struct contexts_place *c = &x->places[place];

	if (!proxy_context_install(x->proxy, (uint8_t)place, bytes_of(k->secret, k->len), state)) {
		refuse(x, place, "the cryptographic library failed");
		return false;
	}
	*c = (struct contexts_place){ .written = false };
	memcpy(c->print, k->print, OSCORE_PRINT);
	memcpy(c->sender, k->sender, OSCORE_PRINT);
	proxy_context_explain(x->proxy, (uint8_t)place, "");
	keep(x, place, now);
	return true;
}

/* Finds the state of this key. False: why says it. */
static bool find_state(struct contexts *x, unsigned place, const struct context_key *k, struct oscore_state *state,
		       char *why, size_t size)
{
	const char *name = name_at(x, place);
	struct statedir_entry e;
	const char *twin = contexts_twin(x, place, k);
	char wrong[96];

	if (twin) {
		snprintf(why, size, "the sender key of [context %s]: it needs a master secret of its own", twin);
		return false;
	}
	switch (statedir_read(&x->dir, name, &e, wrong, sizeof wrong)) {
	case STATEDIR_FOUND:
		*state = e.state;
		if (memcmp(e.print, k->print, OSCORE_PRINT) != 0)
			snprintf(why, size, "its state is of another key or identifier: coap-guardctl context reset %s",
				 name);
		else if (e.state.next > OSCORE_PIV_MAX)
			snprintf(why, size, "no sequence numbers left: " NEW_KEY " %s", name);
		else
			return true;
		return false;
	case STATEDIR_NONE: snprintf(why, size, "no state for its key: coap-guardctl context new %s", name); break;
	case STATEDIR_BAD: snprintf(why, size, "state %s: " NEW_KEY " %s", wrong, name); break;
	case STATEDIR_UNREADABLE: snprintf(why, size, "its state cannot be read: %s", wrong); break;
	}
	return false;
}

bool contexts_begin(struct contexts *x, unsigned place, const struct context_key *k, const struct oscore_state *state,
		    tstamp now, char text[CONTEXTS_TEXT])
{
	struct oscore_state on_disk = *state;
	int error;

	/* What is at work must not leave its window behind, should it have to go on. */
	on_disk.synced &= !works(x, place);
	error = write_state(x, place, k, &on_disk);
	if (!error && install(x, place, k, state, now))
		return true;
	if (error)
		snprintf(text, CONTEXTS_TEXT, "cannot write %s/%s.context: %s", x->dir.path, name_at(x, place),
			 strerror(-error));
	else
		snprintf(text, CONTEXTS_TEXT, "the cryptographic library failed");
	return false;
}

static void start(struct contexts *x, unsigned place, tstamp now)
{
	struct oscore_state state;
	struct context_key k;
	char why[CONTEXTS_TEXT];

	if (!context_key_read(&k, x->config, x->config_path, place, why, sizeof why)) {
		refuse(x, place, why);
		return;
	}
	if (find_state(x, place, &k, &state, why, sizeof why))
		install(x, place, &k, &state, now);
	else
		refuse(x, place, why);
	context_key_wipe(&k);
}

static void start_all(struct contexts *x, tstamp now)
{
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (*name_at(x, i) && !works(x, i))
			start(x, i, now);
	}
}

/* Leaves what is at work as if it ended here. What never came into use is on disk as it is. */
static void store(struct contexts *x, unsigned place)
{
	struct oscore_state state;
	int error;

	if (!works(x, place) || !x->places[place].written)
		return;
	state = proxy_context_state(x->proxy, (uint8_t)place);
	error = write_state(x, place, NULL, &state);
	x->places[place].written = false;
	if (error)
		log_event(x->log, LEVEL_ERROR, ABOUT(x, place, EVENT_STATE_UNWRITTEN),
			  "[context %s] its last state was not written: %s; the replay window is lost",
			  name_at(x, place), strerror(-error));
}

int contexts_open_directory(struct contexts *x, tstamp now)
{
	char why[CONTEXTS_TEXT];
	int error = statedir_open(&x->dir, x->config->state_directory, why, sizeof why);

	if (!error) {
		x->opening = (struct contexts_retry){ .due = TSTAMP_NEVER };
		return 0;
	}
	retry_later(&x->opening, now);
	log_event_folded(x->log, LEVEL_ERROR, &(struct event){ .kind = EVENT_CONTEXT_REFUSED }, "state directory", now,
			 "[state] directory: %s; no context works", why);
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (*name_at(x, i))
			proxy_context_explain(x->proxy, (uint8_t)i, why);
	}
	return error;
}

unsigned contexts_count(const struct contexts *x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		n += *name_at(x, i) != '\0';
	return n;
}

unsigned contexts_working(const struct contexts *x)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		n += *name_at(x, i) && works(x, i);
	return n;
}

void contexts_init(struct contexts *x)
{
	memset(x, 0, sizeof *x);
	statedir_init(&x->dir);
	x->opening.due = TSTAMP_NEVER;
}

int contexts_open(struct contexts *x, struct proxy *p, struct config *c, const char *config_path, struct log *l,
		  tstamp now)
{
	x->proxy = p;
	x->config = c;
	x->config_path = config_path;
	x->log = l;
	if (contexts_count(x) == 0)
		return EX_OK;
	switch (contexts_open_directory(x, now)) {
	case 0: start_all(x, now); return EX_OK;
	case -EWOULDBLOCK: return EX_CANTCREAT;
	default: return EX_OK;
	}
}

void contexts_close(struct contexts *x)
{
	if (!statedir_is_open(&x->dir))
		return;
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++)
		store(x, i);
	statedir_close(&x->dir);
}

tstamp contexts_settle(struct contexts *x, tstamp now)
{
	tstamp next = TSTAMP_NEVER;

	if (!statedir_is_open(&x->dir)) {
		if (tstamp_reached(x->opening.due, now) && contexts_open_directory(x, now) == 0)
			start_all(x, now);
		else
			return x->opening.due;
	}
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (*name_at(x, i))
			next = tstamp_min(next, keep(x, i, now));
	}
	return next;
}

void contexts_leave(struct contexts *x, const struct config *next)
{
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (works(x, i) && !proxy_context_is_same(&x->config->proxy.contexts[i], &next->proxy.contexts[i]))
			store(x, i);
	}
}

/* What works may stay only while its key is the one that is there to be read. */
static void check_key(struct contexts *x, unsigned place)
{
	struct context_key k;
	char why[CONTEXTS_TEXT];
	bool same = context_key_read(&k, x->config, x->config_path, place, why, sizeof why) &&
		    memcmp(k.print, x->places[place].print, OSCORE_PRINT) == 0;

	context_key_wipe(&k);
	if (same)
		return;
	store(x, place);
	proxy_context_withdraw(x->proxy, (uint8_t)place);
}

void contexts_enter(struct contexts *x, tstamp now)
{
	if (contexts_count(x) == 0) {
		statedir_close(&x->dir);
		x->opening = (struct contexts_retry){ .due = TSTAMP_NEVER };
		return;
	}
	for (unsigned i = 0; i < PROXY_CONTEXTS; i++) {
		if (*name_at(x, i) && works(x, i))
			check_key(x, i);
	}
	if (statedir_is_open(&x->dir) || contexts_open_directory(x, now) == 0)
		start_all(x, now);
}

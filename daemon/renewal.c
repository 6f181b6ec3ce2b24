#include "renewal.h"
#include "schema.h"
#include <inttypes.h>
#include <string.h>

/* Neither another context's at work, nor one's that worked once. */
static bool is_only_one(const struct contexts *x, unsigned place, const struct context_key *k, char text[CONTEXTS_TEXT])
{
	const char *name = x->config->proxy.contexts[place].name, *twin = contexts_twin(x, place, k);
	char other[PROXY_NAME];

	if (!twin && statedir_find(&x->dir, k->sender, name, other))
		twin = other;
	if (twin)
		snprintf(text, CONTEXTS_TEXT,
			 "its sender key is that of %s/%s.context: rename the file if that was its name before, else "
			 "take a "
			 "master secret of its own",
			 x->dir.path, twin);
	return !twin;
}

/* What both orders of a person begin with: the place, the directory, the key. The caller wipes *k. */
static bool prepare(struct contexts *x, const char *name, tstamp now, unsigned *place, struct context_key *k,
		    char text[CONTEXTS_TEXT])
{
	int found = schema_place(x->config, SECTION_CONTEXT, name);
	char list[SCHEMA_LIST];

	if (found < 0) {
		snprintf(text, CONTEXTS_TEXT, "no section [context %s]; defined contexts: %s", name,
			 schema_names(x->config, SECTION_CONTEXT, list));
		return false;
	}
	*place = (unsigned)found;
	if (!statedir_is_open(&x->dir) && contexts_open_directory(x, now) != 0) {
		snprintf(text, CONTEXTS_TEXT, "the state directory %s cannot be used; the log says why",
			 x->config->state_directory);
		return false;
	}
	return context_key_read(k, x->config, x->config_path, *place, text, CONTEXTS_TEXT) &&
	       is_only_one(x, *place, k, text);
}

/* Nothing was sent or received with the key. */
static struct oscore_state untouched(const struct contexts *x, unsigned place)
{
	return (struct oscore_state){ .synced = true,
				      .window = { .size = x->config->proxy.contexts[place].setup.window } };
}

static bool is_free(const struct contexts *x, unsigned place, char text[CONTEXTS_TEXT])
{
	struct statedir_entry e;
	const char *name = x->config->proxy.contexts[place].name;

	if (proxy_context_works(x->proxy, (uint8_t)place))
		snprintf(text, CONTEXTS_TEXT, "[context %s] works already", name);
	else if (statedir_read(&x->dir, name, &e, text, CONTEXTS_TEXT) != STATEDIR_NONE)
		snprintf(text, CONTEXTS_TEXT,
			 "%s/%s.context exists; if it may be given up: coap-guardctl context reset %s", x->dir.path,
			 name, name);
	else
		return true;
	return false;
}

bool renewal_new(struct contexts *x, const char *name, tstamp now, char text[CONTEXTS_TEXT])
{
	struct oscore_state state;
	struct context_key k = { .len = 0 };
	unsigned place;
	bool ok = prepare(x, name, now, &place, &k, text) && is_free(x, place, text);

	if (ok) {
		state = untouched(x, place);
		ok = contexts_begin(x, place, &k, &state, now, text);
	}
	context_key_wipe(&k);
	if (!ok)
		return false;
	snprintf(text, CONTEXTS_TEXT, "[context %s] works; its state begins at 0", name);
	log_event(x->log, LEVEL_INFO, &(struct event){ EVENT_CONTEXT_RENEWED, { [FIELD_CONTEXT] = name } }, "%s", text);
	return true;
}

/*
 * The state that is best known of the key: of what is at work, else of the file. Of another key's file only the number counts, and
 * only if it was the same sender's. True: it goes on; false: it begins anew.
 */
static bool best_state(const struct contexts *x, unsigned place, const struct context_key *k,
		       struct oscore_state *state)
{
	const struct contexts_place *c = &x->places[place];
	struct statedir_entry e = { .state.next = 0 };
	char why[96];
	bool found =
		statedir_read(&x->dir, x->config->proxy.contexts[place].name, &e, why, sizeof why) == STATEDIR_FOUND;
	bool own = found && memcmp(e.print, k->print, OSCORE_PRINT) == 0;
	uint64_t least = found && memcmp(e.sender, k->sender, OSCORE_PRINT) == 0 ? e.state.next : 0;
	bool at_work = proxy_context_works(x->proxy, (uint8_t)place) && memcmp(c->print, k->print, OSCORE_PRINT) == 0;

	*state = at_work ? proxy_context_state(x->proxy, (uint8_t)place) : own ? e.state : untouched(x, place);
	if (state->next < least)
		state->next = least;
	return at_work || own;
}

/* The engine recovers a lost window by Echo, for once, until the next reload. */
static void recover_once(struct contexts *x, unsigned place, tstamp now)
{
	bool *refused = &x->config->proxy.contexts[place].refuse_unsynced;

	*refused = false;
	proxy_reconfigure(x->proxy, &x->config->proxy, now);
	*refused = true;
}

static void describe_reset(const char *name, bool goes_on, const struct oscore_state *state, char text[CONTEXTS_TEXT])
{
	if (!goes_on)
		snprintf(text, CONTEXTS_TEXT,
			 "[context %s] works; its state begins anew at %" PRIu64
			 ". Its key must be new at both ends: with one used before, old messages are taken again, and "
			 "new ones can be read and forged",
			 name, state->next);
	else if (state->synced)
		snprintf(text, CONTEXTS_TEXT,
			 "[context %s] works; the same key: goes on from %" PRIu64 ", its replay window is whole", name,
			 state->next);
	else
		snprintf(text, CONTEXTS_TEXT,
			 "[context %s] works; the same key: goes on from %" PRIu64
			 ", its replay window was lost: an Echo will show that the next request is fresh",
			 name, state->next);
}

static bool has_numbers(const struct oscore_state *state, const char *name, char text[CONTEXTS_TEXT])
{
	if (state->next <= OSCORE_PIV_MAX)
		return true;
	snprintf(text, CONTEXTS_TEXT, "no sequence numbers left: new key at both ends, then reset %s again", name);
	return false;
}

bool renewal_reset(struct contexts *x, const char *name, tstamp now, char text[CONTEXTS_TEXT])
{
	struct oscore_state state;
	struct context_key k = { .len = 0 };
	unsigned place;
	bool ok = prepare(x, name, now, &place, &k, text), goes_on = false;

	if (ok) {
		goes_on = best_state(x, place, &k, &state);
		ok = has_numbers(&state, name, text) && contexts_begin(x, place, &k, &state, now, text);
	}
	context_key_wipe(&k);
	if (!ok)
		return false;
	if (!state.synced && x->config->proxy.contexts[place].refuse_unsynced)
		recover_once(x, place, now);
	describe_reset(name, goes_on, &state, text);
	log_event(x->log, LEVEL_WARN, &(struct event){ EVENT_CONTEXT_RENEWED, { [FIELD_CONTEXT] = name } }, "%s", text);
	return true;
}

#include "hints.h"
#include "hintfile.h"
#include "schema.h"
#include <errno.h>
#include <string.h>

#define FILE_NAME "hints"
#define NOBODY    0xff

/* Once, until it works again. */
static void complain(struct hints *h, const char *what, const char *why)
{
	if (!h->trouble)
		log_event(h->log, LEVEL_WARN, &(struct event){ .kind = EVENT_STATE_UNWRITTEN },
			  "%s%s; clients are not remembered over a restart", what, why);
	h->trouble = true;
}

static bool open_own(struct hints *h)
{
	const char *path = h->config->state_directory;
	char why[256] = "";

	if (!*path)
		return false;
	if (!statedir_exists(path))
		snprintf(why, sizeof why, "%s: %s", path, strerror(errno));
	else if (statedir_open(&h->own, path, why, sizeof why) == 0)
		return true;
	complain(h, "[state] directory: ", why);
	return false;
}

/* NULL: there is none to be had. While there are contexts their directory is theirs to open, and to complain of. */
static const struct statedir *directory(struct hints *h)
{
	if (contexts_count(h->contexts) > 0)
		return statedir_is_open(&h->contexts->dir) ? &h->contexts->dir : NULL;
	return statedir_is_open(&h->own) || open_own(h) ? &h->own : NULL;
}

/* --- writing */

static void put_all(struct hints *h, struct hintfile *out, const struct guard_hint_root *root, bool trusted, tstamp now)
{
	struct guard_hint hint;

	for (uint32_t place = 0; proxy_hint_next(h->proxy, &place, &hint, now);) {
		hint.server = root->numbers[hint.server];
		if (hint.trusted == trusted)
			hintfile_put(out, &hint);
	}
}

/* Those in good standing first: if there are too many, the others are left out. */
static void write_hints(struct hints *h, FILE *file, tstamp now)
{
	struct guard_hint_root root;
	struct hintfile_head head = { .saved = wall_now(h->wall) / TSTAMP_S };
	struct hintfile out;

	proxy_hint_root(h->proxy, &root);
	head.key = root.key;
	for (unsigned i = 0; i < POLICY_SERVERS; i++)
		memcpy(head.servers[root.numbers[i]], schema_name(h->config, SECTION_SERVER, i), PROXY_NAME);
	hintfile_begin(&out, file, &head);
	put_all(h, &out, &root, true, now);
	put_all(h, &out, &root, false, now);
	hintfile_end(&out);
	explicit_bzero(&root, sizeof root);
	explicit_bzero(&head, sizeof head);
}

static void save(struct hints *h, tstamp now)
{
	const struct statedir *dir = directory(h);
	uint64_t changes = proxy_hint_changes(h->proxy);
	FILE *file;
	int error;

	h->due = tstamp_add(now, HINTS_PERIOD);
	if (!dir)
		return;
	file = statedir_begin(dir, FILE_NAME);
	error = file ? 0 : -errno;
	if (file) {
		write_hints(h, file, now);
		error = statedir_commit(dir, FILE_NAME, file);
	}
	if (error) {
		complain(h, "cannot write hints into the state directory: ", strerror(-error));
		return;
	}
	h->saved = changes;
	if (h->trouble)
		log_event(h->log, LEVEL_INFO, &(struct event){ .kind = EVENT_STATE_WRITTEN },
			  "what is known of clients is on disk again");
	h->trouble = false;
}

/* --- reading */

struct intake {
	struct hints *h;
	struct guard_hint_root root;
	uint8_t places[POLICY_SERVERS]; /* by number; NOBODY: the server is gone */
	uint64_t off;                   /* ns from when it was saved */
	tstamp now;
	unsigned taken;
};

/* The servers keep their numbers, by name; the others get those that are left. */
static void number_servers(struct intake *in, const struct hintfile_head *head)
{
	bool used[POLICY_SERVERS] = { false };
	unsigned next = 0;

	memset(in->root.numbers, NOBODY, sizeof in->root.numbers);
	memset(in->places, NOBODY, sizeof in->places);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		int place = schema_place(in->h->config, SECTION_SERVER, head->servers[i]);

		if (place < 0)
			continue;
		in->root.numbers[place] = (uint8_t)i;
		in->places[i] = (uint8_t)place;
		used[i] = true;
	}
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (in->root.numbers[i] != NOBODY)
			continue;
		while (used[next])
			next++;
		in->root.numbers[i] = (uint8_t)next++;
	}
}

static void take_client(void *arg, const struct hintfile_head *head, const struct guard_hint *hint)
{
	struct intake *in = arg;
	struct guard_hint known = *hint;

	(void)head;
	known.server = in->places[hint->server];
	known.idle = tstamp_add(hint->idle, in->off);
	if (known.server != NOBODY && proxy_hint_take(in->h->proxy, &known, in->now))
		in->taken++;
}

/* How long we were away, if both clocks can be believed. It only makes hints older: nothing is decided by it but when they are dropped. */
static uint64_t time_off(const struct hints *h, const struct hintfile_head *head)
{
	uint64_t now = wall_now(h->wall), then = head->saved * TSTAMP_S;

	return wall_is_sane(now) && wall_is_sane(then) ? tstamp_since(then, now) : 0;
}

/* The whole file is looked at before any of it counts; it is ours alone meanwhile. */
static const char *take_in(struct hints *h, FILE *file, tstamp now)
{
	struct intake in = { .h = h, .now = now };
	struct hintfile_head head;
	const char *wrong = hintfile_read(file, &head, NULL, NULL);

	if (!wrong) {
		number_servers(&in, &head);
		in.root.key = head.key;
		in.off = time_off(h, &head);
		rewind(file);
		if (proxy_hint_adopt(h->proxy, &in.root))
			wrong = hintfile_read(file, &head, take_client, &in);
		if (in.taken)
			log_info(h->log, "remembers %u client%s, tentatively", in.taken, in.taken == 1 ? "" : "s");
	}
	explicit_bzero(&in, sizeof in);
	explicit_bzero(&head, sizeof head);
	return wrong;
}

static void load(struct hints *h, tstamp now)
{
	const struct statedir *dir = directory(h);
	FILE *file = dir ? statedir_open_file(dir, FILE_NAME) : NULL;
	const char *wrong;

	if (!dir || (!file && errno == ENOENT))
		return;
	wrong = file ? take_in(h, file, now) : strerror(errno);
	if (file)
		fclose(file);
	if (wrong)
		log_warn(h->log, "%s/" FILE_NAME ": %s; clients begin anew", h->config->state_directory, wrong);
}

void hints_init(struct hints *h)
{
	*h = (struct hints){ .proxy = NULL };
	statedir_init(&h->own);
}

void hints_open(struct hints *h, struct proxy *p, const struct config *c, const struct contexts *x, struct log *l,
		const struct wall *w, tstamp now)
{
	h->proxy = p;
	h->config = c;
	h->contexts = x;
	h->log = l;
	h->wall = w;
	if (c->save_hints)
		load(h, now);
	h->saved = proxy_hint_changes(p);
	h->due = tstamp_add(now, HINTS_PERIOD);
}

tstamp hints_settle(struct hints *h, tstamp now)
{
	if (!h->config->save_hints || proxy_hint_changes(h->proxy) == h->saved)
		return TSTAMP_NEVER;
	if (tstamp_reached(h->due, now))
		save(h, now);
	return h->due;
}

void hints_yield(struct hints *h)
{
	if (contexts_count(h->contexts) > 0 || !h->config->save_hints)
		statedir_close(&h->own);
}

void hints_close(struct hints *h, tstamp now)
{
	if (!h->proxy)
		return;
	if (h->config->save_hints && proxy_hint_changes(h->proxy) != h->saved)
		save(h, now);
	statedir_close(&h->own);
	h->proxy = NULL;
}

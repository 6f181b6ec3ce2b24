#include "loop.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#define WAIT_MAX_MS (24 * 3600 * 1000ULL)
#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

enum { HANGUP, TERMINATE, INTERRUPT, SIGNALS };

struct loop {
	uv_loop_t uv;
	uv_prepare_t turn_end;
	uv_timer_t deadline, watchdog;
	uv_signal_t signals[SIGNALS];
	struct loop_events events;
	tstamp now;
	bool now_is_fresh;
};

tstamp loop_now(struct loop *l)
{
	if (!l->now_is_fresh)
		l->now = uv_hrtime();
	l->now_is_fresh = true;
	return l->now;
}

/* Its only work is to end the wait: whatever is due is done at the end of the turn. */
static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
}

/*
 * libuv counts in whole milliseconds: rounded up, so that the deadline has come when we wake. At
 * least one: a deadline in the past must not make the loop spin.
 */
static void arm(struct loop *l, tstamp deadline)
{
	uint64_t ms = tstamp_since(l->now, deadline) / TSTAMP_MS + 1;

	if (deadline == TSTAMP_NEVER)
		uv_timer_stop(&l->deadline);
	else
		uv_timer_start(&l->deadline, on_deadline, ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS, 0);
}

/* libuv runs this after the callbacks and timers of a turn, right before it waits. */
static void on_turn_end(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;

	uv_update_time(&l->uv);
	arm(l, l->events.settle(l->events.arg, loop_now(l)));
	l->now_is_fresh = false;
}

static void on_watchdog(uv_timer_t *timer)
{
	struct loop *l = timer->data;

	l->events.watchdog(l->events.arg);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct loop *l = handle->data;

	if (number == SIGHUP)
		l->events.reload(l->events.arg, loop_now(l));
	else
		loop_stop(l);
}

static void init_handles(struct loop *l)
{
	uv_prepare_init(&l->uv, &l->turn_end);
	uv_timer_init(&l->uv, &l->deadline);
	uv_timer_init(&l->uv, &l->watchdog);
	l->turn_end.data = l->watchdog.data = l;
	for (unsigned i = 0; i < SIGNALS; i++) {
		uv_signal_init(&l->uv, &l->signals[i]);
		l->signals[i].data = l;
	}
}

static int catch_signals(struct loop *l)
{
	static const int numbers[SIGNALS] = {
		[HANGUP] = SIGHUP,
		[TERMINATE] = SIGTERM,
		[INTERRUPT] = SIGINT,
	};
	int error = 0;

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < SIGNALS && !error; i++)
		error = uv_signal_start(&l->signals[i], on_signal, numbers[i]);
	return error;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	uv_close((uv_handle_t *)&l->turn_end, NULL);
	uv_close((uv_handle_t *)&l->deadline, NULL);
	uv_close((uv_handle_t *)&l->watchdog, NULL);
	for (unsigned i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_loop_close(&l->uv);
	free(l);
}

/* Where libuv needs more of what it has, and gets none, it calls abort(); it does so for its table of descriptors only. */
static void *reallocate(void *old, size_t size)
{
	void *memory = realloc(old, size);

	if (memory || size == 0)
		return memory;
	fputs("<2>coap-guardd: out of memory, stopping\n", stderr);
	_exit(EX_OSERR);
}

struct loop *loop_create(const struct loop_events *events)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	if (uv_replace_allocator(malloc, reallocate, calloc, free) != 0 || uv_loop_init(&l->uv) != 0) {
		free(l);
		return NULL;
	}
	l->events = *events;
	init_handles(l);
	if (catch_signals(l) == 0)
		return l;
	loop_free(l);
	return NULL;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

int loop_run(struct loop *l, uint64_t watchdog)
{
	uint64_t ms = watchdog / TSTAMP_MS;
	int error = 0;

	if (ms > 0)
		error = uv_timer_start(&l->watchdog, on_watchdog, ms, ms);
	if (!error)
		error = uv_prepare_start(&l->turn_end, on_turn_end);
	if (!error)
		uv_run(&l->uv, UV_RUN_DEFAULT);
	return error;
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

const char *loop_built_with(void)
{
	return TEXT_OF(UV_VERSION_MAJOR) "." TEXT_OF(UV_VERSION_MINOR) "." TEXT_OF(UV_VERSION_PATCH);
}

const char *loop_runs_with(void)
{
	return uv_version_string();
}

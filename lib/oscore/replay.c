#include "oscore/replay.h"
#include <assert.h>
#include "oscore/oscore_option.h"

static_assert(REPLAY_MAX == 64, "the window is one word");

/* All the places there are. Of a 64-bit word: a shift by 64 is undefined. */
static uint64_t whole(const struct replay *r)
{
	return UINT64_MAX >> (64 - r->size);
}

/* The place of a number below next; not in the window from size on. */
static uint64_t place(const struct replay *r, uint64_t number)
{
	return r->next - 1 - number;
}

void replay_init(struct replay *r, uint8_t size)
{
	assert(size >= 1 && size <= REPLAY_MAX);
	*r = (struct replay){ .size = size };
}

bool replay_is_fresh(const struct replay *r, uint64_t number)
{
	uint64_t i;

	if (number > OSCORE_PIV_MAX)
		return false;
	if (number >= r->next)
		return true;
	i = place(r, number);
	return i < r->size && !(r->seen >> i & 1);
}

/* Makes number the highest one received. */
static void slide(struct replay *r, uint64_t number)
{
	uint64_t by = number + 1 - r->next;

	r->seen = by < 64 ? r->seen << by & whole(r) : 0;
	r->next = number + 1;
}

bool replay_accept(struct replay *r, uint64_t number)
{
	if (!replay_is_fresh(r, number))
		return false;
	if (number >= r->next)
		slide(r, number);
	r->seen |= UINT64_C(1) << place(r, number);
	return true;
}

/* Never backwards: what was struck out before stays so. */
void replay_resume(struct replay *r, uint64_t number)
{
	assert(number <= OSCORE_PIV_MAX);
	if (number >= r->next)
		slide(r, number);
	if (place(r, number) < r->size)
		r->seen |= whole(r) << place(r, number) & whole(r);
}

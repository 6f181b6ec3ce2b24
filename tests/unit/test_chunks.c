/* chunks: runs against arrays, and how far any chunk is from the last one. */
#include "base/chunks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 3;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* The comment of chunks.c, and the numbers of one run. */
static void jumps_are_as_drawn(void **state)
{
	static const uint32_t jumps[] = { 0, 0, 1, 0, 3, 4, 3, 0 };
	static const uint8_t bytes[8 * CHUNK];
	struct chunks c;
	struct run run = { 0 };

	(void)state;
	assert_true(chunks_init(&c, 8));
	chunks_append(&c, &run, bytes_of(bytes, sizeof bytes));
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(c.links[i].number, i);
		assert_int_equal(c.links[c.links[i].jump].number, jumps[i]);
	}
	chunks_free(&c);
}

/* A step is a jump or the one before, whichever goes further without going too far. */
static unsigned steps(const struct chunks *c, uint32_t i, uint32_t number)
{
	unsigned n = 0;

	for (; c->links[i].number > number; n++)
		i = c->links[c->links[i].jump].number >= number ? c->links[i].jump : c->links[i].before;
	assert_int_equal(c->links[i].number, number);
	return n;
}

static void every_chunk_is_near(void **state)
{
	static const struct {
		uint32_t chunks;
		unsigned most; /* 3 log2(n + 1) - 2, as Myers proves */
	} rows[] = { { 2, 1 }, { 15, 10 }, { 1000, 25 }, { 4095, 34 }, { 100000, 46 } };
	static const uint8_t chunk[CHUNK];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct chunks c;
		struct run run = { 0 };

		assert_true(chunks_init(&c, rows[i].chunks));
		for (uint32_t j = 0; j < rows[i].chunks; j++)
			chunks_append(&c, &run, bytes_of(chunk, CHUNK));
		for (uint32_t j = 0; j < rows[i].chunks; j++)
			assert_in_range(steps(&c, run.last, j), 0, rows[i].most);
		chunks_free(&c);
	}
}

static void counts(void **state)
{
	static const struct {
		size_t size, grown;
		uint32_t chunks, missing;
	} rows[] = {
		{ 0, 0, 0, 0 },         { 0, 1, 0, 1 },       { 1, 1, 1, 0 },         { 1, CHUNK, 1, 0 },
		{ 1, CHUNK + 1, 1, 1 }, { CHUNK, 300, 1, 2 }, { CHUNK + 1, 0, 2, 0 }, { 1000, 1024, 8, 0 },
		{ 1024, 1025, 8, 1 },   { 1025, 1024, 9, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run run = { .size = rows[i].size };

		assert_int_equal(chunks_for(rows[i].size), rows[i].chunks);
		assert_int_equal(chunks_missing(&run, rows[i].grown), rows[i].missing);
	}
}

static void empty_is_harmless(void **state)
{
	struct chunks c;
	struct run run = { 0 };

	(void)state;
	assert_true(chunks_init(&c, 0));
	chunks_append(&c, &run, bytes_of(NULL, 0));
	chunks_read(&c, &run, 0, NULL, 0);
	chunks_release(&c, &run);
	assert_int_equal(c.used, 0);
	chunks_free(&c);
	chunks_free(&c);
}

enum { RUNS = 12, LONGEST = 3000, CAPACITY = 150 };

struct naive {
	uint8_t bytes[LONGEST];
	size_t size;
};

static void grow(struct chunks *c, struct run *run, struct naive *n, uint8_t *more)
{
	size_t len = draw(400);

	if (n->size + len > LONGEST || chunks_missing(run, n->size + len) > c->capacity - c->used)
		return;
	for (size_t i = 0; i < len; i++)
		more[i] = (uint8_t)draw(256);
	chunks_append(c, run, bytes_of(more, len));
	if (len)
		memcpy(n->bytes + n->size, more, len);
	n->size += len;
}

static void compare(const struct chunks *c, const struct run *run, const struct naive *n)
{
	size_t offset = draw((uint32_t)n->size + 1), len = draw((uint32_t)(n->size - offset) + 1);
	uint8_t *out = malloc(len + 1); /* so that a byte too far is seen */

	assert_non_null(out);
	out[len] = 0x5a;
	assert_int_equal(run->size, n->size);
	chunks_read(c, run, offset, out, len);
	assert_memory_equal(out, n->bytes + offset, len);
	assert_int_equal(out[len], 0x5a);
	free(out);
}

static void agrees_with_arrays(void **state)
{
	static struct naive naive[RUNS];
	struct run runs[RUNS] = { { 0 } };
	struct chunks c;
	uint8_t more[400];
	unsigned full = 0;

	(void)state;
	assert_true(chunks_init(&c, CAPACITY));
	for (unsigned step = 0; step < 100000; step++) {
		unsigned i = draw(RUNS);
		uint32_t used = 0;

		if (draw(12) == 0) {
			chunks_release(&c, &runs[i]);
			naive[i].size = 0;
		} else {
			grow(&c, &runs[i], &naive[i], more);
		}
		compare(&c, &runs[i], &naive[i]);
		i = draw(RUNS);
		compare(&c, &runs[i], &naive[i]);
		for (unsigned j = 0; j < RUNS; j++)
			used += chunks_for(naive[j].size);
		assert_int_equal(c.used, used);
		full += used > CAPACITY - 4;
	}
	assert_true(full > 1000);
	chunks_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jumps_are_as_drawn), cmocka_unit_test(every_chunk_is_near), cmocka_unit_test(counts),
		cmocka_unit_test(empty_is_harmless),  cmocka_unit_test(agrees_with_arrays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

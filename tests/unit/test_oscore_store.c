/* oscore_store: who is found under which name, against a list that is searched from its beginning. */
#include "oscore/oscore_store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 3;

/* SplitMix64. */
static uint64_t draw(void)
{
	uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 9, len);
}

static struct rng constant = { fill };

static bool know_nothing(void *arg, enum aead_use use, uint8_t *out, size_t len)
{
	(void)arg;
	(void)use;
	(void)out;
	(void)len;
	return false;
}

/* One that works; what its key is does not matter here. */
static void set_up(struct oscore_context *c, struct bytes kid, struct bytes kid_context, const char *source)
{
	struct oscore_setup s = { .window = 32, .sender_id = { 2, { 0xff, 0xff } } };
	struct oscore_state state = { .next = 0 };
	const struct aead_player player = { know_nothing, NULL };

	s.recipient_id.len = (uint8_t)kid.len;
	memcpy(s.recipient_id.at, kid.ptr, kid.len);
	s.id_context.len = (uint8_t)kid_context.len;
	if (kid_context.len)
		memcpy(s.id_context.at, kid_context.ptr, kid_context.len);
	assert_true(oscore_context_init_played(c, &s, &player, &state, &constant));
	assert_true(addr_parse(&c->source, source, 0));
}

static struct bytes hex(const char *text)
{
	static uint8_t ring[8][64];
	static unsigned turn;
	uint8_t *out = ring[turn++ % 8];
	size_t n = strlen(text) / 2;
	unsigned byte;

	for (size_t i = 0; i < n; i++) {
		sscanf(text + 2 * i, "%2x", &byte);
		out[i] = (uint8_t)byte;
	}
	return bytes_of(out, n);
}

#define ABSENT NULL
#define ID7    "01020304050607"
#define ID8    "0102030405060708"
#define CTX32  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* NULL: no such context for this source. */
static struct oscore_context *find(struct oscore_store *s, const struct addr *source, struct bytes kid,
				   struct bytes kid_context)
{
	struct oscore_claim c = oscore_store_claim(s, source, kid, kid_context);

	return c.place == OSCORE_NOWHERE ? NULL : c.context;
}

static void test_names(void **state)
{
	static const struct {
		const char *kid, *kid_context, *source;
	} contexts[] = {
		{ "", "", "::" },          /* 0 */
		{ "00", "", "::" },        /* 1 */
		{ "0000", "", "::" },      /* 2 */
		{ "", "00", "::" },        /* 3 */
		{ "00", "00", "::" },      /* 4: not 0000, and not the other way round */
		{ ID7, CTX32, "::" },      /* 5 */
		{ ID7, "", "::" },         /* 6 */
		{ "00", "", "::" },        /* 7: as 1, which is the first */
		{ "00", "", "fd00::1" },   /* 8 */
		{ "01", "", "fd00::1" },   /* 9 */
		{ "01", "", "192.0.2.1" }, /* 10 */
	};
	static const struct {
		const char *kid, *kid_context, *source;
		int place;
	} rows[] = {
		{ "", ABSENT, "2001:db8::1", 0 },
		{ "", "", "2001:db8::1", -1 }, /* empty is not absent */
		{ "00", ABSENT, "2001:db8::1", 1 },
		{ "00", "", "2001:db8::1", -1 },
		{ "0000", ABSENT, "2001:db8::1", 2 },
		{ "000000", ABSENT, "2001:db8::1", -1 },
		{ "", "00", "2001:db8::1", 3 },
		{ "00", "00", "2001:db8::1", 4 },
		{ "00", "0000", "2001:db8::1", -1 },
		{ "0000", "00", "2001:db8::1", -1 },
		{ ID7, CTX32, "2001:db8::1", 5 },
		{ ID7, ABSENT, "2001:db8::1", 6 },
		{ ID8, ABSENT, "2001:db8::1", -1 }, /* longer than any there may be */
		{ ID7, CTX32 "20", "2001:db8::1", -1 },
		{ "01", ABSENT, "2001:db8::1", -1 }, /* only from elsewhere */
		{ "00", ABSENT, "fd00::1", 8 },
		{ "01", ABSENT, "fd00::1", 9 },
		{ "", ABSENT, "fd00::1", -1 }, /* that host has its own ones only */
		{ "00", "00", "fd00::1", -1 },
		{ ID7, ABSENT, "fd00::1", -1 },
		{ "00", ABSENT, "fd00::2", 1 },
		{ "01", ABSENT, "192.0.2.1", 10 },
		{ "01", ABSENT, "::ffff:192.0.2.1", 10 },
		{ "00", ABSENT, "192.0.2.1", -1 },
		{ "00", ABSENT, "192.0.2.2", 1 },
	};
	const struct siphash_key key = { 1, 2 };
	struct oscore_store *s = oscore_store_create(16, &key);

	(void)state;
	for (unsigned i = 0; i < sizeof contexts / sizeof *contexts; i++)
		set_up(oscore_store_at(s, i), hex(contexts[i].kid), hex(contexts[i].kid_context), contexts[i].source);
	oscore_store_index(s);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bytes kid_context = rows[i].kid_context ? hex(rows[i].kid_context) : bytes_of(NULL, 0);
		const struct oscore_context *c;
		struct addr source;

		assert_true(addr_parse(&source, rows[i].source, (uint16_t)(1000 + i))); /* any port */
		oscore_store_prefetch(s, &source, hex(rows[i].kid), kid_context);
		c = find(s, &source, hex(rows[i].kid), kid_context);
		if ((c ? (int)oscore_store_place(s, c) : -1) != rows[i].place)
			fail_msg("row %u: %d", i, c ? (int)oscore_store_place(s, c) : -1);
	}
	/* the first goes: the second of that name is found */
	oscore_context_wipe(oscore_store_at(s, 1));
	oscore_store_index(s);
	assert_ptr_equal(find(s, &(struct addr){ .ip = { 0x20 } }, hex("00"), bytes_of(NULL, 0)),
			 oscore_store_at(s, 7));
	/* with its last context a host is like any other */
	oscore_context_wipe(oscore_store_at(s, 10));
	oscore_store_index(s);
	struct addr v4;

	assert_true(addr_parse(&v4, "192.0.2.1", 0));
	assert_ptr_equal(find(s, &v4, hex("00"), bytes_of(NULL, 0)), oscore_store_at(s, 7));
	oscore_store_free(s);
}

/* --- random ones -------------------------------------------------------------------------------------------------- */

static const char *const sources[] = { "::", "::", "fd00::1", "fd00::2", "192.0.2.1" };
static const char *const kids[] = { "", "00", "01", "0000", "0001", ID7 };
static const char *const kid_contexts[] = { "", "", "00", "01", CTX32 };

static bool is_of(const struct oscore_context *c, const char *source)
{
	struct addr a;

	addr_parse(&a, source, 0);
	return memcmp(a.ip, c->source.ip, 16) == 0;
}

static bool same(struct bytes a, const uint8_t *at, uint8_t len)
{
	return bytes_equal(a, bytes_of(at, len));
}

/* -1: none. */
static int naive_find(struct oscore_store *s, uint32_t capacity, const char *source, struct bytes kid,
		      struct bytes kid_context)
{
	const char *list = "::";

	for (uint32_t i = 0; i < capacity; i++)
		if (oscore_context_works(oscore_store_at(s, i)) && is_of(oscore_store_at(s, i), source))
			list = source;
	for (uint32_t i = 0; i < capacity; i++) {
		const struct oscore_context *c = oscore_store_at(s, i);

		if (oscore_context_works(c) && is_of(c, list) &&
		    same(kid, c->setup.recipient_id.at, c->setup.recipient_id.len) &&
		    (kid_context.ptr == NULL) == (c->setup.id_context.len == 0) &&
		    same(kid_context, c->setup.id_context.at, c->setup.id_context.len))
			return (int)i;
	}
	return -1;
}

#define ANY(list) list[draw() % (sizeof(list) / sizeof *(list))]

static unsigned n_working(struct oscore_store *s, uint32_t capacity)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < capacity; i++)
		n += oscore_context_works(oscore_store_at(s, i));
	return n;
}

/* Who has no context gets a decoy, as long as there is a context at all. */
static void check_claim(struct oscore_claim c, const struct oscore_context *found, unsigned working, struct bytes kid)
{
	if (found) {
		assert_ptr_equal(c.context, found);
		assert_int_not_equal(c.place, OSCORE_NOWHERE);
		return;
	}
	assert_int_equal(c.place, OSCORE_NOWHERE);
	assert_int_equal(c.context != NULL, working > 0);
	if (c.context) {
		assert_false(oscore_context_works(c.context));
		assert_int_equal(c.context->setup.recipient_id.len, kid.len < OSCORE_ID ? kid.len : OSCORE_ID);
	}
}

static void test_random(void **state)
{
	static const uint32_t capacities[] = { 1, 2, 3, 7, 16, 64 };
	unsigned found = 0, missed = 0;

	(void)state;
	for (unsigned n = 0; n < sizeof capacities / sizeof *capacities; n++) {
		const struct siphash_key key = { draw(), draw() };
		struct oscore_store *s = oscore_store_create(capacities[n], &key);

		for (unsigned i = 0; i < 5000; i++) {
			struct oscore_context *c = oscore_store_at(s, (uint32_t)(draw() % capacities[n]));

			if (draw() % 3 == 0)
				oscore_context_wipe(c);
			else
				set_up(c, hex(ANY(kids)), hex(ANY(kid_contexts)), ANY(sources));
			oscore_store_index(s);
			for (unsigned k = 0; k < 10; k++) {
				const char *source = ANY(sources);
				struct bytes kid = hex(ANY(kids)), kid_context = hex(ANY(kid_contexts));
				const struct oscore_context *got;
				struct addr from;
				int expected;

				if (strcmp(source, "::") == 0)
					source = "fd00::3"; /* nobody sends from there */
				if (draw() % 2 && kid_context.len == 0)
					kid_context = bytes_of(NULL, 0);
				addr_parse(&from, source, 5683);
				expected = naive_find(s, capacities[n], source, kid, kid_context);
				got = find(s, &from, kid, kid_context);
				check_claim(oscore_store_claim(s, &from, kid, kid_context),
					    expected >= 0 ? oscore_store_at(s, (uint32_t)expected) : NULL,
					    n_working(s, capacities[n]), kid);
				assert_int_equal(got ? (int)oscore_store_place(s, got) : -1, expected);
				found += expected >= 0;
				missed += expected < 0;
			}
		}
		oscore_store_free(s);
	}
	assert_true(found > 10000 && missed > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

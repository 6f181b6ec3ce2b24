/* oscore_context: its life: what it may use before and after the disk has spoken, and what it takes along. */
#include "oscore/oscore_context.h"
#include "msgtext.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void fill(struct rng *rng, void *out, size_t len)
{
	static uint8_t next;

	(void)rng;
	memset(out, ++next, len);
}

static struct rng counting = { fill };

static struct oscore_setup plain_setup(void)
{
	return (struct oscore_setup){ .window = 32, .sender_id = { 1, { 1 } }, .recipient_id = { 1, { 2 } } };
}

static struct bytes secret(void)
{
	return bytes_of("sixteen bytes of", 16);
}

static struct oscore_state state_of(uint64_t next, bool synced, uint8_t window)
{
	struct oscore_state s = { .next = next, .synced = synced };

	replay_init(&s.window, window);
	return s;
}

/* Which setups can be. */
static void test_sound(void **state)
{
	static const struct {
		uint8_t aead, window, sender, recipient, id_context, salt, first;
		bool sound;
	} rows[] = {
		{ 0, 32, 1, 1, 0, 0, 1, true },   { 0, 1, 1, 1, 0, 0, 1, true },    { 0, 64, 1, 1, 0, 0, 1, true },
		{ 0, 0, 1, 1, 0, 0, 1, false },   { 0, 65, 1, 1, 0, 0, 1, false },  { 0, 32, 0, 1, 0, 0, 0, true },
		{ 0, 32, 0, 0, 0, 0, 0, false }, /* both empty: the same */
		{ 0, 32, 1, 1, 0, 0, 0, false }, /* both 00 */
		{ 0, 32, 1, 2, 0, 0, 0, true },  /* 00 and 0000 */
		{ 0, 32, 7, 7, 32, 64, 1, true }, { 0, 32, 8, 7, 0, 0, 1, false },  { 0, 32, 7, 8, 0, 0, 1, false },
		{ 1, 32, 7, 6, 0, 0, 0, true },   { 2, 32, 6, 5, 0, 0, 0, true }, /* nonces of 12 bytes */
		{ 2, 32, 7, 5, 0, 0, 0, false },  { 3, 32, 5, 7, 0, 0, 0, false },  { 4, 32, 1, 1, 0, 0, 1, false },
		{ 0, 32, 1, 1, 33, 0, 1, false }, { 0, 32, 1, 1, 0, 65, 1, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oscore_setup s = { .aead = rows[i].aead, .window = rows[i].window };

		s.sender_id = (struct oscore_id){ rows[i].sender, { rows[i].first } };
		s.recipient_id.len = rows[i].recipient;
		s.id_context.len = rows[i].id_context;
		s.salt.len = rows[i].salt;
		if (oscore_setup_is_sound(&s) != rows[i].sound)
			fail_msg("row %u", i);
	}
}

/* Everything that makes another key makes another print; the window, which does not, none. No two of them agree. */
static void test_print(void **state)
{
	uint8_t prints[32][OSCORE_PRINT];
	struct oscore_setup s[32];
	unsigned n = 0;

	(void)state;
	for (; n < 15; n++)
		s[n] = plain_setup();
	s[1].aead = AEAD_AES_CCM_16_128_128;
	s[2].aead = AEAD_AES_128_GCM;
	s[3].aead = AEAD_CHACHA20_POLY1305;
	s[4].hkdf = HKDF_SHA_512;
	s[5].sender_id = (struct oscore_id){ 1, { 3 } };
	s[6].sender_id = (struct oscore_id){ 2, { 1, 2 } };
	s[7].sender_id = (struct oscore_id){ 0, { 0 } };
	s[8].recipient_id = (struct oscore_id){ 1, { 3 } };
	s[9].recipient_id = (struct oscore_id){ 0, { 0 } };
	s[10].sender_id = s[0].recipient_id; /* the other side */
	s[10].recipient_id = s[0].sender_id;
	s[11].id_context.len = 1;
	s[12].id_context.len = 2;
	s[13].id_context.len = 1;
	s[13].id_context.at[0] = 2; /* and not the end of the recipient's */
	s[13].recipient_id = (struct oscore_id){ 0, { 0 } };
	s[14].salt.len = 1;
	s[14].salt.at[0] = 1;
	for (unsigned i = 0; i < n; i++)
		assert_true(oscore_setup_print(&s[i], secret(), prints[i]));
	assert_true(oscore_setup_print(&s[0], bytes_of("sixteen bytes oF", 16), prints[n++]));
	assert_true(oscore_setup_print(&s[0], bytes_of("sixteen bytes o", 15), prints[n++]));
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			if (memcmp(prints[i], prints[j], OSCORE_PRINT) == 0)
				fail_msg("%u and %u", i, j);
	s[1] = plain_setup();
	s[1].window = 64;
	assert_true(oscore_setup_print(&s[1], secret(), prints[1]));
	assert_memory_equal(prints[0], prints[1], OSCORE_PRINT);
}

/* What there is on disk, how far ahead it is written, and what is asked for next. */
static void test_wanted(void **state)
{
	static const struct {
		uint64_t next, limit;
		uint32_t reserve;
		uint64_t wanted;
	} rows[] = {
		{ 0, 0, 64, 64 },
		{ 500, 500, 64, 564 },
		{ 10, 64, 64, 0 },
		{ 31, 64, 64, 0 }, /* 33 left */
		{ 32, 64, 64, 96 },
		{ 63, 64, 64, 127 },
		{ 64, 64, 64, 128 },
		{ 0, 0, 1, 1 },
		{ 5, 6, 1, 0 },
		{ 6, 6, 1, 7 },
		{ OSCORE_PIV_MAX - 100, OSCORE_PIV_MAX - 100, 64, OSCORE_PIV_MAX - 36 },
		{ OSCORE_PIV_MAX - 63, OSCORE_PIV_MAX - 63, 64, OSCORE_PIV_MAX + 1 },
		{ OSCORE_PIV_MAX, OSCORE_PIV_MAX, 64, OSCORE_PIV_MAX + 1 },
		{ OSCORE_PIV_MAX, OSCORE_PIV_MAX + 1, 64, 0 },
		{ OSCORE_PIV_MAX + 1, OSCORE_PIV_MAX + 1, 64, 0 },
	};
	struct oscore_context c = { .next = 0 };
	const struct oscore_setup setup = plain_setup();
	const struct oscore_state fresh = state_of(0, true, 32);

	(void)state;
	assert_int_equal(oscore_context_wanted(&c, 64), 0); /* it does not work */
	assert_true(oscore_context_init(&c, &setup, secret(), &fresh, &counting));
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		c.next = rows[i].next;
		c.limit = rows[i].limit;
		if (oscore_context_wanted(&c, rows[i].reserve) != rows[i].wanted)
			fail_msg("row %u: %llu", i, (unsigned long long)oscore_context_wanted(&c, rows[i].reserve));
	}
	oscore_context_wipe(&c);
	assert_int_equal(oscore_context_wanted(&c, 64), 0);
}

/* The last number there is: whatever the disk says, the next one would be the first again. */
static void test_last_number(void **state)
{
	const struct oscore_setup setup = plain_setup();
	struct oscore_state late = state_of(OSCORE_PIV_MAX, true, 32);
	struct oscore_context c = { .next = 0 };
	uint64_t number;

	(void)state;
	assert_true(oscore_context_init(&c, &setup, secret(), &late, &counting));
	assert_int_equal(c.window.size, setup.window); /* until the state is in use, an empty one */
	oscore_context_allow(&c, OSCORE_PIV_MAX + 100);
	assert_true(oscore_context_number(&c, &number) && number == OSCORE_PIV_MAX);
	assert_false(oscore_context_number(&c, &number));
	assert_int_equal(c.counters.exhausted, 1);
	oscore_context_wipe(&c);
}

/* Whatever happens between writes and crashes, no number is used twice. */
static void test_numbers(void **state)
{
	const struct oscore_setup setup = plain_setup();
	struct oscore_context c = { .next = 0 };
	struct oscore_state disk = state_of(0, true, 32);
	uint64_t used = 0, seed = 1, number, starts = 0, refused = 0; /* all below were used, or are lost */

	(void)state;
	assert_true(oscore_context_init(&c, &setup, secret(), &disk, &counting));
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t what = (seed = seed * 6364136223846793005ULL + 1442695040888963407ULL) >> 33, wanted;

		if (what % 8 < 5) {
			if (oscore_context_number(&c, &number)) {
				assert_true(number >= used && number < disk.next);
				used = number + 1;
			} else {
				refused++;
			}
		} else if (what % 8 < 7 && (wanted = oscore_context_wanted(&c, 16))) {
			disk.next = wanted; /* it reaches the disk, and now and then nobody hears of it */
			disk.synced = false;
			if (what >> 20 & 1)
				oscore_context_allow(&c, wanted);
		} else if (what / 8 % 100 == 0) { /* a clean end, or none */
			if (what >> 20 & 1)
				disk = oscore_context_state(&c);
			assert_true(disk.next >= used);
			assert_true(oscore_context_init(&c, &setup, secret(), &disk, &counting));
			starts++;
		}
	}
	assert_true(starts > 100 && refused > 100 && used > 10000);
	oscore_context_wipe(&c);
}

/* The window is in use as soon as the disk says so, and what is written at the end is what was true. */
static void test_states(void **state)
{
	const struct oscore_setup setup = plain_setup();
	struct oscore_context c = { .next = 0 };
	struct oscore_state from = state_of(100, true, 32), to;
	uint8_t challenge[OSCORE_CHALLENGE];
	uint32_t generation;
	uint64_t number;

	(void)state;
	replay_accept(&from.window, 5);
	assert_true(oscore_context_init(&c, &setup, secret(), &from, &counting));
	assert_true(oscore_context_works(&c));
	assert_false(c.synced);
	assert_false(oscore_context_number(&c, &number));
	assert_int_equal(c.counters.exhausted, 1);
	to = oscore_context_state(&c); /* never in use: as it was */
	assert_true(to.synced && to.next == 100 && to.window.next == 6);
	oscore_context_allow(&c, 164);
	assert_true(c.synced && c.window.next == 6);
	replay_accept(&c.window, 9);
	assert_true(oscore_context_number(&c, &number) && number == 100);
	oscore_context_allow(&c, 200); /* once */
	assert_int_equal(c.window.next, 10);
	to = oscore_context_state(&c);
	assert_true(to.synced && to.next == 101 && to.window.next == 10);
	/* anew: another generation, another challenge, counters from zero */
	generation = c.generation;
	memcpy(challenge, c.challenge, sizeof challenge);
	oscore_context_wipe(&c);
	assert_false(oscore_context_works(&c));
	assert_int_equal(c.generation, generation);
	from.synced = false;
	assert_true(oscore_context_init(&c, &setup, secret(), &from, &counting));
	assert_int_not_equal(c.generation, generation);
	assert_memory_not_equal(challenge, c.challenge, sizeof challenge);
	assert_int_equal(c.counters.exhausted, 0);
	oscore_context_allow(&c, 164);
	assert_false(c.synced); /* it was lost */
	to = oscore_context_state(&c);
	assert_true(!to.synced && to.next == 100);
	oscore_context_wipe(&c);
}

/* A window of another size than it was saved with: nothing becomes fresh again by that. */
static void test_window_sizes(void **state)
{
	static const uint8_t sizes[] = { 1, 2, 8, 31, 32, 33, 63, 64 };
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		for (unsigned n = 0; n < 20; n++) {
			struct oscore_setup setup = plain_setup();
			struct oscore_context c = { .next = 0 };
			struct oscore_state from = state_of(0, true, sizes[i / 8]);
			bool received[200] = { false };
			uint64_t highest = 0;

			setup.window = sizes[i % 8];
			for (unsigned k = 0; k < n * 4; k++) {
				seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
				uint64_t number = (seed >> 33) % (20 + k);

				received[number] |= replay_accept(&from.window, number);
				highest = from.window.next;
			}
			assert_true(oscore_context_init(&c, &setup, secret(), &from, &counting));
			oscore_context_allow(&c, 10);
			assert_int_equal(c.window.size, setup.window);
			assert_int_equal(c.window.next, highest);
			for (uint64_t number = 0; number < 200; number++) {
				if (received[number] || !replay_is_fresh(&from.window, number))
					assert_false(replay_is_fresh(&c.window, number));
				else if (number >= highest || highest - number <= setup.window)
					assert_true(replay_is_fresh(&c.window, number));
			}
			oscore_context_wipe(&c);
		}
	/* one of no size at all, as a damaged file may say: everything below counts as received */
	struct oscore_setup setup = plain_setup();
	struct oscore_context c = { .next = 0 };
	struct oscore_state from = { .synced = true, .window = { .next = 50 } };

	assert_true(oscore_context_init(&c, &setup, secret(), &from, &counting));
	oscore_context_allow(&c, 10);
	for (uint64_t number = 0; number < 100; number++)
		assert_int_equal(replay_is_fresh(&c.window, number), number >= 50);
	oscore_context_wipe(&c);
}

/* RFC 8613 §5.2, by hand: | length of ID | ID, to the right | Partial IV, to the right | XOR Common IV */
static void test_nonce(void **state)
{
	static const struct {
		uint8_t aead;
		const char *id, *piv, *nonce;
	} rows[] = {
		{ AEAD_AES_CCM_16_64_128, "", "00", "00000000000000000000000000" },
		{ AEAD_AES_CCM_16_64_128, "01", "14", "01000000000000010000000014" },
		{ AEAD_AES_CCM_16_64_128, "01020304050607", "ffeeddccbb", "0701020304050607ffeeddccbb" },
		{ AEAD_AES_128_GCM, "0102", "0100", "020000000001020000000100" },
		{ AEAD_AES_128_GCM, "010203040506", "0102030405", "060102030405060102030405" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct oscore_context c = { .setup = { .aead = rows[i].aead } };
		uint8_t id[8], piv[8], expected[AEAD_NONCE], nonce[AEAD_NONCE];
		size_t n = aead_info((enum aead_algorithm)rows[i].aead)->nonce_len;
		struct bytes k = bytes_of(id, msgtext_unhex(rows[i].id, strlen(rows[i].id), id, sizeof id));
		struct bytes p = bytes_of(piv, msgtext_unhex(rows[i].piv, strlen(rows[i].piv), piv, sizeof piv));

		assert_int_equal(msgtext_unhex(rows[i].nonce, strlen(rows[i].nonce), expected, sizeof expected), n);
		oscore_context_nonce(&c, k, p, nonce);
		assert_memory_equal(nonce, expected, n);
		memset(c.common_iv, 0x5a, sizeof c.common_iv);
		oscore_context_nonce(&c, k, p, nonce);
		for (size_t at = 0; at < n; at++)
			assert_int_equal(nonce[at], expected[at] ^ 0x5a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),        cmocka_unit_test(test_print),   cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_last_number),  cmocka_unit_test(test_numbers), cmocka_unit_test(test_states),
		cmocka_unit_test(test_window_sizes), cmocka_unit_test(test_nonce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

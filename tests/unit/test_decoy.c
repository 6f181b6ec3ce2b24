/* decoy: it does with every message what a true context does with a forged one. */
#include "oscore/decoy.h"
#include "oscore/oscore.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void fill(struct rng *rng, void *out, size_t len)
{
	(void)rng;
	memset(out, 9, len);
}

static struct oscore_setup setup_of(uint8_t aead, uint8_t kid_len)
{
	struct oscore_setup s = { .aead = aead, .window = 32, .sender_id = { kid_len, { 1, 2, 3, 4, 5, 6, 7 } } };

	s.recipient_id = (struct oscore_id){ 1, { 0xff } };
	return s;
}

/* A request under a kid of that length, as its holder protects it. */
static struct msg request(uint8_t aead, uint8_t kid_len, struct oscore_room *room)
{
	static const uint8_t plain[] = { 0x40, 0x01, 0x12, 0x34, 0xb4, 'l', 'a', 'm', 'p' };
	struct oscore_setup setup = setup_of(aead, kid_len);
	struct oscore_state state = { .synced = true };
	struct rng constant = { fill };
	struct oscore_context c = { .sealer = NULL };
	struct oscore_request asked;
	struct msg in, out;

	replay_init(&state.window, setup.window);
	assert_true(oscore_context_init(&c, &setup, bytes_of("0123456789abcdef", 16), &state, &constant));
	oscore_context_allow(&c, 10);
	assert_int_equal(msg_parse(&in, bytes_of(plain, sizeof plain)), MSG_OK);
	assert_int_equal(oscore_protect_request(&c, &in, OSCORE_NEXT_HOP, room, &out, &asked), OSCORE_OK);
	oscore_context_wipe(&c);
	return out;
}

static struct oscore_option option_of(const struct msg *m)
{
	struct oscore_option o;
	struct msg_option value;

	assert_true(msg_find(m, 9, &value));
	assert_int_equal(oscore_option_parse(&o, value.value), OSCORE_OPTION_OK);
	return o;
}

static void test_opens_nothing(void **state)
{
	static const uint8_t key[AEAD_KEY] = { 1, 2, 3 };

	(void)state;
	for (uint8_t a = 0; a < AEAD_COUNT; a++) {
		struct decoy d;

		assert_true(decoy_init(&d, (enum aead_algorithm)a, key));
		assert_true(decoy_works(&d));
		for (uint8_t len = 0; len <= aead_info((enum aead_algorithm)a)->nonce_len - 6; len++) {
			struct oscore_room room, opened;
			struct msg in = request(a, len, &room), out;
			struct oscore_option option = option_of(&in);
			struct oscore_context *c = decoy_for(&d, option.kid);
			struct oscore_request asked;
			struct oscore_aad aad;

			assert_false(oscore_context_works(c)); /* nor seals it */
			assert_int_equal(oscore_unprotect_request(c, &in, &option, &opened, &out, &asked),
					 OSCORE_INVALID);
			assert_int_equal(c->counters.failed, 1); /* but the key was used */
			oscore_aad_init(&aad, oscore_setup_cose(&c->setup), option.kid);
			assert_int_equal(c->received.len, aad.len);
			assert_int_equal(c->setup.recipient_id.len, len);
		}
		decoy_wipe(&d);
		assert_false(decoy_works(&d));
	}
}

/* A kid longer than any is as good as the longest. */
static void test_long_kids(void **state)
{
	static const uint8_t key[AEAD_KEY] = { 1 }, kid[255] = { 0 };
	struct decoy d;

	(void)state;
	assert_true(decoy_init(&d, AEAD_AES_128_GCM, key));
	for (size_t len = OSCORE_ID; len <= sizeof kid; len++)
		assert_ptr_equal(decoy_for(&d, bytes_of(kid, len)), &d.as[OSCORE_ID]);
	decoy_wipe(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_nothing),
		cmocka_unit_test(test_long_kids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* handshakes: what may follow the first message of a key exchange, step by step. */
#include "guard/handshakes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define START TSTAMP_HOUR

enum { BEGIN, BLIND, PROVEN, KNOWN };

struct step {
	unsigned at_s;
	uint8_t what;
	uint64_t endpoint;
	bool yes;
};

static void play(const char *story, const struct step *steps, size_t n)
{
	struct handshakes h = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct step *s = &steps[i];
		tstamp now = START + s->at_s * TSTAMP_S;

		print_message("%s, step %zu\n", story, i);
		switch (s->what) {
		case BEGIN: handshakes_begin(&h, s->endpoint, now); break;
		case KNOWN: assert_int_equal(handshakes_known(&h, s->endpoint, now), s->yes); break;
		default: assert_int_equal(handshakes_continue(&h, s->endpoint, s->what == PROVEN, now), s->yes); break;
		}
	}
}

#define STORY(name, ...)                                                                                               \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		static const struct step steps[] = { __VA_ARGS__ };                                                    \
                                                                                                                       \
		(void)state;                                                                                           \
		play(#name, steps, sizeof steps / sizeof *steps);                                                      \
	}

/* Nobody began: nothing follows, and endpoint 0 is nobody. */
STORY(test_nothing_began, { 0, KNOWN, 7, false }, { 0, BLIND, 7, false }, { 0, PROVEN, 7, false })

/* Two blind messages and two proven ones; the proven may use the blind ones' places at the end, but not the other way round. */
STORY(test_counted, { 0, BEGIN, 7, true }, { 1, KNOWN, 7, true }, { 1, KNOWN, 8, false }, { 1, BLIND, 8, false },
      { 1, BLIND, 7, true }, { 1, BLIND, 7, true }, { 1, BLIND, 7, false }, { 2, PROVEN, 7, true },
      { 2, PROVEN, 7, true }, { 2, PROVEN, 7, false }, { 2, BLIND, 7, false }, { 2, KNOWN, 7, true })
STORY(test_proven_first, { 0, BEGIN, 7, true }, { 1, PROVEN, 7, true }, { 1, PROVEN, 7, true }, { 1, BLIND, 7, true },
      { 1, PROVEN, 7, true }, { 1, PROVEN, 7, false }, { 1, BLIND, 7, false })

STORY(test_a_minute, { 0, BEGIN, 7, true }, { 59, KNOWN, 7, true }, { 60, KNOWN, 7, false }, { 60, PROVEN, 7, false })

/* A new first message was paid for anew. */
STORY(test_again, { 0, BEGIN, 7, true }, { 1, BLIND, 7, true }, { 2, BEGIN, 7, true }, { 3, BLIND, 7, true },
      { 3, BLIND, 7, true }, { 3, BLIND, 7, false }, { 61, KNOWN, 7, true }, { 62, KNOWN, 7, false })

/* The ninth takes the place of the one with the least time left; later ones those whose time is over. */
STORY(test_room, { 0, BEGIN, 2, true }, { 1, BEGIN, 1, true }, { 2, BEGIN, 3, true }, { 3, BEGIN, 4, true },
      { 4, BEGIN, 5, true }, { 5, BEGIN, 6, true }, { 6, BEGIN, 7, true }, { 7, BEGIN, 8, true }, { 8, BEGIN, 2, true },
      { 9, BEGIN, 9, true }, { 9, KNOWN, 1, false }, { 9, KNOWN, 2, true }, { 9, KNOWN, 3, true },
      { 9, KNOWN, 8, true }, { 9, KNOWN, 9, true }, { 63, BEGIN, 10, true }, { 63, KNOWN, 5, true },
      { 63, KNOWN, 10, true })

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_began), cmocka_unit_test(test_counted),
		cmocka_unit_test(test_proven_first),  cmocka_unit_test(test_a_minute),
		cmocka_unit_test(test_again),         cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* inflight: tickets, reserved Partial IVs and handshakes under way, against a naive copy. */
#include "guard/inflight.h"
#include "guard/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define CAPACITY 32

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void test_tickets(void **state)
{
	struct inflight *f = inflight_create(2);
	struct inflight_request rq = { .relation = 5, .piv = 7 };
	struct guard_ticket a, b;

	(void)state;
	assert_null(inflight_get(f, (struct guard_ticket){ 0, 0 }));
	a = inflight_open(f, &rq);
	b = inflight_open(f, &rq);
	assert_true(a.generation && b.generation);
	assert_int_equal(inflight_open(f, &rq).generation, 0); /* full is a verdict */
	assert_non_null(inflight_get(f, a));
	inflight_close(f, a);
	assert_null(inflight_get(f, a)); /* a ticket works once */
	inflight_close(f, a);
	assert_int_equal(inflight_count(f), 1);
	assert_true(inflight_has(f, 5, 7, 0)); /* b's */
	a = inflight_open(f, &rq);
	assert_true(inflight_get(f, a) != inflight_get(f, b));
	inflight_close(f, b);
	inflight_close(f, a);
	assert_false(inflight_has(f, 5, 7, 0));
	assert_null(inflight_get(f, (struct guard_ticket){ 77, 1 }));
	inflight_free(f);
}

/* What waits counts as a handshake only when it goes. */
static void test_handshakes(void **state)
{
	struct inflight *f = inflight_create(4);
	struct inflight_request rq = { .server = 3, .kind = BUDGET_HANDSHAKE, .waiting = true };
	struct guard_ticket a = inflight_open(f, &rq), b = inflight_open(f, &rq);

	(void)state;
	assert_false(inflight_handshake(f, 3));
	inflight_launch(f, a);
	inflight_launch(f, a);
	assert_true(inflight_handshake(f, 3));
	assert_false(inflight_handshake(f, 2));
	inflight_close(f, b);
	assert_true(inflight_handshake(f, 3));
	inflight_close(f, a);
	assert_false(inflight_handshake(f, 3));
	inflight_free(f);
}

static void test_against_copy(void **state)
{
	struct inflight *f = inflight_create(CAPACITY);
	struct {
		struct guard_ticket t;
		struct inflight_request rq;
	} copy[CAPACITY + 1];
	unsigned n = 0;
	uint64_t seed = 11;

	(void)state;
	for (unsigned round = 0; round < 50000; round++) {
		uint64_t x = next_random(&seed);
		uint64_t relation = x & 3, piv = x >> 8 & 3;
		unsigned has = 0, handshakes = 0, pick;

		if (x >> 16 & 1) {
			struct inflight_request rq = { .relation = relation,
						       .piv = piv,
						       .server = x >> 20 & 1,
						       .kind = x >> 21 & 1 ? BUDGET_HANDSHAKE : BUDGET_REQUEST,
						       .waiting = x >> 22 & 1 };
			struct guard_ticket t = inflight_open(f, &rq);

			assert_int_equal(t.generation == 0, n == CAPACITY);
			if (t.generation) {
				copy[n].t = t;
				copy[n++].rq = rq;
			}
		} else if (n) {
			pick = (unsigned)(x >> 32) % n;
			if (x >> 17 & 1) {
				inflight_launch(f, copy[pick].t);
				copy[pick].rq.waiting = false;
			} else {
				inflight_close(f, copy[pick].t);
				assert_null(inflight_get(f, copy[pick].t));
				copy[pick] = copy[--n];
			}
		}
		assert_int_equal(inflight_count(f), n);
		for (unsigned i = 0; i < n; i++) {
			const struct inflight_request *rq = inflight_get(f, copy[i].t);

			assert_non_null(rq);
			assert_true(rq->relation == copy[i].rq.relation && rq->piv == copy[i].rq.piv);
			has += relation && rq->relation == relation && rq->piv == piv;
			handshakes += rq->server == 1 && rq->kind == BUDGET_HANDSHAKE && !copy[i].rq.waiting;
		}
		if (relation)
			assert_int_equal(inflight_has(f, relation, piv, 0), has > 0);
		assert_int_equal(inflight_handshake(f, 1), handshakes > 0);
	}
	inflight_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_against_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

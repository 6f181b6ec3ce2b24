/* exchange: the table and its indexes against a naive copy. */
#include "proxy/exchange.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CAPACITY 32
#define FLOWS    12

static void fill(struct rng *rng, void *out, size_t len)
{
	static uint64_t state = 1;
	uint8_t *at = out;

	(void)rng;
	while (len--)
		*at++ = (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static struct rng rng = { fill };

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Few flows and Message IDs, so that chains are shared. */
static uint64_t flow_of(uint64_t n)
{
	return (n % FLOWS + 1) << 4;
}

static void check_indexes(const struct exchange_table *t, struct exchange *const *copy, unsigned n)
{
	tstamp next = TSTAMP_NEVER;

	for (unsigned i = 0; i < n; i++) {
		struct exchange *x = copy[i], *found = NULL;
		unsigned of_flow = 0;

		assert_ptr_equal(exchange_by_ref(t, exchange_ref(t, x)), x);
		assert_ptr_equal(exchange_by_token(t, x->server, bytes_of(x->token, sizeof x->token)), x);
		assert_null(exchange_by_token(t, (uint8_t)(x->server + 1), bytes_of(x->token, sizeof x->token)));
		if (x->up_indexed) {
			found = exchange_by_up_mid(t, x->server, x->up_mid);
			assert_true(found && found->up_indexed && found->up_mid == x->up_mid &&
				    found->server == x->server);
		}
		if (x->down_indexed) {
			found = exchange_by_down_mid(t, x->flow, x->down_mid);
			assert_true(found && found->down_mid == x->down_mid && found->flow == x->flow);
		}
		for (unsigned k = 0; k < n; k++)
			of_flow += copy[k]->flow == x->flow;
		assert_int_equal(exchange_flow_count(t, x->flow), of_flow);
		next = tstamp_min(next, tstamp_min(x->ack_at, tstamp_min(x->device_at, x->client_at)));
	}
	assert_true(exchange_next_expiry(t) == next);
	assert_int_equal(t->count, n);
}

static void test_against_copy(void **state)
{
	struct exchange *copy[CAPACITY];
	struct exchange_table t;
	unsigned n = 0;
	uint64_t seed = 4;

	(void)state;
	assert_true(exchange_table_init(&t, CAPACITY));
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t r = next_random(&seed);
		struct path client = engine_path("[2001:db8:1::a]:40001");
		struct exchange *x = n ? copy[(r >> 32) % n] : NULL, *y = n ? copy[(r >> 40) % n] : NULL;
		unsigned last;

		switch (r % 7) {
		case 0:
		case 1:
			x = exchange_open(&t, &client, flow_of(r >> 8), &rng);
			if (!x) { /* full, or this flow holds a quarter */
				assert_true(n == CAPACITY || exchange_flow_count(&t, flow_of(r >> 8)) == CAPACITY / 4);
				break;
			}
			x->server = 0; /* what indexes depend on is set before they are */
			copy[n++] = x;
			break;
		case 2:
			for (last = 0; x && copy[last] != x;)
				last++;
			if (x) {
				exchange_close(&t, x);
				assert_null(exchange_by_ref(&t, exchange_ref(&t, x)));
				copy[last] = copy[--n];
			}
			break;
		case 3:
			if (x)
				exchange_set_up_mid(&t, x, (uint16_t)(r >> 48 & 7));
			break;
		case 4:
			if (x)
				exchange_set_down_mid(&t, x, (uint16_t)(r >> 48 & 7));
			break;
		case 5:
			if (x) {
				x->ack_at = r & 256 ? r >> 20 : TSTAMP_NEVER;
				x->device_at = r & 512 ? r >> 21 : TSTAMP_NEVER;
				x->client_at = r & 1024 ? r >> 22 : TSTAMP_NEVER;
				exchange_arm(&t, x);
			}
			break;
		default:
			if (x && x != y) {
				uint8_t mine[EXCHANGE_TOKEN], theirs[EXCHANGE_TOKEN];

				memcpy(mine, x->token, sizeof mine);
				memcpy(theirs, y->token, sizeof theirs);
				exchange_adopt_token(&t, x, y);
				assert_memory_equal(x->token, theirs, sizeof theirs);
				assert_memory_equal(y->token, mine, sizeof mine);
			}
		}
		check_indexes(&t, copy, n);
	}
	exchange_table_free(&t);
}

static void test_expiry(void **state)
{
	struct path client = engine_path("[2001:db8:1::a]:40001");
	struct exchange_table t;
	struct exchange *a, *b;

	(void)state;
	assert_true(exchange_table_init(&t, CAPACITY));
	assert_true(exchange_next_expiry(&t) == TSTAMP_NEVER);
	a = exchange_open(&t, &client, 16, &rng);
	b = exchange_open(&t, &client, 32, &rng);
	a->device_at = 200;
	b->client_at = 100;
	exchange_arm(&t, a);
	exchange_arm(&t, b);
	assert_null(exchange_expired(&t, 99));
	assert_ptr_equal(exchange_expired(&t, 100), b);
	b->client_at = TSTAMP_NEVER;
	exchange_arm(&t, b);
	assert_null(exchange_expired(&t, 199));
	assert_ptr_equal(exchange_expired(&t, 300), a);
	exchange_close(&t, a);
	assert_null(exchange_expired(&t, 300));
	exchange_table_free(&t);
}

/* Observations are counted by server, through every change of state. */
static void test_observing(void **state)
{
	struct path client = engine_path("[2001:db8:1::a]:40001");
	struct exchange_table t;
	struct exchange *a, *b;

	(void)state;
	assert_true(exchange_table_init(&t, CAPACITY));
	a = exchange_open(&t, &client, 16, &rng);
	b = exchange_open(&t, &client, 16, &rng);
	a->server = b->server = 5;
	exchange_set_state(&t, a, EXCHANGE_OBSERVING);
	exchange_set_state(&t, a, EXCHANGE_OBSERVING);
	exchange_set_state(&t, b, EXCHANGE_OBSERVING);
	assert_int_equal(t.observing[5], 2);
	exchange_set_state(&t, b, EXCHANGE_ANSWERED);
	assert_int_equal(t.observing[5], 1);
	exchange_close(&t, a);
	assert_int_equal(t.observing[5], 0);
	exchange_table_free(&t);
}

static void test_words(void **state)
{
	(void)state;
	for (unsigned s = 0; s < EXCHANGE_STATES; s++)
		for (unsigned k = 0; k < s; k++)
			assert_string_not_equal(exchange_state_word((enum exchange_state)s),
						exchange_state_word((enum exchange_state)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_copy),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_observing),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

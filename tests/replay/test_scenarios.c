/*
 * scenarios: stories of one minute or one day in virtual time, with the real engine. Each is told as a trace into
 * $OUT (default: not recorded), and its verdicts are what tests/replay/NAME.trace says (test_replay.c).
 */
#include "world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const char config[] = "[guard]\nname = guard\n"
			     "[listen main]\nbind = 192.0.2.1:5683\n"
			     "[link air]\nrate = 10kbit/s\n"
			     "[server dev]\naddress = coap://[fd00::17]\n";

/* The same behind a guard that shares a key with a client, and lets nobody else through. */
static const char full_config[] = "[guard]\nname = guard\n"
				  "[listen main]\nbind = 192.0.2.1:5683\n"
				  "[link air]\nrate = 10kbit/s\n"
				  "[server dev]\naddress = coap://[fd00::17]\nmode = full\n"
				  "[context phone]\nsender-id = 0x01\nrecipient-id = 0x02\nservers = dev\n";

static struct world *begin_with(const char *text, const char *name, uint64_t seed)
{
	const char *dir = getenv("OUT");
	char path[256];

	if (!dir)
		return world_open(text, NULL, seed);
	snprintf(path, sizeof path, "%s/%s.trace", dir, name);
	return world_open(text, path, seed);
}

static struct world *begin(const char *name, uint64_t seed)
{
	return begin_with(config, name, seed);
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

/* A client that has asked ten times and is trusted. */
static struct world_client *trusted_client(struct world *w, const char *addr, uint8_t kid)
{
	struct world_client *c = world_client(w, addr, true, kid);

	for (unsigned i = 0; i < 10; i++) {
		world_ask(c);
		world_run(w, world_seconds(w) + 0.5);
	}
	assert_int_equal(c->answered, 10);
	return c;
}

static void reset(struct world_client *c)
{
	c->asked = c->answered = c->refused = c->failed = c->lost = c->challenged = 0;
	c->worst = c->total = 0;
}

/* Asks no more, and gets what is under way. */
static void calm(struct world *w, struct world_client *c)
{
	c->period = 0;
	world_run(w, world_seconds(w) + 1.5);
	if (c->busy)
		world_run(w, world_seconds(w) + 100);
}

/* --- attackers ------------------------------------------------------------------------------------------------- */

struct attack {
	double period_s, until_s;
	struct addr victim;
	unsigned sent;
	void (*shoot)(struct world *w, struct attack *a);
};

static void fire(struct world *w, void *arg)
{
	struct attack *a = arg;

	a->shoot(w, a);
	a->sent++;
	if (world_seconds(w) + a->period_s < a->until_s)
		world_call(w, world_seconds(w) + a->period_s, fire, a);
}

static void start(struct world *w, struct attack *a, double rate, double duration_s)
{
	a->period_s = 1 / rate;
	a->until_s = world_seconds(w) + duration_s;
	world_call(w, world_seconds(w), fire, a);
}

static struct addr random_source(struct world *w)
{
	struct addr a = { .port = (uint16_t)(1024 + world_random(w) % 60000) };

	memcpy(a.ip, (uint8_t[]){ 0x20, 0x01 }, 2);
	for (unsigned i = 2; i < 16; i++)
		a.ip[i] = (uint8_t)world_random(w);
	return a;
}

static void shoot_oscore(struct world *w, struct attack *a, const struct addr *from)
{
	uint8_t data[64];
	unsigned piv_len = 1 + (unsigned)(world_random(w) % 3);
	size_t n =
		world_forge(w, (uint8_t)world_random(w), world_random(w) & ((1ULL << 8 * piv_len) - 1), piv_len, data);

	(void)a;
	world_inject(w, from, data, n);
}

static void from_anywhere(struct world *w, struct attack *a)
{
	static const uint8_t get[] = { 0x42, 1, 0, 0, 0xab, 0xcd, 0xb3, 'd', 'e', 'v', 0x01, 'x' };
	struct addr from = random_source(w);
	uint8_t data[sizeof get];

	switch (a->sent % 3) {
	case 0: world_inject(w, &from, (const uint8_t *)"\x52garbage", 8); break;
	case 1:
		memcpy(data, get, sizeof get);
		data[2] = (uint8_t)(a->sent >> 8);
		data[3] = (uint8_t)a->sent;
		world_inject(w, &from, data, sizeof data);
		break;
	default: shoot_oscore(w, a, &from);
	}
}

static void from_victim(struct world *w, struct attack *a)
{
	shoot_oscore(w, a, &a->victim);
}

static void every_kid(struct world *w, struct attack *a)
{
	uint8_t data[64];
	struct addr from = random_source(w);
	size_t n = world_forge(w, (uint8_t)a->sent, 11 + a->sent % 40, 1, data);

	world_inject(w, &from, data, n);
}

/* What must hold whatever is thrown at the guard. */
static void check_invariants(struct world *w)
{
	assert_true(w->stray_out <= 3 * w->stray_in); /* I3 */
	assert_true(w->largest_stray <= 136);
}

/* --- the stories ----------------------------------------------------------------------------------------------- */

/* Nobody who does nothing unusual notices the guard. */
static void quiet_day(void **state)
{
	struct world *w = begin("quiet-day", 1);
	struct world_client *oscore = world_client(w, "192.0.2.10:40000", true, 1);
	struct world_client *plain = world_client(w, "[2001:db8::10]:40000", false, 0);

	(void)state;
	world_keep_asking(oscore, 30);
	world_keep_asking(plain, 60);
	world_run(w, 1799);
	assert_int_equal(oscore->answered, oscore->asked);
	assert_int_equal(plain->answered, plain->asked);
	assert_int_equal(w->refusals, 0);
	assert_true(seconds(oscore->worst) < 0.061 && seconds(plain->worst) < 0.061); /* 60 ms are the network's */
	world_close(w);
}

static void flood_random(void **state)
{
	struct world *w = begin("flood-random", 2);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct world_client *newcomer = world_client(w, "198.51.100.7:40000", false, 0);
	struct attack a = { .shoot = from_anywhere };
	unsigned before = w->device.requests;

	(void)state;
	reset(c);
	start(w, &a, 10, 60);
	world_keep_asking(c, 5);
	world_run(w, world_seconds(w) + 10);
	world_ask(newcomer);
	world_run(w, world_seconds(w) + 49);
	calm(w, c);
	assert_int_equal(c->answered, c->asked);
	assert_true(seconds(c->worst) < 0.3);
	assert_int_equal(newcomer->answered, 1);
	/* a minute's worth in store for each kind, and what flows in a minute */
	assert_true(w->device.requests - before - c->answered <= 6 + 6 + 2 + 7);
	check_invariants(w);
	world_close(w);
}

/* The trusted client's own address, every kid, any Partial IV. */
static void flood_victim(void **state)
{
	struct world *w = begin("flood-victim", 3);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct attack a = { .shoot = from_victim, .victim = c->addr };

	(void)state;
	reset(c);
	start(w, &a, 10, 60);
	world_keep_asking(c, 3);
	world_run(w, world_seconds(w) + 62);
	calm(w, c);
	assert_int_equal(c->answered, c->asked);
	assert_true(w->device.strange <= 2); /* one per doubted period */
	assert_int_equal(c->failed + c->refused + c->lost, 0);
	world_close(w);
}

static void kid_guessing(void **state)
{
	struct world *w = begin("kid-guessing", 4);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct attack a = { .shoot = every_kid };

	(void)state;
	reset(c);
	start(w, &a, 10, 52);
	world_keep_asking(c, 3);
	world_run(w, world_seconds(w) + 60);
	calm(w, c);
	assert_int_equal(c->answered, c->asked);
	assert_true(seconds(c->worst) < 0.3);
	assert_true(w->device.strange <= 21);
	check_invariants(w);
	world_close(w);
}

/* Far numbers are challenged, re-used ones dropped; neither touches the record. */
static void odd_numbers(void **state)
{
	struct world *w = begin("odd-numbers", 5);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	uint8_t data[64];
	unsigned forged;

	(void)state;
	reset(c);
	world_inject(w, &c->addr, data, world_forge(w, 1, 1ULL << 39, 5, data));
	world_run(w, world_seconds(w) + 5);
	forged = w->device.strange;
	assert_true(forged <= 1);
	for (unsigned i = 0; i < 10; i++) {
		world_inject(w, &c->addr, data, world_forge(w, 1, i, 1, data)); /* used all of them */
		world_inject(w, &c->addr, data, world_forge(w, 1, 500000 + i, 3, data));
		world_run(w, world_seconds(w) + 1);
	}
	assert_int_equal(w->device.strange, forged);
	for (unsigned i = 0; i < 5; i++) {
		world_ask(c);
		world_run(w, world_seconds(w) + 1);
	}
	assert_int_equal(c->answered, 5);
	assert_true(seconds(c->worst) < 0.061);
	world_close(w);
}

/* A flood closes the unknown lane; the roaming client still gets through within its own retransmissions. */
static void roaming(void **state)
{
	struct world *w = begin("roaming", 6);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct attack a = { .shoot = from_anywhere };

	(void)state;
	reset(c);
	start(w, &a, 10, 60);
	world_run(w, world_seconds(w) + 10);
	assert_true(addr_parse(&c->addr, "[2001:db8:77::1]:50000", 0));
	for (unsigned i = 0; i < 10; i++) {
		world_ask(c);
		world_run(w, world_seconds(w) + 5);
	}
	assert_int_equal(c->answered, 10);
	assert_true(seconds(c->worst) < 3.2); /* one retransmission while it moved */
	reset(c);
	for (unsigned i = 0; i < 5; i++) { /* and now it is at home there */
		world_ask(c);
		world_run(w, world_seconds(w) + 1);
	}
	assert_int_equal(c->answered, 5);
	assert_true(seconds(c->worst) < 0.3);
	world_close(w);
}

static void nat_rebinding(void **state)
{
	struct world *w = begin("nat-rebinding", 7);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);

	(void)state;
	reset(c);
	for (unsigned i = 0; i < 20; i++) {
		c->addr.port = (uint16_t)(40001 + i);
		for (unsigned j = 0; j < 3; j++) {
			world_ask(c);
			world_run(w, world_seconds(w) + 10);
		}
	}
	assert_int_equal(c->answered, 60);
	assert_int_equal(c->refused + c->failed + c->lost, 0);
	assert_true(seconds(c->worst) < 0.2); /* at most one more round trip */
	world_close(w);
}

/* Its key was revoked, and it goes on at 20/s from its own address. */
static void abusive(void **state)
{
	struct world *w = begin("abusive", 8);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct world_client *other = trusted_client(w, "192.0.2.99:40000", 2);
	unsigned before;

	(void)state;
	reset(other);
	w->device.knows[1] = false;
	before = w->device.requests;
	world_keep_asking(c, 0.05);
	world_keep_asking(other, 2);
	world_run(w, world_seconds(w) + 60);
	calm(w, other);
	assert_int_equal(other->answered, other->asked);
	assert_true(seconds(other->worst) < 0.3);
	print_message(
		"abusive: %u requests at the device, %u of the other client; asked %u refused %u failed %u lost %u\n",
		w->device.requests - before, other->answered, c->asked, c->refused, c->failed, c->lost);
	assert_true(w->device.requests - before - other->answered <= 30); /* against 1 200 that it would have sent */
	world_close(w);
}

static void device_silent(void **state)
{
	struct world *w = begin("device-silent", 9);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);

	(void)state;
	reset(c);
	w->device.silent = true;
	world_ask(c);
	world_run(w, world_seconds(w) + 200); /* until what the device was sent is within probing-rate again */
	print_message("silent: failed %u lost %u busy %d\n", c->failed, c->lost, c->busy);
	assert_int_equal(c->failed, 1); /* 5.04, and not a loss */
	w->device.silent = false;
	for (unsigned i = 0; i < 5; i++) {
		world_ask(c);
		world_run(w, world_seconds(w) + 1);
	}
	assert_int_equal(c->answered, 5); /* its standing has not suffered */
	assert_true(seconds(c->worst) < 0.061);
	world_close(w);
}

/* The device is away for an hour, and asked by three clients all the time. It is back, and all go on as before. */
static void device_away(void **state)
{
	struct world *w = begin("device-away", 13);
	struct world_client *c[3];
	unsigned before, lost = 0;

	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		char addr[32];

		snprintf(addr, sizeof addr, "192.0.2.1%u:40000", i);
		c[i] = trusted_client(w, addr, (uint8_t)(i + 1));
		reset(c[i]);
	}
	w->device.silent = true;
	before = w->device.requests;
	for (unsigned i = 0; i < 3; i++)
		world_keep_asking(c[i], 20 + i);
	world_run(w, world_seconds(w) + 3600);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(c[i]->failed > 30 && c[i]->answered == 0);
		lost += c[i]->lost;
	}
	print_message("away: asked %u times, the device got %u datagrams; lost %u\n",
		      c[0]->asked + c[1]->asked + c[2]->asked, w->device.requests - before, lost);
	assert_true(w->device.requests - before < 3600 / 20);
	assert_int_equal(lost, 0); /* each was told */
	w->device.silent = false;
	world_run(w, world_seconds(w) + 60);
	for (unsigned i = 0; i < 3; i++)
		reset(c[i]);
	world_run(w, world_seconds(w) + 300);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(c[i]->answered >= 12);
		assert_true(seconds(c[i]->worst) < 0.061);
		assert_int_equal(c[i]->refused + c[i]->failed + c[i]->lost, 0);
	}
	world_close(w);
}

/* The device lost its contexts and says 4.01 to everybody, until it is provisioned again. */
static void device_reboots(void **state)
{
	struct world *w = begin("device-reboots", 10);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);

	(void)state;
	w->device.forgot = true;
	world_keep_asking(c, 5);
	world_run(w, world_seconds(w) + 30);
	w->device.forgot = false;
	world_run(w, world_seconds(w) + 120);
	reset(c);
	world_run(w, world_seconds(w) + 60);
	assert_true(c->answered >= 11);
	assert_int_equal(c->refused + c->failed + c->lost, 0);
	world_close(w);
}

/* Under the kid of the guard's own context; sometimes from its holder's address. */
static void forge_layer(struct world *w, struct attack *a)
{
	struct addr from = a->victim;
	uint8_t data[64];
	size_t len = world_forge(w, 2, world_random(w) % 64, 1, data);

	if (a->sent % 4) {
		from.ip[15] = (uint8_t)world_random(w);
		from.port = (uint16_t)(1024 + world_random(w) % 60000);
	}
	world_inject(w, &from, data, len);
}

/* After a power cut the window is lost: one Echo inside the layer mends that. Then forgers, whom nothing helps. */
static void layers(void **state)
{
	struct world *w = begin_with(full_config, "layers", 12);
	struct world_client *c = world_client(w, "192.0.2.10:40000", true, 1);
	struct world_client *stranger = world_client(w, "192.0.2.77:40000", true, 9);
	struct attack a = { .shoot = forge_layer, .victim = c->addr };

	(void)state;
	world_share_key(w, "phone", c, 4096, false);
	for (unsigned i = 0; i < 10; i++) {
		world_ask(c);
		world_run(w, world_seconds(w) + 0.5);
	}
	assert_int_equal(c->answered, 10);
	assert_int_equal(c->recovered, 1);
	start(w, &a, 50, 10);
	world_keep_asking(c, 0.5);
	world_run(w, world_seconds(w) + 5);
	world_ask(stranger);
	world_run(w, world_seconds(w) + 7);
	calm(w, c);
	assert_true(c->answered >= 30);
	assert_int_equal(c->answered, c->asked);
	assert_int_equal(stranger->answered, 0);
	assert_int_equal(w->device.requests, c->answered);
	world_close(w);
}

/* Not recorded: rates at which only the invariants are looked at. */
static void flood_hard(void **state)
{
	struct world *w = world_open(config, NULL, 11);
	struct world_client *c = trusted_client(w, "192.0.2.10:40000", 1);
	struct attack a = { .shoot = from_anywhere }, b = { .shoot = from_victim, .victim = c->addr };
	unsigned before = w->device.requests;

	(void)state;
	reset(c);
	start(w, &a, 2000, 20);
	start(w, &b, 1000, 20);
	world_keep_asking(c, 1);
	world_run(w, world_seconds(w) + 21);
	calm(w, c);
	assert_int_equal(c->answered, c->asked);
	print_message("hard: worst %f mean %f\n", seconds(c->worst), seconds(c->total) / c->answered);
	assert_true(seconds(c->worst) < 0.4);
	assert_true(w->device.requests - before - c->answered <= 6 + 6 + 2 + 3);
	check_invariants(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_day),     cmocka_unit_test(flood_random),   cmocka_unit_test(flood_victim),
		cmocka_unit_test(kid_guessing),  cmocka_unit_test(odd_numbers),    cmocka_unit_test(roaming),
		cmocka_unit_test(nat_rebinding), cmocka_unit_test(abusive),        cmocka_unit_test(device_silent),
		cmocka_unit_test(device_away),   cmocka_unit_test(device_reboots), cmocka_unit_test(layers),
		cmocka_unit_test(flood_hard),
	};

	return cmocka_run_group_tests_name("scenarios", tests, NULL, NULL);
}

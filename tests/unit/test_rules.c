/* rules: what RFC 7252 asks of a proxy that caches (§5.4.2, §5.6, §5.7.1, §5.9), step by step; docs/requirements.md names them. */
#include "coap/option.h"
#include "engine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/*
 * After `wait` seconds somebody asks. What goes up to the lamp and what it answers, or nothing: the guard knows. What comes back.
 * Messages are a code and options.
 */
struct step {
	unsigned wait;
	const char *asked, *up, *answer, *told;
};

static void play(struct engine *e, unsigned i, const struct step *s)
{
	const char *client = (const char *[]){ "a", "b", "c", "d" }[i % 4];

	engine_wait(e, s->wait * TSTAMP_S);
	engine_line(e, "%s> CON %.4s %04x #%04x%s", client, s->asked, i, i, s->asked + 4);
	if (s->up) {
		engine_line(e, "lamp< CON %.4s * #*%s", s->up, s->up + 4);
		engine_line(e, "lamp> ACK %.4s $ #$%s", s->answer, s->answer + 4);
	}
	engine_line(e, "%s< ACK %.4s %04x #%04x%s", client, s->told, i, i, s->told + 4);
	engine_line(e, "quiet");
	engine_wait(e, TSTAMP_MS);
}

static void play_all(const char *rule, const struct step *steps, unsigned n)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	c.cache_size = 16384;
	for (unsigned i = 0; i < 2; i++)
		c.policy.servers[i].plain = PLAIN_ALLOW;
	c.servers[0].forward = true;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "prove b", "prove c", "prove d", "flush");
	for (unsigned i = 0; i < n; i++) {
		print_message("%s, step %u\n", rule, i);
		play(e, i, &steps[i]);
	}
	engine_stop(e);
}

#define RULE(name, ...)                                                                                                \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		static const struct step steps[] = { __VA_ARGS__ };                                                    \
                                                                                                                       \
		(void)state;                                                                                           \
		play_all(#name, steps, sizeof steps / sizeof *steps);                                                  \
	}

#define T    "0.01 Uri-Path:lamp Uri-Path:t"
#define UP_T "0.01 Uri-Path:t"

/* clang-format off */
/* §5.6: "The presented request method and that used to obtain the stored response match"; FETCH adds its payload (RFC 8132 §2.2). */
RULE(the_method_is_in_the_key,
	{ 0, T, UP_T, "2.05 !get", "2.05 !get" }, { 0, T, NULL, NULL, "2.05 Max-Age=3b !get" },
	{ 0, "0.05 Uri-Path:lamp Uri-Path:t !q1", "0.05 Uri-Path:t !q1", "2.05 !one", "2.05 !one" },
	{ 0, "0.05 Uri-Path:lamp Uri-Path:t !q2", "0.05 Uri-Path:t !q2", "2.05 !two", "2.05 !two" },
	{ 0, "0.05 Uri-Path:lamp Uri-Path:t !q1", NULL, NULL, "2.05 Max-Age=3b !one" },
	{ 0, "0.05 Uri-Path:lamp Uri-Path:t !q2", NULL, NULL, "2.05 Max-Age=3b !two" },
	{ 0, "0.02 Uri-Path:lamp Uri-Path:t", "0.02 Uri-Path:t", "4.05", "4.05" },
	{ 0, "0.02 Uri-Path:lamp Uri-Path:t", "0.02 Uri-Path:t", "4.05", "4.05" },
	{ 0, T, NULL, NULL, "2.05 Max-Age=3b !get" })

/* §5.6, §5.4.2: all options match, known or not, safe to forward, but for those marked NoCacheKey. */
RULE(options_are_in_the_key,
	{ 0, T, UP_T, "2.05 !1", "2.05 !1" },
	{ 0, T " Uri-Query:a", UP_T " Uri-Query:a", "2.05 !2", "2.05 !2" },
	{ 0, T " Uri-Query:a Uri-Query:b", UP_T " Uri-Query:a Uri-Query:b", "2.05 !3", "2.05 !3" },
	{ 0, T " Uri-Query:b Uri-Query:a", UP_T " Uri-Query:b Uri-Query:a", "2.05 !4", "2.05 !4" },
	{ 0, "0.01 Uri-Path:lamp Uri-Path:t Uri-Path:", "0.01 Uri-Path:t Uri-Path:", "2.05 !5", "2.05 !5" },
	{ 0, T " 65004=7a", UP_T " 65004=7a", "2.05 !6", "2.05 !6" },
	{ 0, T " 65004=7b", UP_T " 65004=7b", "2.05 !7", "2.05 !7" },
	{ 0, T " 65001=7a", UP_T " 65001=7a", "2.05 !8", "2.05 !8" },
	{ 0, "0.01 If-Match=01 Uri-Path:lamp Uri-Path:t", "0.01 If-Match=01 Uri-Path:t", "4.12", "4.12" },
	{ 0, T " 65004=7a", NULL, NULL, "2.05 Max-Age=3b !6" }, { 0, T " Uri-Query:b Uri-Query:a", NULL, NULL, "2.05 Max-Age=3b !4" },
	{ 0, T, NULL, NULL, "2.05 Max-Age=3b !1" }, { 0, T " 65020=7a", NULL, NULL, "2.05 Max-Age=3b !1" },
	{ 0, T " Size1=10", NULL, NULL, "2.05 Max-Age=3b !1" }, { 0, T " Hop-Limit=05", NULL, NULL, "2.05 Max-Age=3b !1" })

/* §5.7.2: what the server would see decides, not how the client said it. */
RULE(all_forms_of_a_uri_are_one,
	{ 0, "0.01 Proxy-Uri:coap://[fd00:db8::17]/t?q", UP_T " Uri-Query:q Hop-Limit=10", "2.05 !1", "2.05 !1" },
	{ 0, T " Uri-Query:q", NULL, NULL, "2.05 Max-Age=3b !1" },
	{ 0, "0.01 Uri-Host:fd00:db8::17 Uri-Path:t Uri-Query:q Proxy-Scheme:coap", NULL, NULL, "2.05 Max-Age=3b !1" },
	{ 0, "0.01 Proxy-Uri:coap://[2001:db8::53]/lamp/t?q", NULL, NULL, "2.05 Max-Age=3b !1" })

/* §5.7.1: "the Max-Age Option MUST NOT extend the max-age originally set by the server"; §5.6.1. */
RULE(max_age_is_not_extended,
	{ 0, T, UP_T, "2.05 Max-Age=0a !1", "2.05 Max-Age=0a !1" }, { 0, T, NULL, NULL, "2.05 Max-Age=09 !1" },
	{ 4, T, NULL, NULL, "2.05 Max-Age=05 !1" }, { 4, T, NULL, NULL, "2.05 Max-Age=01 !1" },
	{ 2, T, UP_T, "2.05 Max-Age=0a !2", "2.05 Max-Age=0a !2" }, { 0, T, NULL, NULL, "2.05 Max-Age=09 !2" })

/* §5.10.5: 60 where the server says nothing; 0: not cached. */
RULE(max_age_defaults_to_a_minute,
	{ 0, T, UP_T, "2.05 !1", "2.05 !1" }, { 49, T, NULL, NULL, "2.05 Max-Age=0a !1" }, { 11, T, UP_T, "2.05 !2", "2.05 !2" })
RULE(max_age_0_is_not_served,
	{ 0, T, UP_T, "2.05 Max-Age= !1", "2.05 Max-Age= !1" }, { 0, T, UP_T, "2.05 Max-Age= !2", "2.05 Max-Age= !2" })

/* §5.6.2, §5.9.1.3: 2.03 makes fresh for as long as it says; any other response takes the place of what was stored. */
RULE(what_is_old_is_validated,
	{ 0, T, UP_T, "2.05 ETag=aa Max-Age=05 !1", "2.05 ETag=aa Max-Age=05 !1" },
	{ 6, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa Max-Age=14", "2.05 ETag=aa Max-Age=14 !1" },
	{ 10, T, NULL, NULL, "2.05 ETag=aa Max-Age=09 !1" },
	{ 10, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa", "2.05 ETag=aa !1" },
	{ 61, T, "0.01 ETag=aa Uri-Path:t", "2.05 ETag=bb Max-Age=05 !2", "2.05 ETag=bb Max-Age=05 !2" },
	{ 0, T, NULL, NULL, "2.05 ETag=bb Max-Age=04 !2" },
	{ 6, T, "0.01 ETag=bb Uri-Path:t", "4.04 Max-Age=05", "4.04 Max-Age=05" }, { 0, T, NULL, NULL, "4.04 Max-Age=04" })

/* §5.9.1.3: "For each type of Safe-to-Forward option present in the response", those that were stored are replaced; ETag, blocks and Echo are apart. */
RULE(validation_replaces_options,
	{ 0, T, UP_T, "2.05 ETag=aa Content-Format=32 Max-Age=05 65000=01 65004=7a 65004=7b !1",
	  "2.05 ETag=aa Content-Format=32 Max-Age=05 65000=01 65004=7a 65004=7b !1" },
	{ 5, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa Max-Age=05", "2.05 ETag=aa Content-Format=32 Max-Age=05 65000=01 65004=7a 65004=7b !1" },
	{ 5, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa Max-Age=05 65004=7c",
	  "2.05 ETag=aa Content-Format=32 Max-Age=05 65000=01 65004=7c !1" },
	{ 0, T, NULL, NULL, "2.05 ETag=aa Content-Format=32 Max-Age=04 65000=01 65004=7c !1" },
	{ 5, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa Content-Format=3c Max-Age=05 65004=7d 65004=7e 65020=02",
	  "2.05 ETag=aa Content-Format=3c Max-Age=05 65000=01 65004=7d 65004=7e 65020=02 !1" },
	{ 0, T " Accept=3c", NULL, NULL, "2.05 ETag=aa Content-Format=3c Max-Age=04 65000=01 65004=7d 65004=7e 65020=02 !1" },
	{ 5, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa ETag=bb Max-Age=05 Block2= Size2=20 Echo=0102 65020=",
	  "2.05 ETag=aa Content-Format=3c Max-Age=05 65000=01 65004=7d 65004=7e 65020= !1" })

/* What it says does not fit: told as what cannot be forwarded, and asked for anew as a whole. */
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000" /* 32 bytes */
#define BYTES_128 ZEROS ZEROS ZEROS ZEROS
RULE(what_outgrows_is_asked_for_anew,
	{ 0, T, UP_T, "2.05 ETag=aa Max-Age=05 65000=" BYTES_128 " !1", "2.05 ETag=aa Max-Age=05 65000=" BYTES_128 " !1" },
	{ 5, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa 65004=" BYTES_128, "5.02" },
	{ 0, T, UP_T, "2.05 ETag=aa 65004=" BYTES_128 " !1", "2.05 ETag=aa 65004=" BYTES_128 " !1" },
	{ 61, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa 65004=" BYTES_128 " 65004=" BYTES_128, "5.02" },
	{ 0, T, UP_T, "2.05 ETag=aa !1", "2.05 ETag=aa !1" })

/* A plain request that is answered in OSCORE, or seems to be: nobody else's, whatever its code. */
RULE(what_claims_oscore_is_not_kept,
	{ 0, T, UP_T, "2.05 OSCORE= Max-Age=3c !1", "2.05 OSCORE= !1" },
	{ 0, T, UP_T, "2.05 ETag=aa Max-Age= !2", "2.05 ETag=aa Max-Age= !2" },
	{ 0, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa OSCORE=", "5.02" },
	{ 0, T, "0.01 ETag=aa Uri-Path:t", "2.03 ETag=aa", "2.05 ETag=aa !2" })

/* The same towards clients, who may have several. */
RULE(clients_validate,
	{ 0, T, UP_T, "2.05 ETag=aa !1", "2.05 ETag=aa !1" },
	{ 0, "0.01 ETag=aa Uri-Path:lamp Uri-Path:t", NULL, NULL, "2.03 ETag=aa Max-Age=3b" },
	{ 0, "0.01 ETag=bb ETag=aa Uri-Path:lamp Uri-Path:t", NULL, NULL, "2.03 ETag=aa Max-Age=3b" },
	{ 0, "0.01 ETag=bb Uri-Path:lamp Uri-Path:t", NULL, NULL, "2.05 ETag=aa Max-Age=3b !1" })

/* §5.9.1.1, §5.9.1.2, §5.9.1.4: the resource that was made, deleted or changed is not fresh any more; a refusal changes nothing. */
RULE(success_makes_old,
	{ 0, T, UP_T, "2.05 !1", "2.05 !1" }, { 0, "0.03 Uri-Path:lamp Uri-Path:t !n", "0.03 Uri-Path:t !n", "2.04", "2.04" },
	{ 0, T, UP_T, "2.05 !2", "2.05 !2" }, { 0, "0.02 Uri-Path:lamp Uri-Path:t !n", "0.02 Uri-Path:t !n", "2.01", "2.01" },
	{ 0, T, UP_T, "2.05 !3", "2.05 !3" }, { 0, "0.04 Uri-Path:lamp Uri-Path:t", "0.04 Uri-Path:t", "2.02", "2.02" },
	{ 0, T, UP_T, "2.05 !4", "2.05 !4" }, { 0, "0.06 Uri-Path:lamp Uri-Path:t !n", "0.06 Uri-Path:t !n", "2.04", "2.04" },
	{ 0, T, UP_T, "2.05 !5", "2.05 !5" }, { 0, "0.03 Uri-Path:lamp Uri-Path:t !n", "0.03 Uri-Path:t !n", "4.03", "4.03" },
	{ 0, T, NULL, NULL, "2.05 Max-Age=3b !5" })

/* §5.9.1: what answers a write is not cacheable; §5.9: nor is success of a kind that is not known. */
RULE(writes_go_up,
	{ 0, "0.03 Uri-Path:lamp Uri-Path:t !n", "0.03 Uri-Path:t !n", "2.04 Max-Age=3c", "2.04 Max-Age=3c" },
	{ 0, "0.03 Uri-Path:lamp Uri-Path:t !n", "0.03 Uri-Path:t !n", "2.04 Max-Age=3c", "2.04 Max-Age=3c" },
	{ 0, "0.04 Uri-Path:lamp Uri-Path:t", "0.04 Uri-Path:t", "2.02", "2.02" },
	{ 0, "0.04 Uri-Path:lamp Uri-Path:t", "0.04 Uri-Path:t", "2.02", "2.02" },
	{ 0, T, UP_T, "2.06 !6", "2.06 !6" }, { 0, T, UP_T, "2.06 !7", "2.06 !7" })

/* §5.9.2, §5.9.3: errors are cacheable; not those that say something of one client or of this moment. */
RULE(errors_are_kept,
	{ 0, T, UP_T, "4.04 Max-Age=0a !no", "4.04 Max-Age=0a !no" }, { 4, T, NULL, NULL, "4.04 Max-Age=05 !no" },
	{ 6, T, UP_T, "5.03 Max-Age=05", "5.03 Max-Age=05" }, { 2, T, NULL, NULL, "5.03 Max-Age=02" },
	{ 4, T, UP_T, "2.05 !1", "2.05 !1" },
	{ 0, T "4", UP_T "4", "4.29 Max-Age=0a", "4.29 Max-Age=0a" }, { 0, T "4", UP_T "4", "2.05 !4", "2.05 !4" },
	{ 0, T "5", UP_T "5", "4.01", "4.01" }, { 0, T "5", UP_T "5", "4.01 Echo=0102030405", "4.01 Echo=0102030405" },
	{ 0, T "6", UP_T "6", "4.02", "4.02" }, { 0, T "6", UP_T "6", "2.05 !6", "2.05 !6" })

/* draft-hartke-core-e2e-security-reqs-03 PR2.5: what was asked for with another Accept serves, if it is in the wanted format. */
RULE(accept_is_relaxed,
	{ 0, T, UP_T, "2.05 Content-Format=32 !json", "2.05 Content-Format=32 !json" },
	{ 0, T " Accept=32", NULL, NULL, "2.05 Content-Format=32 Max-Age=3b !json" },
	{ 0, T " Accept=3c", UP_T " Accept=3c", "2.05 Content-Format=3c !cbor", "2.05 Content-Format=3c !cbor" },
	{ 0, T " Accept=32", NULL, NULL, "2.05 Content-Format=32 Max-Age=3b !json" },
	{ 0, T " Accept=3c", NULL, NULL, "2.05 Content-Format=3c Max-Age=3b !cbor" },
	{ 0, T " Accept=28", UP_T " Accept=28", "4.06", "4.06" }, { 0, T " Accept=28", NULL, NULL, "4.06 Max-Age=3b" })

/* RFC 8613 §10: what is protected is nobody else's. */
#define OSCORE(piv) "0.05 OSCORE=09" piv "25 Uri-Path:lamp !=00ff"
#define UP_OSCORE(piv) "0.05 OSCORE=09" piv "25 !=00ff"
RULE(oscore_is_never_kept,
	{ 0, OSCORE("01"), UP_OSCORE("01"), "2.05 OSCORE= Max-Age=3c !=0122", "2.05 OSCORE= Max-Age=3c !=0122" },
	{ 0, OSCORE("02"), UP_OSCORE("02"), "2.05 OSCORE= Max-Age=3c !=0133", "2.05 OSCORE= Max-Age=3c !=0133" })

/* What goes up says what the server needs, and nothing of ours: an Echo is no part of the key, nor of an answer that is kept. */
RULE(an_echo_is_for_one,
	{ 0, T, UP_T, "2.05 Echo=0102030405 !1", "2.05 Echo=0102030405 !1" }, { 0, T, UP_T, "2.05 !2", "2.05 !2" },
	{ 0, T, NULL, NULL, "2.05 Max-Age=3b !2" })
/* clang-format on */

static struct engine *start(void)
{
	struct proxy_config c = engine_roomy();
	struct engine *e;

	c.cache_size = 16384;
	c.policy.servers[0].plain = PLAIN_ALLOW;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "prove b", "prove c", "flush");
	return e;
}

#define OBSERVE "Observe= Uri-Path:lamp Uri-Path:t"

/* RFC 7641 §5: one registration for all; an error, or the server's silence, is told to all. */
static void observers_share_one_relation(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #0a " OBSERVE, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$t Observe=01 !1", "a< ACK 2.05 0001 #0a Observe=* !1",
		    "b> CON 0.01 0001 #0b " OBSERVE, "b< ACK 2.05 0001 #0b Observe=* !1",
		    "c> CON 0.01 0001 #0c " OBSERVE, "c< ACK 2.05 0001 #0c Observe=* !1", "quiet",
		    "lamp> NON 2.05 7001 #$t Observe=02 !2", "a< NON 2.05 * #0a Observe=* !2",
		    "b< NON 2.05 * #0b Observe=* !2", "c< NON 2.05 * #0c Observe=* !2", "quiet",
		    "lamp> NON 4.04 7002 #$t", "a< NON 4.04 * #0a", "b< NON 4.04 * #0b", "c< NON 4.04 * #0c",
		    "lamp> NON 2.05 7003 #$t Observe=03 !3", "lamp< RST 0.00 7003 #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* RFC 7641 §4.4, §5: numbers of the guard's own, which grow whatever the server's do; Max-Age is that of the notification less its age. */
static void notifications_are_numbered_anew(void **state)
{
	static const char *const numbers[] = { "05", "06", "ffffff", "", "01" };
	struct engine *e = start();
	uint32_t last = 0;

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.01 0001 #0a " OBSERVE, "lamp< CON 0.01 * #*t Observe= Uri-Path:t",
		    "lamp> ACK 2.05 $ #$t Observe=04 Max-Age=64 !1", "a< ACK 2.05 0001 #0a Observe=* Max-Age=64 !1",
		    "wait 10s", "b> CON 0.01 0001 #0b " OBSERVE, "b< ACK 2.05 0001 #0b Observe=* Max-Age=5a !1");
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct engine_sent *s;
		struct msg_option observe;
		struct msg m;
		uint32_t n;

		engine_line(e, "lamp> NON 2.05 %04x #$t Observe=%s !n", 0x7000 + i, numbers[i]);
		s = engine_take(e, "a");
		assert_non_null(s);
		assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
		assert_true(msg_find(&m, OPTION_OBSERVE, &observe) && option_uint(observe.value, &n) && n > last);
		last = n;
		engine_line(e, "b< NON 2.05 * #0b Observe=* !n");
		engine_wait(e, TSTAMP_S);
	}
	e->n_out = 0;
	engine_stop(e);
}

/* RFC 8613 §10: OSCORE observations are not aggregated. */
static void oscore_observers_have_their_own(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "a> CON 0.05 0001 #0a Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*a Observe= OSCORE=090105 !=00", "lamp> ACK 2.05 $ #$a Observe=01 OSCORE= !=01",
		    "a< ACK 2.05 0001 #0a Observe=01 OSCORE= !=01",
		    "b> CON 0.05 0001 #0b Observe= OSCORE=090106 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*b Observe= OSCORE=090106 !=00", "lamp> ACK 2.05 $ #$b Observe=01 OSCORE= !=02",
		    "b< ACK 2.05 0001 #0b Observe=01 OSCORE= !=02",
		    "lamp> NON 2.05 7001 #$b Observe=02 OSCORE=0101 !=03",
		    "b< NON 2.05 * #0b Observe=02 OSCORE=0101 !=03", "quiet");
	assert_int_equal(e->proxy->exchanges.observing[0], 2);
	e->n_out = 0;
	engine_stop(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_method_is_in_the_key),
		cmocka_unit_test(options_are_in_the_key),
		cmocka_unit_test(all_forms_of_a_uri_are_one),
		cmocka_unit_test(max_age_is_not_extended),
		cmocka_unit_test(max_age_defaults_to_a_minute),
		cmocka_unit_test(max_age_0_is_not_served),
		cmocka_unit_test(what_is_old_is_validated),
		cmocka_unit_test(validation_replaces_options),
		cmocka_unit_test(what_outgrows_is_asked_for_anew),
		cmocka_unit_test(what_claims_oscore_is_not_kept),
		cmocka_unit_test(clients_validate),
		cmocka_unit_test(success_makes_old),
		cmocka_unit_test(writes_go_up),
		cmocka_unit_test(errors_are_kept),
		cmocka_unit_test(accept_is_relaxed),
		cmocka_unit_test(oscore_is_never_kept),
		cmocka_unit_test(an_echo_is_for_one),
		cmocka_unit_test(observers_share_one_relation),
		cmocka_unit_test(notifications_are_numbered_anew),
		cmocka_unit_test(oscore_observers_have_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* blockwise: messages larger than the link's blocks, through the engine: cut, put together, given up, and never mixed (RFC 7959). */
#include "bottle.h"
#include "msgtext.h"
#include "coap/block.h"
#include "coap/edits.h"
#include "coap/msgbuf.h"
#include "proxy/snapshot.h"
#include "coap/option.h"
#include "guard/state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROWS(a) (sizeof(a) / sizeof(a)[0])

/* Blocks of 64 bytes, and of 16 in hex. */
#define ONE   "one.456789012345678901234567890123456789012345678901234567890123"
#define TWO   "two.456789012345678901234567890123456789012345678901234567890123"
#define THREE "three.6789012345678901234567890123456789012345678901234567890123"
#define FOUR  "four.56789012345678901234567890123456789012345678901234567890123"
#define CIPH  "=00112233445566778899aabbccddeeff"
#define HEX   "00112233445566778899aabbccddeeff"

static struct proxy_config narrow(struct proxy_config c)
{
	c.links[0].block_size = 64;
	return c;
}

static struct engine *start(void)
{
	struct proxy_config c = narrow(engine_roomy());

	return engine_start(&c);
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static void test_put(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp Uri-Path:x Content-Format= !" ONE TWO "the end",
		    "lamp< CON 0.03 * #* Uri-Path:x Content-Format= Block1=0a Size1=87 Request-Tag=* !" ONE, "quiet",
		    "lamp> ACK 2.31 $ #$ Block1=0a",
		    "lamp< CON 0.03 * #* Uri-Path:x Content-Format= Block1=1a Request-Tag=* !" TWO, "quiet",
		    /* a separate answer, and one that comes twice */
		    "lamp> ACK 0.00 $ #", "wait 3s", "a< ACK 0.00 0001 #", "lamp> CON 2.31 7001 #$ Block1=1a",
		    "lamp< ACK 0.00 7001 #",
		    "lamp< CON 0.03 *m #*t Uri-Path:x Content-Format= Block2=02 Block1=22 Request-Tag=* !the end",
		    "lamp> CON 2.31 7001 #0102030405060708 Block1=1a", "lamp< RST 0.00 7001 #", "quiet",
		    "lamp> ACK 2.04 $m #$t Block1=22", "a< CON 2.04 * #01", "a> ACK 0.00 $ #", "quiet");
	assert_int_equal(e->proxy->exchanges.count, 0);
	engine_stop(e);
}

/* What fits goes as it is, but for the block of the response that is named. */
static void test_small(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE,
		    "lamp< CON 0.03 * #* Block2=02 Request-Tag=* !" ONE, "lamp> ACK 2.04 $ #$", "a< ACK 2.04 0001 #01",
		    "quiet");
	engine_stop(e);
}

/* The server wants less: at once by 4.13, or from the next one on. Or it wants nothing of it. */
static void test_negotiated(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE "01234567",
		    "lamp< CON 0.03 * #* Block1=0a Size1=48 Request-Tag=* !" ONE, "lamp> ACK 4.13 $ #$ Block1=09",
		    "lamp< CON 0.03 * #* Block1=09 Size1=48 Request-Tag=* !one.4567890123456789012345678901",
		    "lamp> ACK 2.31 $ #$ Block1=08", "lamp< CON 0.03 * #* Block1=28 Request-Tag=* !2345678901234567",
		    "lamp> ACK 2.31 $ #$ Block1=28", "lamp< CON 0.03 * #* Block1=38 Request-Tag=* !8901234567890123",
		    "lamp> ACK 2.31 $ #$ Block1=38", "lamp< CON 0.03 * #* Block2=02 Block1=40 Request-Tag=* !01234567",
		    "lamp> ACK 2.04 $ #$ Block1=40", "a< ACK 2.04 0001 #01", "quiet",

		    "a> CON 0.03 0002 #02 Uri-Path:lamp !" ONE "01234567", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
		    "lamp> ACK 4.13 $ #$ Size1=20", "a< ACK 4.13 0002 #02 Size1=20", "quiet",
		    "a> CON 0.03 0003 #03 Uri-Path:lamp !" ONE "01234567", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
		    "lamp> ACK 4.04 $ #$ Block1=0a", "a< ACK 4.04 0003 #03", "quiet",
		    /* 4.08 in the middle: the whole of it is over */
		    "a> CON 0.03 0004 #04 Uri-Path:lamp !" ONE "01234567", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
		    "lamp> ACK 2.31 $ #$ Block1=0a", "lamp< CON 0.03 * #* Block2=02 Block1=12 *r *p",
		    "lamp> ACK 4.08 $ #$ Block1=12", "a< ACK 4.08 0004 #04", "quiet",
		    /* nor is 4.13 a wish any more */
		    "a> CON 0.03 0005 #05 Uri-Path:lamp !" ONE "01234567", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
		    "lamp> ACK 2.31 $ #$ Block1=0a", "lamp< CON 0.03 * #* Block2=02 Block1=12 *r *p",
		    "lamp> ACK 4.13 $ #$ Block1=11", "a< ACK 4.13 0005 #05", "quiet");
	engine_stop(e);
}

/* The client's own blocks are cut again, and answered as if they had not been. */
static void test_client_blocks(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp Block1=0b !" ONE TWO,
		    "lamp< CON 0.03 * #* Block1=0a Request-Tag=* !" ONE, "lamp> ACK 2.31 $ #$ Block1=0a",
		    "lamp< CON 0.03 * #* Block1=1a Request-Tag=* !" TWO, "lamp> ACK 2.31 $ #$ Block1=1a",
		    "a< ACK 2.31 0001 #01 Block1=0b", "quiet",
		    "a> CON 0.03 0002 #02 Uri-Path:lamp Block1=13 !" THREE "x",
		    "lamp< CON 0.03 * #* Block1=2a Request-Tag=* !" THREE, "lamp> ACK 2.31 $ #$ Block1=2a",
		    "lamp< CON 0.03 * #* Block2=02 Block1=32 Request-Tag=* !x", "lamp> ACK 2.04 $ #$ Block1=32",
		    "a< ACK 2.04 0002 #02 Block1=13", "quiet",
		    /* smaller than the link's: as they are */
		    "a> CON 0.03 0003 #03 Uri-Path:lamp Block1=08 !0123456789abcdef",
		    "lamp< CON 0.03 * #* Block1=08 Request-Tag=* !0123456789abcdef", "lamp> ACK 2.31 $ #$ Block1=08",
		    "a< ACK 2.31 0003 #03 Block1=08", "quiet");
	engine_stop(e);
}

/* The Request-Tag of what the lamp gets next, as hex; it is acknowledged by this answer. */
static void tag_of(struct engine *e, const char *answer, char out[40])
{
	const struct engine_sent *s = engine_take(e, "lamp");
	char token[20];
	struct msg_option tag;
	struct msg m;

	assert_non_null(s);
	assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
	assert_true(msg_find(&m, OPTION_REQUEST_TAG, &tag));
	msgtext_hex(tag.value, out);
	msgtext_hex(m.token, token);
	if (answer)
		engine_line(e, "lamp> ACK %.4s %04x #%s %s", answer, m.mid, token, answer + 4);
}

/* Pieces of one message have one tag; two clients', two contexts', two messages' have not; the client's own tag stays, too. */
static void test_tags(void **state)
{
	struct engine *e = start();
	char a1[40], a2[40], b1[40], n1[40], n2[40];

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE "x",
		    "b> CON 0.03 0001 #01 Uri-Path:lamp !" ONE "x");
	tag_of(e, "2.31 Block1=0a", a1);
	tag_of(e, "2.31 Block1=0a", b1);
	assert_string_not_equal(a1, b1);
	tag_of(e, "2.04 Block1=12", a2);
	assert_string_equal(a1, a2);
	tag_of(e, "2.04 Block1=12", a2);
	assert_string_equal(b1, a2);
	/* two of one client at once, which are NON: NSTART is not for them */
	ENGINE_PLAY(e, "a< ACK 2.04 0001 #01", "b< ACK 2.04 0001 #01", "quiet",
		    "a> NON 0.03 0002 #02 Uri-Path:lamp !" ONE "x", "a> NON 0.03 0003 #03 Uri-Path:lamp !" ONE "y");
	tag_of(e, NULL, n1);
	tag_of(e, NULL, n2);
	assert_string_not_equal(n1, n2);
	/* its own blocks belong together */
	ENGINE_PLAY(e, "b> CON 0.03 0004 #04 Uri-Path:lamp Block1=0a !" ONE);
	tag_of(e, "2.31 Block1=0a", n1);
	ENGINE_PLAY(e, "b< ACK 2.31 0004 #04 Block1=0a", "b> CON 0.03 0005 #05 Uri-Path:lamp Block1=12 !x");
	tag_of(e, "2.04 Block1=12", n2);
	assert_string_equal(n1, n2);
	ENGINE_PLAY(e, "b< ACK 2.04 0005 #05 Block1=12",
		    "b> CON 0.03 0006 #06 Uri-Path:lamp Block1=0a Request-Tag=77 !" ONE,
		    "lamp< CON 0.03 * #* Block1=0a Request-Tag=77 Request-Tag=* !" ONE, "lamp> ACK 2.31 $ #$ Block1=0a",
		    "b< ACK 2.31 0006 #06 Block1=0a");
	e->n_out = 0;
	engine_stop(e);
}

/* Who comes under another layer of ours is another client, from the same address, too. */
static void test_tags_of_layers(void **state)
{
	struct bottle b = bottle_of(narrow(engine_roomy()));
	struct bottle_talk t = { .piv = 0 }, u = { .piv = 0 };
	char first[40], second[40];

	(void)state;
	bottle_context(&b, "one", 7, PROXY_NO_SERVER);
	bottle_context(&b, "two", 7, PROXY_NO_SERVER);
	bottle_start(&b);
	bottle_ask(&b, &t, "a", "0", "CON 0.03 0001 #20 Uri-Path:lamp Block1=0a !" ONE);
	tag_of(b.e, "2.31 Block1=0a", first);
	bottle_ask(&b, &u, "a", "1", "CON 0.03 0002 #20 Uri-Path:lamp Block1=0a !" ONE);
	tag_of(b.e, "2.31 Block1=0a", second);
	assert_string_not_equal(first, second);
	b.e->n_out = 0;
	bottle_stop(&b);
}

/* --- responses ------------------------------------------------------------------------------------------------------ */

static void test_get(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= Block2=0a Size2=87 !" ONE, "quiet a",
		    "lamp< CON 0.01 * #* Block2=12 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= Block2=1a !" TWO, "quiet a",
		    "lamp< CON 0.01 * #* Block2=22 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ ETag=aa Content-Format= Block2=22 !the end",
		    "a< ACK 2.05 0001 #01 ETag=aa Content-Format= Size2=87 !" ONE TWO "the end", "quiet",
		    /* the client's own size: as much of it as it wants */
		    "a> CON 0.01 0002 #02 Uri-Path:lamp Block2=03", "lamp< CON 0.01 * #* Block2=02 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "lamp< CON 0.01 * #* Block2=12 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=1a !" TWO, "a< ACK 2.05 0002 #02 Block2=0b !" ONE TWO, "quiet",
		    "a> CON 0.01 0003 #03 Uri-Path:lamp Block2=13", "lamp< CON 0.01 * #* Block2=22 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=22 !the end", "a< ACK 2.05 0003 #03 Block2=13 !the end", "quiet",
		    /* a smaller one than the link's */
		    "a> CON 0.01 0004 #04 Uri-Path:lamp Block2=30", "lamp< CON 0.01 * #* Block2=30 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=38 !0123456789abcdef",
		    "a< ACK 2.05 0004 #04 Block2=38 !0123456789abcdef", "quiet");
	engine_stop(e);
}

/* Its client is nobody yet: nothing is gathered for it, and it gets the blocks one by one, within I3. */
static void test_stranger(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "x> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "x< ACK 2.05 0001 #01 Block2=0a !" ONE, "quiet",
		    "x> CON 0.01 0002 #01 Uri-Path:lamp Block2=12", "lamp< CON 0.01 * #* Block2=12 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=12 !x", "x< ACK 2.05 0002 #01 Block2=12 !x", "quiet",
		    /* as large a block as it likes: it is the link's that it gets */
		    "y> CON 0.01 0001 #01 Uri-Path:lamp Block2=06", "lamp< CON 0.01 * #* Block2=02 Request-Tag=*",
		    "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "y< ACK 2.05 0001 #01 Block2=0a !" ONE, "quiet");
	assert_int_equal(e->proxy->pool.used, e->proxy->last != NULL);
	engine_stop(e);
}

/* What comes for a later block does not join on: the client hears that, and not half of one thing and half of another. */
static void test_broken(void **state)
{
	static const char *const answers[] = {
		"ACK 2.05 $ #$ ETag=ab Block2=1a !" TWO,
		"ACK 2.05 $ #$ ETag=aa Block2=2a !" TWO,
		"ACK 2.05 $ #$ ETag=aa Block2=1a !short",
		"ACK 2.05 $ #$ ETag=aa !" TWO,
		"ACK 4.04 $ #$",
		"ACK 4.08 $ #$",
		"RST 0.00 $ #",
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(answers); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "a> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 *r",
			    "lamp> ACK 2.05 $ #$ ETag=aa Block2=0a !" ONE, "lamp< CON 0.01 * #* Block2=12 *r");
		engine_line(e, "lamp> %s", answers[i]);
		ENGINE_PLAY(e, "a< ACK 5.02 0001 #01", "quiet");
		assert_int_equal(e->proxy->exchanges.count, 0);
		engine_stop(e);
	}
}

/* --- OSCORE --------------------------------------------------------------------------------------------------------- */

/* Outer blocks: the option goes with each (RFC 8613 §4.1.3.4.2), and the client knows nothing of them. */
static void test_opaque(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.02 0001 #01 OSCORE=090105 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
		    "lamp< CON 0.02 * #* OSCORE=090105 Block1=0a Size1=50 Request-Tag=* !=" HEX HEX HEX HEX,
		    "lamp> ACK 2.31 $ #$ Block1=0a",
		    "lamp< CON 0.02 * #* OSCORE=090105 Block2=02 Block1=12 Request-Tag=* !=" HEX,
		    "lamp> ACK 2.04 $ #$ OSCORE= Block2=0a Block1=12 !=" HEX HEX HEX HEX,
		    "lamp< CON 0.02 * #* OSCORE=090105 Block2=12 Request-Tag=*",
		    "lamp> ACK 2.04 $ #$ OSCORE= Block2=12 !=" HEX HEX,
		    "a< ACK 2.04 0001 #01 OSCORE= !=" HEX HEX HEX HEX HEX HEX, "quiet lamp");
	assert_int_equal(e->proxy->exchanges.count, 0);
	e->n_out = 0;
	engine_stop(e);
}

/* A server that knows no outer blocks says so, or takes the first block for the whole: it gets the whole, for an hour. */
static void test_fallback(void **state)
{
	static const char *const refusals[] = { "4.02", "4.00", "4.01" };

	(void)state;
	for (unsigned i = 0; i < ROWS(refusals); i++) {
		struct engine *e = start();

		ENGINE_PLAY(e, "prove a", "a> CON 0.02 0001 #01 OSCORE=090105 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
			    "lamp< CON 0.02 * #* OSCORE=090105 Block1=0a Size1=50 *r *p");
		engine_line(e, "lamp> ACK %s $ #$", refusals[i]);
		ENGINE_PLAY(e, "lamp< CON 0.02 * #* OSCORE=090105 !=" HEX HEX HEX HEX HEX, "quiet",
			    "lamp> ACK 2.04 $ #$ OSCORE= !=00", "a< ACK 2.04 0001 #01 OSCORE= !=00", "wait 59min",
			    "a> CON 0.02 0002 #01 OSCORE=090205 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
			    "lamp< CON 0.02 * #* OSCORE=090205 !=" HEX HEX HEX HEX HEX,
			    "lamp> ACK 2.04 $ #$ OSCORE= !=00", "a< ACK 2.04 0002 #01 OSCORE= !=00",
			    /* the plain channel is another endpoint */
			    "a> CON 0.03 0003 #01 Uri-Path:lamp !" ONE "x", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
			    "lamp> ACK 4.04 $ #$", "a< ACK 4.04 0003 #01", "wait 2min",
			    "a> CON 0.02 0004 #01 OSCORE=090305 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
			    "lamp< CON 0.02 * #* OSCORE=090305 Block1=0a Size1=50 *r *p", "lamp> ACK 4.01 $ #$ Echo=aa",
			    /* that is no word about blocks */
			    "a< ACK 4.01 0004 #01 Echo=aa", "quiet lamp");
		e->n_out = 0;
		engine_stop(e);
	}
}

/* The same for plain requests, and what it says to the whole is the answer. */
static void test_fallback_plain(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE "x",
		    "lamp< CON 0.03 * #* Block1=0a Size1=41 *r *p", "lamp> ACK 4.02 $ #$",
		    "lamp< CON 0.03 *m #*t !" ONE "x", "lamp> ACK 4.02 $ #$", "a< ACK 4.02 0001 #01", "quiet",
		    "a> CON 0.01 0002 #01 Uri-Path:lamp", "lamp< CON 0.01 * #*", "lamp> ACK 2.05 $ #$ !" ONE TWO,
		    "a< ACK 2.05 0002 #01 !" ONE TWO, "quiet");
	engine_stop(e);
	/* it does not like the client's own block either: it is not asked again and again */
	e = start();
	ENGINE_PLAY(e, "prove a", "a> CON 0.05 0001 #01 Uri-Path:lamp Block2= !" ONE "x",
		    "lamp< CON 0.05 * #* Block1=0a *s *r *p", "lamp> ACK 4.02 $ #$",
		    "lamp< CON 0.05 * #* Block2= !" ONE "x", "lamp> ACK 4.02 $ #$", "a< ACK 4.02 0001 #01", "quiet");
	engine_stop(e);
	/* nor is 4.01 to a later piece a word about blocks */
	e = start();
	ENGINE_PLAY(e, "prove a", "a> CON 0.02 0001 #01 OSCORE=090105 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
		    "lamp< CON 0.02 * #* OSCORE=090105 Block1=0a Size1=50 *r *p", "lamp> ACK 2.31 $ #$ Block1=0a",
		    "lamp< CON 0.02 * #* OSCORE=090105 Block2=02 Block1=12 *r *p", "lamp> ACK 4.01 $ #$",
		    "a< ACK 4.01 0001 #01", "quiet");
	engine_stop(e);
}

/* Notifications: the rest of each is fetched; what is opaque stays its client's, and plain is one for all. */
static void test_notifications(void **state)
{
	struct engine *e = start();

	(void)state;
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.05 0001 #0a Observe= OSCORE=090105 Uri-Path:lamp !=00",
		    "lamp< CON 0.05 * #*o Observe= OSCORE=090105 Block2=02 !=00",
		    "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= Block2=0a !=" HEX HEX HEX HEX,
		    "lamp< CON 0.05 * #* OSCORE=090105 Block2=12 !=00", "lamp> ACK 2.05 $ #$ OSCORE= Block2=12 !=" HEX,
		    "a< ACK 2.05 0001 #0a Observe=01 OSCORE= !=" HEX HEX HEX HEX HEX, "quiet lamp",
		    "lamp> NON 2.05 7001 #$o Observe=02 OSCORE=0107 Block2=0a !=" HEX HEX HEX HEX, "quiet a",
		    "lamp< CON 0.05 * #* OSCORE=090105 Block2=12 !=00",
		    "lamp> ACK 2.05 $ #$ OSCORE=0107 Block2=12 !=" HEX,
		    "a< * 2.05 * #0a Observe=02 OSCORE=0107 !=" HEX HEX HEX HEX HEX);
	e->n_out = 0;
	ENGINE_PLAY(e, "a> CON 0.01 0003 #0c Observe= Uri-Path:lamp Uri-Path:t",
		    "lamp< CON 0.01 * #*p Observe= Uri-Path:t Block2=02 Request-Tag=*",
		    "b> CON 0.01 0003 #0b Observe= Uri-Path:lamp Uri-Path:t", "quiet",
		    "lamp> ACK 2.05 $ #$p Observe=01 Block2=0a !" ONE, "quiet a",
		    "lamp< CON 0.01 * #* Uri-Path:t Block2=12 Request-Tag=*", "lamp> ACK 2.05 $ #$ Block2=12 !x",
		    "a< ACK 2.05 0003 #0c Observe=* !" ONE "x", "b< ACK 2.05 0003 #0b Observe=* !" ONE "x", "quiet",
		    /* who comes later is told the same, and that it is all */
		    "a> CON 0.01 0004 #0d Observe= Uri-Path:lamp Uri-Path:t",
		    "a< ACK 2.05 0004 #0d Observe=* !" ONE "x", "lamp> CON 2.05 7002 #$p Observe=02 Block2=0a !" TWO,
		    "lamp< ACK 0.00 7002 #", "quiet a", "lamp< CON 0.01 *m #*r Uri-Path:t Block2=12 Request-Tag=*",
		    /* news while the rest of the last one is fetched: nobody hears the half of that */
		    "lamp> CON 2.05 7003 #$p Observe=03 Block2=0a !" THREE, "lamp< ACK 0.00 7003 #", "quiet a",
		    "lamp< CON 0.01 * #* Uri-Path:t Block2=12 Request-Tag=*", "lamp> ACK 2.05 $m #$r Block2=12 !2",
		    "quiet a", "lamp> ACK 2.05 $ #$ Block2=12 !3", "a< * 2.05 * #0d Observe=* !" THREE "3");
	engine_line(e, "a< * 2.05 * #0c Observe=* !" THREE "3");
	engine_line(e, "b< * 2.05 * #0b Observe=* !" THREE "3");
	e->n_out = 0;
	engine_stop(e);
}

/* --- at any moment -------------------------------------------------------------------------------------------------- */

#define SCRIPT_MAX 40

static const char *const scripts[][SCRIPT_MAX] = {
	/* a request in pieces, each answered in another way */
	{ "prove a", "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE TWO "x", "lamp< CON 0.03 * #* Block1=0a *s *r *p",
	  "lamp> ACK 2.31 $ #$ Block1=0a", "lamp< CON 0.03 * #*b Block1=1a *r *p", "lamp> ACK 0.00 $ #", "wait 2s",
	  "a< ACK 0.00 0001 #", "lamp> CON 2.31 7001 #$b Block1=1a", "lamp< ACK 0.00 7001 #",
	  "lamp< CON 0.03 * #* Block2=02 Block1=22 *r !x", "lamp> NON 2.04 7002 #$ Block1=22", "a< CON 2.04 * #01",
	  "wait 1s" },
	/* a response in pieces */
	{ "prove a", "a> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 *r",
	  "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "lamp< CON 0.01 * #*b Block2=12 *r", "lamp> ACK 0.00 $ #", "wait 1s",
	  "lamp> CON 2.05 7001 #$b Block2=1a !" TWO, "lamp< ACK 0.00 7001 #", "lamp< CON 0.01 * #* Block2=22 *r",
	  "lamp> ACK 2.05 $ #$ Block2=22 !x", "a< ACK 2.05 0001 #01 !" ONE TWO "x" },
	/* opaque, both ways */
	{ "prove a", "a> CON 0.02 0001 #01 OSCORE=090105 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
	  "lamp< CON 0.02 * #* OSCORE=090105 *b *s *r *p", "lamp> ACK 2.31 $ #$ Block1=0a",
	  "lamp< CON 0.02 * #* OSCORE=090105 Block2=02 Block1=12 *r *p",
	  "lamp> ACK 2.04 $ #$ OSCORE= Block2=0a Block1=12 !=" HEX HEX HEX HEX,
	  "lamp< CON 0.02 * #* OSCORE=090105 Block2=12 *r", "lamp> ACK 2.04 $ #$ OSCORE= Block2=12 !=" HEX,
	  "a< ACK 2.04 0001 #01 OSCORE= !=" HEX HEX HEX HEX HEX },
	/* a server that knows no blocks */
	{ "prove a", "a> CON 0.02 0001 #01 OSCORE=090105 Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
	  "lamp< CON 0.02 * #* OSCORE=090105 *b *s *r *p", "lamp> CON 4.00 7001 #$", "lamp< ACK 0.00 7001 #",
	  "lamp< CON 0.02 * #* OSCORE=090105 *p", "lamp> ACK 2.04 $ #$ OSCORE= !=00" },
	/* two observers of one thing, large notifications, a renewal */
	{ "prove a",
	  "prove b",
	  "a> CON 0.01 0001 #0a Observe= Uri-Path:lamp",
	  "lamp< CON 0.01 * #*o Observe= Block2=02 *r",
	  "lamp> ACK 0.00 $ #",
	  "b> CON 0.01 0001 #0b Observe= Uri-Path:lamp",
	  "lamp> CON 2.05 7000 #$o Observe=01 Block2=0a !" ONE,
	  "lamp< ACK 0.00 7000 #",
	  "lamp< CON 0.01 * #* Block2=12 *r",
	  "lamp> ACK 2.05 $ #$ Block2=12 !1",
	  "b< ACK 2.05 0001 #0b Observe=* !" ONE "1",
	  "a< ACK 2.05 0001 #0a Observe=* !" ONE "1",
	  "lamp> CON 2.05 7001 #$o Observe=02 Max-Age=1e Block2=0a !" TWO,
	  "lamp< ACK 0.00 7001 #",
	  "lamp< CON 0.01 * #* Block2=12 *r",
	  "lamp> ACK 2.05 $ #$ Block2=12 !2",
	  "flush",
	  "wait 31s",
	  "flush",
	  "lamp> CON 2.05 7003 #$o Observe=03 !3",
	  "lamp< ACK 0.00 7003 #",
	  "flush",
	  "b> CON 0.01 0002 #0b Observe=01 Uri-Path:lamp",
	  "flush",
	  "a> CON 0.01 0002 #0a Observe=01 Uri-Path:lamp",
	  "flush",
	  "lamp> CON 2.05 7004 #$o Observe=04 !4",
	  "flush" },
	/* an opaque observation */
	{ "prove a", "a> CON 0.05 0001 #0a Observe= OSCORE=090105 Uri-Path:lamp !=00",
	  "lamp< CON 0.05 * #*o Observe= OSCORE=090105 Block2=02 *p",
	  "lamp> ACK 2.05 $ #$ Observe=01 OSCORE= Block2=0a !=" HEX HEX HEX HEX,
	  "lamp< CON 0.05 * #* OSCORE=090105 Block2=12 *p", "lamp> ACK 2.05 $ #$ OSCORE= Block2=12 !=" HEX,
	  "a< ACK 2.05 0001 #0a Observe=01 OSCORE= *p", "flush",
	  "lamp> CON 2.05 7001 #$o Observe=02 OSCORE=0107 Block2=0a !=" HEX HEX HEX HEX, "lamp< ACK 0.00 7001 #",
	  "lamp< CON 0.05 * #* OSCORE=090105 Block2=12 *p",
	  "lamp> CON 2.05 7002 #$o Observe=03 OSCORE=0108 Block2=0a !=" HEX HEX HEX HEX, "lamp< ACK 0.00 7002 #",
	  "lamp< CON 0.05 * #* OSCORE=090105 Block2=12 *p", "lamp> ACK 2.05 $ #$ OSCORE=0108 Block2=12 !=" HEX,
	  "flush" },
	/* strangers: one large answer is held, and one follows */
	{ "c> CON 0.01 0001 #0c Uri-Path:lamp", "d> CON 0.01 0001 #0d Uri-Path:lamp",
	  "lamp< CON 0.01 * #* Block2=02 *r", "quiet lamp", "lamp> CON 4.04 7001 #$ !" ONE ONE ONE ONE ONE,
	  "lamp< ACK 0.00 7001 #", "wait 1s" },
	/* kept, confirmed, confirmed too late */
	{ "prove a",
	  "prove b",
	  "a> CON 0.01 0001 #01 Uri-Path:lamp",
	  "b> CON 0.01 0001 #02 Uri-Path:lamp",
	  "lamp< CON 0.01 * #* Block2=02 *r",
	  "lamp> ACK 2.05 $ #$ ETag=aa Max-Age=05 Block2=0a !" ONE,
	  "lamp< CON 0.01 * #* Block2=12 *r",
	  "lamp> ACK 2.05 $ #$ ETag=aa Max-Age=05 Block2=12 !x",
	  "b< ACK 2.05 0001 #02 ETag=aa Max-Age=05 *p",
	  "a< ACK 2.05 0001 #01 ETag=aa Max-Age=05 *p",
	  "wait 7s",
	  "a> CON 0.01 0002 #03 Uri-Path:lamp",
	  "lamp< CON 0.01 * #* ETag=aa Block2=02 *r",
	  "lamp> ACK 2.03 $ #$ ETag=aa Max-Age=05",
	  "a< ACK 2.05 0002 #03 ETag=aa Max-Age=05 !" ONE "x",
	  "wait 7s",
	  "b> CON 0.01 0003 #03 Uri-Path:lamp",
	  "lamp< CON 0.01 * #* ETag=aa Block2=02 *r",
	  "lamp> ACK 2.03 $ #$ ETag=ab",
	  "b< ACK 5.02 0003 #03" },
};

/* What happens then. */
enum {
	SILENCE,
	DEVICE_RESETS,
	CLIENT_RESETS,
	SERVER_GOES,
	FORGOTTEN,
	NO_PACKETS,
	NO_PLACES,
	TWICE,
	SERVER_MOVES,
	MOMENTS
};

static bool is_input(const char *line)
{
	return line && strchr(line, '>') && strchr(line, '>') < strchr(line, ' ');
}

static void play_inputs(struct engine *e, const char *const *lines)
{
	for (; *lines; lines++) {
		if (is_input(*lines))
			engine_line(e, "%s", *lines);
		else if (memcmp(*lines, "wait", 4) == 0)
			engine_line(e, "%s", *lines);
	}
}

static void without_packets(struct engine *e, const char *const *lines)
{
	struct list taken;
	struct dgram *d;

	list_init(&taken);
	while ((d = dgram_take(&e->proxy->pool)))
		list_append(&taken, &d->link);
	play_inputs(e, lines);
	while (!list_empty(&taken)) {
		d = LIST_ENTRY(taken.next, struct dgram, link);
		list_remove(&d->link);
		dgram_give(&e->proxy->pool, d);
	}
}

static void without_places(struct engine *e, const char *const *lines)
{
	struct exchange_table *t = &e->proxy->exchanges;
	struct path nobody = engine_path("[2001:db8:ffff::1]:40000");
	struct exchange *all[256], *x;
	unsigned n = 0;

	for (uint64_t flow = 1; n < 256 && (x = exchange_open(t, &nobody, flow, &e->rng)); flow++)
		all[n++] = x;
	assert_int_equal(t->count, t->capacity);
	play_inputs(e, lines);
	while (n)
		exchange_close(t, all[--n]);
}

static void happen(struct engine *e, unsigned what, const char *const *lines, size_t at)
{
	struct proxy_config other = e->cfg;

	switch (what) {
	case DEVICE_RESETS: engine_line(e, "lamp> RST 0.00 $ #"); break;
	case CLIENT_RESETS: engine_line(e, "a> RST 0.00 $ #"); break;
	case SERVER_GOES: other.policy.servers[0].present = false; break;
	case SERVER_MOVES: assert_true(addr_parse(&other.servers[0].address, "[fd00:db8::99]:5683", 5683)); break;
	case FORGOTTEN: proxy_forget(e->proxy, &engine_peer(e, "a")->path.remote, e->now); break;
	case NO_PACKETS: without_packets(e, lines + at); return;
	case NO_PLACES: without_places(e, lines + at); return;
	case TWICE:
		if (at > 0 && is_input(lines[at - 1]))
			engine_line(e, "%s", lines[at - 1]);
		break;
	default: break;
	}
	if (what == SERVER_GOES || what == SERVER_MOVES)
		proxy_reconfigure(e->proxy, &other, e->now);
	e->cfg = other; /* what goes to where the server was is noticed */
	e->n_out = 0;
	play_inputs(e, lines + at);
}

/* What $ and #$ are before anything came. */
static void know_nothing(struct engine *e)
{
	for (unsigned i = 0; i < e->n_peers; i++) {
		strcpy(e->peers[i].mid, "beef");
		strcpy(e->peers[i].token, "0102030405060708");
	}
	for (unsigned i = 0; i < 26; i++) {
		strcpy(e->saved_mid[i], "beef");
		strcpy(e->saved_token[i], "0102030405060708");
	}
}

/* Whatever happens, at whatever moment: nothing is left of it, and the next request is served. */
static void test_any_moment(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS(scripts); i++)
		for (unsigned what = 0; what < MOMENTS; what++)
			for (size_t at = 0; scripts[i][at]; at++) {
				struct proxy_config c = narrow(engine_roomy());
				struct engine *e;

				c.cache_size = 65536;
				c.stale_if_silent = (at & 1) * TSTAMP_HOUR;
				e = engine_start(&c);
				know_nothing(e);
				engine_play_lines(e, scripts[i], at, "scripts", (int)i);
				happen(e, what, scripts[i], at);
				engine_wait(e, 400 * TSTAMP_S);
				e->n_out = 0;
				if (what != SERVER_GOES && what != SERVER_MOVES) {
					ENGINE_PLAY(e, "e> CON 0.03 7777 #77 Uri-Path:lamp");
					assert_non_null(engine_take(e, "lamp"));
				}
				e->n_out = 0;
				engine_stop(e);
			}
}

/* --- our own layers on either leg ------------------------------------------------------------------------------------- */

enum { CLIENT, NEXT };

/* A message of the lamp's with these outer blocks instead of any. */
static void say(struct bottle *b, const struct msg *m, const struct msg *to, struct block *b1, struct block *b2,
		struct bytes payload)
{
	struct edits e = { .n = 0 };
	uint8_t buf[DGRAM_MAX];
	struct msgbuf out;

	if (b1)
		edits_set_uint(&e, OPTION_BLOCK1, block_value(*b1));
	if (b2)
		edits_set_uint(&e, OPTION_BLOCK2, block_value(*b2));
	msgbuf_begin(&out, buf, sizeof buf, to == m ? m->type : MSG_ACK, m->code, to->mid, to->token);
	edits_write(&e, m, &out);
	msgbuf_payload(&out, payload);
	engine_receive(b->e, &engine_peer(b->e, "lamp")->path, msgbuf_end(&out));
}

/* What the lamp gets next, and the blocks it is in. No datagram is too large. */
static struct engine_sent got(struct bottle *b, struct msg *m, struct block *b1, struct block *b2)
{
	const struct engine_sent *s = engine_take(b->e, "lamp");
	static struct engine_sent kept;
	struct msg_option opt;

	assert_non_null(s);
	kept = *s;
	engine_peer(b->e, "lamp")->path.local = kept.to.local;
	assert_int_equal(msg_parse(m, bytes_of(kept.buf, kept.len)), MSG_OK);
	assert_true(m->payload.len <= 64);
	*b1 = *b2 = (struct block){ 0, 2, false };
	if (msg_find(m, OPTION_BLOCK1, &opt))
		assert_true(block_parse(opt.value, b1));
	if (msg_find(m, OPTION_BLOCK2, &opt))
		assert_true(block_parse(opt.value, b2));
	return kept;
}

/* All pieces of a request under our layer; what is inside. Returns how many there were. */
static unsigned collect(struct bottle *b, struct bottle_talk *up, struct msg *inside, struct oscore_room *room)
{
	const struct msg go_on = { .code = MSG_CONTINUE };
	uint8_t body[DGRAM_MAX];
	struct oscore_option o;
	struct msg_option opt;
	struct block b1, b2;
	struct msgbuf whole;
	size_t len = 0;
	unsigned n = 1;
	struct msg m;

	for (;; n++) {
		got(b, &m, &b1, &b2);
		assert_int_equal(block_offset(b1), len);
		memcpy(body + len, m.payload.ptr, m.payload.len);
		len += m.payload.len;
		if (!b1.more)
			break;
		say(b, &go_on, &m, &b1, NULL, bytes_of(NULL, 0));
	}
	assert_true(msg_find(&m, OPTION_OSCORE, &opt));
	assert_int_equal(oscore_option_parse(&o, opt.value), OSCORE_OPTION_OK);
	snprintf(up->mid, sizeof up->mid, "%04x", m.mid);
	msgtext_hex(m.token, up->token);
	snprintf(up->layers, sizeof up->layers, "%d", NEXT);
	msgbuf_begin(&whole, up->wire, sizeof up->wire, m.type, m.code, m.mid, m.token);
	msgbuf_option(&whole, OPTION_OSCORE, opt.value);
	msgbuf_payload(&whole, bytes_of(body, len));
	assert_int_equal(msg_parse(&m, msgbuf_end(&whole)), MSG_OK);
	assert_int_equal(oscore_unprotect_request(&b->ends[NEXT], &m, &o, room, inside, &up->asked[0]), OSCORE_OK);
	return n;
}

/* An answer under our layer, in outer blocks. Returns in how many. */
static unsigned give(struct bottle *b, struct bottle_talk *up, const char *line)
{
	struct block b1, b2 = { 0, 2, true };
	struct msg whole, m;
	unsigned n = 1;

	bottle_seal(b, up, line);
	assert_int_equal(msg_parse(&whole, bytes_of(up->wire, up->len)), MSG_OK);
	say(b, &whole, &whole, NULL, &b2, bytes_of(whole.payload.ptr, 64));
	for (bool more = true; more; n++) {
		size_t at, len;

		got(b, &m, &b1, &b2);
		at = block_offset(b2);
		assert_int_equal(at, 64 * n);
		len = whole.payload.len - at < 64 ? whole.payload.len - at : 64;
		b2.more = more = at + len < whole.payload.len;
		say(b, &whole, &m, NULL, &b2, bytes_of(whole.payload.ptr + at, len));
	}
	return n;
}

/* A client with a key of ours, and the lamp that wants a layer of ours. */
static struct bottle between_layers(void)
{
	struct bottle b = bottle_of(narrow(engine_roomy()));

	bottle_context(&b, "client", 7, PROXY_NO_SERVER);
	bottle_context(&b, "next", 0, 0);
	return b;
}

/* The layer of ours for the next hop is put on once, and what it makes is cut; so is what our client's layer had inside. */
static void test_layers(void **state)
{
	static const char *const layers[] = { "", "0", "00" };

	(void)state;
	for (unsigned i = 0; i < ROWS(layers); i++) {
		struct bottle b = between_layers();
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };
		struct oscore_room room;
		struct msg inside;

		bottle_start(&b);
		engine_prove(b.e, "a");
		bottle_ask(&b, &t, "a", layers[i], "CON 0.03 0001 #20 Uri-Path:lamp !" ONE TWO "x");
		assert_int_equal(collect(&b, &up, &inside, &room), 3);
		assert_int_equal(inside.code, MSG_PUT);
		assert_true(bytes_are(inside.payload, ONE TWO "x"));
		assert_int_equal(give(&b, &up, "ACK 2.04 $ #$ ETag=aa !" THREE FOUR ONE), 4);
		bottle_hear(&b, &t, "a", (unsigned)strlen(layers[i]), "ACK 2.04 0001 #20 ETag=aa !" THREE FOUR ONE);
		engine_line(b.e, "quiet");
		/* what it seals: one request, and the answer to the client */
		assert_int_equal(b.e->seals, 1 + strlen(layers[i]));
		assert_int_equal(b.e->proxy->exchanges.count, 0);
		/* the plain server beside it */
		bottle_ask(&b, &t, "a", layers[i], "CON 0.03 0002 #21 Uri-Path:house Uri-Path:door !" ONE "x");
		ENGINE_PLAY(b.e, "door< CON 0.03 * #* Block1=0a Size1=41 *r *p", "door> ACK 2.31 $ #$ Block1=0a",
			    "door< CON 0.03 * #* Block2=02 Block1=12 *r !x", "door> ACK 2.04 $ #$ Block1=12");
		bottle_hear(&b, &t, "a", (unsigned)strlen(layers[i]), "ACK 2.04 0002 #21");
		/* an observation through both: each notification is gathered, and comes off at once */
		bottle_ask(&b, &t, "a", layers[i], "CON 0.01 0003 #22 Observe= Uri-Path:lamp");
		assert_int_equal(collect(&b, &up, &inside, &room), 1);
		assert_int_equal(give(&b, &up, "ACK 2.05 $ #$ Observe=01 !" ONE TWO), 3);
		bottle_hear(&b, &t, "a", (unsigned)strlen(layers[i]), "ACK 2.05 0003 #22 Observe=* !" ONE TWO);
		assert_int_equal(give(&b, &up, "NON 2.05 7001 #$ Observe=02 !" THREE TWO "x"), 3);
		bottle_hear(&b, &t, "a", (unsigned)strlen(layers[i]), "* 2.05 * #22 Observe=* !" THREE TWO "x");
		b.e->n_out = 0;
		bottle_stop(&b);
	}
}

/* A first block that does not bear our layer begins no gathering: the true answer is still waited for. */
static void test_forged_block(void **state)
{
	static const char *const forged[] = { "ACK 2.05", "ACK 2.04", "NON 2.05", "ACK 4.04" };

	(void)state;
	for (unsigned i = 0; i < ROWS(forged); i++) {
		struct bottle b = between_layers();
		struct bottle_talk t = { .piv = 0 }, up = { .piv = 0 };
		struct oscore_room room;
		struct msg inside;

		bottle_start(&b);
		engine_prove(b.e, "a");
		bottle_ask(&b, &t, "a", "0", "CON 0.01 0001 #20 Uri-Path:lamp");
		assert_int_equal(collect(&b, &up, &inside, &room), 1);
		engine_line(b.e, "lamp> %s %s #%s Block2=0a !" ONE, forged[i], up.mid, up.token);
		engine_line(b.e, "quiet");
		assert_int_equal(b.e->proxy->faults[FAULT_UNPROTECTED], 1);
		assert_int_equal(give(&b, &up, "ACK 2.05 $ #$ !" ONE TWO), 3);
		bottle_hear(&b, &t, "a", 1, "ACK 2.05 0001 #20 !" ONE TWO);
		bottle_stop(&b);
	}
}

/* Who joins while the next notification is put together is told the last one, and that it goes on. */
static void test_join_while_gathering(void **state)
{
	struct proxy_config c = narrow(engine_roomy());
	char half[513];
	struct engine *e;

	(void)state;
	c.links[0].block_size = 512;
	e = engine_start(&c);
	memset(half, 'h', 512);
	half[512] = '\0';
	ENGINE_PLAY(e, "prove a", "prove b", "a> CON 0.01 0001 #01 Observe= Uri-Path:lamp Uri-Path:t",
		    "lamp< CON 0.01 *m #*o Observe= Uri-Path:t Block2=05 *");
	engine_line(e, "lamp> ACK 2.05 $m #$o Observe=01 Block2=0d !%s", half);
	engine_line(e, "lamp< CON 0.01 * #* Uri-Path:t Block2=15 *");
	engine_line(e, "lamp> ACK 2.05 $ #$ Block2=1d !%s", half);
	engine_line(e, "a< ACK 2.05 0001 #01 Observe=* Block2=0e !%s%s", half, half);
	engine_line(e, "lamp> NON 2.05 7001 #$o Observe=02 Block2=0d !%s", half);
	engine_line(e, "lamp< CON 0.01 * #* Uri-Path:t Block2=15 *");
	engine_line(e, "b> CON 0.01 0002 #02 Observe= Uri-Path:lamp Uri-Path:t");
	engine_line(e, "b< ACK 2.05 0002 #02 Observe=* Block2=0e !%s%s", half, half);
	engine_stop(e);
}

/* --- bodies of 16 KiB over a bad link ------------------------------------------------------------------------------- */

#define BODY   16384
#define TALKS  3
#define BODIES 8

/* A client that puts its body there, or gets what is there, in blocks of 1024. It repeats itself, and answers pings. */
struct talk {
	struct path path;
	bool gets, done;
	uint8_t body[BODY];
	size_t at; /* what is acknowledged, or has come */
	uint8_t szx;
	uint16_t mid;
	tstamp due, since;
	uint8_t wire[1300];
	size_t len;
	unsigned failures;
};

/* A server that keeps bodies apart by their Request-Tags. */
struct upload {
	uint8_t tag[16], tag_len, body[BODY];
	size_t len;
};

struct site {
	struct talk talks[TALKS];
	struct upload uploads[BODIES];
	uint8_t representation[BODY];
	unsigned n_uploads, complete, lost;
	size_t largest;
};

static bool is_lost(struct engine *e)
{
	struct site *s = e->sink_arg;
	bool lost = engine_random(e) % 10 == 0;

	s->lost += lost;
	return lost;
}

/* The Request-Tags in a row. */
static uint8_t tags_of(const struct msg *m, uint8_t out[16])
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;
	size_t n = 0;

	while (msg_next(&it, &opt))
		if (opt.number == OPTION_REQUEST_TAG && n + opt.value.len <= 16 && opt.value.len) {
			memcpy(out + n, opt.value.ptr, opt.value.len);
			n += opt.value.len;
		}
	return (uint8_t)n;
}

static struct upload *upload_of(struct site *s, const struct msg *m)
{
	uint8_t tag[16], n = tags_of(m, tag);

	for (unsigned i = 0; i < s->n_uploads; i++)
		if (bytes_equal(bytes_of(tag, n), bytes_of(s->uploads[i].tag, s->uploads[i].tag_len)))
			return &s->uploads[i];
	assert_true(s->n_uploads < BODIES);
	memcpy(s->uploads[s->n_uploads].tag, tag, n);
	s->uploads[s->n_uploads].tag_len = n;
	return &s->uploads[s->n_uploads++];
}

static bool take_piece(struct site *s, const struct msg *m, const struct block *b1)
{
	struct upload *u = upload_of(s, m);
	size_t at = block_offset(*b1);
	bool known = false;

	if (at > u->len || at + m->payload.len > BODY)
		return false;
	memcpy(u->body + at, m->payload.ptr, m->payload.len);
	u->len = at + m->payload.len;
	if (b1->more)
		return true;
	for (unsigned i = 0; i < TALKS; i++)
		known |= !s->talks[i].gets && u->len == BODY && memcmp(u->body, s->talks[i].body, BODY) == 0;
	assert_true(known); /* it is one client's, and all of it */
	s->complete++;
	return true;
}

/* What the server answers. */
static void serve_site(struct engine *e, const struct engine_sent *d, const struct msg *m)
{
	struct site *s = e->sink_arg;
	struct block b1 = { 0, 2, false }, b2 = { 0, 2, false };
	struct msg_option opt;
	uint8_t buf[200];
	struct msgbuf b;
	bool good = true;

	if (!msg_is_request(m))
		return;
	s->largest = m->payload.len > s->largest ? m->payload.len : s->largest;
	if (msg_find(m, OPTION_BLOCK1, &opt))
		assert_true(block_parse(opt.value, &b1));
	if (msg_find(m, OPTION_BLOCK2, &opt))
		assert_true(block_parse(opt.value, &b2));
	if (m->code == MSG_PUT)
		good = take_piece(s, m, &b1);
	msgbuf_begin(&b, buf, sizeof buf, MSG_ACK,
		     m->code == MSG_GET ? MSG_CONTENT
		     : !good            ? MSG_INCOMPLETE
		     : b1.more          ? MSG_CONTINUE
					: MSG_CHANGED,
		     m->mid, m->token);
	if (m->code == MSG_GET) {
		assert_true(b2.szx <= 2);
		b2.more = block_offset(b2) + block_size(b2.szx) < BODY;
		msgbuf_option(&b, OPTION_ETAG, bytes_of("1", 1));
		msgbuf_option_uint(&b, OPTION_BLOCK2, block_value(b2));
		msgbuf_payload(&b, bytes_of(s->representation + block_offset(b2), block_size(b2.szx)));
	} else {
		msgbuf_option_uint(&b, OPTION_BLOCK1, block_value(b1));
	}
	if (!is_lost(e))
		proxy_receive(e->proxy, &d->to, msgbuf_end(&b), e->now);
}

/* The next block of t's. */
static void say_next(struct engine *e, struct talk *t)
{
	struct block b = { 0 };
	struct msgbuf out;

	assert_true(block_at((uint32_t)t->at, t->szx, !t->gets && t->at + block_size(t->szx) < BODY, &b));
	t->mid++;
	msgbuf_begin(&out, t->wire, sizeof t->wire, MSG_CON, t->gets ? MSG_GET : MSG_PUT, t->mid, bytes_of(&t->mid, 2));
	msgbuf_option(&out, OPTION_URI_PATH, bytes_of("lamp", 4));
	if (!t->gets || t->at)
		msgbuf_option_uint(&out, t->gets ? OPTION_BLOCK2 : OPTION_BLOCK1, block_value(b));
	if (!t->gets)
		msgbuf_payload(&out, bytes_of(t->body + t->at, block_size(t->szx)));
	t->len = msgbuf_end(&out).len;
	t->due = t->since = e->now;
}

static void hear_block(struct talk *t, const struct msg *m)
{
	struct block b = { 0, BLOCK_SZX_MAX, false };
	struct msg_option opt;

	assert_true(msg_find(m, OPTION_BLOCK2, &opt) && block_parse(opt.value, &b));
	assert_int_equal(block_offset(b), t->at);
	assert_int_equal(m->payload.len, block_size(b.szx));
	memcpy(t->body + t->at, m->payload.ptr, m->payload.len);
	t->at += m->payload.len;
	t->szx = b.szx;
	while (t->szx < BLOCK_SZX_MAX && t->at % block_size((uint8_t)(t->szx + 1)) == 0) /* as much as it can */
		t->szx++;
	t->done = !b.more;
}

static void hear(struct engine *e, struct talk *t, const struct msg *m)
{
	const uint8_t empty[] = { m->code == MSG_EMPTY ? 0x70 : 0x60, 0, (uint8_t)(m->mid >> 8), (uint8_t)m->mid };

	if (m->type == MSG_CON)
		proxy_receive(e->proxy, &t->path, bytes_of(empty, 4), e->now);
	if (m->code == MSG_EMPTY || t->done || !bytes_equal(m->token, bytes_of(&t->mid, 2)))
		return;
	if (m->code == MSG_CONTINUE || m->code == MSG_CHANGED) {
		t->at += block_size(t->szx);
		t->done = m->code == MSG_CHANGED;
		assert_true(t->done == (t->at == BODY));
	} else if (m->code == MSG_CONTENT) {
		hear_block(t, m);
	} else {
		assert_true(m->code == MSG_GATEWAY_TIMEOUT || m->code == MSG_UNAVAILABLE ||
			    m->code == MSG_TOO_MANY_REQUESTS);
		t->failures++;
	}
	if (!t->done)
		say_next(e, t);
}

static void on_the_way(struct engine *e, const struct engine_sent *d)
{
	struct site *s = e->sink_arg;
	struct engine_sent copy = *d;
	struct msg m;

	assert_int_equal(msg_parse(&m, bytes_of(copy.buf, copy.len)), MSG_OK);
	if (d->to.leg == LEG_DEVICE) {
		if (!is_lost(e))
			serve_site(e, &copy, &m);
		return;
	}
	for (unsigned i = 0; i < TALKS; i++)
		if (addr_equal(&s->talks[i].path.remote, &d->to.remote))
			hear(e, &s->talks[i], &m);
}

/* Two put, and one gets, at once. All bodies arrive as they are, whatever is lost, and no datagram is too large for the link. */
static void test_bad_link(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		struct proxy_config c = narrow(n & 1 ? engine_open() : engine_roomy());
		struct site *s = calloc(1, sizeof *s);
		struct engine *e;
		bool done = false;

		c.cache_size = n / 2 == 1 ? 65536 : 0;
		e = engine_start(&c);
		e->seed = n;
		e->sink = on_the_way;
		e->sink_arg = s;
		for (size_t i = 0; i < BODY; i++)
			s->representation[i] = (uint8_t)engine_random(e);
		for (unsigned i = 0; i < TALKS; i++) {
			struct talk *t = &s->talks[i];

			t->path = engine_peer(e, (const char[]){ (char)('a' + i), '\0' })->path;
			t->szx = BLOCK_SZX_MAX;
			t->gets = i == 2;
			for (size_t k = 0; k < BODY && !t->gets; k++)
				t->body[k] = (uint8_t)engine_random(e);
			say_next(e, t);
		}
		for (unsigned step = 0; step < 200000 && !done; step++) {
			done = true;
			for (unsigned i = 0; i < TALKS; i++) {
				struct talk *t = &s->talks[i];

				done &= t->done;
				if (t->done || !tstamp_reached(t->due, e->now))
					continue;
				if (tstamp_since(t->since, e->now) > 100 * TSTAMP_S)
					say_next(e, t);
				t->due = tstamp_add(e->now, 3 * TSTAMP_S);
				engine_receive(e, &t->path, bytes_of(t->wire, t->len));
			}
			engine_wait(e, 100 * TSTAMP_MS);
		}
		assert_true(done && s->lost > 50);
		assert_true(s->complete >= 2);
		assert_memory_equal(s->talks[2].body, s->representation, BODY);
		assert_true(s->largest <= 64);
		engine_stop(e);
		free(s);
	}
}

/* A stranger asks first, and one who proved himself wants the same: it is gathered, and the stranger is asked who he is. */
static void test_stranger_first(void **state)
{
	struct proxy_config c = narrow(engine_roomy());
	struct engine *e;

	(void)state;
	c.cache_size = 65536;
	e = engine_start(&c);
	ENGINE_PLAY(e, "prove a", "x> CON 0.01 0001 #0e Uri-Path:lamp", "c> CON 0.01 0001 #0c Uri-Path:lamp",
		    "a> CON 0.01 0001 #0a Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 *r", "quiet",
		    "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "lamp< CON 0.01 * #* Block2=12 *r", "quiet",
		    "lamp> ACK 2.05 $ #$ Block2=1a !" TWO, "lamp< CON 0.01 * #* Block2=22 *r",
		    "lamp> ACK 2.05 $ #$ Block2=22 !x", "a< ACK 2.05 0001 #0a !" ONE TWO "x", "c< CON 0.00 * #",
		    "x< CON 0.00 * #", "quiet", "c> RST 0.00 $ #", "c< ACK 2.05 0001 #0c !" ONE TWO "x");
	e->n_out = 0;
	engine_stop(e);
}

/* First blocks from everywhere, of bodies that never end: each costs what a request costs, and one who is known goes on. */
static void test_endless_bodies(void **state)
{
	struct proxy_config c = narrow(engine_careful());
	struct engine *e = engine_start(&c);
	uint64_t asked;

	(void)state;
	ENGINE_PLAY(e, "prove a");
	for (unsigned i = 0; i < 2000; i++) {
		struct path who = engine_path("[2001:db8:bad::1]:40000");
		uint8_t buf[DGRAM_MAX];

		who.remote.ip[7] = (uint8_t)i;
		who.remote.ip[6] = (uint8_t)(i >> 8);
		engine_receive(
			e, &who,
			msgtext_write("CON 0.03 0001 #01 Uri-Path:lamp Block1=fffffe Size1=ffffffff !" ONE TWO THREE
					      FOUR ONE TWO THREE FOUR ONE TWO THREE FOUR ONE TWO THREE FOUR,
				      buf, sizeof buf));
	}
	asked = e->to_device;
	assert_in_range(asked, 1, 8); /* the budget of strangers */
	assert_in_range(e->proxy->pool.used, 1, 4 * asked + 1);
	e->n_out = 0;
	ENGINE_PLAY(e, "wait 20s", "a> CON 0.03 0001 #01 Uri-Path:house Uri-Path:door !" ONE "x", "wait 10s",
		    "door< CON 0.03 * #* Block1=0a Size1=41 *r *p", "door> ACK 2.31 $ #$ Block1=0a", "wait 1s",
		    "door< CON 0.03 * #* Block2=02 Block1=12 *r !x", "door> ACK 2.04 $ #$ Block1=12",
		    "a< ACK 0.00 0001 #", "a< CON 2.04 * #01", "a> ACK 0.00 $ #");
	e->n_out = 0;
	engine_stop(e);
}

/* --- what strangers pay --------------------------------------------------------------------------------------------- */

static uint32_t paid(const struct engine *e)
{
	const struct budget *b = e->proxy->guard->servers[0].budgets;

	return b[BUDGET_UNKNOWN].used + b[BUDGET_REACHABLE].used;
}

#define FIRST     "lamp< CON 0.03 * #* Block1=0a *s *r *p"
#define SECOND    "lamp< CON 0.03 * #* Block1=1a *r *p"
#define LAST      "lamp< CON 0.03 * #* Block2=02 Block1=22 *r *p"
#define GO_ON(b)  "lamp> ACK 2.31 $ #$ Block1=" b
#define PUT_THREE "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE TWO "x"
#define GET       "a> CON 0.01 0001 #01 Uri-Path:lamp", "lamp< CON 0.01 * #* Block2=02 *r"

/* A unit for each datagram that the device receives, whatever it takes to get it there; what was never sent is given back. */
static void test_units(void **state)
{
	static const struct {
		const char *lines[14];
		uint32_t paid;
	} rows[] = {
		{ { "a> CON 0.03 0001 #01 Uri-Path:lamp !" ONE }, 1 },
		{ { PUT_THREE }, 3 },
		{ { "prove a", PUT_THREE }, 3 },
		{ { PUT_THREE, FIRST, GO_ON("0a"), SECOND, GO_ON("1a"), LAST, "lamp> ACK 2.04 $ #$ Block1=22" }, 3 },
		{ { PUT_THREE, FIRST, "lamp> ACK 4.04 $ #$ Block1=0a" }, 1 },
		{ { PUT_THREE, FIRST, GO_ON("0a"), SECOND, "lamp> RST 0.00 $ #" }, 2 },
		{ { PUT_THREE, FIRST, "wait 100s" }, 1 },
		/* sent again what was sent before: blocks of 32, for 64 bytes that were taken by then; later ones are repeated */
		{ { PUT_THREE, FIRST, "lamp> ACK 4.13 $ #$ Block1=09", "lamp< CON 0.03 * #* Block1=09 *s *r *p",
		    GO_ON("09"), "lamp< CON 0.03 * #* Block1=19 *r *p", GO_ON("19"),
		    "lamp< CON 0.03 * #* Block1=29 *r *p", GO_ON("29"), "lamp< CON 0.03 * #* Block1=39 *r *p" },
		  5 },
		{ { PUT_THREE, FIRST, GO_ON("0a"), SECOND, "wait 7s", SECOND }, 3 },
		{ { PUT_THREE, FIRST, GO_ON("0a"), SECOND, "wait 93s", SECOND, SECOND, SECOND, SECOND }, 6 },
		/* the whole at once, to a server that knows no blocks */
		{ { PUT_THREE, FIRST, "lamp> ACK 4.02 $ #$", "lamp< CON 0.03 * #* *p", "lamp> ACK 2.04 $ #$" }, 2 },
		/* a key exchange has a floor */
		{ { "a> CON 0.02 0001 #01 Uri-Path:lamp Uri-Path:authz-info !" ONE TWO "x" }, 36 },
		{ { "a> CON 0.02 0001 #01 Uri-Path:lamp Uri-Path:authz-info !" ONE TWO "x",
		    "lamp< CON 0.02 * #* Uri-Path:authz-info Block1=0a *s *r *p", "lamp> ACK 4.01 $ #$" },
		  36 },
		/* the rest of a response */
		{ { "prove a", GET, "lamp> ACK 2.05 $ #$ Block2=0a !" ONE, "lamp< CON 0.01 * #* Block2=12 *r",
		    "lamp> ACK 2.05 $ #$ Block2=1a !" TWO, "lamp< CON 0.01 * #* Block2=22 *r",
		    "lamp> ACK 2.05 $ #$ Block2=22 !x" },
		  3 },
		/* whom the device accepts: nothing at all */
		{ { "a> CON 0.02 0001 #01 OSCORE=0900bb Uri-Path:lamp !=" HEX HEX HEX HEX HEX,
		    "lamp< CON 0.02 * #* *o Block1=0a *s *r *p", "lamp> ACK 2.31 $ #$ Block1=0a",
		    "lamp< CON 0.02 * #* *o Block2=02 Block1=12 *r *p",
		    "lamp> ACK 2.04 $ #$ OSCORE= Block2=0a Block1=12 !=" HEX HEX HEX HEX,
		    "lamp< CON 0.02 * #* *o Block2=12 *r", "lamp> ACK 2.04 $ #$ OSCORE= Block2=12 !=00" },
		  0 },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct proxy_config c = narrow(engine_roomy());
		struct engine *e;

		c.policy.servers[0].handshake_cost = 36;
		e = engine_start(&c);
		for (unsigned k = 0; rows[i].lines[k]; k++)
			engine_line(e, "%s", rows[i].lines[k]);
		if (paid(e) != rows[i].paid)
			print_error("row %u: %u\n", i, paid(e));
		assert_int_equal(paid(e), rows[i].paid);
		e->n_out = 0;
		engine_stop(e);
	}
}

/* Strangers who ask for as much as they can, for an hour: the device gets what it gets of small requests. The longest are 17 pieces. */
static void test_dear_flood(void **state)
{
	struct proxy_config c = narrow(engine_careful());
	struct engine *e = engine_start(&c);
	uint8_t body[1088];

	(void)state;
	memset(body, 'x', sizeof body);
	for (unsigned i = 0; i < 3600; i++) {
		struct path who = engine_path("[2001:db8:bad::1]:40000");
		const struct engine_sent *s;
		uint8_t buf[DGRAM_MAX];
		struct msgbuf b;
		char token[20];
		struct msg m;

		who.remote.ip[7] = (uint8_t)i;
		who.remote.ip[6] = (uint8_t)(i >> 8);
		msgbuf_begin(&b, buf, sizeof buf, MSG_CON, MSG_PUT, (uint16_t)i, bytes_of("t", 1));
		msgbuf_option(&b, OPTION_URI_PATH, bytes_of("lamp", 4));
		msgbuf_payload(&b, bytes_of(body, sizeof body));
		engine_receive(e, &who, msgbuf_end(&b));
		while ((s = engine_take(e, "lamp"))) {
			assert_int_equal(msg_parse(&m, bytes_of(s->buf, s->len)), MSG_OK);
			msgtext_hex(m.token, token);
			engine_line(e, "lamp> ACK 2.31 %04x #%s", m.mid, token);
		}
		e->n_out = 0;
		engine_wait(e, TSTAMP_S);
	}
	assert_in_range(e->to_device, 100, 6 + 36 + 6 * 60 + 17);
	engine_stop(e);
}

/* Where the link has frames and no blocks, a unit is a frame that the message fills. */
static void test_frames(void **state)
{
	static const struct {
		unsigned payload;
		uint32_t frame, units;
	} rows[] = { { 1000, 0, 1 },  { 40, 104, 1 },  { 86, 104, 1 },   { 87, 104, 2 },
		     { 190, 104, 2 }, { 191, 104, 3 }, { 1000, 104, 10 } };

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct proxy_config c = engine_roomy();
		char body[1001];
		struct engine *e;

		c.links[0].sched.frame_size = rows[i].frame;
		e = engine_start(&c);
		memset(body, 'x', rows[i].payload);
		body[rows[i].payload] = '\0';
		engine_line(e, "a> NON 0.03 0001 #01 Uri-Path:lamp !%s", body);
		assert_int_equal(e->to_device, 1);
		assert_int_equal(paid(e), rows[i].units);
		e->n_out = 0;
		engine_stop(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_negotiated),
		cmocka_unit_test(test_client_blocks),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tags_of_layers),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_fallback_plain),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_any_moment),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_forged_block),
		cmocka_unit_test(test_join_while_gathering),
		cmocka_unit_test(test_bad_link),
		cmocka_unit_test(test_stranger_first),
		cmocka_unit_test(test_endless_bodies),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_dear_flood),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

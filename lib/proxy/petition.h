/*
 * petition: what goes up for an exchange, as the device will read it: rewritten, cut into blocks of the link, with our layer on. It is
 * written into x->up; when it leaves is up to others.
 */
#ifndef PETITION_H
#define PETITION_H
#include "proxy/core.h"
#include "proxy/target.h"

/* A datagram for a device, with nothing in it. NULL: no room. */
struct dgram *petition_blank(struct proxy *p, uint8_t server, enum path_channel channel);
/* What a datagram of so many bytes costs strangers, in units: 1, and 1 for each further frame, where the link has frames, that it fills. */
uint32_t petition_weight(const struct proxy *p, uint8_t server, size_t len);
/* The same of all datagrams that m will be, as far as that can be told before it is written. */
uint16_t petition_units(const struct proxy *p, uint8_t server, const struct msg *m, bool has_oscore, tstamp now);
/* The message for x->server, or the first piece of it, under x's token. False: no room. */
bool petition_build(struct proxy *p, struct exchange *x, const struct target *t, const struct request_view *v,
		    const struct target_edits *e, tstamp now);

/* The context for x's next hop works, and has a sequence number to go on with. */
bool petition_can_layer(const struct proxy *p, const struct exchange *x);
/* d, which is x->up, gets our layer and, if the link has blocks, is cut. Once for each message. False: it cannot be. */
bool petition_protect(struct proxy *p, struct exchange *x, struct dgram *d, tstamp now);
/* The same, as it was before our layer, with this Echo inside. */
bool petition_with_echo(struct proxy *p, struct exchange *x, struct bytes echo);

/*
 * The device answered a piece of x's request: true if there is a next one to send, or the whole at once, if it knows no blocks. False:
 * that is the response.
 */
bool petition_goes_on(struct proxy *p, struct exchange *x, const struct msg *m, tstamp now);
bool petition_next_piece(struct proxy *p, struct exchange *x);
/* For e: the next block of the response to x. */
bool petition_for_rest(struct proxy *p, struct exchange *e, const struct exchange *x);
/* The same as before, under the same token. */
bool petition_again(struct proxy *p, struct exchange *x);
#endif

/*
 * nested: the examples of oscore_capable_proxies_nested.json, read event by event: who protects what under which context, and what goes
 * over the wire between whom.
 */
#ifndef NESTED_H
#define NESTED_H
#include "oscore/oscore.h"

#define NESTED_MAX 1408

struct nested_message {
	uint8_t buf[NESTED_MAX];
	struct bytes wire;
};

/* Builds a message out of {code, options, payload}; type, Message ID and token are given. */
void nested_build(const char *object, uint8_t type, uint16_t mid, struct bytes token, struct nested_message *out);
/* A string member equals. */
bool nested_is(const char *event, const char *name, const char *text);
/*
 * The context of that name in the example's "contexts", as the endpoint sees it whose Sender ID is `sender` (hex), ready to use: its
 * next sequence number is `next`, its window is whole.
 */
struct oscore_setup nested_setup(const char *contexts, const char *name, const char *sender, uint8_t secret[16]);
void nested_context(struct oscore_context *c, const char *contexts, const char *name, const char *sender,
		    uint64_t next);
/* The Sender ID of the other side. */
const char *nested_other(const char *contexts, const char *name, const char *sender, char out[16]);
#endif

/* fault: why a message went no further; the guard's own reasons are in guard/verdict.h. The one table of them. */
#ifndef FAULT_H
#define FAULT_H

#define FAULTS(X)                                                                                                      \
	X(SHORT, "short", "shorter than its header and token")                                                         \
	X(VERSION, "version", "not version 1 of CoAP")                                                                 \
	X(TOKEN, "token", "reserved token length 15")                                                                  \
	X(OPTION, "option", "an option past the end, with a reserved nibble, or numbered over 65535")                  \
	X(MARKER, "marker", "payload marker without a payload")                                                        \
	X(STUFFED, "stuffed", "Empty message with something in it")                                                    \
	X(OPTIONS, "options", "more options than max-options")                                                         \
	X(LARGE, "large", "larger than max-datagram")                                                                  \
	X(CODE, "code", "reserved code class, or code and type do not fit")                                            \
	X(UNASKED, "unasked", "response of a device, or in its name, that matches no request")                         \
	X(STRAY, "stray", "response to a listener, where only requests come")                                          \
	X(BAD_OPTION, "bad-option", "unsafe or malformed option: 4.02")                                                \
	X(NO_TARGET, "no-target", "no configured server is meant")                                                     \
	X(HOP_LIMIT, "hop-limit", "Hop-Limit ran out: 5.08")                                                           \
	X(NO_ROOM, "no-room", "exchange table, queue or packet pool full")                                             \
	X(DUPLICATE, "duplicate", "seen before; absorbed or answered again")                                           \
	X(DEVICE_RESET, "device-reset", "the device answered RST: 5.02")                                               \
	X(DEVICE_SILENT, "device-silent", "the device did not answer: 5.04")                                           \
	X(UNREACHABLE, "unreachable", "ICMP says nobody listens there: 5.02")                                          \
	X(LINK_WAIT, "link-wait", "waited or would wait longer than queue-wait for the link: 5.03")                    \
	X(PROBING, "probing", "the device is silent, and probing-rate is spent: 5.03")                                 \
	X(MID_SPENT, "mid-spent", "no Message ID free towards the device: 5.03")                                       \
	X(UNFORWARDABLE, "unforwardable", "response with an unsafe option: 5.02")                                      \
	X(BROKEN_BLOCKS, "broken-blocks", "blocks of a response that do not join on: 5.02")                            \
	X(UNPROVEN, "unproven", "response too large for an unproven address: held")                                    \
	X(CLIENT_GONE, "client-gone", "the client reset or stopped acknowledging")                                     \
	X(NO_CONTEXT, "no-context", "OSCORE under none of our contexts, and for no server: 4.01")                      \
	X(NOT_AUTHENTIC, "not-authentic", "under a kid of ours, but not from the holder of its key")                   \
	X(REPLAY, "replay", "under a kid of ours, with a Partial IV seen before")                                      \
	X(KEY_RATE, "key-rate",                                                                                        \
	  "too many forgeries under this kid to try another before its sender proves an address")                      \
	X(UNSYNCED, "unsynced", "the replay window was lost: asked for an Echo inside the layer")                      \
	X(LAYERS, "layers", "more OSCORE layers than max-oscore-layers: 4.01")                                         \
	X(UNAUTHORIZED, "unauthorized", "its context may not reach this server: 4.01")                                 \
	X(NO_LAYER, "no-layer", "the context for the next hop cannot protect: 5.03")                                   \
	X(UNPROTECTED, "unprotected", "response of the next hop without our layer: not taken; 5.02 if no other comes") \
	X(UNPROTECTABLE, "unprotectable", "response that its layers cannot be put on")

enum fault {
#define X(name, word, text) FAULT_##name,
	FAULTS(X)
#undef X
		FAULT_COUNT
};

const char *fault_word(enum fault f);
const char *fault_text(enum fault f);
#endif

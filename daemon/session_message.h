/* session_message: one CoAP message between two forms: as a datagram, and as libcoap has it. */
#ifndef SESSION_MESSAGE_H
#define SESSION_MESSAGE_H
#include "base/bytes.h"
#include "coap/msg.h"

struct coap_pdu_t;

#define SESSION_MESSAGE_MAX 1152 /* Max-Message-Size that is said and held to: RFC 8323's base, so no BERT */

/* With another type and Message ID. NULL: libcoap would not take it. */
struct coap_pdu_t *session_message_to_pdu(const struct msg *m, uint8_t type, uint16_t mid);
/*
 * With another type and Message ID, and this Observe value in the place of one that is there, unless NULL: over TCP it means nothing
 * (RFC 8323 §7.1), and over UDP it must grow. Length 0: no room.
 */
struct bytes session_message_from_pdu(const struct coap_pdu_t *pdu, uint8_t type, uint16_t mid, const uint32_t *observe,
				      uint8_t *buf, size_t cap);
/* The same without options and payload, as a refusal. */
struct bytes session_message_refusal(const struct coap_pdu_t *pdu, uint8_t type, uint16_t mid, uint8_t code,
				     uint8_t *buf, size_t cap);
struct bytes session_message_empty(uint8_t type, uint16_t mid, uint8_t buf[4]);
#endif

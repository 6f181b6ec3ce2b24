#include "oscore/oscore_class.h"
#include <stddef.h>

/* In the order of numbers; those of drafts are as suggested there. */
static const struct {
	uint16_t number;
	enum oscore_class class;
} classes[] = {
	{ 2, OSCORE_OUTER },   /* Multicast-Timeout */
	{ 3, OSCORE_OUTER },   /* Uri-Host */
	{ 6, OSCORE_BOTH },    /* Observe */
	{ 7, OSCORE_OUTER },   /* Uri-Port */
	{ 9, OSCORE_OUTER },   /* OSCORE */
	{ 14, OSCORE_BOTH },   /* Max-Age */
	{ 16, OSCORE_OUTER },  /* Hop-Limit: U since draft-ietf-core-oscore-capable-proxies-02 */
	{ 19, OSCORE_BOTH },   /* Q-Block1 */
	{ 21, OSCORE_OUTER },  /* EDHOC */
	{ 23, OSCORE_BOTH },   /* Block2 */
	{ 24, OSCORE_OUTER },  /* Group-ETag */
	{ 27, OSCORE_BOTH },   /* Block1 */
	{ 28, OSCORE_BOTH },   /* Size2 */
	{ 31, OSCORE_BOTH },   /* Q-Block2 */
	{ 35, OSCORE_OUTER },  /* Proxy-Uri */
	{ 39, OSCORE_OUTER },  /* Proxy-Scheme */
	{ 47, OSCORE_OUTER },  /* Listen-To-Multicast-Responses */
	{ 60, OSCORE_BOTH },   /* Size1 */
	{ 235, OSCORE_OUTER }, /* Proxy-Cri */
	{ 239, OSCORE_OUTER }, /* Proxy-Scheme-Number */
	{ 248, OSCORE_OUTER }, /* Reply-From */
	{ 252, OSCORE_BOTH },  /* Echo */
	{ 258, OSCORE_BOTH },  /* No-Response */
	{ 292, OSCORE_BOTH },  /* Request-Tag */
	{ 548, OSCORE_OUTER }, /* Request-Hash: U in requests, I in responses; outer in both */
};

enum oscore_class oscore_class_of(uint16_t number)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes && classes[i].number <= number; i++)
		if (classes[i].number == number)
			return classes[i].class;
	return OSCORE_INNER;
}

/* Steps 1 to 5: whether X may have the option from inside its layer. */
static bool may_hide(const struct oscore_class_facts *f)
{
	if (f->added && f->consumer)                         /* 1, 2 */
		return f->immediate && !f->needed_before;    /* 3, 5 */
	return f->next_hop || !f->next_hop_is_next_consumer; /* 4 */
}

bool oscore_class_is_inner(const struct oscore_class_facts *f)
{
	return may_hide(f) && (!f->is_authority || f->has_scheme); /* 6, 7 */
}

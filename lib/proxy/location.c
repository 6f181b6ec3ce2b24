#include "proxy/location.h"
#include "coap/option.h"

#define VALUE_MAX 255 /* RFC 7252 §5.10 */

bool location_is_told(const struct msg *m)
{
	struct msg_option opt;

	if (m->code != MSG_CREATED && m->code != MSG_DELETED && m->code != MSG_CHANGED)
		return false;
	return msg_find(m, OPTION_LOCATION_PATH, &opt) && !msg_find(m, OPTION_OSCORE, &opt);
}

/* "MUST NOT be '.' or '..'" (RFC 7252 §5.10.7): behind a prefix they would lead out of it. */
static bool is_segment(struct bytes value)
{
	return value.len <= VALUE_MAX && !bytes_equal(value, bytes_of(".", 1)) &&
	       !bytes_equal(value, bytes_of("..", 2));
}

bool location_move(struct edits *e, const struct msg *m, const char *prefix)
{
	struct msg_iter it = msg_options(m);
	struct msg_option opt;

	if (!*prefix) /* the server has it no more */
		return false;
	while (msg_next(&it, &opt))
		if ((opt.number == OPTION_LOCATION_PATH && !is_segment(opt.value)) ||
		    (opt.number == OPTION_LOCATION_QUERY && opt.value.len > VALUE_MAX))
			return false;
	edits_lead(e, OPTION_LOCATION_PATH, prefix);
	return true;
}

void location_drop(struct edits *e)
{
	edits_drop(e, OPTION_LOCATION_PATH);
	edits_drop(e, OPTION_LOCATION_QUERY);
}

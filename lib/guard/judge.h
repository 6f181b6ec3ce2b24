/* judge: the verdict on one request, from facts and from what the guard knows. The heart of policy. */
#ifndef JUDGE_H
#define JUDGE_H
#include "guard/state.h"

struct verdict judge_request(struct guard *g, const struct guard_request *rq, tstamp now);
#endif

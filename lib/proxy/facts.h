/* facts: what the guard is told of a request, which knows no CoAP. */
#ifndef FACTS_H
#define FACTS_H
#include "proxy/request.h"

/* Into rq->facts, when rq->view and rq->target are known; but for the units, which are counted only for what is judged. */
void facts_gather(const struct proxy *p, struct request *rq);
#endif

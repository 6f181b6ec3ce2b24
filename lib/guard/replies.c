#include "guard/replies.h"

static struct ratelimit_config sketch(uint32_t cells, struct rate rate)
{
	return (struct ratelimit_config){
		.cells = cells, .rate = rate, .burst = (uint32_t)rate.count, .n_levels = 1, .levels = { { 64, 24, 1 } }
	};
}

size_t replies_memory(uint32_t cells)
{
	struct ratelimit_config c = sketch(cells, (struct rate){ 1, TSTAMP_S });

	return ratelimit_memory(&c);
}

bool replies_init(struct replies *r, uint32_t cells, struct rate rate, uint32_t slip, const struct siphash_key *key)
{
	struct ratelimit_config c = sketch(cells, rate);

	*r = (struct replies){ .sketch = ratelimit_create(&c, key), .rate = rate, .slip = slip };
	return r->sketch != NULL;
}

void replies_free(struct replies *r)
{
	ratelimit_free(r->sketch);
	r->sketch = NULL;
}

void replies_retune(struct replies *r, struct rate rate, uint32_t slip)
{
	r->rate = rate;
	r->slip = slip;
	ratelimit_retune(r->sketch, rate, (uint32_t)rate.count);
}

bool replies_allow(struct replies *r, const struct addr *client, tstamp now)
{
	const struct rate half = { r->rate.count, r->rate.period * 2 };

	if (ratelimit_charge(r->sketch, client, 1, now) == 0)
		return true;
	if (r->slip && ++r->turn % r->slip == 0 && bucket_take(&r->slipped, half, 1 + half.count / 2, 1, now))
		return true;
	r->suppressed++;
	return false;
}

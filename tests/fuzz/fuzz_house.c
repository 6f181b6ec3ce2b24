#include "fuzz_house.h"
#include "fuzz_layer.h"
#include "fuzz_target.h"

static void put_address(struct addr *a, const char *text)
{
	FUZZ_MUST(addr_parse(a, text, 5683));
}

static enum policy_mode mode_of(uint8_t server, bool strict)
{
	static const enum policy_mode modes[] = { MODE_EXEMPTIONS, MODE_EXEMPTIONS, MODE_EXEMPTIONS,
						  MODE_OPEN,       MODE_THROTTLE,   MODE_FULL };

	return strict && (modes[server] == MODE_OPEN || modes[server] == MODE_THROTTLE) ? MODE_EXEMPTIONS
											: modes[server];
}

static void put_server(struct proxy_config *c, uint8_t i, const char *name, const char *address, const char *path)
{
	static const enum policy_plain plains[] = { PLAIN_THROTTLE, PLAIN_DENY,     PLAIN_ALLOW,
						    PLAIN_THROTTLE, PLAIN_THROTTLE, PLAIN_ALLOW };
	struct proxy_server *s = &c->servers[i];

	snprintf(s->name, sizeof s->name, "%s", name);
	snprintf(s->uri_path, sizeof s->uri_path, "%s", path);
	put_address(&s->address, address);
	s->forward = i % 2;
	s->require_layer = i == 4 && !c->precise_errors;
	s->observe_max = 4;
	c->policy.servers[i] = (struct policy_server){
		.present = i < 5 || c->precise_errors,
		.link = i / 2,
		.plain = plains[i],
		.unknown_rate = { i % 2 ? 60 : 6, TSTAMP_MIN },
		.unknown_budget = 3000,
		.handshake_cost = 6,
		.trusted_rate = { 2, TSTAMP_S },
	};
}

static void put_links(struct proxy_config *c)
{
	static const char *const names[] = { "air", "wire", "thread" };

	for (uint8_t i = 0; i < FUZZ_LINKS; i++) {
		struct proxy_link *l = &c->links[i];

		snprintf(l->name, sizeof l->name, "%s", names[i]);
		l->sched = (struct linksched_config){ .rate = { 300U << 2 * i, TSTAMP_S },
						      .burst = 256U << i,
						      .overhead = 48,
						      .frame_size = i == 2 ? 104 : 0,
						      .frame_overhead = 29,
						      .queue_length = 2 + i,
						      .share = { 80, 15, 5 } };
		l->retransmit = (struct retransmit_params){ 2 * TSTAMP_S, (uint8_t)(2 + i) };
		l->nstart = 1;
		l->queue_wait = (i + 1U) * 4 * TSTAMP_S;
		l->block_size = i ? 0 : 64;
		l->probing = (struct rate){ 1U << 4 * i, TSTAMP_S };
	}
}

static void put_listens(struct proxy_config *c)
{
	static const uint8_t servers[] = { PROXY_NO_SERVER, 0, 3 };

	for (uint8_t i = 0; i < 3; i++) {
		snprintf(c->listens[i].name, sizeof c->listens[i].name, "front%u", i);
		put_address(&c->listens[i].bind, "[2001:db8::53]:5683");
		c->listens[i].bind.port = (uint16_t)(5683 + i);
		c->listens[i].server = servers[i];
		c->listens[i].silent = i == 2;
	}
}

/* Hall is the next hop of a layer; its own context serves nobody else. */
static void put_contexts(struct proxy_config *c)
{
	static const char *const names[] = { "front", "inner", "host", "next" };
	static const uint64_t servers[] = { 0xff, 0x2d, 0x0f, 0 };

	for (uint8_t i = 0; i < PROXY_CONTEXTS; i++)
		c->contexts[i].next_hop = PROXY_NO_SERVER;
	for (uint8_t i = 0; i < FUZZ_CONTEXTS; i++) {
		snprintf(c->contexts[i].name, sizeof c->contexts[i].name, "%s", names[i]);
		c->contexts[i].servers = servers[i];
		c->contexts[i].setup = fuzz_layer_setup(i);
	}
	c->contexts[FUZZ_NEXT].next_hop = 2;
	put_address(&c->contexts[FUZZ_SOURCE].source, "[2001:db8:2::a]:1");
}

static void put_servers(struct proxy_config *c, bool strict)
{
	put_server(c, 0, "lamp", "[fd00:db8::17]:5683", "lamp");
	put_server(c, 1, "door", "[fd00:db8::18]:5683", "house/door");
	put_server(c, 2, "hall", "[fd00:db8::19]:61616", "hall");
	put_server(c, 3, "open", "[fd00:db8::20]:5683", "open");
	put_server(c, 4, "slow", "[fd00:db8::21]:5683", "slow");
	put_server(c, 5, "new", "[fd00:db8::22]:5683", "new");
	snprintf(c->servers[2].uri_host, sizeof c->servers[2].uri_host, "hall.example");
	for (uint8_t i = 0; i < FUZZ_SERVERS; i++)
		c->policy.servers[i].mode = mode_of(i, strict);
}

static void put_policy(struct policy *p)
{
	p->throttle_rate = (struct rate){ 4, TSTAMP_S };
	p->table_size = 256;
	p->reply_rate = (struct rate){ 5, TSTAMP_S };
	p->reply_slip = 2;
	p->relations = 16;
	p->contexts = 16;
	p->trusted_after = 2;
	p->min_success = 50;
	p->lifetime = TSTAMP_DAY;
	p->roam_grace = TSTAMP_MIN;
	p->echo_validity = TSTAMP_MIN;
	p->echo_key_lifetime = TSTAMP_HOUR;
	p->window = 64;
	p->plausible_jump = 256;
	p->sequence_idle = 7 * TSTAMP_DAY;
}

void fuzz_house_build(struct proxy_config *c, uint64_t seed, bool strict)
{
	*c = (struct proxy_config){
		.name = "guard under fire", .max_datagram = 1280, .max_options = 32, .hop_limit = 16, .ssn_reserve = 64
	};
	c->max_layers = (uint32_t)(seed >> 8) % PROXY_LAYERS + 1;
	c->precise_errors = seed >> 16 & 1;
	c->exchanges = (uint32_t)(16 + seed % 49);
	c->cache_size = seed >> 18 & 1 ? 4096 : 0;
	c->stale_if_silent = seed >> 19 & 1 ? TSTAMP_MIN : 0;
	put_listens(c);
	put_links(c);
	put_servers(c, strict);
	put_contexts(c);
	put_policy(&c->policy);
}

static enum policy_mode next_mode(enum policy_mode m, bool strict)
{
	if (strict)
		return m == MODE_FULL ? MODE_EXEMPTIONS : MODE_FULL;
	return (enum policy_mode)((m + 1) % 4);
}

void fuzz_house_move(struct proxy_config *c, struct fuzz_input *in, bool strict)
{
	uint8_t i = (uint8_t)fuzz_below(in, FUZZ_SERVERS);
	struct policy_server *s = &c->policy.servers[i];

	switch (fuzz_below(in, 5)) {
	case 0: s->present = !s->present; break;
	case 1: s->link = (uint8_t)((s->link + 1) % FUZZ_LINKS); break;
	case 2: c->servers[i].address.port ^= 1; break;
	case 3: s->mode = next_mode(s->mode, strict); break;
	default: s->plain = (enum policy_plain)((s->plain + 1) % 3); break;
	}
}

static void tune_link(struct proxy_link *l, unsigned how)
{
	switch (how) {
	case 0: l->nstart = 1 + l->nstart % 3; break;
	case 1: l->sched.queue_length = 1 + l->sched.queue_length % 4; break;
	case 2: l->sched.rate.count = l->sched.rate.count > 5000 ? 100 : l->sched.rate.count * 3; break;
	case 3: l->queue_wait = l->queue_wait > 10 * TSTAMP_S ? 100 * TSTAMP_MS : l->queue_wait * 2; break;
	case 4: l->block_size = l->block_size == 0 ? 1024 : l->block_size > 16 ? l->block_size / 4 : 0; break;
	default: l->retransmit.max_retransmit = (uint8_t)((l->retransmit.max_retransmit + 1) % 5); break;
	}
}

void fuzz_house_tune(struct proxy_config *c, struct fuzz_input *in, bool strict)
{
	unsigned how = fuzz_byte(in), which = how / 16;

	switch (how % 16) {
	case 8: c->servers[which % FUZZ_SERVERS].observe_max = which % 3; break;
	case 9: c->policy.dry_run = !strict && !c->policy.dry_run; break;
	case 10: c->max_datagram = c->max_datagram == 1280 ? 256 : 1280; break;
	case 11: c->precise_errors = !c->precise_errors; break;
	case 12: c->max_layers = which % PROXY_LAYERS + 1; break;
	case 13: c->stale_if_silent = c->stale_if_silent ? 0 : TSTAMP_MIN; break;
	case 14: c->servers[which % FUZZ_SERVERS].proxy ^= true; break;
	case 15: c->listens[which % 3].silent ^= true; break;
	default: tune_link(&c->links[which % FUZZ_LINKS], how % 8 % 6); break;
	}
}

struct proxy_config fuzz_house_sound(const struct proxy_config *c)
{
	struct proxy_config fresh = *c;
	bool used[FUZZ_LINKS] = { false };

	for (unsigned i = 0; i < FUZZ_SERVERS; i++)
		used[c->policy.servers[i].link] |= c->policy.servers[i].present;
	for (unsigned i = 0; i < FUZZ_LINKS; i++)
		if (!used[i])
			fresh.links[i] = (struct proxy_link){ .name = "" };
	for (unsigned i = 0; i < FUZZ_SERVERS; i++)
		if (!fresh.policy.servers[i].present) {
			fresh.policy.servers[i] = (struct policy_server){ .present = false };
			fresh.servers[i] = (struct proxy_server){ .name = "" };
		}
	for (unsigned i = 0; i < 3; i++)
		if (fresh.listens[i].server != PROXY_NO_SERVER &&
		    !fresh.policy.servers[fresh.listens[i].server].present)
			fresh.listens[i].server = PROXY_NO_SERVER;
	return fresh;
}

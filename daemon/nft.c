#include "nft.h"

#define BURST   5    /* packets, of each limit */
#define SOURCES 8192 /* of each family that are told apart; more share what the sum leaves */

/* What the servers at one address, or in one link, want to be done about what comes past the guard. */
struct group {
	unsigned closed, limited, open;
	struct rate rate; /* the least of the limited */
};

static bool is_present(const struct config *c, unsigned place)
{
	return c->proxy.policy.servers[place].present;
}

/* Nobody is routed to a local address. */
static bool is_listed(const struct config *c, unsigned place)
{
	const struct addr *a = &c->proxy.servers[place].address;

	return is_present(c, place) && !addr_is_loopback(a) && !addr_is_link_local(a);
}

/* A proxy guards itself. */
static bool is_open(const struct config *c, unsigned place)
{
	return c->proxy.policy.servers[place].mode == MODE_OPEN || c->proxy.servers[place].proxy;
}

static bool is_closed(const struct config *c, unsigned place)
{
	return !is_open(c, place) && c->proxy.policy.servers[place].mode == MODE_FULL;
}

static void group_add(struct group *g, const struct config *c, unsigned place)
{
	struct rate r = c->bypass_rates[place];

	g->open += is_open(c, place);
	g->closed += is_closed(c, place);
	if (is_open(c, place) || is_closed(c, place))
		return;
	if (g->limited++ == 0 || rate_duration(r, 1) > rate_duration(g->rate, 1))
		g->rate = r;
}

static bool same_host(const struct config *c, unsigned a, unsigned b)
{
	return addr_same_host(&c->proxy.servers[a].address, &c->proxy.servers[b].address);
}

/* Of several servers at one address the first one gives the chain its name. */
static bool is_first_at_host(const struct config *c, unsigned place)
{
	for (unsigned i = 0; i < place; i++) {
		if (is_listed(c, i) && same_host(c, i, place))
			return false;
	}
	return is_listed(c, place);
}

static struct group group_at_host(const struct config *c, unsigned place)
{
	struct group g = { 0 };

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (is_listed(c, i) && same_host(c, i, place))
			group_add(&g, c, i);
	}
	return g;
}

static struct group group_in_link(const struct config *c, unsigned link)
{
	struct group g = { 0 };

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (is_present(c, i) && c->proxy.policy.servers[i].link == link)
			group_add(&g, c, i);
	}
	return g;
}

/* Who only judges and counts does so here, too. */
static const char *drop(const struct config *c)
{
	return c->proxy.policy.dry_run ? "counter" : "counter drop";
}

static void print_over(struct rate r, FILE *out)
{
	static const struct {
		uint64_t period;
		const char *word;
	} units[] = { { TSTAMP_S, "second" }, { TSTAMP_MIN, "minute" }, { 60 * TSTAMP_MIN, "hour" } };
	const char *word = "day";

	for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
		if (r.period == units[i].period)
			word = units[i].word;
	}
	fprintf(out, "limit rate over %llu/%s burst %d packets", (unsigned long long)r.count, word, BURST);
}

/* First of each source, so that one alone can't take what is there for all. at: all that is limited; NULL: more. */
static void print_limits(const struct config *c, struct rate sum, const struct addr *at, FILE *out)
{
	static const char *const sources[] = { "sources6 { ip6 saddr & ffff:ffff:ffff:ffff::", "sources4 { ip saddr" };

	if (sum.count == 0 || c->bypass_source.count == 0) {
		fprintf(out, "\t\t%s\n", drop(c));
		return;
	}
	for (unsigned v4 = 0; v4 < 2; v4++) {
		if (at && addr_is_v4(at) != v4)
			continue;
		fprintf(out, "\t\tupdate @%s ", sources[v4]);
		print_over(c->bypass_source, out);
		fprintf(out, " } %s\n", drop(c));
	}
	fputs("\t\t", out);
	print_over(sum, out);
	fprintf(out, " %s\n", drop(c));
}

static void print_rest(const struct config *c, const struct group *g, const struct addr *at, FILE *out)
{
	if (g->limited)
		print_limits(c, g->rate, at, out);
	else if (g->closed)
		fprintf(out, "\t\t%s\n", drop(c));
}

/* Where servers at one address differ, their ports tell which one it is for. */
static void print_ports(const struct config *c, unsigned place, FILE *out)
{
	for (unsigned i = place; i < POLICY_SERVERS; i++) {
		if (!is_listed(c, i) || !same_host(c, i, place))
			continue;
		if (is_open(c, i) || is_closed(c, i))
			fprintf(out, "\t\tmeta l4proto { tcp, udp } th dport %u %s\n", c->proxy.servers[i].address.port,
				is_open(c, i) ? "accept" : drop(c));
	}
}

static void print_host(const struct config *c, unsigned place, FILE *out)
{
	const struct proxy_server *s = &c->proxy.servers[place];
	struct group g = group_at_host(c, place);

	fprintf(out, "\tchain to-%s {\n", s->name);
	if ((g.closed > 0) + (g.limited > 0) + (g.open > 0) > 1)
		print_ports(c, place, out);
	print_rest(c, &g, &s->address, out);
	fputs("\t}\n", out);
}

static void print_link(const struct config *c, unsigned link, FILE *out)
{
	struct group g = group_in_link(c, link);

	fprintf(out, "\tchain into-%s {\n", c->proxy.links[link].name);
	print_rest(c, &g, NULL, out);
	fputs("\t}\n", out);
}

static bool has_interface(const struct config *c, unsigned link)
{
	struct group g = group_in_link(c, link);

	return *c->link_interfaces[link] && g.closed + g.limited > 0;
}

static void print_chains(const struct config *c, FILE *out)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (is_first_at_host(c, i))
			print_host(c, i, out);
	}
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		if (has_interface(c, i))
			print_link(c, i, out);
	}
}

/* By destination. */
static void print_map(const struct config *c, bool v4, FILE *out)
{
	const char *apart = v4 ? "\t\tip daddr vmap {\n" : "\t\tip6 daddr vmap {\n";
	char text[ADDR_TEXT];
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		const struct proxy_server *s = &c->proxy.servers[i];

		if (!is_first_at_host(c, i) || addr_is_v4(&s->address) != v4)
			continue;
		fprintf(out, "%s\t\t\t%s : goto to-%s", apart, addr_format_host(&s->address, text), s->name);
		apart = ",\n";
		n++;
	}
	if (n)
		fputs("\n\t\t}\n", out);
}

static void print_destinations(const struct config *c, FILE *out)
{
	print_map(c, false, out);
	print_map(c, true, out);
}

/* To whom in there it may be; what its devices send each other stays in there. */
static void print_links(const struct config *c, FILE *out)
{
	for (unsigned i = 0; i < POLICY_LINKS; i++) {
		const char *interface = c->link_interfaces[i];

		if (has_interface(c, i))
			fprintf(out, "\t\tiifname != \"%s\" oifname \"%s\" goto into-%s\n", interface, interface,
				c->proxy.links[i].name);
	}
}

/* What a server asked somebody itself may be answered. */
static void print_answers(FILE *out)
{
	fputs("\t\tct state established,related ct direction reply accept\n", out);
}

static void print_past(const struct config *c, FILE *out)
{
	fputs("\tchain past {\n\t\ttype filter hook forward priority filter - 5; policy accept;\n", out);
	print_answers(out);
	print_destinations(c, out);
	print_links(c, out);
	fputs("\t}\n", out);
}

/* The kernel's own words to its neighbours are nobody's. */
static void print_from_here(const struct config *c, const char *user, FILE *out)
{
	fputs("\tchain from-here {\n\t\ttype filter hook output priority filter - 5; policy accept;\n", out);
	fprintf(out, "\t\tmeta skuid \"%s\" accept\n", user);
	fputs("\t\ticmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept\n", out);
	print_answers(out);
	print_destinations(c, out);
	fputs("\t}\n", out);
}

/* The network around a server: most often what one interface has. */
static struct addr neighbourhood(const struct config *c, unsigned place)
{
	struct addr a = c->proxy.servers[place].address;

	addr_mask(a.ip, addr_is_v4(&a) ? 120 : 64);
	a.port = 0;
	return a;
}

static bool is_inside(const struct config *c, unsigned place)
{
	return is_listed(c, place) && !is_open(c, place);
}

static bool is_new_neighbourhood(const struct config *c, unsigned place)
{
	struct addr a = neighbourhood(c, place);

	for (unsigned i = 0; i < place; i++) {
		struct addr b = neighbourhood(c, i);

		if (is_inside(c, i) && addr_equal(&a, &b))
			return false;
	}
	return is_inside(c, place);
}

/* Who claims to be in there, but comes from where the way back does not go, is not. */
static void print_spoofed(const struct config *c, FILE *out)
{
	char text[ADDR_TEXT];

	fputs("\tchain spoofed {\n\t\ttype filter hook prerouting priority raw; policy accept;\n", out);
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		struct addr a = neighbourhood(c, i);

		if (is_new_neighbourhood(c, i))
			fprintf(out, "\t\t%s saddr %s/%d fib saddr . iif oif missing %s\n",
				addr_is_v4(&a) ? "ip" : "ip6", addr_format_host(&a, text), addr_is_v4(&a) ? 24 : 64,
				drop(c));
	}
	fputs("\t}\n", out);
}

/* A source is remembered until its limit is full again, so that nobody gains by waiting to be forgotten. */
static void print_sources(const struct config *c, FILE *out)
{
	uint64_t s = rate_duration(c->bypass_source, BURST) / TSTAMP_S + 1, day = 86400;

	for (int family = 4; family <= 6; family += 2)
		fprintf(out,
			"\tset sources%d {\n\t\ttype ipv%d_addr; size %d; flags dynamic,timeout; timeout %llus;\n\t}\n",
			family, family, SOURCES,
			(unsigned long long)(s < 60    ? 60
					     : s > day ? day
						       : s));
}

static void print_left_out(const struct config *c, FILE *out)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		char text[ADDR_TEXT];

		if (is_present(c, i) && !is_listed(c, i))
			fprintf(out, "\t# Not here, since nobody reaches it through this machine: %s, %s.\n",
				c->proxy.servers[i].name, addr_format_host(&c->proxy.servers[i].address, text));
	}
}

static bool has_rules(const struct config *c)
{
	for (unsigned i = 0; i < POLICY_SERVERS; i++) {
		if (is_listed(c, i) || (i < POLICY_LINKS && has_interface(c, i)))
			return true;
	}
	return false;
}

void nft_print(const struct config *c, const char *user, FILE *out)
{
	fputs("# What reaches the servers past coap-guardd, as coap-guardd --print-nft made it of the configuration.\n"
	      "# Load it with \"nft -f\", again after every change; \"nft delete table inet coap_guard\" removes it.\n"
	      "add table inet coap_guard\n"
	      "delete table inet coap_guard\n"
	      "table inet coap_guard {\n",
	      out);
	print_left_out(c, out);
	if (has_rules(c)) {
		print_sources(c, out);
		print_chains(c, out);
		print_past(c, out);
		print_from_here(c, user, out);
		print_spoofed(c, out);
	}
	fputs("}\n", out);
}

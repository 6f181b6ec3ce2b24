#include "schema.h"
#include "config.h"
#include "near.h"
#include <stdio.h>
#include <string.h>

#define WIDTH(type, member) sizeof(((type *)0)->member)
/* Where values live: offset, stride; width. */
#define ONE(m)    offsetof(struct config, m), 0
#define LISTEN(m) offsetof(struct config, proxy.listens[0].m), sizeof(struct proxy_listen)
#define LINK(m)   offsetof(struct config, proxy.links[0].m), sizeof(struct proxy_link)
#define SERVER(m) offsetof(struct config, proxy.servers[0].m), sizeof(struct proxy_server)
#define CTX(m)    offsetof(struct config, proxy.contexts[0].m), sizeof(struct proxy_context)
#define POLICY(m) offsetof(struct config, proxy.policy.servers[0].m), sizeof(struct policy_server)
#define W(m)      WIDTH(struct config, m)
#define W_LS(m)   WIDTH(struct proxy_listen, m)
#define W_LK(m)   WIDTH(struct proxy_link, m)
#define W_SV(m)   WIDTH(struct proxy_server, m)
#define W_CX(m)   WIDTH(struct proxy_context, m)
#define W_PS(m)   WIDTH(struct policy_server, m)
#define P         proxy.policy

#define KIB     1024ULL
#define MIB     (1024 * KIB)
#define RESTART false
#define RELOAD  true

/* clang-format off */
const struct schema_key schema_keys[] = {
	/* Only keys of sections that are there once may be not reloadable. */
	/* section, key, where, { kind, width, minimum, maximum, choices }, reloadable, default, sentence */
	{ SECTION_GUARD, "name", ONE(proxy.name), { VALUE_WORD, W(proxy.name), 0, 0, NULL }, RELOAD, "coap-guard",
	  "What the guard calls itself in the diagnostics of 5.08 (Hop Limit Reached)." },
	{ SECTION_GUARD, "log-level", ONE(level), { VALUE_CHOICE, W(level), 0, 0, LOG_LEVELS }, RELOAD, "info",
	  "The least important messages that are still logged." },
	{ SECTION_GUARD, "max-datagram", ONE(proxy.max_datagram), { VALUE_SIZE, W(proxy.max_datagram), 256, 1280, NULL }, RELOAD, "1280B",
	  "Longer datagrams are not read." },
	{ SECTION_GUARD, "max-options", ONE(proxy.max_options), { VALUE_COUNT, W(proxy.max_options), 16, 255, NULL }, RELOAD, "64",
	  "Messages with more options are not read." },
	{ SECTION_GUARD, "exchanges", ONE(proxy.exchanges), { VALUE_COUNT, W(proxy.exchanges), 16, 65536, NULL }, RESTART, "1024",
	  "Requests under way at the same time, observations included." },
	{ SECTION_GUARD, "memory-limit", ONE(memory_limit), { VALUE_SIZE, W(memory_limit), MIB, 4096 * MIB, NULL }, RELOAD, "24MiB",
	  "The guard neither starts nor reloads when its tables would take more." },
	{ SECTION_GUARD, "dry-run", ONE(P.dry_run), { VALUE_CHOICE, W(P.dry_run), 0, 0, "no|yes" }, RELOAD, "no",
	  "Judge and count, but forward what would have been refused." },
	{ SECTION_GUARD, "max-oscore-layers", ONE(proxy.max_layers), { VALUE_COUNT, W(proxy.max_layers), 1, PROXY_LAYERS, NULL }, RELOAD, "2",
	  "OSCORE layers that are taken off one request." },
	{ SECTION_GUARD, "hop-limit", ONE(proxy.hop_limit), { VALUE_COUNT, W(proxy.hop_limit), 0, 255, NULL }, RELOAD, "16",
	  "Hop-Limit of forwarded requests that came without one (RFC 8768); 0: they get none." },
	{ SECTION_GUARD, "oscore-errors", ONE(proxy.precise_errors), { VALUE_CHOICE, W(proxy.precise_errors), 0, 0, "uniform|precise" }, RELOAD, "uniform",
	  "Answers to OSCORE that is no good: always 4.01 alike, or by cause (RFC 8613 section 8.2), which tells strangers more." },

	{ SECTION_LISTEN, "bind", LISTEN(bind), { VALUE_BIND, W_LS(bind), 0, 0, NULL }, RELOAD, "[::]:5683",
	  "A local address to take requests at; may be repeated." },
	{ SECTION_LISTEN, "interface", offsetof(struct config, interfaces[0]), W(interfaces[0]), { VALUE_INTERFACE, W(interfaces[0]), 0, 0, NULL }, RELOAD, "",
	  "Take requests of this interface only; empty: of any." },
	{ SECTION_LISTEN, "server", LISTEN(server), { VALUE_SERVER, W_LS(server), 0, 0, NULL }, RELOAD, NULL,
	  "The server that gets requests which name no server; default: the only server if there is one, else none; empty: none." },
	{ SECTION_LISTEN, "silent", LISTEN(silent), { VALUE_CHOICE, W_LS(silent), 0, 0, "no|yes" }, RELOAD, "no",
	  "Strangers who are refused get no reply at all." },
	{ SECTION_LISTEN, "transport", LISTEN(bind.carrier), { VALUE_CHOICE, W_LS(bind.carrier), 0, 0, "udp|dtls|tcp|tls" }, RELOAD, "udp",
	  "What carries CoAP here; all but udp needs what libcoap offers, see transports.md." },
	{ SECTION_LISTEN, "psk-file", offsetof(struct config, listen_psk_files[0]), W(listen_psk_files[0]), { VALUE_SOME_FILE, W(listen_psk_files[0]), 0, 0, NULL }, RELOAD, "",
	  "For dtls and tls: who may shake hands, a line for each: an identity, a blank and its key, hexadecimal; nobody else's to read." },
	{ SECTION_LISTEN, "max-sessions", offsetof(struct config, listen_sessions[0]), W(listen_sessions[0]), { VALUE_COUNT, W(listen_sessions[0]), 1, CONFIG_SESSIONS, NULL }, RELOAD, "64",
	  "Clients connected at the same time, at each address; for one more the one goes whose neighbours have most." },

	{ SECTION_LINK, "rate", LINK(sched.rate), { VALUE_BITRATE, W_LK(sched.rate), 100, 1000000000, NULL }, RELOAD, "10kbit/s",
	  "What may be sent into the link, on average." },
	{ SECTION_LINK, "burst", LINK(sched.burst), { VALUE_SIZE, W_LK(sched.burst), 64, 16 * MIB, NULL }, RELOAD, "1KiB",
	  "What may be sent at once after a silence." },
	{ SECTION_LINK, "overhead", LINK(sched.overhead), { VALUE_SIZE, W_LK(sched.overhead), 0, 256, NULL }, RELOAD, "48B",
	  "Counted for each datagram beside its CoAP bytes: UDP and IPv6 headers." },
	{ SECTION_LINK, "frame-size", LINK(sched.frame_size), { VALUE_SIZE, W_LK(sched.frame_size), 0, 1500, NULL }, RELOAD, "0B",
	  "Bytes of a datagram and its overhead that one frame carries, where larger ones are cut into several (6LoWPAN); 0B: none is." },
	{ SECTION_LINK, "frame-overhead", LINK(sched.frame_overhead), { VALUE_SIZE, W_LK(sched.frame_overhead), 0, 256, NULL }, RELOAD, "0B",
	  "Counted for each frame, if there is a frame-size: headers of the radio, and what it sends to be heard." },
	{ SECTION_LINK, "queue-length", LINK(sched.queue_length), { VALUE_COUNT, W_LK(sched.queue_length), 1, 1024, NULL }, RELOAD, "32",
	  "Datagrams that may wait in each lane." },
	{ SECTION_LINK, "queue-wait", LINK(queue_wait), { VALUE_DURATION, W_LK(queue_wait), 100 * TSTAMP_MS, 5 * TSTAMP_MIN, NULL }, RELOAD, "20s",
	  "A request that waits longer is answered 5.03, and one that would wait longer is answered so at once." },
	{ SECTION_LINK, "nstart", LINK(nstart), { VALUE_COUNT, W_LK(nstart), 1, 16, NULL }, RELOAD, "1",
	  "Confirmable requests of one client outstanding at one server (RFC 7252 NSTART)." },
	{ SECTION_LINK, "probing-rate", LINK(probing), { VALUE_BITRATE, W_LK(probing), 8, 1000000000, NULL }, RELOAD, "8bit/s",
	  "What is sent to a server that does not answer, on average, in CoAP bytes (RFC 7252 PROBING_RATE: one byte a second)." },
	{ SECTION_LINK, "block-size", LINK(block_size), { VALUE_SIZE, W_LK(block_size), 0, 1024, NULL }, RELOAD, "0B",
	  "The largest payload of one datagram: longer messages go in blocks (RFC 7959), of 16B, 32B and so on to 1024B; 0B: as they are." },
	{ SECTION_LINK, "ack-timeout", LINK(retransmit.ack_timeout), { VALUE_DURATION, W_LK(retransmit.ack_timeout), TSTAMP_S, 30 * TSTAMP_S, NULL }, RELOAD, "4s",
	  "Before the first retransmission into the link (RFC 7252 ACK_TIMEOUT)." },
	{ SECTION_LINK, "max-retransmit", LINK(retransmit.max_retransmit), { VALUE_COUNT, W_LK(retransmit.max_retransmit), 0, 8, NULL }, RELOAD, "4",
	  "Retransmissions of a trusted request into the link (RFC 7252 MAX_RETRANSMIT)." },
	{ SECTION_LINK, "share-trusted", LINK(sched.share[0]), { VALUE_PERCENT, W_LK(sched.share[0]), 1, 100, NULL }, RELOAD, "80%",
	  "Share of clients in good standing when the link is busy; the three shares sum to 100%." },
	{ SECTION_LINK, "share-reachable", LINK(sched.share[1]), { VALUE_PERCENT, W_LK(sched.share[1]), 0, 99, NULL }, RELOAD, "15%",
	  "Share of strangers who proved that their address is their own." },
	{ SECTION_LINK, "share-unknown", LINK(sched.share[2]), { VALUE_PERCENT, W_LK(sched.share[2]), 0, 99, NULL }, RELOAD, "5%",
	  "Share of strangers who proved nothing." },
	{ SECTION_LINK, "interface", offsetof(struct config, link_interfaces[0]), W(link_interfaces[0]), { VALUE_INTERFACE, W(link_interfaces[0]), 0, 0, NULL }, RELOAD, "",
	  "Where the link is; the rules of --print-nft then limit whatever is forwarded into it; empty: only what is for a server's address." },

	{ SECTION_SERVER, "address", SERVER(address), { VALUE_TARGET, W_SV(address), 0, 0, NULL }, RELOAD, NULL,
	  "Where the server is: coap://, coaps://, coap+tcp:// or coaps+tcp://, an IPv6 address in brackets or an IPv4 address, and a port unless it is 5683, with coaps 5684; needed." },
	{ SECTION_SERVER, "link", POLICY(link), { VALUE_LINK, W_PS(link), 0, 0, NULL }, RELOAD, NULL,
	  "The link the server is reached by; needed if there are several." },
	{ SECTION_SERVER, "uri-path", SERVER(uri_path), { VALUE_PATH, W_SV(uri_path), 0, 0, NULL }, RELOAD, NULL,
	  "Requests whose path begins with it go to this server; default: the section's name; empty: not by path." },
	{ SECTION_SERVER, "uri-host", SERVER(uri_host), { VALUE_HOST, W_SV(uri_host), 0, 0, NULL }, RELOAD, "",
	  "Requests with this Uri-Host go to this server; empty: not by host." },
	{ SECTION_SERVER, "forward", SERVER(forward), { VALUE_CHOICE, W_SV(forward), 0, 0, "no|yes" }, RELOAD, "no",
	  "May be reached by its own address, with Proxy-Uri or Proxy-Scheme." },
	{ SECTION_SERVER, "mode", POLICY(mode), { VALUE_CHOICE, W_PS(mode), 0, 0, "open|throttle|exemptions|full" }, RELOAD, "exemptions",
	  "open: forward everything; throttle: one bucket for all; exemptions: the guard proper; full: only under contexts." },
	{ SECTION_SERVER, "unknown-rate", POLICY(unknown_rate), { VALUE_RATE, W_PS(unknown_rate), 0, 1000000, NULL }, RELOAD, "6/min",
	  "Cost units that all strangers together may spend at this server: one for each datagram it receives for them." },
	{ SECTION_SERVER, "unknown-budget", POLICY(unknown_budget), { VALUE_PER_DAY, W_PS(unknown_budget), 0, 1000000000, NULL }, RELOAD, "600/day",
	  "The same, as a ceiling per day." },
	{ SECTION_SERVER, "handshake-cost", POLICY(handshake_cost), { VALUE_COUNT, W_PS(handshake_cost), 1, 10000, NULL }, RELOAD, "36",
	  "Cost units of the first message of a key exchange (EDHOC) and of a token (ACE), at least." },
	{ SECTION_SERVER, "trusted-rate", POLICY(trusted_rate), { VALUE_RATE, W_PS(trusted_rate), 1, 1000000, NULL }, RELOAD, "10/s",
	  "Requests of one client in good standing." },
	{ SECTION_SERVER, "plain", POLICY(plain), { VALUE_CHOICE, W_PS(plain), 0, 0, "throttle|deny|allow" }, RELOAD, "throttle",
	  "Requests without OSCORE: as from strangers, refused, or forwarded." },
	{ SECTION_SERVER, "observe-max", SERVER(observe_max), { VALUE_COUNT, W_SV(observe_max), 0, 65535, NULL }, RELOAD, "16",
	  "Observations at this server at the same time." },
	{ SECTION_SERVER, "proxy", SERVER(proxy), { VALUE_CHOICE, W_SV(proxy), 0, 0, "no|yes" }, RELOAD, "no",
	  "Is a proxy, too: gets what names no other server, with Proxy-Scheme and Uri-Host as they are; one server at most." },
	{ SECTION_SERVER, "require-layer", SERVER(require_layer), { VALUE_CHOICE, W_SV(require_layer), 0, 0, "no|yes" }, RELOAD, "no",
	  "Its path and host count only in requests that came under one of the guard's contexts." },
	{ SECTION_SERVER, "bypass-rate", offsetof(struct config, bypass_rates[0]), W(bypass_rates[0]), { VALUE_RATE, W(bypass_rates[0]), 0, 1000000, NULL }, RELOAD, "3/min",
	  "Packets that the rules of --print-nft let past the guard to its address, of all senders together; 0: none." },
	{ SECTION_SERVER, "psk-identity", offsetof(struct config, server_identities[0]), W(server_identities[0]), { VALUE_IDENTITY, W(server_identities[0]), 0, 0, NULL }, RELOAD, "",
	  "Who the guard is for a server with coaps:// or coaps+tcp://." },
	{ SECTION_SERVER, "psk-file", offsetof(struct config, server_psk_files[0]), W(server_psk_files[0]), { VALUE_SOME_FILE, W(server_psk_files[0]), 0, 0, NULL }, RELOAD, "",
	  "Holds the key that goes with it, hexadecimal, and is nobody else's to read." },

	{ SECTION_CONTEXT, "sender-id", CTX(setup.sender_id), { VALUE_HEX, W_CX(setup.sender_id), 0, 0, NULL }, RELOAD, NULL,
	  "The guard's identifier, the peer's recipient-id: hexadecimal like 0x01; empty is an identifier, too; needed." },
	{ SECTION_CONTEXT, "recipient-id", CTX(setup.recipient_id), { VALUE_HEX, W_CX(setup.recipient_id), 0, 0, NULL }, RELOAD, NULL,
	  "The peer's identifier; needed, and another one than sender-id." },
	{ SECTION_CONTEXT, "id-context", CTX(setup.id_context), { VALUE_HEX, W_CX(setup.id_context), 0, 0, NULL }, RELOAD, "",
	  "The ID Context, hexadecimal; empty: none." },
	{ SECTION_CONTEXT, "master-secret-file", offsetof(struct config, secret_files[0]), W(secret_files[0]), { VALUE_NEAR_FILE, W(secret_files[0]), 0, 0, NULL }, RELOAD, NULL,
	  "Holds the Master Secret, hexadecimal, and is nobody else's to read; default: keys/ and the section's name, beside the configuration." },
	{ SECTION_CONTEXT, "master-salt", CTX(setup.salt), { VALUE_HEX, W_CX(setup.salt), 0, 0, NULL }, RELOAD, "",
	  "The Master Salt, hexadecimal; empty: none." },
	{ SECTION_CONTEXT, "aead", CTX(setup.aead), { VALUE_CHOICE, W_CX(setup.aead), 0, 0, "AES-CCM-16-64-128|AES-CCM-16-128-128|A128GCM|ChaCha20/Poly1305" }, RELOAD, "AES-CCM-16-64-128",
	  "The AEAD algorithm." },
	{ SECTION_CONTEXT, "hkdf", CTX(setup.hkdf), { VALUE_CHOICE, W_CX(setup.hkdf), 0, 0, "SHA-256|SHA-512" }, RELOAD, "SHA-256",
	  "The hash that keys are derived with." },
	{ SECTION_CONTEXT, "replay-window", CTX(setup.window), { VALUE_COUNT, W_CX(setup.window), 1, REPLAY_MAX, NULL }, RELOAD, "32",
	  "Sequence numbers below the highest received that may still come." },
	{ SECTION_CONTEXT, "servers", CTX(servers), { VALUE_SERVERS, W_CX(servers), 0, 0, NULL }, RELOAD, "",
	  "The servers that requests under this context may reach, apart by blanks or commas; may be repeated; empty: none." },
	{ SECTION_CONTEXT, "next-hop", CTX(next_hop), { VALUE_SERVER, W_CX(next_hop), 0, 0, NULL }, RELOAD, "",
	  "What goes to this server gets a layer of this context; empty: none." },
	{ SECTION_CONTEXT, "recovery", CTX(refuse_unsynced), { VALUE_CHOICE, W_CX(refuse_unsynced), 0, 0, "echo|refuse" }, RELOAD, "echo",
	  "After the replay window was lost: one Echo shows that a request is fresh, or nothing is accepted before a reset." },
	{ SECTION_CONTEXT, "source", CTX(source), { VALUE_SOURCE, W_CX(source), 0, 0, NULL }, RELOAD, "",
	  "The only host the context is good for, which then has no others; empty: any." },

	{ SECTION_THROTTLE, "unknown-rate", ONE(P.throttle_rate), { VALUE_RATE, W(P.throttle_rate), 1, 1000000, NULL }, RELOAD, "2/s",
	  "Requests of one unproven address; wider prefixes get multiples." },
	{ SECTION_THROTTLE, "table-size", ONE(P.table_size), { VALUE_COUNT, W(P.table_size), 1024, 16777216, NULL }, RESTART, "65536",
	  "Cells of each rate sketch." },
	{ SECTION_THROTTLE, "reply-rate", ONE(P.reply_rate), { VALUE_RATE, W(P.reply_rate), 1, 1000000, NULL }, RELOAD, "20/s",
	  "Refusals, challenges and pings to one /64 (IPv4: /24)." },
	{ SECTION_THROTTLE, "reply-slip", ONE(P.reply_slip), { VALUE_COUNT, W(P.reply_slip), 0, 100, NULL }, RELOAD, "2",
	  "One in so many replies above reply-rate is still sent; 0: none." },
	{ SECTION_THROTTLE, "bypass-rate", ONE(bypass_source), { VALUE_RATE, W(bypass_source), 0, 1000000, NULL }, RELOAD, "1/min",
	  "Packets that the rules of --print-nft let past the guard from one sender, an IPv4 address or an IPv6 /64." },

	{ SECTION_ALLOW_LIST, "relations", ONE(P.relations), { VALUE_COUNT, W(P.relations), 16, 1048576, NULL }, RESTART, "4096",
	  "Clients remembered, per server and OSCORE key." },
	{ SECTION_ALLOW_LIST, "trusted-after", ONE(P.trusted_after), { VALUE_COUNT, W(P.trusted_after), 1, 1000, NULL }, RELOAD, "8",
	  "Accepted requests until a client is in good standing." },
	{ SECTION_ALLOW_LIST, "lifetime", ONE(P.lifetime), { VALUE_DURATION, W(P.lifetime), TSTAMP_MIN, 365 * TSTAMP_DAY, NULL }, RELOAD, "24h",
	  "A client not heard of for so long is forgotten." },
	{ SECTION_ALLOW_LIST, "min-success", ONE(P.min_success), { VALUE_PERCENT, W(P.min_success), 0, 100, NULL }, RELOAD, "50%",
	  "Fewer accepted among the last 64 requests cost the good standing." },
	{ SECTION_ALLOW_LIST, "roam-grace", ONE(P.roam_grace), { VALUE_DURATION, W(P.roam_grace), 0, TSTAMP_DAY, NULL }, RELOAD, "10min",
	  "A client's old address stays valid so long after it moved." },
	{ SECTION_ALLOW_LIST, "save", ONE(save_hints), { VALUE_CHOICE, W(save_hints), 0, 0, "no|yes" }, RELOAD, "yes",
	  "Clients are remembered over a restart, if the state directory is there; as tentative ones." },

	{ SECTION_ECHO, "validity", ONE(P.echo_validity), { VALUE_DURATION, W(P.echo_validity), TSTAMP_S, TSTAMP_HOUR, NULL }, RELOAD, "60s",
	  "How long an Echo value proves an address; at most key-lifetime." },
	{ SECTION_ECHO, "key-lifetime", ONE(P.echo_key_lifetime), { VALUE_DURATION, W(P.echo_key_lifetime), TSTAMP_MIN, 30 * TSTAMP_DAY, NULL }, RESTART, "1h",
	  "The key of Echo values changes so often." },
	{ SECTION_ECHO, "secret-file", ONE(echo_secret_file), { VALUE_SOME_FILE, W(echo_secret_file), 0, 0, NULL }, RELOAD, "",
	  "Holds a secret that the guards of one network share, so that each takes the others' Echo values; empty: a key of its own." },

	{ SECTION_SEQUENCE, "contexts", ONE(P.contexts), { VALUE_COUNT, W(P.contexts), 16, 1048576, NULL }, RESTART, "8192",
	  "OSCORE contexts whose sequence numbers are followed." },
	{ SECTION_SEQUENCE, "plausible-jump", ONE(P.plausible_jump), { VALUE_COUNT, W(P.plausible_jump), 1, 1ULL << 32, NULL }, RELOAD, "256",
	  "How far above the highest accepted number the next one may be." },
	{ SECTION_SEQUENCE, "window", ONE(P.window), { VALUE_COUNT, W(P.window), 1, POLICY_WINDOW, NULL }, RELOAD, "64",
	  "How far below it." },
	{ SECTION_SEQUENCE, "idle", ONE(P.sequence_idle), { VALUE_DURATION, W(P.sequence_idle), TSTAMP_MIN, 365 * TSTAMP_DAY, NULL }, RELOAD, "7d",
	  "A context not used for so long is forgotten." },

	{ SECTION_CACHE, "size", ONE(proxy.cache_size), { VALUE_SIZE, W(proxy.cache_size), 0, 1024 * MIB, NULL }, RESTART, "0B",
	  "What is kept of plain responses, to answer from; 0B: nothing." },
	{ SECTION_CACHE, "stale-if-silent", ONE(proxy.stale_if_silent), { VALUE_DURATION, W(proxy.stale_if_silent), 0, 365 * TSTAMP_DAY, NULL }, RELOAD, "0s",
	  "How long after its Max-Age a kept response is still given while its server is silent, with Max-Age 0; 0s: never." },

	{ SECTION_STATE, "directory", ONE(state_directory), { VALUE_FILE, W(state_directory), 0, 0, NULL }, RESTART, "/var/lib/coap-guard",
	  "Where contexts keep what must survive a restart, and what is known of clients; made for contexts only." },
	{ SECTION_STATE, "ssn-reserve", ONE(proxy.ssn_reserve), { VALUE_COUNT, W(proxy.ssn_reserve), 16, 65536, NULL }, RELOAD, "128",
	  "Sequence numbers that one write reserves; as many may be lost when the guard dies." },

	{ SECTION_CONTROL, "socket", ONE(control_socket), { VALUE_FILE, W(control_socket), 0, 0, NULL }, RESTART, "/run/coap-guard/control.sock",
	  "Where coap-guardctl reaches the guard; empty: nowhere." },
	{ SECTION_CONTROL, "group", ONE(control_group), { VALUE_GROUP, W(control_group), 0, 0, NULL }, RESTART, "coap-guard",
	  "The socket's group; empty: the guard's own." },
	{ SECTION_CONTROL, "mode", ONE(control_mode), { VALUE_OCTAL, W(control_mode), 0, 0777, NULL }, RESTART, "0660",
	  "The socket's mode." },

	{ SECTION_METRICS, "listen", ONE(metrics_listen), { VALUE_DOOR, W(metrics_listen), 0, 0, NULL }, RELOAD, "off",
	  "Where Prometheus may ask by HTTP; off: nowhere." },
	{ SECTION_METRICS, "path", ONE(metrics_path), { VALUE_FILE, W(metrics_path), 0, 0, NULL }, RELOAD, "/metrics",
	  "The path of the page." },
};
/* clang-format on */

const unsigned schema_count = sizeof schema_keys / sizeof *schema_keys;
_Static_assert(sizeof schema_keys / sizeof *schema_keys <= CONFIG_KEYS, "room for origins");
_Static_assert(POLICY_LINKS <= CONFIG_PLACES && PROXY_LISTENS <= CONFIG_PLACES && PROXY_CONTEXTS <= CONFIG_PLACES,
	       "room for origins");
_Static_assert(POLICY_SERVERS <= 64, "a bit for each");
/* A choice is stored as its place among the words. */
_Static_assert(MODE_OPEN == 0 && MODE_THROTTLE == 1 && MODE_EXEMPTIONS == 2 && MODE_FULL == 3, "words of mode");
_Static_assert(AEAD_AES_CCM_16_64_128 == 0 && AEAD_AES_CCM_16_128_128 == 1 && AEAD_AES_128_GCM == 2 &&
		       AEAD_CHACHA20_POLY1305 == 3 && AEAD_COUNT == 4,
	       "words of aead");
_Static_assert(HKDF_SHA_256 == 0 && HKDF_SHA_512 == 1, "words of hkdf");
_Static_assert(ADDR_UDP == 0 && ADDR_DTLS == 1 && ADDR_TCP == 2 && ADDR_TLS == 3, "words of transport");
_Static_assert(PLAIN_THROTTLE == 0 && PLAIN_DENY == 1 && PLAIN_ALLOW == 2, "words of plain");
_Static_assert(LEVEL_FATAL == 0 && LEVEL_INFO == 3 && LEVEL_DEBUG == 4, "words of log-level");

static const struct {
	const char *word;
	unsigned places; /* 0: the section bears no name and is there once */
} sections[SECTION_COUNT] = {
	[SECTION_GUARD] = { "guard", 0 },
	[SECTION_LISTEN] = { "listen", PROXY_LISTENS },
	[SECTION_LINK] = { "link", POLICY_LINKS },
	[SECTION_SERVER] = { "server", POLICY_SERVERS },
	[SECTION_CONTEXT] = { "context", PROXY_CONTEXTS },
	[SECTION_THROTTLE] = { "throttle", 0 },
	[SECTION_ALLOW_LIST] = { "allow-list", 0 },
	[SECTION_ECHO] = { "echo", 0 },
	[SECTION_SEQUENCE] = { "sequence", 0 },
	[SECTION_CACHE] = { "cache", 0 },
	[SECTION_STATE] = { "state", 0 },
	[SECTION_CONTROL] = { "control", 0 },
	[SECTION_METRICS] = { "metrics", 0 },
};

static const struct {
	const char *section, *key, *value;
	const char *text;
} planned[] = {
	{ "egress", NULL, NULL, "what inside clients may reach by forward proxying" },
	{ "listen", "side", NULL, "listeners for clients inside" },
	{ "throttle", "exempt", NULL, "addresses that are never throttled" },
};

const char *schema_word(enum schema_section s)
{
	return sections[s].word;
}

bool schema_is_named(enum schema_section s)
{
	return sections[s].places > 0;
}

unsigned schema_places(enum schema_section s)
{
	return sections[s].places ? sections[s].places : 1;
}

bool schema_section(const char *word, enum schema_section *out)
{
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		if (strcmp(word, sections[s].word) == 0) {
			*out = (enum schema_section)s;
			return true;
		}
	}
	return false;
}

const char *schema_name(const struct config *c, enum schema_section s, unsigned place)
{
	switch (s) {
	case SECTION_LISTEN: return c->proxy.listens[place].name;
	case SECTION_LINK: return c->proxy.links[place].name;
	case SECTION_SERVER: return c->proxy.servers[place].name;
	case SECTION_CONTEXT: return c->proxy.contexts[place].name;
	default: return "";
	}
}

int schema_place(const struct config *c, enum schema_section s, const char *name)
{
	for (unsigned i = 0; *name && i < sections[s].places; i++) {
		if (strcmp(schema_name(c, s, i), name) == 0)
			return (int)i;
	}
	return -1;
}

/* The names of the places in `mask`, as many as there is room for. */
static void list_names(const struct config *c, enum schema_section s, uint64_t mask, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < sections[s].places; i++) {
		const char *name = schema_name(c, s, i);

		if (!*name || !(mask >> i & 1))
			continue;
		if (len + strlen(name) + 2 + sizeof ", ..." > size) {
			snprintf(out + len, size - len, ", ...");
			break;
		}
		snprintf(out + len, size - len, "%s%s", len ? ", " : "", name);
		len = strlen(out);
	}
}

const char *schema_names(const struct config *c, enum schema_section s, char out[SCHEMA_LIST])
{
	list_names(c, s, UINT64_MAX, out, SCHEMA_LIST);
	return *out ? out : strcpy(out, "none");
}

const struct schema_key *schema_find(enum schema_section s, const char *key)
{
	for (unsigned i = 0; i < schema_count; i++) {
		if (schema_keys[i].section == s && strcmp(schema_keys[i].key, key) == 0)
			return &schema_keys[i];
	}
	return NULL;
}

bool schema_is_repeatable(const struct schema_key *k)
{
	return k->rule.kind == VALUE_BIND || k->rule.kind == VALUE_SERVERS;
}

static bool set_reference(const struct config *c, enum schema_section s, const char *text, uint8_t *out)
{
	int place = schema_place(c, s, text);

	if (place >= 0)
		*out = (uint8_t)place;
	return place >= 0;
}

/* The next word of a list, and *p behind it; false: there is none. */
static bool next_name(const char **p, char name[PROXY_NAME])
{
	static const char apart[] = " \t,";
	const char *word = *p + strspn(*p, apart);
	size_t len = strcspn(word, apart);

	*p = word + len;
	snprintf(name, PROXY_NAME, "%.*s", len < PROXY_NAME ? (int)len : 0, word); /* too long is no name */
	return len > 0;
}

static bool add_servers(const struct config *c, const char *text, uint64_t *out)
{
	char name[PROXY_NAME];
	uint64_t servers = *out;

	while (next_name(&text, name)) {
		int place = schema_place(c, SECTION_SERVER, name);

		if (place < 0 || servers >> place & 1)
			return false;
		servers |= UINT64_C(1) << place;
	}
	*out = servers;
	return true;
}

bool schema_set(const struct schema_key *k, struct config *c, unsigned place, const char *text)
{
	void *value = (char *)c + k->offset + place * k->stride;

	switch (k->rule.kind) {
	case VALUE_LINK: return set_reference(c, SECTION_LINK, text, value);
	case VALUE_SERVER:
		if (*text)
			return set_reference(c, SECTION_SERVER, text, value);
		*(uint8_t *)value = PROXY_NO_SERVER;
		return true;
	case VALUE_SERVERS: return add_servers(c, text, value);
	default: return value_parse(&k->rule, text, value);
	}
}

const char *schema_get(const struct schema_key *k, const struct config *c, unsigned place, char out[VALUE_TEXT])
{
	const char *value = (const char *)c + k->offset + place * k->stride;
	uint8_t target;

	switch (k->rule.kind) {
	case VALUE_LINK:
		snprintf(out, VALUE_TEXT, "%s", schema_name(c, SECTION_LINK, *(const uint8_t *)value));
		return out;
	case VALUE_SERVER:
		target = *(const uint8_t *)value;
		snprintf(out, VALUE_TEXT, "%s",
			 target == PROXY_NO_SERVER ? "" : schema_name(c, SECTION_SERVER, target));
		return out;
	case VALUE_SERVERS: list_names(c, SECTION_SERVER, *(const uint64_t *)value, out, VALUE_TEXT); return out;
	default: return value_print(&k->rule, value, out);
	}
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

const char *schema_planned(const char *section, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof planned / sizeof *planned; i++) {
		if (same(planned[i].section, section) && same(planned[i].key, key) && same(planned[i].value, value))
			return planned[i].text;
	}
	return NULL;
}

const char *schema_near_section(const char *word)
{
	const char *best = NULL;
	unsigned nearest = NEAR_MAX;

	for (unsigned s = 0; s < SECTION_COUNT; s++)
		near_consider(word, sections[s].word, &best, &nearest);
	return best;
}

const char *schema_near_key(enum schema_section s, const char *key)
{
	const char *best = NULL;
	unsigned nearest = NEAR_MAX;

	for (unsigned i = 0; i < schema_count; i++) {
		if (schema_keys[i].section == s)
			near_consider(key, schema_keys[i].key, &best, &nearest);
	}
	return best;
}

const char *schema_other_home(enum schema_section s, const char *key)
{
	for (unsigned i = 0; i < schema_count; i++) {
		if (schema_keys[i].section != s && strcmp(schema_keys[i].key, key) == 0)
			return sections[schema_keys[i].section].word;
	}
	return NULL;
}

"""The catalogue of attacks: id, what it is, what must be seen, and how it is shown. Figures are measured by tests/attacks, by its id;
what a test elsewhere shows is named: (file, test), and that test is run; a symbol is one that the daemon does not use."""


class NotYet(str):
    """Cannot be staged: why."""


class Known(str):
    """Staged, and not passed: what is wrong."""


def unit(*names):
    """tests/unit/test_FILE.c: "file:test test..." """
    return [("unit", *name.split(":", 1)) for name in names]


def story(*names):
    return [("story", "scenarios", name) for name in names]


def integration(*names):
    return [("integration", *name.split(":", 1)) for name in names]


def fuzzed():
    return [("fuzz", "engine", "corpus")]


def without(*symbols):
    return [("symbol", "coap-guardd", symbol) for symbol in symbols]


def shown(*ids):
    """By other lines of this list."""
    return [("attack", "tests/attacks", i) for i in ids]


ATTACKS = (
    ("A1", "flood from spoofed addresses", "memory +1 MiB at most; p99 of a trusted client twice the quiet one at most, none lost; link "
     "within its bucket; one core", []),
    ("A2", "flood in a client's own name", "99 % of its requests; refusals to it 20 a second, and half as many that slip", []),
    ("A3", "every kid", "never throttled, standing never lost, forwarded within the unknown budget", []),
    ("A4", "sequence numbers far ahead", "the client's next number is in the fast lane", story("odd_numbers")),
    ("A5", "sequence numbers used before", "nothing goes up; a retransmission is answered from memory", []),
    ("A6", "amplification", "3 bytes out per byte in, 136 bytes a reply", []),
    ("A7", "reflection", "20 replies a second to a /64, and what slips", []),
    ("A8", "replay from a new address", "no effect on the relation, one reply at most", []),
    ("A9", "a NAT that forgets (benign)", "99.5 % of requests, one round trip more at most", story("nat_rebinding")),
    ("A10", "forged and transplanted Echo", "none accepted",
     unit("echo:test_every_bit_flip", "echo:test_transplants", "fleet:test_over_a_restart")),
    ("A11", "old Echo", "59 s is good, 61 s is not, the clock does not matter", unit("echo:test_clock_steps")),
    ("A12", "2^64 addresses", "memory flat; another prefix still gets its share", []),
    ("A13", "hash flooding", "p99 twice the normal at most", []),
    ("A14", "observe flood", "caps hold; a silent client gets few",
     unit("response:test_observe_max", "response:test_observe_probes")),
    ("A15", "observation with a rewritten source", "3 bytes out per byte in", []),
    ("A16", "block-wise exhaustion", "memory flat; 64 KiB arrive meanwhile", []),
    ("A17", "a million Message IDs", "memory flat; retransmissions still recognised", []),
    ("A18", "floods of EDHOC and tokens", "20 % CPU; handshakes within 3 s",
     NotYet("EDHOC and tokens are not built; what a handshake costs is rationed (docs/guard.md)")),
    ("A19", "garbage under a known kid", "key alive, fewer than 2^14 counted against it", unit("forgeries:test_flood")),
    ("A20", "option bombs", "20 us, no memory", unit("hostile:option_bombs")),
    ("A21", "layers in layers", "4 AEAD operations at most, then an error", unit("unwrap:test_bombs")),
    ("A22", "which kids are there", "the same reply; times not told apart in 10^5 samples", unit("unwrap:test_uniform", "unwrap:test_uniform_tries", "decoy:test_opens_nothing")),
    ("A23", "guards in a circle", "16 hops, 5.08, nothing left", unit("request:test_hop_limit")),
    ("A24", "services that answer everything", "two datagrams at most", []),
    ("A25", "guessed responses", "none accepted of 10^6; over 100 a minute a warning", unit("digest:test_guesses")),
    ("A26", "an inner node that floods outwards", "nothing gets out", []),
    ("A27", "forged tokens", "30 malformed ones refused", NotYet("access tokens (ACE) are not built")),
    ("A28", "stolen tokens", "refused without the key", NotYet("access tokens (ACE) are not built")),
    ("A29", "injected errors", "the same context afterwards", unit("next_hop:test_plain", "next_hop:test_forged")),
    ("A30", "injected resets", "85 % of observations survive 10^4, the others register again",
     unit("response:test_guessed_reset", "response:test_guessed_device_reset")),
    ("A31", "requests to groups", "no reply", unit("sockaddr:test_for_many")),
    ("A32", "a botnet that stays below every limit", "link within its bucket; a trusted client served", []),
    ("A33", "floods of log lines and labels", "10 lines a minute; no series that an attacker makes",
     unit("log:test_folding", "digest:test_flood_is_a_line")),
    ("A34", "the control socket and the metrics page", "0660; places and seconds are limited; fuzzed (24 h in full)",
     unit("http:test_random")),
    ("A35", "cache poisoning", "off by default; nobody gets another's answer; OSCORE never kept; never younger than it is",
     unit("cache:keys_are_compared_in_full")),
    ("A36", "standing misused", "its own bucket; demoted within 64 requests", story("abusive")),
    ("A37", "the clock", "10 years either way: nothing moves", unit("fleet:test_steps_under_way", "wall:test_clock")),
)

BUGS = (
    ("V1", "OSCORE cut at every byte", unit("oscore_option:test_malformed", "oscore:test_corruption", "oscore:test_inside")),
    ("V2", "counts in CBOR", NotYet("the guard reads no CBOR, it only writes some")),
    ("V3", "replays, whatever is configured", unit("unwrap:test_unsynced", "unwrap:test_refuse_unsynced", "forgeries:test_old_ones",
                                                  "replay:test_against_a_set")),
    ("V4", "10, 7, 10 and 3, 5, 4", unit("replay:test_rows")),
    ("V5", "windows and jumps",
     unit("replay:test_rows", "replay:test_no_bit_outside", "seqtrack:test_jumps", "seqtrack:test_straight_to_the_top",
                                     "oscore:test_corruption")),
    ("V6", "parsers of files",
     unit("config:test_mutations", "secrets:test_every_byte", "statedir:test_corrupted", "hintfile:test_random_changes")),
    ("V7", "long names", unit("uri:knows_the_longest", "target:test_rewrite_overflow") + without("getaddrinfo")),
    ("V8", "5.08 is built by ourselves", unit("request:test_hop_limit")),
    ("V9", "blocks nobody expects", []),
    ("V10", "return values of the library",
     unit("aead:test_lengths", "entropy:test_every_byte_is_drawn") + integration("faults:Memory.test_each")),
    ("V11", "the device goes away in each state", unit("response:test_lost_upstream", "response:test_observe_device_lost",
                                                      "request:test_silent_device", "proxy:test_unreachable", "layered:test_vanished")),
    ("V12", "leaks", []),
    ("V13", "the device comes back",
     integration("faults:Network.test_address", "faults:Network.test_device_reboots") + story("device_reboots", "device_silent")),
    ("V14", "unknown options",
     unit("option:a_number_says_how_it_is", "classify:test_option_numbers", "request:test_request_options",
                                    "response:test_response_options")),
    ("V15", "age of cached responses",
     unit("cache:ages", "cache:never_younger_than_it_is", "cache:parts_never_make_it_younger") + shown("A35")),
    ("V16", "duplicates", unit("reply:test_same_bytes", "request:test_repeated_by_unproven") + shown("A17")),
    ("V17", "Message IDs used again", unit("mid:none_is_used_twice_in_a_lifetime", "upstream:test_message_ids")),
    ("V18", "sizes of bodies", unit("blockwise:test_stranger", "blockwise:test_broken") + shown("A16")),
    ("V19", "tables of sessions", unit("proxy:test_full", "relation:test_size") + shown("A12")),
    ("V20", "OSCORE passes through", unit("request:test_reverse", "request:test_forward")),
    ("V21", "random numbers",
     unit("entropy:test_every_byte_is_drawn", "entropy:test_nothing_comes_twice") + without("coap_prng", "rand", "random", "srand")),
    ("V22", "unauthenticated resets", shown("A30")),
    ("V23", "300 options", unit("unwrap:test_many_options", "target:test_rewrite_overflow") + shown("A20")),
    ("V24", "tokens of every length", unit("hostile:tokens_of_every_length", "request:test_tokens", "msg:reads_long_tokens")),
    ("V25", "option counts", unit("hostile:option_bombs", "msgbuf:keeps_inside_its_buffer")),
    ("V26", "option numbers that wrap", unit("hostile:deltas_that_wrap")),
    ("V27", "the parser of HTTP", unit("http:test_every_truncation", "http:test_every_byte", "http:test_random") + shown("A34")),
    ("V28", "handshakes that fail", NotYet("EDHOC is not built")),
    ("V29", "replays after kill -9", integration("crash:Killed.test_rounds")),
    ("V30", "retransmissions are no replays", unit("unwrap:test_repeated", "next_hop:test_retransmitted") + shown("A5")),
    ("V31", "unprotected responses", unit("next_hop:test_plain", "settle:test_outcomes")),
    ("V32", "two crashes in a row", unit("contexts:test_ahead") + integration("shell:ContextTest.test_kill")),
    ("V33", "lengths of Partial IVs", unit("oscore_option:test_numbers", "oscore:test_exhaustion", "layered:test_exhausted")),
    ("V34", "fields of message_1", NotYet("EDHOC is not built")),
    ("V35", "nonces", unit("aead:test_witness")),
    ("V36", "requests to where nobody may", unit("target:test_own", "target:test_prefixes", "request:test_forward")),
    ("V37", "walks through EDHOC's states", NotYet("EDHOC is not built")),
    ("V38", "whose credential", NotYet("EDHOC is not built")),
    ("V39", "fresh tokens", unit("exchange:test_against_copy")),
)

KNOWN = {}

# coap-guard. `make run` shows it at work, `make check` passes the tests; both install what they miss.
#
#   make            build/coap-guardd and build/coap-guardctl
#   make run        a real device behind the guard, with a live view
#   make check      unit, vectors, replay, arrows, integration with real peers; all with ASan and UBSan
#   make attack     the flood scenarios in full, three modes side by side
#   make attacks    every attack of the catalogue, with figures, into docs/attacks.md; IDS='A3 A4' for some
#   make soak       everything at once for SOAK_SECONDS, and whether memory stays flat
#   make experiment the attack laboratory: a constrained device in network namespaces, REPEATS times; and a million bots in virtual time
#   make crash      kill -9 of the guard under traffic, ROUNDS times
#   make reload     SIGHUP every 100 ms for a minute, with clients that must not notice
#   make fuzz       random input to every parser and to the engine, FUZZ_SECONDS each; needs clang and its runtime
#   make bench      speed, as ratios side by side in one run; docs/bench
#   make callgrind  instructions by path, and which path has changed
#   make size       bytes of text at -Os, and whether they are too many
#   make musl       built on musl, as OpenWrt does, with unit tests and stories
#   make cross      the same for 32-bit ARM and big-endian s390x, under qemu-user
#   make install    into DESTDIR, under PREFIX
#   make deb        the Debian package, into build/deb
#   make deb-check  the package in bare systems of Debian 12 and 13, booted; as root

SHELL    := /bin/bash
B        ?= build
PREFIX   ?= /usr
CC       ?= gcc
VERSION  := 0.1.0
GIT      := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

PKG          = pkg-config
# With DTLS and TLS where they are to be had; docs/transports.md.
ifndef COAP
COAP := $(firstword $(foreach p,libcoap-3-openssl libcoap-3-notls libcoap-3,$(shell $(PKG) --exists $(p) && echo $(p))))
endif
PKGS_LIB    := $(COAP) libcrypto libcbor
PKGS_DAEMON := libuv inih

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wcast-qual -Wvla -Werror
HARDEN := -O2 -g -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security -fno-strict-aliasing
LINKED := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
# AEAD_WITNESS: a nonce used twice aborts.
ASAN   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DAEAD_WITNESS

# V=1 prints commands.
Q := $(if $(V),,@)

CFLAGS  ?= $(HARDEN)
LDFLAGS ?= $(LINKED)
CPPFLAGS += -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Ilib -Idaemon -DCOAP_GUARD_VERSION='"$(VERSION) ($(GIT))"' -MMD -MP
LIBS_LIB    = $(shell $(PKG) --libs $(PKGS_LIB))
LIBS_DAEMON = $(shell $(PKG) --libs $(PKGS_DAEMON)) $(LIBS_LIB)
INCLUDES    = $(shell $(PKG) --cflags $(PKGS_LIB) $(PKGS_DAEMON))

LIB := \
	lib/base/addr.c lib/base/bucket.c lib/base/chunks.c lib/base/dgram.c lib/base/heap.c lib/base/memory.c lib/base/siphash.c \
	lib/coap/block.c lib/coap/dedup.c lib/coap/edits.c lib/coap/mid.c lib/coap/msg.c lib/coap/msgbuf.c lib/coap/option.c lib/coap/retransmit.c \
	lib/coap/uri.c \
	lib/crypto/aead.c lib/crypto/hkdf.c lib/crypto/secret.c \
	lib/guard/budget.c lib/guard/echo.c lib/guard/guard.c lib/guard/guard_fleet.c lib/guard/guard_hint.c lib/guard/guard_view.c lib/guard/handshakes.c lib/guard/identity.c lib/guard/inflight.c \
	lib/guard/judge.c lib/guard/linksched.c lib/guard/newcomers.c lib/guard/pace.c lib/guard/peers.c lib/guard/ping.c lib/guard/ratelimit.c \
	lib/guard/reach.c lib/guard/relation.c lib/guard/replies.c lib/guard/reputation.c lib/guard/seqtrack.c lib/guard/settle.c \
	lib/guard/standing.c lib/guard/verdict.c \
	lib/oscore/decoy.c lib/oscore/oscore.c lib/oscore/oscore_aad.c lib/oscore/oscore_class.c lib/oscore/oscore_context.c \
	lib/oscore/oscore_option.c lib/oscore/oscore_setup.c lib/oscore/oscore_store.c lib/oscore/replay.c \
	lib/proxy/cache.c lib/proxy/classify.c lib/proxy/core.c lib/proxy/ending.c lib/proxy/errand.c lib/proxy/exchange.c lib/proxy/facts.c lib/proxy/fault.c lib/proxy/holds.c \
	lib/proxy/layers.c lib/proxy/location.c lib/proxy/opening.c lib/proxy/petition.c lib/proxy/pieces.c lib/proxy/proxy.c lib/proxy/proxy_context.c lib/proxy/proxy_fleet.c lib/proxy/proxy_hint.c lib/proxy/reply.c lib/proxy/representation.c lib/proxy/request.c lib/proxy/response.c lib/proxy/share.c lib/proxy/share_key.c lib/proxy/snapshot.c lib/proxy/snapshot_contexts.c \
	lib/proxy/snapshot_metrics.c lib/proxy/snapshot_sharing.c \
	lib/proxy/target.c lib/proxy/upstream.c

DAEMON := \
	daemon/answer.c daemon/command.c daemon/completion.c daemon/config.c daemon/config_errors.c daemon/context_key.c \
	daemon/contexts.c daemon/control.c daemon/daemon.c \
	daemon/digest.c daemon/draft.c daemon/entropy.c daemon/log.c daemon/loop.c daemon/metrics.c daemon/near.c daemon/nft.c daemon/psk.c daemon/renewal.c daemon/rules.c daemon/schema.c \
	daemon/secrets.c daemon/session.c daemon/session_guest.c daemon/session_message.c daemon/session_peer.c daemon/sockaddr.c daemon/statedir.c daemon/systemd.c daemon/tracer.c daemon/udp.c daemon/udp_places.c \
	daemon/units.c daemon/value.c \
	daemon/event.c daemon/http.c daemon/journal.c daemon/metrics_http.c daemon/usage.c \
	daemon/crc32.c daemon/fleet.c daemon/hintfile.c daemon/hints.c daemon/wall.c

GUARDCTL := \
	daemon/enquiry.c daemon/guardctl.c daemon/json.c daemon/near.c daemon/paint.c daemon/redact.c daemon/report.c daemon/screen.c \
	daemon/shells.c daemon/table.c daemon/terminal.c daemon/top.c daemon/usage.c daemon/view.c

# One tests/unit/test_NAME.c each.
UNIT := \
	addr bucket chunks dgram heap siphash \
	block dedup edits hostile mid msg msgbuf option retransmit uri \
	aead hkdf decoy oscore oscore_aad oscore_class oscore_context oscore_option oscore_store replay \
	charges echo linksched newcomers pace peers ping ratelimit seqtrack tally \
	budget guard guard_view handshakes identity inflight judge reach relation replies reputation settle standing \
	blockwise cache classify exchange forgeries holds layered layers location next_hop pieces proxy reply representation request response rules share snapshot target unwrap upstream \
	answer config contexts digest entropy log near nft psk schema secrets session_message sockaddr statedir systemd table tracer units \
	http journal redact shells terminal \
	crc32 fleet guard_hint hintfile hints wall

.DEFAULT_GOAL := all
.PHONY: pages all run check quick unit deb deb-check tests-build replay replay-record attack attacks soak experiment experiment-smoke crash reload fuzz fuzz-merge fuzz-coverage bench callgrind lint install clean deps deps-check FORCE
.SECONDARY:

all: $(B)/coap-guardd $(B)/coap-guardctl

# Every object depends on how it is built, so that a changed flag builds anew.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS) $(LDFLAGS) $(CPPFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS) $(LDFLAGS) $(CPPFLAGS)' > $@
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(WARN) $(CFLAGS) $(INCLUDES) -c $< -o $@

LIB_O      = $(LIB:%.c=$(B)/%.o)
DAEMON_O   = $(DAEMON:%.c=$(B)/%.o)
GUARDCTL_O = $(GUARDCTL:%.c=$(B)/%.o)

$(B)/coap-guardd: $(B)/daemon/main.o $(DAEMON_O) $(LIB_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)

$(B)/coap-guardctl: $(GUARDCTL_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

-include $(wildcard $(B)/lib/*/*.d $(B)/daemon/*.d $(B)/tests/*/*.d)

# --- tests ----------------------------------------------------------------------------------------------------------

ASAN_FLAGS := CFLAGS='$(ASAN)' LDFLAGS=

TESTED_O = $(DAEMON_O) $(filter-out %/guardctl.o,$(GUARDCTL_O)) $(LIB_O)

RIG_O = $(B)/tests/unit/bottle.o $(B)/tests/unit/engine.o $(B)/tests/unit/msgtext.o $(B)/tests/unit/nested.o $(B)/tests/unit/vectors.o

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(RIG_O) $(TESTED_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lcmocka $(LIBS_DAEMON)

$(B)/tests/replay/test_scenarios: $(B)/tests/replay/test_scenarios.o $(B)/tests/replay/world.o $(TESTED_O)
$(B)/tests/replay/replay: $(B)/tests/replay/replay.o $(B)/tests/replay/player.o $(TESTED_O)
$(B)/tests/replay/test_scenarios $(B)/tests/replay/replay:
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lcmocka $(LIBS_DAEMON)

$(B)/tests/support/%: $(B)/tests/support/%.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

# Loaded into the plain daemon by LD_PRELOAD.
$(B)/tests/support/%.so: tests/support/%.c $(B)/flags
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(WARN) -O2 -g -fPIC -shared $< -o $@

$(B)/tests/support/pages: $(B)/tests/support/pages.o $(TESTED_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)

# One family of attacks each; what they share is lab and scene.
ATTACKS := bugs floods layers proofs standings stores wires

$(B)/tests/attacks/attacks: $(patsubst %,$(B)/tests/attacks/%.o,attacks lab scene $(ATTACKS)) $(RIG_O) $(B)/tests/replay/world.o $(TESTED_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lcmocka -lm $(LIBS_DAEMON)

# Fills in what the manual and docs/operations.md take from the tables of the code.
pages: $(B)/tests/support/pages
	@tests/pages.sh $< --write

# One tests/fuzz/fuzz_NAME.c and a corpus each; what they share is FUZZ_RIG.
FUZZERS  := config control engine hintfile http msg option oscore statedir trace uri
FUZZ_RIG  = $(patsubst %,$(B)/tests/fuzz/fuzz_%.o,house layer ledger message scratch) $(TESTED_O)

# Plays the corpus only; fuzz builds the same with libFuzzer.
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/fuzz_main.o $(FUZZ_RIG)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)

$(B)/tests/fuzz/fuzz_trace $(B)/fuzzer-trace: $(B)/tests/replay/player.o

SUPPORT = $(B)/tests/support/dying.so $(B)/tests/support/failing.so $(B)/tests/support/flood $(B)/tests/support/relay $(B)/tests/support/pages

tests-build: all $(UNIT:%=$(B)/tests/unit/test_%) $(B)/tests/replay/test_scenarios $(B)/tests/replay/replay $(FUZZERS:%=$(B)/tests/fuzz/fuzz_%) $(B)/tests/attacks/attacks $(SUPPORT)

# What packagers run: with the flags as they are.
unit: $(UNIT:%=$(B)/tests/unit/test_%)
	@for t in $^; do $$t >$(B)/unit.log 2>&1 || { cat $(B)/unit.log; echo "FAILED $$t"; exit 1; }; done; \
		echo "$(words $^) rooms good"

deps:
	@tests/support/deps.sh build
deps-check:
	@tests/support/deps.sh check

run: deps
	@$(MAKE) --no-print-directory all
	@BUILD=$(abspath $(B)) tests/support/demo.sh

check: deps-check
	@$(MAKE) --no-print-directory -j2 all $(SUPPORT) $(EXPERIMENT) $(BENCH:%=$(B)/bench/%)
	@$(MAKE) --no-print-directory -j2 B=$(B)/asan $(ASAN_FLAGS) tests-build
	@tests/support/peers.sh $(B)/peers
	@BUILD=$(abspath $(B)) ASAN=$(abspath $(B))/asan UNIT='$(UNIT)' FUZZERS='$(FUZZERS)' tests/check.sh

# Without network peers: what one runs while writing.
quick:
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory -j2 B=$(B)/asan $(ASAN_FLAGS) tests-build
	@QUICK=yes BUILD=$(abspath $(B)) ASAN=$(abspath $(B))/asan UNIT='$(UNIT)' FUZZERS='$(FUZZERS)' tests/check.sh

replay: tests-build
	@$(B)/tests/replay/replay tests/replay/*.trace

# Tells the stories anew. A change of policy shows as a diff of verdicts: read it before you commit it.
replay-record: tests-build
	@OUT=$(abspath tests/replay) $(B)/tests/replay/test_scenarios && chmod 644 tests/replay/*.trace

attack: deps-check
	@$(MAKE) --no-print-directory -j2 all $(SUPPORT)
	@tests/support/peers.sh $(B)/peers
	@BUILD=$(abspath $(B)) /usr/bin/python3 tests/integration/attack.py

attacks: deps-check
	@$(MAKE) --no-print-directory -j2 all $(SUPPORT) $(B)/tests/attacks/attacks
	@$(MAKE) --no-print-directory -j2 B=$(B)/asan $(ASAN_FLAGS) tests-build
	@tests/support/peers.sh $(B)/peers
	@BUILD=$(abspath $(B)) ASAN=$(abspath $(B))/asan /usr/bin/python3 tests/attacks/attacks.py --write $(IDS)

SOAK_SECONDS ?= 3600

soak: deps-check
	@$(MAKE) --no-print-directory -j2 all $(SUPPORT)
	@SOAK_SECONDS=$(SOAK_SECONDS) BUILD=$(abspath $(B)) /usr/bin/python3 tests/attacks/soak.py

EXPERIMENT = $(B)/tests/experiment/attacker $(B)/tests/experiment/bots $(B)/tests/experiment/radio

$(B)/tests/experiment/bots: $(B)/tests/experiment/bots.o $(B)/tests/replay/world.o $(TESTED_O)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lm $(LIBS_DAEMON)

$(B)/tests/experiment/%: $(B)/tests/experiment/%.o
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lm

REPEATS ?= 3
JOBS    ?= 4

LABORATORY = BUILD=$(abspath $(B)) /usr/bin/python3 tests/experiment/experiment.py

# As root; an hour and a half. What is in $(B)/experiment already is not measured again. Then docs/experiment is made of it.
experiment: deps-check
	@$(MAKE) --no-print-directory -j2 all $(EXPERIMENT)
	@$(LABORATORY) run --repeats $(REPEATS) --jobs $(JOBS)
	@for v in flat fer0 fer20; do $(LABORATORY) run --variant $$v --repeats 2 --jobs 8 --rows open throttle exemptions full --attackers none A; done
	@BUILD=$(abspath $(B)) /usr/bin/python3 tests/experiment/bots.py --seeds 2
	@BUILD=$(abspath $(B)) /usr/bin/python3 tests/experiment/report.py

# A few short cells with loose bars, a minute and a half.
experiment-smoke: deps-check
	@$(MAKE) --no-print-directory -j2 all $(EXPERIMENT)
	@$(LABORATORY) smoke

ROUNDS ?= 500

crash: deps-check
	@$(MAKE) --no-print-directory -j2 all $(SUPPORT)
	@ROUNDS=$(ROUNDS) BUILD=$(abspath $(B)) /usr/bin/python3 tests/integration/test_crash.py

# SIGHUP every 100 ms for a minute, three times over.
reload: deps-check
	@$(MAKE) --no-print-directory -j2 all
	@RELOAD_SECONDS=60 BUILD=$(abspath $(B)) /usr/bin/python3 tests/integration/test_reload.py

FUZZ         ?= $(FUZZERS)
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := $(ASAN)

$(B)/fuzzer-%: $(B)/tests/fuzz/fuzz_%.o $(FUZZ_RIG)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $^ -o $@ $(LIBS_DAEMON)

# All in turn, or FUZZ='msg uri'. What they find stays in $(B)/fuzz: NAME-crash-*, and the inputs that reach new code in corpus/NAME.
fuzz:
	@$(MAKE) --no-print-directory -j2 B=$(B)/fuzz CC=clang CFLAGS='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link' LDFLAGS= \
		$(FUZZ:%=$(B)/fuzz/fuzzer-%)
	@FUZZ='$(FUZZ)' FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/fuzz.sh run $(B)/fuzz

# Takes what was found into tests/fuzz/corpus, as few inputs as reach the same code.
fuzz-merge:
	@FUZZ='$(FUZZ)' tests/fuzz/fuzz.sh merge $(B)/fuzz

# Lines of lib/ that the committed inputs reach.
FUZZ_COVERED := -O1 -g -fprofile-instr-generate -fcoverage-mapping -DAEAD_WITNESS
fuzz-coverage:
	@$(MAKE) --no-print-directory -j2 B=$(B)/fuzz-coverage CC=clang CFLAGS='$(FUZZ_COVERED)' LDFLAGS= \
		$(FUZZERS:%=$(B)/fuzz-coverage/tests/fuzz/fuzz_%)
	@FUZZ='$(FUZZERS)' tests/fuzz/fuzz.sh coverage $(B)/fuzz-coverage

BENCH = bare device handover load nested yardstick

$(B)/bench/nested: $(LIB_O)
$(B)/bench/load: $(addprefix $(B)/tests/bench/,asker.o drain.o wire.o)
$(B)/bench/bare $(B)/bench/device $(B)/bench/load $(B)/bench/yardstick: $(B)/tests/bench/batch.o
$(B)/bench/%: $(B)/tests/bench/%.o
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(shell $(PKG) --libs libuv) $(LIBS_LIB)

BENCH_PY = /usr/bin/python3 tests/bench/bench.py --bins $(B)/bench --guard $(B)/coap-guardd --guardctl $(B)/coap-guardctl

# Ratios are printed, never asserted. BENCH_ARGS='--only refused --repeats 15'; with --write, docs/bench is made of them.
bench: deps-check
	@$(MAKE) --no-print-directory -j2 all $(BENCH:%=$(B)/bench/%)
	@tests/support/peers.sh $(B)/peers
	@$(BENCH_PY) --peers $(B)/peers $(BENCH_ARGS)

# BENCH_ARGS=--write keeps what was counted.
callgrind: deps-check
	@$(MAKE) --no-print-directory -j2 all $(BENCH:%=$(B)/bench/%)
	@$(BENCH_PY) --callgrind $(BENCH_ARGS)

lint:
	@clang-format --dry-run -Werror $(shell git ls-files '*.c' '*.h')
	@$(MAKE) --no-print-directory B=$(B)/clang CC=clang all
	@shellcheck -S warning tests/*.sh tests/*/*.sh .ci/run conf/openwrt/files/*.sh conf/openwrt/files/*.init

# --- other machines -------------------------------------------------------------------------------------------------

SIZE_MAX   := 250000
SMALL      := -Os -fno-strict-aliasing -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
SMALL_LINK := -pie -Wl,--gc-sections,--as-needed

# As OpenWrt builds it.
size:
	@$(MAKE) --no-print-directory -j2 B=$(B)/size CFLAGS='$(SMALL)' LDFLAGS='$(SMALL_LINK)' all
	@size $(B)/size/coap-guardd $(B)/size/coap-guardctl
	@text=$$(size $(B)/size/coap-guardd | awk 'NR == 2 { print $$1 }'); \
		echo "coap-guardd: $$text bytes of text, $(SIZE_MAX) at most"; [ $$text -lt $(SIZE_MAX) ]

# What needs no other program of this machine: RUN runs what was built, CC and pkg-config are those of the environment.
elsewhere:
	@$(MAKE) --no-print-directory -j2 CFLAGS='$(ELSEWHERE)' LDFLAGS='$(ELSEWHERE_LINK)' tests-elsewhere
	@BUILD=$(abspath $(B)) UNIT='$(UNIT)' FUZZERS='$(ELSEWHERE_FUZZERS)' tests/elsewhere.sh

# The daemon of fuzz_control wants a whole machine.
ELSEWHERE_FUZZERS = $(filter-out control,$(FUZZERS))

tests-elsewhere: all $(UNIT:%=$(B)/tests/unit/test_%) $(B)/tests/replay/test_scenarios $(B)/tests/replay/replay \
	$(ELSEWHERE_FUZZERS:%=$(B)/tests/fuzz/fuzz_%)

# Big-endian s390x and 32-bit ARM, under qemu-user.
CROSS := armhf s390x
cross: $(CROSS:%=cross-%)
cross-%:
	@tests/support/cross.sh $* $(B)/cross/$*
	@. $(abspath $(B))/cross/$*/env && $(MAKE) --no-print-directory B=$(B)/cross/$*/out ELSEWHERE='-O2 -g' elsewhere

# musl's own CMSG_NXTHDR is not fit for -Wconversion.
MUSL_WARN := $(filter-out -Wconversion,$(WARN))

# The first time its libraries are built, too, which takes some minutes.
musl:
	@tests/support/musl.sh $(B)/musl
	@. $(abspath $(B))/musl/env && $(MAKE) --no-print-directory B=$(B)/musl/guard ELSEWHERE='$(SMALL)' WARN='$(MUSL_WARN)' \
		ELSEWHERE_LINK='-static -Wl,--gc-sections' elsewhere

BASH_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_DIR  ?= $(PREFIX)/share/zsh/vendor-completions
FISH_DIR ?= $(PREFIX)/share/fish/vendor_completions.d
# One that runs on this machine, for the completions; name another when this is a cross build.
GUARDCTL_HERE ?= $(B)/coap-guardctl

install: all
	install -D -m 755 $(B)/coap-guardd $(DESTDIR)$(PREFIX)/sbin/coap-guardd
	install -D -m 755 $(B)/coap-guardctl $(DESTDIR)$(PREFIX)/bin/coap-guardctl
	install -D -m 644 conf/coap-guard.conf $(DESTDIR)/etc/coap-guard/coap-guard.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/coap-guardd/examples conf/examples/*
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 docs/man/*.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man7 docs/man/*.7
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/man/*.8
	mkdir -p $(addprefix $(DESTDIR),$(BASH_DIR) $(ZSH_DIR) $(FISH_DIR))
	$(GUARDCTL_HERE) --completion bash >$(DESTDIR)$(BASH_DIR)/coap-guardctl
	ln -sf coap-guardctl $(DESTDIR)$(BASH_DIR)/coap-guardd
	$(GUARDCTL_HERE) --completion zsh >$(DESTDIR)$(ZSH_DIR)/_coap-guardctl
	$(GUARDCTL_HERE) --completion fish >$(DESTDIR)$(FISH_DIR)/coap-guardctl.fish
	ln -sf coap-guardctl.fish $(DESTDIR)$(FISH_DIR)/coap-guardd.fish
	install -D -m 644 systemd/coap-guardd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/coap-guardd.service
	install -D -m 644 systemd/coap-guard-nft.service $(DESTDIR)$(PREFIX)/lib/systemd/system/coap-guard-nft.service
	install -D -m 644 systemd/coap-guard.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/coap-guard.conf
	install -D -m 644 systemd/coap-guard.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/coap-guard.conf

deb:
	@tests/support/deps.sh deb
	@tests/support/deb.sh $(B)/deb

deb-check:
	@tests/support/deps.sh deb-check
	@BUILD=$(abspath $(B)) /usr/bin/python3 tests/integration/test_package.py
	@BUILD=$(abspath $(B)) /usr/bin/python3 tests/integration/newcomer.py

clean:
	rm -rf $(B)

#!/bin/bash
# elsewhere.sh: unit tests, stories and replay of a build for another machine or another libc. BUILD: where it is; RUN: what runs it
# here, if anything; SIZE: its `size`; UNIT: names of unit tests; FUZZERS: of fuzz targets.
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=

# NAME PROGRAM ARGUMENT...
try() {
	local name=$1
	shift
	# shellcheck disable=SC2086
	timeout 300 ${RUN:-} "$@" >"$log" 2>&1
	judge "$name" $?
}

judge() { # NAME EXIT-CODE
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
	else
		failed="$failed $1"
		echo "FAILED  $1 ($2)"
		grep -v 'RUN \|  OK ' "$log" | tail -n 20 | sed 's/^/        /'
	fi
}

# A device, the daemon, a client that asks; a reload, and an orderly end.
life() {
	local dir port=$((20000 + $$ % 10000)) device guard answer rc=1
	dir=$(mktemp -d)
	cat >"$dir/guard.conf" <<-E
	[listen here]
	bind = [::1]:$port
	[server lamp]
	address = coap://[::1]:$((port + 2))
	[control]
	socket = $dir/control.sock
	group =
	E
	coap-server-notls -A ::1 -p $((port + 2)) -v 1 >/dev/null 2>&1 &
	device=$!
	# shellcheck disable=SC2086
	exec_in_place "$dir/log" ${RUN:-} "$BUILD/coap-guardd" -c "$dir/guard.conf" &
	guard=$!
	for _ in 1 2 3 4 5; do
		sleep 0.5
		answer=$(coap-client-notls -B 3 "coap://[::1]:$port/lamp/time" 2>&1)
		[[ $answer == *:*:* ]] && break
	done
	# shellcheck disable=SC2086
	${RUN:-} "$BUILD/coap-guardctl" -s "$dir/control.sock" reload
	kill $guard
	wait $guard && [[ $answer == *:*:* ]] && grep -q reloaded "$dir/log" && rc=0
	kill $device
	cat "$dir/log"
	rm -rf "$dir"
	return $rc
}

exec_in_place() { # LOG COMMAND...: the same process, so that a signal reaches it
	local out=$1
	shift
	exec "$@" >"$out" 2>&1
}

for t in $UNIT; do try "$t" "$BUILD/tests/unit/test_$t"; done
try scenarios "$BUILD/tests/replay/test_scenarios"
try replay "$BUILD/tests/replay/replay" tests/replay/*.trace
for t in $FUZZERS; do try "fuzz-$t" "$BUILD/tests/fuzz/fuzz_$t" "tests/fuzz/corpus/$t"/*; done
try version "$BUILD/coap-guardd" --version
for c in conf/examples/*.conf; do try "$c" "$BUILD/coap-guardd" --check-config -c "$c"; done
if command -v coap-client-notls coap-server-notls >/dev/null; then
	life >"$log" 2>&1
	judge life $?
fi

${SIZE:-size} "$BUILD/coap-guardd"
echo "$passed passed, $(wc -w <<<"$failed") failed:${failed:- none}"
[ -z "$failed" ]

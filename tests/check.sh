#!/bin/bash
# check.sh: runs every test there is and closes with "N passed, N failed, N skipped".
# BUILD: plain programs; ASAN: the same with AddressSanitizer and UndefinedBehaviorSanitizer. UNIT: names of unit tests; FUZZERS: of fuzz
# targets.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0 list=
log=$(mktemp)
RESULTS=$(mktemp -d) # what each said: tests/attacks/attacks.py looks there for the tests that it names
export RESULTS
trap 'rm -rf "$log" "$RESULTS"' EXIT

# verdict NAME COUNT_OK COUNT_BAD COUNT_SKIPPED
note() {
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	if [ "$3" -gt 0 ]; then
		list="$list $1"
		echo "FAILED  $1"
		sed 's/^/        /' "$log" | tail -n 60
	else
		echo "ok      $1 ($2$([ "$4" -gt 0 ] && echo ", $4 skipped"))"
	fi
}

# cmocka counts in "[  PASSED  ] N test(s)."; what dies before that is one failure more.
cmocka() {
	"$@" >"$log" 2>&1
	local rc=$? ok bad
	ok=$(sed -n 's/.*\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -1)
	bad=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' "$log")
	[ $rc -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	cp "$log" "$RESULTS/$(basename "$1")"
	note "$(basename "$1")" "${ok:-0}" "$bad" 0
}

# one command, one test
single() {
	local name=$1
	shift
	if "$@" >"$log" 2>&1; then note "$name" 1 0 0; else note "$name" 0 1 0; fi
}

# unittest counts in "Ran N tests" and "OK/FAILED (failures=, errors=, skipped=)"
python() {
	local name=$1 ran bad skip
	shift
	timeout -k 10 "${LIMIT:-600}" "$@" >"$log" 2>&1
	local rc=$?
	ran=$(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' "$log" | tail -1)
	bad=$(($(tail -5 "$log" | grep -oE '(failures|errors)=[0-9]+' | cut -d= -f2 | paste -sd+)))
	skip=$(tail -5 "$log" | grep -oE 'skipped=[0-9]+' | cut -d= -f2 | head -1)
	ran=${ran:-0} bad=${bad:-0} skip=${skip:-0}
	[ $rc -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	[ "$ran" -eq 0 ] && bad=1
	echo "$ran $bad" >"$RESULTS/$name"
	note "$name" $((ran > bad + skip ? ran - bad - skip : 0)) "$bad" "$skip"
}

export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1

echo "== unit tests (ASan, UBSan)"
for t in $UNIT; do cmocka "$ASAN/tests/unit/test_$t"; done

echo "== stories and replay"
cmocka "$ASAN/tests/replay/test_scenarios"
single replay "$ASAN/tests/replay/replay" tests/replay/*.trace
for t in $FUZZERS; do single "fuzz-$t" "$ASAN/tests/fuzz/fuzz_$t" "tests/fuzz/corpus/$t"/*; done
single replay-notices tests/replay/notices.sh "$ASAN/tests/replay/replay"

echo "== structure"
single arrows tests/arrows.sh "$BUILD/lib"
single documented tests/documented.sh
single pages tests/pages.sh "$ASAN/tests/support/pages"

if [ "${QUICK:-no}" = no ]; then
	echo "== integration with real peers"
	BUILD=$ASAN python shell /usr/bin/python3 tests/integration/test_shell.py
	BUILD=$ASAN python face /usr/bin/python3 tests/integration/test_face.py
	BUILD=$ASAN python interop /usr/bin/python3 tests/integration/test_interop.py
	BUILD=$ASAN python session /usr/bin/python3 tests/integration/test_session.py
	BUILD=$ASAN python frugal /usr/bin/python3 tests/integration/test_frugal.py
	BUILD=$ASAN python nested /usr/bin/python3 tests/integration/test_nested.py
	BUILD=$ASAN python memory /usr/bin/python3 tests/integration/test_memory.py
	BUILD=$ASAN python reload /usr/bin/python3 tests/integration/test_reload.py
	python crash /usr/bin/python3 tests/integration/test_crash.py
	python openwrt /usr/bin/python3 tests/integration/test_openwrt.py
	python bypass /usr/bin/python3 tests/integration/test_bypass.py
	plain=$BUILD
	BUILD=$ASAN PLAIN=$plain FAULT_STEP=${FAULT_STEP:-40} EXCHANGES=${EXCHANGES:-20000} \
		python faults /usr/bin/python3 tests/integration/test_faults.py
	SOAK_SECONDS=30 python soak /usr/bin/python3 tests/attacks/soak.py
	LAB=$ASAN/tests/attacks/attacks python attacks /usr/bin/python3 tests/attacks/attacks.py --short
	python attack-smoke /usr/bin/python3 tests/integration/attack.py --smoke
	python experiment /usr/bin/python3 tests/experiment/experiment.py smoke
	single bench-smoke timeout 300 /usr/bin/python3 tests/bench/bench.py --smoke --bins "$BUILD/bench" --guard "$BUILD/coap-guardd" \
		--guardctl "$BUILD/coap-guardctl" --peers "$BUILD/peers"
	python service /usr/bin/python3 tests/integration/test_service.py
	python newcomer-page /usr/bin/python3 tests/integration/newcomer.py Page
	python readme /usr/bin/python3 tests/integration/test_readme.py
fi

[ -n "$list" ] && echo "failed:$list"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

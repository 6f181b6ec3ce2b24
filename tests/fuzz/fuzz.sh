#!/bin/bash
# fuzz.sh: runs fuzz targets, and keeps their corpora. FUZZ: names of targets.
#
#   fuzz.sh run DIR        each for FUZZ_SECONDS; DIR/fuzzer-NAME is built with libFuzzer
#   fuzz.sh merge DIR      what DIR/corpus/NAME reaches and tests/fuzz/corpus/NAME does not is taken over, the rest dropped but for given-*
#   fuzz.sh coverage DIR   plays tests/fuzz/corpus through DIR/tests/fuzz/fuzz_NAME, and prints the lines of lib/ that it reaches
set -eu
cd "$(dirname "$0")/../.."
committed=tests/fuzz/corpus
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

# Longest input, in bytes.
longest() {
	case $1 in
	engine) echo 1200 ;;
	msg | option | oscore) echo 1500 ;;
	uri | statedir) echo 1100 ;;
	http) echo 4160 ;;
	*) echo 4096 ;;
	esac
}

run() {
	local name
	for name in $FUZZ; do
		echo "== $name, ${FUZZ_SECONDS:=60} s"
		mkdir -p "$1/corpus/$name" "$committed/$name"
		"$1/fuzzer-$name" -max_len="$(longest "$name")" -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=2048 \
			-print_final_stats=1 -artifact_prefix="$1/$name-" "$1/corpus/$name" "$committed/$name" 2>"$1/$name.log" || {
			tail -n 60 "$1/$name.log"
			exit 1
		}
		grep -E '^(Done|stat::(number_of_executed|average_exec|new_units|peak_rss))' "$1/$name.log"
	done
}

merge() {
	local name fresh file
	for name in $FUZZ; do
		[ -x "$1/fuzzer-$name" ] || continue
		fresh=$(mktemp -d)
		mkdir -p "$1/corpus/$name" "$committed/$name"
		"$1/fuzzer-$name" -set_cover_merge=1 -max_len="$(longest "$name")" "$fresh" "$committed/$name" "$1/corpus/$name" 2>"$1/$name-merge.log"
		find "$committed/$name" -type f ! -name 'given-*' -delete
		for file in "$fresh"/*; do cp "$file" "$committed/$name/$(basename "$file" | cut -c1-12)"; done
		rm -r "$fresh"
		echo "$name: $(find "$committed/$name" -type f | wc -l) inputs, $(cat "$committed/$name"/* | wc -c) bytes"
	done
}

coverage() {
	local name objects=()
	rm -f "$1"/*.profraw
	for name in $FUZZ; do
		LLVM_PROFILE_FILE=$1/$name.profraw "$1/tests/fuzz/fuzz_$name" "$committed/$name"/* >"$1/$name.log" 2>&1
		objects+=(${objects:+-object} "$1/tests/fuzz/fuzz_$name")
	done
	llvm-profdata merge -o "$1/all.profdata" "$1"/*.profraw
	llvm-cov report --show-region-summary=0 --show-branch-summary=0 --instr-profile="$1/all.profdata" "${objects[@]}" lib/*/*.c |
		awk '/^(Filename|---)/ { next } NF >= 7 { printf "%-32s %6d lines %5d not reached %8s\n", $1, $(NF - 2), $(NF - 1), $NF }'
}

"$@"

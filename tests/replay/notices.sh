#!/bin/bash
# notices.sh REPLAY: a trace with one changed verdict, and one with one changed datagram, must not pass.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trace=$(dirname "$0")/odd-numbers.trace
sed '0,/ dev moved forward tentative/s// dev trusted forward trusted/' "$trace" >"$dir/verdict.trace"
# the Partial IV of the second request becomes that of the first
sed 's/93090101ff/93090001ff/' "$trace" >"$dir/datagram.trace"
cmp -s "$trace" "$dir/verdict.trace" && exit 1
cmp -s "$trace" "$dir/datagram.trace" && exit 1
for f in verdict datagram; do
	if "$1" "$dir/$f.trace"; then
		echo "the changed $f was not noticed"
		exit 1
	fi
done

#!/bin/bash
# notices.sh REPLAY: a trace with one changed verdict, one with one changed datagram and one with one changed use of a key must not
# pass, and a trace with layers holds no key.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trace=$(dirname "$0")/odd-numbers.trace
sed '0,/ dev moved forward tentative/s// dev trusted forward trusted/' "$trace" >"$dir/verdict.trace"
# the Partial IV of the second request becomes that of the first
sed 's/93090101ff/93090001ff/' "$trace" >"$dir/datagram.trace"
cmp -s "$trace" "$dir/verdict.trace" && exit 1
cmp -s "$trace" "$dir/datagram.trace" && exit 1
# what a key made of a message is part of the story, and the key itself is not
layers=$(dirname "$0")/layers.trace
sed '0,/ layer phone open [0-9a-f]*$/s// layer phone open -/' "$layers" >"$dir/layer.trace"
cmp -s "$layers" "$dir/layer.trace" && exit 1
if grep -qi 612073656372657420 "$layers"; then
	echo "the trace holds the secret"
	exit 1
fi
for f in verdict datagram layer; do
	if "$1" "$dir/$f.trace"; then
		echo "the changed $f was not noticed"
		exit 1
	fi
done

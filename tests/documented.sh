#!/bin/bash
# documented.sh: every reason, fault, key and command that a person can meet stands in docs/.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
missing() { echo "docs/: nothing about $1"; bad=1; }

words() { sed -n 's/^[[:space:]]*X([A-Z_0-9]*, "\([a-z-]*\)".*/\1/p' "$1"; }
for w in $(words lib/guard/verdict.h) $(words lib/proxy/fault.h); do
	grep -qF "\`$w\`" docs/guard.md || missing "$w (docs/guard.md)"
done
for k in $(grep -vE '^[[:space:]]*([;#]|$)' conf/coap-guard.conf | sed -n 's/^\[\([a-z-]*\).*/\1/p' | sort -u); do
	grep -qF "[$k" docs/configuration.md || missing "section $k (docs/configuration.md)"
done
[ "$(words lib/guard/verdict.h | wc -l)" -gt 20 ] || missing "any reason: the table moved"
exit $bad

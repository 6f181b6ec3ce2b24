#!/bin/bash
# documented.sh: every reason, fault, key and command that a person can meet stands in docs/, and every test that docs/ names exists.
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

# `tests/unit/test_x.c: name`: in the file, and among those that its main() runs; of Python a method.
named=$(grep -ohE '`tests/[a-z_/]+\.(c|py): [a-z_0-9]+`' docs/*.md | tr -d '`' | sort -u)
while IFS=': ' read -r file name; do
	case $file in
	*.py) grep -qE "^ +def $name\(" "$file" 2>/dev/null ;;
	*) grep -qE "cmocka_unit_test\($name\)" "$file" 2>/dev/null ;;
	esac || { echo "docs/: there is no test $name in $file"; bad=1; }
	case $file in tests/unit/test_*.c)
		room=${file##*/test_} room=${room%.c}
		sed -n '/^UNIT := /,/[^\\]$/p' Makefile | grep -qw "$room" || { echo "docs/: $file is not run"; bad=1; } ;;
	esac
done <<<"$named"
[ "$(wc -l <<<"$named")" -gt 50 ] || missing "tests (docs/requirements.md): the form moved"
exit $bad

#!/bin/bash
# pages.sh PROGRAM [--write]: compares what the pages take from the tables of the code (tests/support/pages.c) with what is in them,
# and has mandoc look at the manual, where there is one.
set -u
program=$(realpath -- "$1") write=${2:-}
cd "$(dirname -- "$0")/.." || exit 1
bad=0
new=$(mktemp)
trap 'rm -f "$new"' EXIT

for page in docs/man/*.[0-9] docs/operations.md; do
	"$program" <"$page" >"$new" || { echo "$page: cannot be made"; bad=1; continue; }
	if [ "$write" = --write ]; then
		cmp -s "$new" "$page" || cat "$new" >"$page"
	elif ! cmp -s "$new" "$page"; then
		echo "$page is not what the code says; run make pages:"
		diff "$page" "$new" | head -n 20
		bad=1
	fi
done

# What the manual refers to need not be installed here.
if command -v mandoc >/dev/null; then
	mandoc -Tlint docs/man/*.[0-9] | grep -v 'referenced manual not found' && bad=1
else
	echo "mandoc is not installed: the form of the manual was not looked at"
fi
exit $bad

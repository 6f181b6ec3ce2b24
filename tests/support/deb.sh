#!/bin/bash
# deb.sh OUT [SUITE]: makes the source package of what git knows, or would be told of, and builds it into OUT; the log is
# OUT/build.log. Nothing is done when OUT has what comes of the same source. With a SUITE it is built in a bare system of that (tree.sh), which proves that it says all it needs; WHERE
# is the folder there.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
out=$(realpath -m "$1") new=$(realpath -m "$1").new suite=${2:-} where=${WHERE:-/build}
trees=$(realpath -m "${TREES:-$root/build/trees}")
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$root/conf/debian/changelog")
upstream=${version%-*}
name=coap-guard-$upstream
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' "$root/conf/debian/changelog" | head -n 1)" +%s)
export SOURCE_DATE_EPOCH

files() {
	git -C "$root" ls-files -z --cached --others --exclude-standard | (cd "$root" && xargs -0 ls -d 2>/dev/null)
}

# The same bytes for the same files, whoever packs them and when.
source_package() {
	grep -q "^VERSION *:= *$upstream\$" "$root/Makefile" || { echo "deb: Makefile and changelog differ in version" >&2; exit 1; }
	rm -rf "$new"
	mkdir -p "$new/$name"
	files | tar -C "$root" -cf - --no-recursion -T - | tar -C "$new/$name" -xf -
	chmod -R u=rwX,go=rX "$new/$name"
	(cd "$new" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
		xz -6 >"coap-guard_$upstream.orig.tar.xz")
	cp -a "$new/$name/conf/debian" "$new/$name/debian"
	(cd "$new" && dpkg-source -b "$name" >source.log)
}

in_tree() {
	local build=$trees/builder-$suite$where
	"$here/tree.sh" builder "$suite"
	rm -rf "$build"
	mkdir -p "$build"
	cp "$out"/*.xz "$out"/*.dsc "$build/"
	# shellcheck disable=SC2016
	"$here/tree.sh" run "$trees/builder-$suite" env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" ${MORE:+$MORE} sh -c \
		'cd "$0" && dpkg-source -x ./*.dsc source && cd source && dpkg-buildpackage -us -uc -b' "$where" \
		>"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log" >&2; return 1; }
	cp "$build"/*.deb "$build"/*.buildinfo "$build"/*.changes "$out/"
	rm -rf "$build"
}

source_package
stamp=$(cd "$new" && sha256sum ./*.xz)
if [ "$(cat "$out/.made" 2>/dev/null)" = "$stamp" ]; then
	rm -rf "$new"
	ls "$out"/*.deb
	exit
fi
rm -rf "$out"
mv "$new" "$out"
if [ -n "$suite" ]; then
	in_tree
else
	(cd "$out/$name" && dpkg-buildpackage -us -uc -b) >"$out/build.log" 2>&1 ||
		{ tail -n 40 "$out/build.log" >&2; exit 1; }
fi
rm -rf "${out:?}/$name"
echo "$stamp" >"$out/.made"
ls "$out"/*.deb

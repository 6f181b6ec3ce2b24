#!/bin/bash
# musl.sh DIR: a daemon on musl, as OpenWrt has it, wants its libraries on musl. Builds them as static archives of Debian's own sources
# into DIR/lib and DIR/include; DIR/env is for a shell: CC, and the pkg-config of these. Does nothing when ready.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
dir=$(realpath -m "$1")
src=$dir/src out=$dir/out
sources="cmocka libinih libcbor libcoap3 libuv1 openssl"

say() { echo "musl: $*" >&2; }

tools() {
	local missing=""
	for t in musl-gcc:musl-tools cmake:cmake perl:perl autoreconf:autoconf libtoolize:libtool automake:automake; do
		command -v "${t%%:*}" >/dev/null || missing="$missing ${t##*:}"
	done
	# shellcheck disable=SC2086
	install_missing $missing
}

# Upstream's archives alone, without Debian's patches: of this release, or else of Debian 13. In a private apt state.
download() {
	local apt=$dir/apt uri own
	rm -rf "$apt" "$src"
	mkdir -p "$apt/lists/partial" "$apt/etc" "$src"
	: >"$apt/status"
	uri=$(mirror)
	[ -n "$uri" ] || { say "apt knows no mirror of Debian here"; exit 1; }
	own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$uri" "$own" "$uri" trixie |
		sort -u >"$apt/etc/sources.list"
	cat >"$apt/apt.conf" <<-E
	Dir::Etc::sourcelist "$apt/etc/sources.list"; Dir::Etc::sourceparts "-"; Dir::State::lists "$apt/lists";
	Dir::State::status "$apt/status"; Dir::Cache "$apt/cache"; APT::Sandbox::User "root";
	E
	(
		export APT_CONFIG=$apt/apt.conf
		apt-get -qq update
		for name in $sources; do fetch_source "$name" "$own" || fetch_source "$name" trixie || exit 1; done
	)
	rm -rf "$apt"
}

fetch_source() { # NAME RELEASE
	mkdir -p "$src/$1"
	cd "$src/$1"
	apt-get -qq source --download-only "$1/$2" >/dev/null 2>&1 || true
	for archive in "$1"_*.orig.tar.*[!c]; do
		[ -e "$archive" ] && tar xf "$archive" --strip-components=1 && return 0
	done
	say "no source of $1 in $2"
	return 1
}

# Kernel headers, and none of glibc's.
prepare() {
	local triplet
	triplet=$(gcc -print-multiarch)
	mkdir -p "$out/include" "$out/lib/pkgconfig" "$dir/kernel"
	ln -sfn /usr/include/linux "$dir/kernel/linux"
	ln -sfn /usr/include/asm-generic "$dir/kernel/asm-generic"
	ln -sfn "/usr/include/$triplet/asm" "$dir/kernel/asm"
	ln -sfn /usr/include/mtd "$dir/kernel/mtd"
	printf '#!/bin/sh\nexec musl-gcc -idirafter %s -isystem %s "$@"\n' "$dir/kernel" "$out/include" >"$dir/cc"
	chmod +x "$dir/cc"
}

with_cmake() { # DIRECTORY OPTION...
	local at=$1
	shift
	cmake -S "$at" -B "$at/musl" -DCMAKE_C_COMPILER="$dir/cc" -DCMAKE_INSTALL_PREFIX="$out" -DCMAKE_INSTALL_LIBDIR=lib \
		-DCMAKE_BUILD_TYPE=MinSizeRel -DBUILD_SHARED_LIBS=OFF "$@"
	make -C "$at/musl" -j2
	make -C "$at/musl" install
}

build_cmocka() {
	with_cmake "$src/cmocka" -DWITH_EXAMPLES=OFF -DUNIT_TESTING=OFF -DWITH_STATIC_LIB=ON
	ln -sf libcmocka-static.a "$out/lib/libcmocka.a"
}
build_libcbor() { with_cmake "$src/libcbor" -DWITH_TESTS=OFF -DWITH_EXAMPLES=OFF; }
build_libuv() {
	with_cmake "$src/libuv1" -DLIBUV_BUILD_TESTS=OFF -DLIBUV_BUILD_BENCH=OFF
	ln -sf libuv_a.a "$out/lib/libuv.a"
}

build_inih() {
	cd "$src/libinih"
	"$dir/cc" -Os -fPIC -c ini.c -o ini.o
	ar rcs "$out/lib/libinih.a" ini.o
	cp ini.h "$out/include/"
	printf 'Name: inih\nDescription: inih\nVersion: 0\nLibs: -L%s -linih\n' "$out/lib" >"$out/lib/pkgconfig/inih.pc"
}

build_libcoap() {
	cd "$src/libcoap3"
	./autogen.sh
	./configure CC="$dir/cc" CFLAGS=-Os --prefix="$out" --libdir="$out/lib" --disable-shared --disable-dtls --disable-documentation \
		--disable-tests --disable-examples
	make -j2 install
}

build_openssl() {
	cd "$src/openssl"
	./Configure CC="$dir/cc" --prefix="$out" --libdir=lib no-shared no-tests no-engine no-dso no-async no-afalgeng no-legacy \
		-Os linux-"$(uname -m)"
	make -j2 build_generated libcrypto.a
	cp libcrypto.a "$out/lib/"
	cp -r include/openssl "$out/include/"
	printf 'Name: libcrypto\nDescription: OpenSSL\nVersion: 0\nLibs: -L%s -lcrypto -ldl -lpthread\n' "$out/lib" \
		>"$out/lib/pkgconfig/libcrypto.pc"
}

[ -e "$dir/env" ] && exit 0
tools
[ -d "$src" ] || download
prepare
for lib in cmocka libcbor inih libuv libcoap openssl; do
	[ -e "$dir/$lib.done" ] && continue
	say "building $lib"
	(build_$lib) >"$dir/$lib.log" 2>&1 || { tail -n 20 "$dir/$lib.log" >&2; say "$lib does not build"; exit 1; }
	touch "$dir/$lib.done"
done
cat >"$dir/env.new" <<E
export CC='$dir/cc' PKG_CONFIG_LIBDIR='$out/lib/pkgconfig' PKG_CONFIG='pkg-config --static'
E
mv "$dir/env.new" "$dir/env"
rm -rf "$src"
say "ready in $dir"

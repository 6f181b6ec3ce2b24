#!/bin/bash
# cross.sh ARCH DIR: what it takes to build for another Debian architecture, in DIR: root/ with the libraries of that architecture,
# unpacked and not installed, and env, which a shell reads for CC, the pkg-config of that root, and RUN, which runs its programs.
# The compiler and qemu-user are the machine's own. Does nothing when ready.
set -euo pipefail
. "$(dirname "$0")/apt.sh"
arch=$1 dir=$(realpath -m "$2")
packages="libcoap3-dev libuv1-dev libinih-dev libssl-dev libcbor-dev libcmocka-dev libc6-dev libgcc-s1 libatomic1"

say() { echo "cross: $*" >&2; }

case $arch in
armhf) triplet=arm-linux-gnueabihf qemu=arm ;;
s390x) triplet=s390x-linux-gnu qemu=s390x ;;
*) say "no such architecture here: $arch (armhf, s390x)"; exit 64 ;;
esac

tools() {
	local missing=""
	command -v $triplet-gcc >/dev/null || missing="$missing gcc-$triplet"
	command -v qemu-$qemu-static >/dev/null || missing="$missing qemu-user-static"
	# shellcheck disable=SC2086
	install_missing $missing
}

# A private apt state of that architecture, in which nothing is installed yet.
unpack() {
	local apt=$dir/apt uri release
	rm -rf "$apt" "$dir/debs" "$dir/root"
	mkdir -p "$apt/lists/partial" "$dir/debs/partial" "$dir/root" "$apt/etc"
	: >"$apt/status"
	uri=$(mirror)
	[ -n "$uri" ] || { say "apt knows no mirror of Debian here"; exit 1; }
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release main" >"$apt/etc/sources.list"
	cat >"$apt/apt.conf" <<-E
	APT::Architecture "$arch"; APT::Architectures { "$arch"; };
	Dir::Etc::sourcelist "$apt/etc/sources.list"; Dir::Etc::sourceparts "-"; Dir::State::lists "$apt/lists";
	Dir::State::status "$apt/status"; Dir::Cache "$apt/cache"; Dir::Cache::archives "$dir/debs";
	APT::Sandbox::User "root";
	E
	(
		export APT_CONFIG=$apt/apt.conf
		apt-get -qq update
		# shellcheck disable=SC2086
		apt-get -qq -y --no-install-recommends --download-only install $packages >&2
	)
	for d in "$dir"/debs/*.deb; do dpkg -x "$d" "$dir/root"; done
	rm -rf "$apt" "$dir/debs"
}

# Links of the packages begin at their own root, which is not the machine's.
make_links_relative() {
	local link to
	find "$dir/root" -type l | while read -r link; do
		to=$(readlink "$link")
		case $to in /*) ln -sfnr "$dir/root$to" "$link" ;; esac
	done
}

[ -e "$dir/env" ] && exit 0
tools
unpack
make_links_relative
cat >"$dir/env.new" <<E
export CC='$triplet-gcc --sysroot=$dir/root'
export PKG_CONFIG_SYSROOT_DIR='$dir/root' PKG_CONFIG_LIBDIR='$dir/root/usr/lib/$triplet/pkgconfig:$dir/root/usr/share/pkgconfig'
export RUN='qemu-$qemu-static -L $dir/root' SIZE='$triplet-size'
E
mv "$dir/env.new" "$dir/env"
say "$arch ready in $dir"

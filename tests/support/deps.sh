#!/bin/bash
# deps.sh build|check|deb|deb-check: installs what this needs and the machine misses. Debian 12 or 13; apt, as root.
set -eu
packages="gcc make pkg-config libcoap3-dev libuv1-dev libinih-dev libssl-dev libcbor-dev libcoap3-bin"
[ "${1:-build}" = check ] && packages="$packages libcmocka-dev python3 python3-cbor2 python3-cryptography python3-filelock
	iproute2 procps binutils"
# What tests can do without is installed where that may be done.
[ "${1:-build}" = check ] && [ "$(id -u)" = 0 ] && packages="$packages tshark nftables busybox mandoc faketime systemd"
case ${1:-build} in deb | deb-check) packages="$packages libcmocka-dev debhelper dpkg-dev" ;; esac
[ "${1:-build}" = deb-check ] && packages="$packages debootstrap autopkgtest iproute2 python3"
# Debian 13 names the library's tools and its development files alike; what is there is not asked for again.
missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "Missing packages; as root: apt-get install$missing" >&2
	exit 1
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get -qq -y --no-install-recommends install $missing >/dev/null 2>&1 || {
	apt-get -qq update
	apt-get -qq -y --no-install-recommends install $missing >/dev/null
}

#!/bin/bash
# tree.sh: small systems of Debian, to install packages in and to boot. As root. TREES: where they are kept (build/trees).
#   tree.sh base SUITE           a bare one: what debootstrap calls minimal, systemd, ip, and, not yet installed, what the
#                                package and a newcomer need; made once
#   tree.sh builder SUITE        one that can build the package; made once
#   tree.sh copy KIND SUITE DIR  a fresh copy; KIND: base or builder
#   tree.sh run DIR COMMAND...   in a copy that is not booted
#   tree.sh boot DIR             its systemd becomes process 1 of namespaces of its own, without a network but loopback
#   tree.sh in DIR COMMAND...    in a booted one
#   tree.sh off DIR
# Ends with 77 where there can be no such thing.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
trees=$(realpath -m "${TREES:-$root/build/trees}")
bare=systemd,systemd-sysv,iproute2
# Fetched only, so that a tree without a network can still install them.
wanted="libcbor-dev libcoap3-dev libinih-dev libssl3 libuv1-dev libcoap3-bin nftables"

say() { echo "tree: $*" >&2; }
cannot() { say "$*"; exit 77; }

able() {
	[ "$(id -u)" = 0 ] || cannot "only root can make a tree"
	command -v debootstrap >/dev/null || cannot "no debootstrap here"
	unshare --mount --pid --fork true 2>/dev/null || cannot "no namespaces here"
}

run() { # DIR COMMAND...
	local dir=$1
	shift
	unshare --fork --kill-child --pid --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$dir" \
		env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# Made beside, so that what was interrupted is not taken for whole.
finished() { [ -e "$1/.made" ] && [ "$(cat "$1/.made")" = "$2" ]; }
finish() { # DIR.new DIR STAMP
	echo "$3" >"$1/.made"
	rm -rf "$2"
	mv "$1" "$2"
}

base() { # SUITE
	local dir=$trees/base-$1 uri stamp="$1 $bare $wanted"
	finished "$dir" "$stamp" && return
	able
	uri=$(mirror)
	[ -n "$uri" ] || cannot "apt knows no mirror of Debian here"
	say "making a bare $1"
	rm -rf "$dir.new"
	mkdir -p "$trees"
	debootstrap --variant=minbase --include="$bare" "$1" "$dir.new" "$uri" >"$dir.log" 2>&1 || cannot "see $dir.log"
	cp -L /etc/resolv.conf "$dir.new/etc/resolv.conf"
	run "$dir.new" apt-get -qq update
	# shellcheck disable=SC2086
	run "$dir.new" apt-get -qq -y --no-install-recommends --download-only install $wanted
	finish "$dir.new" "$dir" "$stamp"
}

builder() { # SUITE
	local dir=$trees/builder-$1 stamp
	stamp="$1 $(cksum <"$root/conf/debian/control")"
	finished "$dir" "$stamp" && return
	base "$1"
	say "making a $1 that builds"
	rm -rf "$dir.new"
	cp -a "$trees/base-$1" "$dir.new"
	mkdir -p "$dir.new/tmp/wanted/debian"
	cp "$root/conf/debian/control" "$dir.new/tmp/wanted/debian/"
	run "$dir.new" sh -c 'apt-get -qq -y --no-install-recommends install build-essential fakeroot lintian blhc &&
		apt-get -qq -y --no-install-recommends build-dep /tmp/wanted' >"$dir.log" 2>&1 || cannot "see $dir.log"
	finish "$dir.new" "$dir" "$stamp"
}

cgroups() { awk '$(NF - 2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo; }

# What a container manager would do, by hand: private file systems for what belongs to the kernel, then process 1.
# shellcheck disable=SC2016
inside='set -e
cd "$1"
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mountpoint -q sys/fs/cgroup || mount -t tmpfs tmpfs sys/fs/cgroup || true
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for d in null zero full random urandom tty; do touch dev/$d; mount --bind /dev/$d dev/$d; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
hostname guard
pivot_root . .
umount -l .
mount --make-rshared /
exec env -i container=guard-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd'

first_process() { # DIR
	local manager
	manager=$(cat "$1.manager" 2>/dev/null) || return 1
	tr -d ' ' <"/proc/$manager/task/$manager/children" 2>/dev/null
}

in_tree() { # DIR COMMAND...
	local first
	first=$(first_process "$1")
	shift
	[ -n "$first" ] || { say "not booted"; return 1; }
	nsenter --target "$first" --all env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
		PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER='' "$@"
}

off() { # DIR
	local group manager
	manager=$(cat "$1.manager" 2>/dev/null) || return 0
	kill -KILL "$manager" 2>/dev/null || true
	group=$(cat "$1.cgroup" 2>/dev/null) || return 0
	for _ in $(seq 50); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ -d "$group" ] || break
		sleep 0.1
	done
	rm -f "$1.cgroup" "$1.manager"
}

boot() { # DIR
	local group
	able
	group=$(cgroups)
	[ -n "$group" ] || cannot "no cgroup2 here"
	group=$group/guard-test.$$
	mkdir "$group" 2>/dev/null || cannot "may not make a control group here"
	echo "$group" >"$1.cgroup"
	# shellcheck disable=SC2016
	setsid sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare --fork --kill-child --pid --mount --uts --ipc --net --cgroup \
		sh -c "$2" - "$3"' - "$group" "$inside" "$1" </dev/null >"$1.boot" 2>&1 &
	echo $! >"$1.manager"
	for _ in $(seq 150); do
		sleep 0.2
		case $(in_tree "$1" systemctl is-system-running 2>/dev/null || true) in running | degraded) return ;; esac
		kill -0 "$(cat "$1.manager")" 2>/dev/null || break
	done
	off "$1"
	cannot "systemd does not start in $1: $(tail -n 3 "$1.boot")"
}

command=${1:-} && shift || true
case $command in
base) base "$1" ;;
builder) builder "$1" ;;
copy)
	"$1" "$2"
	rm -rf "$3"
	cp -a "$trees/$1-$2" "$3"
	;;
run) run "$@" ;;
boot) boot "$(realpath "$1")" ;;
in) dir=$(realpath "$1"); shift; in_tree "$dir" "$@" ;;
off) off "$(realpath -m "$1")" ;;
*) sed -n '2,12s/^# //p' "$0"; exit 64 ;;
esac

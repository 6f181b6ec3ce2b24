#!/bin/bash
# peers.sh [DIR]: real CoAP peers for the integration tests, ready under DIR/bin (default build/peers):
#   coap-client-notls coap-server-notls      libcoap of this Debian, plain
#   coap-client-openssl coap-server-openssl  libcoap 4.3.4 of Debian 13, OSCORE with -E
#   aio-python                               python3 that finds aiocoap 0.4.14 (OSCORE)
#   npm-node                                 node that finds npm's coap 1.5.0; only where npm is installed
# On Debian 12 the packages of Debian 13 are unpacked, not installed, beside the system. Does nothing when ready.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

here=$(realpath "$(dirname "$0")")
dir=$(realpath -m "${1:-$here/../../build/peers}")
bin=$dir/bin
packages="libcoap3-bin python3-cbor2 python3-cryptography python3-filelock"

say() { echo "peers: $*" >&2; }

works() {
	[ -e "$dir/ready" ] && [ -x "$bin/coap-client-notls" ] && [ -x "$bin/coap-server-notls" ] &&
		[[ $("$bin/coap-client-openssl" 2>&1 || true) == *"Have OSCORE"* ]] &&
		"$bin/aio-python" -c 'import aiocoap.oscore_sitewrapper, cbor2' 2>/dev/null
}

debian_version() { sed -n 's/^VERSION_ID="\?\([0-9]*\).*/\1/p' /etc/os-release; }

install_packages() {
	local missing=""
	for p in "$@"; do
		dpkg -s "$p" 2>/dev/null | grep -q '^Status: install ok' || missing="$missing $p"
	done
	[ -z "$missing" ] && return
	[ "$(id -u)" = 0 ] || { say "please install:$missing"; exit 1; }
	say "installing$missing"
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >/dev/null
}

# Reads Debian 13 from this machine's own mirror, in a private apt state.
unpack_trixie() {
	local apt=$dir/apt uri
	rm -rf "$apt" "$dir/debs" "$dir/root"
	mkdir -p "$apt/lists/partial" "$dir/debs/partial" "$dir/root" "$apt/etc"
	: > "$apt/status"
	uri=$(mirror)
	[ -n "$uri" ] || { say "apt knows no mirror of Debian here"; exit 1; }
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" > "$apt/etc/sources.list"
	cat > "$apt/apt.conf" <<-E
	Dir::Etc::sourcelist "$apt/etc/sources.list"; Dir::Etc::sourceparts "-"; Dir::State::lists "$apt/lists";
	Dir::State::status "$apt/status"; Dir::Cache "$apt/cache"; Dir::Cache::archives "$dir/debs";
	APT::Sandbox::User "root";
	E
	(
		export APT_CONFIG=$apt/apt.conf
		apt-get -qq update
		apt-get -qq -y --no-install-recommends --download-only install libcoap3-bin >&2
		cd "$dir/debs" && apt-get -qq download python3-aiocoap >&2
	)
	for d in "$dir"/debs/*.deb; do dpkg -x "$d" "$dir/root"; done
	rm -rf "$apt" "$dir/debs"
}

wrap() { # NAME COMMAND...: a command that stays the same process, so that signals reach the peer
	local name=$1
	shift
	printf '#!/bin/sh\nexec %s "$@"\n' "$*" > "$bin/$name"
	chmod +x "$bin/$name"
}

stubs() { # aiocoap imports these at start even where it does not use them
	rm -rf "$dir/stubs"
	mkdir -p "$dir/stubs"
	for m in ge25519 lakers; do
		/usr/bin/python3 -c "import $m" 2>/dev/null ||
			printf 'def __getattr__(name):\n    raise AttributeError("not available: " + name)\n' \
				> "$dir/stubs/$m.py"
	done
}

wrap_peers() {
	local lib ld
	mkdir -p "$bin"
	for t in coap-client-notls coap-server-notls; do wrap $t "$(command -v $t)"; done
	stubs
	local py="env PYTHONDONTWRITEBYTECODE=1 AIOCOAP_CLIENT_TRANSPORT=oscore:udp6 AIOCOAP_SERVER_TRANSPORT=oscore:udp6"
	if [ -d "$dir/root" ]; then
		ld=$(ls -d "$dir"/root/usr/lib/*/ld-linux*.so.* | head -n 1)
		lib=$(dirname "$ld")
		for t in coap-client-openssl coap-server-openssl; do
			wrap $t "$ld" --library-path "$lib" "$dir/root/usr/bin/$t"
		done
		wrap aio-python "$py PYTHONPATH=$dir/root/usr/lib/python3/dist-packages:$dir/stubs /usr/bin/python3"
		# only aiocoap itself may come from there: compiled modules are for another Python
		(cd "$dir/root/usr/lib/python3/dist-packages" && for d in *; do
			case $d in aiocoap*) ;; *) rm -rf "$d" ;; esac; done)
	else
		for t in coap-client-openssl coap-server-openssl; do wrap $t "$(command -v $t)"; done
		wrap aio-python "$py PYTHONPATH=$dir/stubs /usr/bin/python3"
	fi
}

npm_peer() {
	rm -f "$bin/npm-node"
	command -v npm > /dev/null && command -v node > /dev/null || { say "no npm here: its client is skipped"; return 0; }
	if [ ! -d "$dir/npm/node_modules/coap" ]; then
		mkdir -p "$dir/npm"
		(cd "$dir/npm" && npm install --silent --no-audit --no-fund --prefix "$dir/npm" coap@1.5.0 >&2) ||
			{ say "npm could not install coap: its client is skipped"; return 0; }
	fi
	wrap npm-node env "NODE_PATH=$dir/npm/node_modules" "$(command -v node)"
}

works && exit 0
mkdir -p "$dir"
rm -f "$dir/ready"
# shellcheck disable=SC2086
if [ "$(debian_version)" -ge 13 ]; then
	install_packages $packages python3-aiocoap
	rm -rf "$dir/root"
else
	install_packages $packages
	unpack_trixie
fi
wrap_peers
npm_peer
touch "$dir/ready"
works || { rm -f "$dir/ready"; say "the peers do not work"; exit 1; }
say "ready in $dir"

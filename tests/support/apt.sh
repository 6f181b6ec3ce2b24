# shellcheck shell=bash
# apt.sh: sourced by what fetches Debian packages to be unpacked beside the system. The caller defines say().

listed_mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | { grep -v security || true; } | sort -u | head -n 1
}

# Which mirror of Debian apt uses here; nothing where it knows none. Where the lists were removed, as in container images, they are
# fetched first.
mirror() {
	local uri
	uri=$(listed_mirror)
	[ -n "$uri" ] || { apt-get -qq update >&2; uri=$(listed_mirror); }
	echo "$uri"
}

# install_missing [PACKAGE...]: as root; else says what is to be installed, and ends.
install_missing() {
	[ $# -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || { say "please install: $*"; exit 1; }
	say "installing $*"
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}

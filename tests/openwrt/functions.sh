# shellcheck shell=dash disable=SC2034,SC3043
# Stands in for OpenWrt's /lib/functions.sh: what our scripts use of it, said the way it says it. `uci export` is the file $UCI/NAME.

# What happens to the system is written to $SAID. Functions: busybox has some of these commands built in.
said() { printf '%s\n' "$*" >>"$SAID"; }
logger() { said "logger $*"; }
chown() { said "chown $*"; }
chgrp() { said "chgrp $*"; }
ubus() { said "ubus $*"; }
nft() {
	said "nft $*"
	[ "$1" != -f ] || cat >>"$SAID"
	[ ! -e "$UCI/nft-fails" ]
}

reset_cb() {
	config_cb() { return 0; }
	option_cb() { return 0; }
	list_cb() { return 0; }
}
reset_cb

package() { return 0; }

config() {
	CONFIG_SECTION=$2
	config_cb "$1" "$2"
}

config_set() { eval "CONFIG_$1_$2=\$3"; }

option() {
	local key=$1
	shift
	config_set "$CONFIG_SECTION" "$key" "$*"
	option_cb "$key" "$*"
}

list() {
	local key=$1
	shift
	list_cb "$key" "$*"
}

config_load() {
	local data

	CONFIG_SECTION=
	data=$(cat "$UCI/$1" 2>/dev/null) || return 1
	eval "$data"
	${CONFIG_SECTION:+config_cb}
}

config_get() {
	case $2$3 in
	*[!A-Za-z0-9_]*) ;;
	*) eval "$1=\${CONFIG_$2_$3:-\$4}" ;;
	esac
}

config_get_bool() {
	config_get "$1" "$2" "$3" "$4"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; *) $1=0 ;; esac"
}

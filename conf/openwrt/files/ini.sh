# shellcheck shell=dash disable=SC2034,SC2317,SC3043
#
# ini.sh: the INI configuration of coap-guardd out of UCI's package coap-guardd. Whoever reads this has read
# /lib/functions.sh before.
#
# A UCI section "config server 'lamp'" becomes [server lamp], "option unknown_rate '6/min'" becomes "unknown-rate = 6/min",
# "list bind '[::]:5683'" one line for each. UCI's names have no hyphen; where a section's own name needs one, or a dot, it
# has an "option name". What keys there are is the daemon's business: every one passes, and coap-guardd --check-config judges.

CG_KEYS=/etc/coap-guard/keys
CG_STATE=/etc/coap-guard/state
CG_RUN=/var/run/coap-guard

cg_refuse() {
	logger -t coap-guardd -p daemon.err "$1" 2>/dev/null
	echo "coap-guardd: $1" >&2
	cg_refused=1
}

# Of a section: type, name and lines so far; then the next one begins.
cg_flush() {
	[ -n "$cg_kind" ] || return 0
	case $cg_kind in
	context)
		case $cg_seen in *" master-secret-file "*) ;; *) cg_lines="${cg_lines}master-secret-file = $CG_KEYS/$cg_name
" ;; esac
		;;
	state) cg_has_state=1 ;;
	control) cg_has_control=1 ;;
	esac
	# /var is gone after a restart, and what contexts keep must not be.
	case "$cg_kind $cg_seen" in
	state\ *" directory "*) ;;
	state\ *) cg_lines="directory = $CG_STATE
$cg_lines" ;;
	control\ *" socket "*) ;;
	control\ *) cg_lines="socket = $CG_RUN/control.sock
$cg_lines" ;;
	esac
	case $cg_kind in
	listen | link | server | context) printf '\n[%s %s]\n%s' "$cg_kind" "$cg_name" "$cg_lines" ;;
	*) printf '\n[%s]\n%s' "$cg_kind" "$cg_lines" ;;
	esac
	cg_kind=
}

cg_is_word() {
	case $1 in
	'' | . | .. | *[!A-Za-z0-9._-]*) return 1 ;;
	esac
	return 0
}

# config_load says each section: type and name; and none at the end.
cg_section() {
	cg_flush
	[ -n "$1" ] || return 0
	case $1 in
	*[!a-z_-]*)
		cg_refuse "no such section: $1"
		return 0
		;;
	esac
	cg_kind=$(printf %s "$1" | tr _ -)
	cg_name=$2 cg_lines='' cg_seen=' '
	cg_is_word "$cg_name" || cg_refuse "not a name of a section: $cg_name"
}

# One line must stay one line, and all of it the value.
cg_is_value() {
	case $1 in
	*[[:cntrl:]]* | ';'* | *' ;'*) return 1 ;;
	esac
	return 0
}

cg_option() {
	local key

	[ -n "$cg_kind" ] || return 0
	case $1 in
	'' | *[!A-Za-z0-9_]*)
		cg_refuse "not a name of an option: $1"
		return 0
		;;
	esac
	if ! cg_is_value "$2"; then
		cg_refuse "$cg_kind $cg_name: $1: a value on one line and without \" ;\", please"
		return 0
	fi
	key=$(printf %s "$1" | tr _ -)
	case "$cg_kind.$key" in
	guard.enabled | guard.bypass | guard.config-file) return 0 ;; # of the init script
	listen.name | link.name | server.name | context.name)
		if cg_is_word "$2"; then cg_name=$2; else cg_refuse "$cg_kind: not a name: $2"; fi
		return 0
		;;
	esac
	cg_seen="$cg_seen$key "
	cg_lines="$cg_lines$key = $2
"
}

# Prints the whole. False: something was refused, and said in the log; nothing printed may be used.
cg_ini() {
	local cg_kind='' cg_name='' cg_lines='' cg_seen='' cg_refused=0 cg_has_state='' cg_has_control=''

	config_cb() { cg_section "$1" "$2"; }
	option_cb() { cg_option "$1" "$2"; }
	list_cb() { cg_option "$1" "$2"; }
	echo "# Made of /etc/config/coap-guardd; changes belong there."
	config_load coap-guardd
	cg_flush
	reset_cb
	[ -n "$cg_has_state" ] || printf '\n[state]\ndirectory = %s\n' "$CG_STATE"
	[ -n "$cg_has_control" ] || printf '\n[control]\nsocket = %s/control.sock\n' "$CG_RUN"
	[ "$cg_refused" = 0 ]
}

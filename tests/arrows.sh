#!/bin/bash
# arrows: proves the floors and doors of docs/architecture.md.
# Prints one line per violation and exits 1, or "arrows: ok".
# usage: tests/arrows.sh [DIRECTORY]
# DIRECTORY holds the objects of lib/ (base/addr.o, ...), compiled without sanitizers; without it what
# only the compiler knows is not looked at.
set -uf
objects=${1:+$(realpath -- "$1")}
cd "$(dirname -- "$0")/.." || exit 1
violations=0

violation() {
	echo "$*"
	violations=$((violations + 1))
}

sources() {
	find "$@" -name '*.[ch]' | LC_ALL=C sort
}

# --- floors: who may include whom; arrows run down only

floors_below() {
	case $1 in
	base) echo base ;;
	coap) echo base coap ;;
	guard) echo base guard ;;
	crypto) echo base crypto ;;
	oscore) echo base coap crypto oscore ;;
	proxy) echo base coap guard crypto oscore proxy ;;
	esac
}

# file line header: "header" as included by file
check_floor() {
	local room

	case $1 in
	lib/*)
		room=${1#lib/}
		case " $(floors_below "${room%%/*}") " in
		*" ${3%%/*} "*) [[ $3 == */* ]] && return ;;
		esac
		;;
	daemon/*)
		case $3 in
		proxy/* | base/* | guard/policy.h | guard/verdict.h) return ;;
		coap/*) [[ $1 == daemon/session_message.[ch] ]] && return ;; # between two forms of a message
		*/*) ;;
		*) [[ -e daemon/$3 ]] && return ;;
		esac
		;;
	esac
	violation "$1:$2: may not include \"$3\""
}

# --- doors: one way in for each library

# file line header: <header> as included by file
check_door() {
	case $3 in
	uv.h | uv/*)
		case $1 in daemon/loop.[ch] | daemon/udp.[ch] | daemon/control.[ch] | daemon/metrics_http.[ch] | daemon/session.c) return ;; esac
		;;
	coap3/coap.h)
		case $1 in lib/coap/*.c | daemon/session_*.[ch]) return ;; esac
		;;
	coap*/*) ;;
	openssl/*)
		case $1 in lib/crypto/* | daemon/entropy.c) return ;; esac
		;;
	ini.h)
		case $1 in daemon/config.c) return ;; esac
		;;
	cbor.h | cbor/*)
		case $1 in lib/oscore/oscore_aad.c) return ;; esac
		;;
	*) return ;;
	esac
	violation "$1:$2: <$3> is not this file's door"
}

check_includes() {
	local file line rest include='#[[:space:]]*include[[:space:]]*(["<])([^">]*)[">]'

	while IFS=: read -r file line rest; do
		[[ $rest =~ $include ]] || continue
		if [[ ${BASH_REMATCH[1]} == '"' ]]; then
			check_floor "$file" "$line" "${BASH_REMATCH[2]}"
		else
			check_door "$file" "$line" "${BASH_REMATCH[2]}"
		fi
	done < <(sources lib daemon | xargs grep -nE '^[[:space:]]*#[[:space:]]*include')
}

# A file that includes its own header first proves that the header stands alone.
check_own_header_first() {
	local file own first

	while read -r file; do
		own=${file%.c}.h
		[[ -e $own ]] || continue
		own=${own#lib/}
		first=$(grep -m1 -E '^[[:space:]]*#[[:space:]]*include' "$file")
		[[ $first == *"\"${own#daemon/}\""* ]] || violation "$file: does not include its own header first"
	done < <(sources lib daemon | grep '\.c$')
}

# --- words: what lib/ may not say, what nothing of ours may be called

# Comments and literals blanked, each line as file:line:function:text. A function starts in the first
# column with its name before "(", and ends with "}" in the first column.
code() {
	local file

	while read -r file; do
		awk -v file="$file" '
		function blank(text,    out, c, two, i, n) {
			out = ""
			n = length(text)
			for (i = 1; i <= n; i++) {
				c = substr(text, i, 1)
				two = substr(text, i, 2)
				if (inside == "/*") {
					if (two == "*/") { inside = ""; i++ }
				} else if (inside != "") {
					if (c == "\\") i++
					else if (c == inside) inside = ""
				} else if (two == "/*") { inside = two; i++; out = out " " }
				else if (two == "//") break
				else if (c == "\"" || c == "\047") { inside = c; out = out " " }
				else out = out c
			}
			if (inside != "/*") inside = ""
			return out
		}
		{
			text = blank($0)
			if (text ~ /^[A-Za-z_].*\(/ && text !~ /;[ \t]*$/) {
				name = substr(text, 1, index(text, "(") - 1)
				sub(/[ \t]+$/, "", name)
				sub(/.*[^A-Za-z0-9_]/, "", name)
			}
			print file ":" NR ":" name ":" text
			if (text ~ /^}/) name = ""
		}' "$file"
	done < <(sources "$@")
}

# Words as calls, not as members or parts of names.
calls() {
	grep -E "^[^:]*:[^:]*:[^:]*:(.*[^A-Za-z0-9_.>])?($1)[[:space:]]*\("
}

clocks='time|clock_gettime|gettimeofday|timespec_get|localtime|localtime_r|gmtime|gmtime_r'
streams='printf|fprintf|vprintf|vfprintf|dprintf|vdprintf|puts|fputs|putchar|putc|fputc|fwrite'
streams="$streams|perror|fopen|fdopen|syslog|vsyslog"
sockets='socket|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg|getaddrinfo|gethostbyname'
environment='getenv|secure_getenv|setenv'
allocators='malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign'
allocators="$allocators|strdup|strndup|asprintf|vasprintf"

check_words() {
	local file line name text ours='(coap|uv|ini|cbor|sd)_[A-Za-z0-9_]*'
	local tag="((static|const|extern|typedef) )*(struct|enum|union) $ours *\\{"
	local macro="#[[:space:]]*define $ours"
	local name_at_file_scope="[A-Za-z_][A-Za-z0-9_ *]*[ *]$ours *[[(=;]"

	while IFS=: read -r file line name text; do
		violation "$file:$line: clock, stream, socket or environment in lib/:" $text
	done < <(code lib | calls "$clocks|$streams|$sockets|$environment")
	while IFS=: read -r file line name text; do
		[[ $name == *_create || $name == *_init ]] ||
			violation "$file:$line: allocates outside of *_create and *_init: ${name:-file scope}"
	done < <(code lib | calls "$allocators")
	while IFS=: read -r file line name text; do
		violation "$file:$line: the name belongs to a library:" $text
	done < <(code lib daemon | grep -vE ":(struct|enum|union) $ours;" |
		grep -E "^[^:]*:[^:]*:($ours:[A-Za-z_]|[^:]*:($tag|$macro|$name_at_file_scope))")
}

# --- symbols: what the compiler made of it

libc_calls="$clocks|$streams|$sockets|$environment|send|bind|connect|listen|open|read|write|close"
libc_calls="$libc_calls|sleep|usleep|nanosleep|rand|random|getrandom|abort|exit|stdout|stderr"
libc_calls="$libc_calls|__(v?f?printf|v?dprintf)_chk"

# Tables of constants that hold pointers lie in .data.rel.ro: written by the loader only.
check_objects() {
	local object room found=0

	while read -r object; do
		found=1
		room=$(basename "$object" .o)
		while read -r line; do
			violation "lib/${object%.o}.c: $line"
		done < <(nm -f sysv "$objects/$object" | awk -F'|' -v room="$room" -v libc="^($libc_calls)\$" '
			NF >= 7 {
				name = $1; class = $3; section = $7
				gsub(/[ \t]/, "", name); gsub(/[ \t]/, "", class); gsub(/[ \t]/, "", section)
				sub(/@.*/, "", name)
				if (class ~ /^[dDbBCsSgGVvu]$/ && section !~ /^\.(data\.rel\.ro|rodata)/)
					print "variable that changes: " name
				if (class ~ /^[TDRBCWVi]$/ && name != room && index(name, room "_") != 1)
					print "exports " name ", which does not start with " room "_"
				if (class == "U" && name ~ libc)
					print "calls " name
			}')
	done < <(cd "$objects" && find . -name '*.o' -printf '%P\n' | LC_ALL=C sort)
	((found)) || violation "no objects in $objects"
}

check_includes
check_own_header_first
check_words
[[ -n $objects ]] && check_objects
((violations)) && exit 1
echo "arrows: ok"

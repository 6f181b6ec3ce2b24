#!/bin/bash
# demo.sh: a real CoAP device behind the guard, on loopback, and a live view. BUILD says where the programs are.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$here/build}
run=$(mktemp -d)
sock=$run/control.sock
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$run"' EXIT
trap 'exit 0' INT TERM

port=${PORT:-5683} device=${DEVICE_PORT:-5685}
coap-server-notls -A 127.0.0.1 -p "$device" >"$run/device.log" 2>&1 &
sed -e "s|^socket = .*|socket = $sock|" -e "s|^bind = .*|bind = 127.0.0.1:$port|" \
	-e "s|^address = .*|address = coap://127.0.0.1:$device|" "$here/conf/examples/demo.conf" >"$run/demo.conf"
"$build/coap-guardd" -c "$run/demo.conf" 2>"$run/guard.log" &
guard=$!
for _ in $(seq 50); do
	[ -S "$sock" ] && break
	kill -0 $guard 2>/dev/null || { cat "$run/guard.log"; exit 1; }
	sleep 0.1
done

try() {
	cat <<-T
	Try it from another terminal:
	  coap-client-notls -m get coap://127.0.0.1:$port/demo/time
	  coap-client-notls -m get -s 10 coap://127.0.0.1:$port/demo/time
	  coap-client-notls -m get -P coap://127.0.0.1:$port coap://127.0.0.1:$device/time
	  $build/coap-guardctl -s $sock why 127.0.0.1
	  for i in \$(seq 40); do coap-client-notls -N -m get -B 1 coap://127.0.0.1:$port/demo/time; done
	T
}

# One request of our own, so that there is something to see.
echo "coap-client-notls -m get coap://127.0.0.1:$port/demo/time"
coap-client-notls -m get -B 10 "coap://127.0.0.1:$port/demo/time"
echo
end=$((SECONDS + ${SECONDS_TO_RUN:-86400}))
[ -t 1 ] || end=$((SECONDS + ${SECONDS_TO_RUN:-5}))
while [ $SECONDS -lt $end ]; do
	[ -t 1 ] && printf '\033[H\033[2J'
	"$build/coap-guardctl" -s "$sock" status
	echo
	try
	sleep 2
done

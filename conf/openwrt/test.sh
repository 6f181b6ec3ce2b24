#!/bin/sh
# shellcheck shell=busybox
# Of the feed's CI, on the target: NAME VERSION.

case "$1" in
coap-guardd)
	coap-guardd --version | grep -F "$2" || exit 1
	coap-guardctl --version | grep -F "$2" || exit 1
	/etc/init.d/coap-guardd check
	;;

prometheus-node-exporter-lua-coap-guard)
	[ -f /usr/lib/lua/prometheus-collectors/coap_guard.lua ]
	;;
esac

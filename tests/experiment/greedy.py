#!/usr/bin/python3
"""greedy: attacker G. A client like any other, with a context that is good, which asks far too often and waits for nothing. It answers pings.
Prints a line of JSON."""
import argparse
import json
import os
import select
import socket
import time

import mote
import rawcoap


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.connect((args.target, 5683))
    context = mote.client_context(bytes([mote.GREEDY]))
    start, mid = time.monotonic(), int.from_bytes(os.urandom(2), "big")
    sent = sent_bytes = replies = pings = served = 0
    codes = {}
    while (passed := time.monotonic() - start) < args.seconds:
        while sent < passed * args.rate:
            mid = mid + 1 & 0xffff
            message = rawcoap.Message(rawcoap.CON, rawcoap.GET, mid, os.urandom(4), rawcoap.path("status"))
            raw = rawcoap.encode(context.protect_request(message)[0])
            try:
                sock.send(raw)
            except ConnectionRefusedError:
                pass
            sent, sent_bytes = sent + 1, sent_bytes + len(raw) + 48
        if not select.select([sock], [], [], 0.5 / args.rate)[0]:
            continue
        try:
            raw = sock.recv(2048)
        except ConnectionRefusedError:
            continue
        replies += 1
        answer = rawcoap.decode(raw)
        if answer.code == rawcoap.EMPTY:
            if answer.type == rawcoap.CON:
                pings += 1
                sock.send(rawcoap.encode(rawcoap.Message(rawcoap.RST, rawcoap.EMPTY, answer.mid)))
            continue
        if answer.type == rawcoap.CON:
            sock.send(rawcoap.encode(rawcoap.Message(rawcoap.ACK, rawcoap.EMPTY, answer.mid)))
        codes[rawcoap.dotted(answer.code)] = codes.get(rawcoap.dotted(answer.code), 0) + 1
        served += answer.option(rawcoap.OSCORE) is not None
    print(json.dumps({"sent": sent, "sent_bytes": sent_bytes, "seconds": time.monotonic() - start, "replies": replies, "pings": pings,
                      "served": served, "codes": codes}))


if __name__ == "__main__":
    main()
